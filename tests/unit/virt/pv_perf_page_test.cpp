// SPDX-License-Identifier: MIT
//
// The shared page of PV perf: layout, AREA, the sequence, and what is read of it and written to it.
#include "virt/x86/pv_perf_page.hpp"

#include <cstring>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "unit/virt/fake_pv_perf_host.hpp"

namespace vpmu::virt::x86 {
namespace {

using Kind = FakePvPerfHost::Kind;

constexpr std::uint64_t kPage = 0x3000, kOtherPage = 0x5000, kRom = 0x7000, kHole = 0x8000;
constexpr unsigned kEvents = 3;
constexpr std::uint8_t kGuestsBytes = 0xa5;

constexpr pv::Area area_at(std::uint64_t page) {
  return {{page | 1}};
}

PvPerfConfig with_page(std::uint32_t publish_us = 1000) {
  PvPerfConfig config;
  config.features.set(pv::Features::kPvPerf, 1);
  config.features.set(pv::Features::kArea, 1);
  config.features.set(pv::Features::kBatch, 1);
  config.physical_bits = 40;
  config.events = kEvents;
  config.width = 48;
  config.publish_period_us = publish_us;
  return config;
}

bool same(const pv::Page& one, const pv::Page& other) {
  return std::memcmp(&one, &other, sizeof one) == 0;
}

/// All different, and different from every other event's.
pv::EventRecord record_of(std::uint64_t i) {
  return {.count = 0x1111'0000 + i,
          .time_enabled = 0x2222'0000 + i,
          .time_running = 0x3333'0000 + i,
          .rdpmc_offset = 0x4444'0000 + i,
          .rdpmc_index = static_cast<std::uint32_t>(0x5555'0000 + i),
          .rdpmc_width = static_cast<std::uint16_t>(0x6600 + i),
          .state = static_cast<std::uint16_t>(0x7700 + i),
          .evtsel = 0x8888'0000 + i};
}

PvPerfPage::Content some_content() {
  PvPerfPage::Content content;
  content.global_ctrl = 0x5;
  content.global_status = 0x4000'0000'0000'0002;
  content.batch_seq = 0x12345678;
  content.batch_code = 0x0007;
  content.batch_id = 0x0002;
  for (unsigned i = 0; i < pv::kMaxEvents; ++i) content.events[i] = record_of(i);
  return content;
}

class PvPerfPageTest : public testing::Test {
 protected:
  PvPerfPageTest() {
    host.set_kind(kRom, Kind::kReadOnly);
    host.set_kind(kHole, Kind::kNothing);
    for (const std::uint64_t each : {kPage, kOtherPage, kRom}) {
      host.fill(each, sizeof(pv::Page), kGuestsBytes);
    }
    make(with_page());
  }
  void make(const PvPerfConfig& wanted) {
    page.reset();
    config = wanted;
    page.emplace(config, hostperf::VcpuIndex{0}, host, areas);
  }
  pv::Page content(std::uint64_t address = kPage) { return host.get<pv::Page>(address); }
  static pv::Page untouched() {
    pv::Page page;
    std::memset(static_cast<void*>(&page), kGuestsBytes, sizeof page);
    return page;
  }
  /// A page that was the guest's, once the host has zeroed what is its own.
  static pv::Page zeroed(std::uint32_t seq) {
    pv::Page page = untouched();
    page.header = {};
    page.header.seq = seq;
    page.events = {};
    return page;
  }

  FakePvPerfHost host;
  PvPerfAreas areas;
  PvPerfConfig config;
  std::optional<PvPerfPage> page;
};

// ---- Layout -------------------------------------------------------------------------------------

TEST(PvPerfPageLayout, IsThatOfTheAbi) {
  const struct {
    std::size_t is, should_be;
  } offsets[] = {
      {offsetof(pv::Page, header.seq), 0x000},
      {offsetof(pv::Page, header.abi), 0x004},
      {offsetof(pv::Page, header.global_ctrl), 0x008},
      {offsetof(pv::Page, header.global_status), 0x010},
      {offsetof(pv::Page, header.pub_tsc), 0x018},
      {offsetof(pv::Page, header.pub_ns), 0x020},
      {offsetof(pv::Page, header.batch_seq), 0x028},
      {offsetof(pv::Page, header.batch_code), 0x02c},
      {offsetof(pv::Page, header.batch_id), 0x02e},
      {offsetof(pv::Page, header.host_flags), 0x030},
      {offsetof(pv::Page, header.pad0), 0x034},
      {offsetof(pv::Page, header.resv0), 0x038},
      {offsetof(pv::Page, command.cmd_flags), 0x040},
      {offsetof(pv::Page, command.cmd_pad), 0x044},
      {offsetof(pv::Page, command.cmd_resv), 0x048},
      {offsetof(pv::Page, resv1), 0x080},
      {offsetof(pv::Page, events), 0x100},
      {offsetof(pv::Page, resv2), 0x700},
      {offsetof(pv::Page, commands), 0x800},
      {offsetof(pv::Page, resv3), 0xc00},
      {sizeof(pv::Page), 0x1000},
      {offsetof(pv::EventRecord, count), 0},
      {offsetof(pv::EventRecord, time_enabled), 8},
      {offsetof(pv::EventRecord, time_running), 16},
      {offsetof(pv::EventRecord, rdpmc_offset), 24},
      {offsetof(pv::EventRecord, rdpmc_index), 32},
      {offsetof(pv::EventRecord, rdpmc_width), 36},
      {offsetof(pv::EventRecord, state), 38},
      {offsetof(pv::EventRecord, evtsel), 40},
      {sizeof(pv::EventRecord), 48},
      {offsetof(pv::CommandRecord, evtsel), 0},
      {offsetof(pv::CommandRecord, count), 8},
      {offsetof(pv::CommandRecord, period), 16},
      {offsetof(pv::CommandRecord, flags), 24},
      {offsetof(pv::CommandRecord, pad), 28},
      {sizeof(pv::CommandRecord), 32},
  };
  for (const auto& offset : offsets) EXPECT_EQ(offset.is, offset.should_be);
}

// ---- AREA ---------------------------------------------------------------------------------------

TEST_F(PvPerfPageTest, EnablingZeroesTheHostsPartsAndNothingElse) {
  ASSERT_TRUE(page->set_area(area_at(kPage)));
  EXPECT_TRUE(page->enabled());
  EXPECT_EQ(page->seq() % 2, 0u);
  EXPECT_TRUE(same(content(), zeroed(page->seq())));
  EXPECT_TRUE(same(content(kOtherPage), untouched()));
  EXPECT_EQ(host.written[kPage / sizeof(pv::Page)], 1);
}

TEST_F(PvPerfPageTest, APageThatIsOnlyNamedIsNotTouched) {
  ASSERT_TRUE(page->set_area({{kPage}}));
  EXPECT_FALSE(page->enabled());
  EXPECT_EQ(page->area().raw, kPage);
  EXPECT_TRUE(same(content(), untouched()));
}

TEST_F(PvPerfPageTest, EachReservedBitAloneIsRefused) {
  ASSERT_TRUE(page->set_area(area_at(kPage)));
  const pv::Page before = content();
  for (unsigned bit = 0; bit < 64; ++bit) {
    if (bit == 0 || (bit >= 12 && bit < config.physical_bits)) continue;
    for (const std::uint64_t enable : {0, 1}) {
      EXPECT_FALSE(page->set_area({{kOtherPage | enable | std::uint64_t{1} << bit}})) << bit;
    }
  }
  EXPECT_EQ(page->area(), area_at(kPage));
  EXPECT_TRUE(same(content(), before));
  EXPECT_TRUE(same(content(kOtherPage), untouched()));
}

TEST_F(PvPerfPageTest, WhatIsNoWritableRamIsRefusedAndTheOldAreaStays) {
  ASSERT_TRUE(page->set_area(area_at(kPage)));
  const pv::Page before = content();
  const std::uint64_t behind_ram = FakePvPerfHost::kPages * FakePvPerfHost::kPageBytes;
  const std::uint64_t last_frame = (std::uint64_t{1} << config.physical_bits) - sizeof(pv::Page);
  for (const std::uint64_t address : {kRom, kHole, behind_ram, last_frame}) {
    EXPECT_FALSE(page->set_area(area_at(address))) << address;
    pv::PageHeader found{};
    EXPECT_FALSE(page->adopt(area_at(address), found)) << address;
  }
  EXPECT_EQ(page->area(), area_at(kPage));
  EXPECT_TRUE(same(content(), before));
  EXPECT_TRUE(same(content(kRom), untouched()));
}

TEST_F(PvPerfPageTest, TheLastPageOfRamIsAPageLikeOthers) {
  constexpr std::uint64_t kLast = (FakePvPerfHost::kPages - 1) * FakePvPerfHost::kPageBytes;
  EXPECT_TRUE(page->set_area(area_at(kLast)));
}

TEST_F(PvPerfPageTest, WithoutTheFeatureNothingCanBeEnabled) {
  PvPerfConfig without = with_page();
  without.features.set(pv::Features::kArea, 0);
  make(without);
  EXPECT_FALSE(page->set_area(area_at(kPage)));
  EXPECT_TRUE(page->set_area({}));
  EXPECT_TRUE(same(content(), untouched()));
}

TEST_F(PvPerfPageTest, APageThatAnotherVcpuHasIsRefusedUntilThatOneGivesItBack) {
  PvPerfPage other{config, hostperf::VcpuIndex{1}, host, areas};
  ASSERT_TRUE(other.set_area(area_at(kOtherPage)));
  ASSERT_TRUE(page->set_area(area_at(kPage)));
  EXPECT_FALSE(page->set_area(area_at(kOtherPage)));
  EXPECT_EQ(page->area(), area_at(kPage));
  EXPECT_FALSE(other.set_area(area_at(kPage)));  // it is still the first one's
  other.disable();
  EXPECT_TRUE(page->set_area(area_at(kOtherPage)));
  EXPECT_TRUE(other.set_area(area_at(kPage)));  // the first one has left it
}

TEST_F(PvPerfPageTest, AVcpuMayEnableItsOwnPageAgainAndItIsZeroedAgain) {
  ASSERT_TRUE(page->set_area(area_at(kPage)));
  ASSERT_TRUE(page->publish(some_content()));
  ASSERT_TRUE(page->set_area(area_at(kPage)));
  EXPECT_TRUE(same(content(), zeroed(page->seq())));
}

TEST_F(PvPerfPageTest, APageIsFreeWhenItsVcpuIsGone) {
  {
    PvPerfPage other{config, hostperf::VcpuIndex{1}, host, areas};
    ASSERT_TRUE(other.set_area(area_at(kPage)));
  }
  EXPECT_TRUE(page->set_area(area_at(kPage)));
}

// ---- Publication --------------------------------------------------------------------------------

TEST_F(PvPerfPageTest, PublicationWritesTheHostsPartsAndNothingElse) {
  ASSERT_TRUE(page->set_area(area_at(kPage)));
  host.now = 123'456'789;
  host.tsc = 987'654'321;
  const std::uint32_t before = page->seq();
  ASSERT_TRUE(page->publish(some_content()));

  pv::Page expected = untouched();
  expected.header = {.seq = before + 2,
                     .abi = 0x0001'0000,
                     .global_ctrl = 0x5,
                     .global_status = 0x4000'0000'0000'0002,
                     .pub_tsc = 987'654'321,
                     .pub_ns = 123'456'789,
                     .batch_seq = 0x12345678,
                     .batch_code = 7,
                     .batch_id = 2,
                     .host_flags = 2,
                     .pad0 = 0,
                     .resv0 = 0};
  expected.events = {};
  for (unsigned i = 0; i < kEvents; ++i) expected.events[i] = record_of(i);
  EXPECT_TRUE(same(content(), expected));
  EXPECT_EQ(page->seq(), before + 2);
}

TEST_F(PvPerfPageTest, EveryRecordIsWrittenIfThereAreThatManyEvents) {
  PvPerfConfig most = with_page();
  most.events = pv::kMaxEvents;
  make(most);
  ASSERT_TRUE(page->set_area(area_at(kPage)));
  ASSERT_TRUE(page->publish(some_content()));
  for (unsigned i = 0; i < pv::kMaxEvents; ++i) {
    const pv::EventRecord expected = record_of(i), is = content().events[i];
    EXPECT_EQ(std::memcmp(&is, &expected, sizeof is), 0) << i;
  }
}

TEST_F(PvPerfPageTest, APageThatIsWrittenOnRequestOnlySaysSo) {
  make(with_page(0));
  ASSERT_TRUE(page->set_area(area_at(kPage)));
  ASSERT_TRUE(page->publish(some_content()));
  EXPECT_EQ(content().header.host_flags, 0u);
}

TEST_F(PvPerfPageTest, TheSequenceIsTheHostsWhateverTheGuestWritesThere) {
  ASSERT_TRUE(page->set_area(area_at(kPage)));
  const std::uint32_t before = page->seq();
  for (std::uint32_t n = 1; n <= 3; ++n) {
    host.put(kPage, 0xdead'beefu);
    ASSERT_TRUE(page->publish(some_content()));
    EXPECT_EQ(content().header.seq, before + 2 * n);
  }
  for (const int reads : host.reads) EXPECT_EQ(reads, 0);
}

TEST_F(PvPerfPageTest, TheSequenceGoesOnOverTheTopAndThroughAnotherEnabling) {
  page->set_seq(0xffff'fffc);
  ASSERT_TRUE(page->set_area(area_at(kPage)));
  EXPECT_EQ(content().header.seq, 0xffff'fffe);
  ASSERT_TRUE(page->publish(some_content()));
  EXPECT_EQ(content().header.seq, 0u);
  ASSERT_TRUE(page->set_area({}));
  ASSERT_TRUE(page->set_area(area_at(kPage)));
  EXPECT_EQ(content().header.seq, 2u);
}

TEST_F(PvPerfPageTest, WhenTheHypervisorHearsOfAWriteItIsComplete) {
  int heard = 0;
  host.on_written = [&] {
    EXPECT_EQ(content().header.seq, page->seq());
    EXPECT_EQ(content().header.seq % 2, 0u);
    ++heard;
  };
  ASSERT_TRUE(page->set_area(area_at(kPage)));
  ASSERT_TRUE(page->publish(some_content()));
  EXPECT_EQ(heard, 2);
}

TEST_F(PvPerfPageTest, RamThatIsGoneCannotBePublishedTo) {
  ASSERT_TRUE(page->set_area(area_at(kPage)));
  const pv::Page before = content();
  const std::uint32_t seq = page->seq();
  for (const Kind kind : {Kind::kReadOnly, Kind::kNothing}) {
    host.set_kind(kPage, kind);
    EXPECT_FALSE(page->publish(some_content()));
    EXPECT_TRUE(same(content(), before));
    EXPECT_EQ(page->seq(), seq);
  }
}

// ---- A guest that comes from elsewhere ----------------------------------------------------------

TEST_F(PvPerfPageTest, AnAdoptedPageKeepsItsContentAndTheSequenceGoesOn) {
  const struct {
    std::uint32_t in_page, continued;
  } cases[] = {{0, 2}, {1, 4}, {2, 4}, {7, 10}, {0xffff'fffc, 0xffff'fffe}, {0xffff'ffff, 2}};
  for (const auto& each : cases) {
    page->disable();
    host.put(kPage, each.in_page);
    const pv::Page before = content();
    host.reads = {};
    pv::PageHeader found{};
    ASSERT_TRUE(page->adopt(area_at(kPage), found));
    EXPECT_TRUE(same(content(), before));
    EXPECT_EQ(page->seq(), each.continued);
    EXPECT_EQ(std::memcmp(&found, &before.header, sizeof found), 0);
    EXPECT_EQ(host.reads[kPage / 8], 1);
    ASSERT_TRUE(page->publish(some_content()));
    EXPECT_EQ(content().header.seq, each.continued + 2);
  }
}

TEST_F(PvPerfPageTest, AnAdoptedAreaThatEnablesNothingReadsNothing) {
  pv::PageHeader found{};
  found.seq = 17;
  ASSERT_TRUE(page->adopt({{kPage}}, found));
  EXPECT_EQ(found.seq, 17u);
  for (const int reads : host.reads) EXPECT_EQ(reads, 0);
}

// ---- Commands -----------------------------------------------------------------------------------

class PvPerfCommands : public PvPerfPageTest {
 protected:
  PvPerfCommands() {
    PvPerfConfig most = with_page();
    most.events = pv::kMaxEvents;
    make(most);
    host.fill(kPage, sizeof(pv::Page), 0);
    EXPECT_TRUE(page->set_area(area_at(kPage)));
    for (unsigned i = 0; i < pv::kMaxEvents; ++i) {
      host.put(kPage + offsetof(pv::Page, commands) + i * sizeof(pv::CommandRecord), command_of(i));
    }
  }
  static pv::CommandRecord command_of(std::uint64_t i) {
    return {.evtsel = 0xaaaa'0000'0000 + i,
            .count = 0xbbbb'0000 + i,
            .period = 0xcccc'0000 + i,
            .flags = static_cast<std::uint32_t>(0xdddd'0000 + i),
            .pad = static_cast<std::uint32_t>(0xeeee'0000 + i)};
  }
};

TEST_F(PvPerfCommands, AreCopiedAsTheyAre) {
  for (const std::uint32_t mask : {1u, 0x8000'0000u, 0x8000'0001u, 0x00f0'0a00u, 0xffff'ffffu}) {
    PvPerfPage::Commands commands;
    ASSERT_TRUE(page->load(mask, commands));
    for (unsigned i = 0; i < pv::kMaxEvents; ++i) {
      if ((mask >> i & 1) == 0) continue;
      const pv::CommandRecord expected = command_of(i);
      EXPECT_EQ(std::memcmp(&commands[i], &expected, sizeof expected), 0) << i;
    }
  }
}

TEST_F(PvPerfCommands, AreReadOnceEachAndNothingElseOfThePageIs) {
  // What has been read is something else the next moment.
  host.after_read = [](std::uint64_t& word) { word = ~word; };
  PvPerfPage::Commands commands;
  ASSERT_TRUE(page->load(0xffff'ffff, commands));
  for (unsigned i = 0; i < pv::kMaxEvents; ++i) {
    const pv::CommandRecord expected = command_of(i);
    EXPECT_EQ(std::memcmp(&commands[i], &expected, sizeof expected), 0) << i;
  }
  for (std::size_t n = 0; n < host.reads.size(); ++n) {
    const std::size_t address = n * 8, offset = address - kPage;
    const bool header = address >= kPage && offset >= 0x40 && offset < 0x80;
    const bool records = address >= kPage && offset >= 0x800 && offset < 0xc00;
    EXPECT_EQ(host.reads[n], header || records ? 1 : 0) << address;
  }
}

TEST_F(PvPerfCommands, AnyBitInTheCommandHeaderIsRefused) {
  for (std::size_t bit = 0; bit < sizeof(pv::CommandHeader) * 8; ++bit) {
    std::uint64_t& word = host.word(GuestPhysical{kPage + 0x40 + bit / 64 * 8});
    word = std::uint64_t{1} << bit % 64;
    PvPerfPage::Commands commands;
    EXPECT_EQ(page->load(1, commands), tl::make_unexpected(pv::Code::kReserved)) << bit;
    word = 0;
  }
}

TEST_F(PvPerfCommands, OfNoEventAreNone) {
  PvPerfPage::Commands commands;
  EXPECT_TRUE(page->load(0, commands));
}

TEST_F(PvPerfCommands, OfAPageThatIsGoneCannotBeRead) {
  host.set_kind(kPage, Kind::kNothing);
  PvPerfPage::Commands commands;
  EXPECT_EQ(page->load(1, commands), tl::make_unexpected(pv::Code::kGpa));
  EXPECT_EQ(page->load(0, commands), tl::make_unexpected(pv::Code::kGpa));
}

// ---- Areas of a VM ------------------------------------------------------------------------------

TEST(PvPerfAreasTest, APageIsOneVcpusAtATime) {
  PvPerfAreas areas;
  const hostperf::VcpuIndex first{0}, last{PvPerfAreas::kMaxVcpus - 1};
  EXPECT_TRUE(areas.claim(first, GuestPhysical{0}));  // a page number like others
  EXPECT_FALSE(areas.claim(last, GuestPhysical{0}));
  EXPECT_TRUE(areas.claim(first, GuestPhysical{0}));
  EXPECT_TRUE(areas.claim(first, GuestPhysical{0x1000}));
  EXPECT_TRUE(areas.claim(last, GuestPhysical{0}));
  EXPECT_FALSE(areas.claim(last, GuestPhysical{0x1000}));
  EXPECT_FALSE(areas.claim(first, GuestPhysical{0}));  // refused, the last one has kept it
  areas.release(first);
  EXPECT_TRUE(areas.claim(last, GuestPhysical{0x1000}));
}

TEST(PvPerfAreasTest, MoreVcpusThanThereIsRoomForHaveNone) {
  PvPerfAreas areas;
  const hostperf::VcpuIndex beyond{PvPerfAreas::kMaxVcpus};
  EXPECT_FALSE(areas.claim(beyond, GuestPhysical{0}));
  areas.release(beyond);
  EXPECT_TRUE(areas.claim(hostperf::VcpuIndex{0}, GuestPhysical{0}));
}

}  // namespace
}  // namespace vpmu::virt::x86
