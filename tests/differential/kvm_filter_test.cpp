// SPDX-License-Identifier: MIT
//
// Random event filters, valid and broken in every way, given to us and to the running kernel: both
// accept or refuse them with the same errno. Skipped where KVM takes no filters.
//
// VPMU_FILTER_DIFFERENTIAL_COUNT in the environment: how many, 100000 if it is not there.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "machine/kvm/kvm_event_filter.hpp"
#include "vpmu/virt/x86/filter_image.hpp"

namespace vpmu::test {
namespace {

using machine::kvm::KvmEventFilter;
using silicon::x86::Vendor;
using virt::x86::FilterEntry;
using virt::x86::FilterImage;

constexpr unsigned kUsualCount = 100'000;

unsigned wanted_count() {
  const char* const text = std::getenv("VPMU_FILTER_DIFFERENTIAL_COUNT");
  return text == nullptr ? kUsualCount : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
}

class Generator {
 public:
  explicit Generator(unsigned seed) : random_{seed} {}

  /// Header and entries as they lie in memory; what is not there cannot be read.
  std::vector<std::byte> filter() {
    std::vector<std::byte> bytes;
    const std::uint32_t count = entry_count();
    put(bytes, one_in(20) ? any() : below(2), 4);
    put(bytes, count, 4);
    put(bytes, any(), 4);
    const std::uint64_t flags = one_in(20) ? strange_flags() : below(4) != 0;
    put(bytes, flags, 4);
    for (int i = 0; i < 2; ++i) put(bytes, one_in(4) ? any() : 0, 8);
    // Of more entries than the kernel takes, only so many that it could look at them.
    const std::uint64_t broken = one_in(3) ? below(std::uint64_t{count} + 1) : count;
    for (std::uint32_t i = 0; i < count && i < FilterImage::kMaxEntries + 10; ++i) {
      put(bytes, i == broken ? strange_entry() : entry(), 8);
    }
    cut(bytes);
    return bytes;
  }

 private:
  std::uint64_t any() { return random_(); }
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool one_in(unsigned n) { return below(n) == 0; }

  static void put(std::vector<std::byte>& bytes, std::uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i) bytes.push_back(static_cast<std::byte>(value >> (8 * i)));
  }

  std::uint32_t entry_count() {
    switch (below(16)) {
      case 0: return static_cast<std::uint32_t>(any());
      case 1: return static_cast<std::uint32_t>(296 + below(10));
      case 2: return static_cast<std::uint32_t>(below(301));
      default: return static_cast<std::uint32_t>(below(12));
    }
  }
  std::uint64_t strange_flags() { return one_in(2) ? any() : std::uint64_t{1} << below(32); }
  /// Such that guests of either vendor may have it in a masked filter.
  std::uint64_t entry() { return any() & FilterEntry::kValidIntel; }
  /// With a bit that one or both vendors refuse, or any bits at all.
  std::uint64_t strange_entry() {
    switch (below(3)) {
      case 0: return any();
      case 1: return entry() | (any() & FilterEntry::kLegacyAmd);
      default: return entry() | std::uint64_t{1} << below(64);
    }
  }
  /// Where memory ends: within the header, within the entries, or behind them.
  void cut(std::vector<std::byte>& bytes) {
    switch (below(12)) {
      case 0: bytes.resize(below(bytes.size() + 1)); break;
      case 1: bytes.resize(below(FilterImage::kHeaderBytes + 1)); break;
      case 2: bytes.resize(bytes.size() - 1); break;
      case 3: bytes.resize(bytes.size() + below(64)); break;
      default: break;
    }
  }

  std::mt19937_64 random_;
};

int our_errno(const std::vector<std::byte>& filter, Vendor vendor) {
  const auto image = virt::x86::read_filter_image(filter, vendor);
  return image ? 0 : errno_of(image.error().error);
}

std::string hex(const std::vector<std::byte>& bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[static_cast<unsigned>(byte) >> 4];
    text += kDigits[static_cast<unsigned>(byte) & 0xf];
  }
  return text;
}

TEST(KvmFilterDifferential, KernelGivesOurErrorForRandomFilters) {
  machine::kvm::LinuxKvmSystem system;
  auto kvm = KvmEventFilter::create(system);
  if (!kvm) GTEST_SKIP() << "NOT COMPARED WITH A KERNEL: " << kvm.error().message;
  const auto vendor = kvm->vendor();
  if (!vendor) {
    GTEST_SKIP() << "NOT COMPARED WITH A KERNEL: this kernel's KVM takes no masked events; use "
                    "Linux 6.3 or newer";
  }
  const unsigned count = wanted_count();
  ASSERT_GT(count, 0u) << "VPMU_FILTER_DIFFERENTIAL_COUNT is no number";
  std::map<int, unsigned> answers;
  Generator generator{1};
  for (unsigned i = 0; i < count; ++i) {
    const auto filter = generator.filter();
    const int ours = our_errno(filter, *vendor);
    const int kernels = kvm->load(filter);
    ++answers[kernels];
    ASSERT_EQ(ours, kernels) << "filter " << i << ": " << hex(filter);
  }
  std::string summary;
  for (const auto& [error, times] : answers) {
    summary +=
        (summary.empty() ? "" : ", ") + std::to_string(times) + " x errno " + std::to_string(error);
  }
  RecordProperty("answers", summary);
  std::printf("%u filters against a kernel for %s guests: %s\n", count, name(*vendor),
              summary.c_str());
  if (count < kUsualCount) return;
  for (const int error : {0, EFAULT, EINVAL, E2BIG}) {
    EXPECT_GT(answers[error], count / 100) << "the generator should give each often: " << error;
  }
}

}  // namespace
}  // namespace vpmu::test
