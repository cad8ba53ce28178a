// SPDX-License-Identifier: MIT
#include "machine/x86/decoder.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "machine/code_pages.hpp"
#include "machine/x86/flags.hpp"
#include "machine/x86/mmu.hpp"
#include "machine/x86/translate.hpp"

namespace vpmu::machine::x86 {

/// The handlers at the end of a block that just goes on, and of code that is none.
Handler go_on_handler();
Handler undefined_handler();

namespace {

constexpr unsigned kLongestInstruction = 15;

void set_up(ZydisDecoder& decoder, ZydisMachineMode mode, ZydisStackWidth stack) {
  ZydisDecoderInit(&decoder, mode, stack);
  // What CPUID does not offer decodes as what its encoding was before.
  for (const ZydisDecoderMode off :
       {ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET, ZYDIS_DECODER_MODE_CLDEMOTE,
        ZYDIS_DECODER_MODE_WBNOINVD, ZYDIS_DECODER_MODE_KNC}) {
    ZydisDecoderEnableMode(&decoder, off, ZYAN_FALSE);
  }
}

/// The code bytes from one address on: as many as the first page has, and the second page's where
/// the first instruction needs them.
class CodeBytes {
 public:
  CodeBytes(Core& core, std::uint64_t linear, std::uint64_t physical)
      : core_{core}, linear_{linear} {
    in_page_ = static_cast<unsigned>(4096 - (linear & 0xfff));
    bytes_ = core.memory->host(physical, in_page_);
  }

  [[nodiscard]] bool in_ram() const { return bytes_ != nullptr; }
  [[nodiscard]] const std::uint8_t* at(unsigned offset) const {
    return crossing_ ? buffer_.data() + offset : bytes_ + offset;
  }
  [[nodiscard]] unsigned left(unsigned offset) const {
    const unsigned end = crossing_ ? crossing_end_ : in_page_;
    return end - offset;
  }
  [[nodiscard]] bool crosses() const { return crossing_; }
  [[nodiscard]] std::uint64_t second_physical() const { return second_physical_; }

  /// Makes the first instruction's bytes contiguous across the page's end. False: the second page
  /// cannot be fetched; Core::exception says why.
  bool cross() {
    std::uint64_t next = linear_ + in_page_;
    if (!core_.long_mode()) next = static_cast<std::uint32_t>(next);
    if (!translate_fetch(core_, next, second_physical_)) return false;
    const std::uint8_t* second = core_.memory->host(second_physical_, kLongestInstruction);
    if (second == nullptr) {
      set_exception(core_, kGeneralProtection, 0);
      return false;
    }
    std::memcpy(buffer_.data(), bytes_, in_page_);
    std::memcpy(buffer_.data() + in_page_, second, kLongestInstruction);
    crossing_end_ = std::min(kLongestInstruction, in_page_ + kLongestInstruction);
    crossing_ = true;
    return true;
  }
  /// Bytes of a crossing instruction that lie in the first page.
  [[nodiscard]] unsigned in_first_page() const { return in_page_; }

