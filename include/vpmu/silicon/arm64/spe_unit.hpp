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
// Where the architecture leaves a choice:
// - Registers are 0 after reset.
// - Only what no other choice is left for can be filtered: PMSEVFR_EL1 has bits 1, 3, 5 and 7,
//   from SPEv1p1 on 11, from SPEv1p2 on 6. A filter that would let nothing pass (no events, no
//   types, a latency of 0, events both wanted and unwanted) lets everything pass.
// - The generator of random bytes is xorshift64*, of which it takes bits 63:56.
// - A sample is in flight for its total latency, in operations of the population, or until
//   profiling is disabled.
// - A record is written whole or not at all: after a fault, PMBPTR_EL1 is where the record would
//   have started, and DL stays as it was.
// - Where PMBPTR_EL1 is not what the manual requires (misaligned, less than the longest record
//   below LIMIT, of other bits 63:56), nothing is written, and the buffer is full at the first
//   record. It is too large then if it is larger than PMBIDR_EL1.MaxBuffSize.
// - Reserved values: PMBLIMITR_EL1.FM of 1 and 3 fills, PCT of 2 is the virtual counter.
// - An interval of 0 with nothing random about it never ends.
//
// Deterministic; allocates nothing after construction. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>

#include <tl/expected.hpp>

#include "vpmu/base/access.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/silicon/arm64/spe_model.hpp"
#include "vpmu/silicon/arm64/spe_operation.hpp"
#include "vpmu/silicon/arm64/spe_registers.hpp"
#include "vpmu/silicon/arm64/system_register.hpp"

namespace vpmu::silicon::arm64 {

class SpeSampling;

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

/// What the hypervisor sets for a unit that EL1 owns. PMSCR_EL2 says whether records may have
/// physical addresses, whose time, and its context; what it has of EL2's own profiling is ignored.
struct SpeOwner {
  std::uint64_t pmscr_el2 = 0;
  std::uint32_t contextidr_el2 = 0;
  std::uint64_t cntpoff_el2 = 0;

  friend bool operator==(const SpeOwner&, const SpeOwner&) = default;
};

/// What happened, as PMU events and for reports. Only ever grows.
struct SpeStatistics {
  std::uint64_t population = 0;  ///< SAMPLE_POP
  std::uint64_t feed = 0;        ///< SAMPLE_FEED: samples taken
  std::uint64_t filtrate = 0;    ///< SAMPLE_FILTRATE: of those, what filters left
  std::uint64_t collisions = 0;  ///< SAMPLE_COLLISION
  std::uint64_t records = 0;     ///< written
  std::uint64_t bytes = 0;       ///< of records, padding included
  /// Records for which PMBPTR_EL1 or the buffer's size was not as it must be; see above.
  std::uint64_t misprogrammed = 0;
  /// Records that filters left and that could not be written: those, and those that faulted.
  std::uint64_t lost = 0;

  friend bool operator==(const SpeStatistics&, const SpeStatistics&) = default;
};

/// Everything that migrates.
struct SpeUnitState {
  std::uint64_t pmscr = 0, pmsnevfr = 0, pmsicr = 0, pmsirr = 0, pmsfcr = 0, pmsevfr = 0,
                pmslatfr = 0, pmblimitr = 0, pmbptr = 0, pmbsr = 0;
  std::uint64_t random = 0;     ///< of the generator; not 0
  std::uint64_t in_flight = 0;  ///< operations for which the last sample is not complete yet
  SpeStatistics statistics{};

  friend bool operator==(const SpeUnitState&, const SpeUnitState&) = default;
};

class SpeUnit {
 public:
  /// `buffer` must outlive it. `seed`: of the random generator. `model` is valid: is_valid().
  SpeUnit(const SpeModel& model, std::uint64_t seed, SpeBuffer& buffer);

  /// MRS and MSR at EL1, once they are permitted. fault(): no such register in this version or at
  /// EL1, or read-only. not_mine(): not a register of the unit. Writes take effect at once.
  [[nodiscard]] Access read(SystemRegister which) const;
  Access write(SystemRegister which, std::uint64_t value);
  /// Registers only: the generator goes on, statistics stay.
  void reset();

  [[nodiscard]] SpeOwner owner() const { return owner_; }
  void set_owner(const SpeOwner& owner) { owner_ = owner; }

  /// Operations at that exception level are its population now. Of levels other than 0 and 1 none
  /// are.
  [[nodiscard]] bool profiles(unsigned level) const;
  /// Which operation of the population is selected next, counted from 1. kNever while it profiles
  /// at no level, and where the interval never ends. A few steps, whatever the interval.
  [[nodiscard]] std::uint64_t until_sample() const;
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};
  /// So many operations of the population have retired, none of which was selected: `count` <
  /// until_sample(). Any that it selects all the same are dropped.
  void pass(std::uint64_t count);
  /// The selected operation has retired: it is sampled, filtered and written, or it collides with
  /// the last one. Nothing happens at levels at which it does not profile: the operation itself may
  /// have disabled that.
  void sample(const SpeOperation& operation);
  /// The selected operation has retired, but nobody can say anything of it.
  void drop();

  /// PMBSR_EL1.S.
  [[nodiscard]] bool interrupt() const;

  [[nodiscard]] const SpeModel& model() const { return model_; }
  [[nodiscard]] const SpeStatistics& statistics() const { return state_.statistics; }
  [[nodiscard]] SpeUnitState save() const { return state_; }
  /// The error says what no unit of this model could hold; nothing has changed then.
  Result<void> restore(const SpeUnitState& state);

 private:
  /// What a record would be written to.
  enum class Room : std::uint8_t { kYes, kFull, kTooLarge };

  [[nodiscard]] bool profiles_anywhere() const { return profiles(0) || profiles(1); }
  [[nodiscard]] SpeSampling sampling() const;
  void advance(std::uint64_t count);
  bool select();
  void write_record(const SpeOperation& operation);
  [[nodiscard]] Room room() const;
  void stop(std::uint64_t event_class, std::uint64_t status);
  void stop(const SpeBuffer::Fault& fault);
  void settle();

  SpeModel model_;
  SpeBuffer& buffer_;
  SpeUnitState state_;
  SpeOwner owner_;
};

}  // namespace vpmu::silicon::arm64
