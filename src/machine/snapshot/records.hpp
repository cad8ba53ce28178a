// SPDX-License-Identifier: MIT
//
// Records on a stream, with the checksum over everything that went by.
#pragma once

#include <cstdint>
#include <string>

#include "machine/snapshot/snapshot.pb.h"
#include "machine/snapshot/stream.hpp"

namespace vpmu::machine::snapshot {

class RecordWriter {
 public:
  explicit RecordWriter(Output& output) : output_{output} {}

  Result<void> begin();  ///< the first line
  Result<void> write(const proto::Record& record);
  Result<void> end();  ///< the last record
  /// What is in the form of a file already.
  Result<void> put(std::string_view bytes);

 private:
  Output& output_;
  std::uint32_t checksum_ = 0;
  std::string buffer_;
};

class RecordReader {
 public:
  explicit RecordReader(Input& input) : input_{input} {}

  /// Reads the first line, and refuses what is not a snapshot, or one of another version.
  Result<void> begin();
  /// The next record, which must be of that kind, or of the second one.
  Result<void> read(proto::Record& record, proto::Record::KindCase kind);
  Result<void> read(proto::Record& record, proto::Record::KindCase kind,
                    proto::Record::KindCase other);
  /// `last` was the end record: checks the checksum, and that nothing follows.
  Result<void> end(const proto::Record& last);

 private:
  /// False: there was nothing left, not one byte.
  Result<bool> get(char* to, std::size_t count);
  Result<std::size_t> get_length();

  Input& input_;
  std::uint32_t checksum_ = 0;
  std::uint32_t checksum_before_ = 0;  ///< of the record that was read last
  std::string buffer_;
};

/// What is wrong, and that nothing but another file helps.
inline tl::unexpected<Error> damaged(const std::string& what) {
  return fail(what + "; the file is damaged: save the guest again");
}

}  // namespace vpmu::machine::snapshot
