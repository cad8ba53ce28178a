// SPDX-License-Identifier: MIT
//
// What each version of Intel's architectural performance monitoring has that the one before has
// not: registers, bits, freezing, CPUID.
#include "unit/virt/pmu_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

namespace msr = silicon::x86::msr;

constexpr std::uint64_t bit(unsigned n) {
  return std::uint64_t{1} << n;
}
constexpr std::uint64_t kTurn = bit(48);
constexpr std::uint64_t kCtrFrz = bit(59);
constexpr std::uint64_t kFreezePerfmonOnPmi = bit(12);

class PmuVersions : public PmuFixture {
 protected:
  /// Which bits a guest may write, each tried alone over 0.
  std::uint64_t writable_bits(MsrIndex msr) {
    std::uint64_t writable = 0;
    for (unsigned n = 0; n < 64; ++n) {
      const bool done = try_write(msr, bit(n)).is_done();
      if (done) writable |= bit(n);
      EXPECT_EQ(read(msr), Access::done(done ? bit(n) : 0)) << std::hex << raw(msr) << " bit " << n;
      if (done) write(msr, 0);
    }
    return writable;
  }
  /// Which bits a write of that register accepts, whatever it does with them.
  std::uint64_t accepted_bits(MsrIndex msr) {
    std::uint64_t accepted = 0;
    for (unsigned n = 0; n < 64; ++n) {
      if (try_write(msr, bit(n)).is_done()) accepted |= bit(n);
    }
    return accepted;
  }
  std::uint64_t status_msr() { return read(msr::IA32_PERF_GLOBAL_STATUS).value(); }
  void overflow(unsigned i) {
    write(full_pmc(i), kTurn - 1);
    perf.count(1);
    pmu->before_entry();
  }
};

// ---- Which registers exist ----------------------------------------------------------------------

TEST_F(PmuVersions, EachRegisterComesWithItsVersion) {
  struct Case {
    MsrIndex msr;
    unsigned since;
  };
  constexpr unsigned kNever = 6;
  const Case cases[] = {
      {pmc(0), 1},
      {pmc(7), 1},
      {event_select(0), 1},
      {event_select(7), 1},
      {full_pmc(0), 1},
      {full_pmc(7), 1},
      {fixed(0), 2},
      {fixed(2), 2},
      {fixed(3), kNever},
      {msr::IA32_FIXED_CTR_CTRL, 2},
      {msr::IA32_PERF_GLOBAL_STATUS, 2},
      {msr::IA32_PERF_GLOBAL_CTRL, 2},
      {msr::IA32_PERF_GLOBAL_OVF_CTRL, 2},
      {msr::IA32_PERF_GLOBAL_STATUS_SET, 4},
      {msr::IA32_PERF_GLOBAL_INUSE, 4},
      {msr::IA32_PERF_CAPABILITIES, 1},
      {msr::IA32_MISC_ENABLE, 0},
      {msr::IA32_DEBUGCTL, 0},
      {msr::MSR_PERF_METRICS, kNever},
      {msr::IA32_PEBS_ENABLE, kNever},
      {msr::MSR_PEBS_DATA_CFG, kNever},
      {msr::IA32_DS_AREA, kNever},
      {msr::PERF_CTL0, kNever},
      {msr::PERF_CTR0, kNever},
      {msr::PerfCntrGlobalStatus, kNever},
      {msr::PerfCntrGlobalCtl, kNever},
  };
  for (std::uint8_t version = 1; version <= 5; ++version) {
    make(intel_config(version));
    for (const Case& each : cases) {
      EXPECT_EQ(read(each.msr).is_done(), version >= each.since)
          << std::hex << raw(each.msr) << " in version " << unsigned{version};
      EXPECT_FALSE(read(each.msr).is_not_mine()) << std::hex << raw(each.msr);
    }
  }
}

TEST_F(PmuVersions, AllCountersStartGloballyEnabledAndNoFixedOne) {
  for (std::uint8_t version = 2; version <= 5; ++version) {
    for (std::uint8_t counters = 1; counters <= 8; ++counters) {
      PmuConfig config = intel_config(version);
      config.gp_counters = counters;
      make(config);
      EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_CTRL), Access::done(bit(counters) - 1));
    }
  }
}

