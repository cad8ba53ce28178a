// SPDX-License-Identifier: MIT
//
// Filters as the text or bytes of a file: what `vpmu filter build` writes.
#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "policy/filter_file.hpp"

namespace vpmu::policy {

namespace {
using silicon::x86::Vendor;
using virt::x86::FilterEntry;
using virt::x86::FilterImage;
using virt::x86::MaskedEvent;

std::vector<std::byte> image_bytes(const FilterImage& image) {
  FilterImage::Bytes bytes;
  const std::size_t size = write_filter_image(image, bytes);
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
}

std::string binary(const FilterImage& image) {
  std::string text;
  for (const std::byte byte : image_bytes(image)) text += static_cast<char>(byte);
  return text;
}

/// The header on a line, and then an entry on each.
std::string hex(const FilterImage& image) {
  std::string text;
  std::size_t at = 0;
  for (const std::byte byte : image_bytes(image)) {
    text += fmt::format("{:02x}", static_cast<unsigned>(byte));
    ++at;
    if (at >= FilterImage::kHeaderBytes && at % 8 == 0) text += '\n';
  }
  return text;
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string json(const FilterImage& image, std::string_view comment) {
  nlohmann::ordered_json json;
  if (!comment.empty()) json["comment"] = lines_of(comment);
  json["action"] = image.denies() ? "deny" : "allow";
  json["fixed_counter_bitmap"] = fmt::format("{:#x}", image.fixed_bitmap);
  json["flags"] = image.flags;
  nlohmann::ordered_json& events = json["events"] = nlohmann::ordered_json::array();
  for (const std::uint64_t entry : image.used()) events.push_back(fmt::format("{:#018x}", entry));
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

/// Within a comment of C: one line that neither ends it nor seems to begin another.
std::string commented(std::string_view line) {
  std::string text;
  for (const char c : line) {
    if ((c == '/' && text.ends_with('*')) || (c == '*' && text.ends_with('/'))) text += ' ';
    text += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? ' ' : c;
  }
  // The end of a line joins the next one behind a backslash, and compilers warn of it.
  while (text.ends_with('\\') || text.ends_with(' ')) text.pop_back();
  return text;
}

/// What an entry says, in words; of either vendor.
std::string entry_comment(std::uint64_t raw, bool masked) {
  const auto event = decode_entry(FilterEntry{{raw}}, masked, Vendor::kAmd);
  if (!event) return "matches nothing";
  return describe(*event);
}

std::string c_source(const FilterImage& image, std::string_view comment) {
  const bool deny = image.denies();
  const auto entries = image.used();
  std::string text =
      "/* A PMU event filter: ioctl(vm, KVM_SET_PMU_EVENT_FILTER, &pmu_event_filter).\n";
  for (const std::string& line : lines_of(comment)) {
    const std::string clean = commented(line);
    text += clean.empty() ? " *\n" : fmt::format(" * {}\n", clean);
  }
  text += " */\n#include <stdint.h>\n\n";
  // An array must have an element, also where it is not looked at.
  fmt::format_to(std::back_inserter(text),
                 "static const struct {{\n"
                 "  uint32_t action;\n"
                 "  uint32_t nevents;\n"
                 "  uint32_t fixed_counter_bitmap;\n"
                 "  uint32_t flags;\n"
                 "  uint32_t pad[4];\n"
                 "  uint64_t events[{}];\n"
                 "}} pmu_event_filter = {{\n"
                 "  .action = {}, /* KVM_PMU_EVENT_{} */\n"
                 "  .nevents = {},\n"
                 "  .fixed_counter_bitmap = {:#x},\n"
                 "  .flags = {},{}\n"
                 "  .pad = {{0, 0, 0, 0}},\n"
                 "  .events = {{\n",
                 std::max<std::size_t>(entries.size(), 1), image.action, deny ? "DENY" : "ALLOW",
                 entries.size(), image.fixed_bitmap, image.flags,
                 image.masked() ? " /* KVM_PMU_EVENT_FLAG_MASKED_EVENTS */" : "");
  for (const std::uint64_t entry : entries) {
    fmt::format_to(std::back_inserter(text), "    {:#018x}ull, /* {} */\n", entry,
                   entry_comment(entry, image.masked()));
  }
  if (entries.empty()) text += "    0,\n";
  return text + "  },\n};\n";
}
}  // namespace

std::optional<FilterFormat> filter_format(std::string_view name) {
  if (name == "bin") return FilterFormat::kImage;
  if (name == "hex") return FilterFormat::kHex;
  if (name == "json") return FilterFormat::kJson;
  if (name == "c") return FilterFormat::kC;
  return std::nullopt;
}

std::string format_filter(const FilterImage& image, FilterFormat format, std::string_view comment) {
  switch (format) {
    case FilterFormat::kImage: return binary(image);
    case FilterFormat::kHex: return hex(image);
    case FilterFormat::kJson: return json(image, comment);
    case FilterFormat::kC: return c_source(image, comment);
  }
  return {};
}

std::string describe(const MaskedEvent& event) {
  std::string text =
      fmt::format("{} event {:#04x}", event.exclude ? "exclude" : "include", event.event);
  if (event.is_dead()) {
    text += fmt::format(", no umask (match {:#04x} outside mask {:#04x})", event.match, event.mask);
  } else if (event.mask == 0xff) {
    text += fmt::format(", umask {:#04x}", event.match);
  } else if (event.mask == 0) {
    text += ", any umask";
  } else {
    text += fmt::format(", umask & {:#04x} == {:#04x}", event.mask, event.match);
  }
  return text;
}

}  // namespace vpmu::policy
