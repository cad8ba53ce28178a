// SPDX-License-Identifier: MIT
#include "machine/pc/vcpu.hpp"

#include <gtest/gtest.h>

#include "unit/machine/machine_fixture.hpp"

namespace vpmu::test {
namespace {

using machine::Outcome;
using Reason = machine::Outcome::Reason;
using virt::ExitReason;

const Code kVmcall = {0x0f, 0x01, 0xc1}, kVmmcall = {0x0f, 0x01, 0xd9};
const Code kUpperHalfOfRax = {0x48, 0xc1, 0xe8, 0x20};  ///< to EAX: SHR RAX, 32

class VcpuTest : public MachineTest {
 protected:
  std::uint64_t exits(ExitReason reason) { return machine->vcpus()[0]->exits().count(reason); }
};

TEST_F(VcpuTest, EveryInterceptedAccessIsCountedOnce) {
  const Code code = rdmsr(0x277) + wrmsr(0x277, 0x0007040600070406) + mov_eax(0) +
                    Code{0x0f, 0xa2} +                 // CPUID
                    mov_ecx(0) + Code{0x0f, 0x33} +    // RDPMC
                    Code{0x0f, 0x01, 0xc1} +           // VMCALL
                    Code{0xe4, 0x61} + debug_exit(0);  // IN AL, 0x61
  const Outcome outcome = run(code);
  ASSERT_EQ(outcome.reason, Reason::kDebugExit);
  EXPECT_EQ(exits(ExitReason::kMsrRead), 1u);
  EXPECT_EQ(exits(ExitReason::kMsrWrite), 1u);
  EXPECT_EQ(exits(ExitReason::kCpuid), 1u);
  EXPECT_EQ(exits(ExitReason::kRdpmc), 1u);
  EXPECT_EQ(exits(ExitReason::kHypercall), 1u);
  EXPECT_EQ(exits(ExitReason::kPortIo), 2u);
}

TEST_F(VcpuTest, ControlAndDebugRegistersThatAHypervisorWouldInterceptAreCounted) {
  const Code code = Code{0x0f, 0x20, 0xc0} + Code{0x0f, 0x22, 0xc0} +  // MOV RAX, CR0 and back
                    Code{0x0f, 0x20, 0xe0} + Code{0x0f, 0x22, 0xe0} +  // CR4
                    Code{0x0f, 0x20, 0xd8} + Code{0x0f, 0x22, 0xd8} +  // CR3: no exit
                    Code{0x0f, 0x06} +                                 // CLTS
                    Code{0x0f, 0x01, 0xe0} + Code{0x0f, 0x01, 0xf0} +  // SMSW EAX, LMSW AX
                    Code{0x0f, 0x21, 0xc0} + Code{0x0f, 0x23, 0xc0} +  // MOV RAX, DR0 and back
                    debug_exit(0);
  ASSERT_EQ(run(code).reason, Reason::kDebugExit);
  EXPECT_EQ(exits(ExitReason::kCrAccess), 4u);
  EXPECT_EQ(exits(ExitReason::kDrAccess), 2u);
}

TEST_F(VcpuTest, UnknownHypercallGivesMinus1000) {
  const Outcome outcome = run(kVmcall + exit_with_eax());
  EXPECT_EQ(outcome.value, static_cast<std::uint32_t>(-1000));
}

TEST_F(VcpuTest, ResultOfAHypercallHas64BitsIn64BitMode) {
  EXPECT_EQ(run(kVmcall + kUpperHalfOfRax + exit_with_eax()).value, 0xffffffffU);
}

TEST_F(VcpuTest, ResultOfAHypercallHas32BitsIn32BitCodeOfLongMode) {
  // RETF to 32-bit code, the call, RETF back to where the upper half of RAX can be seen.
  const std::uint64_t gdt = kEntry + 0x200;
  const std::uint64_t low = kEntry + 0x100;
  const std::uint64_t back = kEntry + 0x180;
  Code code = Code{0x0f, 0x01, 0x14, 0x25} + little_endian(kEntry + 0x1f0, 4) +   // LGDT
              Code{0xbc} + little_endian(kEntry + 0x1000, 4) +                    // MOV ESP
              Code{0x6a, 0x10, 0x68} + little_endian(low, 4) + Code{0x48, 0xcb};  // PUSHes, RETFQ
  code.resize(0x100);
  code = code + kVmcall + Code{0x6a, 0x08, 0x68} + little_endian(back, 4) + Code{0xcb};
  code.resize(0x180);
  code = code + kUpperHalfOfRax + exit_with_eax();
  code.resize(0x1f0);
  code = code + little_endian(0x17, 2) + little_endian(gdt, 8);
  code.resize(0x200);
  code = code + little_endian(0, 8) + little_endian(0x00af9b000000ffff, 8) +
         little_endian(0x00cf9b000000ffff, 8);
  code.resize(0x1000);
  const Outcome outcome = run(code);
  ASSERT_EQ(outcome.reason, Reason::kDebugExit);
  EXPECT_EQ(outcome.value, 0u);
  EXPECT_EQ(exits(ExitReason::kHypercall), 1u);
}

TEST_F(VcpuTest, HypercallOfUserCodeGivesMinus1) {
  // 32-bit code without paging goes to CPL 3 with IOPL 3 by IRET.
  protocol = machine::boot::Protocol::kPvh;
  const std::uint64_t user = kEntry + 0x100;
  const std::uint64_t gdt = kEntry + 0x200;
  Code code = Code{0x0f, 0x01, 0x15} + little_endian(kEntry + 0x1f0, 4) +         // LGDT
              Code{0xbc} + little_endian(kEntry + 0x1000, 4) +                    // MOV ESP
              Code{0x6a, 0x13} + Code{0x68} + little_endian(kEntry + 0xf00, 4) +  // SS, ESP
              Code{0x68} + little_endian(0x3002, 4) + Code{0x6a, 0x0b} +          // EFLAGS, CS
              Code{0x68} + little_endian(user, 4) + Code{0xcf};                   // EIP, IRET
  code.resize(0x100);
  code = code + kVmcall + exit_with_eax();
  code.resize(0x1f0);
  code = code + little_endian(0x17, 2) + little_endian(gdt, 8);
  code.resize(0x200);
  code = code + little_endian(0, 8) + little_endian(0x00cffb000000ffff, 8) +
         little_endian(0x00cff3000000ffff, 8);
  code.resize(0x1000);
  const Outcome outcome = run(code);
  ASSERT_EQ(outcome.reason, Reason::kDebugExit);
  EXPECT_EQ(outcome.value, static_cast<std::uint32_t>(-1));
  EXPECT_EQ(exits(ExitReason::kHypercall), 1u);
}

TEST_F(VcpuTest, PvPerfAnswersItsNumberAndNobodyAnswersOthers) {
  config.pv_perf = virt::x86::offer_pv_perf(*config.model, {}).value();
  const Code no_such_operation = Code{0xbb} + little_endian(9, 4);  // MOV EBX
  EXPECT_EQ(run(no_such_operation + mov_eax(0x5650) + kVmcall + exit_with_eax()).value,
            static_cast<std::uint32_t>(-95));
  EXPECT_EQ(run(no_such_operation + mov_eax(0x5651) + kVmcall + exit_with_eax()).value,
            static_cast<std::uint32_t>(-1000));
}

TEST_F(VcpuTest, HypercallOpensAnEventThatCountsToTheInstruction) {
  config.pv_perf = virt::x86::offer_pv_perf(*config.model, {}).value();
  constexpr std::uint64_t kParam = kEntry + 0x200, kAttr = kEntry + 0x240, kRecord = kEntry + 0x300;
  const auto call = [](std::uint32_t operation, std::uint64_t first) {
    return mov_eax(0x5650) + Code{0xbb} + little_endian(operation, 4) +
           mov_ecx(static_cast<std::uint32_t>(first)) + mov_edx(0) + kVmcall;
  };
  // The VMCALL that enables is counted, three NOPs, and the four MOVs of the one that disables,
  // which itself is not.
  Code code = call(1, kParam) + call(3, 5) + Code{0x90, 0x90, 0x90} + call(4, 5) +
              Code{0x8b, 0x04, 0x25} + little_endian(kRecord, 4) + exit_with_eax();
  code.resize(0x200);
  code = code + little_endian(kAttr, 8) + little_endian(kRecord, 8) + little_endian(5, 8) +
         little_endian(0, 8);
  code.resize(0x240);
  code = code + little_endian(0, 8) + little_endian(1, 8);  // generic, instructions
  code.resize(0x1000);
  const Outcome outcome = run(code);
  ASSERT_EQ(outcome.reason, Reason::kDebugExit);
  EXPECT_EQ(outcome.value, 1u + 3u + 4u);
  EXPECT_EQ(exits(ExitReason::kHypercall), 3u);
}

TEST_F(VcpuTest, HypercallInstructionOfTheOtherVendorIsInvalid) {
  EXPECT_EQ(run(kVmmcall + debug_exit(0)).reason, Reason::kCrash);
  EXPECT_EQ(exits(ExitReason::kHypercall), 0u);

  config.model = silicon::x86::find_cpu_model("zen4");
  EXPECT_EQ(run(kVmcall + debug_exit(0)).reason, Reason::kCrash);
  EXPECT_EQ(run(kVmmcall + exit_with_eax()).value, static_cast<std::uint32_t>(-1000));
  EXPECT_EQ(exits(ExitReason::kHypercall), 1u);
}

TEST_F(VcpuTest, LocalApicPageIsAnApicAccessAndOtherDevicesAreMmio) {
  // MOV EAX, [moffs64] of the APIC's version register and of the I/O APIC's select register.
  const Code code = Code{0xa1} + little_endian(0xfee00030, 8) + Code{0xa1} +
                    little_endian(0xfec00000, 8) + debug_exit(0);
  ASSERT_EQ(run(code).reason, Reason::kDebugExit);
  EXPECT_EQ(exits(ExitReason::kApicAccess), 1u);
  EXPECT_EQ(exits(ExitReason::kMmio), 1u);
}

TEST_F(VcpuTest, MovedApicPageFollowsItsBase) {
  // At 0xfeb00000 from now on; then the version register there.
  const Code code = wrmsr(0x1b, 0xfeb00900) + Code{0xa1} + little_endian(0xfeb00030, 8) +
                    Code{0x0f, 0xb6, 0xc0} + exit_with_eax();
  const Outcome outcome = run(code);
  ASSERT_EQ(outcome.reason, Reason::kDebugExit);
  EXPECT_EQ(outcome.value, 0x15u);
}

TEST_F(VcpuTest, UnknownMsrFaults) {
  EXPECT_EQ(run(rdmsr(0x12345)).reason, Reason::kCrash);
}

TEST_F(VcpuTest, PmuOffLeavesNoPmu) {
  config.pmu = virt::x86::no_pmu(config.model->vendor);
  const Outcome outcome = run(mov_eax(0xa) + Code{0x0f, 0xa2} + exit_with_eax());
  EXPECT_EQ(outcome.value, 0u);
  EXPECT_EQ(run(rdmsr(0x38f)).reason, Reason::kCrash);
}

TEST_F(VcpuTest, CounterCountsTheWriteThatStartsItAndNotTheOneThatStopsIt) {
  // Fixed counter 0 in the kernel: WRMSR that starts, three NOPs, the four of the stopping WRMSR
  // but the last.
  const Code code = wrmsr(0x38d, 1) + wrmsr(0x38f, std::uint64_t{1} << 32) +
                    Code{0x90, 0x90, 0x90} + wrmsr(0x38f, 0) + rdmsr(0x309) + exit_with_eax();
  const Outcome outcome = run(code);
  ASSERT_EQ(outcome.reason, Reason::kDebugExit);
  EXPECT_EQ(outcome.value, 1u + 3u + 3u);
}

TEST_F(VcpuTest, OverflowInterruptsAtExactlyTheRightInstruction) {
  // NMI through LVTPC after 100 instructions of `inc ebx`; its handler exits with EBX.
  const std::uint64_t idt = kEntry + 0x1000;
  const std::uint64_t handler = kEntry + 0x800;
  Code code = Code{0x0f, 0x01, 0x1c, 0x25} + little_endian(kEntry + 0x700, 4);  // LIDT
  code = code + wrmsr(0x1b, 0xfee00d00) + wrmsr(0x80f, 0x1ff) + wrmsr(0x834, 0x400);
  code = code + wrmsr(0x309, (std::uint64_t{1} << 48) - 100) + wrmsr(0x38d, 9) + Code{0x31, 0xdb} +
         wrmsr(0x38f, std::uint64_t{1} << 32);
  // The WRMSR that starts the counter is the first instruction it counts: 99 remain.
  for (int i = 0; i < 200; ++i) code = code + Code{0xff, 0xc3};
  code.resize(0x700);
  code = code + little_endian(0xfff, 2) + little_endian(idt, 8);
  code.resize(0x800);
  code = code + Code{0x89, 0xd8} + exit_with_eax();
  code.resize(0x1000 + 32);
  code = code +
         little_endian((handler & 0xffff) | 0x18 << 16 | std::uint64_t{0x8e00} << 32 |
                           (handler >> 16 & 0xffff) << 48,
                       8) +
         little_endian(0, 8);
  const Outcome outcome = run(code);
  ASSERT_EQ(outcome.reason, Reason::kDebugExit);
  EXPECT_EQ(outcome.value, 99u);
  EXPECT_EQ(machine->vcpus()[0]->pmu().statistics().pmis_delivered, 1u);
}

}  // namespace
}  // namespace vpmu::test