// ---- Which bits there are -----------------------------------------------------------------------

TEST_F(PmuVersions, StatusBitsComeWithTheirVersions) {
  constexpr std::uint64_t kCounters = 0xff | 0x7ULL << 32;
  struct Case {
    std::uint8_t version;
    std::uint64_t valid;
  };
  const Case cases[] = {
      {2, kCounters | bit(62) | bit(63)},
      {3, kCounters | bit(61) | bit(62) | bit(63)},
      {4, kCounters | bit(55) | bit(58) | bit(59) | bit(60) | bit(61) | bit(62) | bit(63)},
      {5, kCounters | bit(55) | bit(58) | bit(59) | bit(60) | bit(61) | bit(62) | bit(63)},
  };
  for (const Case& each : cases) {
    make(intel_config(each.version));
    std::uint64_t stored = 0;
    for (unsigned n = 0; n < 64; ++n) {
      if (!try_host_write(msr::IA32_PERF_GLOBAL_STATUS, bit(n)).is_done()) continue;
      stored |= bit(n);
      EXPECT_EQ(status_msr(), bit(n));
    }
    EXPECT_EQ(stored, each.valid) << unsigned{each.version};
    EXPECT_EQ(accepted_bits(msr::IA32_PERF_GLOBAL_OVF_CTRL), each.valid);
    EXPECT_EQ(accepted_bits(msr::IA32_PERF_GLOBAL_STATUS), 0u) << "read-only";
    if (each.version < 4) continue;
    EXPECT_EQ(accepted_bits(msr::IA32_PERF_GLOBAL_STATUS_SET), each.valid & ~bit(63));
    EXPECT_EQ(accepted_bits(msr::IA32_PERF_GLOBAL_INUSE), 0u) << "read-only";
  }
}

TEST_F(PmuVersions, StatusSetSetsAndStatusResetClears) {
  make(intel_config(4));
  write(msr::IA32_PERF_GLOBAL_STATUS_SET, 0x5);
  write(msr::IA32_PERF_GLOBAL_STATUS_SET, bit(33));
  EXPECT_EQ(status_msr(), 0x5 | bit(33));
  EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_STATUS_SET), Access::done(0));
  EXPECT_FALSE(pmu->has_entry_work()) << "setting a bit by hand is no PMI";
  write(msr::IA32_PERF_GLOBAL_OVF_CTRL, 0x1 | bit(33));
  EXPECT_EQ(status_msr(), 0x4u);
}

