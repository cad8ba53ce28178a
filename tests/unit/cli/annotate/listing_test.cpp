// SPDX-License-Identifier: MIT
#include "cli/annotate/listing.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>

namespace {
using vpmu::cli::annotate::FunctionSamples;
using vpmu::cli::annotate::Instruction;
using vpmu::cli::annotate::listing;
using vpmu::profile::Image;
using vpmu::profile::Symbol;
using vpmu::profile::SymbolTable;

class Listing : public testing::Test {
 protected:
  Image image;
  FunctionSamples function;
  std::vector<Instruction> instructions{
      {0x1000, 1, "nop", std::nullopt},
      {0x1001, 2, "jne 0x1000", 0x1000},
      {0x1003, 5, "call 0x2004", 0x2004},
      {0x1008, 1, "ret", std::nullopt},
  };

  Listing() {
    image.symbols = std::make_shared<SymbolTable>(std::vector<Symbol>{
        {0x1000, 9, "function", "function"}, {0x2000, 16, "other(int)", "_Z5otheri"}});
    function.image = &image;
    function.symbol = &image.symbols->symbols()[0];
    function.start = 0x1000;
    function.samples = 1000;
    function.weight = 1000;
    function.counts[0x1000] = {.samples = 900, .weight = 900};
    function.counts[0x1001] = {.samples = 99, .weight = 99, .taken = 200, .mispredicted = 3};
    function.counts[0x1008] = {.samples = 1, .weight = 1};
  }
};

TEST_F(Listing, HasAColumnEachForPercentSamplesAndAddress) {
  EXPECT_EQ(listing(function, instructions, nullptr, {}),
            "percent  samples  address  instruction\n"
            "  90.00      900     1000  nop\n"
            "   9.90       99     1001  jne 0x1000 <+0x0>  # taken 200, mispredicted 1.5 %\n"
            "                     1003  call 0x2004 <other(int)+0x4>\n"
            "   0.10        1     1008  ret\n");
}

TEST_F(Listing, IsCutToTheTerminal) {
  std::istringstream lines{listing(function, instructions, nullptr, {.columns = 40})};
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 40u) << line;
  EXPECT_NE(lines.str().find("call 0x200...\n"), std::string::npos) << lines.str();
}

TEST_F(Listing, OnATerminalTheHottestStandOut) {
  const std::string text = listing(function, instructions, nullptr, {.colour = true});
  EXPECT_NE(text.find("\x1b[31m  90.00"), std::string::npos);
  EXPECT_NE(text.find("ret\n"), std::string::npos);
  EXPECT_EQ(text.find("\x1b[32m   0.10"), std::string::npos);
}

TEST_F(Listing, PercentIsOfTheEventsCount) {
  function.counts[0x1000].weight = 1;
  function.counts[0x1001].weight = 3;
  function.counts[0x1008].weight = 0;
  function.weight = 4;
  const std::string text = listing(function, instructions, nullptr, {});
  EXPECT_NE(text.find("  25.00      900     1000"), std::string::npos) << text;
  EXPECT_NE(text.find("  75.00       99     1001"), std::string::npos) << text;
  EXPECT_NE(text.find("   0.00        1     1008"), std::string::npos) << text;
}

TEST_F(Listing, SamplesWithinInstructionsAreReported) {
  function.counts[0x1005] = {.samples = 7, .weight = 7};
  EXPECT_NE(listing(function, instructions, nullptr, {}).find("7 samples are at no instruction"),
            std::string::npos);
}
}  // namespace
