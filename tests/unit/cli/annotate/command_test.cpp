// SPDX-License-Identifier: MIT
//
// `vpmu annotate` on profiles that are written here.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "profile/perf_data/writer.hpp"
#include "profile/symbols/elf_image.hpp"
#include "profile/symbols/symbol_table.hpp"
#include "unit/cli/command_fixture.hpp"
#include "unit/profile/symbols/symbol_elf.hpp"

namespace {
using vpmu::hostperf::Sample;
using vpmu::hostperf::SampledMode;
using vpmu::profile::SymbolTable;
using vpmu::profile::perf_data::Layout;
using vpmu::profile::perf_data::Writer;
using vpmu::profile::perf_data::WriterConfig;
using vpmu::silicon::x86::LbrStack;
using vpmu::test::CommandTest;
using vpmu::test::Result;
using vpmu::test::SymbolElf32;
using vpmu::test::SymbolElf64;

constexpr std::uint64_t kLinked = 0x400000;

/// hot: mov %rbx, %rax at 0; jmp to 0 at 3; ret at 5. cold: ret at 0x10.
const std::string kCode = [] {
  std::string code{"\x48\x89\xd8\xeb\xfb\xc3"};
  code.resize(0x10, '\x90');
  return code + '\xc3' + std::string(15, '\x90');
}();

class AnnotateTest : public CommandTest {
 protected:
  WriterConfig config;
  std::vector<Sample> samples;

  AnnotateTest() {
    config.events.resize(1);
    config.events[0].name = "cycles";
    config.guest = "guest";
    config.vcpus = 4;
  }

  void sample(std::uint64_t ip, int times, std::uint32_t vcpu = 0, std::uint32_t event = 0) {
    Sample one;
    one.event = event;
    one.vcpu = vcpu;
    one.mode = SampledMode::kGuestUser;
    one.ip = ip;
    one.period = 100;
    for (int i = 0; i < times; ++i) {
      one.time_ns = samples.size() + 1;
      samples.push_back(one);
    }
  }

  /// An image with that code, mapped at `address`; its path.
  std::string image(std::uint64_t address = kLinked, const std::string& name = "image.elf") {
    const SymbolElf64 elf{
        EM_X86_64, kLinked, kCode, {{"hot", kLinked, 6}, {"cold", kLinked + 16, 1}}};
    write_text(name, elf.file());
    config.mappings.push_back({address, kCode.size(), SymbolElf64::kCodeOffset, path(name), {}});
    return path(name);
  }

  /// Writes the profile; its path in quotes.
  std::string profile() {
    const std::string file = path("perf.data");
    auto writer = Writer::create(file, config);
    EXPECT_TRUE(writer) << writer.error().message;
    for (const Sample& one : samples) (*writer)->on_sample(one);
    EXPECT_TRUE((*writer)->finish());
    return "'" + file + "'";
  }

  Result annotated(const std::string& arguments) {
    const Result result = vpmu("annotate " + arguments);
    EXPECT_EQ(result.status, 0) << result.errors;
    EXPECT_EQ(result.errors, "");
    return result;
  }
  static bool has(const Result& result, const std::string& part) {
    return result.output.find(part) != std::string::npos;
  }
};

TEST_F(AnnotateTest, EachInstructionHasItsSamples) {
  const std::string file = image();
  sample(kLinked, 3);
  sample(kLinked + 5, 1);
  sample(kLinked + 16, 4);
  const Result result = annotated(profile() + " hot");
  EXPECT_EQ(result.output, "hot\n4 of 8 samples of cycles, 50.00 % of its count\n" + file +
                               ", 0x400000 to 0x400006\n\n"
                               "percent  samples  address  instruction\n"
                               "  75.00        3   400000  mov %rbx, %rax\n"
                               "                   400003  jmp 0x400000 <+0x0>\n"
                               "  25.00        1   400005  ret\n");
}

TEST_F(AnnotateTest, BothLayoutsSayTheSame) {
  image();
  sample(kLinked, 3);
  sample(kLinked + 16, 1);
  const Result guest = annotated(profile() + " hot");
  config.layout = Layout::kProcess;
  EXPECT_EQ(annotated(profile() + " hot").output, guest.output);
}

TEST_F(AnnotateTest, CodeThatRunsInBothModesIsOneFunction) {
  image();
  sample(kLinked, 3);
  sample(kLinked, 2);
  samples.back().mode = SampledMode::kGuestKernel;
  EXPECT_TRUE(has(annotated(profile() + " hot"), "5 of 5 samples"));
}

TEST_F(AnnotateTest, AGuestKernelsSymbolsMayComeWithTheProfile) {
  const std::string file = image();
  config.kallsyms = SymbolTable::from_elf(file)->kallsyms();
  sample(kLinked, 3);
  for (Sample& one : samples) one.mode = SampledMode::kGuestKernel;
  const Result result = annotated(profile() + " hot");
  EXPECT_TRUE(has(result, "100.00        3   400000  mov %rbx, %rax\n")) << result.output;
}

TEST_F(AnnotateTest, AddressesAreAsLinkedWhereverTheImageIsMapped) {
  image(0x7000000);
  sample(0x7000000, 1);
  EXPECT_TRUE(has(annotated(profile() + " hot"), " 400000  mov %rbx, %rax\n"));
}

TEST_F(AnnotateTest, TheIntelSyntaxIsAnOption) {
  image();
  sample(kLinked, 1);
  EXPECT_TRUE(has(annotated(profile() + " hot -M intel"), "mov rax, rbx"));
}

TEST_F(AnnotateTest, WithoutAFileItIsPerfDataOfThisFolder) {
  image();
  sample(kLinked, 1);
  profile();
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder);
  EXPECT_TRUE(has(annotated("hot"), "mov %rbx, %rax"));
  std::filesystem::current_path(before);
}

