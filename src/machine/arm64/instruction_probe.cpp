// SPDX-License-Identifier: MIT
#include "machine/arm64/instruction_probe.hpp"

#include <optional>

#include "machine/arm64/dynarmic_config.hpp"
#include "machine/arm64/exclusive_monitor.hpp"
#include "machine/arm64/instruction_kinds.hpp"

namespace vpmu::machine::arm64 {

using Dynarmic::A64::VAddr;
using Dynarmic::A64::Vector;

namespace {
constexpr std::size_t kCodeBytes = std::size_t{16} << 20;
constexpr std::uint32_t kBranchToItself = 0x1400'0000;
/// Each trial takes place somewhere else; from time to time all are forgotten.
constexpr VAddr kFirst = 0x1000, kApart = 12, kLast = 0x1'0000;
}  // namespace

struct InstructionProbe::Private final : Dynarmic::A64::UserCallbacks {
  std::optional<std::uint32_t> MemoryReadCode(VAddr address) override {
    if (address == place) return word;
    if (address != place + kInstructionBytes) return kBranchToItself;
    goes_on = true;
    return kSplitWord;
  }
  std::uint8_t MemoryRead8(VAddr) override { return 0; }
  std::uint16_t MemoryRead16(VAddr) override { return 0; }
  std::uint32_t MemoryRead32(VAddr) override { return 0; }
  std::uint64_t MemoryRead64(VAddr) override { return 0; }
  Vector MemoryRead128(VAddr) override { return {}; }
  void MemoryWrite8(VAddr, std::uint8_t) override {}
  void MemoryWrite16(VAddr, std::uint16_t) override {}
  void MemoryWrite32(VAddr, std::uint32_t) override {}
  void MemoryWrite64(VAddr, std::uint64_t) override {}
  void MemoryWrite128(VAddr, Vector) override {}
  void InterpreterFallback(VAddr, std::size_t) override { refuse(); }
  void CallSVC(std::uint32_t) override { refuse(); }
  void ExceptionRaised(VAddr, Dynarmic::A64::Exception) override { refuse(); }
  void AddTicks(std::uint64_t) override { ticks = 0; }
  std::uint64_t GetTicksRemaining() override { return ticks; }
  std::uint64_t GetCNTPCT() override {
    does_nothing = true;
    return 0;
  }

  void refuse() {
    refused = true;
    jit.HaltExecution();
  }

  std::uint32_t word = 0;
  VAddr place = kFirst;
  bool goes_on = false, refused = false;
  /// Not split behind it: dynarmic has compiled nothing for it.
  bool does_nothing = false;
  std::uint64_t ticks = 0;
  std::uint64_t thread_pointer = 0;
  ExclusiveMonitor monitor{1};
  Dynarmic::A64::Jit jit{[this] {
    auto config = dynarmic_config(*this, monitor.dynarmic, kCodeBytes);
    config.tpidr_el0 = &thread_pointer;
    config.tpidrro_el0 = &thread_pointer;
    return config;
  }()};
};

InstructionProbe::InstructionProbe()
    : remembered_{std::make_unique<std::array<Remembered, kRemembered>>()} {}

InstructionProbe::~InstructionProbe() = default;

InstructionProbe::Answer InstructionProbe::ask(std::uint32_t word) {
  // Registers, opcodes and sizes are in different bits.
  Remembered& slot = (*remembered_)[(word ^ word >> 14 ^ word >> 21) % kRemembered];
  if (!slot.known || slot.word != word) slot = {word, true, try_out(word)};
  return slot.answer;
}

InstructionProbe::Answer InstructionProbe::try_out(std::uint32_t word) {
  if (private_ == nullptr) private_ = std::make_unique<Private>();
  Private& p = *private_;
  p.word = word;
  p.place += kApart;
  if (p.place >= kLast) {
    p.jit.ClearCache();
    p.place = kFirst;
  }
  p.goes_on = p.refused = p.does_nothing = false;
  p.ticks = 1;
  p.jit.Reset();
  p.jit.SetPC(p.place);
  p.jit.Run();
  if (p.refused) return Answer::kRefuses;
  if (p.does_nothing) return Answer::kDoesNothing;
  return p.goes_on ? Answer::kGoesOn : Answer::kEnds;
}

}  // namespace vpmu::machine::arm64
