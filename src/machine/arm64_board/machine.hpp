// SPDX-License-Identifier: MIT
//
// An arm64 machine that runs one guest image: memory, devices, vCPUs with PMUs. Deterministic: the
// same guest, configuration and input give the same run, to the cycle.
//
//   auto machine = Machine::create(config, console);
//   auto loaded = (*machine)->load({.image = "guest.elf"});
//   Outcome outcome = (*machine)->run({});
//
// vCPU 0 starts, the others are off until the guest turns them on (PSCI). How they take turns, and
// what time is, see turns.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "machine/arm64_board/board.hpp"
#include "machine/arm64_board/spe_memory.hpp"
#include "machine/arm64_board/vcpu.hpp"
#include "machine/boot/arm64_load.hpp"
#include "machine/console.hpp"
#include "machine/guest_machine.hpp"
#include "machine/host_activity.hpp"
#include "machine/run.hpp"
#include "machine/turns.hpp"
#include "vpmu/base/errno_error.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/virt/arm64/event_filter.hpp"
#include "vpmu/virt/arm64/pmu_config.hpp"
#include "vpmu/virt/arm64/spe_vm.hpp"

namespace vpmu::machine::arm64 {

/// Statistical profiling for guests: what the host has of it, and what it gives away.
struct SpeOffer {
  virt::arm64::SpeFlavour flavour = virt::arm64::SpeFlavour::kVhe;
  bool physical_time = false;          ///< guests may have it in their records
  bool exclusive = false;              ///< not while the host profiles the guest
  std::uint64_t max_buffer_bytes = 0;  ///< 0: of any size
  /// Host CPUs that have the unit, as a list; none: all.
  std::optional<std::string> host_cpus;
  /// Host CPUs that every vCPU may run on, as a list; empty: any.
  std::string supported_cpus;
  SpeMemoryOffer memory;

  friend bool operator==(const SpeOffer&, const SpeOffer&) = default;
};

struct MachineConfig {
  const silicon::arm64::CpuModel* model = nullptr;
  /// Of the host: what its counters count. Null: `model`. Another one wants a guest without a PMU.
  /// Clock, caches and issue slots are those of `model`.
  const silicon::arm64::CpuModel* host_model = nullptr;
  unsigned vcpus = 1;
  std::uint64_t memory_bytes = std::uint64_t{128} << 20;
  /// Every vCPU's. Empty: what KVM would give a guest of the model.
  std::optional<virt::arm64::PmuConfig> pmu;
  std::uint64_t quantum = 10'000;  ///< instructions; not 0
  unsigned host_cpus = 0;          ///< 0: as many as vCPUs
  std::vector<HostEvent> host_events;
  /// None, or a model without the unit: guests have no SPE.
  std::optional<SpeOffer> spe;

  [[nodiscard]] const silicon::arm64::CpuModel& host() const {
    return host_model != nullptr ? *host_model : *model;
  }

