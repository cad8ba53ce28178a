// SPDX-License-Identifier: MIT
#include "cli/annotate/listing.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "cli/annotate/source_text.hpp"

namespace vpmu::cli::annotate {

namespace {
using profile::SourceLine;
using profile::SourceLines;

/// In per cent of the function's samples.
constexpr double kHot = 5.0, kWarm = 0.5;

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

/// Columns that UTF-8 text takes, as far as all its letters are equally wide.
bool starts_letter(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
}

std::string cut(std::string text, std::size_t columns) {
  const auto letters = static_cast<std::size_t>(std::ranges::count_if(text, starts_letter));
  if (columns == 0 || letters <= columns) return text;
  constexpr std::string_view kMore = "...";
  const std::size_t keep = columns > kMore.size() ? columns - kMore.size() : 0;
  std::size_t seen = 0, bytes = 0;
  while (bytes < text.size() && (!starts_letter(text[bytes]) || seen++ < keep)) ++bytes;
  return text.substr(0, bytes) + std::string{kMore.substr(0, columns)};
}

/// The folder and the name: enough to know the file by.
std::string_view short_path(std::string_view path) {
  const std::size_t name = path.rfind('/');
  if (name == std::string_view::npos || name == 0) return path;
  const std::size_t folder = path.rfind('/', name - 1);
  return folder == std::string_view::npos ? path : path.substr(folder + 1);
}

class Listing {
 public:
  Listing(const FunctionSamples& function, const SourceLines* lines, const ListingStyle& style)
      : function_{function}, lines_{lines}, style_{style} {
    for (const auto& [address, counts] : function.counts) {
      samples_width_ = std::max(samples_width_, fmt::formatted_size("{}", counts.samples));
    }
  }

  std::string text(const std::vector<Instruction>& instructions) {
    if (!instructions.empty()) {
      address_width_ =
          std::max(address_width_, fmt::formatted_size("{:x}", instructions.back().address));
    }
    put(fmt::format("{:>7}  {:>{}}  {:>{}}  instruction", "percent", "samples", samples_width_,
                    "address", address_width_));
    for (const Instruction& in : instructions) {
      heading(in.address);
      row(in);
    }
    leftover();
    return std::move(text_);
  }

 private:
  void put(const std::string& line) { text_ += cut(line, style_.columns) + "\n"; }

  /// The source line where it changes.
  void heading(std::uint64_t address) {
    if (lines_ == nullptr) return;
    const auto line = lines_->find(address);
    if (!line || line == last_line_) return;
    last_line_ = line;
    std::string text = fmt::format("{:{}}{}:{}", "", indent(), short_path(line->file), line->line);
    const auto inlined = lines_->inlined(address);
    if (!inlined.empty()) text += " in " + inlined.front().function;
    put(text);
    if (const std::string& source = sources_.of(*line); !source.empty()) {
      put(fmt::format("{:{}}{}", "", indent(), source));
    }
  }

  void row(const Instruction& in) {
    AddressCounts counts;
    const auto begin = function_.counts.lower_bound(in.address);
    for (auto at = begin; at != function_.counts.end() && at->first < in.address + in.length;
         ++at) {
      // A branch is where it begins; what is sampled in the middle of an instruction is none.
      if (at->first != in.address) {
        askew_ += at->second.samples;
        continue;
      }
      counts = at->second;
    }
    std::string numbers(9 + samples_width_, ' ');
    if (counts.samples > 0) {
      numbers = fmt::format("{:>7.2f}  {:>{}}", percent(counts.weight, function_.weight),
                            counts.samples, samples_width_);
    }
    const std::string line = cut(fmt::format("{}  {:>{}x}  {}{}{}", numbers, in.address,
                                             address_width_, in.text, target(in), branches(counts)),
                                 style_.columns);
    text_ += coloured(line, percent(counts.weight, function_.weight)) + "\n";
  }

  [[nodiscard]] std::string coloured(const std::string& line, double part) const {
    if (!style_.colour || part < kWarm) return line;
    return fmt::format("\x1b[{}m{}\x1b[0m", part < kHot ? "32" : "31", line);
  }

  [[nodiscard]] std::string target(const Instruction& in) const {
    if (!in.target) return {};
    const std::uint64_t address = *in.target + function_.to_symbols;
    const profile::Symbol* symbol = function_.image->symbols->find(address);
    if (symbol == nullptr) return {};
    const std::uint64_t into = address - symbol->start;
    if (symbol->start == function_.symbol->start) return fmt::format(" <+{:#x}>", into);
    return into == 0 ? fmt::format(" <{}>", symbol->name)
                     : fmt::format(" <{}+{:#x}>", symbol->name, into);
  }

  static std::string branches(const AddressCounts& counts) {
    if (counts.taken == 0) return {};
    return fmt::format("  # taken {}, mispredicted {:.1f} %", counts.taken,
                       percent(counts.mispredicted, counts.taken));
  }

  void leftover() {
    if (askew_ == 0) return;
    put(
        fmt::format("{} samples are at no instruction's beginning: this may not be the code that "
                    "ran",
                    askew_));
  }

  [[nodiscard]] std::size_t indent() const { return 13 + samples_width_ + address_width_; }

  const FunctionSamples& function_;
  const SourceLines* lines_;
  ListingStyle style_;
  SourceText sources_;
  std::optional<SourceLine> last_line_;
  std::size_t samples_width_ = 7;
  std::size_t address_width_ = 7;
  std::uint64_t askew_ = 0;
  std::string text_;
};
}  // namespace

std::string listing(const FunctionSamples& function, const std::vector<Instruction>& instructions,
                    const SourceLines* lines, const ListingStyle& style) {
  return Listing{function, lines, style}.text(instructions);
}

}  // namespace vpmu::cli::annotate
