// SPDX-License-Identifier: MIT
#include "vpmu/virt/cpu_set.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>

#include "vpmu/base/ensure.hpp"

namespace vpmu::virt {

void CpuSet::insert(unsigned cpu) {
  ensure(cpu < cpus_);
  words_[cpu / 64] |= std::uint64_t{1} << cpu % 64;
}

unsigned CpuSet::size() const {
  unsigned size = 0;
  for (const std::uint64_t word : words_) size += static_cast<unsigned>(std::popcount(word));
  return size;
}

bool CpuSet::is_subset_of(const CpuSet& other) const {
  for (std::size_t i = 0; i < words_.size(); ++i) {
    const std::uint64_t theirs = i < other.words_.size() ? other.words_[i] : 0;
    if ((words_[i] & ~theirs) != 0) return false;
  }
  return true;
}

namespace {

/// CPUs `first` to `last`: of each `group` the first `used`.
struct Region {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  std::uint32_t used = 1;
  std::uint32_t group = 1;
};

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_separator(char c) {
  return c == ',' || is_space(c);
}

class ListReader {
 public:
  ListReader(std::string_view list, unsigned cpus) : list_{list}, rest_{list}, cpus_{cpus} {}

  ErrnoResult<CpuSet> read() {
    CpuSet set{cpus_};
    for (skip_separators(); !rest_.empty(); skip_separators()) {
      const ErrnoResult<Region> region = read_region();
      if (!region) return tl::unexpected(region.error());
      if (const auto possible = check(*region); !possible) return tl::unexpected(possible.error());
      insert(*region, set);
    }
    return set;
  }

 private:
  void skip_separators() {
    const auto* const end = std::find_if_not(rest_.begin(), rest_.end(), is_separator);
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.begin()));
  }
  [[nodiscard]] bool region_ends() const { return rest_.empty() || is_separator(rest_.front()); }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take_all() {
    constexpr std::string_view kAll = "all";
    const auto same = [](char c, char lower) { return (c | 0x20) == lower; };
    if (rest_.size() < kAll.size() ||
        !std::equal(kAll.begin(), kAll.end(), rest_.begin(),
                    [&](char lower, char c) { return same(c, lower); }))
      return false;
    rest_.remove_prefix(kAll.size());
    return true;
  }

  [[nodiscard]] tl::unexpected<ErrnoError> wrong(int number, std::string_view what) const {
    return refuse(number,
                  "CPU list \"" + std::string{list_.substr(0, 80)} + "\": " + std::string{what});
  }
  [[nodiscard]] tl::unexpected<ErrnoError> unreadable() const {
    const auto at = static_cast<std::size_t>(rest_.data() - list_.data());
    return wrong(EINVAL, "cannot be read from byte " + std::to_string(at) +
                             " on; write CPUs as 0,4-7 or 0-15:1/4");
  }

  ErrnoResult<std::uint32_t> read_number() {
    if (take('N')) return cpus_ - 1;
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
    if (error == std::errc::invalid_argument) return unreadable();
    if (error == std::errc::result_out_of_range)
      return wrong(EOVERFLOW, "has a number of more than 32 bits; CPUs are 0 to " + last_cpu());
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return number;
  }

  ErrnoResult<Region> read_region() {
    Region region{.first = 0, .last = cpus_ - 1};
    if (!take_all()) {
      const auto first = read_number();
      if (!first) return tl::unexpected(first.error());
      region.first = region.last = *first;
      if (region_ends()) return region;
      if (!take('-')) return unreadable();
      const auto last = read_number();
      if (!last) return tl::unexpected(last.error());
      region.last = *last;
    }
    if (region_ends()) return region;
    return read_groups(region);
  }
  ErrnoResult<Region> read_groups(Region region) {
    if (!take(':')) return unreadable();
    const auto used = read_number();
    if (!used) return tl::unexpected(used.error());
    if (!take('/')) return unreadable();
    const auto group = read_number();
    if (!group) return tl::unexpected(group.error());
    region.used = *used;
    region.group = *group;
    return region;
  }

  [[nodiscard]] ErrnoResult<void> check(const Region& region) const {
    if (region.first > region.last)
      return wrong(EINVAL, "has a range that ends before it begins; write the lower CPU first");
    if (region.group == 0 || region.used > region.group)
      return wrong(EINVAL, "uses more CPUs of a group than it has; write :used/group, used first");
    if (region.last >= cpus_)
      return wrong(ERANGE, "names CPU " + std::to_string(region.last) +
                               ", which the host does not have; its CPUs are 0 to " + last_cpu());
    return {};
  }
  static void insert(const Region& region, CpuSet& set) {
    for (std::uint64_t begin = region.first; begin <= region.last; begin += region.group) {
      const std::uint64_t end = std::min<std::uint64_t>(begin + region.used, region.last + 1ULL);
      for (std::uint64_t cpu = begin; cpu < end; ++cpu) set.insert(static_cast<unsigned>(cpu));
    }
  }
  [[nodiscard]] std::string last_cpu() const {
    return cpus_ == 0 ? "none" : std::to_string(cpus_ - 1);
  }

  std::string_view list_, rest_;
  unsigned cpus_;
};

}  // namespace

ErrnoResult<CpuSet> parse_cpu_list(std::string_view list, unsigned cpus) {
  list = list.substr(0, list.find('\0'));
  if (list.size() > kCpuListMost)
    return refuse(EINVAL, "CPU list of " + std::to_string(list.size()) + " bytes; " +
                              std::to_string(kCpuListMost) + " are the most, use ranges");
  list = list.substr(0, list.find('\n'));
  return ListReader{list, cpus}.read();
}

std::string cpu_list(const CpuSet& set) {
  std::string list;
  for (unsigned cpu = 0; cpu < set.cpus(); ++cpu) {
    if (!set.contains(cpu)) continue;
    const unsigned first = cpu;
    while (set.contains(cpu + 1)) ++cpu;
    if (!list.empty()) list += ',';
    list += std::to_string(first);
    if (cpu != first) list.append("-").append(std::to_string(cpu));
  }
  return list;
}

}  // namespace vpmu::virt
