// SPDX-License-Identifier: MIT
//
// The interpreter as one that runs test code: a guest of one CPU in 64-bit mode at CPL 3, whose
// page tables map the window at the addresses that it has natively, and whose exception handlers
// halt.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "state.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/silicon/raw_event.hpp"
#include "window.hpp"

namespace vpmu::differential {

class GuestCpu {
 public:
  static Result<GuestCpu> create();
  GuestCpu(GuestCpu&&) noexcept;
  GuestCpu& operator=(GuestCpu&&) = delete;
  ~GuestCpu();

  [[nodiscard]] std::uint8_t* data();
  void fill_read_only(std::span<const std::uint8_t> bytes);
  /// Writes code behind the CPU's back, and tells it so.
  void write_code(std::uint64_t address, std::span<const std::uint8_t> bytes);

  enum class Pace : std::uint8_t { kBlocks, kSingleSteps };
  /// Runs from `input` until an exception.
  Outcome run(const CpuState& input, Pace pace);

  /// What the last run retired at CPL 3.
  using Retired = std::array<std::uint64_t, silicon::kRawEventCount>;
  [[nodiscard]] const Retired& retired() const;

 private:
  struct Private;
  explicit GuestCpu(std::unique_ptr<Private> p);
  std::unique_ptr<Private> private_;
};

}  // namespace vpmu::differential
