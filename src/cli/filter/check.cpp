// SPDX-License-Identifier: MIT
#include "cli/filter/check.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "cli/errno_name.hpp"
#include "cli/filter/dead_entries.hpp"
#include "cli/filter/json_words.hpp"
#include "cli/filter/loaded_filter.hpp"
#include "cli/filter/ranges.hpp"
#include "cli/wrap.hpp"

namespace vpmu::cli::filter {

namespace {
using policy::FilterFile;
using silicon::x86::Vendor;
using virt::x86::FilterImage;

VendorAnswer answer(const FilterFile& file, Vendor vendor) {
  const auto image = virt::x86::read_filter_image(file.bytes, vendor);
  if (image) return {vendor, {}, {}};
  return {vendor, image.error(), policy::describe(image.error(), file.bytes, vendor)};
}

void warn_of_bytes(const FilterFile& file, const FilterImage& image, CheckResult& result) {
  const std::size_t size = FilterImage::kHeaderBytes + 8 * image.used().size();
  if (file.bytes.size() > size) {
    result.warnings.push_back({{},
                               {},
                               fmt::format("{} bytes follow the last entry, and nobody "
                                           "reads them; cut them off",
                                           file.bytes.size() - size)});
  }
  const auto padding = std::span{file.bytes}.subspan(
      FilterImage::kPaddingAt, FilterImage::kHeaderBytes - FilterImage::kPaddingAt);
  if (std::ranges::any_of(padding, [](std::byte byte) { return byte != std::byte{0}; })) {
    result.warnings.push_back(
        {{}, {}, "the padding (bytes 16 to 31) is not 0, which KVM ignores so far; make it 0"});
  }
}

/// Of a filter that allows; denying what there is not is what `vpmu filter build` does itself.
void warn_of_fixed_bits(const FilterImage& image, unsigned fixed_counters, CheckResult& result) {
  if (image.action != static_cast<std::uint32_t>(virt::x86::FilterAction::kAllow)) return;
  const std::uint32_t beyond =
      fixed_counters >= 32 ? 0 : image.fixed_bitmap >> fixed_counters << fixed_counters;
  if (beyond == 0) return;
  result.warnings.push_back(
      {{},
       {},
       fmt::format("the fixed-counter bitmap has bits {:#x} of counters that the CPU has not: it "
                   "has {}; clear them",
                   beyond, fixed_counters)});
}

/// Those of each vendor, once if they are the same for all.
void warn_of_entries(const std::vector<Vendor>& vendors, const FilterFile& file,
                     CheckResult& result) {
  std::vector<std::vector<DeadEntry>> dead;
  dead.reserve(vendors.size());
  for (const Vendor vendor : vendors) {
    dead.push_back(dead_entries(*virt::x86::read_filter_image(file.bytes, vendor), vendor));
  }
  std::vector<Warning> all;
  for (std::size_t i = 0; i < dead.size(); ++i) {
    for (const DeadEntry& entry : dead[i]) {
      const bool everywhere = std::ranges::all_of(dead, [&](const auto& others) {
        return std::ranges::find(others, entry) != others.end();
      });
      if (everywhere && i > 0) continue;
      std::optional<Vendor> only;
      if (!everywhere) only = vendors[i];
      all.push_back({entry.entry, only, entry.why});
    }
  }
  std::ranges::stable_sort(all, {}, &Warning::entry);
  std::ranges::move(all, std::back_inserter(result.warnings));
}

std::uint64_t raw_entry(const FilterFile& file, std::uint32_t number) {
  std::uint64_t raw = 0;
  for (std::size_t i = 8; i-- > 0;) {
    raw = raw << 8 |
          static_cast<std::uint64_t>(file.bytes[FilterImage::kHeaderBytes + 8 * number + i]);
  }
  return raw;
}

std::string warning_text(const Warning& warning, const FilterFile& file) {
  std::string text = warning.text;
  if (warning.entry) {
    text = fmt::format("entry {} ({:#018x}) {}; remove it", *warning.entry,
                       raw_entry(file, *warning.entry), warning.text);
  }
  if (warning.only_for) text += fmt::format(" (on {})", name(*warning.only_for));
  return text;
}

/// "allow, 7 masked entries, fixed-counter bitmap 0x7".
std::string summary(const FilterFile& file, const CheckResult& result) {
  const auto valid = std::ranges::find_if(
      result.answers, [](const VendorAnswer& answer) { return !answer.refusal.has_value(); });
  if (valid == result.answers.end()) return "refused";
  const FilterImage image = *virt::x86::read_filter_image(file.bytes, valid->vendor);
  return fmt::format("{}, {} {}{}, fixed-counter bitmap {:#x}", action_word(image), image.count,
                     image.masked() ? "masked " : "legacy ", image.count == 1 ? "entry" : "entries",
                     image.fixed_bitmap);
}

std::string text(const FilterFile& file, const CheckResult& result, std::size_t columns) {
  std::string text = fmt::format("{}: {}\n", file.name, summary(file, result));
  for (const VendorAnswer& answer : result.answers) {
    const std::string said = answer.refusal ? "refused: " + answer.text : "valid";
    text += wrapped(fmt::format("  {:<8} ", name(answer.vendor)), 11, said, columns) + "\n";
  }
  for (const Warning& warning : result.warnings) {
    text += wrapped("  warning  ", 11, warning_text(warning, file), columns) + "\n";
  }
  if (file.policy) {
    for (const std::string& warning : file.policy->warnings) {
      text += wrapped("  warning  ", 11, warning, columns) + "\n";
    }
  }
  return text;
}

Json json(const FilterFile& file, const CheckResult& result) {
  Json answers = Json::array();
  for (const VendorAnswer& answer : result.answers) {
    Json one = {{"vendor", vendor_word(answer.vendor)}, {"valid", !answer.refusal}};
    if (answer.refusal) {
      one["errno"] = errno_name(errno_of(answer.refusal->error));
      if (answer.refusal->error == virt::x86::FilterError::kReservedBits) {
        one["entry"] = answer.refusal->entry;
      }
      one["reason"] = answer.text;
    }
    answers.push_back(std::move(one));
  }
  Json warnings = Json::array();
  for (const Warning& warning : result.warnings) {
    Json one = Json::object();
    if (warning.entry) one["entry"] = *warning.entry;
    if (warning.only_for) one["vendor"] = vendor_word(*warning.only_for);
    one["text"] = warning_text(warning, file);
    warnings.push_back(std::move(one));
  }
  if (file.policy) {
    for (const std::string& warning : file.policy->warnings) {
      warnings.push_back({{"text", warning}});
    }
  }
  return {{"filter_check", kJsonVersion},
          {"file", file.name},
          {"valid", result.valid()},
          {"answers", std::move(answers)},
          {"warnings", std::move(warnings)}};
}

/// The vendors to answer for, and how many fixed counters there are if a CPU was named.
struct Question {
  std::vector<Vendor> vendors;
  std::optional<unsigned> fixed_counters;
};

Result<Question> question(const CheckOptions& options, const FilterFile& file) {
  Question question;
  if (!options.cpu.empty() || file.policy) {
    const auto catalogue = catalogue_for(file, options.cpu);
    if (!catalogue) return tl::unexpected(catalogue.error());
    const Vendor vendor = (*catalogue)->vendor();
    if (!options.vendor.empty() && options.vendor != vendor_word(vendor)) {
      return fail(fmt::format("--vendor {} contradicts {}, which is {}'s; leave it out",
                              options.vendor, cpu_name(**catalogue), name(vendor)));
    }
    if (file.policy && file.policy->catalogue->vendor() != vendor) {
      return fail(fmt::format("event filter '{}': is for {}, which {} is not; give another --cpu",
                              file.name, cpu_name(*file.policy->catalogue), cpu_name(**catalogue)));
    }
    question.vendors = {vendor};
    question.fixed_counters = (*catalogue)->fixed_counters();
    return question;
  }
  if (options.vendor != "amd") question.vendors.push_back(Vendor::kIntel);
  if (options.vendor != "intel") question.vendors.push_back(Vendor::kAmd);
  return question;
}
}  // namespace

bool CheckResult::valid() const {
  return std::ranges::any_of(
      answers, [](const VendorAnswer& answer) { return !answer.refusal.has_value(); });
}

CheckResult check(const FilterFile& file, const std::vector<Vendor>& vendors,
                  std::optional<unsigned> fixed_counters) {
  CheckResult result;
  std::vector<Vendor> valid;
  for (const Vendor vendor : vendors) {
    result.answers.push_back(answer(file, vendor));
    if (!result.answers.back().refusal) valid.push_back(vendor);
  }
  if (valid.empty()) return result;
  const FilterImage image = *virt::x86::read_filter_image(file.bytes, valid.front());
  warn_of_bytes(file, image, result);
  if (fixed_counters) warn_of_fixed_bits(image, *fixed_counters, result);
  warn_of_entries(valid, file, result);
  return result;
}

Result<Output> run_check(const CheckOptions& options) {
  const auto file = policy::read_filter_file(options.file);
  if (!file) return tl::unexpected(file.error());
  const auto ranges = as_ranges(*file, options.cpu);
  if (!ranges) return tl::unexpected(ranges.error());
  if (*ranges) {
    if (options.vendor.empty()) return check_ranges(**ranges, options.json);
    return fail(fmt::format("--vendor {} contradicts {}, which is no x86 CPU; leave it out",
                            options.vendor, (*ranges)->model->name));
  }
  const auto asked = question(options, *file);
  if (!asked) return tl::unexpected(asked.error());
  const CheckResult result = check(*file, asked->vendors, asked->fixed_counters);
  return Output{
      .text = options.json ? print(json(*file, result)) : text(*file, result, output_columns()),
      .remarks = "",
      .status = result.valid() ? 0 : kStatusNo};
}

}  // namespace vpmu::cli::filter
