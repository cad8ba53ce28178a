// SPDX-License-Identifier: MIT
#include "profile/symbols/symbol_table.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include <fmt/format.h>

namespace vpmu::profile {

namespace {
/// Those of several names for one address that tell most come first.
bool before(const Symbol& a, const Symbol& b) {
  const auto order = [](const Symbol& symbol) {
    return std::make_tuple(symbol.start, symbol.size == 0, symbol.name.size());
  };
  if (order(a) != order(b)) return order(a) < order(b);
  return std::tie(a.name, a.linkage_name, b.size) < std::tie(b.name, b.linkage_name, a.size);
}

/// A kallsyms file has blanks between its columns.
std::string in_one_word(std::string name) {
  std::ranges::replace(name, ' ', '_');
  return name.empty() ? "_" : name;
}
}  // namespace

SymbolTable::SymbolTable(std::vector<Symbol> symbols) : symbols_{std::move(symbols)} {
  std::ranges::sort(symbols_, before);
  symbols_.erase(std::unique(symbols_.begin(), symbols_.end(),
                             [](const Symbol& a, const Symbol& b) { return a.start == b.start; }),
                 symbols_.end());

  std::vector<AddressRange> ranges;
  ranges.reserve(symbols_.size());
  for (std::size_t i = 0; i < symbols_.size(); ++i) {
    Symbol& symbol = symbols_[i];
    if (symbol.size == 0) {
      symbol.size =
          i + 1 < symbols_.size() ? symbols_[i + 1].start - symbol.start : kMostGuessedBytes;
      symbol.size = std::min(symbol.size, kMostGuessedBytes);
    }
    symbol.size = std::min(symbol.size, ~std::uint64_t{0} - symbol.start);
    ranges.push_back({symbol.start, symbol.start + symbol.size});
  }
  ranges_ = NestedRanges{ranges};
}

const Symbol* SymbolTable::find(std::uint64_t address) const {
  const std::uint32_t found = ranges_.find(address);
  return found == NestedRanges::kNone ? nullptr : &symbols_[found];
}

const Symbol* SymbolTable::find_name(std::string_view name) const {
  const auto found = std::ranges::find_if(symbols_, [name](const Symbol& symbol) {
    return symbol.name == name || symbol.linkage_name == name;
  });
  return found == symbols_.end() ? nullptr : &*found;
}

std::string SymbolTable::kallsyms() const {
  std::string text;
  for (const Symbol& symbol : symbols_) {
    fmt::format_to(std::back_inserter(text), "{:016x} T {}\n", symbol.start,
                   in_one_word(symbol.linkage_name));
  }
  return text;
}

}  // namespace vpmu::profile
