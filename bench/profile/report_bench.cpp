// SPDX-License-Identifier: MIT
//
// `vpmu report` and `perf report --stdio` on the same file of 1 GB, as processes: CPU time and the
// most memory they had at once. One file has call stacks, one has branch stacks of 32 entries; both
// are of this program as a process, 20,000 different stacks in it, so that both readers find
// symbols. Nobody shows call graphs: perf is told not to, and vpmu does not unless told to.
//
// Without perf there is nothing to compare with, and nothing is measured.
#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/support/build_files.hpp"
#include "bench/support/child.hpp"
#include "bench/support/temporary_profile.hpp"
#include "profile/perf_data/writer.hpp"
#include "profile/symbols/elf_image.hpp"

namespace vpmu::bench {
namespace {

using namespace profile::perf_data;
using Branch = silicon::x86::LbrStack::Decoded;

constexpr std::uint64_t kFileBytes = 1'000'000'000;
constexpr std::size_t kStacks = 20'000;
constexpr std::uint64_t kPeriod = 100'000;

/// This program's code.
Result<WrittenMapping> own_code() {
  const auto image = profile::read_elf_image(own_path());
  if (!image) return tl::unexpected(image.error());
  for (const profile::ElfSegment& segment : image->segments) {
    if (segment.executable) {
      return WrittenMapping{
          segment.address, segment.file_bytes, segment.file_offset, own_path(), {}};
    }
  }
  return fail("this program has no code");
}

/// Stacks as programs have them: most of the way from main() is the same.
std::vector<std::vector<std::uint64_t>> make_stacks(const WrittenMapping& code) {
  std::mt19937_64 random{1};
  const auto address = [&] { return code.start + random() % code.length; };
  std::vector<std::vector<std::uint64_t>> stacks{{address()}};
  while (stacks.size() < kStacks) {
    constexpr std::size_t kDeepest = 48;
    const auto& caller = stacks[random() % stacks.size()];
    if (caller.size() == kDeepest) continue;
    std::vector<std::uint64_t> stack{address()};
    stack.insert(stack.end(), caller.begin(), caller.end());
    stacks.push_back(std::move(stack));
  }
  return stacks;
}

std::vector<std::array<Branch, 32>> make_branches(const WrittenMapping& code) {
  std::mt19937_64 random{2};
  std::vector<std::array<Branch, 32>> all(1'000);
  for (auto& branches : all) {
    const std::uint64_t near = code.start + random() % (code.length - 0x2000);
    for (Branch& branch : branches) {
      branch.from = near + random() % 0x800;
      branch.to = near + random() % 0x800;
      branch.mispredicted = random() % 16 == 0;
      branch.cycles = static_cast<std::uint16_t>(random() % 64);
      branch.type = silicon::x86::BranchType::kConditional;
    }
  }
  return all;
}

/// A recording of 1 GB, as long as this lives.
class File {
 public:
  explicit File(bool branches) {
    if (auto written = write(branches); !written) error_ = written.error().message;
  }
  [[nodiscard]] const std::string& path() const { return file_.path(); }
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  Result<void> write(bool with_branches) {
    const auto code = own_code();
    if (!code) return tl::unexpected(code.error());
    WriterConfig config;
    config.layout = Layout::kProcess;
    config.events = {{.name = "cycles",
                      .attr = {.sample_period = kPeriod},
                      .callchain = !with_branches,
                      .branches = with_branches}};
    config.mappings = {*code};
    config.guest = "bench";
    config.vcpus = 4;
    auto writer = Writer::create(path(), config);
    if (!writer) return tl::unexpected(writer.error());
    const auto stacks = make_stacks(*code);
    const auto branches = make_branches(*code);
    std::mt19937_64 random{3};
    for (std::uint64_t n = 0; (*writer)->bytes() < kFileBytes && !(*writer)->failed(); ++n) {
      hostperf::Sample sample;
      // Few stacks are hot, as in life.
      const std::uint64_t rank = random() % stacks.size() * (random() % stacks.size());
      const auto& stack = stacks[rank / stacks.size()];
      sample.vcpu = static_cast<std::uint32_t>(n % config.vcpus);
      sample.host_cpu = static_cast<hostperf::HostCpu>(sample.vcpu);
      sample.mode = hostperf::SampledMode::kGuestUser;
      sample.time_ns = 1000 * n;
      sample.ip = stack[0];
      sample.period = kPeriod;
      if (with_branches) {
        sample.branches = branches[rank % branches.size()];
      } else {
        sample.callchain = stack;
      }
      (*writer)->on_sample(sample);
    }
    return (*writer)->finish();
  }

  TemporaryProfile file_{"report"};
  std::string error_;
};

/// The files are made when they are wanted first, and one is there at a time.
const File& file_with(bool branches) {
  static std::unique_ptr<File> file;
  static bool has_branches = false;
  if (!file || has_branches != branches) {
    file.reset();
    file = std::make_unique<File>(branches);
    has_branches = branches;
  }
  return *file;
}

void measure(benchmark::State& state, bool branches, std::vector<std::string> command) {
  if (!in_path("perf")) {
    state.SkipWithError("there is no perf to compare with");
    return;
  }
  const File& file = file_with(branches);
  if (!file.error().empty()) {
    state.SkipWithError(file.error().c_str());
    return;
  }
  command.push_back(file.path());
  double memory = 0;
  for (auto _ : state) {
    const auto run = run_child(command);
    if (!run || run->status != 0 || run->output.find("cycles") == std::string::npos) {
      const std::string error = run ? run->output : run.error().message;
      state.SkipWithError(error.c_str());
      return;
    }
    state.SetIterationTime(run->cpu_seconds);
    memory = static_cast<double>(run->peak_bytes) / (1 << 20);
    state.counters["wall_s"] = run->wall_seconds;
  }
  state.counters["memory_MiB"] = memory;
}

void of_vpmu(benchmark::State& state, bool branches) {
  measure(state, branches, {vpmu_path(), "report"});
}
void of_perf(benchmark::State& state, bool branches) {
  measure(state, branches, {"perf", "report", "--stdio", "--call-graph", "none", "-i"});
}

void add(const char* name, void (*run)(benchmark::State&, bool), bool branches, int times) {
  benchmark::RegisterBenchmark(name, run, branches)
      ->UseManualTime()
      ->Unit(benchmark::kSecond)
      ->Iterations(1)
      ->Repetitions(times);
}
/// perf takes minutes, and nobody has to know to the second.
const bool kAdded = [] {
  add("report/vpmu/call", of_vpmu, false, 3);
  add("report/perf/call", of_perf, false, 1);
  add("report/vpmu/branch", of_vpmu, true, 3);
  add("report/perf/branch", of_perf, true, 1);
  return true;
}();

}  // namespace
}  // namespace vpmu::bench
