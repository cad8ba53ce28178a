// SPDX-License-Identifier: MIT
//
// DC, IC, AT and TLBI, through emulate(): what they do, what they tell, who may use them, and how
// they fault.
#include "machine/arm64/system_instructions.hpp"

#include <gtest/gtest.h>

#include "unit/arm64_system/tables.hpp"

namespace vpmu::machine::arm64 {
namespace {

using namespace test;

constexpr std::uint64_t kPage = 0x10'0000, kData = kRam + 0x20'0000, kUnmapped = kPage + 0x1000;

constexpr std::uint32_t kIcIalluis = sys(0, 7, 1, 0, 31), kIcIallu = sys(0, 7, 5, 0, 31),
                        kIcIvau = sys(3, 7, 5, 1, 1);
constexpr std::uint32_t kDcIvac = sys(0, 7, 6, 1, 1), kDcZva = sys(3, 7, 4, 1, 1);
constexpr std::uint32_t kBySetAndWay[] = {sys(0, 7, 6, 2, 1), sys(0, 7, 10, 2, 1),
                                          sys(0, 7, 14, 2, 1)};
/// CVAC, CVAU, CVAP, CIVAC
constexpr std::uint32_t kCleans[] = {sys(3, 7, 10, 1, 1), sys(3, 7, 11, 1, 1), sys(3, 7, 12, 1, 1),
                                     sys(3, 7, 14, 1, 1)};
constexpr std::uint32_t kAtS1e1r = sys(0, 7, 8, 0, 1), kAtS1e1w = sys(0, 7, 8, 1, 1),
                        kAtS1e0r = sys(0, 7, 8, 2, 1), kAtS1e0w = sys(0, 7, 8, 3, 1),
                        kAtS1e1rp = sys(0, 7, 9, 0, 1), kAtS1e1wp = sys(0, 7, 9, 1, 1);

/// X1 is the operand.
struct SystemInstructionsTest : testing::Test {
  SystemInstructionsTest() {
    s.core.sctlr |= mask_of(Sctlr::kUci, Sctlr::kDze);
    map(kData | kAccessedBit | kEl0Bit);
  }
  void map(std::uint64_t bits) const { path.map(kPage, 3, bits); }
  Emulated run(std::uint32_t word, std::uint64_t operand) {
    s.registers.counter = System::kCode;
    s.registers.general[1] = operand;
    return s.run(word);
  }
  void expect_done(std::uint32_t word, std::uint64_t operand) {
    EXPECT_EQ(run(word, operand), Emulated{}) << std::hex << word;
    EXPECT_EQ(s.registers.counter, System::kCode + 4);
  }
  /// A data abort from EL0 (0x24) or EL1 (0x25).
  void expect_abort(std::uint32_t word, std::uint64_t operand, std::uint64_t iss) {
    const bool el0 = s.core.el == ExceptionLevel::kEl0;
    EXPECT_EQ(run(word, operand), (Emulated{.retired = false, .exception = true}));
    EXPECT_EQ(s.exception_class(), el0 ? 0x24U : 0x25U) << std::hex << word;
    EXPECT_EQ(s.iss(), iss) << std::hex << word;
    EXPECT_EQ(s.core.far, operand);
    EXPECT_EQ(s.core.elr, System::kCode);
  }
  void expect_class(std::uint32_t word, std::uint64_t which) {
    s.at_el0();
    EXPECT_EQ(run(word, kPage), (Emulated{.retired = false, .exception = true}));
    EXPECT_EQ(s.exception_class(), which) << std::hex << word;
  }
  /// A page that nobody may read at EL0.
  void make_private() const { map(kData | kAccessedBit); }

