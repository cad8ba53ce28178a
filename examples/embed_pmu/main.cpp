// SPDX-License-Identifier: MIT
//
// A VMM in one file that gives its guest vpmu's PMU. See README.md.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/silicon/x86/msrs.hpp"
#include "vpmu/virt/x86/event_filter_slot.hpp"
#include "vpmu/virt/x86/lbr.hpp"
#include "vpmu/virt/x86/pmu.hpp"
#include "vpmu/virt/x86/pmu_request.hpp"

namespace {
namespace msr = vpmu::silicon::x86::msr;
using vpmu::Access;
using vpmu::Initiator;
using vpmu::MsrIndex;
using vpmu::silicon::Privilege;
using vpmu::silicon::RawEvent;
namespace x86 = vpmu::virt::x86;

// ---- The guest: seven instructions are enough ---------------------------------------------------

struct Instruction {
  enum class Kind { kWork, kWrmsr, kRdmsr, kRdpmc, kPrint, kJump, kHalt } kind;
  std::uint32_t ecx = 0;    ///< of WRMSR, RDMSR and RDPMC
  std::uint64_t value = 0;  ///< of WRMSR; how many instructions of work
};
using Kind = Instruction::Kind;

constexpr std::uint64_t kPeriod = 1000;
constexpr std::uint64_t kStart = (std::uint64_t{1} << 48) - kPeriod;
constexpr std::uint64_t kInstructionsRetired = 0xc0, kUsr = 1 << 16, kOs = 1 << 17, kInt = 1 << 20,
                        kEn = 1 << 22;

std::uint32_t number(MsrIndex index) {
  return static_cast<std::uint32_t>(index);
}

/// Counter 0 samples every kPeriod instructions, counter 1 counts them.
const std::vector<Instruction> kGuest{
    {Kind::kWrmsr, number(msr::IA32_A_PMC0), kStart},
    {Kind::kWrmsr, number(msr::IA32_PERFEVTSEL0), kInstructionsRetired | kUsr | kOs | kInt | kEn},
    {Kind::kWrmsr, number(msr::IA32_PERFEVTSEL0) + 1, kInstructionsRetired | kUsr | kOs | kEn},
    {Kind::kWork, 0, 2500},
    {Kind::kRdpmc, 1, 0},
    {Kind::kPrint, 0, 0},
    {Kind::kWork, 0, 2500},
    {Kind::kRdpmc, 1, 0},
    {Kind::kPrint, 0, 0},
    {Kind::kRdmsr, 0xdead, 0},  // nobody's: #GP
    // Records its last branches, of which there is one, and looks where it came from.
    {Kind::kWrmsr, number(msr::IA32_DEBUGCTL), 1},
    {Kind::kJump, 0, 0},
    {Kind::kRdmsr, number(msr::MSR_LASTBRANCH_0_FROM_IP) + 1, 0},
    {Kind::kPrint, 0, 0},
    {Kind::kHalt, 0, 0},
};

/// Instruction n is there.
constexpr std::uint64_t address(std::size_t n) {
  return 0x1000 + 16 * n;
}
constexpr std::size_t kJumpIsAt = 11;

// ---- The VMM ------------------------------------------------------------------------------------

class LocalApic final : public x86::PmiSink {
 public:
  x86::PmiOutcome raise_pmi(x86::LvtpcAfterPmi after) override {
    if (masked) return x86::PmiOutcome::kMasked;
    masked = after == x86::LvtpcAfterPmi::kMask;
    pending = true;
    return x86::PmiOutcome::kDelivered;
  }
  /// This CPU stops at every deadline anyway, and then asks has_entry_work().
  void request_entry_work() override {}

  bool masked = false;
  bool pending = false;
};

/// One vCPU and everything that its PMU stands on.
class Vcpu {
 public:
  explicit Vcpu(const vpmu::silicon::x86::CpuModel& model)
      : perf_{model, std::array{vpmu::hostperf::ModelledVcpu{&totals_, &deadlines_}}},
        pmu_{x86::restrict_pmu(model, {.lbr = true}).value(), perf_, vpmu::hostperf::VcpuIndex{0},
             apic_},
        lbr_{pmu_, perf_, vpmu::hostperf::VcpuIndex{0}} {}

