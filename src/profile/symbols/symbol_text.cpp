// SPDX-License-Identifier: MIT
//
// Symbols in text files: kallsyms and perf's map files.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/descriptor.hpp"
#include "base/user_text.hpp"
#include "profile/symbols/printable_name.hpp"
#include "profile/symbols/symbol_table.hpp"

namespace vpmu::profile {

namespace {
constexpr std::size_t kMostFileBytes = std::size_t{256} << 20;
constexpr std::string_view kBlanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

/// Takes the first word off the text.
std::string_view take_word(std::string_view& text) {
  text = trimmed(text);
  const std::size_t length = std::min(text.find_first_of(kBlanks), text.size());
  const std::string_view word = text.substr(0, length);
  text = trimmed(text.substr(length));
  return word;
}

std::optional<std::uint64_t> hexadecimal(std::string_view word) {
  if (word.starts_with("0x") || word.starts_with("0X")) word.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, 16);
  if (word.empty() || error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return value;
}

/// Calls `take(line, number)` for every line that is neither blank nor a comment, until one gives
/// false.
template <class Take>
bool each_line(std::string_view text, const Take& take) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && line.front() != '#' && !take(line, number)) return false;
  }
  return true;
}

tl::unexpected<Error> wrong_line(const std::string& name, std::size_t number, const char* format,
                                 std::string_view line) {
  return fail(fmt::format("symbol file {}, line {}: expected {}, found {}", in_quotes(name), number,
                          format, in_quotes(line)));
}

Symbol named(std::uint64_t start, std::uint64_t size, std::string_view name) {
  std::string linkage_name = printable_name(name);
  std::string readable = demangle(linkage_name);
  return {start, size, std::move(readable), std::move(linkage_name)};
}

bool is_elf(std::string_view content) {
  return content.starts_with(
      "\x7f"
      "ELF");
}

/// All of it; of an ELF file only the beginning.
Result<std::string> read_text(const std::string& path) {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
  std::string text;
  char piece[1 << 16];
  ssize_t got = file.number() < 0 ? -1 : 1;
  while (got > 0 && text.size() <= kMostFileBytes && !is_elf(text)) {
    do {
      got = read(file.number(), piece, sizeof piece);
    } while (got < 0 && errno == EINTR);
    if (got > 0) text.append(piece, static_cast<std::size_t>(got));
  }
  if (got < 0) {
    return fail(
        fmt::format("symbol file {}: {}; check the path", in_quotes(path), std::strerror(errno)));
  }
  if (text.size() > kMostFileBytes) {
    return fail(
        fmt::format("symbol file {} has more than {} MiB; name an ELF, kallsyms or map file",
                    in_quotes(path), kMostFileBytes >> 20));
  }
  return text;
}

/// Its second column has types, which are letters; a map file has sizes there, which may look like
/// one in every line (a to f), and are sizes then.
bool is_kallsyms(std::string_view text) {
  bool kallsyms = false;
  each_line(text, [&](std::string_view line, std::size_t) {
    take_word(line);
    const std::string_view second = take_word(line);
    const bool letter =
        second.size() == 1 && ((second[0] | 0x20) >= 'a') && ((second[0] | 0x20) <= 'z');
    kallsyms = letter && !hexadecimal(second);
    return letter && !kallsyms;
  });
  return kallsyms;
}

/// Adds the global symbols to the others, and takes away those that begin where a global one does.
void prefer(std::vector<Symbol>& global, std::vector<Symbol>& symbols) {
  std::ranges::sort(global, {}, &Symbol::start);
  std::erase_if(symbols, [&](const Symbol& symbol) {
    return std::ranges::binary_search(global, symbol.start, {}, &Symbol::start);
  });
  std::ranges::move(global, std::back_inserter(symbols));
}
}  // namespace

Result<SymbolTable> SymbolTable::from_kallsyms(std::string_view text, const std::string& name) {
  constexpr const char* kFormat = "\"ADDRESS TYPE NAME [MODULE]\"";
  std::vector<Symbol> global, symbols;
  std::optional<Error> error;
  bool restricted = true;
  each_line(text, [&](std::string_view line, std::size_t number) {
    std::string_view rest = line;
    const auto address = hexadecimal(take_word(rest));
    const std::string_view type = take_word(rest);
    const std::string_view symbol = take_word(rest);
    if (!address || type.size() != 1 || symbol.empty()) {
      error = wrong_line(name, number, kFormat, line).value();
      return false;
    }
    if (std::string_view{"tTwW"}.find(type[0]) == std::string_view::npos) return true;
    restricted = restricted && *address == 0;
    (type == "T" ? global : symbols).push_back(named(*address, 0, symbol));
    return true;
  });
  if (error) return tl::unexpected{*error};
  if (symbols.empty() && global.empty()) {
    return fail(
        fmt::format("symbol file {} has no symbols of code (types t, T, w, W)", in_quotes(name)));
  }
  if (restricted) {
    return fail(
        fmt::format("symbol file {} has the address 0 for every symbol: that kernel hides "
                    "them; copy /proc/kallsyms as root, or with kernel.kptr_restrict=0",
                    in_quotes(name)));
  }
  prefer(global, symbols);
  return SymbolTable{std::move(symbols)};
}

Result<SymbolTable> SymbolTable::from_map(std::string_view text, const std::string& name) {
  std::vector<Symbol> symbols;
  std::optional<Error> error;
  each_line(text, [&](std::string_view line, std::size_t number) {
    std::string_view rest = line;
    const auto start = hexadecimal(take_word(rest));
    const auto size = hexadecimal(take_word(rest));
    if (!start || !size || rest.empty()) {
      error = wrong_line(name, number, "\"START SIZE NAME\", hexadecimal", line).value();
      return false;
    }
    symbols.push_back(named(*start, *size, rest));
    return true;
  });
  if (error) return tl::unexpected{*error};
  return SymbolTable{std::move(symbols)};
}

Result<SymbolTable> SymbolTable::from_file(const std::string& path) {
  const auto text = read_text(path);
  if (!text) return tl::unexpected{text.error()};
  if (is_elf(*text)) return from_elf(path);
  return is_kallsyms(*text) ? from_kallsyms(*text, path) : from_map(*text, path);
}

}  // namespace vpmu::profile
