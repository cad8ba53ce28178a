// SPDX-License-Identifier: MIT
//
// PMUv3 as the Arm ARM and KVM have it: slow and obviously right. It has no host events, defers
// nothing, and increments its counters one by one. It shares no code and no constants with src/.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "vpmu/base/access.hpp"

namespace vpmu::property {

/// A PMU that is offered.
struct Arm64PmuSetup {
  std::string name;
  unsigned version;  ///< PMUVer
  unsigned counters;
  bool aarch32;
};

/// What an instruction does.
struct Arm64Counts {
  unsigned instructions, cycles, loads;
};

/// Which events a gate admits: what a hash of the event and `key` says; everything for key 0.
bool arm64_gate_admits(std::uint64_t key, unsigned event);

class ReferenceArm64Pmu {
 public:
  explicit ReferenceArm64Pmu(const Arm64PmuSetup& setup) : setup_{setup} {}

  /// `which` is op0..op2 as KVM packs them.
  Access read(unsigned which, bool el0);
  Access write(unsigned which, std::uint64_t value, bool el0);
  Access host_write(unsigned which, std::uint64_t value);
  void retire(const Arm64Counts& counts, bool el0);
  void set_gate(std::uint64_t key) { gate_ = key; }
  void reset();
  [[nodiscard]] bool interrupt() const;
  [[nodiscard]] std::uint64_t overflows() const { return overflows_; }

 private:
  enum class Name : std::uint8_t {
    kNone,
    kNoCounter,
    kPmcr,
    kCntenSet,
    kCntenClr,
    kOvsSet,
    kOvsClr,
    kIntenSet,
    kIntenClr,
    kSwInc,
    kSelr,
    kCeid0,
    kCeid1,
    kUserEnr,
    kMmir,
    kCounter,
    kType,
  };
  struct Found {
    Name name = Name::kNone;
    unsigned n = 0;
  };
  [[nodiscard]] Found find(unsigned which) const;
  [[nodiscard]] Access may(Found found, bool write, bool el0) const;
  [[nodiscard]] bool exists(unsigned n) const { return n == 31 || n < setup_.counters; }
  [[nodiscard]] std::uint64_t implemented() const;
  [[nodiscard]] unsigned event(unsigned n) const;
  [[nodiscard]] bool on(unsigned n) const;
  [[nodiscard]] bool long_overflow(unsigned n) const;
  void increment(unsigned n);
  void set_control(std::uint64_t value);
  [[nodiscard]] std::uint64_t ceid(unsigned word) const;

  const Arm64PmuSetup setup_;
  std::uint64_t pmcr_ = 0, enable_ = 0, overflow_ = 0, interrupt_ = 0, select_ = 0, user_ = 0;
  std::array<std::uint64_t, 32> value_{}, type_{};
  unsigned prescaler_ = 0;
  std::uint64_t gate_ = 0;
  std::uint64_t overflows_ = 0;
};

}  // namespace vpmu::property
