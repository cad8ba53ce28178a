// SPDX-License-Identifier: MIT
//
// The memory of guests with SPE to protobuf messages and back. See messages.hpp.
#pragma once

#include "machine/arm64_board/machine.hpp"
#include "machine/snapshot/snapshot.pb.h"
#include "vpmu/base/result.hpp"

namespace vpmu::machine::snapshot {

void encode_spe_memory(const arm64::MachineState& state, proto::Arm64Machine& message);
Result<void> decode_spe_memory(const proto::Arm64Machine& message, arm64::MachineState& state);

}  // namespace vpmu::machine::snapshot
