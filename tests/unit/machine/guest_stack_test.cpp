// SPDX-License-Identifier: MIT
#include "machine/pc/guest_stack.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "unit/machine/machine_fixture.hpp"

namespace vpmu::test {
namespace {

using Addresses = std::vector<std::uint64_t>;
using machine::x86::kRbp;
using machine::x86::kRsp;
using machine::x86::kSs;
using machine::x86::Mode;

constexpr std::uint64_t kStack = 0x200000;

/// A CPU in a test's hands: 64-bit code with the low 4 GiB mapped as they are, 4 MiB of RAM.
class GuestStackTest : public MachineTest {
 protected:
  GuestStackTest() { load(forever()); }

  machine::x86::Cpu& cpu() { return machine->vcpus().front()->cpu(); }
  void put(std::uint64_t at, std::uint64_t value, std::size_t bytes = 8) {
    std::uint8_t* to = machine->board().memory.host(at, bytes);
    ASSERT_NE(to, nullptr);
    std::memcpy(to, &value, bytes);
  }
  void frame(std::uint64_t at, std::uint64_t caller, std::uint64_t back, std::size_t word = 8) {
    put(at, caller, word);
    put(at + word, back, word);
  }
  void point_at(std::uint64_t frame) {
    cpu().core().gpr[kRsp] = frame;
    cpu().core().gpr[kRbp] = frame;
  }
  Addresses chain(std::size_t depth = 127) {
    Addresses found(depth);
    found.resize(machine::call_chain(cpu(), found));
    return found;
  }
  /// 32-bit code, without paging.
  void protected_mode(std::uint64_t code_base, std::uint64_t stack_base) {
    machine::x86::Core& core = cpu().core();
    core.cr0 &= ~machine::x86::kCr0Pg;
    core.efer = 0;
    auto& code = core.segment[machine::x86::kCs];
    code.long_code = false;
    code.big = true;
    code.base = code_base;
    core.segment[kSs].base = stack_base;
    core.segment[kSs].big = true;
    cpu().state_changed();
    ASSERT_NE(core.mode.bits & Mode::kCode32, 0);
  }
};

TEST_F(GuestStackTest, FollowsFramesOf64BitCode) {
  frame(kStack, kStack + 0x40, 0x101000);
  frame(kStack + 0x40, 0, 0x102000);
  point_at(kStack);
  EXPECT_EQ(chain(), (Addresses{kEntry, 0x101000, 0x102000}));
  EXPECT_EQ(chain(2), (Addresses{kEntry, 0x101000}));
}

TEST_F(GuestStackTest, FollowsFramesAcrossPages) {
  frame(kStack - 8, kStack + 0x5ff8, 0x101000);
  frame(kStack + 0x5ff8, kStack + 0x6010, 0x102000);
  frame(kStack + 0x6010, 0, 0x103000);
  point_at(kStack - 8);
  EXPECT_EQ(chain(), (Addresses{kEntry, 0x101000, 0x102000, 0x103000}));
}

TEST_F(GuestStackTest, GuestsPageTablesSayWhereTheStackIs) {
  // Page 0x200000 where 0x201000 was, by a page table for the first 2 MiB behind 0x200000.
  constexpr std::uint64_t kTable = 0x300000, kPresent = 3;
  for (std::uint64_t page = 0; page < 512; ++page) {
    put(kTable + 8 * page, (kStack + 4096 * page) | kPresent);
  }
  put(kTable + 8 * 1, kStack | kPresent);
  const auto& core = cpu().core();
  std::uint64_t entry = 0;
  const auto read_entry = [&](std::uint64_t at) {
    std::memcpy(&entry, machine->board().memory.host(at, 8), 8);
    return entry & 0x000f'ffff'ffff'f000;
  };
  const std::uint64_t directory = read_entry(read_entry(core.cr3));
  put(directory + 8, kTable | kPresent);
  cpu().state_changed();
  frame(kStack + 0x10, 0, 0x101000);
  point_at(kStack + 0x1010);
  EXPECT_EQ(chain(), (Addresses{kEntry, 0x101000}));
  put(kTable + 8 * 1, 0);
  EXPECT_EQ(chain(), (Addresses{kEntry}));
}

TEST_F(GuestStackTest, WhatIsNoMemoryEndsTheStack) {
  const std::uint64_t end = config.memory_bytes;
  for (const std::uint64_t hostile :
       {std::uint64_t{0xfee00000}, std::uint64_t{0xb8000} + end, end, std::uint64_t{1} << 40,
        std::uint64_t{0xffff'8000'0000'0000}, std::uint64_t{0x8000'0000'0000'0000},
        ~std::uint64_t{7}, ~std::uint64_t{0}, std::uint64_t{3}}) {
    point_at(hostile);
    EXPECT_EQ(chain(), (Addresses{kEntry})) << std::hex << hostile;
    frame(kStack, hostile, 0x101000);
    point_at(kStack);
    EXPECT_EQ(chain(), (Addresses{kEntry, 0x101000})) << std::hex << hostile;
  }
  // Half of the frame is RAM.
  put(end - 8, kStack);
  point_at(end - 8);
  EXPECT_EQ(chain(), (Addresses{kEntry}));
}

TEST_F(GuestStackTest, AFrameThatIsItsOwnCallerIsOneFrame) {
  frame(kStack, kStack, 0x101000);
  point_at(kStack);
  EXPECT_EQ(chain(), (Addresses{kEntry, 0x101000}));
}

TEST_F(GuestStackTest, NothingOfTheGuestChanges) {
  frame(kStack, kStack + 0x40, 0x101000);
  point_at(kStack);
  const machine::MachineState before = machine->save();
  const auto memory = [this] {
    const std::uint8_t* ram = machine->board().memory.host(0, config.memory_bytes);
    return std::vector<std::uint8_t>(ram, ram + config.memory_bytes);
  };
  const auto ram = memory();
  EXPECT_EQ(chain().size(), 2u);
  EXPECT_EQ(machine->save(), before);
  EXPECT_EQ(memory(), ram) << "accessed bits";
}

TEST_F(GuestStackTest, FollowsFramesOf32BitCode) {
  protected_mode(0, 0);
  frame(kStack, kStack + 12, 0x101000, 4);
  frame(kStack + 12, 0, 0x102000, 4);
  point_at(kStack);
  EXPECT_EQ(chain(), (Addresses{kEntry, 0x101000, 0x102000}));
  cpu().core().gpr[kRbp] |= 0x5555'0000'0000'0000;
  EXPECT_EQ(chain(), (Addresses{kEntry, 0x101000, 0x102000})) << "what 32-bit code cannot see";
}

TEST_F(GuestStackTest, SegmentsHaveBases) {
  protected_mode(0x10000, 0x1000);
  frame(kStack, kStack - 0x1000 + 12, 0x101000, 4);
  frame(kStack + 12, 0, 0xffff'f000 - 0x2000, 4);
  point_at(kStack - 0x1000);
  EXPECT_EQ(chain(), (Addresses{kEntry + 0x10000, 0x111000, 0xd000}));
}

TEST_F(GuestStackTest, FramesOf32BitCodeDoNotWrap) {
  for (const std::uint32_t base : {0u, 16u}) {
    protected_mode(0, base);
    for (std::uint32_t at = 0xffff'fff0; at != 0; ++at) {
      point_at(at);
      const bool wraps_into_ram = base == 16 && at % 4 == 0 && at <= 0xffff'fff8;
      EXPECT_LE(chain().size(), wraps_into_ram ? 2u : 1u) << std::hex << at;
    }
  }
}

TEST_F(GuestStackTest, AnInstructionThatHasEnteredTheKernelHasItsOwnStack) {
  constexpr std::uint64_t kSyscall = 0x500000;
  frame(kStack, kStack + 0x40, 0x101000);
  frame(kStack + 0x40, 0, 0x102000);
  cpu().core().gpr[kRbp] = kStack;
  cpu().core().gpr[kRsp] = 0x300000;  // the kernel's
  const auto from = [this](machine::x86::Cpu::Retired last) {
    Addresses found(127);
    found.resize(machine::call_chain(cpu(), last, found));
    return found;
  };
  EXPECT_EQ(from({.place = {kSyscall, true}}), (Addresses{kSyscall, 0x101000, 0x102000}));
  EXPECT_EQ(from({.place = {kSyscall, true}, .code64 = false}), (Addresses{kSyscall}));
  cpu().core().cpl = 3;
  cpu().state_changed();
  EXPECT_EQ(from({.place = {kSyscall, false}}), (Addresses{kSyscall})) << "that has left it";
}

TEST_F(GuestStackTest, SixteenBitCodeHasNoFrames) {
  protected_mode(0, 0);
  cpu().core().segment[machine::x86::kCs].big = false;
  cpu().state_changed();
  frame(kStack, 0, 0x101000, 4);
  point_at(kStack);
  EXPECT_EQ(chain(), (Addresses{kEntry}));
}

// ---- Functions that have no frame yet, or no more
// -------------------------------------------------

class EveryStackTest : public GuestStackTest, public testing::WithParamInterface<bool> {
 protected:
  const bool code64 = GetParam();

  static Code call(int bytes) {
    return Code{0xe8} + little_endian(static_cast<std::uint32_t>(bytes), 4);
  }
  [[nodiscard]] Code rex() const { return code64 ? Code{0x48} : Code{}; }
  [[nodiscard]] Code mov_rbp_rsp() const { return rex() + Code{0x89, 0xe5}; }
  /// Calls inner() at kEntry + 0x100 twice, once by way of a jump at kEntry + 0x180.
  [[nodiscard]] Code outer() const {
    Code code = Code{0xf3, 0x0f, 0x1e, 0xfa, 0x55} + mov_rbp_rsp();  // ENDBR64; PUSH RBP
    const auto call_to = [&](int offset) {
      const int next = 0x80 + static_cast<int>(code.size()) + 5;
      code = code + call(offset - next);
    };
    call_to(0x100);
    call_to(0x180);
    return code + Code{0x5d, 0xc3};  // POP RBP; RET
  }
  /// For ever: calls outer() at kEntry + 0x80.
  [[nodiscard]] Code program() const {
    const auto at = [](Code code, std::size_t offset, const Code& what) {
      code.resize(offset, 0x90);
      return code + what;
    };
    Code code = Code{0x31, 0xed, 0x90};  // XOR EBP, EBP
    code = code + call(0x80 - 8) + Code{0xeb, 0xf9};
    code = at(code, 0x80, outer());
    // PUSH RBP; XOR EAX, EAX; MOV RBP, RSP would leave one instruction out: compilers do it rarely.
    code = at(code, 0x100, Code{0x55} + mov_rbp_rsp() + Code{0x31, 0xc0, 0x90, 0xc9, 0xf3, 0xc3});
    return at(code, 0x180, Code{0xe9} + little_endian(static_cast<std::uint32_t>(-0x85), 4));
  }
  [[nodiscard]] Addresses precise_chain() {
    Addresses found(127);
    found.resize(machine::call_chain(cpu(), cpu().last_retired(), found));
    return found;
  }
  /// Innermost first.
  static Addresses with(std::uint64_t ip, const Addresses& returns) {
    Addresses all{ip};
    all.insert(all.end(), returns.rbegin(), returns.rend());
    return all;
  }
};

TEST_P(EveryStackTest, IsWhatCallsAndReturnsSay) {
  load(program());
  if (!code64) {
    protected_mode(0, 0);
    cpu().core().gpr[kRsp] = kStack;
  }
  Addresses returns;  // the innermost last
  std::size_t deepest = 0;
  for (std::uint64_t n = 0; n < 200; ++n) {
    const Addresses before = returns;
    machine->run({.pause_at = n + 1});
    const auto last = cpu().last_retired();
    if (last.calls) {
      std::uint64_t back = 0;
      ASSERT_TRUE(cpu().peek(cpu().core().gpr[kRsp], &back, code64 ? 8 : 4));
      returns.push_back(back);
    }
    if (last.returns) returns.pop_back();
    const std::uint64_t next = cpu().place().linear;
    // Nothing tells of the jump that it is a function without frame.
    if (next != kEntry + 0x180) {
      ASSERT_EQ(chain(), with(next, returns)) << "before " << std::hex << next;
    }
    ASSERT_EQ(precise_chain(), with(last.place.linear, before)) << "before " << std::hex << next;
    deepest = std::max(deepest, returns.size());
  }
  EXPECT_EQ(deepest, 2u);
}

INSTANTIATE_TEST_SUITE_P(CodeOf, EveryStackTest, testing::Values(true, false),
                         [](const auto& of64) { return of64.param ? "64Bits" : "32Bits"; });

TEST_F(GuestStackTest, TheTopOfTheStackMayBeNoMemory) {
  load(Code{0xc3});
  frame(kStack, 0, 0x101000);
  for (const std::uint64_t hostile :
       {std::uint64_t{0xfee00000}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    cpu().core().gpr[kRsp] = hostile;
    cpu().core().gpr[kRbp] = kStack;
    EXPECT_EQ(chain(), (Addresses{kEntry})) << std::hex << hostile;
  }
}

}  // namespace
}  // namespace vpmu::test
