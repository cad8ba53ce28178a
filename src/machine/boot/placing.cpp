// SPDX-License-Identifier: MIT
#include "machine/boot/placing.hpp"

#include <fmt/format.h>

#include "machine/boot/image_file.hpp"

namespace vpmu::machine::boot {

namespace {
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

std::uint64_t in_mib(std::uint64_t bytes) {
  return (bytes + kMiB - 1) / kMiB;
}
}  // namespace

Result<void> place_segments(const Image& image, const GuestMemory& memory,
                            const std::string& path) {
  const MemoryLayout& layout = memory.begin() == kPcMemory.begin ? kPcMemory : kArmMemory;
  for (const LoadSegment& segment : image.segments) {
    if (memory.host(segment.address, segment.memory_size) == nullptr) {
      const std::uint64_t end = segment.address + segment.memory_size;
      if (segment.address < memory.begin()) {
        return fail(
            fmt::format("guest image '{}': the segment at {:#x} to {:#x} lies below RAM, which "
                        "begins at {:#x}; link it there or above",
                        path, segment.address, end, memory.begin()));
      }
      if (segment.address < layout.high_begin && end > layout.low_end) {
        return fail(
            fmt::format("guest image '{}': the segment at {:#x} to {:#x} lies where devices "
                        "are (3 to 4 GiB); link it elsewhere",
                        path, segment.address, end));
      }
      const std::uint64_t needed =
          end - memory.begin() - (end > layout.high_begin ? layout.high_begin - layout.low_end : 0);
      return fail(
          fmt::format("guest image '{}': its segment at {:#x} to {:#x} is outside the {} MiB "
                      "of guest memory; give at least {}M with --mem, or link it lower",
                      path, segment.address, end, memory.size() / kMiB, in_mib(needed) + 1));
    }
    memory.write(segment.address, segment.content);
  }
  return {};
}

Result<std::vector<Module>> place_modules(const std::vector<std::string>& paths, BootArea& area) {
  std::vector<Module> modules;
  for (const std::string& path : paths) {
    const auto file = read_file(path, "initrd");
    if (!file) return tl::unexpected(file.error());
    const std::uint64_t address = area.place(*file, kPage);
    const std::uint64_t name = area.place(path);
    if (area.full()) {
      return fail(
          fmt::format("initrd '{}': {} bytes do not fit into guest memory beside the image; "
                      "give more with --mem",
                      path, file->size()));
    }
    modules.push_back({address, file->size(), name});
  }
  return modules;
}

tl::unexpected<Error> no_room(const std::string& path, const GuestMemory& memory) {
  return fail(
      fmt::format("guest image '{}': {} MiB of guest memory leave no room for its start "
                  "information; give more with --mem",
                  path, memory.size() / kMiB));
}

}  // namespace vpmu::machine::boot
