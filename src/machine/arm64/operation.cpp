// SPDX-License-Identifier: MIT
#include "machine/arm64/operation.hpp"

#include "machine/arm64/instruction_kinds.hpp"
#include "machine/arm64/word_bits.hpp"

namespace vpmu::machine::arm64 {

using silicon::arm64::SpeOperationType;

namespace {

// ---- Classes ------------------------------------------------------------------------------------

/// Payloads of operation type packets.
constexpr std::uint8_t kStore = 0x01, kConditional = 0x01, kIndirect = 0x02, kExtended = 0x02,
                       kSimd = 0x04, kAtomic = 0x04, kExclusive = 0x08, kOrdered = 0x10;
constexpr std::uint8_t kPlain = 0;

/// Bits 29:24 of what loads and stores exclusively or in order.
constexpr std::uint32_t kExclusiveOrOrdered = 0x08;

bool is_exception_return(std::uint32_t word) {
  return word == 0xd69f'03e0;
}

bool is_atomic(std::uint32_t word) {
  return bits(word, 29, 27) == 7 && !bit(word, 26) && !bit(word, 24) && bit(word, 21) &&
         bits(word, 11, 10) == 0;
}
bool is_unscaled_in_order(std::uint32_t word) {
  return bits(word, 29, 24) == 0x19 && !bit(word, 21) && bits(word, 11, 10) == 0;
}

std::uint8_t load_or_store(std::uint32_t word) {
  const std::uint8_t store = memory_kind(word).load ? kPlain : kStore;
  if (bit(word, 26)) return kSimd | store;
  if (compares_and_swaps(word)) {
    return kExtended | kAtomic | (bit(word, 22) || bit(word, 15) ? kOrdered : 0);
  }
  if (bits(word, 29, 24) == kExclusiveOrOrdered) {
    if (bit(word, 23)) return kExtended | kOrdered | store;
    return kExtended | kExclusive | (bit(word, 15) ? kOrdered : 0) | store;
  }
  if (is_atomic(word)) {
    const bool ordered = bit(word, 23) || bit(word, 22);
    const bool load_in_order = bits(word, 15, 12) == 0xc;  // LDAPR
    if (load_in_order) return kExtended | kOrdered;
    return kExtended | kAtomic | (ordered ? kOrdered : 0);
  }
  if (is_unscaled_in_order(word)) return kExtended | kOrdered | store;
  return store;
}

/// CSEL and CCMP with their kin, FCSEL, FCCMP and FCCMPE.
bool is_conditional(std::uint32_t word) {
  const bool select = (word & 0x3fe0'0800) == 0x1a80'0000;
  const bool compare = (word & 0x3fe0'0410) == 0x3a40'0000;
  const bool floating = (word & 0xff20'0400) == 0x1e20'0400;
  return select || compare || floating;
}

}  // namespace

SpeOperationType operation_type(std::uint32_t word) {
  using Class = SpeOperationType::Class;
  const BranchKind branch = branch_kind(word);
  if (is_exception_return(word)) return {Class::kBranch, kIndirect};
  switch (branch) {
    case BranchKind::kNone: break;
    case BranchKind::kConditional: return {Class::kBranch, kConditional};
    case BranchKind::kIndirect:
    case BranchKind::kIndirectCall:
    case BranchKind::kReturn: return {Class::kBranch, kIndirect};
    case BranchKind::kDirect:
    case BranchKind::kCall: return {Class::kBranch, kPlain};
  }
  if (memory_kind(word) != MemoryKind{}) return {Class::kLoadStore, load_or_store(word)};
  return {Class::kOther, is_conditional(word) ? kConditional : kPlain};
}

std::optional<bool> condition_fails(std::uint32_t word, std::uint32_t nzcv) {
  if (branch_kind(word) != BranchKind::kNone || !is_conditional(word)) return std::nullopt;
  const bool n = bit(nzcv, 31), z = bit(nzcv, 30), c = bit(nzcv, 29), v = bit(nzcv, 28);
  const std::uint32_t condition = bits(word, 15, 12);
  bool holds = true;
  switch (condition >> 1) {
    case 0: holds = z; break;
    case 1: holds = c; break;
    case 2: holds = n; break;
    case 3: holds = v; break;
    case 4: holds = c && !z; break;
    case 5: holds = n == v; break;
    case 6: holds = n == v && !z; break;
    default: return false;  // always, both of them
  }
  return holds == bit(condition, 0);
}

}  // namespace vpmu::machine::arm64
