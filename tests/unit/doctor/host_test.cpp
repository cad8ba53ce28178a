// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "cli/errno_name.hpp"
#include "unit/doctor/fakes.hpp"

namespace vpmu::test {
namespace {

using cli::doctor::host_facts;
using cli::doctor::HostFacts;
using machine::kvm::HostArchitecture;

constexpr std::uint64_t kSysAdmin = std::uint64_t{1} << 21;
constexpr std::uint64_t kPerfmon = std::uint64_t{1} << 38;
constexpr std::uint64_t kIpcLock = std::uint64_t{1} << 14;

TEST(HostFacts, AHostThatHidesEverythingIsNoProblem) {
  const HostFacts facts = host_facts(FakeHost{});
  EXPECT_FALSE(facts.container || facts.user_namespace || facts.perfmon || facts.seccomp);
  EXPECT_FALSE(facts.paranoid.has_value());
  EXPECT_TRUE(facts.cpu.empty());
}

TEST(HostFacts, ReadsTheCpu) {
  FakeHost host;
  host.put("/proc/cpuinfo",
           "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\nmodel\t\t: 17\n"
           "flags\t\t: fpu svm hypervisor\n");
  const HostFacts facts = host_facts(host);
  EXPECT_EQ(facts.cpu, "AMD EPYC");
  EXPECT_TRUE(facts.amd);
  EXPECT_TRUE(facts.virtualization);
  EXPECT_TRUE(facts.virtual_machine);
  host.put("/proc/cpuinfo", "vendor_id : GenuineIntel\nflags : svm_lock novmx\n");
  EXPECT_FALSE(host_facts(host).amd || host_facts(host).virtualization);
}

TEST(HostFacts, KnowsItsContainer) {
  for (const char* file : {"/.dockerenv", "/run/.containerenv"}) {
    FakeHost host;
    host.put(file, "");
    EXPECT_TRUE(host_facts(host).container) << file;
  }
  for (const char* variable : {"container", "KUBERNETES_SERVICE_HOST"}) {
    FakeHost host;
    host.variables.emplace(variable, "x");
    EXPECT_TRUE(host_facts(host).container) << variable;
  }
}

TEST(HostFacts, CapabilitiesCountInTheFirstUserNamespaceOnly) {
  FakeHost host;
  for (const std::uint64_t capability : {kSysAdmin, kPerfmon}) {
    host.effective = capability;
    EXPECT_TRUE(host_facts(host).perfmon);
    EXPECT_FALSE(host_facts(host).lock_memory);
  }
  host.effective = kIpcLock;
  EXPECT_TRUE(host_facts(host).lock_memory);
  EXPECT_FALSE(host_facts(host).perfmon);

  host.effective = ~std::uint64_t{0};
  host.put("/proc/self/uid_map", "         0          0 4294967295\n");
  EXPECT_TRUE(host_facts(host).perfmon);
  host.put("/proc/self/uid_map", "         0       1000          1\n");
  EXPECT_TRUE(host_facts(host).user_namespace);
  EXPECT_FALSE(host_facts(host).perfmon || host_facts(host).lock_memory);
}

TEST(HostFacts, SeccompIsModeTwo) {
  FakeHost host;
  for (const auto& [mode, filter] : {std::pair{"0", false}, {"1", false}, {"2", true}}) {
    host.put("/proc/self/status",
             fmt::format("Name:\tvpmu\nSeccomp:\t{}\nSeccomp_filters:\t7\n", mode));
    EXPECT_EQ(host_facts(host).seccomp, filter) << mode;
  }
}

TEST(HostFacts, ParanoidMayBeNegative) {
  FakeHost host;
  for (const int level : {-1, 0, 4}) {
    host.put("/proc/sys/kernel/perf_event_paranoid", fmt::format("{}\n", level));
    EXPECT_EQ(host_facts(host).paranoid, level);
  }
  for (const char* text : {"", "x", "1x"}) {
    host.put("/proc/sys/kernel/perf_event_paranoid", std::string{text});
    EXPECT_FALSE(host_facts(host).paranoid.has_value()) << text;
  }
}

TEST(HostFacts, KnowsTheArchitecture) {
  FakeHost host;
  for (const auto& [name, architecture] : {std::pair{"x86_64", HostArchitecture::kX86},
                                           {"aarch64", HostArchitecture::kArm64},
                                           {"riscv64", HostArchitecture::kOther}}) {
    host.machine = name;
    EXPECT_EQ(host_facts(host).architecture, architecture) << name;
  }
}

TEST(HostFacts, ErrorsHaveTheirNames) {
  EXPECT_EQ(cli::errno_name(EACCES), "EACCES");
  EXPECT_EQ(cli::errno_name(ENOENT), "ENOENT");
  EXPECT_EQ(cli::errno_name(99999), "error 99999");
}

}  // namespace
}  // namespace vpmu::test
