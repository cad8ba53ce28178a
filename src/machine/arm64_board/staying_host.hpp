// SPDX-License-Identifier: MIT
//
// Pages that stay where they are as far as anyone can tell who accesses them by software: nothing
// is pinned, in any container, and what would have been is counted.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vpmu/virt/memory/pinning_host.hpp"

namespace vpmu::machine::arm64 {

class StayingHost final : public virt::memory::PinningHost {
 public:
  void* allocate(std::size_t bytes) override { return host_.allocate(bytes); }
  void release(void* memory, std::size_t bytes) override { host_.release(memory, bytes); }
  int pin(std::byte* /*begin*/, std::uint64_t /*bytes*/, bool /*write*/) override { return 0; }
  int pin_for_writing(std::byte* /*begin*/, std::uint64_t /*bytes*/) override { return 0; }
  void unpin(std::byte* /*begin*/, std::uint64_t /*bytes*/) override {}
  int fault_in(std::byte* /*page*/, bool /*write*/) override { return 0; }
  bool may_charge(std::uint64_t /*pages*/) override { return true; }
  bool charge(std::uint64_t pages) override {
    charged_ += pages;
    return true;
  }
  void uncharge(std::uint64_t pages) override { charged_ -= pages; }

  [[nodiscard]] std::uint64_t charged_pages() const { return charged_; }

 private:
  virt::memory::LinuxPinningHost host_;  ///< for tables
  std::uint64_t charged_ = 0;
};

}  // namespace vpmu::machine::arm64
