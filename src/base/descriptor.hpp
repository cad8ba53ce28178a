// SPDX-License-Identifier: MIT
//
// A file descriptor that is closed at the end of its scope.
#pragma once

#include <unistd.h>

namespace vpmu {

class Descriptor {
 public:
  /// As open() gives it: negative where there is none.
  explicit Descriptor(int number) : number_{number} {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

}  // namespace vpmu
