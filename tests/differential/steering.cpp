// SPDX-License-Identifier: MIT
#include "steering.hpp"

#include <algorithm>
#include <cstring>

#include "values.hpp"

namespace vpmu::differential {

namespace {

constexpr int kRax = 0, kRcx = 1, kRsp = 4, kRbp = 5, kRsi = 6, kRdi = 7;
constexpr std::uint64_t kNoncanonical = 0x8123'4567'89ab'0000;

/// The inverse of an odd number modulo 2^64.
std::uint64_t inverse(std::uint64_t odd) {
  std::uint64_t x = odd;
  for (int i = 0; i < 6; ++i) x *= 2 - odd * x;
  return x;
}

/// True if an access near `address` cannot touch anything but the window's data and guard pages.
bool harmless(std::uint64_t address) {
  const bool in_window = address >= kWindowBegin + 1024 && address < kCode - 1024;
  const std::uint64_t top = address >> 46;
  const bool noncanonical = top > 3 && top < 0x3'fffc;
  return in_window || noncanonical;
}

bool is_near_indirect(const Decoded& decoded) {
  return (decoded.mnemonic() == ZYDIS_MNEMONIC_JMP || decoded.mnemonic() == ZYDIS_MNEMONIC_CALL) &&
         decoded.operands[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE;
}

/// Instructions whose accesses come in an order, or to an extent, of the processor's choice: they
/// do not fault.
bool has_free_order(const Decoded& decoded) {
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_FLDENV:
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FRSTOR:
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_MASKMOVQ:
    case ZYDIS_MNEMONIC_MASKMOVDQU: return true;
    default: return false;
  }
}

bool is_popf(const Decoded& decoded) {
  return decoded.mnemonic() == ZYDIS_MNEMONIC_POPF || decoded.mnemonic() == ZYDIS_MNEMONIC_POPFD ||
         decoded.mnemonic() == ZYDIS_MNEMONIC_POPFQ;
}

bool loads_mxcsr(const Decoded& decoded) {
  return decoded.mnemonic() == ZYDIS_MNEMONIC_LDMXCSR ||
         decoded.mnemonic() == ZYDIS_MNEMONIC_FXRSTOR ||
         decoded.mnemonic() == ZYDIS_MNEMONIC_FXRSTOR64;
}

bool is_bit_test(const Decoded& decoded) {
  return decoded.mnemonic() == ZYDIS_MNEMONIC_BT || decoded.mnemonic() == ZYDIS_MNEMONIC_BTS ||
         decoded.mnemonic() == ZYDIS_MNEMONIC_BTR || decoded.mnemonic() == ZYDIS_MNEMONIC_BTC;
}

bool is_string(const Decoded& decoded) {
  const auto category = decoded.instruction.meta.category;
  return category == ZYDIS_CATEGORY_STRINGOP || category == ZYDIS_CATEGORY_IOSTRINGOP;
}

}  // namespace

bool saves_pointers(const Decoded& decoded) {
  return decoded.mnemonic() == ZYDIS_MNEMONIC_FXSAVE ||
         decoded.mnemonic() == ZYDIS_MNEMONIC_FXSAVE64 ||
         decoded.mnemonic() == ZYDIS_MNEMONIC_FNSAVE ||
         decoded.mnemonic() == ZYDIS_MNEMONIC_FNSTENV;
}

namespace {

/// The last x87 instruction's opcode and pointers: processors differ in when they keep them.
void ignore_pointers(ZydisMnemonic mnemonic, unsigned width, std::uint64_t address,
                     TestCase& test) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
      test.ignored.push_back({address + 6, 18});
      test.ignored.push_back({address + 28, 4});  // MXCSR_MASK
      break;
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FNSTENV:
      if (width == 16) {
        test.ignored.push_back({address + 6, 8});
      } else {
        test.ignored.push_back({address + 12, 16});
      }
      break;
    default: break;
  }
}

}  // namespace

bool Steering::set(int gpr, std::uint64_t value) {
  if (!is_free(gpr)) return false;
  test_.input.gpr[static_cast<unsigned>(gpr)] = value;
  pinned_ |= 1u << gpr;
  return true;
}

std::uint64_t Steering::code_target() {
  // Behind the code, where there are breakpoints only.
  return kCodeEnd - 16 - random_.below(256);
}

