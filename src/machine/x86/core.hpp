// SPDX-License-Identifier: MIT
//
// The state of one x86-64 CPU and the form in which decoded code is kept.
//
// Code runs as *blocks*: a run of instructions with one entry and one end, decoded once into an
// array of Ops. An Op is one instruction with its operands resolved to offsets and constants, and
// `run`, the function that executes it. It ends by running the next Op (see VPMU_NEXT), so a block
// is a chain of tail calls; the last Op of a block, its *terminator*, goes on to the next block
// through an Edge.
//
// What a block retires is known when it is decoded. Running it only counts how often each of its
// two ends was left through (Edge::count); hand_over() multiplies that out into the retire totals
// when somebody asks. So counting costs the same whether nobody counts or every counter does.
//
// How far the CPU may run is a Budget: four lanes in one integer (instructions, cycles, branches,
// memory operations), reduced once per block; a block that does not fit is not entered, and the
// outer loop (interpreter.cpp) runs it instruction by instruction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "machine/guest_memory.hpp"
#include "machine/x86/environment.hpp"
#include "machine/x86/identity.hpp"
#include "vpmu/silicon/branch_predictor.hpp"
#include "vpmu/silicon/memory_model.hpp"
#include "vpmu/silicon/retire_totals.hpp"

namespace vpmu::machine {
class CodePages;
}

