// SPDX-License-Identifier: MIT
#include "profile/views/flame_graph.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/grouped.hpp"
#include "profile/views/call_tree.hpp"
#include "profile/views/columns.hpp"
#include "profile/views/flame_graph_script.hpp"
#include "profile/views/report_table.hpp"

namespace vpmu::profile {

namespace {
// All in pixels.
constexpr double kMargin = 10;
constexpr double kTop = 76;     ///< title, totals, legend
constexpr double kBottom = 32;  ///< details
constexpr double kRow = 18;
constexpr double kLetter = 7.3;  ///< of the monospaced font at 12
constexpr double kTextMargin = 4;
constexpr std::size_t kMostTitle = 200;  ///< bytes, if nobody gave one

struct Colour {
  int red, green, blue;
};
/// Two ends, between which a name has its place. The kinds differ in hue and, for eyes and printers
/// that see no hue, in lightness; unknown code is hatched, too.
struct Palette {
  Colour dark, light;
};
constexpr Palette kUser{{250, 199, 96}, {255, 226, 150}};
constexpr Palette kKernel{{98, 150, 212}, {134, 177, 224}};
constexpr Palette kHypervisor{{70, 165, 130}, {100, 185, 150}};
constexpr Colour kUnknown{240, 240, 240};
constexpr Colour kTask{214, 214, 214};

/// FNV-1a: the same in every run and on every host.
std::uint32_t name_hash(std::string_view name) {
  std::uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash ^ (hash >> 15);
}

Colour between(const Palette& palette, std::string_view name) {
  const auto share = static_cast<int>(name_hash(name) % 256);
  const auto part = [&](int from, int to) { return from + (to - from) * share / 255; };
  return {part(palette.dark.red, palette.light.red), part(palette.dark.green, palette.light.green),
          part(palette.dark.blue, palette.light.blue)};
}

std::string hex(const Colour& colour) {
  return fmt::format("#{:02x}{:02x}{:02x}", colour.red, colour.green, colour.blue);
}

std::string escaped(std::string_view text) {
  std::string xml;
  xml.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&': xml += "&amp;"; break;
      case '<': xml += "&lt;"; break;
      case '>': xml += "&gt;"; break;
      case '"': xml += "&quot;"; break;
      case '\'': xml += "&#39;"; break;
      default: xml += c;
    }
  }
  return xml;
}

/// As much of a name as fits a box; none if that would say nothing.
std::string fitting(std::string_view name, double width) {
  const double room = (width - 2 * kTextMargin) / kLetter;
  if (room < 3) return "";
  return cut(name, static_cast<std::size_t>(room));
}

constexpr const char* kStyle =
    "text{font-family:\"DejaVu Sans Mono\",Menlo,Consolas,\"Liberation Mono\",monospace;"
    "font-size:12px;fill:#111}"
    "text.title{font-size:18px;font-weight:bold}"
    "text.note{fill:#444}"
    ".f rect{stroke:#fff;stroke-width:.6}"
    ".f text{pointer-events:none}"
    ".f{cursor:pointer}"
    ".f:hover rect{stroke:#000;stroke-width:1.4}"
    ".f.above{opacity:.55}"
    ".f.found rect{fill:#d81b9a;stroke:#000;stroke-width:1.2}"
    ".f.found text{fill:#fff}"
    ".button{cursor:pointer}"
    ".button rect{fill:#fff;stroke:#888}"
    ".button:hover rect{stroke:#000}";

struct Box {
  std::uint32_t node = 0;
  double left = 0, width = 0;
};

class FlameGraph {
 public:
  FlameGraph(const Profile& profile, const FlameGraphOptions& options)
      : profile_{profile},
        options_{options},
        event_{profile.events[options.event]},
        width_{std::max(options.width, kLeastFlameWidth)},
        tree_{make_call_tree(profile, options.event, [&](const Function& function) {
          return profile.function_name(function);
        })} {
    place();
  }

  Result<void> write(const TextSink& sink) const {
    if (auto written = sink(head()); !written) return written;
    std::string piece;
    for (const Box& box : boxes_) {
      piece += frame(box);
      if (piece.size() < (1u << 16)) continue;
      if (auto written = sink(piece); !written) return written;
      piece.clear();
    }
    return sink(piece + tail());
  }

 private:
  [[nodiscard]] double weight(const CallNode& node) const {
    return static_cast<double>(event_.total.count != 0 ? node.total.count : node.total.samples);
  }

  /// Boxes of what is wide enough, callers before those they called.
  void place() {
    const double whole = weight(tree_.nodes[0]);
    if (whole <= 0) return;
    boxes_.push_back({0, kMargin, width_ - 2 * kMargin});
    for (std::size_t i = 0; i < boxes_.size(); ++i) {
      const Box box = boxes_[i];
      const CallNode& node = tree_.nodes[box.node];
      depth_ = std::max(depth_, node.depth);
      double left = box.left;
      for (const std::uint32_t child : node.children) {
        const double wide = (width_ - 2 * kMargin) * weight(tree_.nodes[child]) / whole;
        if (wide >= options_.min_width) {
          boxes_.push_back({child, left, wide});
        } else {
          ++left_out_;
        }
        left += wide;
      }
    }
  }

  [[nodiscard]] double height() const { return kTop + (depth_ + 1) * kRow + kBottom; }
  [[nodiscard]] double top_of(std::uint32_t depth) const {
    return kTop + kRow * (options_.inverted ? depth : depth_ - depth);
  }
  [[nodiscard]] std::string label(const CallNode& node) const {
    return node.depth == 0 ? "all" : tree_.labels[node.label];
  }

