// SPDX-License-Identifier: MIT
//
// Finds out by trial what the code generator does with an instruction: dynarmic knows most, leaves
// some to others, and calls some undefined. A word is compiled and run once in a place of its own,
// where nothing is to be seen of the guest; the answer is remembered.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

namespace vpmu::machine::arm64 {

class InstructionProbe {
 public:
  InstructionProbe();
  ~InstructionProbe();
  InstructionProbe(const InstructionProbe&) = delete;
  InstructionProbe& operator=(const InstructionProbe&) = delete;

  enum class Answer : std::uint8_t {
    kGoesOn,       ///< runs, and the block goes on behind it
    kEnds,         ///< runs, and ends its block
    kDoesNothing,  ///< as kGoesOn, but nothing is compiled for it
    kRefuses,      ///< does not run
  };
  Answer ask(std::uint32_t word);

 private:
  struct Private;
  struct Remembered {
    std::uint32_t word = 0;
    bool known = false;
    Answer answer = Answer::kRefuses;
  };
  Answer try_out(std::uint32_t word);

  static constexpr std::size_t kRemembered = 1 << 14;
  std::unique_ptr<std::array<Remembered, kRemembered>> remembered_;
  std::unique_ptr<Private> private_;  ///< made when it is needed first
};

}  // namespace vpmu::machine::arm64
