// SPDX-License-Identifier: MIT
//
// PV perf that is slow and obviously right: what virt::x86::PvPerf is compared with, written from
// the ABI (docs/abi/pv-perf.md) with its numbers, not the implementation's names. It has no host
// events, defers nothing, and increments its counters one by one.
//
// Which events the host runs at a moment is the host's business, so the reference asks
// (Surroundings::host_counts()), and so is when the host tries again. Where several things go wrong
// at once, any of them may be the one that ERROR names: errors().
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "property/reference_pmu.hpp"
#include "vpmu/base/access.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/virt/x86/event_gate.hpp"
#include "vpmu/virt/x86/pmi_sink.hpp"
#include "vpmu/virt/x86/pv_perf_config.hpp"

namespace vpmu::property {

class PvPerfSurroundings {
 public:
  [[nodiscard]] virtual std::uint64_t now_ns() const = 0;
  [[nodiscard]] virtual bool readable(std::uint64_t address) const = 0;
  [[nodiscard]] virtual bool writable(std::uint64_t address) const = 0;
  /// A word of memory that is readable, as it was when the hypervisor read it.
  [[nodiscard]] virtual std::uint64_t word(std::uint64_t address) = 0;
  /// The page of another vCPU.
  [[nodiscard]] virtual bool taken(std::uint64_t page) const = 0;
  /// Event i is on a counter of the host.
  [[nodiscard]] virtual bool host_counts(unsigned i) const = 0;
  /// If not: the error code of what the host said.
  [[nodiscard]] virtual std::uint8_t host_error(unsigned i) const = 0;

 protected:
  ~PvPerfSurroundings() = default;
};

class ReferencePvPerf {
 public:
  struct Event {
    std::uint64_t evtsel = 0;
    std::uint64_t count = 0;
    std::uint64_t period = 0;
    std::uint64_t time_enabled = 0;
    std::uint64_t time_running = 0;
    bool running = false;
    bool failed = false;
    bool refused = false;
    bool throttled = false;
    std::uint8_t code = 0;
    bool called = false;
    bool gone = false;  ///< its record is no RAM any more
    std::uint64_t address = 0;
    std::uint64_t read_format = 0;
  };
  struct Record {
    std::uint64_t count, status, time_enabled, time_running;
  };

  ReferencePvPerf(const virt::x86::PvPerfConfig& config, const silicon::x86::CpuModel& host,
                  PvPerfSurroundings& around);

  // ---- What the guest does ----------------------------------------------------------------------
  Access read_msr(std::uint32_t msr);
  Access write_msr(std::uint32_t msr, std::uint64_t value);
  Access rdpmc(std::uint32_t ecx, bool may_read, bool has_pmu);
  Access hypercall(std::uint64_t number, std::array<std::uint64_t, 4> arguments, bool long_mode,
                   bool user);

  // ---- What happens to it -----------------------------------------------------------------------
  /// While the vCPU is on a host CPU.
  void pass(std::uint64_t ns);
  void retire(silicon::Privilege privilege, const Counts& counts);
  void software(unsigned what, std::uint64_t n, silicon::Privilege privilege);
  /// A millisecond may have ended.
  void look_at_the_clock();
  /// The hypervisor hears of host events that lost their counters.
  void judge();
  void set_gate(const virt::x86::EventGate* gate);
  void reset();
  /// To another host, with everything; what was said of events is not said again.
  void migrate(const silicon::x86::CpuModel& host);
  /// Whether that host can go on with it: C.9.
  [[nodiscard]] bool can_migrate(const silicon::x86::CpuModel& host) const;
  /// What has no register is lost, but for what is in the page.
  void keep_registers_only();

  /// The guest goes on: whether an interrupt is raised. raised() tells what became of it.
  bool enter();
  void raised(virt::x86::PmiOutcome outcome);

  // ---- What must be written by then -------------------------------------------------------------
  bool publication_due = false;
  std::uint32_t records_due = 0;
  /// The page is no RAM any more.
  void lose_area();
  void lose_record(unsigned i) { events_[i].gone = true; }

