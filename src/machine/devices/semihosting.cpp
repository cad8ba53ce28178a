// SPDX-License-Identifier: MIT
#include "machine/devices/semihosting.hpp"

namespace vpmu::machine {

namespace {
constexpr std::uint64_t kUnsupported = ~std::uint64_t{0};

std::optional<std::uint64_t> peek_word(std::uint64_t address, SemihostingMemory& memory) {
  std::uint64_t word = 0;
  for (unsigned i = 0; i < 8; ++i) {
    const auto byte = memory.peek_byte(address + i);
    if (!byte) return std::nullopt;
    word |= std::uint64_t{*byte} << (8 * i);
  }
  return word;
}

std::uint32_t exit_code(std::uint64_t block, SemihostingMemory& memory) {
  const auto reason = peek_word(block, memory);
  const auto subcode = peek_word(block + 8, memory);
  if (!reason || !subcode || *reason != Semihosting::kApplicationExit) return 1;
  return static_cast<std::uint32_t>(*subcode);
}
}  // namespace

std::uint64_t Semihosting::call(std::uint32_t operation, std::uint64_t parameter,
                                SemihostingMemory& memory) {
  switch (operation) {
    case kWriteCharacter:
      if (const auto byte = memory.peek_byte(parameter)) console_.put(*byte);
      return 0;
    case kWriteString: write_string(parameter, memory); return 0;
    case kExit:
    case kExitExtended: control_.exit(exit_code(parameter, memory)); return 0;
    default: return kUnsupported;
  }
}

void Semihosting::write_string(std::uint64_t address, SemihostingMemory& memory) {
  for (unsigned i = 0; i < kLongestString; ++i) {
    const auto byte = memory.peek_byte(address + i);
    if (!byte || *byte == 0) return;
    console_.put(*byte);
  }
}

}  // namespace vpmu::machine
