// SPDX-License-Identifier: MIT
//
// The I/O APIC: 24 pins, each with a redirection entry that turns it into an interrupt message.
// Version 0x20, with the EOI register. Registers as in the 82093AA and the ICH data sheets:
// index at 0x00, data at 0x10, EOI at 0x40.
//
//  - Edge: a rising line sends one message; an edge while the entry is masked is lost.
//  - Level: a high line sends one message and sets Remote IRR, which the EOI of its vector clears;
//    it then sends again if the line is still high. Unmasking a high line sends, too.
//  - Writing an entry as edge-triggered clears its Remote IRR, which old kernels rely on.
#pragma once

#include <array>
#include <cstdint>

#include "machine/bus.hpp"
#include "machine/devices/apic_bus.hpp"
#include "vpmu/base/register.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine {

class IoApic final : public MmioDevice, public EoiListener {
 public:
  static constexpr std::uint64_t kDefaultAddress = 0xfec00000;
  static constexpr std::uint64_t kLength = 0x1000;
  static constexpr unsigned kPins = 24;

  /// Registers itself as the EOI listener of `bus`.
  explicit IoApic(ApicBus& bus);

  void reset();

  /// Pins that do not exist are ignored.
  void set_pin(unsigned pin, bool high);

  std::uint64_t read_mmio(std::uint64_t offset, unsigned bytes) override;
  void write_mmio(std::uint64_t offset, unsigned bytes, std::uint64_t value) override;

  void on_eoi(std::uint8_t vector) override;

  struct Redirection : Register<std::uint64_t> {
    static constexpr Field<7, 0> kVector{};
    static constexpr Field<10, 8> kDeliveryMode{};
    static constexpr Field<11> kLogical{};
    static constexpr Field<12> kDeliveryStatus{};  // read-only, always idle here
    static constexpr Field<13> kPolarity{};        // kept; lines are active high inside the machine
    static constexpr Field<14> kRemoteIrr{};       // read-only
    static constexpr Field<15> kLevel{};
    static constexpr Field<16> kMask{};
    static constexpr Field<63, 56> kDestination{};
    static constexpr std::uint64_t kWritable =
        mask_of(kVector, kDeliveryMode, kLogical, kPolarity, kLevel, kMask, kDestination);
  };

  struct State {
    std::uint8_t index = 0;
    std::uint8_t id = 0;     ///< 4 bits; also the arbitration ID
    std::uint32_t high = 0;  ///< lines, bit per pin
    std::array<Redirection, kPins> entry;
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const { return state_; }
  Result<void> restore(const State& state);

 private:
  [[nodiscard]] std::uint32_t read_register() const;
  void write_register(std::uint32_t value);
  void send(unsigned pin);
  /// Sends for a level-triggered pin if it is due.
  void drive_level(unsigned pin);
  [[nodiscard]] bool is_high(unsigned pin) const { return (state_.high >> pin & 1) != 0; }

  ApicBus& bus_;
  State state_;
};

}  // namespace vpmu::machine
