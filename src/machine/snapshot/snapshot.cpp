// SPDX-License-Identifier: MIT
#include "machine/snapshot/snapshot.hpp"

#include <algorithm>
#include <utility>

#include "machine/snapshot/guest_pages.hpp"
#include "machine/snapshot/messages.hpp"
#include "machine/snapshot/records.hpp"

namespace vpmu::machine::snapshot {

// ---- Saving -------------------------------------------------------------------------------------

namespace {
using Kind = proto::Record;

Result<void> write_header(const Machine& machine, const Guest& guest, RecordWriter& writer) {
  proto::Record record;
  proto::Header& header = *record.mutable_header();
  const MachineConfig& config = machine.config();
  header.set_vpmu_version(VPMU_VERSION);
  header.set_image(guest.image);
  header.set_arguments(guest.arguments);
  header.set_cpu_model(std::string{config.model->name});
  header.set_vcpus(config.vcpus);
  header.set_memory_bytes(config.memory_bytes);
  header.set_quantum(config.quantum);
  encode(machine.pmu_config(), *header.mutable_pmu());
  header.set_host_cpus(config.host_cpus);
  for (const HostEvent& event : config.host_events) encode(event, *header.add_host_events());
  header.set_host_cpu_model(std::string{config.host().name});
  if (config.pv_perf) encode(*config.pv_perf, *header.mutable_pv_perf());
  if (config.pv_perf_raw != nullptr) {
    encode_image(config.pv_perf_raw->image(), *header.mutable_pv_perf_raw());
  }
  return writer.write(record);
}

Result<void> write_state(const MachineState& state, RecordWriter& writer) {
  proto::Record record;
  encode(state, *record.mutable_machine());
  if (auto done = writer.write(record); !done) return done;
  for (const VcpuState& vcpu : state.vcpus) {
    record.Clear();
    encode(vcpu, *record.mutable_vcpu());
    if (auto done = writer.write(record); !done) return done;
  }
  return {};
}

Result<void> write_memory(const GuestMemory& memory, RecordWriter& writer) {
  proto::Record record;
  return for_each_run(
      memory, kPagesPerChunk,
      [&](std::uint64_t address, std::span<const std::uint8_t> content) -> Result<void> {
        proto::MemoryChunk& chunk = *record.mutable_memory();
        chunk.set_address(address);
        chunk.set_content(content.data(), content.size());
        return writer.write(record);
      });
}
}  // namespace

Result<void> save(Machine& machine, const Guest& guest, Output& output) {
  RecordWriter writer{output};
  if (auto done = writer.begin(); !done) return done;
  if (auto done = write_header(machine, guest, writer); !done) return done;
  if (auto done = write_state(machine.save(), writer); !done) return done;
  if (auto done = write_memory(machine.board().memory, writer); !done) return done;
  return writer.end();
}

// ---- Restoring ----------------------------------------------------------------------------------

namespace {
Result<const silicon::x86::CpuModel*> known_model(const Header& header, const std::string& name) {
  if (const auto* model = silicon::x86::find_cpu_model(name)) return model;
  return fail("its CPU model '" + name + "' is not known here; restore it with vpmu " +
              header.vpmu_version);
}

/// What the guest has of its old host, and no other one has.
Result<void> can_leave_host(const Header& header, const Host& host) {
  if (!header.host_events.empty()) {
    return fail("its host, a " + header.host_cpu_model +
                ", has events of its own; leave --host-cpu out, or save it without --host-event "
                "and --host-script");
  }
  if (header.pv_perf_raw && host.pv_perf_raw == nullptr) {
    return fail("the raw events that it may name are those of a host of " + header.host_cpu_model +
                "; give --pv-perf-raw a file with those of " + std::string{host.model->name});
  }
  return {};
}

Result<void> choose_host(const Header& header, const Host& host, MachineConfig& config) {
  const auto saved = known_model(header, header.host_cpu_model);
  if (!saved) return tl::unexpected(saved.error());
  config.host_model = host.model != nullptr ? host.model : *saved;
  if (config.host_model != *saved) {
    if (auto leaves = can_leave_host(header, host); !leaves) return leaves;
  }
  config.host_events = header.host_events;
  config.pv_perf = header.pv_perf;
  config.pv_perf_raw = host.pv_perf_raw;
  if (!header.pv_perf_raw || host.pv_perf_raw != nullptr) return {};
  auto raw = virt::x86::EventFilter::create(*header.pv_perf_raw, config.host_model->vendor);
  if (!raw) return damaged("the list of its raw events is not one");
  config.pv_perf_raw = std::move(*raw);
  return {};
}

Result<MachineConfig> machine_config(const Header& header, std::uint64_t most_memory,
                                     const Host& host) {
  MachineConfig config;
  const auto model = known_model(header, header.cpu_model);
  if (!model) return tl::unexpected(model.error());
  config.model = *model;
  if (auto chosen = choose_host(header, host, config); !chosen) {
    return tl::unexpected(chosen.error());
  }
  if (header.memory_bytes > most_memory) {
    return fail("its guest has " + std::to_string(header.memory_bytes) +
                " bytes of memory, and at most " + std::to_string(most_memory) +
                " are restored; save a smaller guest");
  }
  config.vcpus = header.vcpus;
  config.memory_bytes = header.memory_bytes;
  config.quantum = header.quantum;
  config.pmu = header.pmu;
  config.host_cpus = header.host_cpus;
  return config;
}

Result<MachineState> read_state(unsigned vcpus, RecordReader& reader) {
  proto::Record record;
  MachineState state;
  if (auto done = reader.read(record, Kind::kMachine); !done) return tl::unexpected(done.error());
  if (auto done = decode(record.machine(), state); !done) return damaged(done.error().message);
  for (unsigned n = 0; n < vcpus; ++n) {
    if (auto done = reader.read(record, Kind::kVcpu); !done) return tl::unexpected(done.error());
    state.vcpus.emplace_back();
    auto done = decode(record.vcpu(), state.vcpus.back());
    if (!done) return damaged("vCPU " + std::to_string(n) + ": " + done.error().message);
  }
  return state;
}

/// RAM up to the end record, and that.
Result<void> read_memory(const GuestMemory& memory, RecordReader& reader) {
  proto::Record record;
  std::uint64_t expected = 0;
  for (;;) {
    auto done = reader.read(record, Kind::kMemory, Kind::kEnd);
    if (!done) return done;
    if (record.kind_case() == Kind::kEnd) return reader.end(record);
    const std::uint64_t address = record.memory().address();
    const std::string& content = record.memory().content();
    const bool whole_pages =
        address % kPageBytes == 0 && content.size() % kPageBytes == 0 && !content.empty();
    std::uint8_t* to = whole_pages ? memory.host(address, content.size()) : nullptr;
    if (to == nullptr || address < expected) return damaged("memory is not where it belongs");
    std::ranges::copy(content, to);
    expected = address + content.size();
  }
}
}  // namespace

struct Reader::Private {
  RecordReader records;
  Header header;
};

Reader::Reader(Input& input) : private_{new Private{RecordReader{input}, {}}} {}

Reader::~Reader() = default;

Result<Header> Reader::header() {
  RecordReader& records = private_->records;
  if (auto done = records.begin(); !done) return tl::unexpected(done.error());
  proto::Record record;
  if (auto done = records.read(record, Kind::kHeader); !done) return tl::unexpected(done.error());
  const proto::Header& from = record.header();
  Header& header = private_->header;
  header.vpmu_version = from.vpmu_version();
  header.guest = {from.image(), from.arguments()};
  header.cpu_model = from.cpu_model();
  header.vcpus = from.vcpus();
  header.memory_bytes = from.memory_bytes();
  header.quantum = from.quantum();
  header.host_cpus = from.host_cpus();
  for (const proto::HostEvent& event : from.host_events()) {
    header.host_events.push_back(decode(event));
  }
  header.host_cpu_model = from.host_cpu_model();
  if (from.has_pv_perf()) {
    auto done = decode(from.pv_perf(), header.pv_perf.emplace());
    if (!done) return damaged(done.error().message);
  }
  if (!from.pv_perf_raw().empty()) {
    auto done = decode_image(from.pv_perf_raw(), header.pv_perf_raw.emplace());
    if (!done) return damaged(done.error().message);
  }
  if (!from.has_pmu()) return damaged("its PMU is missing");
  if (auto done = decode(from.pmu(), header.pmu); !done) return damaged(done.error().message);
  return header;
}

Result<std::unique_ptr<Machine>> Reader::machine(Console& console, TraceSink* trace,
                                                 std::uint64_t most_memory,
                                                 virt::x86::LbrObserver* lbr_observer,
                                                 const Host& host) {
  auto config = machine_config(private_->header, most_memory, host);
  if (!config) return tl::unexpected(config.error());
  config->trace = trace;
  config->lbr_observer = lbr_observer;
  const bool elsewhere =
      config->host().name != private_->header.host_cpu_model || host.pv_perf_raw != nullptr;
  auto machine = Machine::create(*config, console);
  if (!machine) {
    // On its own host that can only be the file.
    if (!elsewhere) return damaged(machine.error().message);
    return tl::unexpected(machine.error());
  }
  if ((*machine)->pmu_config() != private_->header.pmu) {
    return fail("this vpmu cannot give its guest the same PMU; restore it with vpmu " +
                private_->header.vpmu_version);
  }
  const auto state = read_state(config->vcpus, private_->records);
  if (!state) return tl::unexpected(state.error());
  auto memory = read_memory((*machine)->board().memory, private_->records);
  if (!memory) return tl::unexpected(memory.error());
  if (auto done = (*machine)->restore(*state); !done) {
    if (!elsewhere) return damaged(done.error().message);
    return tl::unexpected(done.error());
  }
  return std::move(*machine);
}

}  // namespace vpmu::machine::snapshot
