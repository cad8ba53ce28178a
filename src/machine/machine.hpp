// SPDX-License-Identifier: MIT
//
// A PC that runs one guest image: memory, devices, vCPUs with PMUs. Deterministic: the same guest,
// configuration and input give the same run, to the cycle.
//
//   auto machine = Machine::create(config, console);
//   auto loaded = (*machine)->load({.image = "guest.elf"});
//   Outcome outcome = (*machine)->run({});
//
// vCPUs take turns (turns.hpp) on the machine clock, so that TSCs never differ or go back. The host
// has CPUs of its own, each with a PMU.
//
// The guest may count what its event filter admits, everything if it has none.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "machine/boot/load.hpp"
#include "machine/console.hpp"
#include "machine/devices/machine_control.hpp"
#include "machine/guest_machine.hpp"
#include "machine/host_activity.hpp"
#include "machine/pc/board.hpp"
#include "machine/pc/filter_log.hpp"
#include "machine/pc/trace_sink.hpp"
#include "machine/pc/vcpu.hpp"
#include "machine/run.hpp"
#include "machine/turns.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/virt/x86/event_filter_slot.hpp"

namespace vpmu::machine {

struct MachineConfig {
  const silicon::x86::CpuModel* model = nullptr;
  /// Of the host: what its counters count. Null: `model`. Another one wants a guest without a PMU:
  /// only PV perf hides the difference. Clock, caches and issue slots are those of `model`.
  const silicon::x86::CpuModel* host_model = nullptr;
  unsigned vcpus = 1;
  std::uint64_t memory_bytes = std::uint64_t{128} << 20;
  /// Every vCPU's. Empty: what KVM would give a guest of the model.
  std::optional<virt::x86::PmuConfig> pmu;
  /// Every vCPU's. Empty: PV perf is not offered.
  std::optional<virt::x86::PvPerfConfig> pv_perf;
  /// Which raw events the guest may name in PV perf. Null: all that the host model has.
  std::shared_ptr<const virt::x86::EventFilter> pv_perf_raw;
  std::uint64_t quantum = 10'000;  ///< instructions; not 0
  TraceSink* trace = nullptr;
  /// Told of guests that have lost their last branch records.
  virt::x86::LbrObserver* lbr_observer = nullptr;
  /// False: every access to last branch records exits, as without an MSR bitmap. For comparison;
  /// the guest cannot tell.
  bool pass_lbr_through = true;
  unsigned host_cpus = 0;  ///< 0: as many as vCPUs
  std::vector<HostEvent> host_events;

  [[nodiscard]] const silicon::x86::CpuModel& host() const {
    return host_model != nullptr ? *host_model : *model;
  }

  static constexpr unsigned kMaxVcpus = 64;
};

/// Everything of a machine but its memory and configuration.
struct MachineState {
  boot::Protocol protocol{};
  Turns::State schedule;
  BoardState board;
  std::vector<VcpuState> vcpus;
  HostActivityState host;
  std::vector<silicon::MemoryModel::State> caches;  ///< the vCPUs' own
  std::vector<std::uint64_t> last_level_cache;      ///< as LruSets::save()
  std::vector<x86::BranchLog::State> branches;      ///< that the vCPUs hold back
  FilterLog::State filters;                         ///< the last one is in force
  friend bool operator==(const MachineState&, const MachineState&) = default;
};

class Machine final : public GuestMachine, private MachineControl, private hostperf::HostClock {
 public:
  /// `console` (and the trace) must outlive the machine.
  static Result<std::unique_ptr<Machine>> create(const MachineConfig& config, Console& console);
  ~Machine() override;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  /// Loads the image and puts the boot CPU at its entry. Once, before run().
  Result<void> load(const boot::LoadRequest& request);
  /// The same for an image that is not a file.
  Result<void> load(const boot::Image& image, const boot::LoadRequest& request);

  Outcome run(const RunLimits& limits) override { return turns_->run(limits); }

  /// What the guest may count from now on, before any vCPU executes another instruction; null:
  /// everything. For the host model's vendor. Before the first run, or between two, whose
  /// course it does not change otherwise: RunLimits::pause_at says where that is. Counters that the
  /// filter denies keep their counts and stand still. `name` is what reports call it.
  void set_event_filter(std::unique_ptr<const virt::x86::EventFilter> filter,
                        std::string name = {});

  /// Between two runs, whose course it does not change. Memory is the caller's part: see
  /// machine/snapshot.
  [[nodiscard]] MachineState save();
  /// On a machine of the same configuration that has neither loaded nor run, with the memory in
  /// place. If it is refused the machine is of no use any more.
  Result<void> restore(const MachineState& state);

  void stop() override { turns_->stop(); }

  [[nodiscard]] const MachineConfig& config() const { return config_; }
  [[nodiscard]] const virt::x86::PmuConfig& pmu_config() const { return pmu_config_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Vcpu>>& vcpus() const { return vcpus_; }
  [[nodiscard]] Board& board() { return board_; }
  [[nodiscard]] const Board& board() const { return board_; }
  [[nodiscard]] const boot::BootState& boot_state() const { return boot_state_; }
  [[nodiscard]] GuestFacts facts() const override;
  [[nodiscard]] Clock& clock() override { return board_.clock; }
  [[nodiscard]] const Clock& clock() const override { return board_.clock; }
  [[nodiscard]] const ObservedVcpu& observed(unsigned vcpu) const override { return *vcpus_[vcpu]; }
  [[nodiscard]] const HostActivity& host_activity() const override { return *host_activity_; }
  [[nodiscard]] const FilterLog& filter_log() const { return filter_log_; }
  [[nodiscard]] hostperf::ModelledHostPerf& host_perf() override { return *host_perf_; }
  [[nodiscard]] std::uint64_t instructions() const override { return turns_->instructions(); }

 private:
  Machine(const MachineConfig& config, GuestMemory memory, Console& console);

  // MachineControl
  void exit(std::uint32_t code) override { turns_->end(Outcome::Reason::kDebugExit, code); }
  void power_off() override { turns_->end(Outcome::Reason::kPowerOff, 0); }
  void reset() override { turns_->end(Outcome::Reason::kReset, 0); }

  // hostperf::HostClock
  [[nodiscard]] std::uint64_t machine_time() const override { return now(); }

  void start(const boot::BootState& state);
  void place_on_host_cpus(const HostActivityState& state);
  Result<void> restore_filters(const MachineState& state);
  const MachineConfig config_;
  Board board_;
  FilterLog filter_log_;
  virt::x86::EventFilterSlot filter_slot_;
  std::vector<std::unique_ptr<Vcpu>> vcpus_;
  virt::x86::PmuConfig pmu_config_;
  std::unique_ptr<virt::x86::PvPerfAreas> pv_perf_areas_;  ///< null: PV perf is not offered
  std::unique_ptr<hostperf::ModelledHostPerf> host_perf_;
  std::unique_ptr<HostActivity> host_activity_;
  boot::BootState boot_state_;
  std::unique_ptr<Turns> turns_;
};

}  // namespace vpmu::machine
