// SPDX-License-Identifier: MIT
#include "property/reference_pv_perf.hpp"

#include <algorithm>

#include "vpmu/silicon/x86/event_table.hpp"
#include "vpmu/silicon/x86/portable_events.hpp"

namespace vpmu::property {

using silicon::Privilege;
using silicon::x86::CpuModel;
using virt::x86::PmiOutcome;

namespace {

// Codes of ERROR, STATE and batch_code.
constexpr std::uint8_t kReserved = 2, kType = 4, kCode = 5, kFiltered = 6, kWidth = 7, kPeriod = 8,
                       kGpa = 10, kLvt = 13;
// Results of calls.
constexpr std::int64_t kNotPermitted = -1, kFault = -14, kInvalid = -22, kNotSupported = -95;
// Features.
constexpr unsigned kPvPerf = 0, kArea = 1, kBatch = 2, kRdpmc = 3, kReload = 6, kRaw = 9,
                   kScaleTime = 10, kCalls = 12;

constexpr std::uint64_t bit(unsigned number) {
  return std::uint64_t{1} << number;
}
constexpr std::uint64_t bits(std::uint64_t value, unsigned high, unsigned low) {
  return value << (63 - high) >> (63 - high + low);
}
// EVTSEL.
constexpr std::uint64_t type_of(std::uint64_t evtsel) {
  return bits(evtsel, 7, 0);
}
constexpr std::uint64_t code_of(std::uint64_t evtsel) {
  return bits(evtsel, 39, 8);
}
constexpr bool interrupts(std::uint64_t evtsel) {
  return (evtsel & bit(43)) != 0;
}
constexpr std::uint64_t kTrouble = bit(62);

}  // namespace

ReferencePvPerf::ReferencePvPerf(const virt::x86::PvPerfConfig& config, const CpuModel& host,
                                 PvPerfSurroundings& around)
    : config_{config}, host_{&host}, around_{around} {}

void ReferencePvPerf::reset() {
  events_ = {};
  area_ = control_ = status = error = 0;
  errors_.clear();
  batch_seq_ = 0;
  batch_code_ = 0;
  batch_id_ = 0xffff;
  pending_ = held_ = false;
  interrupts_ = 0;
  publication_due = false;
  records_due = 0;
}

/// An event that is on and could be counted here, whatever the operator says of it, must be the
/// same there.
bool ReferencePvPerf::can_migrate(const CpuModel& host) const {
  const bool same_family = host.vendor == host_->vendor && host.family == host_->family;
  for (const Event& event : events_) {
    const Meaning here = meaning(event.evtsel, *host_), there = meaning(event.evtsel, host);
    if ((event.evtsel & bit(42)) == 0) continue;
    if (here.kind == Kind::kAbsent || !here.nameable) continue;
    if (there.kind == Kind::kAbsent || !there.nameable) return false;
    if (there.is_raw && !same_family) return false;
  }
  return true;
}

void ReferencePvPerf::migrate(const CpuModel& host) {
  host_ = &host;
  meanings_ = {};
}

void ReferencePvPerf::keep_registers_only() {
  for (Event& event : events_) {
    event.called = event.throttled = false;
    event.code = 0;
  }
  pending_ = held_ = false;
  interrupts_ = 0;
  records_due = 0;
  const std::uint64_t batch =
      has_page() ? around_.word(page() + 0x28) : std::uint64_t{0xffff} << 48;
  batch_seq_ = static_cast<std::uint32_t>(batch);
  batch_code_ = bits(batch, 47, 32) <= kLvt ? static_cast<std::uint16_t>(batch >> 32) : 0;
  const auto id = static_cast<std::uint16_t>(batch >> 48);
  batch_id_ = id < config_.events ? id : 0xffff;
}

// ---- Registers: C.3 -----------------------------------------------------------------------------

Access ReferencePvPerf::read_msr(std::uint32_t msr) {
  const std::uint32_t offset = msr - config_.msr_base;
  if (!feature(kPvPerf) || offset >= 0x200) return Access::not_mine();
  switch (offset) {
    case 0:
      return Access::done(config_.features.raw | std::uint64_t{config_.events} << 32 |
                          std::uint64_t{config_.width} << 40 | std::uint64_t{0} << 48 |
                          std::uint64_t{1} << 56);
    case 1: return Access::done(area_);
    case 2: return Access::done(control_);
    case 3: return Access::done(status);
    case 4:
    case 5:
    case 7: return Access::done(0);
    case 6: return Access::done(error);
    default: break;
  }
  const unsigned i = (offset - 0x100) / 8;
  if (offset < 0x100 || i >= config_.events) return Access::fault();
  const Event& event = events_[i];
  switch (offset % 8) {
    case 0: return Access::done(event.evtsel);
    case 1: return Access::done(event.count);
    case 2: return Access::done(event.period);
    case 3: return Access::done(event.time_enabled);
    case 4: return Access::done(event.time_running);
    case 5: return Access::done(state(i));
    default: return Access::fault();
  }
}

Access ReferencePvPerf::write_msr(std::uint32_t msr, std::uint64_t value) {
  const std::uint32_t offset = msr - config_.msr_base;
  if (!feature(kPvPerf) || offset >= 0x200) return Access::not_mine();
  switch (offset) {
    case 0:
    case 3: return Access::fault();
    case 1: return write_area(value);
    case 2:
      if ((value & ~all()) != 0) return Access::fault();
      set_control(value);
      return Access::done();
    case 4:
      if ((value & ~(all() | kTrouble)) != 0) return Access::fault();
      reset_status(value);
      return Access::done();
    case 5:
      if ((value & ~(all() | kTrouble)) != 0) return Access::fault();
      status |= value;
      return Access::done();
    case 6:
      if (value != 0) return Access::fault();
      error = 0;
      errors_.clear();
      return Access::done();
    case 7: return write_batch(value);
    default: break;
  }
  const unsigned i = (offset - 0x100) / 8;
  if (offset < 0x100 || i >= config_.events) return Access::fault();
  Event& event = events_[i];
  switch (offset % 8) {
    case 0:
      if (wrong_evtsel(value) != 0) return Access::fault();
      set_evtsel(i, value);
      return Access::done();
    case 1:
      if ((value & ~mask()) != 0) return Access::fault();
      event.count = value;
      return Access::done();
    case 2:
      if (wrong_period(value) != 0) return Access::fault();
      event.period = value;
      return Access::done();
    case 3: event.time_enabled = value; return Access::done();
    case 4: event.time_running = value; return Access::done();
    default: return Access::fault();
  }
}

/// C.7.
Access ReferencePvPerf::rdpmc(std::uint32_t ecx, bool may_read, bool has_pmu) {
  if (!feature(kPvPerf) || !feature(kRdpmc)) return Access::not_mine();
  std::uint32_t i = ecx;
  if (ecx >> 20 == 0x565) {
    i = ecx & 0xfffff;
  } else if (has_pmu) {
    return Access::not_mine();
  }
  if (i >= config_.events || !may_read) return Access::fault();
  return Access::done(events_[i].count);
}

void ReferencePvPerf::set_control(std::uint64_t value) {
  if ((control_ & ~value) != 0) publication_due = true;
  control_ = value;
}

void ReferencePvPerf::set_evtsel(unsigned i, std::uint64_t value) {
  events_[i].evtsel = value;
  events_[i].code = 0;
  if ((value & bit(42)) == 0) events_[i].throttled = false;
}

/// C.6, "No lost wake-ups".
void ReferencePvPerf::reset_status(std::uint64_t cleared) {
  status &= ~cleared;
  for (unsigned i = 0; i < config_.events; ++i) {
    if ((status & bit(i)) != 0 && interrupts(events_[i].evtsel)) pending_ = true;
  }
}

Access ReferencePvPerf::write_area(std::uint64_t value) {
  const std::uint64_t page = value & ~std::uint64_t{0xfff};
  if (bits(value, 11, 1) != 0 || page >> config_.physical_bits != 0) return Access::fault();
  if ((value & 1) != 0) {
    if (!feature(kArea) || !around_.writable(page) || around_.taken(page)) return Access::fault();
    publication_due = true;
  }
  area_ = value;
  return Access::done();
}

void ReferencePvPerf::lose_area() {
  area_ = 0;
  say(kGpa, 0xff);
}

// ---- EVTSEL and PERIOD: C.4, C.8 ----------------------------------------------------------------

std::uint8_t ReferencePvPerf::wrong_evtsel(std::uint64_t evtsel) const {
  if (bits(evtsel, 63, 44) != 0) return kReserved;
  const std::uint64_t code = code_of(evtsel);
  switch (type_of(evtsel)) {
    case 0: return code <= 9 ? 0 : kCode;
    case 1:
      return bits(code, 7, 0) <= 6 && bits(code, 15, 8) <= 2 && bits(code, 31, 16) <= 1 ? 0 : kCode;
    case 2: return !feature(kRaw) ? kType : bits(code, 31, 30) == 0 ? 0 : kCode;
    case 3: return code <= 3 ? 0 : kCode;
    default: return kType;
  }
}

std::uint8_t ReferencePvPerf::wrong_period(std::uint64_t period) const {
  if ((period & ~mask()) != 0) return kWidth;
  if (period == 0) return 0;
  return feature(kReload) && period >= config_.minimum_period ? 0 : kPeriod;
}

ReferencePvPerf::Meaning ReferencePvPerf::meaning(std::uint64_t evtsel,
                                                  const CpuModel& host) const {
  const auto code = static_cast<std::uint32_t>(code_of(evtsel));
  const silicon::x86::EventRow* row = nullptr;
  Meaning found;
  switch (type_of(evtsel)) {
    case 0:
      if ((config_.generic_events >> code & 1) == 0) return {};
      row = silicon::x86::find_event(host, static_cast<silicon::x86::GenericEvent>(code));
      break;
    case 1: {
      silicon::x86::CacheEvent event{};
      event.cache = static_cast<silicon::x86::CacheEvent::Cache>(bits(code, 7, 0));
      event.operation = static_cast<silicon::x86::CacheEvent::Operation>(bits(code, 15, 8));
      event.result = static_cast<silicon::x86::CacheEvent::Result>(bits(code, 23, 16));
      row = silicon::x86::find_event(host, event);
      break;
    }
    case 2: {
      found.kind = Kind::kHost;
      found.is_raw = true;
      found.selector.event = static_cast<std::uint16_t>(bits(code, 11, 0));
      found.selector.unit_mask = static_cast<std::uint8_t>(bits(code, 19, 12));
      const bool intel = host.vendor == silicon::x86::Vendor::kIntel;
      row = silicon::x86::find_event(host.events, found.selector);
      found.nameable =
          row != nullptr && !(intel && (found.selector.event == 0 || found.selector.event > 0xff));
      // Cycles on which so many occur: this host cannot see them.
      const bool conditional = bits(code, 27, 20) != 0 || bits(code, 28, 28) != 0;
      if (row != nullptr && !conditional) found.raw = row->raw;
      return found;
    }
    default:
      if ((config_.software_events >> code & 1) == 0) return {};
      found.kind = Kind::kSoftware;
      return found;
  }
  if (row == nullptr) return {};
  found.kind = Kind::kHost;
  found.raw = row->raw;
  found.selector = row->selector;
  if (row->counted_on == silicon::x86::CountedOn::kFixedCounter) {
    found.fixed = static_cast<unsigned>(row->fixed);
  }
  return found;
}

const ReferencePvPerf::Meaning& ReferencePvPerf::meaning(unsigned i) const {
  auto& noted = meanings_.at(i);
  const std::uint64_t evtsel = events_[i].evtsel;
  if (!noted || noted->evtsel != evtsel) noted = Noted{evtsel, meaning(evtsel, *host_)};
  return noted->meaning;
}

bool ReferencePvPerf::admitted(const Meaning& meaning) const {
  if (meaning.kind != Kind::kHost) return true;
  if (!meaning.nameable) return false;
  if (gate_ == nullptr) return true;
  return meaning.fixed ? gate_->admits_fixed(*meaning.fixed) : gate_->admits(meaning.selector);
}

// ---- BATCH: C.5 ---------------------------------------------------------------------------------

Access ReferencePvPerf::write_batch(std::uint64_t value) {
  const auto events = static_cast<std::uint32_t>(value);
  const bool stop = (value & bit(32)) != 0, load_ = (value & bit(33)) != 0;
  const bool start = (value & bit(34)) != 0, snap = (value & bit(35)) != 0;
  if (!feature(kBatch) || bits(value, 63, 36) != 0 || (events & ~all()) != 0) {
    return Access::fault();
  }
  if ((stop && start) || !(stop || load_ || start || snap)) return Access::fault();
  if ((load_ || snap) && !has_page()) return Access::fault();
  if (stop) set_control(control_ & ~std::uint64_t{events});
  batch_code_ = 0;
  batch_id_ = 0xffff;
  if (load_) load(events);
  if (start && batch_code_ == 0) set_control(control_ | events);
  ++batch_seq_;
  publication_due = true;
  return Access::done();
}

void ReferencePvPerf::refuse_load(std::uint8_t code, std::uint16_t id) {
  batch_code_ = code;
  batch_id_ = id;
  say(code, static_cast<std::uint8_t>(id));
}

void ReferencePvPerf::load(std::uint32_t events) {
  if (!around_.readable(page())) {
    refuse_load(kGpa, 0xffff);
    area_ = 0;
    return;
  }
  bool header_is_zero = true;
  for (std::uint64_t at = 0x40; at < 0x80; at += 8) {
    if (around_.word(page() + at) != 0) header_is_zero = false;
  }
  struct Command {
    std::uint64_t evtsel, count, period, flags_and_pad;
  };
  std::array<Command, 32> commands{};
  for (unsigned i = 0; i < config_.events; ++i) {
    if ((events >> i & 1) == 0) continue;
    const std::uint64_t at = page() + 0x800 + std::uint64_t{32} * i;
    commands[i].evtsel = around_.word(at);
    commands[i].count = around_.word(at + 8);
    commands[i].period = around_.word(at + 16);
    commands[i].flags_and_pad = around_.word(at + 24);
  }
  if (!header_is_zero) return refuse_load(kReserved, 0xffff);
  for (unsigned i = 0; i < config_.events; ++i) {
    if ((events >> i & 1) == 0) continue;
    const auto id = static_cast<std::uint16_t>(i);
    const Command& command = commands[i];
    if (command.flags_and_pad >> 3 != 0) return refuse_load(kReserved, id);
    std::uint8_t wrong = 0;
    if ((command.flags_and_pad & 1) != 0) wrong = wrong_evtsel(command.evtsel);
    if (wrong != 0) return refuse_load(wrong, id);
    if ((command.flags_and_pad & 2) != 0 && (command.count & ~mask()) != 0) {
      return refuse_load(kWidth, id);
    }
    if ((command.flags_and_pad & 4) != 0) wrong = wrong_period(command.period);
    if (wrong != 0) return refuse_load(wrong, id);
  }
  for (unsigned i = 0; i < config_.events; ++i) {
    if ((events >> i & 1) == 0) continue;
    const Command& command = commands[i];
    if ((command.flags_and_pad & 1) != 0) set_evtsel(i, command.evtsel);
    if ((command.flags_and_pad & 2) != 0) events_[i].count = command.count;
    if ((command.flags_and_pad & 4) != 0) events_[i].period = command.period;
  }
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> ReferencePvPerf::page_image() const {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> image;
  const std::uint64_t now = around_.now_ns();
  image.emplace_back(0x08, control_);
  image.emplace_back(0x10, status);
  image.emplace_back(0x20, now);
  image.emplace_back(
      0x28, batch_seq_ | std::uint64_t{batch_code_} << 32 | std::uint64_t{batch_id_} << 48);
  image.emplace_back(0x30, config_.publish_period_us != 0 ? 2 : 0);
  image.emplace_back(0x38, 0);
  for (unsigned i = 0; i < config_.events; ++i) {
    const Event& event = events_[i];
    const std::uint64_t at = 0x100 + std::uint64_t{48} * i;
    image.emplace_back(at, event.count);
    image.emplace_back(at + 8, event.time_enabled);
    image.emplace_back(at + 16, event.time_running);
    image.emplace_back(at + 24, 0);
    image.emplace_back(at + 32, state(i) << 48);
    image.emplace_back(at + 40, event.evtsel);
  }
  return image;
}

// ---- How events are doing: C.3, C.8 -------------------------------------------------------------

void ReferencePvPerf::say(std::uint8_t code, std::uint8_t id) {
  errors_.push_back(code | std::uint64_t{id} << 8);
}

bool ReferencePvPerf::enabled(unsigned i) const {
  return (control_ & bit(i)) != 0 && (events_[i].evtsel & bit(42)) != 0;
}

bool ReferencePvPerf::any_enabled() const {
  for (unsigned i = 0; i < config_.events; ++i) {
    if (enabled(i)) return true;
  }
  return false;
}

/// It should be on a counter of the host.
bool ReferencePvPerf::wants_host(unsigned i) const {
  const Meaning& what = meaning(i);
  return enabled(i) && what.kind == Kind::kHost && admitted(what) && what.raw;
}

bool ReferencePvPerf::counts_software(unsigned what) const {
  for (unsigned i = 0; i < config_.events; ++i) {
    const Event& event = events_[i];
    if (event.running && type_of(event.evtsel) == 3 && code_of(event.evtsel) == what) return true;
  }
  return false;
}

std::uint64_t ReferencePvPerf::state(unsigned i) const {
  const Event& event = events_[i];
  return (event.running ? 1 : 0) | (event.failed ? 2 : 0) | (event.refused ? 4 : 0) |
         (event.throttled ? 8 : 0) | std::uint64_t{event.code} << 8;
}

void ReferencePvPerf::judge(unsigned i) {
  Event& event = events_[i];
  const Meaning& what = meaning(i);
  const std::uint8_t before = event.code;
  event.running = event.failed = event.refused = false;
  event.code = 0;
  if ((event.evtsel & bit(42)) == 0) return;
  if (what.kind == Kind::kAbsent) {
    event.failed = true;
    event.code = kCode;
  } else if (!admitted(what)) {
    event.refused = true;
    event.code = kFiltered;
  } else if (!enabled(i)) {
    return;
  } else if (what.kind == Kind::kSoftware || around_.host_counts(i)) {
    event.running = true;
  } else {
    event.failed = true;
    event.code = around_.host_error(i);
  }
  if (event.code == 0 || event.code == before) return;
  say(event.code, static_cast<std::uint8_t>(i));
  if (event.failed) status |= kTrouble;
}

void ReferencePvPerf::judge() {
  for (unsigned i = 0; i < config_.events; ++i) judge(i);
}

void ReferencePvPerf::set_gate(const virt::x86::EventGate* gate) {
  gate_ = gate;
  for (Event& event : events_) {
    if (event.refused || (event.failed && event.code == kCode)) event.code = 0;
  }
}

// ---- Counting: C.3, C.6 -------------------------------------------------------------------------

void ReferencePvPerf::pass(std::uint64_t ns) {
  if (!feature(kScaleTime)) return;
  for (unsigned i = 0; i < config_.events; ++i) {
    if (!enabled(i)) continue;
    events_[i].time_enabled += ns;
    if (events_[i].running) events_[i].time_running += ns;
  }
}

void ReferencePvPerf::increment(unsigned i) {
  Event& event = events_[i];
  event.count = (event.count + 1) & mask();
  if (event.count != 0) return;
  if (event.period != 0) event.count = (0 - event.period) & mask();
  if ((status & bit(i)) != 0) return;
  status |= bit(i);
  publication_due = true;
  if (event.called) records_due |= 1U << i;
  if (interrupts(event.evtsel)) pending_ = true;
}

void ReferencePvPerf::retire(Privilege privilege, const Counts& counts) {
  const std::uint64_t there = privilege == Privilege::kUser ? bit(40) : bit(41);
  for (unsigned i = 0; i < config_.events; ++i) {
    const Event& event = events_[i];
    const Meaning& what = meaning(i);
    if (!event.running || what.kind != Kind::kHost || (event.evtsel & there) == 0) continue;
    for (unsigned n = counts[static_cast<std::size_t>(*what.raw)]; n > 0; --n) increment(i);
  }
}

void ReferencePvPerf::software(unsigned what, std::uint64_t n, Privilege privilege) {
  const std::uint64_t there = privilege == Privilege::kUser ? bit(40) : bit(41);
  for (unsigned i = 0; i < config_.events; ++i) {
    const Event& event = events_[i];
    if (!event.running || type_of(event.evtsel) != 3 || code_of(event.evtsel) != what) continue;
    if ((event.evtsel & there) == 0) continue;
    for (std::uint64_t m = 0; m < n; ++m) increment(i);
  }
}

/// The rate limit's window.
void ReferencePvPerf::look_at_the_clock() {
  const std::uint64_t millisecond = around_.now_ns() / 1'000'000;
  if (millisecond == millisecond_) return;
  millisecond_ = millisecond;
  interrupts_ = 0;
  if (!held_) return;
  held_ = false;
  pending_ = true;
  for (Event& event : events_) event.throttled = false;
}

bool ReferencePvPerf::enter() {
  judge();
  std::uint64_t wanted = 0;
  for (unsigned i = 0; i < config_.events; ++i) {
    if ((status & bit(i)) != 0 && interrupts(events_[i].evtsel)) wanted |= bit(i);
  }
  if (!pending_ || wanted == 0) {
    pending_ = false;
    return false;
  }
  look_at_the_clock();
  pending_ = false;
  if (interrupts_ < config_.interrupts_per_ms) return true;
  held_ = true;
  for (unsigned i = 0; i < config_.events; ++i) {
    if ((wanted & bit(i)) != 0 && (events_[i].evtsel & bit(42)) != 0) events_[i].throttled = true;
  }
  return false;
}

void ReferencePvPerf::raised(PmiOutcome outcome) {
  if (outcome == PmiOutcome::kDelivered) ++interrupts_;
  if (outcome == PmiOutcome::kRejected) say(kLvt, 0xff);
}

// ---- Calls --------------------------------------------------------------------------------------

Access ReferencePvPerf::hypercall(std::uint64_t number, std::array<std::uint64_t, 4> arguments,
                                  bool long_mode, bool user) {
  if (!feature(kPvPerf) || !feature(kCalls)) return Access::not_mine();
  const auto cut = [long_mode](std::uint64_t value) {
    return long_mode ? value : bits(value, 31, 0);
  };
  if (cut(number) != 0x5650) return Access::not_mine();
  const std::int64_t result =
      user ? kNotPermitted : call(cut(arguments[0]), cut(arguments[1]), cut(arguments[2]));
  return Access::done(cut(static_cast<std::uint64_t>(result)));
}

std::int64_t ReferencePvPerf::call(std::uint64_t operation, std::uint64_t first,
                                   std::uint64_t second) {
  if (operation == 1) {
    if (first >> 32 != 0 || second >> 32 != 0) return kInvalid;
    return open(second << 32 | first);
  }
  if (operation < 1 || operation > 5) return kNotSupported;
  if (first >= config_.events || !events_[first].called) return kInvalid;
  const auto i = static_cast<unsigned>(first);
  Event& event = events_[i];
  if (operation == 2) {
    set_control(control_ & ~bit(i));
    set_evtsel(i, 0);
    event.count = event.period = 0;
    event.called = false;
    records_due &= ~(1U << i);
    return 0;
  }
  if (operation == 3) {
    if ((status & bit(i)) != 0) reset_status(bit(i));
    set_control(control_ | bit(i));
    return 0;
  }
  if (operation == 4) set_control(control_ & ~bit(i));
  return write_record(i);
}

std::int64_t ReferencePvPerf::write_record(unsigned i) {
  Event& event = events_[i];
  if (!event.gone && !around_.writable(event.address)) event.gone = true;
  if (event.gone) return kFault;
  records_due |= 1U << i;
  return 0;
}

std::int64_t ReferencePvPerf::open(std::uint64_t address) {
  if (address % 8 != 0) return kInvalid;
  if (address % 4096 > 4096 - 32 || !around_.readable(address)) return kFault;
  const std::uint64_t attr = around_.word(address);
  const std::uint64_t record = around_.word(address + 8);
  const std::uint64_t id_and_flags = around_.word(address + 16);
  const std::uint64_t reserved = around_.word(address + 24);
  const auto id = static_cast<std::uint32_t>(id_and_flags);
  if (id_and_flags >> 32 != 0 || reserved != 0 || id >= config_.events || events_[id].called ||
      attr % 8 != 0 || record % 8 != 0) {
    return kInvalid;
  }
  if (attr % 4096 > 4096 - 48 || !around_.readable(attr)) return kFault;
  const std::uint64_t type_and_pad = around_.word(attr);
  const std::uint64_t config = around_.word(attr + 8);
  const std::uint64_t period = around_.word(attr + 16);
  const std::uint64_t read_format = around_.word(attr + 24);
  const std::uint64_t flags = around_.word(attr + 32);
  const std::uint64_t attr_reserved = around_.word(attr + 40);
  if (type_and_pad >> 32 != 0 || read_format >> 2 != 0 || flags >> 3 != 0 || attr_reserved != 0) {
    return kInvalid;
  }
  if (type_and_pad == 4 || (type_and_pad == 2 && !feature(kRaw)) ||
      (period != 0 && !feature(kReload))) {
    return kNotSupported;
  }
  if (type_and_pad > 0xff || config >> 32 != 0) return kInvalid;
  const std::uint64_t evtsel =
      type_and_pad | config << 8 | (~flags & 3) << 40 | bit(42) | (flags & 4) << 41;
  if (wrong_evtsel(evtsel) != 0 || wrong_period(period) != 0) return kInvalid;
  if (record % 4096 > 4096 - 32 || !around_.writable(record)) return kFault;

  set_control(control_ & ~bit(id));
  if ((status & bit(id)) != 0) reset_status(bit(id));
  Event event = events_[id];
  event.evtsel = evtsel;
  event.code = 0;
  event.period = period;
  event.count = period == 0 ? 0 : (0 - period) & mask();
  event.time_enabled = event.time_running = 0;
  event.called = true;
  event.gone = false;
  event.address = record;
  event.read_format = read_format;
  events_[id] = event;
  records_due |= 1U << id;
  return 0;
}

ReferencePvPerf::Record ReferencePvPerf::record(unsigned i) const {
  const Event& event = events_[i];
  return {.count = event.count,
          .status = bits(state(i), 15, 0) | (status >> i & 1) << 16,
          .time_enabled = (event.read_format & 1) != 0 ? event.time_enabled : 0,
          .time_running = (event.read_format & 2) != 0 ? event.time_running : 0};
}

}  // namespace vpmu::property
