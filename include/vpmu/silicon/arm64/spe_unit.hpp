// SPDX-License-Identifier: MIT
//
// The unit of the Statistical Profiling Extension, SPEv1 to SPEv1p2, as a CPU has it: registers,
// sampling, filters, and records written to a buffer. Who may access its registers, and its
// interrupt, are the hypervisor's business (virt/arm64/spe.hpp).
//
// Its population are retired instructions. It does not see them go by: whoever runs code asks how
// far the next sample is, lets so many retire at full speed, and says so.
//
//   while (unit.profiles(level)) {
//     const std::uint64_t free = unit.until_sample() - 1;
//     unit.pass(run(free));                   // at levels at which it profiles; maybe fewer
//     if (all retired) unit.sample(run_one());
//   }
//
// What the architecture leaves unknown is 0, also after reset. A record is translated as a whole
// before its first byte is written, so none is ever written in part. Deterministic; allocates
// nothing after construction. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>

#include <tl/expected.hpp>

#include "vpmu/base/access.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/silicon/arm64/spe_operation.hpp"
#include "vpmu/silicon/arm64/spe_registers.hpp"
#include "vpmu/silicon/arm64/system_register.hpp"

namespace vpmu::silicon::arm64 {

/// A CPU's unit as data.
struct SpeModel {
  std::uint8_t version = 0;  ///< ID_AA64DFR0_EL1.PMSVer; 0: there is none
  std::uint64_t pmsidr = 0;
  std::uint64_t pmbidr = 0;  ///< without P

  friend bool operator==(const SpeModel&, const SpeModel&) = default;
};

/// Where records go: addresses of the owning translation regime.
class SpeBuffer {
 public:
  struct Fault {
    std::uint64_t address = 0;
    bool stage2 = false;
    bool external = false;
    std::uint8_t status = 0;  ///< as PMBSR_EL1.FSC

    friend bool operator==(const Fault&, const Fault&) = default;
  };
  /// All or nothing: what cannot be written whole changes nothing.
  virtual tl::expected<void, Fault> write(std::uint64_t address,
                                          std::span<const std::uint8_t> bytes) = 0;

 protected:
  ~SpeBuffer() = default;
};

/// What the hypervisor sets for a unit that EL1 owns: PMSCR_EL2, and whether records may have
/// physical addresses.
struct SpeOwner {
  std::uint64_t pmscr_el2 = 0;

  friend bool operator==(const SpeOwner&, const SpeOwner&) = default;
};

/// Everything that migrates.
struct SpeUnitState {
  std::uint64_t pmscr = 0, pmsnevfr = 0, pmsicr = 0, pmsirr = 0, pmsfcr = 0, pmsevfr = 0,
                pmslatfr = 0, pmblimitr = 0, pmbptr = 0, pmbsr = 0;
  std::uint64_t random = 0;     ///< of the generator
  std::uint64_t in_flight = 0;  ///< operations for which the last sample is not complete yet

  friend bool operator==(const SpeUnitState&, const SpeUnitState&) = default;
};

/// What happened, as PMU events and for reports. Only ever grows.
struct SpeStatistics {
  std::uint64_t population = 0;  ///< SAMPLE_POP
  std::uint64_t feed = 0;        ///< SAMPLE_FEED: samples taken
  std::uint64_t filtrate = 0;    ///< SAMPLE_FILTRATE: of those, what filters left
  std::uint64_t collisions = 0;  ///< SAMPLE_COLLISION
  std::uint64_t records = 0;     ///< written
  std::uint64_t bytes = 0;       ///< of records, padding included

  friend bool operator==(const SpeStatistics&, const SpeStatistics&) = default;
};

class SpeUnit {
 public:
  /// `buffer` must outlive it. `seed`: of the random generator. `model.version` is not 0.
  SpeUnit(const SpeModel& model, std::uint64_t seed, SpeBuffer& buffer);

  /// MRS and MSR at EL1, once they are permitted. fault(): no such register in this version, or
  /// read-only. not_mine(): not a register of the unit. Writes take effect at once.
  Access read(SystemRegister which) const;
  Access write(SystemRegister which, std::uint64_t value);
  void reset();

  [[nodiscard]] SpeOwner owner() const { return owner_; }
  void set_owner(const SpeOwner& owner) { owner_ = owner; }

  /// Operations at that exception level (0 or 1) are its population now.
  [[nodiscard]] bool profiles(unsigned level) const;
  /// Of which the sample-th is selected, counted from 1; kNever while it profiles at no level.
  [[nodiscard]] std::uint64_t until_sample() const;
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};
  /// So many operations have retired, none of which was selected: `count` < until_sample().
  void pass(std::uint64_t count);
  /// The selected operation has retired: it is sampled, filtered and written, or it collides with
  /// the last one.
  void sample(const SpeOperation& operation);
  /// The selected operation has retired, but nobody can say anything of it.
  void drop();

  /// PMBSR_EL1.S.
  [[nodiscard]] bool interrupt() const;

  [[nodiscard]] const SpeModel& model() const { return model_; }
  [[nodiscard]] const SpeStatistics& statistics() const { return statistics_; }
  [[nodiscard]] SpeUnitState save() const;
  /// The error says what no unit of this model could hold; nothing has changed then.
  Result<void> restore(const SpeUnitState& state);

 private:
  SpeModel model_;
  SpeBuffer& buffer_;
  SpeUnitState state_;
  SpeOwner owner_;
  SpeStatistics statistics_;
};

}  // namespace vpmu::silicon::arm64
