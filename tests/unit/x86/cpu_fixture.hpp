// SPDX-License-Identifier: MIT
//
// A CPU with 4 MiB of RAM, page tables, descriptor tables and handlers, in whatever mode a test
// asks for. RAM is mapped one to one, so linear and physical addresses are the same unless a test
// changes a page table entry. Every interrupt handler is a HLT: caught() tells which one ran.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "machine/code_pages.hpp"
#include "machine/guest_memory.hpp"
#include "machine/x86/cpu.hpp"
#include "machine/x86/environment.hpp"
#include "machine/x86/flags.hpp"
#include "machine/x86/mmu.hpp"
#include "vpmu/silicon/cycle_conditions.hpp"
#include "vpmu/silicon/deadlines.hpp"
#include "vpmu/silicon/retire_totals.hpp"

namespace vpmu::machine::x86::test {

using Bytes = std::vector<std::uint8_t>;

/// Devices, time and interrupts as a test wants them, with a log of what was asked.
class FakeEnvironment final : public Environment {
 public:
  struct DeviceAccess {
    std::uint64_t address;
    unsigned bytes;
    std::uint64_t value;
    bool write;
    friend bool operator==(const DeviceAccess&, const DeviceAccess&) = default;
  };

  std::deque<std::uint8_t> interrupts;  ///< vectors that wait
  std::map<std::uint32_t, std::uint64_t> msrs;
  std::vector<Hypercall> hypercalls;
  Access hypercall_result = Access::not_mine();
  std::vector<DeviceAccess> mmio;
  std::vector<DeviceAccess> ports;
  std::function<std::uint64_t()> time = [] { return std::uint64_t{0}; };
  std::function<void()> on_port_write = [] {};
  std::function<std::uint64_t(std::uint64_t)> mmio_value = [](std::uint64_t a) { return a; };
  std::uint8_t priority = 0;

  CpuidResult cpuid(std::uint32_t leaf, std::uint32_t subleaf) override {
    return {leaf, subleaf, ~0U, 0};
  }
  Access read_msr(MsrIndex msr) override {
    const auto found = msrs.find(raw(msr));
    return found == msrs.end() ? Access::not_mine() : Access::done(found->second);
  }
  Access write_msr(MsrIndex msr, std::uint64_t value) override {
    if (!msrs.contains(raw(msr))) return Access::not_mine();
    msrs[raw(msr)] = value;
    return Access::done();
  }
  Access rdpmc(std::uint32_t, bool) override { return Access::fault(); }
  std::uint32_t read_port(std::uint16_t port, unsigned bytes) override {
    ports.push_back({port, bytes, 0, false});
    return port;
  }
  void write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) override {
    ports.push_back({port, bytes, value, true});
    on_port_write();
  }
  std::uint64_t read_mmio(std::uint64_t address, unsigned bytes) override {
    mmio.push_back({address, bytes, 0, false});
    return mmio_value(address);
  }
  void write_mmio(std::uint64_t address, unsigned bytes, std::uint64_t value) override {
    mmio.push_back({address, bytes, value, true});
  }
  std::uint64_t now() override { return time(); }
  Access hypercall(const Hypercall& call) override {
    hypercalls.push_back(call);
    return hypercall_result;
  }
  bool interrupt_waiting() override { return !interrupts.empty(); }
  std::uint8_t acknowledge_interrupt() override {
    const std::uint8_t vector = interrupts.front();
    interrupts.pop_front();
    return vector;
  }
  std::uint8_t task_priority() override { return priority; }
  void set_task_priority(std::uint8_t priority_class) override { priority = priority_class; }
};

// Where things are.
inline constexpr std::uint64_t kRam = 4 << 20, kPml4 = 0x1000, kPdpt = 0x2000, kPd = 0x3000,
                               kPageTables = 0x4000, kGdt = 0x8000, kIdt = 0x9000, kTss = 0xa000,
                               kHandlers = 0xb000, kKernelStack = 0x10000, kIst1 = 0x12000,
                               kUserStack = 0x18000, kCode = 0x20000, kData = 0x100000,
                               kDevice = 0x500000;
// What is in the descriptor table.
inline constexpr std::uint16_t kCode64 = 0x08, kDataSelector = 0x10, kUserCode32 = 0x1b,
                               kUserData = 0x23, kUserCode64 = 0x2b, kCode32 = 0x30,
                               kConforming64 = 0x38, kTssSelector = 0x40, kCode16 = 0x50,
                               kData16 = 0x58, kFreeSelector = 0x60;
inline constexpr std::uint64_t kPresent = 1, kWritable = 2, kUserPage = 4, kAccessed = 0x20,
                               kDirty = 0x40, kLarge = 0x80, kNoExecute = 1ULL << 63;
inline constexpr std::uint64_t kForever = ~std::uint64_t{0};

