// SPDX-License-Identifier: MIT
//
// Every RDMSR of last branch records that the guests of guests/x86/lbr execute, compared with what
// the branches were that the guest took: as found out by stepping through it, and put into the
// reference records.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "guest/branch_steps.hpp"
#include "machine/machine.hpp"
#include "property/reference_lbr.hpp"
#include "unit/machine/machine_fixture.hpp"
#include "vpmu/silicon/x86/lbr_registers.hpp"
#include "vpmu/silicon/x86/msrs.hpp"
#include "vpmu/silicon/x86/pmu_registers.hpp"
#include "vpmu/virt/x86/pmu_request.hpp"

namespace vpmu::test {
namespace {

using machine::Machine;
using property::ReferenceLbr;
using silicon::x86::DebugCtl;
using silicon::x86::GlobalStatus;
using silicon::x86::LbrInfo;
using silicon::x86::LbrModel;
using silicon::x86::TakenBranch;
namespace msr = silicon::x86::msr;

struct Case {
  const char* name;
  const char* guest;
  const char* cpu;
  const char* append;
  unsigned vcpus = 1;
  unsigned host_cpus = 1;
  std::optional<unsigned> version{};
  std::size_t least_reads = 0;  ///< of records that are not 0
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

/// What one vCPU's records have to be.
class Truth {
 public:
  explicit Truth(const LbrModel& model) : model_{model}, reference_{model} {}

  void follow(const BranchStep& step) {
    for (const TakenBranch& branch : step.branches) {
      if (!recording()) continue;
      if (reference_.looks_at(branch)) ++recorded_;
      reference_.retire(branch);
    }
    if (step.access != BranchStep::Access::kWrite) return;
    constexpr std::uint64_t kFrozen = mask_of(GlobalStatus::kLbrFrz);
    if (step.msr == raw(msr::IA32_DEBUGCTL)) debug_control_ = step.value;
    if (step.msr == raw(msr::IA32_PERF_GLOBAL_STATUS_SET)) frozen_ |= (step.value & kFrozen) != 0;
    if (step.msr == raw(msr::IA32_PERF_GLOBAL_OVF_CTRL)) frozen_ &= (step.value & kFrozen) == 0;
    if (reference_.has(step.msr)) {
      EXPECT_TRUE(reference_.write(step.msr, step.value)) << std::hex << step.msr;
    }
  }
  /// A counter that asks for it has overflowed.
  void overflow(bool streamlined) {
    if ((debug_control_ & mask_of(DebugCtl::kFreezeLbrsOnPmi)) == 0) return;
    if (streamlined) {
      frozen_ = true;
    } else {
      debug_control_ &= ~mask_of(DebugCtl::kLbr);
    }
  }
  [[nodiscard]] bool recording() const {
    if (frozen_) return false;
    return model_.architectural() || (debug_control_ & mask_of(DebugCtl::kLbr)) != 0;
  }
  [[nodiscard]] std::optional<std::uint64_t> read(std::uint32_t index) const {
    return reference_.has(index) ? reference_.read(index) : std::nullopt;
  }
  /// Bits of the register that only whoever records can know.
  [[nodiscard]] std::uint64_t unknown(std::uint32_t index, bool cycles) const {
    if (!model_.has_info()) {
      return index - raw(model_.from) < model_.depth ? std::uint64_t{1} << 63 : 0;
    }
    if (index - raw(model_.info) >= model_.depth) return 0;
    return mask_of(LbrInfo::kMispredicted) | (cycles ? 0 : mask_of(LbrInfo::kCycles));
  }
  [[nodiscard]] std::size_t recorded() const { return recorded_; }

 private:
  const LbrModel model_;
  ReferenceLbr reference_;
  std::uint64_t debug_control_ = 0;
  bool frozen_ = false;
  std::size_t recorded_ = 0;
};

class LbrTruth : public testing::TestWithParam<Case> {
 protected:
  StringConsole console;
  std::unique_ptr<Machine> machine;
  std::vector<Truth> truths;

  void boot() {
    const Case& c = GetParam();
    const auto* model = silicon::x86::find_cpu_model(c.cpu);
    ASSERT_NE(model, nullptr);
    virt::x86::PmuRequest request;
    request.lbr = true;
    request.version = c.version;
    auto pmu = virt::x86::restrict_pmu(*model, request);
    ASSERT_TRUE(pmu.has_value()) << pmu.error().message;
    machine::MachineConfig config;
    config.model = model;
    config.vcpus = c.vcpus;
    config.host_cpus = c.host_cpus;
    config.memory_bytes = std::uint64_t{32} << 20;
    config.pmu = *pmu;
    auto created = Machine::create(config, console);
    ASSERT_TRUE(created.has_value()) << created.error().message;
    machine = std::move(*created);
    const auto loaded =
        machine->load({std::string{VPMU_GUESTS "/"} + c.guest + ".elf", c.append, {}});
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    for (unsigned vcpu = 0; vcpu < c.vcpus; ++vcpu) truths.emplace_back(model->lbr);
  }

