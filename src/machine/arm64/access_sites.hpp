// SPDX-License-Identifier: MIT
//
// Which accesses of compiled code are known to need no alignment. While a block runs there is no
// telling which instruction accesses memory, but each has a place of its own in compiled code. What
// is not known is run by itself once, and then is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vpmu::machine::arm64 {

class AccessSites {
 public:
  /// An address in compiled code: where an access returns to.
  using Site = std::uintptr_t;

  [[nodiscard]] bool knows(Site site) const { return known_[slot(site)] == site; }
  /// The access at `site` is not done now. Its instruction is the next to be run by itself.
  void suspect(Site site) { suspect_ = site; }
  /// What has been suspected needs no alignment.
  void acquit() {
    if (suspect_ != kNone) known_[slot(suspect_)] = suspect_;
    suspect_ = kNone;
  }
  void drop_suspicion() { suspect_ = kNone; }
  /// Code has been compiled that does need it, maybe where other code has been.
  void forget() { known_.fill(kNone); }

 private:
  static constexpr std::size_t kSites = 1024;
  static constexpr Site kNone = 0;
  static std::size_t slot(Site site) { return (site ^ site >> 10) % kSites; }

  std::array<Site, kSites> known_{};
  Site suspect_ = kNone;
};

}  // namespace vpmu::machine::arm64
