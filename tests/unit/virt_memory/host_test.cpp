// SPDX-License-Identifier: MIT
//
// The real host: memory of each kind, pages that are pinned as the kernel sees it, its limit. And
// slots of a size that only metadata has.
#include <sys/mman.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "unit/virt_memory/fakes.hpp"
#include "unit/virt_memory/lock_limit.hpp"
#include "vpmu/virt/memory/address_space.hpp"
#include "vpmu/virt/memory/host_mapping.hpp"

namespace vpmu::virt::memory {
namespace {

constexpr GuestPhysical kBegin{0x4000'0000};

std::uint64_t resident_pages(const HostMapping& memory) {
  std::vector<unsigned char> resident(memory.size() / kPageBytes);
  EXPECT_EQ(mincore(memory.data(), memory.size(), resident.data()), 0);
  std::uint64_t count = 0;
  for (const unsigned char page : resident) count += page & 1;
  return count;
}

HostMapping memory_of(HostMemoryKind kind, std::uint64_t bytes) {
  auto memory = HostMapping::create(kind, bytes);
  EXPECT_TRUE(memory) << memory.error().message;
  return std::move(*memory);
}

/// Where a process may lock 64 KiB: everywhere.
constexpr std::uint64_t kPages = 16;

TEST(HostMappings, AreThereAndAligned) {
  for (const HostMemoryKind kind :
       {HostMemoryKind::kAnonymous, HostMemoryKind::kSmallPages, HostMemoryKind::kShared}) {
    HostMapping memory = memory_of(kind, 3 * kBlockBytes + kPageBytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.data()) % kBlockBytes, 0u);
    EXPECT_EQ(memory.size(), 3 * kBlockBytes + kPageBytes);
    EXPECT_EQ(resident_pages(memory), 0u) << "nothing is there before it is touched";
    memory.data()[memory.size() - 1] = std::byte{1};
    HostMapping moved = std::move(memory);
    EXPECT_EQ(moved.data()[moved.size() - 1], std::byte{1});
    EXPECT_EQ(moved.descriptor() >= 0, kind == HostMemoryKind::kShared);
  }
}

TEST(HostMappings, OfTheSameMemfdAreTheSameMemory) {
  const HostMapping memory = memory_of(HostMemoryKind::kShared, 4 * kPageBytes);
  auto again = HostMapping::of_file(memory.descriptor(), kPageBytes, 2 * kPageBytes);
  ASSERT_TRUE(again) << again.error().message;
  memory.data()[kPageBytes + 5] = std::byte{7};
  EXPECT_EQ(again->data()[5], std::byte{7});
}

TEST(HostMappings, OfThePoolAreThereOrRefusedWithTheHostsErrno) {
  for (const HostMemoryKind kind : {HostMemoryKind::kHugePages, HostMemoryKind::kSharedHuge}) {
    const auto memory = HostMapping::create(kind, kBlockBytes);
    if (memory) {
      memory->data()[kBlockBytes - 1] = std::byte{1};
      continue;
    }
    EXPECT_TRUE(memory.error().number == ENOMEM || memory.error().number == ENOSYS)
        << memory.error().message;
    EXPECT_NE(memory.error().message.find("vm.nr_hugepages"), std::string::npos);
  }
}

TEST(HostMappings, OfNoSizeAreRefused) {
  using Kind = HostMemoryKind;
  for (const auto& [kind, bytes] :
       std::vector<std::pair<Kind, std::uint64_t>>{{Kind::kAnonymous, 0},
                                                   {Kind::kAnonymous, 100},
                                                   {Kind::kHugePages, kPageBytes},
                                                   {Kind::kShared, ~std::uint64_t{0xfff}}}) {
    const auto memory = HostMapping::create(kind, bytes);
    ASSERT_FALSE(memory);
    EXPECT_EQ(memory.error().number, EINVAL);
  }
  const auto no_file = HostMapping::of_file(-1, 0, kPageBytes);
  ASSERT_FALSE(no_file);
  EXPECT_EQ(no_file.error().number, EBADF);
  const auto no_place = HostMapping::of_file(0, 1, kPageBytes);
  ASSERT_FALSE(no_place);
  EXPECT_EQ(no_place.error().number, EINVAL);
}

class RealHost : public testing::TestWithParam<HostMemoryKind> {
 protected:
  std::uint64_t before = locked_bytes();
  HostMapping memory = memory_of(GetParam(), kPages* kPageBytes);
  LinuxPinningHost host;
  Notes notes;
  FakeUser user{&notes};
  AddressSpace space{{}, host, user};

