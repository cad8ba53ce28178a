// SPDX-License-Identifier: MIT
#include "profile/perf_data/writer.hpp"

#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "profile/perf_data/branch_flags.hpp"
#include "recorded.hpp"

namespace vpmu::profile::perf_data {
namespace {

namespace fs = std::filesystem;
using hostperf::Sample;
using hostperf::SampledMode;

std::unique_ptr<Writer> writer_at(const std::string& path, const WriterConfig& config) {
  auto writer = Writer::create(path, config);
  EXPECT_TRUE(writer) << writer.error().message;
  return writer ? std::move(*writer) : nullptr;
}

std::string refusal(const std::string& path, const WriterConfig& config = small_config({})) {
  const auto writer = Writer::create(path, config);
  return writer ? "" : writer.error().message;
}

/// Sample number `n`, of vCPU 0.
Sample numbered(std::uint64_t n) {
  Sample sample;
  sample.vcpu = 0;
  sample.host_cpu = hostperf::HostCpu{0};
  sample.time_ns = 1000 + n;
  sample.mode = SampledMode::kGuestKernel;
  sample.ip = n;
  sample.period = 1;
  return sample;
}

void record(const std::string& path, const WriterConfig& config, std::uint64_t samples) {
  const auto writer = writer_at(path, config);
  ASSERT_NE(writer, nullptr);
  for (std::uint64_t n = 0; n < samples; ++n) writer->on_sample(numbered(n));
  EXPECT_EQ(writer->samples(), samples);
  const auto finished = writer->finish();
  EXPECT_TRUE(finished) << finished.error().message;
}

std::uint64_t word_at(const std::string& bytes, std::size_t offset) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + offset, 8);
  return word;
}

TEST(Writer, HasAHeaderThatSaysWhereAllIs) {
  const TestPath path;
  record(path.str(), small_config(Layout::kGuest), 3);
  const std::string bytes = content_of(path.str());
  EXPECT_EQ(bytes.substr(0, 8), "PERFILE2");
  EXPECT_EQ(word_at(bytes, 8), 104u);
  EXPECT_EQ(word_at(bytes, 16), 128u + 16);
  EXPECT_EQ(word_at(bytes, 32), 128u + 16);  // one attr
  const std::uint64_t data = word_at(bytes, 40), size = word_at(bytes, 48);
  EXPECT_EQ(data, word_at(bytes, 24) + word_at(bytes, 32));
  EXPECT_EQ(size % 8, 0u);
  // The table of features is right behind the records; the last feature ends with the file.
  const std::uint64_t features = word_at(bytes, 72);
  std::uint64_t end = 0;
  for (unsigned entry = 0; entry < static_cast<unsigned>(__builtin_popcountll(features)); ++entry) {
    const std::size_t at = data + size + entry * 16;
    EXPECT_TRUE(end == 0 || word_at(bytes, at) == end);
    end = word_at(bytes, at) + word_at(bytes, at + 8);
  }
  EXPECT_EQ(end, bytes.size());
  // Names, host, architecture, command line; branches; and build-ids only of processes.
  for (const unsigned feature : {3u, 6u, 11u, 12u, 15u}) EXPECT_TRUE(features >> feature & 1);
  EXPECT_FALSE(features >> 2 & 1);
}

TEST(Writer, AsAProcessListsBuildIdsAndHasNoIndex) {
  const TestPath path;
  record(path.str(), small_config(Layout::kProcess), 3);
  const std::string bytes = content_of(path.str());
  EXPECT_TRUE(word_at(bytes, 72) >> 2 & 1);
  std::set<std::uint32_t> types;
  for (std::size_t at = word_at(bytes, 40), end = at + word_at(bytes, 48); at < end;) {
    types.insert(static_cast<std::uint32_t>(word_at(bytes, at)));
    at += word_at(bytes, at) >> 48;
  }
  EXPECT_EQ(types, (std::set<std::uint32_t>{1, 3, 9, 10, 68}));
}

