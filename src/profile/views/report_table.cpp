// SPDX-License-Identifier: MIT
#include "profile/views/report_table.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "profile/views/id_table.hpp"

namespace vpmu::profile {

using perf_data::CpuMode;

namespace {
constexpr std::array kKeyNames{"symbol", "line", "vcpu", "image", "mode"};
constexpr std::uint32_t kNotYet = ~std::uint32_t{0};

bool has(const std::vector<SortKey>& keys, SortKey key) {
  return std::ranges::find(keys, key) != keys.end();
}

bool larger(const Weight& a, const Weight& b) {
  return std::tie(a.count, a.samples) > std::tie(b.count, b.samples);
}
bool equal(const Weight& a, const Weight& b) {
  return a.count == b.count && a.samples == b.samples;
}

/// What of a row's key is its frame's: frames with the same are one.
struct Part {
  NameId symbol = kNoName;
  NameId image = kNoName;
  NameId file = kNoName;
  unsigned line = 0;
  std::uint64_t address = 0;
  bool by_address = false;
  CodeKind kind = CodeKind::kUnknown;
  CpuMode mode = CpuMode::kUnknown;
  friend bool operator==(const Part&, const Part&) = default;
};

/// Frames by what the keys say of them.
class Parts {
 public:
  Parts(const Profile& profile, AddressSpaces& spaces, const std::vector<SortKey>& keys)
      : profile_{profile},
        spaces_{spaces},
        symbol_{has(keys, SortKey::kSymbol)},
        line_{has(keys, SortKey::kLine)},
        image_{has(keys, SortKey::kImage)},
        mode_{has(keys, SortKey::kMode)},
        of_frame_(profile.frames.size(), kNotYet) {}

  std::uint32_t of(FrameId frame) {
    std::uint32_t& part = of_frame_[frame];
    if (part == kNotYet) part = add(describe(frame));
    return part;
  }
  [[nodiscard]] RowKey key(std::uint32_t id) const {
    const Part& part = parts_[id];
    return {part.symbol, part.address,      part.by_address, part.kind, part.image,
            part.mode,   files_[part.file], part.line,       kNoVcpu};
  }

 private:
  Part describe(FrameId id) {
    const Frame& frame = profile_.frames[id];
    const Function& function = profile_.functions[frame.function];
    Part part;
    if (symbol_) {
      part.symbol = function.name;
      part.by_address = function.name == kNoName;
      part.kind = function.kind;
    }
    if (line_) {
      set_line(part, frame);
      if (part.file == kNoName && !symbol_) part.symbol = function.name;
      part.by_address = part.file == kNoName && function.name == kNoName;
    }
    if (part.by_address) part.address = frame.linked;
    if (image_) part.image = function.image;
    if (mode_) part.mode = frame.mode;
    return part;
  }
  void set_line(Part& part, const Frame& frame) {
    if (frame.image == kNoImage) return;
    const SourceLines* const lines = spaces_.lines(*profile_.images[frame.image]);
    if (lines == nullptr) return;
    const auto found = lines->find(frame.linked_to_name());
    if (!found) return;
    part.file = files_.add(found->file);
    part.line = found->line;
  }
  std::uint32_t add(const Part& part) {
    const std::uint64_t hash = Hash{}
                                   .add((std::uint64_t{part.symbol} << 32) | part.image)
                                   .add((std::uint64_t{part.file} << 32) | part.line)
                                   .add(part.address)
                                   .add((static_cast<std::uint64_t>(part.mode) << 8) |
                                        static_cast<std::uint64_t>(part.kind))
                                   .value();
    const auto next = static_cast<std::uint32_t>(parts_.size());
    const auto [id, added] =
        ids_.find_or_add(hash, next, [&](std::uint32_t known) { return parts_[known] == part; });
    if (added) parts_.push_back(part);
    return id;
  }

  const Profile& profile_;
  AddressSpaces& spaces_;
  bool symbol_, line_, image_, mode_;
  std::vector<std::uint32_t> of_frame_;
  std::vector<Part> parts_;
  NameTable files_;
  IdTable ids_;
};

struct CountedRow {
  std::uint32_t part = 0;
  std::uint32_t vcpu = kNoVcpu;
  Weight self, total;
  std::uint32_t last_group = kNotYet;  ///< the one whose weight is in `total` already
};

/// All rows of an event.
class Rows {
 public:
  Rows(const Profile& profile, Parts& parts, bool by_vcpu)
      : profile_{profile}, parts_{parts}, by_vcpu_{by_vcpu} {}

