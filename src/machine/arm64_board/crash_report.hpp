// SPDX-License-Identifier: MIT
//
// What there is to see of a vCPU that crashed: why, registers, and the code where it goes on for
// ever. Lines of text for people; the format may change.
#pragma once

#include <string>

namespace vpmu::machine::arm64 {

class Vcpu;

std::string crash_report(const Vcpu& vcpu);

}  // namespace vpmu::machine::arm64
