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
void encode(const virt::x86::PvPerfConfig& config, proto::PvPerfConfig& message);
void encode(const HostEvent& event, proto::HostEvent& message);

Result<void> decode(const proto::Machine& message, MachineState& state);
Result<void> decode(const proto::Vcpu& message, VcpuState& state);
Result<void> decode(const proto::PmuConfig& message, virt::x86::PmuConfig& config);
Result<void> decode(const proto::PvPerfConfig& message, virt::x86::PvPerfConfig& config);
/// Any message is some event.
HostEvent decode(const proto::HostEvent& message);

/// The structure of the ioctl: header and entries.
void encode_image(const virt::x86::FilterImage& image, std::string& to);
/// Whatever one of the vendors may have: whoever takes the filter asks for its own.
Result<void> decode_image(const std::string& from, virt::x86::FilterImage& image);

}  // namespace vpmu::machine::snapshot