/// A descriptor with base 0 and limit 4 GiB. `access` is byte 5, `flags` the G, D, L, AVL nibble.
constexpr std::uint64_t descriptor(std::uint64_t access, std::uint64_t flags) {
  return 0x000f'0000'0000'ffff | access << 40 | flags << 52;
}
constexpr std::uint64_t gate(std::uint16_t selector, std::uint64_t offset, std::uint64_t access,
                             std::uint64_t ist = 0) {
  return (offset & 0xffff) | std::uint64_t{selector} << 16 | ist << 32 | access << 40 |
         (offset >> 16 & 0xffff) << 48;
}

/// What a handler finds on its stack.
struct Caught {
  unsigned vector = 0;
  std::uint64_t error_code = 0;  ///< of those that push one
  std::uint64_t rip = 0;
  std::uint64_t cs = 0;
  std::uint64_t rflags = 0;
  std::uint64_t rsp = 0;
  std::uint64_t ss = 0;
};

inline bool pushes_error_code(unsigned vector) {
  return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

struct TestCpu {
  /// Without a hierarchy every access misses everything.
  explicit TestCpu(const silicon::MemoryHierarchy& hierarchy = {})
      : llc{hierarchy.llc.sets, hierarchy.llc.ways}, memory_model{hierarchy, llc, totals} {}

  GuestMemory memory = std::move(*GuestMemory::create(kRam));
  FakeEnvironment environment;
  CodePages code_pages{kRam / 4096};
  silicon::RetireTotals totals;
  silicon::Deadlines deadlines{totals};
  silicon::CycleConditions conditions{totals};
  silicon::LruSets llc;
  silicon::MemoryModel memory_model;
  Cpu cpu{memory, environment, code_pages,
          totals, deadlines,   {.conditions = &conditions, .memory = &memory_model}};

  Core& core() { return cpu.core(); }

  template <class T>
  void put(std::uint64_t address, T value) {
    std::memcpy(memory.host(address, sizeof value), &value, sizeof value);
  }
  template <class T>
  [[nodiscard]] T take(std::uint64_t address) const {
    T value;
    std::memcpy(&value, memory.host(address, sizeof value), sizeof value);
    return value;
  }
  void put_bytes(std::uint64_t address, std::span<const std::uint8_t> bytes) {
    if (!memory.write(address, bytes)) std::abort();
  }

  /// Writes code where the CPU is to start, and lets it start there.
  void code(const Bytes& bytes, std::uint64_t at = kCode) {
    put_bytes(at, bytes);
    core().rip = at;
  }

  /// The entry that maps the 4 KiB page of `linear` in long mode.
  void set_page(std::uint64_t linear, std::uint64_t entry) {
    put(kPageTables + linear / 4096 * 8, entry);
  }
  [[nodiscard]] std::uint64_t page(std::uint64_t linear) const {
    return take<std::uint64_t>(kPageTables + linear / 4096 * 8);
  }
  void set_descriptor(std::uint16_t selector, std::uint64_t value) {
    put(kGdt + (selector & ~7U), value);
  }
  void set_gate64(unsigned vector, std::uint64_t low, std::uint64_t high = 0) {
    put(kIdt + 16ULL * vector, low);
    put(kIdt + 16ULL * vector + 8, high);
  }

  static Segment segment_of(std::uint16_t selector, std::uint8_t type, std::uint8_t dpl,
                            bool long_code, bool big) {
    Segment s;
    s.selector = selector;
    s.type = type;
    s.dpl = dpl;
    s.present = true;
    s.long_code = long_code;
    s.big = big;
    s.limit = 0xffffffff;
    return s;
  }

  void put_descriptors() {
    set_descriptor(kCode64, descriptor(0x9b, 0xa));
    set_descriptor(kDataSelector, descriptor(0x93, 0xc));
    set_descriptor(kUserCode32, descriptor(0xfb, 0xc));
    set_descriptor(kUserData, descriptor(0xf3, 0xc));
    set_descriptor(kUserCode64, descriptor(0xfb, 0xa));
    set_descriptor(kCode32, descriptor(0x9b, 0xc));
    set_descriptor(kConforming64, descriptor(0x9f, 0xa));
    set_descriptor(kTssSelector, kTss << 16 | 0x0000'8900'0000'0067);
    set_descriptor(kTssSelector + 8, 0);
    set_descriptor(kCode16, descriptor(0x9b, 0));
    set_descriptor(kData16, descriptor(0x93, 0));
    core().gdtr = {kGdt, 0xff};
    core().idtr = {kIdt, 0xfff};
    core().tr = segment_of(kTssSelector, 11, 0, false, false);
    core().tr.system = true;
    core().tr.limit = 0x67;
    core().tr.base = kTss;
    for (unsigned vector = 0; vector < 256; ++vector) put<std::uint8_t>(handler(vector), 0xf4);
  }
  static std::uint64_t handler(unsigned vector) { return kHandlers + 16ULL * vector; }

  /// 64-bit code at CPL 0 or 3, interrupts off.
  void start_long_mode(unsigned cpl = 0) {
    cpu.reset();
    Core& c = core();
    put(kPml4, kPdpt | kPresent | kWritable | kUserPage);
    put(kPdpt, kPd | kPresent | kWritable | kUserPage);
    for (std::uint64_t n = 0; n < 2; ++n)
      put(kPd + 8 * n, (kPageTables + 0x1000 * n) | kPresent | kWritable | kUserPage);
    for (std::uint64_t at = 0; at < kRam; at += 4096)
      set_page(at, at | kPresent | kWritable | kUserPage);
    // Where devices are: one large page.
    put(kPd + 8 * 2, 0xfee00000 | kPresent | kWritable | kUserPage | kLarge);
    put_descriptors();
    for (unsigned vector = 0; vector < 256; ++vector) {
      const bool open = vector == kBreakpoint || vector == kOverflow || vector == 0x80;
      set_gate64(vector, gate(kCode64, handler(vector), open ? 0xee : 0x8e));
    }
    put(kTss + 4, kKernelStack);
    put(kTss + 36, kIst1);
    put<std::uint16_t>(kTss + 102, 0x68);
    c.cr0 = kCr0Pe | kCr0Mp | kCr0Et | kCr0Ne | kCr0Wp | kCr0Pg;
    c.cr3 = kPml4;
    c.cr4 = kCr4Pae | kCr4Osfxsr | kCr4Osxmmexcpt;
    c.efer = kEferSce | kEferLme | kEferLma | kEferNxe;
    enter(cpl, cpl == 0 ? kCode64 : kUserCode64, true);
  }

  /// 32-bit code without paging, flat segments.
  void start_protected_mode(unsigned cpl = 0) {
    cpu.reset();
    Core& c = core();
    put_descriptors();
    for (unsigned vector = 0; vector < 256; ++vector)
      put(kIdt + 8ULL * vector, gate(kCode32, handler(vector), 0x8e));
    put<std::uint32_t>(kTss + 4, kKernelStack);
    put<std::uint32_t>(kTss + 8, kDataSelector);
    put<std::uint16_t>(kTss + 102, 0x68);
    c.idtr = {kIdt, 0x7ff};
    c.cr0 = kCr0Pe | kCr0Et | kCr0Ne;
    enter(cpl, cpl == 0 ? kCode32 : kUserCode32, false);
  }

  /// Real mode with CS, DS, ES and SS at 0; `interrupt vector n` is at 4n.
  void start_real_mode() {
    cpu.reset();
    Core& c = core();
    for (unsigned n = 0; n < 6; ++n) c.segment[n] = c.segment[kDs];
    c.segment[kCs].type = 11;
    c.gpr[kRsp] = 0xf000;
    c.rip = 0x7c00;
    c.idtr = {0, 0x3ff};
    cpu.state_changed();
  }

  /// Runs until the CPU halts (or has retired `most` instructions).
  Cpu::Exit run(std::uint64_t most = 100'000) { return cpu.run(most, kForever); }

  /// After a HLT in a handler of long mode: which one, and its stack frame.
  [[nodiscard]] std::optional<Caught> caught() {
    const Core& c = core();
    const std::uint64_t offset = c.rip - kHandlers - 1;
    if (!c.halted || offset >= 0x1000 || offset % 16 != 0) return std::nullopt;
    Caught found;
    found.vector = static_cast<unsigned>(offset / 16);
    const unsigned word = c.long_mode() ? 8 : 4;
    std::uint64_t at = c.gpr[kRsp];
    const auto next = [&] {
      const std::uint64_t value = word == 8 ? take<std::uint64_t>(at) : take<std::uint32_t>(at);
      at += word;
      return value;
    };
    if (pushes_error_code(found.vector)) found.error_code = next();
    found.rip = next();
    found.cs = next();
    found.rflags = next();
    if (word == 8 || (found.cs & 3) != c.cpl) {
      found.rsp = next();
      found.ss = next();
    }
    return found;
  }

  [[nodiscard]] std::uint64_t count(silicon::RawEvent event,
                                    silicon::PrivilegeSet privileges = silicon::kAllPrivileges) {
    return totals.read(event, privileges);
  }
  [[nodiscard]] std::uint64_t instructions() { return count(silicon::RawEvent::kInstructions); }

 private:
  void enter(unsigned cpl, std::uint16_t code_selector, bool long_code) {
    Core& c = core();
    const auto dpl = static_cast<std::uint8_t>(cpl);
    const std::uint16_t data = cpl == 0 ? kDataSelector : kUserData;
    for (unsigned n = 0; n < 6; ++n) c.segment[n] = segment_of(data, 3, dpl, false, true);
    c.segment[kCs] = segment_of(code_selector, 11, dpl, long_code, !long_code);
    c.cpl = dpl;
    c.gpr[kRsp] = cpl == 0 ? kKernelStack : kUserStack;
    c.rip = kCode;
    cpu.state_changed();
  }
};

}  // namespace vpmu::machine::x86::test