TEST_F(AnnotateTest, OfSeveralEventsTheFirstOrTheNamedOneCounts) {
  image();
  config.events.resize(2);
  config.events[1].name = "instructions";
  sample(kLinked, 2, 0, 0);
  sample(kLinked + 5, 3, 0, 1);
  EXPECT_TRUE(has(annotated(profile() + " hot"), "2 of 2 samples of cycles"));
  EXPECT_TRUE(has(annotated(profile() + " hot -e instructions"), "3 of 3 samples of instructions"));
  expect_bad_input("annotate " + profile() + " hot -e nothing",
                   "has no such event; give one of 'cycles', 'instructions'");
}

TEST_F(AnnotateTest, AnEventCanBeNamedWithoutItsModifiers) {
  image();
  config.events[0].name = "cycles:p";
  sample(kLinked, 2);
  EXPECT_TRUE(has(annotated(profile() + " hot -e cycles"), "2 of 2 samples of cycles:p"));
}

TEST_F(AnnotateTest, SamplesOfOneVcpuCanBeChosen) {
  image();
  sample(kLinked, 2, 0);
  sample(kLinked + 5, 3, 2);
  EXPECT_TRUE(has(annotated(profile() + " hot --vcpu 2"), "3 of 3 samples"));
  expect_bad_input("annotate " + profile() + " hot --vcpu 1",
                   "has no samples of vCPU 1; it has of 0, 2");
}

TEST_F(AnnotateTest, BranchesSayHowOftenTheyWereTaken) {
  image();
  config.events[0].branches = true;
  const LbrStack::Decoded good{.from = kLinked + 3, .to = kLinked};
  const LbrStack::Decoded bad{.from = kLinked + 3, .to = kLinked, .mispredicted = true};
  const std::vector<LbrStack::Decoded> branches{good, bad, good};
  sample(kLinked, 2);
  for (Sample& one : samples) one.branches = branches;
  EXPECT_TRUE(has(annotated(profile() + " hot"),
                  "400003  jmp 0x400000 <+0x0>  # taken 6, mispredicted 33.3 %\n"));
}

TEST_F(AnnotateTest, ASymbolThatIsNotThereIsAnErrorWithTheNearest) {
  image();
  sample(kLinked, 1);
  expect_bad_input("annotate " + profile() + " hott", "'hot'");
  expect_bad_input("annotate " + profile() + " cold",
                   "no samples of 'cycles' in a function called 'cold'");
  expect_bad_input("annotate " + profile() + " \"$(printf 'a\\033[31m')\"", "a?[31m");
}

TEST_F(AnnotateTest, OfSeveralFunctionsThatMayBeMeantNoneIsChosen) {
  const SymbolElf64 elf{
      EM_X86_64, kLinked, kCode, {{"_ZN1a1fEi", kLinked, 6}, {"_ZN1b1fEi", kLinked + 16, 1}}};
  config.mappings.push_back(
      {kLinked, kCode.size(), SymbolElf64::kCodeOffset, write_text("a.elf", elf.file()), {}});
  sample(kLinked, 1);
  sample(kLinked + 16, 1);
  expect_bad_input("annotate " + profile() + " f", "'f' may be 'a::f(int)', 'b::f(int)'");
  EXPECT_TRUE(has(annotated(profile() + " b::f"), "b::f(int)\n"));
  EXPECT_TRUE(has(annotated(profile() + " _ZN1a1fEi"), "a::f(int)\n"));
}

