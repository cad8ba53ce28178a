// SPDX-License-Identifier: MIT
//
// What events are called on the CPUs of a model, of either architecture: their names, and the
// fields of EventAttr::config that terms fill.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/host_cpu_model.hpp"

namespace vpmu::cli {

struct EventNotation {
  struct Name {
    std::string_view name;
    std::uint64_t config = 0;
  };
  /// Of perf's, for what many CPUs have; empty: this model has none.
  struct GenericName {
    std::string_view name;
    std::optional<std::uint64_t> config;
  };
  /// A part of `config` that a term names.
  struct Field {
    std::string_view name;
    std::uint64_t most = 0;
    std::uint64_t (*set)(std::uint64_t config, std::uint64_t value) = nullptr;
  };

  std::string_view model;
  std::vector<Name> names;  ///< as the CPU's manual spells them
  std::vector<GenericName> generic;
  std::vector<Field> fields;
  std::span<const std::string_view> units;  ///< what may stand before terms: "cpu"
  std::uint64_t most_raw = 0;               ///< of rXXXX

  /// EventAttr::config of a name in upper or lower case, or of rXXXX. An error is one line, with
  /// names like it where it is not known.
  [[nodiscard]] Result<std::uint64_t> find(std::string_view name) const;
};

EventNotation event_notation(const hostperf::HostCpuModel& model);

}  // namespace vpmu::cli
