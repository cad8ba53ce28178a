// SPDX-License-Identifier: MIT
#include <gelf.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <tuple>
#include <utility>

#include "profile/symbols/elf_file.hpp"
#include "profile/symbols/printable_name.hpp"
#include "profile/symbols/symbol_table.hpp"

namespace vpmu::profile {

namespace {
/// All names together may have so many bytes: symbols of a hostile file can share one long name,
/// and a short mangled name can stand for a long one. vmlinux with debug information needs 30 MB.
constexpr std::size_t kMostNameBytes = std::size_t{1} << 30;

struct Section {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  bool executable = false;
};

/// A symbol of code as the ELF file has it.
struct Candidate {
  std::uint64_t start = 0;
  std::uint64_t end = 0;  ///< start: the file does not say
  std::uint64_t section_end = 0;
  int rank = 0;  ///< of several with the same start the lowest counts
  bool label = false;
  std::string_view name;
};

/// The strings of a symbol table. Whatever offset a symbol has, the text ends within the section.
class Strings {
 public:
  Strings() = default;
  explicit Strings(const Elf_Data& data)
      : text_{static_cast<const char*>(data.d_buf), data.d_size} {
    const std::size_t last = text_.rfind('\0');
    text_ = last == std::string_view::npos ? std::string_view{} : text_.substr(0, last + 1);
  }
  [[nodiscard]] std::string_view at(std::size_t offset) const {
    if (offset >= text_.size()) return {};
    // What is too long to show is not looked at to its end: many symbols may share it.
    const std::string_view text = text_.substr(offset, kLongestName + 1);
    return text.substr(0, std::min(text.find('\0'), text.size()));
  }

 private:
  std::string_view text_;
};

struct Sections {
  std::vector<Section> all;
  Elf_Scn* symbols = nullptr;  ///< the table to use
};

Result<Sections> sections_of(const ElfFile& file) {
  std::size_t count = 0;
  GElf_Ehdr header;
  if (gelf_getehdr(file.get(), &header) == nullptr || elf_getshdrnum(file.get(), &count) != 0) {
    return file.broken("its sections cannot be counted");
  }
  // What libelf makes of a file that was cut short.
  if (count < header.e_shnum) return file.broken("its section headers are not in the file");
  Sections sections;
  Elf_Scn* dynamic = nullptr;
  for (std::size_t i = 0; i < count; ++i) {
    Elf_Scn* section = elf_getscn(file.get(), i);
    GElf_Shdr says;
    if (section == nullptr || gelf_getshdr(section, &says) == nullptr) {
      return file.broken("its section headers are not in the file");
    }
    const bool loaded = (says.sh_flags & SHF_ALLOC) != 0;
    const std::uint64_t end =
        says.sh_addr + std::min(says.sh_size, ~std::uint64_t{0} - says.sh_addr);
    sections.all.push_back({says.sh_addr, end, loaded && (says.sh_flags & SHF_EXECINSTR) != 0});
    if (says.sh_type == SHT_SYMTAB) sections.symbols = section;
    if (says.sh_type == SHT_DYNSYM) dynamic = section;
  }
  if (sections.symbols == nullptr) sections.symbols = dynamic;
  return sections;
}

/// Marks of the assembler's, not of people.
bool is_marker(std::string_view name) {
  if (name.empty() || name.starts_with(".L")) return true;
  const bool mapping = name[0] == '$' && name.size() > 1 &&
                       std::string_view{"xdat"}.find(name[1]) != std::string_view::npos;
  return mapping && (name.size() == 2 || name[2] == '.');
}

/// Of a symbol that is code, else nothing.
std::optional<Candidate> candidate_of(const GElf_Sym& symbol, const Sections& sections,
                                      const Strings& strings) {
  const auto type = GELF_ST_TYPE(symbol.st_info);
  const bool function = type == STT_FUNC || type == STT_GNU_IFUNC;
  if (!function && type != STT_NOTYPE) return std::nullopt;
  if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= sections.all.size()) return std::nullopt;
  const Section& section = sections.all[symbol.st_shndx];
  if (!section.executable || symbol.st_value < section.start || symbol.st_value >= section.end) {
    return std::nullopt;
  }
  const std::string_view name = strings.at(symbol.st_name);
  if (is_marker(name)) return std::nullopt;
  const auto binding = GELF_ST_BIND(symbol.st_info);
  const int scope = binding == STB_LOCAL ? 2 : binding == STB_WEAK ? 1 : 0;
  const std::uint64_t size = std::min(symbol.st_size, section.end - symbol.st_value);
  return Candidate{symbol.st_value, symbol.st_value + size,
                   section.end,     (function ? 0 : 3) + scope,
                   !function,       name};
}

Result<std::vector<Candidate>> candidates(const ElfFile& file, const Sections& sections) {
  std::vector<Candidate> found;
  if (sections.symbols == nullptr) return found;
  GElf_Shdr header;
  gelf_getshdr(sections.symbols, &header);
  Elf_Data* data = elf_getdata(sections.symbols, nullptr);
  if (data == nullptr) return file.broken("its symbol table is not in the file");
  Elf_Scn* names = elf_getscn(file.get(), header.sh_link);
  const Elf_Data* text = names == nullptr ? nullptr : elf_rawdata(names, nullptr);
  GElf_Shdr names_header;
  if (text == nullptr || gelf_getshdr(names, &names_header) == nullptr ||
      names_header.sh_type != SHT_STRTAB) {
    return file.broken("its symbols' names are not in the file");
  }
  const Strings strings{*text};
  const std::size_t bytes = gelf_fsize(file.get(), ELF_T_SYM, 1, EV_CURRENT);
  const std::size_t count = bytes == 0 ? 0 : data->d_size / bytes;
  for (std::size_t i = 0; i < count; ++i) {
    GElf_Sym symbol;
    if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) break;
    if (const auto candidate = candidate_of(symbol, sections, strings)) {
      found.push_back(*candidate);
    }
  }
  return found;
}