std::uint64_t Steering::choose_target(std::uint64_t bytes, bool plain) {
  const std::uint64_t room = kDataBytes - 2048;
  const std::uint64_t aligned = (kData + 1024 + random_.below(room)) & ~std::uint64_t{15};
  if (plain) return aligned;
  const auto chance = static_cast<unsigned>(random_.below(alone_ ? 100 : 400));
  const std::uint64_t before = 1 + random_.below(std::max<std::uint64_t>(bytes, 1));
  if (chance < 8) {  // across pages
    return kData + kPage * (1 + random_.below(kDataBytes / kPage - 1)) - before;
  }
  if (chance < 14) return kDataEnd - before;  // into the guard, or just short of it
  if (chance < 17) return kData - before;
  if (chance < 21) return kReadOnly + random_.below(kReadOnlyBytes - 512);
  if (chance < 23) return kDataEnd + random_.below(kPage);
  if (chance < 25) return kNoncanonical + random_.below(kPage);
  if (random_.percent(30)) return aligned + random_.below(64);
  return aligned;
}

void Steering::fill_target(const Decoded& decoded, std::uint64_t address, std::uint64_t bytes) {
  if (stored_ || frozen_) return;  // what lies there now is as good
  if (address < kData || address + bytes > kDataEnd) return;
  std::uint8_t* const at = &test_.data[address - kData];
  if (decoded.instruction.meta.isa_ext == ZYDIS_ISA_EXT_X87 && bytes == 10) {
    if (decoded.mnemonic() == ZYDIS_MNEMONIC_FBLD && random_.percent(80)) {
      for (unsigned i = 0; i < 9; ++i)
        at[i] = static_cast<std::uint8_t>(random_.below(10) << 4 | random_.below(10));
      at[9] = random_.percent(50) ? 0x80 : 0;
      return;
    }
    fill_extended(random_, {at, 10});
    return;
  }
  if (bytes == 2 || bytes == 1) {
    const std::uint64_t value = random_integer(random_);
    std::memcpy(at, &value, bytes);
    return;
  }
  if (bytes == 4) {
    const auto value = random_.percent(60) ? random_single(random_)
                                           : static_cast<std::uint32_t>(random_integer(random_));
    std::memcpy(at, &value, sizeof value);
    if (loads_mxcsr(decoded)) {
      if (random_.percent(80)) at[2] = at[3] = 0;
      at[2] &= static_cast<std::uint8_t>(~2);  // an AMD processor's misaligned exception mask
    }
    return;
  }
  if (bytes >= 8 && bytes <= 16) {
    fill_lanes(random_, {at, bytes});
    return;
  }
  if (bytes == 512) {  // FXRSTOR: mostly one that it accepts
    CpuState state = random_state(random_);
    // Not bit 17, which AMD processors have.
    if (random_.percent(10)) state.fx.mxcsr |= 1u << (18 + random_.below(14));
    std::memcpy(at, &state.fx, bytes);
  }
}

