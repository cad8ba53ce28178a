// SPDX-License-Identifier: MIT
#include "cli/cpu_text.hpp"

#include <fmt/format.h>

#include "cli/wrap.hpp"

namespace vpmu::cli {

namespace {
using silicon::CacheGeometry;
using silicon::TlbGeometry;

std::string cache_text(CacheGeometry cache) {
  return fmt::format("{}, {}-way", size_text(cache), cache.ways);
}

std::string tlb_text(TlbGeometry tlb) {
  return fmt::format("{} pages, {}-way", tlb.sets * tlb.ways, tlb.ways);
}
}  // namespace

std::string size_text(CacheGeometry cache) {
  const std::uint64_t kib = std::uint64_t{cache.sets} * cache.ways * 64 / 1024;
  return kib < 1024 ? fmt::format("{} KiB", kib)
                    : fmt::format("{:g} MiB", static_cast<double>(kib) / 1024);
}

std::string memory_text(const silicon::MemoryHierarchy& memory) {
  return fmt::format(
      "  L1D              {}\n"
      "  L2               {}\n"
      "  LLC              {}, shared by all vCPUs\n"
      "  DTLB             {}\n"
      "  second-level TLB {}\n",
      cache_text(memory.l1d), cache_text(memory.l2), cache_text(memory.llc), tlb_text(memory.dtlb),
      tlb_text(memory.stlb));
}

std::string event_note_text(std::string_view note, std::string_view source) {
  const std::string below = fmt::format("{}{}[{}]", note, note.empty() ? "" : " ", source);
  return wrapped("    ", 4, below) + '\n';
}

std::string gigahertz_text(std::uint64_t hz) {
  return fmt::format("{:.2f}", static_cast<double>(hz) / 1e9);
}

}  // namespace vpmu::cli
