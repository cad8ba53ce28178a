// SPDX-License-Identifier: MIT
//
// The CPU model of a modelled host, of either architecture.
#pragma once

#include <cstdint>
#include <string_view>

#include "vpmu/silicon/arm64/cpu_model.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::hostperf {

class HostCpuModel {
 public:
  /// The model must outlive this. Implicit: a host is made of its CPUs' model.
  HostCpuModel(const silicon::x86::CpuModel& model) : x86_{&model} {}
  HostCpuModel(const silicon::arm64::CpuModel& model) : arm64_{&model} {}

  /// Null: of the other architecture.
  [[nodiscard]] const silicon::x86::CpuModel* x86() const { return x86_; }
  [[nodiscard]] const silicon::arm64::CpuModel* arm64() const { return arm64_; }
  /// As on the command line.
  [[nodiscard]] std::string_view name() const {
    return x86_ != nullptr ? x86_->name : arm64_->name;
  }
  /// Cycles of the core clock in a second.
  [[nodiscard]] std::uint64_t hz() const { return x86_ != nullptr ? x86_->hz : arm64_->hz; }
  /// Its last branch records; AArch64 has none.
  [[nodiscard]] const silicon::x86::LbrModel& lbr() const {
    static constexpr silicon::x86::LbrModel kNone{};
    return x86_ != nullptr ? x86_->lbr : kNone;
  }

 private:
  const silicon::x86::CpuModel* x86_ = nullptr;
  const silicon::arm64::CpuModel* arm64_ = nullptr;
};

}  // namespace vpmu::hostperf
