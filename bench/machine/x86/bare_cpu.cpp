// SPDX-License-Identifier: MIT
#include "bench/machine/x86/bare_cpu.hpp"

#include <cstring>

namespace vpmu::bench {

namespace x86 = machine::x86;

namespace {

constexpr std::uint64_t kPml4 = 0x1000, kPdpt = 0x2000, kSmallDirectory = 0x3000,
                        kLargeDirectory = 0x4000, kTables = 0x10000;
constexpr std::uint64_t kPresent = 1, kWrite = 2, kLargePage = 1 << 7;
constexpr std::uint64_t kLargeBytes = 2ULL << 20;

x86::Segment flat(bool code) {
  x86::Segment segment;
  segment.selector = code ? 0x08 : 0x10;
  segment.type = code ? 0xb : 0x3;
  segment.present = true;
  segment.long_code = code;
  segment.big = !code;
  segment.limit = 0xffff'ffff;
  return segment;
}

}  // namespace

BareCpu::BareCpu()
    : memory_{machine::GuestMemory::create(kRam).value()},
      cpu_{memory_, no_devices_, code_pages_, totals_, deadlines_} {
  map();
  cpu_.reset();
  x86::Core& core = cpu_.core();
  core.cr0 = x86::kCr0Pe | x86::kCr0Et | x86::kCr0Ne | x86::kCr0Wp | x86::kCr0Pg;
  core.cr3 = kPml4;
  core.cr4 = x86::kCr4Pae;
  core.efer = x86::kEferLme | x86::kEferLma;
  core.segment.fill(flat(false));
  core.segment[x86::kCs] = flat(true);
  cpu_.state_changed();
}

void BareCpu::map() {
  const auto put = [this](std::uint64_t address, std::uint64_t entry) {
    std::memcpy(memory_.host(address, sizeof entry), &entry, sizeof entry);
  };
  put(kPml4, kPdpt | kPresent | kWrite);
  put(kPdpt, kSmallDirectory | kPresent | kWrite);
  put(kPdpt + (kLarge >> 30) * 8, kLargeDirectory | kPresent | kWrite);
  for (std::uint64_t large = 0; large < kRam / kLargeBytes; ++large) {
    put(kSmallDirectory + large * 8, (kTables + large * 4096) | kPresent | kWrite);
    put(kLargeDirectory + large * 8, large * kLargeBytes | kPresent | kWrite | kLargePage);
  }
  for (std::uint64_t page = 0; page < kRam / 4096; ++page)
    put(kTables + page * 8, page * 4096 | kPresent | kWrite);
}

}  // namespace vpmu::bench
