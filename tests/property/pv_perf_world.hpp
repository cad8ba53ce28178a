// SPDX-License-Identifier: MIT
//
// What PV perf stands on, watched: the guest's memory, of which other vCPUs change words while they
// are being read; LVTPC; time; and a host perf that refuses events and is asked how they do.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/virt/x86/pv_perf_host.hpp"

namespace vpmu::property {

class PvPerfWorld final : public virt::x86::PvPerfHost, public hostperf::HostClock {
 public:
  static constexpr std::uint64_t kPageBytes = 4096, kPages = 8, kBytes = kPages * kPageBytes;
  enum class Kind : std::uint8_t { kRam, kReadOnly, kNothing };

  // virt::x86::PvPerfHost
  std::uint64_t now_ns() override { return now; }
  std::uint64_t guest_tsc() override { return tsc(); }
  bool read_ram(GuestPhysical address, std::span<std::uint64_t> words) override;
  /// Memory full of rubbish, of which what was written counts when ram_written() says so.
  std::uint8_t* writable_ram(GuestPhysical address, std::size_t bytes) override;
  void ram_written(GuestPhysical address, std::size_t bytes) override;
  virt::x86::PmiOutcome raise_pmi(virt::x86::LvtpcAfterPmi after) override;
  void request_entry_work() override { ++requests; }

  // hostperf::HostClock
  [[nodiscard]] std::uint64_t machine_time() const override;

  [[nodiscard]] std::uint64_t tsc() const { return 3 * now + 7; }
  [[nodiscard]] Kind kind(std::uint64_t address) const {
    return address < kBytes ? kinds[address / kPageBytes] : Kind::kNothing;
  }
  [[nodiscard]] std::uint64_t word(std::uint64_t address) const { return memory_[address / 8]; }
  void set_word(std::uint64_t address, std::uint64_t value) { memory_[address / 8] = value; }

  /// A word that was read since forget(), oldest first.
  struct Read {
    std::uint64_t address;
    std::uint64_t value;
    bool seen = false;
  };
  /// The next word that was read there, for somebody who reads as the host does; else what is
  /// there.
  std::uint64_t read_again(std::uint64_t address);
  /// Whether a word was read that nobody has seen by read_again(), though it had been read before.
  [[nodiscard]] std::optional<std::uint64_t> read_twice() const;

  struct Write {
    std::uint64_t address;
    std::uint64_t bytes;
    std::vector<std::uint64_t> changed;  ///< half words
  };
  std::vector<Write> writes;  ///< since forget()
  void forget();

  std::uint64_t now = 5'000'000'000;
  std::array<Kind, kPages> kinds{};
  /// Not 0: another vCPU changes each word right behind its being read.
  std::uint64_t scribbles = 0;
  virt::x86::PmiOutcome lvtpc = virt::x86::PmiOutcome::kDelivered;
  virt::x86::PmiOutcome outcome = virt::x86::PmiOutcome::kDelivered;  ///< of the last interrupt
  virt::x86::LvtpcAfterPmi after = virt::x86::LvtpcAfterPmi::kKeep;   ///< of the last interrupt
  std::uint64_t raised = 0;
  std::uint64_t requests = 0;
  bool written_outside_ram = false;

 private:
  std::vector<std::uint64_t> memory_ = std::vector<std::uint64_t>(kBytes / 8);
  std::vector<std::uint64_t> rubbish_ = std::vector<std::uint64_t>(kBytes / 8);
  std::vector<Read> reads_;
};

/// Passes everything on, but what it is told to refuse.
class FickleHostPerf final : public hostperf::HostPerf {
 public:
  explicit FickleHostPerf(bool silent_errors) : silent_errors_{silent_errors} {}
  void pass_to(hostperf::HostPerf* perf) { perf_ = perf; }

  tl::expected<hostperf::EventId, hostperf::OpenError> open(
      const hostperf::EventAttr& attr, hostperf::Target target,
      hostperf::OverflowHandler& handler) override;
  void close(hostperf::EventId event) override;
  void enable(hostperf::EventId event) override { perf_->enable(event); }
  void disable(hostperf::EventId event) override { perf_->disable(event); }
  void pause(hostperf::EventId event) override { perf_->pause(event); }
  void resume(hostperf::EventId event) override { perf_->resume(event); }
  std::optional<hostperf::EventCount> read(hostperf::EventId event) override;
  void set_period(hostperf::EventId event, std::uint64_t period) override {
    perf_->set_period(event, period);
  }
  [[nodiscard]] hostperf::EventState state(hostperf::EventId event) const override {
    return perf_->state(event);
  }
  [[nodiscard]] hostperf::HostCpu cpu(hostperf::EventId event) const override {
    return perf_->cpu(event);
  }

  /// Time, which the modelled host perf takes from its vCPU's cycles, and here nobody counts them.
  void pass(std::uint64_t ns);
  /// Whether an event with that cookie is on a counter, or waits for its vCPU to be on a CPU.
  [[nodiscard]] bool counts(std::uint64_t cookie) const;
  /// What became of opening the last one with that cookie.
  [[nodiscard]] std::optional<hostperf::OpenError> failure(std::uint64_t cookie) const {
    return failures_.at(cookie);
  }
  [[nodiscard]] std::size_t open_events() const { return open_.size(); }
  /// Whether the host would have a counter for one more like the last with that cookie.
  [[nodiscard]] bool has_room_for(std::uint64_t cookie, hostperf::OverflowHandler& handler);

  std::optional<hostperf::OpenError> refuse;

 private:
  hostperf::HostPerf* perf_ = nullptr;
  const bool silent_errors_;
  struct Open {
    std::uint64_t cookie;
    std::uint64_t running_ns = 0;
  };
  std::unordered_map<std::uint32_t, Open> open_;  ///< by event
  std::array<std::optional<hostperf::OpenError>, 32> failures_{};
  struct Wanted {
    hostperf::EventAttr attr;
    hostperf::Target target;
  };
  std::array<Wanted, 32> wanted_{};  ///< last, by cookie
};

}  // namespace vpmu::property
