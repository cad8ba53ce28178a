// SPDX-License-Identifier: MIT
//
// A PC that runs one guest image: memory, devices, vCPUs with PMUs. Deterministic: the same guest,
// configuration and input give the same run, to the cycle.
//
//   auto machine = Machine::create(config, console);
//   auto loaded = (*machine)->load({.image = "guest.elf"});
//   Outcome outcome = (*machine)->run({});
//
// vCPUs run in turn on the calling thread, `quantum` instructions each. There is one machine clock:
// it advances by the cycles of whichever vCPU runs, so that TSCs never differ or go back, and it
// jumps to the next timer when all vCPUs are halted.
//
// The host has CPUs of its own, each with a PMU: vCPU n runs on host CPU n modulo their number, and
// stays on it, halted or not, until another vCPU has its turn there.
//
// The guest may count what its event filter admits, everything if it has none.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "machine/boot/load.hpp"
#include "machine/devices/machine_control.hpp"
#include "machine/host_activity.hpp"
#include "machine/pc/board.hpp"
#include "machine/pc/console.hpp"
#include "machine/pc/filter_log.hpp"
#include "machine/pc/trace_sink.hpp"
#include "machine/pc/vcpu.hpp"
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
  static constexpr unsigned kMaxHostCpus = 64;
};

/// How a run ended.
struct Outcome {
  enum class Reason : std::uint8_t {
    kDebugExit,  ///< wrote the debug-exit port; `value` is what it wrote
    kPowerOff,
    kReset,
    kCrash,         ///< triple fault on vCPU `value`
    kInstructions,  ///< the limit was reached
    kHalted,        ///< all vCPUs are halted, and nothing can wake one any more
    kStopped,       ///< stop()
    kPaused,        ///< RunLimits::pause_at was reached
  };
  Reason reason = Reason::kStopped;
  std::uint32_t value = 0;
};

/// The name that reports use, e.g. "debug-exit". Never null.
const char* name(Outcome::Reason reason);

struct RunLimits {
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  std::uint64_t instructions = kNone;  ///< of all vCPUs together, exact
  /// Return when all vCPUs together have retired this many, exact. Whatever ends run(), the next
  /// call goes on as if there had been no pause; so does a machine restored from what save() gave.
  std::uint64_t pause_at = kNone;
};

/// Everything of a machine but its memory and configuration.
struct MachineState {
  /// Whose turn it is, and how far it has come.
  struct Schedule {
    std::uint64_t round = 0;        ///< of turns; input is asked for in some of them only
    std::uint32_t vcpu = 0;         ///< whose turn it is
    bool in_turn = false;           ///< its turn has begun
    bool ran = false;               ///< some vCPU has run in this round
    bool cut = false;               ///< by a pause, not by what happens to the guest
    std::uint64_t turn_begin = 0;   ///< instructions it had retired when its turn began
    std::uint64_t turn_end = 0;     ///< machine time at which its turn ends at the latest
    std::uint64_t stalled = 0;      ///< charged for turns in which nothing retired
    std::uint32_t idle_timers = 0;  ///< fired in a row without waking anybody
    friend bool operator==(const Schedule&, const Schedule&) = default;
  };

  boot::Protocol protocol{};
  Schedule schedule;
  BoardState board;
  std::vector<VcpuState> vcpus;
  HostActivityState host;
  std::vector<silicon::MemoryModel::State> caches;  ///< the vCPUs' own
  std::vector<std::uint64_t> last_level_cache;      ///< as LruSets::save()
  std::vector<x86::BranchLog::State> branches;      ///< that the vCPUs hold back
  FilterLog::State filters;                         ///< the last one is in force
  friend bool operator==(const MachineState&, const MachineState&) = default;
};

class Machine final : private MachineControl, private hostperf::HostClock {
 public:
  /// `console` (and the trace) must outlive the machine.
  static Result<std::unique_ptr<Machine>> create(const MachineConfig& config, Console& console);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  /// Loads the image and puts the boot CPU at its entry. Once, before run().
  Result<void> load(const boot::LoadRequest& request);
  /// The same for an image that is not a file.
  Result<void> load(const boot::Image& image, const boot::LoadRequest& request);

  /// Runs the guest until it ends or a limit is reached. Flushes the console.
  Outcome run(const RunLimits& limits);

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

  /// Ends run() soon: at an instruction boundary of the vCPU that runs. Async-signal-safe.
  void stop();

  [[nodiscard]] const MachineConfig& config() const { return config_; }
  [[nodiscard]] const virt::x86::PmuConfig& pmu_config() const { return pmu_config_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Vcpu>>& vcpus() const { return vcpus_; }
  [[nodiscard]] Board& board() { return board_; }
  [[nodiscard]] const Board& board() const { return board_; }
  [[nodiscard]] const boot::BootState& boot_state() const { return boot_state_; }
  [[nodiscard]] const HostActivity& host_activity() const { return *host_activity_; }
  [[nodiscard]] const FilterLog& filter_log() const { return filter_log_; }
  [[nodiscard]] hostperf::ModelledHostPerf& host_perf() { return *host_perf_; }
  /// Machine time in cycles.
  [[nodiscard]] std::uint64_t now() const { return board_.clock.now(); }
  /// Instructions retired by all vCPUs.
  [[nodiscard]] std::uint64_t instructions() const;

 private:
  Machine(const MachineConfig& config, GuestMemory memory, Console& console);

  // MachineControl
  void exit(std::uint32_t code) override;
  void power_off() override;
  void reset() override;

  // hostperf::HostClock
  [[nodiscard]] std::uint64_t machine_time() const override { return now(); }

  [[nodiscard]] hostperf::HostCpu host_cpu(const Vcpu& vcpu) const;
  void take_host_cpu(const Vcpu& vcpu);
  void start(const boot::BootState& state);
  void place_on_host_cpus(const HostActivityState& state);
  Result<void> restore_filters(const MachineState& state);
  void end(Outcome::Reason reason, std::uint32_t value);
  /// A turn's length in cycles, at most.
  [[nodiscard]] std::uint64_t longest_turn() const;
  void run_round(const RunLimits& limits);
  void run_turn(Vcpu& vcpu, const RunLimits& limits);
  /// False: the turn goes on.
  bool turn_is_over(const Vcpu& vcpu, const RunLimits& limits);
  /// Nobody can run: time goes on to the next timer, or input is waited for.
  void idle();
  /// False: nothing came in, or the serial port is full.
  bool take_input();

  const MachineConfig config_;
  Console& console_;
  Board board_;
  FilterLog filter_log_;
  virt::x86::EventFilterSlot filter_slot_;
  std::vector<std::unique_ptr<Vcpu>> vcpus_;
  virt::x86::PmuConfig pmu_config_;
  std::unique_ptr<virt::x86::PvPerfAreas> pv_perf_areas_;  ///< null: PV perf is not offered
  std::unique_ptr<hostperf::ModelledHostPerf> host_perf_;
  std::unique_ptr<HostActivity> host_activity_;
  boot::BootState boot_state_;

  std::optional<Outcome> outcome_;
  MachineState::Schedule schedule_;
  std::atomic<bool> stop_{false};
  std::atomic<x86::Cpu*> running_{nullptr};
};

}  // namespace vpmu::machine
