// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <sstream>
#include <utility>

#include <fmt/format.h>

#include "cli/doctor/checks.hpp"
#include "cli/errno_name.hpp"

namespace vpmu::cli::doctor {

namespace {
struct Tool {
  const char* name;
  const char* package;  ///< Debian's
  const char* used_for;
};
constexpr Tool kTools[] = {
    {"perf", "linux-perf", "counting and sampling on the host"},
    {"perf2bolt", "bolt-16", "turning branch records into BOLT profiles"},
    {"llvm-bolt", "bolt-16", "optimizing a program by such a profile"},
    {"llvm-profgen", "llvm-14", "turning branch records into AutoFDO profiles"},
    {"gdb", "gdb", "looking into a guest's program"},
    {"valgrind", "valgrind", "counting instructions a second way (vpmu's own tests)"},
};

using Program = std::pair<std::string, std::string>;  // folder, name

std::vector<Program> programs_in_path(const Host& host) {
  std::vector<Program> programs;
  std::istringstream folders{host.variable("PATH")};
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (folder.empty()) continue;
    for (std::string& name : host.programs(folder)) programs.emplace_back(folder, std::move(name));
  }
  return programs;
}

/// Of "llvm-bolt-16" for llvm-bolt 16; of another program nothing.
std::optional<unsigned> suffix(const std::string& program, const std::string& tool) {
  if (program.size() <= tool.size() + 1 || program.compare(0, tool.size(), tool) != 0 ||
      program[tool.size()] != '-') {
    return std::nullopt;
  }
  unsigned version = 0;
  const char* end = program.data() + program.size();
  const auto parsed = std::from_chars(program.data() + tool.size() + 1, end, version);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
  return version;
}

std::string in_folder(const std::string& folder, const std::string& name) {
  std::string path = folder;
  path.append("/").append(name);
  return path;
}

/// The first of that very name in PATH, or else the newest with a version behind its name.
std::string find(const std::vector<Program>& programs, const std::string& tool) {
  std::string path;
  unsigned newest = 0;
  for (const auto& [folder, name] : programs) {
    if (name == tool) return in_folder(folder, name);
    const auto version = suffix(name, tool);
    if (version && *version > newest) {
      newest = *version;
      path = in_folder(folder, name);
    }
  }
  return path;
}

/// The first line that has a number in it: some print a title before.
std::string version_line(const std::string& output) {
  std::istringstream lines{output};
  std::string first;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos) continue;
    line.erase(0, begin);
    if (first.empty()) first = line;
    const bool has_number = std::any_of(line.begin(), line.end(), [](char c) {
      return std::isdigit(static_cast<unsigned char>(c)) != 0;
    });
    if (has_number) return line;
  }
  return first;
}

Check tool_check(const Tool& tool, const std::vector<Program>& programs, const Host& host) {
  Check check{fmt::format("tools.{}", tool.name), CheckResult::kOk, "", "", ""};
  const std::string path = find(programs, tool.name);
  if (path.empty()) {
    check.result = CheckResult::kMissing;
    check.detail = fmt::format("not in PATH; for {}", tool.used_for);
    check.cause = "not installed";
    check.remedy = fmt::format("apt-get install {}", tool.package);
    return check;
  }
  const ProgramRun run = host.version_of(path);
  if (run.error != 0 || run.status != 0) {
    check.result = CheckResult::kFailed;
    check.detail = fmt::format("{} --version does not work", path);
    check.cause =
        run.error != 0
            ? fmt::format("it does not start, or not end ({})", errno_name(run.error))
            : fmt::format("it ended with status {}: {}", run.status, version_line(run.output));
    check.remedy = fmt::format("install it anew: apt-get install --reinstall {}", tool.package);
    return check;
  }
  check.detail = fmt::format("{} ({})", version_line(run.output), path);
  return check;
}
}  // namespace

Checks tool_checks(const Host& host) {
  const std::vector<Program> programs = programs_in_path(host);
  Checks checks;
  for (const Tool& tool : kTools) checks.push_back(tool_check(tool, programs, host));
  return checks;
}

}  // namespace vpmu::cli::doctor
