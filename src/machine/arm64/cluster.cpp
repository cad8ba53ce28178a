// SPDX-License-Identifier: MIT
#include "machine/arm64/cluster.hpp"

#include "machine/arm64/exclusive_monitor.hpp"

namespace vpmu::machine::arm64 {

Cluster::Cluster(const GuestMemory& memory, std::size_t cpus)
    : code_pages_{memory.size() / 4096}, monitor_{std::make_unique<ExclusiveMonitor>(cpus)} {}

Cluster::~Cluster() = default;

}  // namespace vpmu::machine::arm64
