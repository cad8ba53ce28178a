// SPDX-License-Identifier: MIT
//
// A profile as the text that `perf script` prints, which the Firefox Profiler, speedscope and
// others read: a line for each sample, below it a line for each frame, the innermost first, and a
// blank line. Written as records are read; nothing is kept of them.
#pragma once

#include <string>

#include "profile/perf_data/reader.hpp"
#include "profile/symbols/address_space.hpp"
#include "profile/views/call_chain.hpp"
#include "profile/views/profile_builder.hpp"
#include "profile/views/task_names.hpp"
#include "profile/views/text_sink.hpp"

namespace vpmu::profile {

class ScriptWriter final : public perf_data::RecordVisitor {
 public:
  /// All must outlive this. Of `options`, `event` counts.
  ScriptWriter(const perf_data::FileInfo& info, AddressSpaces& spaces, ProfileOptions options,
               const TextSink& sink);

  void on_comm(const perf_data::CommRecord& comm) override {
    tasks_.on_comm(comm);
    forget_mappings(comm, spaces_);
  }
  void on_fork(const perf_data::ForkRecord& fork) override;
  void on_mapping(const perf_data::MappingRecord& mapping) override;
  void on_sample(const perf_data::SampleRecord& sample) override;

  /// Once, last: what is left, or the first error of the sink.
  Result<void> finish();

 private:
  void add_frame(const perf_data::Task& task, const Place& place);
  void flush();

  const perf_data::FileInfo& info_;
  AddressSpaces& spaces_;
  ProfileOptions options_;
  const TextSink& sink_;
  TaskNames tasks_;
  CallChain chain_;
  std::string text_;
  Result<void> result_;
};

}  // namespace vpmu::profile
