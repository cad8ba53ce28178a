// SPDX-License-Identifier: MIT
#include "machine/devices/rtc.hpp"

#include <algorithm>
#include <chrono>

#include "machine/cannot_hold.hpp"
#include "machine/devices/ticks.hpp"

namespace vpmu::machine {

namespace {
constexpr std::uint16_t kIndexPort = 0x70, kDataPort = 0x71;
constexpr unsigned kLine = 8;
constexpr std::uint64_t kHz = 32768;
/// Register A shows "update in progress" for the last 244 us of a second.
constexpr std::uint64_t kUpdateTicks = 8;

enum Cell : std::uint8_t {
  kSeconds = 0x00,
  kSecondsAlarm = 0x01,
  kMinutes = 0x02,
  kMinutesAlarm = 0x03,
  kHours = 0x04,
  kHoursAlarm = 0x05,
  kWeekday = 0x06,
  kDay = 0x07,
  kMonth = 0x08,
  kYear = 0x09,
  kA = 0x0a,
  kB = 0x0b,
  kC = 0x0c,
  kD = 0x0d,
  kCentury = 0x32,
  kCpuCount = 0x5f,
};
constexpr Cell kTimeRegisters[] = {kSeconds, kMinutes, kHours, kWeekday,
                                   kDay,     kMonth,   kYear,  kCentury};

constexpr bool is_time(std::uint8_t reg) {
  return std::find(std::begin(kTimeRegisters), std::end(kTimeRegisters), reg) !=
         std::end(kTimeRegisters);
}

constexpr std::uint8_t kUpdateInProgress = 0x80, kRateBits = 0x0f;
// Register B; the enables are at the positions of their flags in register C.
constexpr std::uint8_t kSet = 0x80, kPeriodic = 0x40, kAlarm = 0x20, kUpdate = 0x10, kBinary = 0x04,
                       kHours24 = 0x02;
constexpr std::uint8_t kFlags = kPeriodic | kAlarm | kUpdate, kInterruptRequest = 0x80;
constexpr std::uint8_t kPm = 0x80, kDontCare = 0xc0, kValid = 0x80;
}  // namespace

Rtc::Rtc(const Config& config, Clock& clock, InterruptLines& lines)
    : Timer{clock}, clock_{clock}, lines_{lines} {
  state_.cells[kA] = 0x26;  // 32768 Hz time base, 1024 Hz periodic
  state_.cells[kB] = kHours24;
  state_.cells[kD] = kValid;
  state_.cells[kCpuCount] = static_cast<std::uint8_t>(config.cpu_count - 1);
  fill_memory_size(config);
}

void Rtc::add_to(Bus& bus) {
  bus.add_ports(kIndexPort, 2, *this);
}

void Rtc::reset() {
  catch_up();
  state_.cells[kB] &= static_cast<std::uint8_t>(~kFlags);
  state_.flags = 0;
  update();
}

void Rtc::fill_memory_size(const Config& config) {
  constexpr std::uint64_t kKiB = 1024, kMiB = 1024 * kKiB;
  const auto put = [this](unsigned cell, std::uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) {
      state_.cells[cell + i] = static_cast<std::uint8_t>(value >> (8 * i));
    }
  };
  const auto beyond = [](std::uint64_t size, std::uint64_t start, std::uint64_t unit) {
    return size > start ? (size - start) / unit : 0;
  };
  const std::uint64_t low = config.memory_below_4g;
  const std::uint64_t extended = std::min<std::uint64_t>(beyond(low, kMiB, kKiB), 0xffff);
  put(0x15, 640, 2);
  put(0x17, extended, 2);
  put(0x30, extended, 2);
  put(0x34, std::min<std::uint64_t>(beyond(low, 16 * kMiB, 64 * kKiB), 0xffff), 2);
  put(0x5b, std::min<std::uint64_t>(config.memory_above_4g / (64 * kKiB), 0xffffff), 3);
}

