// SPDX-License-Identifier: MIT
//
// Page walks against the rules of Intel SDM vol. 3A 4.3 to 4.7, in every paging mode, and accesses
// of guest code through them.
#include "machine/x86/mmu.hpp"

#include <gtest/gtest.h>

#include "unit/x86/cpu_fixture.hpp"

namespace vpmu::machine::x86 {
namespace {

using namespace test;

/// A way to map a page: paging mode, and the level of the leaf.
struct Kind {
  const char* name;
  unsigned entry_bytes;
  bool long_mode, pae, pse;
  unsigned levels;     ///< down to the leaf
  unsigned shifts[4];  ///< of the linear address, per level
  unsigned index_bits[4];
  bool large;
};

constexpr Kind kKinds[] = {
    {"32-bit, 4 KiB", 4, false, false, true, 2, {22, 12}, {10, 10}, false},
    {"32-bit, 4 MiB", 4, false, false, true, 1, {22}, {10}, true},
    {"PAE, 4 KiB", 8, false, true, false, 3, {30, 21, 12}, {2, 9, 9}, false},
    {"PAE, 2 MiB", 8, false, true, false, 2, {30, 21}, {2, 9}, true},
    {"4-level, 4 KiB", 8, true, true, false, 4, {39, 30, 21, 12}, {9, 9, 9, 9}, false},
    {"4-level, 2 MiB", 8, true, true, false, 3, {39, 30, 21}, {9, 9, 9}, true},
    {"4-level, 1 GiB", 8, true, true, false, 2, {39, 30}, {9, 9}, true},
};

constexpr std::uint64_t kTables = 0x200000;
constexpr std::uint64_t kAllRights = kPresent | kWritable | kUserPage;

struct Walks : testing::Test {
  TestCpu t;
  Core& core = t.core();

