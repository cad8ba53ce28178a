// SPDX-License-Identifier: MIT
//
// A guest that does what it likes with its CPU: system registers, system instructions, translation
// tables, loads and stores, exceptions and returns, one after the other. Whatever it does, the
// CPU's state stays one that a CPU can be in, translations lead where physical addresses are, what
// may be done once may be done again, and a look changes nothing.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "unit/arm64_system/system_fixture.hpp"

namespace {

using namespace vpmu;
using namespace vpmu::machine::arm64;
using namespace vpmu::machine::arm64::test;

using Bytes = std::span<const std::uint8_t>;

void require(bool holds) {
  if (!holds) std::abort();
}

template <class T>
T take_from(Bytes& input) {
  T value{};
  const std::size_t size = std::min(sizeof value, input.size());
  std::memcpy(&value, input.data(), size);
  input = input.subspan(size);
  return value;
}

/// Tables and data lie here, in as little RAM as makes them meet often.
constexpr std::uint64_t kArena = kRam, kArenaBytes = 0x4'0000;

void check_state(const System& s) {
  const Core& core = s.core;
  require(core.el == ExceptionLevel::kEl0 || core.el == ExceptionLevel::kEl1);
  require(core.daif <= kMaskAll);
  require((core.sctlr & ~Sctlr::kWritable) == Sctlr::kRes1);
  require((core.tcr & ~Tcr::kWritable) == 0);
  require(core.vbar % 0x800 == 0);
  require((core.cpacr & ~Cpacr::kFpen.kMask) == 0);
  require(core.esr >> 32 == 0);
  require((s.registers.flags & ~Spsr::kNzcv.kMask) == 0);
  require(core.identity == Identity{});
  const bool one_way = core.stack_in_use() == 1;
  require(one_way == (core.el == ExceptionLevel::kEl1 && core.sp_select));
}

bool is_fault_status(const Fault& fault) {
  const unsigned status = fault.status;
  return status < 0x10 || status == fault_status(FaultStatus::kExternal) ||
         (status >= 0x14 && status < 0x18) || status == fault_status(FaultStatus::kAlignment);
}

bool permits(const Translation& found, MemoryUse use, ExceptionLevel rights) {
  const bool el0 = rights == ExceptionLevel::kEl0;
  switch (use) {
    case MemoryUse::kFetch: return el0 ? found.el0_execute : found.el1_execute;
    case MemoryUse::kRead: return el0 ? found.el0_read : found.el1_read;
    case MemoryUse::kWrite: return el0 ? found.el0_write : found.el1_write;
  }
  return false;
}

void check_translation(System& s, std::uint64_t address, MemoryUse use, ExceptionLevel rights) {
  const auto arena = [&s] { return std::span{s.memory.host(kArena, kArenaBytes), kArenaBytes}; };
  const std::vector<std::uint8_t> before(arena().begin(), arena().end());
  const auto looked = s.mmu.probe(address, use, rights, s.core.pan);
  const auto physical = s.mmu.look_up(address);
  require(std::ranges::equal(arena(), before));
  const auto found = s.mmu.translate(address, use, rights);
  require(found.has_value() == looked.has_value());
  if (!found) {
    require(found.error() == looked.error() && is_fault_status(found.error()));
    require(found.error().address == address && found.error().use == use);
    require(std::ranges::equal(arena(), before));
    return;
  }
  require(*found == *looked && found->physical == physical);
  require(found->physical >> kPhysicalBits == 0);
  require(found->size_bits >= 12 && found->size_bits <= 42);
  require(permits(*found, use, rights));
  require(!(found->el0_write && !found->el0_read) && !(found->el0_read && !found->el1_read));
  require(!(found->el0_write && !found->el1_write));
  require(use != MemoryUse::kFetch || s.memory.host(found->physical, 1) != nullptr);
  const auto again = s.mmu.translate(address, use, rights);
  // A table that maps itself may have been marked in a descriptor that this walk goes through.
  require(!again || again->physical >> kPhysicalBits == 0);
}

void check_emulated(const System& s, const Emulated& how, std::uint64_t pc) {
  require(how.retired || how.exception);
  require(!(how.exception && how.exception_return));
  require(!how.exception || (s.core.el == ExceptionLevel::kEl1 && s.core.daif == kMaskAll));
  require(!how.exception || (!s.core.il && s.registers.counter - s.core.vbar < 0x800));
  const bool goes_on = !how.exception && !how.exception_return;
  require(!goes_on || s.registers.counter == pc + 4);
}

/// Any word, or one that is likely to mean something.
std::uint32_t word_from(Bytes& input) {
  const auto kind = take_from<std::uint8_t>(input);
  const auto word = take_from<std::uint32_t>(input);
  switch (kind % 8) {
    case 0: return word;
    case 1: return 0xd500'401f | (word & 0x7'0fe0);     // MSR (immediate)
    case 2: return 0xd508'0000 | (word & 0x7'ffff);     // SYS
    case 3: return 0xd508'7000 | (word & 0x7'0fff);     // DC, IC, AT
    case 4: return 0x3800'0800 | (word & 0xc0df'f3ff);  // LDTR, STTR
    case 5: return 0xd69f'03e0;                         // ERET
    case 6: return 0xd400'0000 | (word & 0xff'ffe3);    // SVC, HVC, BRK, HLT ...
    default: return 0xd510'0000 | (word & 0x2f'ffff);   // MSR, MRS
  }
}

