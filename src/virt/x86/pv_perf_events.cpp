// SPDX-License-Identifier: MIT
#include "virt/x86/pv_perf_events.hpp"

#include <algorithm>

#include "vpmu/silicon/x86/event_selector.hpp"
#include "vpmu/silicon/x86/portable_events.hpp"

namespace vpmu::virt::x86 {

using silicon::x86::CacheEvent;
using silicon::x86::CountedOn;
using silicon::x86::CpuModel;
using silicon::x86::EventRow;
using silicon::x86::EventSelect;
using silicon::x86::EventSelector;
using silicon::x86::GenericEvent;
using silicon::x86::Vendor;

namespace {

// The ABI's codes are the silicon's enumerations.
static_assert(pv::kGenericEvents == silicon::x86::kGenericEventCount &&
              static_cast<unsigned>(pv::Generic::kReferenceCycles) ==
                  static_cast<unsigned>(GenericEvent::kReferenceCycles));
static_assert(pv::kCaches == CacheEvent::kCaches &&
              pv::kCacheOperations == CacheEvent::kOperations &&
              pv::kCacheResults == CacheEvent::kResults);

std::uint32_t code_of(pv::Evtsel evtsel) {
  return static_cast<std::uint32_t>(evtsel.get(pv::Evtsel::kCode));
}

pv::Type type_of(pv::Evtsel evtsel) {
  return static_cast<pv::Type>(evtsel.get(pv::Evtsel::kType));
}

std::size_t index_of(pv::CacheCode code) {
  const std::size_t index = (code.get(pv::CacheCode::kCache) * pv::kCacheOperations +
                             code.get(pv::CacheCode::kOperation)) *
                                pv::kCacheResults +
                            code.get(pv::CacheCode::kResult);
  return index % (std::size_t{pv::kCaches} * pv::kCacheOperations * pv::kCacheResults);
}

CacheEvent cache_event(pv::CacheCode code) {
  return {.cache = static_cast<CacheEvent::Cache>(code.get(pv::CacheCode::kCache)),
          .operation = static_cast<CacheEvent::Operation>(code.get(pv::CacheCode::kOperation)),
          .result = static_cast<CacheEvent::Result>(code.get(pv::CacheCode::kResult))};
}

/// By the row; absent without one.
PvPerfMeaning meaning_of(const CpuModel& model, const EventRow* row) {
  if (row == nullptr) return {};
  PvPerfMeaning meaning{.kind = PvPerfMeaning::Kind::kHostEvent,
                        .config = silicon::x86::event_select_of(model.vendor, row->selector),
                        .selector = row->selector};
  if (row->counted_on == CountedOn::kFixedCounter) {
    meaning.fixed_only = static_cast<unsigned>(row->fixed);
  }
  return meaning;
}

/// CPUID does not say which cache events there are, so a guest that may go anywhere has those that
/// are everywhere.
bool everywhere(CacheEvent event) {
  return std::ranges::all_of(silicon::x86::cpu_models(), [&](const CpuModel* model) {
    return silicon::x86::find_event(*model, event) != nullptr;
  });
}

EventSelector raw_selector(pv::RawCode code) {
  return {.event = static_cast<std::uint16_t>(code.get(pv::RawCode::kSelect)),
          .unit_mask = static_cast<std::uint8_t>(code.get(pv::RawCode::kUnitMask))};
}

PvPerfMeaning raw_meaning(Vendor vendor, pv::RawCode code) {
  static_assert(EventSelect::kCmask.kWidth == pv::RawCode::kCmask.kWidth);
  const EventSelector selector = raw_selector(code);
  EventSelect select{{silicon::x86::event_select_of(vendor, selector)}};
  select.set(EventSelect::kCmask, code.get(pv::RawCode::kCmask));
  select.set(EventSelect::kEdge, code.get(pv::RawCode::kEdge));
  select.set(EventSelect::kInv, code.get(pv::RawCode::kInv));
  return {.kind = PvPerfMeaning::Kind::kHostEvent, .config = select.raw, .selector = selector};
}

/// Whether a general-purpose counter could have such an event at all. On Intel select 0 is how host
/// perf names fixed counters, and there are 8 bits.
bool is_selector(Vendor vendor, EventSelector selector) {
  return vendor == Vendor::kAmd || (selector.event != 0 && selector.event <= 0xff);
}

}  // namespace

PvPerfEvents::PvPerfEvents(const PvPerfConfig& config, const CpuModel& model)
    : config_{config}, model_{model} {
  for (unsigned n = 0; n < pv::kGenericEvents; ++n) {
    if ((config.generic_events >> n & 1) == 0) continue;
    generic_[n] = meaning_of(model, silicon::x86::find_event(model, static_cast<GenericEvent>(n)));
  }
  const bool pool = config.has(pv::Features::kPoolSafe);
  for (unsigned cache = 0; cache < pv::kCaches; ++cache) {
    for (unsigned operation = 0; operation < pv::kCacheOperations; ++operation) {
      for (unsigned result = 0; result < pv::kCacheResults; ++result) {
        pv::CacheCode code;
        code.set(pv::CacheCode::kCache, cache);
        code.set(pv::CacheCode::kOperation, operation);
        code.set(pv::CacheCode::kResult, result);
        const CacheEvent event = cache_event(code);
        if (pool && !everywhere(event)) continue;
        cache_[index_of(code)] = meaning_of(model, silicon::x86::find_event(model, event));
      }
    }
  }
}

pv::Code PvPerfEvents::check(pv::Evtsel evtsel) const {
  if (evtsel.get(pv::Evtsel::kReserved) != 0) return pv::Code::kReserved;
  const std::uint32_t code = code_of(evtsel);
  bool defined = false;
  switch (type_of(evtsel)) {
    case pv::Type::kGeneric: defined = code < pv::kGenericEvents; break;
    case pv::Type::kCache: {
      const pv::CacheCode cache{{code}};
      defined = cache.get(pv::CacheCode::kCache) < pv::kCaches &&
                cache.get(pv::CacheCode::kOperation) < pv::kCacheOperations &&
                cache.get(pv::CacheCode::kResult) < pv::kCacheResults &&
                cache.get(pv::CacheCode::kReserved) == 0;
      break;
    }
    case pv::Type::kRaw:
      if (!config_.has(pv::Features::kRaw)) return pv::Code::kType;
      defined = pv::RawCode{{code}}.get(pv::RawCode::kReserved) == 0;
      break;
    case pv::Type::kSoftware: defined = code < pv::kSoftwareEvents; break;
    case pv::Type::kBreakpoint:
    default: return pv::Code::kType;
  }
  return defined ? pv::Code::kOk : pv::Code::kCode;
}

PvPerfMeaning PvPerfEvents::meaning(pv::Evtsel evtsel) const {
  const std::uint32_t code = code_of(evtsel);
  switch (type_of(evtsel)) {
    case pv::Type::kGeneric: return generic_[code % pv::kGenericEvents];
    case pv::Type::kCache: return cache_[index_of(pv::CacheCode{{code}})];
    case pv::Type::kRaw: return raw_meaning(model_.vendor, pv::RawCode{{code}});
    case pv::Type::kSoftware: {
      const unsigned what = code % pv::kSoftwareEvents;
      if ((config_.software_events >> what & 1) == 0) return {};
      return {.kind = PvPerfMeaning::Kind::kSoftware, .software = static_cast<pv::Software>(what)};
    }
    case pv::Type::kBreakpoint:
    default: return {};
  }
}

bool PvPerfEvents::admits(pv::Evtsel evtsel, const PvPerfMeaning& meaning, const EventGate* gate,
                          const EventGate* raw_events) const {
  if (meaning.kind != PvPerfMeaning::Kind::kHostEvent) return true;
  if (type_of(evtsel) == pv::Type::kRaw) {
    if (!is_selector(model_.vendor, meaning.selector)) return false;
    const bool named = raw_events != nullptr
                           ? raw_events->admits(meaning.selector)
                           : silicon::x86::find_event(model_.events, meaning.selector) != nullptr;
    if (!named) return false;
  }
  if (gate == nullptr) return true;
  return meaning.fixed_only ? gate->admits_fixed(*meaning.fixed_only)
                            : gate->admits(meaning.selector);
}

}  // namespace vpmu::virt::x86
