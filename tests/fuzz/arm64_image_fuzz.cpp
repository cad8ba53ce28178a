// SPDX-License-Identifier: MIT
//
// Any file as an arm64 guest image, and any text as its command line: parsing and placing must end
// in an image within memory and a device tree that libfdt accepts, or in an error of one line.
#include <libfdt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "machine/boot/arm64_image.hpp"
#include "machine/boot/arm64_load.hpp"
#include "machine/boot/boot_area.hpp"

namespace {
void must(bool holds) {
  if (!holds) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vpmu::machine;
  const boot::Bytes file{data, size};
  const auto image = boot::parse_arm64_image(file, "fuzz");
  if (!image) {
    must(image.error().message.find('\n') == std::string::npos);
    return 0;
  }
  const auto memory = GuestMemory::create(std::uint64_t{16} << 20, kArmMemory);
  must(memory.has_value());
  const boot::LoadRequest request{
      .image = "fuzz",
      .arguments = {file.begin(), file.begin() + std::min<std::ptrdiff_t>(file.size(), 64)},
      .modules = {}};
  const auto start = boot::load_arm64(*image, request, {}, *memory);
  if (!start) return 0;
  must(start->boot_area >= image->end() && image->segments.front().address >= memory->begin());
  must(start->entry % 4 == 0 && memory->host(start->entry, 4) != nullptr);
  const std::uint64_t room = boot::BootArea::end(*memory) - start->device_tree;
  must(fdt_check_full(memory->host(start->device_tree, room), room) == 0);
  return 0;
}
