// SPDX-License-Identifier: MIT
//
// Any bytes as guest code, at CPL 0 in long mode. The guest may do what it likes; the machine must
// not crash, and must stop at its limit.
#include <cstddef>
#include <cstdint>

#include "fuzz/fuzz_machine.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 4096) return 0;
  vpmu::fuzz::Setup setup{.vcpus = 1u + (data[0] & 1), .instructions = 2'000};
  if ((data[0] & 2) != 0) setup.pmu = vpmu::virt::x86::no_pmu(setup.model->vendor);
  vpmu::fuzz::run({data + 1, size - 1}, setup);
  return 0;
}
