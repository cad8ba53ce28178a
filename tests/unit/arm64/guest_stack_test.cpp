// SPDX-License-Identifier: MIT
#include "machine/arm64/guest_stack.hpp"

#include <array>
#include <cstring>
#include <map>
#include <vector>

#include <gtest/gtest.h>

namespace vpmu::test {
namespace {

using machine::arm64::StackTop;
using Addresses = std::vector<std::uint64_t>;
using Code = std::vector<std::uint32_t>;
using Caller = StackTop::Caller;

constexpr std::uint64_t kCode = 0x4008'0000, kStack = 0x4010'0000, kCaller = 0x4009'0000;

// Encodings by the Arm ARM, C6.2.
constexpr std::uint32_t kNop = 0xd503'201f;
constexpr std::uint32_t kRet = 0xd65f'03c0;
constexpr std::uint32_t kBrX16 = 0xd61f'0200;
constexpr std::uint32_t kBlrX1 = 0xd63f'0020;
constexpr std::uint32_t kPushFrame = 0xa9bd'7bfd;   // stp x29, x30, [sp, #-48]!
constexpr std::uint32_t kStoreFrame = 0xa901'7bfd;  // stp x29, x30, [sp, #16]
constexpr std::uint32_t kPopFrame = 0xa8c3'7bfd;    // ldp x29, x30, [sp], #48
constexpr std::uint32_t kLoadFrame = 0xa941'7bfd;   // ldp x29, x30, [sp, #16]
constexpr std::uint32_t kPushOthers = 0xa9bd'53f3;  // stp x19, x20, [sp, #-48]!
constexpr std::uint32_t kSetFrame = 0x9100'03fd;    // mov x29, sp
constexpr std::uint32_t kAddFrame = 0x9100'43fd;    // add x29, sp, #16
constexpr std::uint32_t kUdf = 0;
constexpr std::uint32_t kEret = 0xd69f'03e0;

constexpr std::uint32_t branch(int instructions) {
  return 0x1400'0000 | (static_cast<std::uint32_t>(instructions) & 0x03ff'ffff);
}
constexpr std::uint32_t call(int instructions) {
  return 0x8000'0000 | branch(instructions);
}
constexpr std::uint32_t branch_if_equal(int instructions) {
  return 0x5400'0000 | (static_cast<std::uint32_t>(instructions) & 0x7ffff) << 5;
}

/// Pages that somebody has written to.
class SparsePages final : public machine::arm64::Pages {
 public:
  void put(std::uint64_t at, const void* from, std::size_t bytes) {
    ASSERT_LE(at % kPage + bytes, kPage);
    std::memcpy(&pages_[at / kPage][at % kPage], from, bytes);
  }
  [[nodiscard]] const std::uint8_t* page(std::uint64_t linear) const override {
    const auto found = pages_.find(linear / kPage);
    return found == pages_.end() ? nullptr : found->second.data();
  }

 private:
  static constexpr std::uint64_t kPage = 4096;
  std::map<std::uint64_t, std::array<std::uint8_t, kPage>> pages_;
};

class Arm64GuestStack : public testing::Test {
 protected:
  SparsePages pages;
  StackTop top{.ip = kCode,
               .next = kCode,
               .stack_pointer = kStack,
               .frame_pointer = kStack + 0x20,
               .link = kCaller};

