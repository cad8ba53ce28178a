// SPDX-License-Identifier: MIT
//
// Addresses of memory operands: every ModRM and SIB byte is decoded and compared with the tables of
// Intel SDM vol. 2A 2.1.5, which modrm_address() below states.
#include <Zydis/Zydis.h>
#include <gtest/gtest.h>

#include "machine/x86/memory_access.hpp"
#include "machine/x86/translate.hpp"
#include "unit/x86/cpu_fixture.hpp"

namespace vpmu::machine::x86 {
namespace {

using namespace test;

constexpr std::uint64_t kRip = 0xffff'ffff'8123'4560;
constexpr std::uint64_t kBlockRip = kRip - 100;
constexpr std::uint8_t kDisplacement[4] = {0x88, 0x77, 0x66, 0xf5};

enum class Code { k16, k32, k64 };

struct Operands : testing::Test {
  TestCpu t;
  Core& core = t.core();
  Block block;
  ZydisDecoder decoder{};

  void enter(Code code) {
    if (code == Code::k64) {
      t.start_long_mode();
      ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    } else {
      t.start_protected_mode();
      core.segment[kCs].big = code == Code::k32;
      t.cpu.state_changed();
      ZydisDecoderInit(
          &decoder, code == Code::k32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16,
          code == Code::k32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
    }
    for (unsigned n = 0; n < 16; ++n) core.gpr[n] = 0x0123'4567'89ab'0000 + 0x1111'1357 * n;
    block.rip = kBlockRip;
    core.block = &block;
  }

  /// The Op of the instruction's memory operand.
  Op decode(const Bytes& bytes, std::uint64_t rip = kRip) {
    Instruction in{};
    EXPECT_TRUE(ZYAN_SUCCESS(
        ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(), &in.zydis, in.operands)));
    in.mode = core.mode;
    in.rip = rip;
    in.next_rip = rip + in.zydis.length;
    in.block_rip = kBlockRip;
    Op op;
    for (unsigned n = 0; n < in.visible(); ++n) {
      if (in.is_memory(n)) set_memory(op, in, in.operands[n]);
    }
    EXPECT_TRUE(op.flags & kMemoryOperand);
    return op;
  }
  std::uint64_t linear(const Op& op) { return linear_address(core, &op); }
};

std::uint64_t sign_extended(unsigned bytes) {
  if (bytes == 1) return static_cast<std::uint64_t>(std::int64_t{static_cast<std::int8_t>(0x88)});
  return static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(0xf5667788)});
}

/// The 32- and 64-bit addressing forms, before truncation. `rex` has B and X. Sets how many bytes
/// of displacement there are.
std::uint64_t modrm_address(const Core& core, unsigned mod, unsigned rm, unsigned sib, unsigned rex,
                            unsigned& displacement) {
  displacement = mod == 1 ? 1 : mod == 2 ? 4 : 0;
  std::uint64_t address = 0;
  if (rm == 4) {
    const unsigned base = sib & 7, index = (sib >> 3 & 7) | (rex >> 1 & 1) << 3;
    if (base == 5 && mod == 0)
      displacement = 4;
    else
      address += core.gpr[base | (rex & 1) << 3];
    if (index != 4) address += core.gpr[index] << (sib >> 6);
  } else {
    address += core.gpr[rm | (rex & 1) << 3];
  }
  return displacement == 0 ? address : address + sign_extended(displacement);
}

void append_displacement(Bytes& bytes, unsigned count) {
  bytes.insert(bytes.end(), kDisplacement, kDisplacement + count);
}

TEST_F(Operands, Of64BitCodeFollowTheModRmAndSibTables) {
  enter(Code::k64);
  for (const bool address32 : {false, true}) {
    for (unsigned rex = 0; rex < 4; ++rex) {
      for (unsigned mod = 0; mod < 3; ++mod) {
        for (unsigned rm = 0; rm < 8; ++rm) {
          if (mod == 0 && rm == 5) continue;  // RIP-relative
          for (unsigned sib = 0; sib < 256; ++sib) {
            if (rm != 4 && sib != 0) break;
            Bytes bytes;
            if (address32) bytes.push_back(0x67);
            bytes.push_back(static_cast<std::uint8_t>(0x48 | rex));
            bytes.push_back(0x8b);
            bytes.push_back(static_cast<std::uint8_t>(mod << 6 | rm));
            if (rm == 4) bytes.push_back(static_cast<std::uint8_t>(sib));
            unsigned displacement = 0;
            std::uint64_t expected = modrm_address(core, mod, rm, sib, rex, displacement);
            append_displacement(bytes, displacement);
            if (address32) expected = static_cast<std::uint32_t>(expected);
            ASSERT_EQ(linear(decode(bytes)), expected)
                << "address32 " << address32 << " rex " << rex << " mod " << mod << " rm " << rm
                << " sib " << std::hex << sib;
          }
        }
      }
    }
  }
}

