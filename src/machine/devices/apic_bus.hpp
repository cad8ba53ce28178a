// SPDX-License-Identifier: MIT
//
// What connects the local APICs with each other and with the I/O APIC: finds who an interrupt
// message is for. Deterministic: targets are visited in the order in which they were added, and
// lowest-priority delivery picks the lowest processor priority class, the next in turn among
// equals.
//
// Destinations (Intel SDM vol. 3A 11.6.2 and 11.12.9): physical IDs, logical flat and cluster in
// xAPIC mode, cluster:bit in x2APIC mode; all ones is a broadcast in every mode. A message with an
// 8-bit destination (I/O APIC, xAPIC ICR) reaches x2APIC-mode targets in cluster 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vpmu/base/result.hpp"

namespace vpmu::machine {

class LocalApic;

/// As encoded in ICR, LVT and I/O APIC redirection entries.
enum class DeliveryMode : std::uint8_t {
  kFixed = 0,
  kLowestPriority = 1,
  kSmi = 2,
  kReserved = 3,
  kNmi = 4,
  kInit = 5,
  kStartUp = 6,
  kExtInt = 7,
};

struct InterruptMessage {
  std::uint32_t destination = 0;
  bool wide = false;  ///< the destination is a 32-bit (x2APIC) one
  bool logical = false;
  DeliveryMode mode = DeliveryMode::kFixed;
  std::uint8_t vector = 0;
  bool level_triggered = false;  ///< its EOI is broadcast

  [[nodiscard]] bool is_broadcast() const {
    return destination == (wide ? ~std::uint32_t{0} : 0xff);
  }
};

/// Told when a level-triggered interrupt was handled: the I/O APIC.
class EoiListener {
 public:
  virtual void on_eoi(std::uint8_t vector) = 0;

 protected:
  ~EoiListener() = default;
};

class ApicBus {
 public:
  ApicBus() = default;
  ApicBus(const ApicBus&) = delete;
  ApicBus& operator=(const ApicBus&) = delete;

  /// At set-up. The APICs and the listener must outlive the bus's use.
  void add(LocalApic& apic) { apics_.push_back(&apic); }
  void set_eoi_listener(EoiListener* listener) { eoi_listener_ = listener; }

  /// Delivers to whom the message's destination names. True if somebody accepted it.
  bool deliver(const InterruptMessage& message);
  /// Delivers to everybody, but for `except` if that is not null (destination shorthands).
  bool deliver_to_all(const InterruptMessage& message, const LocalApic* except);

  void broadcast_eoi(std::uint8_t vector) {
    if (eoi_listener_ != nullptr) eoi_listener_->on_eoi(vector);
  }

  struct State {
    std::uint64_t next = 0;  ///< who is asked first among equals in lowest-priority delivery
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const { return state_; }
  Result<void> restore(const State& state);

 private:
  template <class Predicate>
  bool deliver_where(const InterruptMessage& message, Predicate is_target);

  std::vector<LocalApic*> apics_;
  EoiListener* eoi_listener_ = nullptr;
  State state_;
};

}  // namespace vpmu::machine
