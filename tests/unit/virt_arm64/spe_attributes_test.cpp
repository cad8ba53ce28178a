// SPDX-License-Identifier: MIT
//
// What a VMM sets of the virtual SPE: every error of the kernel's interface, and in which order.
#include <cstring>
#include <string>

#include "unit/virt_arm64/spe_fixture.hpp"

namespace vpmu::virt::arm64 {
namespace {

using Controller = SpeVm::InterruptController;

/// 0: no error.
template <class T>
int errno_of(const ErrnoResult<T>& result) {
  if (!result) {
    EXPECT_FALSE(result.error().message.empty());
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
  }
  return result ? 0 : result.error().number;
}

class SpeAttributes : public SpeFixture {
 protected:
  void make_with_feature(const SpeVmConfig& config = spe_everywhere()) {
    make(config);
    ASSERT_TRUE(spe().init_vcpu({.spe = true}));
  }
  int set(SpeAttribute which, std::int32_t to) { return errno_of(spe().set_attribute(which, &to)); }
  int set_null(SpeAttribute which) { return errno_of(spe().set_attribute(which, nullptr)); }
  int get(SpeAttribute which) {
    value = -1;
    return errno_of(spe().get_attribute(which, &value));
  }
  int get_null(SpeAttribute which) { return errno_of(spe().get_attribute(which, nullptr)); }