TEST_F(Operands, Of32BitCodeAreTruncatedAndHaveASegmentBase) {
  enter(Code::k32);
  core.segment[kDs].base = 0x1234'5000;
  core.segment[kSs].base = 0xf000'0000;
  for (unsigned mod = 0; mod < 3; ++mod) {
    for (unsigned rm = 0; rm < 8; ++rm) {
      for (unsigned sib = 0; sib < 256; ++sib) {
        if (rm != 4 && sib != 0) break;
        Bytes bytes = {0x8b, static_cast<std::uint8_t>(mod << 6 | rm)};
        if (rm == 4) bytes.push_back(static_cast<std::uint8_t>(sib));
        unsigned displacement = 0;
        std::uint64_t offset = modrm_address(core, mod, rm, sib, 0, displacement);
        if (mod == 0 && rm == 5) {
          displacement = 4;
          offset = sign_extended(4);
        }
        append_displacement(bytes, displacement);
        const unsigned base = rm == 4 ? sib & 7 : rm;
        // With EBP or ESP as the base it is the stack segment.
        const bool stack = (base == 5 && mod != 0) || (rm == 4 && base == 4);
        const std::uint64_t expected = static_cast<std::uint32_t>(
            static_cast<std::uint32_t>(offset) + core.segment[stack ? kSs : kDs].base);
        ASSERT_EQ(linear(decode(bytes)), expected)
            << "mod " << mod << " rm " << rm << " sib " << std::hex << sib;
      }
    }
  }
}

TEST_F(Operands, Of16BitAddressesFollowTheOldTable) {
  enter(Code::k16);
  core.segment[kDs].base = 0x10000;
  core.segment[kSs].base = 0x20000;
  struct Row {
    int base, index;
    bool stack;
  };
  constexpr Row kRows[] = {{kRbx, kRsi, false}, {kRbx, kRdi, false}, {kRbp, kRsi, true},
                           {kRbp, kRdi, true},  {kRsi, -1, false},   {kRdi, -1, false},
                           {kRbp, -1, true},    {kRbx, -1, false}};
  for (unsigned mod = 0; mod < 3; ++mod) {
    for (unsigned rm = 0; rm < 8; ++rm) {
      Bytes bytes = {0x8b, static_cast<std::uint8_t>(mod << 6 | rm)};
      const Row& row = kRows[rm];
      std::uint64_t offset = core.gpr[static_cast<std::size_t>(row.base)];
      if (row.index >= 0) offset += core.gpr[static_cast<std::size_t>(row.index)];
      bool stack = row.stack;
      unsigned displacement = mod == 1 ? 1 : mod == 2 ? 2 : 0;
      if (mod == 0 && rm == 6) {
        offset = 0;
        stack = false;
        displacement = 2;
      }
      append_displacement(bytes, displacement);
      if (displacement == 1) offset += sign_extended(1);
      if (displacement == 2) offset += 0x7788;
      EXPECT_EQ(linear(decode(bytes)), (offset & 0xffff) + core.segment[stack ? kSs : kDs].base)
          << "mod " << mod << " rm " << rm;
    }
  }
}

