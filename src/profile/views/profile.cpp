// SPDX-License-Identifier: MIT
#include "profile/views/profile.hpp"

#include <limits>

namespace vpmu::profile {

using perf_data::CpuMode;

CodeKind code_kind(CpuMode mode) {
  switch (mode) {
    case CpuMode::kKernel:
    case CpuMode::kGuestKernel: return CodeKind::kKernel;
    case CpuMode::kUser:
    case CpuMode::kGuestUser: return CodeKind::kUser;
    case CpuMode::kHypervisor: return CodeKind::kHypervisor;
    case CpuMode::kUnknown: break;
  }
  return CodeKind::kUnknown;
}

const char* mark(CodeKind kind) {
  switch (kind) {
    case CodeKind::kKernel: return "k";
    case CodeKind::kUser: return "u";
    case CodeKind::kHypervisor: return "h";
    case CodeKind::kUnknown: break;
  }
  return "?";
}

const char* mode_name(CpuMode mode) {
  switch (mode) {
    case CpuMode::kKernel: return "kernel";
    case CpuMode::kGuestKernel: return "guest kernel";
    case CpuMode::kUser: return "user";
    case CpuMode::kGuestUser: return "guest user";
    case CpuMode::kHypervisor: return "hypervisor";
    case CpuMode::kUnknown: break;
  }
  return "unknown";
}

void Weight::add(const Weight& other) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  samples += other.samples;
  count = other.count > kMost - count ? kMost : count + other.count;
}

const std::string& Profile::function_name(const Function& function) const {
  static const std::string unknown = "[unknown]";
  return function.name == kNoName ? unknown : names[function.name];
}

}  // namespace vpmu::profile
