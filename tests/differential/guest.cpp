// SPDX-License-Identifier: MIT
#include "guest.hpp"

#include <cstring>
#include <string>
#include <utility>

#include "machine/code_pages.hpp"
#include "machine/guest_memory.hpp"
#include "machine/x86/cpu.hpp"
#include "machine/x86/flags.hpp"
#include "machine/x86/no_devices.hpp"
#include "vpmu/silicon/deadlines.hpp"
#include "vpmu/silicon/retire_totals.hpp"

namespace vpmu::differential {

namespace x86 = machine::x86;

namespace {

// Guest-physical layout. The supervisor sees physical 0.. at kSupervisor.
constexpr std::uint64_t kRam = 1 << 20;
constexpr std::uint64_t kSupervisor = 0xffff'8000'0000'0000;
constexpr std::uint64_t kPml4 = 0x1000, kLowPdpt = 0x2000, kLowPd = 0x3000, kLowPt = 0x4000,
                        kHighPdpt = 0x5000, kHighPd = 0x6000, kHighPt = 0x7000, kGdt = 0x8000,
                        kIdt = 0x9000, kTss = 0xa000, kHandlers = 0xb000, kStackTop = 0xcff0,
                        kWindowPages = 0x20000;

constexpr std::uint64_t kPresent = 1, kWrite = 2, kUser = 4, kNoExecute = 1ULL << 63;

// The selectors that a Linux process has: code that reads them sees the same on both sides.
constexpr std::uint16_t kUserCode = 0x33, kUserData = 0x2b, kKernelCode = 0x08, kKernelData = 0x10,
                        kTssSelector = 0x40;
constexpr std::uint64_t kHandlerBytes = 16;
constexpr std::uint8_t kHlt = 0xf4;
constexpr unsigned kVectors = 32;
constexpr std::uint64_t kMostInstructions = 4096;

std::uint64_t physical_of(std::uint64_t linear) {
  return linear - kWindowBegin + kWindowPages;
}

bool has_error_code(unsigned vector) {
  return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

x86::Segment flat(std::uint16_t selector, std::uint8_t dpl, bool code) {
  x86::Segment segment;
  segment.selector = selector;
  segment.type = code ? 0xb : 0x3;
  segment.dpl = dpl;
  segment.present = true;
  segment.long_code = code;
  segment.big = !code;
  segment.limit = 0xffff'ffff;
  return segment;
}

}  // namespace

struct GuestCpu::Private {
  explicit Private(machine::GuestMemory ram)
      : memory{std::move(ram)},
        code_pages{kRam / kPage},
        deadlines{totals},
        cpu{memory, nothing, code_pages, totals, deadlines} {}

  std::uint8_t* at(std::uint64_t physical) { return memory.host(physical, 1); }
  void put(std::uint64_t physical, std::uint64_t value) {
    std::memcpy(at(physical), &value, sizeof value);
  }
  template <class T>
  T take(std::uint64_t physical) {
    T value;
    std::memcpy(&value, at(physical), sizeof value);
    return value;
  }

  void map(std::uint64_t linear, std::size_t bytes, std::uint64_t bits) {
    for (std::size_t offset = 0; offset < bytes; offset += kPage) {
      const std::uint64_t page = linear + offset;
      put(kLowPt + (page >> 12) % 512 * 8, physical_of(page) | bits);
    }
  }
  void set_up_memory();
  void load(const CpuState& input);
  Outcome captured();

