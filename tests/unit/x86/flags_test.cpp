// SPDX-License-Identifier: MIT
#include "machine/x86/flags.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <utility>

namespace vpmu::machine::x86 {
namespace {

/// The flags of a + b + carry in as a chain of one-bit adders makes them.
struct Sum {
  std::uint64_t result = 0;
  std::uint64_t flags = 0;
};
std::uint64_t result_bits(std::uint64_t result, unsigned bits) {
  std::uint64_t flags = 0;
  bool even = true;
  for (unsigned n = 0; n < 8; ++n) even ^= (result >> n & 1) != 0;
  if (even) flags |= kPf;
  if (result == 0) flags |= kZf;
  if (result >> (bits - 1) & 1) flags |= kSf;
  return flags;
}
Sum add(std::uint64_t a, std::uint64_t b, bool carry_in, unsigned bits) {
  Sum sum;
  unsigned carry_bit = carry_in ? 1 : 0;
  for (unsigned n = 0; n < bits; ++n) {
    const unsigned column = (a >> n & 1) + (b >> n & 1) + carry_bit;
    sum.result |= std::uint64_t{column & 1} << n;
    if (n + 1 == bits && (column >> 1) != carry_bit) sum.flags |= kOf;
    carry_bit = column >> 1;
    if (n == 3 && carry_bit) sum.flags |= kAf;
  }
  if (carry_bit) sum.flags |= kCf;
  sum.flags |= result_bits(sum.result, bits);
  return sum;
}
/// a - b - borrow is a + not b + not borrow, with CF and AF the other way round.
Sum subtract(std::uint64_t a, std::uint64_t b, bool borrow, unsigned bits) {
  Sum difference = add(a, ~b, !borrow, bits);
  difference.flags ^= kCf | kAf;
  return difference;
}

constexpr std::array<std::uint64_t, 16> kValues = {0,
                                                   1,
                                                   2,
                                                   0xf,
                                                   0x10,
                                                   0x7f,
                                                   0x80,
                                                   0xff,
                                                   0x7fff,
                                                   0x8000,
                                                   0xffff,
                                                   0x7fffffff,
                                                   0x80000000,
                                                   0xffffffff,
                                                   0x7fffffffffffffff,
                                                   0x8000000000000000};

template <class T>
void expect_flags_like_adders(T a, T b) {
  constexpr unsigned kBits = 8 * sizeof(T);
  const auto core = std::make_unique<Core>();
  const auto expect = [&](std::uint64_t expected, const char* what) {
    ASSERT_EQ(arithmetic_flags(core->lazy), expected)
        << what << ' ' << kBits << ": " << +a << ", " << +b;
    ASSERT_EQ(carry(*core), (expected & kCf) != 0)
        << what << ' ' << kBits << ": " << +a << ", " << +b;
  };
  note_add<T>(*core, a, b);
  expect(add(a, b, false, kBits).flags, "add");
  note_sub<T>(*core, a, b);
  expect(subtract(a, b, false, kBits).flags, "sub");
  for (const bool carry_in : {false, true}) {
    const Sum sum = add(a, b, carry_in, kBits);
    note_with_carry<T>(*core, FlagKind::kAdc, a, b, static_cast<T>(sum.result));
    expect(sum.flags, "adc");
    const Sum difference = subtract(a, b, carry_in, kBits);
    note_with_carry<T>(*core, FlagKind::kSbb, a, b, static_cast<T>(difference.result));
    expect(difference.flags, "sbb");

    const auto kept = [&](std::uint64_t flags) { return (flags & ~kCf) | (carry_in ? kCf : 0); };
    set_arithmetic_flags(*core, carry_in ? kCf : 0);
    note_step<T>(*core, FlagKind::kInc, static_cast<T>(a + 1));
    expect(kept(add(a, 1, false, kBits).flags), "inc");
    set_arithmetic_flags(*core, carry_in ? kCf : 0);
    note_step<T>(*core, FlagKind::kDec, static_cast<T>(a - 1));
    expect(kept(subtract(a, 1, false, kBits).flags), "dec");
  }
  note_logic<T>(*core, a);
  expect(result_bits(a, kBits), "logic");
}

TEST(Flags, OfAllBytePairsAreWhatAdderChainsMake) {
  for (unsigned a = 0; a < 256; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      expect_flags_like_adders(static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Flags, OfWiderOperandsAreWhatAdderChainsMake) {
  for (const std::uint64_t a : kValues) {
    for (const std::uint64_t b : kValues) {
      expect_flags_like_adders(static_cast<std::uint16_t>(a), static_cast<std::uint16_t>(b));
      expect_flags_like_adders(static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(b));
      expect_flags_like_adders(a, b);
      expect_flags_like_adders(~a, b);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Flags, SetDirectlyReadBackWithoutOtherBits) {
  Core core;
  set_arithmetic_flags(core, ~std::uint64_t{0});
  EXPECT_EQ(arithmetic_flags(core.lazy), 0x8d5U);
  core.rflags = 2 | kIf;
  EXPECT_EQ(rflags(core), 0x8d5U | kIf | 2);
  set_arithmetic_flags(core, 0);
  EXPECT_EQ(rflags(core), kIf | 2);
}

TEST(Flags, CarrySurvivesARunOfIncrements) {
  Core core;
  note_add<std::uint8_t>(core, 0xff, 1);
  for (unsigned n = 1; n < 5; ++n) note_step<std::uint32_t>(core, FlagKind::kInc, n);
  EXPECT_TRUE(carry(core));
}

/// Intel SDM vol. 1 appendix B: the condition codes in terms of flags.
bool holds(unsigned code, std::uint64_t flags) {
  const bool cf = flags & kCf, zf = flags & kZf, sf = flags & kSf, of = flags & kOf,
             pf = flags & kPf;
  switch (code) {
    case 0x0: return of;
    case 0x1: return !of;
    case 0x2: return cf;
    case 0x3: return !cf;
    case 0x4: return zf;
    case 0x5: return !zf;
    case 0x6: return cf || zf;
    case 0x7: return !cf && !zf;
    case 0x8: return sf;
    case 0x9: return !sf;
    case 0xa: return pf;
    case 0xb: return !pf;
    case 0xc: return sf != of;
    case 0xd: return sf == of;
    case 0xe: return zf || sf != of;
    default: return !zf && sf == of;
  }
}

TEST(Condition, FollowsTheManualForEveryCodeAndSetOfFlags) {
  Core core;
  for (std::uint64_t flags = 0; flags < 0x1000; ++flags) {
    if (flags & ~kArithmeticFlags) continue;
    set_arithmetic_flags(core, flags);
    for (unsigned code = 0; code < 16; ++code)
      EXPECT_EQ(condition(core.lazy, code), holds(code, flags)) << code << " with " << flags;
  }
}

template <class T, unsigned kCode>
void expect_known_condition(const Core& sub, const Core& logic) {
  EXPECT_EQ((condition_known<kCode, FlagKind::kSub, T>(sub.lazy)),
            holds(kCode, arithmetic_flags(sub.lazy)))
      << "sub, code " << kCode << ", size " << sizeof(T);
  EXPECT_EQ((condition_known<kCode, FlagKind::kLogic, T>(logic.lazy)),
            holds(kCode, arithmetic_flags(logic.lazy)))
      << "logic, code " << kCode << ", size " << sizeof(T);
}

template <class T>
void expect_known_conditions(std::uint64_t a, std::uint64_t b) {
  const auto sub = std::make_unique<Core>();
  const auto logic = std::make_unique<Core>();
  note_sub<T>(*sub, static_cast<T>(a), static_cast<T>(b));
  note_logic<T>(*logic, static_cast<T>(a));
  [&]<unsigned... kCodes>(std::integer_sequence<unsigned, kCodes...>) {
    (expect_known_condition<T, kCodes>(*sub, *logic), ...);
  }
  (std::make_integer_sequence<unsigned, 16>{});
}

TEST(Condition, KnownWhenCompiledAgreesWithTheFlags) {
  for (const std::uint64_t a : kValues) {
    for (const std::uint64_t b : kValues) {
      expect_known_conditions<std::uint8_t>(a, b);
      expect_known_conditions<std::uint32_t>(a, b);
      expect_known_conditions<std::uint64_t>(a, b);
      expect_known_conditions<std::uint64_t>(~a, b);
    }
  }
}

}  // namespace
}  // namespace vpmu::machine::x86
