// SPDX-License-Identifier: MIT
//
// The state of a machine as protobuf messages. decode() gives exactly what encode() was given.
#pragma once

#include "machine/machine.hpp"
#include "machine/snapshot/snapshot.pb.h"

namespace vpmu::machine::snapshot {

/// But for the vCPUs, which are messages of their own.
void encode(const MachineState& state, proto::Machine& message);
void encode(const VcpuState& state, proto::Vcpu& message);
void encode(const virt::x86::PmuConfig& config, proto::PmuConfig& message);
void encode(const HostEvent& event, proto::HostEvent& message);

Result<void> decode(const proto::Machine& message, MachineState& state);
Result<void> decode(const proto::Vcpu& message, VcpuState& state);
Result<void> decode(const proto::PmuConfig& message, virt::x86::PmuConfig& config);
/// Any message is some event.
HostEvent decode(const proto::HostEvent& message);

}  // namespace vpmu::machine::snapshot
