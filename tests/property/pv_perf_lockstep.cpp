// SPDX-License-Identifier: MIT
#include "property/pv_perf_lockstep.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "property/answers.hpp"

namespace vpmu::property {
namespace {

using hostperf::HostCpu;
using hostperf::OpenError;
using hostperf::VcpuIndex;
using silicon::Privilege;
using silicon::RawEvent;
using silicon::x86::CpuModel;
using silicon::x86::Vendor;
using virt::x86::LvtpcAfterPmi;
using virt::x86::PmiOutcome;
using virt::x86::PvPerf;
using virt::x86::PvPerfState;
using Kind = PvPerfOperation::Kind;

constexpr VcpuIndex kVcpu{0}, kOtherVcpu{1};
constexpr unsigned kHostCpus = 2;
constexpr std::uint64_t kMs = 1'000'000;
/// Another vCPU's area.
constexpr std::uint64_t kTakenPage = 7 * PvPerfWorld::kPageBytes;

/// One instruction of a pattern. Which events go together on a real CPU does not matter here.
Counts instruction(std::uint64_t pattern, unsigned number) {
  RandomChoices random{pattern << 32 | number};
  Counts counts{};
  for (std::uint16_t& count : counts) {
    const std::uint64_t what = random.draw(4);
    count = static_cast<std::uint16_t>(what < 9 ? 0 : what < 15 ? 1 : 2 + random.draw(3));
  }
  counts[static_cast<std::size_t>(RawEvent::kInstructions)] = random.draw(5) != 0;
  return counts;
}

constexpr Privilege privilege_of(const PvPerfOperation& operation) {
  return operation.flag ? Privilege::kUser : Privilege::kKernel;
}

bool overlap(std::uint64_t a, std::uint64_t a_bytes, std::uint64_t b, std::uint64_t b_bytes) {
  return a < b + b_bytes && b < a + a_bytes;
}

constexpr std::uint64_t kRecordBytes = 32;

}  // namespace

PvPerfLockstep::PvPerfLockstep(const Setup& setup)
    : setup_{setup}, perf_{setup.silent_errors}, reference_{setup.config, *setup.hosts[0], *this} {
  (void)areas_.claim(kOtherVcpu, GuestPhysical{kTakenPage});
  make_host(*setup.hosts[0]);
  make_pv_perf();
  reference_.set_gate(&gates_[gate_]);
  pv_->before_entry();
}

PvPerfLockstep::~PvPerfLockstep() = default;

void PvPerfLockstep::make_host(const CpuModel& model) {
  for (auto& events : host_events_) events.clear();
  seq_.reset();  // the new host takes it from the page
  model_ = &model;
  host_ = std::make_unique<hostperf::ModelledHostPerf>(
      model, vcpus_, hostperf::ModelledHost{.cpus = kHostCpus, .clock = &world_});
  host_->switch_in(kVcpu, HostCpu{0});
  perf_.pass_to(host_.get());
}

void PvPerfLockstep::make_pv_perf() {
  pv_ =
      std::make_unique<PvPerf>(setup_.config, PvPerf::Around{.model = model_,
                                                             .perf = &perf_,
                                                             .vcpu = kVcpu,
                                                             .host = &world_,
                                                             .areas = &areas_,
                                                             .guest_vendor = setup_.guest_vendor});
  pv_->set_event_gate(&gates_[gate_]);
  pv_->scheduled_in();
}

// ---- What the reference sees --------------------------------------------------------------------

bool PvPerfLockstep::readable(std::uint64_t address) const {
  return world_.kind(address) != PvPerfWorld::Kind::kNothing;
}
bool PvPerfLockstep::writable(std::uint64_t address) const {
  return world_.kind(address) == PvPerfWorld::Kind::kRam;
}
std::uint64_t PvPerfLockstep::word(std::uint64_t address) {
  return world_.read_again(address);
}
bool PvPerfLockstep::taken(std::uint64_t page) const {
  return page == kTakenPage;
}

std::uint8_t PvPerfLockstep::host_error(unsigned i) const {
  constexpr std::uint8_t kCode = 5, kBusy = 11, kHost = 12;
  const auto failure = perf_.failure(i);
  if (!failure) return kBusy;  // no counter
  switch (*failure) {
    case OpenError::kNoSuchEvent: return kCode;
    case OpenError::kNoSpace:
    case OpenError::kBusy: return kBusy;
    default: return kHost;
  }
}

// ---- Entry --------------------------------------------------------------------------------------

PvPerfLockstep::Difference PvPerfLockstep::enter() {
  if (pv_->due_ns(false) <= world_.now) {
    pv_->time_passed();
    reference_.look_at_the_clock();
  }
  if (pv_->has_entry_work()) pv_->before_entry();
  if (pv_->has_entry_work()) return "before_entry() left entry work";
  const bool raises = reference_.enter();
  if (raises) ++raised_;
  if (world_.raised != raised_) {
    return fmt::format("{} interrupts raised, expected {}", world_.raised, raised_);
  }
  if (raises) reference_.raised(world_.outcome);
  const auto after =
      setup_.guest_vendor == Vendor::kIntel ? LvtpcAfterPmi::kMask : LvtpcAfterPmi::kKeep;
  if (raised_ != 0 && world_.after != after) return "LVTPC is not treated as this vendor does";
  if (perf_.open_events() > setup_.config.events) {
    return fmt::format("{} host events for {} events", perf_.open_events(), setup_.config.events);
  }
  if (pv_->open_host_events() != perf_.open_events()) {
    return fmt::format("{} host events, of {}", pv_->open_host_events(), perf_.open_events());
  }
  if (Difference difference = check_hosting()) return difference;
  if (Difference difference = check_writes()) return difference;
  return settle_error();
}

/// What the host can run it runs, within a millisecond.
PvPerfLockstep::Difference PvPerfLockstep::check_hosting() {
  constexpr std::uint8_t kCode = 5;
  for (unsigned i = 0; i < setup_.config.events; ++i) {
    const bool counts = perf_.counts(i);
    if (counts && !reference_.wants_host(i)) {
      return fmt::format("event {} is on a counter of the host", i);
    }
    const auto& event = reference_.events()[i];
    const bool waits = event.failed && event.code != kCode && reference_.wants_host(i);
    auto& room_since = room_since_.at(i);
    if (!waits || perf_.refuse || !perf_.has_room_for(i, *this)) {
      room_since.reset();
    } else if (!room_since) {
      room_since = world_.now;
    } else if (world_.now - *room_since > kMs) {
      return fmt::format("event {} waits, for a counter that is free for {} ns", i,
                         world_.now - *room_since);
    }
  }
  return {};
}

/// ERROR names one of several.
PvPerfLockstep::Difference PvPerfLockstep::settle_error() {
  constexpr std::uint32_t kError = 6;
  auto& errors = reference_.errors();
  // Reading it looks for events that have lost their counters: otherwise compare_all() does.
  if (errors.empty()) return {};
  const std::uint64_t got = pv_->read_msr(msr(kError), Initiator::kGuest).value();
  if (std::ranges::find(errors, got) == errors.end()) {
    return fmt::format("ERROR is {:#x}, expected {:#x}", got, errors.back());
  }
  reference_.error = got;
  errors.clear();
  return {};
}

// ---- Memory -------------------------------------------------------------------------------------

PvPerfLockstep::Difference PvPerfLockstep::check_write(const PvPerfWorld::Write& write) const {
  const auto in_host_parts = [&](std::uint64_t page) {
    return std::ranges::all_of(write.changed, [&](std::uint64_t at) {
      const std::uint64_t offset = at - page;
      return at >= page && (offset < 0x40 || (offset >= 0x100 && offset < 0x700));
    });
  };
  for (const std::uint64_t area : {reference_.area(), area_before_}) {
    const std::uint64_t page = area & ~std::uint64_t{0xfff};
    if ((area & 1) != 0 && write.address == page && in_host_parts(page)) return {};
  }
  const auto& records = records_before_;
  if (write.bytes == kRecordBytes && std::ranges::find(records, write.address) != records.end()) {
    return {};
  }
  return fmt::format("{} bytes written at {:#x}", write.bytes, write.address);
}

PvPerfLockstep::Difference PvPerfLockstep::check_writes() {
  for (unsigned i = 0; i < setup_.config.events; ++i) {
    const auto& event = reference_.events()[i];
    if (event.called && !event.gone) records_before_.push_back(event.address);
  }
  if (world_.written_outside_ram) return "written where there is no RAM";
  for (const PvPerfWorld::Write& write : world_.writes) {
    if (Difference difference = check_write(write)) return difference;
  }
  if (Difference difference = check_page()) return difference;
  for (unsigned i = 0; i < setup_.config.events; ++i) {
    if (Difference difference = check_record(i)) return difference;
  }
  world_.forget();
  area_before_ = reference_.area();
  records_before_.clear();
  for (const auto& event : reference_.events()) {
    if (event.called && !event.gone) records_before_.push_back(event.address);
  }
  return {};
}

PvPerfLockstep::Difference PvPerfLockstep::check_page() {
  const bool due = std::exchange(reference_.publication_due, false);
  if (reference_.area() != area_before_) seq_.reset();
  if (!reference_.has_page()) {
    active_ = reference_.any_enabled();
    active_since_ = published_ = world_.now;
    return {};
  }
  const std::uint64_t page = reference_.page();
  // Whenever the host comes to write it: then it sees that it is gone.
  if (!writable(page)) {
    const bool cleared = pv_->read_msr(msr(1), Initiator::kGuest).value() == 0;
    if (due && !cleared) return "a page that cannot be written is still the area";
    if (cleared) reference_.lose_area();
    return {};
  }
  const bool written = std::ranges::any_of(world_.writes, [&](const PvPerfWorld::Write& write) {
    return write.address == page && write.bytes == PvPerfWorld::kPageBytes;
  });
  const bool active = reference_.any_enabled();
  if (active && !active_) active_since_ = world_.now;
  active_ = active;
  if (!written) {
    if (due) return "the page is not written";
    const std::uint64_t age = world_.now - std::max(published_, active_since_);
    const std::uint64_t most = std::uint64_t{setup_.config.publish_period_us} * 1000;
    if (active && most != 0 && age >= most) return fmt::format("the page is {} ns old", age);
    return {};
  }
  published_ = world_.now;
  const auto in_record = [&](std::uint64_t at) {
    return std::ranges::any_of(reference_.events(), [&](const ReferencePvPerf::Event& event) {
      return event.called && !event.gone && overlap(at, 8, event.address, kRecordBytes);
    });
  };
  for (const auto& [offset, value] : reference_.page_image()) {
    if (in_record(page + offset)) continue;
    const std::uint64_t got = world_.word(page + offset);
    if (got != value) {
      return fmt::format("page at {:#x}: {:#x}, expected {:#x}", offset, got, value);
    }
  }
  if (in_record(page) || in_record(page + 0x18)) return {};
  const std::uint64_t first = world_.word(page);
  const auto seq = static_cast<std::uint32_t>(first);
  if (first >> 32 != 0x10000) return fmt::format("page version {:#x}", first >> 32);
  if (seq % 2 != 0 || seq == seq_) {
    return fmt::format("seq is {:#x} behind {:#x}", seq, seq_.value_or(0));
  }
  seq_ = seq;
  if (world_.word(page + 0x18) != world_.tsc()) return "pub_tsc is not the TSC";
  return {};
}

/// Others write there too.
bool PvPerfLockstep::shared_record(unsigned i) const {
  const std::uint64_t at = reference_.events()[i].address;
  if (reference_.has_page() &&
      overlap(at, kRecordBytes, reference_.page(), PvPerfWorld::kPageBytes)) {
    return true;
  }
  for (unsigned other = 0; other < setup_.config.events; ++other) {
    const auto& event = reference_.events()[other];
    if (other != i && event.called && overlap(at, kRecordBytes, event.address, kRecordBytes)) {
      return true;
    }
  }
  return false;
}

PvPerfLockstep::Difference PvPerfLockstep::check_record(unsigned i) {
  const auto& event = reference_.events()[i];
  const bool due = (reference_.records_due >> i & 1) != 0;
  reference_.records_due &= ~(1U << i);
  if (!event.called || event.gone) return {};
  // Whenever the host comes to write it, also when an event overflows that has not been reset.
  if (!writable(event.address)) {
    const bool gone = pv_->save().events.at(i).call_event == PvPerfState::kGone;
    if (due && !gone) return fmt::format("record {}, which cannot be written, is not gone", i);
    if (gone) reference_.lose_record(i);
    return {};
  }
  if (shared_record(i)) return {};
  const bool written = std::ranges::any_of(world_.writes, [&](const PvPerfWorld::Write& write) {
    return write.address == event.address && write.bytes == kRecordBytes;
  });
  if (!written) return due ? Difference{fmt::format("record {} is not written", i)} : Difference{};
  const ReferencePvPerf::Record record = reference_.record(i);
  const std::array<std::uint64_t, 4> expected{record.count, record.status, record.time_enabled,
                                              record.time_running};
  for (unsigned n = 0; n < expected.size(); ++n) {
    const std::uint64_t got = world_.word(event.address + std::uint64_t{8} * n);
    if (got != expected[n]) {
      return fmt::format("record {}, word {}: {:#x}, expected {:#x}", i, n, got, expected[n]);
    }
  }
  return {};
}

// ---- What the guest does ------------------------------------------------------------------------

MsrIndex PvPerfLockstep::msr(std::uint32_t offset) const {
  return MsrIndex{setup_.config.msr_base + offset};
}

std::optional<std::string> compare_states(const PvPerfState& before, PvPerfState after) {
  after.statistics.hypercalls = before.statistics.hypercalls;
  if (before == after) return {};
  return "though it was refused the state has changed";
}

PvPerfLockstep::Difference PvPerfLockstep::access(const Access& got, const Access& expected,
                                                  const std::string& what,
                                                  const PvPerfState& before) {
  if (Difference difference = compare(what, got, expected)) return difference;
  if (const auto twice = world_.read_twice()) {
    return fmt::format("{}: {:#x} was read twice", what, *twice);
  }
  if (!got.is_done()) {
    if (Difference difference = compare_states(before, pv_->save())) return difference;
    return enter();
  }
  pv_->before_entry();
  return enter();
}

/// A BATCH reads memory, which the reference does behind it; of all others it says before what they
/// give, so that the state, which folds, is saved for those only that change nothing.
PvPerfLockstep::Difference PvPerfLockstep::guest_access(const Operation& operation) {
  constexpr std::uint32_t kBatch = 7;
  const MsrIndex index = msr(operation.where);
  const bool has_pmu = operation.value != 0;
  const bool batch = operation.kind == Kind::kWriteMsr && operation.where == kBatch;
  Access got = Access::not_mine(), expected = Access::not_mine();
  if (operation.kind == Kind::kReadMsr) expected = reference_.read_msr(raw(index));
  if (operation.kind == Kind::kWriteMsr && !batch) {
    expected = reference_.write_msr(raw(index), operation.value);
  }
  if (operation.kind == Kind::kRdpmc) {
    expected = reference_.rdpmc(operation.where, operation.flag, has_pmu);
  }
  PvPerfState before;
  if (!expected.is_done()) before = pv_->save();
  switch (operation.kind) {
    case Kind::kReadMsr: got = pv_->read_msr(index, Initiator::kGuest); break;
    case Kind::kWriteMsr: got = pv_->write_msr(index, operation.value, Initiator::kGuest); break;
    default: got = pv_->rdpmc(operation.where, operation.flag, has_pmu); break;
  }
  if (batch) expected = reference_.write_msr(raw(index), operation.value);
  return access(got, expected, describe(operation), before);
}

PvPerfLockstep::Difference PvPerfLockstep::hypercall(const std::array<std::uint64_t, 4>& words,
                                                     bool long_mode, bool user,
                                                     const std::string& what) {
  const PvPerfState before = pv_->save();
  const Access got = pv_->hypercall({.number = words[0],
                                     .arguments = {words[1], words[2], words[3], 0},
                                     .long_mode = long_mode,
                                     .user = user});
  const Access expected =
      reference_.hypercall(words[0], {words[1], words[2], words[3], 0}, long_mode, user);
  const bool refused = got.is_done() && got.value() != 0;
  // A record that is gone is noticed by looking for it, and DISABLE disables all the same.
  const bool fault = static_cast<std::int32_t>(got.value()) == -14 && words[1] % 8 != 1;
  if (refused && !fault && got == expected) {
    if (Difference difference = compare_states(before, pv_->save())) return difference;
  }
  return access(got, expected, what, before);
}

PvPerfLockstep::Difference PvPerfLockstep::open(const Operation& operation) {
  using Open = PvPerfOpen;
  const auto& words = operation.words;
  const auto put = [&](std::uint64_t address, std::initializer_list<std::uint64_t> values) {
    for (const std::uint64_t value : values) {
      if (readable(address)) world_.set_word(address, value);
      address += 8;
    }
  };
  put(operation.value, {words[Open::kType], words[Open::kConfig], words[Open::kPeriod],
                        words[Open::kReadFormat], words[Open::kFlags], words[Open::kReserved]});
  put(operation.where, {operation.value, words[Open::kEvent], words[Open::kId], 0});
  return hypercall({0x5650, 1, operation.where, 0}, operation.flag, false, describe(operation));
}

void PvPerfLockstep::write_command(const Operation& operation) {
  const std::uint64_t page = reference_.page();
  if (!reference_.has_page() || !readable(page)) return;
  // Its header is zero, as it should be, unless somebody has scribbled on it just before.
  for (std::uint64_t at = 0x40; at < 0x80; at += 8) world_.set_word(page + at, 0);
  for (std::size_t n = 0; n < 4; ++n) {
    world_.set_word(page + 0x800 + std::uint64_t{32} * operation.where + 8 * n, operation.words[n]);
  }
}

// ---- What happens to it -------------------------------------------------------------------------

/// Time that only the guest's instructions take: nobody looks at the clock.
void PvPerfLockstep::let_pass(std::uint64_t ns) {
  world_.now += ns;
  perf_.pass(ns);
  reference_.pass(ns);
}

PvPerfLockstep::Difference PvPerfLockstep::pass(std::uint64_t ns, bool in_one_piece) {
  if (Difference difference = enter()) return difference;
  const std::uint64_t end = world_.now + ns;
  constexpr int kMostStops = 100'000;
  for (int stop = 0; !in_one_piece && pv_->due_ns(false) <= end; ++stop) {
    if (stop == kMostStops) return "it is due all the time";
    if (pv_->due_ns(false) > world_.now) let_pass(pv_->due_ns(false) - world_.now);
    if (Difference difference = enter()) return difference;
    // Nothing but the time passes: what only stands and waits need not be looked at again.
    if (stop > 2000 && world_.now < end) break;
  }
  if (world_.now < end) let_pass(end - world_.now);
  return enter();
}

PvPerfLockstep::Difference PvPerfLockstep::retire_one(Privilege privilege, const Counts& counts) {
  const std::uint64_t requests = world_.requests;
  const bool had_work = pv_->has_entry_work();
  for (std::size_t event = 0; event < counts.size(); ++event) {
    totals_.add(static_cast<RawEvent>(event), privilege, counts[event]);
  }
  deadlines_.fire_due();
  reference_.retire(privilege, counts);
  if (pv_->has_entry_work() && !had_work && world_.requests == requests) {
    return "entry work that nobody was asked for";
  }
  return {};
}

PvPerfLockstep::Difference PvPerfLockstep::retire(const Operation& operation) {
  if (Difference difference = enter()) return difference;
  for (std::uint32_t n = 0; n < operation.where; ++n) {
    const Counts counts = instruction(operation.value, n);
    let_pass(100 + operation.value % 64);
    if (Difference difference = retire_one(privilege_of(operation), counts)) return difference;
    if (Difference difference = enter()) return difference;
  }
  return {};
}

PvPerfLockstep::Difference PvPerfLockstep::software(const Operation& operation) {
  if (Difference difference = enter()) return difference;
  const auto what = static_cast<virt::x86::pv::Software>(operation.where);
  if (pv_->counts(what) != reference_.counts_software(operation.where)) {
    return fmt::format("software event {} is counted: {}", operation.where, pv_->counts(what));
  }
  pv_->count(what, operation.value, privilege_of(operation));
  reference_.software(operation.where, operation.value, privilege_of(operation));
  return enter();
}

PvPerfLockstep::Difference PvPerfLockstep::move(const Operation& operation) {
  if (Difference difference = enter()) return difference;
  pv_->scheduled_out();
  reference_.publication_due = reference_.any_enabled();
  if (Difference difference = check_writes()) return difference;
  host_->switch_out(kVcpu);
  world_.now += operation.value;
  host_->switch_in(kVcpu, HostCpu{static_cast<std::int32_t>(operation.where % kHostCpus)});
  pv_->scheduled_in();
  reference_.judge();
  return enter();
}

void PvPerfLockstep::open_host_events(unsigned cpu, std::size_t wanted) {
  auto& events = host_events_.at(cpu);
  while (events.size() > wanted) {
    host_->close(events.back());
    events.pop_back();
  }
  while (events.size() < wanted) {
    hostperf::EventAttr attr;
    attr.config = model_->vendor == Vendor::kIntel ? 0x00c4 : 0x00c2;  // branches
    attr.pinned = true;
    const auto target = hostperf::Target::of(HostCpu{static_cast<std::int32_t>(cpu)});
    const auto opened = host_->open(attr, target, *this);
    if (!opened) return;
    host_->enable(*opened);
    events.push_back(*opened);
  }
}

/// The host takes counters away, or gives them back.
PvPerfLockstep::Difference PvPerfLockstep::change_host(const Operation& operation) {
  if (Difference difference = enter()) return difference;
  open_host_events(operation.where % kHostCpus, operation.value);
  reference_.judge();
  return enter();
}

PvPerfLockstep::Difference PvPerfLockstep::change_gate(const Operation& operation) {
  if (Difference difference = enter()) return difference;
  if (operation.flag) gate_ ^= 1;
  gates_[gate_].key = operation.value;
  if (operation.flag) {
    pv_->set_event_gate(&gates_[gate_]);
  } else {
    pv_->gate_changed();
  }
  reference_.set_gate(&gates_[gate_]);
  return enter();
}

void PvPerfLockstep::change_page(const Operation& operation) {
  world_.kinds.at(operation.where) = static_cast<PvPerfWorld::Kind>(operation.value);
}

// ---- Migration ----------------------------------------------------------------------------------

PvPerfLockstep::Difference PvPerfLockstep::restore_on(const CpuModel& model,
                                                      const PvPerfState& state, bool possible) {
  make_host(model);
  make_pv_perf();
  const auto restored = pv_->restore(state);
  if (restored.has_value() == possible) return {};
  return restored ? "restored what cannot be counted here"
                  : "not restored: " + restored.error().message;
}

PvPerfLockstep::Difference PvPerfLockstep::migrate(const Operation& operation) {
  if (Difference difference = enter()) return difference;
  // Its memory comes with it.
  if (reference_.has_page()) {
    world_.kinds.at(reference_.page() / PvPerfWorld::kPageBytes) = PvPerfWorld::Kind::kRam;
  }
  if (operation.flag) return copy_registers();
  if (operation.value % 2 != 0) {
    // What overflows now waits for the entry when the state is taken.
    const Counts counts = instruction(operation.value, 0);
    if (Difference difference = retire_one(Privilege::kKernel, counts)) return difference;
  }
  const CpuModel& here = *model_;
  const CpuModel& there = *setup_.hosts.at(operation.where % 2);
  const bool possible = reference_.can_migrate(there);
  const PvPerfState state = pv_->save();
  pv_.reset();
  if (perf_.open_events() != 0) return "host events outlived PV perf";
  if (Difference difference = restore_on(there, state, possible)) return difference;
  if (possible) {
    reference_.migrate(there);
  } else {
    pv_.reset();
    if (Difference difference = restore_on(here, state, true)) return difference;
  }
  return enter();
}

/// As somebody moves it who knows of registers only, in the ABI's order.
PvPerfLockstep::Difference PvPerfLockstep::copy_registers() {
  const auto read = [&](std::uint32_t offset) {
    return pv_->read_msr(msr(offset), Initiator::kHost).value();
  };
  struct Copied {
    std::uint32_t offset;
    std::uint64_t value;
  };
  std::vector<Copied> copied{{2, 0}};
  for (unsigned i = 0; i < setup_.config.events; ++i) {
    for (const std::uint32_t bank : {1U, 2U, 3U, 4U, 0U}) {
      copied.push_back({0x100 + 8 * i + bank, read(0x100 + 8 * i + bank)});
    }
  }
  copied.push_back({1, read(1)});
  copied.push_back({4, (std::uint64_t{1} << setup_.config.events) - 1});
  copied.push_back({5, read(3)});
  copied.push_back({6, read(6)});
  copied.push_back({2, read(2)});
  pv_.reset();
  make_host(*model_);
  make_pv_perf();
  reference_.keep_registers_only();
  for (const Copied& each : copied) {
    if (!pv_->write_msr(msr(each.offset), each.value, Initiator::kHost).is_done()) {
      return fmt::format("register {:#x} = {:#x} is refused", each.offset, each.value);
    }
  }
  return enter();
}

// ---- Everything ---------------------------------------------------------------------------------

PvPerfLockstep::Difference PvPerfLockstep::step(const Operation& operation) {
  switch (operation.kind) {
    case Kind::kReadMsr:
    case Kind::kWriteMsr:
    case Kind::kRdpmc: return guest_access(operation);
    case Kind::kCommand: write_command(operation); return {};
    case Kind::kCall:
      return hypercall(
          {operation.words[0], operation.words[1], operation.words[2], operation.words[3]},
          operation.flag, operation.value != 0, describe(operation));
    case Kind::kOpen: return open(operation);
    case Kind::kPoke:
      if (operation.where < PvPerfWorld::kBytes) world_.set_word(operation.where, operation.value);
      return {};
    case Kind::kPage: change_page(operation); return {};
    case Kind::kScribble: world_.scribbles = operation.value; return {};
    case Kind::kRetire: return retire(operation);
    case Kind::kSoftware: return software(operation);
    case Kind::kTime: return pass(operation.value, operation.flag);
    case Kind::kMove: return move(operation);
    case Kind::kHost: return change_host(operation);
    case Kind::kRefuse:
      perf_.refuse.reset();
      if (operation.value != 0) perf_.refuse = static_cast<OpenError>(operation.value - 1);
      return {};
    case Kind::kGate: return change_gate(operation);
    case Kind::kLvtpc: world_.lvtpc = static_cast<PmiOutcome>(operation.value); return {};
    case Kind::kReset:
      pv_->reset();
      reference_.reset();
      return enter();
    case Kind::kRestore: return migrate(operation);
  }
  return {};
}

PvPerfLockstep::Difference PvPerfLockstep::compare_event(unsigned i) {
  const std::uint32_t bank = 0x100 + 8 * i;
  const auto expected = [&](std::uint32_t offset) {
    return reference_.read_msr(raw(msr(bank + offset))).value();
  };
  const PvPerf::Times times = pv_->times(i);
  const bool agree = pv_->value(i) == expected(1) && times.enabled_ns == expected(3) &&
                     times.running_ns == expected(4) && pv_->state(i).raw == expected(5);
  if (agree) return {};
  return fmt::format("event {} is {:#x}, {} and {} ns, {:#x}, expected {:#x}, {}, {}, {:#x}", i,
                     pv_->value(i), times.enabled_ns, times.running_ns, pv_->state(i).raw,
                     expected(1), expected(3), expected(4), expected(5));
}

PvPerfLockstep::Difference PvPerfLockstep::compare_all() {
  if (Difference difference = enter()) return difference;
  if (!setup_.config.offered()) return {};
  // Without an access, first: it sees what an access would fold.
  for (unsigned i = 0; i < setup_.config.events; ++i) {
    if (Difference difference = compare_event(i)) return difference;
  }
  for (std::uint32_t offset = 0; offset < 0x108 + 8U * setup_.config.events; ++offset) {
    const Access got = pv_->read_msr(msr(offset), Initiator::kGuest);
    const Access expected = reference_.read_msr(raw(msr(offset)));
    if (Difference difference = compare(fmt::format("base + {:#x}", offset), got, expected)) {
      return difference;
    }
  }
  return enter();
}

/// Events that are off for a second cost the host nothing.
PvPerfLockstep::Difference PvPerfLockstep::idle() {
  constexpr std::uint32_t kGlobalControl = 2;
  (void)pv_->write_msr(msr(kGlobalControl), 0, Initiator::kGuest);
  (void)reference_.write_msr(raw(msr(kGlobalControl)), 0);
  pv_->before_entry();
  if (Difference difference = enter()) return difference;
  if (Difference difference = pass(2000 * kMs, false)) return difference;
  if (perf_.open_events() != 0) {
    return fmt::format("{} host events for a guest that counts nothing", perf_.open_events());
  }
  return {};
}

PvPerfLockstep::Difference PvPerfLockstep::finish() {
  if (Difference difference = compare_all()) return difference;
  if (Difference difference = idle()) return difference;
  if (Difference difference = compare_all()) return difference;
  pv_->reset();
  reference_.reset();
  if (Difference difference = compare_all()) return difference;
  pv_.reset();
  if (perf_.open_events() != 0) {
    return fmt::format("{} host events outlived PV perf", perf_.open_events());
  }
  return {};
}

}  // namespace vpmu::property
