// SPDX-License-Identifier: MIT
#include "machine/stack_walk.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>

namespace vpmu::machine {

namespace {

/// Where the caller's frame is, and where it goes on.
struct Frame {
  std::uint64_t caller;
  std::uint64_t return_address;
};

/// No code lies on the last page of the address space, and none where the bits above the 57 of the
/// largest page tables are not all the same. Files of perf's, too, have markers there, not
/// addresses.
bool may_be_code(std::uint64_t address) {
  constexpr unsigned kUnused = 64 - 57;
  constexpr std::uint64_t kLastPage = ~std::uint64_t{0xfff};
  const auto extended = static_cast<std::int64_t>(address << kUnused) >> kUnused;
  return address != 0 && address < kLastPage && static_cast<std::uint64_t>(extended) == address;
}

template <class Word>
std::optional<Frame> read_frame(std::uint64_t at, StackReader& reader) {
  std::array<Word, 2> words{};
  if (at % sizeof(Word) != 0 || at > std::numeric_limits<Word>::max() - (sizeof words - 1)) {
    return std::nullopt;
  }
  if (!reader.read(at, words.data(), sizeof words)) return std::nullopt;
  return Frame{words[0], words[1]};
}
}  // namespace

bool PagedStackReader::look_at(std::uint64_t page) {
  if (host_ != nullptr && page == page_) return true;
  page_ = page;
  host_ = host_page(page);
  return host_ != nullptr;
}

bool PagedStackReader::read(std::uint64_t address, void* to, std::size_t bytes) {
  auto* out = static_cast<std::uint8_t*>(to);
  while (bytes != 0) {
    const std::uint64_t at = linear(address);
    const std::uint64_t within = at % kPageBytes;
    const std::size_t piece = std::min<std::size_t>(bytes, kPageBytes - within);
    if (!look_at(at - within)) return false;
    std::memcpy(out, host_ + within, piece);
    address += piece;
    out += piece;
    bytes -= piece;
  }
  return true;
}

std::size_t walk_stack(const StackRegisters& registers, StackReader& reader,
                       std::span<std::uint64_t> chain) {
  if (chain.empty()) return 0;
  std::size_t found = 0;
  chain[found++] = registers.ip;
  if (registers.has_link && found < chain.size() && may_be_code(registers.link)) {
    chain[found++] = registers.link;
  }
  std::uint64_t lowest = registers.stack_pointer;
  std::uint64_t at = registers.frame_pointer;
  while (found < chain.size()) {
    if (at < lowest || at - lowest > kFarthestFrame) break;
    const auto frame = registers.word_bytes == 4 ? read_frame<std::uint32_t>(at, reader)
                                                 : read_frame<std::uint64_t>(at, reader);
    if (!frame || !may_be_code(frame->return_address)) break;
    chain[found++] = frame->return_address;
    // The next one lies above this one: never here again.
    lowest = at + 2 * registers.word_bytes;
    at = frame->caller;
  }
  return found;
}

}  // namespace vpmu::machine