TEST(Writer, SaysThatThereIsNoHardwareIndexInBranchStacks) {
  const TestPath path;
  record(path.str(), small_config(Layout::kProcess), 1);
  const Attr attr = read_everything(path.str()).info.events.at(0).attr;
  EXPECT_EQ(attr.branch_sample_type, 1u | 2u | 8u);
  EXPECT_TRUE(attr.sample_type & kSampleIdentifier);
}

TEST(Writer, LeavesOutWhatAnEventDoesNotHave) {
  const TestPath path;
  WriterConfig config = small_config(Layout::kGuest);
  config.events = {{.name = "plain", .attr = {}},
                   {.name = "stacks", .attr = {}, .callchain = true},
                   {.name = "branches", .attr = {}, .branches = true}};
  {
    const auto writer = writer_at(path.str(), config);
    const std::array<std::uint64_t, 2> chain{1, 2};
    const std::array<silicon::x86::LbrStack::Decoded, 1> branches{
        silicon::x86::LbrStack::Decoded{.from = 1, .to = 2}};
    for (std::uint32_t event = 0; event < 3; ++event) {
      Sample sample = numbered(event);
      sample.event = event;
      sample.callchain = chain;
      sample.branches = branches;
      writer->on_sample(sample);
    }
    ASSERT_TRUE(writer->finish());
  }
  const Everything all = read_everything(path.str());
  ASSERT_EQ(all.error, "");
  ASSERT_EQ(all.samples.size(), 3u);
  for (std::uint32_t event = 0; event < 3; ++event) {
    EXPECT_EQ(all.samples[event].event, event);
    EXPECT_EQ(all.samples[event].callchain.size(), event == 1 ? 3u : 0u);
    EXPECT_EQ(all.samples[event].branches.size(), event == 2 ? 1u : 0u);
  }
  EXPECT_EQ(all.info.events[2].name, "branches");
}

TEST(Writer, SamplesOfTheHostAreOfNoMachine) {
  const TestPath path;
  {
    const auto writer = writer_at(path.str(), small_config(Layout::kGuest));
    for (const SampledMode mode :
         {SampledMode::kHostKernel, SampledMode::kHostUser, SampledMode::kUnknown}) {
      Sample sample = numbered(0);
      sample.mode = mode;
      writer->on_sample(sample);
    }
    ASSERT_TRUE(writer->finish());
  }
  const Everything all = read_everything(path.str());
  ASSERT_EQ(all.samples.size(), 3u);
  EXPECT_EQ(all.samples[0].task.mode, CpuMode::kKernel);
  EXPECT_EQ(all.samples[1].task.mode, CpuMode::kUser);
  EXPECT_EQ(all.samples[2].task.mode, CpuMode::kUnknown);
  for (const ReadSample& sample : all.samples) {
    EXPECT_EQ(sample.task.machine_pid, 0u);
    EXPECT_EQ(sample.task.vcpu, 0u);
  }
}

TEST(Writer, NamesThreadsAsHypervisorsDo) {
  const TestPath path;
  WriterConfig config = small_config(Layout::kGuest);
  config.vcpus = 3;
  config.guest = "a-guest-with-a-long-name";
  record(path.str(), config, 1);
  std::vector<std::string> host, guest;
  for (const ReadName& name : read_everything(path.str()).names) {
    (name.task.mode == CpuMode::kGuestUser ? guest : host).push_back(name.name);
  }
  EXPECT_EQ(host, (std::vector<std::string>{"vpmu", "CPU 0/KVM", "CPU 1/KVM", "CPU 2/KVM"}));
  EXPECT_EQ(guest, std::vector<std::string>(3, "a-guest-with-a-"));  // 15 bytes, as in Linux
}

TEST(Writer, SaysWhatWasLost) {
  const TestPath path;
  {
    const auto writer = writer_at(path.str(), small_config(Layout::kGuest));
    writer->on_sample(numbered(0));
    writer->on_lost(3);
    writer->on_lost(4);
    ASSERT_TRUE(writer->finish());
  }
  EXPECT_EQ(read_everything(path.str()).lost, 7u);
}