  /// Counters that have overflowed.
  [[nodiscard]] std::uint64_t overflows() const {
    constexpr std::uint64_t kCounters = (std::uint64_t{1} << 36) - 1;
    return machine->vcpus()[0]->save().pmu.global_status & kCounters;
  }
};

TEST_P(LbrTruth, EveryRecordThatTheGuestReadsIsABranchThatItTook) {
  ASSERT_NO_FATAL_FAILURE(boot());
  const bool alone = GetParam().vcpus == 1;
  const std::string guest = GetParam().guest;
  const bool freezes = guest == "lbr_pmi" || guest == "lbr_record";
  const bool streamlined = machine->pmu_config().version >= 4;
  BranchSteps steps{*machine};
  std::size_t compared = 0;
  std::uint64_t overflows_before = 0;
  while (auto step = steps.step()) {
    Truth& truth = truths[step->vcpu];
    const std::uint64_t overflows_now = freezes ? overflows() : 0;
    const bool overflow = (overflows_now & ~overflows_before) != 0;
    overflows_before = overflows_now;
    // An interrupt that comes in this step comes behind it.
    if (overflow && step->into_handler) truth.overflow(streamlined);
    truth.follow(*step);
    if (overflow && !step->into_handler) truth.overflow(streamlined);
    if (step->access != BranchStep::Access::kRead) continue;
    const auto expected = truth.read(step->msr);
    if (!expected) continue;
    const std::uint64_t unknown = truth.unknown(step->msr, alone);
    ASSERT_EQ(step->value & ~unknown, *expected & ~unknown)
        << "MSR " << std::hex << step->msr << " on vCPU " << step->vcpu << " at instruction "
        << std::dec << machine->instructions() << "\n"
        << console.output;
    compared += *expected != 0 ? 1 : 0;
  }
  EXPECT_EQ(steps.problem(), "");
  ASSERT_TRUE(steps.outcome().has_value());
  EXPECT_EQ(steps.outcome()->reason, machine::Outcome::Reason::kDebugExit);
  EXPECT_EQ(steps.outcome()->value, 0u) << console.output;
  EXPECT_GE(compared, GetParam().least_reads);
}

constexpr Case kCases[] = {
    {"registers_haswell", "lbr_registers", "haswell-server", "", 1, 1, {}, 300},
    {"history_haswell", "lbr_history", "haswell-server", "", 1, 1, {}, 300},
    {"callstack_haswell", "lbr_callstack", "haswell-server", "", 1, 1, {}, 300},
    {"pmi_haswell", "lbr_pmi", "haswell-server", "count=5 period=251", 1, 1, {}, 300},
    {"registers_skylake", "lbr_registers", "skylake-server", "", 1, 1, {}, 500},
    {"registers_sapphire_rapids", "lbr_registers", "sapphire-rapids", "", 1, 1, {}, 500},
    {"history_skylake", "lbr_history", "skylake-server", "", 1, 1, {}, 500},
    {"history_icelake", "lbr_history", "icelake-server", "", 1, 1, {}, 500},
    {"history_sapphire_rapids", "lbr_history", "sapphire-rapids", "", 1, 1, {}, 500},
    {"filters_icelake", "lbr_filters", "icelake-server", "", 1, 1, {}, 5000},
    {"filters_sapphire_rapids", "lbr_filters", "sapphire-rapids", "", 1, 1, {}, 5000},
    {"callstack_icelake", "lbr_callstack", "icelake-server", "", 1, 1, {}, 500},
    {"callstack_sapphire_rapids", "lbr_callstack", "sapphire-rapids", "", 1, 1, {}, 500},
    {"pmi_icelake", "lbr_pmi", "icelake-server", "count=5 period=251", 1, 1, {}, 500},
    {"pmi_icelake_v4", "lbr_pmi", "icelake-server", "count=5 period=251", 1, 1, 4, 500},
    {"pmi_sapphire_rapids", "lbr_pmi", "sapphire-rapids", "count=5 period=251", 1, 1, {}, 500},
    {"record_skylake", "lbr_record", "skylake-server", "count=5", 1, 1, {}, 300},
    {"record_any_sapphire_rapids", "lbr_record", "sapphire-rapids", "count=5 any", 1, 1, {}, 300},
    {"branchy_skylake", "branchy", "skylake-server", "lbr=on rounds=1", 1, 1, {}, 96},
    {"two_vcpus_skylake", "lbr_two_vcpus", "skylake-server", "rounds=2 cpus=2", 2, 1, {}, 300},
    {"two_vcpus_sapphire_rapids",
     "lbr_two_vcpus",
     "sapphire-rapids",
     "rounds=2 cpus=2",
     2,
     1,
     {},
     300},
};
INSTANTIATE_TEST_SUITE_P(Guests, LbrTruth, testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string{test.param.name}; });

}  // namespace
}  // namespace vpmu::test
