// SPDX-License-Identifier: MIT
//
// A machine with everything in it, on a stream and back: a guest saved at any instruction boundary,
// restored in another process and run to its end cannot tell, and neither can its report.
//
//   snapshot::save(machine, {.image = "guest.elf", .arguments = ""}, output);
//
//   snapshot::Reader reader{input};
//   const auto header = reader.header();           // who is it? refuse it here
//   const auto machine = reader.machine(console, nullptr);
//
// Of arm64 the same with reader.arm64_machine(console): the header says which it is.
//
// Errors are one line: what is wrong, and the remedy. The caller names the file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "machine/architecture.hpp"
#include "machine/arm64_board/machine.hpp"
#include "machine/machine.hpp"
#include "machine/snapshot/format.hpp"
#include "machine/snapshot/stream.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/virt/arm64/pmu_config.hpp"
#include "vpmu/virt/x86/pmu_config.hpp"

namespace vpmu::machine::snapshot {

/// What a report says of a guest, and its machine does not know.
struct Guest {
  std::string image;
  std::string arguments;
};

struct Header {
  std::string vpmu_version;  ///< that saved it
  Architecture architecture = Architecture::kX86;
  Guest guest;
  std::string cpu_model;
  unsigned vcpus = 1;
  std::uint64_t memory_bytes = 0;
  std::uint64_t quantum = 0;
  virt::x86::PmuConfig pmu;            ///< of x86
  virt::arm64::PmuConfig arm64_pmu{};  ///< of arm64
  std::optional<arm64::SpeOffer> spe{};
  unsigned host_cpus = 0;
  std::vector<HostEvent> host_events;
  std::string host_cpu_model;
  std::optional<virt::x86::PvPerfConfig> pv_perf{};
  std::optional<virt::x86::FilterImage> pv_perf_raw{};
};

/// The host that a guest goes on on, where it is another one.
struct Host {
  const silicon::x86::CpuModel* model = nullptr;  ///< null: as it was saved
  /// The raw events that the guest may name in PV perf; null: as it was saved.
  std::shared_ptr<const virt::x86::EventFilter> pv_perf_raw{};
};

/// Between two runs of the machine, whose course it does not change. Untouched and zero pages of
/// RAM take neither time nor room.
Result<void> save(Machine& machine, const Guest& guest, Output& output);
Result<void> save(arm64::Machine& machine, const Guest& guest, Output& output);

class Reader {
 public:
  /// `input` must outlive the reader.
  explicit Reader(Input& input);
  ~Reader();

  /// First. Nothing of the machine is read yet.
  Result<Header> header();
  /// Then: the machine of a guest for x86, ready to run(). A guest with more than `most_memory`
  /// bytes of RAM is refused, and one that does not fit on `host`. All that is passed must outlive
  /// it.
  Result<std::unique_ptr<Machine>> machine(Console& console, TraceSink* trace,
                                           std::uint64_t most_memory = kLargestMemory,
                                           virt::x86::LbrObserver* lbr_observer = nullptr,
                                           const Host& host = {});
  /// Or: the machine of a guest for arm64. `host`: null: as it was saved.
  Result<std::unique_ptr<arm64::Machine>> arm64_machine(
      Console& console, std::uint64_t most_memory = kLargestMemory,
      const silicon::arm64::CpuModel* host = nullptr);

 private:
  struct Private;
  std::unique_ptr<Private> private_;
};

}  // namespace vpmu::machine::snapshot
