// SPDX-License-Identifier: MIT
//
// What guests compile and what the hypervisor compiles lie in memory alike: the objects of
// layout.c, of each compiler, language and word size, against pv_perf_abi.hpp; and the driver's
// objects need nothing that a kernel would have to bring along.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "pvperf/pvperf.h"
#include "vpmu/virt/x86/pv_perf_abi.hpp"

namespace {

namespace pv = vpmu::virt::x86::pv;

struct Place {
  std::uint32_t offset;
  std::uint32_t bytes;
  friend bool operator==(const Place&, const Place&) = default;
  friend void PrintTo(const Place& place, std::ostream* out) {
    *out << place.bytes << " bytes at " << place.offset;
  }
};
using Layout = std::map<std::string, Place>;

template <class T, class Field>
std::pair<const std::string, Place> at(const char* name, Field T::*field, std::size_t base = 0) {
  static const T object{};
  const auto* begin = reinterpret_cast<const char*>(&object);
  const auto* place = reinterpret_cast<const char*>(&(object.*field));
  return {name, Place{static_cast<std::uint32_t>(base + static_cast<std::size_t>(place - begin)),
                      sizeof(Field)}};
}
template <class T>
std::pair<const std::string, Place> whole(const char* name) {
  return {name, Place{0, sizeof(T)}};
}

Layout the_hypervisors() {
  constexpr std::size_t kCommand = offsetof(pv::Page, command);
  return Layout{
      whole<pv::Page>("page"),
      at("page.seq", &pv::PageHeader::seq),
      at("page.abi", &pv::PageHeader::abi),
      at("page.global_ctrl", &pv::PageHeader::global_ctrl),
      at("page.global_status", &pv::PageHeader::global_status),
      at("page.pub_tsc", &pv::PageHeader::pub_tsc),
      at("page.pub_ns", &pv::PageHeader::pub_ns),
      at("page.batch_seq", &pv::PageHeader::batch_seq),
      at("page.batch_code", &pv::PageHeader::batch_code),
      at("page.batch_id", &pv::PageHeader::batch_id),
      at("page.host_flags", &pv::PageHeader::host_flags),
      at("page.pad0", &pv::PageHeader::pad0),
      at("page.resv0", &pv::PageHeader::resv0),
      at("page.cmd_flags", &pv::CommandHeader::cmd_flags, kCommand),
      at("page.cmd_pad", &pv::CommandHeader::cmd_pad, kCommand),
      at("page.cmd_resv", &pv::CommandHeader::cmd_resv, kCommand),
      at("page.resv1", &pv::Page::resv1),
      at("page.events", &pv::Page::events),
      at("page.resv2", &pv::Page::resv2),
      at("page.commands", &pv::Page::commands),
      at("page.resv3", &pv::Page::resv3),
      whole<pv::EventRecord>("event_record"),
      at("event_record.count", &pv::EventRecord::count),
      at("event_record.time_enabled", &pv::EventRecord::time_enabled),
      at("event_record.time_running", &pv::EventRecord::time_running),
      at("event_record.rdpmc_offset", &pv::EventRecord::rdpmc_offset),
      at("event_record.rdpmc_index", &pv::EventRecord::rdpmc_index),
      at("event_record.rdpmc_width", &pv::EventRecord::rdpmc_width),
      at("event_record.state", &pv::EventRecord::state),
      at("event_record.evtsel", &pv::EventRecord::evtsel),
      whole<pv::CommandRecord>("command_record"),
      at("command_record.evtsel", &pv::CommandRecord::evtsel),
      at("command_record.count", &pv::CommandRecord::count),
      at("command_record.period", &pv::CommandRecord::period),
      at("command_record.flags", &pv::CommandRecord::flags),
      at("command_record.pad", &pv::CommandRecord::pad),
      whole<pv::CallAttr>("call_attr"),
      at("call_attr.type", &pv::CallAttr::type),
      at("call_attr.pad", &pv::CallAttr::pad),
      at("call_attr.config", &pv::CallAttr::config),
      at("call_attr.sample_period", &pv::CallAttr::sample_period),
      at("call_attr.read_format", &pv::CallAttr::read_format),
      at("call_attr.flags", &pv::CallAttr::flags),
      at("call_attr.reserved", &pv::CallAttr::reserved),
      whole<pv::CallEvent>("call_event"),
      at("call_event.count", &pv::CallEvent::count),
      at("call_event.status", &pv::CallEvent::status),
      at("call_event.time_enabled", &pv::CallEvent::time_enabled),
      at("call_event.time_running", &pv::CallEvent::time_running),
      whole<pv::CallParam>("call_param"),
      at("call_param.attr_addr", &pv::CallParam::attr_addr),
      at("call_param.event_addr", &pv::CallParam::event_addr),
      at("call_param.id", &pv::CallParam::id),
      at("call_param.flags", &pv::CallParam::flags),
      at("call_param.reserved", &pv::CallParam::reserved),
  };
}

std::string content(const std::filesystem::path& file) {
  std::ifstream stream{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{stream}, {}};
}

/// What objcopy took out of the object: records of layout.c.
Layout from(const std::filesystem::path& file) {
  struct Entry {
    std::array<char, 40> name;
    std::uint32_t offset, bytes;
  };
  const std::string bytes = content(file);
  Layout layout;
  for (std::size_t i = 0; i + sizeof(Entry) <= bytes.size(); i += sizeof(Entry)) {
    Entry entry;
    std::memcpy(&entry, bytes.data() + i, sizeof entry);
    layout[entry.name.data()] = Place{entry.offset, entry.bytes};
  }
  return layout;
}

std::vector<std::filesystem::path> built(const char* suffix) {
  std::vector<std::filesystem::path> found;
  for (const auto& file : std::filesystem::directory_iterator{PVPERF_OBJECTS}) {
    if (file.path().string().ends_with(suffix)) found.push_back(file.path());
  }
  return found;
}

TEST(PvPerfLayout, IsTheHypervisorsForEveryCompilerLanguageAndWordSize) {
  const std::vector<std::filesystem::path> files = built(".layout");
  // gcc at least, C and C++, 32 and 64 bits.
  ASSERT_GE(files.size(), 4U);
  const Layout expected = the_hypervisors();
  for (const auto& file : files) EXPECT_EQ(from(file), expected) << file;
}

TEST(PvPerfDriver, NeedsNoSymbolOfAnybody) {
  const std::vector<std::filesystem::path> files = built(".undefined");
  ASSERT_GE(files.size(), 4U);
  for (const auto& file : files) EXPECT_EQ(content(file), "") << file;
}

TEST(PvPerfDriver, HasTheHypervisorsNumbers) {
  EXPECT_EQ(PVPERF_SIGNATURE, pv::kSignature);
  EXPECT_EQ(PVPERF_MAJOR, pv::kAbiMajor);
  EXPECT_EQ(PVPERF_MAX_EVENTS, pv::kMaxEvents);
  EXPECT_EQ(PVPERF_PAGE_BYTES, pv::kAreaBytes);
  EXPECT_EQ(PVPERF_RDPMC_BASE, pv::kRdpmcBase);
  EXPECT_EQ(PVPERF_HYPERCALL, pv::kHypercall);
  EXPECT_EQ(PVPERF_NO_ID, pv::kNoId);
  EXPECT_EQ(PVPERF_STATUS_HOST_TROUBLE, pv::kStatusHostTrouble);
}

TEST(PvPerfDriver, HasTheHypervisorsRegisters) {
  const auto is = [](int ours, auto theirs) {
    EXPECT_EQ(static_cast<std::uint32_t>(ours), static_cast<std::uint32_t>(theirs));
  };
  is(PVPERF_MSR_CAP, pv::Msr::kCap);
  is(PVPERF_MSR_AREA, pv::Msr::kArea);
  is(PVPERF_MSR_GLOBAL_CTRL, pv::Msr::kGlobalCtrl);
  is(PVPERF_MSR_GLOBAL_STATUS, pv::Msr::kGlobalStatus);
  is(PVPERF_MSR_STATUS_RESET, pv::Msr::kStatusReset);
  is(PVPERF_MSR_STATUS_SET, pv::Msr::kStatusSet);
  is(PVPERF_MSR_ERROR, pv::Msr::kError);
  is(PVPERF_MSR_BATCH, pv::Msr::kBatch);
  is(PVPERF_MSR_FIRST_BANK, pv::Msr::kFirstBank);
  is(PVPERF_BANK_MSRS, pv::kBankMsrs);
  is(PVPERF_BANK_EVTSEL, pv::BankMsr::kEvtsel);
  is(PVPERF_BANK_COUNT, pv::BankMsr::kCount);
  is(PVPERF_BANK_PERIOD, pv::BankMsr::kPeriod);
  is(PVPERF_BANK_TIME_EN, pv::BankMsr::kTimeEn);
  is(PVPERF_BANK_TIME_RUN, pv::BankMsr::kTimeRun);
  is(PVPERF_BANK_STATE, pv::BankMsr::kState);
}

TEST(PvPerfDriver, HasTheHypervisorsBits) {
  const auto is = [](std::uint64_t ours, auto field) { EXPECT_EQ(ours, field.kMask); };
  is(PVPERF_FEATURE_PVPERF, pv::Features::kPvPerf);
  is(PVPERF_FEATURE_AREA, pv::Features::kArea);
  is(PVPERF_FEATURE_BATCH, pv::Features::kBatch);
  is(PVPERF_FEATURE_RDPMC_TRAP, pv::Features::kRdpmcTrap);
  is(PVPERF_FEATURE_RDPMC_NATIVE, pv::Features::kRdpmcNative);
  is(PVPERF_FEATURE_LVTPC, pv::Features::kLvtpc);
  is(PVPERF_FEATURE_AUTORELOAD, pv::Features::kAutoReload);
  is(PVPERF_FEATURE_BREAKPOINT, pv::Features::kBreakpoint);
  is(PVPERF_FEATURE_BRANCH_STACK, pv::Features::kBranchStack);
  is(PVPERF_FEATURE_RAW, pv::Features::kRaw);
  is(PVPERF_FEATURE_SCALE_TIME, pv::Features::kScaleTime);
  is(PVPERF_FEATURE_POOL_SAFE, pv::Features::kPoolSafe);
  is(PVPERF_FEATURE_HYPERCALLS, pv::Features::kHypercalls);
  is(PVPERF_AREA_ENABLE, pv::Area::kEnable);
  is(PVPERF_BATCH_STOP, pv::Batch::kStop);
  is(PVPERF_BATCH_LOAD, pv::Batch::kLoad);
  is(PVPERF_BATCH_START, pv::Batch::kStart);
  is(PVPERF_BATCH_SNAP, pv::Batch::kSnap);
  is(PVPERF_USR, pv::Evtsel::kUsr);
  is(PVPERF_OS, pv::Evtsel::kOs);
  is(PVPERF_EN, pv::Evtsel::kEn);
  is(PVPERF_INT, pv::Evtsel::kInt);
  is(PVPERF_STATE_RUNNING, pv::State::kRunning);
  is(PVPERF_STATE_NOT_STARTED, pv::State::kNotStarted);
  is(PVPERF_STATE_REFUSED, pv::State::kRefused);
  is(PVPERF_STATE_THROTTLED, pv::State::kThrottled);
  is(std::uint64_t{0xff} << PVPERF_STATE_CODE_SHIFT, pv::State::kCode);
  is(PVPERF_HOST_RDPMC, pv::HostFlags::kRdpmc);
  is(PVPERF_HOST_PERIODIC, pv::HostFlags::kPeriodic);
  is(PVPERF_SET_EVTSEL, pv::CommandFlags::kSetEvtsel);
  is(PVPERF_SET_COUNT, pv::CommandFlags::kSetCount);
  is(PVPERF_SET_PERIOD, pv::CommandFlags::kSetPeriod);
  is(PVPERF_CALL_EXCLUDE_USER, pv::CallFlags::kExcludeUser);
  is(PVPERF_CALL_EXCLUDE_KERNEL, pv::CallFlags::kExcludeKernel);
  is(PVPERF_CALL_INTERRUPT, pv::CallFlags::kInterrupt);
  is(PVPERF_CALL_TIME_ENABLED, pv::CallReadFormat::kTimeEnabled);
  is(PVPERF_CALL_TIME_RUNNING, pv::CallReadFormat::kTimeRunning);
  is(PVPERF_CALL_OVERFLOWED, pv::CallStatus::kOverflowed);
}

TEST(PvPerfDriver, HasTheHypervisorsEvents) {
  for (unsigned event = 0; event < pv::kGenericEvents; ++event) {
    const std::uint64_t evtsel =
        pvperf_generic(static_cast<pvperf_generic_event>(event), PVPERF_USR);
    const pv::Evtsel theirs{evtsel};
    EXPECT_EQ(theirs.get(pv::Evtsel::kType), static_cast<unsigned>(pv::Type::kGeneric));
    EXPECT_EQ(theirs.get(pv::Evtsel::kCode), event);
    EXPECT_EQ(evtsel, event << 8 | pv::Evtsel::kUsr.kMask | pv::Evtsel::kEn.kMask);
  }
  EXPECT_EQ(PVPERF_REFERENCE_CYCLES, static_cast<int>(pv::Generic::kReferenceCycles));
  EXPECT_EQ(PVPERF_PAGE_FAULT_EXITS, static_cast<int>(pv::Software::kPageFaultExits));
  EXPECT_EQ(PVPERF_TYPE_BREAKPOINT, static_cast<int>(pv::Type::kBreakpoint));
  EXPECT_EQ(PVPERF_NODE + 1U, pv::kCaches);
  EXPECT_EQ(PVPERF_PREFETCH + 1U, pv::kCacheOperations);
  EXPECT_EQ(PVPERF_MISS + 1U, pv::kCacheResults);

  const pv::CacheCode cache{static_cast<std::uint32_t>(
      pv::Evtsel{pvperf_cache(PVPERF_DTLB, PVPERF_WRITE, PVPERF_MISS, 0)}.get(pv::Evtsel::kCode))};
  EXPECT_EQ(cache.get(pv::CacheCode::kCache), 3U);
  EXPECT_EQ(cache.get(pv::CacheCode::kOperation), 1U);
  EXPECT_EQ(cache.get(pv::CacheCode::kResult), 1U);

  const pv::RawCode raw{static_cast<std::uint32_t>(
      pv::Evtsel{pvperf_raw(0xabc, 0x12, 0x34, true, true, 0)}.get(pv::Evtsel::kCode))};
  EXPECT_EQ(raw.get(pv::RawCode::kSelect), 0xabcU);
  EXPECT_EQ(raw.get(pv::RawCode::kUnitMask), 0x12U);
  EXPECT_EQ(raw.get(pv::RawCode::kCmask), 0x34U);
  EXPECT_EQ(raw.get(pv::RawCode::kEdge), 1U);
  EXPECT_EQ(raw.get(pv::RawCode::kInv), 1U);
}

TEST(PvPerfDriver, NamesErrorsAsTheAbiDoes) {
  static constexpr std::array kNames{"OK",     "E_ABI",      "E_RESERVED", "E_ID",     "E_TYPE",
                                     "E_CODE", "E_FILTERED", "E_WIDTH",    "E_PERIOD", "E_NOAREA",
                                     "E_GPA",  "E_BUSY",     "E_HOST",     "E_LVT"};
  static_assert(kNames.size() == pv::kCodes);
  for (unsigned code = 0; code < pv::kCodes; ++code) {
    EXPECT_STREQ(pvperf_code_name(static_cast<pvperf_code>(code)), kNames[code]);
  }
  EXPECT_STREQ(pvperf_code_name(PVPERF_E_ABSENT), "E_ABSENT");
  EXPECT_STREQ(pvperf_code_name(static_cast<pvperf_code>(0x55)), "?");
  EXPECT_STREQ(pvperf_call_error_name(static_cast<int>(pv::CallError::kNoSuchCall)), "ENOSYS");
  EXPECT_STREQ(pvperf_call_error_name(static_cast<int>(pv::CallError::kInvalid)), "EINVAL");
  EXPECT_STREQ(pvperf_call_error_name(static_cast<int>(pv::CallError::kFault)), "EFAULT");
  EXPECT_STREQ(pvperf_call_error_name(static_cast<int>(pv::CallError::kPermission)), "EPERM");
  EXPECT_STREQ(pvperf_call_error_name(static_cast<int>(pv::CallError::kNotSupported)),
               "EOPNOTSUPP");
  EXPECT_STREQ(pvperf_call_error_name(-2), "?");
}

}  // namespace
