// SPDX-License-Identifier: MIT
//
// Any sequence of what can happen to a virtual PMU, on any setup, in lockstep with the reference
// (tests/property/README.md). The input's first byte chooses the setup; the rest are the decisions
// from which the property test's operations are drawn.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "property/choices.hpp"
#include "property/lockstep.hpp"
#include "property/operations.hpp"
#include "property/setups.hpp"

namespace {

using vpmu::property::Operation;
using vpmu::property::Setup;

[[noreturn]] void stop(const Setup& setup, const std::vector<Operation>& done,
                       const std::string& difference) {
  std::fprintf(stderr, "%s\n", setup.name.c_str());
  for (const Operation& operation : done) {
    std::fprintf(stderr, "    %s\n", vpmu::property::describe(operation).c_str());
  }
  std::fprintf(stderr, "    -> %s\n", difference.c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kCompareEvery = 16;
  if (size < 2 || size > 4096) return 0;
  const auto setups = vpmu::property::setups();
  const Setup& setup = setups[data[0] % setups.size()];
  vpmu::property::ByteChoices choices{{data + 1, size - 1}};
  vpmu::property::Lockstep lockstep{setup};
  std::vector<Operation> done;
  while (!choices.exhausted()) {
    done.push_back(vpmu::property::draw_operation(choices, setup));
    if (const auto difference = lockstep.step(done.back())) stop(setup, done, *difference);
    if (done.size() % kCompareEvery != 0) continue;
    if (const auto difference = lockstep.compare_all()) stop(setup, done, *difference);
  }
  if (const auto difference = lockstep.finish()) stop(setup, done, *difference);
  return 0;
}
