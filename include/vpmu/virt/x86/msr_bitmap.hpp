// SPDX-License-Identifier: MIT
//
// An MSR bitmap in VMX's format (Intel SDM vol. 3C 25.6.9): which RDMSR and WRMSR of a guest exit.
// Four parts of 1024 bytes, a bit per MSR, 1: exits. MSRs 0 to 1FFFH and C0000000H to C0001FFFH
// have a bit for reads and one for writes; all others always exit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "vpmu/base/numbers.hpp"

namespace vpmu::virt::x86 {

class MsrBitmap {
 public:
  static constexpr std::size_t kBytes = 4096;

  /// Every MSR exits.
  MsrBitmap() { bytes_.fill(0xff); }

  [[nodiscard]] bool intercepts_read(MsrIndex msr) const { return intercepts(msr, kReads); }
  [[nodiscard]] bool intercepts_write(MsrIndex msr) const { return intercepts(msr, kWrites); }

  /// Of an MSR that has bits; no effect on others. Both reads and writes.
  void intercept(MsrIndex msr, bool exits) {
    const std::size_t bit = bit_of(msr);
    if (bit == kNoBit) return;
    for (const std::size_t part : {kReads, kWrites}) {
      std::uint8_t& byte = bytes_[part + bit / 8];
      const auto mask = static_cast<std::uint8_t>(1u << bit % 8);
      byte = static_cast<std::uint8_t>(exits ? byte | mask : byte & ~mask);
    }
  }

  /// As the VMCS's MSR-bitmap address points to it.
  [[nodiscard]] const std::array<std::uint8_t, kBytes>& bytes() const { return bytes_; }

  friend bool operator==(const MsrBitmap&, const MsrBitmap&) = default;

 private:
  static constexpr std::size_t kReads = 0, kWrites = 2048, kHigh = 1024 * 8,
                               kNoBit = ~std::size_t{0};
  static constexpr std::uint32_t kMsrs = 0x2000, kFirstHigh = 0xc000'0000;

  /// Within the two parts for reads, or for writes.
  static std::size_t bit_of(MsrIndex msr) {
    if (raw(msr) < kMsrs) return raw(msr);
    return raw(msr) - kFirstHigh < kMsrs ? kHigh + (raw(msr) - kFirstHigh) : kNoBit;
  }
  [[nodiscard]] bool intercepts(MsrIndex msr, std::size_t part) const {
    const std::size_t bit = bit_of(msr);
    return bit == kNoBit || (bytes_[part + bit / 8] >> bit % 8 & 1) != 0;
  }

  alignas(kBytes) std::array<std::uint8_t, kBytes> bytes_{};
};

}  // namespace vpmu::virt::x86
