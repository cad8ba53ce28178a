// SPDX-License-Identifier: MIT
//
// Which parts of RAM have been decoded or compiled, shared by all CPUs of a machine. A write to
// such a part makes every CPU drop what it decoded from there before its next instruction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

namespace vpmu::machine {

/// A CPU's cache of decoded code, told about writes to code.
class CodeListener {
 public:
  /// RAM page `page` (GuestMemory::page_index) now holds decoded code: cached write access must go.
  virtual void on_code_page(std::size_t page) = 0;
  /// Bytes in RAM page `page` that were decoded have been overwritten.
  virtual void on_code_written(std::size_t page) = 0;

 protected:
  ~CodeListener() = default;
};

class CodePages {
 public:
  explicit CodePages(std::size_t pages)
      : chunks_{static_cast<std::uint64_t*>(std::calloc(pages, sizeof(std::uint64_t)))} {
    if (chunks_ == nullptr) throw std::bad_alloc{};
  }

  void add_listener(CodeListener& listener) { listeners_.push_back(&listener); }
  void remove_listener(CodeListener& listener) { std::erase(listeners_, &listener); }

  [[nodiscard]] bool has_code(std::size_t page) const { return chunks_[page] != 0; }

  /// Bytes [first, last] of a page were decoded.
  void mark(std::size_t page, unsigned first, unsigned last) {
    const bool is_new = chunks_[page] == 0;
    chunks_[page] |= mask(first, last);
    if (is_new) {
      for (CodeListener* listener : listeners_) listener->on_code_page(page);
    }
  }

  /// True if a write to bytes [first, last] of the page hits decoded code.
  [[nodiscard]] bool hits(std::size_t page, unsigned first, unsigned last) const {
    return (chunks_[page] & mask(first, last)) != 0;
  }

  /// The page's decoded code is gone everywhere.
  void written(std::size_t page) {
    if (chunks_[page] == 0) return;
    chunks_[page] = 0;
    for (CodeListener* listener : listeners_) listener->on_code_written(page);
  }

 private:
  /// A bit for each 64 bytes of the page.
  static constexpr std::uint64_t mask(unsigned first, unsigned last) {
    const unsigned low = first / 64, high = last / 64;
    return (~std::uint64_t{0} >> (63 - (high - low))) << low;
  }

  struct Free {
    void operator()(std::uint64_t* chunks) const { std::free(chunks); }
  };

  /// One word a page of RAM, from calloc: what is never looked at costs no memory.
  std::unique_ptr<std::uint64_t[], Free> chunks_;
  std::vector<CodeListener*> listeners_;
};

}  // namespace vpmu::machine
