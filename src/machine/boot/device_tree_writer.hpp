// SPDX-License-Identifier: MIT
//
// Writes a flattened device tree in order, with libfdt. Errors are remembered: what follows one
// does nothing.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vpmu::machine::boot {

class DeviceTreeWriter {
 public:
  /// A tree of at most that many bytes. Its root node is open.
  explicit DeviceTreeWriter(std::size_t bytes);

  void begin_node(const char* name);
  void end_node();
  void flag(const char* name);
  /// 32-bit cells.
  void cells(const char* name, std::initializer_list<std::uint32_t> values);
  /// Addresses and lengths of two cells each.
  void wide(const char* name, std::initializer_list<std::uint64_t> values);
  void text(const char* name, std::string_view value);
  void texts(const char* name, std::initializer_list<std::string_view> values);

  /// Closes the root node; the tree, or nothing if it has more bytes than there is room for. Once,
  /// last.
  std::optional<std::vector<std::uint8_t>> finish();

 private:
  void note(int error);
  void property(const char* name, const std::string& bytes);

  std::vector<std::uint8_t> tree_;
  int error_ = 0;
};

}  // namespace vpmu::machine::boot
