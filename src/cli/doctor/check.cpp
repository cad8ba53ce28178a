// SPDX-License-Identifier: MIT
#include "cli/doctor/check.hpp"

namespace vpmu::cli::doctor {

const char* name(CheckResult result) {
  switch (result) {
    case CheckResult::kOk: return "ok";
    case CheckResult::kWarning: return "warning";
    case CheckResult::kMissing: return "missing";
    case CheckResult::kDenied: return "denied";
    case CheckResult::kFailed: return "failed";
    case CheckResult::kSkipped: return "skipped";
  }
  return "?";
}

}  // namespace vpmu::cli::doctor
