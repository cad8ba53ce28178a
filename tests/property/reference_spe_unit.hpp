// SPDX-License-Identifier: MIT
//
// The unit of the Statistical Profiling Extension as the Arm ARM's pseudocode (J1.1.1, SPE...) and
// register pages (D24.7) have it: one operation at a time, every condition worked out anew, numbers
// instead of names. Where the manual leaves a choice, that of silicon/arm64/spe_unit.hpp.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "property/spe_pages.hpp"
#include "vpmu/base/access.hpp"
#include "vpmu/silicon/arm64/spe_model.hpp"
#include "vpmu/silicon/arm64/spe_operation.hpp"

namespace vpmu::property {

class ReferenceSpeUnit {
 public:
  /// `random`: where the generator of random bytes is.
  ReferenceSpeUnit(const silicon::arm64::SpeModel& model, std::uint64_t random);

  /// Registers by CRm and op2, as 0x90 for PMSCR_EL1 to 0xa7 for PMBIDR_EL1.
  [[nodiscard]] Access read(unsigned which) const;
  Access write(unsigned which, std::uint64_t value);
  void reset();

  [[nodiscard]] bool profiles(unsigned level) const;
  enum class Outcome : std::uint8_t { kNotProfiled, kNotSelected, kSelected };
  /// An operation has retired. `known`: it can be told what it was.
  Outcome retire(const silicon::arm64::SpeOperation& operation, bool known);

  std::uint64_t pmscr_el2 = 0, contextidr_el2 = 0, cntpoff_el2 = 0;
  SpePages pages;
  // Numbers, as SpeStatistics has them.
  std::uint64_t population = 0, feed = 0, filtrate = 0, collisions = 0, records = 0, bytes = 0,
                misprogrammed = 0, lost = 0;
  std::uint64_t random = 0, in_flight = 0;

 private:
  using Operation = silicon::arm64::SpeOperation;

  [[nodiscard]] std::uint64_t bits(unsigned which) const;
  [[nodiscard]] std::uint64_t field(unsigned which, unsigned high, unsigned low) const;
  [[nodiscard]] bool bit(unsigned which, unsigned number) const;
  bool collect();
  std::uint64_t random_byte();
  [[nodiscard]] bool filtered_out(const Operation& operation, std::uint64_t events) const;
  void write_record(const Operation& operation, std::uint64_t events);
  [[nodiscard]] std::vector<std::uint8_t> record(const Operation& operation,
                                                 std::uint64_t events) const;
  void add_end(std::vector<std::uint8_t>& record, const Operation& operation) const;
  void event(std::uint64_t event_class, std::uint64_t status);
  void complete_if_off();

  unsigned version_;
  std::uint64_t pmsidr_, pmbidr_;
  std::map<unsigned, std::uint64_t> registers_;
};

}  // namespace vpmu::property