// ---- Time ---------------------------------------------------------------------------------------

std::uint64_t Rtc::ticks() const {
  return std::max(ticks_now(clock_, kHz), std::max(state_.base_tick, state_.seen_tick));
}

std::int64_t Rtc::second_at(std::uint64_t tick) const {
  const std::uint64_t gone = tick > state_.base_tick ? tick - state_.base_tick : 0;
  return state_.base_second + static_cast<std::int64_t>(gone / kHz);
}

bool Rtc::is_set_mode() const {
  return (state_.cells[kB] & kSet) != 0;
}

/// Of the periodic interrupt, in ticks; 0: off.
std::uint64_t Rtc::period() const {
  const unsigned rate = state_.cells[kA] & kRateBits;
  if (rate == 0) return 0;
  return std::uint64_t{1} << (rate <= 2 ? rate + 6 : rate - 1);
}

std::uint8_t Rtc::encode(unsigned value) const {
  if ((state_.cells[kB] & kBinary) != 0) return static_cast<std::uint8_t>(value);
  return static_cast<std::uint8_t>(value / 10 % 10 << 4 | value % 10);
}

unsigned Rtc::decode(std::uint8_t value) const {
  if ((state_.cells[kB] & kBinary) != 0) return value;
  return (value >> 4) * 10U + (value & 0xfU);
}

std::uint8_t Rtc::encode_hour(unsigned hour) const {
  if ((state_.cells[kB] & kHours24) != 0) return encode(hour);
  const unsigned twelve = hour % 12 == 0 ? 12 : hour % 12;
  return static_cast<std::uint8_t>(encode(twelve) | (hour >= 12 ? kPm : 0));
}

unsigned Rtc::decode_hour(std::uint8_t value) const {
  if ((state_.cells[kB] & kHours24) != 0) return decode(value);
  const unsigned twelve = decode(value & static_cast<std::uint8_t>(~kPm)) % 12;
  return twelve + ((value & kPm) != 0 ? 12 : 0);
}

void Rtc::encode_time(std::int64_t second, TimeFields& to) const {
  namespace chrono = std::chrono;
  const chrono::sys_seconds point{chrono::seconds{second}};
  const auto day = chrono::floor<chrono::days>(point);
  const chrono::year_month_day date{day};
  const chrono::hh_mm_ss time{point - day};
  const int year = static_cast<int>(date.year());
  to[kSeconds] = encode(static_cast<unsigned>(time.seconds().count()));
  to[kMinutes] = encode(static_cast<unsigned>(time.minutes().count()));
  to[kHours] = encode_hour(static_cast<unsigned>(time.hours().count()));
  to[kWeekday] = encode(chrono::weekday{day}.c_encoding() + 1);
  to[kDay] = encode(static_cast<unsigned>(date.day()));
  to[kMonth] = encode(static_cast<unsigned>(date.month()));
  to[kYear] = encode(static_cast<unsigned>(year % 100));
  to[kCentury] = encode(static_cast<unsigned>(year / 100));
}

/// Fields out of range carry over into the next, or are clamped (months): never an error.
std::int64_t Rtc::decode_time(const TimeFields& from) const {
  namespace chrono = std::chrono;
  const auto year = static_cast<int>(decode(from[kCentury]) * 100 + decode(from[kYear]));
  const unsigned month = std::clamp(decode(from[kMonth]), 1U, 12U);
  const chrono::sys_days first{chrono::year{year} / chrono::month{month} / chrono::day{1}};
  const chrono::sys_seconds point = first + chrono::days{static_cast<int>(decode(from[kDay])) - 1} +
                                    chrono::hours{decode_hour(from[kHours])} +
                                    chrono::minutes{decode(from[kMinutes])} +
                                    chrono::seconds{decode(from[kSeconds])};
  return point.time_since_epoch().count();
}

// ---- Interrupts ---------------------------------------------------------------------------------

