// SPDX-License-Identifier: MIT
#include "machine/boot/start_info.hpp"

#include <algorithm>

#include "machine/boot/memory_map.hpp"

namespace vpmu::machine::boot {

namespace {
using Block = std::vector<std::uint8_t>;

/// Both structures are placed the same way: the map tells where the boot area begins, so its room
/// is reserved first, then the (last) structure itself, and only then are they filled in.
struct Places {
  std::uint64_t modules = 0;
  std::uint64_t map = 0;
  std::uint64_t info = 0;
};

void put32(Block& block, std::size_t offset, std::uint64_t value) {
  put(block, offset, static_cast<std::uint32_t>(value));
}

void write(const GuestMemory& memory, std::uint64_t address, const Block& block) {
  if (!block.empty()) memory.write(address, block);
}

constexpr std::size_t kMultibootInfoBytes = 116;
constexpr std::size_t kMultibootModuleBytes = 16;
constexpr std::size_t kMultibootMapBytes = 24;
constexpr std::size_t kPvhInfoBytes = 56;
constexpr std::size_t kPvhModuleBytes = 32;
constexpr std::size_t kPvhMapBytes = 24;

Block multiboot_modules(const std::vector<Module>& modules) {
  Block block(modules.size() * kMultibootModuleBytes);
  for (std::size_t i = 0; i < modules.size(); ++i) {
    const std::size_t at = i * kMultibootModuleBytes;
    put32(block, at, modules[i].address);
    put32(block, at + 4, modules[i].address + modules[i].length);
    put32(block, at + 8, modules[i].name);
  }
  return block;
}

Block multiboot_map(const std::vector<MemoryRange>& map) {
  Block block(map.size() * kMultibootMapBytes);
  for (std::size_t i = 0; i < map.size(); ++i) {
    const std::size_t at = i * kMultibootMapBytes;
    put32(block, at, kMultibootMapBytes - 4);  // the size field does not count itself
    put(block, at + 4, map[i].address);
    put(block, at + 12, map[i].length);
    put32(block, at + 20, static_cast<std::uint32_t>(map[i].type));
  }
  return block;
}

Block pvh_modules(const std::vector<Module>& modules) {
  Block block(modules.size() * kPvhModuleBytes);
  for (std::size_t i = 0; i < modules.size(); ++i) {
    const std::size_t at = i * kPvhModuleBytes;
    put(block, at, modules[i].address);
    put(block, at + 8, modules[i].length);
    put(block, at + 16, modules[i].name);
  }
  return block;
}

Block pvh_map(const std::vector<MemoryRange>& map) {
  Block block(map.size() * kPvhMapBytes);
  for (std::size_t i = 0; i < map.size(); ++i) {
    const std::size_t at = i * kPvhMapBytes;
    put(block, at, map[i].address);
    put(block, at + 8, map[i].length);
    put32(block, at + 16, static_cast<std::uint32_t>(map[i].type));
  }
  return block;
}
}  // namespace

std::uint64_t place_multiboot_info(const StartInfo& info, const GuestMemory& memory,
                                   BootArea& area) {
  const Block modules = multiboot_modules(info.modules);
  const std::uint64_t loader = area.place("vpmu");
  Places at;
  if (!modules.empty()) at.modules = area.place(modules, 16);
  at.map = area.reserve(memory_map_size(memory) * kMultibootMapBytes, 16);
  at.info = area.reserve(kMultibootInfoBytes, 16);
  if (area.full()) return 0;

  const Block map = multiboot_map(memory_map(memory, area.begin()));
  write(memory, at.map, map);

  // Memory, command line, memory map, loader name; modules if there are any.
  Block block(kMultibootInfoBytes);
  put32(block, 0, 1u << 0 | 1u << 2 | 1u << 6 | 1u << 9 | (modules.empty() ? 0 : 1u << 3));
  put32(block, 4, kLowMemoryEnd / 1024);
  put32(block, 8, (area.begin() - kUpperMemoryBegin) / 1024);
  put32(block, 16, info.command_line);
  put32(block, 20, info.modules.size());
  put32(block, 24, at.modules);
  put32(block, 44, map.size());
  put32(block, 48, at.map);
  put32(block, 64, loader);
  write(memory, at.info, block);
  return at.info;
}

std::uint64_t place_pvh_start_info(const StartInfo& info, const GuestMemory& memory,
                                   BootArea& area) {
  constexpr std::uint32_t kMagic = 0x336ec578;
  constexpr std::uint32_t kVersion = 1;
  const Block modules = pvh_modules(info.modules);
  Places at;
  if (!modules.empty()) at.modules = area.place(modules, 16);
  at.map = area.reserve(memory_map_size(memory) * kPvhMapBytes, 16);
  at.info = area.reserve(kPvhInfoBytes, 16);
  if (area.full()) return 0;

  const Block map = pvh_map(memory_map(memory, area.begin()));
  write(memory, at.map, map);

  Block block(kPvhInfoBytes);
  put32(block, 0, kMagic);
  put32(block, 4, kVersion);
  put32(block, 12, info.modules.size());
  put(block, 16, at.modules);
  put(block, 24, info.command_line);
  put(block, 40, at.map);
  put32(block, 48, map.size() / kPvhMapBytes);
  write(memory, at.info, block);
  return at.info;
}

}  // namespace vpmu::machine::boot
