// SPDX-License-Identifier: MIT
#include "profile/views/call_chain.hpp"

namespace vpmu::profile {

using perf_data::CpuMode;
using perf_data::Task;

namespace {
// What stock perf never writes into chains, but its ABI has.
constexpr std::uint64_t kContextGuestKernel = ~std::uint64_t{0} - 2176 + 1;
constexpr std::uint64_t kContextGuestUser = ~std::uint64_t{0} - 2560 + 1;

/// The mode that a marker announces; the present one if it is none of those that are known.
CpuMode announced(std::uint64_t marker, CpuMode present) {
  switch (marker) {
    case perf_data::kContextKernel:
      return is_guest(present) ? CpuMode::kGuestKernel : CpuMode::kKernel;
    case perf_data::kContextUser: return is_guest(present) ? CpuMode::kGuestUser : CpuMode::kUser;
    case perf_data::kContextHypervisor: return CpuMode::kHypervisor;
    case kContextGuestKernel: return CpuMode::kGuestKernel;
    case kContextGuestUser: return CpuMode::kGuestUser;
    default: return present;
  }
}
}  // namespace

bool is_guest(CpuMode mode) {
  return mode == CpuMode::kGuestKernel || mode == CpuMode::kGuestUser;
}

void take_call_chain(const perf_data::SampleRecord& sample, CallChain& chain) {
  chain.clear();
  CpuMode mode = sample.task.mode;
  // The first entry is the sample's own address again; what was sampled precisely knows better.
  chain.push_back({sample.ip, mode, false});
  bool own = true;
  for (const std::uint64_t entry : sample.callchain) {
    if (entry >= perf_data::kContextMax) {
      mode = announced(entry, mode);
    } else if (own) {
      own = false;
    } else if (chain.size() < kMostFrames) {
      chain.push_back({entry, mode, true});
    }
  }
}

AddressOwner owner_of(const perf_data::Task& task, CpuMode mode) {
  AddressOwner owner{AddressMode::kHostUser, task.machine_pid, task.pid};
  switch (mode) {
    case CpuMode::kKernel:
    case CpuMode::kHypervisor: owner.mode = AddressMode::kHostKernel; break;
    case CpuMode::kGuestKernel: owner.mode = AddressMode::kGuestKernel; break;
    case CpuMode::kGuestUser: owner.mode = AddressMode::kGuestUser; break;
    case CpuMode::kUser:
    case CpuMode::kUnknown: break;
  }
  return owner;
}

CodeMapping code_of(const perf_data::MappingRecord& mapping) {
  return {owner_of(mapping.task, mapping.task.mode),
          mapping.start,
          mapping.length,
          mapping.file_offset,
          mapping.file,
          mapping.build_id};
}

void share_mappings(const perf_data::ForkRecord& fork, AddressSpaces& spaces) {
  // A thread has its process' already.
  if (fork.parent_pid == fork.task.pid) return;
  const CpuMode mode = is_guest(fork.task.mode) ? CpuMode::kGuestUser : CpuMode::kUser;
  Task parent = fork.task;
  parent.pid = fork.parent_pid;
  spaces.fork(owner_of(parent, mode), owner_of(fork.task, mode));
}

void forget_mappings(const perf_data::CommRecord& comm, AddressSpaces& spaces) {
  if (!comm.exec) return;
  const CpuMode mode = is_guest(comm.task.mode) ? CpuMode::kGuestUser : CpuMode::kUser;
  spaces.unmap(owner_of(comm.task, mode));
}

}  // namespace vpmu::profile
