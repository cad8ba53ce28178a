// SPDX-License-Identifier: MIT
//
// Runs one instruction twice: on the host's CPU and through its handler on a Core of its own.
// Memory operands are [rsi] in a buffer that both see at the same address.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "machine/x86/core.hpp"
#include "machine/x86/translate.hpp"

namespace vpmu::machine::x86::testing {

/// FXSAVE's image, Intel SDM vol. 1 table 10-2.
struct alignas(16) FxImage {
  std::uint16_t control = 0x37f;
  std::uint16_t status = 0;
  std::uint8_t valid = 0;  ///< abridged tag word
  std::uint8_t reserved = 0;
  std::uint16_t opcode = 0;
  std::uint64_t instruction = 0;
  std::uint64_t data = 0;
  std::uint32_t mxcsr = 0x1f80;
  std::uint32_t mxcsr_mask = 0;
  std::array<std::array<std::uint8_t, 16>, 8> st{};  ///< relative to the top
  std::array<Xmm, 16> xmm{};
  std::array<std::uint8_t, 96> rest{};
};
static_assert(sizeof(FxImage) == 512);

/// All that the instructions under test can read and write in registers.
struct State {
  FxImage fx;
  std::array<std::uint64_t, 16> gpr{};
  std::uint64_t flags = 2;
};

/// Two pages: [rsi] points into the middle of the first.
class Buffer {
 public:
  static constexpr std::size_t kSize = 8192, kOperand = 2048;
  Buffer();
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  [[nodiscard]] std::uint8_t* data() const { return data_; }
  [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uint64_t>(data_); }

 private:
  std::uint8_t* data_;
};

/// The instruction at the start of `code`, if it is one and one of the translators takes it.
struct Decoded {
  Instruction instruction;
  Translation translation;
  bool translated = false;
  std::string text;
};
std::optional<Decoded> decode(std::span<const std::uint8_t> code);

/// Executes `code` (one instruction) natively.
void run_native(std::span<const std::uint8_t> code, State& state);

/// Executes the Op on a Core that has `state` and sees `buffer`. Gives the exception, if any.
std::optional<Exception> run_handler(const Decoded& decoded, const Buffer& buffer, State& state,
                                     std::uint64_t cr0, std::uint64_t cr4);
inline constexpr std::uint64_t kUsualCr0 = kCr0Pe | kCr0Mp | kCr0Ne | kCr0Pg;
inline constexpr std::uint64_t kUsualCr4 = kCr4Pae | kCr4Osfxsr | kCr4Osxmmexcpt;

/// Both ways from the same state and memory: the differences as text, or nothing. Leaves what the
/// handler did in the buffer. Bytes [ignored.first, ignored.second) from the operand on may differ.
std::string compare_with_host(const Decoded& decoded, std::span<const std::uint8_t> code,
                              const Buffer& buffer, const State& initial,
                              std::pair<unsigned, unsigned> ignored = {0, 0});

/// Numbers that make a difference to vector and floating-point instructions.
class Values {
 public:
  explicit Values(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t any() { return engine_(); }
  unsigned below(unsigned n) { return static_cast<unsigned>(engine_() % n); }
  std::uint32_t single();
  std::uint64_t real();  ///< a double
  std::uint64_t quad();  ///< two singles, a double or integers
  Xmm xmm() { return {quad(), quad()}; }
  std::array<std::uint8_t, 16> extended();  ///< an x87 register

 private:
  std::mt19937_64 engine_;
};

}  // namespace vpmu::machine::x86::testing
