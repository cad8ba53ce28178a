// SPDX-License-Identifier: MIT
//
// What the snapshots of all architectures have in common, for those who write and read them.
#pragma once

#include <cstdint>
#include <string>

#include "machine/guest_machine.hpp"
#include "machine/snapshot/records.hpp"
#include "machine/snapshot/snapshot.hpp"

namespace vpmu::machine::snapshot {

struct Reader::Private {
  RecordReader records;
  Header header;
};

/// What any machine can say of itself.
void describe(const GuestMachine& machine, const Guest& guest, proto::Header& header);

// Errors. Those that are not of the file itself are such that another file helps.
tl::unexpected<Error> unknown_model(const Header& header, const std::string& name);
tl::unexpected<Error> host_has_events(const Header& header);
tl::unexpected<Error> damaged_vcpu(unsigned vcpu, const Error& error);
tl::unexpected<Error> wrong_architecture(const Header& header);
Result<void> check_memory(const Header& header, std::uint64_t most_memory);

}  // namespace vpmu::machine::snapshot