  /// Runs `instructions` from where it stands, or until the guest halts: false.
  bool run(std::uint64_t instructions);

  /// On a fresh vCPU.
  bool take_over(Vcpu& other);
  /// Says which events the guest may count, from now until `filters` lets go of it.
  void follow(x86::EventFilterSlot& filters) { filters.attach(pmu_); }
  void unfollow(x86::EventFilterSlot& filters) { filters.detach(pmu_); }
  [[nodiscard]] unsigned samples() const { return samples_; }
  [[nodiscard]] unsigned faults() const { return faults_; }
  [[nodiscard]] const std::vector<std::uint64_t>& printed() const { return printed_; }

 private:
  /// `most` of this instruction; how many retired.
  std::uint64_t step(const Instruction& instruction, std::uint64_t most);
  std::uint64_t work(std::uint64_t most);
  void access(const Instruction& instruction);
  void jump();
  void retire(std::uint64_t count) {
    totals_.add(RawEvent::kInstructions, Privilege::kKernel, count);
    deadlines_.fire_due();
  }
  void interrupt_handler();

  vpmu::silicon::RetireTotals totals_;
  vpmu::silicon::Deadlines deadlines_{totals_};
  vpmu::hostperf::ModelledHostPerf perf_;
  LocalApic apic_;
  x86::Pmu pmu_;
  x86::Lbr lbr_;

  std::size_t rip_ = 0;
  std::uint64_t done_ = 0;  ///< of the work at rip_
  std::uint64_t rax_ = 0;
  unsigned samples_ = 0, faults_ = 0;
  std::vector<std::uint64_t> printed_;
};

bool Vcpu::run(std::uint64_t instructions) {
  while (instructions > 0) {
    if (pmu_.has_entry_work()) pmu_.before_entry();
    if (apic_.pending) interrupt_handler();
    const Instruction& instruction = kGuest[rip_];
    if (instruction.kind == Kind::kHalt) return false;
    instructions -= step(instruction, instructions);
  }
  return true;
}

std::uint64_t Vcpu::step(const Instruction& instruction, std::uint64_t most) {
  if (instruction.kind == Kind::kWork) return work(std::min(most, instruction.value - done_));
  if (instruction.kind == Kind::kPrint) {
    printed_.push_back(rax_);
  } else if (instruction.kind == Kind::kJump) {
    jump();
  } else {
    access(instruction);
  }
  ++rip_;
  retire(1);
  return 1;
}

/// What runs fast: everything up to the next overflow at once.
std::uint64_t Vcpu::work(std::uint64_t most) {
  const std::uint64_t count =
      std::min(most, deadlines_.nearest(RawEvent::kInstructions, Privilege::kKernel));
  done_ += count;
  if (done_ == kGuest[rip_].value) {
    ++rip_;
    done_ = 0;
  }
  retire(count);
  return count;
}

/// A taken branch. On hardware, VM entry has loaded IA32_DEBUGCTL.LBR if lbr_.recording().
void Vcpu::jump() {
  if (!lbr_.recording()) return;
  perf_.lbr_unit(vpmu::hostperf::HostCpu{0})
      ->record({.from = address(rip_),
                .to = address(rip_ + 1),
                .next = address(rip_ + 1),
                .type = vpmu::silicon::x86::BranchType::kDirectJump});
}

/// An exit. With hardware's help those to the records do not, as lbr_.msr_bitmap() says.
void Vcpu::access(const Instruction& instruction) {
  Access result = Access::not_mine();
  switch (instruction.kind) {
    case Kind::kWrmsr:
      result = pmu_.write_msr(MsrIndex{instruction.ecx}, instruction.value, Initiator::kGuest);
      break;
    case Kind::kRdmsr: result = pmu_.read_msr(MsrIndex{instruction.ecx}, Initiator::kGuest); break;
    case Kind::kRdpmc: result = pmu_.rdpmc(instruction.ecx, true); break;
    default: break;
  }
  if (result.is_not_mine() && instruction.kind == Kind::kRdmsr) {
    result = lbr_.read_msr(MsrIndex{instruction.ecx}, Initiator::kGuest);
  }
  if (result.is_done()) {
    rax_ = result.value();
    pmu_.before_entry();
    lbr_.before_entry();
  } else {
    ++faults_;  // here a real VMM asks its other MSRs, and injects #GP if nobody has it
  }
}

/// The guest's, for short: it starts the next period and unmasks LVTPC.
void Vcpu::interrupt_handler() {
  apic_.pending = false;
  ++samples_;
  for (const auto& [index, value] : {std::pair{msr::IA32_A_PMC0, kStart},
                                     std::pair{msr::IA32_PERF_GLOBAL_OVF_CTRL, std::uint64_t{1}}}) {
    if (pmu_.write_msr(index, value, Initiator::kGuest).is_done()) pmu_.before_entry();
  }
  apic_.masked = false;
}

/// Migration: the PMU, then the branch records, and what this VMM has of the CPU and the APIC.
bool Vcpu::take_over(Vcpu& other) {
  if (const auto restored = pmu_.restore(other.pmu_.save()); !restored) {
    std::printf("%s\n", restored.error().message.c_str());
    return false;
  }
  if (!lbr_.restore(other.lbr_.save())) return false;
  lbr_.before_entry();
  rip_ = other.rip_;
  done_ = other.done_;
  rax_ = other.rax_;
  samples_ = other.samples_;
  faults_ = other.faults_;
  printed_ = other.printed_;
  apic_ = other.apic_;
  return true;
}

/// An operator's decision while the guest runs: no more counting of instructions. Its counters
/// stand still, with what they had counted, and nothing interrupts it.
bool run_filtered(Vcpu& vcpu) {
  x86::FilterImage image;  // or read_filter_image(), from a file or an ioctl's structure
  image.action = static_cast<std::uint32_t>(x86::FilterAction::kDeny);
  image.count = 1;
  image.entries[0] = kInstructionsRetired;
  auto filter = x86::EventFilter::create(image, vpmu::silicon::x86::Vendor::kIntel);
  if (!filter) return false;

  x86::EventFilterSlot filters;  // the VM's
  vcpu.follow(filters);
  const bool runs = vcpu.run(1234);
  filters.publish(std::move(*filter));
  const bool halted = !vcpu.run(~std::uint64_t{0});
  vcpu.unfollow(filters);
  return runs && halted;
}

}  // namespace