TEST_F(AnnotateTest, AnImageThatWasMovedCanBeNamed) {
  const std::string here = image();
  const std::string there = path("moved.elf");
  sample(kLinked, 1);
  const std::string file = profile();
  std::filesystem::rename(here, there);
  const Result lost = vpmu("annotate " + file + " hot");
  EXPECT_EQ(lost.status, 2);
  EXPECT_NE(lost.errors.find("--image"), std::string::npos) << lost.errors;
  EXPECT_TRUE(has(annotated(file + " hot --image '" + there + "'"), there));
}

TEST_F(AnnotateTest, SymbolsCanBeGivenInAFile) {
  image();
  sample(kLinked, 1);
  write_text("symbols.map", "400000 3 only the mov\n");
  write_text("kallsyms", "0000000000400000 T kernel_name\n");
  const std::string file = profile();
  const Result named = annotated(file + " 'only the mov' --symbols '" + path("symbols.map") + "'");
  EXPECT_TRUE(has(named, "0x400000 to 0x400003\n")) << named.output;
  EXPECT_FALSE(has(named, "jmp"));
  for (Sample& one : samples) one.mode = SampledMode::kGuestKernel;
  config.kallsyms = "0000000000400000 T recorded_name\n";
  const Result kernel =
      annotated(profile() + " kernel_name --guest-kallsyms '" + path("kallsyms") + "'");
  EXPECT_TRUE(has(kernel, "kernel_name\n"));
  expect_bad_input("annotate " + file + " hot --symbols /no/such", "'/no/such'");
}

TEST_F(AnnotateTest, A32BitMultibootImageMayHaveCodeOf64Bits) {
  const SymbolElf32 elf{EM_386, kLinked, kCode, {{"hot", kLinked, 6}}};
  config.mappings.push_back(
      {kLinked, kCode.size(), SymbolElf32::kCodeOffset, write_text("mb32.elf", elf.file()), {}});
  sample(kLinked, 1);
  sample(kLinked + 3, 1);
  EXPECT_TRUE(has(annotated(profile() + " hot"), "mov %rbx, %rax"));
  // One byte later there is an instruction in 32-bit code only.
  samples.clear();
  sample(kLinked + 1, 1);
  EXPECT_TRUE(has(annotated(profile() + " hot"), "mov %ebx, %eax"));
}

TEST_F(AnnotateTest, CodeOfAnArmGuestIsShownInItsOwnWords) {
  // mov x0, x1; b to it; the marks are the assembler's.
  const std::string code{"\xe0\x03\x01\xaa\xff\xff\xff\x17", 8};
  const SymbolElf64 elf{EM_AARCH64,
                        kLinked,
                        code,
                        {{"$x", kLinked, 0}, {"hot", kLinked, 8}, {"$d.1", kLinked + 4, 0}}};
  config.mappings.push_back(
      {kLinked, code.size(), SymbolElf64::kCodeOffset, write_text("arm.elf", elf.file()), {}});
  sample(kLinked + 4, 3);
  const Result shown = annotated(profile() + " hot");
  EXPECT_TRUE(has(shown, "mov x0, x1")) << shown.output;
  EXPECT_TRUE(has(shown, "b 0x400000")) << shown.output;
}

TEST_F(AnnotateTest, CodeOfAnUnknownArchitectureIsAnError) {
  const SymbolElf64 elf{EM_RISCV, kLinked, kCode, {{"hot", kLinked, 8}}};
  config.mappings.push_back(
      {kLinked, kCode.size(), SymbolElf64::kCodeOffset, write_text("other.elf", elf.file()), {}});
  sample(kLinked, 1);
  expect_bad_input("annotate " + profile() + " hot", "of no CPU that is known here");
}

