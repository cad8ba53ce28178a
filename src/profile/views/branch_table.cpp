// SPDX-License-Identifier: MIT
#include "profile/views/branch_table.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include <fmt/format.h>

namespace vpmu::profile {

namespace {
/// The same place in another process, or at another time, is the same.
struct Sum {
  std::uint64_t taken = 0, predicted = 0, mispredicted = 0, cycles = 0, timed = 0;
};
using Sums = std::map<std::pair<std::string, std::string>, Sum>;

BranchRow row_of(const Sums::value_type& branch) {
  const auto& [places, sum] = branch;
  BranchRow row{places.first, places.second, sum.taken, {}, {}};
  if (sum.predicted + sum.mispredicted != 0) {
    row.mispredicted = 100.0 * static_cast<double>(sum.mispredicted) /
                       static_cast<double>(sum.predicted + sum.mispredicted);
  }
  if (sum.timed != 0) {
    row.cycles = static_cast<double>(sum.cycles) / static_cast<double>(sum.timed);
  }
  return row;
}
}  // namespace

std::string place_name(const Profile& profile, const Frame& frame) {
  const Function& function = profile.functions[frame.function];
  if (function.name == kNoName) return fmt::format("{:#x}", frame.linked);
  return fmt::format("{}+{:#x}", profile.names[function.name], frame.into_function);
}

BranchTable make_branch_table(const Profile& profile, std::uint32_t event,
                              std::optional<std::size_t> limit, double percent_limit) {
  Sums sums;
  BranchTable table{event, 0, {}, 0};
  for (const BranchPair& pair : profile.branches) {
    if (pair.event != event) continue;
    Sum& sum = sums[{place_name(profile, profile.frames[pair.from]),
                     place_name(profile, profile.frames[pair.to])}];
    sum.taken += pair.taken;
    sum.predicted += pair.predicted;
    sum.mispredicted += pair.mispredicted;
    sum.cycles += pair.cycles;
    sum.timed += pair.timed;
    table.taken += pair.taken;
  }
  for (const auto& branch : sums) {
    const double share =
        100.0 * static_cast<double>(branch.second.taken) / static_cast<double>(table.taken);
    if (share >= percent_limit) table.rows.push_back(row_of(branch));
  }
  std::ranges::stable_sort(table.rows, std::ranges::greater{}, &BranchRow::taken);
  if (limit && table.rows.size() > *limit) table.rows.resize(*limit);
  table.hidden = sums.size() - table.rows.size();
  return table;
}

}  // namespace vpmu::profile
