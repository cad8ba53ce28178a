// SPDX-License-Identifier: MIT
#include "values.hpp"

#include <cstring>

namespace vpmu::differential {

namespace {

constexpr std::uint16_t kMasked = 0x3f;

/// Registers come in classes, so that stacks of them are usable by most instructions.
std::uint16_t random_x87_control(Random& random) {
  static constexpr std::uint16_t kPrecisions[] = {0, 2, 3, 3};
  std::uint16_t control = 0x40;
  control |= random.percent(90) ? kMasked : static_cast<std::uint16_t>(random.below(64));
  control |= static_cast<std::uint16_t>(random.one_of(kPrecisions) << 8);
  if (random.percent(50)) control |= static_cast<std::uint16_t>(random.below(4) << 10);
  return control;
}

}  // namespace

std::uint64_t random_integer(Random& random) {
  switch (random.below(8)) {
    case 0: return random.below(20);
    case 1: return ~random.below(20);
    case 2: {  // around a power of two
      const std::uint64_t power = 1ULL << random.below(64);
      return power + static_cast<std::uint64_t>(random.between(-2, 2));
    }
    case 3: return random.next() >> random.below(64);
    case 4:
      return static_cast<std::uint64_t>(static_cast<std::int64_t>(random.next()) >>
                                        random.below(64));
    default: return random.next();
  }
}

std::uint32_t random_single(Random& random) {
  static constexpr std::uint32_t kSpecials[] = {
      0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000,
      0x7f800001, 0xffa00000, 0x00000001, 0x80000001, 0x007fffff, 0x00800000, 0x7f7fffff,
      0x4f000000, 0xcf000000, 0x5f000000, 0xdf000000, 0x3f000000, 0x4effffff, 0x40490fdb};
  switch (random.below(4)) {
    case 0: return random.one_of(kSpecials);
    case 1: return static_cast<std::uint32_t>(random.next());
    default: {  // of common size
      const std::uint64_t exponent = 127 + static_cast<std::uint64_t>(random.between(-34, 34) + 0);
      return static_cast<std::uint32_t>((random.next() & 0x807f'ffff) | (exponent & 0xff) << 23);
    }
  }
}

std::uint64_t random_double(Random& random) {
  static constexpr std::uint64_t kSpecials[] = {
      0x0000000000000000, 0x8000000000000000, 0x3ff0000000000000, 0xbff0000000000000,
      0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001,
      0xfff4000000000000, 0x0000000000000001, 0x8000000000000001, 0x000fffffffffffff,
      0x0010000000000000, 0x7fefffffffffffff, 0x41dfffffffc00000, 0x41e0000000000000,
      0xc1e0000000000000, 0xc1e0000000200000, 0x43e0000000000000, 0xc3e0000000000000,
      0x43dfffffffffffff, 0x3fe0000000000000, 0x36a0000000000000, 0x47efffffe0000000,
      0x47effffff0000000, 0x380fffffffffffff, 0x3810000000000000};
  switch (random.below(4)) {
    case 0: return random.one_of(kSpecials);
    case 1: return random.next();
    default: {
      const auto exponent = static_cast<std::uint64_t>(1023 + random.between(-66, 66));
      return (random.next() & 0x800f'ffff'ffff'ffff) | exponent << 52;
    }
  }
}

void fill_lanes(Random& random, std::span<std::uint8_t> bytes) {
  const std::uint64_t kind = random.below(4);
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t value = 0;
    switch (kind) {
      case 0: value = random_integer(random); break;
      case 1: value = random_single(random) | std::uint64_t{random_single(random)} << 32; break;
      case 2: value = random_double(random); break;
      default: value = random.next(); break;
    }
    std::memcpy(&bytes[at], &value, sizeof value);
  }
}

void fill_extended(Random& random, std::span<std::uint8_t> bytes) {
  std::uint64_t mantissa = random.next() | 1ULL << 63;
  auto sign = static_cast<std::uint16_t>(random.next() & 0x8000);
  std::uint16_t exponent = 0;
  switch (random.below(16)) {
    case 0: mantissa = 0; break;                               // zero
    case 1: mantissa = 1ULL << 63, exponent = 0x7fff; break;   // infinity
    case 2: mantissa |= 3ULL << 62, exponent = 0x7fff; break;  // quiet NaN
    case 3:                                                    // signalling NaN
      mantissa = (mantissa & ~(1ULL << 62)) | 1, exponent = 0x7fff;
      break;
    case 4: mantissa &= ~(1ULL << 63); break;  // denormal
    case 5: exponent = static_cast<std::uint16_t>(random.below(0x7fff)); break;
    case 6:  // unsupported
      if (random.percent(20)) mantissa &= ~(1ULL << 63);
      exponent = static_cast<std::uint16_t>(1 + random.below(0x7fff));
      break;
    case 7:
    case 8: {  // small integers
      const std::uint64_t value = 1 + random.below(1000);
      const auto shift = static_cast<unsigned>(__builtin_clzll(value));
      mantissa = value << shift;
      exponent = static_cast<std::uint16_t>(16383 + 63 - shift);
      break;
    }
    case 9: mantissa = 1ULL << 63, exponent = 16383; break;  // one
    default:
      exponent = static_cast<std::uint16_t>(16383 + random.between(-70, 70));
      if (random.percent(50)) mantissa &= ~0ULL << random.below(64);
      mantissa |= 1ULL << 63;
      break;
  }
  const auto high = static_cast<std::uint16_t>(exponent | sign);
  std::memcpy(bytes.data(), &mantissa, sizeof mantissa);
  std::memcpy(bytes.data() + 8, &high, sizeof high);
}

CpuState random_state(Random& random) {
  CpuState state;
  for (std::uint64_t& reg : state.gpr) reg = random_integer(random);
  state.rflags = 0x202 | (random.next() & 0x8d5);
  if (random.percent(20)) state.rflags |= 0x400;
  if (random.percent(10)) state.rflags |= 1 << 21;
  if (random.percent(3)) state.rflags |= 1 << 18;

  FxImage& fx = state.fx;
  for (auto& reg : fx.xmm) fill_lanes(random, reg);
  fx.mxcsr = 0x1f80;
  if (random.percent(20)) fx.mxcsr |= static_cast<std::uint32_t>(random.below(64));
  if (random.percent(50)) fx.mxcsr |= static_cast<std::uint32_t>(random.below(4) << 13);
  if (random.percent(20)) fx.mxcsr |= 1 << 15;
  if (random.percent(20)) fx.mxcsr |= 1 << 6;
  if (random.percent(7)) fx.mxcsr &= ~static_cast<std::uint32_t>(random.below(64) << 7);

  fx.control = random_x87_control(random);
  fx.status = static_cast<std::uint16_t>(random.below(8) << 11);
  fx.status |= static_cast<std::uint16_t>(random.next() & 0x4700);
  if (random.percent(30)) {
    fx.status |= static_cast<std::uint16_t>(random.next() & 0x7f);
    // An exception is mostly not pending already.
    if (random.percent(90)) fx.status &= static_cast<std::uint16_t>(fx.control | 0xffc0);
  }
  if ((fx.status & ~fx.control & 0x3f) != 0) fx.status |= 0x8080;
  switch (random.below(4)) {
    case 0: fx.tags = static_cast<std::uint8_t>(random.next()); break;
    case 1: {  // a stack of some depth
      const unsigned top = fx.status >> 11 & 7;
      for (std::uint64_t depth = random.below(9); depth > 0; --depth)
        fx.tags |= static_cast<std::uint8_t>(1 << (top + depth - 1) % 8);
      break;
    }
    case 2: fx.tags = 0xff; break;
    default: {  // room for one
      const unsigned top = fx.status >> 11 & 7;
      fx.tags = static_cast<std::uint8_t>(~(1 << (top + 7) % 8));
      break;
    }
  }
  for (auto& reg : fx.st) fill_extended(random, {reg.data(), 10});
  return state;
}

}  // namespace vpmu::differential
