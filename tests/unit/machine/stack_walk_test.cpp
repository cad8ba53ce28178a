// SPDX-License-Identifier: MIT
#include "machine/stack_walk.hpp"

#include <array>
#include <cstring>
#include <map>
#include <vector>

#include <gtest/gtest.h>

namespace vpmu::test {
namespace {

using machine::kFarthestFrame;
using machine::StackRegisters;
using Addresses = std::vector<std::uint64_t>;

constexpr std::uint64_t kIp = 0x400000;
constexpr std::uint64_t kStack = 0x7fff'0000;

/// Memory of single bytes; what was never written is not mapped.
class SparseMemory final : public machine::StackReader {
 public:
  unsigned reads = 0;

  void put(std::uint64_t at, std::uint64_t value, unsigned bytes = 8) {
    for (unsigned n = 0; n < bytes; ++n) bytes_[at + n] = static_cast<std::uint8_t>(value >> 8 * n);
  }
  /// A frame at `at`: its caller's frame and the return address.
  void frame(std::uint64_t at, std::uint64_t caller, std::uint64_t back, unsigned word = 8) {
    put(at, caller, word);
    put(at + word, back, word);
  }
  bool read(std::uint64_t linear, void* to, std::size_t bytes) override {
    ++reads;
    for (std::size_t n = 0; n < bytes; ++n) {
      const auto found = bytes_.find(linear + n);
      if (found == bytes_.end()) return false;
      static_cast<std::uint8_t*>(to)[n] = found->second;
    }
    return true;
  }

 private:
  std::map<std::uint64_t, std::uint8_t> bytes_;
};

class StackWalk : public testing::Test {
 protected:
  SparseMemory memory;
  StackRegisters registers{.ip = kIp, .stack_pointer = kStack, .frame_pointer = kStack};