  Arm64GuestStack() { frame(kStack + 0x20, 0, 0x400a'0000); }
  void frame(std::uint64_t at, std::uint64_t caller, std::uint64_t back) {
    pages.put(at, &caller, 8);
    pages.put(at + 8, &back, 8);
  }
  void code(const Code& words, std::uint64_t at = kCode) {
    for (const std::uint32_t word : words) {
      pages.put(at, &word, sizeof word);
      at += sizeof word;
    }
  }
  Addresses chain(std::size_t depth = 127) {
    Addresses found(depth);
    found.resize(machine::arm64::call_chain(top, pages, found));
    return found;
  }
  static Addresses by_link() { return {kCode, kCaller, 0x400a'0000}; }
  static Addresses by_frame() { return {kCode, 0x400a'0000}; }
};

TEST_F(Arm64GuestStack, FollowsFrameRecordsToTheOutermost) {
  code({kNop, call(8)});
  frame(kStack + 0x20, kStack + 0x2000, 0x1000);
  frame(kStack + 0x2000, kStack + 0x2010, 0x2000);
  frame(kStack + 0x2010, 0, 0);
  EXPECT_EQ(chain(), (Addresses{kCode, 0x1000, 0x2000}));
  EXPECT_EQ(chain(2), (Addresses{kCode, 0x1000}));
  EXPECT_EQ(chain(1), (Addresses{kCode}));
}

TEST_F(Arm64GuestStack, TheCodeThatComesTellsWhetherAFunctionHasItsFrame) {
  struct Case {
    const char* what;
    Code code;
    bool link;
  };
  const Case cases[] = {
      {"first instruction", {kPushFrame, kSetFrame, call(9)}, true},
      {"behind BTI or PACIASP, which are hints", {kNop, kPushFrame}, true},
      {"others are saved first", {kPushOthers, kStoreFrame, kAddFrame, call(9)}, true},
      {"saved, and X29 not yet set", {kSetFrame, call(9)}, true},
      {"the same with the record not at the bottom", {kNop, kAddFrame, call(9)}, true},
      {"leaf", {kNop, kNop, kRet}, true},
      {"leaf with a loop", {kNop, branch_if_equal(-1), kRet}, true},
      {"return", {kRet, kPushFrame}, true},
      {"jumps to the code that makes the frame", {branch(3), kUdf, kUdf, kPushFrame}, true},
      {"tail call of a leaf", {branch(2), kPopFrame, kRet}, true},
      {"backwards", {branch(2), kRet, branch(-1)}, true},
      {"calls", {kNop, call(100), kRet}, false},
      {"calls through a register", {kNop, kBlrX1, kRet}, false},
      {"takes its frame down", {kPopFrame, kRet}, false},
      {"the same with the record not at the bottom", {kLoadFrame, kNop, kRet}, false},
      {"jumps to where nobody knows", {kNop, kBrX16, kRet}, false},
      {"ends behind an exception", {kEret, kRet}, false},
      {"no code", {kUdf, kRet}, false},
      {"BRK", {0xd420'0000, kRet}, false},
      {"endless loop", {kNop, branch(-1)}, false},
  };
  for (const Case& expected : cases) {
    code(expected.code);
    EXPECT_EQ(chain(), expected.link ? by_link() : by_frame()) << expected.what;
  }
}

TEST_F(Arm64GuestStack, CodeThatIsFarFromEveryEndHasAFrame) {
  code(Code(127, kNop));
  code({kRet}, kCode + 127 * 4);
  EXPECT_EQ(chain(), by_link());
  code({kNop, kRet}, kCode + 127 * 4);
  EXPECT_EQ(chain(), by_frame());
}

TEST_F(Arm64GuestStack, CodeThatIsNotThereTellsNothing) {
  top.next = top.ip = kCode + 0x1000;
  EXPECT_EQ(chain(), (Addresses{top.ip, 0x400a'0000}));
  top.next = kCode + 2;
  EXPECT_EQ(chain(), (Addresses{top.ip, 0x400a'0000})) << "no instruction begins there";
  code({kNop, kNop}, kCode + 0xff8);
  top.next = kCode + 0xff8;
  EXPECT_EQ(chain(), (Addresses{top.ip, 0x400a'0000})) << "the page ends before the function";
}

TEST_F(Arm64GuestStack, WhatHasBeenExecutedGoesBeforeWhatCodeTells) {
  code({kRet});
  top.caller = Caller::kInFrame;
  EXPECT_EQ(chain(), by_frame());
  code({call(9)});
  top.caller = Caller::kInLink;
  EXPECT_EQ(chain(), by_link());
}

TEST_F(Arm64GuestStack, ALinkThatCannotBeACallerIsNone) {
  code({kRet});
  for (const std::uint64_t link : {std::uint64_t{0}, kCaller + 2, 0xffff'8000'0000'0000 | kCaller,
                                   ~std::uint64_t{3}, std::uint64_t{1} << 60}) {
    top.link = link;
    EXPECT_EQ(chain(), by_frame()) << std::hex << link;
  }
  top.ip = top.next = 0xffff'8000'0000'0000 | kCode;
  code({kRet}, top.next);
  top.link = kCaller;
  EXPECT_EQ(chain(), (Addresses{top.ip, 0x400a'0000})) << "a kernel is not called by a program";
  top.link = 0xffff'8000'0000'0000 | kCaller;
  EXPECT_EQ(chain(), (Addresses{top.ip, top.link, 0x400a'0000}));
}

TEST_F(Arm64GuestStack, FramesMayLieAcrossPages) {
  code({call(9)});
  const std::uint64_t at = kStack + 0x1ff8;
  const std::uint64_t caller = 0, back = 0x3000;
  pages.put(at, &caller, 8);
  pages.put(at + 8, &back, 8);
  top.frame_pointer = at;
  EXPECT_EQ(chain(), (Addresses{kCode, 0x3000}));
}

}  // namespace
}  // namespace vpmu::test
