// SPDX-License-Identifier: MIT
#include "cli/doctor/output.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "cli/version.hpp"
#include "cli/wrap.hpp"

namespace vpmu::cli::doctor {

namespace {
struct Area {
  std::string_view name;
  const char* title;
};
constexpr Area kAreas[] = {
    {"machine", "Guests on vpmu's own machine: needs nothing of what follows"},
    {"kvm", "KVM (this version runs no guests on it yet)"},
    {"perf", "perf of the host's kernel (this version does not count with it yet)"},
    {"limits", "Limits of this process"},
    {"tools", "Programs that people use with vpmu"},
};
constexpr std::size_t kIndent = 31;  // of a check's text, behind result and name

std::string_view area_of(const Check& check) {
  return std::string_view{check.name}.substr(0, check.name.find('.'));
}

std::string subject_of(const Check& check) {
  return check.name.substr(check.name.find('.') + 1);
}

const char* colour_of(CheckResult result) {
  switch (result) {
    case CheckResult::kOk: return "32";
    case CheckResult::kFailed: return "31";
    case CheckResult::kSkipped: return "2";
    default: return "33";
  }
}

std::string coloured(CheckResult result, bool colour) {
  const std::string word = fmt::format("{:<8}", name(result));
  return colour ? fmt::format("\x1b[{}m{}\x1b[0m", colour_of(result), word) : word;
}

std::string lines(const Check& check, bool colour) {
  const std::string head =
      fmt::format("  {} {:<19} ", coloured(check.result, colour), subject_of(check));
  std::string text = wrapped(head, kIndent, check.detail, kColumns) + "\n";
  const std::string indent(kIndent, ' ');
  if (!check.cause.empty()) {
    text += wrapped(indent + "cause:  ", kIndent + 8, check.cause, kColumns) + "\n";
  }
  if (!check.remedy.empty()) {
    text += wrapped(indent + "remedy: ", kIndent + 8, check.remedy, kColumns) + "\n";
  }
  return text;
}

/// Checks that wait for another one say so together.
std::string waiting_lines(const Checks& checks, std::string_view area, bool colour) {
  std::string text;
  std::string subjects, cause;
  const auto flush = [&] {
    if (subjects.empty()) return;
    text += wrapped(fmt::format("  {} ", coloured(CheckResult::kSkipped, colour)), 11,
                    fmt::format("{}: {}", subjects, cause), kColumns) +
            "\n";
    subjects.clear();
  };
  for (const Check& check : checks) {
    if (area_of(check) != area || check.result != CheckResult::kSkipped) continue;
    if (check.cause != cause) flush();
    cause = check.cause;
    if (!subjects.empty()) subjects += ", ";
    subjects += subject_of(check);
  }
  flush();
  return text;
}

std::string totals(const Checks& checks) {
  std::string text;
  for (const auto result : {CheckResult::kOk, CheckResult::kWarning, CheckResult::kMissing,
                            CheckResult::kDenied, CheckResult::kFailed, CheckResult::kSkipped}) {
    const auto count = std::count_if(checks.begin(), checks.end(),
                                     [&](const Check& check) { return check.result == result; });
    if (count != 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, name(result));
  }
  return text + "\n";
}
}  // namespace

bool runs_guests(const Checks& checks) {
  return std::any_of(checks.begin(), checks.end(), [](const Check& check) {
    return check.name == "machine.guest" && check.result == CheckResult::kOk;
  });
}

std::string text(const Checks& checks, bool colour) {
  std::string text = runs_guests(checks) ? "`vpmu run` works here: its guests have performance "
                                           "counters, whatever else is missing.\n"
                                         : "`vpmu run` does not work here: see machine.guest.\n";
  for (const Area& area : kAreas) {
    text += fmt::format("\n{}\n", area.title);
    for (const Check& check : checks) {
      if (area_of(check) == area.name && check.result != CheckResult::kSkipped) {
        text += lines(check, colour);
      }
    }
    text += waiting_lines(checks, area.name, colour);
  }
  return text + "\n" + totals(checks);
}

nlohmann::ordered_json json(const Checks& checks) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Check& check : checks) {
    list.push_back({{"name", check.name},
                    {"result", name(check.result)},
                    {"detail", check.detail},
                    {"cause", check.cause},
                    {"remedy", check.remedy}});
  }
  return {{"doctor", kDoctorVersion},
          {"vpmu", kVersion},
          {"runs_guests", runs_guests(checks)},
          {"checks", std::move(list)}};
}

}  // namespace vpmu::cli::doctor
