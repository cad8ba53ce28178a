// SPDX-License-Identifier: MIT
#include "vpmu/virt/arm64/spe_vm.hpp"

#include <algorithm>
#include <bit>

#include "vpmu/base/ensure.hpp"

namespace vpmu::virt::arm64 {

using silicon::arm64::kSpePctPhysical;
using silicon::arm64::Pmbidr;
using silicon::arm64::PmscrEl2;

std::uint16_t max_buffer_field(std::uint64_t bytes) {
  constexpr unsigned kPageBits = 12, kMantissaBits = 9;
  constexpr std::uint64_t kLargest = 0x3fff;
  const std::uint64_t pages = std::max<std::uint64_t>(bytes >> kPageBits, 1);
  // As floating point numbers have it: exponents of 1 and up have a leading 1 that is not said.
  const auto width = static_cast<unsigned>(std::bit_width(pages));
  if (width <= kMantissaBits) return static_cast<std::uint16_t>(pages);
  const unsigned exponent = width - kMantissaBits;
  const std::uint64_t mantissa = (pages >> (exponent - 1)) - (std::uint64_t{1} << kMantissaBits);
  const std::uint64_t field = std::uint64_t{exponent} << kMantissaBits | mantissa;
  return static_cast<std::uint16_t>(std::min(field, kLargest));
}

SpeVm::SpeVm(const SpeVmConfig& config) : config_{config} {
  if (config_.model.version == 0) return;
  ensure(is_valid(config_.model));
  Pmbidr shown{config_.model.pmbidr};
  shown.set(Pmbidr::kP, 0);
  if (config_.max_buffer_bytes != 0) {
    shown.set(Pmbidr::kMaxBuffSize, max_buffer_field(config_.max_buffer_bytes));
    max_buffer_bytes_ = shown.max_buffer_bytes();
  }
  pmbidr_ = shown.raw;
}

silicon::arm64::SpeOwner SpeVm::owner() const {
  PmscrEl2 control;
  control.set(PmscrEl2::kPa, 1);
  if (config_.perfmon_capable) control.set(PmscrEl2::kPct, kSpePctPhysical);
  return {.pmscr_el2 = control.raw};
}

}  // namespace vpmu::virt::arm64
