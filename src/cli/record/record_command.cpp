// SPDX-License-Identifier: MIT
#include "cli/record/record_command.hpp"

#include <CLI/CLI.hpp>

#include <utility>

#include "cli/record/record_guest.hpp"
#include "cli/record/record_spe.hpp"

namespace vpmu::cli::record {

namespace {
constexpr const char* kOutput = "--output";
}  // namespace

RecordCommand::RecordCommand(CLI::App& vpmu)
    : record_{vpmu.add_subcommand("record", "Run a guest and sample it from outside: perf.data")} {
  add_event_options();
  add_sample_options();
  add_file_options();
  add_real_time_option();
  add_spe_option();
  add_guest_options(*record_, guest_);
  record_->footer(std::string{kGuestExitStatusHelp} +
                  "\nWhatever it is, what was recorded is in the file.");
}

void RecordCommand::add_event_options() {
  record_
      ->add_option(
          "-e,--event", options_.events,
          "Events to sample in perf's notation, commas between them (repeatable): cycles:p "
          "(default), branch-misses:u, cpu/event=0xc4,period=1000/; p: the address of the "
          "instruction itself, not of the next one")
      ->allow_extra_args(false);
  CLI::Option* period =
      record_->add_option("-c,--count", options_.period, "A sample every so many counts, exactly")
          ->check(CLI::Range(std::uint64_t{1}, ~std::uint64_t{0} >> 1));
  record_
      ->add_option("-F,--freq", options_.frequency,
                   "Samples in a second of machine time, about; default: 19997")
      ->check(CLI::Range(std::uint64_t{1}, RecordOptions::kMostFrequency))
      ->excludes(period);
  record_->add_flag("-a,--all-cpus", options_.on_host_cpus,
                    "Events of the host's CPUs, which see all that runs there, instead of each "
                    "vCPU's");
}

void RecordCommand::add_sample_options() {
  CLI::Option* callchains = record_->add_flag("-g,--call-graph", options_.callchains,
                                              "With call stacks, by frame pointers");
  record_
      ->add_option("--max-stack", options_.max_stack,
                   "Addresses in a call stack, at most; what called those is left out")
      ->check(CLI::Range(1u, machine::ProfilerConfig::kDeepest))
      ->needs(callchains)
      ->capture_default_str();
  CLI::Option* any = record_->add_flag("-b,--branch-any", options_.any_branches,
                                       "With the last branches, of all kinds");
  record_
      ->add_option(
          "-j,--branch-filter", options_.branch_filter,
          "With the last branches of these kinds, comma-separated: any, any_call, any_ret, "
          "ind_call, ind_jmp, call, cond, call_stack, u, k")
      ->excludes(any);
}

void RecordCommand::add_file_options() {
  record_->add_option("-o,--output", options_.output, "File to write")->capture_default_str();
  record_
      ->add_option(
          "--layout", layout_,
          "guest: as of a VM, which perf shows as guest; process: as of a process that has "
          "the image mapped, for perf2bolt, llvm-profgen and AutoFDO")
      ->check(CLI::IsMember({"guest", "process"}))
      ->capture_default_str();
  CLI::Option* kallsyms = record_->add_option(
      "--guest-kallsyms", options_.guest_kallsyms,
      "The guest kernel's symbols, as its /proc/kallsyms; FILE of -o becomes a directory");
  record_
      ->add_option(
          "--symbols", options_.symbols,
          "The guest's symbols: an ELF file, a kallsyms file, or lines of START SIZE NAME; "
          "FILE of -o becomes a directory")
      ->excludes(kallsyms);
}

void RecordCommand::add_real_time_option() {
  CLI::Option* real_time = record_->add_flag(
      "--real-time", options_.real_time,
      "Sample by a timer of this host instead of the guest's events, -F times a second (1000): "
      "where this machine spends its time, different in every run");
  for (const char* other : {"--event", "--count", "--all-cpus", "--call-graph", "--max-stack",
                            "--branch-any", "--branch-filter"}) {
    real_time->excludes(record_->get_option(other));
  }
}

void RecordCommand::add_spe_option() {
  CLI::Option* spe = record_->add_flag(
      "--spe{}", options_.spe,
      "Statistical profiling of an arm64 guest: one operation in so many, with its address, "
      "latency and data source, as --spe or --spe=KEY=VALUE,...: period=N (1024 operations), "
      "ts_enable=1, pa_enable=0, pct_enable=0, jitter=1, load_filter=0, store_filter=0, "
      "branch_filter=0, event_filter=MASK, min_latency=CYCLES, memory=1 (0: without a model of "
      "caches, at full speed)");
  for (const char* other :
       {"--event", "--count", "--freq", "--all-cpus", "--call-graph", "--max-stack", "--branch-any",
        "--branch-filter", "--real-time", "--layout"}) {
    spe->excludes(record_->get_option(other));
  }
}

bool RecordCommand::parsed() const {
  return record_->parsed();
}

std::vector<std::string> RecordCommand::command_line() const {
  std::vector<std::string> words{"vpmu", record_->get_name()};
  for (const CLI::Option* option : record_->get_options()) {
    if (option->count() == 0 || option->get_name() == kOutput) continue;
    const bool is_flag = option->get_items_expected_max() == 0;
    if (is_flag) words.push_back(option->get_name());
    for (const std::string& value : option->results()) {
      if (is_flag) break;
      if (!option->get_positional()) words.push_back(option->get_name());
      words.push_back(value);
    }
  }
  return words;
}

int RecordCommand::run() const {
  RecordOptions options = options_;
  options.as_process = layout_ == "process";
  if (record_->count("--spe") != 0) return record_spe(guest_, options, command_line());
  return record_guest(guest_, options, command_line());
}

}  // namespace vpmu::cli::record