 private:
  Core& core_;
  std::uint64_t linear_;
  std::uint64_t second_physical_ = 0;
  const std::uint8_t* bytes_;
  unsigned in_page_;
  unsigned crossing_end_ = 0;
  bool crossing_ = false;
  std::array<std::uint8_t, 32> buffer_{};
};

struct Decoded {
  Instruction in;
  Translation out;
};

bool translate(const Instruction& in, Translation& out) {
  out = Translation{};
  return translate_integer(in, out) || translate_control(in, out) || translate_stack(in, out) ||
         translate_bits(in, out) || translate_string(in, out) || translate_sse_integer(in, out) ||
         translate_sse_float(in, out) || translate_x87(in, out) || translate_system(in, out);
}

std::uint32_t arithmetic_mask(ZydisAccessedFlagsMask flags) {
  constexpr ZydisAccessedFlagsMask kAll = ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF |
                                          ZYDIS_CPUFLAG_ZF | ZYDIS_CPUFLAG_SF | ZYDIS_CPUFLAG_OF;
  return flags & kAll;
}

std::uint32_t flags_written(const Instruction& in) {
  const ZydisAccessedFlags* flags = in.zydis.cpu_flags;
  if (flags == nullptr) return 0;
  return arithmetic_mask(flags->modified | flags->set_0 | flags->set_1 | flags->undefined);
}

/// True for instructions that overwrite all six flags and can neither fault nor look at them.
bool replaces_flags(const Decoded& decoded) {
  constexpr std::uint32_t kAll = ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF |
                                 ZYDIS_CPUFLAG_ZF | ZYDIS_CPUFLAG_SF | ZYDIS_CPUFLAG_OF;
  switch (decoded.in.mnemonic()) {
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_TEST:
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_NEG: break;
    default: return false;
  }
  return (decoded.out.op.flags & kMemoryOperand) == 0 && flags_written(decoded.in) == kAll;
}

/// True if somebody may see the flags as they are before this instruction: it reads them, or it can
/// fault (and the flags are then part of what the handler sees), or is not known not to.
bool may_expose_flags(const Decoded& decoded) {
  if (decoded.out.terminator || (decoded.out.op.flags & kMemoryOperand)) return true;
  const ZydisAccessedFlags* flags = decoded.in.zydis.cpu_flags;
  if (flags != nullptr && arithmetic_mask(flags->tested)) return true;
  switch (decoded.in.mnemonic()) {
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_TEST:
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_NEG:
    case ZYDIS_MNEMONIC_NOT:
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
    case ZYDIS_MNEMONIC_IMUL:
    case ZYDIS_MNEMONIC_XCHG:
    case ZYDIS_MNEMONIC_CDQE:
    case ZYDIS_MNEMONIC_CDQ:
    case ZYDIS_MNEMONIC_CQO:
    case ZYDIS_MNEMONIC_NOP:
      return decoded.in.mnemonic() == ZYDIS_MNEMONIC_MOV && decoded.out.op.flags & kMemoryOperand;
    // LEA has a memory operand without an access. Shifts keep the flags for a count of zero.
    case ZYDIS_MNEMONIC_LEA: return false;
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR: return !decoded.in.is_immediate(1);
    default: return true;
  }
}

/// Translates again, without flags, what leaves flags that nobody can see.
void drop_dead_flags(Decoded* first, unsigned count) {
  bool dead = false;
  for (unsigned n = count; n-- > 0;) {
    Decoded& decoded = first[n];
    if (dead && flags_written(decoded.in) != 0) {
      decoded.in.flags_live = false;
      const Translation before = decoded.out;
      translate(decoded.in, decoded.out);
      // What was worked out after the first translation stays.
      decoded.out.record = before.record;
      decoded.out.branch_offset = before.branch_offset;
    }
    const bool is_lea = decoded.in.mnemonic() == ZYDIS_MNEMONIC_LEA;
    if (replaces_flags(decoded))
      dead = true;
    else if (!is_lea && may_expose_flags(decoded))
      dead = false;
  }
}

/// Adds the instruction in front of `into` to its Op's record.
void lead_in(const OpRecord& front, OpRecord& into) {
  into.instructions = static_cast<std::uint8_t>(into.instructions + front.instructions);
  into.cycles = static_cast<std::uint8_t>(into.cycles + front.cycles);
}

/// Makes fewer Ops of a run of instructions: NOPs join the Op behind them, a comparison joins its
/// branch. Returns how many are left.
unsigned merge(Decoded* run, unsigned count) {
  unsigned kept = 0;
  for (unsigned n = 0; n < count; ++n) {
    if (n + 1 < count) {
      Decoded& next = run[n + 1];
      const bool last = n + 2 == count;
      if (run[n].in.mnemonic() == ZYDIS_MNEMONIC_NOP && !next.out.alone &&
          next.out.record.lead < 200) {
        // The NOPs retire even if the Op they have joined stops.
        const auto lead = static_cast<std::uint8_t>(run[n].out.record.lead + 1);
        lead_in(run[n].out.record, next.out.record);
        next.out.record.lead = lead;
        continue;
      }
      if (last && run[n].out.record.stores == 0 &&
          fuse_compare_and_branch(run[n].in, run[n].out.op, next.in, next.out)) {
        // Only the comparison can stop, and then neither has retired.
        const OpRecord front = run[n].out.record;
        lead_in(front, next.out.record);
        next.out.record.lead = front.lead;
        next.out.record.loads = front.loads;
        next.out.record.offset = front.offset;
        next.out.branch_offset = static_cast<std::uint16_t>(next.in.rip - next.in.block_rip);
        continue;
      }
    }
    if (kept != n) run[kept] = run[n];
    ++kept;
  }
  return kept;
}

/// One of its operands is memory that it reads and writes.
bool modifies_memory(const Decoded& decoded) {
  if (decoded.out.record.loads == 0 || decoded.out.record.stores == 0) return false;
  for (unsigned n = 0; n < decoded.in.zydis.operand_count; ++n) {
    const ZydisOperandActions actions = decoded.in.operands[n].actions;
    if (decoded.in.is_memory(n) && (actions & ZYDIS_OPERAND_ACTION_MASK_READ) &&
        (actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
      return true;
  }
  return false;
}

void finish_record(Decoded& decoded) {
  namespace model = silicon::x86;
  OpRecord& record = decoded.out.record;
  const auto attributes = decoded.in.zydis.attributes;
  std::uint32_t cycles = model::cycles(decoded.out.instruction_class) +
                         record.loads * model::kLoadCycles + record.stores * model::kStoreCycles;
  const bool implicit_lock = decoded.in.mnemonic() == ZYDIS_MNEMONIC_XCHG && record.stores != 0;
  if ((attributes & ZYDIS_ATTRIB_HAS_LOCK) || implicit_lock) cycles += model::kLockCycles;
  record.cycles = static_cast<std::uint8_t>(std::min<std::uint32_t>(cycles, 255));
  if (modifies_memory(decoded)) record.modifies = 1;
}

/// Some instructions make one access, as they are counted, in many pieces, each of which may miss.
/// What that is in accesses of MemoryModel::kMostPerAccess misses.
unsigned accesses_in_pieces(const Decoded& decoded) {
  const OpRecord& record = decoded.out.record;
  if (record.loads + record.stores == 0) return 0;
  switch (decoded.out.instruction_class) {
    case silicon::x86::InstructionClass::kStateSave: return 20;  // XSAVE: 40 aligned pieces
    case silicon::x86::InstructionClass::kDescriptorTable: return 2;
    default: break;
  }
  const bool by_bytes = decoded.in.mnemonic() == ZYDIS_MNEMONIC_MASKMOVDQU ||
                        decoded.in.mnemonic() == ZYDIS_MNEMONIC_MASKMOVQ;
  return by_bytes ? 8 : 0;
}

/// Adds up what the whole block retires. `more_accesses`: what it may miss beyond its accesses.
void sum_up(Block& block, unsigned count, unsigned more_accesses) {
  Retires& sum = block.retires;
  for (unsigned n = 0; n < count; ++n) {
    sum.instructions += block.records[n].instructions;
    sum.cycles += block.records[n].cycles;
    sum.loads += block.records[n].loads;
    sum.stores += block.records[n].stores;
    sum.modifies += block.records[n].modifies;
  }
  const bool is_branch = block.branch != BranchKind::kNone;
  block.cost = budget::lanes(sum.instructions, sum.cycles, is_branch ? 1 : 0,
                             sum.loads + sum.stores + more_accesses);
}

bool reaches_too_far(const Decoded& decoded) {
  if ((decoded.out.op.flags & kRipBase) == 0) return false;
  for (unsigned n = 0; n < decoded.in.zydis.operand_count; ++n) {
    const ZydisDecodedOperand& operand = decoded.in.operands[n];
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || operand.mem.base != ZYDIS_REGISTER_RIP)
      continue;
    const std::int64_t distance =
        operand.mem.disp.value +
        static_cast<std::int64_t>(decoded.in.next_rip - decoded.in.block_rip);
    return distance != static_cast<std::int32_t>(distance);
  }
  return false;
}

}  // namespace

Decoder::Decoder() {
  set_up(decoder64_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  set_up(decoder32_, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
  set_up(decoder16_, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
}

Block* Decoder::decode(Core& core, BlockCache& cache, Mode mode, std::uint64_t physical) {
  const ZydisDecoder& decoder = mode.bits & Mode::kCode16   ? decoder16_
                                : mode.bits & Mode::kCode32 ? decoder32_
                                                            : decoder64_;
  CodeBytes code{core, core.rip + core.code_base, physical};
  if (!code.in_ram()) {
    // Nothing answers where there is no memory; what is read there is no instruction.
    set_exception(core, kInvalidOpcode);
    return nullptr;
  }

  std::array<Decoded, kMostInstructions> run;
  const unsigned most = mode.bits & Mode::kAlone ? 1 : kMostInstructions;
  unsigned count = 0;
  unsigned offset = 0;
  FlagKind flags_kind = FlagKind::kKnown;
  unsigned flags_bits = 64;
  bool terminated = false;
  while (count < most && !terminated && code.left(offset) > 0) {
    Decoded& next = run[count];
    next.in = Instruction{};
    const auto decode_here = [&] {
      return ZydisDecoderDecodeFull(&decoder, code.at(offset),
                                    std::min(code.left(offset), kLongestInstruction),
                                    &next.in.zydis, next.in.operands);
    };
    ZyanStatus status = decode_here();
    if (status == ZYDIS_STATUS_NO_MORE_DATA && code.left(offset) < kLongestInstruction) {
      if (count != 0) break;
      if (!code.cross()) return nullptr;
      status = decode_here();
    }
    next.in.mode = mode;
    next.in.rip = core.rip + offset;
    next.in.block_rip = core.rip;
    next.in.flags_kind = flags_kind;
    next.in.flags_bits = flags_bits;
    if (!ZYAN_SUCCESS(status)) {
      if (status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG || status == ZYDIS_STATUS_NO_MORE_DATA) {
        // Longer than 15 bytes: #GP where it is reached.
        if (count != 0) break;
        set_exception(core, kGeneralProtection, 0);
        return nullptr;
      }
      next.in.zydis.length = 1;
      next.out = Translation{};
      next.out.op.run = undefined_handler();
      next.out.terminator = true;
    } else {
      next.in.next_rip = next.in.rip + next.in.zydis.length;
      if (!translate(next.in, next.out)) {
        next.out = Translation{};
        next.out.op.run = undefined_handler();
        next.out.terminator = true;
      }
      if (count != 0 && (next.out.alone || reaches_too_far(next))) break;
    }
    next.out.record.offset = static_cast<std::uint16_t>(offset);
    next.out.record.length = next.in.zydis.length;
    next.out.branch_offset = static_cast<std::uint16_t>(offset);
    finish_record(next);
    offset += next.in.zydis.length;
    terminated = next.out.terminator;
    if (flags_written(next.in) != 0) {
      flags_kind = next.out.flags_left;
      flags_bits = next.in.operands[0].size;
    }
    ++count;
    if (code.crosses()) break;
  }
  drop_dead_flags(run.data(), count);
  count = merge(run.data(), count);

  // An instruction that was looked at and left out may have been the only one to cross.
  const bool crosses = code.crosses() && offset > code.in_first_page();
  const std::size_t page = core.memory->page_index(physical);
  const std::size_t last_page = crosses ? core.memory->page_index(code.second_physical()) : page;
  const BlockCache::NewBlock made =
      cache.add({physical, core.rip, core.code_base, mode}, count + 1, page, last_page);
  unsigned more_accesses = 0;
  for (unsigned n = 0; n < count; ++n) {
    made.ops[n] = run[n].out.op;
    made.records[n] = run[n].out.record;
    more_accesses += accesses_in_pieces(run[n]);
  }
  made.ops[count].run = go_on_handler();
  made.records[count] = {static_cast<std::uint16_t>(offset), 0, 0, 0, 0, 0, 0, 0};
  Block& block = *made.block;
  block.op_count = static_cast<std::uint16_t>(count);
  block.byte_length = static_cast<std::uint16_t>(offset);
  block.branch_offset = run[count - 1].out.branch_offset;
  block.branch = run[count - 1].out.branch;
  block.taken_rip = run[count - 1].out.op.immediate;
  block.physical2 = crosses ? code.second_physical() : 0;
  sum_up(block, count, more_accesses);

  const auto first = static_cast<unsigned>(physical & 0xfff);
  if (crosses) {
    core.code_pages->mark(page, first, 4095);
    core.code_pages->mark(last_page, 0, offset - code.in_first_page() - 1);
  } else {
    core.code_pages->mark(page, first, first + offset - 1);
  }
  return &block;
}

}  // namespace vpmu::machine::x86
