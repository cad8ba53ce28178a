// SPDX-License-Identifier: MIT
#include "bench/support/resident_peak.hpp"

#include <malloc.h>

#include <fstream>
#include <string>

namespace vpmu::bench {
namespace {

std::uint64_t status_bytes(const std::string& label) {
  std::ifstream status{"/proc/self/status"};
  for (std::string word; status >> word;) {
    std::uint64_t kib = 0;
    if (word == label && status >> kib) return kib << 10;
  }
  return 0;
}

}  // namespace

ResidentPeak::ResidentPeak() {
  // What was freed is not there to be used again, and the peak begins anew.
  malloc_trim(0);
  std::ofstream{"/proc/self/clear_refs"} << "5";
  before_ = status_bytes("VmRSS:");
}

std::uint64_t ResidentPeak::bytes() const {
  const std::uint64_t peak = status_bytes("VmHWM:");
  return peak > before_ ? peak - before_ : 0;
}

}  // namespace vpmu::bench
