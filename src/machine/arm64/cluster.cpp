// SPDX-License-Identifier: MIT
#include "machine/arm64/cluster.hpp"

#include "machine/arm64/exclusive_monitor.hpp"
#include "machine/arm64/instruction_probe.hpp"

namespace vpmu::machine::arm64 {

Cluster::Cluster(const GuestMemory& memory, std::size_t cpus)
    : code_pages_{memory.size() / 4096},
      monitor_{std::make_unique<ExclusiveMonitor>(cpus)},
      probe_{std::make_unique<InstructionProbe>()} {}

Cluster::~Cluster() = default;

}  // namespace vpmu::machine::arm64
