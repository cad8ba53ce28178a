// SPDX-License-Identifier: MIT
//
// The deterministic cycle model: what an instruction adds to the core cycles, by class. It stands
// for a simple in-order core whose every access hits its first-level cache. It is no prediction of
// any real CPU's time; what matters is that it never changes from run to run, that dear
// instructions cost more than cheap ones, and that cycles grow with every instruction.
//
//   cycles(instruction) = cycles(class)
//                       + kLoadCycles per memory operand read + kStoreCycles per one written
//                       + kLockCycles if LOCKed (or XCHG with memory)
//                       + kStringCycles per iteration of a REP string instruction, its accesses
//                       included
//
// Nothing is added for mispredicted branches, TLB misses or page walks: cycles must not depend on
// who counts what.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vpmu::silicon::x86 {

enum class InstructionClass : std::uint8_t {
  kSimple,    ///< moves, arithmetic, logic, shifts, LEA, SETcc, CMOVcc, NOP, flags, stack
  kMultiply,  ///< MUL, IMUL, MULX
  kDivide,    ///< DIV, IDIV
  kBitScan,   ///< BSF, BSR, TZCNT, LZCNT, POPCNT, PDEP, PEXT, CRC32
  kBranch,    ///< near jumps, calls, returns, conditional or not, direct or indirect
  kExchange,  ///< XCHG, XADD, CMPXCHG, CMPXCHG8B/16B: without the lock
  kString,    ///< what a string instruction costs before its first iteration
  kX87,       ///< x87 add, compare, move
  kX87Multiply,
  kX87Divide,  ///< and square root
  kX87Transcendental,
  kSimdMove,      ///< register moves, shuffles, logic, integer SIMD
  kSimdAdd,       ///< floating-point add, compare, convert
  kSimdMultiply,  ///< floating-point and integer
  kSimdDivide,    ///< and square root
  kCrypto,        ///< AES round, PCLMULQDQ
  kFence,         ///< LFENCE, SFENCE, MFENCE; XBEGIN, XABORT, XTEST
  kCacheControl,  ///< CLFLUSH, CLFLUSHOPT
  kPause,
  kReadCounter,      ///< RDTSC, RDTSCP, RDPMC
  kSyscall,          ///< SYSCALL, SYSRET, SYSENTER, SYSEXIT
  kFar,              ///< far jumps, calls, returns, IRET, INT n
  kSegmentLoad,      ///< MOV and POP to segment registers, FS/GS base, SWAPGS
  kControlRegister,  ///< MOV to and from CRn and DRn, CLTS, LMSW, XSETBV
  kDescriptorTable,  ///< LGDT, LIDT, LLDT, LTR and their stores
  kTlbFlush,         ///< INVLPG, and the flush of a MOV to CR3 on top of kControlRegister
  kReadMsr,
  kWriteMsr,
  kCpuid,      ///< also VMCALL and VMMCALL
  kPortIo,     ///< IN, OUT
  kStateSave,  ///< FXSAVE, FXRSTOR, XSAVE, XRSTOR, FSAVE, FRSTOR, EMMS
  kHalt,
};
inline constexpr std::size_t kInstructionClassCount = 32;

/// Core cycles of one instruction of that class; at least 1.
constexpr std::uint32_t cycles(InstructionClass instruction) {
  switch (instruction) {
    case InstructionClass::kSimple: return 1;
    case InstructionClass::kMultiply: return 3;
    case InstructionClass::kDivide: return 20;
    case InstructionClass::kBitScan: return 3;
    case InstructionClass::kBranch: return 1;
    case InstructionClass::kExchange: return 2;
    case InstructionClass::kString: return 2;
    case InstructionClass::kX87: return 3;
    case InstructionClass::kX87Multiply: return 5;
    case InstructionClass::kX87Divide: return 20;
    case InstructionClass::kX87Transcendental: return 80;
    case InstructionClass::kSimdMove: return 1;
    case InstructionClass::kSimdAdd: return 4;
    case InstructionClass::kSimdMultiply: return 4;
    case InstructionClass::kSimdDivide: return 14;
    case InstructionClass::kCrypto: return 4;
    case InstructionClass::kFence: return 10;
    case InstructionClass::kCacheControl: return 20;
    case InstructionClass::kPause: return 40;
    case InstructionClass::kReadCounter: return 20;
    case InstructionClass::kSyscall: return 40;
    case InstructionClass::kFar: return 60;
    case InstructionClass::kSegmentLoad: return 10;
    case InstructionClass::kControlRegister: return 40;
    case InstructionClass::kDescriptorTable: return 20;
    case InstructionClass::kTlbFlush: return 60;
    case InstructionClass::kReadMsr: return 60;
    case InstructionClass::kWriteMsr: return 100;
    case InstructionClass::kCpuid: return 100;
    case InstructionClass::kPortIo: return 100;
    case InstructionClass::kStateSave: return 60;
    case InstructionClass::kHalt: return 20;
  }
  return 1;
}

inline constexpr std::uint32_t kLoadCycles = 1;
inline constexpr std::uint32_t kStoreCycles = 1;
inline constexpr std::uint32_t kLockCycles = 16;
inline constexpr std::uint32_t kStringCycles = 1;
/// Delivery of an interrupt or exception through the IDT, before the handler's first instruction.
inline constexpr std::uint32_t kDeliveryCycles = 60;

}  // namespace vpmu::silicon::x86