  static constexpr SpeAttribute kAll[] = {SpeAttribute::kIrq, SpeAttribute::kInit,
                                          SpeAttribute::kStop};
  std::int32_t value = -1;
};

// ---- The feature --------------------------------------------------------------------------------

TEST_F(SpeAttributes, FeatureNeedsAHostThatHasSpe) {
  make({.cpus = CpuSet{4}});
  EXPECT_FALSE(vm->usable());
  EXPECT_EQ(errno_of(spe().init_vcpu({.spe = true})), EINVAL);
  EXPECT_EQ(errno_of(spe().init_vcpu({})), 0);
  make({.model = kSpeModelV1p1, .cpus = CpuSet{4}});
  EXPECT_FALSE(vm->usable()) << "a model of which no CPU is";
  EXPECT_EQ(errno_of(spe().init_vcpu({.spe = true})), EINVAL);
}

TEST_F(SpeAttributes, FeatureNeedsAArch64AtEl1) {
  EXPECT_EQ(errno_of(spe().init_vcpu({.spe = true, .aarch32_el1 = true})), EINVAL);
  EXPECT_FALSE(spe().has_feature());
  EXPECT_EQ(errno_of(spe().init_vcpu({.spe = false, .aarch32_el1 = true})), 0);
  EXPECT_EQ(errno_of(spe().init_vcpu({.spe = true})), 0);
  EXPECT_TRUE(spe().has_feature());
}

TEST_F(SpeAttributes, FeatureIsForTheVcpusWholeLife) {
  make_ready();
  EXPECT_EQ(errno_of(spe().init_vcpu({.spe = false})), EINVAL);
  EXPECT_TRUE(spe().has_feature());
  write(reg::PMSCR_EL1, 3);
  EXPECT_EQ(errno_of(spe().init_vcpu({.spe = true})), 0);
  EXPECT_EQ(read(reg::PMSCR_EL1), 0u) << "it resets";
  EXPECT_EQ(get(SpeAttribute::kIrq), 0) << "what the VMM has set stays";
}

// ---- All attributes -----------------------------------------------------------------------------

TEST_F(SpeAttributes, AreNotThereWithoutTheFeature) {
  for (const SpeAttribute each : kAll) {
    EXPECT_EQ(errno_of(spe().has_attribute(each)), ENXIO);
    EXPECT_EQ(set(each, 1), ENXIO);
    EXPECT_EQ(set_null(each), ENXIO);
    EXPECT_EQ(get(each), ENXIO);
  }
}

TEST_F(SpeAttributes, AreNotThereWithoutAnInterruptController) {
  make_with_feature();
  vm->set_interrupt_controller(Controller::kNone);
  for (const SpeAttribute each : kAll) {
    EXPECT_EQ(errno_of(spe().has_attribute(each)), ENXIO);
    EXPECT_EQ(set_null(each), ENXIO);
    EXPECT_EQ(get(each), ENXIO);
  }
  EXPECT_EQ(errno_of(spe().set_irq(kIrq)), ENXIO);
  EXPECT_EQ(errno_of(spe().init()), ENXIO);
  EXPECT_EQ(errno_of(spe().stop()), ENXIO);
}

TEST_F(SpeAttributes, ThatThereAreNotAreRefused) {
  make_ready();
  for (const std::uint64_t number : {3ull, 4ull, ~0ull}) {
    const SpeAttribute which{number};
    EXPECT_EQ(errno_of(spe().has_attribute(which)), ENXIO);
    EXPECT_EQ(set(which, 1), ENXIO);
    EXPECT_EQ(set_null(which), ENXIO) << "before the pointer is looked at";
    EXPECT_EQ(get(which), ENXIO);
  }
  for (const SpeAttribute each : kAll) EXPECT_EQ(errno_of(spe().has_attribute(each)), 0);
}

// ---- IRQ ----------------------------------------------------------------------------------------

TEST_F(SpeAttributes, IrqIsAPpi) {
  make_with_feature();
  for (const std::int32_t number : {-1, 0, 15, 32, 48, 1020, 0x7fff'ffff}) {
    EXPECT_EQ(set(SpeAttribute::kIrq, number), EINVAL) << number;
  }
  EXPECT_EQ(get(SpeAttribute::kIrq), ENXIO) << "not set";
  EXPECT_EQ(set_null(SpeAttribute::kIrq), EFAULT);
  EXPECT_EQ(set(SpeAttribute::kIrq, 16), 0);
  EXPECT_EQ(get_null(SpeAttribute::kIrq), EFAULT);
  EXPECT_EQ(get(SpeAttribute::kIrq), 0);
  EXPECT_EQ(value, 16);
}

TEST_F(SpeAttributes, IrqIsSetOnce) {
  make_with_feature();
  ASSERT_EQ(set(SpeAttribute::kIrq, 31), 0);
  EXPECT_EQ(set(SpeAttribute::kIrq, 31), EBUSY);
  EXPECT_EQ(set(SpeAttribute::kIrq, 1), EBUSY) << "before the number is looked at";
  EXPECT_EQ(set_null(SpeAttribute::kIrq), EBUSY);
  ASSERT_EQ(set(SpeAttribute::kInit, 0), 0);
  EXPECT_EQ(set(SpeAttribute::kIrq, 31), EBUSY);
  EXPECT_EQ(get(SpeAttribute::kIrq), 0);
  EXPECT_EQ(value, 31);
}

TEST_F(SpeAttributes, IrqIsTheSameOnAllVcpus) {
  make_with_feature();
  ASSERT_EQ(set(SpeAttribute::kIrq, kIrq), 0);
  SpeVcpu other{*vm};
  ASSERT_TRUE(other.spe.init_vcpu({.spe = true}));
  EXPECT_EQ(errno_of(other.spe.set_irq(kIrq + 1)), EINVAL);
  EXPECT_EQ(errno_of(other.spe.irq()), ENXIO);
  EXPECT_EQ(errno_of(other.spe.set_irq(kIrq)), 0);
}

// ---- INIT ---------------------------------------------------------------------------------------

TEST_F(SpeAttributes, InitNeedsTheIrqAndItsController) {
  make_with_feature();
  EXPECT_EQ(set_null(SpeAttribute::kInit), ENXIO) << "no number";
  vm->set_interrupt_controller(Controller::kCreated);
  ASSERT_EQ(set(SpeAttribute::kIrq, kIrq), 0) << "which needs it created only";
  EXPECT_EQ(set_null(SpeAttribute::kInit), ENXIO) << "not initialised";
  vm->set_interrupt_controller(Controller::kInitialised);
  vcpu->sink.others = {kIrq};
  EXPECT_EQ(set_null(SpeAttribute::kInit), ENXIO) << "the PPI is another device's";
  EXPECT_EQ(get(SpeAttribute::kStop), EAGAIN) << "none of which has initialised it";
  vcpu->sink.others = {kIrq + 1};
  EXPECT_EQ(set_null(SpeAttribute::kInit), 0) << "there is no value to point to";
  EXPECT_EQ(set_null(SpeAttribute::kInit), EBUSY);
  EXPECT_EQ(get(SpeAttribute::kInit), ENXIO);
}

// ---- STOP ---------------------------------------------------------------------------------------

TEST_F(SpeAttributes, StopNeedsInit) {
  make_with_feature();
  ASSERT_EQ(set(SpeAttribute::kIrq, kIrq), 0);
  EXPECT_EQ(set(SpeAttribute::kStop, kSpeStopTrap), EAGAIN);
  EXPECT_EQ(set(SpeAttribute::kStop, 0), EAGAIN) << "before the value is looked at";
  EXPECT_EQ(set_null(SpeAttribute::kStop), EAGAIN);
  EXPECT_EQ(get(SpeAttribute::kStop), EAGAIN);
}

TEST_F(SpeAttributes, StopIsExactlyOneOfThree) {
  make_ready();
  EXPECT_EQ(set_null(SpeAttribute::kStop), EFAULT);
  EXPECT_EQ(get_null(SpeAttribute::kStop), EFAULT);
  for (const std::int32_t request : {0, 3, 5, 6, 7, 8, 9, 1 << 30, -1}) {
    EXPECT_EQ(set(SpeAttribute::kStop, request), EINVAL) << request;
  }
  EXPECT_EQ(get(SpeAttribute::kStop), 0);
  EXPECT_EQ(value, 0) << "none of them has stopped it";
}

TEST_F(SpeAttributes, StopIsAsItWasSetLast) {
  make_ready();
  constexpr struct {
    std::int32_t request;
    SpeStop state;
  } kSteps[] = {
      {kSpeStopTrap, SpeStop::kTrap},  {kSpeStopTrap, SpeStop::kTrap},
      {kSpeStopExit, SpeStop::kExit},  {kSpeStopTrap, SpeStop::kTrap},
      {kSpeResume, SpeStop::kRunning}, {kSpeResume, SpeStop::kRunning},
      {kSpeStopExit, SpeStop::kExit},
  };
  for (const auto& [request, state] : kSteps) {
    EXPECT_EQ(set(SpeAttribute::kStop, request), 0);
    EXPECT_EQ(get(SpeAttribute::kStop), 0);
    EXPECT_EQ(value, static_cast<std::int32_t>(state));
  }
}

// ---- Supported CPUs -----------------------------------------------------------------------------

TEST_F(SpeAttributes, SupportedCpusAreReplacedAsAWhole) {
  EXPECT_EQ(errno_of(spe().set_supported_cpus("0-1,3")), 0);
  EXPECT_EQ(cpu_list(spe().supported_cpus()), "0-1,3");
  EXPECT_EQ(errno_of(spe().set_supported_cpus("N\n")), 0);
  EXPECT_EQ(cpu_list(spe().supported_cpus()), "3");
  EXPECT_EQ(errno_of(spe().set_supported_cpus("")), 0);
  EXPECT_TRUE(spe().supported_cpus().empty());
}

TEST_F(SpeAttributes, SupportedCpusStayAsTheyWereAfterAnError) {
  ASSERT_TRUE(spe().set_supported_cpus("1"));
  const std::string too_long(kCpuListMost + 1, ' ');
  const struct {
    const char* list;
    int number;
  } cases[] = {
      {nullptr, EFAULT},
      {"0,4", ERANGE},
      {"0-", EINVAL},
      {"2-1", EINVAL},
      {"2,99999999999999", EOVERFLOW},
      {too_long.c_str(), EINVAL},
  };
  for (const auto& [list, number] : cases) {
    EXPECT_EQ(errno_of(spe().set_supported_cpus(list)), number);
    EXPECT_EQ(cpu_list(spe().supported_cpus()), "1") << "also by halves";
  }
}

TEST_F(SpeAttributes, SupportedCpusAreSetBeforeTheVcpuRuns) {
  make_ready();
  ASSERT_EQ(spe().enter(hostperf::HostCpu{9}), SpeEntry::kNoUnit);
  EXPECT_EQ(errno_of(spe().set_supported_cpus("0")), 0) << "it has not run";
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  EXPECT_EQ(errno_of(spe().set_supported_cpus("1")), ENOEXEC);
  EXPECT_EQ(errno_of(spe().set_supported_cpus(nullptr)), ENOEXEC) << "before the list is looked at";
  spe().exit();
  EXPECT_EQ(errno_of(spe().set_supported_cpus("1")), ENOEXEC) << "for good";
  EXPECT_EQ(cpu_list(spe().supported_cpus()), "0");
}

}  // namespace
}  // namespace vpmu::virt::arm64
