// SPDX-License-Identifier: MIT
#include "machine/snapshot/snapshot.hpp"

#include <utility>

#include "base/user_text.hpp"
#include "machine/snapshot/arm64_messages.hpp"
#include "machine/snapshot/envelope.hpp"
#include "machine/snapshot/memory_records.hpp"
#include "machine/snapshot/messages.hpp"
#include "machine/snapshot/state_records.hpp"

namespace vpmu::machine::snapshot {

// ---- Saving -------------------------------------------------------------------------------------

void describe(const GuestMachine& machine, const Guest& guest, proto::Header& header) {
  const GuestFacts facts = machine.facts();
  header.set_vpmu_version(VPMU_VERSION);
  header.set_architecture(name(facts.architecture));
  header.set_image(guest.image);
  header.set_arguments(guest.arguments);
  header.set_cpu_model(std::string{facts.cpu_model});
  header.set_host_cpu_model(std::string{facts.host_cpu_model});
  header.set_vcpus(facts.vcpus);
  header.set_memory_bytes(facts.memory_bytes);
  header.set_quantum(facts.quantum);
}

namespace {
using Kind = proto::Record;

Result<void> write_header(const Machine& machine, const Guest& guest, RecordWriter& writer) {
  proto::Record record;
  proto::Header& header = *record.mutable_header();
  const MachineConfig& config = machine.config();
  describe(machine, guest, header);
  encode(machine.pmu_config(), *header.mutable_pmu());
  header.set_host_cpus(config.host_cpus);
  for (const HostEvent& event : config.host_events) encode(event, *header.add_host_events());
  if (config.pv_perf) encode(*config.pv_perf, *header.mutable_pv_perf());
  if (config.pv_perf_raw != nullptr) {
    encode_image(config.pv_perf_raw->image(), *header.mutable_pv_perf_raw());
  }
  return writer.write(record);
}

constexpr StateMessages<proto::Machine, proto::Vcpu> kMessages{
    .machine_kind = Kind::kMachine,
    .vcpu_kind = Kind::kVcpu,
    .new_machine = &proto::Record::mutable_machine,
    .new_vcpu = &proto::Record::mutable_vcpu,
    .machine = &proto::Record::machine,
    .vcpu = &proto::Record::vcpu,
};

}  // namespace

Result<void> save(Machine& machine, const Guest& guest, Output& output) {
  RecordWriter writer{output};
  if (auto done = writer.begin(); !done) return done;
  if (auto done = write_header(machine, guest, writer); !done) return done;
  if (auto done = write_state(machine.save(), kMessages, writer); !done) return done;
  if (auto done = write_memory(machine.board().memory, writer); !done) return done;
  return writer.end();
}

// ---- Restoring ----------------------------------------------------------------------------------

tl::unexpected<Error> unknown_model(const Header& header, const std::string& name) {
  return fail("its CPU model " + in_quotes(name) + " is not known here; restore it with vpmu " +
              header.vpmu_version);
}

tl::unexpected<Error> host_has_events(const Header& header) {
  return fail("its host, a " + header.host_cpu_model +
              ", has events of its own; leave --host-cpu out, or save it without --host-event "
              "and --host-script");
}

tl::unexpected<Error> damaged_vcpu(unsigned vcpu, const Error& error) {
  return damaged("vCPU " + std::to_string(vcpu) + ": " + error.message);
}

tl::unexpected<Error> wrong_architecture(const Header& header) {
  return fail("its guest is for " + std::string{name(header.architecture)} +
              "; restore it on a machine for that");
}

Result<void> check_memory(const Header& header, std::uint64_t most_memory) {
  if (header.memory_bytes <= most_memory) return {};
  return fail("its guest has " + std::to_string(header.memory_bytes) +
              " bytes of memory, and at most " + std::to_string(most_memory) +
              " are restored; save a smaller guest");
}

namespace {
Result<const silicon::x86::CpuModel*> known_model(const Header& header, const std::string& name) {
  if (const auto* model = silicon::x86::find_cpu_model(name)) return model;
  return unknown_model(header, name);
}

/// What the guest has of its old host, and no other one has.
Result<void> can_leave_host(const Header& header, const Host& host) {
  if (!header.host_events.empty()) {
    return host_has_events(header);
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
  if (auto fits = check_memory(header, most_memory); !fits) return tl::unexpected(fits.error());
  config.vcpus = header.vcpus;
  config.memory_bytes = header.memory_bytes;
  config.quantum = header.quantum;
  config.pmu = header.pmu;
  config.host_cpus = header.host_cpus;
  return config;
}

}  // namespace

// ---- The header ---------------------------------------------------------------------------------

namespace {
/// What only the machine of its architecture has.
Result<void> decode_x86_part(const proto::Header& from, Header& header) {
  if (from.has_pv_perf()) {
    if (auto done = decode(from.pv_perf(), header.pv_perf.emplace()); !done) return done;
  }
  if (!from.pv_perf_raw().empty()) {
    auto done = decode_image(from.pv_perf_raw(), header.pv_perf_raw.emplace());
    if (!done) return done;
  }
  if (!from.has_pmu()) return fail("its PMU is missing");
  return decode(from.pmu(), header.pmu);
}

Result<void> decode_arm64_part(const proto::Header& from, Header& header) {
  if (!from.has_arm64_pmu()) return fail("its PMU is missing");
  if (from.has_spe()) {
    if (auto done = decode(from.spe(), header.spe.emplace()); !done) return done;
  }
  return decode(from.arm64_pmu(), header.arm64_pmu);
}

Result<Architecture> architecture_of(const proto::Header& from, const Header& header) {
  for (const Architecture each : {Architecture::kX86, Architecture::kArm64}) {
    if (from.architecture() == name(each)) return each;
  }
  return fail("its architecture " + in_quotes(from.architecture()) +
              " is not known here; restore it with vpmu " + header.vpmu_version);
}
}  // namespace

Reader::Reader(Input& input) : private_{new Private{RecordReader{input}, {}}} {}

Reader::~Reader() = default;

Result<Header> Reader::header() {
  RecordReader& records = private_->records;
  if (auto done = records.begin(); !done) return tl::unexpected(done.error());
  proto::Record record;
  if (auto done = records.read(record, Kind::kHeader); !done) return tl::unexpected(done.error());
  const proto::Header& from = record.header();
  Header& header = private_->header;
  header.vpmu_version = one_line(from.vpmu_version());
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
  const auto architecture = architecture_of(from, header);
  if (!architecture) return tl::unexpected(architecture.error());
  header.architecture = *architecture;
  auto done = *architecture == Architecture::kArm64 ? decode_arm64_part(from, header)
                                                    : decode_x86_part(from, header);
  if (!done) return damaged(done.error().message);
  return header;
}

Result<std::unique_ptr<Machine>> Reader::machine(Console& console, TraceSink* trace,
                                                 std::uint64_t most_memory,
                                                 virt::x86::LbrObserver* lbr_observer,
                                                 const Host& host) {
  if (private_->header.architecture != Architecture::kX86)
    return wrong_architecture(private_->header);
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
  const auto state = read_state<MachineState>(config->vcpus, kMessages, private_->records);
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
