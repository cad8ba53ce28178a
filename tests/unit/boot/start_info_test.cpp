// SPDX-License-Identifier: MIT
#include "machine/boot/start_info.hpp"

#include <gtest/gtest.h>

#include "machine/boot/memory_map.hpp"

namespace vpmu::machine::boot {
namespace {

constexpr std::uint64_t kSize = 16 << 20;

class StartInfoTest : public testing::Test {
 protected:
  template <class T>
  T at(std::uint64_t address) {
    const std::uint8_t* host = memory.host(address, sizeof(T));
    EXPECT_NE(host, nullptr);
    T value{};
    if (host != nullptr) std::memcpy(&value, host, sizeof value);
    return value;
  }

  GuestMemory memory = *GuestMemory::create(kSize);
  BootArea area{memory, 0x200000};
};

TEST_F(StartInfoTest, MultibootInformationHasTheFieldsOfTheSpecification) {
  const StartInfo info{0x1234, {{0x500000, 0x80, 0x600000}}};
  const std::uint64_t address = place_multiboot_info(info, memory, area);
  ASSERT_NE(address, 0u);
  EXPECT_EQ(at<std::uint32_t>(address), 0x24du);
  EXPECT_EQ(at<std::uint32_t>(address + 4), 639u);
  EXPECT_EQ(at<std::uint32_t>(address + 8), (area.begin() - 0x100000) / 1024);
  EXPECT_EQ(at<std::uint32_t>(address + 16), 0x1234u);
  EXPECT_EQ(at<std::uint32_t>(address + 20), 1u);
  const std::uint32_t module = at<std::uint32_t>(address + 24);
  EXPECT_EQ(at<std::uint32_t>(module), 0x500000u);
  EXPECT_EQ(at<std::uint32_t>(module + 4), 0x500080u);
  EXPECT_EQ(at<std::uint32_t>(module + 8), 0x600000u);
  const std::uint32_t loader = at<std::uint32_t>(address + 64);
  EXPECT_STREQ(reinterpret_cast<const char*>(memory.host(loader, 5)), "vpmu");
}

TEST_F(StartInfoTest, MultibootMapTellsOfTheWholeBootArea) {
  const std::uint64_t address = place_multiboot_info({}, memory, area);
  EXPECT_EQ(at<std::uint32_t>(address) & (1u << 3), 0u) << "no modules";
  const auto expected = memory_map(memory, area.begin());
  ASSERT_EQ(at<std::uint32_t>(address + 44), expected.size() * 24);
  std::uint64_t entry = at<std::uint32_t>(address + 48);
  for (const MemoryRange& range : expected) {
    EXPECT_EQ(at<std::uint32_t>(entry), 20u);
    EXPECT_EQ(at<std::uint64_t>(entry + 4), range.address);
    EXPECT_EQ(at<std::uint64_t>(entry + 12), range.length);
    EXPECT_EQ(at<std::uint32_t>(entry + 20), static_cast<std::uint32_t>(range.type));
    entry += 24;
  }
}

TEST_F(StartInfoTest, MultibootInformationIsOutsideWhatMemUpperCovers) {
  const std::uint64_t address = place_multiboot_info({}, memory, area);
  const std::uint64_t mem_upper = at<std::uint32_t>(address + 8);
  EXPECT_LE(0x100000 + mem_upper * 1024, address);
  EXPECT_LE(mem_upper * 1024, at<std::uint32_t>(address + 48));
}

TEST_F(StartInfoTest, PvhStartInformationHasTheFieldsOfVersion1) {
  const StartInfo info{0x1234, {{0x500000, 0x80, 0x600000}}};
  const std::uint64_t address = place_pvh_start_info(info, memory, area);
  ASSERT_NE(address, 0u);
  EXPECT_EQ(at<std::uint32_t>(address), 0x336ec578u);
  EXPECT_EQ(at<std::uint32_t>(address + 4), 1u);
  EXPECT_EQ(at<std::uint32_t>(address + 12), 1u);
  const std::uint64_t module = at<std::uint64_t>(address + 16);
  EXPECT_EQ(at<std::uint64_t>(module), 0x500000u);
  EXPECT_EQ(at<std::uint64_t>(module + 8), 0x80u);
  EXPECT_EQ(at<std::uint64_t>(module + 16), 0x600000u);
  EXPECT_EQ(at<std::uint64_t>(address + 24), 0x1234u);
  EXPECT_EQ(at<std::uint64_t>(address + 32), 0u) << "no RSDP";
  const auto expected = memory_map(memory, area.begin());
  ASSERT_EQ(at<std::uint32_t>(address + 48), expected.size());
  std::uint64_t entry = at<std::uint64_t>(address + 40);
  for (const MemoryRange& range : expected) {
    EXPECT_EQ(at<std::uint64_t>(entry), range.address);
    EXPECT_EQ(at<std::uint64_t>(entry + 8), range.length);
    EXPECT_EQ(at<std::uint32_t>(entry + 16), static_cast<std::uint32_t>(range.type));
    entry += 24;
  }
}

TEST_F(StartInfoTest, NoRoomGivesAddressZero) {
  BootArea none{memory, kSize - 64};
  EXPECT_EQ(place_multiboot_info({}, memory, none), 0u);
  BootArea none_either{memory, kSize - 64};
  EXPECT_EQ(place_pvh_start_info({}, memory, none_either), 0u);
}

}  // namespace
}  // namespace vpmu::machine::boot
