// SPDX-License-Identifier: MIT
//
// The host that this process runs on.
#pragma once

#include "cli/doctor/host.hpp"

namespace vpmu::cli::doctor {

class LinuxHost final : public Host {
 public:
  [[nodiscard]] tl::expected<std::string, int> read(const std::string& path) const override;
  [[nodiscard]] bool exists(const std::string& path) const override;
  [[nodiscard]] tl::expected<FileOwner, int> owner(const std::string& path) const override;
  [[nodiscard]] std::vector<std::string> programs(const std::string& folder) const override;
  [[nodiscard]] ProgramRun version_of(const std::string& path) const override;
  [[nodiscard]] std::string variable(const char* name) const override;
  [[nodiscard]] std::uint64_t limit(LimitKind kind) const override;
  [[nodiscard]] unsigned user() const override;
  [[nodiscard]] std::string architecture() const override;
  [[nodiscard]] std::string kernel() const override;
  [[nodiscard]] std::uint64_t capabilities() const override;
};

}  // namespace vpmu::cli::doctor