bool Rtc::alarm_matches(unsigned reg, std::uint8_t encoded) const {
  const std::uint8_t wanted = state_.cells[reg];
  return wanted >= kDontCare || wanted == encoded;
}

bool Rtc::next_alarm(std::int64_t second, std::int64_t& alarm) const {
  constexpr unsigned kNone = 60;
  const auto next_second = [this](unsigned from) {
    while (from < 60 && !alarm_matches(kSecondsAlarm, encode(from))) ++from;
    return from;
  };
  const auto next_minute = [this](unsigned from) {
    while (from < 60 && !alarm_matches(kMinutesAlarm, encode(from))) ++from;
    return from;
  };
  const auto next_hour = [this](unsigned from) {
    while (from < 24 && !alarm_matches(kHoursAlarm, encode_hour(from))) ++from;
    return from < 24 ? from : kNone;
  };
  const unsigned first_second = next_second(0);
  const unsigned first_minute = next_minute(0);
  const unsigned first_hour = next_hour(0);
  if (first_second == kNone || first_minute == kNone || first_hour == kNone) return false;

  constexpr std::int64_t kDaySeconds = 86400;
  const std::int64_t start = second + 1;
  std::int64_t day = start / kDaySeconds * kDaySeconds;
  if (start < day) day -= kDaySeconds;  // before 1970
  const auto within = static_cast<unsigned>(start - day);
  const auto at = [day](unsigned h, unsigned m, unsigned s) {
    return day + (std::int64_t{h} * 60 + m) * 60 + s;
  };

  const unsigned hour = within / 3600, minute = within / 60 % 60;
  if (next_hour(hour) == hour) {
    if (next_minute(minute) == minute) {
      const unsigned s = next_second(within % 60);
      if (s != kNone) return alarm = at(hour, minute, s), true;
    }
    const unsigned m = next_minute(minute + 1);
    if (m != kNone) return alarm = at(hour, m, first_second), true;
  }
  const unsigned h = next_hour(hour + 1);
  alarm = h != kNone ? at(h, first_minute, first_second)
                     : at(first_hour, first_minute, first_second) + kDaySeconds;
  return true;
}

void Rtc::catch_up() {
  const std::uint64_t now = ticks();
  const std::uint64_t before = state_.seen_tick;
  if (now <= before) return;
  state_.seen_tick = now;
  const std::uint64_t length = period();
  if (length != 0 && now / length != before / length) state_.flags |= kPeriodic;
  if (is_set_mode()) return;
  const std::int64_t from = second_at(before), to = second_at(now);
  if (to <= from) return;
  state_.flags |= kUpdate;
  std::int64_t alarm = 0;
  if (next_alarm(from, alarm) && alarm <= to) state_.flags |= kAlarm;
}

void Rtc::update() {
  const std::uint8_t enabled = state_.cells[kB] & kFlags;
  const bool requested = (state_.flags & enabled) != 0;
  lines_.set_line(kLine, requested);
  disarm();
  // The line stays high until register C is read: nothing more can happen before.
  if (requested) return;

  const std::uint64_t now = state_.seen_tick;
  std::uint64_t next = kNever;
  if (const std::uint64_t length = period(); (enabled & kPeriodic) != 0 && length != 0) {
    next = std::min(next, (now / length + 1) * length);
  }
  if (!is_set_mode()) {
    const std::int64_t second = second_at(now);
    const auto tick_of = [this](std::int64_t at) {
      return state_.base_tick + static_cast<std::uint64_t>(at - state_.base_second) * kHz;
    };
    std::int64_t alarm = 0;
    if ((enabled & kUpdate) != 0) next = std::min(next, tick_of(second + 1));
    if ((enabled & kAlarm) != 0 && next_alarm(second, alarm)) next = std::min(next, tick_of(alarm));
  }
  if (next != kNever) arm(first_cycle_of(clock_, next, kHz));
}

void Rtc::on_timer() {
  catch_up();
  update();
}

// ---- Registers ----------------------------------------------------------------------------------

