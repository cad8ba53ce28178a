// SPDX-License-Identifier: MIT
#include "guest/branch_steps.hpp"

#include <Zydis/Zydis.h>
#include <fmt/format.h>

#include <array>
#include <cstring>

namespace vpmu::test {

using machine::Outcome;
using silicon::Privilege;
using silicon::x86::BranchType;
using silicon::x86::TakenBranch;

namespace {

constexpr std::size_t kLongest = 15;

BranchType type_of(const ZydisDecodedInstruction& instruction, bool direct) {
  if (instruction.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) return BranchType::kOther;
  switch (instruction.meta.category) {
    case ZYDIS_CATEGORY_COND_BR: return BranchType::kConditional;
    case ZYDIS_CATEGORY_UNCOND_BR:
      return direct ? BranchType::kDirectJump : BranchType::kIndirectJump;
    case ZYDIS_CATEGORY_CALL: return direct ? BranchType::kDirectCall : BranchType::kIndirectCall;
    case ZYDIS_CATEGORY_RET:
      return instruction.mnemonic == ZYDIS_MNEMONIC_RET ? BranchType::kReturn : BranchType::kOther;
    default: return BranchType::kOther;
  }
}

bool is_branch(const ZydisDecodedInstruction& instruction) {
  switch (instruction.meta.category) {
    case ZYDIS_CATEGORY_COND_BR:
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_RET: return true;
    default: break;
  }
  switch (instruction.mnemonic) {
    case ZYDIS_MNEMONIC_SYSCALL:
    case ZYDIS_MNEMONIC_SYSRET:
    case ZYDIS_MNEMONIC_SYSENTER:
    case ZYDIS_MNEMONIC_SYSEXIT: return true;
    default: return false;
  }
}

bool is_trap(ZydisMnemonic mnemonic) {
  return mnemonic == ZYDIS_MNEMONIC_INT || mnemonic == ZYDIS_MNEMONIC_INT3 ||
         mnemonic == ZYDIS_MNEMONIC_INT1;
}

/// docs/counting.md: of the class, and one for each load and store.
std::uint8_t cycles_of(const ZydisDecodedInstruction& instruction,
                       const ZydisDecodedOperand* operands) {
  switch (instruction.mnemonic) {
    case ZYDIS_MNEMONIC_NOP: return 1;
    case ZYDIS_MNEMONIC_PUSH: return 2;
    case ZYDIS_MNEMONIC_ADD: return operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? 3 : 1;
    default: return 0;
  }
}

}  // namespace

BranchSteps::BranchSteps(machine::Machine& machine) : machine_{machine} {
  for (unsigned vcpu = 0; vcpu < machine.vcpus().size(); ++vcpu) places_.push_back(place(vcpu));
}

BranchSteps::Place BranchSteps::place(unsigned vcpu) const {
  const auto& core = machine_.vcpus()[vcpu]->cpu().core();
  return {.rip = core.rip,
          .retired = machine_.vcpus()[vcpu]->instructions(),
          .rcx = core.gpr[machine::x86::kRcx],
          .value = core.gpr[machine::x86::kRdx] << 32 | (core.gpr[machine::x86::kRax] & 0xffffffff),
          .decodable = core.long_mode() && core.segment[machine::x86::kCs].long_code};
}

BranchSteps::Instruction BranchSteps::decode(const std::uint8_t* bytes, std::size_t count,
                                             std::uint64_t rip) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  ZydisDecodedInstruction instruction;
  std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands;
  Instruction decoded;
  if (!ZYAN_SUCCESS(
          ZydisDecoderDecodeFull(&decoder, bytes, count, &instruction, operands.data()))) {
    return decoded;
  }
  decoded.length = instruction.length;
  decoded.cycles = cycles_of(instruction, operands.data());
  if (instruction.mnemonic == ZYDIS_MNEMONIC_RDMSR) decoded.kind = Instruction::Kind::kRead;
  if (instruction.mnemonic == ZYDIS_MNEMONIC_WRMSR) decoded.kind = Instruction::Kind::kWrite;
  if (is_trap(instruction.mnemonic)) decoded.kind = Instruction::Kind::kTrap;
  if (!is_branch(instruction)) return decoded;
  decoded.kind = Instruction::Kind::kBranch;
  ZyanU64 target = 0;
  const bool direct =
      instruction.operand_count_visible != 0 && operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
      operands[0].imm.is_relative != 0 &&
      ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&instruction, &operands[0], rip, &target));
  if (direct) decoded.target = target;
  decoded.type = type_of(instruction, direct);
  return decoded;
}

