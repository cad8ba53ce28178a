// SPDX-License-Identifier: MIT
#include "policy/nearest_names.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

namespace vpmu::policy {

namespace {
/// Of a longer text only so much is looked at: no name is as long.
constexpr std::size_t kLongest = 128;

std::string lower(std::string_view text) {
  std::string result{text.substr(0, kLongest)};
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

/// How many letters must be added, removed or changed to make one of the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t change = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({change, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}
}  // namespace

std::vector<std::string_view> nearest_names(std::string_view wanted,
                                            std::vector<std::string_view> names, std::size_t most) {
  const std::string key = lower(wanted);
  std::vector<std::pair<std::size_t, std::string_view>> ranked;
  ranked.reserve(names.size());
  for (const std::string_view name : names) {
    const std::string candidate = lower(name);
    ranked.emplace_back(candidate.starts_with(key) ? 0 : distance(key, candidate), name);
  }
  std::ranges::stable_sort(ranked, {}, &std::pair<std::size_t, std::string_view>::first);
  ranked.resize(std::min(ranked.size(), most));
  names.clear();
  for (const auto& [rank, name] : ranked) names.push_back(name);
  return names;
}

}  // namespace vpmu::policy
