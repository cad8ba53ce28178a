// SPDX-License-Identifier: MIT
//
// A vCPU's SPE without any world switch: the guest has a unit of its own all the time, which takes
// samples only while the guest would have the host's. Every condition is worked out anew; errors
// are the rows of the kernel's interface, in their order.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "property/reference_spe_unit.hpp"
#include "vpmu/base/access.hpp"

namespace vpmu::property {

struct SpeSetup {
  std::string name;
  silicon::arm64::SpeModel model;
  unsigned flavour = 0;    ///< SpeFlavour
  unsigned cpus_with = 4;  ///< of four: the first ones
  bool exclusive = false;
  bool perfmon_capable = false;
  bool host_profiles = false;  ///< the unit is in use when a guest comes
  unsigned most_pages = 0;     ///< of a buffer; 0: any. A power of 2
  bool ready = true;           ///< the VMM has done its part
};

/// Lists of CPUs, and what they are of four.
struct SpeCpuList {
  const char* list;
  int error;
  std::set<unsigned> cpus;
};

class ReferenceSpe {
 public:
  ReferenceSpe(const SpeSetup& setup, std::uint64_t random);

  Access read(unsigned which, bool el0, bool host);
  Access write(unsigned which, std::uint64_t value, bool el0, bool host);
  /// An operation of the guest. It may end the guest's turn.
  ReferenceSpeUnit::Outcome retire(const silicon::arm64::SpeOperation& operation, bool known);

  /// 0, or the number of the error; here also that which says why not.
  enum class Entry : std::uint8_t { kDone, kOutside, kNoUnit, kNoSet, kNotInitialised, kStopped };
  Entry enter(unsigned cpu);
  void leave();
  void reset();
  void set_host_has_unit(bool has);

  // Numbers of errors; 0: none.
  int init_vcpu(bool spe, bool aarch32);
  int set_cpus(const SpeCpuList& list);
  int set(std::uint64_t attribute, std::optional<std::int32_t> value);
  int get(std::uint64_t attribute, std::int32_t& value) const;

  [[nodiscard]] bool line() const;
  [[nodiscard]] bool has_unit() const;
  [[nodiscard]] bool host_has_it() const { return setup_.exclusive && host_; }
  [[nodiscard]] unsigned mdcr_el2() const;

  ReferenceSpeUnit unit;
  bool feature = false, initialised = false, run = false, entered = false;
  int stop = 0;
  std::uint64_t events = 0, full = 0, misprogrammed = 0, stage1_faults = 0, external_aborts = 0,
                replaced = 0, too_large = 0;

 private:
  [[nodiscard]] std::uint64_t value(unsigned which) const { return unit.read(which).value(); }
  [[nodiscard]] std::uint64_t pmbidr() const;
  void set_syndrome(std::uint64_t value);
  [[nodiscard]] bool traps(unsigned which) const;
  [[nodiscard]] int no_attribute(std::uint64_t attribute) const;

  const SpeSetup setup_;
  bool host_ = false;
  std::optional<int> irq_;
  std::set<unsigned> cpus_;
};

}  // namespace vpmu::property