  int set_up() {
    const auto set = space.set_slot({0, 0, kBegin, memory.size(), memory.data()});
    return set ? 0 : set.error().number;
  }
};

TEST_P(RealHost, PinsPagesAndLetsThemGo) {
  ASSERT_EQ(set_up(), 0);
  ASSERT_TRUE(space.lock(0, LockAccess::kReadWrite));
  EXPECT_EQ(resident_pages(memory), kPages);
  EXPECT_EQ(locked_bytes() - before, memory.size());
  EXPECT_EQ(host.charged_pages(), kPages);
  ASSERT_TRUE(space.unlock(0));
  EXPECT_EQ(locked_bytes(), before);
  EXPECT_EQ(host.charged_pages(), 0u);
}

TEST_P(RealHost, PinsOnlyARange) {
  ASSERT_EQ(set_up(), 0);
  {
    auto range = space.lock_range(GuestPhysical{raw(kBegin) + 3 * kPageBytes}, 2 * kPageBytes,
                                  LockAccess::kReadWrite);
    ASSERT_TRUE(range);
    EXPECT_EQ(locked_bytes() - before, 2 * kPageBytes);
  }
  EXPECT_EQ(locked_bytes(), before);
}

TEST_P(RealHost, FindsHolesAndLeavesNothingPinned) {
  ASSERT_EQ(set_up(), 0);
  ASSERT_EQ(munmap(memory.data() + 9 * kPageBytes, kPageBytes), 0);
  const auto locked = space.lock(0, LockAccess::kReadWrite);
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().number, ENOMEM);
  EXPECT_EQ(locked_bytes(), before);
  EXPECT_EQ(host.charged_pages(), 0u);
  const auto fault =
      space.translate(GuestPhysical{raw(kBegin) + 9 * kPageBytes}, StageTwoAccess::kRead);
  ASSERT_FALSE(fault);
  EXPECT_EQ(fault.error().kind, StageTwoFault::Kind::kHostMemory);
}

TEST_P(RealHost, CannotPinForWritingWhatIsProtected) {
  ASSERT_EQ(set_up(), 0);
  ASSERT_EQ(mprotect(memory.data(), kPageBytes, PROT_READ), 0);
  const auto locked = space.lock(0, LockAccess::kReadWrite);
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().number, ENOMEM);
  EXPECT_EQ(locked_bytes(), before);
  EXPECT_TRUE(space.lock(0, LockAccess::kRead));
}

TEST_P(RealHost, KeepsPinnedWhatCannotBePinnedForWriting) {
  ASSERT_EQ(set_up(), 0);
  ASSERT_EQ(mprotect(memory.data(), kPageBytes, PROT_READ), 0);
  ASSERT_TRUE(space.lock(0, LockAccess::kRead));
  const auto range = space.lock_range(kBegin, 4 * kPageBytes, LockAccess::kReadWrite);
  ASSERT_FALSE(range);
  EXPECT_EQ(range.error().number, ENOMEM);
  EXPECT_EQ(locked_bytes() - before, memory.size());
  EXPECT_TRUE(space.lock_range(GuestPhysical{raw(kBegin) + kPageBytes}, 4 * kPageBytes,
                               LockAccess::kReadWrite));
}

TEST_P(RealHost, IsBoundByTheProcessesLimitExactly) {
  ASSERT_EQ(set_up(), 0);
  {
    const LockLimit one_page_too_few{(kPages - 1) * kPageBytes};
    const auto locked = space.lock(0, LockAccess::kReadWrite);
    ASSERT_FALSE(locked);
    EXPECT_EQ(locked.error().number, ENOMEM);
    EXPECT_NE(locked.error().message.find("RLIMIT_MEMLOCK"), std::string::npos);
    EXPECT_EQ(locked_bytes(), before);
  }
  const LockLimit exactly{kPages * kPageBytes + before};
  EXPECT_TRUE(space.lock(0, LockAccess::kReadWrite));
  EXPECT_EQ(locked_bytes() - before, memory.size());
}

TEST_P(RealHost, UnpinsEverythingAtTheEnd) {
  {
    LinuxPinningHost other_host;
    AddressSpace other{{}, other_host, user};
    ASSERT_TRUE(other.set_slot({0, 0, kBegin, memory.size(), memory.data()}));
    ASSERT_TRUE(other.lock(0, LockAccess::kReadWrite));
    EXPECT_EQ(locked_bytes() - before, memory.size());
  }
  EXPECT_EQ(locked_bytes(), before);
}

