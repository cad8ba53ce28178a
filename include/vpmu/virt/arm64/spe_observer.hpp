// SPDX-License-Identifier: MIT
//
// Who wants to know when a guest loses samples to its buffer: people, who see no reason in what the
// guest reports.
#pragma once

#include <cstdint>

#include "vpmu/silicon/arm64/spe_registers.hpp"

namespace vpmu::virt::arm64 {

struct SpeTrouble {
  enum class Kind : std::uint8_t {
    kMisprogrammed,  ///< PMBPTR_EL1 is not where a record can go
    kTooLarge,       ///< the buffer is larger than SpeVmConfig::max_buffer_bytes
    kUnavailable,    ///< SpeBufferAnswer::kUnavailable
    kFault,          ///< a record could not be written, as the guest is told
    kReplaced,       ///< the same, and the guest is told something else
  };
  Kind kind{};
  silicon::arm64::Pmbsr syndrome;  ///< the unit's; of buffers that it has not got, the guest's
  std::uint64_t pointer = 0;       ///< PMBPTR_EL1
  std::uint64_t limit = 0;         ///< the first byte behind the buffer
};

class SpeObserver {
 public:
  /// The first trouble of its kind in the vCPU's life: the statistics count all of them. Outside of
  /// the guest.
  virtual void spe_trouble(const SpeTrouble& trouble) = 0;

 protected:
  ~SpeObserver() = default;
};

}  // namespace vpmu::virt::arm64
