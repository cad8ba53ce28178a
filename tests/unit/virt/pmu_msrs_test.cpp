// SPDX-License-Identifier: MIT
//
// Every register of the virtual PMU: which bits a guest may write, which writes fault, what reads
// give.
#include "unit/virt/pmu_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

namespace msr = silicon::x86::msr;

constexpr std::uint64_t bit(unsigned n) {
  return std::uint64_t{1} << n;
}
constexpr std::uint64_t kWidth48 = bit(48) - 1;
constexpr std::uint64_t kWidth40 = bit(40) - 1;

class PmuMsrs : public PmuFixture {
 protected:
  /// Writes each bit alone over 0: those in `writable` read back, all others fault and change
  /// nothing.
  void expect_writable_bits(MsrIndex msr, std::uint64_t writable) {
    ASSERT_EQ(try_write(msr, 0), Access::done());
    for (unsigned n = 0; n < 64; ++n) {
      const bool ok = (writable & bit(n)) != 0;
      EXPECT_EQ(try_write(msr, bit(n)), ok ? Access::done() : Access::fault())
          << std::hex << raw(msr) << " bit " << std::dec << n;
      EXPECT_EQ(read(msr), Access::done(ok ? bit(n) : 0)) << n;
      ASSERT_EQ(try_write(msr, 0), Access::done());
    }
  }
};

// ---- Reset values -------------------------------------------------------------------------------

TEST_F(PmuMsrs, ResetValuesAreThoseOfTheManual) {
  struct Case {
    MsrIndex msr;
    std::uint64_t value;
  };
  const Case cases[] = {
      {pmc(0), 0},
      {full_pmc(3), 0},
      {event_select(0), 0},
      {fixed(2), 0},
      {msr::IA32_FIXED_CTR_CTRL, 0},
      {msr::IA32_PERF_GLOBAL_STATUS, 0},
      {msr::IA32_PERF_GLOBAL_CTRL, 0xf},
      {msr::IA32_PERF_GLOBAL_OVF_CTRL, 0},
      {msr::IA32_PERF_CAPABILITIES, bit(13)},
      {msr::IA32_DEBUGCTL, 0},
      // Fast strings, a PMU, no BTS, no PEBS.
      {msr::IA32_MISC_ENABLE, bit(0) | bit(7) | bit(11) | bit(12)},
  };
  for (const Case& expected : cases) {
    EXPECT_EQ(read(expected.msr), Access::done(expected.value)) << std::hex << raw(expected.msr);
  }
}

TEST_F(PmuMsrs, ResetRestoresEveryRegister) {
  for (unsigned i = 0; i < 4; ++i) {
    write(event_select(i), kInstructions);
    write(full_pmc(i), 0x1234);
  }
  for (unsigned k = 0; k < 3; ++k) write(fixed(k), 0x1234);
  write(msr::IA32_FIXED_CTR_CTRL, 0x333);
  write(msr::IA32_PERF_GLOBAL_CTRL, 0);
  host_write(msr::IA32_PERF_GLOBAL_STATUS, 1);
  write(msr::IA32_MISC_ENABLE, read(msr::IA32_MISC_ENABLE).value() ^ 1);

  pmu->reset();

  for (unsigned i = 0; i < 4; ++i) {
    EXPECT_EQ(read(event_select(i)), Access::done(0));
    EXPECT_EQ(read(full_pmc(i)), Access::done(0));
  }
  for (unsigned k = 0; k < 3; ++k) EXPECT_EQ(read(fixed(k)), Access::done(0));
  EXPECT_EQ(read(msr::IA32_FIXED_CTR_CTRL), Access::done(0));
  EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_CTRL), Access::done(0xf));
  EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_STATUS), Access::done(0));
  EXPECT_EQ(read(msr::IA32_MISC_ENABLE).value(), bit(0) | bit(7) | bit(11) | bit(12));
  EXPECT_EQ(perf.open_events(), 0u);
}

// ---- Which MSRs exist ---------------------------------------------------------------------------

