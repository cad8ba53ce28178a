// SPDX-License-Identifier: MIT
#include "machine/profiler/profiler.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "unit/profiler/collected_samples.hpp"
#include "vpmu/hostperf/lbr_host.hpp"

namespace vpmu::test {
namespace {

using hostperf::SampledMode;
using machine::ProfilerConfig;
using machine::SamplingTotals;

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

class ProfilerTest : public ProfiledMachineTest {
 protected:
  [[nodiscard]] std::uint64_t ns(std::uint64_t cycles) const {
    return machine->board().clock.from_cycles(cycles, kNsPerSecond);
  }
};

/// 1,000 NOPs and a jump back to the first: 1,001 instructions, and as many addresses from kEntry.
Code lap() {
  Code code(1'000, 0x90);
  return code + Code{0xe9} + little_endian(static_cast<std::uint32_t>(-1'005), 4);
}

TEST_F(ProfilerTest, SamplesExactlyEveryPeriod) {
  profile(lap(), {.events = {every(100)}}, {.instructions = 5'000});
  ASSERT_EQ(sink.samples.size(), 50u);
  for (std::size_t n = 0; n < sink.samples.size(); ++n) {
    const auto& sample = sink.samples[n];
    EXPECT_EQ(sample.ip, kEntry + 100 * (n + 1) % 1'001);
    EXPECT_EQ(sample.period, 100u);
    EXPECT_EQ(sample.mode, SampledMode::kGuestKernel);
    EXPECT_EQ(sample.vcpu, 0u);
    EXPECT_EQ(sample.host_cpu, hostperf::HostCpu{0});
    EXPECT_EQ(sample.event, 0u);
    EXPECT_FALSE(sample.exact);
    EXPECT_TRUE(sample.chain.empty());
    EXPECT_TRUE(sample.stack.empty());
  }
}

TEST_F(ProfilerTest, PreciseSamplesAreOneInstructionEarlier) {
  profile(lap(), {.events = {precise(every(100))}}, {.instructions = 5'000});
  ASSERT_EQ(sink.samples.size(), 50u);
  for (std::size_t n = 0; n < sink.samples.size(); ++n) {
    EXPECT_EQ(sink.samples[n].ip, kEntry + (100 * (n + 1) - 1) % 1'001);
    EXPECT_TRUE(sink.samples[n].exact);
  }
}

TEST_F(ProfilerTest, TimeIsMachineTime) {
  profile(forever(), {.events = {every(10'000)}}, {.instructions = 10'000});
  ASSERT_EQ(sink.samples.size(), 1u);
  EXPECT_EQ(sink.samples[0].time_ns, ns(machine->now()));
}

TEST_F(ProfilerTest, TotalsAreOfTheEvent) {
  profile(forever(), {.events = {every(1'000), every(3'000, kBranches)}}, {.instructions = 10'500});
  const auto totals = profiler->totals();
  ASSERT_EQ(totals.size(), 2u);
  EXPECT_EQ(totals[0].samples, 10u);
  EXPECT_EQ(totals[0].count, 10'500u);
  EXPECT_EQ(totals[0].time_enabled_ns, ns(machine->now()));
  EXPECT_EQ(totals[0].time_running_ns, totals[0].time_enabled_ns);
  EXPECT_EQ(totals[0].in_error, 0u);
  EXPECT_EQ(totals[1].samples, 3u);
  EXPECT_EQ(totals[1].count, 10'500u);
}

// ---- What is interrupted ------------------------------------------------------------------------

/// Runs a guest image to its end.
class ProfiledGuestTest : public ProfilerTest {
 protected:
  void load_guest(const std::string& name, const std::string& arguments = {}) {
    profiler.reset();
    console.output.clear();
    config.memory_bytes = std::uint64_t{128} << 20;
    auto created = machine::Machine::create(config, console);
    ASSERT_TRUE(created.has_value()) << created.error().message;
    machine = std::move(*created);
    const auto loaded = machine->load({VPMU_GUESTS "/" + name + ".elf", arguments, {}});
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  }
};

TEST_F(ProfiledGuestTest, UserAndKernelAreToldApart) {
  machine::SamplingEvent user = every(10'000), kernel = user;
  user.attr.exclude_kernel = true;
  kernel.attr.exclude_user = true;
  load_guest("profiled", "parts=2");
  attach({.events = {user, kernel, every(10'000)}});
  machine->run({});
  std::map<std::uint32_t, std::map<SampledMode, std::size_t>> found;
  for (const auto& sample : sink.samples) ++found[sample.event][sample.mode];
  // 70 % of 2,000,000 instructions are in user mode, 30 % and a little more in kernel mode.
  EXPECT_EQ(found[0].size(), 1u);
  EXPECT_NEAR(static_cast<double>(found[0][SampledMode::kGuestUser]), 140, 1);
  EXPECT_EQ(found[1].size(), 1u);
  EXPECT_NEAR(static_cast<double>(found[1][SampledMode::kGuestKernel]), 62, 2);
  EXPECT_NEAR(static_cast<double>(found[2][SampledMode::kGuestUser]), 140, 1);
  EXPECT_NEAR(static_cast<double>(found[2][SampledMode::kGuestKernel]), 62, 2);
}

TEST_F(ProfiledGuestTest, NoSampleIsOfAPrivilegeThatItsEventExcludes) {
  machine::SamplingEvent user = every(1), kernel = every(1);
  user.attr.exclude_kernel = true;
  kernel.attr.exclude_user = true;
  load_guest("privilege");
  attach({.events = {user, kernel}, .callchain_depth = 8});
  machine->run({});
  std::array<std::uint64_t, 2> exact{};
  for (const auto& sample : sink.samples) {
    ASSERT_EQ(sample.mode, sample.event == 0 ? SampledMode::kGuestUser : SampledMode::kGuestKernel);
    if (sample.exact) ++exact[sample.event];
  }
  const auto totals = profiler->totals();
  EXPECT_EQ(totals[0].samples, totals[0].count);
  EXPECT_EQ(totals[1].samples, totals[1].count);
  // The last instruction before each change.
  EXPECT_GT(exact[0], 0u);
  EXPECT_LT(exact[0], totals[0].count / 2);
  EXPECT_GT(exact[1], 0u);
  EXPECT_LT(exact[1], totals[1].count / 100);
}

TEST_F(ProfiledGuestTest, CallStacksReachTheOutermostFrameInUserAndKernelMode) {
  load_guest("profiled", "parts=1 depth=10");
  attach({.events = {precise(every(10'007))}, .callchain_depth = 127});
  machine->run({});
  std::map<std::size_t, unsigned> user, kernel;
  for (const auto& sample : sink.samples) {
    ASSERT_FALSE(sample.chain.empty());
    EXPECT_EQ(sample.chain.front(), sample.ip);
    ++(sample.mode == SampledMode::kGuestUser ? user : kernel)[sample.chain.size()];
  }
  // most, inner, middle (11 times), user_work, user_begin.
  EXPECT_EQ(user.size(), 1u);
  EXPECT_EQ(user[15], 70u);
  // fifth, descend (11 times), branch, kernel_work, part, run_parts, guest_main, runtime_start,
  // boot code; and tenth, leaf, then the same from branch on.
  EXPECT_NEAR(kernel[19], 20, 1);
  EXPECT_NEAR(kernel[9], 10, 1);
}

TEST_F(ProfilerTest, AnEventThatExcludesGuestsHasNothingToSample) {
  machine::SamplingEvent host = every(100);
  host.attr.exclude_guest = true;
  profile(forever(), {.events = {host}}, {.instructions = 10'000});
  EXPECT_TRUE(sink.samples.empty());
  EXPECT_EQ(profiler->totals()[0].count, 0u);
}

TEST_F(ProfiledGuestTest, AGuestThatUsesAllOfItsPmuFindsRoomForIt) {
  for (const char* model : {"icelake-server", "sapphire-rapids", "zen4"}) {
    config.model = silicon::x86::find_cpu_model(model);
    load_guest("workload", "rounds=1 counters=all");
    machine->run({});
    const std::string alone = console.output;
    load_guest("workload", "rounds=1 counters=all");
    attach({.events = std::vector<machine::SamplingEvent>(16, every(100'000))});
    machine->run({});
    EXPECT_EQ(console.output, alone) << model;
    EXPECT_NE(alone.find("checksum"), std::string::npos) << alone;
  }
}

TEST_F(ProfilerTest, WithoutCallbacksASampleIsTheHosts) {
  load(forever());
  attach({.events = {precise(every(100))}, .callchain_depth = 16});
  provider.reset();
  machine->run({.instructions = 1'000});
  ASSERT_EQ(sink.samples.size(), 10u);
  for (const auto& sample : sink.samples) {
    EXPECT_EQ(sample.mode, SampledMode::kHostKernel);
    EXPECT_EQ(sample.ip, 0u);
    EXPECT_FALSE(sample.exact);
    EXPECT_TRUE(sample.chain.empty());
  }
}

TEST_F(ProfilerTest, EventsThatOverflowTogetherAreSampledTogether) {
  profile(lap(), {.events = {every(100), every(200), precise(every(400))}}, {.instructions = 400});
  std::vector<std::pair<std::uint32_t, std::uint64_t>> found;
  for (const auto& sample : sink.samples) found.emplace_back(sample.event, sample.ip - kEntry);
  const std::vector<std::pair<std::uint32_t, std::uint64_t>> expected{
      {0, 100}, {0, 200}, {1, 200}, {0, 300}, {0, 400}, {1, 400}, {2, 399}};
  EXPECT_EQ(found, expected);
}

TEST_F(ProfilerTest, ManyPeriodsInOneInstructionAreOneSample) {
  // Each CPUID takes far more than 3 cycles.
  const Code cpuids = Code{0x31, 0xc0, 0x0f, 0xa2} + Code{0xeb, 0xfa};
  profile(cpuids, {.events = {every(3, kCycles)}}, {.instructions = 3'000});
  const std::uint64_t count = profiler->totals()[0].count;
  EXPECT_LE(sink.samples.size(), 3'000u);
  EXPECT_EQ(sink.periods(), count - count % 3) << "none is lost";
  for (const auto& sample : sink.samples) EXPECT_EQ(sample.period % 3, 0u);
}

// ---- vCPUs and host CPUs ------------------------------------------------------------------------

/// All vCPUs run forever(): an IPI to all others, INIT and then SIPI to a page of code below 1 MiB.
Code start_the_others() {
  const Code to_page = {0xbf, 0x00, 0x10, 0x00, 0x00,         // mov edi, 0x1000
                        0x66, 0xc7, 0x07, 0xeb, 0xfe};        // mov word [rdi], jmp $
  return to_page + wrmsr(0x1b, 0xfee00d00) +                  // x2APIC
         wrmsr(0x80f, 0x1ff) +                                // software enable
         wrmsr(0x830, 0x000c4500) + wrmsr(0x830, 0x000c4601)  // INIT, SIPI to page 1
         + forever();
}

TEST_F(ProfilerTest, EventsOfVcpusSampleEachForItself) {
  config.vcpus = 3;
  config.host_cpus = 2;
  profile(start_the_others(), {.events = {every(1'000)}}, {.instructions = 600'000});
  std::vector<std::uint64_t> samples(3);
  for (const auto& sample : sink.samples) {
    ++samples[sample.vcpu];
    EXPECT_EQ(static_cast<unsigned>(sample.host_cpu), sample.vcpu % 2);
    if (sample.vcpu != 0) {
      EXPECT_EQ(sample.ip, 0x1000u) << "linear addresses of real mode";
    }
  }
  for (std::size_t n = 0; n < 3; ++n) {
    EXPECT_EQ(samples[n], machine->vcpus()[n]->instructions() / 1'000) << n;
  }
}

TEST_F(ProfilerTest, EventsOfHostCpusSampleWhoeverIsThere) {
  config.vcpus = 3;
  config.host_cpus = 2;
  profile(start_the_others(), {.events = {every(1'000)}, .on_host_cpus = true},
          {.instructions = 600'000});
  std::vector<std::uint64_t> by_cpu(2), by_vcpu(3);
  for (const auto& sample : sink.samples) {
    ASSERT_LT(sample.vcpu, 3u);
    EXPECT_EQ(static_cast<unsigned>(sample.host_cpu), sample.vcpu % 2);
    ++by_cpu[static_cast<std::size_t>(sample.host_cpu)];
    ++by_vcpu[sample.vcpu];
  }
  const auto ran = [this](std::size_t vcpu) { return machine->vcpus()[vcpu]->instructions(); };
  EXPECT_EQ(by_cpu[0], (ran(0) + ran(2)) / 1'000);
  EXPECT_EQ(by_cpu[1], ran(1) / 1'000);
  EXPECT_NEAR(static_cast<double>(by_vcpu[2]), static_cast<double>(ran(2)) / 1'000, 2);
}

TEST_F(ProfilerTest, HaltedVcpusAreNotSampled) {
  config.vcpus = 2;
  profile(Code(50, 0x90) + halt(), {.events = {every(10)}});
  ASSERT_EQ(sink.samples.size(), 5u);
  for (const auto& sample : sink.samples) EXPECT_EQ(sample.vcpu, 0u);
}

TEST_F(ProfilerTest, PinnedEventsThatDoNotFitAreInError) {
  machine::SamplingEvent pinned = every(1'000, kBranches);
  pinned.attr.pinned = true;
  profile(forever(), {.events = std::vector<machine::SamplingEvent>(9, pinned)},
          {.instructions = 10'000});
  const auto totals = profiler->totals();
  for (std::size_t n = 0; n < 9; ++n) {
    EXPECT_EQ(totals[n].in_error, n == 8 ? 1u : 0u);
    EXPECT_EQ(totals[n].samples, n == 8 ? 0u : 10u);
  }
}

// ---- Frequencies --------------------------------------------------------------------------------

TEST_F(ProfilerTest, AFrequencyIsSamplesInASecondOfMachineTime) {
  for (const std::uint64_t begin : {std::uint64_t{0}, std::uint64_t{100}, std::uint64_t{1} << 40}) {
    for (const std::uint64_t config_of : {kCycles, kInstructions, kBranches}) {
      machine::SamplingEvent event = every(begin, config_of);
      event.frequency = 100'000;
      // A branch every eighth instruction.
      const Code code = Code(7, 0x90) + Code{0xeb, 0xf7};
      profile(code, {.events = {event}}, {.instructions = 20'000'000});
      const double seconds =
          static_cast<double>(machine->now()) / static_cast<double>(config.model->hz);
      EXPECT_NEAR(static_cast<double>(sink.samples.size()), seconds * 100'000, 12)
          << "from " << begin << ", event " << std::hex << config_of;
      EXPECT_LE(sink.periods(), profiler->totals()[0].count);
    }
  }
}

TEST_F(ProfilerTest, AFrequencyIsOfEachVcpuWhileItRuns) {
  config.vcpus = 2;
  for (const bool on_host_cpus : {false, true}) {
    machine::SamplingEvent event = every(0);
    event.frequency = 100'000;
    profile(start_the_others(), {.events = {event}, .on_host_cpus = on_host_cpus},
            {.instructions = 20'000'000});
    std::vector<double> samples(2);
    for (const auto& sample : sink.samples) ++samples[sample.vcpu];
    for (std::size_t n = 0; n < 2; ++n) {
      const double cycles = static_cast<double>(machine->vcpus()[n]->cpu().cycles());
      EXPECT_NEAR(samples[n], cycles / static_cast<double>(config.model->hz) * 100'000, 12) << n;
    }
  }
}

TEST_F(ProfilerTest, AFrequencyWakesNobody) {
  const auto end = [this](std::uint64_t frequency) {
    machine::SamplingEvent event = every(1'000'000);
    event.frequency = frequency;
    profile(Code(100, 0x90) + halt(), {.events = {event}});
    return machine->now();
  };
  EXPECT_EQ(end(1'000'000), end(0));
}

// ---- Branches -----------------------------------------------------------------------------------

TEST_F(ProfilerTest, BranchStacksAreThoseOfTheInterruptedCpu) {
  machine::SamplingEvent event = every(10'000);
  event.attr.branch_type = hostperf::kBranchAny;
  profile(lap(), {.events = {event, every(10'000)}}, {.instructions = 100'000});
  ASSERT_EQ(sink.samples.size(), 20u);
  for (const auto& sample : sink.samples) {
    if (sample.event == 1) {
      EXPECT_TRUE(sample.stack.empty());
      continue;
    }
    const std::uint64_t laps = sample.time_ns == 0 ? 0 : 9;  // at least, each ends with a branch
    EXPECT_GE(sample.stack.size(), laps);
    for (const auto& branch : sample.stack) {
      EXPECT_EQ(branch.from, kEntry + 1'000);
      EXPECT_EQ(branch.to, kEntry);
    }
  }
  EXPECT_EQ((sink.samples.end() - 2)->stack.size(), 32u);
}

// ---- What the guest notices ---------------------------------------------------------------------

TEST_F(ProfilerTest, GuestsOwnCountersCountExactlyBesideIt) {
  const Code loop = {0xbb, 0xa0, 0x86, 0x01, 0x00, 0xff, 0xcb, 0x75, 0xfc};  // 100,000 branches
  const Code guest = wrmsr(0x186, 0x4300c4) + wrmsr(0x38f, 1) + loop + wrmsr(0x38f, 0) +
                     mov_ecx(0) + Code{0x0f, 0x33} + exit_with_eax();
  const std::uint32_t alone = run(guest).value;
  EXPECT_EQ(alone, 100'000u);
  load(guest);
  attach({.events = std::vector<machine::SamplingEvent>(12, every(777, kBranches)),
          .callchain_depth = 8});
  EXPECT_EQ(machine->run({}).value, alone);
  EXPECT_GT(sink.samples.size(), 0u);
}

/// Events of every kind.
ProfilerConfig much() {
  machine::SamplingEvent often = every(0);
  often.frequency = 50'000;
  machine::SamplingEvent user = every(991);
  user.attr.exclude_kernel = true;
  return {.events = {precise(every(1'009, kCycles)), often, user, every(10'007, kBranches)},
          .callchain_depth = 32};
}

TEST_F(ProfiledGuestTest, AGuestGoesTheSameWayProfiledOrNot) {
  struct Case {
    const char* image;
    unsigned vcpus;
  };
  for (const Case& guest : {Case{"interrupts", 1}, Case{"exceptions", 1}, Case{"smp", 4},
                            Case{"legacy_devices", 1}, Case{"pmu_interrupts", 1}}) {
    config.vcpus = guest.vcpus;
    constexpr machine::RunLimits kLimit{.instructions = 3'000'000};
    load_guest(guest.image);
    machine->run(kLimit);
    const machine::MachineState alone = machine->save();
    const std::uint64_t time = machine->now();
    const std::string printed = console.output;
    load_guest(guest.image);
    attach(much());
    machine->run(kLimit);
    EXPECT_GT(sink.samples.size(), 100u) << guest.image;
    EXPECT_EQ(console.output, printed) << guest.image;
    EXPECT_EQ(machine->now(), time) << guest.image;
    EXPECT_TRUE(machine->save() == alone) << guest.image;
  }
}

TEST_F(ProfiledGuestTest, TheSameGuestTwiceGivesTheSameSamples) {
  const auto samples = [this] {
    config.vcpus = 3;
    load_guest("profiled", "parts=1");
    attach(much());
    machine->run({});
    return sink.samples;
  };
  const auto first = samples();
  const auto second = samples();
  ASSERT_EQ(first.size(), second.size());
  for (std::size_t n = 0; n < first.size(); ++n) {
    EXPECT_EQ(first[n].ip, second[n].ip);
    EXPECT_EQ(first[n].time_ns, second[n].time_ns);
    EXPECT_EQ(first[n].period, second[n].period);
    EXPECT_EQ(first[n].chain, second[n].chain);
  }
}

// ---- Snapshots ----------------------------------------------------------------------------------

class ProfiledSnapshotTest : public ProfiledGuestTest {
 protected:
  /// Into a machine that nobody profiles.
  void move() {
    const machine::MachineState state = machine->save();
    profiler.reset();
    const auto from = std::move(machine);
    auto created = machine::Machine::create(config, console);
    ASSERT_TRUE(created.has_value());
    machine = std::move(*created);
    std::memcpy(machine->board().memory.host(0, config.memory_bytes),
                from->board().memory.host(0, config.memory_bytes), config.memory_bytes);
    const auto restored = machine->restore(state);
    ASSERT_TRUE(restored.has_value()) << restored.error().message;
  }
};

TEST_F(ProfiledSnapshotTest, AGuestSavedWhileProfiledGoesOnAsIfItNeverWas) {
  machine::SamplingEvent branches = every(10'007, kBranches);
  branches.attr.branch_type = hostperf::kBranchAny;
  machine::SamplingEvent pinned = every(5'003);
  pinned.attr.pinned = true;
  for (const bool on_host_cpus : {false, true}) {
    config.vcpus = 2;
    load_guest("profiled", "parts=2");
    machine->run({});
    machine::MachineState alone = machine->save();
    const std::uint64_t time = machine->now();
    const std::string printed = console.output;
    load_guest("profiled", "parts=2");
    ProfilerConfig config_of = much();
    config_of.events.push_back(branches);
    config_of.events.push_back(pinned);
    config_of.on_host_cpus = on_host_cpus;
    attach(config_of);
    machine->run({.pause_at = 1'234'567});
    move();
    machine->run({});
    EXPECT_EQ(console.output, printed);
    EXPECT_EQ(machine->now(), time);
    machine::MachineState after = machine->save();
    for (machine::MachineState* state : {&after, &alone}) {
      // Who wants to know of branches also gets them predicted.
      for (machine::VcpuState& vcpu : state->vcpus) vcpu.cpu.predictor = {};
    }
    EXPECT_TRUE(after.vcpus == alone.vcpus);
  }
}

TEST_F(ProfiledSnapshotTest, ARestoredGuestCanBeProfiled) {
  load_guest("profiled", "parts=1");
  attach({.events = {precise(every(10'000))}, .callchain_depth = 64});
  machine->run({});
  auto whole = sink.samples;
  load_guest("profiled", "parts=1");
  machine->run({.pause_at = 500'000});
  move();
  machine::SamplingEvent often = every(0);
  often.frequency = 10'000;
  attach({.events = {precise(every(10'000)), often}, .callchain_depth = 64});
  machine->run({});
  std::erase_if(sink.samples, [](const auto& sample) { return sample.event != 0; });
  whole.erase(whole.begin(), whole.begin() + 50);
  ASSERT_EQ(sink.samples.size(), whole.size());
  for (std::size_t n = 0; n < whole.size(); ++n) {
    EXPECT_EQ(sink.samples[n].ip, whole[n].ip);
    EXPECT_EQ(sink.samples[n].time_ns, whole[n].time_ns);
    EXPECT_EQ(sink.samples[n].chain, whole[n].chain);
  }
}

// ---- Errors -------------------------------------------------------------------------------------

TEST_F(ProfilerTest, ErrorsNameTheEventAndWhatToDo) {
  load(forever());
  EXPECT_EQ(refusal({}), "there is no event to sample; give one");
  EXPECT_EQ(refusal({.events = {every(0)}}), "event 'event': give a period or a frequency");
  EXPECT_EQ(refusal({.events = {every(1)}, .callchain_depth = 128}),
            "call chains of 128 addresses: give at most 127");
  EXPECT_NE(refusal({.events = {every(1, 0xff)}}).find("icelake-server cannot count it"),
            std::string::npos);
  machine::SamplingEvent branches = every(1);
  branches.attr.branch_type = hostperf::kBranchUser;
  EXPECT_NE(refusal({.events = {branches}}).find("record such branches"), std::string::npos);
  EXPECT_EQ(refusal({.events = std::vector<machine::SamplingEvent>(17, every(1))}),
            "17 events: give at most 16");
  config.host_events.assign(1, {"the host's own", {.config = kBranches}});
  load(forever());
  EXPECT_NE(
      refusal({.events = std::vector<machine::SamplingEvent>(16, every(1)), .on_host_cpus = true})
          .find("give fewer"),
      std::string::npos);
}

TEST_F(ProfilerTest, GivesItsCountersBack) {
  machine::SamplingEvent pinned = every(1'000, kBranches);
  pinned.attr.pinned = true;
  load(forever());
  for (int n = 0; n < 3; ++n) {
    attach({.events = std::vector<machine::SamplingEvent>(8, pinned)});
    EXPECT_EQ(profiler->totals()[7].in_error, 0u);
    machine->run({.instructions = machine->instructions() + 10'000});
    EXPECT_EQ(sink.samples.size(), 80u);
  }
}

}  // namespace
}  // namespace vpmu::test