namespace vpmu::machine::x86 {

struct Core;
struct Op;
struct Block;

/// Executes `op` and what follows it. Returns null when the CPU has to leave the code (Core::stop
/// says why), or, in builds without tail calls, the next Op to run.
using Handler = const Op* (*)(Core&, const Op*);

// Optimised builds chain Ops by sibling calls; sanitizers and debug builds would let the stack grow
// with every Op, so there the outer loop calls them one by one.
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    !defined(VPMU_NO_TAIL_CALLS)
#define VPMU_TAIL_CALLS 1
#define VPMU_RUN(core, op) return (op)->run(core, op)
#else
#define VPMU_TAIL_CALLS 0
#define VPMU_RUN(core, op) return op
#endif
/// The last statement of every handler that is not a terminator.
#define VPMU_NEXT(core, op) VPMU_RUN(core, (op) + 1)

// ---- Registers ----------------------------------------------------------------------------------

inline constexpr unsigned kRax = 0, kRcx = 1, kRdx = 2, kRbx = 3, kRsp = 4, kRbp = 5, kRsi = 6,
                          kRdi = 7;
/// Core::gpr has a 17th entry that is always zero: "no base" and "no index".
inline constexpr unsigned kZeroRegister = 16;

enum SegmentIndex : std::uint8_t { kEs, kCs, kSs, kDs, kFs, kGs };

/// A segment register with its hidden part.
struct Segment {
  std::uint16_t selector = 0;
  std::uint8_t type = 0;  ///< descriptor type bits 3:0 (code/data) or system type
  std::uint8_t dpl = 0;
  bool present = false;
  bool system = false;      ///< S = 0
  bool long_code = false;   ///< L
  bool big = false;         ///< D/B
  std::uint32_t limit = 0;  ///< in bytes, inclusive
  std::uint64_t base = 0;
  friend bool operator==(const Segment&, const Segment&) = default;
};

struct DescriptorTable {
  std::uint64_t base = 0;
  std::uint16_t limit = 0;
  friend bool operator==(const DescriptorTable&, const DescriptorTable&) = default;
};

/// 128 bits of an XMM register, or of memory.
struct alignas(16) Xmm {
  std::uint64_t lo = 0;
  std::uint64_t hi = 0;
  friend bool operator==(const Xmm&, const Xmm&) = default;
};

/// x87 state. Registers are physical (R0..R7), not relative to the top.
struct X87 {
  std::array<long double, 8> r{};
  std::uint16_t control = 0x37f;
  std::uint16_t status = 0;  ///< TOP in bits 13:11
  std::uint8_t valid = 0;    ///< bit i: R_i is not empty
  std::uint16_t last_opcode = 0;
  std::uint64_t last_instruction = 0;
  std::uint64_t last_data = 0;
};

// RFLAGS bits.
inline constexpr std::uint64_t kCf = 1, kPf = 1 << 2, kAf = 1 << 4, kZf = 1 << 6, kSf = 1 << 7,
                               kTf = 1 << 8, kIf = 1 << 9, kDf = 1 << 10, kOf = 1 << 11,
                               kIopl = 3 << 12, kNt = 1 << 14, kRf = 1 << 16, kVm = 1 << 17,
                               kAc = 1 << 18, kVif = 1 << 19, kVip = 1 << 20, kId = 1 << 21;
inline constexpr std::uint64_t kArithmeticFlags = kCf | kPf | kAf | kZf | kSf | kOf;

/// How the six arithmetic flags are to be worked out when somebody reads them (flags.hpp).
enum class FlagKind : std::uint8_t {
  kKnown,  ///< `result` holds the flags themselves, in RFLAGS positions
  kAdd,    ///< result = a + b
  kSub,    ///< result = a - b (also CMP, NEG with a = 0)
  kLogic,  ///< result; CF = OF = AF = 0
  kAdc,    ///< result = a + b + carry in (recovered from the operands)
  kSbb,    ///< result = a - b - carry in
  kInc,    ///< result; CF kept in `b`
  kDec,    ///< result; CF kept in `b`
};

struct LazyFlags {
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint64_t result = 0;
  FlagKind kind = FlagKind::kKnown;
  std::uint8_t bits = 64;  ///< operand size: 8, 16, 32 or 64; operands are zero-extended
};

// Control register bits.
inline constexpr std::uint64_t kCr0Pe = 1, kCr0Mp = 1 << 1, kCr0Em = 1 << 2, kCr0Ts = 1 << 3,
                               kCr0Et = 1 << 4, kCr0Ne = 1 << 5, kCr0Wp = 1 << 16, kCr0Am = 1 << 18,
                               kCr0Nw = 1 << 29, kCr0Cd = 1 << 30, kCr0Pg = 1ULL << 31;
inline constexpr std::uint64_t kCr4Vme = 1, kCr4Pvi = 1 << 1, kCr4Tsd = 1 << 2, kCr4De = 1 << 3,
                               kCr4Pse = 1 << 4, kCr4Pae = 1 << 5, kCr4Mce = 1 << 6,
                               kCr4Pge = 1 << 7, kCr4Pce = 1 << 8, kCr4Osfxsr = 1 << 9,
                               kCr4Osxmmexcpt = 1 << 10, kCr4Umip = 1 << 11, kCr4Fsgsbase = 1 << 16,
                               kCr4Pcide = 1 << 17, kCr4Osxsave = 1 << 18, kCr4Smep = 1 << 20,
                               kCr4Smap = 1 << 21;
inline constexpr std::uint64_t kEferSce = 1, kEferLme = 1 << 8, kEferLma = 1 << 10,
                               kEferNxe = 1 << 11;

/// Exception vectors.
inline constexpr std::uint8_t kDivideError = 0, kDebug = 1, kNmi = 2, kBreakpoint = 3,
                              kOverflow = 4, kBoundRange = 5, kInvalidOpcode = 6,
                              kDeviceNotAvailable = 7, kDoubleFault = 8, kInvalidTss = 10,
                              kSegmentNotPresent = 11, kStackFault = 12, kGeneralProtection = 13,
                              kPageFault = 14, kX87Error = 16, kAlignmentCheck = 17,
                              kSimdException = 19;

/// DR7: some breakpoint is enabled.
inline constexpr std::uint64_t kDr7Enabled = 0xff;

struct Exception {
  std::uint8_t vector = 0;
  bool has_error_code = false;
  std::uint32_t error_code = 0;
  std::uint64_t address = 0;  ///< CR2 for a page fault
};

/// The last exceptions, for whoever asks why a guest crashed. No part of the guest's state.
struct ExceptionLog {
  enum class Outcome : std::uint8_t {
    kDelivered,
    kNotDelivered,  ///< the attempt raised the next one
    kDoubled,       ///< raised by such an attempt; the two make a double fault
  };
  struct Entry {
    Exception exception;
    std::uint64_t rip = 0;
    Outcome outcome = Outcome::kDelivered;
  };
  static constexpr std::size_t kEntries = 8;