std::uint8_t Rtc::read_flags() {
  catch_up();
  const std::uint8_t flags = state_.flags;
  const bool requested = (flags & state_.cells[kB] & kFlags) != 0;
  state_.flags = 0;
  update();
  return static_cast<std::uint8_t>(flags | (requested ? kInterruptRequest : 0));
}

std::uint8_t Rtc::read_cell(std::uint8_t reg) {
  if (is_time(reg) && !is_set_mode()) {
    TimeFields time{};
    encode_time(second_at(ticks()), time);
    return time[reg];
  }
  if (reg == kA) {
    const std::uint64_t within = (ticks() - state_.base_tick) % kHz;
    const bool updating = !is_set_mode() && within >= kHz - kUpdateTicks;
    return static_cast<std::uint8_t>(state_.cells[kA] | (updating ? kUpdateInProgress : 0));
  }
  if (reg == kC) return read_flags();
  return state_.cells[reg];
}

void Rtc::write_cell(std::uint8_t reg, std::uint8_t value) {
  catch_up();
  if (is_time(reg) && !is_set_mode()) {
    TimeFields time{};
    const std::uint64_t now = ticks();
    encode_time(second_at(now), time);
    time[reg] = value;
    // The phase within the second stays.
    state_.base_tick = now - (now - state_.base_tick) % kHz;
    state_.base_second = decode_time(time);
  } else if (reg == kA) {
    state_.cells[kA] = value & static_cast<std::uint8_t>(~kUpdateInProgress);
  } else if (reg == kB) {
    write_control(value);
  } else if (reg != kC && reg != kD) {
    state_.cells[reg] = value;
  }
  update();
}

void Rtc::write_control(std::uint8_t value) {
  const bool was_set = is_set_mode();
  const bool sets = (value & kSet) != 0;
  if (sets && !was_set) encode_time(second_at(ticks()), state_.cells);
  state_.cells[kB] = value;
  if (sets) state_.cells[kB] &= static_cast<std::uint8_t>(~kUpdate);  // the chip clears UIE
  if (was_set && !sets) {
    state_.base_tick = ticks();
    state_.base_second = decode_time(state_.cells);
  }
}

std::uint32_t Rtc::read_port(std::uint16_t port, unsigned bytes) {
  if (port != kDataPort || bytes != 1) return ~0U >> (32 - 8 * bytes);
  return read_cell(state_.index);
}

void Rtc::write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) {
  if (port == kIndexPort) {
    state_.index = value & 0x7f;  // bit 7 masks NMIs on a PC; not here
    if (bytes == 2) write_cell(state_.index, static_cast<std::uint8_t>(value >> 8));
  } else if (port == kDataPort && bytes == 1) {
    write_cell(state_.index, static_cast<std::uint8_t>(value));
  }
}

// ---- State --------------------------------------------------------------------------------------

Rtc::State Rtc::save() const {
  State state = state_;
  state.due = due();
  return state;
}

Result<void> Rtc::restore(const State& state) {
  // From the year 0 to the last that the registers can say, in seconds since 1970.
  constexpr std::int64_t kEarliest = -62'167'219'200, kLatest = 800'000'000'000;
  const std::uint64_t now = ticks_now(clock_, kHz);
  if (state.index >= kCells) return cannot_hold("index", state.index);
  if ((state.flags & ~kFlags) != 0) return cannot_hold("register C", state.flags);
  if ((state.cells[kA] & kUpdateInProgress) != 0) return cannot_hold("register A", state.cells[kA]);
  if (state.base_second < kEarliest || state.base_second > kLatest) {
    return cannot_hold("time", static_cast<std::uint64_t>(state.base_second));
  }
  if (state.base_tick > now) return cannot_hold("start of the time", state.base_tick);
  if (state.seen_tick > now) return cannot_hold("time of the flags", state.seen_tick);
  state_ = state;
  arm(state.due);
  return {};
}

}  // namespace vpmu::machine
