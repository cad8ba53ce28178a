// SPDX-License-Identifier: MIT
//
// For whom a vCPU's branches are recorded while host and guest both want the unit.
#include <gtest/gtest.h>

#include "unit/machine/machine_fixture.hpp"
#include "vpmu/hostperf/lbr_host.hpp"
#include "vpmu/virt/x86/pmu_request.hpp"

namespace vpmu::machine {
namespace {

using test::Code;
using test::operator+;

class LbrRecordingTest : public test::MachineTest {
 protected:
  static constexpr std::uint32_t kTos = 0x1c9;

  LbrRecordingTest() {
    const auto pmu = virt::x86::restrict_pmu(*config.model, {.lbr = true});
    EXPECT_TRUE(pmu.has_value());
    if (pmu) config.pmu = *pmu;
  }
  /// 101 taken branches, which is no multiple of the depth.
  static Code branches() {
    // MOV EBX, 102; DEC EBX; JNZ back.
    return {0xbb, 102, 0, 0, 0, 0xff, 0xcb, 0x75, 0xfc};
  }
};

TEST_F(LbrRecordingTest, AGuestThatTakesTheUnitFromTheHostRecordsOnlyWhatItAsksFor) {
  config.host_events = {
      {.name = "branches", .attr = {.config = 0x3c, .branch_type = hostperf::kBranchAny}}};
  // The first access takes the unit; IA32_DEBUGCTL.LBR stays clear.
  const Outcome outcome =
      run(test::rdmsr(kTos) + branches() + test::rdmsr(kTos) + test::exit_with_eax());
  EXPECT_EQ(outcome.value, 0u) << "LBR_TOS went on without LBR";
}

class CountingTrace final : public TraceSink {
 public:
  unsigned reads = 0, writes = 0, exits = 0;

  void msr_read(const Where&, MsrIndex, const Access&) override { ++reads; }
  void msr_write(const Where&, MsrIndex, std::uint64_t, const Access&) override { ++writes; }
  void exit(const Where&, virt::ExitReason reason) override {
    exits += reason == virt::ExitReason::kMsrRead || reason == virt::ExitReason::kMsrWrite;
  }
  void interrupt(const Where&, std::uint8_t) override {}
  void nmi(const Where&) override {}
};

TEST_F(LbrRecordingTest, AccessesThatArePassedThroughAreNoExitsButTraced) {
  CountingTrace trace;
  config.trace = &trace;
  (void)run(test::rdmsr(kTos) + test::rdmsr(kTos) + test::rdmsr(kTos) + test::wrmsr(kTos, 3) +
            test::exit_with_eax());
  EXPECT_EQ(trace.reads, 3u);
  EXPECT_EQ(trace.writes, 1u);
  EXPECT_EQ(trace.exits, 1u) << "the access that creates the event";
  EXPECT_EQ(machine->vcpus().front()->direct_lbr(), (DirectLbrAccesses{.reads = 2, .writes = 1}));
}

}  // namespace
}  // namespace vpmu::machine
