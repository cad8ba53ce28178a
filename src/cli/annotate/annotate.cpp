// SPDX-License-Identifier: MIT
#include "cli/annotate/annotate.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "profile/symbols/elf_image.hpp"

namespace vpmu::cli::annotate {

namespace {
using profile::CodeSet;

/// More is no function, but a symbol file's mistake.
constexpr std::uint64_t kMostBytes = std::uint64_t{16} << 20;

Result<std::vector<std::uint8_t>> code_of(const FunctionSamples& function) {
  const profile::Image& image = *function.image;
  const std::string where =
      fmt::format("{} in {}", in_quotes(function.symbol->name), in_quotes(image.name));
  if (image.path.empty()) {
    return fail(
        fmt::format("there is no code of {} to show; name its ELF image with --image", where));
  }
  if (image.code == CodeSet::kOther) {
    return fail(fmt::format("the code of {} is of no CPU that is known here", where));
  }
  if (function.symbol->size > kMostBytes) {
    return fail(fmt::format("{} has {} bytes, of which nobody reads all; name a smaller symbol",
                            where, function.symbol->size));
  }
  auto code = profile::read_code(image.path, function.start, function.symbol->size);
  if (code && code->empty()) {
    return fail(fmt::format("the code of {} is not in {}; name the image that ran with --image",
                            where, in_quotes(image.path)));
  }
  return code;
}

/// Samples at the beginning of an instruction.
std::uint64_t fitting(const FunctionSamples& function,
                      const std::vector<Instruction>& instructions) {
  std::uint64_t samples = 0;
  for (const Instruction& in : instructions) {
    const auto found = function.counts.find(in.address);
    if (found != function.counts.end()) samples += found->second.samples;
  }
  return samples;
}

/// Whether code that was taken for 32-bit code is 64-bit code: what are prefixes there are single
/// instructions then, which compilers hardly use, all over the place.
bool looks_like_64_bits(const std::vector<Instruction>& as_32_bits,
                        const std::vector<std::uint8_t>& code, std::uint64_t start) {
  const auto prefixes = std::ranges::count_if(as_32_bits, [&](const Instruction& in) {
    return in.length == 1 && (code[in.address - start] & 0xf0) == 0x40;
  });
  return static_cast<std::size_t>(prefixes) * 10 > as_32_bits.size();
}

/// A multiboot image in the 32-bit format has 64-bit code in it, too: whichever fits the samples,
/// and if both do, what it looks like.
std::vector<Instruction> instructions_of(const FunctionSamples& function,
                                         const std::vector<std::uint8_t>& code, Syntax syntax) {
  const CodeSet set = function.image->code;
  if (set != CodeSet::kX86_32) return disassemble(code, function.start, set, syntax);
  auto as_64_bits = disassemble(code, function.start, CodeSet::kX86_64, syntax);
  auto as_32_bits = disassemble(code, function.start, CodeSet::kX86_32, syntax);
  const std::uint64_t fitting_64 = fitting(function, as_64_bits);
  const std::uint64_t fitting_32 = fitting(function, as_32_bits);
  const bool is_64 = fitting_64 != fitting_32
                         ? fitting_64 > fitting_32
                         : looks_like_64_bits(as_32_bits, code, function.start);
  return is_64 ? as_64_bits : as_32_bits;
}

std::string title(const SampledFunctions& sampled, const FunctionSamples& function,
                  std::uint64_t bytes) {
  const double part = sampled.weight == 0 ? 0.0
                                          : 100.0 * static_cast<double>(function.weight) /
                                                static_cast<double>(sampled.weight);
  return fmt::format("{}\n{} of {} samples of {}, {:.2f} % of its count\n{}, {:#x} to {:#x}\n\n",
                     function.symbol->name, function.samples, sampled.samples, sampled.event, part,
                     printable(function.image->path), function.start, function.start + bytes);
}
}  // namespace

Result<Annotation> annotate(const SampleChoice& choice, Syntax syntax, const ListingStyle& style) {
  auto sampled = read_samples(choice);
  if (!sampled) return tl::unexpected{sampled.error()};
  Annotation annotation;
  if (!sampled->complete) {
    annotation.warnings.push_back(
        fmt::format("{} was cut short; what is there is shown", in_quotes(choice.file)));
  }
  for (const FunctionSamples& function : sampled->functions) {
    const auto code = code_of(function);
    if (!code) return tl::unexpected{code.error()};
    if (!annotation.text.empty()) annotation.text += "\n";
    annotation.text += title(*sampled, function, code->size());
    annotation.text += listing(function, instructions_of(function, *code, syntax),
                               sampled->spaces.lines(*function.image), style);
  }
  const auto& problems = sampled->spaces.problems();
  annotation.warnings.insert(annotation.warnings.end(), problems.begin(), problems.end());
  return annotation;
}

}  // namespace vpmu::cli::annotate
