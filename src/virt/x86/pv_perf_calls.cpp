// SPDX-License-Identifier: MIT
//
// PV perf by hypercalls: shorthands for accesses to the registers of one event, for guests that
// want calls. What an event is, and whether it counts, is in the registers alone; a call adds where
// the event's record is to be written.
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <tl/expected.hpp>

#include "virt/x86/counter_sets.hpp"
#include "virt/x86/event_sets.hpp"
#include "virt/x86/pv_perf_events.hpp"
#include "vpmu/virt/x86/pv_perf.hpp"

namespace vpmu::virt::x86 {

using pv::Call;
using pv::CallAttr;
using pv::CallError;
using pv::CallEvent;
using pv::CallFlags;
using pv::CallParam;
using pv::CallReadFormat;
using pv::CallStatus;
using pv::Code;
using pv::Evtsel;
using pv::Features;
using pv::Type;

namespace {

constexpr std::int64_t kDone = 0;
constexpr std::uint64_t kPageBytes = 4096;

constexpr std::int64_t result_of(CallError error) {
  return static_cast<std::int64_t>(error);
}

bool is_aligned(std::uint64_t address) {
  return address % alignof(std::uint64_t) == 0;
}

/// Structures are within a page, so that one translation does for each.
template <class Structure>
bool is_within_page(std::uint64_t address) {
  return address % kPageBytes <= kPageBytes - sizeof(Structure);
}

/// A structure of the guest's, at an aligned address: the only look at it that there is.
template <class Structure>
tl::expected<Structure, CallError> copy(PvPerfHost& host, std::uint64_t address) {
  std::array<std::uint64_t, sizeof(Structure) / sizeof(std::uint64_t)> words{};
  if (!is_within_page<Structure>(address) || !host.read_ram(GuestPhysical{address}, words)) {
    return tl::make_unexpected(CallError::kFault);
  }
  return std::bit_cast<Structure>(words);
}

std::uint8_t* writable_event(PvPerfHost& host, std::uint64_t address) {
  if (!is_within_page<CallEvent>(address)) return nullptr;
  return host.writable_ram(GuestPhysical{address}, sizeof(CallEvent));
}

/// Field by field, none of which can tear for a reader on another vCPU.
void store(std::uint8_t* memory, const CallEvent& event) {
  const auto words = std::bit_cast<std::array<std::uint64_t, 4>>(event);
  auto* const to = static_cast<std::uint64_t*>(static_cast<void*>(memory));
  for (std::size_t n = 0; n < words.size(); ++n) {
    std::atomic_ref<std::uint64_t>{to[n]}.store(words[n], std::memory_order_relaxed);
  }
}

Evtsel event_select(const CallAttr& attr) {
  const CallFlags flags{{attr.flags}};
  Evtsel evtsel;
  evtsel.set(Evtsel::kType, attr.type);
  evtsel.set(Evtsel::kCode, attr.config);
  evtsel.set(Evtsel::kUsr, flags.get(CallFlags::kExcludeUser) ^ 1);
  evtsel.set(Evtsel::kOs, flags.get(CallFlags::kExcludeKernel) ^ 1);
  evtsel.set(Evtsel::kEn, 1);
  evtsel.set(Evtsel::kInt, flags.get(CallFlags::kInterrupt));
  return evtsel;
}

/// What must be zero in it is.
bool is_clean(const CallAttr& attr) {
  constexpr std::uint64_t kFlags =
      mask_of(CallFlags::kExcludeUser, CallFlags::kExcludeKernel, CallFlags::kInterrupt);
  constexpr std::uint64_t kReadFormat =
      mask_of(CallReadFormat::kTimeEnabled, CallReadFormat::kTimeRunning);
  return attr.pad == 0 && attr.reserved == 0 && (attr.flags & ~kFlags) == 0 &&
         (attr.read_format & ~kReadFormat) == 0;
}

/// There is such an event in the ABI, but not for this guest.
bool is_not_offered(const CallAttr& attr, const PvPerfConfig& config) {
  if (attr.type == static_cast<std::uint32_t>(Type::kBreakpoint)) return true;
  if (attr.type == static_cast<std::uint32_t>(Type::kRaw) && !config.has(Features::kRaw)) {
    return true;
  }
  return attr.sample_period != 0 && !config.has(Features::kAutoReload);
}

}  // namespace

Access PvPerf::hypercall(const Hypercall& call) {
  const std::uint64_t width = call.long_mode ? ~std::uint64_t{0} : ~std::uint32_t{0};
  if (!config_.offered() || !config_.has(Features::kHypercalls)) return Access::not_mine();
  if ((call.number & width) != pv::kHypercall) return Access::not_mine();
  Hypercall cut = call;
  for (std::uint64_t& argument : cut.arguments) argument &= width;
  const std::int64_t result = call.user ? result_of(CallError::kPermission) : dispatch(cut);
  return Access::done(static_cast<std::uint64_t>(result) & width);
}

std::int64_t PvPerf::dispatch(const Hypercall& call) {
  ++statistics_.hypercalls;
  const auto [operation, first, second, unused] = call.arguments;
  if (operation == static_cast<std::uint64_t>(Call::kOpen)) {
    constexpr std::uint64_t kHalf = std::numeric_limits<std::uint32_t>::max();
    if (first > kHalf || second > kHalf) return result_of(CallError::kInvalid);
    return open_call(second << 32 | first);
  }
  if (operation < static_cast<std::uint64_t>(Call::kClose) ||
      operation > static_cast<std::uint64_t>(Call::kRead)) {
    return result_of(CallError::kNotSupported);
  }
  // Masked, so that no speculation behind the check gets past the array either.
  const auto id = static_cast<unsigned>(first) & (pv::kMaxEvents - 1);
  if (first >= config_.events || !events_[id].called) return result_of(CallError::kInvalid);
  return this->call(static_cast<Call>(operation), id);
}

std::int64_t PvPerf::call(Call call, unsigned id) {
  switch (call) {
    case Call::kOpen: break;
    case Call::kClose: close_call(id); return kDone;
    case Call::kEnable:
      acknowledge(id);
      set_global_control(global_ctrl_ | event_bit(id));
      return kDone;
    case Call::kDisable:
      set_global_control(global_ctrl_ & ~event_bit(id));
      return tell_call(id) ? kDone : result_of(CallError::kFault);
    case Call::kRead: return tell_call(id) ? kDone : result_of(CallError::kFault);
  }
  return result_of(CallError::kNotSupported);
}

// ---- OPEN and CLOSE -----------------------------------------------------------------------------

std::int64_t PvPerf::open_call(std::uint64_t address) {
  const auto failed = [](CallError error) { return result_of(error); };
  if (!is_aligned(address)) return failed(CallError::kInvalid);
  const auto param = copy<CallParam>(*around_.host, address);
  if (!param) return failed(param.error());
  const auto [attr_address, event_address, id, flags, reserved] = *param;
  if (flags != 0 || reserved != 0 || id >= config_.events) return failed(CallError::kInvalid);
  const unsigned i = id & (pv::kMaxEvents - 1);
  if (events_[i].called || !is_aligned(attr_address) || !is_aligned(event_address)) {
    return failed(CallError::kInvalid);
  }
  const auto attr = copy<CallAttr>(*around_.host, attr_address);
  if (!attr) return failed(attr.error());
  if (const auto checked = check_call(*attr); !checked) return failed(checked.error());
  if (writable_event(*around_.host, event_address) == nullptr) return failed(CallError::kFault);
  set_up_call(i, *attr, event_address);
  return kDone;
}

tl::expected<void, CallError> PvPerf::check_call(const CallAttr& attr) const {
  if (!is_clean(attr)) return tl::make_unexpected(CallError::kInvalid);
  if (is_not_offered(attr, config_)) return tl::make_unexpected(CallError::kNotSupported);
  // Before they are cut to the fields' widths.
  constexpr std::uint64_t kTypes = low_bits(8), kCodes = low_bits(32);
  if (attr.type > kTypes || attr.config > kCodes) return tl::make_unexpected(CallError::kInvalid);
  if (meanings_->check(event_select(attr)) != Code::kOk ||
      check_period(attr.sample_period) != Code::kOk) {
    return tl::make_unexpected(CallError::kInvalid);
  }
  return {};
}

/// The event begins anew, whatever it was by the registers.
void PvPerf::set_up_call(unsigned i, const CallAttr& attr, std::uint64_t event_address) {
  set_global_control(global_ctrl_ & ~event_bit(i));
  set_event_select(i, event_select(attr));
  set_period(i, attr.sample_period);
  set_count(i, (0 - attr.sample_period) & mask());
  set_times(i, {});
  acknowledge(i);
  Event& event = events_[i];
  event.called = true;
  event.call_event = event_address;
  event.call_read_format = attr.read_format;
  static_cast<void>(tell_call(i));  // it was writable
}

void PvPerf::close_call(unsigned i) {
  set_global_control(global_ctrl_ & ~event_bit(i));
  set_event_select(i, Evtsel{});
  set_count(i, 0);
  set_period(i, 0);
  tell_calls_ &= ~event_bit(i);
  Event& event = events_[i];
  event.called = false;
  event.call_event = 0;
  event.call_read_format = 0;
}

/// As STATUS_RESET does it, if the event has overflowed.
void PvPerf::acknowledge(unsigned i) {
  fold(i);
  if ((global_status_ & event_bit(i)) != 0) reset_status(event_bit(i));
}

// ---- The record ---------------------------------------------------------------------------------

/// Where the event's record is; null if it is no RAM any more: then it is forgotten.
std::uint8_t* PvPerf::call_memory(unsigned i) {
  Event& event = events_[i];
  if (event.call_event == PvPerfState::kGone) return nullptr;
  std::uint8_t* const memory = writable_event(*around_.host, event.call_event);
  if (memory == nullptr) event.call_event = PvPerfState::kGone;
  return memory;
}

/// Not now: how the event is doing is known when the host has followed its registers.
bool PvPerf::tell_call(unsigned i) {
  if (call_memory(i) == nullptr) return false;
  tell_calls_ |= event_bit(i);
  request_work();
  return true;
}

void PvPerf::write_call_event(unsigned i) {
  std::uint8_t* const memory = call_memory(i);
  if (memory == nullptr) return;
  fold(i);
  const Event& event = events_[i];
  const CallReadFormat format{{event.call_read_format}};
  CallStatus status;
  status.set(CallStatus::kState, state(i).raw);
  status.set(CallStatus::kOverflowed, global_status_ >> i & 1);
  store(memory,
        {.count = event.count,
         .status = status.raw,
         .time_enabled = format.get(CallReadFormat::kTimeEnabled) != 0 ? event.time_enabled : 0,
         .time_running = format.get(CallReadFormat::kTimeRunning) != 0 ? event.time_running : 0});
  around_.host->ram_written(GuestPhysical{event.call_event}, sizeof(CallEvent));
}

}  // namespace vpmu::virt::x86