int main() {
  const auto* model = vpmu::silicon::x86::find_cpu_model("icelake-server");
  if (model == nullptr) return 1;

  Vcpu stays{*model};
  if (stays.run(~std::uint64_t{0})) return 1;

  // The same guest, moved to another vCPU in the middle of its work: it cannot tell.
  Vcpu before{*model}, after{*model};
  if (!before.run(1234)) return 1;
  if (!after.take_over(before) || after.run(~std::uint64_t{0})) return 1;

  Vcpu filtered{*model};
  if (!run_filtered(filtered)) return 1;

  for (const Vcpu* vcpu : {&stays, &after, &filtered}) {
    std::printf("counted %llu and %llu instructions, %u samples, %u fault\n",
                static_cast<unsigned long long>(vcpu->printed().at(0)),
                static_cast<unsigned long long>(vcpu->printed().at(1)), vcpu->samples(),
                vcpu->faults());
  }
  // 1 for the WRMSR that started the counter, 2,500 of work; then RDPMC, print and 2,500 more.
  // Counter 0 started one instruction earlier, so the fifth sample comes in time.
  const std::uint64_t jumped_from = address(kJumpIsAt);
  const bool right = stays.printed() == std::vector<std::uint64_t>{2501, 5003, jumped_from} &&
                     stays.samples() == 5 && stays.faults() == 1;
  const bool same = after.printed() == stays.printed() && after.samples() == stays.samples() &&
                    after.faults() == stays.faults();
  // Of 1,234 instructions counter 1 has seen all but the two WRMSRs before its own.
  const bool frozen = filtered.printed() == std::vector<std::uint64_t>{1232, 1232, jumped_from} &&
                      filtered.samples() == 1;
  return right && same && frozen ? 0 : 1;
}
