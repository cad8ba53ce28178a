// SPDX-License-Identifier: MIT
//
// Which instruction a sample is of, against the same guest stepped instruction by instruction:
// guests that fault, are interrupted, change their privilege and their code, and copy strings.
#include <array>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "unit/profiler/collected_samples.hpp"

namespace vpmu::test {
namespace {

using hostperf::SampledMode;
using machine::x86::CodePlace;

/// Counts what is delivered, and remembers the last vector.
class Deliveries final : public machine::TraceSink {
 public:
  std::uint64_t count = 0;
  std::uint8_t vector = 0;

  void msr_read(const Where&, MsrIndex, const Access&) override {}
  void msr_write(const Where&, MsrIndex, std::uint64_t, const Access&) override {}
  void exit(const Where&, virt::ExitReason) override {}
  void interrupt(const Where&, std::uint8_t taken) override { note(taken); }
  void nmi(const Where&) override {}  // raised, not yet delivered
  void note(std::uint8_t taken) {
    ++count;
    vector = taken;
  }
};

/// What is sampled, and where its total is.
struct Counted {
  std::uint64_t config;
  silicon::RawEvent raw;
};
constexpr Counted kSampled[] = {{kCycles, silicon::RawEvent::kCycles},
                                {kBranches, silicon::RawEvent::kBranches},
                                {0x81d0, silicon::RawEvent::kLoads},
                                {0x82d0, silicon::RawEvent::kStores}};
constexpr std::size_t kEvents = std::size(kSampled);

/// The instruction that retired as number n.
struct Step {
  CodePlace retired;
  CodePlace next;
  /// Totals of kSampled behind it.
  std::array<std::uint64_t, kEvents> totals{};
};

struct Guest {
  const char* image;
  const char* arguments;
  std::uint64_t first;  ///< instruction to begin with, so that it gets to what matters
};

void PrintTo(const Guest& guest, std::ostream* to) {
  *to << guest.image;
}

class LastRetiredTest : public ProfiledMachineTest, public testing::WithParamInterface<Guest> {
 protected:
  static constexpr std::uint64_t kSteps = 40'000;
  Deliveries deliveries;

  void start() {
    profiler.reset();
    config.memory_bytes = std::uint64_t{128} << 20;
    auto created = machine::Machine::create(config, console);
    ASSERT_TRUE(created.has_value()) << created.error().message;
    machine = std::move(*created);
    const auto loaded = machine->load(
        {std::string{VPMU_GUESTS "/"} + GetParam().image + ".elf", GetParam().arguments, {}});
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    machine->run({.pause_at = GetParam().first});
    ASSERT_EQ(machine->instructions(), GetParam().first);
  }
  [[nodiscard]] const machine::x86::Cpu& cpu() const { return machine->vcpus().front()->cpu(); }

  /// Where the guest's handler of that vector begins.
  [[nodiscard]] std::uint64_t handler(std::uint8_t vector) const {
    const bool wide = cpu().core().long_mode();
    std::uint8_t gate[16] = {};
    const std::uint64_t at = cpu().core().idtr.base + vector * (wide ? 16u : 8u);
    EXPECT_TRUE(cpu().peek(at, gate, wide ? 16 : 8));
    const auto byte = [&](unsigned n) { return std::uint64_t{gate[n]}; };
    std::uint64_t offset = byte(0) | byte(1) << 8 | byte(6) << 16 | byte(7) << 24;
    if (wide) offset |= byte(8) << 32 | byte(9) << 40 | byte(10) << 48 | byte(11) << 56;
    return offset;
  }

