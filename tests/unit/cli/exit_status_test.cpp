// SPDX-License-Identifier: MIT
#include "cli/exit_status.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace vpmu::cli {
namespace {

using Reason = machine::Outcome::Reason;

TEST(ExitStatus, FollowsTheTable) {
  struct Row {
    machine::Outcome outcome;
    int signal;
    int status;
  };
  for (const Row row : {Row{{Reason::kDebugExit, 0}, 0, 1},
                        {{Reason::kDebugExit, 1}, 0, 3},
                        {{Reason::kDebugExit, 38}, 0, 77},
                        {{Reason::kDebugExit, 63}, 0, 127},
                        {{Reason::kDebugExit, 127}, 0, 255},
                        {{Reason::kDebugExit, 128}, 0, 1},
                        {{Reason::kDebugExit, 0xffffffff}, 0, 255},
                        {{Reason::kPowerOff, 0}, 0, 0},
                        {{Reason::kReset, 0}, 0, 0},
                        {{Reason::kCrash, 3}, 0, 125},
                        {{Reason::kInstructions, 0}, 0, 124},
                        {{Reason::kHalted, 0}, 0, 124},
                        {{Reason::kStopped, 0}, SIGALRM, 124},
                        {{Reason::kStopped, 0}, SIGINT, 130},
                        {{Reason::kStopped, 0}, SIGTERM, 143}}) {
    EXPECT_EQ(exit_status(row.outcome, row.signal), row.status)
        << machine::name(row.outcome.reason) << ' ' << row.outcome.value << ' ' << row.signal;
  }
}

}  // namespace
}  // namespace vpmu::cli
