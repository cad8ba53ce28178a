// SPDX-License-Identifier: MIT
#include "property/answers.hpp"

#include <fmt/format.h>

namespace vpmu::property {

std::string show(const Access& access) {
  if (access.is_fault()) return "#GP";
  if (access.is_trap()) return "trap";
  if (access.is_not_mine()) return "not mine";
  return fmt::format("{:#x}", access.value());
}

std::string show(const Answer& answer) {
  switch (answer.kind) {
    case Answer::Kind::kDone: return fmt::format("{:#x}", answer.value);
    case Answer::Kind::kFault: return "#GP";
    case Answer::Kind::kAbsent: return "#GP or not mine";
    case Answer::Kind::kOther: return "not mine";
  }
  return {};
}

static bool agree(const Access& access, const Answer& answer) {
  switch (answer.kind) {
    case Answer::Kind::kDone: return access == Access::done(answer.value);
    case Answer::Kind::kFault: return access.is_fault();
    case Answer::Kind::kAbsent: return access.is_fault() || access.is_not_mine();
    case Answer::Kind::kOther: return access.is_not_mine();
  }
  return false;
}

std::optional<std::string> compare(const std::string& what, const Access& access,
                                   const Answer& answer) {
  if (agree(access, answer)) return {};
  return fmt::format("{}: {}, expected {}", what, show(access), show(answer));
}

std::optional<std::string> compare(const std::string& what, const Access& access,
                                   const Access& expected) {
  if (access == expected) return {};
  return fmt::format("{}: {}, expected {}", what, show(access), show(expected));
}

}  // namespace vpmu::property
