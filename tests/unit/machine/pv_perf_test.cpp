// SPDX-License-Identifier: MIT
//
// PV perf as guests of the machine have it: what the vCPU passes on, when, and what it sees of the
// guest's memory, time and interrupts.
#include "vpmu/virt/x86/pv_perf.hpp"

#include "machine_fixture.hpp"
#include "unit/virt/pv_events.hpp"

namespace vpmu::machine {
namespace {

using test::Code;
using test::operator+;
using virt::x86::CounterStatus;
using virt::x86::interrupting;
using virt::x86::pv_event;
namespace pv = virt::x86::pv;

constexpr std::uint32_t kBase = pv::kDefaultMsrBase;
constexpr std::uint32_t kGlobalCtrl = kBase + static_cast<std::uint32_t>(pv::Msr::kGlobalCtrl);

constexpr std::uint32_t bank(unsigned event, pv::BankMsr msr) {
  return kBase + static_cast<std::uint32_t>(pv::Msr::kFirstBank) + pv::kBankMsrs * event +
         static_cast<std::uint32_t>(msr);
}

std::uint64_t instructions() {
  return pv_event(pv::Generic::kInstructions).raw;
}

Code cpuid(std::uint32_t leaf) {
  return test::mov_eax(leaf) + Code{0x0f, 0xa2};
}

class MachinePvPerfTest : public test::MachineTest {
 protected:
  void SetUp() override {
    config.model = silicon::x86::find_cpu_model("icelake-server");
    offer({});
  }
  void offer(const virt::x86::PvPerfRequest& request) {
    const auto offered = virt::x86::offer_pv_perf(config.host(), request);
    ASSERT_TRUE(offered.has_value()) << offered.error().message;
    config.pv_perf = *offered;
  }
  [[nodiscard]] const virt::x86::PvPerf& unit(unsigned vcpu = 0) const {
    return machine->vcpus()[vcpu]->pv_perf()->unit();
  }
};

TEST_F(MachinePvPerfTest, CpuidSaysThatThereIsAHypervisorAndWhichInterfaceItHas) {
  // ECX of leaf 1 into EAX: bit 31.
  const Code guest = cpuid(1) + Code{0x89, 0xc8, 0xc1, 0xe8, 0x1f} + test::exit_with_eax();
  EXPECT_EQ(run(guest).value, 1u);
  const Code signature = cpuid(0x40000000) + Code{0x89, 0xd8} + test::exit_with_eax();
  EXPECT_EQ(run(signature).value, pv::kSignature);
  config.pv_perf.reset();
  EXPECT_NE(run(signature).value, pv::kSignature);
}

TEST_F(MachinePvPerfTest, WithoutItItsRegistersDoNotExist) {
  config.pv_perf.reset();
  // Nobody takes the #GP.
  EXPECT_EQ(run(test::rdmsr(kBase)).reason, Outcome::Reason::kCrash);
  EXPECT_EQ(machine->vcpus()[0]->pv_perf(), nullptr);
}

TEST_F(MachinePvPerfTest, TheWriteThatStartsIsCountedAndTheOneThatStopsIsNot) {
  const Code guest = test::wrmsr(bank(0, pv::BankMsr::kEvtsel), instructions()) +
                     test::wrmsr(kGlobalCtrl, 1) + Code{0x90, 0x90} + test::wrmsr(kGlobalCtrl, 0) +
                     test::rdmsr(bank(0, pv::BankMsr::kCount)) + test::exit_with_eax();
  // WRMSR, two NOPs, and the three MOVs before the last WRMSR.
  EXPECT_EQ(run(guest).value, 6u);
  EXPECT_EQ(unit().value(0), 6u);
}

/// x2APIC mode, software-enabled, with LVTPC so.
Code start_apic(std::uint32_t lvtpc) {
  return test::wrmsr(0x1b, 0xfee00d00) + test::wrmsr(0x80f, 0x1ff) + test::wrmsr(0x834, lvtpc);
}
/// Counts instructions, the next overflow after `n` of them, with an interrupt, and spins.
Code overflow_after(std::uint64_t n) {
  const std::uint64_t mask = (std::uint64_t{1} << 48) - 1;
  return test::wrmsr(bank(0, pv::BankMsr::kCount), (0 - n) & mask) +
         test::wrmsr(bank(0, pv::BankMsr::kEvtsel),
                     interrupting(pv_event(pv::Generic::kInstructions)).raw) +
         test::wrmsr(kGlobalCtrl, 1) + test::forever();
}

TEST_F(MachinePvPerfTest, LvtpcTakesFixedInterruptsAndNmisOnly) {
  constexpr std::uint32_t kSmi = 0x200, kInit = 0x500, kExtInt = 0x700;
  for (const std::uint32_t mode : {kSmi, kInit, kExtInt}) {
    EXPECT_EQ(run(start_apic(mode) + overflow_after(100), {.instructions = 1000}).reason,
              Outcome::Reason::kInstructions);
    EXPECT_EQ(unit().statistics().pmis_rejected, 1u) << mode;
    EXPECT_EQ(unit().error().get(pv::ErrorRegister::kCode),
              static_cast<std::uint64_t>(pv::Code::kLvt));
  }
  constexpr std::uint32_t kMasked = 0x10000;
  run(start_apic(kMasked) + overflow_after(100), {.instructions = 1000});
  EXPECT_EQ(unit().statistics().pmis_masked, 1u);
  EXPECT_EQ(unit().error().raw, 0u);
  // Interrupts are off: it waits in the APIC.
  run(start_apic(0x60) + overflow_after(100), {.instructions = 1000});
  EXPECT_EQ(unit().statistics().pmis_delivered, 1u);
  EXPECT_TRUE(machine->vcpus()[0]->apic().interrupt_waiting());
}

TEST_F(MachinePvPerfTest, PageIsWrittenWhenItIsDueThoughTheGuestNeverExits) {
  constexpr std::uint64_t kPage = 0x200000;
  offer({.publish_us = 10});
  const Code guest = test::wrmsr(kBase + static_cast<std::uint32_t>(pv::Msr::kArea), kPage | 1) +
                     test::wrmsr(bank(0, pv::BankMsr::kEvtsel), instructions()) +
                     test::wrmsr(kGlobalCtrl, 1) + test::forever();
  run(guest, {.instructions = 1'000'000});
  const auto* page = static_cast<const pv::Page*>(
      static_cast<const void*>(machine->board().memory.host(kPage, sizeof(pv::Page))));
  const std::uint64_t count = page->events[0].count;
  const std::uint64_t now = machine->board().clock.from_cycles(machine->now(), 1'000'000'000);
  EXPECT_GE(page->header.pub_ns + 10'000, now) << "not older than the publish period";
  EXPECT_LE(count, unit().value(0));
  EXPECT_GT(count, unit().value(0) / 2);
  EXPECT_NEAR(static_cast<double>(unit().statistics().publications),
              static_cast<double>(now) / 10'000, 3);
}

TEST_F(MachinePvPerfTest, PageThatWasCodeIsRunAsTheHostHasWrittenIt) {
  constexpr std::uint32_t kRecord = 0x200100;  // of event 0, where its count is
  // MOV EAX, imm32; MOV [kRecord], EAX; MOV EDX, kRecord; CALL RDX.
  const auto write = [](std::uint32_t code) {
    return test::mov_eax(code) + Code{0x89, 0x04, 0x25} + test::little_endian(kRecord, 4);
  };
  const Code call = test::mov_edx(kRecord) + Code{0xff, 0xd2};
  // MOV AL, n; RET: what the guest writes, and what the host writes as the event's count.
  const Code guest = write(0xc305b0) + call + test::wrmsr(bank(0, pv::BankMsr::kCount), 0xc307b0) +
                     test::wrmsr(kBase + static_cast<std::uint32_t>(pv::Msr::kArea), 0x200001) +
                     call + Code{0x0f, 0xb6, 0xc0} + test::exit_with_eax();
  EXPECT_EQ(run(guest).value, 7u);
}

TEST_F(MachinePvPerfTest, ItsHypercallsAreAnswered) {
  // MOV RBX, CLOSE; MOV ECX, 0; VMCALL: event 0 is not open. The low half of RAX.
  const Code call = Code{0x48, 0xc7, 0xc3} + test::little_endian(2, 4) + test::mov_ecx(0) +
                    test::mov_eax(pv::kHypercall) + Code{0x0f, 0x01, 0xc1} + test::exit_with_eax();
  EXPECT_EQ(static_cast<std::int32_t>(run(call).value), -22);
  offer({.hypercalls = false});
  EXPECT_EQ(static_cast<std::int32_t>(run(call).value), -1000);
  config.pv_perf.reset();
  EXPECT_EQ(static_cast<std::int32_t>(run(call).value), -1000);
}

TEST_F(MachinePvPerfTest, ExitsAreCountedBeforeTheyAreHandled) {
  const std::uint64_t exits = pv_event(pv::Software::kExits).raw;
  const Code guest = test::wrmsr(bank(0, pv::BankMsr::kEvtsel), exits) +
                     test::wrmsr(kGlobalCtrl, 1) + cpuid(0) + cpuid(0) +
                     test::rdmsr(bank(0, pv::BankMsr::kCount)) + test::exit_with_eax();
  // The CPUIDs, and the RDMSR itself.
  EXPECT_EQ(run(guest).value, 3u);
}

TEST_F(MachinePvPerfTest, TimeWithoutAHostCpuIsStolenAndNoOther) {
  config.vcpus = 2;
  config.host_cpus = 1;
  offer({});
  auto created = Machine::create(config, console);
  ASSERT_TRUE(created.has_value()) << created.error().message;
  machine = std::move(*created);
  const std::uint64_t stolen = pv_event(pv::Software::kStolenNs).raw;
  constexpr std::uint64_t kOther = std::uint64_t{1} << 32;
  const Code guest = start_apic(0x10000) + test::wrmsr(bank(0, pv::BankMsr::kEvtsel), stolen) +
                     test::wrmsr(kGlobalCtrl, 1) + test::wrmsr(0x830, kOther | 0x4500) +
                     test::wrmsr(0x830, kOther | 0x4608) + test::forever();
  const Code other = test::forever();
  boot::Image image;  // refers to both
  image.protocol = protocol;
  image.entry = kEntry;
  image.segments.push_back({0x8000, other.size(), other});
  image.segments.push_back({kEntry, guest.size(), guest});
  ASSERT_TRUE(machine->load(image, {.image = "test", .arguments = "", .modules = {}}).has_value());
  // In the middle of a turn of the first one's.
  ASSERT_EQ(machine->run({.pause_at = 205'000}).reason, Outcome::Reason::kPaused);
  const std::uint64_t begin = machine->vcpus()[0]->pv_perf()->log().of(0).since;
  const auto ns = [this](std::uint64_t cycles) {
    return machine->board().clock.from_cycles(cycles, 1'000'000'000);
  };
  const std::uint64_t passed = ns(machine->now()) - ns(begin);
  const std::uint64_t ran = unit(0).times(0).enabled_ns;
  EXPECT_GT(unit(0).value(0), passed / 3);
  // Turns are rounded to nanoseconds.
  EXPECT_NEAR(static_cast<double>(ran + unit(0).value(0)), static_cast<double>(passed), 50);
  EXPECT_EQ(unit(1).value(0), 0u);
}

TEST_F(MachinePvPerfTest, AHostOfAnotherModelWantsAGuestWithoutAPmu) {
  config.host_model = silicon::x86::find_cpu_model("zen4");
  const auto refused = Machine::create(config, console);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("--pmu off"), std::string::npos);
  config.pmu = virt::x86::no_pmu(config.model->vendor);
  offer({});
  const auto created = Machine::create(config, console);
  EXPECT_TRUE(created.has_value()) << created.error().message;
}

TEST_F(MachinePvPerfTest, WhatTheHostCannotOfferIsRefused) {
  config.pv_perf->generic_events = (1u << pv::kGenericEvents) - 1;
  EXPECT_FALSE(Machine::create(config, console).has_value()) << "no model has all of them";
  config.pv_perf->generic_events = 0;
  config.pv_perf->events = 33;
  EXPECT_FALSE(Machine::create(config, console).has_value());
}

}  // namespace
}  // namespace vpmu::machine
