// SPDX-License-Identifier: MIT
//
// Any file as a guest image: parsing and placing it must end in an image within memory or in an
// error of one line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "machine/boot/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vpmu::machine;
  const boot::Bytes file{data, size};
  const auto image = boot::parse_image(file, "fuzz");
  if (!image) {
    if (image.error().message.find('\n') != std::string::npos) std::abort();
    return 0;
  }
  const auto memory = GuestMemory::create(std::uint64_t{16} << 20);
  if (!memory) std::abort();
  const auto state =
      boot::load(*image, {.image = "fuzz", .arguments = "a b", .modules = {}}, *memory);
  if (state && (state->boot_area < image->end() && image->end() <= memory->low_size())) {
    std::abort();
  }
  return 0;
}