TEST_F(PmuVersions, AnyThreadIsWritableInVersions3And4UnlessDeprecatedAndChangesNothing) {
  for (std::uint8_t version = 1; version <= 5; ++version) {
    for (const bool deprecated : {true, false}) {
      PmuConfig config = intel_config(version);
      config.any_thread_deprecated = deprecated;
      make(config);
      const bool there = !deprecated && (version == 3 || version == 4);
      EXPECT_EQ(writable_bits(event_select(1)), 0xffdf'ffff | (there ? bit(21) : 0))
          << unsigned{version};
      if (version == 1) continue;
      EXPECT_EQ(writable_bits(msr::IA32_FIXED_CTR_CTRL), there ? 0xfffu : 0xbbbu);
      if (!there) continue;
      write(event_select(0), kInstructions | bit(21));
      EXPECT_EQ(perf.of(0)->attr.config, 0xc0u);
    }
  }
}

TEST_F(PmuVersions, FixedControlOfTheFourthCounterHasNoThirdBit) {
  PmuConfig config = intel_config(5);
  config.fixed_counters = 4;
  make(config);
  EXPECT_EQ(writable_bits(msr::IA32_FIXED_CTR_CTRL), 0xbbbbu);
  EXPECT_EQ(writable_bits(msr::IA32_PERF_GLOBAL_CTRL), 0xff | 0xfULL << 32);
  write(msr::IA32_PERF_GLOBAL_CTRL, bit(35));
  write(msr::IA32_FIXED_CTR_CTRL, 0x3000);
  EXPECT_EQ(perf.of(35)->attr.config, 0x0400u) << "topdown slots";
}

TEST_F(PmuVersions, TransactionBitsNeedTsxAndInTxcpCounterTwo) {
  PmuConfig config = intel_config(2);
  config.tsx = true;
  make(config);
  for (unsigned i = 0; i < 8; ++i) {
    EXPECT_EQ(writable_bits(event_select(i)), 0xffdf'ffff | bit(32) | (i == 2 ? bit(33) : 0)) << i;
  }
  write(event_select(1), kInstructions | bit(32));
  EXPECT_EQ(perf.of(1)->attr.config, 0xc0 | bit(32));
  EXPECT_EQ(perf.of(1)->attr.period, kTurn);
  write(event_select(2), kInstructions | bit(33));
  EXPECT_EQ(perf.of(2)->attr.config, 0xc0 | bit(33));
  EXPECT_EQ(perf.of(2)->attr.period, 0u) << "it only counts";
  write(full_pmc(2), kTurn - 1);
  EXPECT_EQ(perf.of(2)->attr.period, 0u) << "nor after its value was written";
}

// ---- INUSE --------------------------------------------------------------------------------------

TEST_F(PmuVersions, InuseSaysWhichSelectorsNameAnEventAndWhetherAnythingInterrupts) {
  make(intel_config(4));
  const auto inuse = [&] { return read(msr::IA32_PERF_GLOBAL_INUSE).value(); };
  EXPECT_EQ(inuse(), 0u);
  write(event_select(0), 0x00c0);
  EXPECT_EQ(inuse(), 0x1u) << "whether or not it is enabled";
  write(event_select(7), 0xff00 | kEn);
  EXPECT_EQ(inuse(), 0x1u) << "a unit mask alone is no event";
  write(msr::IA32_FIXED_CTR_CTRL, 0x120);
  EXPECT_EQ(inuse(), 0x1 | bit(33) | bit(34));
  write(msr::IA32_FIXED_CTR_CTRL, 0x008);
  EXPECT_EQ(inuse(), 0x1 | bit(63)) << "an interrupt enable is no counter enable";
  write(msr::IA32_FIXED_CTR_CTRL, 0);
  write(event_select(3), kInt);
  EXPECT_EQ(inuse(), 0x1 | bit(63));
}

// ---- Freezing -----------------------------------------------------------------------------------

TEST_F(PmuVersions, DebugControlOffersFreezingOnlyIfConfigured) {
  for (std::uint8_t version = 2; version <= 5; ++version) {
    for (const bool freeze : {false, true}) {
      PmuConfig config = intel_config(version);
      config.freeze_on_pmi = freeze;
      make(config);
      EXPECT_EQ(try_write(msr::IA32_DEBUGCTL, bit(12)).is_done(), freeze);
      EXPECT_EQ(read(msr::IA32_DEBUGCTL), Access::done(freeze ? bit(12) : 0));
      EXPECT_EQ(accepted_bits(msr::IA32_DEBUGCTL), bit(0) | bit(1) | (freeze ? bit(12) : 0));
    }
  }
}

TEST_F(PmuVersions, DebugControlOffersRtmDebuggingWithTsx) {
  PmuConfig config = intel_config(2);
  config.tsx = true;
  make(config);
  EXPECT_EQ(accepted_bits(msr::IA32_DEBUGCTL), bit(0) | bit(1) | bit(15));
  write(msr::IA32_DEBUGCTL, bit(15) | bit(1));
  EXPECT_EQ(read(msr::IA32_DEBUGCTL), Access::done(bit(15))) << "BTF is dropped";
}

TEST_F(PmuVersions, UpToVersion3APmiClearsTheEnables) {
  for (std::uint8_t version = 2; version <= 3; ++version) {
    PmuConfig config = intel_config(version);
    config.freeze_on_pmi = true;
    make(config);
    write(msr::IA32_DEBUGCTL, kFreezePerfmonOnPmi);
    write(event_select(0), kInstructions | kInt);
    write(event_select(1), kBranches);
    overflow(0);
    EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_CTRL), Access::done(0));
    EXPECT_EQ(status_msr(), 1u);
    const std::uint64_t frozen = read(pmc(1)).value();
    perf.count(10);
    EXPECT_EQ(read(pmc(0)), Access::done(0)) << "frozen on the boundary of the overflow";
    EXPECT_EQ(read(pmc(1)), Access::done(frozen));
    write(msr::IA32_PERF_GLOBAL_CTRL, 0x3);
    perf.count(10);
    EXPECT_EQ(read(pmc(0)), Access::done(10));
  }
}

