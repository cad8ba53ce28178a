// SPDX-License-Identifier: MIT
#include "machine/snapshot/records.hpp"

#include <zlib.h>

#include <algorithm>
#include <charconv>

#include "machine/snapshot/format.hpp"

namespace vpmu::machine::snapshot {

namespace {
std::uint32_t add_to_checksum(std::uint32_t checksum, std::string_view bytes) {
  // Records are far below the 4 GiB that zlib takes at a time.
  return static_cast<std::uint32_t>(crc32(checksum, reinterpret_cast<const Bytef*>(bytes.data()),
                                          static_cast<uInt>(bytes.size())));
}

/// As protobuf writes lengths: seven bits to a byte, lowest first, bit 7 set on all but the last.
std::string varint(std::size_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

tl::unexpected<Error> ends_early() {
  return fail("it ends early; it was not written to its end: save the guest again");
}
}  // namespace

// ---- Writing ------------------------------------------------------------------------------------

Result<void> RecordWriter::put(std::string_view bytes) {
  checksum_ = add_to_checksum(checksum_, bytes);
  return output_.write(bytes);
}

Result<void> RecordWriter::begin() {
  return put(std::string{kMagic} + std::to_string(kFormatVersion) + "\n");
}

Result<void> RecordWriter::write(const proto::Record& record) {
  if (!record.SerializeToString(&buffer_) || buffer_.size() > kLargestRecord) {
    return fail("a part of the machine is too large for a snapshot; give the guest less");
  }
  buffer_.insert(0, varint(buffer_.size()));
  return put(buffer_);
}

Result<void> RecordWriter::end() {
  proto::Record last;
  last.mutable_end()->set_crc32(checksum_);
  return write(last);
}

// ---- Reading ------------------------------------------------------------------------------------

Result<bool> RecordReader::get(char* to, std::size_t count) {
  std::size_t got = 0;
  while (got < count) {
    const auto more = input_.read({to + got, count - got});
    if (!more) return tl::unexpected(more.error());
    if (*more == 0 && got == 0) return false;
    if (*more == 0) return ends_early();
    got += *more;
  }
  checksum_ = add_to_checksum(checksum_, {to, count});
  return true;
}

Result<void> RecordReader::begin() {
  constexpr std::size_t kLongestVersion = 10;
  const auto not_one = [] {
    return fail("it is not a snapshot of a guest; give a file that --save-at wrote");
  };
  std::string line;
  while (line.size() < kMagic.size() + kLongestVersion) {
    char byte = 0;
    const auto got = get(&byte, 1);
    if (!got) return tl::unexpected(got.error());
    if (!*got || byte == '\n') break;
    line.push_back(byte);
    if (line.size() <= kMagic.size() && byte != kMagic[line.size() - 1]) return not_one();
  }
  if (line.size() <= kMagic.size()) return not_one();
  std::uint32_t version = 0;
  const char* end = line.data() + line.size();
  const auto [stopped, error] = std::from_chars(line.data() + kMagic.size(), end, version);
  if (error != std::errc{} || stopped != end) return not_one();
  if (version != kFormatVersion) {
    return fail("its format is version " + std::to_string(version) + ", and this vpmu reads " +
                std::to_string(kFormatVersion) + "; restore it with the vpmu that saved it");
  }
  return {};
}

Result<std::size_t> RecordReader::get_length() {
  std::size_t length = 0;
  for (unsigned shift = 0; shift < 32; shift += 7) {
    char byte = 0;
    const auto got = get(&byte, 1);
    if (!got) return tl::unexpected(got.error());
    if (!*got) return ends_early();
    length |= static_cast<std::size_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return length;
  }
  return damaged("a record has no length");
}

Result<void> RecordReader::read(proto::Record& record, proto::Record::KindCase kind) {
  return read(record, kind, kind);
}

Result<void> RecordReader::read(proto::Record& record, proto::Record::KindCase kind,
                                proto::Record::KindCase other) {
  checksum_before_ = checksum_;
  const auto length = get_length();
  if (!length) return tl::unexpected(length.error());
  if (*length > kLargestRecord) return damaged("a record is too long");
  buffer_.clear();
  while (buffer_.size() < *length) {
    // Grows with what is really there.
    constexpr std::size_t kPiece = std::size_t{64} << 10;
    const std::size_t at = buffer_.size();
    buffer_.resize(at + std::min(kPiece, *length - at));
    const auto got = get(buffer_.data() + at, buffer_.size() - at);
    if (!got) return tl::unexpected(got.error());
    if (!*got) return ends_early();
  }
  if (!record.ParseFromString(buffer_)) return damaged("a record cannot be read");
  if (record.kind_case() != kind && record.kind_case() != other) {
    return damaged("a record is not where it belongs");
  }
  return {};
}

Result<void> RecordReader::end(const proto::Record& last) {
  if (last.end().crc32() != checksum_before_) return damaged("its checksum is wrong");
  char byte = 0;
  const auto more = get(&byte, 1);
  if (!more) return tl::unexpected(more.error());
  if (*more) return damaged("something follows its end");
  return {};
}

}  // namespace vpmu::machine::snapshot
