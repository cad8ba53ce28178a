// SPDX-License-Identifier: MIT
#include "cli/filter/range_kernel_test.hpp"

#include <cerrno>
#include <cstddef>
#include <string>

#include <fmt/format.h>

#include "cli/filter/kernel_test.hpp"
#include "machine/kvm/kvm_range_filter.hpp"
#include "vpmu/silicon/arm64/pmu_registers.hpp"

namespace vpmu::cli::filter {

namespace {
using machine::kvm::KvmRangeFilter;

/// Who has got how far: a kernel, or we.
struct Answer {
  int error = 0;
  std::size_t range = 0;  ///< that was refused
  friend bool operator==(const Answer&, const Answer&) = default;
};

Answer ask(KvmRangeFilter& kvm, const policy::RangeFilter& ranges) {
  for (std::size_t n = 0; n < ranges.ranges.size(); ++n) {
    if (const int error = kvm.set(ranges.ranges[n]); error != 0) return {error, n};
  }
  return {};
}

std::string kernels_text(const Answer& answer, const policy::RangeFilter& ranges) {
  if (answer.error == 0) return kernels_answer(0);
  return fmt::format("range {} ({}): {}", answer.range,
                     policy::describe(ranges.ranges[answer.range]), kernels_answer(answer.error));
}
}  // namespace

Result<Output> test_ranges_on_kernel(const LoadedRanges& loaded, machine::kvm::KvmSystem& system) {
  auto kvm = KvmRangeFilter::create(system);
  if (!kvm) {
    return fail(
        fmt::format("event filter '{}': is for AArch64 guests, and the KVM of an AArch64 host has "
                    "to be asked: {}",
                    loaded.name, kvm.error().message));
  }
  const Answer kernels = ask(*kvm, loaded.ranges);
  const std::uint8_t version = kvm->pmu_version();
  const auto built = policy::build_filter(loaded.ranges, version, "this host's PMU");
  const Answer ours = built.refusal ? Answer{EINVAL, built.refusal->range} : Answer{};

  const std::uint32_t numbers = silicon::arm64::event_numbers(version);
  const std::uint32_t models = silicon::arm64::event_numbers(loaded.model->pmu.version);
  std::string warning;
  if (numbers != models) {
    warning = fmt::format("{} has {} event numbers, and this host {}", loaded.model->name, models,
                          numbers);
  }
  return compared(fmt::format("{}, for AArch64 guests", loaded.name),
                  {.kernels = kernels_text(kernels, loaded.ranges),
                   .ours = built.refusal ? "refuses it: " + built.refusal->text : "accepts it",
                   .warning = warning,
                   .agree = ours == kernels});
}

}  // namespace vpmu::cli::filter
