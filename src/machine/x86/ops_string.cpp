// SPDX-License-Identifier: MIT
//
// String instructions. With a REP prefix one runs as many iterations as the budget covers (at least
// one), leaves the registers as the architecture has them between iterations, and is run again: so
// interrupts and deadlines come in at the right iteration. It retires once, when it ends; its loads
// and stores count per iteration, as do its cycles.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "machine/x86/chain.hpp"
#include "machine/x86/flags.hpp"
#include "machine/x86/forms.hpp"
#include "machine/x86/io.hpp"

namespace vpmu::machine::x86 {

namespace {

enum class Kind { kMovs, kStos, kLods, kScas, kCmps, kIns, kOuts };
enum class Repeat { kNone, kRep, kWhileEqual, kWhileNotEqual };

constexpr bool reads_si(Kind k) {
  return k == Kind::kMovs || k == Kind::kLods || k == Kind::kCmps || k == Kind::kOuts;
}
constexpr bool uses_di(Kind k) {
  return k != Kind::kLods && k != Kind::kOuts;
}
constexpr unsigned loads(Kind k) {
  if (k == Kind::kCmps) return 2;
  return k == Kind::kStos || k == Kind::kIns ? 0 : 1;
}
constexpr unsigned stores(Kind k) {
  return k == Kind::kMovs || k == Kind::kStos || k == Kind::kIns ? 1 : 0;
}

/// The address size's view of RSI, RDI and RCX.
class Registers {
 public:
  Registers(Core& core, const Op* op)
      : core_{core},
        mask_{op->flags & kAddress32   ? 0xffffffffULL
              : op->flags & kAddress16 ? 0xffffULL
                                       : ~0ULL} {}

  [[nodiscard]] std::uint64_t read(unsigned reg) const { return core_.gpr[reg] & mask_; }
  void write(unsigned reg, std::uint64_t value) {
    core_.gpr[reg] = mask_ == 0xffff ? (core_.gpr[reg] & ~mask_) | (value & mask_) : value & mask_;
  }
  /// Space before the register wraps, in bytes upwards.
  [[nodiscard]] std::uint64_t room(unsigned reg) const { return mask_ - read(reg); }

