// SPDX-License-Identifier: MIT
//
// An address space on fakes, and words for what tests do with it.
#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "unit/virt_memory/fakes.hpp"

namespace vpmu::virt::memory {

class SpaceFixture : public testing::Test {
 protected:
  static constexpr std::uint64_t kBegin = 0x4000'0000;
  static constexpr auto kRead = StageTwoAccess::kRead;
  static constexpr auto kWrite = StageTwoAccess::kWrite;
  static constexpr auto kExecute = StageTwoAccess::kExecute;
  static constexpr auto kLog = MemorySlot::kLogDirtyPages;

  void TearDown() override {
    space.reset();
    EXPECT_EQ(host.mistakes, 0u);
    EXPECT_EQ(user.mistakes, 0u);
    EXPECT_EQ(host.pinned.size(), 0u) << "pinned after the end";
    EXPECT_EQ(host.charged, charged_at_end);
    EXPECT_EQ(host.allocated, 0) << "leaked tables";
    EXPECT_EQ(user.entries.size(), 0u);
    EXPECT_EQ(user.holds, 0) << "vCPUs are held";
  }
  void make(const AddressSpaceConfig& config) {
    space = std::make_unique<AddressSpace>(config, host, user);
  }

  /// A slot at kBegin and kMemory, both shifted by the same.
  static MemorySlot slot(std::uint32_t number, std::uint64_t pages, std::uint32_t flags = 0,
                         std::uint64_t shift = 0) {
    return {number, flags, GuestPhysical{kBegin + shift}, pages * kPageBytes,
            memory_at(kMemory + shift)};
  }
  void add(const MemorySlot& wanted) {
    const auto added = space->set_slot(wanted);
    ASSERT_TRUE(added) << added.error().message;
  }
  int set(const MemorySlot& wanted) { return number(space->set_slot(wanted)); }
  int lock(std::uint32_t n, LockAccess access = LockAccess::kReadWrite) {
    return number(space->lock(n, access));
  }
  /// 0, or the errno.
  template <class T>
  static int number(const ErrnoResult<T>& result) {
    if (result) return 0;
    EXPECT_NE(result.error().message, "");
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
    return result.error().number;
  }
  static GuestPhysical page(std::uint64_t n) { return GuestPhysical{kBegin + n * kPageBytes}; }

  /// What it translates to, as an offset in the memory at kMemory.
  std::uint64_t offset_of(GuestPhysical address, StageTwoAccess access = kRead) {
    const auto translation = space->translate(address, access);
    if (!translation) return ~std::uint64_t{0};
    return static_cast<std::uint64_t>(translation->host - memory_at(kMemory));
  }
  std::uint64_t locked_pages(std::uint32_t n) {
    return space->read(n, [](const SlotPages& pages) {
      std::uint64_t locked = 0;
      for (std::uint64_t i = 0; i < pages.size(); ++i) locked += pages.locked(i) ? 1 : 0;
      return locked;
    });
  }

  Notes notes;
  FakeHost host{&notes};
  FakeUser user{&notes};
  std::uint64_t charged_at_end = 0;
  std::unique_ptr<AddressSpace> space =
      std::make_unique<AddressSpace>(AddressSpaceConfig{}, host, user);
};

}  // namespace vpmu::virt::memory
