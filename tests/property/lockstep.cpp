// SPDX-License-Identifier: MIT
#include "property/lockstep.hpp"

#include <fmt/format.h>

#include "property/answers.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::property {
namespace {

using silicon::Privilege;
using silicon::RawEvent;
using virt::x86::CounterStatus;
using virt::x86::EmulatedInstruction;
using virt::x86::LvtpcAfterPmi;
using virt::x86::PmiOutcome;
using virt::x86::Pmu;
using Difference = std::optional<std::string>;
using Kind = Operation::Kind;

std::uint64_t mix(std::uint64_t z) {
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

/// One instruction of a pattern. Which events go together on a real CPU does not matter here.
Counts instruction(std::uint64_t pattern, unsigned number) {
  RandomChoices random{pattern << 32 | number};
  Counts counts{};
  for (std::uint16_t& count : counts) {
    const std::uint64_t what = random.draw(4);
    count = static_cast<std::uint16_t>(what < 9 ? 0 : what < 15 ? 1 : 2 + random.draw(3));
  }
  // A REP string instruction in the middle, or an interrupt, takes cycles and retires nothing.
  counts[static_cast<std::size_t>(RawEvent::kInstructions)] = random.draw(5) != 0;
  counts[static_cast<std::size_t>(RawEvent::kCycles)] =
      static_cast<std::uint16_t>(random.draw(5) == 0 ? 1 + random.draw(7) : 1 + random.draw(2));
  return counts;
}

/// Counters, and the status that their overflows set.
bool depends_on_counts(std::uint32_t msr) {
  return (msr >= 0xc1 && msr <= 0xc8) || (msr >= 0x4c1 && msr <= 0x4c8) ||
         (msr >= 0x309 && msr <= 0x30c) || msr == 0x38e || msr == 0xc0000300 ||
         (msr >= 0xc0010004 && msr <= 0xc0010007) ||
         (msr >= 0xc0010200 && msr <= 0xc001020f && msr % 2 == 1);
}

bool agree(CounterStatus status, ReferencePmu::State state) {
  switch (state) {
    case ReferencePmu::State::kOff: return status == CounterStatus::kOff;
    case ReferencePmu::State::kDenied: return status == CounterStatus::kDenied;
    case ReferencePmu::State::kUnsupported: return status == CounterStatus::kUnsupportedEvent;
    case ReferencePmu::State::kCounting: return status == CounterStatus::kCounting;
  }
  return false;
}

constexpr Privilege privilege_of(const Operation& operation) {
  return operation.flag ? Privilege::kUser : Privilege::kKernel;
}

/// Every register that compares by reading alone.
constexpr std::uint32_t kReadable[] = {
    0xc1,       0xc2,       0xc3,       0xc8,       0x186,      0x187,      0x188,
    0x189,      0x18a,      0x18d,      0x1a0,      0x1d9,      0x309,      0x30a,
    0x30b,      0x30c,      0x345,      0x38d,      0x38e,      0x38f,      0x392,
    0x4c1,      0x4c4,      0xc0000300, 0xc0000301, 0xc0010000, 0xc0010001, 0xc0010002,
    0xc0010003, 0xc0010004, 0xc0010007, 0xc0010200, 0xc0010208, 0xc0010209, 0xc001020a};

}  // namespace

bool HashGate::admits(silicon::x86::EventSelector event) const {
  if (key == 0) return true;
  return mix(key << 32 | std::uint64_t{event.event} << 8 | event.unit_mask) % 4 != 0;
}

bool HashGate::admits_fixed(unsigned k) const {
  return key == 0 || mix(key << 32 | k) % 4 != 0;
}

Lockstep::Lockstep(const Setup& setup)
    : setup_{setup},
      vcpus_{
          hostperf::ModelledVcpu{&totals_, &deadlines_, setup.conditions ? &conditions_ : nullptr}},
      modelled_{*setup.silicon, vcpus_},
      reference_{setup.config, *setup.silicon, setup.conditions} {
  make_pmu();
}

Lockstep::~Lockstep() = default;

void Lockstep::make_pmu() {
  pmu_ = std::make_unique<Pmu>(setup_.config, perf_, hostperf::VcpuIndex{0}, sink_);
  pmu_->set_event_gate(&gates_[gate_]);
  pmu_->set_svm(svme_, svm_guest_);
}

Difference Lockstep::enter() {
  if (pmu_->has_entry_work()) pmu_->before_entry();
  if (pmu_->has_entry_work()) return "before_entry() left entry work";
  if (reference_.enter()) ++pmis_;
  if (setup_.room && sink_.raised != pmis_)
    return fmt::format("{} PMIs raised, expected {}", sink_.raised, pmis_);
  const LvtpcAfterPmi after = setup_.intel() ? LvtpcAfterPmi::kMask : LvtpcAfterPmi::kKeep;
  if (sink_.raised != 0 && sink_.last != after) return "LVTPC is not treated as this vendor does";
  return {};
}

Difference Lockstep::step(const Operation& operation) {
  switch (operation.kind) {
    case Kind::kReadMsr:
    case Kind::kWriteMsr:
    case Kind::kHostReadMsr:
    case Kind::kHostWriteMsr:
    case Kind::kRdpmc: return access(operation);
    case Kind::kRetire: return retire(operation);
    case Kind::kEmulated: return emulate(operation);
    case Kind::kScheduledIn:
      pmu_->scheduled_in();
      reference_.scheduled_in();
      return {};
    case Kind::kReset:
      pmu_->reset();
      reference_.reset();
      pmu_->set_svm(svme_, svm_guest_);
      return {};
    case Kind::kSvm: change_svm(operation); return {};
    case Kind::kGate: change_gate(operation); return {};
    case Kind::kLvtpc: sink_.outcome = static_cast<PmiOutcome>(operation.where); return {};
    case Kind::kRestore: return restore(operation);
  }
  return {};
}

Difference Lockstep::access(const Operation& operation) {
  const bool host = operation.kind == Kind::kHostReadMsr || operation.kind == Kind::kHostWriteMsr;
  const auto msr = static_cast<MsrIndex>(operation.where);
  const Initiator initiator = host ? Initiator::kHost : Initiator::kGuest;
  // A guest's access is an instruction: nothing is left from before it.
  if (!host) {
    if (Difference difference = enter()) return difference;
  }
  Access access = Access::not_mine();
  Answer answer;
  switch (operation.kind) {
    case Kind::kReadMsr:
    case Kind::kHostReadMsr:
      access = pmu_->read_msr(msr, initiator);
      answer = reference_.read_msr(operation.where, initiator);
      break;
    case Kind::kWriteMsr:
    case Kind::kHostWriteMsr:
      access = pmu_->write_msr(msr, operation.value, initiator);
      answer = reference_.write_msr(operation.where, operation.value, initiator);
      break;
    default:
      access = pmu_->rdpmc(operation.where, operation.flag);
      answer = reference_.rdpmc(operation.where, operation.flag);
      break;
  }
  const bool counts = operation.kind == Kind::kRdpmc || depends_on_counts(operation.where);
  if (!setup_.room && counts) answer = with_sensible_value(access, answer);
  if (Difference difference = compare(describe(operation), access, answer)) return difference;
  if (host) return {};
  if (access.is_done()) pmu_->before_entry();
  return enter();
}

Difference Lockstep::retire_one(Privilege privilege, const Counts& counts) {
  const std::uint64_t overflows = pmu_->statistics().overflows;
  const std::uint64_t expected = reference_.overflows();
  const std::uint64_t requests = sink_.requests;
  for (std::size_t event = 0; event < counts.size(); ++event) {
    totals_.add(static_cast<RawEvent>(event), privilege, counts[event]);
  }
  if (conditions_.any()) conditions_.passed(privilege);
  deadlines_.fire_due();
  reference_.retire(privilege, counts);
  const std::uint64_t got = pmu_->statistics().overflows - overflows;
  if (setup_.room && got != reference_.overflows() - expected)
    return fmt::format("{} overflows, expected {}", got, reference_.overflows() - expected);
  if (pmu_->has_entry_work() && sink_.requests == requests)
    return "entry work that the sink does not know of";
  return {};
}

Difference Lockstep::retire(const Operation& operation) {
  if (Difference difference = enter()) return difference;
  for (std::uint32_t n = 0; n < operation.where; ++n) {
    const Counts counts = instruction(operation.value, n);
    if (Difference difference = retire_one(privilege_of(operation), counts)) return difference;
    if (Difference difference = enter()) return difference;
  }
  return {};
}

Difference Lockstep::emulate(const Operation& operation) {
  if (Difference difference = enter()) return difference;
  const bool branch = operation.where != 0;
  pmu_->instruction_emulated(branch ? EmulatedInstruction::kBranch : EmulatedInstruction::kPlain,
                             privilege_of(operation));
  reference_.emulated(branch, privilege_of(operation));
  return enter();
}

void Lockstep::change_svm(const Operation& operation) {
  svme_ = (operation.where & 1) != 0;
  svm_guest_ = svme_ && (operation.where & 2) != 0;
  pmu_->set_svm(svme_, svm_guest_);
  reference_.set_svm(svme_, svm_guest_);
}

void Lockstep::change_gate(const Operation& operation) {
  if (operation.flag) gate_ ^= 1;
  gates_[gate_].key = operation.value;
  if (operation.flag)
    pmu_->set_event_gate(&gates_[gate_]);
  else
    pmu_->gate_changed();
  reference_.set_gate(&gates_[gate_]);
}

Difference Lockstep::restore(const Operation& operation) {
  if (operation.flag) {
    if (Difference difference = enter()) return difference;
    // What overflows now is pending when the state is taken.
    const Counts counts = instruction(operation.value, 0);
    if (Difference difference = retire_one(Privilege::kKernel, counts)) return difference;
  }
  const auto state = pmu_->save();
  pmu_.reset();
  if (perf_.open_events() != 0)
    return fmt::format("{} host events outlived the PMU", perf_.open_events());
  make_pmu();
  if (const auto restored = pmu_->restore(state); !restored)
    return "not restored: " + restored.error().message;
  reference_.moved();
  return {};
}

/// What the host had room to count, if it makes sense, in place of what should have been counted.
Answer Lockstep::with_sensible_value(const Access& access, Answer answer) const {
  const std::uint64_t possible = reference_.possible_bits();
  if (answer.kind == Answer::Kind::kDone && (access.value() & ~possible) == 0) {
    answer.value = access.value();
  }
  return answer;
}

Difference Lockstep::compare_counter(bool fixed, unsigned number) {
  const std::uint32_t ecx = fixed ? 0x40000000 + number : number;
  const std::string what = fmt::format("{} counter {}", fixed ? "fixed" : "GP", number);
  const Access access = pmu_->rdpmc(ecx, true);
  Answer answer = reference_.rdpmc(ecx, true);
  if (!setup_.room) answer = with_sensible_value(access, answer);
  if (Difference difference = compare(what, access, answer)) return difference;
  const auto index = fixed ? virt::x86::fixed_counter(number) : virt::x86::gp_counter(number);
  const auto state = fixed ? reference_.fixed_state(number) : reference_.gp_state(number);
  const bool starves = !setup_.room && state == ReferencePmu::State::kCounting &&
                       pmu_->status(index) == CounterStatus::kStarved;
  if (!starves && !agree(pmu_->status(index), state))
    return fmt::format("{} is {}, expected state {}", what, name(pmu_->status(index)),
                       static_cast<int>(state));
  return {};
}

Difference Lockstep::compare_msr(std::uint32_t msr) {
  // The host sees all that the guest sees, and reads nothing that a read changes.
  const Access access = pmu_->read_msr(static_cast<MsrIndex>(msr), Initiator::kHost);
  Answer answer = reference_.read_msr(msr, Initiator::kHost);
  if (!setup_.room && depends_on_counts(msr)) answer = with_sensible_value(access, answer);
  return compare(fmt::format("MSR {:#x}", msr), access, answer);
}

Difference Lockstep::compare_all() {
  if (Difference difference = enter()) return difference;
  for (unsigned i = 0; i < reference_.gp_counters(); ++i) {
    if (Difference difference = compare_counter(false, i)) return difference;
  }
  for (unsigned k = 0; k < reference_.fixed_counters(); ++k) {
    if (Difference difference = compare_counter(true, k)) return difference;
  }
  for (const std::uint32_t msr : kReadable) {
    if (Difference difference = compare_msr(msr)) return difference;
  }
  const unsigned counters = reference_.gp_counters() + reference_.fixed_counters();
  if (perf_.open_events() > counters)
    return fmt::format("{} host events for {} counters", perf_.open_events(), counters);
  return {};
}

Difference Lockstep::compare_cpuid() {
  for (const std::uint32_t leaf :
       {0x0u, 0x1u, 0x7u, 0xau, 0x15u, 0x1cu, 0x80000001u, 0x80000008u, 0x80000022u}) {
    const auto silicon = silicon::x86::cpuid(*setup_.silicon, {}, leaf, 0);
    auto result = silicon, expected = silicon;
    pmu_->adjust_cpuid(leaf, result);
    reference_.adjust_cpuid(leaf, expected);
    if (result != expected)
      return fmt::format("CPUID {:#x}: {:x} {:x} {:x} {:x}, expected {:x} {:x} {:x} {:x}", leaf,
                         result.eax, result.ebx, result.ecx, result.edx, expected.eax, expected.ebx,
                         expected.ecx, expected.edx);
  }
  return {};
}

/// Counters that the guest has switched off and left alone for a time slice cost the host nothing.
Difference Lockstep::idle() {
  const auto write = [&](std::uint32_t msr) {
    (void)pmu_->write_msr(static_cast<MsrIndex>(msr), 0, Initiator::kHost);
    (void)reference_.write_msr(msr, 0, Initiator::kHost);
  };
  for (unsigned i = 0; i < reference_.gp_counters(); ++i) {
    if (setup_.intel()) write(0x186 + i);
    if (!setup_.intel()) write(setup_.config.core_extension ? 0xc0010200 + 2 * i : 0xc0010000 + i);
  }
  write(0x38d);
  constexpr int kSliceInWhichTheyWereTouched = 1;
  for (int slice = 0; slice < kSliceInWhichTheyWereTouched + 1; ++slice) {
    pmu_->scheduled_in();
    reference_.scheduled_in();
    if (Difference difference = enter()) return difference;
  }
  if (perf_.open_events() != 0)
    return fmt::format("{} host events for a guest that counts nothing", perf_.open_events());
  return {};
}

Difference Lockstep::finish() {
  if (Difference difference = compare_cpuid()) return difference;
  if (Difference difference = compare_all()) return difference;
  if (Difference difference = idle()) return difference;
  if (Difference difference = compare_all()) return difference;
  pmu_->reset();
  reference_.reset();
  if (Difference difference = compare_all()) return difference;
  pmu_.reset();
  if (perf_.open_events() != 0)
    return fmt::format("{} host events outlived the PMU", perf_.open_events());
  return {};
}

}  // namespace vpmu::property
