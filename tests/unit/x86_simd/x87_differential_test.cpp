// SPDX-License-Identifier: MIT
//
// Every x87 instruction against the host's own, from random states: any top, empty registers,
// rounding and precision control, masked and unmasked exceptions.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include "unit/x86_simd/simd_fixture.hpp"

namespace vpmu::machine::x86::testing {
namespace {

State random_state(Values& values, const Buffer& buffer) {
  State state;
  for (auto& gpr : state.gpr) gpr = values.any();
  state.gpr[kRsi] = buffer.address() + Buffer::kOperand;
  state.flags = 2 | (values.any() & kArithmeticFlags);
  const unsigned masks = values.below(4) ? 0x3f : values.below(64);
  state.fx.control = static_cast<std::uint16_t>(0x40 | masks | values.below(16) << 8);
  // Flags of masked exceptions, condition codes and the top.
  state.fx.status = static_cast<std::uint16_t>(values.any() & (0x7f00 | masks));
  state.fx.valid = values.below(3) ? 0xff : static_cast<std::uint8_t>(values.any());
  if (values.below(8) == 0) state.fx.valid = 0;
  for (auto& st : state.fx.st) st = values.extended();
  return state;
}

void fill_x87_operand(Values& values, const Buffer& buffer) {
  for (unsigned i = 0; i < 128; i += 8) {
    const std::uint64_t value = values.quad();
    std::memcpy(buffer.data() + Buffer::kOperand + i, &value, 8);
  }
  if (values.below(3) == 0) {
    const auto value = values.extended();
    std::memcpy(buffer.data() + Buffer::kOperand, value.data(), 10);
  }
  if (values.below(3) == 0) {  // packed decimal
    for (unsigned i = 0; i < 9; ++i)
      buffer.data()[Buffer::kOperand + i] =
          static_cast<std::uint8_t>(values.below(10) << 4 | values.below(10));
    buffer.data()[Buffer::kOperand + 9] = values.below(2) ? 0x80 : 0;
  }
}

/// Where the host stores pointers to its last instruction and operand.
std::pair<unsigned, unsigned> pointers_in(const Decoded& decoded) {
  switch (decoded.instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FNSAVE: {
      const unsigned size = decoded.instruction.operands[0].size / 8;
      return size == 28 || size == 108 ? std::pair{12u, 26u} : std::pair{6u, 14u};
    }
    default: return {0, 0};
  }
}

TEST(X87Differential, EveryInstructionDoesWhatTheHostDoes) {
  const Buffer buffer;
  Values values(8087);
  std::map<std::string, unsigned> failures;
  std::set<std::string> covered, missing;
  const char* rounds = std::getenv("VPMU_SIMD_ROUNDS");
  const int repeat = rounds != nullptr ? std::atoi(rounds) : 100;
  for (unsigned encoding = 0; encoding < 2 * 8 * 72; ++encoding) {
    const bool short_form = encoding % 2 != 0;
    const unsigned opcode = 0xd8 + encoding / 2 / 72, at = encoding / 2 % 72;
    std::vector<std::uint8_t> code;
    if (short_form) code.push_back(0x66);
    code.push_back(static_cast<std::uint8_t>(opcode));
    code.push_back(static_cast<std::uint8_t>(at < 8 ? at << 3 | 6 : 0xc0 + at - 8));
    code.resize(16);
    const auto decoded = decode(code);
    if (!decoded) continue;
    code.resize(decoded->instruction.zydis.length);
    const std::string name = ZydisMnemonicGetString(decoded->instruction.mnemonic());
    if (!decoded->translated) {
      missing.insert(name);
      continue;
    }
    covered.insert(name);
    for (int i = 0; i < repeat; ++i) {
      const State state = random_state(values, buffer);
      fill_x87_operand(values, buffer);
      const std::string text =
          compare_with_host(*decoded, code, buffer, state, pointers_in(*decoded));
      if (text.empty()) continue;
      if (failures[name]++ < 2) {
        ADD_FAILURE() << decoded->text << "\n"
                      << text << std::hex << "  control " << state.fx.control << ", status "
                      << state.fx.status << ", valid " << unsigned{state.fx.valid};
      }
    }
  }
  for (const auto& [name, count] : failures) std::printf("failed: %s %u\n", name.c_str(), count);
  for (const auto& name : missing) std::printf("not translated: %s\n", name.c_str());
  std::printf("%zu instructions\n", covered.size());
}

}  // namespace
}  // namespace vpmu::machine::x86::testing
