// SPDX-License-Identifier: MIT
#include "machine/boot/device_tree_writer.hpp"

#include <libfdt.h>

namespace vpmu::machine::boot {

namespace {
/// Most significant byte first.
template <class T>
void append(std::string& bytes, T value) {
  for (int shift = 8 * sizeof value - 8; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(value >> shift & 0xff));
  }
}
}  // namespace

DeviceTreeWriter::DeviceTreeWriter(std::size_t bytes) : tree_(bytes) {
  note(fdt_create(tree_.data(), static_cast<int>(tree_.size())));
  if (error_ == 0) note(fdt_finish_reservemap(tree_.data()));
  begin_node("");
}

void DeviceTreeWriter::note(int error) {
  if (error_ == 0) error_ = error;
}

void DeviceTreeWriter::begin_node(const char* name) {
  if (error_ == 0) note(fdt_begin_node(tree_.data(), name));
}

void DeviceTreeWriter::end_node() {
  if (error_ == 0) note(fdt_end_node(tree_.data()));
}

void DeviceTreeWriter::property(const char* name, const std::string& bytes) {
  if (error_ == 0) {
    note(fdt_property(tree_.data(), name, bytes.data(), static_cast<int>(bytes.size())));
  }
}

void DeviceTreeWriter::flag(const char* name) {
  property(name, {});
}

void DeviceTreeWriter::cells(const char* name, std::initializer_list<std::uint32_t> values) {
  std::string bytes;
  for (const std::uint32_t value : values) append(bytes, value);
  property(name, bytes);
}

void DeviceTreeWriter::wide(const char* name, std::initializer_list<std::uint64_t> values) {
  std::string bytes;
  for (const std::uint64_t value : values) append(bytes, value);
  property(name, bytes);
}

void DeviceTreeWriter::text(const char* name, std::string_view value) {
  texts(name, {value});
}

void DeviceTreeWriter::texts(const char* name, std::initializer_list<std::string_view> values) {
  std::string bytes;
  for (const std::string_view value : values) bytes.append(value).push_back('\0');
  property(name, bytes);
}

std::optional<std::vector<std::uint8_t>> DeviceTreeWriter::finish() {
  end_node();
  if (error_ == 0) note(fdt_finish(tree_.data()));
  if (error_ != 0) return std::nullopt;
  const void* tree = tree_.data();
  tree_.resize(fdt_totalsize(tree));
  return std::move(tree_);
}

}  // namespace vpmu::machine::boot