  static constexpr std::uint64_t kMaintenance = 1 << 8 | 1 << 6;
  System s;
  Path path{s, k4K};
};

TEST_F(SystemInstructionsTest, CleaningDoesNothingButFault) {
  for (const std::uint32_t word : kCleans) {
    expect_done(word, kPage + 5);
    expect_abort(word, kUnmapped + 5, kMaintenance | fault_status(FaultStatus::kTranslation, 3));
  }
  for (const std::uint32_t word : kBySetAndWay) expect_done(word, kUnmapped);
  expect_done(kDcIvac, kPage);
}

TEST_F(SystemInstructionsTest, InvalidatingDataWantsTheRightToWrite) {
  map(kData | kAccessedBit | kReadOnlyBit);
  expect_abort(kDcIvac, kPage, kMaintenance | fault_status(FaultStatus::kPermission, 3));
}

TEST_F(SystemInstructionsTest, PanIsNotAskedForMaintenance) {
  s.core.pan = true;
  for (const std::uint32_t word : kCleans) expect_done(word, kPage);
  expect_done(kIcIvau, kPage);
}

TEST_F(SystemInstructionsTest, El0MaintainsWhatItMayRead) {
  for (const std::uint32_t word : kCleans) {
    s.at_el0();
    expect_done(word, kPage);
  }
  make_private();
  for (const std::uint32_t word : kCleans) {
    s.at_el0();
    expect_abort(word, kPage, kMaintenance | fault_status(FaultStatus::kPermission, 3));
  }
  s.at_el0();
  expect_abort(kIcIvau, kPage, kMaintenance | fault_status(FaultStatus::kPermission, 3));
}

TEST_F(SystemInstructionsTest, El0sMaintenanceIsTrappedUnlessAllowed) {
  s.core.sctlr &= ~mask_of(Sctlr::kUci, Sctlr::kDze);
  for (const std::uint32_t word : kCleans) expect_class(word, 0x18);
  expect_class(kIcIvau, 0x18);
  expect_class(kDcZva, 0x18);
  EXPECT_EQ(s.iss(), 1U << 20 | 1U << 17 | 3U << 14 | 7U << 10 | 1U << 5 | 4U << 1);
}

TEST_F(SystemInstructionsTest, TheRestIsUndefinedAtEl0) {
  for (const std::uint32_t word :
       {kIcIalluis, kIcIallu, kDcIvac, kBySetAndWay[0], kAtS1e0r, sys(0, 8, 7, 0, 31)}) {
    expect_class(word, 0);
  }
}

TEST_F(SystemInstructionsTest, ListenersHearWhatCodeIsNoLongerValid) {
  run(kIcIalluis, 0);
  run(kIcIallu, 0);
  run(kIcIvau, kPage + 0x7f);

  const std::vector<CodeInvalidation> wanted{
      {.all = true, .broadcast = true, .physical = 0},
      {.all = true, .broadcast = false, .physical = 0},
      {.all = false, .broadcast = true, .physical = kData + 0x40},
  };
  EXPECT_EQ(s.listener.code, wanted);
}

TEST_F(SystemInstructionsTest, AnIvauThatFaultsInvalidatesNothing) {
  expect_abort(kIcIvau, kUnmapped, kMaintenance | fault_status(FaultStatus::kTranslation, 3));
  EXPECT_TRUE(s.listener.code.empty());
}

TEST_F(SystemInstructionsTest, ZvaZeroesTheBlockThatTheAddressIsIn) {
  for (unsigned n = 0; n < 192; ++n) s.put<std::uint8_t>(kData + n, 0xff);

  EXPECT_EQ(run(kDcZva, kPage + 64 + 13), Emulated{.stored = true});

  for (unsigned n = 0; n < 192; ++n) {
    EXPECT_EQ(s.get<std::uint8_t>(kData + n), n >= 64 && n < 128 ? 0 : 0xff) << n;
  }
}

TEST_F(SystemInstructionsTest, ZvaFaultsAsAWriteAtTheAddressThatItWasGiven) {
  constexpr std::uint64_t kWrite = 1 << 6;
  expect_abort(kDcZva, kUnmapped + 13, kWrite | fault_status(FaultStatus::kTranslation, 3));
  s.core.pan = true;
  expect_abort(kDcZva, kPage + 13, kWrite | fault_status(FaultStatus::kPermission, 3));
  s.core.pan = false;
  map(kData | kAccessedBit | 1 << 2);  // Device
  expect_abort(kDcZva, kPage + 13, kWrite | fault_status(FaultStatus::kAlignment));
}

constexpr std::uint64_t kParOne = 1 << 11;

TEST_F(SystemInstructionsTest, AtGivesAddressAndAttributes) {
  map(kData | kAccessedBit | kEl0Bit | 3 << 8);

  expect_done(kAtS1e1r, kPage + 0x123);

  EXPECT_EQ(s.core.par, kData | kParOne | Path::kWriteBackAttributes << 56 | 3 << 7);
}

TEST_F(SystemInstructionsTest, WhatIsNotCachedIsOuterShareableWhateverTheLeafSays) {
  s.core.mair = 0x04'44'ff;
  for (const std::uint64_t index : {1, 2}) {
    map(kData | kAccessedBit | 3 << 8 | index << 2);
    expect_done(kAtS1e1r, kPage);
    EXPECT_EQ(s.core.par >> 7 & 3, 2U);
    EXPECT_EQ(s.core.par >> 56, index == 1 ? 0x44U : 0x04U);
  }
}

TEST_F(SystemInstructionsTest, AtSaysHowAnAccessWouldFault) {
  struct Row {
    const char* name;
    std::uint32_t word;
    std::uint64_t leaf;
    bool pan;
    bool allowed;
  };
  constexpr std::uint64_t kReadOnly = kReadOnlyBit, kUser = kEl0Bit;
  constexpr Row kRows[] = {
      {"S1E1R", kAtS1e1r, kReadOnly, false, true},
      {"S1E1W", kAtS1e1w, kReadOnly, false, false},
      {"S1E0R of EL1's", kAtS1e0r, 0, false, false},
      {"S1E0R", kAtS1e0r, kUser | kReadOnly, false, true},
      {"S1E0W", kAtS1e0w, kUser | kReadOnly, false, false},
      {"S1E1R does not ask PAN", kAtS1e1r, kUser, true, true},
      {"S1E1RP does", kAtS1e1rp, kUser, true, false},
      {"S1E1RP without PAN", kAtS1e1rp, kUser, false, true},
      {"S1E1WP", kAtS1e1wp, kUser, true, false},
      {"S1E1WP of EL1's", kAtS1e1wp, 0, true, true},
  };
  for (const Row& row : kRows) {
    map(kData | kAccessedBit | row.leaf);
    s.core.pan = row.pan;
    expect_done(row.word, kPage);
    const std::uint64_t refused =
        1 | std::uint64_t{fault_status(FaultStatus::kPermission, 3)} << 1 | kParOne;
    EXPECT_EQ(s.core.par,
              row.allowed ? kData | kParOne | Path::kWriteBackAttributes << 56 : refused)
        << row.name;
  }
  expect_done(kAtS1e1r, kUnmapped);
  EXPECT_EQ(s.core.par,
            1 | std::uint64_t{fault_status(FaultStatus::kTranslation, 3)} << 1 | kParOne);
}

TEST_F(SystemInstructionsTest, AtChangesNoTable) {
  s.core.tcr |= Tcr::kHa.kMask;
  map(kData);
  expect_done(kAtS1e1w, kPage);
  EXPECT_EQ(s.core.par & 1, 0U);
  EXPECT_EQ(s.get<std::uint64_t>(path.where(kPage, 3)), Path::leaf(3, kData));
}

TEST_F(SystemInstructionsTest, AWalkOfAtThatLeavesRamIsAnAbort) {
  s.core.ttbr0 = 0;
  s.core.par = 5;
  expect_abort(kAtS1e1r, kPage, kMaintenance | fault_status(FaultStatus::kExternalWalk, 0));
  EXPECT_EQ(s.core.par, 5U);
}

TEST_F(SystemInstructionsTest, TlbiSaysWhatAndWhere) {
  using Scope = TlbInvalidation::Scope;
  constexpr std::uint64_t kOperand = 0x1234'0fff'8000'1001;
  constexpr std::uint64_t kUpperPage = 0xffff'f800'0100'1000;
  s.core.tcr |= Tcr::kAs.kMask;
  struct Row {
    unsigned op2;
    TlbInvalidation what;
  };
  const Row rows[] = {
      {0, {.scope = Scope::kAll}},
      {1, {.scope = Scope::kPage, .asid = 0x1234, .address = kUpperPage}},
      {2, {.scope = Scope::kAsid, .asid = 0x1234}},
      {3, {.scope = Scope::kAnyAsid, .address = kUpperPage}},
      {5, {.scope = Scope::kPage, .asid = 0x1234, .address = kUpperPage}},
      {7, {.scope = Scope::kAnyAsid, .address = kUpperPage}},
  };
  for (const Row& row : rows) {
    for (const unsigned crm : {1U, 3U, 7U}) {
      s.listener.translations.clear();
      TlbInvalidation wanted = row.what;
      wanted.broadcast = crm != 7;
      expect_done(sys(0, 8, crm, row.op2, 1), kOperand);
      EXPECT_EQ(s.listener.translations, std::vector{wanted}) << row.op2 << ' ' << crm;
    }
  }
}

TEST_F(SystemInstructionsTest, AsidsHave8BitsUnlessTcrSaysMore) {
  expect_done(sys(0, 8, 7, 2, 1), 0x1234ULL << 48);
  EXPECT_EQ(s.listener.translations.at(0).asid, 0x34);
}

TEST_F(SystemInstructionsTest, WhatIsNotThereIsUndefined) {
  constexpr std::uint32_t kAbsent[] = {
      sys(0, 8, 7, 4, 1),           sys(0, 8, 7, 6, 1),   // TLBI, reserved
      sys(0, 8, 6, 1, 1),           sys(0, 8, 2, 1, 1),   // TLBI RVAE1...
      sys(4, 8, 7, 4, 31),                                // TLBI ALLE1
      sys(0, 7, 9, 2, 1),                                 // AT S1E1A
      sys(4, 7, 8, 0, 1),                                 // AT S1E2R
      sys(3, 7, 13, 1, 1),                                // DC CVADP
      sys(3, 7, 4, 3, 1),                                 // DC GVA
      sys(3, 7, 3, 4, 1),                                 // CFP RCTX
      sys(0, 11, 0, 0, 1),          sys(3, 15, 0, 0, 1),  // the implementation's own
      sys(0, 7, 8, 0, 1) | 1 << 21,                       // SYSL
  };
  for (const std::uint32_t word : kAbsent) {
    EXPECT_EQ(run(word, kPage), (Emulated{.retired = false, .exception = true}));
    EXPECT_EQ(s.exception_class(), 0U) << std::hex << word;
    EXPECT_EQ(s.iss(), 0U);
  }
  EXPECT_TRUE(s.listener.translations.empty());
}

}  // namespace
}  // namespace vpmu::machine::arm64
