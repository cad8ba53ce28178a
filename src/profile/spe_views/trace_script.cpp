// SPDX-License-Identifier: MIT
#include "profile/spe_views/trace_script.hpp"

#include <algorithm>
#include <iterator>
#include <queue>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "profile/spe/record_decoder.hpp"
#include "profile/spe_views/load_table.hpp"
#include "profile/views/name_table.hpp"

namespace vpmu::profile {

namespace {

using spe::Record;

constexpr std::size_t kPiece = 1u << 18;

/// Text on its way to the sink.
class Output {
 public:
  explicit Output(const TextSink& sink) : sink_{sink} {}
  std::back_insert_iterator<std::string> end() { return std::back_inserter(text_); }
  std::string& text() { return text_; }
  /// Behind each line; false: there is no use in going on.
  bool line() {
    text_ += '\n';
    return text_.size() < kPiece || flush();
  }
  Result<void> finish() {
    flush();
    return std::move(result_);
  }
  bool flush() {
    if (result_) result_ = sink_(text_);
    text_.clear();
    return result_.has_value();
  }

 private:
  const TextSink& sink_;
  std::string text_;
  Result<void> result_;
};

/// Records of one stream, in turn.
class Records {
 public:
  explicit Records(const SpeStream& stream) : stream_{&stream} {}

  /// False: there is none any more. It is good until the next.
  bool next() {
    ++at_;
    while (at_ >= decoded_.size()) {
      if (!decode_some()) return false;
    }
    // One without a time is where it is in the stream.
    if (decoded_[at_].has(Record::kTimestamp)) time_ = decoded_[at_].timestamp;
    return true;
  }
  [[nodiscard]] const Record& record() const { return decoded_[at_]; }
  [[nodiscard]] const SpeStream& stream() const { return *stream_; }
  [[nodiscard]] std::uint64_t time() const { return time_; }

 private:
  bool decode_some() {
    constexpr std::size_t kSome = 1u << 16;
    while (piece_ < stream_->pieces.size() && offset_ == stream_->pieces[piece_].size()) {
      ++piece_;
      offset_ = 0;
    }
    if (piece_ == stream_->pieces.size()) return false;
    const auto left = stream_->pieces[piece_].subspan(offset_);
    const auto some = left.first(std::min(left.size(), kSome));
    offset_ += some.size();
    decoded_.clear();
    at_ = 0;
    decoder_.decode(some, [this](const Record& record) { decoded_.push_back(record); });
    return true;
  }

  const SpeStream* stream_;
  std::size_t piece_ = 0;
  std::size_t offset_ = 0;
  spe::RecordDecoder decoder_;
  std::vector<Record> decoded_;
  std::size_t at_ = ~std::size_t{0};
  std::uint64_t time_ = 0;
};

std::string one_word(std::string_view text) {
  std::string word = clean_text(text);
  std::ranges::replace_if(
      word, [](char c) { return c == ' ' || c == '(' || c == ')'; }, '_');
  return word.empty() ? "[unknown]" : word;
}

class Lines {
 public:
  Lines(SpeTrace& trace, Output& output) : trace_{trace}, output_{output} {}

  bool add(const Records& records) {
    constexpr std::uint64_t kSecond = 1'000'000'000;
    const Record& record = records.record();
    const SpeStream& stream = records.stream();
    const std::uint64_t time = trace_.info().time.nanoseconds(records.time());
    fmt::format_to(output_.end(), "{:>16} {:>5} [{:03}] {:>5}.{:09}: {:>5} {:<24} ",
                   stream.name.empty() ? fmt::format(":{}", stream.tid) : stream.name,
                   task_of(stream, record), stream.cpu == SpeStream::kNone ? 0 : stream.cpu,
                   time / kSecond, time % kSecond, record.latency[0],
                   record.has(Record::kOperation) ? spe::operation_text(record.operation) : "-");
    add_data(record);
    add_events(record.events);
    add_code(stream, record);
    return output_.line();
  }