TEST_F(PmuMsrs, RegistersThatTheGuestHasNotFault) {
  const MsrIndex absent[] = {
      pmc(4),
      pmc(7),
      event_select(4),
      event_select(7),
      full_pmc(4),
      full_pmc(7),
      fixed(3),
      msr::MSR_PERF_METRICS,
      msr::IA32_PERF_GLOBAL_STATUS_SET,
      msr::IA32_PERF_GLOBAL_INUSE,
      msr::IA32_PEBS_ENABLE,
      msr::MSR_PEBS_DATA_CFG,
      msr::IA32_DS_AREA,
  };
  for (const MsrIndex index : absent) {
    EXPECT_EQ(read(index), Access::fault()) << std::hex << raw(index);
    EXPECT_EQ(try_write(index, 0), Access::fault()) << std::hex << raw(index);
  }
}

TEST_F(PmuMsrs, RegistersOfOthersAreNotMine) {
  for (const std::uint32_t index :
       {0x10u, 0x1bu, 0xc0u, 0xc9u, 0x185u, 0x18eu, 0x308u, 0x30du, 0x38cu, 0x393u, 0x4c0u, 0x4c9u,
        0x6e0u, 0x834u, 0xc0000080u, 0xc000ffffu, 0xc0010008u, 0xffffffffu}) {
    EXPECT_EQ(read(MsrIndex{index}), Access::not_mine()) << std::hex << index;
    EXPECT_EQ(try_write(MsrIndex{index}, 0), Access::not_mine()) << std::hex << index;
  }
}

TEST_F(PmuMsrs, OldRegistersOfAnAbsentPmuReadZeroAndForgetWrites) {
  make(no_pmu(silicon::x86::Vendor::kIntel));
  for (const std::uint32_t index :
       {0xc1u, 0xc2u, 0x186u, 0x187u, 0xc0010000u, 0xc0010003u, 0xc0010004u, 0xc0010007u}) {
    EXPECT_EQ(try_write(MsrIndex{index}, ~0ULL), Access::done()) << std::hex << index;
    EXPECT_EQ(read(MsrIndex{index}), Access::done(0)) << std::hex << index;
  }
  for (const std::uint32_t index :
       {0xc3u, 0x188u, 0x309u, 0x38du, 0x38eu, 0x38fu, 0x390u, 0x4c1u}) {
    EXPECT_EQ(read(MsrIndex{index}), Access::fault()) << std::hex << index;
    EXPECT_EQ(try_write(MsrIndex{index}, 0), Access::fault()) << std::hex << index;
  }
}

TEST_F(PmuMsrs, OldRegistersBeyondTheCountersAreForgivenToo) {
  PmuConfig one = kVersion2;
  one.gp_counters = 1;
  make(one);
  EXPECT_EQ(try_write(pmc(0), 5), Access::done());
  EXPECT_EQ(read(pmc(0)), Access::done(5));
  EXPECT_EQ(try_write(pmc(1), 5), Access::done());
  EXPECT_EQ(read(pmc(1)), Access::done(0));
  EXPECT_EQ(try_write(event_select(1), ~0ULL), Access::done());
  EXPECT_EQ(read(full_pmc(1)), Access::fault());
}

TEST_F(PmuMsrs, Version1HasCountersButNoGlobalRegisters) {
  make(kVersion1);
  EXPECT_EQ(try_write(event_select(1), kInstructions), Access::done());
  EXPECT_EQ(try_write(pmc(1), 7), Access::done());
  for (const MsrIndex index :
       {fixed(0), msr::IA32_FIXED_CTR_CTRL, msr::IA32_PERF_GLOBAL_STATUS,
        msr::IA32_PERF_GLOBAL_CTRL, msr::IA32_PERF_GLOBAL_OVF_CTRL, full_pmc(0)}) {
    EXPECT_EQ(read(index), Access::fault()) << std::hex << raw(index);
    EXPECT_EQ(try_write(index, 0), Access::fault()) << std::hex << raw(index);
  }
}

// ---- Bits ---------------------------------------------------------------------------------------

