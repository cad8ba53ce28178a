// SPDX-License-Identifier: MIT
//
// A property test's lockstep (tests/property/README.md) on a fuzzer's input: the first byte chooses
// the setup, the rest are the decisions from which the operations are drawn. A difference is
// printed with all that was done, and aborts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "property/choices.hpp"

namespace vpmu::fuzz {

/// As property::RandomSequences wants it.
template <class Lockstep>
class LockstepInput {
 public:
  using Setup = typename Lockstep::Setup;
  using Operation = typename Lockstep::Operation;

  static void run(std::span<const Setup> setups, std::span<const std::uint8_t> input) {
    constexpr std::size_t kLongest = 4096, kCompareEvery = 16;
    if (input.size() < 2 || input.size() > kLongest) return;
    const Setup& setup = setups[input[0] % setups.size()];
    property::ByteChoices choices{input.subspan(1)};
    Lockstep lockstep{setup};
    std::vector<Operation> done;
    while (!choices.exhausted()) {
      done.push_back(draw_operation(choices, setup));
      stop_if(lockstep.step(done.back()), setup, done);
      if (done.size() % kCompareEvery == 0) stop_if(lockstep.compare_all(), setup, done);
    }
    stop_if(lockstep.finish(), setup, done);
  }

 private:
  static void stop_if(const std::optional<std::string>& difference, const Setup& setup,
                      const std::vector<Operation>& done) {
    if (!difference) return;
    std::fprintf(stderr, "%s\n", setup.name.c_str());
    for (const Operation& operation : done) {
      std::fprintf(stderr, "    %s\n", describe(operation).c_str());
    }
    std::fprintf(stderr, "    -> %s\n", difference->c_str());
    std::abort();
  }
};

}  // namespace vpmu::fuzz