  static constexpr unsigned kMaxVcpus = 8;
};

/// What a guest may count, and who said so.
struct GuestFilter {
  std::string name;  ///< as set_event_filter() was told
  /// None: everything.
  std::optional<virt::arm64::EventFilter> filter;
  std::uint64_t since = 0;   ///< instructions of all vCPUs when it came into force
  std::uint32_t number = 0;  ///< of filters before; CounterLog::Trouble::filter
};

/// The same as plain data, for saving.
struct GuestFilterState {
  std::string name;
  std::optional<std::vector<virt::arm64::FilterRange>> ranges;
  std::uint64_t since = 0;
  friend bool operator==(const GuestFilterState&, const GuestFilterState&) = default;
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
  std::optional<GuestFilterState> filter;           ///< in force; none: it never had one
  std::vector<GuestFilterState> past_filters{};     ///< before that one, for the report
  std::optional<SpeMemoryState> spe_memory{};       ///< of guests with SPE
  std::vector<BufferPinsState> buffer_pins{};       ///< of each vCPU, if buffers are pinned
  friend bool operator==(const MachineState&, const MachineState&) = default;
};

class Machine final : public GuestMachine,
                      private MachineControl,
                      private EventSink,
                      private hostperf::HostClock {
 public:
  /// `console` must outlive the machine.
  static Result<std::unique_ptr<Machine>> create(const MachineConfig& config, Console& console);
  ~Machine() override;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  /// Loads the image and puts vCPU 0 at its entry. Once, before run().
  Result<void> load(const boot::LoadRequest& request);
  /// The same for an image that is not a file.
  Result<void> load(const boot::Image& image, const boot::LoadRequest& request);

  /// Is told what the vCPUs do from now on; null: nobody. Must outlive the machine.
  void set_trace(TraceSink* trace);

  /// What all vCPUs may count from now on, before any of them executes another instruction. Name
  /// and filter are looked at. Before the first run, or between two, whose course it does not
  /// change otherwise: RunLimits::pause_at says where that is. Counters that the filter denies keep
  /// their counts and stand still, and PMCEID leaves their events out.
  void set_event_filter(GuestFilter filter);
  /// Those before event_filter(); the latest kMostPastFilters.
  [[nodiscard]] std::span<const GuestFilter> past_filters() const { return past_filters_; }
  static constexpr std::size_t kMostPastFilters = 1000;
  /// In force. None: it never had one.
  [[nodiscard]] const std::optional<GuestFilter>& event_filter() const { return filter_; }

  /// Stops the guest's SPE on all vCPUs before any of them executes another instruction, or lets it
  /// go on: the attribute STOP of each. Before the first run, or between two, also where the last
  /// one ended because a vCPU was not entered. ENXIO: the guest has no SPE.
  ErrnoResult<void> set_spe_stop(virt::arm64::SpeStopRequest request);

  Outcome run(const RunLimits& limits) override { return turns_->run(limits); }
  void stop() override { turns_->stop(); }

  /// Between two runs, whose course it does not change. Memory is the caller's part: see
  /// machine/snapshot.
  [[nodiscard]] MachineState save();
  /// On a machine of the same configuration that has neither loaded nor run, with the memory in
  /// place. If it is refused the machine is of no use any more.
  Result<void> restore(const MachineState& state);

  [[nodiscard]] const MachineConfig& config() const { return config_; }
  [[nodiscard]] const virt::arm64::PmuConfig& pmu_config() const { return pmu_config_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Vcpu>>& vcpus() const { return vcpus_; }
  [[nodiscard]] Board& board() { return board_; }
  [[nodiscard]] const Board& board() const { return board_; }
  [[nodiscard]] const boot::Arm64Start& start_state() const { return start_; }
  /// Null: guests have no SPE.
  [[nodiscard]] const SpeMemory* spe_memory() const { return spe_memory_.get(); }

  // GuestMachine
  [[nodiscard]] GuestFacts facts() const override;
  [[nodiscard]] Clock& clock() override { return board_.clock; }
  [[nodiscard]] const Clock& clock() const override { return board_.clock; }
  [[nodiscard]] const ObservedVcpu& observed(unsigned vcpu) const override { return *vcpus_[vcpu]; }
  [[nodiscard]] const HostActivity& host_activity() const override { return *host_activity_; }
  [[nodiscard]] hostperf::ModelledHostPerf& host_perf() override { return *host_perf_; }
  [[nodiscard]] std::uint64_t instructions() const override { return turns_->instructions(); }

 private:
  Machine(const MachineConfig& config, GuestMemory memory, Console& console);
  Result<void> attach_spe();

  // MachineControl
  void exit(std::uint32_t code) override { turns_->end(Outcome::Reason::kDebugExit, code); }
  void power_off() override { turns_->end(Outcome::Reason::kPowerOff, 0); }
  void reset() override { turns_->end(Outcome::Reason::kReset, 0); }

  // EventSink
  void send_event() override;

  // hostperf::HostClock
  [[nodiscard]] std::uint64_t machine_time() const override { return now(); }

  Result<void> restore_filters(const MachineState& state);
  Result<void> restore_spe_memory(const MachineState& state);
  void let_count_what_filter_admits();
  [[nodiscard]] boot::DeviceTreeBoard tree_board() const;
  void start(const boot::Arm64Start& start);

  /// The vCPUs as PSCI has them.
  class Power final : public PowerControl {
   public:
    explicit Power(Machine& machine) : machine_{machine} {}
    [[nodiscard]] unsigned vcpus() const override;
    [[nodiscard]] PowerState power_state(unsigned vcpu) const override;
    [[nodiscard]] bool is_entry(std::uint64_t address) const override;
    void power_on(unsigned vcpu, std::uint64_t entry, std::uint64_t context) override;
    void power_off(unsigned vcpu) override;
    void wait_for_interrupt(unsigned vcpu) override;

   private:
    Machine& machine_;
  };

  const MachineConfig config_;
  Power power_{*this};
  Board board_;
  std::optional<GuestFilter> filter_;
  std::vector<GuestFilter> past_filters_;
  std::unique_ptr<SpeMemory> spe_memory_;
  std::vector<std::unique_ptr<Vcpu>> vcpus_;
  virt::arm64::PmuConfig pmu_config_;
  std::optional<virt::arm64::SpeVm> spe_vm_;
  std::unique_ptr<hostperf::ModelledHostPerf> host_perf_;
  std::unique_ptr<HostActivity> host_activity_;
  boot::Arm64Start start_;
  std::unique_ptr<Turns> turns_;
};

}  // namespace vpmu::machine::arm64