TEST_F(PmuVersions, FromVersion4OnAPmiSetsABitThatFreezesUntilItIsReset) {
  for (std::uint8_t version = 4; version <= 5; ++version) {
    PmuConfig config = intel_config(version);
    config.freeze_on_pmi = true;
    make(config);
    write(msr::IA32_DEBUGCTL, kFreezePerfmonOnPmi);
    write(event_select(0), kInstructions | kInt);
    overflow(0);
    EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_CTRL), Access::done(0xff)) << "enables stay";
    EXPECT_EQ(status_msr(), 1 | kCtrFrz);
    EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kOff);
    perf.count(10);
    write(msr::IA32_PERF_GLOBAL_OVF_CTRL, 1);
    perf.count(10);
    EXPECT_EQ(read(pmc(0)), Access::done(0)) << "another bit does not thaw";
    write(msr::IA32_PERF_GLOBAL_OVF_CTRL, kCtrFrz);
    perf.count(10);
    EXPECT_EQ(read(pmc(0)), Access::done(10));
  }
}

TEST_F(PmuVersions, NothingFreezesWithoutAPmiOrUnlessAskedTo) {
  PmuConfig config = intel_config(4);
  config.freeze_on_pmi = true;
  make(config);
  write(event_select(0), kInstructions | kInt);
  overflow(0);
  EXPECT_EQ(status_msr(), 1u) << "DEBUGCTL does not ask for it";
  write(msr::IA32_DEBUGCTL, kFreezePerfmonOnPmi);
  write(event_select(0), kInstructions);
  overflow(0);
  EXPECT_EQ(status_msr(), 1u) << "no interrupt, no PMI";
}

TEST_F(PmuVersions, FreezeDoesNotDependOnWhatLvtpcMakesOfThePmi) {
  PmuConfig config = intel_config(4);
  config.freeze_on_pmi = true;
  make(config);
  sink.outcome = PmiOutcome::kMasked;
  write(msr::IA32_DEBUGCTL, kFreezePerfmonOnPmi);
  write(event_select(0), kInstructions | kInt);
  overflow(0);
  EXPECT_EQ(status_msr(), 1 | kCtrFrz);
}

TEST_F(PmuVersions, FrozenBitSetByHandFreezesToo) {
  make(intel_config(4));
  write(event_select(0), kInstructions);
  write(msr::IA32_PERF_GLOBAL_STATUS_SET, kCtrFrz);
  perf.count(10);
  EXPECT_EQ(read(pmc(0)), Access::done(0));
  host_write(msr::IA32_PERF_GLOBAL_STATUS, 0);
  pmu->before_entry();
  perf.count(10);
  EXPECT_EQ(read(pmc(0)), Access::done(10));
}

// ---- CPUID --------------------------------------------------------------------------------------

TEST_F(PmuVersions, CpuidLeaf0ASaysWhatTheVersionHas) {
  struct Case {
    std::uint8_t version;
    bool deprecated;
    std::uint32_t ecx, edx;
  };
  constexpr std::uint32_t kDeprecated = 1u << 15, kFixed = 48u << 5 | 3;
  const Case cases[] = {
      {1, true, 0, kDeprecated},
      {2, true, 0, kDeprecated | kFixed},
      {3, true, 0, kDeprecated | kFixed},
      {3, false, 0, kFixed},
      {4, false, 0, kFixed},
      {5, true, 0x7, kDeprecated | kFixed},
  };
  for (const Case& each : cases) {
    PmuConfig config = intel_config(each.version);
    config.any_thread_deprecated = each.deprecated;
    make(config);
    silicon::x86::CpuidResult result{~0u, ~0u, ~0u, ~0u};
    pmu->adjust_cpuid(0xa, result);
    EXPECT_EQ(result.eax, 8u << 24 | 48u << 16 | 8u << 8 | each.version);
    EXPECT_EQ(result.ecx, each.ecx) << unsigned{each.version};
    EXPECT_EQ(result.edx, each.edx) << unsigned{each.version};
  }
}

}  // namespace
}  // namespace vpmu::virt::x86
