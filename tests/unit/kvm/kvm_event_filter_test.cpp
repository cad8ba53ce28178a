// SPDX-License-Identifier: MIT
#include "machine/kvm/kvm_event_filter.hpp"

#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <string>

#include "unit/kvm/fake_kvm.hpp"

namespace vpmu::machine::kvm {
namespace {

using silicon::x86::Vendor;
using test::FakeFilterKvm;
using virt::x86::FilterImage;

/// Header and entries of a masked filter that allows.
std::vector<std::byte> filter(std::initializer_list<std::uint64_t> entries) {
  FilterImage image;
  image.flags = FilterImage::kMaskedEvents;
  for (const std::uint64_t entry : entries) image.entries[image.count++] = entry;
  std::array<std::byte, FilterImage::kHeaderBytes + 8 * FilterImage::kMaxEntries> bytes;
  const auto size = static_cast<std::ptrdiff_t>(write_filter_image(image, bytes));
  return {bytes.begin(), bytes.begin() + size};
}

std::string trouble(FakeFilterKvm& system) {
  const auto kvm = KvmEventFilter::create(system);
  return kvm ? "none" : kvm.error().message;
}

TEST(KvmEventFilter, LoadsIntoAVmOfItsOwnAndClosesIt) {
  FakeFilterKvm system;
  {
    auto kvm = KvmEventFilter::create(system);
    ASSERT_TRUE(kvm) << kvm.error().message;
    EXPECT_TRUE(kvm->takes_masked_events());
    EXPECT_EQ(system.open_descriptors.size(), 2u);
    KvmEventFilter moved = std::move(*kvm);
    EXPECT_EQ(moved.load(filter({0xff00'0000'0000'00c0})), 0);
    EXPECT_EQ(system.open_descriptors.size(), 2u);
  }
  EXPECT_TRUE(system.open_descriptors.empty());
}

TEST(KvmEventFilter, GivesTheErrnoOfTheKernel) {
  FakeFilterKvm system;
  auto kvm = KvmEventFilter::create(system);
  ASSERT_TRUE(kvm);
  EXPECT_EQ(kvm->load(filter({1ULL << 54})), EINVAL);
  system.load_error = ENOMEM;
  EXPECT_EQ(kvm->load(filter({})), ENOMEM);
}

TEST(KvmEventFilter, NothingCanBeReadBehindAFilter) {
  FakeFilterKvm system;
  auto kvm = KvmEventFilter::create(system);
  ASSERT_TRUE(kvm);
  auto bytes = filter({0xc0, 0xc4});
  EXPECT_EQ(kvm->load(bytes), 0);
  bytes.pop_back();
  EXPECT_EQ(kvm->load(bytes), EFAULT) << "the entries";
  EXPECT_EQ(kvm->load(std::span{bytes}.first(31)), EFAULT) << "the header";
  EXPECT_EQ(kvm->load({}), EFAULT);
}

TEST(KvmEventFilter, OfALongFileTheKernelSeesTheBeginning) {
  FakeFilterKvm system;
  auto kvm = KvmEventFilter::create(system);
  ASSERT_TRUE(kvm);
  auto bytes = filter({0xc0});
  bytes.resize(3 * KvmEventFilter::kMostBytes, std::byte{0xff});
  EXPECT_EQ(kvm->load(bytes), 0);
}

TEST(KvmEventFilter, FindsOutWhoseEventSelectsTheKernelKnows) {
  for (const Vendor vendor : {Vendor::kIntel, Vendor::kAmd}) {
    FakeFilterKvm system;
    system.vendor = vendor;
    auto kvm = KvmEventFilter::create(system);
    ASSERT_TRUE(kvm);
    EXPECT_EQ(kvm->vendor(), vendor);
  }
  FakeFilterKvm old;
  old.extensions.erase(226);
  auto kvm = KvmEventFilter::create(old);
  ASSERT_TRUE(kvm);
  EXPECT_FALSE(kvm->takes_masked_events());
  EXPECT_EQ(kvm->vendor(), std::nullopt);
  EXPECT_EQ(old.loads, 0u);
}

TEST(KvmEventFilter, SaysInOneLineWhatIsMissing) {
  const auto expect = [](auto&& breaks, const std::string& part) {
    FakeFilterKvm system;
    breaks(system);
    const std::string message = trouble(system);
    EXPECT_NE(message.find(part), message.npos) << message;
    EXPECT_EQ(message.find('\n'), message.npos) << message;
    EXPECT_TRUE(system.open_descriptors.empty());
  };
  expect([](auto& system) { system.open_result = -ENOENT; },
         "/dev/kvm does not open: No such file");
  expect([](auto& system) { system.open_result = -EACCES; }, "does not open: Permission denied");
  expect([](auto& system) { system.api = 11; }, "not KVM as Linux has it");
  expect([](auto& system) { system.api = -ENOTTY; }, "not KVM as Linux has it");
  expect([](auto& system) { system.create_result = -EBUSY; }, "creates no VM: Device");
  expect([](auto& system) { system.extensions[173] = 0; }, "KVM_CAP_PMU_EVENT_FILTER");
  expect([](auto& system) { system.extensions[173] = -EINVAL; }, "KVM_CAP_PMU_EVENT_FILTER");
}

}  // namespace
}  // namespace vpmu::machine::kvm
