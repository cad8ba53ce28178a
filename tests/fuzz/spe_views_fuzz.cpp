// SPDX-License-Identifier: MIT
//
// Any file as one of traces of SPE, a dump or perf.data: it is refused in one line, or shown, as
// table, JSON, records and packets, with lines that fit.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "messages.hpp"
#include "profile/spe_views/load_table.hpp"
#include "profile/spe_views/trace_file.hpp"
#include "profile/spe_views/trace_script.hpp"

namespace {
using namespace vpmu::profile;
using vpmu::fuzz::check;

constexpr std::size_t kColumns = 80;

void check_lines(const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    check(end != std::string::npos, "a line without its end", text);
    check(text.substr(at, end - at).find_first_of(std::string_view{"\r\0\x1b", 3}) ==
              std::string::npos,
          "a control character", text.substr(at, end - at));
    at = end + 1;
  }
}

void look(SpeTrace& trace) {
  SpeReportOptions options;
  options.keys = {SortKey::kSymbol, SortKey::kImage};
  const auto report = make_spe_report(trace, options);
  check(report.has_value(), "no report", "");
  check_lines(spe_report_text(trace.info(), trace.streams().size(), *report, kColumns));
  check(!spe_report_json(trace.info(), trace.streams().size(), *report)
             .dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
             .empty(),
        "no JSON", "");
  std::size_t lines = 0;
  const auto count = [&lines](std::string_view piece) -> vpmu::Result<void> {
    check_lines(std::string{piece});
    for (const char c : piece) lines += c == '\n' ? 1 : 0;
    return {};
  };
  check(write_spe_script(trace, count).has_value(), "no script", "");
  check(lines == report->decoded.records, "other records", "");
  check(write_spe_packets(trace, count).has_value(), "no packets", "");
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = memfd_create("fuzz", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  check(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == static_cast<ssize_t>(size),
        "no file", path);
  has_spe_traces(path);
  auto trace = SpeTrace::open(path, {});
  if (trace) {
    look(*trace);
  } else {
    vpmu::fuzz::check_message(trace.error().message, "profile '" + path + "'");
  }
  return 0;
}
