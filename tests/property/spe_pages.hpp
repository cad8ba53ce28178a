// SPDX-License-Identifier: MIT
//
// Memory for an SPE buffer: a few pages, each of which can be written or faults in its own way, and
// nothing around them. Bits 63:56 of addresses are ignored.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "vpmu/silicon/arm64/spe_unit.hpp"

namespace vpmu::property {

class SpePages final : public silicon::arm64::SpeBuffer {
 public:
  static constexpr std::uint64_t kBase = 0x7f'0000, kPageSize = 0x1000, kPages = 6;
  enum class Page : std::uint8_t { kGood, kTranslation, kPermission, kStage2, kExternal };
  struct Write {
    std::uint64_t address, size;
  };

  void set(std::uint64_t page, Page what) { pages_[page % kPages] = what; }

  tl::expected<void, Fault> write(std::uint64_t address,
                                  std::span<const std::uint8_t> bytes) override {
    const std::uint64_t start = address << 8 >> 8, end = start + bytes.size();
    for (std::uint64_t at = start; at < end; at = (at / kPageSize + 1) * kPageSize) {
      if (at < kBase || at >= kBase + kPages * kPageSize) {
        return tl::unexpected(Fault{.address = at, .status = 0x04});
      }
      const Page page = pages_[(at - kBase) / kPageSize];
      if (page != Page::kGood) return tl::unexpected(fault(page, at));
    }
    std::ranges::copy(bytes, bytes_.begin() + static_cast<std::ptrdiff_t>(start - kBase));
    writes.push_back({address, bytes.size()});
    return {};
  }

  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return bytes_; }
  std::vector<Write> writes;  ///< since somebody cleared it

 private:
  static Fault fault(Page page, std::uint64_t at) {
    switch (page) {
      case Page::kPermission: return {.address = at, .status = 0x0f};
      case Page::kStage2: return {.address = at, .stage2 = true, .status = 0x06};
      case Page::kExternal: return {.address = at, .external = true, .status = 0x10};
      default: return {.address = at, .status = 0x07};
    }
  }

  std::array<Page, kPages> pages_{};
  std::array<std::uint8_t, kPages * kPageSize> bytes_{};
};

}  // namespace vpmu::property
