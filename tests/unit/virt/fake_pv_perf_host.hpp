// SPDX-License-Identifier: MIT
//
// The hypervisor around PV perf that a test drives by hand: time stands still, RAM is a few pages
// of which some are not there or only readable, LVTPC only notes what arrives. Threads of the test
// may access RAM meanwhile, by atomic words.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <functional>
#include <span>
#include <vector>

#include "vpmu/virt/x86/pv_perf_host.hpp"

namespace vpmu::virt::x86 {

class FakePvPerfHost final : public PvPerfHost {
 public:
  static constexpr std::size_t kPageBytes = 4096, kPages = 16;
  enum class Kind : std::uint8_t { kRam, kReadOnly, kNothing };

  std::uint64_t now_ns() override { return now; }
  std::uint64_t guest_tsc() override { return tsc; }

  bool read_ram(GuestPhysical address, std::span<std::uint64_t> words) override {
    if (kind_of(address) == Kind::kNothing) return false;
    const std::size_t first = raw(address) / sizeof(std::uint64_t);
    for (std::size_t n = 0; n < words.size(); ++n) {
      words[n] = std::atomic_ref{memory_[first + n]}.load(std::memory_order_relaxed);
      ++reads[first + n];
      if (after_read) after_read(memory_[first + n]);
    }
    return true;
  }
  std::uint8_t* writable_ram(GuestPhysical address, std::size_t) override {
    return kind_of(address) == Kind::kRam ? bytes(address) : nullptr;
  }
  void ram_written(GuestPhysical address, std::size_t) override {
    ++written[raw(address) / kPageBytes];
    if (on_written) on_written();
  }

  PmiOutcome raise_pmi(LvtpcAfterPmi after) override {
    ++raised;
    last = after;
    if (on_pmi) on_pmi();
    return outcome;
  }
  void request_entry_work() override { ++requests; }

  // ---- RAM --------------------------------------------------------------------------------------

  std::uint8_t* bytes(GuestPhysical address) {
    return static_cast<std::uint8_t*>(static_cast<void*>(memory_.data())) + raw(address);
  }
  std::uint64_t& word(GuestPhysical address) {
    return memory_[raw(address) / sizeof(std::uint64_t)];
  }
  /// A structure in RAM, copied.
  template <class T>
  T get(std::uint64_t address) {
    T value;
    std::memcpy(&value, bytes(GuestPhysical{address}), sizeof value);
    return value;
  }
  template <class T>
  void put(std::uint64_t address, const T& value) {
    std::memcpy(bytes(GuestPhysical{address}), &value, sizeof value);
  }
  void fill(std::uint64_t address, std::size_t size, std::uint8_t byte) {
    std::memset(bytes(GuestPhysical{address}), byte, size);
  }
  void set_kind(std::uint64_t page, Kind kind) { kinds_[page / kPageBytes] = kind; }

  std::uint64_t now = 1'000'000'000;
  std::uint64_t tsc = 5'000'000;
  int raised = 0;
  std::atomic<int> requests = 0;
  LvtpcAfterPmi last = LvtpcAfterPmi::kKeep;
  PmiOutcome outcome = PmiOutcome::kDelivered;
  std::function<void()> on_pmi;

  std::array<int, kPages * kPageBytes / sizeof(std::uint64_t)> reads{};  ///< by read_ram(), a word
  std::function<void(std::uint64_t&)> after_read;                        ///< what becomes of it
  std::array<int, kPages> written{};                                     ///< ram_written(), a page
  std::function<void()> on_written;

 private:
  Kind kind_of(GuestPhysical address) const {
    return raw(address) < kPages * kPageBytes ? kinds_[raw(address) / kPageBytes] : Kind::kNothing;
  }

  std::vector<std::uint64_t> memory_ =
      std::vector<std::uint64_t>(kPages * kPageBytes / sizeof(std::uint64_t));
  std::array<Kind, kPages> kinds_{};
};

}  // namespace vpmu::virt::x86
