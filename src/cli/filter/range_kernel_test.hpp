// SPDX-License-Identifier: MIT
//
// `vpmu filter test --kvm` with a filter of AArch64 guests: what the running kernel says of its
// ranges, beside what we say. Asks the KVM of an AArch64 host; there is none elsewhere.
#pragma once

#include "cli/filter/output.hpp"
#include "cli/filter/ranges.hpp"
#include "machine/kvm/kvm_system.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::filter {

/// Status 1 if the two disagree: about whether they take it, or about which range they refuse. An
/// error if the kernel cannot be asked.
Result<Output> test_ranges_on_kernel(const LoadedRanges& loaded, machine::kvm::KvmSystem& system);

}  // namespace vpmu::cli::filter
