// SPDX-License-Identifier: MIT
//
// Which last branch records a CPU model has, as data. Intel SDM vol. 3B chapters 18 (legacy) and 19
// (architectural).
#pragma once

#include <cstdint>

#include "vpmu/base/numbers.hpp"

namespace vpmu::silicon::x86 {

/// IA32_PERF_CAPABILITIES[5:0]: what a record looks like. Modelled are those with a comment.
enum class LbrFormat : std::uint8_t {
  k32 = 0,
  kLip = 1,
  kEip = 2,
  kEipFlags = 3,   ///< FROM[63]: mispredicted
  kEipFlags2 = 4,  ///< FROM[63:61]: mispredicted, and (with TSX) in a transaction, aborted
  kInfo = 5,       ///< an INFO register: flags and cycles
  kTime = 6,
  kInfo2 = 7,
  kArchitectural = 0x3f,  ///< IA32_LBR_CTL and IA32_LBR_DEPTH instead of LBR_SELECT and LBR_TOS
};

struct LbrModel {
  static constexpr unsigned kMaxDepth = 32;

  LbrFormat format = LbrFormat::k32;
  /// Records, a power of two; of architectural LBRs the most there can be. 0: the model has none.
  std::uint8_t depth = 0;
  /// Of architectural LBRs: CPUID.1CH:EAX[7:0], bit n for a depth of 8 * (n + 1).
  std::uint8_t depths = 0;
  bool call_stack = false;  ///< can keep the chain of calls instead of the last branches
  bool tsx = false;         ///< has flags for transactions
  /// The first of `depth` registers each; `info` is 0 where there are none.
  MsrIndex from{};
  MsrIndex to{};
  MsrIndex info{};

  [[nodiscard]] constexpr bool exists() const { return depth != 0; }
  [[nodiscard]] constexpr bool architectural() const { return format == LbrFormat::kArchitectural; }
  [[nodiscard]] constexpr bool has_info() const { return raw(info) != 0; }

  friend constexpr bool operator==(const LbrModel&, const LbrModel&) = default;
};

}  // namespace vpmu::silicon::x86
