// SPDX-License-Identifier: MIT
//
// What tests of loading have in common: files to load, and a look at memory afterwards.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>

#include "machine/guest_memory.hpp"
#include "unit/boot/elf_builder.hpp"

namespace vpmu::test {

class LoadFixture : public testing::Test {
 protected:
  LoadFixture(std::uint64_t bytes, const machine::MemoryLayout& layout)
      : memory{*machine::GuestMemory::create(bytes, layout)} {}

  std::string write(const std::string& name, const FileBytes& bytes) {
    // Tests run at the same time, each in a process of its own.
    std::string path = testing::TempDir() + "vpmu-load-" + std::to_string(getpid()) + "-" + name;
    std::ofstream{path, std::ios::binary}.write(reinterpret_cast<const char*>(bytes.data()),
                                                static_cast<std::streamsize>(bytes.size()));
    return path;
  }

  template <class T>
  T at(std::uint64_t address) {
    const std::uint8_t* host = memory.host(address, sizeof(T));
    EXPECT_NE(host, nullptr);
    T value{};
    if (host != nullptr) std::memcpy(&value, host, sizeof value);
    return value;
  }

  std::string text(std::uint64_t address) {
    return reinterpret_cast<const char*>(memory.host(address, 1));
  }

  machine::GuestMemory memory;
};

}  // namespace vpmu::test
