// SPDX-License-Identifier: MIT
//
// Where snapshots go and come from: whatever takes or gives bytes in their order.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "vpmu/base/result.hpp"

namespace vpmu::machine::snapshot {

class Output {
 public:
  /// All of them, or an error of one line.
  virtual Result<void> write(std::string_view bytes) = 0;

 protected:
  ~Output() = default;
};

class Input {
 public:
  /// At least one byte, and no more than there is room for; 0: that was all.
  virtual Result<std::size_t> read(std::span<char> to) = 0;

 protected:
  ~Input() = default;
};

/// For tests and for embedders that have their own transport.
class StringOutput final : public Output {
 public:
  std::string bytes;
  Result<void> write(std::string_view more) override {
    bytes += more;
    return {};
  }
};

class StringInput final : public Input {
 public:
  /// `bytes` must outlive the input.
  explicit StringInput(std::string_view bytes) : left_{bytes} {}
  Result<std::size_t> read(std::span<char> to) override {
    const std::size_t count = left_.size() < to.size() ? left_.size() : to.size();
    if (count != 0) std::memcpy(to.data(), left_.data(), count);
    left_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view left_;
};

}  // namespace vpmu::machine::snapshot
