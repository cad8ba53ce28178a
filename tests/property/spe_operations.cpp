// SPDX-License-Identifier: MIT
//
// What can happen to a vCPU with SPE, and how it is drawn: mostly what the unit's own test draws.
#include <fmt/format.h>

#include <array>
#include <cerrno>

#include "property/spe_lockstep.hpp"
#include "unit/spe_unit/spe_models.hpp"

namespace vpmu::property {

using Kind = SpeVcpuOperation::Kind;
using silicon::arm64::kSpeModelV1;
using silicon::arm64::kSpeModelV1p1;
using silicon::arm64::kSpeModelV1p2;

std::span<const SpeSetup> spe_setups() {
  static const std::array<SpeSetup, 9> kSetups = {{
      {.name = "VHE", .model = kSpeModelV1p1},
      {.name = "nVHE", .model = kSpeModelV1p1, .flavour = 1, .perfmon_capable = true},
      {.name = "protected", .model = kSpeModelV1, .flavour = 2},
      {.name = "VHE, SPEv1p2, the host profiles",
       .model = kSpeModelV1p2,
       .perfmon_capable = true,
       .host_profiles = true},
      {.name = "nVHE, SPEv1p2, the host profiles, buffers of a page",
       .model = kSpeModelV1p2,
       .flavour = 1,
       .host_profiles = true,
       .most_pages = 1},
      {.name = "protected, SPEv1p2, the host profiles",
       .model = kSpeModelV1p2,
       .flavour = 2,
       .host_profiles = true},
      {.name = "VHE, exclusive", .model = kSpeModelV1p2, .exclusive = true, .host_profiles = true},
      {.name = "protected, exclusive, on two of four CPUs",
       .model = kSpeModelV1p2,
       .flavour = 2,
       .cpus_with = 2,
       .exclusive = true},
      {.name = "nVHE, from the beginning, on two of four CPUs",
       .model = kSpeModelV1p1,
       .flavour = 1,
       .cpus_with = 2,
       .ready = false},
  }};
  return kSetups;
}

std::span<const SpeCpuList> spe_cpu_lists() {
  static const std::array<SpeCpuList, 8> kLists = {{
      {"0-1", 0, {0, 1}},
      {"0", 0, {0}},
      {"", 0, {}},
      {"all:1/2", 0, {0, 2}},
      {"1,N", 0, {1, 3}},
      {"0,4", ERANGE, {}},
      {"0-", EINVAL, {}},
      {nullptr, EFAULT, {}},
  }};
  return kLists;
}

namespace {

SpeVcpuOperation of_the_unit(Choices& choices, const SpeSetup& setup) {
  SpeVcpuOperation operation{.kind = Kind::kUnit};
  operation.unit = draw_operation(choices, SpeUnitSetup{setup.name, setup.model});
  using Of = SpeUnitOperation::Kind;
  switch (operation.unit.kind) {
    case Of::kOwner: operation.kind = Kind::kExit; break;
    case Of::kMove: operation.kind = Kind::kMove; break;
    case Of::kReset: operation.kind = Kind::kReset; break;
    case Of::kDamaged:
      operation.kind = Kind::kDamaged;
      operation.value = operation.unit.which * 64u + operation.unit.value;
      break;
    case Of::kRead:
    case Of::kWrite:
      operation.flag = choices.chance(8);
      if (choices.chance(24)) operation.kind = Kind::kHostAccess;
      // As a guest makes it up.
      if (operation.unit.which == 0xa3 && choices.chance(48)) operation.unit.value = 0x9402'0007;
      break;
    default: break;
  }
  return operation;
}

SpeVcpuOperation of_the_vmm(Choices& choices) {
  static constexpr std::int32_t kValues[] = {0, 1, 2, 3, 4, 8, 16, 21, 31, 32, -1};
  SpeVcpuOperation operation{.kind = Kind::kGetAttribute};
  operation.which = choices.below(4);
  operation.value = static_cast<std::uint64_t>(choices.of(kValues));
  operation.flag = choices.chance(24);
  switch (choices.below(8)) {
    case 0:
      operation.kind = Kind::kInitVcpu;
      operation.flag = choices.chance(192);
      operation.value = choices.chance(64) ? 1 : 0;
      break;
    case 1:
      operation.kind = Kind::kCpus;
      operation.value = choices.below(static_cast<std::uint32_t>(spe_cpu_lists().size()));
      break;
    case 2:
    case 3: break;
    default: operation.kind = Kind::kSetAttribute; break;
  }
  return operation;
}

}  // namespace

SpeVcpuOperation draw_operation(Choices& choices, const SpeSetup& setup) {
  static constexpr std::uint64_t kStops[] = {1, 2, 4, 4, 4};
  const unsigned what = choices.below(64);
  SpeVcpuOperation operation{.kind = Kind::kEnter};
  if (what < 44) return of_the_unit(choices, setup);
  if (what < 54) {
    operation.value = choices.chance(224) ? choices.below(2) : choices.below(6);
  } else if (what < 57) {
    operation.kind = choices.chance(128) ? Kind::kExit : Kind::kScheduledOut;
  } else if (what < 60) {
    operation.kind = Kind::kStop;
    operation.value = choices.of(kStops);
  } else if (what < 61) {
    operation.kind = Kind::kHostHasUnit;
    operation.flag = choices.chance(96);
  } else {
    return of_the_vmm(choices);
  }
  return operation;
}

std::string describe(const SpeVcpuOperation& operation) {
  const auto value = static_cast<std::int64_t>(operation.value);
  switch (operation.kind) {
    case Kind::kUnit: return describe(operation.unit) + (operation.flag ? ", at EL0" : "");
    case Kind::kHostAccess: return "host: " + describe(operation.unit);
    case Kind::kEnter: return fmt::format("enter on CPU {}", value);
    case Kind::kExit: return "exit";
    case Kind::kScheduledOut: return "scheduled out";
    case Kind::kStop: return fmt::format("STOP = {}", value);
    case Kind::kHostHasUnit: return operation.flag ? "the host takes the unit" : "the host is done";
    case Kind::kReset: return "reset";
    case Kind::kMove: return "save and restore";
    case Kind::kDamaged: return fmt::format("restore a state that is damaged, {}", value);
    case Kind::kInitVcpu:
      return fmt::format("VCPU_INIT{}{}", operation.flag ? ", SPE" : "", value ? ", AArch32" : "");
    case Kind::kCpus: {
      const char* list = spe_cpu_lists()[operation.value].list;
      return fmt::format("SUPPORTED_CPUS {}", list == nullptr ? "null" : list);
    }
    case Kind::kSetAttribute:
      return fmt::format("set attribute {} = {}", operation.which,
                         operation.flag ? "null" : std::to_string(value));
    case Kind::kGetAttribute: return fmt::format("get attribute {}", operation.which);
  }
  return "?";
}

}  // namespace vpmu::property