 private:
  /// A context says whose it is, the last one best.
  static std::uint32_t task_of(const SpeStream& stream, const Record& record) {
    if (record.has(Record::kContextEl2)) return record.context[1];
    return record.has(Record::kContextEl1) ? record.context[0] : stream.tid;
  }
  void add_data(const Record& record) {
    using namespace silicon::arm64::spe_packet;
    const auto out = output_.end();
    if (record.has(Record::kVirtual)) {
      fmt::format_to(out, "{:>16x} ", spe::data_address(record.address[kVirtual]));
    } else {
      fmt::format_to(out, "{:>16} ", "-");
    }
    if (record.has(Record::kPhysical)) {
      fmt::format_to(out, "{:>12x} ", record.address[kPhysical] & spe::kAddressMask);
    } else {
      fmt::format_to(out, "{:>12} ", "-");
    }
    std::string source = "-";
    if (record.has(Record::kDataSource)) {
      source = source_name(std::min<std::size_t>(record.source, SpeLoads::kOtherSource));
      std::ranges::replace(source, ' ', '-');
    }
    fmt::format_to(out, "{:<13} ", source);
  }
  /// Without the "EV " in front, with commas.
  void add_events(std::uint64_t events) {
    std::string text = spe::packet_text({.kind = spe::PacketKind::kEvents,
                                         .index = 0,
                                         .size = 0,
                                         .payload_bytes = 0,
                                         .payload = events});
    text.erase(0, std::min<std::size_t>(text.size(), 3));
    std::ranges::replace(text, ' ', ',');
    fmt::format_to(output_.end(), "{:<40} ", text.empty() || events == 0 ? "-" : text);
  }
  void add_code(const SpeStream& stream, const Record& record) {
    const auto out = output_.end();
    if (!record.has(Record::kPc)) {
      fmt::format_to(out, "{:>16} [unknown] ([unknown])", "-");
      return;
    }
    const auto place = spe::code_place(record.address[silicon::arm64::spe_packet::kPc]);
    const AddressInfo at = trace_.spaces().find(trace_.owner(stream, place), place.address);
    fmt::format_to(out, "{:>16x} ", place.address);
    if (at.symbol == nullptr) {
      fmt::format_to(out, "[unknown]");
    } else {
      fmt::format_to(out, "{}+{:#x}", clean_text(at.symbol->name),
                     at.in_symbols - at.symbol->start);
    }
    fmt::format_to(out, " ({})", at.image == nullptr ? "[unknown]" : one_word(at.image->name));
  }

  SpeTrace& trace_;
  Output& output_;
};

/// In at least `digits` hexadecimal digits.
void add_hex(std::string& text, std::uint64_t number, unsigned digits) {
  constexpr unsigned kBits = 4, kMost = 64 / kBits;
  while (digits < kMost && number >> kBits * digits != 0) ++digits;
  while (digits-- != 0) text += "0123456789abcdef"[number >> kBits * digits & 0xf];
}

/// One packet, or what is left at the end of a stream. Most of the time that an export takes goes
/// here: into digits, without a format string for each byte.
bool add_packet(Output& output, std::uint64_t offset, std::span<const std::uint8_t> bytes,
                std::string_view text) {
  constexpr std::size_t kOffsetDigits = 8, kBytesWidth = 32;
  std::string& line = output.text();
  add_hex(line, offset, kOffsetDigits);
  line += ": ";
  const std::size_t begin = line.size();
  for (const std::uint8_t byte : bytes) {
    line += ' ';
    add_hex(line, byte, 2);
  }
  line.resize(std::max(line.size() + 1, begin + kBytesWidth), ' ');
  line += text;
  return output.line();
}

/// Packets of a stream, which pieces may cut: what is left of one goes in front of the next.
bool add_packets(Output& output, const SpeStream& stream) {
  std::uint64_t offset = 0;
  std::vector<std::uint8_t> rest;
  for (const auto& piece : stream.pieces) {
    std::span<const std::uint8_t> bytes = piece;
    if (!rest.empty()) {
      rest.insert(rest.end(), piece.begin(), piece.end());
      bytes = rest;
    }
    while (const auto packet = spe::packet_at(bytes)) {
      if (packet->kind != spe::PacketKind::kPadding &&
          !add_packet(output, offset, bytes.first(packet->size), packet_text(*packet))) {
        return false;
      }
      offset += packet->size;
      bytes = bytes.subspan(packet->size);
    }
    rest = {bytes.begin(), bytes.end()};
  }
  return rest.empty() || add_packet(output, offset, rest, "cut short");
}

}  // namespace

Result<void> write_spe_script(SpeTrace& trace, const TextSink& sink) {
  Output output{sink};
  Lines lines{trace, output};
  std::vector<Records> streams;
  for (const SpeStream& stream : trace.streams()) streams.emplace_back(stream);
  // The earliest first; at the same time, the lowest CPU.
  const auto later = [&streams](std::size_t a, std::size_t b) {
    return streams[a].time() != streams[b].time() ? streams[a].time() > streams[b].time() : a > b;
  };
  std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(later)> next{later};
  for (std::size_t n = 0; n < streams.size(); ++n) {
    if (streams[n].next()) next.push(n);
  }
  while (!next.empty()) {
    const std::size_t n = next.top();
    next.pop();
    if (!lines.add(streams[n])) break;
    if (streams[n].next()) next.push(n);
  }
  return output.finish();
}

Result<void> write_spe_packets(const SpeTrace& trace, const TextSink& sink) {
  Output output{sink};
  for (const SpeStream& stream : trace.streams()) {
    fmt::format_to(output.end(), "CPU {}", stream.cpu == SpeStream::kNone ? 0 : stream.cpu);
    if (!output.line() || !add_packets(output, stream)) break;
  }
  return output.finish();
}

}  // namespace vpmu::profile
