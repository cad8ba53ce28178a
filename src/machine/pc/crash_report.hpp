// SPDX-License-Identifier: MIT
//
// What there is to see of a vCPU that crashed: registers, the page walks of RIP and CR2, the code
// at RIP. Lines of text for people; the format may change.
#pragma once

#include <string>

namespace vpmu::machine {

class Vcpu;
class GuestMemory;

std::string crash_report(const Vcpu& vcpu, const GuestMemory& memory);

}  // namespace vpmu::machine
