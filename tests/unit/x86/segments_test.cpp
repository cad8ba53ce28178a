// SPDX-License-Identifier: MIT
//
// Descriptor checks, far transfers and delivery, each against the operation sections of Intel SDM
// vol. 2 (MOV, JMP, CALL, RET, IRET, INT n) and vol. 3A chapters 5 and 6.
#include "machine/x86/segments.hpp"

#include <gtest/gtest.h>

#include "unit/x86/cpu_fixture.hpp"

namespace vpmu::machine::x86 {
namespace {

using namespace test;

constexpr int kFine = -1;
constexpr std::uint64_t kBadAddress = 0x0000'8000'0000'0000;

struct Segments : testing::Test {
  TestCpu t;
  Core& core = t.core();
  void SetUp() override { t.start_long_mode(); }

  /// What a function that may fail left: kFine, or vector and error code.
  std::pair<int, std::uint32_t> outcome(bool ok) const {
    if (ok) return {kFine, 0};
    return {core.exception.vector, core.exception.error_code};
  }
  void push(std::uint64_t value) {
    core.gpr[kRsp] -= 8;
    t.put(core.gpr[kRsp], value);
  }
  void push32(std::uint32_t value) {
    core.gpr[kRsp] -= 4;
    t.put(core.gpr[kRsp], value);
  }
};

using Outcome = std::pair<int, std::uint32_t>;

TEST(Descriptor, UnpacksItsScatteredFields) {
  const Segment segment = unpack(0x1b, 0x12daf93456789abc);
  EXPECT_EQ(segment.selector, 0x1b);
  EXPECT_EQ(segment.base, 0x12345678U);
  EXPECT_EQ(segment.limit, 0xa9abcfffU);  // in pages
  EXPECT_EQ(segment.type, 9);
  EXPECT_EQ(segment.dpl, 3);
  EXPECT_TRUE(segment.present);
  EXPECT_FALSE(segment.system);
  EXPECT_TRUE(segment.big);
  EXPECT_FALSE(segment.long_code);
  EXPECT_EQ(unpack(0, 0x122af93456789abc).limit, 0xa9abcU);
  EXPECT_TRUE(unpack(0, 0x122af93456789abc).long_code);
  EXPECT_TRUE(unpack(0, 0x0000890000000067).system);
}

// ---- Loading ------------------------------------------------------------------------------------

struct LoadCase {
  const char* what;
  SegmentIndex index;
  unsigned cpl;
  std::uint16_t selector;
  std::uint64_t descriptor;
  int vector;
  std::uint32_t error;
};

constexpr std::uint16_t kFree = kFreeSelector;

TEST_F(Segments, LoadWithEveryCheckOfTheManual) {
  constexpr std::uint64_t kData0 = descriptor(0x93, 0xc), kData3 = descriptor(0xf3, 0xc),
                          kReadOnly0 = descriptor(0x91, 0xc), kAbsent0 = descriptor(0x13, 0xc),
                          kCodeX = descriptor(0x99, 0xc), kCodeXr0 = descriptor(0x9b, 0xc),
                          kConforming0 = descriptor(0x9f, 0xc), kTssLike = descriptor(0x89, 0);
  const LoadCase cases[] = {
      {"data", kDs, 0, kFree, kData0, kFine, 0},
      {"read-only data", kDs, 0, kFree, kReadOnly0, kFine, 0},
      {"readable code", kDs, 0, kFree, kCodeXr0, kFine, 0},
      {"execute-only code", kDs, 0, kFree, kCodeX, kGeneralProtection, kFree},
      {"a system descriptor", kDs, 0, kFree, kTssLike, kGeneralProtection, kFree},
      {"not present", kDs, 0, kFree, kAbsent0, kSegmentNotPresent, kFree},
      {"kernel data for users", kDs, 3, kFree | 3, kData0, kGeneralProtection, kFree},
      {"user data for users", kDs, 3, kFree | 3, kData3, kFine, 0},
      {"user data for the kernel", kDs, 0, kFree, kData3, kFine, 0},
      {"RPL weaker than DPL", kDs, 0, kFree | 3, kData0, kGeneralProtection, kFree},
      {"conforming code for users", kDs, 3, kFree | 3, kConforming0, kFine, 0},
      {"beyond the table", kDs, 0, 0x100, 0, kGeneralProtection, 0x100},
      {"without a local table", kDs, 0, kFree | 4, kData0, kGeneralProtection, kFree | 4},
      {"null", kDs, 3, 3, 0, kFine, 0},
      {"SS: data", kSs, 0, kFree, kData0, kFine, 0},
      {"SS: read-only", kSs, 0, kFree, kReadOnly0, kGeneralProtection, kFree},
      {"SS: code", kSs, 0, kFree, kCodeXr0, kGeneralProtection, kFree},
      {"SS: not present", kSs, 0, kFree, kAbsent0, kStackFault, kFree},
      {"SS: DPL not CPL", kSs, 0, kFree, kData3, kGeneralProtection, kFree},
      {"SS: RPL not CPL", kSs, 0, kFree | 3, kData0, kGeneralProtection, kFree},
      {"SS: users'", kSs, 3, kFree | 3, kData3, kFine, 0},
      {"SS: null in 64-bit code of the kernel", kSs, 0, 0, 0, kFine, 0},
      {"SS: null with another RPL", kSs, 0, 1, 0, kGeneralProtection, 0},
      {"SS: null for users", kSs, 3, 3, 0, kGeneralProtection, 0},
  };
  for (const LoadCase& c : cases) {
    t.start_long_mode(c.cpl);
    t.set_descriptor(kFree, c.descriptor);
    const Segment before = core.segment[c.index];
    const bool ok = load_segment(core, c.index, c.selector);
    EXPECT_EQ(outcome(ok), (Outcome{c.vector, c.error})) << c.what;
    EXPECT_EQ(core.segment[c.index].selector, ok ? c.selector : before.selector) << c.what;
  }
}

TEST_F(Segments, NullStackIsForSixtyFourBitCodeOnly) {
  t.start_protected_mode();
  EXPECT_EQ(outcome(load_segment(core, kSs, 0)), (Outcome{kGeneralProtection, 0}));
}

TEST_F(Segments, LoadsMarkTheDescriptorAccessed) {
  t.set_descriptor(kFree, descriptor(0x92, 0xc));
  EXPECT_TRUE(load_segment(core, kEs, kFree));
  EXPECT_EQ(t.take<std::uint8_t>(kGdt + kFree + 5), 0x93);
  EXPECT_EQ(core.segment[kEs].type, 3);
}

TEST_F(Segments, ComeFromTheLocalTableIfTheSelectorSaysSo) {
  t.put<std::uint64_t>(kGdt + kFree, (kData << 16) | 0x0000'8200'0000'001f);
  t.put<std::uint64_t>(kGdt + kFree + 8, 0);
  EXPECT_TRUE(load_ldt(core, kFree));
  t.put<std::uint64_t>(kData + 8, descriptor(0x93, 0xc) | 0x1234 << 16);
  EXPECT_TRUE(load_segment(core, kDs, 0xc));
  EXPECT_EQ(core.segment[kDs].base, 0x1234U);
  EXPECT_EQ(outcome(load_segment(core, kDs, 0x24)), (Outcome{kGeneralProtection, 0x24}));
  EXPECT_TRUE(load_ldt(core, 0));
  EXPECT_EQ(outcome(load_segment(core, kDs, 0xc)), (Outcome{kGeneralProtection, 0xc}));
}

TEST_F(Segments, InRealModeAreSixteenTimesTheirSelector) {
  t.start_real_mode();
  core.segment[kDs].limit = 0xffffffff;  // left by protected mode
  EXPECT_TRUE(load_segment(core, kDs, 0xb800));
  EXPECT_EQ(core.segment[kDs].base, 0xb8000U);
  EXPECT_EQ(core.segment[kDs].limit, 0xffffffffU);
}

struct SystemCase {
  const char* what;
  bool task;
  std::uint16_t selector;
  std::uint64_t access;  ///< byte 5 of the descriptor
  int vector;
  std::uint32_t error;
};

TEST_F(Segments, SystemSegmentsAreCheckedToo) {
  constexpr SystemCase kCases[] = {
      {"LDT", false, kFree, 0x82, kFine, 0},
      {"LDT: null", false, 0, 0, kFine, 0},
      {"LDT: not present", false, kFree, 0x02, kSegmentNotPresent, kFree},
      {"LDT: a TSS", false, kFree, 0x89, kGeneralProtection, kFree},
      {"LDT: in the local table", false, kFree | 4, 0x82, kGeneralProtection, kFree | 4},
      {"LDT: only half in the table", false, 0xf8, 0x82, kGeneralProtection, 0xf8},
      {"TSS", true, kFree, 0x89, kFine, 0},
      {"TSS: null", true, 0, 0, kGeneralProtection, 0},
      {"TSS: busy", true, kFree, 0x8b, kGeneralProtection, kFree},
      {"TSS: of 16 bits in long mode", true, kFree, 0x81, kGeneralProtection, kFree},
      {"TSS: not present", true, kFree, 0x09, kSegmentNotPresent, kFree},
      {"TSS: in the local table", true, kFree | 4, 0x89, kGeneralProtection, kFree | 4},
  };
  for (const SystemCase& c : kCases) {
    t.start_long_mode();
    t.set_descriptor(kFree, 0x12'0000'34'5678'0067 | c.access << 40);
    t.set_descriptor(kFree + 8, 0xffff8000);
    const bool ok = c.task ? load_task_register(core, c.selector) : load_ldt(core, c.selector);
    EXPECT_EQ(outcome(ok), (Outcome{c.vector, c.error})) << c.what;
    if (!ok || c.selector == 0) continue;
    const Segment& loaded = c.task ? core.tr : core.ldtr;
    EXPECT_EQ(loaded.base, 0xffff8000'12345678U) << c.what;
    EXPECT_EQ(loaded.limit, 0x67U) << c.what;
    // A TSS becomes busy.
    EXPECT_EQ(t.take<std::uint8_t>(kGdt + kFree + 5), c.task ? 0x8b : 0x82) << c.what;
  }
}

// ---- Far jumps and calls ------------------------------------------------------------------------

struct FarCase {
  const char* what;
  unsigned cpl;
  std::uint16_t selector;
  std::uint64_t descriptor;
  std::uint64_t offset;
  int vector;
  std::uint32_t error;
};

TEST_F(Segments, FarJumpsAndCallsCheckTheirTarget) {
  constexpr std::uint64_t kCode64_0 = descriptor(0x9b, 0xa), kCode64_3 = descriptor(0xfb, 0xa),
                          kLongAndBig = descriptor(0x9b, 0xe), kAbsent = descriptor(0x1b, 0xa),
                          kConforming0 = descriptor(0x9f, 0xa),
                          kConforming3 = descriptor(0xff, 0xa), kSmall = 0x0040'9b00'0000'0fff;
  const FarCase cases[] = {
      {"64-bit code", 0, kFree, kCode64_0, kCode, kFine, 0},
      {"null", 0, 0, 0, kCode, kGeneralProtection, 0},
      {"beyond the table", 0, 0x100, 0, kCode, kGeneralProtection, 0x100},
      {"data", 0, kFree, descriptor(0x93, 0xc), kCode, kGeneralProtection, kFree},
      {"L and D", 0, kFree, kLongAndBig, kCode, kGeneralProtection, kFree},
      {"not present", 0, kFree, kAbsent, kCode, kSegmentNotPresent, kFree},
      {"users' code from the kernel", 0, kFree, kCode64_3, kCode, kGeneralProtection, kFree},
      {"kernel code from users", 3, kFree | 3, kCode64_0, kCode, kGeneralProtection, kFree},
      {"RPL above CPL", 0, kFree | 3, kCode64_0, kCode, kGeneralProtection, kFree},
      {"RPL below CPL", 3, kFree, kCode64_3, kCode, kFine, 0},
      {"conforming from users", 3, kFree | 3, kConforming0, kCode, kFine, 0},
      {"conforming of users from the kernel", 0, kFree, kConforming3, kCode, kGeneralProtection,
       kFree},
      {"not canonical", 0, kFree, kCode64_0, kBadAddress, kGeneralProtection, 0},
      {"within the limit", 0, kFree, kSmall, 0xfff, kFine, 0},
      {"beyond the limit", 0, kFree, kSmall, 0x1000, kGeneralProtection, 0},
  };
  for (const FarCase& c : cases) {
    for (const bool call : {false, true}) {
      t.start_long_mode(c.cpl);
      t.set_descriptor(kFree, c.descriptor);
      const std::uint64_t rsp = core.gpr[kRsp];
      const bool ok = call ? far_call(core, c.selector, c.offset, 8, 0x1234)
                           : far_jump(core, c.selector, c.offset);
      EXPECT_EQ(outcome(ok), (Outcome{c.vector, c.error})) << c.what;
      EXPECT_EQ(core.cpl, c.cpl) << c.what;
      EXPECT_EQ(core.rip, ok ? c.offset : kCode) << c.what;
      EXPECT_EQ(core.gpr[kRsp], ok && call ? rsp - 16 : rsp) << c.what;
      if (!ok) continue;
      EXPECT_EQ(core.segment[kCs].selector, (c.selector & ~3U) | c.cpl) << c.what;
      if (call) {
        EXPECT_EQ(t.take<std::uint64_t>(rsp - 16), 0x1234U);
        EXPECT_EQ(t.take<std::uint64_t>(rsp - 8), c.cpl == 0 ? kCode64 : kUserCode64);
      }
    }
  }
}

TEST_F(Segments, FarCallsPushTheirOperandSize) {
  t.start_protected_mode();
  EXPECT_TRUE(far_call(core, kCode32, 0x5000, 4, 0x12345678));
  EXPECT_EQ(core.gpr[kRsp], kKernelStack - 8);
  EXPECT_EQ(t.take<std::uint32_t>(kKernelStack - 8), 0x12345678U);
  EXPECT_EQ(t.take<std::uint32_t>(kKernelStack - 4), kCode32);
  EXPECT_TRUE(far_call(core, kCode32, 0x5000, 2, 0x12345678));
  EXPECT_EQ(core.gpr[kRsp], kKernelStack - 12);
  EXPECT_EQ(t.take<std::uint16_t>(kKernelStack - 12), 0x5678);
}

TEST_F(Segments, AFarJumpFromCompatibilityCodeEntersLongCode) {
  core.segment[kCs] = unpack(kCode32, descriptor(0x9b, 0xc));
  update_mode(core);
  EXPECT_FALSE(core.code64());
  EXPECT_TRUE(far_jump(core, kCode64, kCode));
  EXPECT_TRUE(core.code64());
  EXPECT_TRUE(far_jump(core, kCode32, kCode));
  EXPECT_TRUE(core.mode.bits & Mode::kCode32);
  EXPECT_TRUE(far_jump(core, kCode16, 0x100));
  EXPECT_TRUE(core.mode.bits & Mode::kCode16);
}

// ---- Returns ------------------------------------------------------------------------------------

TEST_F(Segments, FarReturnsTakeBackWhatCallsPushed) {
  EXPECT_TRUE(far_call(core, kCode64, 0x5000, 8, kCode + 7));
  EXPECT_TRUE(far_return(core, 8, 0x20));
  EXPECT_EQ(core.rip, kCode + 7);
  EXPECT_EQ(core.gpr[kRsp], kKernelStack + 0x20);
}

TEST_F(Segments, FarReturnsToUsersSwitchStacksAndDropSegments) {
  core.segment[kDs] = unpack(kDataSelector, descriptor(0x93, 0xc));
  core.segment[kEs] = unpack(kUserData, descriptor(0xf3, 0xc));
  push(kUserData);
  push(kUserStack);
  core.gpr[kRsp] -= 0x10;  // parameters
  push(kUserCode64);
  push(kCode + 0x40);
  EXPECT_TRUE(far_return(core, 8, 0x10));
  EXPECT_EQ(core.cpl, 3);
  EXPECT_EQ(core.rip, kCode + 0x40);
  EXPECT_EQ(core.gpr[kRsp], kUserStack + 0x10);
  EXPECT_EQ(core.segment[kSs].selector, kUserData);
  EXPECT_EQ(core.segment[kDs].selector, 0);  // the kernel's
  EXPECT_EQ(core.segment[kEs].selector, kUserData);
}

struct ReturnCase {
  const char* what;
  unsigned cpl;
  std::uint16_t cs;
  std::uint64_t cs_descriptor;
  std::uint64_t rip;
  std::uint16_t ss;
  std::uint64_t ss_descriptor;
  int vector;
  std::uint32_t error;
};

constexpr std::uint16_t kFreeStack = 0x70;

TEST_F(Segments, IretChecksWhatItPops) {
  constexpr std::uint64_t kK = descriptor(0x9b, 0xa), kU = descriptor(0xfb, 0xa),
                          kKd = descriptor(0x93, 0xc), kUd = descriptor(0xf3, 0xc);
  const ReturnCase cases[] = {
      {"the same privilege", 0, kFree, kK, kCode, kFreeStack, kKd, kFine, 0},
      {"with a null stack", 0, kFree, kK, kCode, 0, 0, kFine, 0},
      {"to users", 0, kFree | 3, kU, kCode, kFreeStack | 3, kUd, kFine, 0},
      {"to users with a null stack", 0, kFree | 3, kU, kCode, 3, 0, kGeneralProtection, 0},
      {"to null", 0, 3, 0, kCode, kFreeStack | 3, kUd, kGeneralProtection, 0},
      {"to data", 0, kFree, kKd, kCode, kFreeStack, kKd, kGeneralProtection, kFree},
      {"inwards", 3, kFree, kK, kCode, kFreeStack, kKd, kGeneralProtection, kFree},
      {"DPL not RPL", 0, kFree | 3, kK, kCode, kFreeStack | 3, kUd, kGeneralProtection, kFree},
      {"not present", 0, kFree, descriptor(0x1b, 0xa), kCode, kFreeStack, kKd, kSegmentNotPresent,
       kFree},
      {"L and D", 0, kFree, descriptor(0x9b, 0xe), kCode, kFreeStack, kKd, kGeneralProtection,
       kFree},
      {"not canonical", 0, kFree, kK, kBadAddress, kFreeStack, kKd, kGeneralProtection, 0},
      {"SS: RPL not that of CS", 0, kFree | 3, kU, kCode, kFreeStack, kUd, kGeneralProtection,
       kFreeStack},
      {"SS: DPL not RPL", 0, kFree | 3, kU, kCode, kFreeStack | 3, kKd, kGeneralProtection,
       kFreeStack},
      {"SS: read-only", 0, kFree, kK, kCode, kFreeStack, descriptor(0x91, 0xc), kGeneralProtection,
       kFreeStack},
      {"SS: not present", 0, kFree, kK, kCode, kFreeStack, descriptor(0x13, 0xc), kStackFault,
       kFreeStack},
  };
  for (const ReturnCase& c : cases) {
    t.start_long_mode(c.cpl);
    t.set_descriptor(kFree, c.cs_descriptor);
    t.set_descriptor(kFreeStack, c.ss_descriptor);
    core.rip = kCode + 0x10;
    for (const std::uint64_t value :
         {std::uint64_t{c.ss}, kUserStack - 0x20, std::uint64_t{2}, std::uint64_t{c.cs}, c.rip})
      push(value);
    const std::uint64_t rsp = core.gpr[kRsp];
    const bool ok = interrupt_return(core, 8);
    EXPECT_EQ(outcome(ok), (Outcome{c.vector, c.error})) << c.what;
    EXPECT_EQ(core.gpr[kRsp], ok ? kUserStack - 0x20 : rsp) << c.what;
    EXPECT_EQ(core.rip, ok ? c.rip : kCode + 0x10) << c.what;
    EXPECT_EQ(core.cpl, ok ? c.cs & 3U : c.cpl) << c.what;
    if (ok) {
      EXPECT_EQ(core.segment[kSs].selector, c.ss) << c.what;
    }
  }
}

struct IretFlagsCase {
  const char* what;
  unsigned cpl;
  std::uint64_t before, popped, after;
};

TEST_F(Segments, IretChangesTheFlagsThatItMay) {
  constexpr IretFlagsCase kCases[] = {
      {"the kernel, all of them", 0, 2, 0x247fd7 & ~kNt, 0x247fd7 & ~kNt},
      {"the kernel, none of them", 0, kIf | kIopl | kAc | kDf | 2, 2, 2},
      {"users keep IF and IOPL", 3, kIf | 2, kIopl | kDf | 2, kIf | kDf | 2},
      {"users with IOPL 3 change IF", 3, kIf | kIopl | 2, 2, kIopl | 2},
      {"users do not gain IF", 3, 2, kIf | kCf | 2, kCf | 2},
      {"NT is popped", 0, 2, kNt | 2, kNt | 2},
      {"VIF and VIP are the kernel's", 3, 2, kVif | kVip | 2, 2},
      {"reserved bits stay", 0, 2, 1ULL << 3 | 1 << 5 | 1 << 15 | 1ULL << 22 | 2, 2},
  };
  for (const IretFlagsCase& c : kCases) {
    t.start_long_mode(c.cpl);
    core.rflags = c.before;
    const bool kernel = c.cpl == 0;
    for (const std::uint64_t value :
         {std::uint64_t{kernel ? kDataSelector : kUserData}, kUserStack, c.popped,
          std::uint64_t{kernel ? kCode64 : kUserCode64}, kCode})
      push(value);
    EXPECT_TRUE(interrupt_return(core, 8)) << c.what;
    EXPECT_EQ(rflags(core), c.after) << c.what;
  }
}

TEST_F(Segments, IretWithNtFaults) {
  core.rflags |= kNt;
  EXPECT_EQ(outcome(interrupt_return(core, 8)), (Outcome{kGeneralProtection, 0}));
}

TEST_F(Segments, IretInProtectedModePopsAStackOnlyToUsers) {
  t.start_protected_mode();
  for (const std::uint32_t value : {0x202U, std::uint32_t{kCode32}, 0x5000U}) push32(value);
  EXPECT_TRUE(interrupt_return(core, 4));
  EXPECT_EQ(core.gpr[kRsp], kKernelStack);
  EXPECT_EQ(core.rip, 0x5000U);
  for (const std::uint32_t value : {std::uint32_t{kUserData}, std::uint32_t{kUserStack}, 0x202U,
                                    std::uint32_t{kUserCode32}, 0x6000U})
    push32(value);
  EXPECT_TRUE(interrupt_return(core, 4));
  EXPECT_EQ(core.cpl, 3);
  EXPECT_EQ(core.gpr[kRsp], kUserStack);
  EXPECT_EQ(core.segment[kDs].selector, 0);
}

TEST_F(Segments, FarReturnsToUsersStayWithinTheStackPointersWidth) {
  t.start_protected_mode();
  for (const std::uint32_t value : {std::uint32_t{kUserData}, 0xffff'fff8U}) push32(value);
  core.gpr[kRsp] -= 0x10;  // parameters
  for (const std::uint32_t value : {std::uint32_t{kUserCode32}, 0x6000U}) push32(value);
  EXPECT_TRUE(far_return(core, 4, 0x10));
  EXPECT_EQ(core.gpr[kRsp], 8U);
}

TEST_F(Segments, IretUnblocksNmisEvenIfItFaults) {
  core.nmi_blocked = true;
  core.rflags |= kNt;
  EXPECT_FALSE(interrupt_return(core, 8));
  EXPECT_FALSE(core.nmi_blocked);
}

TEST_F(Segments, AStackThatIsNotCanonicalIsAStackFault) {
  core.gpr[kRsp] = kBadAddress;
  EXPECT_EQ(outcome(interrupt_return(core, 8)), (Outcome{kStackFault, 0}));
  EXPECT_EQ(outcome(far_return(core, 8, 0)), (Outcome{kStackFault, 0}));
  core.gpr[kRsp] = kBadAddress + 0x100;
  EXPECT_EQ(outcome(far_call(core, kCode64, kCode, 8, 0)), (Outcome{kStackFault, 0}));
}

// ---- Delivery in long mode ----------------------------------------------------------------------

using Delivery = Segments;

TEST_F(Delivery, PushesItsFrameOnAnAlignedStack) {
  for (unsigned misaligned = 0; misaligned < 16; ++misaligned) {
    t.start_long_mode();
    core.gpr[kRsp] = kKernelStack - 0x100 + misaligned;
    core.rflags = kIf | kTf | kNt | kRf | 2;
    core.rip = 0x1234;
    EXPECT_TRUE(deliver(core, EventSource::kException, {kGeneralProtection, true, 0xabc, 0}));
    const std::uint64_t frame = kKernelStack - 0x100 - 48;
    EXPECT_EQ(core.gpr[kRsp], frame);
    const std::uint64_t expected[] = {
        0xabc,        0x1234, kCode64, kIf | kTf | kNt | kRf | 2, kKernelStack - 0x100 + misaligned,
        kDataSelector};
    for (unsigned n = 0; n < 6; ++n)
      EXPECT_EQ(t.take<std::uint64_t>(frame + 8 * n), expected[n]) << n;
    EXPECT_EQ(core.rip, TestCpu::handler(kGeneralProtection));
    EXPECT_EQ(core.rflags, 2U);  // IF, TF, NT and RF are cleared
    EXPECT_EQ(core.segment[kSs].selector, kDataSelector);
  }
}

TEST_F(Delivery, FromUsersSwitchesToTheStackOfTheTss) {
  t.start_long_mode(3);
  EXPECT_TRUE(deliver(core, EventSource::kExternal, {0x40, false, 0, 0}));
  EXPECT_EQ(core.cpl, 0);
  EXPECT_EQ(core.gpr[kRsp], kKernelStack - 40);
  EXPECT_EQ(core.segment[kCs].selector, kCode64);
  EXPECT_EQ(core.segment[kSs].selector, 0);  // null, with the new CPL
  EXPECT_EQ(t.take<std::uint64_t>(kKernelStack - 8), kUserData);
  EXPECT_EQ(t.take<std::uint64_t>(kKernelStack - 16), kUserStack);
}

TEST_F(Delivery, ThroughAnInterruptStackTakesThatStackAlways) {
  for (const unsigned cpl : {0U, 3U}) {
    for (std::uint64_t ist = 1; ist < 8; ++ist) {
      t.start_long_mode(cpl);
      t.put(kTss + 36 + 8 * (ist - 1), kIst1 + 0x100 * ist + 8);
      t.set_gate64(kNmi, gate(kCode64, TestCpu::handler(kNmi), 0x8e, ist));
      EXPECT_TRUE(deliver(core, EventSource::kNonMaskable, {kNmi, false, 0, 0}));
      EXPECT_EQ(core.gpr[kRsp], kIst1 + 0x100 * ist - 40) << ist;
      EXPECT_TRUE(core.nmi_blocked);
    }
  }
}

TEST_F(Delivery, ThroughATrapGateLeavesInterruptsOn) {
  for (const std::uint64_t access : {0x8eU, 0x8fU}) {
    t.start_long_mode();
    core.rflags |= kIf;
    t.set_gate64(kInvalidOpcode, gate(kCode64, TestCpu::handler(kInvalidOpcode), access));
    EXPECT_TRUE(deliver(core, EventSource::kException, {kInvalidOpcode, false, 0, 0}));
    EXPECT_EQ((core.rflags & kIf) != 0, access == 0x8f);
  }
}

TEST_F(Delivery, ToConformingCodeStaysWithTheCpl) {
  t.start_long_mode(3);
  t.set_gate64(0x40, gate(kConforming64, TestCpu::handler(0x40), 0x8e));
  EXPECT_TRUE(deliver(core, EventSource::kExternal, {0x40, false, 0, 0}));
  EXPECT_EQ(core.cpl, 3);
  EXPECT_EQ(core.gpr[kRsp], kUserStack - 40);
}

TEST_F(Delivery, PushesRfForFaultsOnly) {
  struct Row {
    EventSource source;
    std::uint8_t vector;
    bool rf;
  };
  constexpr Row kRows[] = {{EventSource::kException, kInvalidOpcode, true},
                           {EventSource::kException, kDivideError, true},
                           {EventSource::kException, kDebug, false},
                           {EventSource::kExternal, 0x40, false},
                           {EventSource::kNonMaskable, kNmi, false}};
  for (const Row& row : kRows) {
    t.start_long_mode();
    EXPECT_TRUE(deliver(core, row.source, {row.vector, false, 0, 0}));
    EXPECT_EQ((t.take<std::uint64_t>(core.gpr[kRsp] + 16) & kRf) != 0, row.rf) << +row.vector;
  }
}

TEST_F(Delivery, RecordsTheAddressOfAPageFault) {
  EXPECT_TRUE(deliver(core, EventSource::kException, {kPageFault, true, 4, 0xffff'8000'1234'5678}));
  EXPECT_EQ(core.cr2, 0xffff'8000'1234'5678U);
}

struct GateCase {
  const char* what;
  std::uint64_t low, high;
  unsigned cpl;
  int vector;  ///< that is delivered instead
  std::uint32_t error;
};

// What goes wrong with a gate comes as an exception of its own: EXT is set, and IDT where the
// selector is the gate's number.
TEST_F(Delivery, RefusesBadGates) {
  constexpr std::uint64_t kTo = kHandlers + 16 * 0x40;
  constexpr std::uint32_t kGate = 0x40 * 8 + 2 + 1;
  constexpr GateCase kCases[] = {
      {"not present", gate(kCode64, kTo, 0x0e), 0, 0, kSegmentNotPresent, kGate},
      {"a call gate", gate(kCode64, kTo, 0x8c), 0, 0, kGeneralProtection, kGate},
      {"a 16-bit gate", gate(kCode64, kTo, 0x86), 0, 0, kGeneralProtection, kGate},
      {"a task gate", gate(kCode64, kTo, 0x85), 0, 0, kGeneralProtection, kGate},
      {"a data descriptor", gate(kCode64, kTo, 0x9e), 0, 0, kGeneralProtection, kGate},
      {"a null selector", gate(0, kTo, 0x8e), 0, 0, kGeneralProtection, 1},
      {"a selector beyond the table", gate(0x100, kTo, 0x8e), 0, 0, kGeneralProtection, 0x101},
      {"data", gate(kDataSelector, kTo, 0x8e), 0, 0, kGeneralProtection, kDataSelector | 1},
      {"32-bit code", gate(kCode32, kTo, 0x8e), 0, 0, kGeneralProtection, kCode32 | 1},
      {"users' code from the kernel", gate(kUserCode64, kTo, 0x8e), 0, 0, kGeneralProtection,
       (kUserCode64 & ~3U) | 1},
      {"not canonical", gate(kCode64, kTo, 0x8e), 0x8000, 0, kGeneralProtection, 1},
      {"no room in the TSS", gate(kCode64, kTo, 0x8e, 7), 0, 0, kInvalidTss, kTssSelector | 1},
  };
  for (const GateCase& c : kCases) {
    t.start_long_mode(c.cpl);
    if (c.vector == kInvalidTss) core.tr.limit = 36 + 8 * 6 + 6;
    t.set_gate64(0x40, c.low, c.high);
    EXPECT_TRUE(deliver(core, EventSource::kExternal, {0x40, false, 0, 0})) << c.what;
    EXPECT_EQ(core.rip, TestCpu::handler(static_cast<unsigned>(c.vector))) << c.what;
    EXPECT_EQ(t.take<std::uint64_t>(core.gpr[kRsp]), c.error) << c.what;
  }
}

TEST_F(Delivery, BeyondTheTablesLimitIsAProtectionFault) {
  core.idtr.limit = 0x40 * 16 + 14;
  EXPECT_TRUE(deliver(core, EventSource::kExternal, {0x40, false, 0, 0}));
  EXPECT_EQ(core.rip, TestCpu::handler(kGeneralProtection));
  EXPECT_EQ(t.take<std::uint64_t>(core.gpr[kRsp]), 0x40U * 8 + 2 + 1);
}

// Breaks a gate so that using it raises `second`.
void break_gate(TestCpu& t, unsigned vector, unsigned second, std::uint64_t ist) {
  const std::uint64_t to = TestCpu::handler(vector);
  switch (second) {
    case kSegmentNotPresent: t.set_gate64(vector, gate(kCode64, to, 0x0e)); break;
    case kGeneralProtection: t.set_gate64(vector, gate(kCode64, to, 0x8c)); break;
    case kPageFault:
      t.put<std::uint64_t>(kTss + 36 + 8 * (ist - 1), 0x70'0000 + 0x100 * vector);
      t.set_gate64(vector, gate(kCode64, to, 0x8e, ist));
      break;
    case kStackFault:
      t.put<std::uint64_t>(kTss + 36 + 8 * (ist - 1), kBadAddress);
      t.set_gate64(vector, gate(kCode64, to, 0x8e, ist));
      break;
    case kInvalidTss:
      t.core().tr.limit = 36 + 8 * 6 + 6;
      t.set_gate64(vector, gate(kCode64, to, 0x8e, 7));
      break;
    default: break;
  }
}

// Intel SDM vol. 3A table 6-5.
TEST_F(Delivery, TwoExceptionsMakeADoubleFaultAsTheTableSays) {
  constexpr std::uint8_t kFirst[] = {
      kDivideError,       kDebug,      kInvalidOpcode,     kDeviceNotAvailable, kInvalidTss,
      kSegmentNotPresent, kStackFault, kGeneralProtection, kPageFault,          kAlignmentCheck,
      kX87Error};
  constexpr std::uint8_t kSecond[] = {kInvalidTss, kSegmentNotPresent, kStackFault,
                                      kGeneralProtection, kPageFault};
  const auto contributory = [](unsigned v) { return v == 0 || (v >= 10 && v <= 13); };
  for (const std::uint8_t first : kFirst) {
    for (const std::uint8_t second : kSecond) {
      if (first == second) continue;  // its own gate would be the broken one
      t.start_long_mode(3);
      break_gate(t, first, second, 1);
      const bool doubled =
          first == kPageFault ? contributory(second) : contributory(first) && contributory(second);
      EXPECT_TRUE(
          deliver(core, EventSource::kException, {first, pushes_error_code(first), 0, 0xdead000}));
      const unsigned expected = doubled ? unsigned{kDoubleFault} : second;
      EXPECT_EQ(core.rip, TestCpu::handler(expected)) << +first << " then " << +second;
      if (doubled) {
        EXPECT_EQ(t.take<std::uint64_t>(core.gpr[kRsp]), 0U);
      }
      if (second == kPageFault) {
        EXPECT_EQ(core.cr2, 0x70'0000U + 0x100 * first - 8);
      }
    }
  }
}

TEST_F(Delivery, APageFaultWithinAPageFaultIsADoubleFault) {
  break_gate(t, kPageFault, kPageFault, 1);
  EXPECT_TRUE(deliver(core, EventSource::kException, {kPageFault, true, 0, 0x1000}));
  EXPECT_EQ(core.rip, TestCpu::handler(kDoubleFault));
  EXPECT_EQ(core.cr2, 0x70'0000U + 0x100 * kPageFault - 8);
}

TEST_F(Delivery, AnInterruptsOwnFaultIsNoDoubleFault) {
  for (const std::uint8_t second : {kPageFault, kGeneralProtection, kStackFault}) {
    t.start_long_mode();
    break_gate(t, 0x40, second, 1);
    EXPECT_TRUE(deliver(core, EventSource::kExternal, {0x40, false, 0, 0}));
    EXPECT_EQ(core.rip, TestCpu::handler(second));
  }
}

TEST_F(Delivery, AFaultWithinADoubleFaultIsATripleFault) {
  for (const std::uint8_t third : {kGeneralProtection, kSegmentNotPresent, kPageFault}) {
    t.start_long_mode();
    break_gate(t, kGeneralProtection, kSegmentNotPresent, 1);
    break_gate(t, kDoubleFault, third, 2);
    EXPECT_FALSE(deliver(core, EventSource::kException, {kGeneralProtection, true, 0, 0}));
  }
}

TEST_F(Delivery, AStackThatIsNotCanonicalIsAStackFaultWithExt) {
  core.gpr[kRsp] = kBadAddress + 0x10;
  t.set_gate64(kStackFault, gate(kCode64, TestCpu::handler(kStackFault), 0x8e, 1));
  EXPECT_TRUE(deliver(core, EventSource::kException, {kInvalidOpcode, false, 0, 0}));
  EXPECT_EQ(core.rip, TestCpu::handler(kStackFault));
  EXPECT_EQ(t.take<std::uint64_t>(core.gpr[kRsp]), 1U);
}

// ---- Software interrupts ------------------------------------------------------------------------

TEST_F(Delivery, IntReturnsBehindItself) {
  struct Row {
    Bytes code;
    unsigned vector;
  };
  const Row rows[] = {{{0xcd, 0x80}, 0x80}, {{0xcc}, 3}, {{0xcd, 0x03}, 3}};
  for (const Row& row : rows) {
    t.start_long_mode(3);
    t.code_pages.written(kCode / 4096);
    t.code(row.code);
    t.run();
    const auto caught = t.caught();
    ASSERT_TRUE(caught);
    EXPECT_EQ(caught->vector, row.vector);
    EXPECT_EQ(caught->rip, kCode + row.code.size());
    EXPECT_FALSE(caught->rflags & kRf);
  }
}

TEST_F(Delivery, IntNeedsTheGatesPermission) {
  t.start_long_mode(3);
  t.code({0xcd, 0x41});
  t.run();
  const auto caught = t.caught();
  ASSERT_TRUE(caught);
  EXPECT_EQ(caught->vector, unsigned{kGeneralProtection});
  EXPECT_EQ(caught->error_code, 0x41U * 8 + 2);  // IDT, and EXT is clear
  EXPECT_EQ(caught->rip, kCode);
}

TEST_F(Delivery, Int1NeedsNoPermission) {
  for (const unsigned cpl : {0U, 3U}) {
    t.start_long_mode(cpl);
    t.code_pages.written(kCode / 4096);
    t.code({0xf1});
    t.run();
    const auto caught = t.caught();
    ASSERT_TRUE(caught);
    EXPECT_EQ(caught->vector, unsigned{kDebug});
    EXPECT_EQ(caught->rip, kCode + 1);
    EXPECT_EQ(core.dr6, 0xffff0ff0U);
  }
}

TEST_F(Delivery, IntOfAVectorWithErrorCodePushesNone) {
  t.set_gate64(kGeneralProtection, gate(kCode64, TestCpu::handler(kGeneralProtection), 0xee));
  t.start_long_mode();
  t.code({0xcd, 0x0d});
  t.run();
  EXPECT_EQ(core.gpr[kRsp], kKernelStack - 40);
}

// ---- Delivery in protected and real mode --------------------------------------------------------

TEST_F(Delivery, InProtectedModeStaysOnItsStackAtTheSamePrivilege) {
  t.start_protected_mode();
  core.rflags |= kIf;
  EXPECT_TRUE(deliver(core, EventSource::kException, {kGeneralProtection, true, 0x10, 0}));
  EXPECT_EQ(core.gpr[kRsp], kKernelStack - 16);
  EXPECT_EQ(t.take<std::uint32_t>(kKernelStack - 16), 0x10U);
  EXPECT_EQ(t.take<std::uint32_t>(kKernelStack - 12), kCode);
  EXPECT_EQ(t.take<std::uint32_t>(kKernelStack - 8), kCode32);
  EXPECT_EQ(t.take<std::uint32_t>(kKernelStack - 4), kIf | kRf | 2);
}

TEST_F(Delivery, InProtectedModeSwitchesStacksFromUsers) {
  t.start_protected_mode(3);
  EXPECT_TRUE(deliver(core, EventSource::kExternal, {0x40, false, 0, 0}));
  EXPECT_EQ(core.cpl, 0);
  EXPECT_EQ(core.segment[kSs].selector, kDataSelector);
  EXPECT_EQ(core.gpr[kRsp], kKernelStack - 20);
  EXPECT_EQ(t.take<std::uint32_t>(kKernelStack - 4), kUserData);
  EXPECT_EQ(t.take<std::uint32_t>(kKernelStack - 8), kUserStack);
}

TEST_F(Delivery, A16BitGatePushesWords) {
  t.start_protected_mode();
  t.put(kIdt + 8 * 0x40, gate(kCode32, 0x9999'1234, 0x86));
  EXPECT_TRUE(deliver(core, EventSource::kExternal, {0x40, false, 0, 0}));
  EXPECT_EQ(core.gpr[kRsp], kKernelStack - 6);
  EXPECT_EQ(core.rip, 0x1234U);
}

struct TssCase {
  const char* what;
  std::uint16_t ss;
  std::uint64_t ss_descriptor;
  std::uint32_t tss_limit;
  int vector;
  std::uint32_t error;
};

// Intel SDM vol. 2A, INT n: INTER-PRIVILEGE-LEVEL-INTERRUPT.
TEST_F(Delivery, InProtectedModeChecksTheStackOfTheTss) {
  constexpr TssCase kCases[] = {
      {"a null stack", 0, 0, 0x67, kInvalidTss, 1},
      {"beyond the table", 0x100, 0, 0x67, kInvalidTss, 0x101},
      {"users' stack", kFree, descriptor(0xf3, 0xc), 0x67, kInvalidTss, kFree | 1},
      {"RPL not the new CPL", kFree | 3, descriptor(0x93, 0xc), 0x67, kInvalidTss, kFree | 1},
      {"code", kFree, descriptor(0x9b, 0xc), 0x67, kInvalidTss, kFree | 1},
      {"read-only", kFree, descriptor(0x91, 0xc), 0x67, kInvalidTss, kFree | 1},
      {"not present", kFree, descriptor(0x13, 0xc), 0x67, kStackFault, kFree | 1},
      {"no room in the TSS", kFree, descriptor(0x93, 0xc), 8, kInvalidTss, kTssSelector | 1},
  };
  for (const TssCase& c : kCases) {
    t.start_protected_mode(3);
    t.set_descriptor(kFree, c.ss_descriptor);
    t.put<std::uint32_t>(kTss + 8, c.ss);
    core.tr.limit = c.tss_limit;
    // The exception has to go elsewhere: to a conforming handler, on the users' own stack.
    t.set_descriptor(kFreeStack, descriptor(0x9f, 0xc));
    for (const unsigned vector : {kInvalidTss, kStackFault})
      t.put(kIdt + 8 * vector, gate(kFreeStack, TestCpu::handler(vector), 0x8e));
    EXPECT_TRUE(deliver(core, EventSource::kExternal, {0x40, false, 0, 0})) << c.what;
    EXPECT_EQ(core.rip, TestCpu::handler(static_cast<unsigned>(c.vector))) << c.what;
    EXPECT_EQ(t.take<std::uint32_t>(core.gpr[kRsp]), c.error) << c.what;
  }
}

TEST_F(Delivery, InRealModePushesThreeWordsAndReturns) {
  t.start_real_mode();
  t.put<std::uint16_t>(4 * 0x21, 0x9000);
  t.put<std::uint16_t>(4 * 0x21 + 2, 0x0100);
  t.put_bytes(0x1000 + 0x9000, Bytes{0xcf});     // iret
  t.put_bytes(0x7c00, Bytes{0xcd, 0x21, 0xf4});  // int 0x21; hlt
  core.rflags |= kIf;
  set_arithmetic_flags(core, kCf);
  t.run(1);
  EXPECT_EQ(core.rip, 0x9000U);
  EXPECT_EQ(core.segment[kCs].base, 0x1000U);
  EXPECT_EQ(core.gpr[kRsp], 0xf000U - 6);
  EXPECT_EQ(t.take<std::uint16_t>(0xf000 - 6), 0x7c02);
  EXPECT_EQ(t.take<std::uint16_t>(0xf000 - 4), 0);
  EXPECT_EQ(t.take<std::uint16_t>(0xf000 - 2), kIf | kCf | 2);
  EXPECT_FALSE(core.rflags & kIf);
  EXPECT_EQ(t.run(), Cpu::Exit::kHalted);
  EXPECT_EQ(core.rip, 0x7c03U);
  EXPECT_TRUE(core.rflags & kIf);
}

}  // namespace
}  // namespace vpmu::machine::x86
