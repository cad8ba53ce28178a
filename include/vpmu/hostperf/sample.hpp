// SPDX-License-Identifier: MIT
//
// One sample of a host profiler: what interrupted whom, where, and how it got there. What takes
// them is a SampleSink, which the profiler's user owns: a file, a table, a test.
#pragma once

#include <cstdint>
#include <span>

#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/silicon/x86/lbr_stack.hpp"

namespace vpmu::hostperf {

/// What ran. Guests' are told by their guest callbacks; the host's otherwise.
enum class SampledMode : std::uint8_t {
  kUnknown,
  kHostKernel,
  kHostUser,
  kGuestKernel,
  kGuestUser,
};

struct Sample {
  static constexpr std::uint32_t kNoVcpu = ~std::uint32_t{0};

  std::uint32_t event = 0;       ///< by the order in which the profiler was given its events
  std::uint32_t vcpu = kNoVcpu;  ///< whose thread was interrupted
  HostCpu host_cpu = kNoHostCpu;
  std::uint64_t time_ns = 0;  ///< machine time, or the host's monotonic clock (real-time sampling)
  SampledMode mode = SampledMode::kUnknown;
  /// Of the instruction that comes next; of the one that made the event overflow if `exact`.
  std::uint64_t ip = 0;
  bool exact = false;
  std::uint64_t period = 0;  ///< counts that this sample stands for
  /// Empty: none was asked for. Otherwise `ip` and then return addresses, the innermost first, all
  /// of `mode`. Valid during the call only, as `branches`.
  std::span<const std::uint64_t> callchain;
  /// The newest first.
  std::span<const silicon::x86::LbrStack::Decoded> branches;
};

class SampleSink {
 public:
  /// On the vCPU's thread, between two instructions of it. May not call the profiler or the guest.
  virtual void on_sample(const Sample& sample) = 0;

 protected:
  ~SampleSink() = default;
};

}  // namespace vpmu::hostperf
