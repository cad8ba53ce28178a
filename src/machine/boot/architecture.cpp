// SPDX-License-Identifier: MIT
#include "machine/boot/architecture.hpp"

#include <elf.h>

#include "machine/boot/elf.hpp"
#include "machine/boot/image_file.hpp"
#include "machine/boot/linux_image_header.hpp"

namespace vpmu::machine::boot {

Architecture architecture_of(Bytes file) {
  if (LinuxImageHeader::is_at_start_of(file)) return Architecture::kArm64;
  const auto machine = field<std::uint16_t>(file, offsetof(Elf64_Ehdr, e_machine));
  if (!looks_like_elf(file) || !machine) return Architecture::kX86;
  // The other byte order is the parser's to refuse.
  constexpr std::uint16_t kSwapped = static_cast<std::uint16_t>(EM_AARCH64 << 8);
  const bool swapped = file[EI_DATA] == ELFDATA2MSB;
  return *machine == (swapped ? kSwapped : EM_AARCH64) ? Architecture::kArm64 : Architecture::kX86;
}

Result<Architecture> architecture_of_file(const std::string& path) {
  const auto file = read_file(path, "guest image");
  if (!file) return tl::unexpected(file.error());
  return architecture_of(*file);
}

}  // namespace vpmu::machine::boot
