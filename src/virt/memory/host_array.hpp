// SPDX-License-Identifier: MIT
//
// Zeroed numbers in memory of the host's, which vCPUs read while one thread writes. A large array
// of which little is used costs little.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "vpmu/virt/memory/memory_slot.hpp"
#include "vpmu/virt/memory/pinning_host.hpp"

namespace vpmu::virt::memory {

template <class Number>
class HostArray {
 public:
  HostArray() = default;
  /// Without memory, valid() is false.
  HostArray(PinningHost& host, std::size_t count)
      : host_{&host}, bytes_{(count * sizeof(Number) + kPageBytes - 1) / kPageBytes * kPageBytes} {
    numbers_ = static_cast<Number*>(host.allocate(bytes_));
  }
  HostArray(HostArray&& other) noexcept
      : host_{other.host_},
        bytes_{std::exchange(other.bytes_, 0)},
        numbers_{std::exchange(other.numbers_, nullptr)} {}
  HostArray& operator=(HostArray&& other) noexcept {
    std::swap(host_, other.host_);
    std::swap(bytes_, other.bytes_);
    std::swap(numbers_, other.numbers_);
    return *this;
  }
  ~HostArray() {
    if (numbers_ != nullptr) host_->release(numbers_, bytes_);
  }

  [[nodiscard]] bool valid() const { return numbers_ != nullptr; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] const Number* data() const { return numbers_; }

  [[nodiscard]] Number load(std::size_t i) const {
    return std::atomic_ref{numbers_[i]}.load(std::memory_order_acquire);
  }
  void store(std::size_t i, Number number) const {
    std::atomic_ref{numbers_[i]}.store(number, std::memory_order_release);
  }
  void set(std::size_t i, Number bits) const {
    std::atomic_ref{numbers_[i]}.fetch_or(bits, std::memory_order_acq_rel);
  }
  void clear(std::size_t i, Number bits) const {
    std::atomic_ref{numbers_[i]}.fetch_and(static_cast<Number>(~bits), std::memory_order_acq_rel);
  }
  Number take(std::size_t i) const {
    return std::atomic_ref{numbers_[i]}.exchange(0, std::memory_order_acq_rel);
  }

 private:
  PinningHost* host_ = nullptr;
  std::size_t bytes_ = 0;
  Number* numbers_ = nullptr;
};

/// A bit for each of a number of pages.
class PageBits : public HostArray<std::uint64_t> {
 public:
  PageBits() = default;
  PageBits(PinningHost& host, std::uint64_t pages) : HostArray{host, (pages + 63) / 64} {}

  [[nodiscard]] bool test(std::uint64_t bit) const { return (load(bit / 64) >> bit % 64 & 1) != 0; }
  void set_range(std::uint64_t first, std::uint64_t end) const {
    for_words(first, end, [this](std::uint64_t word, std::uint64_t bits) { set(word, bits); });
  }
  void clear_range(std::uint64_t first, std::uint64_t end) const {
    for_words(first, end, [this](std::uint64_t word, std::uint64_t bits) {
      // What was never written stays without memory.
      if ((load(word) & bits) != 0) clear(word, bits);
    });
  }

 private:
  template <class Do>
  static void for_words(std::uint64_t first, std::uint64_t end, Do&& act) {
    while (first < end) {
      const std::uint64_t next = first / 64 * 64 + 64 < end ? first / 64 * 64 + 64 : end;
      const std::uint64_t count = next - first;
      const std::uint64_t ones = count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
      act(first / 64, ones << first % 64);
      first = next;
    }
  }
};

/// Pages of a slot, and how they lie in blocks. A page's *bit* is its number in arrays that begin
/// with the first page's block.
struct PageLayout {
  std::uint64_t pages = 0;
  std::uint64_t offset = 0;  ///< of the first page in its block

  [[nodiscard]] std::uint64_t bits() const { return offset + pages; }
  [[nodiscard]] std::uint64_t blocks() const {
    return (bits() + kPagesPerBlock - 1) / kPagesPerBlock;
  }
  /// Which of the slot's pages are in a block.
  [[nodiscard]] std::uint64_t block_first(std::uint64_t block) const {
    return block == 0 ? 0 : block * kPagesPerBlock - offset;
  }
  [[nodiscard]] std::uint64_t block_end(std::uint64_t block) const {
    const std::uint64_t end = (block + 1) * kPagesPerBlock - offset;
    return end < pages ? end : pages;
  }
  [[nodiscard]] std::uint64_t block_of(std::uint64_t page) const {
    return (page + offset) / kPagesPerBlock;
  }

  /// Calls `act(block, first, end)` for the part that each block has of these pages.
  template <class Do>
  void for_blocks(std::uint64_t first, std::uint64_t end, Do&& act) const {
    while (first < end) {
      const std::uint64_t block = block_of(first);
      const std::uint64_t next = block_end(block) < end ? block_end(block) : end;
      act(block, first, next);
      first = next;
    }
  }
};

}  // namespace vpmu::virt::memory
