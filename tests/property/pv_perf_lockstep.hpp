// SPDX-License-Identifier: MIT
//
// PV perf on modelled hosts, and the reference, in lockstep: every operation is done to both, and
// what a guest could tell apart is reported. PV perf is driven as the machine drives it: entry work
// is done behind every access that was done, behind overflows, and before the next guest
// instruction otherwise; it is asked when it is due, and told.
//
// Beside the reference, these hold after every step: host events are at most as many as events and
// none outlives PV perf; no word of memory is read twice in one access; nothing is written but the
// host's parts of the area and records of open events; accesses that are refused leave the saved
// state as it was; counts fit their width; the page's sequence number is even; entry leaves no
// work, and work that no access made was asked for.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "property/lockstep.hpp"
#include "property/pv_perf_operations.hpp"
#include "property/pv_perf_setups.hpp"
#include "property/pv_perf_world.hpp"
#include "property/reference_pv_perf.hpp"
#include "vpmu/virt/x86/pv_perf.hpp"

namespace vpmu::property {

class PvPerfLockstep final : private PvPerfSurroundings, private hostperf::OverflowHandler {
 public:
  using Setup = PvPerfSetup;
  using Operation = PvPerfOperation;

  explicit PvPerfLockstep(const Setup& setup);
  ~PvPerfLockstep();
  PvPerfLockstep(const PvPerfLockstep&) = delete;
  PvPerfLockstep& operator=(const PvPerfLockstep&) = delete;

  /// Does it to both. A text if they differ in what it did.
  std::optional<std::string> step(const Operation& operation);
  /// Compares everything that can be read.
  std::optional<std::string> compare_all();
  /// Switches all off, and resets; to be called last.
  std::optional<std::string> finish();

 private:
  using Difference = std::optional<std::string>;

  // PvPerfSurroundings
  [[nodiscard]] std::uint64_t now_ns() const override { return world_.now; }
  [[nodiscard]] bool readable(std::uint64_t address) const override;
  [[nodiscard]] bool writable(std::uint64_t address) const override;
  [[nodiscard]] std::uint64_t word(std::uint64_t address) override;
  [[nodiscard]] bool taken(std::uint64_t page) const override;
  [[nodiscard]] bool host_counts(unsigned i) const override { return perf_.counts(i); }
  [[nodiscard]] std::uint8_t host_error(unsigned i) const override;
  // Of the host's own events
  void on_overflow(hostperf::EventId, std::uint64_t) override {}

  void make_host(const silicon::x86::CpuModel& model);
  void make_pv_perf();
  void open_host_events(unsigned cpu, std::size_t wanted);

  Difference guest_access(const Operation& operation);
  Difference hypercall(const std::array<std::uint64_t, 4>& words, bool long_mode, bool user,
                       const std::string& what);
  Difference open(const Operation& operation);
  void write_command(const Operation& operation);
  void change_page(const Operation& operation);
  Difference retire(const Operation& operation);
  Difference retire_one(silicon::Privilege privilege, const Counts& counts);
  Difference software(const Operation& operation);
  Difference pass(std::uint64_t ns, bool in_one_piece);
  Difference move(const Operation& operation);
  Difference change_host(const Operation& operation);
  Difference change_gate(const Operation& operation);
  Difference migrate(const Operation& operation);
  Difference restore_on(const silicon::x86::CpuModel& model, const virt::x86::PvPerfState& state,
                        bool possible);
  Difference copy_registers();
  Difference idle();

  void let_pass(std::uint64_t ns);
  Difference enter();
  Difference settle_error();
  Difference check_hosting();
  Difference check_access();
  Difference check_writes();
  Difference check_write(const PvPerfWorld::Write& write) const;
  Difference check_page();
  Difference check_record(unsigned i);
  [[nodiscard]] bool shared_record(unsigned i) const;
  Difference compare_event(unsigned i);
  Difference access(const Access& got, const Access& expected, const std::string& what,
                    const virt::x86::PvPerfState& before);
  [[nodiscard]] MsrIndex msr(std::uint32_t offset) const;

  const Setup& setup_;
  silicon::RetireTotals totals_;
  silicon::Deadlines deadlines_{totals_};
  const std::array<hostperf::ModelledVcpu, 1> vcpus_{hostperf::ModelledVcpu{&totals_, &deadlines_}};
  PvPerfWorld world_;
  virt::x86::PvPerfAreas areas_;
  FickleHostPerf perf_;
  const silicon::x86::CpuModel* model_ = nullptr;
  std::unique_ptr<hostperf::ModelledHostPerf> host_;
  std::array<std::vector<hostperf::EventId>, 2> host_events_;
  std::array<HashGate, 2> gates_;
  unsigned gate_ = 0;
  std::unique_ptr<virt::x86::PvPerf> pv_;
  ReferencePvPerf reference_;

  std::uint64_t raised_ = 0;
  std::optional<std::uint32_t> seq_;  ///< in the page, as the host wrote it last
  std::uint64_t published_ = 0;       ///< when
  bool active_ = false;               ///< since the last entry: some event is enabled
  std::uint64_t active_since_ = 0;
  /// Since when a counter that an event waits for has been free.
  std::array<std::optional<std::uint64_t>, 32> room_since_{};
  std::vector<std::uint64_t> records_before_;
  std::uint64_t area_before_ = 0;
};

std::optional<std::string> compare_states(const virt::x86::PvPerfState& before,
                                          virt::x86::PvPerfState after);

}  // namespace vpmu::property
