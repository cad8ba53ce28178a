// SPDX-License-Identifier: MIT
//
// `vpmu filter test --kvm`: what the running kernel says of a filter, beside what we say.
#pragma once

#include <string>

#include "cli/filter/output.hpp"
#include "machine/kvm/kvm_system.hpp"
#include "policy/filter_file.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::filter {

/// Status 1 if the two disagree. An error if the kernel cannot be asked.
Result<Output> test_on_kernel(const policy::FilterFile& file, machine::kvm::KvmSystem& system);

Result<Output> run_kernel_test(const std::string& path);

}  // namespace vpmu::cli::filter
