// SPDX-License-Identifier: MIT
#include "cli/doctor/host.hpp"

#include <linux/capability.h>

#include <charconv>
#include <cstring>
#include <sstream>
#include <string_view>

#include <fmt/format.h>

namespace vpmu::cli::doctor {

namespace {
using machine::kvm::HostArchitecture;

constexpr unsigned kCapPerfmon = 38;  // newer than some kernel headers

/// The value of the first line "key : value" of a /proc file.
std::string field(const std::string& text, std::string_view key) {
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const std::size_t after = line.find_first_not_of(" \t", key.size());
    if (after == std::string::npos || line[after] != ':') continue;
    const std::size_t value = line.find_first_not_of(" \t", after + 1);
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

bool has_word(const std::string& text, const std::string& word) {
  std::istringstream words{text};
  for (std::string next; words >> next;) {
    if (next == word) return true;
  }
  return false;
}

HostArchitecture architecture_of(const std::string& machine) {
  if (machine == "x86_64" || machine == "i686") return HostArchitecture::kX86;
  if (machine == "aarch64") return HostArchitecture::kArm64;
  return HostArchitecture::kOther;
}

bool in_container(const Host& host) {
  return host.exists("/.dockerenv") || host.exists("/run/.containerenv") ||
         !host.variable("container").empty() || !host.variable("KUBERNETES_SERVICE_HOST").empty();
}

/// The initial user namespace maps all users to themselves.
bool in_user_namespace(const Host& host) {
  const auto map = host.read("/proc/self/uid_map");
  if (!map) return false;
  std::istringstream numbers{*map};
  std::uint64_t inside = 0, outside = 0, count = 0;
  numbers >> inside >> outside >> count;
  return !(inside == 0 && outside == 0 && count == 0xffff'ffff);
}

void read_cpu(const Host& host, HostFacts& facts) {
  const auto text = host.read("/proc/cpuinfo");
  if (!text) return;
  facts.cpu = field(*text, "model name");
  const std::string vendor = field(*text, "vendor_id");
  facts.amd = vendor == "AuthenticAMD" || vendor == "HygonGenuine";
  const std::string flags = field(*text, "flags");
  facts.virtual_machine = has_word(flags, "hypervisor");
  facts.virtualization = has_word(flags, "vmx") || has_word(flags, "svm");
}
}  // namespace

HostFacts host_facts(const Host& host) {
  HostFacts facts;
  facts.user = host.user();
  facts.container = in_container(host);
  facts.user_namespace = in_user_namespace(host);
  const std::uint64_t capabilities = facts.user_namespace ? 0 : host.capabilities();
  const auto has = [&](unsigned bit) { return (capabilities >> bit & 1) != 0; };
  facts.perfmon = has(kCapPerfmon) || has(CAP_SYS_ADMIN);
  facts.lock_memory = has(CAP_IPC_LOCK);
  const auto status = host.read("/proc/self/status");
  facts.seccomp = status && field(*status, "Seccomp") == "2";
  const auto paranoid = read_number(host, "/proc/sys/kernel/perf_event_paranoid");
  if (paranoid) facts.paranoid = static_cast<int>(*paranoid);
  facts.architecture_name = host.architecture();
  facts.architecture = architecture_of(facts.architecture_name);
  facts.kernel = host.kernel();
  read_cpu(host, facts);
  return facts;
}

std::optional<long> read_number(const Host& host, const std::string& path) {
  const auto text = host.read(path);
  if (!text) return std::nullopt;
  long value = 0;
  const char* end = text->data() + text->size();
  const auto parsed = std::from_chars(text->data(), end, value);
  if (parsed.ec != std::errc{} || (parsed.ptr != end && *parsed.ptr != '\n')) return std::nullopt;
  return value;
}

}  // namespace vpmu::cli::doctor
