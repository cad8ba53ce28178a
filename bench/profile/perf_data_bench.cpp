// SPDX-License-Identifier: MIT
//
// Writing and reading perf.data with a branch stack of 32 entries in every sample: 872 bytes each.
// The file is where temporary files are, and gone before it gets to a disk; what the kernel does to
// take it is measured.
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <benchmark/benchmark.h>

#include "bench/support/resident_peak.hpp"
#include "profile/perf_data/reader.hpp"
#include "profile/perf_data/writer.hpp"

namespace vpmu::bench {
namespace {

using namespace profile::perf_data;
using Branch = silicon::x86::LbrStack::Decoded;

constexpr std::uint64_t kSamples = 250'000;
constexpr double kMiB = 1 << 20;

std::string folder() {
  return std::filesystem::temp_directory_path().string();
}

/// A file of this process's own, gone at the end.
struct File {
  std::string path = folder() + "/vpmu_bench-" + std::to_string(getpid()) + ".data";
  ~File() { remove(); }
  void remove() const {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
  }
};

std::array<Branch, 32> loop_branches() {
  std::array<Branch, 32> branches;
  for (std::uint64_t n = 0; n < branches.size(); ++n) {
    branches[n] = {.from = 0x101000 + 0x40 * n,
                   .to = 0x101004 + 0x40 * n,
                   .mispredicted = n % 8 == 0,
                   .cycles = static_cast<std::uint16_t>(n),
                   .type = silicon::x86::BranchType::kConditional};
  }
  return branches;
}

/// An error; empty if all went well.
std::string record(const std::string& path, std::uint64_t samples) {
  static const std::array<Branch, 32> branches = loop_branches();
  WriterConfig config;
  config.events = {{.name = "cycles", .attr = {.sample_period = 1000}, .branches = true}};
  config.guest = "guest";
  auto writer = Writer::create(path, config);
  if (!writer) return writer.error().message;
  hostperf::Sample sample;
  sample.vcpu = 0;
  sample.host_cpu = hostperf::HostCpu{0};
  sample.mode = hostperf::SampledMode::kGuestKernel;
  sample.period = 1000;
  sample.branches = branches;
  for (std::uint64_t n = 0; n < samples; ++n) {
    sample.time_ns = 1000 * n;
    sample.ip = 0x101000 + n % 0x1000;
    (*writer)->on_sample(sample);
  }
  const auto finished = (*writer)->finish();
  return finished ? "" : finished.error().message;
}

void write_samples(benchmark::State& state) {
  const File file;
  const ResidentPeak memory;
  for (auto _ : state) {
    if (const std::string error = record(file.path, kSamples); !error.empty()) {
      state.SkipWithError(error.c_str());
      return;
    }
    state.PauseTiming();
    file.remove();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kSamples));
  state.counters["memory_MiB"] = static_cast<double>(memory.bytes()) / kMiB;
  state.SetLabel(folder());
}
BENCHMARK(write_samples)->Name("perf_data/write")->Unit(benchmark::kMillisecond);

struct Counted final : RecordVisitor {
  void on_sample(const SampleRecord& sample) override {
    ++samples;
    benchmark::DoNotOptimize(sample.branches.data());
  }
  std::uint64_t samples = 0;
};

/// What stands between a file and a view of it.
void read_samples(benchmark::State& state) {
  const File file;
  std::string error = record(file.path, kSamples);
  const ResidentPeak memory;
  for (auto _ : state) {
    Counted counted;
    auto reader = Reader::open(file.path);
    const auto read = reader ? (*reader)->read(counted) : tl::unexpected(reader.error());
    if (error.empty() && !read) error = read.error().message;
    if (error.empty() && counted.samples != kSamples) error = "not all samples were read";
    if (!error.empty()) {
      state.SkipWithError(error.c_str());
      return;
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kSamples));
  state.counters["memory_MiB"] = static_cast<double>(memory.bytes()) / kMiB;
  state.SetLabel(folder());
}
BENCHMARK(read_samples)->Name("perf_data/read")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace vpmu::bench
