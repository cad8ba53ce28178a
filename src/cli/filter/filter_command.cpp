// SPDX-License-Identifier: MIT
#include "cli/filter/filter_command.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>

#include <fmt/format.h>

#include "cli/answer.hpp"

namespace vpmu::cli::filter {

namespace {
constexpr const char* kFileHelp =
    "Filter (image, hexadecimal digits, JSON), policy, or ranges for AArch64 guests; told apart by "
    "what is in it";
constexpr const char* kCpuHelp =
    "CPU model (`vpmu cpu list`) or PMU of libpfm4's, for the names of events; a policy says its "
    "own";
constexpr const char* kJsonHelp = "As JSON (docs/filter-json.md)";
}  // namespace

FilterCommand::FilterCommand(CLI::App& vpmu)
    : filter_{vpmu.add_subcommand("filter", "PMU event filters: which events guests may count")} {
  filter_->require_subcommand(1);
  add_build();
  add_check();
  add_explain();
  add_diff();
  add_test();
  add_list_events();
}

void FilterCommand::add_build() {
  build_ = filter_->add_subcommand("build", "Make the filter that a policy means");
  build_->add_option("POLICY", build_options_.policy, "Policy, in TOML")->required();
  build_->add_option("-o,--output", build_options_.output, "File to write, - for standard output")
      ->required();
  build_
      ->add_option("--format", build_options_.format,
                   "bin: the ioctl's structure; c: the same as C; json; hex")
      ->check(CLI::IsMember({"bin", "c", "json", "hex"}))
      ->capture_default_str();
  build_->add_option("--cpu", build_options_.cpu, "The CPU that the policy must be for");
  build_->footer("Exit status: 0 if the file was written, 2 if not.");
}

void FilterCommand::add_check() {
  check_ = filter_->add_subcommand("check", "Say what the kernel would, and what does nothing");
  check_->add_option("FILE", check_options_.file, kFileHelp)->required();
  check_->add_option("--cpu", check_options_.cpu, "CPU model of the guests");
  check_->add_option("--vendor", check_options_.vendor, "Vendor of the guests' CPU")
      ->check(CLI::IsMember({"intel", "amd"}));
  check_->add_flag("--json", check_options_.json, kJsonHelp);
  check_->footer(
      "Exit status: 0 if the kernel takes it, whatever the warnings; 1 if it does not, for guests "
      "of\nthe vendor given, or of either; 2 if the file is no filter.");
}

void FilterCommand::add_explain() {
  explain_ = filter_->add_subcommand("explain", "Say which events are allowed, and why");
  explain_->add_option("FILE", explain_options_.file, kFileHelp)->required();
  explain_->add_option("EVENT", explain_options_.events,
                       "Name, name with * and ?, cpu/event=0xd0,umask=0x81/ or r81d0; none: every "
                       "event that has a name");
  explain_->add_option("--cpu", explain_options_.cpu, kCpuHelp);
  explain_->add_flag("--json", explain_options_.json, kJsonHelp);
}

void FilterCommand::add_diff() {
  diff_ = filter_->add_subcommand("diff", "Show the events about which two filters differ");
  diff_->add_option("A", diff_options_.a, kFileHelp)->required();
  diff_->add_option("B", diff_options_.b, kFileHelp)->required();
  diff_->add_option("--cpu", diff_options_.cpu, kCpuHelp);
  diff_->add_flag("--json", diff_options_.json, kJsonHelp);
  diff_->footer("Exit status: 0 if they say the same of every event, 1 if not, 2 for trouble.");
}

void FilterCommand::add_test() {
  test_ = filter_->add_subcommand("test", "Give a filter to the running kernel's KVM");
  test_->add_option("FILE", test_options_.file, kFileHelp)->required();
  test_->add_option("--cpu", test_options_.cpu,
                    "CPU model of AArch64 guests, for ranges in bytes, which do not say that they "
                    "are some");
  test_
      ->add_flag("--kvm", on_kvm_,
                 "Load it into a new VM on /dev/kvm; ranges: on that of an AArch64 host")
      ->required();
  test_->footer(
      "Exit status: 0 if the kernel answers as `vpmu filter check` does, 1 if not, 2 if it cannot "
      "be\nasked: no /dev/kvm, or one without event filters of that kind.");
}

void FilterCommand::add_list_events() {
  list_events_ = filter_->add_subcommand("list-events", "List the events of a CPU");
  list_events_
      ->add_option("--cpu", list_options_.cpu, "CPU model (`vpmu cpu list`) or PMU of libpfm4's")
      ->required();
  list_events_->add_option("PATTERN", list_options_.pattern,
                           "Name, name with * and ?, or code, as `explain` takes them");
  list_events_->add_flag("--long", list_options_.is_long,
                         "With descriptions, and why an event is in no lower tier");
  list_events_->add_flag("--json", list_options_.json, kJsonHelp);
}

bool FilterCommand::parsed() const {
  return filter_->parsed();
}

Result<Output> FilterCommand::result() const {
  if (build_->parsed()) return run_build(build_options_);
  if (check_->parsed()) return run_check(check_options_);
  if (explain_->parsed()) return run_explain(explain_options_);
  if (diff_->parsed()) return run_diff(diff_options_);
  if (test_->parsed()) return run_kernel_test(test_options_);
  return run_list_events(list_options_);
}

int FilterCommand::run() const {
  const auto output = result();
  if (!output) return bad_input(output.error());
  fmt::print(stderr, "{}", output->remarks);
  const int printed = print(output->text);
  return printed != 0 ? printed : output->status;
}

}  // namespace vpmu::cli::filter