  void add(const Exception& exception, std::uint64_t rip, Outcome outcome) {
    entries[count++ % kEntries] = {exception, rip, outcome};
  }
  std::array<Entry, kEntries> entries{};  ///< number n is entry n % kEntries
  std::uint64_t count = 0;                ///< ever added
};

// ---- Decoded code -------------------------------------------------------------------------------

/// One decoded instruction. 32 bytes: two to a cache line.
struct Op {
  Handler run = nullptr;
  std::uint64_t immediate = 0;
  std::int32_t displacement = 0;
  std::uint8_t reg = 0;  ///< first register operand (destination): byte offset in Core::gpr, or
                         ///< an XMM/x87/segment/control register number
  std::uint8_t rm = 0;   ///< second register operand, as `reg`
  std::uint8_t base = kZeroRegister;  ///< of the memory operand: index in Core::gpr
  std::uint8_t index = kZeroRegister;
  std::uint8_t scale = 0;  ///< shift count of the index
  std::uint8_t segment = kDs;
  std::uint8_t aux = 0;    ///< the handler's own
  std::uint8_t flags = 0;  ///< OpFlag bits
};
static_assert(sizeof(Op) == 32);

enum OpFlag : std::uint8_t {
  kMemoryOperand = 1,  ///< the r/m operand is memory
  kAddress32 = 2,      ///< the effective address is truncated to 32 bits
  kAddress16 = 4,
  kSegmentBase = 8,  ///< the segment's base is to be added (FS/GS; all in legacy modes)
  kLinear32 = 16,    ///< not in 64-bit mode: the linear address is truncated to 32 bits
  kAbsolute64 = 64,  ///< no registers: `immediate` is the address (MOV to and from moffs64)
  kRipBase = 32,     ///< RIP-relative: `displacement` counts from the block's rip
};

/// What one instruction retires, and where it is: beside the Ops, not on the hot path.
struct OpRecord {
  std::uint16_t offset = 0;       ///< of the instruction from the block's first, in bytes
  std::uint8_t length = 0;        ///< of the instruction, in bytes
  std::uint8_t instructions = 1;  ///< 2 for a fused pair
  std::uint8_t lead = 0;          ///< instructions of the Op that retire before it can stop
  std::uint8_t cycles = 1;
  std::uint8_t loads = 0;
  std::uint8_t stores = 0;
  std::uint8_t modifies = 0;  ///< instructions that write back the memory operand they read
};

enum class BranchKind : std::uint8_t {
  kNone,
  kDirect,
  kConditional,
  kIndirect,
  kCall,
  kIndirectCall,
  kReturn,
  kFar
};

/// Leaving a block: through edge 0 (fall through) or 1 (taken).
struct Edge {
  Block* target = nullptr;  ///< the block to go on with; null: look it up
  std::uint64_t count = 0;  ///< how often since the last hand_over()
};

/// One of a block's edges, in one word: blocks are aligned.
class EdgeRef {
 public:
  EdgeRef() = default;
  EdgeRef(Block* block, unsigned number)
      : bits_{reinterpret_cast<std::uintptr_t>(block) | number} {}

  [[nodiscard]] explicit operator bool() const { return bits_ != 0; }
  [[nodiscard]] Block& block() const { return *reinterpret_cast<Block*>(bits_ & ~kNumber); }
  [[nodiscard]] unsigned number() const { return static_cast<unsigned>(bits_ & kNumber); }
  [[nodiscard]] inline Edge& edge() const;
  friend bool operator==(EdgeRef, EdgeRef) = default;

