// SPDX-License-Identifier: MIT
//
// Every MMX and SSE instruction, found by going through all opcodes, against the host's own.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include "unit/x86_simd/encodings.hpp"
#include "unit/x86_simd/simd_fixture.hpp"

namespace vpmu::machine::x86::testing {
namespace {

/// Their results are the implementation's own, or they are tested elsewhere.
bool has_its_own_test(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_RCPPS:
    case ZYDIS_MNEMONIC_RCPSS:
    case ZYDIS_MNEMONIC_RSQRTPS:
    case ZYDIS_MNEMONIC_RSQRTSS:
    case ZYDIS_MNEMONIC_LDMXCSR:
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64: return true;
    default: return false;
  }
}

TEST(SimdDifferential, EveryInstructionDoesWhatTheHostDoes) {
  const Buffer buffer;
  Values values(20240611);
  std::map<std::string, unsigned> failures;
  std::set<std::string> missing, skipped;
  std::map<std::string, unsigned> covered;
  const char* rounds = std::getenv("VPMU_SIMD_ROUNDS");
  const int repeat = rounds != nullptr ? std::atoi(rounds) : 40;
  for_each_simd_encoding(values, [&](const Decoded& decoded, std::span<const std::uint8_t> code) {
    const ZydisMnemonic mnemonic = decoded.instruction.mnemonic();
    const std::string name = ZydisMnemonicGetString(mnemonic);
    if (!decoded.translated) {
      missing.insert(name);
      return;
    }
    if (has_its_own_test(mnemonic)) return;
    if (!host_has(decoded.instruction.zydis.meta.isa_set)) {
      skipped.insert(name);
      return;
    }
    ++covered[name];
    for (int i = 0; i < repeat; ++i) {
      const State state = random_simd_state(values, buffer);
      fill_operand(values, buffer);
      const std::string text = compare_with_host(decoded, code, buffer, state);
      if (text.empty()) continue;
      if (failures[name]++ < 2) ADD_FAILURE() << decoded.text << "\n" << text;
    }
  });
  for (const auto& [name, count] : failures) std::printf("failed: %s %u\n", name.c_str(), count);
  for (const auto& name : skipped) std::printf("not on this host: %s\n", name.c_str());
  for (const auto& name : missing) std::printf("not translated: %s\n", name.c_str());
  std::printf("%zu instructions\n", covered.size());
}

}  // namespace
}  // namespace vpmu::machine::x86::testing
