// SPDX-License-Identifier: MIT
#include "hostperf/branch_filter.hpp"

#include "vpmu/hostperf/lbr_host.hpp"
#include "vpmu/silicon/x86/lbr_registers.hpp"

namespace vpmu::hostperf {
namespace {

using silicon::x86::LbrCtl;

constexpr std::uint64_t kCalls = mask_of(LbrCtl::kNearRelCall, LbrCtl::kNearIndCall);
constexpr std::uint64_t kEveryType =
    kCalls | mask_of(LbrCtl::kJcc, LbrCtl::kNearRelJmp, LbrCtl::kNearIndJmp, LbrCtl::kNearRet,
                     LbrCtl::kOther);

/// What is asked for, in IA32_LBR_CTL's bits.
struct Request {
  std::uint32_t bit;
  std::uint64_t wanted;
};
constexpr Request kTypes[] = {
    {kBranchAny, kEveryType},
    {kBranchAnyCall, kCalls | mask_of(LbrCtl::kOther)},
    {kBranchAnyReturn, mask_of(LbrCtl::kNearRet, LbrCtl::kOther)},
    {kBranchIndirectCall, mask_of(LbrCtl::kNearIndCall)},
    {kBranchConditional, mask_of(LbrCtl::kJcc)},
    {kBranchCallStack, kCalls | mask_of(LbrCtl::kNearRet, LbrCtl::kCallStack)},
    {kBranchIndirectJump, mask_of(LbrCtl::kNearIndJmp)},
    {kBranchCall, mask_of(LbrCtl::kNearRelCall)},
};
constexpr Request kPrivileges[] = {
    {kBranchUser, mask_of(LbrCtl::kUsr)},
    {kBranchKernel, mask_of(LbrCtl::kOs)},
};

template <std::size_t kSize>
constexpr std::uint32_t bits_of(const Request (&requests)[kSize]) {
  std::uint32_t bits = 0;
  for (const Request& request : requests) bits |= request.bit;
  return bits;
}

template <std::size_t kSize>
constexpr std::uint64_t wanted(const Request (&requests)[kSize], std::uint32_t branch_type) {
  std::uint64_t wanted = 0;
  for (const Request& request : requests) {
    if ((branch_type & request.bit) != 0) wanted |= request.wanted;
  }
  return wanted;
}

}  // namespace

std::optional<std::uint64_t> branch_filter(std::uint32_t branch_type,
                                           const silicon::x86::LbrModel& model) {
  constexpr std::uint32_t kAllTypes = bits_of(kTypes);
  constexpr std::uint32_t kAllPrivileges = bits_of(kPrivileges);
  const std::uint32_t types = branch_type & kAllTypes;
  if (!model.exists() || types == 0 || (branch_type & ~(kAllTypes | kAllPrivileges)) != 0) {
    return std::nullopt;
  }
  const bool call_stack = (types & kBranchCallStack) != 0;
  if (call_stack && (types != kBranchCallStack || !model.call_stack)) return std::nullopt;

  const std::uint32_t privileges = branch_type & kAllPrivileges;
  const std::uint64_t asked_for =
      wanted(kTypes, types) | wanted(kPrivileges, privileges != 0 ? privileges : kAllPrivileges);
  return model.architectural() ? asked_for | mask_of(LbrCtl::kEn)
                               : silicon::x86::lbr_select_of({{asked_for}});
}

}  // namespace vpmu::hostperf
