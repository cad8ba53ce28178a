// SPDX-License-Identifier: MIT
#include "property/lbr_operations.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "property/lbr_drawing.hpp"
#include "property/lbr_host_events.hpp"

namespace vpmu::property {
namespace {

using Kind = LbrOperation::Kind;

/// IA32_DEBUGCTL, IA32_PERF_CAPABILITIES, and what freezing is seen in.
constexpr std::uint32_t kPmuMsrs[] = {0x1d9, 0x1d9, 0x1d9, 0x1d9, 0x38e,
                                      0x390, 0x390, 0x391, 0x345};

std::uint32_t draw_msr(Choices& choices, const GuestLbrSetup& setup) {
  // A guest without them tries others'.
  silicon::x86::LbrModel model = setup.silicon->lbr;
  if (!model.exists()) model.depth = silicon::x86::LbrModel::kMaxDepth;
  return choices.chance(72) ? choices.of(kPmuMsrs) : draw_lbr_msr(choices, model);
}

std::uint64_t draw_value(Choices& choices, const GuestLbrSetup& setup, std::uint32_t msr) {
  constexpr std::uint64_t kLbr = 1, kFreeze = 1 << 11;
  constexpr std::uint64_t kDebugControls[] = {
      kLbr, kLbr, kLbr, kLbr | kFreeze, kLbr | kFreeze, kFreeze, 0, 0, 2, 1 << 12};
  constexpr std::uint64_t kFrozen = std::uint64_t{1} << 58;
  switch (msr) {
    case 0x1d9: return choices.of(kDebugControls);
    case 0x345: {
      const std::uint64_t all = setup.config.perf_capabilities;
      return choices.chance(128) ? all & ~std::uint64_t{0x3f} : all ^ choices.draw(6);
    }
    case 0x38e:
    case 0x390:
    case 0x391: return choices.chance(192) ? kFrozen : kFrozen | choices.draw(3);
    default: break;
  }
  silicon::x86::LbrModel model = setup.silicon->lbr;
  if (!model.exists()) model.depth = silicon::x86::LbrModel::kMaxDepth;
  return draw_lbr_value(choices, model, msr);
}

Kind draw_kind(Choices& choices) {
  struct Row {
    unsigned below;
    Kind kind;
  };
  constexpr Row kRows[] = {
      {60, Kind::kWriteMsr},      {100, Kind::kReadMsr},      {108, Kind::kHostWriteMsr},
      {114, Kind::kHostReadMsr},  {158, Kind::kBranches},     {166, Kind::kPmi},
      {192, Kind::kSwitchIn},     {196, Kind::kSwitchOut},    {197, Kind::kReset},
      {200, Kind::kDamage},       {208, Kind::kHostBranches}, {211, Kind::kTick},
      {213, Kind::kTrace},        {228, Kind::kOpenEvent},    {234, Kind::kEnableEvent},
      {240, Kind::kDisableEvent}, {253, Kind::kCloseEvent},   {256, Kind::kMigrate},
  };
  const auto n = static_cast<unsigned>(choices.draw(8));
  return std::ranges::find_if(kRows, [n](const Row& row) { return n < row.below; })->kind;
}

bool is_of_a_slot(Kind kind) {
  return kind == Kind::kOpenEvent || kind == Kind::kEnableEvent || kind == Kind::kDisableEvent ||
         kind == Kind::kCloseEvent;
}

}  // namespace

LbrOperation draw_operation(Choices& choices, const GuestLbrSetup& setup) {
  LbrOperation operation{.kind = draw_kind(choices)};
  const unsigned whom = is_of_a_slot(operation.kind) ? LbrHostEvents::kSlots : 2;
  operation.who = static_cast<std::uint8_t>(choices.below(whom));
  switch (operation.kind) {
    case Kind::kReadMsr:
    case Kind::kHostReadMsr: operation.where = draw_msr(choices, setup); break;
    case Kind::kWriteMsr:
    case Kind::kHostWriteMsr:
      operation.where = draw_msr(choices, setup);
      operation.value = draw_value(choices, setup, operation.where);
      break;
    case Kind::kBranches:
    case Kind::kHostBranches:
      operation.where = 1 + choices.below(choices.chance(32) ? 40 : 5);
      operation.value = choices.draw(16);
      break;
    case Kind::kSwitchIn: operation.where = choices.below(2); break;
    case Kind::kTrace: operation.where = choices.below(3) == 0 ? 1 : 0; break;
    case Kind::kOpenEvent: operation.value = choices.draw(HostEventRequest::kBits); break;
    case Kind::kDamage:
      operation.where = static_cast<std::uint32_t>(choices.draw(9));
      operation.value =
          choices.chance(64) ? choices.draw(64) : std::uint64_t{1} << choices.below(64);
      break;
    case Kind::kMigrate: operation.where = 1 + choices.below(2); break;
    default: break;
  }
  return operation;
}

std::string describe(const LbrOperation& operation) {
  const auto [kind, who, where, value] = operation;
  switch (kind) {
    case Kind::kReadMsr: return fmt::format("vCPU {}: rdmsr {:#x}", who, where);
    case Kind::kWriteMsr: return fmt::format("vCPU {}: wrmsr {:#x} = {:#x}", who, where, value);
    case Kind::kHostReadMsr: return fmt::format("vCPU {}: host reads {:#x}", who, where);
    case Kind::kHostWriteMsr:
      return fmt::format("vCPU {}: host writes {:#x} = {:#x}", who, where, value);
    case Kind::kBranches: return fmt::format("vCPU {}: {} branches {:#x}", who, where, value);
    case Kind::kPmi: return fmt::format("vCPU {}: PMI", who);
    case Kind::kSwitchIn: return fmt::format("vCPU {} goes on on host CPU {}", who, where);
    case Kind::kSwitchOut: return fmt::format("vCPU {} leaves its host CPU", who);
    case Kind::kDamage:
      return fmt::format("vCPU {}: state with field {} ^= {:#x}", who, where, value);
    case Kind::kReset: return fmt::format("vCPU {}: reset", who);
    case Kind::kHostBranches:
      return fmt::format("host CPU {}: {} branches {:#x}", who, where, value);
    case Kind::kTick: return fmt::format("host CPU {}: tick", who);
    case Kind::kTrace:
      return fmt::format("host CPU {}: trace {}", who, where != 0 ? "begins" : "ends");
    case Kind::kOpenEvent: {
      const HostEventRequest request = HostEventRequest::decode(value);
      return fmt::format("event {}: open for {} {}, config {:#x}, branches {:#x}{}{}{} ({:#x})",
                         who, request.of_task ? "vCPU" : "host CPU", request.target,
                         request.attr.config, request.attr.branch_type,
                         request.attr.pinned ? ", pinned" : "",
                         request.attr.exclusive ? ", exclusive" : "",
                         request.attr.exclude_guest ? ", no guests" : "", value);
    }
    case Kind::kEnableEvent: return fmt::format("event {}: enable", who);
    case Kind::kDisableEvent: return fmt::format("event {}: disable", who);
    case Kind::kCloseEvent: return fmt::format("event {}: close", who);
    case Kind::kMigrate: return fmt::format("migration to {} host CPUs", where);
  }
  return {};
}

}  // namespace vpmu::property
