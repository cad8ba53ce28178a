// SPDX-License-Identifier: MIT
//
// The unit's registers as software sees them: section by section what is RES0, read-only,
// undefined.
#include "vpmu/silicon/arm64/spe_registers.hpp"

#include <iterator>

#include <gtest/gtest.h>

#include "unit/spe_unit/spe_fixture.hpp"

namespace vpmu::silicon::arm64 {
namespace {

using SpeRegisters = SpeUnitTest;

struct Row {
  const char* name;
  SystemRegister which;
  /// Bits that are not RES0, in SPEv1, SPEv1p1 and SPEv1p2.
  std::uint64_t bits[3];
};
constexpr Row kWritable[] = {
    {"PMSCR_EL1", reg::PMSCR_EL1, {0x7b, 0x7b, 0xfb}},
    {"PMSICR_EL1",
     reg::PMSICR_EL1,
     {0xff00'0000'ffff'ffff, 0xff00'0000'ffff'ffff, 0xff00'0000'ffff'ffff}},
    {"PMSIRR_EL1", reg::PMSIRR_EL1, {0xffff'ff01, 0xffff'ff01, 0xffff'ff01}},
    {"PMSFCR_EL1", reg::PMSFCR_EL1, {0x7'0007, 0x7'0007, 0x7'000f}},
    {"PMSEVFR_EL1", reg::PMSEVFR_EL1, {0x00aa, 0x08aa, 0x08ea}},
    {"PMSLATFR_EL1", reg::PMSLATFR_EL1, {0xfff, 0xfff, 0xfff}},
    {"PMBLIMITR_EL1",
     reg::PMBLIMITR_EL1,
     {0xffff'ffff'ffff'f001, 0xffff'ffff'ffff'f001, 0xffff'ffff'ffff'f027}},
    {"PMBPTR_EL1", reg::PMBPTR_EL1, {~0ULL, ~0ULL, ~0ULL}},
    {"PMBSR_EL1",
     reg::PMBSR_EL1,
     {0x00ff'ffff'fc0f'ffff, 0x00ff'ffff'fc0f'ffff, 0x00ff'ffff'fc0f'ffff}},
};

TEST_F(SpeRegisters, AreZeroAfterReset) {
  for (const SpeModel* model : kSpeModels) {
    SpeUnit unit{*model, 1, memory_};
    for (const Row& row : kWritable) EXPECT_EQ(get(unit, row.which), 0u) << row.name;
    for (const Row& row : kWritable) put(unit, row.which, ~0ULL);
    unit.reset();
    for (const Row& row : kWritable) EXPECT_EQ(get(unit, row.which), 0u) << row.name;
  }
}

TEST_F(SpeRegisters, KeepTheBitsThatTheirVersionHas) {
  for (std::size_t version = 0; version < std::size(kSpeModels); ++version) {
    SpeUnit unit{*kSpeModels[version], 1, memory_};
    for (const Row& row : kWritable) {
      for (unsigned bit = 0; bit < 64; ++bit) {
        const std::uint64_t value = std::uint64_t{1} << bit;
        put(unit, row.which, value);
        EXPECT_EQ(get(unit, row.which), value & row.bits[version]) << row.name << ' ' << bit;
      }
      put(unit, row.which, ~0ULL);
      EXPECT_EQ(get(unit, row.which), row.bits[version]) << row.name;
      put(unit, row.which, 0);
      EXPECT_EQ(get(unit, row.which), 0u) << row.name;
    }
  }
}

TEST_F(SpeRegisters, DependOnWhatTheIdentificationSays) {
  SpeUnit plain{without_ernd(kSpeModelV1), 1, memory_};
  put(plain, reg::PMSICR_EL1, ~0ULL);
  EXPECT_EQ(get(plain, reg::PMSICR_EL1), 0xffff'ffffu) << "ECOUNT only with ERnd";
  SpeUnit wide{with_wide_counters(kSpeModelV1), 1, memory_};
  put(wide, reg::PMSLATFR_EL1, ~0ULL);
  EXPECT_EQ(get(wide, reg::PMSLATFR_EL1), 0xffffu) << "counters of 16 bits";
}

TEST_F(SpeRegisters, InvertedEventFilterIsUndefinedBelowV1p2) {
  for (const SpeModel* model : {&kSpeModelV1, &kSpeModelV1p1}) {
    SpeUnit unit{*model, 1, memory_};
    EXPECT_TRUE(unit.read(reg::PMSNEVFR_EL1).is_fault());
    EXPECT_TRUE(unit.write(reg::PMSNEVFR_EL1, 0xaa).is_fault());
    EXPECT_EQ(unit.save().pmsnevfr, 0u);
  }
  SpeUnit unit{kSpeModelV1p2, 1, memory_};
  put(unit, reg::PMSNEVFR_EL1, ~0ULL);
  EXPECT_EQ(get(unit, reg::PMSNEVFR_EL1), 0x08eau);
}

TEST_F(SpeRegisters, IdentificationIsReadOnly) {
  for (const SpeModel* model : kSpeModels) {
    SpeUnit unit{*model, 1, memory_};
    EXPECT_EQ(get(unit, reg::PMSIDR_EL1), model->pmsidr);
    EXPECT_EQ(get(unit, reg::PMBIDR_EL1), model->pmbidr);
    for (const SystemRegister which : {reg::PMSIDR_EL1, reg::PMBIDR_EL1}) {
      EXPECT_TRUE(unit.write(which, 0).is_fault());
    }
    EXPECT_EQ(get(unit, reg::PMSIDR_EL1), model->pmsidr);
  }
}

TEST_F(SpeRegisters, ProgrammingIsAllowed) {
  SpeModel model = kSpeModelV1;
  model.pmbidr |= mask_of(Pmbidr::kP);
  SpeUnit unit{model, 1, memory_};
  EXPECT_EQ(get(unit, reg::PMBIDR_EL1), 0x26u) << "EL1 owns the buffer";
}

TEST_F(SpeRegisters, Level2sIsUndefinedAtEl1AndOthersAreNotTheUnits) {
  SpeUnit unit{kSpeModelV1p2, 1, memory_};
  EXPECT_TRUE(unit.read(reg::PMSCR_EL2).is_fault());
  EXPECT_TRUE(unit.write(reg::PMSCR_EL2, 0).is_fault());
  for (const SystemRegister which :
       {system_register(3, 0, 9, 10, 2), system_register(3, 0, 9, 10, 4),
        system_register(3, 0, 9, 10, 5), system_register(3, 0, 9, 14, 1),
        system_register(3, 3, 9, 12, 0), system_register(2, 0, 9, 9, 0)}) {
    EXPECT_TRUE(unit.read(which).is_not_mine()) << raw(which);
    EXPECT_TRUE(unit.write(which, ~0ULL).is_not_mine()) << raw(which);
  }
  EXPECT_EQ(unit.save(), SpeUnit(kSpeModelV1p2, 1, memory_).save());
}

TEST_F(SpeRegisters, InterruptFollowsSWhoeverSetsIt) {
  SpeUnit unit{kSpeModelV1, 1, memory_};
  EXPECT_FALSE(unit.interrupt());
  put(unit, reg::PMBSR_EL1, 0x1006'5678);
  EXPECT_TRUE(unit.interrupt());
  EXPECT_EQ(get(unit, reg::PMBSR_EL1), 0x1006'5678u);
  put(unit, reg::PMBSR_EL1, 0x1234'5678);
  EXPECT_EQ(get(unit, reg::PMBSR_EL1), 0x1004'5678u) << "bits 25:20 are RES0";
  EXPECT_FALSE(unit.interrupt());
}

TEST_F(SpeRegisters, LargestBufferIsAFloatingPointNumber) {
  struct Size {
    std::uint64_t field, bytes;
  };
  for (const Size& size :
       {Size{0x0000, 0}, Size{0x0001, 4096}, Size{0x0020, 128 << 10}, Size{0x0100, 1 << 20},
        Size{0x01ff, 511 << 12}, Size{0x0200, 2 << 20}, Size{0x0400, 4 << 20},
        Size{0x1400, 1 << 30}, Size{0x3fff, std::uint64_t{4092} << 40}}) {
    EXPECT_EQ(Pmbidr{size.field << 32}.max_buffer_bytes(), size.bytes) << size.field;
  }
}

TEST_F(SpeRegisters, UnitsThatCannotBeAreNotValid) {
  for (const SpeModel* model : kSpeModels) EXPECT_TRUE(is_valid(*model));
  EXPECT_TRUE(is_valid(with_align(with_max_size(kSpeModelV1, 11), 11)));
  EXPECT_TRUE(is_valid(with_wide_counters(kSpeModelV1)));
  const auto with = [](auto change) {
    SpeModel model = kSpeModelV1;
    change(model);
    return model;
  };
  EXPECT_FALSE(is_valid({}));
  EXPECT_FALSE(is_valid(with([](SpeModel& model) { model.version = kSpeV1p2 + 1; })));
  EXPECT_FALSE(is_valid(with([](SpeModel& model) { model.version = kSpeV1p2; }))) << "no FnE";
  EXPECT_FALSE(is_valid(with([](SpeModel& model) { model.pmsidr |= 0x40; }))) << "FnE";
  EXPECT_FALSE(is_valid(with([](SpeModel& model) { model.pmsidr |= 1 << 20; }))) << "Format";
  EXPECT_FALSE(is_valid(with([](SpeModel& model) { model.pmsidr ^= 0x2'0000; }))) << "CountSize";
  EXPECT_FALSE(is_valid(with_max_size(kSpeModelV1, 5)));
  EXPECT_FALSE(is_valid(with_max_size(kSpeModelV1, 12)));
  EXPECT_FALSE(is_valid(with_align(kSpeModelV1, 7))) << "longer than the longest record";
}

}  // namespace
}  // namespace vpmu::silicon::arm64
