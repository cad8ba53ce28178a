// SPDX-License-Identifier: MIT
#include "profile/views/script.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace vpmu::profile {

using perf_data::SampleRecord;
using perf_data::Task;

namespace {
constexpr std::size_t kPiece = 1u << 18;
constexpr std::uint64_t kSecond = 1'000'000'000, kMicrosecond = 1'000;

/// Readers look for blanks and brackets to tell the parts of a line apart.
std::string one_word(std::string_view text) {
  std::string word = clean_text(text);
  std::ranges::replace_if(
      word, [](char c) { return c == ' ' || c == '(' || c == ')'; }, '_');
  return word.empty() ? "[unknown]" : word;
}
}  // namespace

ScriptWriter::ScriptWriter(const perf_data::FileInfo& info, AddressSpaces& spaces,
                           ProfileOptions options, const TextSink& sink)
    : info_{info}, spaces_{spaces}, options_{options}, sink_{sink} {}

void ScriptWriter::on_fork(const perf_data::ForkRecord& fork) {
  tasks_.on_fork(fork);
  share_mappings(fork, spaces_);
}

void ScriptWriter::on_mapping(const perf_data::MappingRecord& mapping) {
  if (mapping.executable) spaces_.map(code_of(mapping));
}

void ScriptWriter::on_sample(const SampleRecord& sample) {
  if (!result_ || sample.event >= info_.events.size()) return;
  if (options_.event && sample.event != *options_.event) return;
  const Task& task = sample.task;
  fmt::format_to(std::back_inserter(text_), "{} {}/{} [{:03}] {}.{:06}: {:>10} {}: \n",
                 clean_text(tasks_.thread_of(task)), task.pid, task.tid, sample.cpu,
                 sample.time / kSecond, sample.time % kSecond / kMicrosecond, sample.period,
                 one_word(info_.events[sample.event].name));
  take_call_chain(sample, chain_);
  for (const Place& place : chain_) add_frame(task, place);
  text_ += '\n';
  if (text_.size() >= kPiece) flush();
}

void ScriptWriter::add_frame(const Task& task, const Place& place) {
  const std::uint64_t asked = address_to_name(place);
  const AddressInfo at = spaces_.find(owner_of(task, place.mode), asked);
  fmt::format_to(std::back_inserter(text_), "\t{:16x} ", place.address);
  if (at.symbol == nullptr) {
    text_ += "[unknown]";
  } else {
    fmt::format_to(std::back_inserter(text_), "{}+{:#x}", clean_text(at.symbol->name),
                   at.in_symbols - at.symbol->start + (place.address - asked));
  }
  fmt::format_to(std::back_inserter(text_), " ({})\n",
                 at.image == nullptr ? "[unknown]" : one_word(at.image->name));
}

void ScriptWriter::flush() {
  if (result_) result_ = sink_(text_);
  text_.clear();
}

Result<void> ScriptWriter::finish() {
  flush();
  return std::move(result_);
}

}  // namespace vpmu::profile
