// SPDX-License-Identifier: MIT
#include "machine/snapshot/guest_pages.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "machine/snapshot/format.hpp"

namespace vpmu::machine::snapshot {

namespace {
bool is_zero(const std::uint8_t* page) {
  // The first word says it for most pages that are not.
  std::uint64_t first = 0;
  std::memcpy(&first, page, sizeof first);
  return first == 0 && std::memcmp(page, page + 8, kPageBytes - 8) == 0;
}

/// What the kernel says of this process' pages: /proc/self/pagemap, eight bytes each. Where it
/// cannot be read every page counts as touched.
class PageMap {
 public:
  PageMap() : file_{open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)} {}
  ~PageMap() {
    if (file_ >= 0) close(file_);
  }
  PageMap(const PageMap&) = delete;
  PageMap& operator=(const PageMap&) = delete;

  static constexpr std::size_t kEntries = 4096;

  /// Looks at `count` (up to kEntries) pages from `first` on.
  void look(const std::uint8_t* first, std::size_t count) {
    const auto page = reinterpret_cast<std::uintptr_t>(first) / kPageBytes;
    const std::size_t bytes = count * sizeof(std::uint64_t);
    const ssize_t got = file_ < 0 ? -1
                                  : pread(file_, entries_.data(), bytes,
                                          static_cast<off_t>(page * sizeof(std::uint64_t)));
    if (got != static_cast<ssize_t>(bytes)) entries_.fill(kPresent);
  }
  [[nodiscard]] bool touched(std::size_t n) const {
    return (entries_[n] & (kPresent | kSwapped)) != 0;
  }

 private:
  static constexpr std::uint64_t kPresent = std::uint64_t{1} << 63,
                                 kSwapped = std::uint64_t{1} << 62;
  int file_;
  std::array<std::uint64_t, kEntries> entries_{};
};

using Take = std::function<Result<void>(std::uint64_t, std::span<const std::uint8_t>)>;

/// One stretch of RAM without a hole.
Result<void> runs_of(const GuestMemory& memory, std::uint64_t begin, std::uint64_t bytes,
                     std::size_t most_pages, const Take& take) {
  if (bytes == 0) return {};
  const std::uint8_t* base = memory.host(begin, bytes);
  PageMap map;
  std::size_t run = 0;  // pages with content right before `at`
  const auto flush = [&](std::size_t at) -> Result<void> {
    const std::size_t pages = std::exchange(run, 0);
    if (pages == 0) return {};
    const std::size_t offset = (at - pages) * kPageBytes;
    return take(begin + offset, {base + offset, pages * kPageBytes});
  };
  const std::size_t pages = bytes / kPageBytes;
  for (std::size_t at = 0; at < pages; ++at) {
    const std::size_t n = at % PageMap::kEntries;
    if (n == 0) map.look(base + at * kPageBytes, std::min(PageMap::kEntries, pages - at));
    if (map.touched(n) && !is_zero(base + at * kPageBytes)) {
      if (++run < most_pages) continue;
      if (auto done = flush(at + 1); !done) return done;
    } else if (auto done = flush(at); !done) {
      return done;
    }
  }
  return flush(pages);
}
}  // namespace

Result<void> for_each_run(const GuestMemory& memory, std::size_t most_pages, const Take& take) {
  auto low = runs_of(memory, memory.begin(), memory.low_size(), most_pages, take);
  if (!low) return low;
  return runs_of(memory, memory.high_begin(), memory.high_size(), most_pages, take);
}

}  // namespace vpmu::machine::snapshot
