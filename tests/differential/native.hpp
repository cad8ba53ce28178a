// SPDX-License-Identifier: MIT
//
// The host CPU as one that runs test code: in this process, on pages of its own, ended by whichever
// exception the code raises. One object at a time; it takes over the signal handlers of faults
// while it lives. The code may be anything that stays off memory outside the window and makes no
// system call.
#pragma once

#include <cstdint>
#include <span>

#include "state.hpp"
#include "vpmu/base/result.hpp"
#include "window.hpp"

namespace vpmu::differential {

class NativeCpu {
 public:
  /// Maps the window and installs the handlers.
  static Result<NativeCpu> create();
  NativeCpu(NativeCpu&& other) noexcept : owner_{other.owner_} { other.owner_ = false; }
  NativeCpu& operator=(NativeCpu&&) = delete;
  ~NativeCpu();

  [[nodiscard]] std::uint8_t* data() { return reinterpret_cast<std::uint8_t*>(kData); }
  [[nodiscard]] std::uint8_t* code() { return reinterpret_cast<std::uint8_t*>(kCode); }
  /// The read-only page is filled once, before the first run.
  void fill_read_only(std::span<const std::uint8_t> bytes);

  /// Runs from `input` until an exception. Code that does not end is broken off within two seconds.
  Outcome run(const CpuState& input);

 private:
  NativeCpu() = default;
  bool owner_ = true;
};

}  // namespace vpmu::differential
