// SPDX-License-Identifier: MIT
#include "cli/doctor/linux_host.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>

namespace vpmu::cli::doctor {

namespace {
using Clock = std::chrono::steady_clock;

/// Enough for any file below /proc, and for what a program says of its version.
constexpr std::size_t kMostBytes = std::size_t{256} << 10;
constexpr auto kPatience = std::chrono::seconds{5};

struct Descriptor {
  explicit Descriptor(int number) : fd{number} {}
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  const int fd;
};

/// Reads until the end, kMostBytes, or the deadline: false.
bool read_until(int fd, Clock::time_point deadline, std::string& text) {
  std::array<char, 4096> buffer;
  while (text.size() < kMostBytes) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd ready{fd, POLLIN, 0};
    const int events = poll(&ready, 1, std::max(0, static_cast<int>(left.count())));
    if (events == 0) return false;
    if (events < 0 && errno == EINTR) continue;
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return true;
}

/// Starts `path --version` with its output going to `output`; the errno, or 0.
int spawn_version(const std::string& path, int output, pid_t& child) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  std::string program = path, option = "--version";
  char* const arguments[] = {program.data(), option.data(), nullptr};
  const int error = posix_spawn(&child, path.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}
}  // namespace

tl::expected<std::string, int> LinuxHost::read(const std::string& path) const {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return tl::unexpected(errno);
  std::string text;
  std::array<char, 4096> buffer;
  while (text.size() < kMostBytes) {
    const ssize_t got = ::read(file.fd, buffer.data(), buffer.size());
    if (got < 0) return tl::unexpected(errno);
    if (got == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

bool LinuxHost::exists(const std::string& path) const {
  return access(path.c_str(), F_OK) == 0;
}

tl::expected<FileOwner, int> LinuxHost::owner(const std::string& path) const {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return tl::unexpected(errno);
  FileOwner owner{status.st_uid, status.st_gid, status.st_mode & 07777u, ""};
  if (const group* found = getgrgid(status.st_gid)) owner.group_name = found->gr_name;
  return owner;
}

std::vector<std::string> LinuxHost::programs(const std::string& folder) const {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it{folder, error}, end; !error && it != end;
       it.increment(error)) {
    std::error_code unreadable;
    if (it->is_regular_file(unreadable) && access(it->path().c_str(), X_OK) == 0) {
      names.push_back(it->path().filename());
    }
  }
  return names;
}

ProgramRun LinuxHost::version_of(const std::string& path) const {
  ProgramRun run;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {.error = errno, .status = 0, .output = ""};
  const Descriptor reader{ends[0]};
  pid_t child = 0;
  {
    const Descriptor writer{ends[1]};
    run.error = spawn_version(path, writer.fd, child);
  }
  if (run.error != 0) return run;
  if (!read_until(reader.fd, Clock::now() + kPatience, run.output)) {
    run.error = ETIMEDOUT;
    kill(child, SIGKILL);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return run;
}

std::string LinuxHost::variable(const char* name) const {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::uint64_t LinuxHost::limit(LimitKind kind) const {
  rlimit limit{};
  getrlimit(kind == LimitKind::kLockedMemory ? RLIMIT_MEMLOCK : RLIMIT_NOFILE, &limit);
  return limit.rlim_cur == RLIM_INFINITY ? kUnlimited : limit.rlim_cur;
}

unsigned LinuxHost::user() const {
  return geteuid();
}

std::string LinuxHost::architecture() const {
  utsname names{};
  return uname(&names) == 0 ? names.machine : "";
}

std::string LinuxHost::kernel() const {
  utsname names{};
  return uname(&names) == 0 ? names.release : "";
}

std::uint64_t LinuxHost::capabilities() const {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (syscall(SYS_capget, &header, data.data()) != 0) return 0;
  return std::uint64_t{data[1].effective} << 32 | data[0].effective;
}

}  // namespace vpmu::cli::doctor