TEST_F(PmuMsrs, EventSelectHasEveryBitButAnyThreadAndTheUpperHalf) {
  for (unsigned i = 0; i < 4; ++i) expect_writable_bits(event_select(i), 0xffdf'ffff);
}

TEST_F(PmuMsrs, FixedControlHasThreeBitsPerExistingCounter) {
  expect_writable_bits(msr::IA32_FIXED_CTR_CTRL, 0xbbb);
}

TEST_F(PmuMsrs, GlobalControlHasOneBitPerExistingCounter) {
  expect_writable_bits(msr::IA32_PERF_GLOBAL_CTRL, 0xf | 0x7ULL << 32);
}

TEST_F(PmuMsrs, ReservedBitFaultsEvenIfNothingElseChanges) {
  write(event_select(0), kInstructions);
  EXPECT_EQ(try_write(event_select(0), kInstructions | bit(21)), Access::fault());
  EXPECT_EQ(read(event_select(0)), Access::done(kInstructions));
}

TEST_F(PmuMsrs, GlobalStatusIsReadOnlyToTheGuest) {
  EXPECT_EQ(try_write(msr::IA32_PERF_GLOBAL_STATUS, 0), Access::fault());
  EXPECT_EQ(try_write(msr::IA32_PERF_GLOBAL_STATUS, 1), Access::fault());
}

TEST_F(PmuMsrs, HostMayWriteTheValidBitsOfGlobalStatus) {
  const std::uint64_t valid = 0xf | 0x7ULL << 32 | bit(62) | bit(63);
  for (unsigned n = 0; n < 64; ++n) {
    const bool ok = (valid & bit(n)) != 0;
    EXPECT_EQ(try_host_write(msr::IA32_PERF_GLOBAL_STATUS, bit(n)),
              ok ? Access::done() : Access::fault())
        << n;
    if (ok) {
      EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_STATUS), Access::done(bit(n)));
    }
  }
}

TEST_F(PmuMsrs, OverflowControlClearsWhatIsWrittenAndFaultsOnReservedBits) {
  const std::uint64_t valid = 0xf | 0x7ULL << 32 | bit(62) | bit(63);
  for (unsigned n = 0; n < 64; ++n) {
    host_write(msr::IA32_PERF_GLOBAL_STATUS, valid);
    const bool ok = (valid & bit(n)) != 0;
    EXPECT_EQ(try_write(msr::IA32_PERF_GLOBAL_OVF_CTRL, bit(n)),
              ok ? Access::done() : Access::fault());
    EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_STATUS), Access::done(ok ? valid & ~bit(n) : valid)) << n;
    EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_OVF_CTRL), Access::done(0));
  }
}

TEST_F(PmuMsrs, OverflowControlWrittenByTheHostDoesNothing) {
  host_write(msr::IA32_PERF_GLOBAL_STATUS, 3);
  EXPECT_EQ(try_host_write(msr::IA32_PERF_GLOBAL_OVF_CTRL, ~0ULL), Access::done());
  EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_STATUS), Access::done(3));
}

// ---- Counters -----------------------------------------------------------------------------------

