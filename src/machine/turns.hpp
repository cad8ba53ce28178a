// SPDX-License-Identifier: MIT
//
// Whose turn it is: vCPUs run one after the other on the calling thread, `quantum` instructions
// each. There is one machine clock: it advances by the cycles of whichever vCPU runs, and it jumps
// to the next timer when all vCPUs are halted.
//
// The host has CPUs of its own: vCPU n runs on host CPU n modulo their number, and stays on it,
// halted or not, until another vCPU has its turn there.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "machine/byte_receiver.hpp"
#include "machine/clock.hpp"
#include "machine/console.hpp"
#include "machine/cpu_exit.hpp"
#include "machine/run.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"

namespace vpmu::machine {

/// A vCPU that takes turns. Its place among them is its index.
class TurnTaker {
 public:
  /// Retired since power-on.
  [[nodiscard]] virtual std::uint64_t instructions() const = 0;
  /// True if run() would make progress: not halted, or something to wake it is pending.
  [[nodiscard]] virtual bool runnable() = 0;
  /// A new turn begins, on that host CPU, where host perf has switched it in.
  virtual void scheduled_in(hostperf::HostCpu cpu) = 0;
  /// Another vCPU is about to get the host CPU that this one is on.
  virtual void scheduled_out() = 0;
  /// Runs from the clock's time on and leaves the clock at the time it got to: until at least one
  /// of: `instructions` retired, exactly; machine time reached `until`; another exit. `resumes`:
  /// the run before, here or where the vCPU was saved, was cut short, as one that is not paused
  /// would not have been.
  virtual CpuExit run(std::uint64_t instructions, std::uint64_t until, bool resumes) = 0;
  /// Leaves run() at the next instruction boundary. Async-signal-safe.
  virtual void request_exit() = 0;

 protected:
  ~TurnTaker() = default;
};

class Turns {
 public:
  struct Around {
    std::span<TurnTaker* const> vcpus;
    Clock* clock;
    hostperf::ModelledHostPerf* perf;
    Console* console;
    ByteReceiver* input;  ///< what is typed goes there
    std::uint64_t quantum;
  };
  /// Everything must outlive it.
  explicit Turns(const Around& around);

  /// Runs the guest until it ends or a limit is reached. Flushes the console.
  Outcome run(const RunLimits& limits);
  /// Ends run() soon: at an instruction boundary of the vCPU that runs. Async-signal-safe.
  void stop();
  /// The guest has come to an end; the first one counts.
  void end(Outcome::Reason reason, std::uint32_t value);
  [[nodiscard]] std::uint64_t instructions() const;

  /// Whose turn it is, and how far it has come.
  struct State {
    std::uint64_t round = 0;        ///< of turns; input is asked for in some of them only
    std::uint32_t vcpu = 0;         ///< whose turn it is
    bool in_turn = false;           ///< its turn has begun
    bool ran = false;               ///< some vCPU has run in this round
    bool cut = false;               ///< by a pause, not by what happens to the guest
    std::uint64_t turn_begin = 0;   ///< instructions it had retired when its turn began
    std::uint64_t turn_end = 0;     ///< machine time at which its turn ends at the latest
    std::uint64_t stalled = 0;      ///< charged for turns in which nothing retired
    std::uint32_t idle_timers = 0;  ///< fired in a row without waking anybody
    friend bool operator==(const State&, const State&) = default;
  };
  [[nodiscard]] const State& save() const { return state_; }
  /// check() before anything is restored, restore() with the clock in place.
  [[nodiscard]] Result<void> check(const State& state) const;
  Result<void> restore(const State& state);

 private:
  [[nodiscard]] hostperf::HostCpu host_cpu(std::uint32_t vcpu) const;
  /// A turn's length in cycles, at most.
  [[nodiscard]] std::uint64_t longest_turn() const;
  void run_round(const RunLimits& limits);
  void begin_turn(TurnTaker& vcpu);
  void run_turn(TurnTaker& vcpu, const RunLimits& limits);
  /// False: the turn goes on.
  bool turn_is_over(const TurnTaker& vcpu, const RunLimits& limits);
  /// Nobody can run: time goes on to the next timer, or input is waited for.
  void idle();
  /// False: nothing came in, or the serial port is full.
  bool take_input();

  const Around around_;
  const std::vector<TurnTaker*> vcpus_;
  std::optional<Outcome> outcome_;
  State state_;
  std::atomic<bool> stop_{false};
  std::atomic<TurnTaker*> running_{nullptr};
};

}  // namespace vpmu::machine
