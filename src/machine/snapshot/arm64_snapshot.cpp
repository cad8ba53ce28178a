// SPDX-License-Identifier: MIT
//
// Machines for arm64: what is different from those for x86.
#include <utility>

#include "machine/snapshot/envelope.hpp"
#include "machine/snapshot/memory_records.hpp"
#include "machine/snapshot/snapshot.hpp"
#include "machine/snapshot/state_records.hpp"

namespace vpmu::machine::snapshot {

// ---- Saving -------------------------------------------------------------------------------------

namespace {
using Kind = proto::Record;

Result<void> write_header(const arm64::Machine& machine, const Guest& guest, RecordWriter& writer) {
  proto::Record record;
  proto::Header& header = *record.mutable_header();
  describe(machine, guest, header);
  encode(machine.pmu_config(), *header.mutable_arm64_pmu());
  if (machine.config().spe) encode(*machine.config().spe, *header.mutable_spe());
  header.set_host_cpus(machine.config().host_cpus);
  for (const HostEvent& event : machine.config().host_events) {
    encode(event, *header.add_host_events());
  }
  return writer.write(record);
}

constexpr StateMessages<proto::Arm64Machine, proto::Arm64Vcpu> kMessages{
    .machine_kind = Kind::kArm64Machine,
    .vcpu_kind = Kind::kArm64Vcpu,
    .new_machine = &proto::Record::mutable_arm64_machine,
    .new_vcpu = &proto::Record::mutable_arm64_vcpu,
    .machine = &proto::Record::arm64_machine,
    .vcpu = &proto::Record::arm64_vcpu,
};
}  // namespace

Result<void> save(arm64::Machine& machine, const Guest& guest, Output& output) {
  RecordWriter writer{output};
  if (auto done = writer.begin(); !done) return done;
  if (auto done = write_header(machine, guest, writer); !done) return done;
  if (auto done = write_state(machine.save(), kMessages, writer); !done) return done;
  if (auto done = write_memory(machine.board().memory, writer); !done) return done;
  return writer.end();
}

// ---- Restoring ----------------------------------------------------------------------------------

Result<std::unique_ptr<arm64::Machine>> Reader::arm64_machine(
    Console& console, std::uint64_t most_memory, const silicon::arm64::CpuModel* host) {
  const Header& header = private_->header;
  if (header.architecture != Architecture::kArm64) return wrong_architecture(header);
  const auto* model = silicon::arm64::find_cpu_model(header.cpu_model);
  if (model == nullptr) return unknown_model(header, header.cpu_model);
  const auto* saved_host = silicon::arm64::find_cpu_model(header.host_cpu_model);
  if (saved_host == nullptr) return unknown_model(header, header.host_cpu_model);
  const bool elsewhere = host != nullptr && host != saved_host;
  if (elsewhere && !header.host_events.empty()) return host_has_events(header);
  if (auto fits = check_memory(header, most_memory); !fits) return tl::unexpected(fits.error());
  auto machine = arm64::Machine::create({.model = model,
                                         .host_model = elsewhere ? host : saved_host,
                                         .vcpus = header.vcpus,
                                         .memory_bytes = header.memory_bytes,
                                         .pmu = header.arm64_pmu,
                                         .quantum = header.quantum,
                                         .host_cpus = header.host_cpus,
                                         .host_events = header.host_events,
                                         .spe = header.spe},
                                        console);
  if (!machine) {
    // On its own host that can only be the file.
    if (!elsewhere) return damaged(machine.error().message);
    return tl::unexpected(machine.error());
  }
  const auto state = read_state<arm64::MachineState>(header.vcpus, kMessages, private_->records);
  if (!state) return tl::unexpected(state.error());
  auto memory = read_memory((*machine)->board().memory, private_->records);
  if (!memory) return tl::unexpected(memory.error());
  if (auto done = (*machine)->restore(*state); !done) return damaged(done.error().message);
  return std::move(*machine);
}

}  // namespace vpmu::machine::snapshot