  static std::uint64_t linear(const Kind& kind) {
    return kind.long_mode ? 0xffff'8123'4567'8abc : 0xc567'8abc;
  }
  /// A frame that is no RAM: walks do not look at what they lead to.
  static std::uint64_t frame(const Kind& kind) {
    const std::uint64_t page = std::uint64_t{1} << kind.shifts[kind.levels - 1];
    const std::uint64_t wide = kind.entry_bytes == 4 ? 0xc0000000 : 0x2345'c0000000;
    return wide & ~(page - 1) & ((std::uint64_t{1} << kPhysicalBits) - 1);
  }
  static std::uint64_t expected_physical(const Kind& kind) {
    const std::uint64_t page = std::uint64_t{1} << kind.shifts[kind.levels - 1];
    return frame(kind) | (linear(kind) & (page - 1));
  }
  static std::uint64_t entry_address(const Kind& kind, unsigned level) {
    const std::uint64_t index =
        linear(kind) >> kind.shifts[level] & ((std::uint64_t{1} << kind.index_bits[level]) - 1);
    return kTables + 0x1000 * level + index * kind.entry_bytes;
  }
  std::uint64_t entry(const Kind& kind, unsigned level) {
    return kind.entry_bytes == 4 ? t.take<std::uint32_t>(entry_address(kind, level))
                                 : t.take<std::uint64_t>(entry_address(kind, level));
  }
  void set_entry(const Kind& kind, unsigned level, std::uint64_t value) {
    if (kind.entry_bytes == 4)
      t.put(entry_address(kind, level), static_cast<std::uint32_t>(value));
    else
      t.put(entry_address(kind, level), value);
  }
  /// The top entries of PAE paging have no rights.
  static bool has_rights(const Kind& kind, unsigned level) {
    return !(kind.pae && !kind.long_mode && level == 0);
  }
  /// Maps linear(kind) with all rights at every level.
  void map(const Kind& kind) {
    for (unsigned level = 0; level < kind.levels; ++level) {
      const bool leaf = level + 1 == kind.levels;
      std::uint64_t value = leaf ? frame(kind) : kTables + 0x1000 * (level + 1);
      value |= has_rights(kind, level) ? kAllRights : kPresent;
      if (leaf && kind.large) value |= kLarge;
      set_entry(kind, level, value);
    }
  }
  void enter(const Kind& kind) {
    t.memory.fill_zero(kTables, 0x8000);
    core.cr0 = kCr0Pe | kCr0Pg | kCr0Wp;
    core.cr3 = kTables;
    core.cr4 = (kind.pae ? kCr4Pae : 0) | (kind.pse ? kCr4Pse : 0);
    core.efer = kEferNxe | (kind.long_mode ? kEferLme | kEferLma : 0);
    core.rflags = 2;
    t.cpu.state_changed();
    map(kind);
  }
  Walk try_walk(const Kind& kind, MemoryUse use, Requester requester) {
    return walk(core, linear(kind), use, requester);
  }
};

constexpr MemoryUse kUses[] = {MemoryUse::kRead, MemoryUse::kWrite, MemoryUse::kFetch};
constexpr Requester kRequesters[] = {Requester::kUser, Requester::kSupervisor,
                                     Requester::kImplicit};

TEST_F(Walks, LeadToTheByteAskedFor) {
  for (const Kind& kind : kKinds) {
    enter(kind);
    const Walk result = try_walk(kind, MemoryUse::kRead, Requester::kUser);
    EXPECT_TRUE(result.ok) << kind.name;
    EXPECT_EQ(result.physical, expected_physical(kind)) << kind.name;
    std::uint64_t physical = 0;
    EXPECT_TRUE(look_up(core, linear(kind), physical)) << kind.name;
    EXPECT_EQ(physical, expected_physical(kind)) << kind.name;
  }
}

TEST_F(Walks, WithoutPagingAreTheAddressItself) {
  t.start_protected_mode();
  const Walk result = walk(core, 0x1'2345'6789, MemoryUse::kWrite, Requester::kUser);
  EXPECT_TRUE(result.ok && result.may_write && result.dirty);
  EXPECT_EQ(result.physical, 0x2345'6789U);
}

TEST_F(Walks, AFourMegabytePageMayLieAboveFourGigabytes) {
  const Kind& kind = kKinds[1];
  enter(kind);
  set_entry(kind, 0, 0xc0000000 | 0xa5 << 13 | kAllRights | kLarge);  // bits 39:32 are 0xa5
  EXPECT_EQ(try_walk(kind, MemoryUse::kRead, Requester::kUser).physical,
            0xa5'c000'0000 | (linear(kind) & 0x3fffff));
}

TEST_F(Walks, WithoutPseALargePageBitMeansNothing) {
  const Kind& kind = kKinds[0];
  enter(kind);
  core.cr4 = 0;
  set_entry(kind, 0, entry(kind, 0) | kLarge);
  const Walk result = try_walk(kind, MemoryUse::kRead, Requester::kUser);
  EXPECT_TRUE(result.ok);
  EXPECT_EQ(result.physical, expected_physical(kind));
}

TEST_F(Walks, PaeTakesItsTopEntriesFromThirtyTwoByteSteps) {
  const Kind& kind = kKinds[2];
  enter(kind);
  for (unsigned n = 0; n < 4; ++n)
    t.put(kTables + 0x6020 + 8 * n, t.take<std::uint64_t>(kTables + 8 * n));
  core.cr3 = kTables + 0x6020 + 0x1f;
  EXPECT_EQ(try_walk(kind, MemoryUse::kRead, Requester::kUser).physical, expected_physical(kind));
}

TEST_F(Walks, FaultWhereAnEntryIsNotPresent) {
  for (const Kind& kind : kKinds) {
    for (unsigned level = 0; level < kind.levels; ++level) {
      enter(kind);
      // Bits of an entry that is not present mean nothing, not even reserved ones.
      set_entry(kind, level, ~std::uint64_t{kPresent});
      for (const Requester requester : kRequesters) {
        for (const MemoryUse use : kUses) {
          const Walk result = try_walk(kind, use, requester);
          std::uint32_t error = 0;
          if (use == MemoryUse::kWrite) error |= kPfWrite;
          if (use == MemoryUse::kFetch && kind.pae) error |= kPfFetch;
          if (requester == Requester::kUser) error |= kPfUser;
          EXPECT_FALSE(result.ok) << kind.name << " level " << level;
          EXPECT_EQ(result.error, error) << kind.name << " level " << level;
        }
      }
      std::uint64_t physical = 0;
      EXPECT_FALSE(look_up(core, linear(kind), physical));
    }
  }
}

/// Which rights one level takes away, and the settings that decide what that means.
struct Rights {
  bool user = true, writable = true, executable = true;
  bool wp = false, smep = false, smap = false, ac = false, nxe = true;
};

/// Intel SDM vol. 3A 4.6.1.
bool allowed(const Kind& kind, const Rights& r, MemoryUse use, Requester requester) {
  const bool may_execute = r.executable || !(kind.pae && r.nxe);
  if (requester == Requester::kUser) {
    if (!r.user) return false;
    if (use == MemoryUse::kWrite) return r.writable;
    return use == MemoryUse::kRead || may_execute;
  }
  const bool overridden = r.ac && requester == Requester::kSupervisor;
  if (use == MemoryUse::kFetch) return may_execute && !(r.user && r.smep);
  if (r.user && r.smap && !overridden) return false;
  return use == MemoryUse::kRead || r.writable || !r.wp;
}

TEST_F(Walks, GrantWhatTheManualGrants) {
  for (const Kind& kind : kKinds) {
    for (unsigned level = 0; level < kind.levels; ++level) {
      if (!has_rights(kind, level)) continue;
      for (unsigned bits = 0; bits < 1 << 8; ++bits) {
        const auto bit = [bits](unsigned n) { return (bits >> n & 1) != 0; };
        const Rights r{bit(0), bit(1), bit(2), bit(3), bit(4), bit(5), bit(6), bit(7)};
        if (!r.executable && (kind.entry_bytes == 4 || !r.nxe)) continue;  // reserved, or no bit
        enter(kind);
        std::uint64_t value = entry(kind, level);
        if (!r.user) value &= ~kUserPage;
        if (!r.writable) value &= ~kWritable;
        if (!r.executable) value |= kNoExecute;
        set_entry(kind, level, value);
        if (!r.wp) core.cr0 &= ~kCr0Wp;
        if (!r.nxe) core.efer &= ~kEferNxe;
        core.cr4 |= (r.smep ? kCr4Smep : 0) | (r.smap ? kCr4Smap : 0);
        core.rflags = r.ac ? kAc | 2 : 2;
        for (const Requester requester : kRequesters) {
          for (const MemoryUse use : kUses) {
            const Walk result = try_walk(kind, use, requester);
            const bool ok = allowed(kind, r, use, requester);
            ASSERT_EQ(result.ok, ok)
                << kind.name << " level " << level << " case " << bits << " use "
                << static_cast<int>(use) << " requester " << static_cast<int>(requester);
            if (ok) {
              if (use != MemoryUse::kFetch) {
                ASSERT_EQ(result.may_write, allowed(kind, r, MemoryUse::kWrite, requester));
              }
              continue;
            }
            std::uint32_t error = kPfPresent;
            if (use == MemoryUse::kWrite) error |= kPfWrite;
            if (requester == Requester::kUser) error |= kPfUser;
            if (use == MemoryUse::kFetch && ((kind.pae && r.nxe) || r.smep)) error |= kPfFetch;
            ASSERT_EQ(result.error, error) << kind.name << " level " << level << " case " << bits;
          }
        }
      }
    }
  }
}

/// Intel SDM vol. 3A tables 4-4 to 4-6, 4-8 to 4-11, 4-15 to 4-20, with 46 address bits.
bool is_reserved(const Kind& kind, unsigned level, unsigned bit, bool nxe) {
  const bool large = kind.large && level + 1 == kind.levels;
  if (kind.entry_bytes == 4) return large && bit == 21;
  if (kind.pae && !kind.long_mode && level == 0)
    return bit == 1 || bit == 2 || (bit >= 5 && bit <= 8) || bit >= kPhysicalBits;
  if (bit == 63) return !nxe;
  if (bit >= 52) return !kind.long_mode;
  if (bit >= kPhysicalBits) return true;
  if (kind.long_mode && level == 0 && bit == 7) return true;
  return large && bit >= 13 && bit < kind.shifts[level];
}

TEST_F(Walks, RefuseReservedBitsAndOnlyThose) {
  for (const Kind& kind : kKinds) {
    for (const bool nxe : {false, true}) {
      for (unsigned level = 0; level < kind.levels; ++level) {
        for (unsigned bit = 1; bit < 8 * kind.entry_bytes; ++bit) {
          const bool leaf = level + 1 == kind.levels;
          if (bit == 7 && !leaf && !is_reserved(kind, level, bit, nxe)) continue;  // page size
          enter(kind);
          if (!nxe) core.efer &= ~kEferNxe;
          set_entry(kind, level, entry(kind, level) | std::uint64_t{1} << bit);
          const Walk result = try_walk(kind, MemoryUse::kRead, Requester::kUser);
          const bool reserved = is_reserved(kind, level, bit, nxe);
          EXPECT_EQ((result.error & kPfReserved) != 0, reserved)
              << kind.name << " level " << level << " bit " << bit << " nxe " << nxe;
          if (reserved) {
            EXPECT_EQ(result.error, kPfReserved | kPfPresent | kPfUser);
          }
        }
      }
    }
  }
}

TEST_F(Walks, SetAccessedOnTheWayAndDirtyAtTheEnd) {
  for (const Kind& kind : kKinds) {
    for (const MemoryUse use : kUses) {
      enter(kind);
      EXPECT_TRUE(try_walk(kind, use, Requester::kUser).ok);
      for (unsigned level = 0; level < kind.levels; ++level) {
        const bool leaf = level + 1 == kind.levels;
        const bool dirty = leaf && use == MemoryUse::kWrite;
        EXPECT_EQ((entry(kind, level) & kAccessed) != 0, has_rights(kind, level)) << kind.name;
        EXPECT_EQ((entry(kind, level) & kDirty) != 0, dirty) << kind.name;
      }
    }
  }
}

TEST_F(Walks, SetNothingIfTheyFaultAndLooksNever) {
  for (const Kind& kind : kKinds) {
    enter(kind);
    set_entry(kind, kind.levels - 1, entry(kind, kind.levels - 1) & ~kWritable);
    std::uint64_t physical = 0;
    EXPECT_TRUE(look_up(core, linear(kind), physical));
    EXPECT_FALSE(try_walk(kind, MemoryUse::kWrite, Requester::kUser).ok);
    for (unsigned level = 0; level < kind.levels; ++level)
      EXPECT_FALSE(entry(kind, level) & (kAccessed | kDirty)) << kind.name;
  }
}

TEST_F(Walks, TablesOutsideRamAreNotPresent) {
  enter(kKinds[4]);
  core.cr3 = 0x1'0000'0000;
  EXPECT_EQ(try_walk(kKinds[4], MemoryUse::kRead, Requester::kUser).error, kPfUser);
}

TEST(Canonical, AddressesRepeatTheirBit47) {
  EXPECT_TRUE(canonical(0));
  EXPECT_TRUE(canonical(0x0000'7fff'ffff'ffff));
  EXPECT_FALSE(canonical(0x0000'8000'0000'0000));
  EXPECT_FALSE(canonical(0xffff'7fff'ffff'ffff));
  EXPECT_TRUE(canonical(0xffff'8000'0000'0000));
  EXPECT_FALSE(canonical(0x8000'0000'0000'0000));
}

// ---- Accesses of guest code ---------------------------------------------------------------------

struct Accesses : testing::Test {
  TestCpu t;
  Core& core = t.core();
  void SetUp() override { fresh(); }
  void fresh(unsigned cpl = 0) {
    t.start_long_mode(cpl);
    t.code_pages.written(kCode / 4096);
    core.gpr[kRsi] = kData;
  }
  /// Runs one instruction and a HLT (at CPL 3 that is a #GP, in its own right).
  std::optional<Caught> run(Bytes bytes) {
    bytes.push_back(0xf4);
    t.code(bytes);
    t.run();
    auto caught = t.caught();
    if (caught && caught->vector == kGeneralProtection && caught->rip == kCode + bytes.size() - 1)
      caught.reset();
    return caught;
  }
};

const Bytes kLoad = {0x48, 0x8b, 0x06};   // mov rax, [rsi]
const Bytes kStore = {0x48, 0x89, 0x06};  // mov [rsi], rax
const Bytes kAddTo = {0x48, 0x01, 0x06};  // add [rsi], rax

TEST_F(Accesses, AcrossPagesJoinWhatLiesApart) {
  for (unsigned in_first = 1; in_first < 8; ++in_first) {
    fresh();
    t.set_page(kData, 0x200000 | kPresent | kWritable);
    t.set_page(kData + 0x1000, 0x300000 | kPresent | kWritable);
    const std::uint64_t at = kData + 0x1000 - in_first;
    for (unsigned n = 0; n < 8; ++n)
      t.put<std::uint8_t>(n < in_first ? 0x201000 - in_first + n : 0x300000 + n - in_first,
                          static_cast<std::uint8_t>(0x10 + n));
    core.gpr[kRsi] = at;
    EXPECT_FALSE(run(kLoad));
    EXPECT_EQ(core.gpr[kRax], 0x1716151413121110U) << in_first;
    t.code_pages.written(kCode / 4096);
    core.halted = false;
    core.gpr[kRax] = 0x0101010101010101;
    EXPECT_FALSE(run(kAddTo));
    for (unsigned n = 0; n < 8; ++n) {
      EXPECT_EQ(
          t.take<std::uint8_t>(n < in_first ? 0x201000 - in_first + n : 0x300000 + n - in_first),
          0x11 + n);
    }
  }
}

TEST_F(Accesses, AcrossPagesHappenWhollyOrNotAtAll) {
  for (const Bytes& instruction : {kStore, kAddTo}) {
    for (const bool second_missing : {true, false}) {
      fresh(3);
      const std::uint64_t missing = second_missing ? kData + 0x1000 : kData;
      t.put<std::uint64_t>(kData + 0xffc, 0x1122334455667788);
      t.set_page(missing, 0);
      core.gpr[kRsi] = kData + 0xffc;
      core.gpr[kRax] = ~std::uint64_t{0};
      const auto caught = run(instruction);
      ASSERT_TRUE(caught);
      EXPECT_EQ(caught->vector, unsigned{kPageFault});
      EXPECT_EQ(caught->error_code, kPfWrite | kPfUser);
      EXPECT_EQ(core.cr2, second_missing ? missing : kData + 0xffc);
      EXPECT_EQ(t.take<std::uint64_t>(kData + 0xffc), 0x1122334455667788U);
    }
  }
}

TEST_F(Accesses, ToDevicesComeInNaturalPieces) {
  struct Row {
    Bytes code;
    std::uint64_t offset;
    std::vector<std::pair<std::uint64_t, unsigned>> pieces;
  };
  const Row rows[] = {
      {{0x8a, 0x06}, 3, {{3, 1}}},
      {{0x66, 0x8b, 0x06}, 2, {{2, 2}}},
      {{0x8b, 0x06}, 4, {{4, 4}}},
      {kLoad, 8, {{8, 8}}},
      {kLoad, 2, {{2, 2}, {4, 4}, {8, 2}}},
      {{0x8b, 0x06}, 1, {{1, 1}, {2, 2}, {4, 1}}},
      {{0x0f, 0x10, 0x06}, 16, {{16, 8}, {24, 8}}},  // movups
  };
  const std::uint64_t physical = 0xfee00000 + (kDevice & 0x1fffff);
  for (const Row& row : rows) {
    fresh();
    t.environment.mmio.clear();
    core.gpr[kRsi] = kDevice + row.offset;
    EXPECT_FALSE(run(row.code));
    ASSERT_EQ(t.environment.mmio.size(), row.pieces.size());
    for (std::size_t n = 0; n < row.pieces.size(); ++n) {
      EXPECT_EQ(t.environment.mmio[n].address, physical + row.pieces[n].first);
      EXPECT_EQ(t.environment.mmio[n].bytes, row.pieces[n].second);
      EXPECT_FALSE(t.environment.mmio[n].write);
    }
  }
}

TEST_F(Accesses, ToDevicesHappenOnceInTheMiddleOfABlock) {
  // inc ecx; mov [rsi], eax; inc ecx; mov eax, [rsi]; inc ecx; add [rsi], eax
  t.environment.mmio_value = [](std::uint64_t) { return std::uint64_t{7}; };
  core.gpr[kRsi] = kDevice;
  core.gpr[kRax] = 5;
  EXPECT_FALSE(run({0xff, 0xc1, 0x89, 0x06, 0xff, 0xc1, 0x8b, 0x06, 0xff, 0xc1, 0x01, 0x06}));
  const std::uint64_t at = 0xfee00000 + (kDevice & 0x1fffff);
  const std::vector<FakeEnvironment::DeviceAccess> expected = {
      {at, 4, 5, true}, {at, 4, 0, false}, {at, 4, 0, false}, {at, 4, 14, true}};
  EXPECT_EQ(t.environment.mmio, expected);
  EXPECT_EQ(core.gpr[kRcx], 3U);
  EXPECT_EQ(t.instructions(), 7U);
  EXPECT_EQ(t.count(silicon::RawEvent::kLoads), 2U);
  EXPECT_EQ(t.count(silicon::RawEvent::kStores), 2U);
}

TEST_F(Accesses, AcrossTheEndOfRamReachTheDeviceOnlyIfTheRestIsAllowed) {
  // The last page of RAM, then the large page of the device.
  core.gpr[kRsi] = kRam - 4;
  core.gpr[kRax] = 0x1122334455667788;
  EXPECT_FALSE(run(kStore));
  EXPECT_EQ(t.take<std::uint32_t>(kRam - 4), 0x55667788U);
  ASSERT_EQ(t.environment.mmio.size(), 1U);
  EXPECT_EQ(t.environment.mmio[0].address, 0xfee00000U);
  EXPECT_EQ(t.environment.mmio[0].value, 0x11223344U);
}

TEST_F(Accesses, FollowTheTablesAfterInvlpgAndCr3) {
  const Bytes flushes[] = {{0x0f, 0x01, 0x3e},                     // invlpg [rsi]
                           {0x0f, 0x20, 0xda, 0x0f, 0x22, 0xda}};  // mov rdx, cr3; mov cr3, rdx
  for (const Bytes& flush : flushes) {
    fresh();
    t.put<std::uint64_t>(kData, 1);
    t.put<std::uint64_t>(0x200000, 2);
    // mov rax, [rsi]; mov [r9], r8; flush; mov rbx, [rsi]
    Bytes code = {0x48, 0x8b, 0x06, 0x4d, 0x89, 0x01};
    code.insert(code.end(), flush.begin(), flush.end());
    for (const std::uint8_t byte : {0x48, 0x8b, 0x1e}) code.push_back(byte);
    core.gpr[8] = 0x200000 | kPresent | kWritable;
    core.gpr[9] = kPageTables + kData / 4096 * 8;
    EXPECT_FALSE(run(code));
    EXPECT_EQ(core.gpr[kRax], 1U);
    EXPECT_EQ(core.gpr[kRbx], 2U);
  }
}

TEST_F(Accesses, SetTheDirtyBitAtTheFirstWriteEvenAfterReads) {
  EXPECT_FALSE(run({0x48, 0x8b, 0x06, 0x48, 0x8b, 0x06}));
  EXPECT_EQ(t.page(kData) & (kAccessed | kDirty), kAccessed);
  core.halted = false;
  t.code_pages.written(kCode / 4096);
  EXPECT_FALSE(run(kStore));
  EXPECT_EQ(t.page(kData) & (kAccessed | kDirty), kAccessed | kDirty);
}

struct AccessCase {
  const char* what;
  unsigned cpl;
  std::uint64_t page;              ///< bits of the entry
  std::uint64_t cr0, cr4, rflags;  ///< to be set
  Bytes code;
  int error;  ///< -1: none
};

// Every one of them reads the page first, so that a translation is remembered.
TEST_F(Accesses, ObeyRightsThoughTheTranslationIsKnown) {
  constexpr std::uint64_t kReadOnly = kPresent | kUserPage;
  const Bytes read_then_write = {0x48, 0x8b, 0x1e, 0x48, 0x89, 0x06};
  const Bytes stac_clac = {0x0f, 0x01, 0xcb, 0x48, 0x8b, 0x06, 0x0f, 0x01, 0xca, 0x48, 0x8b, 0x06};
  const Bytes stac_only = {0x0f, 0x01, 0xcb, 0x48, 0x8b, 0x06, 0x48, 0x8b, 0x06};
  const AccessCase cases[] = {
      {"user write, read-only", 3, kReadOnly, 0, 0, 0, read_then_write, 7},
      {"user read, read-only", 3, kReadOnly, 0, 0, 0, kLoad, -1},
      {"kernel write, read-only, WP", 0, kReadOnly, kCr0Wp, 0, 0, read_then_write, 3},
      {"user read, kernel page", 3, kPresent | kWritable, 0, 0, 0, kLoad, 5},
      {"kernel read, user page, SMAP", 0, kAllRights, 0, kCr4Smap, 0, kLoad, 1},
      {"kernel write, user page, SMAP", 0, kAllRights, 0, kCr4Smap, 0, kStore, 3},
      {"kernel read, user page, SMAP and AC", 0, kAllRights, 0, kCr4Smap, kAc, kLoad, -1},
      {"STAC, read, CLAC, read", 0, kAllRights, 0, kCr4Smap, 0, stac_clac, 1},
      {"STAC, read, read", 0, kAllRights, 0, kCr4Smap, 0, stac_only, -1},
      {"kernel read, kernel page, SMAP", 0, kPresent | kWritable, 0, kCr4Smap, 0, kLoad, -1},
  };
  for (const AccessCase& c : cases) {
    fresh(c.cpl);
    core.cr0 |= c.cr0;
    core.cr4 |= c.cr4;
    core.rflags |= c.rflags;
    if (c.cr4 != 0) {
      // Everything else is the kernel's.
      for (std::uint64_t at = 0; at < kRam; at += 4096) t.set_page(at, at | kPresent | kWritable);
    }
    t.set_page(kData, kData | c.page);
    t.cpu.state_changed();
    const auto caught = run(c.code);
    ASSERT_EQ(caught.has_value(), c.error >= 0) << c.what;
    if (!caught) continue;
    EXPECT_EQ(caught->vector, unsigned{kPageFault}) << c.what;
    EXPECT_EQ(caught->error_code, static_cast<std::uint64_t>(c.error)) << c.what;
    EXPECT_EQ(core.cr2, kData) << c.what;
  }
}

TEST_F(Accesses, OfTheKernelToReadOnlyPagesFollowCr0Wp) {
  core.cr0 &= ~kCr0Wp;
  t.set_page(kData, kData | kPresent);
  t.cpu.state_changed();
  // mov [rsi], rax; mov rcx, cr0; or ecx, WP; mov cr0, rcx; mov [rsi], rax
  const auto caught = run({0x48, 0x89, 0x06, 0x0f, 0x20, 0xc1, 0x81, 0xc9, 0, 0, 1, 0, 0x0f, 0x22,
                           0xc1, 0x48, 0x89, 0x06});
  ASSERT_TRUE(caught);
  EXPECT_EQ(caught->rip, kCode + 15);
  EXPECT_EQ(caught->error_code, kPfPresent | kPfWrite);
}

struct FetchCase {
  const char* what;
  unsigned cpl;
  std::uint64_t page, cr4, efer_off;
  int error;
};

TEST_F(Accesses, FetchesObeyNxAndSmep) {
  constexpr FetchCase kCases[] = {
      {"user, NX", 3, kAllRights | kNoExecute, 0, 0, 0x15},
      {"kernel, NX", 0, kPresent | kNoExecute, 0, 0, 0x11},
      {"kernel, user page", 0, kAllRights, 0, 0, -1},
      {"kernel, user page, SMEP", 0, kAllRights, kCr4Smep, 0, 0x11},
      {"user, user page, SMEP", 3, kAllRights, kCr4Smep, 0, -1},
      {"kernel, kernel page, SMEP", 0, kPresent, kCr4Smep, 0, -1},
      {"user, kernel page", 3, kPresent, 0, 0, 0x15},
      {"user, not there", 3, 0, 0, 0, 0x14},
      {"user, not there, no NX", 3, 0, 0, kEferNxe, 0x4},
      {"user, NX without NXE", 3, kAllRights | kNoExecute, 0, kEferNxe, 0xd},
  };
  for (const FetchCase& c : kCases) {
    fresh(c.cpl);
    core.cr4 |= c.cr4;
    core.efer &= ~c.efer_off;
    for (std::uint64_t at = 0; at < kRam; at += 4096) {
      if (c.cr4 != 0 && c.cpl == 0) t.set_page(at, at | kPresent | kWritable);
    }
    // The handlers are the kernel's.
    t.set_page(kHandlers, kHandlers | kPresent | kWritable);
    t.set_page(kCode, kCode | c.page);
    t.cpu.state_changed();
    const auto caught = run({0x90});
    ASSERT_EQ(caught.has_value(), c.error >= 0) << c.what;
    if (!caught) continue;
    EXPECT_EQ(caught->vector, unsigned{kPageFault}) << c.what;
    EXPECT_EQ(caught->error_code, static_cast<std::uint64_t>(c.error)) << c.what;
    EXPECT_EQ(core.cr2, kCode) << c.what;
    EXPECT_EQ(caught->rip, kCode) << c.what;
  }
}

TEST_F(Accesses, ThatAreNotCanonicalAreProtectionOrStackFaults) {
  struct Row {
    Bytes code;
    std::uint8_t vector;
  };
  const Row rows[] = {{kLoad, kGeneralProtection},
                      {kStore, kGeneralProtection},
                      {{0x48, 0x8b, 0x45, 0x00}, kStackFault}};  // mov rax, [rbp]
  for (const std::uint64_t address : {0x0000'8000'0000'0000, 0x0000'7fff'ffff'fffc}) {
    for (const Row& row : rows) {
      fresh();
      core.gpr[kRsi] = core.gpr[kRbp] = address;
      const auto caught = run(row.code);
      ASSERT_TRUE(caught);
      EXPECT_EQ(caught->vector, unsigned{row.vector}) << std::hex << address;
      EXPECT_EQ(caught->error_code, 0U);
    }
  }
}

TEST_F(Accesses, OfUsersAreCheckedForAlignmentIfAskedFor) {
  struct Row {
    Bytes code;
    unsigned size;
  };
  const Row rows[] = {{{0x8a, 0x06}, 1},
                      {{0x66, 0x8b, 0x06}, 2},
                      {{0x8b, 0x06}, 4},
                      {kLoad, 8},
                      {{0x0f, 0x10, 0x06}, 1}};  // movups is never checked
  for (const Row& row : rows) {
    for (unsigned offset = 0; offset < 16; ++offset) {
      for (unsigned off = 0; off < 4; ++off) {  // 0: checked; else one of the conditions is not met
        fresh(off == 1 ? 0 : 3);
        if (off != 2) core.cr0 |= kCr0Am;
        if (off != 3) core.rflags |= kAc;
        t.cpu.state_changed();
        core.gpr[kRsi] = kData + offset;
        const auto caught = run(row.code);
        const bool wrong = off == 0 && offset % row.size != 0;
        ASSERT_EQ(caught.has_value(), wrong) << row.size << ' ' << offset << ' ' << off;
        if (caught) {
          EXPECT_EQ(caught->vector, unsigned{kAlignmentCheck});
          EXPECT_EQ(caught->error_code, 0U);
        }
      }
    }
  }
}

TEST_F(Accesses, ToDataBesideCodeLeaveTheCodeAlone) {
  // 64 bytes are the unit: data elsewhere in the page does not make the code go.
  core.gpr[kRsi] = kCode + 0x800;
  EXPECT_FALSE(run({0x48, 0x89, 0x06, 0x48, 0x89, 0x06, 0x48, 0x8b, 0x1e}));
  EXPECT_TRUE(t.code_pages.has_code(kCode / 4096));
  EXPECT_EQ(t.take<std::uint64_t>(kCode + 0x800), core.gpr[kRax]);
  EXPECT_EQ(core.gpr[kRbx], core.gpr[kRax]);
  EXPECT_EQ(t.instructions(), 4U);
}

// ---- The processor's own ------------------------------------------------------------------------

TEST_F(Accesses, OfTheProcessorIgnoreTheCpl) {
  fresh(3);
  t.set_page(kData, kData | kPresent | kWritable);
  t.cpu.state_changed();
  std::uint64_t value = 0x1234;
  EXPECT_TRUE(write_system(core, kData, &value, 8));
  value = 0;
  EXPECT_TRUE(read_system(core, kData, &value, 8));
  EXPECT_EQ(value, 0x1234U);
  EXPECT_FALSE(read_as(core, 3, kData, &value, 8));
  EXPECT_EQ(core.exception.vector, kPageFault);
  EXPECT_EQ(core.exception.error_code, kPfPresent | kPfUser);
  EXPECT_FALSE(write_as(core, 3, kData, &value, 8));
  EXPECT_EQ(core.exception.error_code, kPfPresent | kPfUser | kPfWrite);
  EXPECT_TRUE(read_as(core, 0, kData, &value, 8));
}

TEST_F(Accesses, OfTheProcessorObeySmapWhateverAcSays) {
  core.cr4 |= kCr4Smap;
  core.rflags |= kAc;
  t.cpu.state_changed();
  std::uint64_t value = 0;
  EXPECT_FALSE(read_system(core, kData, &value, 8));
  EXPECT_EQ(core.exception.error_code, kPfPresent);
  EXPECT_TRUE(read_as(core, 0, kData, &value, 8));
  EXPECT_FALSE(read_system(core, kData, &value, 8));  // though that is remembered now
}

TEST_F(Accesses, OfTheProcessorAcrossPagesAreAllOrNothing) {
  t.put<std::uint64_t>(kData + 0xffc, 0x55);
  t.set_page(kData + 0x1000, 0);
  t.cpu.state_changed();
  const std::uint64_t value = ~std::uint64_t{0};
  EXPECT_FALSE(write_system(core, kData + 0xffc, &value, 8));
  EXPECT_EQ(t.take<std::uint64_t>(kData + 0xffc), 0x55U);
  t.set_page(kData + 0x1000, 0x300000 | kPresent | kWritable);
  t.cpu.state_changed();
  EXPECT_TRUE(write_system(core, kData + 0xffc, &value, 8));
  EXPECT_EQ(t.take<std::uint32_t>(kData + 0xffc), ~0U);
  EXPECT_EQ(t.take<std::uint32_t>(0x300000), ~0U);
}

TEST_F(Accesses, OfTheProcessorToCodeDropIt) {
  EXPECT_FALSE(run({0x90}));
  EXPECT_TRUE(t.code_pages.has_code(kCode / 4096));
  const std::uint64_t value = 0;
  EXPECT_TRUE(write_system(core, kCode, &value, 8));
  EXPECT_FALSE(t.code_pages.has_code(kCode / 4096));
}

}  // namespace
}  // namespace vpmu::machine::x86