const BranchSteps::Instruction* BranchSteps::at(unsigned vcpu, std::uint64_t rip) {
  const auto known = instructions_.find(rip);
  if (known != instructions_.end()) return &known->second;
  std::array<std::uint8_t, kLongest> bytes{};
  std::size_t count = kLongest;
  // The last instruction of a page whose neighbour is not mapped.
  while (count != 0 && !machine_.vcpus()[vcpu]->cpu().peek(rip, bytes.data(), count)) --count;
  const Instruction decoded = decode(bytes.data(), count, rip);
  if (decoded.length == 0) return nullptr;
  return &instructions_.emplace(rip, decoded).first->second;
}

std::optional<std::uint64_t> BranchSteps::handler_before(unsigned vcpu, std::uint64_t rip) {
  const auto& cpu = machine_.vcpus()[vcpu]->cpu();
  const auto idt = cpu.core().idtr;
  for (unsigned vector = 0; vector < (idt.limit + 1u) / 16; ++vector) {
    std::array<std::uint8_t, 16> gate{};
    if (!cpu.peek(idt.base + 16 * vector, gate.data(), gate.size())) continue;
    std::uint64_t target = 0;
    std::memcpy(&target, &gate[0], 2);
    std::uint64_t middle = 0;
    std::memcpy(&middle, &gate[6], 6);
    target |= middle << 16;
    if (target == 0 || target >= rip || rip - target > kLongest) continue;
    const Instruction* first = at(vcpu, target);
    if (first != nullptr && target + first->length == rip) return target;
  }
  return std::nullopt;
}

TakenBranch BranchSteps::taken(unsigned vcpu, std::uint64_t from, std::uint64_t to,
                               const Instruction& instruction) const {
  auto& cpu = machine_.vcpus()[vcpu]->cpu();
  return {.from = from,
          .to = to,
          .next = from + instruction.length,
          .cycle = cpu.cycles(),
          .type = instruction.kind == Instruction::Kind::kBranch ? instruction.type
                                                                 : BranchType::kOther,
          .ends_in = cpu.core().cpl == 0 ? Privilege::kKernel : Privilege::kUser};
}

void BranchSteps::explain(const Place& before, const Place& after, BranchStep& step) {
  using Kind = Instruction::Kind;
  if (!before.decodable || !after.decodable) return;
  step.known = true;
  const Instruction* instruction = at(step.vcpu, before.rip);
  const std::uint64_t next = instruction == nullptr ? 0 : before.rip + instruction->length;
  // Only a conditional branch may go on behind itself. (To there and back, nobody can tell.)
  const bool falls_through =
      instruction != nullptr && instruction->kind != Kind::kTrap &&
      (instruction->kind != Kind::kBranch || instruction->type == BranchType::kConditional);
  if (falls_through && after.rip == next) {
    if (instruction->kind == Kind::kRead || instruction->kind == Kind::kWrite) {
      const bool reads = instruction->kind == Kind::kRead;
      step.access = reads ? BranchStep::Access::kRead : BranchStep::Access::kWrite;
      step.msr = static_cast<std::uint32_t>(before.rcx);
      step.value = reads ? after.value : before.value;
    }
    return;
  }
  // A handler's first instruction, after an interrupt before this one or a fault of it?
  if (const auto handler = handler_before(step.vcpu, after.rip);
      handler && (instruction == nullptr || instruction->target != after.rip)) {
    TakenBranch branch = taken(step.vcpu, before.rip, *handler, Instruction{});
    const std::uint8_t cycles = at(step.vcpu, *handler)->cycles;
    if (cycles == 0) problem_ = fmt::format("a handler begins oddly at {:x}", *handler);
    branch.cycle -= cycles;
    step.branches.push_back(branch);
    step.into_handler = true;
    return;
  }
  if (instruction != nullptr && (instruction->kind == Kind::kTrap ||
                                 (instruction->kind == Kind::kBranch &&
                                  (!instruction->target || *instruction->target == after.rip)))) {
    step.branches.push_back(taken(step.vcpu, before.rip, after.rip, *instruction));
    return;
  }
  problem_ = fmt::format("no way leads from {:x} to {:x}", before.rip, after.rip);
}

std::optional<BranchStep> BranchSteps::step() {
  if (outcome_ || !problem_.empty()) return std::nullopt;
  const Outcome outcome = machine_.run({.pause_at = machine_.instructions() + 1});
  if (outcome.reason != Outcome::Reason::kPaused) {
    outcome_ = outcome;
    return std::nullopt;
  }
  BranchStep step;
  for (unsigned vcpu = 0; vcpu < places_.size(); ++vcpu) {
    const Place now = place(vcpu);
    if (now.retired == places_[vcpu].retired) continue;
    step.vcpu = vcpu;
    explain(places_[vcpu], now, step);
    places_[vcpu] = now;
  }
  if (!problem_.empty()) return std::nullopt;
  return step;
}

}  // namespace vpmu::test
