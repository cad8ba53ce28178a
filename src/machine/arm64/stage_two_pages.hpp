// SPDX-License-Identifier: MIT
//
// Stage 2 of translation, where a hypervisor manages it: whether pages of RAM are there. The CPU's
// own accesses wait until they are; a unit that writes by itself cannot.
#pragma once

#include <cstdint>
#include <optional>

namespace vpmu::machine::arm64 {

class StageTwoPages {
 public:
  /// They come one by one, as the CPU touches them. Otherwise all are there, and touch() need not
  /// be called.
  [[nodiscard]] virtual bool on_demand() const = 0;
  /// The CPU accesses this byte of RAM: its page is there from now on.
  virtual void touch(std::uint64_t physical) = 0;
  /// A unit of the CPU writes to this byte of RAM. None: it may; otherwise a fault status code.
  virtual std::optional<std::uint8_t> refuse_unit(std::uint64_t physical) = 0;

 protected:
  ~StageTwoPages() = default;
};

}  // namespace vpmu::machine::arm64
