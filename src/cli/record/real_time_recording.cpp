// SPDX-License-Identifier: MIT
#include "cli/record/real_time_recording.hpp"

#include <csignal>

#include <chrono>
#include <utility>

#include "vpmu/virt/running_vcpu.hpp"

namespace vpmu::cli::record {

namespace {
/// At the highest frequency the ring holds several times as many.
constexpr std::chrono::milliseconds kBetween{20};
}  // namespace

RealTimeRecording::RealTimeRecording(std::unique_ptr<hostperf::RealTimeSampler> sampler,
                                     hostperf::SampleSink& sink)
    : sampler_{std::move(sampler)}, sink_{sink} {
  // Signals are for the thread that runs the guest.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  drain_ = std::thread{[this] {
    while (!done_.load()) {
      sampler_->drain(sink_);
      std::this_thread::sleep_for(kBetween);
    }
  }};
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

RealTimeRecording::~RealTimeRecording() {
  stop();
}

Result<std::unique_ptr<RealTimeRecording>> RealTimeRecording::start(std::uint64_t frequency,
                                                                    hostperf::SampleSink& sink) {
  auto sampler = hostperf::RealTimeSampler::start(
      {.frequency_hz = frequency, .exclude_host = true, .vcpu = &virt::running_vcpu_index});
  if (!sampler) return tl::unexpected(sampler.error());
  return std::unique_ptr<RealTimeRecording>{new RealTimeRecording{std::move(*sampler), sink}};
}

void RealTimeRecording::stop() {
  if (!drain_.joinable()) return;
  sampler_->stop();
  done_.store(true);
  drain_.join();
  sampler_->drain(sink_);
}

}  // namespace vpmu::cli::record
