// SPDX-License-Identifier: MIT
//
// A vCPU's Statistical Profiling Extension, wired up: the unit, which writes to the guest's memory
// through the guest's own translation, and the hypervisor's; the virtual unit that the guest sees
// (virt/arm64/spe.hpp); its interrupt; and the samples, taken while the vCPU runs at full speed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include <tl/expected.hpp>

#include "machine/arm64/cpu.hpp"
#include "machine/arm64_board/buffer_pins.hpp"
#include "machine/arm64_board/operation_sampler.hpp"
#include "machine/arm64_board/spe_memory.hpp"
#include "machine/arm64_map.hpp"
#include "machine/devices/gic_redistributor.hpp"
#include "vpmu/base/access.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/silicon/arm64/spe_unit.hpp"
#include "vpmu/silicon/retire_totals.hpp"
#include "vpmu/virt/arm64/spe.hpp"

namespace vpmu::machine::arm64 {

/// Where the records go that a guest's unit writes, besides the guest's buffer.
class SpeRecordSink {
 public:
  /// `bytes`: a whole record, with its padding. Called while the vCPU is between two instructions.
  virtual void on_record(unsigned vcpu, std::span<const std::uint8_t> bytes) = 0;

 protected:
  ~SpeRecordSink() = default;
};

class GuestSpe final : private silicon::arm64::SpeBuffer, private virt::arm64::SpeSink {
 public:
  /// What of the machine it is part of. All must outlive it.
  struct Around {
    virt::arm64::SpeVm& vm;
    unsigned vcpu;
    Cpu& cpu;
    const silicon::RetireTotals& totals;
    silicon::arm64::SampleTotals& samples;
    GicRedistributor& redistributor;
    SpeMemory& memory;
  };
  explicit GuestSpe(const Around& around);

  /// Once, before the first run: the feature, the interrupt, initialised. `cpus`: supported host
  /// CPUs as a list; empty: any.
  Result<void> set_up(const char* cpus);

  /// PMSVer for ID_AA64DFR0_EL1.
  [[nodiscard]] std::uint8_t version() const { return spe_.version(); }
  /// Null: nobody. Must outlive its use here.
  void set_record_sink(SpeRecordSink* sink) { sink_ = sink; }

  /// MRS and MSR of the guest's. The vCPU may have left the guest then: enter() before it goes on.
  Access read(SystemRegister which, silicon::Privilege privilege);
  Access write(SystemRegister which, std::uint64_t value, silicon::Privilege privilege);

  /// The vCPU enters the guest on that host CPU: before its next instruction. `retires`: behind an
  /// instruction that has made it leave, and is still to retire.
  virt::arm64::SpeEntry enter(hostperf::HostCpu cpu, bool retires);
  /// It has left the guest.
  void exit();
  void scheduled_out();
  void reset();
  /// Of the VMM, which makes the vCPU leave the guest. As Spe::set_stop().
  ErrnoResult<void> set_stop(virt::arm64::SpeStopRequest request);
  /// The host profiles the vCPU, or no longer. As Spe::set_host_has_unit(). Not while it runs.
  void set_host_has_unit(bool has);

  /// Operations that may retire at level `el` before the one that is sampled.
  [[nodiscard]] std::uint64_t until_sample(unsigned el) { return sampler_.until_sample(el); }
  /// Of Environment::sampled(). True: the unit interrupts, which is an exit.
  bool sampled(const silicon::arm64::SpeOperation& operation);

  /// Of the unit: up to the last instruction.
  [[nodiscard]] silicon::arm64::SpeStatistics statistics() const { return sampler_.statistics(); }
  [[nodiscard]] const virt::arm64::Spe& spe() const { return spe_; }
  [[nodiscard]] virt::arm64::Spe& spe() { return spe_; }
  /// Null: memory is not locked by buffers.
  [[nodiscard]] const BufferPins* buffer_pins() const { return pins_ ? &*pins_ : nullptr; }
  [[nodiscard]] BufferPins* buffer_pins() { return pins_ ? &*pins_ : nullptr; }

  [[nodiscard]] virt::arm64::SpeState save();
  Result<void> restore(const virt::arm64::SpeState& state);

 private:
  // silicon::arm64::SpeBuffer
  tl::expected<void, Fault> write(std::uint64_t address,
                                  std::span<const std::uint8_t> bytes) override;
  // virt::arm64::SpeSink
  bool own_interrupt(unsigned irq) override { return irq == arm64_map::kSpeInterrupt; }
  void set_buffer_line(bool asserted) override;
  virt::arm64::SpeBufferAnswer prepare_buffer(std::uint64_t start, std::uint64_t limit) override;
  void release_buffer() override;

  tl::expected<void, arm64::Fault> store(std::uint64_t address,
                                         std::span<const std::uint8_t> bytes);

  const unsigned vcpu_;
  Cpu& cpu_;
  GicRedistributor& redistributor_;
  SpeMemory& memory_;
  std::optional<BufferPins> pins_;
  SpeRecordSink* sink_ = nullptr;
  silicon::arm64::SpeUnit unit_;
  virt::arm64::Spe spe_;
  OperationSampler sampler_;
};

}  // namespace vpmu::machine::arm64
