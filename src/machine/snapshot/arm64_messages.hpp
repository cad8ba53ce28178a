// SPDX-License-Identifier: MIT
//
// The state of an arm64 machine as protobuf messages, as messages.hpp has it for the others.
#pragma once

#include "machine/arm64_board/machine.hpp"
#include "machine/snapshot/snapshot.pb.h"

namespace vpmu::machine::snapshot {

/// But for the vCPUs, which are messages of their own.
void encode(const arm64::MachineState& state, proto::Arm64Machine& message);
void encode(const arm64::VcpuState& state, proto::Arm64Vcpu& message);
void encode(const virt::arm64::PmuConfig& config, proto::Arm64PmuConfig& message);
void encode(const arm64::SpeOffer& offer, proto::SpeOffer& message);

Result<void> decode(const proto::Arm64Machine& message, arm64::MachineState& state);
Result<void> decode(const proto::Arm64Vcpu& message, arm64::VcpuState& state);
Result<void> decode(const proto::Arm64PmuConfig& message, virt::arm64::PmuConfig& config);
/// Its lists of CPUs are looked at by whoever makes the machine.
Result<void> decode(const proto::SpeOffer& message, arm64::SpeOffer& offer);

}  // namespace vpmu::machine::snapshot