/// One for each start; no labels within functions; every one with an end.
void choose(std::vector<Candidate>& all) {
  std::ranges::sort(all, [](const Candidate& a, const Candidate& b) {
    return std::make_tuple(a.start, a.rank, a.name.size(), a.name, b.end) <
           std::make_tuple(b.start, b.rank, b.name.size(), b.name, a.end);
  });
  std::vector<Candidate> chosen;
  std::uint64_t functions_end = 0;
  for (const Candidate& candidate : all) {
    const bool alias = !chosen.empty() && chosen.back().start == candidate.start;
    if (alias && !candidate.label) {
      // One of two names may have the size.
      chosen.back().end = std::max(chosen.back().end, candidate.end);
      functions_end = std::max(functions_end, candidate.end);
    }
    if (alias || (candidate.label && candidate.start < functions_end)) continue;
    if (!candidate.label) functions_end = std::max(functions_end, candidate.end);
    chosen.push_back(candidate);
  }
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i].end > chosen[i].start) continue;
    chosen[i].end = chosen[i].section_end;
    if (i + 1 < chosen.size()) chosen[i].end = std::min(chosen[i].end, chosen[i + 1].start);
  }
  all = std::move(chosen);
}
}  // namespace

Result<SymbolTable> SymbolTable::from_elf(const std::string& path) {
  const auto file = ElfFile::open(path);
  if (!file) return tl::unexpected{file.error()};
  const auto sections = sections_of(*file);
  if (!sections) return tl::unexpected{sections.error()};
  auto found = candidates(*file, *sections);
  if (!found) return tl::unexpected{found.error()};
  choose(*found);

  std::vector<Symbol> symbols;
  symbols.reserve(found->size());
  std::size_t name_bytes = 0;
  for (const Candidate& candidate : *found) {
    std::string name = printable_name(candidate.name);
    std::string readable = demangle(name);
    name_bytes += name.size() + readable.size();
    if (name_bytes > kMostNameBytes) return file->broken("its symbols have gigabytes of names");
    symbols.push_back(
        {candidate.start, candidate.end - candidate.start, std::move(readable), std::move(name)});
  }
  return SymbolTable{std::move(symbols)};
}

}  // namespace vpmu::profile
