// SPDX-License-Identifier: MIT
//
// Where a random sequence's decisions come from: a seeded generator (property test) or the bytes of
// a fuzzer's input. The same code turns either into operations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vpmu::property {

class Choices {
 public:
  /// `bits` (1 to 64) bits.
  virtual std::uint64_t draw(unsigned bits) = 0;
  /// No more decisions: draw() gives zeros.
  [[nodiscard]] virtual bool exhausted() const = 0;

  /// Less than `count` (1 to 65536).
  std::uint32_t below(std::uint32_t count) {
    return static_cast<std::uint32_t>(draw(count <= 256 ? 8 : 16) % count);
  }
  /// With a probability of `n` in 256.
  bool chance(unsigned n) { return draw(8) < n; }
  template <class T, std::size_t N>
  T of(const T (&values)[N]) {
    return values[below(N)];
  }

 protected:
  ~Choices() = default;
};

/// SplitMix64: the same sequence on every host.
class RandomChoices final : public Choices {
 public:
  explicit RandomChoices(std::uint64_t seed) : state_{seed} {}
  std::uint64_t draw(unsigned bits) override {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) >> (64 - bits);
  }
  [[nodiscard]] bool exhausted() const override { return false; }

 private:
  std::uint64_t state_;
};

class ByteChoices final : public Choices {
 public:
  explicit ByteChoices(std::span<const std::uint8_t> bytes) : bytes_{bytes} {}
  std::uint64_t draw(unsigned bits) override {
    std::uint64_t value = 0;
    for (unsigned taken = 0; taken < bits && at_ < bytes_.size(); taken += 8) {
      value |= std::uint64_t{bytes_[at_++]} << taken;
    }
    return bits == 64 ? value : value & ((std::uint64_t{1} << bits) - 1);
  }
  [[nodiscard]] bool exhausted() const override { return at_ >= bytes_.size(); }

 private:
  std::span<const std::uint8_t> bytes_;
  std::size_t at_ = 0;
};

}  // namespace vpmu::property
