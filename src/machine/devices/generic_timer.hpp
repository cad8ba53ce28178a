// SPDX-License-Identifier: MIT
//
// The generic timer of one vCPU (Arm ARM D11): the system counter in machine time, and the physical
// and the virtual timer of EL1, whose outputs are levels on private interrupts.
//
// A timer's condition is that the counter has reached CVAL, both unsigned. It stays met until CVAL
// is written, also where the vCPUs' turns let the counter be a little earlier than it was. What
// needs no interrupt takes no place in the clock's queue. What the manual leaves open:
//
//  - A disabled timer shows ISTATUS 0, and TVAL as if it were enabled.
//  - CNTFRQ can be written at EL1, the highest exception level there is, and changes no rate.
//  - A timer for a time beyond 2^63 cycles never fires: machine time does not get there.
#pragma once

#include <cstdint>

#include "machine/clock.hpp"
#include "machine/devices/event_stream.hpp"
#include "machine/devices/interrupt_lines.hpp"
#include "vpmu/base/access.hpp"
#include "vpmu/base/register.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/silicon/arm64/system_register.hpp"

namespace vpmu::machine {

/// CNTP_* or CNTV_*: one compare value and its output.
class GenericTimerChannel final : private Timer {
 public:
  /// CNTP_CTL and CNTV_CTL.
  struct Control : Register<std::uint8_t> {
    static constexpr Field<0> kEnable{};
    static constexpr Field<1> kImask{};
    static constexpr Field<2> kIstatus{};  // read-only
    static constexpr std::uint8_t kWritable = mask_of(kEnable, kImask);
  };

  struct State {
    Control control;
    std::uint64_t compare = 0;  ///< CVAL
    bool met = false;           ///< the counter has reached CVAL since that was written
    friend bool operator==(const State&, const State&) = default;
  };

  /// `intid`: the line of its output among `lines`.
  GenericTimerChannel(Clock& clock, std::uint64_t counter_hz, unsigned intid,
                      InterruptLines& lines);

  void reset();

  /// What this timer compares with.
  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] std::uint64_t control() const;
  [[nodiscard]] std::uint64_t compare() const { return state_.compare; }
  [[nodiscard]] std::uint64_t timer_value() const;
  void set_control(std::uint64_t value);
  void set_compare(std::uint64_t value);
  void set_timer_value(std::uint64_t value);

  [[nodiscard]] State save() const { return state_; }
  /// A state that fits, as GenericTimer::restore() made sure. `offset`: how much its counter is
  /// behind the physical one, at most that one's count. The level of the output comes with the
  /// interrupt controller's state.
  void restore(const State& state, std::uint64_t offset);

 private:
  void on_timer() override;
  /// The output is to follow the condition.
  [[nodiscard]] bool wanted() const;
  void update();
  void schedule();

  Clock& clock_;
  std::uint64_t counter_hz_;
  unsigned intid_;
  InterruptLines& lines_;
  std::uint64_t offset_ = 0;
  State state_;
};

class GenericTimer {
 public:
  static constexpr unsigned kVirtualIntid = 27;
  static constexpr unsigned kPhysicalIntid = 30;

  /// CNTKCTL_EL1.
  struct KernelControl : Register<std::uint32_t> {
    static constexpr Field<0> kEl0pcten{};
    static constexpr Field<1> kEl0vcten{};
    static constexpr Field<2> kEvnten{};
    static constexpr Field<3> kEvntdir{};
    static constexpr Field<7, 4> kEvnti{};
    static constexpr Field<8> kEl0vten{};
    static constexpr Field<9> kEl0pten{};
    static constexpr std::uint32_t kBits =
        mask_of(kEl0pcten, kEl0vcten, kEvnten, kEvntdir, kEvnti, kEl0vten, kEl0pten);
  };

  /// `counter_hz` (not 0) counts in a second of machine time. `lines` are the private interrupts of
  /// this vCPU, by INTID.
  GenericTimer(Clock& clock, std::uint64_t counter_hz, InterruptLines& lines);

  /// At set-up: who gets the event stream.
  void connect(EventStreamListener& listener) { events_.connect(listener); }

  void reset();

  /// The vCPU begins to wait by WFE, or is restored in such a wait: if the guest has enabled the
  /// event stream, its next event ends it.
  void wait_for_event();

  /// CNTFRQ, CNTKCTL, CNTPCT, CNTVCT and the registers of both timers; not_mine() for any other.
  [[nodiscard]] Access read(silicon::arm64::SystemRegister which, bool el0) const;
  Access write(silicon::arm64::SystemRegister which, std::uint64_t value, bool el0);

  /// CNTPCT and CNTVCT.
  [[nodiscard]] std::uint64_t physical_count() const { return physical_.count(); }
  [[nodiscard]] std::uint64_t virtual_count() const { return virtual_.count(); }

  struct State {
    std::uint64_t frequency = 0;       ///< CNTFRQ, whatever the rate is
    std::uint64_t virtual_offset = 0;  ///< CNTVOFF: 0 but behind a migration
    KernelControl kernel_control;
    GenericTimerChannel::State physical;
    GenericTimerChannel::State virtual_;
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const;
  /// The clock must have its time already.
  Result<void> restore(const State& state);

 private:
  enum class Name : std::uint8_t {
    kFrequency,
    kKernelControl,
    kPhysicalCount,
    kVirtualCount,
    kTimerValue,
    kControl,
    kCompare,
    kNone,
  };
  /// What a register's encoding means. `channel`: 0 the physical one, 1 the virtual one.
  struct Decoded {
    Name name;
    unsigned channel = 0;
  };
  static Decoded decode(silicon::arm64::SystemRegister which);
  /// CNTKCTL lets EL0 at it.
  [[nodiscard]] bool allows_el0(const Decoded& decoded) const;

  std::uint64_t counter_hz_;
  State state_;  ///< without the channels
  GenericTimerChannel physical_;
  GenericTimerChannel virtual_;
  EventStream events_;
};

}  // namespace vpmu::machine
