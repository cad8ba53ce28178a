// SPDX-License-Identifier: MIT
#include "cli/filter/kernel_test.hpp"

#include <cstring>

#include <fmt/format.h>

#include "cli/errno_name.hpp"
#include "cli/filter/loaded_filter.hpp"
#include "cli/filter/range_kernel_test.hpp"
#include "cli/filter/ranges.hpp"
#include "cli/wrap.hpp"
#include "machine/kvm/kvm_event_filter.hpp"

namespace vpmu::cli::filter {

namespace {
using machine::kvm::KvmEventFilter;
using policy::FilterFile;
using silicon::x86::Vendor;
using virt::x86::FilterImage;

/// The flags of a structure that is there so far.
bool wants_masked_events(const FilterFile& file) {
  return file.bytes.size() >= FilterImage::kHeaderBytes &&
         (static_cast<unsigned>(file.bytes[FilterImage::kFlagsAt]) & FilterImage::kMaskedEvents) !=
             0;
}

}  // namespace

Result<Output> test_on_kernel(const FilterFile& file, machine::kvm::KvmSystem& system) {
  auto kvm = KvmEventFilter::create(system);
  if (!kvm) return tl::unexpected(kvm.error());
  const auto found = kvm->vendor();
  if (!found && wants_masked_events(file)) {
    return fail(
        fmt::format("event filter '{}': this kernel's KVM takes no masked events "
                    "(KVM_CAP_PMU_EVENT_MASKED_EVENTS); use Linux 6.3 or newer",
                    file.name));
  }
  const Vendor vendor = found.value_or(Vendor::kIntel);
  const auto image = virt::x86::read_filter_image(file.bytes, vendor);
  const int ours = image ? 0 : errno_of(image.error().error);
  const int kernels = kvm->load(file.bytes);
  const std::string our_answer =
      image ? "accepts it" : "refuses it: " + policy::describe(image.error(), file.bytes, vendor);

  std::string warning;
  if (file.policy && found && file.policy->catalogue->vendor() != vendor) {
    warning = fmt::format("the policy is for {} guests, and this kernel runs guests of {}",
                          name(file.policy->catalogue->vendor()), name(vendor));
  }
  return compared(
      fmt::format("{}{}", file.name, found ? fmt::format(", for {} guests", name(vendor)) : ""),
      {.kernels = kernels_answer(kernels),
       .ours = our_answer,
       .warning = warning,
       .agree = ours == kernels});
}

Result<Output> run_kernel_test(const KernelTestOptions& options) {
  if (!options.cpu.empty()) {
    const auto model = policy::range_cpu_model(options.cpu);
    if (!model) return fail("--cpu: " + model.error().message + "; other filters need none");
  }
  const auto file = policy::read_filter_file(options.file);
  if (!file) return tl::unexpected(file.error());
  const auto ranges = as_ranges(*file, options.cpu);
  if (!ranges) return tl::unexpected(ranges.error());
  machine::kvm::LinuxKvmSystem system;
  return *ranges ? test_ranges_on_kernel(**ranges, system) : test_on_kernel(*file, system);
}

std::string kernels_answer(int error) {
  if (error == 0) return "accepts it";
  return fmt::format("refuses it: {}, {}", errno_name(error), std::strerror(error));
}

Output compared(const std::string& what, const Comparison& comparison) {
  const std::size_t columns = output_columns();
  Output output;
  output.text = what + "\n";
  output.text += wrapped("  kernel   ", 11, comparison.kernels, columns) + "\n";
  output.text += wrapped("  vpmu     ", 11, comparison.ours, columns) + "\n";
  if (!comparison.warning.empty()) {
    output.text += wrapped("  warning  ", 11, comparison.warning, columns) + "\n";
  }
  output.text += comparison.agree ? "They agree.\n" : "They do not agree.\n";
  output.status = comparison.agree ? 0 : kStatusNo;
  return output;
}

}  // namespace vpmu::cli::filter
