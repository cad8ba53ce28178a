// SPDX-License-Identifier: MIT
//
// Stage 1 walks against the rules of the Arm ARM, chapter D5, in every granule.
#include "machine/arm64/mmu.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "unit/arm64_system/tables.hpp"

namespace vpmu::machine::arm64 {
namespace {

using namespace test;

constexpr auto kEl0 = ExceptionLevel::kEl0;
constexpr auto kEl1 = ExceptionLevel::kEl1;

/// What a leaf needs so that EL1 may read and write.
constexpr std::uint64_t kPlain = kAccessedBit;

/// A way to map: granule and level of the leaf.
struct Way {
  const char* name;
  Granule granule;
  unsigned level;

  [[nodiscard]] unsigned shift() const { return granule.shift(level); }
};
constexpr Way kWays[] = {
    {"4 KiB", k4K, 3},
    {"4 KiB, 2 MiB", k4K, 2},
    {"4 KiB, 1 GiB", k4K, 1},
    {"16 KiB", k16K, 3},
    {"16 KiB, 32 MiB", k16K, 2},
    {"64 KiB", k64K, 3},
    {"64 KiB, 512 MiB", k64K, 2},
};

constexpr std::uint64_t kLower = 0x0000'1234'5678'9abc;

std::uint64_t low_bits(unsigned count) {
  return (std::uint64_t{1} << count) - 1;
}

/// A frame that is no RAM: data may be mapped to devices.
std::uint64_t frame(const Way& way) {
  return 0x0000'6789'abcd'e000 & ~low_bits(way.shift());
}

struct MmuTest : testing::Test {
  System s;

