// SPDX-License-Identifier: MIT
#include "cli/record/profile_file.hpp"

#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "cli/profiled_guest.hpp"
#include "profile/symbols/elf_image.hpp"
#include "profile/symbols/symbol_table.hpp"
#include "vpmu/silicon/arm64/cpu_model.hpp"

namespace vpmu::cli::record {

namespace {
namespace fs = std::filesystem;
namespace perf_data = profile::perf_data;

/// Of the guest's kernel, as the text of a kallsyms file; empty: those of its image.
Result<std::string> kallsyms(const RecordOptions& options) {
  const bool is_kallsyms = !options.guest_kallsyms.empty();
  const std::string& path = is_kallsyms ? options.guest_kallsyms : options.symbols;
  if (path.empty()) return std::string{};
  const char* const option = is_kallsyms ? "--guest-kallsyms" : "--symbols";
  const auto table = profile::SymbolTable::from_file(path);
  if (!table) return fail(fmt::format("{}: {}", option, table.error().message));
  if (table->symbols().empty()) {
    return fail(
        fmt::format("{}: {} has no symbols of code; give another file", option, in_quotes(path)));
  }
  return table->kallsyms();
}
}  // namespace

Result<void> check_output(const RecordOptions& options, const GuestOptions& guest) {
  if (options.output.empty() || options.output == "-") {
    return fail(
        fmt::format("-o {}: a recording needs a file; give its name", in_quotes(options.output)));
  }
  if (options.as_process && !(options.guest_kallsyms + options.symbols).empty()) {
    return fail(
        fmt::format("{}: a process has no symbols of its kernel; leave --layout process out",
                    options.symbols.empty() ? "--guest-kallsyms" : "--symbols"));
  }
  std::vector<std::string> inputs = guest.initrd;
  for (const std::string* file : {&guest.image, &guest.restore, &guest.host_script, &guest.filter,
                                  &options.guest_kallsyms, &options.symbols}) {
    inputs.push_back(*file);
  }
  for (const std::string& input : inputs) {
    std::error_code error;
    if (input.empty() || !fs::equivalent(input, options.output, error)) continue;
    return fail(fmt::format("-o {}: that file is read, and would be overwritten; give another one",
                            in_quotes(options.output)));
  }
  return {};
}

Result<ProfileDescription> describe_profile(const RecordOptions& options, const GuestRun& run,
                                            std::vector<std::string> command_line) {
  auto symbols = kallsyms(options);
  if (!symbols) return tl::unexpected(symbols.error());
  ProfileDescription description;
  perf_data::WriterConfig& config = description.config;
  const machine::GuestMachine& machine = run.machine();
  const machine::GuestFacts facts = machine.facts();
  const std::string path = absolute_path(run.name().image);
  config.layout = options.as_process ? perf_data::Layout::kProcess : perf_data::Layout::kGuest;
  config.guest = printable(fs::path{path}.filename().string());
  config.command_line = std::move(command_line);
  config.cpu_description = facts.cpu_model;
  if (const auto* arm = silicon::arm64::find_cpu_model(facts.cpu_model)) {
    config.arch = "aarch64";
    config.cpu_id = perf_cpu_id(arm->midr);
  }
  config.vcpus = facts.vcpus;
  config.host_cpus = machine.host_activity().cpus();
  if (const auto image = profile::read_elf_image(path)) {
    config.mappings = written_mappings(*image, path);
  } else if (symbols->empty()) {
    description.remarks.push_back(
        fmt::format("the profile has no symbols: {}, or its symbols with --guest-kallsyms",
                    image.error().message));
  }
  config.kallsyms = std::move(*symbols);
  return description;
}

}  // namespace vpmu::cli::record
