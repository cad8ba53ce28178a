// SPDX-License-Identifier: MIT
//
// What a modelled memory hierarchy looks like: sizes only. What it does with accesses is
// memory_model.hpp.
#pragma once

#include <cstdint>

namespace vpmu::silicon {

/// A set-associative cache of 64-byte lines with least-recently-used replacement.
struct CacheGeometry {
  std::uint32_t sets = 0;  ///< a power of two; 0: there is none, every access misses
  std::uint32_t ways = 0;
};
/// A set-associative TLB of 4 KiB pages; larger pages take an entry for each 4 KiB used.
struct TlbGeometry {
  std::uint16_t sets = 0;  ///< as of a cache
  std::uint16_t ways = 0;
};
/// First and second level are the core's own, the last level is the package's.
struct MemoryHierarchy {
  CacheGeometry l1d, l2, llc;
  TlbGeometry dtlb, stlb;
};

}  // namespace vpmu::silicon
