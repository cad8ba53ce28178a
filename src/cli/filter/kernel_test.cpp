// SPDX-License-Identifier: MIT
#include "cli/filter/kernel_test.hpp"

#include <cstring>

#include <fmt/format.h>

#include "cli/errno_name.hpp"
#include "cli/filter/loaded_filter.hpp"
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

std::string kernels_answer(int error) {
  if (error == 0) return "accepts it";
  return fmt::format("refuses it: {}, {}", errno_name(error), std::strerror(error));
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

  const std::size_t columns = output_columns();
  Output output;
  output.text =
      fmt::format("{}{}\n", file.name, found ? fmt::format(", for {} guests", name(vendor)) : "");
  output.text += wrapped("  kernel   ", 11, kernels_answer(kernels), columns) + "\n";
  output.text += wrapped("  vpmu     ", 11, our_answer, columns) + "\n";
  if (file.policy && found && file.policy->catalogue->vendor() != vendor) {
    const std::string note =
        fmt::format("the policy is for {} guests, and this kernel runs guests of {}",
                    name(file.policy->catalogue->vendor()), name(vendor));
    output.text += wrapped("  warning  ", 11, note, columns) + "\n";
  }
  output.text += ours == kernels ? "They agree.\n" : "They do not agree.\n";
  output.status = ours == kernels ? 0 : kStatusNo;
  return output;
}

Result<Output> run_kernel_test(const std::string& path) {
  const auto file = policy::read_filter_file(path);
  if (!file) return tl::unexpected(file.error());
  if (auto x86 = only_x86(*file, "", "test"); !x86) return tl::unexpected(x86.error());
  machine::kvm::LinuxKvmSystem system;
  return test_on_kernel(*file, system);
}

}  // namespace vpmu::cli::filter
