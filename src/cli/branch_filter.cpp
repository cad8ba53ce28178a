// SPDX-License-Identifier: MIT
#include "cli/branch_filter.hpp"

#include <algorithm>
#include <iterator>
#include <vector>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "policy/nearest_names.hpp"
#include "vpmu/hostperf/lbr_host.hpp"

namespace vpmu::cli {

namespace {
struct BranchName {
  std::string_view name;
  std::uint32_t bit;
};
constexpr BranchName kNames[] = {
    {"any", hostperf::kBranchAny},
    {"any_call", hostperf::kBranchAnyCall},
    {"any_ret", hostperf::kBranchAnyReturn},
    {"ind_call", hostperf::kBranchIndirectCall},
    {"ind_jmp", hostperf::kBranchIndirectJump},
    {"call", hostperf::kBranchCall},
    {"cond", hostperf::kBranchConditional},
    {"call_stack", hostperf::kBranchCallStack},
    {"u", hostperf::kBranchUser},
    {"k", hostperf::kBranchKernel},
};
constexpr std::uint32_t kPrivileges = hostperf::kBranchUser | hostperf::kBranchKernel;

Result<std::uint32_t> parse_name(std::string_view text) {
  const auto* const found = std::ranges::find(kNames, text, &BranchName::name);
  if (found != std::end(kNames)) return found->bit;
  std::vector<std::string_view> names;
  for (const BranchName& each : kNames) names.push_back(each.name);
  return fail(fmt::format("branches {} are not known; names like it: {}", in_quotes(text),
                          fmt::join(policy::nearest_names(text, names), ", ")));
}
}  // namespace

Result<std::uint32_t> parse_branch_filter(std::string_view text) {
  std::uint32_t type = 0;
  for (;;) {
    const std::size_t comma = text.find(',');
    auto bit = parse_name(text.substr(0, comma));
    if (!bit) return bit;
    type |= *bit;
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if ((type & ~kPrivileges) == 0) type |= hostperf::kBranchAny;
  const std::uint32_t kinds = type & ~kPrivileges;
  if ((kinds & hostperf::kBranchCallStack) != 0 && kinds != hostperf::kBranchCallStack) {
    return fail("a call stack has no other branches in it; write call_stack, u or k and no others");
  }
  return type;
}

std::string branch_filter_text(std::uint32_t branch_type) {
  std::vector<std::string_view> names;
  for (const BranchName& each : kNames) {
    if ((branch_type & each.bit) != 0) names.push_back(each.name);
  }
  return fmt::format("{}", fmt::join(names, ","));
}

}  // namespace vpmu::cli
