// SPDX-License-Identifier: MIT
//
// What lies beside the benchmarks in the build folder, wherever that was moved to.
#pragma once

#include <string>

namespace vpmu::bench {

/// This program.
std::string own_path();
/// The vpmu command.
std::string vpmu_path();
/// An x86 guest image by name.
std::string guest_path(const std::string& name);
/// An AArch64 guest image.
std::string arm64_guest_path(const std::string& name);
/// The code of an x86 guest as an ordinary process.
std::string process_path(const std::string& name);

}  // namespace vpmu::bench
