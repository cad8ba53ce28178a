// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/pmu_request.hpp"

#include <string>

#include <gtest/gtest.h>

namespace vpmu::virt::x86 {
namespace {

using silicon::x86::CpuModel;
using silicon::x86::Vendor;

CpuModel intel_model() {
  CpuModel model{};
  model.name = "intel";
  model.pmu = {.version = 5,
               .gp_counters = 8,
               .gp_width = 48,
               .fixed_counters = 4,
               .fixed_width = 48,
               .arch_event_length = 8,
               .arch_events_unavailable = 0x80,
               .perf_capabilities = 1 << 13};
  return model;
}

CpuModel amd_model() {
  CpuModel model{};
  model.name = "amd";
  model.vendor = Vendor::kAmd;
  model.pmu = {.version = 2, .gp_counters = 6, .gp_width = 48};
  return model;
}

PmuConfig granted(const CpuModel& model, const PmuRequest& request) {
  const auto config = restrict_pmu(model, request);
  EXPECT_TRUE(config.has_value()) << config.error().message;
  EXPECT_TRUE(!config || possible(*config));
  return config.value_or(PmuConfig{});
}

void expect_refused(const CpuModel& model, const PmuRequest& request, const std::string& key,
                    const std::string& remedy) {
  const auto config = restrict_pmu(model, request);
  ASSERT_FALSE(config.has_value()) << key;
  const std::string& message = config.error().message;
  EXPECT_EQ(message.compare(0, key.size(), key), 0) << message;
  EXPECT_NE(message.find(remedy), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

TEST(PmuRequest, NoWishGivesWhatKvmGives) {
  EXPECT_EQ(granted(intel_model(), {}), guest_pmu(intel_model()));
  EXPECT_EQ(granted(amd_model(), {}), guest_pmu(amd_model()));
}

TEST(PmuRequest, EveryVersionUpToTheModelsCanBeHad) {
  for (unsigned version = 1; version <= 5; ++version) {
    const PmuConfig config = granted(intel_model(), {.version = version});
    EXPECT_EQ(config.version, version);
    EXPECT_EQ(config.gp_counters, 8);
    EXPECT_EQ(config.fixed_counters, version == 1 ? 0 : version < 5 ? 3 : 4);
    EXPECT_EQ(config.arch_event_length, 8);
    EXPECT_EQ(config.arch_events_unavailable, 0x80u);
    EXPECT_TRUE(config.has_perf_capabilities);
    EXPECT_FALSE(config.freeze_on_pmi);
  }
  for (unsigned version = 1; version <= 2; ++version) {
    const PmuConfig config = granted(amd_model(), {.version = version});
    EXPECT_EQ(config.version, version);
    EXPECT_EQ(config.gp_counters, 6);
    EXPECT_TRUE(config.core_extension);
  }
}

TEST(PmuRequest, WishesAreGranted) {
  const PmuConfig config = granted(intel_model(), {.version = 4,
                                                   .gp = 2,
                                                   .fixed = 1,
                                                   .width = 40,
                                                   .fixed_width = 32,
                                                   .full_width = false,
                                                   .freeze = true,
                                                   .any_thread = true});
  EXPECT_EQ(config.gp_counters, 2);
  EXPECT_EQ(config.fixed_counters, 1);
  EXPECT_EQ(config.gp_width, 40);
  EXPECT_EQ(config.fixed_width, 32);
  EXPECT_EQ(config.perf_capabilities, 0u);
  EXPECT_TRUE(config.freeze_on_pmi);
  EXPECT_TRUE(has_any_thread(config));
  EXPECT_EQ(granted(intel_model(), {.fixed = 0}).fixed_counters, 0);
  EXPECT_TRUE(granted(amd_model(), {.host_guest_only = true}).host_guest_only);
}

TEST(PmuRequest, WithoutAVersionItIsKvms) {
  EXPECT_EQ(granted(intel_model(), {.gp = 4}).version, 2);
}

TEST(PmuRequest, CountsOfAmdFollowItsGeneration) {
  EXPECT_FALSE(granted(amd_model(), {.version = 1, .core_extension = false}).core_extension);
  EXPECT_EQ(granted(amd_model(), {.version = 1, .core_extension = false}).gp_counters, 4);
  EXPECT_FALSE(granted(amd_model(), {.version = 1, .gp = 4}).core_extension);
  EXPECT_EQ(granted(amd_model(), {.version = 2, .gp = 5}).gp_counters, 5);
}

TEST(PmuRequest, TransactionsFollowTheModel) {
  CpuModel model = intel_model();
  model.tsx = true;
  EXPECT_TRUE(granted(model, {.version = 2}).tsx);
  EXPECT_TRUE(guest_pmu(model).tsx);
}

TEST(PmuRequest, WhatIntelCannotHaveIsRefusedWithTheRemedy) {
  const CpuModel intel = intel_model();
  expect_refused(intel, {.version = 0}, "version=0", "1 to 5");
  expect_refused(intel, {.version = 6}, "version=6", "1 to 5");
  expect_refused(intel, {.gp = 0}, "gp=0", "1 to 8");
  expect_refused(intel, {.gp = 9}, "gp=9", "1 to 8");
  expect_refused(intel, {.version = 1, .fixed = 3}, "fixed", "version=2");
  expect_refused(intel, {.version = 1, .fixed_width = 48}, "fixed", "version=2");
  expect_refused(intel, {.version = 4, .fixed = 4}, "fixed=4", "need version=5");
  expect_refused(intel, {.version = 5, .fixed = 5}, "fixed=5", "0 to 4");
  expect_refused(intel, {.fixed = 0, .fixed_width = 48}, "fixed-width", "leave it out");
  expect_refused(intel, {.width = 49}, "width=49", "32 to 48");
  expect_refused(intel, {.width = 31}, "width=31", "32 to 48");
  expect_refused(intel, {.fixed_width = 49}, "fixed-width=49", "32 to 48");
  expect_refused(intel, {.version = 1, .freeze = true}, "freeze=on", "version=2");
  for (const unsigned version : {1u, 2u, 5u}) {
    expect_refused(intel, {.version = version, .any_thread = true}, "anythread=on", "version=3");
  }
  expect_refused(intel, {.host_guest_only = false}, "hgonly", "leave it out");
  expect_refused(intel, {.core_extension = true}, "corext", "leave it out");
}

// ---- Last branch records ------------------------------------------------------------------------

CpuModel with_lbr(silicon::x86::LbrFormat format) {
  CpuModel model = intel_model();
  model.lbr = {.format = format, .depth = 32, .depths = 0b1011, .call_stack = true};
  return model;
}

TEST(PmuRequest, LastBranchRecordsAreThereOnlyIfAskedFor) {
  const CpuModel model = with_lbr(silicon::x86::LbrFormat::kInfo);
  EXPECT_EQ(guest_pmu(model).perf_capabilities, 1u << 13);
  EXPECT_EQ(granted(model, {.version = 2}).perf_capabilities, 1u << 13);
  EXPECT_EQ(granted(model, {.lbr = false}), guest_pmu(model));
  for (unsigned version = 1; version <= 5; ++version) {
    EXPECT_EQ(granted(model, {.version = version, .lbr = true}).perf_capabilities, 1u << 13 | 5);
  }
  EXPECT_EQ(granted(model, {.full_width = false, .lbr = true}).perf_capabilities, 5u);
  EXPECT_EQ(granted(model, {.lbr = true}).version, 2) << "what KVM gives is enough";
}

TEST(PmuRequest, ArchitecturalRecordsTakeTheLeastVersionThatHasThem) {
  const CpuModel model = with_lbr(silicon::x86::LbrFormat::kArchitectural);
  const PmuConfig config = granted(model, {.lbr = true});
  EXPECT_EQ(config.version, 4);
  EXPECT_EQ(config.perf_capabilities, 1u << 13 | 0x3f);
  EXPECT_EQ(granted(model, {.version = 5, .lbr = true}).version, 5);
  EXPECT_EQ(granted(model, {.lbr = false}).version, 2);
  for (unsigned version = 1; version <= 3; ++version) {
    expect_refused(model, {.version = version, .lbr = true}, "lbr=on", "give version=4 or higher");
  }
}

TEST(PmuRequest, RecordsThatCannotBeHadAreRefusedWithTheReason) {
  expect_refused(amd_model(), {.lbr = true}, "lbr=on", "only Intel's are modelled");
  EXPECT_EQ(granted(amd_model(), {.lbr = false}), guest_pmu(amd_model()));
  expect_refused(intel_model(), {.lbr = true}, "lbr=on: intel", "has no last branch records");
  CpuModel model = with_lbr(silicon::x86::LbrFormat::kEipFlags);
  model.lbr.call_stack = false;
  expect_refused(model, {.lbr = true}, "lbr=on: intel", "call-stack mode");
  model = with_lbr(silicon::x86::LbrFormat::kInfo);
  model.pmu.perf_capabilities = 0;
  expect_refused(model, {.lbr = true}, "lbr=on: intel", "no IA32_PERF_CAPABILITIES");
}

TEST(PmuRequest, WhatTheModelLacksIsRefused) {
  CpuModel small = intel_model();
  small.pmu.version = 3;
  small.pmu.gp_counters = 4;
  small.pmu.fixed_counters = 2;
  small.pmu.perf_capabilities = 0;
  expect_refused(small, {.version = 4}, "version=4", "1 to 3");
  expect_refused(small, {.gp = 5}, "gp=5", "1 to 4");
  expect_refused(small, {.fixed = 3}, "fixed=3", "0 to 2");
  expect_refused(small, {.full_width = true}, "fullwidth=on", "fullwidth=off");
  small.pmu.version = 0;
  expect_refused(small, {.version = 1}, "intel has no PMU", "give it none");
}

TEST(PmuRequest, WhatAmdCannotHaveIsRefusedWithTheRemedy) {
  const CpuModel amd = amd_model();
  expect_refused(amd, {.version = 3}, "version=3", "1 to 2");
  expect_refused(amd, {.gp = 3}, "gp=3", "4 to 6");
  expect_refused(amd, {.gp = 7}, "gp=7", "4 to 6");
  expect_refused(amd, {.version = 1, .gp = 5}, "gp=5", "give 6");
  expect_refused(amd, {.version = 1, .gp = 6, .core_extension = false}, "gp=6", "give 4");
  expect_refused(amd, {.version = 1, .gp = 4, .core_extension = true}, "gp=4", "give 6");
  expect_refused(amd, {.version = 2, .core_extension = false}, "corext=off", "version=1");
  expect_refused(amd, {.width = 40}, "width=40", "give 48");
  expect_refused(amd, {.fixed = 1}, "fixed", "leave it out");
  expect_refused(amd, {.fixed_width = 48}, "fixed-width", "leave it out");
  expect_refused(amd, {.full_width = true}, "fullwidth", "leave it out");
  expect_refused(amd, {.freeze = true}, "freeze", "leave it out");
  expect_refused(amd, {.any_thread = true}, "anythread", "leave it out");
}

TEST(PmuRequest, EveryModelGrantsEveryVersionThatItHas) {
  for (const CpuModel* model : silicon::x86::cpu_models()) {
    for (unsigned version = 1; version <= model->pmu.version; ++version) {
      EXPECT_EQ(granted(*model, {.version = version}).version, version) << model->name;
    }
  }
}

}  // namespace
}  // namespace vpmu::virt::x86
