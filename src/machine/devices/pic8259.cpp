// SPDX-License-Identifier: MIT
#include "machine/devices/pic8259.hpp"

#include "machine/cannot_hold.hpp"

namespace vpmu::machine {

namespace {
constexpr std::uint16_t kMasterCommand = 0x20, kMasterData = 0x21, kSlaveCommand = 0xa0,
                        kSlaveData = 0xa1, kMasterLevel = 0x4d0, kSlaveLevel = 0x4d1;
/// Lines that a PC allows to be level-triggered: not the timer, keyboard, cascade; RTC, FPU.
constexpr std::uint8_t kMasterLevelBits = 0xf8, kSlaveLevelBits = 0xde;

constexpr std::uint8_t bit(unsigned line) {
  return static_cast<std::uint8_t>(1U << line);
}

/// How far `line` set is from the highest priority: 0..7, or 8 for an empty set.
unsigned rank_of_highest(std::uint8_t set, std::uint8_t highest) {
  for (unsigned rank = 0; rank < 8; ++rank) {
    if ((set & bit((highest + rank) & 7)) != 0) return rank;
  }
  return 8;
}
}  // namespace

Pic8259::Pic8259() = default;

void Pic8259::add_to(Bus& bus) {
  bus.add_ports(kMasterCommand, 2, *this);
  bus.add_ports(kSlaveCommand, 2, *this);
  bus.add_ports(kMasterLevel, 2, *this);
}

void Pic8259::reset() {
  for (Chip& chip : state_.chip) {
    const std::uint8_t lines = chip.lines;
    chip = Chip{};
    chip.lines = lines;
  }
  update();
}

void Pic8259::set_line(Chip& chip, unsigned line, bool high) {
  const std::uint8_t mask = bit(line);
  const bool was_high = (chip.lines & mask) != 0;
  const bool level = chip.all_level || (chip.level & mask) != 0;
  if (high) {
    chip.lines |= mask;
    if (level || !was_high) chip.request |= mask;
  } else {
    chip.lines &= static_cast<std::uint8_t>(~mask);
    if (level) chip.request &= static_cast<std::uint8_t>(~mask);
  }
}

void Pic8259::set_irq(unsigned irq, bool high) {
  if (irq >= 16 || irq == kCascadeLine) return;
  set_line(state_.chip[irq / 8], irq % 8, high);
  update();
}

int Pic8259::pending(unsigned index) const {
  const Chip& chip = state_.chip[index];
  const unsigned wanted =
      rank_of_highest(static_cast<std::uint8_t>(chip.request & ~chip.mask), chip.highest);
  if (wanted == 8) return -1;
  std::uint8_t blocking = chip.service;
  if (chip.special_mask) blocking &= static_cast<std::uint8_t>(~chip.mask);
  // A fully nested master lets a more important line of the slave interrupt the slave's handler.
  if (chip.special_nested && index == kMaster) {
    blocking &= static_cast<std::uint8_t>(~bit(kCascadeLine));
  }
  if (wanted >= rank_of_highest(blocking, chip.highest)) return -1;
  return static_cast<int>((chip.highest + wanted) & 7);
}

void Pic8259::take(Chip& chip, unsigned line) {
  if (!chip.auto_eoi) {
    chip.service |= bit(line);
  } else if (chip.rotate_on_auto_eoi) {
    chip.highest = (line + 1) & 7;
  }
  if (!chip.all_level && (chip.level & bit(line)) == 0) {
    chip.request &= static_cast<std::uint8_t>(~bit(line));
  }
}

unsigned Pic8259::acknowledge_chip(unsigned index) {
  const int line = pending(index);
  if (line < 0) return 7;
  take(state_.chip[index], static_cast<unsigned>(line));
  return static_cast<unsigned>(line);
}

std::uint8_t Pic8259::acknowledge() {
  const unsigned line = acknowledge_chip(kMaster);
  unsigned vector = state_.chip[kMaster].vector_base + line;
  if (line == kCascadeLine) {
    vector = state_.chip[kSlave].vector_base + acknowledge_chip(kSlave);
  }
  update();
  return static_cast<std::uint8_t>(vector);
}

/// The slave's output is the master's cascade line; the master's is the machine's.
void Pic8259::update() {
  Chip& master = state_.chip[kMaster];
  if (pending(kSlave) >= 0) {
    master.request |= bit(kCascadeLine);
  } else {
    master.request &= static_cast<std::uint8_t>(~bit(kCascadeLine));
  }
  const bool output = pending(kMaster) >= 0;
  if (output == state_.output) return;
  state_.output = output;
  if (output_ != nullptr) output_->set_pic_output(output);
}

void Pic8259::begin_initialization(unsigned index, std::uint8_t icw1) {
  Chip& chip = state_.chip[index];
  Chip fresh;
  fresh.lines = chip.lines;
  fresh.level = chip.level;
  fresh.vector_base = chip.vector_base;
  fresh.step = Step::kIcw2;
  fresh.wants_icw4 = (icw1 & 1) != 0;
  fresh.single = (icw1 & 2) != 0;
  fresh.all_level = (icw1 & 8) != 0;
  fresh.request = fresh.lines & (fresh.all_level ? 0xff : fresh.level);
  chip = fresh;
}

void Pic8259::end_of_interrupt(Chip& chip, std::uint8_t ocw2) {
  const bool rotate = (ocw2 & 0x80) != 0;
  const bool specific = (ocw2 & 0x40) != 0;
  const bool eoi = (ocw2 & 0x20) != 0;
  unsigned line = ocw2 & 7;
  if (!eoi) {
    if (specific) {
      if (rotate) chip.highest = (line + 1) & 7;  // set priority
    } else {
      chip.rotate_on_auto_eoi = rotate;
    }
    return;
  }
  if (!specific) {
    const unsigned rank = rank_of_highest(chip.service, chip.highest);
    if (rank == 8) return;
    line = (chip.highest + rank) & 7;
  }
  chip.service &= static_cast<std::uint8_t>(~bit(line));
  if (rotate) chip.highest = (line + 1) & 7;
}

void Pic8259::write_command(unsigned index, std::uint8_t value) {
  Chip& chip = state_.chip[index];
  if ((value & 0x10) != 0) {
    begin_initialization(index, value);
  } else if ((value & 0x08) != 0) {  // OCW3
    if ((value & 0x04) != 0) chip.poll = true;
    if ((value & 0x02) != 0) chip.read_service = (value & 0x01) != 0;
    if ((value & 0x40) != 0) chip.special_mask = (value & 0x20) != 0;
  } else {
    end_of_interrupt(chip, value);
  }
}

void Pic8259::write_data(unsigned index, std::uint8_t value) {
  Chip& chip = state_.chip[index];
  switch (chip.step) {
    case Step::kOperational: chip.mask = value; break;
    case Step::kIcw2:
      chip.vector_base = value & 0xf8;
      chip.step = !chip.single ? Step::kIcw3 : chip.wants_icw4 ? Step::kIcw4 : Step::kOperational;
      break;
    case Step::kIcw3:  // the wiring of a PC is fixed
      chip.step = chip.wants_icw4 ? Step::kIcw4 : Step::kOperational;
      break;
    case Step::kIcw4:
      chip.auto_eoi = (value & 0x02) != 0;
      chip.special_nested = (value & 0x10) != 0;
      chip.step = Step::kOperational;
      break;
  }
}

std::uint8_t Pic8259::read_command(unsigned index) {
  Chip& chip = state_.chip[index];
  if (!chip.poll) return chip.read_service ? chip.service : chip.request;
  chip.poll = false;
  if (pending(index) < 0) return 0;
  const unsigned line = acknowledge_chip(index);
  update();
  return static_cast<std::uint8_t>(0x80 | line);
}

std::uint8_t Pic8259::read_byte(std::uint16_t port) {
  switch (port) {
    case kMasterCommand: return read_command(kMaster);
    case kSlaveCommand: return read_command(kSlave);
    case kMasterData: return state_.chip[kMaster].mask;
    case kSlaveData: return state_.chip[kSlave].mask;
    case kMasterLevel: return state_.chip[kMaster].level;
    case kSlaveLevel: return state_.chip[kSlave].level;
    default: return 0xff;
  }
}

void Pic8259::write_byte(std::uint16_t port, std::uint8_t value) {
  switch (port) {
    case kMasterCommand: write_command(kMaster, value); break;
    case kSlaveCommand: write_command(kSlave, value); break;
    case kMasterData: write_data(kMaster, value); break;
    case kSlaveData: write_data(kSlave, value); break;
    case kMasterLevel: state_.chip[kMaster].level = value & kMasterLevelBits; break;
    case kSlaveLevel: state_.chip[kSlave].level = value & kSlaveLevelBits; break;
    default: break;
  }
  update();
}

// Wider accesses reach the ports one by one.
std::uint32_t Pic8259::read_port(std::uint16_t port, unsigned bytes) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < bytes; ++i) {
    value |= std::uint32_t{read_byte(static_cast<std::uint16_t>(port + i))} << (8 * i);
  }
  return value;
}

void Pic8259::write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) {
  for (unsigned i = 0; i < bytes; ++i) {
    write_byte(static_cast<std::uint16_t>(port + i), static_cast<std::uint8_t>(value >> (8 * i)));
  }
}

Result<void> Pic8259::restore(const State& state) {
  for (const Chip& chip : state.chip) {
    if (chip.step > Step::kIcw4) return cannot_hold("step", static_cast<unsigned>(chip.step));
    if (chip.highest > 7) return cannot_hold("highest priority", chip.highest);
    if ((chip.vector_base & 7) != 0) return cannot_hold("vector base", chip.vector_base);
  }
  state_ = state;
  return {};
}

}  // namespace vpmu::machine
