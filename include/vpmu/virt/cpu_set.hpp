// SPDX-License-Identifier: MIT
//
// Sets of host CPUs, and the kernel's notation for them ("cpulist"):
//
//   list  = [region {separator region}]          separators: commas, white space
//   region = "all" | N | N-N | (N-N | "all") ":" used "/" group
//
// Numbers are decimal; the letter N is the last CPU. Of `A-B:used/group`, every `group` CPUs from A
// on the first `used` are meant. A list ends with its text, a newline or a NUL.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vpmu/base/errno_error.hpp"

namespace vpmu::virt {

/// CPUs of a host that has `cpus()` of them, 0 to cpus() - 1.
class CpuSet {
 public:
  /// None of a host with none.
  CpuSet() = default;
  /// None of them.
  explicit CpuSet(unsigned cpus) : cpus_{cpus}, words_((cpus + 63) / 64) {}

  [[nodiscard]] unsigned cpus() const { return cpus_; }
  /// `cpu` is one of the host's.
  void insert(unsigned cpu);
  /// No host's CPU is in no set.
  [[nodiscard]] bool contains(unsigned cpu) const {
    return cpu < cpus_ && (words_[cpu / 64] >> cpu % 64 & 1) != 0;
  }
  [[nodiscard]] unsigned size() const;
  [[nodiscard]] bool empty() const { return size() == 0; }
  /// Each of these CPUs is in `other`, too. An empty set is a subset of every set.
  [[nodiscard]] bool is_subset_of(const CpuSet& other) const;
  friend bool operator==(const CpuSet&, const CpuSet&) = default;

 private:
  unsigned cpus_ = 0;
  std::vector<std::uint64_t> words_;
};

/// What a list says of a host with `cpus` CPUs. Nothing says an empty set. Errors, of the first
/// region that has one:
///   EINVAL     longer than kCpuListMost, or no such notation; A > B; group 0, or used > group
///   EOVERFLOW  a number of more than 32 bits
///   ERANGE     a CPU that the host does not have
ErrnoResult<CpuSet> parse_cpu_list(std::string_view list, unsigned cpus);
/// Longest list in bytes: a page with its NUL.
inline constexpr std::size_t kCpuListMost = 4095;

/// The shortest list that says this set without groups: "0-3,8".
std::string cpu_list(const CpuSet& set);

}  // namespace vpmu::virt
