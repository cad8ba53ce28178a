// SPDX-License-Identifier: MIT
#include "machine/boot/load.hpp"

#include <algorithm>

#include "machine/boot/boot_area.hpp"
#include "machine/boot/image_file.hpp"
#include "machine/boot/memory_map.hpp"
#include "machine/boot/placing.hpp"
#include "machine/boot/start_info.hpp"

namespace vpmu::machine::boot {

namespace {
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint32_t kMultibootEntryMagic = 0x2badb002;

/// One past the last byte of the image that is in the RAM below 4 GiB.
std::uint64_t low_end(const Image& image) {
  std::uint64_t end = 0;
  for (const LoadSegment& segment : image.segments) {
    if (segment.address < GuestMemory::kHighBegin) end = segment.address + segment.memory_size;
  }
  return end;
}

/// A page directory entry that maps 2 MiB, and one that refers to a table below.
constexpr std::uint64_t kPresentWritable = 3;
constexpr std::uint64_t kLargePage = 1 << 7;

/// The low 4 GiB mapped one to one with 2 MiB pages, supervisor only. The address for CR3.
std::uint64_t place_identity_map(BootArea& area) {
  constexpr std::size_t kEntries = 512;
  constexpr std::size_t kDirectories = 4;
  std::vector<std::uint8_t> pointers(kPage);
  for (std::size_t d = 0; d < kDirectories; ++d) {
    std::vector<std::uint8_t> directory(kPage);
    for (std::size_t i = 0; i < kEntries; ++i) {
      const std::uint64_t address = (d * kEntries + i) * 2 * kMiB;
      put(directory, i * 8, address | kLargePage | kPresentWritable);
    }
    put(pointers, d * 8, area.place(directory, kPage) | kPresentWritable);
  }
  std::vector<std::uint8_t> top(kPage);
  put(top, 0, area.place(pointers, kPage) | kPresentWritable);
  return area.place(top, kPage);
}

/// The descriptors that belong to the selectors of boot_state.hpp.
std::uint64_t place_descriptors(BootArea& area, std::uint64_t tss) {
  std::vector<std::uint8_t> table(kGdtBytes);
  put(table, kCode32Selector, std::uint64_t{0x00cf9b000000ffff});
  put(table, kDataSelector, std::uint64_t{0x00cf93000000ffff});
  put(table, kCode64Selector, std::uint64_t{0x00af9b000000ffff});
  // A busy TSS with limit 0x67: base bits 23:0 at 39:16, 31:24 at 63:56 (it is below 4 GiB).
  const std::uint64_t base = (tss & 0xffffff) << 16 | (tss >> 24) << 56;
  put(table, kTssSelector, base | std::uint64_t{0x00008b0000000067});
  return area.place(table, 16);
}

void enter_multiboot(BootState& state, const StartInfo& info, const GuestMemory& memory,
                     BootArea& area) {
  state.rax = kMultibootEntryMagic;
  state.rbx = place_multiboot_info(info, memory, area);
}

void enter_pvh(BootState& state, const StartInfo& info, const GuestMemory& memory, BootArea& area) {
  state.rbx = place_pvh_start_info(info, memory, area);
}

void enter_freestanding(BootState& state, const StartInfo& info, const GuestMemory& memory,
                        BootArea& area) {
  constexpr std::uint64_t kStackBytes = 64 * 1024;
  state.long_mode = true;
  state.cr3 = place_identity_map(area);
  // As if called: a return address (0) on top of the stack, which is 16-byte aligned above it.
  state.rsp = area.reserve(kStackBytes, kPage) + kStackBytes - 8;
  state.rsi = kMultibootEntryMagic;
  state.rdi = place_multiboot_info(info, memory, area);
}
}  // namespace

Result<BootState> load(const LoadRequest& request, const GuestMemory& memory) {
  const auto file = read_file(request.image, "guest image");
  if (!file) return tl::unexpected(file.error());
  const auto image = parse_image(*file, request.image);
  if (!image) return tl::unexpected(image.error());
  return load(*image, request, memory);
}

Result<BootState> load(const Image& image, const LoadRequest& request, const GuestMemory& memory) {
  const auto placed = place_segments(image, memory, request.image);
  if (!placed) return tl::unexpected(placed.error());

  BootArea area{memory, std::max(low_end(image), kUpperMemoryBegin + kPage)};
  BootState state;
  state.protocol = image.protocol;
  state.rip = image.entry;
  const auto modules = place_modules(request.modules, area);
  if (!modules) return tl::unexpected(modules.error());
  StartInfo info;
  info.modules = *modules;
  info.command_line = area.place(
      request.arguments.empty() ? request.image : request.image + " " + request.arguments);
  state.tss = area.reserve(104, 128);
  state.gdt = place_descriptors(area, state.tss);
  switch (image.protocol) {
    case Protocol::kMultiboot: enter_multiboot(state, info, memory, area); break;
    case Protocol::kPvh: enter_pvh(state, info, memory, area); break;
    case Protocol::kLinux:  // that parse_image() never gives
    case Protocol::kFreestanding: enter_freestanding(state, info, memory, area); break;
  }
  if (area.full()) return no_room(request.image, memory);
  state.boot_area = area.begin();
  return state;
}

}  // namespace vpmu::machine::boot
