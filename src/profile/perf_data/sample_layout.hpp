// SPDX-License-Identifier: MIT
//
// Where the fields of an event's samples, and of the trailers of other records, are. A record's
// body is looked at as words of 8 bytes, behind its header.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "profile/perf_data/format.hpp"
#include "profile/perf_data/reader.hpp"

namespace vpmu::profile::perf_data {

using Words = std::span<const std::uint64_t>;

class SampleLayout {
 public:
  /// Not if the attr has sample types that nobody knew when this was written.
  static std::optional<SampleLayout> of(const Attr& attr);

  /// Fills in what the words say but event, machine, vcpu and mode. False: there are too few words.
  bool decode(Words body, SampleRecord& sample) const;

  static constexpr unsigned kNone = ~0u;
  /// Index of the word in a sample's body; kNone: there is no such field.
  [[nodiscard]] unsigned id_word() const { return at_[kId]; }
  [[nodiscard]] unsigned time_word() const { return at_[kTime]; }
  /// From the end of other records, counted back: 1 is the last word.
  [[nodiscard]] unsigned trailer_id_word() const { return trailer_id_; }
  [[nodiscard]] unsigned trailer_time_word() const { return trailer_time_; }
  [[nodiscard]] unsigned trailer_words() const { return trailer_words_; }

 private:
  enum Field : unsigned { kId, kIp, kTask, kTime, kCpu, kPeriod, kFields };

  std::array<unsigned, kFields> at_{kNone, kNone, kNone, kNone, kNone, kNone};
  unsigned fixed_words_ = 0;  ///< fields in front of the first one of variable size
  std::uint64_t sample_type_ = 0;
  std::uint64_t read_format_ = 0;
  std::uint64_t default_period_ = 1;
  bool branches_have_index_ = false;
  unsigned trailer_id_ = kNone, trailer_time_ = kNone, trailer_words_ = 0;
};

}  // namespace vpmu::profile::perf_data
