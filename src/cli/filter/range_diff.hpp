// SPDX-License-Identifier: MIT
//
// `vpmu filter diff` of two filters of AArch64 guests: every event number about which they say
// something else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/filter/output.hpp"
#include "cli/filter/ranges.hpp"
#include "policy/filter_file.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::filter {

struct RangeDifferences {
  struct Named {
    std::string_view name;  ///< of the model's
    std::uint16_t event = 0;
    bool a_admits = false;  ///< the other one says the opposite
  };
  /// Numbers of which at least one has no name; those that have one are among `named`, too.
  struct Unnamed {
    std::uint16_t event = 0;
    std::uint16_t last_event = 0;
    bool a_admits = false;
    friend bool operator==(const Unnamed&, const Unnamed&) = default;
  };
  std::vector<Named> named;      ///< by number
  std::vector<Unnamed> unnamed;  ///< by number

  [[nodiscard]] bool any() const { return !named.empty() || !unnamed.empty(); }
};

/// Of filters for guests of that CPU.
RangeDifferences differences(const virt::arm64::EventFilter& a, const virt::arm64::EventFilter& b,
                             const silicon::arm64::CpuModel& model);

/// Is one of them for AArch64 guests, or `cpu` (of --cpu, or empty) an AArch64 model?
bool are_ranges(const policy::FilterFile& a, const policy::FilterFile& b, const std::string& cpu);
/// Of such files; status 1 if they differ. The CPU is that of --cpu, or of the file that says one.
Result<Output> diff_ranges(const policy::FilterFile& a, const policy::FilterFile& b,
                           const std::string& cpu, bool json);

}  // namespace vpmu::cli::filter
