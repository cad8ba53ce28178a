// SPDX-License-Identifier: MIT
//
// Last branch records saved and restored, and what no unit can hold.
#include <functional>

#include <gtest/gtest.h>

#include "lbr_models.hpp"

namespace vpmu::silicon::x86 {
namespace {

constexpr std::uint64_t kKernel = 0xffff'ffff'8100'0000;

/// As after some branches, in the middle of the ring.
void run(LbrStack& stack) {
  accept_all(stack);
  for (std::uint64_t n = 0; n < stack.depth() + 3u; ++n) {
    stack.record({.from = kKernel + n,
                  .to = 0x401000 + n,
                  .cycle = 10 * n,
                  .type = BranchType::kConditional,
                  .mispredicted = n % 3 == 0,
                  .aborted = n % 5 == 0});
  }
}

TEST(LbrStateOf, AnotherUnitGoesOnWithIt) {
  for (const LbrModel* model : kAllLbrModels) {
    LbrStack one{*model}, other{*model};
    run(one);
    other.record({.from = 0x77, .to = 0x77, .ends_in = Privilege::kUser});
    ASSERT_TRUE(other.restore(one.save()).has_value());
    EXPECT_EQ(other.save(), one.save());
    EXPECT_EQ(other.accepted(), one.accepted());
    for (LbrStack* stack : {&one, &other})
      stack->record({.from = 5, .to = 6, .cycle = 100'000, .ends_in = Privilege::kUser});
    EXPECT_EQ(other.save(), one.save());
    for (unsigned age = 0; age < one.depth(); ++age) EXPECT_EQ(other.newest(age), one.newest(age));
  }
}

TEST(LbrStateOf, CallStackGoesOnWithIt) {
  for (const LbrModel* model : {&kFormat4, &kFormat5, &kArchitectural}) {
    LbrStack one{*model}, other{*model};
    keep_call_stack(one);
    for (std::uint64_t n = 1; n <= 3; ++n)
      one.record({.from = n, .to = 10 * n, .type = BranchType::kDirectCall});
    ASSERT_TRUE(other.restore(one.save()).has_value());
    EXPECT_TRUE(other.in_call_stack_mode());
    for (LbrStack* stack : {&one, &other}) stack->record({.type = BranchType::kReturn});
    EXPECT_EQ(other.save(), one.save());
    EXPECT_EQ(other.newest(0).from, 2u);
  }
}

TEST(LbrStateOf, LesserDepthsAreKept) {
  LbrStack one{kArchitectural}, other{kArchitectural};
  one.write(msr::IA32_LBR_DEPTH, 8);
  run(one);
  ASSERT_TRUE(other.restore(one.save()).has_value());
  EXPECT_EQ(other.depth(), 8u);
  EXPECT_EQ(other.save(), one.save());
  EXPECT_FALSE(other.read(MsrIndex{0x1508}).has_value());
}

TEST(LbrStateOf, ArchitecturalRecordsAreSavedByTheirRegisters) {
  LbrStack stack{kArchitectural};
  run(stack);
  const LbrState state = stack.save();
  for (unsigned index = 0; index < 32; ++index) {
    EXPECT_EQ(state.records[index].from, stack.read(MsrIndex{0x1500 + index}));
    EXPECT_EQ(state.records[index].to, stack.read(MsrIndex{0x1600 + index}));
    EXPECT_EQ(state.records[index].info, stack.read(MsrIndex{0x1200 + index}));
  }
}

struct Refused {
  const char* what;
  const LbrModel& model;
  std::function<void(LbrState&)> change;
};

const Refused kRefused[] = {
    {"select, format 3: call stack", kFormat3, [](auto& s) { s.select = 0x200; }},
    {"select, reserved", kFormat5, [](auto& s) { s.select = 0x400; }},
    {"control, reserved", kArchitectural, [](auto& s) { s.select = 0x10; }},
    {"depth 0", kFormat5, [](auto& s) { s.depth = 0; }},
    {"depth of another", kFormat5, [](auto& s) { s.depth = 16; }},
    {"depth beyond", kFormat3, [](auto& s) { s.depth = 32; }},
    {"depth not enumerated", kArchitectural, [](auto& s) { s.depth = 24; }},
    {"architectural depth 0", kArchitectural, [](auto& s) { s.depth = 0; }},
    {"architectural depth 64", kArchitectural, [](auto& s) { s.depth = 64; }},
    {"TOS", kFormat5, [](auto& s) { s.tos = 32; }},
    {"TOS of 16", kFormat4, [](auto& s) { s.tos = 16; }},
    {"architectural TOS", kArchitectural, [](auto& s) { s.tos = 1; }},
    {"from", kFormat5, [](auto& s) { s.records[31].from = 1ull << 47; }},
    {"from, flags of format 4", kFormat5, [](auto& s) { s.records[0].from = 1ull << 63; }},
    {"from, format 3, bit 62", kFormat3, [](auto& s) { s.records[0].from = 1ull << 62; }},
    {"from, format 3, as captured by 4", kFormat3,
     [](auto& s) { s.records[0].from = 0x1fff'ffff'8100'0000; }},
    {"from, format 4 without TSX, bit 61", kFormat4,
     [](auto& s) { s.records[15].from = 1ull << 61; }},
    {"from, format 4 without TSX, bit 62", kFormat4,
     [](auto& s) { s.records[15].from = 1ull << 62; }},
    {"from, format 4, bit 60", kFormat4Tsx, [](auto& s) { s.records[0].from = 1ull << 60; }},
    {"to", kFormat4, [](auto& s) { s.records[0].to = 1ull << 63; }},
    {"to, architectural", kArchitectural, [](auto& s) { s.records[0].to = 1ull << 48; }},
    {"info of format 3", kFormat3, [](auto& s) { s.records[0].info = 1; }},
    {"info of format 4", kFormat4Tsx, [](auto& s) { s.records[0].info = 1ull << 63; }},
    {"info, no TSX", kFormat5, [](auto& s) { s.records[0].info = 1ull << 62; }},
    {"info, reserved", kFormat5Tsx, [](auto& s) { s.records[0].info = 1ull << 16; }},
    {"info, architectural only", kFormat5Tsx, [](auto& s) { s.records[0].info = 1ull << 60; }},
    {"info, architectural, reserved", kArchitectural,
     [](auto& s) { s.records[0].info = 1ull << 55; }},
    {"info, architectural, no TSX", kArchitectural,
     [](auto& s) { s.records[0].info = 1ull << 61; }},
    {"record beyond the depth", kFormat3, [](auto& s) { s.records[16].from = 1; }},
    {"record beyond the depth, to", kFormat4, [](auto& s) { s.records[31].to = 1; }},
    {"record beyond a lesser depth", kArchitectural,
     [](auto& s) {
       s.depth = 8;
       s.records = {};
       s.records[8].info = 1;
     }},
};

TEST(LbrStateOf, WhatRegistersCannotHoldIsRefusedAndChangesNothing) {
  for (const Refused& refused : kRefused) {
    LbrStack stack{refused.model};
    run(stack);
    const LbrState before = stack.save();
    const std::uint32_t accepted = stack.accepted();
    LbrState state = before;
    refused.change(state);
    ASSERT_NE(state, before) << refused.what;
    const auto result = stack.restore(state);
    ASSERT_FALSE(result.has_value()) << refused.what;
    EXPECT_FALSE(result.error().message.empty());
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
    EXPECT_EQ(stack.save(), before) << refused.what;
    EXPECT_EQ(stack.accepted(), accepted) << refused.what;
  }
}

TEST(LbrStateOf, WhatWasCapturedOrWrittenIsTaken) {
  // Format 4 without TSX: bits 62:61 clear as captured, or the sign as written.
  for (const std::uint64_t from :
       {0x1fff'ffff'8100'0000ull, 0x9fff'ffff'8100'0000ull, 0x7fff'ffff'8100'0000ull,
        0xffff'ffff'8100'0000ull, 0x401000ull, 1ull << 63 | 0x401000}) {
    LbrStack stack{kFormat4};
    LbrState state = stack.save();
    state.records[4].from = from;
    EXPECT_TRUE(stack.restore(state).has_value()) << std::hex << from;
    EXPECT_EQ(stack.read(MsrIndex{0x684}), from);
  }
}

}  // namespace
}  // namespace vpmu::silicon::x86
