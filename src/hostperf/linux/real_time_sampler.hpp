// SPDX-License-Identifier: MIT
//
// Samples a thread in real time: a timer's signal interrupts it, as the NMI of a PMU interrupts a
// CPU, and guest callbacks say whether it was a guest that was interrupted, and where.
//
//   auto provider = virt::GuestProvider::add(virt::TraceOwner::kHost);
//   auto sampler = RealTimeSampler::start({.frequency_hz = 1000, .vcpu =
//   &virt::running_vcpu_index}); machine.run(...);                     // on the same thread;
//   meanwhile, on any other thread,
//   (*sampler)->drain(sink);              //   again and again, or in between runs: the ring is
//   finite
//   (*sampler)->stop();
//   (*sampler)->drain(sink);              // the rest
//
// The handler writes into memory that was there before: it neither allocates nor locks, and leaves
// errno alone. What does not fit into the ring is counted, and lost.
//
// A signal comes when the kernel gets round to it, so two recordings are never the same. Guests'
// addresses are those of the block of code that was running, see virt::GuestContext. A thread's
// system calls go on (SA_RESTART), or, where Linux does not, give EINTR.
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/sample.hpp"

namespace vpmu::hostperf {

/// What passes between two samples.
enum class SamplingClock : std::uint8_t {
  kMonotonic,  ///< time, also while the thread waits; as fine as frequencies go
  kThreadCpu,  ///< the thread's CPU time. Linux looks at its ticks only, 100 to 1000 in a second;
               ///< what lies between two of them is in Sample::period
};

struct RealTimeConfig {
  static constexpr std::uint64_t kMostHz = 100'000;
  /// 0: no timer; the thread is sampled whenever somebody sends it `signal`.
  std::uint64_t frequency_hz = 1000;
  SamplingClock clock = SamplingClock::kMonotonic;
  /// What was interrupted is the host's: its own address, and its mode.
  bool exclude_guest = false;
  /// No samples of the host.
  bool exclude_host = false;
  /// Samples that nobody has drained yet, at most; a power of two.
  std::size_t ring_size = 16'384;
  /// No one else's in this process.
  int signal = SIGPROF;
  /// Sample::event of all its samples.
  std::uint32_t event = 0;
  /// Sample::vcpu, asked in signal context; null: kNoVcpu.
  std::uint32_t (*vcpu)() noexcept = nullptr;
};

class RealTimeSampler {
 public:
  /// Samples the calling thread from now on. It is a GuestCallbackReader as long as the sampler is
  /// there. One sampler per thread; those of several threads have the same signal. Errors name the
  /// option and what to do.
  static Result<std::unique_ptr<RealTimeSampler>> start(const RealTimeConfig& config);
  /// On the thread that started it, as stop().
  ~RealTimeSampler();
  RealTimeSampler(const RealTimeSampler&) = delete;
  RealTimeSampler& operator=(const RealTimeSampler&) = delete;

  /// No sample is taken any more. What is in the ring stays there.
  void stop();

  /// Hands over what has come since the last call, the oldest first, and gives how many. On any
  /// thread, one at a time, also while samples are taken. `time_ns` is CLOCK_MONOTONIC's, `period`
  /// in nanoseconds of the sampling clock; there are no call chains and no branches.
  std::size_t drain(SampleSink& sink);

  /// Samples that found the ring full. On any thread.
  [[nodiscard]] std::uint64_t lost() const;

 private:
  RealTimeSampler();
  struct Private;
  std::unique_ptr<Private> private_;
};

}  // namespace vpmu::hostperf
