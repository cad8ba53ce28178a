// SPDX-License-Identifier: MIT
//
// Random sequences of operations, on every setup: what the property tests have in common. A
// difference is cut down to the operations it takes, and printed with how to get it again.
//
// A test gives a Lockstep: a class with types Setup (which has a `name`) and Operation, made from a
// Setup, that has
//
//   std::optional<std::string> step(const Operation&);  // a text: this is what differs
//   std::optional<std::string> compare_all();
//   std::optional<std::string> finish();                // once, at the end
//
// and, found by their arguments, draw_operation(Choices&, const Setup&) and describe(Operation).
#pragma once

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "property/choices.hpp"

namespace vpmu::property {

struct SequenceOptions {
  std::uint64_t seed = 1;
  std::uint64_t steps = 1'000'000;
  std::uint64_t first = 0;
  unsigned compare_every = 16;
  std::string setup;
};

template <class Lockstep>
class RandomSequences {
 public:
  using Setup = typename Lockstep::Setup;
  using Operation = typename Lockstep::Operation;

  /// The arguments of main(); what it is to return.
  static int main(const char* program, const char* about, std::span<const Setup> setups, int argc,
                  char** argv) {
    SequenceOptions options;
    bool list = false;
    CLI::App app{about};
    app.add_option("--seed", options.seed, "which sequences")->envname("VPMU_PROPERTY_SEED");
    app.add_option("--steps", options.steps, "how many operations in all")
        ->envname("VPMU_PROPERTY_STEPS");
    app.add_option("--first", options.first, "the first sequence");
    app.add_option("--compare-every", options.compare_every, "compare all registers so often")
        ->check(CLI::PositiveNumber);
    app.add_option("--setup", options.setup, "on this setup only");
    app.add_flag("--list", list, "print the setups and stop");
    CLI11_PARSE(app, argc, argv);
    std::vector<const Setup*> chosen;
    for (const Setup& setup : setups) {
      if (list) fmt::print("{}\n", setup.name);
      if (options.setup.empty() || setup.name == options.setup) chosen.push_back(&setup);
    }
    if (list) return 0;
    if (chosen.empty()) {
      fmt::print(stderr, "{}: no setup is named '{}'\n", program, options.setup);
      return 2;
    }
    return run_all(program, options, chosen);
  }

 private:
  static constexpr unsigned kSteps = 500;

  struct Failure {
    std::size_t at;  ///< the operation that showed it
    std::string difference;
  };

  static std::optional<Failure> run(const Setup& setup, const std::vector<Operation>& sequence,
                                    unsigned compare_every) {
    Lockstep lockstep{setup};
    for (std::size_t at = 0; at < sequence.size(); ++at) {
      auto difference = lockstep.step(sequence[at]);
      if (!difference && (at + 1) % compare_every == 0) difference = lockstep.compare_all();
      if (difference) return Failure{at, *difference};
    }
    if (auto difference = lockstep.finish()) return Failure{sequence.size(), *difference};
    return {};
  }

  /// Leaves out what it can, in ever smaller pieces, for as long as a difference remains.
  static std::vector<Operation> shrink(const Setup& setup, std::vector<Operation> sequence,
                                       unsigned compare_every) {
    for (std::size_t piece = sequence.size(); piece != 0; piece /= 2) {
      for (std::size_t at = 0; at < sequence.size();) {
        std::vector<Operation> less = sequence;
        const std::size_t end = std::min(at + piece, less.size());
        less.erase(less.begin() + static_cast<std::ptrdiff_t>(at),
                   less.begin() + static_cast<std::ptrdiff_t>(end));
        if (run(setup, less, compare_every))
          sequence = std::move(less);
        else
          at += piece;
      }
    }
    return sequence;
  }

  static std::vector<Operation> draw_sequence(std::uint64_t seed, const Setup& setup) {
    RandomChoices choices{seed};
    std::vector<Operation> sequence;
    sequence.reserve(kSteps);
    for (unsigned n = 0; n < kSteps; ++n) sequence.push_back(draw_operation(choices, setup));
    return sequence;
  }

  static void report(const char* program, const SequenceOptions& options, std::uint64_t number,
                     const Setup& setup, const std::vector<Operation>& sequence,
                     const Failure& failure) {
    fmt::print("{}, sequence {}: {}\n", setup.name, number, failure.difference);
    // Comparing often shows it sooner; but it also looks, which may be what hides it.
    const unsigned compare_every = run(setup, sequence, 1) ? 1 : options.compare_every;
    const std::vector<Operation> least = shrink(setup, sequence, compare_every);
    const auto again = run(setup, least, compare_every);
    for (const Operation& operation : least) fmt::print("    {}\n", describe(operation));
    fmt::print("    -> {}\n", again ? again->difference : "(only seen in the whole sequence)");
    fmt::print("    again: {} --seed {} --first {} --steps 1\n\n", program, options.seed, number);
  }

  static int run_all(const char* program, const SequenceOptions& options,
                     const std::vector<const Setup*>& chosen) {
    constexpr unsigned kFailures = 5;
    unsigned failed = 0;
    std::uint64_t number = options.first, steps = 0;
    for (; steps < options.steps && failed < kFailures; ++number, steps += kSteps) {
      const Setup& setup = *chosen[number % chosen.size()];
      const auto sequence = draw_sequence(options.seed * 0x1'0000'0001 + number, setup);
      if (const auto failure = run(setup, sequence, options.compare_every)) {
        ++failed;
        report(program, options, number, setup, sequence, *failure);
      }
    }
    fmt::print("seed {}: {} steps on {} setups, {} sequences differ\n", options.seed, steps,
               chosen.size(), failed);
    return failed == 0 ? 0 : 1;
  }
};

}  // namespace vpmu::property