TEST_F(AnnotateTest, SourceLinesStandAboveTheirInstructions) {
  const std::string program = std::string{VPMU_PROGRAMS} + "/lines-dwarf5";
  const auto elf = vpmu::profile::read_elf_image(program);
  ASSERT_TRUE(elf) << elf.error().message;
  for (const auto& segment : elf->segments) {
    if (segment.executable) {
      config.mappings.push_back(
          {segment.address, segment.file_bytes, segment.file_offset, program, elf->build_id});
    }
  }
  const auto table = SymbolTable::from_elf(program);
  sample(table->find_name("outer")->start, 1);
  const Result result = annotated(profile() + " outer");
  // The number of the line, by its comment.
  std::ifstream source{std::string{VPMU_PROGRAMS_SOURCE} + "/lines.c"};
  std::string line;
  int number = 1;
  for (; std::getline(source, line) && line.find("LINE innermost") == std::string::npos;) ++number;
  EXPECT_TRUE(has(result, fmt::format("programs/lines.c:{} in innermost\n", number)))
      << result.output;
  EXPECT_TRUE(has(result, "MARK(1); /* LINE innermost */\n")) << result.output;
}

TEST_F(AnnotateTest, NamesInFilesCannotActOnTheTerminal) {
  const SymbolElf64 elf{EM_X86_64, kLinked, kCode, {{"hot\x1b[2J", kLinked, 6}}};
  config.mappings.push_back({kLinked,
                             kCode.size(),
                             SymbolElf64::kCodeOffset,
                             write_text("a\x1b[2J.elf", elf.file()),
                             {}});
  config.events[0].name =
      "cy\x1b"
      "cles";
  sample(kLinked, 1);
  const Result result = annotated(profile() + " 'hot\\x1b[2J'");
  EXPECT_EQ(result.output.find('\x1b'), std::string::npos) << result.output;
}

/// A terminal of 80 columns, and what was written to it.
class Terminal {
 public:
  Terminal() {
    const winsize size{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    there_ = openpty(&master_, &slave_, nullptr, nullptr, &size) == 0;
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() {
    if (!there_) return;
    close(master_);
    close(slave_);
  }
  /// False: this host has no pseudo-terminals, or none for us.
  [[nodiscard]] bool there() const { return there_; }
  [[nodiscard]] std::string name() const { return ttyname(slave_); }
  [[nodiscard]] std::string text() const {
    char bytes[4096];
    const ssize_t got = read(master_, bytes, sizeof bytes);
    return got > 0 ? std::string(bytes, static_cast<std::size_t>(got)) : std::string{};
  }

 private:
  bool there_ = false;
  int master_ = -1;
  int slave_ = -1;
};

TEST_F(AnnotateTest, OnATerminalLinesAreCutAndTheHottestAreRed) {
  if (!Terminal{}.there()) GTEST_SKIP() << "openpty: " << std::strerror(errno);
  // mov %rbx, %rax; jmp to where a long name is.
  const std::string code = std::string{"\x48\x89\xd8\xeb\x0b"} + std::string(15, '\x90');
  const SymbolElf64 elf{
      EM_X86_64, kLinked, code, {{"hot", kLinked, 5}, {std::string(200, 'x'), kLinked + 16, 1}}};
  config.mappings.push_back(
      {kLinked, code.size(), SymbolElf64::kCodeOffset, write_text("a.elf", elf.file()), {}});
  sample(kLinked, 1);
  const std::string file = profile();
  const auto run = [&](const std::string& variables) {
    const Terminal terminal;
    const std::string line = variables + " '" VPMU_COMMAND "' annotate " + file + " hot > " +
                             terminal.name() + " < /dev/null";
    EXPECT_EQ(std::system(line.c_str()), 0);
    return terminal.text();
  };
  const std::string coloured = run("TERM=xterm NO_COLOR=");
  EXPECT_NE(coloured.find("\x1b[31m 100.00        1   400000  mov %rbx, %rax\x1b[0m"),
            std::string::npos)
      << coloured;
  // Before the instruction there are 27 columns.
  EXPECT_NE(coloured.find("jmp 0x400010 <" + std::string(80 - 27 - 14 - 3, 'x') + "...\r\n"),
            std::string::npos)
      << coloured;
  EXPECT_EQ(run("TERM=xterm NO_COLOR=1").find('\x1b'), std::string::npos);
  EXPECT_EQ(run("TERM=dumb").find('\x1b'), std::string::npos);
}

TEST_F(AnnotateTest, WhatIsNoProfileIsAnError) {
  expect_bad_input("annotate '" + write_text("text", "no profile") + "' f", "text");
  expect_bad_input("annotate /no/such f", "/no/such");
  expect_bad_input("annotate", "SYMBOL is required");
}
}  // namespace