 private:
  static constexpr std::uintptr_t kNumber = 1;
  std::uintptr_t bits_ = 0;
};

/// Which code a block is: the same bytes decode differently in another mode.
struct Mode {
  enum Bits : std::uint8_t {
    kUser = 1,  ///< CPL 3 (or 1, 2)
    kCode16 = 2,
    kCode32 = 4,     ///< neither: 64-bit code
    kStack16 = 8,    ///< legacy modes: SP rather than ESP
    kAlone = 16,     ///< one instruction only; may touch devices and code
    kObserved = 32,  ///< terminators note branches in the log
  };
  std::uint8_t bits = 0;
  friend bool operator==(Mode, Mode) = default;
};

inline silicon::Privilege privilege_of(Mode mode) {
  return mode.bits & Mode::kUser ? silicon::Privilege::kUser : silicon::Privilege::kKernel;
}

/// What a whole block retires each time; the branch that ends it is counted by its kind and edge.
struct Retires {
  std::uint32_t instructions = 0;
  std::uint32_t cycles = 0;
  std::uint32_t loads = 0;
  std::uint32_t stores = 0;
  std::uint32_t modifies = 0;
};

struct alignas(64) Block {
  // What running it touches: one cache line.
  std::uint64_t cost = 0;  ///< Budget lanes
  const Op* ops = nullptr;
  Edge edge[2];
  std::uint64_t rip = 0;  ///< of the first instruction (offset in CS in legacy modes)
  Mode mode;
  BranchKind branch = BranchKind::kNone;
  std::uint16_t op_count = 0;
  std::uint16_t byte_length = 0;

  std::uint16_t branch_offset = 0;  ///< of the last instruction, in bytes
  std::uint64_t taken_rip = 0;      ///< where edge 1 leads, if that is fixed
  Retires retires;
  std::uint64_t physical = 0;   ///< of the first byte
  std::uint64_t physical2 = 0;  ///< of the second page, if the last instruction crosses into one
  std::uint64_t cs_base = 0;
  const OpRecord* records = nullptr;
  Block* next_in_bucket = nullptr;
  /// Edges that lead here: a list through `next_incoming` of their blocks.
  EdgeRef incoming;
  EdgeRef next_incoming[2];
  Block* listed_in[2] = {nullptr, nullptr};  ///< the block whose `incoming` has this one's edge
  bool dead = false;                         ///< its code was overwritten
};

inline Edge& EdgeRef::edge() const {
  return block().edge[number()];
}

// ---- Budget -------------------------------------------------------------------------------------

/// Four 16-bit lanes in one integer, the top bit of each a guard: a lane that is overdrawn sets it
/// (or borrows from its neighbour, whose outcome then does not matter).
namespace budget {
inline constexpr std::uint64_t kGuards = 0x8000'8000'8000'8000;
inline constexpr std::uint64_t kLaneMax = 0x7fff;
constexpr std::uint64_t lanes(std::uint64_t instructions, std::uint64_t cycles,
                              std::uint64_t branches, std::uint64_t memory) {
  const auto clamp = [](std::uint64_t n) { return n < kLaneMax ? n : kLaneMax; };
  return clamp(instructions) | clamp(cycles) << 16 | clamp(branches) << 32 | clamp(memory) << 48;
}
constexpr std::uint64_t cycles_of(std::uint64_t lanes) {
  return lanes >> 16 & 0xffff;
}
}  // namespace budget

// ---- Translation look-aside buffer --------------------------------------------------------------

/// Host addresses of guest pages. A tag is a page-aligned linear address, or kNoPage.
struct TlbEntry {
  static constexpr std::uint64_t kNoPage = 1;  // never equal to an address with low bits cleared
  std::uint64_t read_tag = kNoPage;
  std::uint64_t write_tag = kNoPage;
  std::uintptr_t addend = 0;   ///< host address = linear address + addend
  std::uint64_t physical = 0;  ///< page-aligned
};

struct TlbBank {
  static constexpr std::size_t kEntries = 256;
  std::array<TlbEntry, kEntries> entries;

