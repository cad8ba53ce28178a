// SPDX-License-Identifier: MIT
//
// A device tree as a guest reads it, with libfdt.
#pragma once

#include <gtest/gtest.h>
#include <libfdt.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace vpmu::test {

class ParsedTree {
 public:
  explicit ParsedTree(const std::vector<std::uint8_t>& tree) : tree_{tree} {
    EXPECT_EQ(fdt_check_full(tree_.data(), tree_.size()), 0);
  }

  [[nodiscard]] bool has(const char* path) const {
    return fdt_path_offset(tree_.data(), path) >= 0;
  }
  [[nodiscard]] bool has(const char* path, const char* name) const {
    int length = 0;
    return get(path, name, length) != nullptr;
  }
  /// Its bytes, terminating zeroes and all.
  [[nodiscard]] std::string text(const char* path, const char* name) const {
    int length = 0;
    const char* value = get(path, name, length);
    return value == nullptr ? "(none)" : std::string(value, static_cast<std::size_t>(length));
  }
  [[nodiscard]] std::vector<std::uint32_t> cells(const char* path, const char* name) const {
    return numbers<std::uint32_t>(path, name);
  }
  [[nodiscard]] std::vector<std::uint64_t> wide(const char* path, const char* name) const {
    return numbers<std::uint64_t>(path, name);
  }
  [[nodiscard]] int children(const char* path) const {
    int count = 0;
    int node = 0;
    fdt_for_each_subnode(node, tree_.data(), fdt_path_offset(tree_.data(), path))++ count;
    return count;
  }
  /// The node with this number, which others refer to by it.
  [[nodiscard]] std::string referred(std::uint32_t number) const {
    const int node = fdt_node_offset_by_phandle(tree_.data(), number);
    const char* name = node < 0 ? nullptr : fdt_get_name(tree_.data(), node, nullptr);
    return name == nullptr ? "(none)" : name;
  }

 private:
  const char* get(const char* path, const char* name, int& length) const {
    return static_cast<const char*>(
        fdt_getprop(tree_.data(), fdt_path_offset(tree_.data(), path), name, &length));
  }

  template <class T>
  [[nodiscard]] std::vector<T> numbers(const char* path, const char* name) const {
    std::vector<T> values;
    const std::string bytes = text(path, name);
    for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
      T value = 0;
      for (std::size_t n = 0; n < sizeof(T); ++n) {
        value = value << 8 | static_cast<std::uint8_t>(bytes[at + n]);
      }
      values.push_back(value);
    }
    return values;
  }

  std::vector<std::uint8_t> tree_;
};

}  // namespace vpmu::test
