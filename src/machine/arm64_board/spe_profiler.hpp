// SPDX-License-Identifier: MIT
//
// Profiles a vCPU from outside with a unit of the host's own: the guest does not notice, whatever
// it does with its own. Records go to whoever asked; the unit's buffer is never full.
#pragma once

#include <cstdint>
#include <span>

#include <tl/expected.hpp>

#include "machine/arm64_board/guest_spe.hpp"
#include "machine/arm64_board/operation_sampler.hpp"
#include "vpmu/silicon/arm64/spe_unit.hpp"
#include "vpmu/silicon/retire_totals.hpp"

namespace vpmu::machine::arm64 {

/// What the unit is programmed with: its registers by name.
struct SpeProfile {
  std::uint64_t pmscr = 0, pmsirr = 0, pmsfcr = 0, pmsevfr = 0, pmslatfr = 0;
  /// Caches and branch prediction are modelled while it profiles: latencies, misses and data
  /// sources are true then, and the guest runs by single instructions. Otherwise all accesses hit.
  bool models_memory = true;
};

class SpeProfiler final : private silicon::arm64::SpeBuffer {
 public:
  /// `model.version` is not 0. `totals` and `sink` must outlive it.
  SpeProfiler(const silicon::arm64::SpeModel& model, unsigned vcpu, silicon::RetireTotals& totals,
              SpeRecordSink& sink);
  ~SpeProfiler();
  SpeProfiler(const SpeProfiler&) = delete;
  SpeProfiler& operator=(const SpeProfiler&) = delete;

  /// From the next instruction on. Once.
  void start(const SpeProfile& profile);

  [[nodiscard]] std::uint64_t until_sample(unsigned el) { return sampler_.until_sample(el); }
  void sampled(const silicon::arm64::SpeOperation& operation);
  /// Up to the last instruction that has retired.
  [[nodiscard]] const silicon::arm64::SpeStatistics& statistics() {
    sampler_.hand_over();
    return unit_.statistics();
  }

 private:
  // silicon::arm64::SpeBuffer
  tl::expected<void, Fault> write(std::uint64_t address,
                                  std::span<const std::uint8_t> bytes) override;
  void set(silicon::arm64::SystemRegister which, std::uint64_t value);
  void begin_buffer();

  const unsigned vcpu_;
  silicon::RetireTotals& totals_;
  SpeRecordSink& sink_;
  silicon::arm64::SpeUnit unit_;
  OperationSampler sampler_;
  bool models_memory_ = false;
};

}  // namespace vpmu::machine::arm64