 private:
  Core& core_;
  std::uint64_t mask_;
};

std::uint64_t source_linear(const Core& core, const Op* op, std::uint64_t rsi) {
  std::uint64_t at = rsi;
  if (op->flags & kSegmentBase) at += core.segment[op->segment].base;
  return op->flags & kLinear32 ? static_cast<std::uint32_t>(at) : at;
}
std::uint64_t destination_linear(const Core& core, const Op* op, std::uint64_t rdi) {
  // Always ES, which has a base in legacy modes only.
  return op->flags & kLinear32 ? static_cast<std::uint32_t>(rdi + core.segment[kEs].base) : rdi;
}

/// One iteration. False: it did not happen.
template <class T, Kind K>
[[gnu::always_inline]] inline bool step(Core& core, const Op* op, std::uint64_t rsi,
                                        std::uint64_t rdi) {
  if constexpr (K == Kind::kMovs) {
    T value;
    return load(core, op, source_linear(core, op, rsi), value) &&
           store(core, op, destination_linear(core, op, rdi), value);
  } else if constexpr (K == Kind::kStos) {
    return store(core, op, destination_linear(core, op, rdi), get<T>(core, 0));
  } else if constexpr (K == Kind::kLods) {
    T value;
    if (!load(core, op, source_linear(core, op, rsi), value)) return false;
    set<T>(core, 0, value);
    return true;
  } else if constexpr (K == Kind::kScas) {
    T value;
    if (!load(core, op, destination_linear(core, op, rdi), value)) return false;
    note_sub<T>(core, get<T>(core, 0), value);
    return true;
  } else if constexpr (K == Kind::kCmps) {
    T a;
    T b;
    if (!load(core, op, source_linear(core, op, rsi), a)) return false;
    if (!load(core, op, destination_linear(core, op, rdi), b)) return false;
    note_sub<T>(core, a, b);
    return true;
  } else if constexpr (K == Kind::kIns) {
    const std::uint64_t at = destination_linear(core, op, rdi);
    // The port must not be read if the value has nowhere to go.
    if (!probe_write(core, op, at, sizeof(T))) return false;
    const auto value =
        static_cast<T>(core.environment->read_port(get<std::uint16_t>(core, 8 * kRdx), sizeof(T)));
    return store(core, op, at, value);
  } else {
    T value;
    if (!load(core, op, source_linear(core, op, rsi), value)) return false;
    core.environment->write_port(get<std::uint16_t>(core, 8 * kRdx), sizeof(T), value);
    return true;
  }
}

/// As many iterations of forward MOVS and STOS as lie within one page on both sides, at once.
/// Returns how many, 0 if it has to be done step by step.
template <class T, Kind K>
[[gnu::always_inline]] inline std::uint64_t bulk(Core& core, const Op* op, const Registers& r,
                                                 std::uint64_t wanted) {
  const std::uint64_t to = destination_linear(core, op, r.read(kRdi));
  std::uint64_t bytes = std::min(wanted * sizeof(T), 4096 - (to & 0xfff));
  bytes = std::min(bytes, r.room(kRdi));
  if constexpr (K == Kind::kMovs) {
    const std::uint64_t from = source_linear(core, op, r.read(kRsi));
    bytes = std::min({bytes, 4096 - (from & 0xfff), r.room(kRsi)});
    bytes -= bytes % sizeof(T);
    if (bytes == 0) return 0;
    const std::uint8_t* source = readable(core, from, static_cast<unsigned>(bytes));
    std::uint8_t* target = writable(core, to, static_cast<unsigned>(bytes));
    if (source == nullptr || target == nullptr) return 0;
    // A target within reach of the source repeats a pattern: step by step.
    if (target > source && target < source + bytes) return 0;
    std::memmove(target, source, bytes);
  } else {
    bytes -= bytes % sizeof(T);
    if (bytes == 0) return 0;
    std::uint8_t* target = writable(core, to, static_cast<unsigned>(bytes));
    if (target == nullptr) return 0;
    const T value = get<T>(core, 0);
    for (std::uint64_t n = 0; n < bytes; n += sizeof(T))
      std::memcpy(target + n, &value, sizeof value);
  }
  return bytes / sizeof(T);
}

/// Takes what iterations retire beyond the instruction itself from the budget.
void charge(Core& core, std::uint64_t cycles, std::uint64_t memory) {
  const std::uint64_t cycles_left = core.budget >> 16 & budget::kLaneMax;
  const std::uint64_t memory_left = core.budget >> 48 & budget::kLaneMax;
  if (cycles >= cycles_left || memory >= memory_left) {
    core.budget = 0;
  } else {
    core.budget -= budget::lanes(0, cycles, 0, memory);
  }
}

template <Kind K>
void retire_iterations(Core& core, std::uint64_t count) {
  using silicon::RawEvent;
  if (count == 0) return;
  const auto privilege = core.cpl != 0 ? silicon::Privilege::kUser : silicon::Privilege::kKernel;
  const std::uint64_t cycles = count * silicon::x86::kStringCycles;
  core.totals->add(RawEvent::kCycles, privilege, cycles);
  core.totals->add(RawEvent::kLoads, privilege, count * loads(K));
  core.totals->add(RawEvent::kStores, privilege, count * stores(K));
  charge(core, cycles, count * (loads(K) + stores(K)));
}

template <Kind K>
bool may_do_io(Core& core, const Op* op, unsigned bytes) {
  if constexpr (K == Kind::kIns || K == Kind::kOuts) {
    return check_io(core, op, get<std::uint16_t>(core, 8 * kRdx), bytes);
  }
  return true;
}

template <class T>
std::uint64_t stride(const Core& core) {
  return core.rflags & kDf ? -std::uint64_t{sizeof(T)} : std::uint64_t{sizeof(T)};
}

template <class T, Kind K>
const Op* once(Core& core, const Op* op) {
  Registers r{core, op};
  if (!may_do_io<K>(core, op, sizeof(T))) return nullptr;
  if (!step<T, K>(core, op, r.read(kRsi), r.read(kRdi))) return nullptr;
  if constexpr (reads_si(K)) r.write(kRsi, r.read(kRsi) + stride<T>(core));
  if constexpr (uses_di(K)) r.write(kRdi, r.read(kRdi) + stride<T>(core));
  if constexpr (K == Kind::kIns || K == Kind::kOuts) return finish_in_order(core, op);
  VPMU_NEXT(core, op);
}

template <class T, Kind K, Repeat R>
const Op* repeated(Core& core, const Op* op) {
  constexpr std::uint64_t kMost = 8192;
  Registers r{core, op};
  if (!may_do_io<K>(core, op, sizeof(T))) return nullptr;
  const std::uint64_t cycles_left = core.budget >> 16 & budget::kLaneMax;
  const std::uint64_t memory_left = core.budget >> 48 & budget::kLaneMax;
  const std::uint64_t affordable = std::max<std::uint64_t>(
      1, std::min(cycles_left / silicon::x86::kStringCycles, memory_left / (loads(K) + stores(K))));
  const std::uint64_t limit = std::min(kMost, affordable);
  std::uint64_t done = 0;
  bool ended = r.read(kRcx) == 0;
  while (!ended && done < limit) {
    std::uint64_t count = 0;
    if constexpr (K == Kind::kMovs || K == Kind::kStos) {
      if ((core.rflags & kDf) == 0)
        count = bulk<T, K>(core, op, r, std::min(limit - done, r.read(kRcx)));
    }
    if (count == 0) {
      if (!step<T, K>(core, op, r.read(kRsi), r.read(kRdi))) {
        retire_iterations<K>(core, done);
        return nullptr;
      }
      count = 1;
    }
    done += count;
    if constexpr (reads_si(K)) r.write(kRsi, r.read(kRsi) + count * stride<T>(core));
    if constexpr (uses_di(K)) r.write(kRdi, r.read(kRdi) + count * stride<T>(core));
    r.write(kRcx, r.read(kRcx) - count);
    ended = r.read(kRcx) == 0;
    if constexpr (R == Repeat::kWhileEqual) ended = ended || core.lazy.a != core.lazy.b;
    if constexpr (R == Repeat::kWhileNotEqual) ended = ended || core.lazy.a == core.lazy.b;
    // A write to code, or a device: what is behind must not run on old assumptions.
    if (core.block->dead) break;
  }
  retire_iterations<K>(core, done);
  if (!ended) {
    core.stop = Stop::kAgain;
    core.stopped_at = op;
    return nullptr;
  }
  if constexpr (K == Kind::kIns || K == Kind::kOuts) return finish_in_order(core, op);
  return leave(core, 0);
}

template <Kind K>
void translate(const Instruction& in, Translation& out, unsigned bits) {
  Op& op = out.op;
  constexpr auto kAnyRep = ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;
  const bool repeats = (in.zydis.attributes & kAnyRep) != 0;
  const bool not_equal = (in.zydis.attributes & ZYDIS_ATTRIB_HAS_REPNE) != 0;
  // The segment of the source operand; the destination's cannot be changed.
  for (unsigned n = 0; n < in.zydis.operand_count; ++n) {
    if (!in.is_memory(n)) continue;
    const bool source = in.operands[n].mem.base == ZYDIS_REGISTER_RSI ||
                        in.operands[n].mem.base == ZYDIS_REGISTER_ESI ||
                        in.operands[n].mem.base == ZYDIS_REGISTER_SI;
    if (source == reads_si(K)) {
      set_memory(op, in, in.operands[n]);
      if (source) break;
    }
  }
  op.base = op.index = kZeroRegister;
  op.immediate = in.next_rip;
  out.instruction_class = K == Kind::kIns || K == Kind::kOuts
                              ? silicon::x86::InstructionClass::kPortIo
                              : silicon::x86::InstructionClass::kString;
  constexpr bool kIo = K == Kind::kIns || K == Kind::kOuts;
  out.alone = kIo;
  out.terminator = kIo || repeats;
  if (!repeats) {
    out.record.loads = loads(K);
    out.record.stores = stores(K);
    op.run = pick_size(bits, []<class T>() -> Handler { return &once<T, K>; });
    return;
  }
  op.run = pick_size(bits, [&]<class T>() -> Handler {
    if constexpr (K == Kind::kScas || K == Kind::kCmps) {
      return not_equal ? &repeated<T, K, Repeat::kWhileNotEqual>
                       : &repeated<T, K, Repeat::kWhileEqual>;
    } else {
      return &repeated<T, K, Repeat::kRep>;
    }
  });
}

}  // namespace

bool translate_string(const Instruction& in, Translation& out) {
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_MOVSB: translate<Kind::kMovs>(in, out, 8); return true;
    case ZYDIS_MNEMONIC_MOVSW: translate<Kind::kMovs>(in, out, 16); return true;
    case ZYDIS_MNEMONIC_MOVSD:
      // Also the mnemonic of an SSE2 move.
      if (in.zydis.meta.category != ZYDIS_CATEGORY_STRINGOP) return false;
      translate<Kind::kMovs>(in, out, 32);
      return true;
    case ZYDIS_MNEMONIC_MOVSQ: translate<Kind::kMovs>(in, out, 64); return true;
    case ZYDIS_MNEMONIC_STOSB: translate<Kind::kStos>(in, out, 8); return true;
    case ZYDIS_MNEMONIC_STOSW: translate<Kind::kStos>(in, out, 16); return true;
    case ZYDIS_MNEMONIC_STOSD: translate<Kind::kStos>(in, out, 32); return true;
    case ZYDIS_MNEMONIC_STOSQ: translate<Kind::kStos>(in, out, 64); return true;
    case ZYDIS_MNEMONIC_LODSB: translate<Kind::kLods>(in, out, 8); return true;
    case ZYDIS_MNEMONIC_LODSW: translate<Kind::kLods>(in, out, 16); return true;
    case ZYDIS_MNEMONIC_LODSD: translate<Kind::kLods>(in, out, 32); return true;
    case ZYDIS_MNEMONIC_LODSQ: translate<Kind::kLods>(in, out, 64); return true;
    case ZYDIS_MNEMONIC_SCASB: translate<Kind::kScas>(in, out, 8); return true;
    case ZYDIS_MNEMONIC_SCASW: translate<Kind::kScas>(in, out, 16); return true;
    case ZYDIS_MNEMONIC_SCASD: translate<Kind::kScas>(in, out, 32); return true;
    case ZYDIS_MNEMONIC_SCASQ: translate<Kind::kScas>(in, out, 64); return true;
    case ZYDIS_MNEMONIC_CMPSB: translate<Kind::kCmps>(in, out, 8); return true;
    case ZYDIS_MNEMONIC_CMPSW: translate<Kind::kCmps>(in, out, 16); return true;
    case ZYDIS_MNEMONIC_CMPSD:
      if (in.zydis.meta.category != ZYDIS_CATEGORY_STRINGOP) return false;
      translate<Kind::kCmps>(in, out, 32);
      return true;
    case ZYDIS_MNEMONIC_CMPSQ: translate<Kind::kCmps>(in, out, 64); return true;
    case ZYDIS_MNEMONIC_INSB: translate<Kind::kIns>(in, out, 8); return true;
    case ZYDIS_MNEMONIC_INSW: translate<Kind::kIns>(in, out, 16); return true;
    case ZYDIS_MNEMONIC_INSD: translate<Kind::kIns>(in, out, 32); return true;
    case ZYDIS_MNEMONIC_OUTSB: translate<Kind::kOuts>(in, out, 8); return true;
    case ZYDIS_MNEMONIC_OUTSW: translate<Kind::kOuts>(in, out, 16); return true;
    case ZYDIS_MNEMONIC_OUTSD: translate<Kind::kOuts>(in, out, 32); return true;
    default: return false;
  }
}

}  // namespace vpmu::machine::x86
