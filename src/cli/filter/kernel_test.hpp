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

struct KernelTestOptions {
  std::string file;
  std::string cpu;  ///< name of an AArch64 model, or empty
};
/// Of the running kernel.
Result<Output> run_kernel_test(const KernelTestOptions& options);

// ---- Of filters of either architecture ----------------------------------------------------------

/// "accepts it", "refuses it: EINVAL, Invalid argument".
std::string kernels_answer(int error);

struct Comparison {
  std::string kernels;
  std::string ours;
  std::string warning;  ///< or empty
  bool agree = true;
};
/// `what`: the file, and for which guests it is.
Output compared(const std::string& what, const Comparison& comparison);

}  // namespace vpmu::cli::filter
