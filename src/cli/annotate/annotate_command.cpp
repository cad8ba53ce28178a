// SPDX-License-Identifier: MIT
#include "cli/annotate/annotate_command.hpp"

#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cstdlib>

#include <fmt/format.h>

#include "cli/annotate/annotate.hpp"
#include "cli/answer.hpp"
#include "cli/symbol_options.hpp"
#include "cli/wrap.hpp"

namespace vpmu::cli::annotate {

namespace {
ListingStyle style_of_output() {
  if (isatty(STDOUT_FILENO) == 0) return {};
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  const bool colour = (no_colour == nullptr || *no_colour == '\0') && terminal != nullptr &&
                      std::string{terminal} != "dumb";
  return {output_columns(), colour};
}
}  // namespace

AnnotateCommand::AnnotateCommand(CLI::App& vpmu)
    : annotate_{vpmu.add_subcommand(
          "annotate", "Show a function's code with the samples at each instruction")} {
  annotate_->add_option("FILE", first_, "Profile, a file or folder; default: perf.data");
  annotate_->add_option("SYMBOL", second_,
                        "Function: its name in full, or without its parameters and namespaces if "
                        "that says which; of a single argument it is this one");
  annotate_->add_option("-e,--event", choice_.event,
                        "Event whose samples to show; default: the profile's first");
  vcpu_option_ = annotate_->add_option("--vcpu", vcpu_, "Only samples of this vCPU");
  add_symbol_options(*annotate_, choice_.sources);
  annotate_->add_option("-M,--disassembler-style", syntax_, "Syntax of the assembler: att or intel")
      ->check(CLI::IsMember({"att", "intel"}))
      ->capture_default_str();
  annotate_->footer(
      "percent is of the function's count of the event, samples how often the instruction was "
      "sampled;\naddresses are as the image is linked. Of a profile with branch stacks, branches "
      "say how often they\nwere taken in them, and how many of those times mispredicted.\n"
      "Exit status: 0, or 2 for bad usage or input, and for a symbol that has no samples.");
}

bool AnnotateCommand::parsed() const {
  return annotate_->parsed();
}

int AnnotateCommand::run() const {
  if (first_.empty()) return bad_input({"SYMBOL is required; see `vpmu annotate --help`"});
  SampleChoice choice = choice_;
  choice.file = second_.empty() ? "perf.data" : first_;
  choice.symbol = second_.empty() ? first_ : second_;
  if (vcpu_option_->count() > 0) choice.vcpu = vcpu_;
  const auto annotation =
      annotate(choice, syntax_ == "att" ? Syntax::kAtt : Syntax::kIntel, style_of_output());
  if (!annotation) return bad_input(annotation.error());
  for (const std::string& warning : annotation->warnings) {
    fmt::print(stderr, "vpmu: warning: {}\n", warning);
  }
  return print(annotation->text);
}

}  // namespace vpmu::cli::annotate
