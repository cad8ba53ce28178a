// SPDX-License-Identifier: MIT
//
// What `vpmu doctor` asks the operating system, behind an interface, and the facts about this user
// and kernel that explain the probes' answers. Anything may be unreadable: containers hide /proc
// and /sys, or parts of them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "machine/kvm/kvm_capabilities.hpp"

namespace vpmu::cli::doctor {

struct FileOwner {
  unsigned user = 0;
  unsigned group = 0;
  unsigned mode = 0;       ///< permission bits
  std::string group_name;  ///< empty if the group has none
};

struct ProgramRun {
  int error = 0;       ///< errno of starting it; ETIMEDOUT if it was stopped for taking too long
  int status = 0;      ///< exit status
  std::string output;  ///< standard output and error together
};

enum class LimitKind : std::uint8_t { kLockedMemory, kOpenFiles };

class Host {
 public:
  static constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};

  /// A whole small file, or the errno.
  [[nodiscard]] virtual tl::expected<std::string, int> read(const std::string& path) const = 0;
  [[nodiscard]] virtual bool exists(const std::string& path) const = 0;
  [[nodiscard]] virtual tl::expected<FileOwner, int> owner(const std::string& path) const = 0;
  /// Names of the programs in a folder; empty if it cannot be read.
  [[nodiscard]] virtual std::vector<std::string> programs(const std::string& folder) const = 0;
  /// Runs `path --version`, for a few seconds at most.
  [[nodiscard]] virtual ProgramRun version_of(const std::string& path) const = 0;
  /// Of an environment variable; empty if it is not set.
  [[nodiscard]] virtual std::string variable(const char* name) const = 0;
  /// Soft limit, in bytes or files.
  [[nodiscard]] virtual std::uint64_t limit(LimitKind kind) const = 0;
  [[nodiscard]] virtual unsigned user() const = 0;
  /// As `uname -m` and `uname -r`.
  [[nodiscard]] virtual std::string architecture() const = 0;
  [[nodiscard]] virtual std::string kernel() const = 0;
  /// The effective capabilities, one bit each.
  [[nodiscard]] virtual std::uint64_t capabilities() const = 0;

 protected:
  ~Host() = default;
};

struct HostFacts {
  unsigned user = 0;
  bool container = false;
  /// Root's capabilities in a user namespace of its own do not count for perf.
  bool user_namespace = false;
  bool perfmon = false;         ///< CAP_PERFMON or CAP_SYS_ADMIN, and they count
  bool lock_memory = false;     ///< CAP_IPC_LOCK, and it counts
  bool seccomp = false;         ///< a filter is active
  std::optional<int> paranoid;  ///< kernel.perf_event_paranoid
  machine::kvm::HostArchitecture architecture = machine::kvm::HostArchitecture::kOther;
  std::string architecture_name;
  std::string kernel;
  std::string cpu;               ///< name of the CPU; empty if it is not known
  bool amd = false;              ///< AMD or Hygon
  bool virtual_machine = false;  ///< the CPU says that it runs under a hypervisor
  bool virtualization = false;   ///< VMX or SVM
};

HostFacts host_facts(const Host& host);

/// The number in a small file such as those below /proc/sys.
std::optional<long> read_number(const Host& host, const std::string& path);

}  // namespace vpmu::cli::doctor
