// SPDX-License-Identifier: MIT
//
// vpmu_differential: runs random code natively and in the interpreter and says where they differ.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "compare.hpp"
#include "decoded.hpp"
#include "forms.hpp"
#include "generator.hpp"
#include "guest.hpp"
#include "native.hpp"

namespace vpmu::differential {
namespace {

struct Options {
  std::uint64_t seed = 1;
  std::uint64_t first = 0;
  std::uint64_t count = 1'000'000;
  double seconds = 0;
  std::string only;
  unsigned failures = 10;
  bool self_test = false;
  bool summary = false;
};

class Comparison {
 public:
  Comparison(const Options& options, Generator generator, NativeCpu native, GuestCpu guest)
      : options_{options},
        generator_{std::move(generator)},
        native_{std::move(native)},
        guest_{std::move(guest)} {
    const std::vector<std::uint8_t> contents = generator_.read_only_contents();
    native_.fill_read_only(contents);
    guest_.fill_read_only(contents);
  }

  /// The process's exit status.
  int run();

 private:
  void run_case(std::uint64_t index);
  Outcome run_native();
  Outcome run_guest(GuestCpu::Pace pace);
  void check(std::uint64_t index, const char* title, const Ending& expected, const Ending& got);
  void fail_case(std::uint64_t index, const char* title, const std::vector<std::string>& lines);

  Options options_;
  Generator generator_;
  NativeCpu native_;
  GuestCpu guest_;
  TestCase test_;
  std::array<std::uint8_t, kDataBytes> kept_{};
  std::uint64_t instructions_ = 0;
  std::uint64_t failed_ = 0;
  std::map<std::string, std::uint64_t> failed_by_;
};

Outcome Comparison::run_native() {
  std::memcpy(native_.data(), test_.data.data(), kDataBytes);
  std::uint8_t* const code = native_.code() + (test_.input.rip - kCode);
  std::memcpy(code, test_.code.data(), test_.code.size());
  const Outcome outcome = native_.run(test_.input);
  std::memset(code, kBreakpointByte, test_.code.size());
  return outcome;
}

Outcome Comparison::run_guest(GuestCpu::Pace pace) {
  std::memcpy(guest_.data(), test_.data.data(), kDataBytes);
  return guest_.run(test_.input, pace);
}

void Comparison::fail_case(std::uint64_t index, const char* title,
                           const std::vector<std::string>& lines) {
  ++failed_;
  Decoded decoded;
  std::string name = "(sequences)";
  if (test_.instructions.size() == 1 && decode(test_.code, decoded))
    name = ZydisMnemonicGetString(decoded.mnemonic());
  const std::uint64_t before = failed_by_[name]++;
  if (options_.summary ? before >= 1 : failed_ > options_.failures) return;
  fmt::print("case {}: {}\n{}", index, title, describe(test_));
  for (const std::string& line : lines) fmt::print("    {}\n", line);
  fmt::print("    again: vpmu_differential --seed {} --first {} --count 1{}\n\n", options_.seed,
             index, options_.only.empty() ? "" : " --only " + options_.only);
}

void Comparison::check(std::uint64_t index, const char* title, const Ending& expected,
                       const Ending& got) {
  const std::vector<std::string> lines = differences(test_, expected, got);
  if (!lines.empty()) fail_case(index, title, lines);
}

void Comparison::run_case(std::uint64_t index) {
  generator_.make(options_.seed * 0x1'0000'0001 + index * 0x9e37'79b9, test_);
  if (test_.code.empty()) return;
  instructions_ += test_.instructions.size();

  const Ending expected{run_native(), {native_.data(), kDataBytes}};
  if (options_.self_test) {
    std::memcpy(kept_.data(), native_.data(), kDataBytes);
    const Outcome again = run_native();
    check(index, "the host does not agree with itself", {expected.outcome, kept_},
          {again, {native_.data(), kDataBytes}});
    return;
  }
  guest_.write_code(test_.input.rip, test_.code);
  const Ending blocks{run_guest(GuestCpu::Pace::kBlocks), {guest_.data(), kDataBytes}};
  const std::uint64_t failed = failed_;
  check(index, "the interpreter differs from the host", expected, blocks);
  if (test_.instructions.size() > 1 && failed == failed_) {
    const GuestCpu::Retired retired = guest_.retired();
    const Ending steps{run_guest(GuestCpu::Pace::kSingleSteps), {guest_.data(), kDataBytes}};
    check(index, "single-stepped, the interpreter differs from the host", expected, steps);
    if (failed == failed_ && retired != guest_.retired()) {
      std::vector<std::string> lines;
      for (std::size_t i = 0; i < retired.size(); ++i) {
        if (retired[i] != guest_.retired()[i])
          lines.push_back(fmt::format("{}: {} in blocks, {} single-stepped",
                                      silicon::name(static_cast<silicon::RawEvent>(i)), retired[i],
                                      guest_.retired()[i]));
      }
      fail_case(index, "single-stepped, the interpreter retires something else", lines);
    }
  }
  const std::vector<std::uint8_t> breakpoints(test_.code.size(), kBreakpointByte);
  guest_.write_code(test_.input.rip, breakpoints);
}

int Comparison::run() {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  std::uint64_t done = 0;
  for (; done < options_.count; ++done) {
    if (options_.seconds > 0 && done % 1024 == 0 && elapsed() > options_.seconds) break;
    if (!options_.summary && failed_ >= options_.failures) break;
    run_case(options_.first + done);
  }
  for (const auto& [name, count] : failed_by_) fmt::print("{:>8}  {}\n", count, name);
  fmt::print("{} cases ({} instructions) in {:.1f} s: {} differ\n", done, instructions_, elapsed(),
             failed_);
  return failed_ == 0 ? 0 : 1;
}

int start(const Options& options) {
  std::vector<std::string> missing;
  std::vector<FormGroup> groups = all_forms(options.only, missing);
  for (const std::string& name : missing)
    fmt::print("skipped, the host does not have it: {}\n", name);
  if (groups.empty()) {
    fmt::print(stderr, "vpmu_differential: no instruction named '{}' is compared\n", options.only);
    return 2;
  }
  std::size_t forms = 0;
  for (const FormGroup& group : groups) forms += group.forms.size();
  fmt::print("{} instructions in {} forms, seed {}\n", groups.size(), forms, options.seed);

  auto native = NativeCpu::create();
  auto guest = GuestCpu::create();
  if (!native || !guest) {
    fmt::print(stderr, "vpmu_differential: {}\n",
               (native ? guest.error() : native.error()).message);
    return 1;
  }
  return Comparison{options, Generator{std::move(groups)}, std::move(*native), std::move(*guest)}
      .run();
}

}  // namespace
}  // namespace vpmu::differential

int main(int argc, char** argv) {
  vpmu::differential::Options options;
  CLI::App app{"Compares the x86 interpreter with the host CPU on random code."};
  app.add_option("--seed", options.seed, "which cases");
  app.add_option("--first", options.first, "the first case");
  app.add_option("--count", options.count, "how many cases")->envname("VPMU_DIFFERENTIAL_COUNT");
  app.add_option("--seconds", options.seconds, "stop after this long");
  app.add_option("--only", options.only, "this instruction only (lower case)");
  app.add_option("--failures", options.failures, "stop after so many differences");
  app.add_flag("--summary", options.summary, "do not stop; one difference of each instruction");
  app.add_flag("--self-test", options.self_test, "compare the host with itself");
  CLI11_PARSE(app, argc, argv);
  return vpmu::differential::start(options);
}