  void count(std::uint32_t group_id) {
    const Group& group = profile_.groups[group_id];
    for (StackId at = group.stack; at != kEmptyStack; at = profile_.stacks[at].caller) {
      CountedRow& row = rows_[of(profile_.stacks[at].frame, group.vcpu)];
      if (at == group.stack) row.self.add(group.weight);
      if (row.last_group == group_id) continue;
      row.last_group = group_id;
      row.total.add(group.weight);
    }
  }
  std::uint32_t of(FrameId frame, std::uint32_t vcpu) {
    const std::uint32_t part = parts_.of(frame);
    if (!by_vcpu_) vcpu = kNoVcpu;
    const std::uint64_t hash = Hash{}.add((std::uint64_t{part} << 32) | vcpu).value();
    const auto next = static_cast<std::uint32_t>(rows_.size());
    const auto [id, added] = ids_.find_or_add(hash, next, [&](std::uint32_t known) {
      return rows_[known].part == part && rows_[known].vcpu == vcpu;
    });
    if (added) rows_.push_back({part, vcpu, {}, {}, kNotYet});
    return id;
  }
  [[nodiscard]] const std::vector<CountedRow>& rows() const { return rows_; }

 private:
  const Profile& profile_;
  Parts& parts_;
  bool by_vcpu_;
  std::vector<CountedRow> rows_;
  IdTable ids_;
};

/// The same in every run: by what is shown, then by where it was met first.
bool key_before(const Profile& profile, const RowKey& a, const RowKey& b) {
  const auto shown = [&](const RowKey& key) {
    return std::tie(profile.names[key.symbol], key.address, profile.names[key.image], key.file,
                    key.line, key.kind, key.mode, key.vcpu);
  };
  return shown(a) < shown(b);
}

/// Trees of callers, all in one vector: a root for each row that is shown.
class CallerTrees {
 public:
  CallerTrees(const Profile& profile, Parts& parts) : profile_{profile}, parts_{parts} {}

  std::uint32_t add_root() {
    nodes_.push_back({});
    return static_cast<std::uint32_t>(nodes_.size() - 1);
  }
  /// A sample's way up from `stack`, which is the root's own frame.
  void add(std::uint32_t root, StackId stack, const Weight& weight) {
    std::uint32_t node = root;
    for (StackId at = profile_.stacks[stack].caller; at != kEmptyStack;
         at = profile_.stacks[at].caller) {
      node = child(node, parts_.of(profile_.stacks[at].frame));
      nodes_[node].weight.add(weight);
    }
  }
  /// What is at least `least` percent of `whole`, as trees; sorted.
  std::vector<std::vector<Caller>> trees(std::size_t roots, const Weight& whole, double least) {
    // Children come after their parents: from the back, each is complete when it is hung up.
    std::vector<std::vector<Caller>> below(nodes_.size());
    for (std::size_t i = nodes_.size(); i-- > 0;) {
      std::ranges::sort(below[i], [&](const Caller& a, const Caller& b) {
        return equal(a.weight, b.weight) ? key_before(profile_, a.key, b.key)
                                         : larger(a.weight, b.weight);
      });
      const Node& node = nodes_[i];
      if (i < roots || percent(node.weight, whole) < least) continue;
      below[node.parent].push_back({parts_.key(node.part), node.weight, std::move(below[i])});
    }
    below.resize(roots);
    return below;
  }

 private:
  struct Node {
    std::uint32_t parent = kNotYet;
    std::uint32_t part = 0;
    Weight weight;
  };
  std::uint32_t child(std::uint32_t parent, std::uint32_t part) {
    const std::uint64_t hash = Hash{}.add((std::uint64_t{parent} << 32) | part).value();
    const auto next = static_cast<std::uint32_t>(nodes_.size());
    const auto [id, added] = ids_.find_or_add(hash, next, [&](std::uint32_t known) {
      return nodes_[known].parent == parent && nodes_[known].part == part;
    });
    if (added) nodes_.push_back({parent, part, {}});
    return id;
  }

