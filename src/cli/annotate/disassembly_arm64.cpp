// SPDX-License-Identifier: MIT
#include "cli/annotate/disassembly_arm64.hpp"

#include <aarch64/decoder-aarch64.h>
#include <aarch64/disasm-aarch64.h>

#include <cstddef>
#include <cstring>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "policy/number.hpp"

namespace vpmu::cli::annotate {

namespace {
constexpr std::size_t kWord = 4;
constexpr std::uint32_t kEret = 0xd69f'03e0;

class Disassembler {
 public:
  Disassembler() { decoder_.AppendVisitor(&text_); }
  Disassembler(const Disassembler&) = delete;
  Disassembler& operator=(const Disassembler&) = delete;

  Instruction next(std::uint32_t word, std::uint64_t address);

 private:
  vixl::aarch64::Decoder decoder_;
  vixl::aarch64::Disassembler text_;
};

/// An address that depends on the instruction's own: "#+0x8 (addr 0x1008)". The text has the
/// address alone then.
std::optional<std::uint64_t> take_address(std::string& text) {
  constexpr std::string_view kBefore = " (addr ";
  const std::size_t at = text.rfind(kBefore);
  if (at == std::string::npos || at == 0 || !text.ends_with(')')) return std::nullopt;
  const std::string address =
      text.substr(at + kBefore.size(), text.size() - at - kBefore.size() - 1);
  text.replace(text.rfind(' ', at - 1) + 1, std::string::npos, address);
  return policy::number(address);
}

bool is_branch(std::string_view text) {
  for (const std::string_view name : {"b ", "b.", "bl ", "cbz ", "cbnz ", "tbz ", "tbnz "}) {
    if (text.starts_with(name)) return true;
  }
  return false;
}

Instruction Disassembler::next(std::uint32_t word, std::uint64_t address) {
  Instruction result{address, kWord, {}, std::nullopt};
  if (word == kEret) {  // which it does not know
    result.text = "eret";
    return result;
  }
  const auto* const code = reinterpret_cast<const vixl::aarch64::Instruction*>(&word);
  text_.MapCodeAddress(static_cast<std::int64_t>(address), code);
  decoder_.Decode(code);
  result.text = text_.GetOutput();
  if (result.text.starts_with("un")) {  // unallocated, unimplemented
    result.text = fmt::format(".inst {:#010x}", word);
    return result;
  }
  if (const auto target = take_address(result.text); target && is_branch(result.text)) {
    result.target = target;
  }
  return result;
}
}  // namespace

std::vector<Instruction> disassemble_arm64(std::span<const std::uint8_t> bytes,
                                           std::uint64_t address) {
  Disassembler disassembler;
  std::vector<Instruction> instructions;
  std::size_t at = 0;
  for (; bytes.size() - at >= kWord; at += kWord) {
    std::uint32_t word = 0;
    std::memcpy(&word, &bytes[at], kWord);
    instructions.push_back(disassembler.next(word, address + at));
  }
  for (; at < bytes.size(); ++at) {
    instructions.push_back(
        {address + at, 1, fmt::format(".byte {:#04x}", bytes[at]), std::nullopt});
  }
  return instructions;
}

}  // namespace vpmu::cli::annotate
