// SPDX-License-Identifier: MIT
//
// What instruction words are: ours against VIXL's, which has read the manual for itself.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "machine/arm64/instruction_kinds.hpp"
#include "machine/arm64/memory_operand.hpp"
#include "machine/arm64/operation.hpp"
#include "machine/arm64/word_bits.hpp"
#include "unit/arm64_vixl/plain_registers.hpp"
#include "unit/arm64_vixl/vixl_text.hpp"

namespace vpmu::machine::arm64 {
namespace {

using silicon::arm64::SpeOperationType;
using Class = SpeOperationType::Class;

/// All different, in all of their bits.
PlainRegisters some_registers() {
  PlainRegisters registers;
  std::mt19937_64 random{31};
  for (unsigned n = 0; n < 31; ++n) registers.set_x(n, random());
  registers.set_sp(random());
  registers.set_pc(0x12'3456'789c);
  return registers;
}

/// VIXL knows none of these, which go where LDUR and STUR with the same immediate go: LDTR, STTR
/// and their kin.
bool has_rights_of_el0(std::uint32_t word) {
  return bits(word, 29, 24) == 0x38 && !bit(word, 21) && bits(word, 11, 10) == 2;
}
/// VIXL does not look at the bits of BR, BLR and RET that must be zero.
bool is_no_branch(std::uint32_t word) {
  const bool to_register = (word & 0xff9f'fc00) == 0xd61f'0000 && bits(word, 22, 21) != 3;
  return to_register && bits(word, 4, 0) != 0;
}
std::uint32_t with_own_rights(std::uint32_t word) {
  return word & ~0xc00U;
}

/// Which bits of operation types are said of loads and stores.
std::uint8_t payload_of(const AccessText& access) {
  constexpr std::uint8_t kStore = 1, kExtended = 2, kAtomic = 4, kExclusive = 8, kOrdered = 0x10;
  constexpr std::uint8_t kSimd = 4;
  const std::uint8_t store = access.loads ? 0 : kStore;
  if (access.simd) return kSimd | store;
  if (!access.atomic && !access.exclusive && !access.ordered) return store;
  return kExtended | store | (access.atomic ? kAtomic : 0) | (access.exclusive ? kExclusive : 0) |
         (access.ordered ? kOrdered : 0);
}

SpeOperationType type_of(const InstructionText& text) {
  constexpr std::uint8_t kConditional = 1, kIndirect = 2;
  switch (text.branch) {
    case BranchKind::kNone: break;
    case BranchKind::kConditional: return {Class::kBranch, kConditional};
    case BranchKind::kDirect:
    case BranchKind::kCall: return {Class::kBranch, 0};
    default: return {Class::kBranch, kIndirect};
  }
  if (text.access) return {Class::kLoadStore, payload_of(*text.access)};
  return {Class::kOther, text.conditional ? kConditional : std::uint8_t{0}};
}

class ArmDecoding : public testing::Test {
 protected:
  /// Compares all that is said of `word`, if VIXL knows it.
  void compare(std::uint32_t word) {
    const auto text = vixl.read(has_rights_of_el0(word) ? with_own_rights(word) : word);
    if (!text || is_no_branch(word)) return;
    ++known;
    const bool same = same_kind(word, *text) &&
                      (text->access ? same_access(word, *text->access) : has_no_access(word));
    if (text->access) ++accesses;
    if (text->branch != BranchKind::kNone) ++branches;
    if (same) return;
    // One of each name is enough to see what is wrong.
    auto& [count, first] = disagreements[text->text.substr(0, text->text.find(' '))];
    if (count++ == 0) first = {word, text->text};
  }

  void TearDown() override {
    for (const auto& [name, found] : disagreements) {
      ADD_FAILURE() << name << ", " << found.first << " words: " << std::hex << found.second.first
                    << " is " << found.second.second;
    }
  }

  std::uint64_t known = 0, accesses = 0, branches = 0;

 private:
  static bool same_kind(std::uint32_t word, const InstructionText& text) {
    const MemoryKind kind =
        text.access ? MemoryKind{.load = text.access->loads, .store = text.access->stores}
                    : MemoryKind{};
    return branch_kind(word) == text.branch && memory_kind(word) == kind &&
           operation_type(word) == type_of(text);
  }
  bool has_no_access(std::uint32_t word) const {
    return !memory_operand(word, registers) && !accesses_stack(word) && !loads_exclusive(word) &&
           !stores_exclusive(word);
  }
  bool same_access(std::uint32_t word, const AccessText& access) const {
    const auto operand = memory_operand(word, registers);
    const bool exclusive_store = access.exclusive && access.stores;
    return operand == MemoryOperand{access.where.address(registers), access.bytes} &&
           written_back(word, registers) == access.where.written_back(registers) &&
           accesses_stack(word) == (!access.where.literal && access.where.base == 31) &&
           loads_exclusive(word) == (access.exclusive && access.loads) &&
           stores_exclusive(word) == exclusive_store;
  }

  VixlText vixl;
  const PlainRegisters registers = some_registers();
  std::map<std::string, std::pair<unsigned, std::pair<std::uint32_t, std::string>>> disagreements;
};

TEST_F(ArmDecoding, OfEveryWordOfOurGuestsIsAsVixlHasIt) {
  unsigned images = 0;
  for (const auto& entry : std::filesystem::directory_iterator{VPMU_GUESTS}) {
    if (entry.path().extension() != ".elf") continue;
    ++images;
    // Data, too: all of it are words.
    std::ifstream file{entry.path(), std::ios::binary};
    const std::vector<char> bytes{std::istreambuf_iterator<char>{file}, {}};
    for (std::size_t at = 0; at + 4 <= bytes.size(); at += 4) {
      std::uint32_t word = 0;
      std::memcpy(&word, &bytes[at], sizeof word);
      compare(word);
    }
  }
  EXPECT_GT(images, 40U);
  EXPECT_GT(accesses, 10'000U);
  EXPECT_GT(branches, 10'000U);
}

TEST_F(ArmDecoding, OfEveryKindOfLoadAndStoreIsAsVixlHasIt) {
  // All that is no register, with few registers: SP as base, and XZR, which some encodings
  // take for something else.
  constexpr std::uint32_t kRegisters[][3] = {{1, 2, 3},    {31, 2, 3},   {1, 31, 3}, {1, 2, 31},
                                             {30, 31, 31}, {31, 31, 31}, {4, 4, 8},  {2, 1, 30}};
  for (std::uint32_t bits = 0; bits < 1U << 15; ++bits) {
    const std::uint32_t high = bits >> 12 << 29 & 0xe000'0000, vector = (bits >> 11 & 1) << 26;
    // Bit 28, 24 to 21; 15 to 10.
    const std::uint32_t middle = (bits >> 10 & 1) << 28 | (bits >> 6 & 0xf) << 21;
    const std::uint32_t opcode = (bits & 0x3f) << 10;
    for (const auto& [rt, rn, rm] : kRegisters) {
      const std::uint32_t word =
          0x0800'0000 | high | vector | middle | opcode | rm << 16 | rn << 5 | rt;
      compare(word);
    }
  }
  EXPECT_GT(accesses, 50'000U);
}

TEST_F(ArmDecoding, OfEveryKindOfBranchIsAsVixlHasIt) {
  // All of op0 and opc, and the bits that tell registers from nothing.
  for (std::uint32_t high = 0; high < 1U << 11; ++high) {
    for (const std::uint32_t low : {0x00'0000U, 0x1f'0000U, 0x1f'0020U, 0x1f'03c0U, 0x1f'0bffU,
                                    0x1f'0820U, 0x00'0011U, 0x10'0001U, 0x1f'03e0U}) {
      compare(high << 21 | low);
    }
  }
  EXPECT_GT(branches, 500U);
}

TEST_F(ArmDecoding, OfRandomWordsIsAsVixlHasIt) {
  std::mt19937 random{41};
  for (unsigned n = 0; n < 2'000'000; ++n) {
    const auto word = static_cast<std::uint32_t>(random());
    compare(word);                                  // whatever it is
    compare((word & ~0x0a00'0000U) | 0x0800'0000);  // a load or store
    compare((word & ~0x1c00'0000U) | 0x1400'0000);  // a branch or system instruction
  }
  EXPECT_GT(accesses, 500'000U);
  EXPECT_GT(branches, 500'000U);
}

}  // namespace
}  // namespace vpmu::machine::arm64
