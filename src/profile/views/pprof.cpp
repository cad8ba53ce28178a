// SPDX-License-Identifier: MIT
#include "profile/views/pprof.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "profile/views/gzip.hpp"
#include "profile/views/profile.pb.h"

namespace vpmu::profile {

namespace {
std::int64_t value_of(std::uint64_t number) {
  return static_cast<std::int64_t>(
      std::min<std::uint64_t>(number, std::numeric_limits<std::int64_t>::max()));
}

class Message {
 public:
  Message(const Profile& profile, AddressSpaces& spaces)
      : profile_{profile}, spaces_{spaces}, location_of_(profile.frames.size(), 0) {
    string("");
  }

  std::string bytes() {
    add_value_types();
    add_mappings();
    add_samples();
    message_.set_duration_nanos(value_of(profile_.last_time - profile_.first_time));
    for (const std::string& guest : profile_.guests) {
      message_.add_comment(string("guest " + guest));
    }
    if (profile_.lost != 0) {
      message_.add_comment(string(fmt::format("{} samples lost", profile_.lost)));
    }
    if (!profile_.complete) message_.add_comment(string("recording cut short"));
    return message_.SerializeAsString();
  }

 private:
  std::int64_t string(const std::string& text) {
    const auto next = static_cast<std::int64_t>(strings_.size());
    const auto [found, added] = strings_.try_emplace(text, next);
    if (added) message_.add_string_table(text);
    return found->second;
  }

  void add_value_types() {
    const bool one = profile_.events.size() == 1;
    for (const EventTotals& event : profile_.events) {
      pprof::ValueType* const samples = message_.add_sample_type();
      samples->set_type(string(one ? "samples" : event.name + " samples"));
      samples->set_unit(string("count"));
      pprof::ValueType* const count = message_.add_sample_type();
      count->set_type(string(event.name));
      count->set_unit(string("count"));
    }
    if (profile_.events.empty()) return;
    message_.set_default_sample_type(string(profile_.events[0].name));
    message_.mutable_period_type()->set_type(string(profile_.events[0].name));
    message_.mutable_period_type()->set_unit(string("count"));
    const Weight& total = profile_.events[0].total;
    if (total.samples != 0) message_.set_period(value_of(total.count / total.samples));
  }

  /// One for each image, from its first to its last loaded byte.
  void add_mappings() {
    for (std::size_t i = 0; i < profile_.images.size(); ++i) {
      const Image& image = *profile_.images[i];
      pprof::Mapping* const mapping = message_.add_mapping();
      mapping->set_id(i + 1);
      mapping->set_filename(string(clean_text(image.name)));
      std::string build_id;
      for (const std::uint8_t byte : image.build_id) build_id += fmt::format("{:02x}", byte);
      mapping->set_build_id(string(build_id));
      std::optional<ElfSegment> first;
      std::uint64_t end = 0;
      for (const ElfSegment& segment : image.segments) {
        if (!first || segment.address < first->address) first = segment;
        end = std::max(end, segment.address + segment.file_bytes);
      }
      if (first && end > first->address) {
        mapping->set_memory_start(first->address);
        mapping->set_memory_limit(end);
        mapping->set_file_offset(first->file_offset);
      }
      const bool lines = spaces_.lines(image) != nullptr;
      mapping->set_has_functions(image.symbols && !image.symbols->symbols().empty());
      mapping->set_has_filenames(lines);
      mapping->set_has_line_numbers(lines);
      mapping->set_has_inline_frames(lines);
    }
  }

  std::uint64_t function(const std::string& name, const std::string& file) {
    const auto next = functions_.size() + 1;
    const auto [found, added] = functions_.try_emplace({name, file}, next);
    if (added) {
      pprof::Function* const made = message_.add_function();
      made->set_id(next);
      made->set_name(string(name));
      made->set_system_name(string(name));
      made->set_filename(string(file));
    }
    return found->second;
  }

  /// Of one place in one image, whichever process or moment.
  std::uint64_t location(FrameId id) {
    if (location_of_[id] != 0) return location_of_[id];
    const Frame& frame = profile_.frames[id];
    const auto next = locations_.size() + 1;
    const auto [found, added] =
        locations_.try_emplace({frame.image, frame.linked_to_name(), frame.function}, next);
    if (added) add_location(next, frame);
    location_of_[id] = found->second;
    return found->second;
  }
  void add_location(std::uint64_t id, const Frame& frame) {
    pprof::Location* const made = message_.add_location();
    made->set_id(id);
    made->set_address(frame.linked_to_name());
    const Function& function_at = profile_.functions[frame.function];
    const SourceLines* lines = nullptr;
    if (frame.image != kNoImage) {
      made->set_mapping_id(frame.image + 1);
      lines = spaces_.lines(*profile_.images[frame.image]);
    }
    std::optional<SourceLine> at;
    if (lines != nullptr) {
      at = lines->find(frame.linked_to_name());
      for (const InlinedCall& call : lines->inlined(frame.linked_to_name())) {
        add_line(*made, clean_text(call.function), at);
        at = call.called_at;
      }
    }
    if (function_at.name == kNoName && !at) return;
    add_line(*made, profile_.function_name(function_at), at);
  }
  void add_line(pprof::Location& at, const std::string& name,
                const std::optional<SourceLine>& source) {
    pprof::Line* const line = at.add_line();
    line->set_function_id(function(name, source ? clean_text(source->file) : ""));
    if (source) line->set_line(source->line);
  }

  void add_label(pprof::Sample& sample, const char* key, const std::string& text) {
    pprof::Label* const label = sample.add_label();
    label->set_key(string(key));
    label->set_str(string(text));
  }

  void add_samples() {
    for (const Group& group : profile_.groups) {
      pprof::Sample* const sample = message_.add_sample();
      for (StackId at = group.stack; at != kEmptyStack; at = profile_.stacks[at].caller) {
        sample->add_location_id(location(profile_.stacks[at].frame));
      }
      for (std::uint32_t event = 0; event < profile_.events.size(); ++event) {
        const Weight weight = event == group.event ? group.weight : Weight{};
        sample->add_value(value_of(weight.samples));
        sample->add_value(value_of(weight.count));
      }
      const std::string& task = profile_.names[group.task];
      if (task.starts_with("vm:")) {
        add_label(*sample, "vm", task.substr(3));
      } else {
        add_label(*sample, "process", task);
      }
      if (group.vcpu != kNoVcpu) {
        pprof::Label* const vcpu = sample->add_label();
        vcpu->set_key(string("vcpu"));
        vcpu->set_num(group.vcpu);
      }
      add_label(*sample, "mode", mode_name(group.mode));
    }
  }

  const Profile& profile_;
  AddressSpaces& spaces_;
  pprof::Profile message_;
  std::map<std::string, std::int64_t> strings_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> functions_;
  std::map<std::tuple<std::uint32_t, std::uint64_t, FunctionId>, std::uint64_t> locations_;
  std::vector<std::uint64_t> location_of_;  ///< frames; 0: none yet
};
}  // namespace

std::string pprof_bytes(const Profile& profile, AddressSpaces& spaces) {
  return gzipped(Message{profile, spaces}.bytes());
}

}  // namespace vpmu::profile
