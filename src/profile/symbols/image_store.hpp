// SPDX-License-Identifier: MIT
//
// The images that a profile names, opened when they are first needed, each once.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "profile/symbols/address_space.hpp"
#include "profile/symbols/nested_ranges.hpp"

namespace vpmu::profile {

/// An image, and how to get from places in its file to addresses as linked.
struct OpenImage {
  Image image;
  /// Segments by place in the file, those with code and all; the number is that of the segment.
  NestedRanges code_by_offset, by_offset;
  std::vector<std::uint32_t> code_segments, all_segments;
  /// Kernels only: how far the running one is from where it is linked.
  std::uint64_t moved_by = 0;
  std::optional<SourceLines> lines;
  bool lines_asked = false;

  /// Of a byte in the file; nothing if no segment has it.
  [[nodiscard]] std::optional<std::uint64_t> linked(std::uint64_t file_offset) const;
};

class ImageStore {
 public:
  static Result<ImageStore> create(SymbolSources sources);

  /// The image with that name. Guest and host may have different ones with the same name.
  OpenImage& file(bool guest, std::string_view name, std::span<const std::uint8_t> build_id);
  /// A machine's kernel. `elf`: its ELF image if nobody named another one; may be empty.
  OpenImage& kernel(bool guest, std::uint32_t machine_pid, std::string_view name,
                    const std::string& elf);
  /// The same if it is open already, else null.
  OpenImage* known_kernel(bool guest, std::uint32_t machine_pid);
  /// Whether there are symbols for kernels that no mapping tells of.
  [[nodiscard]] bool has_kernel_symbols(bool guest) const;
  /// Symbols that go before all others, by addresses as they were sampled.
  [[nodiscard]] const SymbolTable& first_symbols() const { return first_symbols_; }
  const SourceLines* lines(const Image& image);
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

 private:
  ImageStore() = default;
  [[nodiscard]] std::string path_of(std::string_view name) const;
  /// Reads the ELF file into `open`; false: it could not be, and that is a problem now.
  bool read_elf(OpenImage& open, const std::string& path, std::span<const std::uint8_t> build_id);
  void problem(std::string text);

  SymbolSources sources_;
  SymbolTable first_symbols_;
  std::shared_ptr<const SymbolTable> guest_kernel_symbols_, host_kernel_symbols_;
  std::map<std::tuple<bool, std::string, std::vector<std::uint8_t>>, std::unique_ptr<OpenImage>>
      files_;
  std::map<std::pair<bool, std::uint32_t>, std::unique_ptr<OpenImage>> kernels_;
  std::map<const Image*, OpenImage*> by_image_;
  std::vector<std::string> problems_;
};

}  // namespace vpmu::profile
