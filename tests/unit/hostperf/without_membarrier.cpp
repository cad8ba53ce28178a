// SPDX-License-Identifier: MIT
//
// Linked into a test program, it runs without membarrier(), from before main() on.
#include <gtest/gtest.h>

#include "unit/hostperf/deny_membarrier.hpp"

namespace vpmu::test {
namespace {

[[gnu::constructor]] void begin_without() {
  static_cast<void>(deny_membarrier());
}

TEST(WithoutMembarrier, ItIsNotThere) {
  if (have_membarrier()) GTEST_SKIP() << "system calls cannot be denied here: the rest is as usual";
}

}  // namespace
}  // namespace vpmu::test
