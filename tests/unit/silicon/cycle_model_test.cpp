// SPDX-License-Identifier: MIT
#include "vpmu/silicon/x86/cycle_model.hpp"

#include <gtest/gtest.h>

namespace vpmu::silicon::x86 {
namespace {

TEST(CycleModel, EveryInstructionTakesTime) {
  for (std::size_t n = 0; n < kInstructionClassCount; ++n) {
    EXPECT_GE(cycles(static_cast<InstructionClass>(n)), 1u) << n;
  }
}

TEST(CycleModel, DearInstructionsCostMoreThanCheapOnes) {
  using Class = InstructionClass;
  const Class ascending[] = {Class::kSimple,  Class::kMultiply, Class::kSimdAdd, Class::kDivide,
                             Class::kSyscall, Class::kFar,      Class::kWriteMsr};
  for (std::size_t n = 1; n < std::size(ascending); ++n) {
    EXPECT_LT(cycles(ascending[n - 1]), cycles(ascending[n])) << n;
  }
}

}  // namespace
}  // namespace vpmu::silicon::x86
