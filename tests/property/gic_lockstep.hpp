// SPDX-License-Identifier: MIT
//
// The GIC of machine/devices, wired up as on a board, and the reference, in lockstep: guests access
// registers, lines change, the state of all parts is saved and goes on in others.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "property/choices.hpp"
#include "property/reference_gic.hpp"
#include "unit/devices/gic_world.hpp"

namespace vpmu::property {

struct GicSetup {
  std::string name;
  unsigned vcpus;
  bool from_reset;  ///< else a guest has enabled all there is
};

std::span<const GicSetup> gic_setups();

struct GicOperation {
  enum class Kind : std::uint8_t {
    kReadDistributor,     ///< where: offset; bytes
    kWriteDistributor,    ///< where: offset; bytes; value
    kReadRedistributor,   ///< vcpu; where: offset; bytes
    kWriteRedistributor,  ///< vcpu; where: offset; bytes; value
    kReadRegister,        ///< vcpu; where: GicRegister; flag: at EL0
    kWriteRegister,       ///< vcpu; where: GicRegister; value; flag: at EL0
    kEnd,                 ///< vcpu: what it took last: where: EOIR0, EOIR1 or DIR
    kLine,                ///< vcpu; where: INTID; flag: high
    kMove,                ///< save() and restore() onto another; flag: the distributor last
  };
  Kind kind;
  bool flag = false;
  std::uint8_t vcpu = 0;
  std::uint8_t bytes = 4;
  std::uint32_t where = 0;
  std::uint64_t value = 0;
};

GicOperation draw_operation(Choices& choices, const GicSetup& setup);
std::string describe(const GicOperation& operation);

/// The encoding of a CPU interface's register.
machine::icc::SystemRegister encoding_of(GicRegister which);

class GicLockstep {
 public:
  using Setup = GicSetup;
  using Operation = GicOperation;

  explicit GicLockstep(const GicSetup& setup);

  std::optional<std::string> step(const GicOperation& operation);
  /// Every register that can be read without effect.
  std::optional<std::string> compare_all();
  std::optional<std::string> finish() { return compare_all(); }

 private:
  std::optional<std::string> compare_read(const GicOperation& operation);
  std::optional<std::string> read_register(const GicOperation& operation);
  std::optional<std::string> write_register(const GicOperation& operation);
  std::optional<std::string> end(const GicOperation& operation);
  std::optional<std::string> move(bool distributor_last);
  std::optional<std::string> compare_signals();
  void write_both(const GicOperation& operation);
  void set_up();

  const GicSetup& setup_;
  std::unique_ptr<machine::GicWorld> gic_;
  ReferenceGic reference_;
  std::vector<std::vector<std::uint64_t>> taken_;  ///< INTIDs of each vCPU, the last one at the end
};

}  // namespace vpmu::property
