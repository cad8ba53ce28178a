// SPDX-License-Identifier: MIT
//
// Which pids, ids and records the two layouts have.
//
// The host's view of a VM is that of a process with a thread for each vCPU. In layout `process`
// that is all there is. In layout `guest` the VM has a machine of its own beside it, with one
// process; a sample's id says whose it is: each event has an id for every vCPU, and one more for
// samples of the host.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "profile/perf_data/format.hpp"
#include "profile/perf_data/writer.hpp"
#include "vpmu/hostperf/sample.hpp"

namespace vpmu::profile::perf_data {

/// The event's attr as it is in the file.
Attr attr_of(const WrittenEvent& event);

/// Ids of an event, by slot: the vCPUs, and behind them the host.
class SampleIds {
 public:
  explicit SampleIds(const WriterConfig& config)
      : vcpus_{config.vcpus}, slots_{config.layout == Layout::kGuest ? config.vcpus + 1 : 1} {}
  [[nodiscard]] std::uint64_t id(std::uint64_t event, std::uint64_t slot) const {
    return event * slots_ + (slot < slots_ ? slot : slots_ - 1) + 1;
  }
  [[nodiscard]] std::uint64_t slots() const { return slots_; }
  [[nodiscard]] std::uint64_t host_slot() const { return vcpus_; }
  [[nodiscard]] std::vector<std::uint64_t> of_event(std::uint64_t event) const;

 private:
  std::uint64_t vcpus_;
  std::uint64_t slots_;
};

/// Threads as the host sees them.
inline std::uint32_t host_thread(std::uint32_t vm_pid, std::uint32_t vcpu) {
  return vcpu == hostperf::Sample::kNoVcpu ? vm_pid : vm_pid + 1 + vcpu;
}
/// Pids within the guest of layout `guest`.
inline constexpr std::uint32_t kGuestPid = 1;
inline std::uint32_t guest_thread(std::uint32_t vcpu) {
  return vcpu == hostperf::Sample::kNoVcpu ? kGuestPid : kGuestPid + vcpu;
}

/// Everything before the first sample.
std::string first_records(const WriterConfig& config, const SampleIds& ids);

/// Who there is, for traces of SPE: as in layout `process`, and the image once more as a kernel's,
/// where perf looks for code at EL1.
std::string first_spe_records(const WriterConfig& config);

}  // namespace vpmu::profile::perf_data
