// SPDX-License-Identifier: MIT
//
// PV perf as guests of the machine have it: what the vCPU passes on, when, and what it sees of the
// guest's memory, time and interrupts.
#include "vpmu/virt/x86/pv_perf.hpp"

#include "machine_fixture.hpp"

namespace vpmu::machine {
namespace {

using test::Code;
using test::operator+;
using virt::x86::CounterStatus;
namespace pv = virt::x86::pv;

constexpr std::uint32_t kBase = pv::kDefaultMsrBase;
constexpr std::uint32_t kGlobalCtrl = kBase + static_cast<std::uint32_t>(pv::Msr::kGlobalCtrl);

constexpr std::uint32_t bank(unsigned event, pv::BankMsr msr) {
  return kBase + static_cast<std::uint32_t>(pv::Msr::kFirstBank) + pv::kBankMsrs * event +
         static_cast<std::uint32_t>(msr);
}

std::uint64_t evtsel(pv::Type type, std::uint32_t code, bool interrupts = false) {
  pv::Evtsel evtsel;
  evtsel.set(pv::Evtsel::kType, static_cast<std::uint64_t>(type));
  evtsel.set(pv::Evtsel::kCode, code);
  evtsel.set(pv::Evtsel::kUsr, 1);
  evtsel.set(pv::Evtsel::kOs, 1);
  evtsel.set(pv::Evtsel::kEn, 1);
  evtsel.set(pv::Evtsel::kInt, interrupts ? 1 : 0);
  return evtsel.raw;
}
std::uint64_t instructions() {
  return evtsel(pv::Type::kGeneric, static_cast<std::uint32_t>(pv::Generic::kInstructions));
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

}  // namespace
}  // namespace vpmu::machine
