// SPDX-License-Identifier: MIT
//
// Any file as a profile: it is read, or refused in one line; what it says is all in memory that may
// be looked at, and no more than the file has room for.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "messages.hpp"
#include "profile/perf_data/reader.hpp"

namespace {
using namespace vpmu::profile::perf_data;
using vpmu::fuzz::check;

/// Looks at everything.
class Looker final : public RecordVisitor {
 public:
  explicit Looker(const FileInfo& info) : info_{info} {}
  Looker(const Looker&) = delete;
  Looker& operator=(const Looker&) = delete;
  /// So that nobody leaves out the looking.
  ~Looker() { asm volatile("" : : "r"(sum_)); }

  void on_comm(const CommRecord& comm) override { look(comm.name); }
  void on_fork(const ForkRecord& fork) override { sum_ += fork.parent_pid; }
  void on_mapping(const MappingRecord& mapping) override {
    look(mapping.file);
    for (const std::uint8_t byte : mapping.build_id) sum_ += byte;
    check(mapping.build_id.size() <= 20, "a long build-id", "");
  }
  void on_sample(const SampleRecord& sample) override {
    check(sample.event < info_.events.size(), "a sample of no event", "");
    for (const std::uint64_t frame : sample.callchain) sum_ += frame;
    for (const BranchEntry& branch : sample.branches) sum_ += branch.from + branch.to;
    words_ += 1 + sample.callchain.size() + sample.branches.size() * 3;
  }
  void on_lost(std::uint64_t samples) override { sum_ += samples; }

  [[nodiscard]] std::uint64_t words() const { return words_; }

 private:
  void look(std::string_view text) {
    for (const char c : text) sum_ += static_cast<unsigned char>(c);
    check(text.find('\0') == std::string_view::npos, "a text with its NUL", "");
  }
  const FileInfo& info_;
  std::uint64_t words_ = 0;
  std::uint64_t sum_ = 0;
};

void read(const std::string& path, std::size_t size) {
  const auto reader = Reader::open(path);
  const std::string name = "profile '" + path + "'";
  if (!reader) {
    vpmu::fuzz::check_message(reader.error().message, name);
    return;
  }
  for (const FileEvent& event : (*reader)->info().events) {
    check(!event.name.empty(), "an event without a name", "");
    check(event.ids.size() <= size / 8, "more ids than there is room for", "");
  }
  Looker looker{(*reader)->info()};
  if (const auto done = (*reader)->read(looker); !done) {
    vpmu::fuzz::check_message(done.error().message, name);
  }
  check(looker.words() <= size / 8, "more samples than there is room for", "");
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = memfd_create("fuzz", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  check(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == static_cast<ssize_t>(size),
        "no file", path);
  read(path, size);
  return 0;
}
