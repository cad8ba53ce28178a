// SPDX-License-Identifier: MIT
#include "machine/arm64/guest_stack.hpp"

#include <optional>

#include "machine/arm64/instruction.hpp"
#include "machine/stack_walk.hpp"

namespace vpmu::machine::arm64 {

namespace {
constexpr std::uint64_t kInstructionBytes = 4;
/// Code that is looked at, at most. What is farther from an end of its function is in its middle.
constexpr unsigned kMostInstructions = 128;

class PagesReader final : public PagedStackReader {
 public:
  explicit PagesReader(const Pages& pages) : pages_{pages} {}

 protected:
  [[nodiscard]] const std::uint8_t* host_page(std::uint64_t page) const override {
    return pages_.page(page);
  }

 private:
  const Pages& pages_;
};

std::optional<Instruction> instruction_at(std::uint64_t address, PagesReader& code) {
  Instruction in;
  if (address % kInstructionBytes != 0 || !code.read(address, &in.word, sizeof in.word)) {
    return std::nullopt;
  }
  return in;
}

/// What an instruction says of where the return address is, as long as none before it has said it.
enum class Says : std::uint8_t { kNothing, kInLink, kInFrame };

Says says(const Instruction& in) {
  constexpr std::uint32_t kPair = 0xfe40'7fff;               // any addressing mode; X29, X30, [SP]
  if (in.matches(kPair, 0xa800'7bfd)) return Says::kInLink;  // STP X29, X30
  if (in.matches(0xff80'03ff, 0x9100'03fd)) return Says::kInLink;   // ADD X29, SP, #n; MOV X29, SP
  if (in.matches(0xffff'ffff, 0xd65f'03c0)) return Says::kInLink;   // RET
  if (in.matches(kPair, 0xa840'7bfd)) return Says::kInFrame;        // LDP X29, X30
  if (in.matches(0xfc00'0000, 0x9400'0000)) return Says::kInFrame;  // BL
  if (in.matches(0xffff'fc1f, 0xd63f'0000)) return Says::kInFrame;  // BLR
  return Says::kNothing;
}

/// Where code goes on behind it; none: nobody can say. Conditions do not hold.
std::optional<std::uint64_t> after(const Instruction& in, std::uint64_t address) {
  if (in.matches(0xfc00'0000, 0x1400'0000)) {  // B
    constexpr unsigned kUnused = 64 - 28;
    const auto offset = static_cast<std::int64_t>(std::uint64_t{in.bits(25, 0)} << (kUnused + 2));
    return address + static_cast<std::uint64_t>(offset >> kUnused);
  }
  // BR, ERET, other returns; UDF, BRK.
  if (in.matches(0xfe00'0000, 0xd600'0000) || in.matches(0xffff'0000, 0) ||
      in.matches(0xffe0'001f, 0xd420'0000)) {
    return std::nullopt;
  }
  return address + kInstructionBytes;
}

/// A function that has not made its record yet, or has none, or has given it up: its code comes to
/// a return, or makes the record, before it calls anything or takes the record down.
bool lacks_frame(std::uint64_t address, PagesReader& code) {
  for (unsigned n = 0; n < kMostInstructions; ++n) {
    const auto in = instruction_at(address, code);
    if (!in) return false;
    if (const Says said = says(*in); said != Says::kNothing) return said == Says::kInLink;
    const auto next = after(*in, address);
    if (!next) return false;
    address = *next;
  }
  return false;
}

/// In the other half of the address space there is no caller.
bool same_half(std::uint64_t a, std::uint64_t b) {
  constexpr unsigned kHalf = 55;
  return ((a ^ b) >> kHalf & 1) == 0;
}
}  // namespace

std::size_t call_chain(const StackTop& top, const Pages& pages, std::span<std::uint64_t> chain) {
  StackRegisters registers{.ip = top.ip,
                           .stack_pointer = top.stack_pointer,
                           .frame_pointer = top.frame_pointer,
                           .link = top.link};
  PagesReader code{pages};
  registers.has_link = top.caller == StackTop::Caller::kInLink ||
                       (top.caller == StackTop::Caller::kByCode && lacks_frame(top.next, code));
  registers.has_link &= top.link % kInstructionBytes == 0 && same_half(top.link, top.next);
  PagesReader stack{pages};
  return walk_stack(registers, stack, chain);
}

}  // namespace vpmu::machine::arm64
