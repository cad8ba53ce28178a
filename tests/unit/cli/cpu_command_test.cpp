// SPDX-License-Identifier: MIT
#include "cli/cpu_command.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace vpmu::cli {
namespace {

TEST(CpuCommand, ListHasEveryModelOnALineOfItsOwn) {
  const std::string text = list_cpus();
  EXPECT_EQ(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')),
            silicon::x86::cpu_models().size());
  EXPECT_NE(text.find("icelake-server"), std::string::npos);
}

TEST(CpuCommand, ShowHasEveryEvent) {
  for (const silicon::x86::CpuModel* model : silicon::x86::cpu_models()) {
    const std::string text = show_cpu(*model);
    for (const silicon::x86::EventRow& event : model->events) {
      EXPECT_NE(text.find(event.name), std::string::npos) << event.name;
    }
  }
}

TEST(CpuCommand, UnknownModelIsAnErrorThatListsTheKnown) {
  const auto model = cpu_model("pentium-pro");
  ASSERT_FALSE(model.has_value());
  EXPECT_NE(model.error().message.find("'pentium-pro'"), std::string::npos);
  EXPECT_NE(model.error().message.find("icelake-server"), std::string::npos);
}

}  // namespace
}  // namespace vpmu::cli