TEST(Writer, CutsWhatIsTooLongForARecord) {
  const TestPath path;
  const std::vector<std::uint64_t> chain(10'000, 7);
  const std::vector<silicon::x86::LbrStack::Decoded> branches(10'000);
  {
    const auto writer = writer_at(path.str(), small_config(Layout::kGuest));
    Sample sample = numbered(0);
    sample.callchain = chain;
    sample.branches = branches;
    for (int n = 0; n < 20; ++n) writer->on_sample(sample);
    ASSERT_TRUE(writer->finish());
  }
  const Everything all = read_everything(path.str());
  ASSERT_EQ(all.error, "");
  ASSERT_EQ(all.samples.size(), 20u);
  EXPECT_EQ(all.samples[19].callchain.size(), 1025u);  // and the marker
  EXPECT_EQ(all.samples[19].branches.size(), 1024u);
}

TEST(Writer, WritesManyRoundsInOrder) {
  constexpr std::uint64_t kSamples = 100'000;
  const TestPath path;
  record(path.str(), small_config(Layout::kGuest), kSamples);
  const Everything all = read_everything(path.str());
  ASSERT_EQ(all.error, "");
  ASSERT_EQ(all.samples.size(), kSamples);
  for (std::uint64_t n = 0; n < kSamples; ++n) ASSERT_EQ(all.samples[n].ip, n);
}

TEST(Writer, WritesTheSameTwice) {
  for (const Layout layout : {Layout::kGuest, Layout::kProcess}) {
    const TestPath one{"one"}, two{"two"};
    record(one.str(), small_config(layout), 20'000);
    record(two.str(), small_config(layout), 20'000);
    EXPECT_TRUE(content_of(one.str()) == content_of(two.str()));
  }
}

TEST(Writer, WritesTheSameWheneverItGetsToTheFile) {
  const TestPath one{"one"}, two{"two"};
  WriterConfig at_once = small_config(Layout::kGuest), late = at_once;
  at_once.most_seconds_in_memory = 0;
  late.most_seconds_in_memory = 1'000'000;
  record(one.str(), at_once, 20'000);
  record(two.str(), late, 20'000);
  EXPECT_TRUE(content_of(one.str()) == content_of(two.str()));
}

TEST(Writer, HasEverySampleInTheFileIfNoneMayWait) {
  const TestPath path;
  WriterConfig config = small_config(Layout::kGuest);
  config.most_seconds_in_memory = 0;
  const auto writer = writer_at(path.str(), config);
  for (std::uint64_t n = 0; n < 10; ++n) {
    writer->on_sample(numbered(n));
    const Everything all = read_everything(path.str());
    EXPECT_EQ(all.samples.size(), n + 1);
    EXPECT_FALSE(all.info.complete);
  }
}

TEST(Writer, WithKernelSymbolsMakesADirectoryWithThem) {
  const TestPath path;
  WriterConfig config = small_config(Layout::kGuest);
  config.vm_pid = 5;
  config.kallsyms =
      "ffffffff81000000 T _text\nffffffff81001234 t work\n"
      "ffffffffa0000000 t other\t[module]\n0000000000000000 A fixed\n";
  record(path.str(), config, 2);
  EXPECT_EQ(content_of(path.str() + "/kcore_dir__5/kallsyms"), config.kallsyms);
  const Everything all = read_everything(path.str());
  EXPECT_EQ(all.samples.size(), 2u);
  EXPECT_EQ(all.kallsyms, config.kallsyms);
  const auto kernel = std::find_if(
      all.mappings.begin(), all.mappings.end(),
      [](const ReadMapping& mapping) { return mapping.file == "[guest.kernel.kallsyms.5]_text"; });
  ASSERT_NE(kernel, all.mappings.end());
  EXPECT_EQ(kernel->start, 0xffff'ffff'8100'0000u);
  EXPECT_EQ(kernel->length, 0x2000u);
}

/// perf takes the file for a module's, and believes that those are mapped from .text on.
TEST(Writer, MapsAKernelsFileFromItsTextOn) {
  struct Case {
    std::uint64_t text, start, length, file_offset;
  };
  for (const Case c : {Case{0x101010, 0x101010, 0x1ff0, 0x1010}, Case{0, 0x101000, 0x2000, 0x1000},
                       Case{0x103000, 0x101000, 0x2000, 0x1000}}) {
    const TestPath path;
    WriterConfig config = small_config(Layout::kGuest);
    config.mappings[0].text = c.text;
    record(path.str(), config, 2);
    const Everything all = read_everything(path.str());
    const auto mapping_of = [&all](CpuMode mode) {
      return *std::find_if(all.mappings.begin(), all.mappings.end(), [mode](const ReadMapping& m) {
        return m.task.mode == mode && m.file == "/guests/sort.elf";
      });
    };
    const ReadMapping kernel = mapping_of(CpuMode::kGuestKernel);
    EXPECT_EQ(kernel.start, c.start);
    EXPECT_EQ(kernel.length, c.length);
    EXPECT_EQ(kernel.file_offset, c.file_offset);
    const ReadMapping user = mapping_of(CpuMode::kGuestUser);
    EXPECT_EQ(user.start, 0x101000u);
    EXPECT_EQ(user.length, 0x2000u);
  }
}

/// perf makes mappings of a module's other sections when it reads the file, unless one is there.
TEST(Writer, MapsOfAKernelsFileOnlyWhatHasItsText) {
  const TestPath path;
  WriterConfig config = small_config(Layout::kGuest);
  config.mappings[0].text = 0x101010;
  WrittenMapping second = config.mappings[0], another = config.mappings[0];
  second.start = 0x600000;
  another.start = 0x800000;
  another.file = "/guests/another.elf";
  config.mappings = {second, config.mappings[0], another};
  record(path.str(), config, 1);
  std::vector<std::uint64_t> kernel, user;
  for (const ReadMapping& mapping : read_everything(path.str()).mappings) {
    if (mapping.task.mode == CpuMode::kGuestKernel) kernel.push_back(mapping.start);
    if (mapping.task.mode == CpuMode::kGuestUser) user.push_back(mapping.start);
  }
  EXPECT_EQ(kernel, (std::vector<std::uint64_t>{0x101010, 0x800000}));
  EXPECT_EQ(user, (std::vector<std::uint64_t>{0x600000, 0x101000, 0x800000}));
}

TEST(Writer, ReplacesRecordingsWhateverFormTheyHave) {
  const TestPath path;
  WriterConfig file = small_config(Layout::kGuest), directory = file;
  directory.kallsyms = "1000 T text\n";
  for (const WriterConfig* config : {&file, &file, &directory, &directory, &file}) {
    record(path.str(), *config, 2);
    EXPECT_EQ(fs::is_directory(path.str()), !config->kallsyms.empty());
    EXPECT_EQ(read_everything(path.str()).samples.size(), 2u);
  }
}

TEST(Writer, WhoReadsAnOldRecordingGoesOnReadingIt) {
  const TestPath path;
  record(path.str(), small_config(Layout::kGuest), 1000);
  auto reader = Reader::open(path.str());
  ASSERT_TRUE(reader);
  record(path.str(), small_config(Layout::kGuest), 1);
  Everything all;
  ASSERT_TRUE((*reader)->read(all));
  EXPECT_EQ(all.samples.size(), 1000u);
}

TEST(Writer, FollowsALink) {
  const TestPath path, link{"link"};
  fs::create_symlink(path.str(), link.str());
  record(link.str(), small_config(Layout::kGuest), 2);
  EXPECT_TRUE(fs::is_symlink(link.str()));
  EXPECT_EQ(read_everything(path.str()).samples.size(), 2u);
}

TEST(Writer, DoesNotReplaceWhatIsNoRecording) {
  const TestPath directory;
  fs::create_directory(directory.str());
  write_content(directory.str() + "/letter", "Dear");
  const std::string says = "a directory, and no recording";
  EXPECT_NE(refusal(directory.str()).find(says), std::string::npos) << refusal(directory.str());
  write_content(directory.str() + "/data", "of something else");
  EXPECT_NE(refusal(directory.str()).find(says), std::string::npos);
  EXPECT_EQ(content_of(directory.str() + "/letter"), "Dear");
  EXPECT_EQ(content_of(directory.str() + "/data"), "of something else");
}

TEST(Writer, KeepsWhatElseIsInARecordingsDirectory) {
  const TestPath path;
  WriterConfig directory = small_config(Layout::kGuest);
  directory.kallsyms = "1000 T text\n";
  record(path.str(), directory, 2);
  write_content(path.str() + "/notes", "mine");
  EXPECT_NE(refusal(path.str()).find("not empty"), std::string::npos) << refusal(path.str());
  EXPECT_EQ(content_of(path.str() + "/notes"), "mine");
}

TEST(Writer, SaysWhyAFileCannotBe) {
  const TestPath file;
  write_content(file.str(), "x");
  const struct {
    std::string path, says;
  } table[] = {
      {"/nowhere/perf.data", "No such file or directory"},
      {file.str() + "/perf.data", "Not a directory"},
      {"/dev/full", "neither a file nor a directory"},
      {"", "No such file or directory"},
  };
  for (const auto& [path, says] : table) {
    const std::string error = refusal(path);
    EXPECT_NE(error.find(says), std::string::npos) << error;
    EXPECT_TRUE(error.starts_with("profile '" + path + "': ")) << error;
    EXPECT_NE(error.find("; give another path with -o"), std::string::npos) << error;
  }
}

/// What `make` returns when it is not the superuser, who may do anything, that makes it.
template <class Make>
auto as_nobody(Make make) {
  constexpr uid_t kNobody = 65534;
  const uid_t user = geteuid();
  const bool changed = user == 0 && seteuid(kNobody) == 0;
  auto made = make();
  EXPECT_TRUE(!changed || seteuid(user) == 0);
  return made;
}

TEST(Writer, SaysThatADirectoryMayNotBeWritten) {
  // May be looked into, or not even that.
  for (const unsigned mode : {0555u, 0000u}) {
    const TestPath directory;
    fs::create_directory(directory.str());
    fs::permissions(directory.str(), fs::perms{mode});
    const std::string error =
        as_nobody([&directory] { return refusal(directory.str() + "/perf.data"); });
    EXPECT_NE(error.find("Permission denied"), std::string::npos) << error;
  }
}

TEST(BranchFlags, SayWhatTheRecordSaysAndNoMore) {
  using Branch = silicon::x86::LbrStack::Decoded;
  using silicon::x86::BranchType;
  const struct {
    Branch branch;
    std::uint64_t flags;
  } table[] = {
      {{}, 0b10},
      {{.mispredicted = true}, 0b01},
      {{.in_transaction = true}, 0b110},
      {{.aborted = true}, 0b1010},
      {{.cycles = 0}, 0b10},
      {{.cycles = 0xffff}, 0b10 | 0xffffu << 4},
      {{.type = BranchType::kConditional}, 0b10 | 1u << 20},
      {{.type = BranchType::kDirectJump}, 0b10 | 2u << 20},
      {{.type = BranchType::kIndirectJump}, 0b10 | 3u << 20},
      {{.type = BranchType::kDirectCall}, 0b10 | 4u << 20},
      {{.type = BranchType::kIndirectCall}, 0b10 | 5u << 20},
      {{.type = BranchType::kReturn}, 0b10 | 6u << 20},
      {{.type = BranchType::kOther}, 0b10},
  };
  for (const auto& [branch, flags] : table) EXPECT_EQ(branch_flags(branch), flags);
}

}  // namespace
}  // namespace vpmu::profile::perf_data
