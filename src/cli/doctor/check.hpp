// SPDX-License-Identifier: MIT
//
// A check of `vpmu doctor`: a name, what came out, and where that is not good, why and what to do.
// docs/doctor.md lists them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vpmu::cli::doctor {

enum class CheckResult : std::uint8_t {
  kOk,
  kWarning,  ///< works, with a limit
  kMissing,  ///< is not there
  kDenied,   ///< this user may not; whether it is there may not be known
  kFailed,   ///< is there and does not work
  kSkipped,  ///< could not be checked, or has no meaning here; `cause` says which
};
/// The name that reports use, e.g. "ok". Never null.
const char* name(CheckResult result);

struct Check {
  std::string name;  ///< "area.subject"; stable, for scripts
  CheckResult result = CheckResult::kOk;
  std::string detail;  ///< what was found; one line, as are the others
  std::string cause;   ///< why it is not ok; may be empty if it is
  std::string remedy;  ///< what to do about it; empty: nothing
};
using Checks = std::vector<Check>;

}  // namespace vpmu::cli::doctor
