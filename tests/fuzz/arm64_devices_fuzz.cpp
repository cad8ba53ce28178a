// SPDX-License-Identifier: MIT
//
// Any sequence of accesses to the devices of an Arm board, wired up as there: GIC, generic timers,
// PL011, PSCI, semihosting and the exit device, in memory and as system registers, while time goes
// on (and back a little, as between vCPUs that take turns), and while their states are saved,
// restored elsewhere, and restored damaged. What must hold between two accesses:
//
//  - the lines of timers and serial port are what their registers say;
//  - no timer is left in the past, and none is beyond the end of machine time;
//  - a saved state is accepted and saved again as it is.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "machine/clock.hpp"
#include "machine/devices/event_stream.hpp"
#include "machine/devices/exit_device.hpp"
#include "machine/devices/generic_timer.hpp"
#include "machine/devices/pl011.hpp"
#include "machine/devices/psci.hpp"
#include "machine/devices/semihosting.hpp"
#include "property/choices.hpp"
#include "unit/devices/gic_world.hpp"

namespace {
using namespace vpmu::machine;  // NOLINT(google-build-using-namespace): all of it is about them
using vpmu::property::ByteChoices;
using vpmu::property::Choices;
using vpmu::silicon::arm64::system_register;
using vpmu::silicon::arm64::SystemRegister;

constexpr unsigned kVcpus = 3;
constexpr std::uint64_t kHz = 2'600'000'000, kCounterHz = 25'000'000;

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

/// Takes what comes. Guest memory is the same everywhere and ends now and then.
class Outside final : public MachineControl,
                      public ByteSink,
                      public PowerControl,
                      public SemihostingMemory,
                      public EventStreamListener {
 public:
  void exit(std::uint32_t /*code*/) override {}
  void power_off() override {}
  void reset() override {}
  void put(std::uint8_t /*byte*/) override {}
  [[nodiscard]] unsigned vcpus() const override { return kVcpus; }
  [[nodiscard]] PowerState power_state(unsigned vcpu) const override {
    check(vcpu < kVcpus, "the power state of a vCPU that does not exist");
    return on[vcpu] ? PowerState::kOn : PowerState::kOff;
  }
  [[nodiscard]] bool is_entry(std::uint64_t address) const override { return address >> 40 == 0; }
  void power_on(unsigned vcpu, std::uint64_t entry, std::uint64_t /*context*/) override {
    check(vcpu < kVcpus && !on[vcpu] && is_entry(entry) && entry % 4 == 0, "a bad start");
    on[vcpu] = true;
  }
  void power_off(unsigned vcpu) override { on[vcpu] = false; }
  void wait_for_interrupt(unsigned /*vcpu*/) override {}
  std::optional<std::uint8_t> peek_byte(std::uint64_t address) override {
    if (address % 4096 == 4095) return std::nullopt;
    return static_cast<std::uint8_t>(address * 0x9e3779b97f4a7c15 >> 56);
  }

  void on_stream_event() override {}

  bool on[kVcpus] = {true, false, false};
};

/// The devices of one board.
struct Devices {
  explicit Devices(std::uint64_t now) {
    clock.set_now(now);
    uart.add_to(gic.bus);
    exit_device.add_to(gic.bus);
    for (GicWorld::Vcpu& vcpu : gic.vcpus) {
      timers.emplace_back(clock, kCounterHz, vcpu.redistributor).connect(outside);
    }
  }

  Outside outside;
  Clock clock{kHz};
  GicWorld gic{kVcpus};
  Pl011 uart{Pl011::kIntid, gic.distributor, outside};
  ExitDevice exit_device{outside};
  Psci psci{outside, outside};
  Semihosting semihosting{outside, outside};
  std::deque<GenericTimer> timers;
};

class Session {
 public:
  explicit Session(std::span<const std::uint8_t> input) : choices_{input} {}

  void run() {
    while (!choices_.exhausted()) {
      step();
      check_all();
    }
  }

 private:
  void step() {
    switch (choices_.below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4: access_memory(); break;
      case 5:
      case 6:
      case 7:
      case 8: access_register(); break;
      case 9:
      case 10: move_time(); break;
      case 11: devices_->uart.receive(static_cast<std::uint8_t>(choices_.draw(8))); break;
      case 12: call(); break;
      case 13: move(); break;
      case 14: damage(); break;
      default: set_line(); break;
    }
  }