TEST_F(Operands, RelativeToRipCountFromTheNextInstruction) {
  enter(Code::k64);
  // MOV RAX, [RIP + x], at the top of the address space and where the sum fits 32 bits.
  const Bytes bytes = {0x48, 0x8b, 0x05, 0x88, 0x77, 0x66, 0xf5};
  EXPECT_EQ(linear(decode(bytes, kRip)), kRip + 7 + sign_extended(4));
  EXPECT_EQ(linear(decode(bytes, 0x4000'0000)), 0x4000'0000 + 7 + sign_extended(4));
  // An immediate behind it counts: MOV DWORD [RIP + 0x10], imm32.
  const Bytes store = {0xc7, 0x05, 0x10, 0, 0, 0, 1, 2, 3, 4};
  EXPECT_EQ(linear(decode(store, kRip)), kRip + 10 + 0x10);
  // 32-bit addresses: [EIP + x] is truncated.
  const Bytes narrow = {0x67, 0x48, 0x8b, 0x05, 0x10, 0, 0, 0};
  EXPECT_EQ(linear(decode(narrow, kRip)), static_cast<std::uint32_t>(kRip + 8 + 0x10));
}

TEST_F(Operands, WithRexBStillRelativeToRip) {
  enter(Code::k64);
  const Bytes bytes = {0x49, 0x8b, 0x05, 0x10, 0, 0, 0};
  EXPECT_EQ(linear(decode(bytes)), kRip + 7 + 0x10);
}

struct MoffsCase {
  Code code;
  Bytes bytes;
  std::uint64_t expected;
};

TEST_F(Operands, AbsoluteAddressesHaveTheAddressSize) {
  const MoffsCase cases[] = {
      {Code::k64, {0xa1, 1, 2, 3, 4, 5, 6, 7, 8}, 0x0807'0605'0403'0201},
      {Code::k64, {0x48, 0xa3, 1, 2, 3, 0x84, 0, 0, 0, 0}, 0x8403'0201},
      {Code::k64, {0xa0, 1, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff}, 0xffff'ffff'8000'0001},
      {Code::k64, {0x67, 0xa1, 1, 2, 3, 0xf4}, 0xf403'0201},
      {Code::k32, {0xa1, 1, 2, 3, 0xf4}, 0xf403'0201},
      {Code::k32, {0x67, 0xa1, 1, 0xf2}, 0xf201},
      {Code::k16, {0xa1, 1, 0xf2}, 0xf201},
      {Code::k16, {0x67, 0xa1, 1, 2, 3, 0xf4}, 0xf403'0201},
  };
  for (const MoffsCase& c : cases) {
    enter(c.code);
    EXPECT_EQ(linear(decode(c.bytes)), c.expected) << std::hex << c.expected;
  }
}

TEST_F(Operands, Of64BitCodeHaveOnlyTheBasesOfFsAndGs) {
  enter(Code::k64);
  for (unsigned n = 0; n < 6; ++n) core.segment[n].base = 0x1000'0000 * (n + 1);
  constexpr std::uint8_t kPrefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};  // ES CS SS DS FS GS
  for (unsigned n = 0; n < 6; ++n) {
    const std::uint64_t base = n >= kFs ? core.segment[n].base : 0;
    EXPECT_EQ(linear(decode({kPrefixes[n], 0x48, 0x8b, 0x03})), core.gpr[kRbx] + base) << n;
  }
  // The base is added after truncation to 32 bits.
  EXPECT_EQ(linear(decode({0x65, 0x67, 0x8b, 0x03})),
            static_cast<std::uint32_t>(core.gpr[kRbx]) + core.segment[kGs].base);
}

TEST_F(Operands, Of32BitCodeHaveTheBaseOfWhicheverSegmentIsAskedFor) {
  enter(Code::k32);
  for (unsigned n = 0; n < 6; ++n) core.segment[n].base = 0x1000'0000 * (n + 1);
  constexpr std::uint8_t kPrefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
  for (unsigned n = 0; n < 6; ++n) {
    EXPECT_EQ(linear(decode({kPrefixes[n], 0x8b, 0x03})),
              static_cast<std::uint32_t>(static_cast<std::uint32_t>(core.gpr[kRbx]) +
                                         core.segment[n].base))
        << n;
  }
}

TEST_F(Operands, RegistersAreByteOffsets) {
  for (int n = 0; n < 16; ++n) {
    const auto at = [n](ZydisRegister first) {
      return gpr_offset(static_cast<ZydisRegister>(first + n));
    };
    EXPECT_EQ(at(ZYDIS_REGISTER_RAX), 8 * n);
    EXPECT_EQ(at(ZYDIS_REGISTER_EAX), 8 * n);
    EXPECT_EQ(at(ZYDIS_REGISTER_AX), 8 * n);
    EXPECT_EQ(register_number(static_cast<ZydisRegister>(ZYDIS_REGISTER_XMM0 + n)), n);
  }
  EXPECT_EQ(gpr_offset(ZYDIS_REGISTER_AL), 0);
  EXPECT_EQ(gpr_offset(ZYDIS_REGISTER_BL), 24);
  EXPECT_EQ(gpr_offset(ZYDIS_REGISTER_AH), 1);
  EXPECT_EQ(gpr_offset(ZYDIS_REGISTER_CH), 9);
  EXPECT_EQ(gpr_offset(ZYDIS_REGISTER_DH), 17);
  EXPECT_EQ(gpr_offset(ZYDIS_REGISTER_BH), 25);
  EXPECT_EQ(gpr_offset(ZYDIS_REGISTER_SPL), 32);
  EXPECT_EQ(gpr_offset(ZYDIS_REGISTER_DIL), 56);
  EXPECT_EQ(gpr_offset(ZYDIS_REGISTER_R15B), 120);
}

}  // namespace
}  // namespace vpmu::machine::x86
