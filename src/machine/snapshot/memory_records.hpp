// SPDX-License-Identifier: MIT
//
// Guest RAM as records.
#pragma once

#include "machine/guest_memory.hpp"
#include "machine/snapshot/records.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine::snapshot {

/// What is not zero.
Result<void> write_memory(const GuestMemory& memory, RecordWriter& writer);
/// RAM up to the end record, and that. `memory` is all zero before.
Result<void> read_memory(const GuestMemory& memory, RecordReader& reader);

}  // namespace vpmu::machine::snapshot
