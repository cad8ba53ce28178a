// SPDX-License-Identifier: MIT
//
// A guest's call stack by its frame pointers. The frame record has the same form on x86-64 and on
// AArch64: at the frame pointer lies the caller's frame pointer, behind it the return address; on
// 32-bit x86 the same in words of four bytes.
//
// The stack is the guest's, and says what it likes: no walk takes more steps than there is room
// for, each frame lies above the one before by at most kFarthest, is aligned, and is read with the
// guest's own page tables without changing anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vpmu::machine {

struct StackRegisters {
  std::uint64_t ip = 0;
  std::uint64_t stack_pointer = 0;
  std::uint64_t frame_pointer = 0;
  unsigned word_bytes = 8;  ///< 8 or 4
  std::uint64_t link = 0;   ///< return address of a function without a frame, if has_link
  bool has_link = false;    ///< AArch64
};

class StackReader {
 public:
  /// Guest memory at a linear address; false if it is unmapped or no RAM. Changes nothing.
  virtual bool read(std::uint64_t linear, void* to, std::size_t bytes) = 0;

 protected:
  ~StackReader() = default;
};

/// Guest memory by pages of the host's. Each page is asked for once, as long as frames stay in it.
class PagedStackReader : public StackReader {
 public:
  static constexpr std::uint64_t kPageBytes = 4096;

  bool read(std::uint64_t address, void* to, std::size_t bytes) override;

 protected:
  ~PagedStackReader() = default;
  /// Of an address in the stack's own terms.
  [[nodiscard]] virtual std::uint64_t linear(std::uint64_t address) const { return address; }
  /// Where the host has the page that begins at a linear address; null: unmapped or no RAM.
  [[nodiscard]] virtual const std::uint8_t* host_page(std::uint64_t page) const = 0;

 private:
  bool look_at(std::uint64_t page);

  std::uint64_t page_ = 0;
  const std::uint8_t* host_ = nullptr;
};

/// Frames are at most so many bytes apart.
inline constexpr std::uint64_t kFarthestFrame = std::uint64_t{1} << 20;

/// Fills `chain`, the innermost address first, which is `registers.ip`; gives how many. Stops at
/// the first frame that cannot be one.
std::size_t walk_stack(const StackRegisters& registers, StackReader& reader,
                       std::span<std::uint64_t> chain);

}  // namespace vpmu::machine