TEST_P(RealHost, TranslatesToMemoryThatCanBeUsed) {
  ASSERT_EQ(set_up(), 0);
  const auto write = space.translate(GuestPhysical{raw(kBegin) + 5000}, StageTwoAccess::kWrite);
  ASSERT_TRUE(write);
  *write->host = std::byte{42};
  EXPECT_EQ(memory.data()[5000], std::byte{42});
}

INSTANTIATE_TEST_SUITE_P(Kinds, RealHost,
                         testing::Values(HostMemoryKind::kAnonymous, HostMemoryKind::kSmallPages,
                                         HostMemoryKind::kShared));

// ---- 1 TiB --------------------------------------------------------------------------------------

/// Pins nothing, so that what is pinned may be larger than the host.
class HostOfAnySize final : public PinningHost {
 public:
  void* allocate(std::size_t bytes) override { return linux_.allocate(bytes); }
  void release(void* memory, std::size_t bytes) override { linux_.release(memory, bytes); }
  int pin(std::byte*, std::uint64_t bytes, bool) override {
    pinned += bytes;
    return 0;
  }
  int pin_for_writing(std::byte*, std::uint64_t) override { return 0; }
  void unpin(std::byte*, std::uint64_t bytes) override { pinned -= bytes; }
  int fault_in(std::byte*, bool) override { return 0; }
  bool may_charge(std::uint64_t) override { return true; }
  bool charge(std::uint64_t) override { return true; }
  void uncharge(std::uint64_t) override {}

  std::uint64_t pinned = 0;

 private:
  LinuxPinningHost linux_;
};

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kTiB = std::uint64_t{1} << 40;

TEST(HugeSlot, OfOneTebibyteIsTrackedInABitForEachPage) {
  const HostMapping memory = memory_of(HostMemoryKind::kAnonymous, kTiB);
  HostOfAnySize host;
  Notes notes;
  FakeUser user{&notes};
  AddressSpace space{{.address_bits = 44}, host, user};
  // Its first and last blocks are in parts.
  ASSERT_TRUE(space.set_slot(
      {0, 0, GuestPhysical{kPageBytes}, kTiB - 2 * kPageBytes, memory.data() + kPageBytes}));
  auto range = space.lock_range(GuestPhysical{kTiB / 2}, 3 * kPageBytes, LockAccess::kRead);
  ASSERT_TRUE(range);
  const SlotMetadata metadata = space.metadata(0);
  constexpr std::uint64_t kBits = kTiB / kPageBytes / 8, kCounts = kTiB / kBlockBytes * 4;
  EXPECT_LE(metadata.pins, kBits + kCounts + 2 * kPageBytes);
  RecordProperty("pin_metadata_bytes", std::to_string(metadata.pins));
  RecordProperty("stage2_metadata_bytes", std::to_string(metadata.stage2));
  EXPECT_EQ(host.pinned, 3 * kPageBytes);
  EXPECT_TRUE(space.read(0, [](const SlotPages& pages) {
    const std::uint64_t first = kTiB / 2 / kPageBytes - 1;
    return pages.locked(first) && pages.locked(first + 2) && !pages.locked(first - 1) &&
           !pages.locked(first + 3) && pages.size() == kTiB / kPageBytes - 2;
  }));
}

/// Nothing that stage 2 hardware would have to be told.
class SoftwareUser final : public AddressSpaceUser {};

TEST(HugeSlot, OfOneTebibyteIsLockedAsAWholeInAFewMebibytes) {
  const HostMapping memory = memory_of(HostMemoryKind::kAnonymous, kTiB);
  HostOfAnySize host;
  SoftwareUser user;
  AddressSpace space{{.address_bits = 44, .pin_batch_bytes = kTiB}, host, user};
  ASSERT_TRUE(space.set_slot({0, 0, GuestPhysical{0}, kTiB, memory.data()}));
  const std::uint64_t before = status("VmRSS");
  ASSERT_TRUE(space.lock(0, LockAccess::kReadWrite));
  const std::uint64_t after = status("VmRSS");
  EXPECT_EQ(host.pinned, kTiB);
  // Counts of 2 MiB, blocks of 512 KiB; sanitizers have a shadow of their own.
  EXPECT_LT(after - std::min(before, after), 16 * kMiB);
  RecordProperty("resident_bytes", std::to_string(after - std::min(before, after)));
  const auto translation = space.translate(GuestPhysical{kTiB - 1}, StageTwoAccess::kWrite);
  ASSERT_TRUE(translation);
  EXPECT_EQ(translation->host, memory.data() + kTiB - 1);
  ASSERT_TRUE(space.unlock(0));
  EXPECT_EQ(host.pinned, 0u);
}

}  // namespace
}  // namespace vpmu::virt::memory