  static std::size_t slot(std::uint64_t linear) { return (linear >> 12) % kEntries; }
};

/// Supervisor accesses differ with SMAP; user accesses always check U/S. kChecked never hits: every
/// access takes the slow path (alignment checks, data breakpoints, memory-event models).
enum TlbBankIndex : std::uint8_t {
  kBankUser,
  kBankSupervisor,
  kBankSupervisorNoUser,
  kBankChecked,
  kBankCount
};

// ---- The CPU ------------------------------------------------------------------------------------

/// Why the code was left.
enum class Stop : std::uint8_t {
  kNone,
  kBudget,     ///< before entering Core::block: the budget does not cover it
  kLookup,     ///< Core::rip is set; its block is not chained yet
  kDone,       ///< a terminator did all its work and set Core::rip; events may have changed
  kException,  ///< Core::stopped_at raised Core::exception; it has changed nothing
  kAlone,      ///< Core::stopped_at must run in a block of its own (device access, code write)
  kAgain,      ///< Core::stopped_at (a string instruction) is to go on where it is; not retired
};

/// That a block was left by a branch, while somebody wants to know of branches (branch_log.hpp).
struct LoggedBranch {
  EdgeRef edge;         ///< none: BranchLog has it apart
  std::uint64_t to;     ///< Core::rip behind it
  std::uint64_t cycle;  ///< of the vCPU, behind it
};
class BranchLog;

/// What the interpreter does when code does something that fast paths cannot.
struct Core {
  // Hot: the first cache lines.
  std::array<std::uint64_t, 17> gpr{};
  LazyFlags lazy;
  std::uint64_t budget = 0;
  TlbBank* tlb = nullptr;  ///< for data accesses in the current mode
  Block* block = nullptr;  ///< the one that runs
  std::uint64_t rip = 0;   ///< exact only while no code runs
  const Op* stopped_at = nullptr;
  Stop stop = Stop::kNone;
  Mode mode;
  std::uint8_t cpl = 0;
  bool in_code = false;      ///< Ops of Core::block run, and `rip` is out of date
  std::uint64_t rflags = 2;  ///< without the arithmetic flags, which are in `lazy`
  /// Where the next branch is noted in Mode::kObserved.
  LoggedBranch* log_end = nullptr;
  /// What the vCPU will have run, in cycles, when those in `budget` have been used up.
  std::uint64_t cycles_at_end = 0;

  std::array<Xmm, 16> xmm{};
  std::uint32_t mxcsr = 0x1f80;
  X87 x87;

  std::array<Segment, 6> segment{};
  Segment ldtr;
  Segment tr;
  DescriptorTable gdtr;
  DescriptorTable idtr;
  std::uint64_t cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0, efer = 0, xcr0 = 1;
  std::array<std::uint64_t, 4> dr{};
  std::uint64_t dr6 = 0xffff0ff0, dr7 = 0x400;

  Exception exception;
  ExceptionLog exceptions;

  // MSRs of the CPU's own.
  std::uint64_t star = 0, lstar = 0, cstar = 0, sfmask = 0, kernel_gs_base = 0;
  std::uint64_t sysenter_cs = 0, sysenter_esp = 0, sysenter_eip = 0;
  std::uint64_t tsc_offset = 0, tsc_adjust = 0;
  std::uint32_t tsc_aux = 0;

  std::uint64_t code_base = 0;  ///< CS.base, or 0 in 64-bit mode: rip + code_base is linear

  // Between instructions.
  bool halted = false;
  bool waiting_for_sipi = false;
  bool nmi_pending = false;
  bool nmi_blocked = false;  ///< from delivery of an NMI to the next IRET
  bool interrupt_shadow =
      false;  ///< after STI, MOV SS: no interrupt before the next instruction ends
  bool stack_switch_shadow = false;   ///< after MOV SS, POP SS: no single-step trap either
  std::uint8_t data_breakpoints = 0;  ///< DR6 bits of those that the running instruction has hit
  bool debug_trap = false;            ///< a single-step trap is to be taken at this boundary

