// SPDX-License-Identifier: MIT
#include "profile/perf_data/sample_layout.hpp"

#include <bit>

namespace vpmu::profile::perf_data {
namespace {

constexpr std::uint64_t kKnownTypes = 2 * kSampleWeightStruct - 1;
constexpr std::uint64_t kBranchHwIndex = 1 << 17;

/// In the order of a sample's body; one word each.
constexpr std::uint64_t kFixedFields[] = {kSampleIdentifier, kSampleIp,   kSampleTid,
                                          kSampleTime,       kSampleAddr, kSampleId,
                                          kSampleStreamId,   kSampleCpu,  kSamplePeriod};
/// In the order of a trailer.
constexpr std::uint64_t kTrailerFields[] = {kSampleTid,      kSampleTime, kSampleId,
                                            kSampleStreamId, kSampleCpu,  kSampleIdentifier};

/// The words of a body that are left, taken in turn.
class WordReader {
 public:
  explicit WordReader(Words words) : words_{words} {}
  std::uint64_t take() {
    if (words_.empty()) {
      ok_ = false;
      return 0;
    }
    const std::uint64_t word = words_.front();
    words_ = words_.subspan(1);
    return word;
  }
  /// `count` things of `each` words.
  Words take(std::uint64_t count, std::uint64_t each) {
    if (count > words_.size() / each) {
      ok_ = false;
      words_ = {};
      return {};
    }
    const Words taken = words_.first(count * each);
    words_ = words_.subspan(taken.size());
    return taken;
  }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  Words words_;
  bool ok_ = true;
};

void skip_read(WordReader& body, std::uint64_t format) {
  constexpr std::uint64_t kTimes = 1 | 2, kId = 4, kGroup = 8, kLost = 16;
  const auto times = static_cast<unsigned>(std::popcount(format & kTimes));
  const auto with_value = static_cast<unsigned>(std::popcount(format & (kId | kLost)));
  const std::uint64_t values = (format & kGroup) != 0 ? body.take() : 1;
  body.take(times, 1);
  body.take(values, 1 + with_value);
}

/// 4 bytes of size, so many bytes, and up to a whole word.
void skip_raw(WordReader& body) {
  const auto size = static_cast<std::uint32_t>(body.take());
  body.take((std::uint64_t{size} + 4 + 7) / 8 - 1, 1);
}

}  // namespace

std::optional<SampleLayout> SampleLayout::of(const Attr& attr) {
  if ((attr.sample_type & ~kKnownTypes) != 0) return std::nullopt;
  SampleLayout layout;
  layout.sample_type_ = attr.sample_type;
  layout.read_format_ = attr.read_format;
  layout.branches_have_index_ = (attr.branch_sample_type & kBranchHwIndex) != 0;
  const bool by_frequency = (attr.flags >> static_cast<unsigned>(AttrFlag::kFreq) & 1) != 0;
  layout.default_period_ = by_frequency || attr.sample_period == 0 ? 1 : attr.sample_period;

  for (const std::uint64_t field : kFixedFields) {
    if ((attr.sample_type & field) == 0) continue;
    const unsigned word = layout.fixed_words_++;
    auto& at = layout.at_;
    if (field == kSampleIp) at[kIp] = word;
    if (field == kSampleTid) at[kTask] = word;
    if (field == kSampleTime) at[kTime] = word;
    if (field == kSampleCpu) at[kCpu] = word;
    if (field == kSamplePeriod) at[kPeriod] = word;
    if (field == kSampleIdentifier || (field == kSampleId && at[kId] == kNone)) at[kId] = word;
  }

  if ((attr.flags >> static_cast<unsigned>(AttrFlag::kSampleIdAll) & 1) == 0) return layout;
  for (const std::uint64_t field : kTrailerFields) {
    if ((attr.sample_type & field) == 0) continue;
    for (unsigned* const before : {&layout.trailer_id_, &layout.trailer_time_}) {
      if (*before != kNone) ++*before;
    }
    ++layout.trailer_words_;
    if (field == kSampleTime) layout.trailer_time_ = 1;
    if (field == kSampleIdentifier || field == kSampleId) layout.trailer_id_ = 1;
  }
  return layout;
}

bool SampleLayout::decode(Words words, SampleRecord& sample) const {
  if (words.size() < fixed_words_) return false;
  const auto field = [&](Field which, std::uint64_t otherwise) {
    return at_[which] == kNone ? otherwise : words[at_[which]];
  };
  const std::uint64_t task = field(kTask, 0);
  sample.ip = field(kIp, 0);
  sample.task.pid = static_cast<std::uint32_t>(task);
  sample.task.tid = static_cast<std::uint32_t>(task >> 32);
  sample.time = field(kTime, 0);
  sample.cpu = static_cast<std::uint32_t>(field(kCpu, 0));
  sample.period = field(kPeriod, default_period_);
  sample.callchain = {};
  sample.branches = {};

  WordReader body{words.subspan(fixed_words_)};
  if ((sample_type_ & kSampleRead) != 0) skip_read(body, read_format_);
  if ((sample_type_ & kSampleCallchain) != 0) {
    const std::uint64_t frames = body.take();
    sample.callchain = body.take(frames, 1);
  }
  if ((sample_type_ & kSampleRaw) != 0) skip_raw(body);
  if ((sample_type_ & kSampleBranchStack) != 0) {
    static_assert(sizeof(BranchEntry) == 24);
    const std::uint64_t branches = body.take();
    if (branches_have_index_) body.take();
    const Words entries = body.take(branches, 3);
    sample.branches = {reinterpret_cast<const BranchEntry*>(entries.data()), entries.size() / 3};
  }
  // What is behind is of no use here.
  return body.ok();
}

}  // namespace vpmu::profile::perf_data
