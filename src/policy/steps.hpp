// SPDX-License-Identifier: MIT
//
// How much a search may still do, in steps that are the same on every machine.
#pragma once

#include <cstdint>

namespace vpmu::policy {

class Steps {
 public:
  explicit Steps(std::uint64_t budget) : left_{budget} {}
  /// False: there is none left, and whatever was searched for is not known to be absent.
  bool take() {
    if (left_ == 0) return false;
    --left_;
    return true;
  }
  [[nodiscard]] bool spent() const { return left_ == 0; }

 private:
  std::uint64_t left_;
};

}  // namespace vpmu::policy
