// SPDX-License-Identifier: MIT
//
// What a sample of the Statistical Profiling Extension costs: to know when it is due, to take it,
// to write its record.
#include <array>
#include <cstdint>
#include <cstring>
#include <span>

#include <benchmark/benchmark.h>

#include "vpmu/base/ensure.hpp"
#include "vpmu/silicon/arm64/cpu_model.hpp"
#include "vpmu/silicon/arm64/spe_record.hpp"
#include "vpmu/silicon/arm64/spe_unit.hpp"

namespace vpmu::bench {

namespace {

using namespace silicon::arm64;

/// A load with all there is to say of it: 57 bytes.
constexpr SpeOperation kLoad{.pc = {.address = 0xffff'8000'1000'0000, .level = 1},
                             .type = {SpeOperationType::Class::kLoadStore, 0},
                             .events = kSpeRetired | kSpeL1dAccess | kSpeTlbAccess,
                             .loads = true,
                             .has_address = true,
                             .virtual_address = 0xffff'0000'1234'5678,
                             .physical_address = 0x8123'4678,
                             .source = SpeDataSource::kL1d,
                             .total_latency = 9,
                             .issue_latency = 4,
                             .translation_latency = 1};

/// A buffer that there is always room in.
class Buffer final : public SpeBuffer {
 public:
  static constexpr std::uint64_t kBase = 0x4000'0000;

  tl::expected<void, Fault> write(std::uint64_t address,
                                  std::span<const std::uint8_t> bytes) override {
    std::memcpy(bytes_.data() + (address - kBase) % (bytes_.size() / 2), bytes.data(),
                bytes.size());
    return {};
  }

 private:
  std::array<std::uint8_t, 1 << 16> bytes_{};
};

/// neoverse-n1's, at the interval that it recommends.
void set_up(SpeUnit& unit) {
  unit.set_owner({.pmscr_el2 = mask_of(PmscrEl2::kPa)});
  for (const auto& [which, value] :
       {std::pair<SystemRegister, std::uint64_t>{reg::PMBPTR_EL1, Buffer::kBase},
        {reg::PMBLIMITR_EL1, std::uint64_t{1} << 55 | 1},
        {reg::PMSIRR_EL1, 0x401},
        {reg::PMSCR_EL1, 0x3b}}) {
    ensure(unit.write(which, value).is_done());
  }
}

void next_sample(benchmark::State& state, SpeUnit& unit) {
  for (auto _ : state) {
    unit.pass(unit.until_sample() - 1);
    unit.sample(kLoad);
  }
  state.SetItemsProcessed(state.iterations());
}

void spe_record(benchmark::State& state) {
  const SpeRecordOptions options{.context_el1 = true,
                                 .physical_address = true,
                                 .data_source = true,
                                 .timestamp = 1,
                                 .align = 6};
  for (auto _ : state) benchmark::DoNotOptimize(encode(kLoad, options).bytes().data());
}
BENCHMARK(spe_record)->Name("spe_unit/record");

void spe_sample_written(benchmark::State& state) {
  Buffer buffer;
  SpeUnit unit{find_cpu_model("neoverse-n1")->spe, 1, buffer};
  set_up(unit);
  next_sample(state, unit);
  ensure(unit.statistics().records == static_cast<std::uint64_t>(state.iterations()));
}
BENCHMARK(spe_sample_written)->Name("spe_unit/sample_written");

void spe_sample_filtered_out(benchmark::State& state) {
  Buffer buffer;
  SpeUnit unit{find_cpu_model("neoverse-n1")->spe, 1, buffer};
  set_up(unit);
  ensure(unit.write(reg::PMSFCR_EL1, 0x1'0002).is_done());  // branches
  next_sample(state, unit);
  ensure(unit.statistics().filtrate == 0);
}
BENCHMARK(spe_sample_filtered_out)->Name("spe_unit/sample_filtered_out");

void spe_until_sample(benchmark::State& state) {
  Buffer buffer;
  SpeUnit unit{find_cpu_model("neoverse-n1")->spe, 1, buffer};
  set_up(unit);
  for (auto _ : state) benchmark::DoNotOptimize(unit.until_sample());
}
BENCHMARK(spe_until_sample)->Name("spe_unit/until_sample");

}  // namespace
}  // namespace vpmu::bench
