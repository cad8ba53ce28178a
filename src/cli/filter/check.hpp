// SPDX-License-Identifier: MIT
//
// `vpmu filter check`: what the kernel would say of a filter, and what in it does nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/filter/output.hpp"
#include "policy/filter_file.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::filter {

struct CheckOptions {
  std::string file;
  std::string cpu;     ///< name, or empty
  std::string vendor;  ///< "intel", "amd", or empty
  bool json = false;
};

/// The answer for guests of one vendor.
struct VendorAnswer {
  silicon::x86::Vendor vendor;
  std::optional<virt::x86::FilterRefusal> refusal;  ///< none: valid
  std::string text;                                 ///< of the refusal
};

struct Warning {
  std::optional<std::uint32_t> entry;  ///< none: of the file as a whole
  std::optional<silicon::x86::Vendor> only_for;
  std::string text;
};

struct CheckResult {
  std::vector<VendorAnswer> answers;  ///< of the vendors that were asked for
  std::vector<Warning> warnings;      ///< about what is valid

  /// For one of them at least.
  [[nodiscard]] bool valid() const;
};

/// `fixed_counters`: how many there are, if that is known.
CheckResult check(const policy::FilterFile& file, const std::vector<silicon::x86::Vendor>& vendors,
                  std::optional<unsigned> fixed_counters);

/// Status 1 if no vendor that was asked for takes it.
Result<Output> run_check(const CheckOptions& options);

}  // namespace vpmu::cli::filter