  Addresses walk(std::size_t depth = 127) {
    Addresses chain(depth);
    chain.resize(machine::walk_stack(registers, memory, chain));
    return chain;
  }
};

TEST_F(StackWalk, FollowsFramesToTheOutermost) {
  memory.frame(kStack, kStack + 0x40, 0x401000);
  memory.frame(kStack + 0x40, kStack + 0x1000, 0x402000);
  memory.frame(kStack + 0x1000, 0, 0x403000);
  EXPECT_EQ(walk(), (Addresses{kIp, 0x401000, 0x402000, 0x403000}));
}

TEST_F(StackWalk, FollowsFramesOfFourByteWords) {
  registers.word_bytes = 4;
  memory.frame(kStack, kStack + 12, 0xfff0'1000, 4);
  memory.frame(kStack + 12, 0, 0x402000, 4);
  EXPECT_EQ(walk(), (Addresses{kIp, 0xfff0'1000, 0x402000}));
}

TEST_F(StackWalk, BeginsWithTheLinkOfAFunctionWithoutAFrame) {
  registers.link = 0x400800;
  registers.has_link = true;
  memory.frame(kStack, 0, 0x401000);
  EXPECT_EQ(walk(), (Addresses{kIp, 0x400800, 0x401000}));
  EXPECT_EQ(walk(1), (Addresses{kIp}));
  registers.link = 0;
  EXPECT_EQ(walk(), (Addresses{kIp, 0x401000}));
}

TEST_F(StackWalk, StopsWhereThereIsNoMoreRoom) {
  for (unsigned n = 0; n < 1'000; ++n) {
    memory.frame(kStack + n * 16, kStack + (n + 1) * 16, 0x401000 + n);
  }
  EXPECT_EQ(walk(0), Addresses{});
  EXPECT_EQ(walk(1), (Addresses{kIp}));
  EXPECT_EQ(memory.reads, 0u);
  EXPECT_EQ(walk(3), (Addresses{kIp, 0x401000, 0x401001}));
  EXPECT_EQ(walk(127).size(), 127u);
}

TEST_F(StackWalk, StopsAtWhatCannotBeAFrame) {
  struct Case {
    const char* what;
    std::uint64_t caller;
  };
  const Case cases[] = {
      {"itself", kStack},
      {"below", kStack - 16},
      {"overlapping", kStack + 8},
      {"misaligned", kStack + 0x41},
      {"unmapped", kStack + 0x2000},
      {"too far", kStack + 16 + kFarthestFrame + 8},
      {"not canonical", 0x0000'8000'0000'0000},
      {"the end of the address space", ~std::uint64_t{0} - 7},
      {"one byte before it", ~std::uint64_t{0}},
      {"none", 0},
  };
  for (const Case& frame : cases) {
    memory = {};
    memory.frame(kStack, frame.caller, 0x401000);
    EXPECT_EQ(walk(), (Addresses{kIp, 0x401000})) << frame.what;
    EXPECT_LE(memory.reads, 2u) << frame.what;
  }
}

TEST_F(StackWalk, TheFarthestFrameIsStillOne) {
  const std::uint64_t farthest = kStack + 16 + kFarthestFrame;
  memory.frame(kStack, farthest, 0x401000);
  memory.frame(farthest, 0, 0x402000);
  EXPECT_EQ(walk(), (Addresses{kIp, 0x401000, 0x402000}));
}

TEST_F(StackWalk, TheFirstFrameLiesAboveTheStackPointerAndNotFarFromIt) {
  memory.frame(kStack, 0, 0x401000);
  registers.stack_pointer = kStack + 8;
  EXPECT_EQ(walk(), (Addresses{kIp}));
  registers.stack_pointer = kStack - kFarthestFrame;
  EXPECT_EQ(walk(), (Addresses{kIp, 0x401000}));
  registers.stack_pointer -= 8;
  EXPECT_EQ(walk(), (Addresses{kIp}));
}

TEST_F(StackWalk, AReturnAddressThatNoCodeCanHaveEndsIt) {
  for (const std::uint64_t back :
       {std::uint64_t{0}, std::uint64_t{0x0100'0000'0000'0000}, ~std::uint64_t{127},
        ~std::uint64_t{4094}, std::uint64_t{0x7fff'ffff'ffff'ffff}}) {
    memory = {};
    memory.frame(kStack, kStack + 0x40, back);
    memory.frame(kStack + 0x40, 0, 0x402000);
    EXPECT_EQ(walk(), (Addresses{kIp})) << std::hex << back;
  }
}

TEST_F(StackWalk, KernelAddressesAreAddresses) {
  memory.frame(kStack, 0, 0xffff'ffff'8010'0000);
  EXPECT_EQ(walk(), (Addresses{kIp, 0xffff'ffff'8010'0000}));
}

TEST_F(StackWalk, TwoFramesThatPointAtEachOtherAreOneLoopTheLess) {
  memory.frame(kStack, kStack + 0x40, 0x401000);
  memory.frame(kStack + 0x40, kStack, 0x402000);
  EXPECT_EQ(walk(), (Addresses{kIp, 0x401000, 0x402000}));
}

TEST_F(StackWalk, DoesNotWrapAtTheEndOfTheAddressSpace) {
  for (const unsigned word : {4u, 8u}) {
    registers.word_bytes = word;
    const std::uint64_t end = word == 4 ? 0xffff'ffff : ~std::uint64_t{0};
    for (std::uint64_t back = 0; back < 4 * word; ++back) {
      memory = {};
      // The bytes that a wrapped read would find.
      for (std::uint64_t n = 0; n < 64; ++n) memory.put(n, 0x40, 1);
      for (std::uint64_t n = 0; n <= back; ++n) memory.put(end - n, 0x40, 1);
      registers.frame_pointer = end - back;
      registers.stack_pointer = registers.frame_pointer - 64;
      const std::size_t expected = back + 1 >= 2 * word && (back + 1) % word == 0 ? 2 : 1;
      EXPECT_LE(walk().size(), expected) << word << "-byte words, " << back << " before the end";
    }
  }
}

}  // namespace
}  // namespace vpmu::test
