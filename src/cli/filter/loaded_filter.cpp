// SPDX-License-Identifier: MIT
#include "cli/filter/loaded_filter.hpp"

#include <utility>

#include <fmt/format.h>

namespace vpmu::cli::filter {

using policy::EventCatalogue;
using policy::FilterFile;
using virt::x86::EventFilter;

Result<const EventCatalogue*> catalogue_for(const FilterFile& file, const std::string& cpu) {
  if (!cpu.empty()) return EventCatalogue::of(cpu);
  if (file.policy) return file.policy->catalogue;
  return fail(fmt::format(
      "event filter '{}': does not say for which CPU it is; give --cpu MODEL, e.g. icelake-server",
      file.name));
}

Result<LoadedFilter> load_filter(const FilterFile& file, const EventCatalogue& catalogue) {
  const auto image = policy::valid_image(file, catalogue.vendor());
  if (!image) return tl::unexpected(image.error());
  auto filter = EventFilter::create(*image, catalogue.vendor());
  if (!filter) {
    return fail(fmt::format("event filter '{}': {}", file.name,
                            policy::describe(filter.error(), file.bytes, catalogue.vendor())));
  }
  return LoadedFilter{file.name, &catalogue, std::move(*filter)};
}

Result<LoadedFilter> load_filter(const FilterFile& file, const std::string& cpu) {
  const auto catalogue = catalogue_for(file, cpu);
  if (!catalogue) return tl::unexpected(catalogue.error());
  return load_filter(file, **catalogue);
}

const std::string& cpu_name(const EventCatalogue& catalogue) {
  return catalogue.pmu().cpu_model.empty() ? catalogue.pmu().name : catalogue.pmu().cpu_model;
}

}  // namespace vpmu::cli::filter
