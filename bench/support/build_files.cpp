// SPDX-License-Identifier: MIT
#include "bench/support/build_files.hpp"

#include <filesystem>

namespace vpmu::bench {

namespace {
std::filesystem::path beside(const char* name) {
  return std::filesystem::path{own_path()}.parent_path() / name;
}
}  // namespace

std::string own_path() {
  return std::filesystem::read_symlink("/proc/self/exe").string();
}

std::string vpmu_path() {
  return beside("vpmu").string();
}

std::string guest_path(const std::string& name) {
  return beside("guests/x86") / (name + ".elf");
}

std::string arm64_guest_path(const std::string& name) {
  return beside("guests/arm64") / (name + ".elf");
}

std::string process_path(const std::string& name) {
  return beside("guests/x86/process") / name;
}

}  // namespace vpmu::bench