  void set_line() {
    const unsigned intid = choices_.below(512);
    const bool high = choices_.chance(128);
    if (intid != Pl011::kIntid) devices_->gic.distributor.set_line(intid, high);
  }

  void access_memory() {
    constexpr std::uint64_t kPlaces[] = {GicDistributor::kAddress,
                                         GicDistributor::kAddress + 0x6000,
                                         GicRedistributor::kFirstAddress,
                                         GicRedistributor::kFirstAddress + 0x1'0000,
                                         Pl011::kAddress,
                                         Pl011::kAddress,
                                         ExitDevice::kAddress};
    constexpr unsigned kSizes[] = {4, 4, 4, 1, 2, 8};
    const unsigned bytes = choices_.of(kSizes);
    std::uint64_t address = choices_.of(kPlaces) + choices_.draw(12);
    if (choices_.chance(16)) address += choices_.draw(16);
    if (choices_.chance(224)) address -= address % bytes;
    if (choices_.chance(96)) {
      const std::uint64_t value = devices_->gic.bus.read_mmio(address, bytes);
      check(bytes == 8 || value >> (8 * bytes) == 0, "a read is wider than asked for");
    } else {
      devices_->gic.bus.write_mmio(address, bytes, choices_.draw(8 * bytes));
    }
  }

  SystemRegister draw_register() {
    constexpr unsigned kPlaces[][3] = {{0, 4, 6},   {0, 12, 8},  {0, 12, 9}, {0, 12, 11},
                                       {0, 12, 12}, {0, 12, 12}, {0, 14, 1}, {3, 14, 0},
                                       {3, 14, 2},  {3, 14, 3}};
    if (choices_.chance(8)) return SystemRegister{static_cast<std::uint16_t>(choices_.draw(16))};
    const auto& place = kPlaces[choices_.below(std::size(kPlaces))];
    return system_register(3, place[0], place[1], place[2], choices_.below(8));
  }

  void access_register() {
    const unsigned vcpu = choices_.below(kVcpus);
    const SystemRegister which = draw_register();
    const bool el0 = choices_.chance(32);
    GenericTimer& timer = devices_->timers[vcpu];
    GicCpuInterface& interface = devices_->gic.vcpus[vcpu].interface;
    const bool of_timer = !timer.read(which, el0).is_not_mine();
    if (choices_.chance(112)) {
      const auto access = interface.read(which, el0);
      check(!of_timer || access.is_not_mine(), "a register of both");
      check(!el0 || !access.is_done(), "the GIC answers EL0");
    } else {
      const std::uint64_t value = choices_.chance(128) ? choices_.draw(8) : choices_.draw(64);
      const auto access =
          of_timer ? timer.write(which, value, el0) : interface.write(which, value, el0);
      check(!of_timer || !access.is_not_mine(), "a register that cannot be written is nobody's");
    }
  }

  void move_time() {
    if (choices_.chance(32)) devices_->timers[choices_.below(kVcpus)].wait_for_event();
    Clock& clock = devices_->clock;
    const std::uint64_t now = clock.now();
    if (choices_.chance(32)) {
      const std::uint64_t back = choices_.draw(8);
      if (back < now) clock.set_now(now - back);
    } else if (choices_.chance(128) && clock.next_due() < std::uint64_t{1} << 62) {
      clock.set_now(std::max(now, clock.next_due()));
    } else if (now < std::uint64_t{1} << 62) {
      clock.set_now(now + choices_.draw(choices_.chance(240) ? 20 : 60));
    }
  }

