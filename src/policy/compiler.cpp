// SPDX-License-Identifier: MIT
#include "policy/compiler.hpp"

#include <algorithm>

namespace vpmu::policy {

std::size_t CompiledFilter::entries() const {
  std::size_t all = 0;
  for (const CompiledRow& row : rows) all += row.entries.size();
  return all;
}

bool CompiledFilter::minimal() const {
  return std::ranges::all_of(rows, &CompiledRow::minimal);
}

}  // namespace vpmu::policy