  [[nodiscard]] std::array<std::uint64_t, kEvents> totals() const {
    std::array<std::uint64_t, kEvents> all{};
    for (std::size_t n = 0; n < kEvents; ++n) {
      all[n] = machine->vcpus().front()->totals().read(kSampled[n].raw, silicon::kAllPrivileges);
    }
    return all;
  }
  /// One instruction at a time.
  std::vector<Step> steps() {
    config.trace = &deliveries;
    start();
    config.trace = nullptr;
    std::vector<Step> all;
    const auto& exceptions = cpu().core().exceptions;
    while (all.size() < kSteps) {
      Step step;
      step.retired = cpu().place();
      const bool nmi = cpu().core().nmi_pending;
      const std::uint64_t interrupts = deliveries.count, faults = exceptions.count;
      const auto outcome = machine->run({.pause_at = machine->instructions() + 1});
      if (outcome.reason != machine::Outcome::Reason::kPaused) break;
      const bool fault = exceptions.count != faults;
      if (nmi && !cpu().core().nmi_pending) deliveries.note(machine::x86::kNmi);
      if (fault || deliveries.count != interrupts) {
        EXPECT_EQ(deliveries.count - interrupts + exceptions.count - faults, 1u);
        const auto& log = exceptions.entries;
        const std::uint8_t vector =
            fault ? log[(exceptions.count - 1) % log.size()].exception.vector : deliveries.vector;
        step.retired = {handler(vector), false};
      }
      step.next = cpu().place();
      step.totals = totals();
      all.push_back(step);
    }
    return all;
  }
  /// The same, profiled.
  void sample(machine::SamplingEvent event, std::uint64_t instructions) {
    start();
    attach({.events = {std::move(event)}});
    machine->run({.instructions = GetParam().first + instructions});
  }
};

SampledMode mode(CodePlace place) {
  return place.user ? SampledMode::kGuestUser : SampledMode::kGuestKernel;
}

TEST_P(LastRetiredTest, EveryPeriodSamplesTheRightInstruction) {
  const std::vector<Step> truth = steps();
  ASSERT_GT(truth.size(), 1'000u);
  for (const std::uint64_t period : {1u, 2u, 3u, 7u, 13u, 100u, 997u}) {
    for (const bool exact : {false, true}) {
      sample(exact ? precise(every(period)) : every(period), truth.size());
      ASSERT_EQ(sink.samples.size(), truth.size() / period);
      for (std::size_t n = 0; n < sink.samples.size(); ++n) {
        const Step& step = truth[(n + 1) * period - 1];
        const CodePlace expected = exact ? step.retired : step.next;
        ASSERT_EQ(sink.samples[n].ip, expected.linear) << (n + 1) * period << ", exact: " << exact;
        ASSERT_EQ(sink.samples[n].mode, mode(expected)) << (n + 1) * period << ", exact: " << exact;
      }
    }
  }
}

TEST_P(LastRetiredTest, CountsAreOfTheInstructionOrTheDeliveryThatMadeThem) {
  const std::vector<Step> truth = steps();
  for (std::size_t event = 0; event < kEvents; ++event) {
    for (const std::uint64_t period : {997u, 61u, 7u}) {
      start();
      const std::uint64_t begin = totals()[event];
      sample(precise(every(period, kSampled[event].config)), truth.size());
      if (event == 0) {
        EXPECT_GT(sink.samples.size(), 30u);
      }
      auto step = truth.begin();
      std::uint64_t counted = 0;
      for (const auto& sample : sink.samples) {
        // More than one period in one instruction is one sample.
        while (step != truth.end() && step->totals[event] - begin < counted + period) ++step;
        ASSERT_NE(step, truth.end());
        counted += sample.period;
        ASSERT_EQ(sample.ip, step->retired.linear) << "at " << counted << " of event " << event;
        ASSERT_EQ(sample.mode, mode(step->retired)) << "at " << counted << " of event " << event;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Guests, LastRetiredTest,
                         testing::Values(Guest{"hello", "", 1}, Guest{"exceptions", "", 50'000},
                                         Guest{"interrupts", "", 15'000},
                                         Guest{"privilege", "", 1'000},
                                         Guest{"strings", "", 50'000},
                                         Guest{"code_changes", "", 1'000},
                                         Guest{"profiled", "parts=1", 280'000}),
                         [](const auto& guest) { return std::string{guest.param.image}; });

}  // namespace
}  // namespace vpmu::test