  const Profile& profile_;
  Parts& parts_;
  std::vector<Node> nodes_;
  IdTable ids_;
};

/// Which of all rows are shown, in their order.
std::vector<std::uint32_t> shown_rows(const Profile& profile, const std::vector<CountedRow>& rows,
                                      const std::vector<RowKey>& keys, const Weight& whole,
                                      const ReportOptions& options) {
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    if (percent(rows[i].total, whole) >= options.percent_limit) order.push_back(i);
  }
  std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) {
    if (!equal(rows[a].self, rows[b].self)) return larger(rows[a].self, rows[b].self);
    if (!equal(rows[a].total, rows[b].total)) return larger(rows[a].total, rows[b].total);
    return key_before(profile, keys[a], keys[b]);
  });
  if (options.limit && order.size() > *options.limit) order.resize(*options.limit);
  return order;
}

/// The callers of the rows that are shown, where the innermost frame of a row is its own.
void add_callers(const Profile& profile, Parts& parts, Rows& rows,
                 const std::vector<std::uint32_t>& shown, ReportTable& table, double least) {
  std::vector<std::uint32_t> root(rows.rows().size(), kNotYet);
  CallerTrees trees{profile, parts};
  for (const std::uint32_t row : shown) root[row] = trees.add_root();
  std::vector<std::uint32_t> last_group(shown.size(), kNotYet);
  for (std::uint32_t id = 0; id < profile.groups.size(); ++id) {
    const Group& group = profile.groups[id];
    if (group.event != table.event) continue;
    for (StackId at = group.stack; at != kEmptyStack; at = profile.stacks[at].caller) {
      const std::uint32_t tree = root[rows.of(profile.stacks[at].frame, group.vcpu)];
      if (tree == kNotYet || last_group[tree] == id) continue;
      last_group[tree] = id;
      trees.add(tree, at, group.weight);
    }
  }
  auto made = trees.trees(shown.size(), table.total, least);
  for (std::size_t i = 0; i < shown.size(); ++i) table.rows[i].callers = std::move(made[i]);
}
}  // namespace

const char* name(SortKey key) {
  return kKeyNames[static_cast<std::size_t>(key)];
}

Result<std::vector<SortKey>> parse_sort_keys(std::string_view text) {
  std::vector<SortKey> keys;
  while (true) {
    const std::string_view word = text.substr(0, text.find(','));
    const auto found = std::ranges::find(kKeyNames, word);
    if (found == kKeyNames.end()) {
      return fail(fmt::format(
          "--sort: '{}' is no key; give some of symbol, line, vcpu, image, mode, with commas",
          clean_text(word, 80)));
    }
    const auto key = static_cast<SortKey>(found - kKeyNames.begin());
    if (has(keys, key)) return fail(fmt::format("--sort: '{}' twice; leave one out", word));
    keys.push_back(key);
    if (word.size() == text.size()) return keys;
    text.remove_prefix(word.size() + 1);
  }
}

double percent(const Weight& part, const Weight& whole) {
  if (whole.count != 0) {
    return 100.0 * static_cast<double>(part.count) / static_cast<double>(whole.count);
  }
  if (whole.samples == 0) return 0;
  return 100.0 * static_cast<double>(part.samples) / static_cast<double>(whole.samples);
}

ReportTable make_report_table(const Profile& profile, AddressSpaces& spaces, std::uint32_t event,
                              const ReportOptions& options) {
  Parts parts{profile, spaces, options.keys};
  Rows rows{profile, parts, has(options.keys, SortKey::kVcpu)};
  for (std::uint32_t id = 0; id < profile.groups.size(); ++id) {
    if (profile.groups[id].event == event) rows.count(id);
  }
  std::vector<RowKey> keys;
  keys.reserve(rows.rows().size());
  for (const CountedRow& row : rows.rows()) {
    keys.push_back(parts.key(row.part));
    keys.back().vcpu = row.vcpu;
  }
  ReportTable table{event, profile.events[event].total, {}, 0};
  const auto shown = shown_rows(profile, rows.rows(), keys, table.total, options);
  for (const std::uint32_t row : shown) {
    table.rows.push_back({std::move(keys[row]), rows.rows()[row].self, rows.rows()[row].total, {}});
  }
  table.hidden = rows.rows().size() - shown.size();
  if (options.callers) {
    add_callers(profile, parts, rows, shown, table, options.percent_limit);
  }
  return table;
}

}  // namespace vpmu::profile
