// SPDX-License-Identifier: MIT
//
// A GICv3 as the manual (Arm IHI 0069) describes it, slow and obviously right: every interrupt is a
// struct of its own, active priorities are sets, and everything that is asked is worked out anew
// from all of them. Where the manual leaves a choice, that of the headers in machine/devices.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace vpmu::property {

/// The system registers of a CPU interface, in the order of gic_registers() in gic_operations.cpp.
enum class GicRegister : std::uint8_t {
  kPmr,
  kIar0,
  kEoir0,
  kHppir0,
  kBpr0,
  kAp0r0,
  kAp1r0,
  kDir,
  kRpr,
  kSgi1r,
  kAsgi1r,
  kSgi0r,
  kIar1,
  kEoir1,
  kHppir1,
  kBpr1,
  kCtlr,
  kSre,
  kIgrpen0,
  kIgrpen1,
};
constexpr unsigned kGicRegisters = 20;

class ReferenceGic {
 public:
  static constexpr unsigned kIntids = 288;
  static constexpr unsigned kNone = 1023;

  explicit ReferenceGic(unsigned vcpus);

  /// A private line of `vcpu`, or a shared one.
  void set_line(unsigned vcpu, unsigned intid, bool high);

  [[nodiscard]] std::uint64_t read_distributor(std::uint64_t offset, unsigned bytes) const;
  void write_distributor(std::uint64_t offset, unsigned bytes, std::uint64_t value);
  [[nodiscard]] std::uint64_t read_redistributor(unsigned vcpu, std::uint64_t offset,
                                                 unsigned bytes) const;
  void write_redistributor(unsigned vcpu, std::uint64_t offset, unsigned bytes,
                           std::uint64_t value);

  /// At EL1. Nothing: undefined.
  std::optional<std::uint64_t> read_register(unsigned vcpu, GicRegister which);
  bool write_register(unsigned vcpu, GicRegister which, std::uint64_t value);

  /// The group of the interrupt that the vCPU is told of: 0, a FIQ, or 1, an IRQ; 2 if of none.
  [[nodiscard]] unsigned signalled(unsigned vcpu) const;

 private:
  struct Interrupt {
    bool group1 = false;
    bool enabled = false;
    bool latched = false;
    bool active = false;
    bool edge = false;
    bool line = false;
    unsigned priority = 0;
    unsigned route = 0;
    [[nodiscard]] bool pending() const { return latched || (line && !edge); }
  };
  struct Vcpu {
    std::array<Interrupt, 32> own;
    bool asleep = true;
    unsigned mask = 0;
    std::array<unsigned, 2> binary_point{2, 3};
    bool common_point = false;
    bool separate_deactivation = false;
    std::array<bool, 2> group_enabled{};
    std::array<std::set<unsigned>, 2> active;  ///< group priorities
  };

  [[nodiscard]] const Interrupt* interrupt(unsigned vcpu, unsigned intid) const;
  Interrupt* interrupt(unsigned vcpu, unsigned intid);
  /// By the distributor's registers only shared ones can be reached, by a redistributor's its own.
  [[nodiscard]] bool reaches(bool distributor, unsigned intid) const;
  [[nodiscard]] std::optional<std::uint64_t> read_common(bool distributor, unsigned vcpu,
                                                         std::uint64_t offset,
                                                         unsigned bytes) const;
  bool write_common(bool distributor, unsigned vcpu, std::uint64_t offset, unsigned bytes,
                    std::uint64_t value);

  /// The INTID that is most important to the vCPU; kNone if there is none.
  [[nodiscard]] unsigned best(unsigned vcpu) const;
  [[nodiscard]] unsigned running(const Vcpu& vcpu) const;
  [[nodiscard]] static unsigned group_priority(const Vcpu& vcpu, unsigned priority, bool group1);
  unsigned acknowledge(unsigned vcpu, unsigned group);
  [[nodiscard]] unsigned highest_pending(unsigned vcpu, unsigned group) const;
  void end(unsigned vcpu, unsigned group, std::uint64_t value);
  void send(unsigned vcpu, std::uint64_t value, bool group0_only);

  std::array<bool, 2> groups_enabled_{};
  std::vector<Vcpu> vcpus_;
  std::array<Interrupt, kIntids> shared_;  ///< those below 32 are not used
};

}  // namespace vpmu::property
