// SPDX-License-Identifier: MIT
//
// 256 MiB of a trace of SPE: our decoder in memory; `vpmu report --spe` and `vpmu export --format
// packets` on a perf.data of it, and `perf report -D`, which prints its packets as the latter does,
// as processes, by CPU time. What is printed goes nowhere.
//
// Without perf there is nothing to compare with; our own rows are measured all the same.
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/support/build_files.hpp"
#include "bench/support/child.hpp"
#include "bench/support/cpu_time.hpp"
#include "bench/support/temporary_profile.hpp"
#include "profile/perf_data/spe_writer.hpp"
#include "profile/spe/record_decoder.hpp"

namespace vpmu::bench {
namespace {

using namespace silicon::arm64;

constexpr std::size_t kTraceBytes = std::size_t{256} << 20;

/// What a guest's unit writes with timestamps and physical addresses, aligned to 64 bytes: a third
/// loads, a sixth stores, a sixth branches.
std::vector<std::uint8_t> make_trace() {
  std::mt19937_64 random{1};
  std::vector<std::uint8_t> trace;
  trace.reserve(kTraceBytes + SpeRecord::kLongest);
  for (std::uint64_t time = 0; trace.size() < kTraceBytes; ++time) {
    SpeOperation operation;
    const std::uint64_t kind = random() % 6;
    operation.pc = {0x4020'0000 + random() % 0x4000 / 4 * 4, static_cast<std::uint8_t>(kind % 2)};
    if (kind < 3) {
      const bool load = kind < 2;
      operation.type = {SpeOperationType::Class::kLoadStore,
                        static_cast<std::uint8_t>(load ? 0 : 1)};
      operation.loads = load;
      operation.has_address = true;
      operation.virtual_address = operation.physical_address = 0x8000'0000 + random() % (1 << 24);
      if (load) operation.source = SpeDataSource::kL1d;
    } else if (kind == 3) {
      operation.type.of = SpeOperationType::Class::kBranch;
      operation.target = SpeOperation::Place{operation.pc.address + 64, 0};
    }
    operation.total_latency = static_cast<std::uint32_t>(random() % 300);
    const auto record = encode(
        operation,
        {.physical_address = true, .data_source = true, .timestamp = time * 1000, .align = 6});
    trace.insert(trace.end(), record.bytes().begin(), record.bytes().end());
  }
  return trace;
}

const std::vector<std::uint8_t>& trace() {
  static const std::vector<std::uint8_t> bytes = make_trace();
  return bytes;
}

/// The trace as perf.data, until the process ends.
class File {
 public:
  File() {
    using namespace profile::perf_data;
    WriterConfig config;
    config.arch = "aarch64";
    config.cpu_id = "0x00000000410fd0c0";
    config.guest = "bench";
    auto writer = SpeWriter::create(path(), config, {.config = 3, .period = 1024, .time = {}});
    if (!writer) {
      error_ = writer.error().message;
      return;
    }
    (*writer)->add(0, trace());
    if (const auto finished = (*writer)->finish(); !finished) error_ = finished.error().message;
  }
  [[nodiscard]] const std::string& path() const { return file_.path(); }
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  TemporaryProfile file_{"spe"};
  std::string error_;
};

void decode(benchmark::State& state) {
  const auto& bytes = trace();
  for (auto _ : state) {
    const double begin = cpu_seconds();
    std::uint64_t sum = 0;
    profile::spe::RecordDecoder decoder;
    decoder.decode(bytes, [&sum](const profile::spe::Record& record) {
      sum += record.address[0] ^ record.latency[0] ^ record.events;
    });
    benchmark::DoNotOptimize(sum);
    state.SetIterationTime(cpu_seconds() - begin);
    const auto& totals = decoder.finish();
    if (totals.bytes != bytes.size() || totals.bad_bytes != 0 || totals.cut_short) {
      state.SkipWithError("the trace was not read as it was written");
      return;
    }
    state.counters["records"] = static_cast<double>(totals.records);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
BENCHMARK(decode)
    ->Name("spe/decode/vpmu")
    ->UseManualTime()
    ->Unit(benchmark::kSecond)
    ->Iterations(3);

/// `words` are a shell's, the file's path is "$1", and ours "$0".
void of_process(benchmark::State& state, const char* words, bool needs_perf) {
  if (needs_perf && !in_path("perf")) {
    state.SkipWithError("there is no perf to compare with");
    return;
  }
  static const File file;
  if (!file.error().empty()) {
    state.SkipWithError(file.error().c_str());
    return;
  }
  for (auto _ : state) {
    const auto run = run_child({"sh", "-c", words, vpmu_path(), file.path()});
    if (!run || run->status != 0) {
      const std::string error = run ? run->output : run.error().message;
      state.SkipWithError(error.c_str());
      return;
    }
    state.SetIterationTime(run->cpu_seconds);
    state.counters["wall_s"] = run->wall_seconds;
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(trace().size()));
}

void add(const char* name, const char* words, bool needs_perf, int times) {
  benchmark::RegisterBenchmark(name, of_process, words, needs_perf)
      ->UseManualTime()
      ->Unit(benchmark::kSecond)
      ->Iterations(1)
      ->Repetitions(times);
}
/// perf takes minutes.
const bool kAdded = [] {
  add("spe/report/vpmu", R"("$0" report --spe "$1" >/dev/null)", false, 3);
  add("spe/packets/vpmu", R"("$0" export --format packets "$1" >/dev/null)", false, 3);
  add("spe/packets/perf", R"(perf report -D -i "$1" >/dev/null)", true, 1);
  return true;
}();

}  // namespace
}  // namespace vpmu::bench
