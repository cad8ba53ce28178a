// SPDX-License-Identifier: MIT
#include "property/gic_lockstep.hpp"

#include <fmt/format.h>

#include "property/answers.hpp"

namespace vpmu::property {

using Kind = GicOperation::Kind;
using machine::GicWorld;

GicLockstep::GicLockstep(const GicSetup& setup)
    : setup_{setup},
      gic_{std::make_unique<GicWorld>(setup.vcpus)},
      reference_{setup.vcpus},
      taken_(setup.vcpus) {
  if (!setup.from_reset) set_up();
}

void GicLockstep::set_up() {
  write_both({.kind = Kind::kWriteDistributor, .value = 3});
  for (std::uint32_t bank = 1; bank < 9; ++bank) {
    write_both({.kind = Kind::kWriteDistributor, .where = 0x80 + 4 * bank, .value = 0xffff'fffe});
    write_both({.kind = Kind::kWriteDistributor, .where = 0x100 + 4 * bank, .value = 0xffff'ffff});
  }
  for (std::uint8_t vcpu = 0; vcpu < setup_.vcpus; ++vcpu) {
    for (const auto& [where, value] : {std::pair<std::uint32_t, std::uint64_t>{0x14, 0},
                                       {0x1'0080, 0x7fff'fffd},
                                       {0x1'0100, 0xffff'ffff}}) {
      write_both({.kind = Kind::kWriteRedistributor, .vcpu = vcpu, .where = where, .value = value});
    }
    for (const auto& [which, value] : {std::pair{GicRegister::kPmr, 0xffU},
                                       {GicRegister::kIgrpen0, 1U},
                                       {GicRegister::kIgrpen1, 1U}}) {
      write_both({.kind = Kind::kWriteRegister,
                  .vcpu = vcpu,
                  .where = static_cast<std::uint32_t>(which),
                  .value = value});
    }
  }
}

void GicLockstep::write_both(const GicOperation& operation) {
  static_cast<void>(step(operation));
}

std::optional<std::string> GicLockstep::step(const GicOperation& operation) {
  std::optional<std::string> difference;
  switch (operation.kind) {
    case Kind::kReadDistributor:
    case Kind::kReadRedistributor: difference = compare_read(operation); break;
    case Kind::kWriteDistributor:
      gic_->write_d(operation.where, operation.value, operation.bytes);
      reference_.write_distributor(operation.where, operation.bytes, operation.value);
      break;
    case Kind::kWriteRedistributor:
      gic_->write_r(operation.vcpu, operation.where, operation.value, operation.bytes);
      reference_.write_redistributor(operation.vcpu, operation.where, operation.bytes,
                                     operation.value);
      break;
    case Kind::kReadRegister: difference = read_register(operation); break;
    case Kind::kWriteRegister: difference = write_register(operation); break;
    case Kind::kEnd: difference = end(operation); break;
    case Kind::kLine:
      if (operation.where < 32) {
        gic_->vcpus[operation.vcpu].redistributor.set_line(operation.where, operation.flag);
      } else {
        gic_->distributor.set_line(operation.where, operation.flag);
      }
      reference_.set_line(operation.vcpu, operation.where, operation.flag);
      break;
    case Kind::kMove: difference = move(operation.flag); break;
  }
  return difference ? difference : compare_signals();
}

std::optional<std::string> GicLockstep::compare_read(const GicOperation& operation) {
  const bool distributor = operation.kind == Kind::kReadDistributor;
  const std::uint64_t value = distributor
                                  ? gic_->read_d(operation.where, operation.bytes)
                                  : gic_->read_r(operation.vcpu, operation.where, operation.bytes);
  const std::uint64_t expected =
      distributor ? reference_.read_distributor(operation.where, operation.bytes)
                  : reference_.read_redistributor(operation.vcpu, operation.where, operation.bytes);
  if (value == expected) return {};
  return fmt::format("{}: {:#x}, expected {:#x}", describe(operation), value, expected);
}

std::optional<std::string> GicLockstep::read_register(const GicOperation& operation) {
  const auto which = static_cast<GicRegister>(operation.where);
  const Access access =
      gic_->vcpus[operation.vcpu].interface.read(encoding_of(which), operation.flag);
  const auto expected =
      operation.flag ? std::nullopt : reference_.read_register(operation.vcpu, which);
  const bool takes = which == GicRegister::kIar0 || which == GicRegister::kIar1;
  if (takes && expected && *expected != ReferenceGic::kNone) {
    taken_[operation.vcpu].push_back(*expected);
  }
  return compare(describe(operation), access, expected ? Access::done(*expected) : Access::fault());
}

std::optional<std::string> GicLockstep::write_register(const GicOperation& operation) {
  const auto which = static_cast<GicRegister>(operation.where);
  const Access access = gic_->vcpus[operation.vcpu].interface.write(
      encoding_of(which), operation.value, operation.flag);
  const bool done =
      !operation.flag && reference_.write_register(operation.vcpu, which, operation.value);
  return compare(describe(operation), access, done ? Access::done() : Access::fault());
}

std::optional<std::string> GicLockstep::end(const GicOperation& operation) {
  auto& taken = taken_[operation.vcpu];
  if (taken.empty()) return {};
  GicOperation write = operation;
  write.kind = Kind::kWriteRegister;
  write.value = taken.back();
  if (static_cast<GicRegister>(operation.where) != GicRegister::kDir) taken.pop_back();
  return write_register(write);
}

std::optional<std::string> GicLockstep::move(bool distributor_last) {
  auto other = std::make_unique<GicWorld>(setup_.vcpus);
  const auto restore_distributor = [&] {
    return other->distributor.restore(gic_->distributor.save()).has_value();
  };
  bool restored = distributor_last || restore_distributor();
  for (unsigned vcpu = 0; vcpu < setup_.vcpus; ++vcpu) {
    const GicWorld::Vcpu& from = gic_->vcpus[vcpu];
    GicWorld::Vcpu& to = other->vcpus[vcpu];
    restored = restored && to.redistributor.restore(from.redistributor.save()) &&
               to.interface.restore(from.interface.save());
    if (restored && (to.redistributor.save() != from.redistributor.save() ||
                     to.interface.save() != from.interface.save())) {
      return fmt::format("the state of vCPU {} has changed by a restore", vcpu);
    }
  }
  if (distributor_last) restored = restored && restore_distributor();
  if (!restored) return "a state that was saved is refused";
  gic_ = std::move(other);
  return {};
}

std::optional<std::string> GicLockstep::compare_signals() {
  for (unsigned vcpu = 0; vcpu < setup_.vcpus; ++vcpu) {
    const machine::GicCpuInterface& interface = gic_->vcpus[vcpu].interface;
    const unsigned expected = reference_.signalled(vcpu);
    if (interface.irq_waiting() != (expected == 1)) {
      return fmt::format("IRQ of {}: {}", vcpu, interface.irq_waiting());
    }
    if (interface.fiq_waiting() != (expected == 0)) {
      return fmt::format("FIQ of {}: {}", vcpu, interface.fiq_waiting());
    }
  }
  return {};
}

std::optional<std::string> GicLockstep::compare_all() {
  std::optional<std::string> difference;
  const auto read = [&](Kind kind, std::uint8_t vcpu, std::uint32_t first, std::uint32_t end) {
    for (std::uint32_t where = first; where < end && !difference; where += 4) {
      difference = compare_read({.kind = kind, .vcpu = vcpu, .where = where});
    }
  };
  read(Kind::kReadDistributor, 0, 0x0, 0x540);
  read(Kind::kReadDistributor, 0, 0xc00, 0xc80);
  read(Kind::kReadDistributor, 0, 0x6000, 0x6a00);
  read(Kind::kReadDistributor, 0, 0xffd0, 0x1'0000);
  for (std::uint8_t vcpu = 0; vcpu < setup_.vcpus; ++vcpu) {
    read(Kind::kReadRedistributor, vcpu, 0x0, 0x80);
    read(Kind::kReadRedistributor, vcpu, 0x1'0080, 0x1'0440);
    read(Kind::kReadRedistributor, vcpu, 0x1'0c00, 0x1'0c10);
    for (std::uint32_t which = 0; which < kGicRegisters && !difference; ++which) {
      const auto name = static_cast<GicRegister>(which);
      if (name == GicRegister::kIar0 || name == GicRegister::kIar1) continue;
      difference = read_register({.kind = Kind::kReadRegister, .vcpu = vcpu, .where = which});
    }
  }
  return difference;
}

}  // namespace vpmu::property
