// SPDX-License-Identifier: MIT
#include "machine/boot/arm64_load.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "machine/boot/arm64_image.hpp"
#include "machine/boot/boot_area.hpp"
#include "machine/boot/image_file.hpp"
#include "machine/boot/placing.hpp"

namespace vpmu::machine::boot {

namespace {
constexpr std::uint64_t kPage = 4096;

/// One past the last byte of the image that is below the boot area's end.
std::uint64_t floor_of(const Image& image, const GuestMemory& memory) {
  std::uint64_t end = memory.begin();
  for (const LoadSegment& segment : image.segments) {
    if (segment.address < BootArea::end(memory)) end = segment.address + segment.memory_size;
  }
  return end;
}
}  // namespace

Result<Arm64Start> load_arm64(const LoadRequest& request, const DeviceTreeBoard& board,
                              const GuestMemory& memory) {
  const auto file = read_file(request.image, "guest image");
  if (!file) return tl::unexpected(file.error());
  const auto image = parse_arm64_image(*file, request.image);
  if (!image) return tl::unexpected(image.error());
  return load_arm64(*image, request, board, memory);
}

Result<Arm64Start> load_arm64(const Image& image, const LoadRequest& request,
                              const DeviceTreeBoard& board, const GuestMemory& memory) {
  if (request.modules.size() > 1) {
    return fail(fmt::format("initrd '{}': an arm64 guest has one at most; put them into one file",
                            request.modules[1]));
  }
  const auto placed = place_segments(image, memory, request.image);
  if (!placed) return tl::unexpected(placed.error());

  BootArea area{memory, floor_of(image, memory)};
  const auto modules = place_modules(request.modules, area);
  if (!modules) return tl::unexpected(modules.error());
  DeviceTreeChoice choice;
  choice.command_line = request.arguments;
  if (!modules->empty()) {
    choice.initrd_begin = modules->front().address;
    choice.initrd_end = modules->front().address + modules->front().length;
  }
  const auto tree = device_tree(board, memory, choice);
  if (!tree) return tl::unexpected(tree.error());
  Arm64Start start{.protocol = image.protocol,
                   .entry = image.entry,
                   .device_tree = area.place(*tree, kPage),
                   .boot_area = 0};
  if (area.full()) return no_room(request.image, memory);
  start.boot_area = area.begin();
  return start;
}

}  // namespace vpmu::machine::boot