TEST_F(PmuMsrs, LegacyCounterWriteIs32BitsSignExtendedToTheWidth) {
  struct Case {
    std::uint64_t written, read;
  };
  const Case cases[] = {
      {0, 0},
      {0x7fff'ffff, 0x7fff'ffff},
      {0x8000'0000, kWidth48 & ~0x7fff'ffffULL},
      {0xffff'ffff, kWidth48},
      {0x1234'5678'0000'0001, 1},
      {0xffff'ffff'7fff'ffff, 0x7fff'ffff},
      {~0ULL, kWidth48},
  };
  for (unsigned i = 0; i < 4; ++i) {
    for (const Case& expected : cases) {
      EXPECT_EQ(try_write(pmc(i), expected.written), Access::done());
      EXPECT_EQ(read(pmc(i)), Access::done(expected.read)) << std::hex << expected.written;
      EXPECT_EQ(read(full_pmc(i)), Access::done(expected.read)) << "the same storage";
    }
  }
}

TEST_F(PmuMsrs, LegacyCounterWriteByTheHostIsTheWholeValue) {
  EXPECT_EQ(try_host_write(pmc(0), 0x9234'8000'0000), Access::done());
  EXPECT_EQ(read(pmc(0)), Access::done(0x9234'8000'0000));
  EXPECT_EQ(try_host_write(pmc(0), ~0ULL), Access::done());
  EXPECT_EQ(read(pmc(0)), Access::done(kWidth48));
}

TEST_F(PmuMsrs, FullWidthCounterFaultsAboveItsWidth) {
  for (unsigned n = 0; n < 64; ++n) {
    EXPECT_EQ(try_write(full_pmc(0), bit(n)), n < 48 ? Access::done() : Access::fault()) << n;
  }
  EXPECT_EQ(try_write(full_pmc(0), kWidth48), Access::done());
  EXPECT_EQ(read(full_pmc(0)), Access::done(kWidth48));
  EXPECT_EQ(try_host_write(full_pmc(0), bit(48)), Access::fault());
}

TEST_F(PmuMsrs, FullWidthCountersNeedTheirCapability) {
  PmuConfig config = kVersion2;
  config.perf_capabilities = 0;
  make(config);
  EXPECT_EQ(read(full_pmc(0)), Access::fault());
  EXPECT_EQ(try_write(full_pmc(0), 0), Access::fault());
  EXPECT_EQ(try_write(pmc(0), 0), Access::done());
}

TEST_F(PmuMsrs, FixedCounterIsTruncatedToItsWidth) {
  for (unsigned k = 0; k < 3; ++k) {
    EXPECT_EQ(try_write(fixed(k), ~0ULL), Access::done());
    EXPECT_EQ(read(fixed(k)), Access::done(kWidth40));
  }
}

// ---- PERF_CAPABILITIES, MISC_ENABLE, DEBUGCTL ---------------------------------------------------

TEST_F(PmuMsrs, PerfCapabilitiesCannotBeWrittenByTheGuestNotEvenWithItsValue) {
  EXPECT_EQ(try_write(msr::IA32_PERF_CAPABILITIES, bit(13)), Access::fault());
  EXPECT_EQ(try_write(msr::IA32_PERF_CAPABILITIES, 0), Access::fault());
}

TEST_F(PmuMsrs, PerfCapabilitiesTakeNothingFromTheHostThatIsNotOffered) {
  EXPECT_EQ(try_host_write(msr::IA32_PERF_CAPABILITIES, bit(13)), Access::done());
  for (unsigned n = 0; n < 64; ++n) {
    if (n == 13) continue;
    EXPECT_EQ(try_host_write(msr::IA32_PERF_CAPABILITIES, bit(13) ^ bit(n)), Access::fault()) << n;
    EXPECT_EQ(host_read(msr::IA32_PERF_CAPABILITIES), Access::done(bit(13)));
  }
}

TEST_F(PmuMsrs, PerfCapabilitiesWithoutPdcmFaultForTheGuestAndAreZeroForTheHost) {
  make(kVersion1);
  EXPECT_EQ(read(msr::IA32_PERF_CAPABILITIES), Access::fault());
  EXPECT_EQ(pmu->read_msr(msr::IA32_PERF_CAPABILITIES, Initiator::kHost), Access::done(0));
  EXPECT_EQ(try_host_write(msr::IA32_PERF_CAPABILITIES, 0), Access::done());
  EXPECT_EQ(try_host_write(msr::IA32_PERF_CAPABILITIES, 1), Access::fault());
}

TEST_F(PmuMsrs, MiscEnableKeepsItsPmuBitAndFaultsOnTheUnavailableOnes) {
  const std::uint64_t reset = read(msr::IA32_MISC_ENABLE).value();
  EXPECT_EQ(try_write(msr::IA32_MISC_ENABLE, reset ^ bit(7)), Access::done());
  EXPECT_EQ(read(msr::IA32_MISC_ENABLE), Access::done(reset));
  EXPECT_EQ(try_write(msr::IA32_MISC_ENABLE, reset ^ bit(11)), Access::fault());
  EXPECT_EQ(try_write(msr::IA32_MISC_ENABLE, reset ^ bit(12)), Access::fault());
  EXPECT_EQ(read(msr::IA32_MISC_ENABLE), Access::done(reset));
  EXPECT_EQ(try_write(msr::IA32_MISC_ENABLE, reset ^ bit(0)), Access::done());
  EXPECT_EQ(read(msr::IA32_MISC_ENABLE), Access::done(reset ^ bit(0)));
}

TEST_F(PmuMsrs, MiscEnableShowsThatThereIsNoPmu) {
  make(no_pmu(silicon::x86::Vendor::kIntel));
  EXPECT_EQ(read(msr::IA32_MISC_ENABLE).value() & bit(7), 0u);
}

TEST_F(PmuMsrs, DebugControlDropsLbrAndBtfAndFaultsOnTheRest) {
  for (unsigned n = 0; n < 64; ++n) {
    EXPECT_EQ(try_write(msr::IA32_DEBUGCTL, bit(n)), n < 2 ? Access::done() : Access::fault()) << n;
    EXPECT_EQ(read(msr::IA32_DEBUGCTL), Access::done(0));
  }
  EXPECT_EQ(try_write(msr::IA32_DEBUGCTL, 0), Access::done());
}

// ---- RDPMC --------------------------------------------------------------------------------------

TEST_F(PmuMsrs, RdpmcFaultsUnlessTypeAndIndexExist) {
  struct Case {
    std::uint32_t ecx;
    bool ok;
  };
  const Case cases[] = {
      {0, true},           {3, true},           {4, false},          {64, false},
      {0xffff, false},     {0x40000000, true},  {0x40000002, true},  {0x40000003, false},
      {0x4000ffff, false}, {0x20000000, false}, {0x80000000, false}, {0xc0000000, false},
      {0x00010000, false}, {0x00010001, false}, {0x00010002, false}, {0x40010000, false},
      {0xffffffff, false},
  };
  for (const Case& expected : cases) {
    EXPECT_EQ(pmu->rdpmc(expected.ecx, true), expected.ok ? Access::done(0) : Access::fault())
        << std::hex << expected.ecx;
    EXPECT_EQ(pmu->rdpmc(expected.ecx, false), Access::fault()) << std::hex << expected.ecx;
  }
}

TEST_F(PmuMsrs, RdpmcReadsTheCounterMaskedToItsWidth) {
  write(full_pmc(2), 0x8765'4321'0fed);
  write(fixed(1), kWidth40 - 1);
  EXPECT_EQ(pmu->rdpmc(2, true), Access::done(0x8765'4321'0fed));
  EXPECT_EQ(pmu->rdpmc(0x40000001, true), Access::done(kWidth40 - 1));
}

TEST_F(PmuMsrs, RdpmcWithoutPmuFaults) {
  make(no_pmu(silicon::x86::Vendor::kIntel));
  for (const std::uint32_t ecx : {0u, 0x40000000u, 0x10000u}) {
    EXPECT_EQ(pmu->rdpmc(ecx, true), Access::fault());
  }
}

// ---- CPUID --------------------------------------------------------------------------------------

TEST_F(PmuMsrs, CpuidLeaf0AIsTheGuestsShare) {
  silicon::x86::CpuidResult result{~0u, ~0u, ~0u, ~0u};
  pmu->adjust_cpuid(0xa, result);
  EXPECT_EQ(result.eax, 8u << 24 | 48u << 16 | 4u << 8 | 2u);
  EXPECT_EQ(result.ebx, 0x98u);
  EXPECT_EQ(result.ecx, 0u);
  EXPECT_EQ(result.edx, 1u << 15 | 40u << 5 | 3u);
}

TEST_F(PmuMsrs, CpuidWithoutPmuSaysSo) {
  make(no_pmu(silicon::x86::Vendor::kIntel));
  silicon::x86::CpuidResult result{~0u, ~0u, ~0u, ~0u};
  pmu->adjust_cpuid(0xa, result);
  EXPECT_EQ(result, silicon::x86::CpuidResult{});
  result.ecx = ~0u;
  pmu->adjust_cpuid(0x1, result);
  EXPECT_EQ(result.ecx, ~(1u << 15)) << "no PDCM";
}

TEST_F(PmuMsrs, CpuidHasNoArchitecturalBranchRecordsThatAreNotOffered) {
  silicon::x86::CpuidResult result{~0u, ~0u, ~0u, ~0u};
  pmu->adjust_cpuid(0x7, result);
  EXPECT_EQ(result.edx, ~(1u << 19));
  pmu->adjust_cpuid(0x1c, result);
  EXPECT_EQ(result, silicon::x86::CpuidResult{});
}

TEST_F(PmuMsrs, CpuidLeavesOfOthersAreLeftAlone) {
  const silicon::x86::CpuidResult before{1, 2, 3, 4};
  for (const std::uint32_t leaf : {0u, 2u, 7u, 0xbu, 0x40000000u, 0x80000001u}) {
    silicon::x86::CpuidResult result = before;
    pmu->adjust_cpuid(leaf, result);
    EXPECT_EQ(result, before) << leaf;
  }
}

}  // namespace
}  // namespace vpmu::virt::x86
