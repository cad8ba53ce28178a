// SPDX-License-Identifier: MIT
//
// `vpmu record --real-time`: samples by a timer of the host's, which a thread of its own takes from
// the sampler to the file.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "hostperf/linux/real_time_sampler.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/sample.hpp"

namespace vpmu::cli::record {

class RealTimeRecording {
 public:
  /// Samples the calling thread from now on, which is to run the guest. `sink` is called on another
  /// thread.
  static Result<std::unique_ptr<RealTimeRecording>> start(std::uint64_t frequency,
                                                          hostperf::SampleSink& sink);
  /// On the thread that started it, as stop().
  ~RealTimeRecording();
  RealTimeRecording(const RealTimeRecording&) = delete;
  RealTimeRecording& operator=(const RealTimeRecording&) = delete;

  /// The sink has all samples when it returns, and gets no more. Once or more.
  void stop();
  /// Samples that nobody got.
  [[nodiscard]] std::uint64_t lost() const { return sampler_->lost(); }

 private:
  RealTimeRecording(std::unique_ptr<hostperf::RealTimeSampler> sampler, hostperf::SampleSink& sink);

  std::unique_ptr<hostperf::RealTimeSampler> sampler_;
  hostperf::SampleSink& sink_;
  std::atomic<bool> done_{false};
  std::thread drain_;
};

}  // namespace vpmu::cli::record
