// SPDX-License-Identifier: MIT
#include "vpmu/silicon/raw_event.hpp"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace vpmu::silicon {
namespace {

TEST(RawEvent, EveryEventHasANameOfItsOwn) {
  std::set<std::string> names;
  for (std::size_t n = 0; n < kNamedRawEventCount; ++n)
    names.insert(name(static_cast<RawEvent>(n)));
  EXPECT_EQ(names.size(), kNamedRawEventCount);
  EXPECT_STREQ(name(RawEvent::kInstructions), "instructions");
  EXPECT_STREQ(name(RawEvent::kStores), "stores");
}

TEST(PrivilegeSet, ContainsWhatItWasMadeOf) {
  EXPECT_TRUE((PrivilegeSet{.user = true}.contains(Privilege::kUser)));
  EXPECT_FALSE((PrivilegeSet{.user = true}.contains(Privilege::kKernel)));
  EXPECT_TRUE(kAllPrivileges.contains(Privilege::kUser));
  EXPECT_TRUE(kAllPrivileges.contains(Privilege::kKernel));
  EXPECT_TRUE(PrivilegeSet{}.empty());
  EXPECT_FALSE((PrivilegeSet{.kernel = true}.empty()));
}

}  // namespace
}  // namespace vpmu::silicon