  Identity identity;

  // What the CPU is built into.
  GuestMemory* memory = nullptr;
  Environment* environment = nullptr;
  CodePages* code_pages = nullptr;
  silicon::RetireTotals* totals = nullptr;
  silicon::BranchPredictor* predictor = nullptr;
  BranchLog* branch_log = nullptr;
  std::uint32_t slots_per_cycle = 0;
  silicon::MemoryModel* memory_model = nullptr;  ///< null: there is none
  bool modelled = false;                         ///< it is shown every data access
  /// Where translations for the current mode are remembered: `tlb`, unless every access has to take
  /// the slow path.
  TlbBank* bank = nullptr;

  std::unique_ptr<std::array<TlbBank, kBankCount>> banks;

  /// Values on their way between handlers and the slow paths of memory accesses.
  alignas(16) std::array<std::uint8_t, 64> transfer{};

  /// Edges with a count, waiting to be handed over.
  static constexpr std::size_t kPendingEdges = 4096;
  std::unique_ptr<std::array<EdgeRef, kPendingEdges>> pending_edges;
  std::size_t pending_count = 0;

  /// Blocks by address, for indirect branches; never null entries.
  static constexpr std::size_t kJumpEntries = 4096;
  std::unique_ptr<std::array<Block*, kJumpEntries>> jumps;
  Block* no_block = nullptr;  ///< what empty entries of `jumps` hold: never matches
  /// Pages that code was fetched from.
  struct FetchEntry {
    std::uint64_t tag = TlbEntry::kNoPage;
    std::uint64_t physical = 0;
    bool user = false;
  };
  std::array<FetchEntry, 64> fetch_tlb{};
  /// The device page that was accessed last.
  struct DeviceEntry {
    std::uint64_t tag = TlbEntry::kNoPage;
    std::uint64_t physical = 0;
    const TlbBank* bank = nullptr;
    bool may_write = false;  ///< and the dirty bit is set
  };
  DeviceEntry device_tlb;
  /// Edges that lead to another page: valid until translations change.
  std::vector<EdgeRef> cross_page_edges;
  EdgeRef left_through;  ///< with Stop::kLookup: the edge to link; none for indirect branches

  [[nodiscard]] bool long_mode() const { return (efer & kEferLma) != 0; }
  [[nodiscard]] bool code64() const { return (mode.bits & (Mode::kCode16 | Mode::kCode32)) == 0; }
};

/// Register operands by byte offset in Core::gpr (so that AH..BH are offsets 1, 5, 9, 13).
template <class T>
[[gnu::always_inline]] inline T get(const Core& core, unsigned offset) {
  T value;
  std::memcpy(&value, reinterpret_cast<const std::uint8_t*>(core.gpr.data()) + offset,
              sizeof value);
  return value;
}

/// 32-bit writes clear the upper half, as the architecture says; 8- and 16-bit writes keep the
/// rest.
template <class T>
[[gnu::always_inline]] inline void set(Core& core, unsigned offset, T value) {
  auto* at = reinterpret_cast<std::uint8_t*>(core.gpr.data()) + offset;
  if constexpr (sizeof(T) == 4) {
    const std::uint64_t wide = value;
    std::memcpy(at, &wide, sizeof wide);
  } else {
    std::memcpy(at, &value, sizeof value);
  }
}

/// Stops before `op` takes effect, with an exception. `return raise(...)` in a handler.
[[gnu::cold]] const Op* raise(Core& core, const Op* op, std::uint8_t vector);
[[gnu::cold]] const Op* raise(Core& core, const Op* op, std::uint8_t vector,
                              std::uint32_t error_code);

}  // namespace vpmu::machine::x86
