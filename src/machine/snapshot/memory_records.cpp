// SPDX-License-Identifier: MIT
#include "machine/snapshot/memory_records.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include "machine/snapshot/format.hpp"
#include "machine/snapshot/guest_pages.hpp"

namespace vpmu::machine::snapshot {

Result<void> write_memory(const GuestMemory& memory, RecordWriter& writer) {
  proto::Record record;
  return for_each_run(
      memory, kPagesPerChunk,
      [&](std::uint64_t address, std::span<const std::uint8_t> content) -> Result<void> {
        proto::MemoryChunk& chunk = *record.mutable_memory();
        chunk.set_address(address);
        chunk.set_content(content.data(), content.size());
        return writer.write(record);
      });
}

Result<void> read_memory(const GuestMemory& memory, RecordReader& reader) {
  proto::Record record;
  std::uint64_t expected = 0;
  for (;;) {
    auto done = reader.read(record, proto::Record::kMemory, proto::Record::kEnd);
    if (!done) return done;
    if (record.kind_case() == proto::Record::kEnd) return reader.end(record);
    const std::uint64_t address = record.memory().address();
    const std::string& content = record.memory().content();
    const bool whole_pages =
        address % kPageBytes == 0 && content.size() % kPageBytes == 0 && !content.empty();
    std::uint8_t* to = whole_pages ? memory.host(address, content.size()) : nullptr;
    if (to == nullptr || address < expected) return damaged("memory is not where it belongs");
    std::ranges::copy(content, to);
    expected = address + content.size();
  }
}

}  // namespace vpmu::machine::snapshot