/// An address in the arena, now and then anything.
std::uint64_t address_from(Bytes& input) {
  const auto kind = take_from<std::uint8_t>(input);
  const auto bits = take_from<std::uint64_t>(input);
  if (kind % 4 == 0) return bits;
  const std::uint64_t half = kind % 4 == 3 ? 0xffff'0000'0000'0000 : 0;
  return half | kArena | bits % kArenaBytes;
}

MemoryUse use_from(std::uint8_t bits) {
  return static_cast<MemoryUse>(bits % 3);
}

/// A table's descriptor leads into the arena; a leaf's does or does not.
void put_descriptor(const System& s, Bytes& input) {
  const auto kind = take_from<std::uint8_t>(input);
  const std::uint64_t slot = take_from<std::uint16_t>(input) * std::uint64_t{8} % kArenaBytes;
  auto descriptor = take_from<std::uint64_t>(input);
  if (kind % 4 != 0) {
    descriptor =
        (descriptor & 0xfff0'0000'0003'ffff) | kArena | 1 | (kind % 4 & 2) | (kind & 0x40) << 4;
  }
  s.put(kArena + slot, descriptor);
}

void take_any(System& s, Bytes& input) {
  const auto kind = take_from<std::uint8_t>(input);
  const auto value = take_from<std::uint64_t>(input);
  const std::uint64_t pc = s.registers.counter;
  const Fault fault{value, use_from(kind), (kind & 8) != 0,
                    static_cast<std::uint8_t>(value & 0x3f)};
  const Exception any[] = {
      exceptions::irq(pc),
      exceptions::fiq(pc),
      exceptions::serror(pc, static_cast<std::uint32_t>(value)),
      exceptions::abort(pc, fault),
      exceptions::pc_alignment(pc),
      exceptions::sp_alignment(pc),
      exceptions::software_step(s.core, pc),
      exceptions::fp_access(pc),
  };
  take(s.core, s.registers, any[kind % std::size(any)]);
  require(s.core.el == ExceptionLevel::kEl1 && s.core.daif == kMaskAll && !s.core.il);
}

void access_data(System& s, Bytes& input) {
  const auto kind = take_from<std::uint8_t>(input);
  const std::uint64_t address = address_from(input);
  const unsigned bytes = 1U << (kind & 3);
  const auto rights = static_cast<ExceptionLevel>(kind >> 2 & 1);
  if ((kind & 8) != 0) {
    const auto value = take_from<std::uint64_t>(input);
    const auto written = s.data.write(address, bytes, value, rights);
    require(written || is_fault_status(written.error()));
    return;
  }
  const auto read = s.data.read(address, bytes, rights);
  require(!read || bytes == 8 || *read >> (8 * bytes) == 0 || !s.environment.mmio_reads.empty());
}

void set_anything(System& s, Bytes& input) {
  const auto kind = take_from<std::uint8_t>(input);
  const std::uint64_t value = address_from(input);
  switch (kind % 4) {
    case 0: s.registers.counter = value & ~std::uint64_t{3}; break;
    case 1: s.environment.irq = (value & 1) != 0; break;
    default: s.registers.general[value % 31] = take_from<std::uint64_t>(input); break;
  }
}

void step(System& s, Bytes& input) {
  switch (take_from<std::uint8_t>(input) % 8) {
    case 0: put_descriptor(s, input); break;
    case 1: {
      const auto kind = take_from<std::uint8_t>(input);
      check_translation(s, address_from(input), use_from(kind),
                        static_cast<ExceptionLevel>(kind >> 2 & 1));
      break;
    }
    case 2: take_any(s, input); break;
    case 3: access_data(s, input); break;
    case 4: set_anything(s, input); break;
    default: {
      const std::uint64_t pc = s.registers.counter;
      const std::uint32_t word = word_from(input);
      check_emulated(s, s.run(word), pc);
      break;
    }
  }
  check_state(s);
}

/// 4 KiB pages, tables in the arena, everything on: most inputs need not find that out.
void prepare(System& s) {
  Tcr tcr;
  tcr.set(Tcr::kT0sz, 25);
  tcr.set(Tcr::kT1sz, 25);
  tcr.set(Tcr::kTg1, 2);
  tcr.set(Tcr::kIps, 5);
  s.core.tcr = tcr.raw;
  s.core.ttbr0 = s.core.ttbr1 = kArena;
  s.core.mair = 0xff;
  s.core.sctlr |= Sctlr::kM.kMask;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  System s;
  Bytes input{data, size};
  if ((take_from<std::uint8_t>(input) & 1) != 0) prepare(s);
  for (unsigned steps = 0; !input.empty() && steps < 1000; ++steps) step(s, input);
  return 0;
}
