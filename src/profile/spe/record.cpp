// SPDX-License-Identifier: MIT
#include "profile/spe/record.hpp"

#include <array>

#include <fmt/format.h>

namespace vpmu::profile::spe {

namespace {

using silicon::arm64::SpeOperationType;

/// Bits of payloads. SVE of any class has bit 3; its length is in bits 6 to 4.
constexpr unsigned kSve = 1 << 3;

unsigned vector_length(unsigned payload) {
  return 32u << (payload >> 4 & 7);
}

std::string other_text(unsigned payload) {
  constexpr unsigned kSveMask = 0x89, kFp = 1 << 1, kPredicated = 1 << 2, kConditional = 1 << 0;
  if ((payload & kSveMask) != kSve) {
    return (payload & kConditional) != 0 ? "OTHER COND-SELECT" : "OTHER INSN-OTHER";
  }
  return fmt::format("SVE-OTHER EVLEN {}{}{}", vector_length(payload),
                     (payload & kFp) != 0 ? " FP" : "",
                     (payload & kPredicated) != 0 ? " PRED" : "");
}

std::string load_store_text(unsigned payload) {
  constexpr unsigned kExtendedMask = 0xe2, kExtended = 0x02, kAtomic = 1 << 2, kExclusive = 1 << 3,
                     kAcquireRelease = 1 << 4;
  constexpr unsigned kSveMask = 0x0a, kPredicated = 1 << 2, kScattered = 1 << 7;
  std::string text = (payload & 1) != 0 ? "ST" : "LD";
  if ((payload & kExtendedMask) == kExtended) {
    if ((payload & kAtomic) != 0) text += " AT";
    if ((payload & kExclusive) != 0) text += " EXCL";
    if ((payload & kAcquireRelease) != 0) text += " AR";
    return text;
  }
  switch (payload & 0xfe) {
    case 0x00: return text + " GP-REG";
    case 0x04: return text + " SIMD-FP";
    case 0x10: return text + " UNSPEC-REG";
    case 0x30: return text + " NV-SYSREG";
    default: break;
  }
  if ((payload & kSveMask) == kSve) {
    text += fmt::format(" EVLEN {}", vector_length(payload));
    if ((payload & kPredicated) != 0) text += " PRED";
    if ((payload & kScattered) != 0) text += " SG";
  }
  return text;
}

std::string branch_text(unsigned payload) {
  constexpr unsigned kConditional = 1 << 0, kIndirectMask = 0xfe, kIndirect = 0x02;
  std::string text = "B";
  if ((payload & kConditional) != 0) text += " COND";
  // With anything else said of it, perf does not tell that it is indirect.
  if ((payload & kIndirectMask) == kIndirect) text += " IND";
  return text;
}

constexpr std::uint64_t sign_extended(std::uint64_t payload) {
  constexpr std::uint64_t kSign = std::uint64_t{1} << 55;
  const std::uint64_t address = payload & kAddressMask;
  return (address & kSign) != 0 ? address | ~kAddressMask : address;
}

}  // namespace

CodePlace code_place(std::uint64_t payload) {
  return {sign_extended(payload), static_cast<unsigned>(payload >> 61 & 3)};
}

std::uint64_t data_address(std::uint64_t payload) {
  return sign_extended(payload);
}

std::string operation_text(const SpeOperationType& operation) {
  switch (operation.of) {
    case SpeOperationType::Class::kOther: return other_text(operation.payload);
    case SpeOperationType::Class::kLoadStore: return load_store_text(operation.payload);
    case SpeOperationType::Class::kBranch: return branch_text(operation.payload);
  }
  return "OP-TYPE";
}

std::string_view data_source_name(unsigned source) {
  constexpr std::array<std::string_view, kDataSources> kNames{"L1",
                                                              "",
                                                              "",
                                                              "",
                                                              "",
                                                              "",
                                                              "",
                                                              "",
                                                              "L2",
                                                              "peer core",
                                                              "local cluster",
                                                              "system cache",
                                                              "peer cluster",
                                                              "remote",
                                                              "DRAM",
                                                              ""};
  return source < kNames.size() ? kNames[source] : "";
}

}  // namespace vpmu::profile::spe
