// SPDX-License-Identifier: MIT
//
// A guest and its machine as whoever runs, counts and samples it from outside sees them, whatever
// the architecture. Machine (a PC) and arm64::Machine are such.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "machine/architecture.hpp"
#include "machine/clock.hpp"
#include "machine/host_activity.hpp"
#include "machine/run.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/silicon/retire_totals.hpp"

namespace vpmu::machine {

/// What the machine was made as. Text is static.
struct GuestFacts {
  Architecture architecture = Architecture::kX86;
  std::string_view cpu_model;       ///< of the guest
  std::string_view host_cpu_model;  ///< whose counters count
  std::uint64_t hz = 0;             ///< cycles of machine time in a second
  unsigned vcpus = 1;
  std::uint64_t memory_bytes = 0;
  std::uint64_t quantum = 0;  ///< instructions
};

/// A vCPU between two of its instructions.
class ObservedVcpu {
 public:
  /// Where code was, or is to go on.
  struct Place {
    std::uint64_t address = 0;  ///< virtual
    bool user = false;
  };

  [[nodiscard]] virtual const silicon::RetireTotals& totals() const = 0;
  /// The instruction that retired last; if events have been counted since for something else, what
  /// that is for: the first instruction of a handler that was entered.
  [[nodiscard]] virtual Place last_retired() const = 0;
  /// Fills `chain` (not empty): the next instruction, and then virtual return addresses, as far as
  /// frame pointers lead. Gives how many.
  virtual std::size_t call_chain(std::span<std::uint64_t> chain) const = 0;
  /// The same from the instruction on that has retired last.
  virtual std::size_t call_chain_of_last(std::span<std::uint64_t> chain) const = 0;

 protected:
  ~ObservedVcpu() = default;
};

class GuestMachine {
 public:
  virtual ~GuestMachine() = default;

  /// Runs the guest until it ends or a limit is reached. Flushes the console.
  virtual Outcome run(const RunLimits& limits) = 0;
  /// Ends run() soon: at an instruction boundary of the vCPU that runs. Async-signal-safe.
  virtual void stop() = 0;

  [[nodiscard]] virtual GuestFacts facts() const = 0;
  [[nodiscard]] virtual Clock& clock() = 0;
  [[nodiscard]] virtual const Clock& clock() const = 0;
  [[nodiscard]] virtual hostperf::ModelledHostPerf& host_perf() = 0;
  [[nodiscard]] virtual const HostActivity& host_activity() const = 0;
  [[nodiscard]] virtual const ObservedVcpu& observed(unsigned vcpu) const = 0;
  /// Instructions retired by all vCPUs.
  [[nodiscard]] virtual std::uint64_t instructions() const = 0;
  /// Machine time in cycles.
  [[nodiscard]] std::uint64_t now() const { return clock().now(); }
};

}  // namespace vpmu::machine
