// SPDX-License-Identifier: MIT
//
// Hosts, perf and KVM that answer as a test says.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <string>

#include "cli/doctor/checks.hpp"

namespace vpmu::test {

using cli::doctor::Check;
using cli::doctor::CheckResult;
using cli::doctor::Checks;

/// A container that hides everything, until a test puts something into it.
class FakeHost final : public cli::doctor::Host {
 public:
  std::map<std::string, std::string> files;
  std::map<std::string, cli::doctor::FileOwner> owners;
  std::map<std::string, std::vector<std::string>> folders;
  std::map<std::string, cli::doctor::ProgramRun> versions;
  std::map<std::string, std::string> variables;
  std::uint64_t locked_memory = kUnlimited;
  std::uint64_t open_files = kUnlimited;
  unsigned uid = 1000;
  std::uint64_t effective = 0;
  std::string machine = "x86_64";

  void put(const std::string& path, std::string text) {
    files.insert_or_assign(path, std::move(text));
  }

  tl::expected<std::string, int> read(const std::string& path) const override {
    const auto found = files.find(path);
    if (found == files.end()) return tl::unexpected(ENOENT);
    return found->second;
  }
  bool exists(const std::string& path) const override { return files.contains(path); }
  tl::expected<cli::doctor::FileOwner, int> owner(const std::string& path) const override {
    const auto found = owners.find(path);
    if (found == owners.end()) return tl::unexpected(EACCES);
    return found->second;
  }
  std::vector<std::string> programs(const std::string& folder) const override {
    const auto found = folders.find(folder);
    return found == folders.end() ? std::vector<std::string>{} : found->second;
  }
  cli::doctor::ProgramRun version_of(const std::string& path) const override {
    const auto found = versions.find(path);
    return found == versions.end()
               ? cli::doctor::ProgramRun{.error = ENOENT, .status = 0, .output = ""}
               : found->second;
  }
  std::string variable(const char* name) const override {
    const auto found = variables.find(name);
    return found == variables.end() ? "" : found->second;
  }
  std::uint64_t limit(cli::doctor::LimitKind kind) const override {
    return kind == cli::doctor::LimitKind::kLockedMemory ? locked_memory : open_files;
  }
  unsigned user() const override { return uid; }
  std::string architecture() const override { return machine; }
  std::string kernel() const override { return "6.1.0"; }
  std::uint64_t capabilities() const override { return effective; }
};

/// The check of that name; a failed expectation and an empty one if there is none.
inline Check find(const Checks& checks, const std::string& name) {
  const auto found = std::find_if(checks.begin(), checks.end(),
                                  [&](const Check& check) { return check.name == name; });
  EXPECT_NE(found, checks.end()) << name;
  return found == checks.end() ? Check{} : *found;
}

inline std::string all_text(const Check& check) {
  return check.detail + "|" + check.cause + "|" + check.remedy;
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace vpmu::test