  [[nodiscard]] Fault fault_of(std::uint64_t address, MemoryUse use = MemoryUse::kRead,
                               ExceptionLevel rights = kEl1) const {
    const auto found = s.mmu.translate(address, use, rights);
    EXPECT_FALSE(found) << std::hex << address;
    return found ? Fault{} : found.error();
  }
  [[nodiscard]] int status_of(std::uint64_t address, MemoryUse use = MemoryUse::kRead,
                              ExceptionLevel rights = kEl1) const {
    return fault_of(address, use, rights).status;
  }
};

TEST_F(MmuTest, EveryKindOfLeafTranslatesInBothHalves) {
  for (const Way& way : kWays) {
    for (const std::uint64_t half : {std::uint64_t{0}, Path::kUpper}) {
      const Path path{s, way.granule};
      path.map(kLower, way.level, frame(way) | kPlain);

      const auto found = s.mmu.translate(half | kLower, MemoryUse::kRead, kEl1);

      ASSERT_TRUE(found) << way.name;
      EXPECT_EQ(found->physical, frame(way) | (kLower & low_bits(way.shift()))) << way.name;
      EXPECT_EQ(found->size_bits, way.shift()) << way.name;
      EXPECT_EQ(found->type, MemoryType::kNormal);
    }
  }
}

TEST_F(MmuTest, TheHalvesHaveTablesOfTheirOwn) {
  const Path path{s, k4K};
  path.map(kLower, 3, 0x5000'0000 | kPlain);
  s.core.ttbr1 = Path::kTables + 0xf0000;  // empty

  EXPECT_TRUE(s.mmu.translate(kLower, MemoryUse::kRead, kEl1));
  EXPECT_EQ(status_of(Path::kUpper | kLower), fault_status(FaultStatus::kTranslation, 0));
}

TEST_F(MmuTest, AnySizeFrom16To39ReachesItsLastByteAndNoFarther) {
  for (const Granule& granule : {k4K, k16K, k64K}) {
    for (unsigned size = 16; size <= 39; ++size) {
      const std::string name = std::to_string(granule.bits) + ", " + std::to_string(size);
      const std::uint64_t last = low_bits(64 - size), lowest_upper = ~last;
      const Path path{s, granule, size};
      path.map(last, 3, 0x5000'0000 | kPlain);

      EXPECT_TRUE(s.mmu.translate(last, MemoryUse::kRead, kEl1)) << name;
      EXPECT_EQ(status_of(last + 1), fault_status(FaultStatus::kTranslation, 0)) << name;
      path.map(lowest_upper, 3, 0x5000'0000 | kPlain);
      EXPECT_TRUE(s.mmu.translate(lowest_upper, MemoryUse::kRead, kEl1)) << name;
      EXPECT_EQ(status_of(lowest_upper - 1), fault_status(FaultStatus::kTranslation, 0)) << name;
    }
  }
}

TEST_F(MmuTest, SizesThatAreNotAllowedTranslateNothing) {
  for (const unsigned size : {0U, 15U, 40U, 63U}) {
    const Path path{s, k4K};
    path.map(0, 3, 0x5000'0000 | kPlain);
    Tcr tcr = s.core.translation_control();
    tcr.set(Tcr::kT0sz, size);
    s.core.tcr = tcr.raw;

    EXPECT_EQ(status_of(0), fault_status(FaultStatus::kTranslation, 0)) << size;
  }
}

TEST_F(MmuTest, AnInvalidDescriptorFaultsAtItsLevel) {
  for (const Way& way : kWays) {
    const Path path{s, way.granule};
    for (unsigned level = path.first_level(); level <= way.level; ++level) {
      path.map(kLower, way.level, frame(way) | kPlain);
      s.put(path.where(kLower, level), std::uint64_t{0});

      const Fault fault = fault_of(kLower, MemoryUse::kWrite);

      EXPECT_EQ(fault, (Fault{kLower, MemoryUse::kWrite, false,
                              fault_status(FaultStatus::kTranslation, level)}))
          << way.name << level;
    }
  }
}

TEST_F(MmuTest, BlocksAreNotAllowedAtEveryLevel) {
  for (const Granule& granule : {k4K, k16K, k64K}) {
    const Path path{s, granule};
    for (unsigned level = path.first_level(); level < granule.first_block_level; ++level) {
      path.map(kLower, level, kPlain);
      EXPECT_EQ(status_of(kLower), fault_status(FaultStatus::kTranslation, level));
    }
    // At level 3 bit 1 is set in pages, and what has it clear is no block.
    path.map(kLower, 3, kPlain);
    s.put(path.where(kLower, 3), kPlain | kValidBit);
    EXPECT_EQ(status_of(kLower), fault_status(FaultStatus::kTranslation, 3));
  }
}

TEST_F(MmuTest, WalksThatLeaveRamAreExternalAborts) {
  for (const Granule& granule : {k4K, k16K, k64K}) {
    const Path path{s, granule};
    for (unsigned level = path.first_level(); level < 3; ++level) {
      path.map(kLower, 3, kPlain);
      s.put(path.where(kLower, level), kValidBit | kTableBit | 0x1'0000);

      EXPECT_EQ(status_of(kLower), fault_status(FaultStatus::kExternalWalk, level + 1));
    }
    s.core.ttbr0 = 0x1'0000;
    EXPECT_EQ(status_of(kLower), fault_status(FaultStatus::kExternalWalk, path.first_level()));
  }
}

TEST_F(MmuTest, AddressesBeyondTheIntermediateSizeFaultWhereTheyAreNamed) {
  constexpr std::array<unsigned, 8> kBits{32, 36, 40, 42, 44, 48, 48, 48};
  for (unsigned ips = 0; ips < kBits.size(); ++ips) {
    const Path path{s, k4K};
    Tcr tcr = s.core.translation_control();
    tcr.set(Tcr::kIps, ips);
    s.core.tcr = tcr.raw;
    const std::uint64_t last_page = low_bits(kBits[ips]) & ~low_bits(12);
    path.map(kLower, 3, last_page | kPlain);
    EXPECT_TRUE(s.mmu.translate(kLower, MemoryUse::kRead, kEl1)) << ips;
    if (kBits[ips] == kPhysicalBits) continue;

    const std::uint64_t beyond = std::uint64_t{1} << kBits[ips];
    path.map(kLower, 3, beyond | kPlain);
    EXPECT_EQ(status_of(kLower), fault_status(FaultStatus::kAddressSize, 3)) << ips;
    for (unsigned level = 0; level < 3; ++level) {
      path.map(kLower, 3, last_page | kPlain);
      s.put(path.where(kLower, level), beyond | kValidBit | kTableBit);
      EXPECT_EQ(status_of(kLower), fault_status(FaultStatus::kAddressSize, level)) << ips;
    }
    s.core.ttbr0 = beyond;
    EXPECT_EQ(status_of(kLower), fault_status(FaultStatus::kAddressSize, 0)) << ips;
  }
}

/// Expected by AP[2:1] (D5-29): what EL1 and EL0 may do.
struct Rights {
  bool el1_write, el0_read, el0_write;
};
constexpr std::array<Rights, 4> kRights{{
    {true, false, false},
    {true, true, true},
    {false, false, false},
    {false, true, false},
}};

struct Case {
  std::uint64_t ap, uxn, pxn, wxn, pan;
};

bool expected(const Case& c, MemoryUse use, ExceptionLevel rights) {
  const Rights& may = kRights[c.ap];
  const bool el0 = rights == kEl0;
  switch (use) {
    case MemoryUse::kRead: return el0 ? may.el0_read : !(c.pan && may.el0_read);
    case MemoryUse::kWrite: return el0 ? may.el0_write : may.el1_write && !(c.pan && may.el0_read);
    case MemoryUse::kFetch:
      // What EL0 may write, EL1 never executes.
      if (el0) return !c.uxn && !(c.wxn && may.el0_write);
      return !c.pxn && !may.el0_write && !(c.wxn && may.el1_write);
  }
  return false;
}

TEST_F(MmuTest, PermissionsAreThoseOfTheManualForEveryCombination) {
  const Path path{s, k4K};
  for (unsigned n = 0; n < 64; ++n) {
    const Case c{n & 3, n >> 2 & 1, n >> 3 & 1, n >> 4 & 1, n >> 5 & 1};
    path.map(kLower, 3, kRam | kPlain | c.ap << 6 | c.pxn << 53 | c.uxn << 54);
    s.core.sctlr = (s.core.sctlr & ~Sctlr::kWxn.kMask) | c.wxn << Sctlr::kWxn.kLow;
    s.core.pan = c.pan != 0;
    for (const MemoryUse use : {MemoryUse::kRead, MemoryUse::kWrite, MemoryUse::kFetch}) {
      for (const ExceptionLevel rights : {kEl0, kEl1}) {
        const auto found = s.mmu.translate(kLower, use, rights);

        EXPECT_EQ(found.has_value(), expected(c, use, rights)) << n;
        if (!found) {
          EXPECT_EQ(found.error().status, fault_status(FaultStatus::kPermission, 3)) << n;
        }
      }
    }
  }
}

TEST_F(MmuTest, ATranslationSaysWhatElseMayBeDoneThere) {
  const Path path{s, k4K};
  path.map(kLower, 3, kRam | kPlain | kEl0Bit | kReadOnlyBit | kPxnBit | kNotGlobalBit | 3 << 8);

  const auto found = s.mmu.translate(kLower, MemoryUse::kRead, kEl0);

  ASSERT_TRUE(found);
  const Translation wanted{.physical = kRam | (kLower & 0xfff),
                           .size_bits = 12,
                           .attributes = Path::kWriteBackAttributes,
                           .shareability = 3,
                           .type = MemoryType::kNormal,
                           .global = false,
                           .el0_read = true,
                           .el0_write = false,
                           .el0_execute = true,
                           .el1_read = true,
                           .el1_write = false,
                           .el1_execute = false};
  EXPECT_EQ(*found, wanted);
}

struct Imposed {
  const char* name;
  std::uint64_t table_bits;
  MemoryUse use;
  ExceptionLevel rights;
};
constexpr Imposed kImposed[] = {
    {"APTable[0]", kNoEl0TableBit, MemoryUse::kRead, kEl0},
    {"APTable[1] for EL0", kReadOnlyTableBit, MemoryUse::kWrite, kEl0},
    {"APTable[1] for EL1", kReadOnlyTableBit, MemoryUse::kWrite, kEl1},
    {"UXNTable", kUxnTableBit, MemoryUse::kFetch, kEl0},
};

TEST_F(MmuTest, TablesTakeRightsAwayUnlessTheHalfIsFlat) {
  for (const Imposed& imposed : kImposed) {
    const Path path{s, k4K};
    path.map(kLower, 3, kRam | kPlain | kEl0Bit, imposed.table_bits);
    EXPECT_EQ(status_of(kLower, imposed.use, imposed.rights),
              fault_status(FaultStatus::kPermission, 3))
        << imposed.name;
    s.core.tcr |= Tcr::kHpd0.kMask;
    EXPECT_TRUE(s.mmu.translate(kLower, imposed.use, imposed.rights)) << imposed.name;
    EXPECT_FALSE(s.mmu.translate(Path::kUpper | kLower, imposed.use, imposed.rights));
  }
}

TEST_F(MmuTest, TablesTakeExecutionFromEl1) {
  const Path path{s, k4K};
  path.map(kLower, 3, kRam | kPlain, kPxnTableBit);

  EXPECT_EQ(status_of(kLower, MemoryUse::kFetch), fault_status(FaultStatus::kPermission, 3));
  s.core.tcr |= Tcr::kHpd0.kMask;
  EXPECT_TRUE(s.mmu.translate(kLower, MemoryUse::kFetch, kEl1));
}

TEST_F(MmuTest, PagesThatWereNotAccessedFaultOrAreMarked) {
  for (const Way& way : kWays) {
    const Path path{s, way.granule};
    path.map(kLower, way.level, frame(way));
    EXPECT_EQ(status_of(kLower), fault_status(FaultStatus::kAccessFlag, way.level)) << way.name;

    s.core.tcr |= Tcr::kHa.kMask;
    EXPECT_TRUE(s.mmu.translate(kLower, MemoryUse::kRead, kEl1)) << way.name;
    EXPECT_EQ(s.get<std::uint64_t>(path.where(kLower, way.level)),
              Path::leaf(way.level, frame(way) | kAccessedBit));
  }
}

TEST_F(MmuTest, AnAccessThatIsNotAllowedMarksNothing) {
  const Path path{s, k4K};
  s.core.tcr |= Tcr::kHa.kMask;
  path.map(kLower, 3, kRam);

  EXPECT_EQ(status_of(kLower, MemoryUse::kRead, kEl0), fault_status(FaultStatus::kPermission, 3));
  EXPECT_EQ(s.get<std::uint64_t>(path.where(kLower, 3)), Path::leaf(3, kRam));
}

TEST_F(MmuTest, TheFirstWriteToACleanPageIsNoted) {
  const Path path{s, k4K};
  s.core.tcr |= Tcr::kHa.kMask | Tcr::kHd.kMask;
  const std::uint64_t clean = kRam | kPlain | kEl0Bit | kReadOnlyBit | kDirtyModifierBit;
  path.map(kLower, 3, clean);

  const auto read = s.mmu.translate(kLower, MemoryUse::kRead, kEl0);
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->el0_write || read->el1_write) << "a write must be seen";
  EXPECT_EQ(s.get<std::uint64_t>(path.where(kLower, 3)), Path::leaf(3, clean));

  const auto write = s.mmu.translate(kLower, MemoryUse::kWrite, kEl0);
  ASSERT_TRUE(write);
  EXPECT_TRUE(write->el0_write && write->el1_write);
  EXPECT_EQ(s.get<std::uint64_t>(path.where(kLower, 3)), Path::leaf(3, clean & ~kReadOnlyBit));
}

TEST_F(MmuTest, DirtyStateIsSoftwaresUnlessBothAreEnabled) {
  const Path path{s, k4K};
  for (const std::uint64_t enabled : {std::uint64_t{0}, Tcr::kHa.kMask, Tcr::kHd.kMask}) {
    s.core.tcr = (s.core.tcr & ~mask_of(Tcr::kHa, Tcr::kHd)) | enabled;
    path.map(kLower, 3, kRam | kPlain | kReadOnlyBit | kDirtyModifierBit);
    EXPECT_EQ(status_of(kLower, MemoryUse::kWrite), fault_status(FaultStatus::kPermission, 3));
  }
}

TEST_F(MmuTest, DirtyStateGivesNoRightThatATableTakes) {
  const Path path{s, k4K};
  s.core.tcr |= Tcr::kHa.kMask | Tcr::kHd.kMask;
  path.map(kLower, 3, kRam | kPlain | kReadOnlyBit | kDirtyModifierBit, kReadOnlyTableBit);

  EXPECT_EQ(status_of(kLower, MemoryUse::kWrite), fault_status(FaultStatus::kPermission, 3));
}

TEST_F(MmuTest, LooksFromOutsideChangeNothing) {
  const Path path{s, k4K};
  s.core.tcr |= Tcr::kHa.kMask | Tcr::kHd.kMask;
  const std::uint64_t fresh = kRam | kReadOnlyBit | kDirtyModifierBit;
  path.map(kLower, 3, fresh);

  EXPECT_TRUE(s.mmu.probe(kLower, MemoryUse::kWrite, kEl1, false));
  EXPECT_EQ(s.mmu.look_up(kLower), kRam | (kLower & 0xfff));
  EXPECT_EQ(s.get<std::uint64_t>(path.where(kLower, 3)), Path::leaf(3, fresh));
}

TEST_F(MmuTest, AProbeAsksWithTheGivenPan) {
  const Path path{s, k4K};
  path.map(kLower, 3, kRam | kPlain | kEl0Bit);
  s.core.pan = true;

  EXPECT_TRUE(s.mmu.probe(kLower, MemoryUse::kRead, kEl1, false));
  EXPECT_FALSE(s.mmu.probe(kLower, MemoryUse::kRead, kEl1, true));
}

TEST_F(MmuTest, ALookUpAsksForNoRights) {
  const Path path{s, k4K};
  path.map(kLower, 3, kRam | kReadOnlyBit);  // not even accessed

  EXPECT_EQ(s.mmu.look_up(kLower), kRam | (kLower & 0xfff));
  EXPECT_EQ(s.mmu.look_up(kLower + 0x1000), std::nullopt);
  s.core.sctlr &= ~Sctlr::kM.kMask;
  EXPECT_EQ(s.mmu.look_up(kLower), kLower);
  EXPECT_EQ(s.mmu.look_up(Path::kUpper), std::nullopt);
}

TEST_F(MmuTest, AttributesComeFromTheByteOfMairThatTheLeafNames) {
  const Path path{s, k4K};
  s.core.mair = 0x0c'08'04'00'bb'f0'44'ff;
  for (unsigned index = 0; index < 8; ++index) {
    path.map(kLower, 3, kRam | kPlain | std::uint64_t{index} << 2);

    const auto found = s.mmu.translate(kLower, MemoryUse::kRead, kEl1);

    ASSERT_TRUE(found);
    EXPECT_EQ(found->attributes, s.core.mair >> 8 * index & 0xff);
    EXPECT_EQ(found->type, index < 4 ? MemoryType::kNormal : MemoryType::kDevice) << index;
  }
}

TEST_F(MmuTest, TagsAreIgnoredWhereTcrSaysSo) {
  const Path path{s, k4K};
  path.map(kLower, 3, kRam | kPlain);
  const std::uint64_t lower = 0x5a00'0000'0000'0000 | kLower;
  const std::uint64_t upper = 0x5aff'0000'0000'0000 | kLower;
  EXPECT_EQ(status_of(lower), fault_status(FaultStatus::kTranslation, 0));
  EXPECT_EQ(status_of(upper), fault_status(FaultStatus::kTranslation, 0));

  s.core.tcr |= Tcr::kTbi0.kMask;
  EXPECT_TRUE(s.mmu.translate(lower, MemoryUse::kRead, kEl1));
  EXPECT_FALSE(s.mmu.translate(upper, MemoryUse::kRead, kEl1));
  s.core.tcr |= Tcr::kTbi1.kMask;
  EXPECT_TRUE(s.mmu.translate(upper, MemoryUse::kRead, kEl1));
}

TEST_F(MmuTest, AHalfCanBeSwitchedOff) {
  const Path path{s, k4K};
  path.map(kLower, 3, kRam | kPlain | kEl0Bit);
  struct Row {
    std::uint64_t bit;
    bool lower_el0, lower_el1, upper_el0, upper_el1;
  };
  const Row rows[] = {
      {Tcr::kEpd0.kMask, false, false, true, true},
      {Tcr::kEpd1.kMask, true, true, false, false},
      {Tcr::kE0pd0.kMask, false, true, true, true},
      {Tcr::kE0pd1.kMask, true, true, false, true},
  };
  const std::uint64_t tcr = s.core.tcr;
  const auto reaches = [this](std::uint64_t half, ExceptionLevel rights) {
    return s.mmu.translate(half | kLower, MemoryUse::kRead, rights).has_value();
  };
  for (const Row& row : rows) {
    s.core.tcr = tcr | row.bit;
    EXPECT_EQ(reaches(0, kEl0), row.lower_el0);
    EXPECT_EQ(reaches(0, kEl1), row.lower_el1);
    EXPECT_EQ(reaches(Path::kUpper, kEl0), row.upper_el0);
    EXPECT_EQ(reaches(Path::kUpper, kEl1), row.upper_el1);
  }
  s.core.tcr = tcr | Tcr::kE0pd0.kMask;
  EXPECT_EQ(status_of(kLower, MemoryUse::kRead, kEl0), fault_status(FaultStatus::kTranslation, 0));
}

TEST_F(MmuTest, WithoutTranslationDataIsDeviceAndCodeIsNormal) {
  const auto data = s.mmu.translate(kRam, MemoryUse::kWrite, kEl0);
  const auto code = s.mmu.translate(kRam, MemoryUse::kFetch, kEl1);

  ASSERT_TRUE(data && code);
  EXPECT_EQ(data->physical, kRam);
  EXPECT_EQ(data->type, MemoryType::kDevice);
  EXPECT_TRUE(data->el0_write && data->el1_execute && data->global);
  EXPECT_EQ(code->type, MemoryType::kNormal);
}

TEST_F(MmuTest, WithoutTranslationAddressesEndWherePhysicalOnesDo) {
  const std::uint64_t beyond = std::uint64_t{1} << kPhysicalBits;
  EXPECT_TRUE(s.mmu.translate(beyond - 1, MemoryUse::kRead, kEl1));
  EXPECT_EQ(status_of(beyond), fault_status(FaultStatus::kAddressSize, 0));
  EXPECT_EQ(status_of(0x5a00'0000'0000'0000), fault_status(FaultStatus::kAddressSize, 0));

  s.core.tcr = Tcr::kTbi0.kMask;
  const auto tagged = s.mmu.translate(0x5a00'0000'0000'1234, MemoryUse::kRead, kEl1);
  ASSERT_TRUE(tagged);
  EXPECT_EQ(tagged->physical, 0x1234U);
}

TEST_F(MmuTest, CodeIsFetchedFromRamOnly) {
  EXPECT_EQ(status_of(0x0900'0000, MemoryUse::kFetch), fault_status(FaultStatus::kExternal));
  EXPECT_TRUE(s.mmu.translate(0x0900'0000, MemoryUse::kRead, kEl1));
}

TEST_F(MmuTest, TheAsidIsThatOfTheHalfThatTcrNames) {
  s.core.ttbr0 = 0x1234ULL << 48;
  s.core.ttbr1 = 0x5678ULL << 48;
  EXPECT_EQ(s.mmu.asid(), 0x34);
  s.core.tcr = Tcr::kA1.kMask;
  EXPECT_EQ(s.mmu.asid(), 0x78);
  s.core.tcr |= Tcr::kAs.kMask;
  EXPECT_EQ(s.mmu.asid(), 0x5678);
}

TEST_F(MmuTest, TheContiguousHintChangesNoAddress) {
  const Path path{s, k4K};
  path.map(kLower, 3, kRam | kPlain | kContiguousBit);

  const auto found = s.mmu.translate(kLower, MemoryUse::kRead, kEl1);

  ASSERT_TRUE(found);
  EXPECT_EQ(found->physical, kRam | (kLower & 0xfff));
}

TEST_F(MmuTest, AlignmentIsCheckedIfAskedFor) {
  EXPECT_FALSE(alignment_checked(s.core));
  EXPECT_TRUE(alignment_checked(s.core, true));
  s.core.sctlr |= Sctlr::kA.kMask;
  EXPECT_TRUE(alignment_checked(s.core));
  EXPECT_EQ(alignment_fault(3, MemoryUse::kWrite), (Fault{3, MemoryUse::kWrite, false, 0x21}));
}

}  // namespace
}  // namespace vpmu::machine::arm64