  // ---- What it is -------------------------------------------------------------------------------
  [[nodiscard]] const std::array<Event, 32>& events() const { return events_; }
  [[nodiscard]] std::uint64_t area() const { return area_; }
  [[nodiscard]] bool has_page() const { return (area_ & 1) != 0; }
  [[nodiscard]] std::uint64_t page() const { return area_ & ~std::uint64_t{0xfff}; }
  /// What the host's parts of the page must be, but for the word with the sequence number; by
  /// offset.
  [[nodiscard]] std::vector<std::pair<std::uint64_t, std::uint64_t>> page_image() const;
  [[nodiscard]] Record record(unsigned i) const;
  [[nodiscard]] bool enabled(unsigned i) const;
  [[nodiscard]] bool any_enabled() const;
  [[nodiscard]] bool wants_host(unsigned i) const;
  [[nodiscard]] bool counts_software(unsigned what) const;
  [[nodiscard]] std::uint64_t state(unsigned i) const;
  /// Of which ERROR is one, if there are any; and settles it.
  [[nodiscard]] std::vector<std::uint64_t>& errors() { return errors_; }
  std::uint64_t error = 0;
  std::uint64_t status = 0;

 private:
  enum class Kind : std::uint8_t { kHost, kSoftware, kAbsent };
  struct Meaning {
    Kind kind = Kind::kAbsent;
    std::optional<silicon::RawEvent> raw{};
    silicon::x86::EventSelector selector{};
    std::optional<unsigned> fixed{};
    bool is_raw = false;
    bool nameable = true;  ///< of a raw event
  };
  [[nodiscard]] bool feature(unsigned bit) const { return (config_.features.raw >> bit & 1) != 0; }
  [[nodiscard]] std::uint64_t mask() const { return ~std::uint64_t{0} >> (64 - config_.width); }
  [[nodiscard]] std::uint64_t all() const { return (std::uint64_t{1} << config_.events) - 1; }
  [[nodiscard]] std::uint8_t wrong_evtsel(std::uint64_t evtsel) const;
  [[nodiscard]] std::uint8_t wrong_period(std::uint64_t period) const;
  /// Of event i here. Looking through tables takes most of the time, so it is noted.
  [[nodiscard]] const Meaning& meaning(unsigned i) const;
  [[nodiscard]] Meaning meaning(std::uint64_t evtsel, const silicon::x86::CpuModel& host) const;
  [[nodiscard]] bool admitted(const Meaning& meaning) const;

  Access write_area(std::uint64_t value);
  Access write_batch(std::uint64_t value);
  void load(std::uint32_t events);
  void refuse_load(std::uint8_t code, std::uint16_t id);
  void set_control(std::uint64_t value);
  void set_evtsel(unsigned i, std::uint64_t value);
  void reset_status(std::uint64_t bits);
  void say(std::uint8_t code, std::uint8_t id);
  void judge(unsigned i);
  void increment(unsigned i);
  std::int64_t call(std::uint64_t operation, std::uint64_t first, std::uint64_t second);
  std::int64_t open(std::uint64_t address);
  std::int64_t write_record(unsigned i);

  const virt::x86::PvPerfConfig config_;
  const silicon::x86::CpuModel* host_;
  PvPerfSurroundings& around_;
  const virt::x86::EventGate* gate_ = nullptr;
  std::array<Event, 32> events_{};
  struct Noted {
    std::uint64_t evtsel;
    Meaning meaning;
  };
  mutable std::array<std::optional<Noted>, 32> meanings_{};
  std::uint64_t area_ = 0;
  std::uint64_t control_ = 0;
  std::vector<std::uint64_t> errors_;
  std::uint32_t batch_seq_ = 0;
  std::uint16_t batch_code_ = 0;
  std::uint16_t batch_id_ = 0xffff;
  bool pending_ = false;
  bool held_ = false;
  std::uint64_t millisecond_ = 0;
  unsigned interrupts_ = 0;  ///< in it
};

}  // namespace vpmu::property
