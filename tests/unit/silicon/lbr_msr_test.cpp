// SPDX-License-Identifier: MIT
//
// The registers of last branch records: which there are, and what they hold.
#include <set>

#include <gtest/gtest.h>

#include "lbr_models.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::silicon::x86 {
namespace {

constexpr std::uint64_t bit(unsigned number) {
  return std::uint64_t{1} << number;
}

std::set<std::uint32_t> expected_msrs(const LbrModel& model, unsigned depth) {
  std::set<std::uint32_t> msrs = model.architectural() ? std::set<std::uint32_t>{0x14ce, 0x14cf}
                                                       : std::set<std::uint32_t>{0x1c8, 0x1c9};
  for (unsigned n = 0; n < depth; ++n) {
    msrs.insert((model.architectural() ? 0x1500 : 0x680) + n);
    msrs.insert((model.architectural() ? 0x1600 : 0x6c0) + n);
    if (model.architectural() || model.format == LbrFormat::kInfo)
      msrs.insert((model.architectural() ? 0x1200 : 0xdc0) + n);
  }
  return msrs;
}

void expect_msrs(LbrStack& stack, const std::set<std::uint32_t>& expected) {
  for (std::uint32_t msr = 0; msr < 0x2000; ++msr) {
    EXPECT_EQ(stack.read(MsrIndex{msr}).has_value(), expected.contains(msr)) << std::hex << msr;
    const bool is_depth = msr == 0x14cf;  // which takes no 0
    EXPECT_EQ(stack.write(MsrIndex{msr}, 0), expected.contains(msr) && !is_depth)
        << std::hex << msr;
  }
  for (const std::uint32_t msr : {0xc0000680u, 0xc00001c8u, 0xffffffffu}) {
    EXPECT_FALSE(stack.read(MsrIndex{msr}).has_value()) << std::hex << msr;
    EXPECT_FALSE(stack.write(MsrIndex{msr}, 0)) << std::hex << msr;
  }
}

TEST(LbrMsr, RegistersAreThoseOfTheFormatAndNoOthers) {
  for (const LbrModel* model : kAllLbrModels) {
    LbrStack stack{*model};
    const auto expected = expected_msrs(*model, model->depth);
    expect_msrs(stack, expected);
    for (std::uint32_t msr = 0; msr < 0x2000; ++msr)
      EXPECT_EQ(LbrStack::has(*model, MsrIndex{msr}), expected.contains(msr)) << std::hex << msr;
  }
}

TEST(LbrMsr, ArchitecturalRecordsBeyondTheDepthFault) {
  LbrStack stack{kArchitectural};
  for (const unsigned depth : {8u, 16u, 32u}) {
    ASSERT_TRUE(stack.write(msr::IA32_LBR_DEPTH, depth));
    EXPECT_EQ(stack.depth(), depth);
    expect_msrs(stack, expected_msrs(kArchitectural, depth));
  }
  stack.write(msr::IA32_LBR_DEPTH, 8);
  EXPECT_TRUE(LbrStack::has(kArchitectural, MsrIndex{0x1500 + 31})) << "at another depth";
}

TEST(LbrMsr, ACpuWithoutRecordsHasNoRegisters) {
  for (std::uint32_t msr = 0; msr < 0x2000; ++msr)
    EXPECT_FALSE(LbrStack::has(LbrModel{}, MsrIndex{msr})) << std::hex << msr;
}

// ---- Filter, TOS, depth -------------------------------------------------------------------------

void expect_filter_bits(const LbrModel& model, MsrIndex msr, std::uint64_t valid) {
  LbrStack stack{model};
  for (unsigned number = 0; number < 64; ++number) {
    const std::uint64_t before = valid & 0x5;
    ASSERT_TRUE(stack.write(msr, before));
    const std::uint32_t accepted = stack.accepted();
    const bool writable = (valid & bit(number)) != 0;
    EXPECT_EQ(stack.write(msr, bit(number)), writable) << number;
    EXPECT_EQ(stack.read(msr), writable ? bit(number) : before) << number;
    if (!writable) {
      EXPECT_EQ(stack.accepted(), accepted) << number;
    }
  }
  EXPECT_TRUE(stack.write(msr, valid));
  EXPECT_EQ(stack.read(msr), valid);
}

TEST(LbrMsr, ReservedBitsOfFiltersFault) {
  for (const LbrModel* model : kLegacyModels)
    expect_filter_bits(*model, msr::MSR_LBR_SELECT, model == &kFormat3 ? 0x1ff : 0x3ff);
  for (const LbrModel* model : kArchitecturalModels)
    expect_filter_bits(*model, msr::IA32_LBR_CTL, 0x7f'000f);
  LbrModel without_call_stack = kArchitectural;
  without_call_stack.call_stack = false;
  expect_filter_bits(without_call_stack, msr::IA32_LBR_CTL, 0x7f'0007);
}

TEST(LbrMsr, TosTakesItsBitsAndDropsTheOthers) {
  for (const LbrModel* model : kLegacyModels) {
    LbrStack stack{*model};
    for (unsigned number = 0; number < 64; ++number) {
      EXPECT_TRUE(stack.write(msr::MSR_LASTBRANCH_TOS, bit(number)));
      EXPECT_EQ(stack.read(msr::MSR_LASTBRANCH_TOS), bit(number) & (model->depth - 1u)) << number;
    }
    stack.write(msr::MSR_LASTBRANCH_TOS, 5);
    stack.record({.from = 0x1000, .to = 0x2000});
    EXPECT_EQ(stack.read(nth(model->from, 6)), 0x1000u);
  }
}

TEST(LbrMsr, DepthTakesWhatCpuidEnumeratesOnly) {
  struct Case {
    std::uint8_t most, depths;
    std::set<std::uint64_t> accepted;
  };
  for (const Case& one : {Case{32, 0b1011, {8, 16, 32}}, Case{32, 0b1000, {32}},
                          Case{16, 0b0011, {8, 16}}, Case{8, 0b0001, {8}}}) {
    LbrModel model = kArchitectural;
    model.depth = one.most;
    model.depths = one.depths;
    LbrStack stack{model};
    EXPECT_EQ(stack.read(msr::IA32_LBR_DEPTH), one.most);
    for (std::uint64_t depth = 0; depth < 600; ++depth) {
      const auto before = stack.read(msr::IA32_LBR_DEPTH);
      const bool accepted = one.accepted.contains(depth);
      EXPECT_EQ(stack.write(msr::IA32_LBR_DEPTH, depth), accepted) << depth;
      EXPECT_EQ(stack.read(msr::IA32_LBR_DEPTH), accepted ? depth : before) << depth;
    }
    for (unsigned number = 6; number < 64; ++number)
      EXPECT_FALSE(stack.write(msr::IA32_LBR_DEPTH, bit(number) | one.most)) << number;
  }
}

TEST(LbrMsr, WritingTheDepthClearsAllRecordsAndKeepsTheFilter) {
  for (const unsigned depth : {8u, 16u, 32u}) {
    LbrStack stack{kArchitecturalTsx};
    accept_all(stack);
    for (std::uint64_t n = 1; n <= 40; ++n)
      stack.record({.from = n, .to = n, .cycle = n, .mispredicted = true});
    const LbrState before = stack.save();
    EXPECT_FALSE(stack.write(msr::IA32_LBR_DEPTH, 24));
    EXPECT_EQ(stack.save(), before) << "a fault changes nothing";
    ASSERT_TRUE(stack.write(msr::IA32_LBR_DEPTH, depth));
    EXPECT_EQ(
        stack.save(),
        (LbrState{.select = kCaptureAll, .depth = static_cast<std::uint8_t>(depth), .cycle = 40}));
    stack.write(msr::IA32_LBR_DEPTH, 32);
    EXPECT_EQ(stack.save().records, LbrState{}.records) << "nothing hides beyond the depth";
  }
}

TEST(LbrMsr, ALesserDepthIsARingOfItsOwn) {
  LbrStack stack{kArchitectural};
  accept_all(stack);
  stack.write(msr::IA32_LBR_DEPTH, 8);
  for (std::uint64_t n = 1; n <= 20; ++n) stack.record({.from = n, .to = n});
  for (unsigned index = 0; index < 8; ++index)
    EXPECT_EQ(stack.read(MsrIndex{0x1500 + index}), 20u - index);
}

// ---- Records ------------------------------------------------------------------------------------

/// Bits of FROM that can be set alone: the address below its sign, and flags.
std::uint64_t bits_of_from(const LbrModel& model) {
  constexpr std::uint64_t kPositive = bit(47) - 1;
  if (model.format == LbrFormat::kEipFlags) return kPositive | bit(63);
  if (model.format != LbrFormat::kEipFlags2) return kPositive;
  return kPositive | (model.tsx ? 7 * bit(61) : bit(63));
}

TEST(LbrMsr, AddressesMustBeCanonicalInTheBitsThatHoldThem) {
  for (const LbrModel* model : kAllLbrModels) {
    LbrStack stack{*model};
    const MsrIndex from = nth(model->from, 3), to = nth(model->to, 3);
    for (unsigned number = 0; number < 64; ++number) {
      ASSERT_TRUE(stack.write(from, 0x10) && stack.write(to, 0x20));
      const std::uint64_t alone = bit(number), all_but = ~bit(number);
      const bool in_from = (bits_of_from(*model) & alone) != 0, in_to = number < 47;
      EXPECT_EQ(stack.write(from, alone), in_from) << number;
      EXPECT_EQ(stack.read(from), in_from ? alone : 0x10) << number;
      EXPECT_EQ(stack.write(to, alone), in_to) << number;
      EXPECT_EQ(stack.read(to), in_to ? alone : 0x20) << number;
      EXPECT_EQ(stack.write(from, all_but), in_from) << number;
      EXPECT_EQ(stack.write(to, all_but), in_to) << number;
    }
    EXPECT_TRUE(stack.write(from, ~0ull) && stack.write(to, ~0ull));
  }
}

TEST(LbrMsr, InfoKeepsTheBitsThatHaveAMeaning) {
  struct Case {
    const LbrModel& model;
    std::uint64_t bits;
  };
  for (const Case& one :
       {Case{kFormat5, 0x8000'0000'0000'ffff}, Case{kFormat5Tsx, 0xe000'0000'0000'ffff},
        Case{kArchitectural, 0x9f00'0000'0000'ffff},
        Case{kArchitecturalTsx, 0xff00'0000'0000'ffff}}) {
    LbrStack stack{one.model};
    for (unsigned number = 0; number < 64; ++number) {
      EXPECT_TRUE(stack.write(nth(one.model.info, 2), bit(number)));
      EXPECT_EQ(stack.read(nth(one.model.info, 2)), bit(number) & one.bits) << number;
    }
  }
}

TEST(LbrMsr, EveryRecordHoldsItsOwn) {
  for (const LbrModel* model : kAllLbrModels) {
    LbrStack stack{*model};
    // Somewhere within the ring.
    accept_all(stack);
    for (unsigned n = 0; n < 5; ++n) stack.record({.from = 1, .to = 1});
    for (unsigned n = 0; n < model->depth; ++n) {
      EXPECT_TRUE(stack.write(nth(model->from, n), 0x1000 + n));
      EXPECT_TRUE(stack.write(nth(model->to, n), 0x2000 + n));
      if (model->has_info()) {
        EXPECT_TRUE(stack.write(nth(model->info, n), 0x3000 + n));
      }
    }
    for (unsigned n = 0; n < model->depth; ++n) {
      EXPECT_EQ(stack.read(nth(model->from, n)), 0x1000u + n);
      EXPECT_EQ(stack.read(nth(model->to, n)), 0x2000u + n);
      if (model->has_info()) {
        EXPECT_EQ(stack.read(nth(model->info, n)), 0x3000u + n);
      }
    }
  }
}

// ---- Format 4 without TSX: what is captured cannot be written back ------------------------------

TEST(LbrMsr, CapturedKernelAddressesOfFormat4WithoutTsxMustBeExtendedToBeWritten) {
  constexpr std::uint64_t kAddress = 0xffff'ffff'8100'0000, kCaptured = 0x1fff'ffff'8100'0000;
  LbrStack stack{kFormat4};
  const MsrIndex from = nth(kFormat4.from, 1);
  stack.record({.from = kAddress, .to = kAddress});
  EXPECT_EQ(stack.read(from), kCaptured);
  EXPECT_FALSE(stack.write(from, kCaptured));
  for (const std::uint64_t flag : {std::uint64_t{0}, bit(63)}) {
    // Bits 60:59 copied to 62:61.
    const std::uint64_t extended = kCaptured | bit(62) | bit(61) | flag;
    EXPECT_TRUE(stack.write(from, extended));
    EXPECT_EQ(stack.read(from), extended);
    EXPECT_EQ(LbrStack::decode(kFormat4, stack.newest(0)).from, kAddress);
    EXPECT_EQ(LbrStack::decode(kFormat4, stack.newest(0)).mispredicted, flag != 0);
    EXPECT_FALSE(LbrStack::decode(kFormat4, stack.newest(0)).in_transaction);
  }
  // With TSX, nothing is special.
  LbrStack with_tsx{kFormat4Tsx};
  EXPECT_TRUE(with_tsx.write(from, kCaptured));
}

// ---- What guests do at boot ---------------------------------------------------------------------

/// Linux perf on a hypervisor: reads, writes with some bits flipped, reads back, restores. On
/// format 4 without TSX it copies bits 60:59 of FROM to 62:61 before it writes.
bool linux_can_use(LbrStack& stack, MsrIndex msr, std::uint64_t flipped) {
  const LbrModel& model = stack.model();
  const bool extends = model.format == LbrFormat::kEipFlags2 && !model.tsx &&
                       raw(msr) - raw(model.from) < model.depth;
  const auto writable = [&](std::uint64_t value) {
    return extends ? (value & ~(3 * bit(61))) | (value & 3 * bit(59)) << 2 : value;
  };
  const auto before = stack.read(msr);
  if (!before) return false;
  const std::uint64_t other = writable(*before ^ flipped);
  if (!stack.write(msr, other) || stack.read(msr) != other) return false;
  return stack.write(msr, writable(*before)) && stack.read(msr) == writable(*before);
}

TEST(LbrMsr, LinuxFindsTheRecordsOfEveryCpuModelUsable) {
  for (const CpuModel* cpu : cpu_models()) {
    const LbrModel& model = cpu->lbr;
    if (!model.exists()) continue;
    LbrStack stack{model};
    accept_all(stack);
    const auto probe = [&] {
      if (!model.architectural()) {
        EXPECT_TRUE(linux_can_use(stack, msr::MSR_LASTBRANCH_TOS, 0x3));
      }
      for (unsigned n = 0; n < model.depth; ++n) {
        EXPECT_TRUE(linux_can_use(stack, nth(model.from, n), 0xffff)) << cpu->name << " " << n;
        EXPECT_TRUE(linux_can_use(stack, nth(model.to, n), 0xffff)) << cpu->name << " " << n;
      }
    };
    probe();
    const bool was_read =
        stack.save() == LbrState{.select = stack.save().select, .depth = model.depth};
    EXPECT_TRUE(was_read) << cpu->name << ": the probe leaves no trace";
    for (unsigned n = 0; n < 40; ++n)
      stack.record(
          {.from = 0xffff'8000'0000'1000 + n, .to = 0x7fff'ffff'f000, .mispredicted = true});
    probe();
  }
}

/// kvm-unit-tests: which bases there are, and how many records.
TEST(LbrMsr, KvmUnitTestsFindTheRecordsOfEveryLegacyCpuModel) {
  for (const CpuModel* cpu : cpu_models()) {
    const LbrModel& model = cpu->lbr;
    if (!model.exists() || model.architectural()) continue;
    LbrStack stack{model};
    EXPECT_FALSE(stack.write(MsrIndex{0x40}, 0)) << "the Core family's";
    EXPECT_FALSE(stack.write(MsrIndex{0x60}, 0));
    EXPECT_TRUE(stack.write(MsrIndex{0x680}, 0));
    EXPECT_TRUE(stack.write(MsrIndex{0x6c0}, 0));
    EXPECT_TRUE(stack.write(MsrIndex{0x1c8}, 0));
    EXPECT_TRUE(stack.write(MsrIndex{0x1c9}, 0));
    unsigned depth = 0;
    while (depth < 40 && stack.write(MsrIndex{0x680 + depth}, 0) &&
           stack.write(MsrIndex{0x6c0 + depth}, 0)) {
      ++depth;
    }
    EXPECT_EQ(depth, model.depth) << cpu->name;
    // A loop with a call, a condition and a return.
    for (unsigned n = 0; n < 100; ++n) {
      for (const BranchType type :
           {BranchType::kDirectCall, BranchType::kConditional, BranchType::kReturn})
        stack.record({.from = 0x1000, .to = 0x2000, .next = 0x1005, .type = type});
    }
    for (unsigned n = 0; n < depth; ++n) {
      EXPECT_NE(stack.read(MsrIndex{0x680 + n}), 0u) << n;
      EXPECT_NE(stack.read(MsrIndex{0x6c0 + n}), 0u) << n;
    }
  }
}

}  // namespace
}  // namespace vpmu::silicon::x86
