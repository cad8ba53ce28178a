// SPDX-License-Identifier: MIT
//
// The firmware configuration ports that guests of other VMMs read: a 16-bit key to 0x510 selects an
// item, its bytes come from 0x511 one after the other, little endian. Items: 0x00 the signature
// "QEMU", 0x01 interface version 1 (no DMA), 0x05 number of CPUs, 0x0f highest number of CPUs.
// Every other key, and everything past the end of an item, reads 0.
#pragma once

#include <cstdint>
#include <string_view>

#include "machine/bus.hpp"

namespace vpmu::machine {

class FwCfg final : public PortDevice {
 public:
  explicit FwCfg(std::uint16_t cpu_count);
  void add_to(Bus& bus);
  void reset() { state_ = State{}; }

  std::uint32_t read_port(std::uint16_t port, unsigned bytes) override;
  void write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) override;

  struct State {
    std::uint16_t key = 0;
    std::uint32_t offset = 0;
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  [[nodiscard]] std::string_view item(std::uint16_t key) const;
  std::uint8_t next_byte();

  char cpu_count_[2];
  State state_;
};

}  // namespace vpmu::machine
