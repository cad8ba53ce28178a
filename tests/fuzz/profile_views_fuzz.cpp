// SPDX-License-Identifier: MIT
//
// Any file on its whole way to every view: whatever is in it, tables keep to their width, and JSON,
// SVG and folded stacks keep to their grammar. Files in it are not opened: it might name any.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "messages.hpp"
#include "profile/perf_data/reader.hpp"
#include "profile/symbols/address_space.hpp"
#include "profile/views/branch_table.hpp"
#include "profile/views/columns.hpp"
#include "profile/views/flame_graph.hpp"
#include "profile/views/folded.hpp"
#include "profile/views/pprof.hpp"
#include "profile/views/profile_builder.hpp"
#include "profile/views/report_text.hpp"
#include "profile/views/script.hpp"
#include "profile/views/speedscope.hpp"

namespace {
using namespace vpmu::profile;
using vpmu::fuzz::check;

/// Says of every mapping that it is of a file that is not there.
class WithoutFiles final : public perf_data::RecordVisitor {
 public:
  explicit WithoutFiles(perf_data::RecordVisitor& next) : next_{next} {}
  void on_comm(const perf_data::CommRecord& comm) override { next_.on_comm(comm); }
  void on_fork(const perf_data::ForkRecord& fork) override { next_.on_fork(fork); }
  void on_mapping(const perf_data::MappingRecord& mapping) override {
    perf_data::MappingRecord other = mapping;
    const std::string file = "[" + std::string{mapping.file};
    other.file = file;
    next_.on_mapping(other);
  }
  void on_sample(const perf_data::SampleRecord& sample) override { next_.on_sample(sample); }
  void on_lost(std::uint64_t samples) override { next_.on_lost(samples); }

 private:
  perf_data::RecordVisitor& next_;
};

void check_lines(std::string_view text, std::size_t columns) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    check(columns_of(line) <= columns, "a line too long", line);
    check(line.find('\x1b') == std::string_view::npos, "a control character", line);
    text.remove_prefix(line.size() + 1);
  }
}

/// Every line ends in a blank and a number.
void check_folded(std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    const std::string_view number = line.substr(line.rfind(' ') + 1);
    check(!number.empty() && number.find_first_not_of("0123456789") == std::string_view::npos,
          "a folded stack without its weight", line);
    text.remove_prefix(line.size() + 1);
  }
}

/// Tags are closed in their order, up to the script.
void check_svg(std::string_view text) {
  text = text.substr(0, text.find("<script>"));
  for (std::size_t at = text.find('<'); at != std::string_view::npos; at = text.find('<', at + 1)) {
    const std::size_t end = text.find_first_of("<>", at + 1);
    check(end != std::string_view::npos && text[end] == '>', "a tag that does not end",
          text.substr(at, 100));
  }
}

template <class View>
std::string text_of(const View& view) {
  std::string text;
  const auto done = view([&](std::string_view piece) -> vpmu::Result<void> {
    text += piece;
    return {};
  });
  check(done.has_value(), "a view that fails", "");
  return text;
}

void look_at(const Profile& profile, AddressSpaces& spaces) {
  ReportOptions options;
  options.keys = {SortKey::kSymbol, SortKey::kLine, SortKey::kVcpu, SortKey::kImage,
                  SortKey::kMode};
  options.callers = true;
  check_lines(report_header(profile, "fuzz", 80), 80);
  std::vector<ReportTable> tables;
  for (std::uint32_t event = 0; event < profile.events.size(); ++event) {
    tables.push_back(make_report_table(profile, spaces, event, options));
    check_lines(report_text(profile, tables.back(), options, 80), 80);
    const BranchTable branches = make_branch_table(profile, event, {}, 0);
    check_lines(branches_text(profile, branches, 80), 80);
    (void)branches_json(profile, branches).dump();
    check_folded(text_of([&](const TextSink& sink) {
      return write_folded(profile, event, WeightKind::kCount, sink);
    }));
    check_svg(text_of([&](const TextSink& sink) {
      return write_flame_graph(profile, {.event = event, .min_width = 0}, sink);
    }));
  }
  (void)report_json(profile, "fuzz", tables, options).dump();
  check(!pprof_bytes(profile, spaces).empty(), "no pprof", "");
  const std::string speedscope =
      text_of([&](const TextSink& sink) { return write_speedscope(profile, "fuzz", sink); });
  check(nlohmann::json::accept(speedscope), "no JSON", speedscope);
}

void read(const std::string& path) {
  auto spaces = AddressSpaces::create();
  const auto reader = perf_data::Reader::open(path);
  if (!reader || !spaces) return;
  ProfileBuilder builder{(*reader)->info(), *spaces, {.branches = true, .timeline = true}};
  WithoutFiles visitor{builder};
  (void)(*reader)->read(visitor);
  look_at(builder.finish((*reader)->info().complete), *spaces);
}

void write_script(const std::string& path) {
  auto spaces = AddressSpaces::create();
  const auto reader = perf_data::Reader::open(path);
  if (!reader || !spaces) return;
  (void)text_of([&](const TextSink& sink) {
    ScriptWriter writer{(*reader)->info(), *spaces, {}, sink};
    WithoutFiles visitor{writer};
    (void)(*reader)->read(visitor);
    return writer.finish();
  });
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = memfd_create("fuzz", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  check(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == static_cast<ssize_t>(size),
        "no file", path);
  read(path);
  write_script(path);
  return 0;
}
