// SPDX-License-Identifier: MIT
#include "machine/boot/device_tree_writer.hpp"

#include <gtest/gtest.h>

#include "unit/boot/parsed_tree.hpp"

namespace vpmu::machine::boot {
namespace {

using namespace std::string_literals;

TEST(DeviceTreeWriter, NumbersAreBigEndianAndTextsEndWithZero) {
  DeviceTreeWriter writer{4096};
  writer.begin_node("node");
  writer.cells("cells", {1, 0x80000000});
  writer.wide("wide", {0x0123456789abcdef});
  writer.texts("texts", {"a", "bc"});
  writer.flag("flag");
  writer.end_node();
  const auto tree = writer.finish();
  ASSERT_TRUE(tree.has_value());
  const test::ParsedTree parsed{*tree};
  EXPECT_EQ(parsed.text("/node", "cells"), "\0\0\0\1\x80\0\0\0"s);
  EXPECT_EQ(parsed.text("/node", "wide"), "\x01\x23\x45\x67\x89\xab\xcd\xef"s);
  EXPECT_EQ(parsed.text("/node", "texts"), "a\0bc\0"s);
  EXPECT_EQ(parsed.text("/node", "flag"), "");
}

TEST(DeviceTreeWriter, TreeIsNoLongerThanItsContent) {
  DeviceTreeWriter writer{1 << 20};
  EXPECT_LT(writer.finish()->size(), 200u);
}

TEST(DeviceTreeWriter, WhatDoesNotFitIsNoTree) {
  for (std::size_t bytes = 0; bytes < 160; bytes += 8) {
    DeviceTreeWriter writer{bytes};
    writer.text("name", "a text of a few more characters than there is room for, whatever comes");
    EXPECT_FALSE(writer.finish().has_value()) << bytes;
  }
}

}  // namespace
}  // namespace vpmu::machine::boot
