// SPDX-License-Identifier: MIT
#include "bench/support/child.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

namespace vpmu::bench {

namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

/// Starts `command` with its output going to `output`; errno if that fails.
int spawn(const std::vector<std::string>& command, int output, pid_t& pid) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  const int error = posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

/// The most memory that a process has had so far; 0 if it has none any more.
std::uint64_t peak_of(pid_t pid) {
  std::ifstream status{"/proc/" + std::to_string(pid) + "/status"};
  for (std::string line; std::getline(status, line);) {
    constexpr const char* kLabel = "VmHWM:";
    if (line.starts_with(kLabel)) return std::stoull(line.substr(std::strlen(kLabel))) << 10;
  }
  return 0;
}

/// Looks at a process' memory until it is told to stop. What wait4() says begins with this process'
/// own memory.
class PeakWatch {
 public:
  explicit PeakWatch(pid_t pid)
      : thread_{[this, pid] {
          while (!done_) {
            peak_ = std::max<std::uint64_t>(peak_, peak_of(pid));
            std::this_thread::sleep_for(std::chrono::milliseconds{2});
          }
        }} {}
  std::uint64_t stop() {
    done_ = true;
    thread_.join();
    return peak_;
  }

 private:
  std::atomic<bool> done_{false};
  std::atomic<std::uint64_t> peak_{0};
  std::thread thread_;
};

std::string read_all(int from) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t count = read(from, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace

Result<ChildRun> run_child(const std::vector<std::string>& command) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail(std::string{"pipe: "} + std::strerror(errno));
  const auto begin = std::chrono::steady_clock::now();
  pid_t pid = 0;
  const int error = spawn(command, ends[1], pid);
  close(ends[1]);
  if (error != 0) {
    close(ends[0]);
    return fail(command[0] + ": " + std::strerror(error));
  }
  ChildRun run;
  PeakWatch watch{pid};
  run.output = read_all(ends[0]);
  close(ends[0]);
  int status = 0;
  rusage usage{};
  while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  run.peak_bytes = watch.stop();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  run.wall_seconds = took.count();
  run.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return run;
}

bool in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders{path == nullptr ? "" : path};
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

Result<double> number_behind(const std::string& text, const std::string& label) {
  std::size_t at = text.find(label);
  if (at == std::string::npos) return fail("no \"" + label + "\" in the output");
  std::string digits;
  at += label.size();
  while (at < text.size() && (text[at] == ' ' || text[at] == ':')) ++at;
  for (; at < text.size() && (std::isdigit(text[at]) != 0 || text[at] == ','); ++at) {
    if (text[at] != ',') digits += text[at];
  }
  if (digits.empty()) return fail("no number behind \"" + label + "\" in the output");
  return std::strtod(digits.c_str(), nullptr);
}

}  // namespace vpmu::bench