  void call() {
    const unsigned caller = choices_.below(kVcpus);
    if (choices_.chance(64)) {
      const auto operation = static_cast<std::uint32_t>(choices_.draw(6));
      devices_->semihosting.call(operation, choices_.draw(64), devices_->outside);
      return;
    }
    const std::uint64_t function =
        0x8000'0000U | choices_.draw(1) << 30 | choices_.draw(1) << 26 | choices_.draw(5);
    const bool small = choices_.chance(192);
    const auto argument = [&] { return choices_.draw(small ? 3 : 64); };
    const std::uint64_t x1 = argument(), x2 = argument(), x3 = argument();
    const auto result =
        static_cast<std::int64_t>(devices_->psci.call(caller, function, {x1, x2, x3}));
    check(result >= -9 && result <= 0x1'0001, "a result that PSCI does not have");
  }

  template <class Device>
  static void copy(const Device& from, Device& to) {
    check(to.restore(from.save()).has_value(), "a state that was saved is refused");
    check(to.save() == from.save(), "a state has changed by a restore");
  }

  void move() {
    auto other = std::make_unique<Devices>(devices_->clock.now());
    other->outside = devices_->outside;
    copy(devices_->gic.distributor, other->gic.distributor);
    copy(devices_->uart, other->uart);
    for (unsigned i = 0; i < kVcpus; ++i) {
      copy(devices_->gic.vcpus[i].redistributor, other->gic.vcpus[i].redistributor);
      copy(devices_->gic.vcpus[i].interface, other->gic.vcpus[i].interface);
      copy(devices_->timers[i], other->timers[i]);
      check(other->gic.vcpus[i].interface.irq_waiting() ==
                devices_->gic.vcpus[i].interface.irq_waiting(),
            "an interrupt is lost by a restore");
    }
    devices_ = std::move(other);
  }

  /// One field of a state becomes anything: the device refuses it, or goes on with it.
  void damage() {
    const unsigned vcpu = choices_.below(kVcpus);
    const unsigned what = choices_.below(12);
    const std::uint64_t value = choices_.draw(64);
    const auto put = [value](auto& field) {
      field = static_cast<std::remove_reference_t<decltype(field)>>(value);
    };
    if (what < 4) {
      GenericTimer& timer = devices_->timers[vcpu];
      auto state = timer.save();
      if (what == 0) put(state.virtual_offset);
      if (what == 1) put(state.physical.compare);
      if (what == 2) put(state.virtual_.control.raw);
      if (what == 3) state.virtual_.met = (value & 1) != 0;
      lines_hold_ = !timer.restore(state) && lines_hold_;
    } else if (what < 8) {
      auto state = devices_->uart.save();
      if (what == 4) put(state.received);
      if (what == 5) put(state.first);
      if (what == 6) put(state.interrupt_status);
      if (what == 7) put(state.line_control);
      lines_hold_ = !devices_->uart.restore(state) && lines_hold_;
    } else if (what < 10) {
      auto state = devices_->gic.vcpus[vcpu].interface.save();
      if (what == 8) put(state.binary_point0);
      if (what == 9) put(state.active_priorities[0]);
      static_cast<void>(devices_->gic.vcpus[vcpu].interface.restore(state));
    } else {
      auto state = devices_->gic.vcpus[vcpu].redistributor.save();
      if (what == 10) put(state.bank.high);
      if (what == 11) put(state.bank.priority[value % 32]);
      lines_hold_ = !devices_->gic.vcpus[vcpu].redistributor.restore(state) && lines_hold_;
    }
  }

  void check_all() {
    devices_->clock.run_due();
    const std::uint64_t due = devices_->clock.next_due();
    check(due > devices_->clock.now(), "a timer in the past");
    check(due == Timer::kNever || due >> 63 == 0, "a timer beyond the end of time");
    for (unsigned i = 0; i < kVcpus; ++i) {
      const GicWorld::Vcpu& vcpu = devices_->gic.vcpus[i];
      check(!vcpu.interface.irq_waiting() || !vcpu.interface.fiq_waiting(), "IRQ and FIQ at once");
      if (lines_hold_) check_timers(devices_->timers[i], vcpu.redistributor);
    }
    if (lines_hold_) check_uart();
  }

  static void check_timers(const GenericTimer& timer, const GicRedistributor& redistributor) {
    constexpr std::pair<SystemRegister, unsigned> kTimers[] = {
        {system_register(3, 3, 14, 2, 1), GenericTimer::kPhysicalIntid},
        {system_register(3, 3, 14, 3, 1), GenericTimer::kVirtualIntid}};
    for (const auto& [control, intid] : kTimers) {
      const bool high = (redistributor.save().bank.high >> intid & 1) != 0;
      check(high == (timer.read(control, false).value() == 5), "a timer's line is not its status");
    }
  }

  void check_uart() {
    const auto state = devices_->uart.save();
    const bool high = (devices_->gic.distributor.save().banks[0].high >> 1 & 1) != 0;
    check(high == ((state.interrupt_status & state.interrupt_mask) != 0),
          "the serial port's line is not its status");
  }

  ByteChoices choices_;
  std::unique_ptr<Devices> devices_ = std::make_unique<Devices>(0);
  bool lines_hold_ = true;  ///< no damaged state has been taken over
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kLongest = 4096;
  if (size <= kLongest) Session{{data, size}}.run();
  return 0;
}
