// SPDX-License-Identifier: MIT
//
// Symbols from any bytes: the first says as what the others are read. What is read must make sense
// whatever it was; what is refused is refused in one line.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/messages.hpp"
#include "profile/symbols/address_space.hpp"
#include "profile/symbols/printable_name.hpp"

namespace {
using vpmu::fuzz::check;
using namespace vpmu::profile;

constexpr std::size_t kMostLookups = 64;

void check_name(const std::string& name) {
  check(name.size() <= kLongestName, "a name that is too long", name);
  check(std::ranges::none_of(name, [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; }),
        "a name that acts on terminals", "");
}

void check_table(const SymbolTable& table) {
  std::uint64_t before = 0;
  for (const Symbol& symbol : table.symbols()) {
    check(&symbol == table.symbols().data() || symbol.start > before, "not sorted", symbol.name);
    before = symbol.start;
    check_name(symbol.name);
    check_name(symbol.linkage_name);
    const Symbol* found = table.find(symbol.start);
    check(found == nullptr ? symbol.size == 0 : found == &symbol, "not found", symbol.name);
    check(symbol.start + symbol.size >= symbol.start, "around the end", symbol.name);
  }
  const auto text = table.kallsyms();
  if (!table.symbols().empty() && table.symbols().back().start != 0) {
    const auto again = SymbolTable::from_kallsyms(text, "its own");
    check(again && again->symbols().size() == table.symbols().size(), "another table", text);
  }
}

void check_text(std::string_view text,
                vpmu::Result<SymbolTable> (*read)(std::string_view, const std::string&)) {
  const auto table = read(text, "file");
  if (table) {
    check_table(*table);
  } else {
    check(table.error().message.find('\n') == std::string::npos, "two lines", "");
  }
}

void check_place(const SourceLines& lines, std::uint64_t address) {
  if (const auto line = lines.find(address)) check_name(line->file);
  for (const InlinedCall& call : lines.inlined(address)) {
    check_name(call.function);
    check_name(call.called_at.file);
  }
}

void check_file(const std::string& path) {
  std::size_t lookups = 0;
  const auto table = SymbolTable::from_file(path);
  if (table) check_table(*table);
  const auto image = read_elf_image(path);
  const auto lines = SourceLines::open(path);
  if (image) {
    for (const ElfSegment& segment : image->segments) {
      if (++lookups > kMostLookups) break;
      const auto code = read_code(path, segment.address, 64);
      check(!code || code->size() <= 64, "too much code", "");
      if (lines) check_place(*lines, segment.address);
    }
  }
  if (table && lines) {
    for (const Symbol& symbol : table->symbols()) {
      if (++lookups > kMostLookups) break;
      check_place(*lines, symbol.start);
      check_place(*lines, symbol.start + symbol.size / 2);
    }
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest{reinterpret_cast<const char*>(data + 1), size - 1};
  switch (data[0]) {
    case 'k': check_text(rest, SymbolTable::from_kallsyms); break;
    case 'm': check_text(rest, SymbolTable::from_map); break;
    case 'd': check_name(printable_name(demangle(std::string{rest}))); break;
    default: {
      // Whatever it begins with: an ELF file as it is, too.
      const int file = memfd_create("symbols_fuzz", MFD_CLOEXEC);
      check(write(file, data, size) == static_cast<ssize_t>(size), "no memory", "");
      check_file("/proc/self/fd/" + std::to_string(file));
      close(file);
    }
  }
  return 0;
}