bool Steering::place(const Decoded& decoded, const ZydisDecodedOperand& operand, Bytes& bytes,
                     std::uint64_t rip) {
  const ZydisDecodedOperandMem& mem = operand.mem;
  const ZydisDecodedInstruction& in = decoded.instruction;
  const std::uint64_t size = std::max<std::uint64_t>(operand.size / 8, 1);
  const bool repeated = is_string(decoded) && decoded.repeats();
  const bool control =
      is_near_indirect(decoded) || in.meta.category == ZYDIS_CATEGORY_RET || is_popf(decoded);
  const bool plain = is_bit_test(decoded) || has_free_order(decoded) ||
                     in.mnemonic == ZYDIS_MNEMONIC_ENTER || (control && !alone_);
  if ((stored_ || frozen_) && (control || loads_mxcsr(decoded))) return false;
  std::uint64_t target = choose_target(size, plain || placed_);
  // Of two accesses only the first may fault: their order is the processor's choice.
  const bool second = placed_;
  placed_ = true;
  // Control is passed only to where we chose: the value must be there to be read, or not at all.
  if (control && target < kData + 1024) target = kData + 1024;
  if (control && target > kDataEnd - 16 && target < kDataEnd) target = kDataEnd - 16;
  if (control && target >= kReadOnly && target < kReadOnlyEnd) target = kData + 2048;
  if (in.mnemonic == ZYDIS_MNEMONIC_FXRSTOR || in.mnemonic == ZYDIS_MNEMONIC_FXRSTOR64 ||
      in.mnemonic == ZYDIS_MNEMONIC_FXSAVE || in.mnemonic == ZYDIS_MNEMONIC_FXSAVE64) {
    if (target < kDataEnd && target > kDataEnd - 512 && random_.percent(80)) target -= 1024;
    // Misaligned and not canonical: either fault may come first.
    if (target >= kNoncanonical) target &= ~std::uint64_t{15};
  }

  // Stack accesses are not subject to the address size.
  const bool stack =
      operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && gpr_number(mem.base) == kRsp;
  const bool address32 = in.address_width == 32 && !stack;
  const std::uint64_t mask = address32 ? 0xffff'ffff : ~std::uint64_t{0};
  const auto displacement = static_cast<std::uint64_t>(mem.disp.value);
  if (address32 && target > mask) target = kData + 1024;
  std::uint64_t address = 0;

  const auto value_of = [&](int gpr) { return test_.input.gpr[static_cast<unsigned>(gpr)]; };
  const auto with_garbage = [&](std::uint64_t value) {
    return address32 ? (value & mask) | (random_.next() & ~mask) : value;
  };

  if (mem.base == ZYDIS_REGISTER_RIP || mem.base == ZYDIS_REGISTER_EIP ||
      (mem.base == ZYDIS_REGISTER_NONE && mem.index == ZYDIS_REGISTER_NONE)) {
    if (target > 0x7fff'ffff) target = kData + 512;
    const bool relative = mem.base != ZYDIS_REGISTER_NONE;
    if (in.raw.disp.size < 32) return false;
    const std::uint64_t value = relative ? target - (rip + bytes.size) : target;
    std::memcpy(&bytes.at[in.raw.disp.offset], &value, in.raw.disp.size / 8);
    address = target;
  } else {
    const int base = gpr_number(mem.base);
    const int index = gpr_number(mem.index);
    const std::uint64_t scale = mem.scale == 0 ? 1 : mem.scale;
    if ((base >= 0 && (clobbered_ >> base & 1)) || (index >= 0 && (clobbered_ >> index & 1)))
      return false;
    const auto index_value = [&] {
      return mem.index == ZYDIS_REGISTER_AL ? value_of(kRax) & 0xff : value_of(index);
    };
    if (mem.index == ZYDIS_REGISTER_AL) pinned_ |= 1u << kRax;
    if (base >= 0 && index < 0) {
      set(base, with_garbage(target - displacement));
      address = value_of(base) + displacement;
    } else if (base < 0) {
      set(index, with_garbage((target - displacement) / scale));
      address = value_of(index) * scale + displacement;
      if (!address32 && (target - displacement) % scale != 0)
        address = value_of(index) * scale + displacement;
    } else if (base == index) {
      const std::uint64_t sum = scale + 1;
      const std::uint64_t wanted = target - displacement;
      set(base, with_garbage(sum == 2 ? (wanted & mask) / 2 : wanted * inverse(sum)));
      address = value_of(base) * sum + displacement;
    } else {
      if (is_free(base)) {
        // The index stays what it is: any number will do.
        pinned_ |= 1u << index;
        set(base, with_garbage(target - displacement - index_value() * scale));
      } else if (mem.index != ZYDIS_REGISTER_AL) {
        set(index, with_garbage((target - displacement - value_of(base)) / scale));
      }
      address = value_of(base) + index_value() * scale + displacement;
    }
    address &= mask;
  }
  if (!harmless(address)) return false;
  if ((second || has_free_order(decoded)) && (address < kData + 512 || address >= kDataEnd - 512))
    return false;
  if (saves_pointers(decoded) || (moved_ && (control || loads_mxcsr(decoded)))) {
    // The address must be known: not made of registers that strings and stack accesses move.
    for (const int gpr : {gpr_number(mem.base), gpr_number(mem.index)})
      if (!alone_ && (gpr == kRsp || gpr == kRsi || gpr == kRdi)) return false;
  }
  if (repeated && address >= kDataEnd - 1024 && address < kDataEnd && !alone_) return false;
  fill_target(decoded, address, size);
  ignore_pointers(in.mnemonic, in.operand_width, address, test_);

  if (control && address >= kData && address < kDataEnd) {
    if (address + 8 > kDataEnd) return false;
    std::uint64_t value = 0;
    if (is_popf(decoded)) {
      // Not the trap flag: a debugger's business.
      value = random_.next() & ~std::uint64_t{0x100 | 0x4000};
      if (!alone_ || random_.percent(80)) value &= ~std::uint64_t{1 << 18};
    } else {
      value = code_target();
    }
    std::memcpy(&test_.data[address - kData], &value, sizeof value);
  } else if (control && address >= kReadOnly && address < kReadOnlyEnd) {
    return false;
  }
  return true;
}

bool Steering::place_implicit(const Decoded& decoded) {
  const ZydisDecodedInstruction& in = decoded.instruction;
  if (is_string(decoded) && decoded.repeats()) {
    std::uint64_t count = random_.below(random_.percent(80) ? 8 : 40);
    if (in.address_width == 32 && random_.percent(50)) count |= random_.next() << 32;
    if (!set(kRcx, count)) return false;
  }
  if (is_bit_test(decoded) && decoded.operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
      decoded.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
    if (!set(gpr_number(decoded.operands[1].reg.value),
             static_cast<std::uint64_t>(random_.between(-4096, 4095))))
      return false;
  }
  if (in.mnemonic == ZYDIS_MNEMONIC_ENTER) {
    if (!alone_) return false;
    if (!set(kRbp, kData + kPage + 8 * random_.below(64))) return false;
  }
  if (in.mnemonic == ZYDIS_MNEMONIC_LEAVE) {
    if (!set(kRbp, choose_target(8, false))) return false;
    if (!harmless(test_.input.gpr[kRbp])) return false;
  }
  if (is_near_indirect(decoded) && decoded.operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER) {
    const int gpr = gpr_number(decoded.operands[0].reg.value);
    if (gpr < 0 || !set(gpr, code_target())) return false;
  }
  return true;
}

bool Steering::accept(const Decoded& decoded, Bytes& bytes, std::uint64_t rip) {
  const ZydisDecodedInstruction& in = decoded.instruction;
  const std::uint32_t pinned = pinned_;
  const auto refuse = [&] {
    pinned_ = pinned;
    return false;
  };
  if (in.mnemonic == ZYDIS_MNEMONIC_ENTER) {
    const std::uint16_t size = static_cast<std::uint16_t>(random_.below(256));
    std::memcpy(&bytes.at[in.raw.imm[0].offset], &size, sizeof size);
  }
  placed_ = false;
  if (!place_implicit(decoded)) return refuse();
  bool stores = false;
  for (const ZydisDecodedOperand& operand : decoded.all()) {
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
    if ((operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) stores = true;
    if (operand.mem.type == ZYDIS_MEMOP_TYPE_AGEN) continue;
    if (in.mnemonic == ZYDIS_MNEMONIC_LEAVE) continue;
    if (!place(decoded, operand, bytes, rip)) return refuse();
  }
  if (stores) stored_ = true;
  // Whether vector accesses are checked for alignment is the processor's choice.
  for (const ZydisDecodedOperand& operand : decoded.all()) {
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY &&
        (operand.size > 80 || has_free_order(decoded) || in.mnemonic == ZYDIS_MNEMONIC_ENTER))
      test_.input.rflags &= ~std::uint64_t{1 << 18};
  }
  if (is_near_indirect(decoded) || is_popf(decoded) || saves_pointers(decoded) ||
      in.meta.category == ZYDIS_CATEGORY_RET)
    control_ = true;
  if (control_ || loads_mxcsr(decoded)) frozen_ = true;

  // With a 32-bit address size the upper halves are lost.
  if (is_string(decoded) && in.address_width == 32)
    clobbered_ |= 1u << kRcx | 1u << kRsi | 1u << kRdi;
  // Registers that move by a little stay good for addresses.
  const bool steps = is_string(decoded) || in.meta.category == ZYDIS_CATEGORY_PUSH ||
                     in.meta.category == ZYDIS_CATEGORY_POP ||
                     in.meta.category == ZYDIS_CATEGORY_CALL;
  if (steps) moved_ = true;
  for (const ZydisDecodedOperand& operand : decoded.all()) {
    if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
    if ((operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0) continue;
    const int gpr = gpr_number(operand.reg.value);
    if (gpr < 0) continue;
    if (steps && in.address_width == 64 && operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
        (gpr == kRsp || gpr == kRsi || gpr == kRdi))
      continue;
    clobbered_ |= 1u << gpr;
  }
  return true;
}

int Steering::claim(std::uint64_t value) {
  for (unsigned attempt = 0; attempt < 16; ++attempt) {
    const auto gpr = static_cast<int>(random_.below(16));
    if (gpr != kRsp && set(gpr, value)) return gpr;
  }
  return -1;
}

}  // namespace vpmu::differential
