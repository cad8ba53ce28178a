// SPDX-License-Identifier: MIT
//
// What PV perf needs of the hypervisor around it: time, the guest's memory, its local APIC.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "vpmu/base/numbers.hpp"
#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/virt/x86/pmi_sink.hpp"
#include "vpmu/virt/x86/pv_perf_abi.hpp"

namespace vpmu::virt::x86 {

/// All but request_entry_work() are called on the vCPU's thread while it is not in the guest.
/// raise_pmi() takes fixed interrupts and NMIs only: LVTPC in another delivery mode is kRejected.
class PvPerfHost : public PmiSink {
 public:
  /// Monotonic, in ns; of the guest, so it does not go back when the guest moves.
  virtual std::uint64_t now_ns() = 0;
  virtual std::uint64_t guest_tsc() = 0;

  /// Copies out of guest RAM from `address`, a multiple of 8, within a page: every word is read
  /// once, and not torn. False: not RAM; `words` are then anything.
  virtual bool read_ram(GuestPhysical address, std::span<std::uint64_t> words) = 0;
  /// Where `bytes` of RAM at `address`, within a page, can be written, until the vCPU goes on;
  /// null: not RAM, or read-only. The memory is never read through it.
  virtual std::uint8_t* writable_ram(GuestPhysical address, std::size_t bytes) = 0;
  /// Something was written there: the page is dirty, and decoded code in it is gone.
  virtual void ram_written(GuestPhysical address, std::size_t bytes) = 0;

 protected:
  ~PvPerfHost() = default;
};

/// The shared pages of all vCPUs of a VM, which must not overlap. One for each VM, outlives the
/// vCPUs' PvPerf. Any thread, without locks.
class PvPerfAreas {
 public:
  static constexpr std::size_t kMaxVcpus = 1024;

  /// The vCPU's area is that page from now on. False: another vCPU has it, and the vCPU keeps the
  /// one it had. Of two vCPUs that want the same page at the same time both may be refused.
  bool claim(hostperf::VcpuIndex vcpu, GuestPhysical page);
  void release(hostperf::VcpuIndex vcpu);

 private:
  /// Page numbers plus one; 0: none.
  struct Slot {
    std::atomic<std::uint64_t> had = 0;
    std::atomic<std::uint64_t> wanted = 0;  ///< while it is being claimed
  };
  std::array<Slot, kMaxVcpus> slots_{};
};

}  // namespace vpmu::virt::x86
