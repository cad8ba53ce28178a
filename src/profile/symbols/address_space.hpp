// SPDX-License-Identifier: MIT
//
// From an address in a profile to an image and a symbol: who had which code mapped where when the
// address was sampled. Fed with a profile's mappings in the order of the file, asked for each of
// its addresses. An image is opened when an address in it is asked for, once, however often it is
// mapped; what cannot be read is a problem to tell, not an error, and addresses in it have no
// symbol. Not for several threads at the same time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "profile/symbols/elf_image.hpp"
#include "profile/symbols/source_lines.hpp"
#include "profile/symbols/symbol_table.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::profile {

enum class AddressMode : std::uint8_t { kHostKernel, kHostUser, kGuestKernel, kGuestUser };

constexpr bool is_guest(AddressMode mode) {
  return mode == AddressMode::kGuestKernel || mode == AddressMode::kGuestUser;
}
constexpr bool is_kernel(AddressMode mode) {
  return mode == AddressMode::kHostKernel || mode == AddressMode::kGuestKernel;
}

/// Whose address: the same number means something else in every process, and in every machine.
struct AddressOwner {
  AddressMode mode = AddressMode::kHostUser;
  std::uint32_t machine_pid = 0;  ///< of the VM; 0: the host, or a guest without a number
  std::uint32_t pid = 0;          ///< of no meaning for kernels
};

struct CodeMapping {
  AddressOwner owner;
  std::uint64_t start = 0;
  std::uint64_t length = 0;       ///< bytes
  std::uint64_t file_offset = 0;  ///< of `start` in the file
  std::string_view file;          ///< path, or a name in brackets
  std::span<const std::uint8_t> build_id;
};

/// Where names come from if not from the images that the profile names.
struct SymbolSources {
  /// An image to read in place of others: of those with the same file name, of those that cannot
  /// be opened where the profile says they are, and as the guest's kernel. Empty: none.
  std::string image{};
  /// File with symbols (SymbolTable::from_file) that go before all others, by addresses as they
  /// were sampled. Empty: none.
  std::string symbols{};
  /// File with the guest kernels' symbols, as /proc/kallsyms in the guest. Empty: none.
  std::string guest_kallsyms{};
  /// The text of one that came with the profile, where guest_kallsyms is empty.
  std::string recorded_guest_kallsyms{};
  /// File with the host kernel's symbols, for samples of it. Empty: they have no symbols.
  std::string host_kallsyms{};
};

/// Code from one file, or the kernel.
struct Image {
  std::string name;  ///< as the profile has it, without control characters; a kernel: in brackets
  std::string path;  ///< the ELF file that was opened for it; empty: there is none
  bool kernel = false;
  CodeSet code = CodeSet::kOther;
  std::vector<ElfSegment> segments;
  std::vector<std::uint8_t> build_id;
  std::shared_ptr<const SymbolTable> symbols;  ///< never null; machines may share a kernel's
};

/// What there is at an address. Pointers are valid as long as the AddressSpaces.
struct AddressInfo {
  const Image* image = nullptr;    ///< null: nothing is mapped there
  const Symbol* symbol = nullptr;  ///< null: no symbol has it
  /// In the image as it is linked; as it was asked for if that cannot be told.
  std::uint64_t linked = 0;
  /// In what the symbol's addresses are in: `linked`, or as asked for with SymbolSources::symbols.
  std::uint64_t in_symbols = 0;
};

class AddressSpaces {
 public:
  /// Reads the files of `sources`. An error names the one and the reason.
  static Result<AddressSpaces> create(SymbolSources sources = {});
  AddressSpaces(AddressSpaces&&) noexcept;
  AddressSpaces& operator=(AddressSpaces&&) noexcept;
  ~AddressSpaces();

  /// From now on; replaces what was mapped there.
  void map(const CodeMapping& mapping);
  /// A process runs another program: nothing is mapped for it any more.
  void unmap(const AddressOwner& owner);
  /// A process begins with the mappings of another one.
  void fork(const AddressOwner& parent, const AddressOwner& child);

  /// An address that the owner has executed. User code that is in no mapping of its process is
  /// looked for in its kernel, and the other way round: branches go from one to the other.
  AddressInfo find(const AddressOwner& owner, std::uint64_t address);
  /// Source lines of an image; null if it has none. By AddressInfo::linked.
  const SourceLines* lines(const Image& image);

  /// What could not be read, in the order in which it was met: one line each, for the user.
  [[nodiscard]] const std::vector<std::string>& problems() const;

 private:
  AddressSpaces();
  struct Private;
  std::unique_ptr<Private> private_;
};

}  // namespace vpmu::profile
