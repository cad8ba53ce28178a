// SPDX-License-Identifier: MIT
//
// A machine's state as records: one of the machine, and one for each vCPU. The same for every
// architecture, but for which messages those are.
#pragma once

#include "machine/snapshot/arm64_messages.hpp"
#include "machine/snapshot/envelope.hpp"
#include "machine/snapshot/messages.hpp"

namespace vpmu::machine::snapshot {

/// Where a machine's messages are in a record. encode() and decode() know the types.
template <class MachineMessage, class VcpuMessage>
struct StateMessages {
  proto::Record::KindCase machine_kind, vcpu_kind;
  MachineMessage* (proto::Record::*new_machine)();
  VcpuMessage* (proto::Record::*new_vcpu)();
  const MachineMessage& (proto::Record::*machine)() const;
  const VcpuMessage& (proto::Record::*vcpu)() const;
};

template <class State, class Messages>
Result<void> write_state(const State& state, const Messages& messages, RecordWriter& writer) {
  proto::Record record;
  encode(state, *(record.*messages.new_machine)());
  if (auto done = writer.write(record); !done) return done;
  for (const auto& vcpu : state.vcpus) {
    record.Clear();
    encode(vcpu, *(record.*messages.new_vcpu)());
    if (auto done = writer.write(record); !done) return done;
  }
  return {};
}

template <class State, class Messages>
Result<State> read_state(unsigned vcpus, const Messages& messages, RecordReader& reader) {
  proto::Record record;
  State state;
  auto done = reader.read(record, messages.machine_kind);
  if (!done) return tl::unexpected(done.error());
  done = decode((record.*messages.machine)(), state);
  if (!done) return damaged(done.error().message);
  for (unsigned n = 0; n < vcpus; ++n) {
    done = reader.read(record, messages.vcpu_kind);
    if (!done) return tl::unexpected(done.error());
    done = decode((record.*messages.vcpu)(), state.vcpus.emplace_back());
    if (!done) return damaged_vcpu(n, done.error());
  }
  return state;
}

}  // namespace vpmu::machine::snapshot