  [[nodiscard]] std::string fill(const CallNode& node) const {
    const std::string name = label(node);
    if (node.depth == 0 || node.is_task) return hex(kTask);
    if (name == "[unknown]" || node.kind == CodeKind::kUnknown) return "url(#hatch)";
    if (node.kind == CodeKind::kKernel) return hex(between(kKernel, name));
    if (node.kind == CodeKind::kHypervisor) return hex(between(kHypervisor, name));
    return hex(between(kUser, name));
  }

  [[nodiscard]] std::string details(const CallNode& node) const {
    std::string text = label(node);
    if (node.depth != 0 && !node.is_task) {
      constexpr std::array kKinds{"kernel", "user", "hypervisor", "unknown"};
      text += fmt::format(" ({}", kKinds[static_cast<std::size_t>(node.kind)]);
      if (node.image != kNoName) text += fmt::format(", {}", profile_.names[node.image]);
      text += ")";
    }
    return text + fmt::format("\n{:.2f}%, {} samples, count {}; self {:.2f}%",
                              percent(node.total, event_.total), grouped(node.total.samples),
                              grouped(node.total.count), percent(node.self, event_.total));
  }

  [[nodiscard]] std::string frame(const Box& box) const {
    const CallNode& node = tree_.nodes[box.node];
    const double top = top_of(node.depth);
    return fmt::format(
        "<g class=\"f\" data-v=\"{:.0f}\"><title>{}</title><rect x=\"{:.2f}\" y=\"{:.0f}\" "
        "width=\"{:.2f}\" height=\"{:.0f}\" fill=\"{}\" rx=\"1.5\"/><text x=\"{:.2f}\" "
        "y=\"{:.0f}\">{}</text></g>\n",
        weight(node), escaped(details(node)), box.left, top, box.width, kRow - 1, fill(node),
        box.left + kTextMargin, top + 13, escaped(fitting(label(node), box.width)));
  }

  [[nodiscard]] std::string title() const {
    if (!options_.title.empty()) return clean_text(options_.title);
    const auto& whose = profile_.guests.empty() ? profile_.processes : profile_.guests;
    if (whose.empty()) return "Flame graph";
    return clean_text(fmt::format("Flame graph: {}", fmt::join(whose, ", ")), kMostTitle);
  }

  [[nodiscard]] std::string head() const {
    const double columns = (width_ - 2 * kMargin) / kLetter;
    const std::string shown_title =
        cut(title(), static_cast<std::size_t>(std::max(columns * 12 / 18 - 22, 8.0)));
    std::string totals = fmt::format("{}: {} samples, count {}", event_.name,
                                     grouped(event_.total.samples), grouped(event_.total.count));
    if (profile_.lost != 0) totals += fmt::format(", {} samples lost", grouped(profile_.lost));
    if (!profile_.complete) totals += ", recording cut short";
    std::string text = fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1:.0f}\" "
        "viewBox=\"0 0 {0} {1:.0f}\" data-margin=\"{2:.0f}\">\n"
        "<title>{3}</title>\n<desc>{4}</desc>\n<style>{5}</style>\n"
        "<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">"
        "<rect width=\"6\" height=\"6\" fill=\"{6}\"/><path d=\"M0 6L6 0\" stroke=\"#b0b0b0\" "
        "stroke-width=\"1\"/></pattern></defs>\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        "<text class=\"title\" x=\"{2:.0f}\" y=\"25\">{7}</text>\n"
        "<text class=\"note\" x=\"{2:.0f}\" y=\"44\">{8}</text>\n",
        width_, height(), kMargin, escaped(title()), escaped(totals), kStyle, hex(kUnknown),
        escaped(shown_title), escaped(cut(totals, static_cast<std::size_t>(columns))));
    text += legend();
    if (boxes_.empty()) {
      text += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\">No samples of this event.</text>\n",
                          kMargin, kTop + 13);
    }
    return text;
  }

  [[nodiscard]] static std::string legend() {
    const auto middle = [](const Palette& palette) {
      return hex({(palette.dark.red + palette.light.red) / 2,
                  (palette.dark.green + palette.light.green) / 2,
                  (palette.dark.blue + palette.light.blue) / 2});
    };
    std::string text;
    double left = kMargin;
    const auto add = [&](const std::string& fill, std::string_view name) {
      text += fmt::format(
          "<rect x=\"{:.0f}\" y=\"54\" width=\"12\" height=\"12\" fill=\"{}\" stroke=\"#888\"/>"
          "<text class=\"note\" x=\"{:.0f}\" y=\"64\">{}</text>\n",
          left, fill, left + 17, name);
      left += 17 + static_cast<double>(name.size()) * kLetter + 18;
    };
    add(middle(kKernel), "kernel");
    add(middle(kUser), "user");
    add("url(#hatch)", "unknown");
    return text;
  }

  [[nodiscard]] std::string tail() const {
    std::string note;
    if (left_out_ != 0) {
      note = fmt::format("{} too narrow to show", grouped(left_out_));
    }
    return fmt::format(
        "<text class=\"note\" id=\"details\" x=\"{:.0f}\" y=\"{:.0f}\">{}</text>\n"
        "<script><![CDATA[\n{}]]></script>\n</svg>\n",
        kMargin, height() - 12, note, kFlameGraphScript);
  }

  const Profile& profile_;
  const FlameGraphOptions& options_;
  const EventTotals& event_;
  unsigned width_;
  CallTree tree_;
  std::vector<Box> boxes_;
  std::uint32_t depth_ = 0;
  std::uint64_t left_out_ = 0;
};
}  // namespace

Result<void> write_flame_graph(const Profile& profile, const FlameGraphOptions& options,
                               const TextSink& sink) {
  return FlameGraph{profile, options}.write(sink);
}

}  // namespace vpmu::profile
