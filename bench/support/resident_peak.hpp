// SPDX-License-Identifier: MIT
//
// How much more memory this process held at once than at a certain time.
#pragma once

#include <cstdint>

namespace vpmu::bench {

class ResidentPeak {
 public:
  /// From now on.
  ResidentPeak();
  /// The most resident bytes since then, less those that were resident then. 0 if the system does
  /// not say.
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  std::uint64_t before_;
};

}  // namespace vpmu::bench
