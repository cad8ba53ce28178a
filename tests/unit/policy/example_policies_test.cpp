// SPDX-License-Identifier: MIT
//
// examples/policies: each is read, without a warning, and becomes a filter.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policy/compiler.hpp"
#include "policy/policy.hpp"

namespace vpmu::policy {
namespace {
using std::filesystem::path;

std::vector<path> examples() {
  std::vector<path> files;
  for (const auto& entry : std::filesystem::directory_iterator{VPMU_EXAMPLE_POLICIES})
    files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

std::string name_of(const testing::TestParamInfo<path>& file) {
  std::string name = file.param.stem().string();
  std::ranges::replace_if(
      name, [](char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

class ExamplePolicy : public testing::TestWithParam<path> {};
INSTANTIATE_TEST_SUITE_P(Files, ExamplePolicy, testing::ValuesIn(examples()), name_of);

TEST_P(ExamplePolicy, BecomesAFilter) {
  std::ifstream file{GetParam()};
  const std::string text{std::istreambuf_iterator<char>{file}, {}};
  const auto policy = parse_policy(text, GetParam().filename().string());
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_TRUE(policy->warnings.empty()) << policy->warnings.front();
  const CompiledFilter filter =
      compile(policy->allowed, policy->fixed_allowed, policy->catalogue->fixed_counters());
  const auto image = to_image(filter);
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_TRUE(virt::x86::check_filter_image(*image, policy->catalogue->vendor()));
}

}  // namespace
}  // namespace vpmu::policy