  machine::GuestMemory memory;
  x86::NoDevices nothing;
  machine::CodePages code_pages;
  silicon::RetireTotals totals;
  silicon::Deadlines deadlines;
  x86::Cpu cpu;
  Retired retired{};
};

void GuestCpu::Private::set_up_memory() {
  put(kPml4, kLowPdpt | kPresent | kWrite | kUser);
  put(kPml4 + (kSupervisor >> 39) % 512 * 8, kHighPdpt | kPresent | kWrite);
  put(kLowPdpt, kLowPd | kPresent | kWrite | kUser);
  put(kLowPd + (kWindowBegin >> 21) * 8, kLowPt | kPresent | kWrite | kUser);
  put(kHighPdpt, kHighPd | kPresent | kWrite);
  put(kHighPd, kHighPt | kPresent | kWrite);
  for (std::uint64_t page = 0; page < kWindowPages; page += kPage)
    put(kHighPt + page / kPage * 8, page | kPresent | kWrite);
  map(kData, kDataBytes, kPresent | kWrite | kUser | kNoExecute);
  map(kReadOnly, kReadOnlyBytes, kPresent | kUser | kNoExecute);
  map(kCode, kCodeBytes, kPresent | kUser);

  put(kGdt + kKernelCode, 0x00af'9b00'0000'ffff);
  put(kGdt + kKernelData, 0x00cf'9300'0000'ffff);
  put(kGdt + (kUserData & ~7u), 0x00cf'f300'0000'ffff);
  put(kGdt + (kUserCode & ~7u), 0x00af'fb00'0000'ffff);
  const std::uint64_t tss = kSupervisor + kTss;
  put(kGdt + kTssSelector,
      0x0000'8b00'0000'0067 | (tss & 0xff'ffff) << 16 | (tss >> 24 & 0xff) << 56);
  put(kGdt + kTssSelector + 8, tss >> 32);
  put(kTss + 4, kSupervisor + kStackTop);
  const std::uint16_t no_io_bitmap = 0x68;
  std::memcpy(at(kTss + 102), &no_io_bitmap, sizeof no_io_bitmap);

  for (unsigned vector = 0; vector < kVectors; ++vector) {
    const std::uint64_t handler = kSupervisor + kHandlers + vector * kHandlerBytes;
    const std::uint64_t dpl = vector == x86::kBreakpoint || vector == x86::kOverflow ? 3 : 0;
    put(kIdt + vector * 16, (handler & 0xffff) | std::uint64_t{kKernelCode} << 16 |
                                (0x8e00 | dpl << 13) << 32 | (handler >> 16 & 0xffff) << 48);
    put(kIdt + vector * 16 + 8, handler >> 32);
    std::memset(at(kHandlers + vector * kHandlerBytes), kHlt, kHandlerBytes);
  }
  std::memset(at(physical_of(kCode)), kBreakpointByte, kCodeBytes);
}

void GuestCpu::Private::load(const CpuState& input) {
  x86::Core& core = cpu.core();
  for (unsigned i = 0; i < 16; ++i) core.gpr[i] = input.gpr[i];
  core.rip = input.rip;
  core.rflags = (input.rflags & ~x86::kArithmeticFlags) | 2;
  x86::set_arithmetic_flags(core, input.rflags);
  core.mxcsr = input.fx.mxcsr;
  core.x87.control = input.fx.control;
  core.x87.status = input.fx.status;
  core.x87.valid = input.fx.tags;
  const unsigned top = input.fx.status >> 11 & 7;
  for (unsigned i = 0; i < 8; ++i)
    std::memcpy(&core.x87.r[(top + i) % 8], input.fx.st[i].data(), 10);
  std::memcpy(static_cast<void*>(core.xmm.data()), input.fx.xmm.data(), sizeof input.fx.xmm);
  core.x87.last_opcode = 0;
  core.x87.last_instruction = 0;
  core.x87.last_data = 0;

  core.cr0 = x86::kCr0Pe | x86::kCr0Mp | x86::kCr0Et | x86::kCr0Ne | x86::kCr0Wp | x86::kCr0Am |
             x86::kCr0Pg;
  core.cr2 = 0;
  core.cr3 = kPml4;
  core.cr4 = x86::kCr4Pae | x86::kCr4Pge | x86::kCr4Osfxsr | x86::kCr4Osxmmexcpt |
             x86::kCr4Fsgsbase | x86::kCr4Umip;
  core.efer = x86::kEferSce | x86::kEferLme | x86::kEferLma | x86::kEferNxe;
  core.cpl = 3;
  core.segment = {};
  core.segment[x86::kCs] = flat(kUserCode, 3, true);
  core.segment[x86::kSs] = flat(kUserData, 3, false);
  core.gdtr = {kSupervisor + kGdt, 0x4f};
  core.idtr = {kSupervisor + kIdt, kVectors * 16 - 1};
  core.tr = {};
  core.tr.selector = kTssSelector;
  core.tr.type = 0xb;
  core.tr.present = true;
  core.tr.system = true;
  core.tr.limit = 0x67;
  core.tr.base = kSupervisor + kTss;
  core.halted = false;
  core.nmi_pending = false;
  core.interrupt_shadow = false;
  core.debug_trap = false;
  cpu.state_changed();
}

Outcome GuestCpu::Private::captured() {
  Outcome outcome;
  const x86::Core& core = cpu.core();
  const std::uint64_t handler = core.rip - kSupervisor - kHandlers;
  if (handler >= kVectors * kHandlerBytes) {
    outcome.trouble = "halted outside the exception handlers";
    return outcome;
  }
  outcome.vector = static_cast<std::uint8_t>(handler / kHandlerBytes);
  std::uint64_t frame = core.gpr[x86::kRsp] - kSupervisor;
  const bool with_code = has_error_code(outcome.vector);
  if (frame != kStackTop - (with_code ? 48 : 40)) {
    outcome.trouble = "the exception frame is not where it should be";
    return outcome;
  }
  if (with_code) {
    outcome.error_code = take<std::uint32_t>(frame);
    frame += 8;
  }
  CpuState& state = outcome.state;
  for (unsigned i = 0; i < 16; ++i) state.gpr[i] = core.gpr[i];
  state.rip = take<std::uint64_t>(frame);
  state.rflags = take<std::uint64_t>(frame + 16);
  state.gpr[x86::kRsp] = take<std::uint64_t>(frame + 24);
  if (take<std::uint16_t>(frame + 8) != kUserCode || take<std::uint16_t>(frame + 32) != kUserData)
    outcome.trouble = "the exception frame has wrong selectors";
  outcome.address = core.cr2;
  FxImage& fx = state.fx;
  fx.mxcsr = core.mxcsr;
  fx.control = core.x87.control;
  fx.status = core.x87.status;
  fx.tags = core.x87.valid;
  const unsigned top = fx.status >> 11 & 7;
  for (unsigned i = 0; i < 8; ++i) std::memcpy(fx.st[i].data(), &core.x87.r[(top + i) % 8], 10);
  std::memcpy(fx.xmm.data(), core.xmm.data(), sizeof fx.xmm);
  return outcome;
}

GuestCpu::GuestCpu(std::unique_ptr<Private> p) : private_{std::move(p)} {}
GuestCpu::GuestCpu(GuestCpu&&) noexcept = default;
GuestCpu::~GuestCpu() = default;

Result<GuestCpu> GuestCpu::create() {
  auto memory = machine::GuestMemory::create(kRam);
  if (!memory) return fail(memory.error().message);
  auto p = std::make_unique<Private>(std::move(*memory));
  p->set_up_memory();
  p->cpu.reset();
  return GuestCpu{std::move(p)};
}

std::uint8_t* GuestCpu::data() {
  return private_->at(physical_of(kData));
}

void GuestCpu::fill_read_only(std::span<const std::uint8_t> bytes) {
  std::memcpy(private_->at(physical_of(kReadOnly)), bytes.data(), bytes.size());
}

void GuestCpu::write_code(std::uint64_t address, std::span<const std::uint8_t> bytes) {
  const std::uint64_t physical = physical_of(address);
  std::memcpy(private_->at(physical), bytes.data(), bytes.size());
  const std::uint64_t last = physical + bytes.size() - 1;
  for (std::uint64_t page = physical / kPage; page <= last / kPage; ++page)
    private_->code_pages.written(page);
}

Outcome GuestCpu::run(const CpuState& input, Pace pace) {
  using Exit = x86::Cpu::Exit;
  Private& p = *private_;
  p.load(input);
  p.cpu.hand_over();
  const Retired before = p.totals.of(silicon::Privilege::kUser);
  constexpr std::uint64_t kForever = ~std::uint64_t{0};
  Exit exit = Exit::kBudget;
  if (pace == Pace::kBlocks) {
    exit = p.cpu.run(kMostInstructions, kForever);
  } else {
    for (std::uint64_t i = 0; i < kMostInstructions && exit == Exit::kBudget; ++i)
      exit = p.cpu.run(1, kForever);
  }
  p.cpu.hand_over();
  p.retired = p.totals.of(silicon::Privilege::kUser);
  for (std::size_t i = 0; i < p.retired.size(); ++i) p.retired[i] -= before[i];
  if (exit == Exit::kHalted) return p.captured();
  Outcome outcome;
  outcome.trouble = exit == Exit::kShutdown ? "triple fault"
                    : exit == Exit::kBudget ? "does not end"
                                            : "left run() for no reason";
  return outcome;
}

const GuestCpu::Retired& GuestCpu::retired() const {
  return private_->retired;
}

}  // namespace vpmu::differential
