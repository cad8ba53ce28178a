// SPDX-License-Identifier: MIT
//
// Makes a Profile of a file's records as they are read.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "profile/perf_data/reader.hpp"
#include "profile/symbols/address_space.hpp"
#include "profile/views/call_chain.hpp"
#include "profile/views/id_table.hpp"
#include "profile/views/profile.hpp"
#include "profile/views/task_names.hpp"

namespace vpmu::profile {

struct ProfileOptions {
  std::optional<std::uint32_t> event = {};  ///< only this one; none: all
  bool branches = false;                    ///< the branches of branch stacks, too
  bool timeline = false;                    ///< every sample; memory then goes with their number
};

class ProfileBuilder final : public perf_data::RecordVisitor {
 public:
  /// Both must outlive this, and `spaces` the profile.
  ProfileBuilder(const perf_data::FileInfo& info, AddressSpaces& spaces, ProfileOptions options);

  void on_comm(const perf_data::CommRecord& comm) override;
  void on_mapping(const perf_data::MappingRecord& mapping) override;
  void on_fork(const perf_data::ForkRecord& fork) override;
  void on_sample(const perf_data::SampleRecord& sample) override;
  void on_lost(std::uint64_t samples) override { profile_.lost += samples; }

  /// Once, last. `complete`: FileInfo's, after reading.
  Profile finish(bool complete);

 private:
  void forget_space(const perf_data::Task& task);
  std::uint32_t space_of(const perf_data::Task& task);
  [[nodiscard]] bool is_chain(StackId stack, std::uint32_t space) const;
  StackId stack_of(const perf_data::Task& task, std::uint32_t space);
  StackId add_stack(const perf_data::Task& task, std::uint32_t space);
  FrameId frame_of(const perf_data::Task& task, std::uint32_t space, const Place& place);
  [[nodiscard]] Frame resolve(const perf_data::Task& task, std::uint32_t space, const Place& place);
  std::uint32_t image_of(const Image* image);
  FunctionId function_of(NameId name, NameId image, CodeKind kind);
  std::uint32_t group_of(const Group& group);
  void add_branches(const perf_data::SampleRecord& sample, std::uint32_t space);

  Profile profile_;
  AddressSpaces& spaces_;
  ProfileOptions options_;
  TaskNames tasks_;

  std::map<std::tuple<bool, std::uint32_t, std::uint32_t>, std::uint32_t> space_ids_;
  std::optional<perf_data::Task> last_task_;
  std::uint32_t last_space_ = 0;
  NameId last_name_ = kNoName;
  std::uint32_t next_space_ = 0;
  std::uint64_t seen_ = 0;  ///< samples

  CallChain chain_;  ///< of the sample in hand
  IdTable frame_ids_, function_ids_, node_ids_, stack_ids_, group_ids_, branch_ids_;
  std::vector<StackId> known_stacks_;  ///< what stack_ids_ numbers
  std::unordered_map<const Image*, std::uint32_t> image_ids_;
};

}  // namespace vpmu::profile
