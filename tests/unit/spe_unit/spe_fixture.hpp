// SPDX-License-Identifier: MIT
//
// A unit on memory that is a test's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "unit/spe_unit/spe_models.hpp"
#include "vpmu/silicon/arm64/spe_record.hpp"
#include "vpmu/silicon/arm64/spe_unit.hpp"

namespace vpmu::silicon::arm64 {

/// Takes every write, unless it is to fail the next one.
class SpeMemory final : public SpeBuffer {
 public:
  struct Write {
    std::uint64_t address;
    std::vector<std::uint8_t> bytes;
  };

  tl::expected<void, Fault> write(std::uint64_t address,
                                  std::span<const std::uint8_t> bytes) override {
    if (fault) return tl::unexpected(*fault);
    writes.push_back({address, {bytes.begin(), bytes.end()}});
    return {};
  }

  std::optional<Fault> fault;
  std::vector<Write> writes;
};

/// Of an EL1 that profiles both levels to a buffer of 64 KiB, each 257th operation.
class SpeUnitTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kBuffer = 0x4000'0000, kLimit = kBuffer + 0x1'0000;
  static constexpr std::uint64_t kBoth = 3, kEnabled = 1;
  /// PMSIRR_EL1 of the shortest interval, without and with RND.
  static constexpr std::uint64_t kShortest = 0x100, kRandomised = 0x101;
  static constexpr std::uint64_t kFull = 0x2'0001, kCollision = 0x1'0000;

  SpeUnit unit_of(const SpeModel& model, std::uint64_t seed = 1) {
    SpeUnit unit{model, seed, memory_};
    set_up(unit);
    return unit;
  }
  static void set_up(SpeUnit& unit) {
    put(unit, reg::PMBPTR_EL1, kBuffer);
    put(unit, reg::PMSIRR_EL1, kShortest);
    put(unit, reg::PMBLIMITR_EL1, kLimit | kEnabled);
    put(unit, reg::PMSCR_EL1, kBoth);
  }

  static void put(SpeUnit& unit, SystemRegister which, std::uint64_t value) {
    ASSERT_TRUE(unit.write(which, value).is_done());
  }
  static std::uint64_t get(const SpeUnit& unit, SystemRegister which) {
    const Access access = unit.read(which);
    EXPECT_TRUE(access.is_done());
    return access.value();
  }

  /// The next selected operation, which is `operation`.
  static void sample_next(SpeUnit& unit, const SpeOperation& operation) {
    ASSERT_NE(unit.until_sample(), SpeUnit::kNever);
    unit.pass(unit.until_sample() - 1);
    unit.sample(operation);
  }
  /// Whether a sample of `operation` becomes a record.
  bool records(SpeUnit& unit, const SpeOperation& operation) {
    const std::size_t before = memory_.writes.size();
    put(unit, reg::PMBPTR_EL1, kBuffer);
    sample_next(unit, operation);
    return memory_.writes.size() != before;
  }

  SpeMemory memory_;
};

}  // namespace vpmu::silicon::arm64
