// SPDX-License-Identifier: MIT
//
// Any bytes as the structure of an event filter, for both vendors: refused or taken as the
// reference does, decided as its definition says, explained by the right entry, written back as it
// was read (tests/property/filter_lockstep.hpp). The input is the structure itself; which events
// are asked follows from it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

#include "property/filter_lockstep.hpp"

namespace {

using vpmu::silicon::x86::EventSelector;

constexpr std::size_t kHeader = 32, kEntry = 8;

EventSelector selector(unsigned event, unsigned unit_mask) {
  return {static_cast<std::uint16_t>(event), static_cast<std::uint8_t>(unit_mask)};
}

/// Unit masks of the first entry's event (all, or of a large filter some), and what differs from
/// the last entry's event and match in one bit.
std::vector<EventSelector> selectors_for(std::span<const std::uint8_t> bytes) {
  std::vector<EventSelector> selectors{{0, 0}, {0xffff, 0xff}};
  const std::size_t entries = bytes.size() < kHeader ? 0 : (bytes.size() - kHeader) / kEntry;
  if (entries == 0) return selectors;
  const auto event_of = [&](std::size_t i) {
    const auto entry = bytes.subspan(kHeader + kEntry * i, kEntry);
    return entry[0] | (entry[4] & 0xfU) << 8;
  };
  const unsigned step = 1 + static_cast<unsigned>(std::min<std::size_t>(entries, 300) / 16);
  for (unsigned u = 0; u < 256; u += step) selectors.push_back(selector(event_of(0), u));
  const unsigned last = event_of(entries - 1);
  const unsigned match = bytes[kHeader + kEntry * (entries - 1) + 1];
  for (unsigned bit = 0; bit < 16; ++bit) selectors.push_back(selector(last ^ 1U << bit, match));
  for (unsigned bit = 0; bit < 8; ++bit) selectors.push_back(selector(last, match ^ 1U << bit));
  return selectors;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes{data, size};
  const std::vector<EventSelector> selectors = selectors_for(bytes);
  for (const bool amd : {false, true}) {
    const auto difference = vpmu::property::compare_filter(bytes, amd, selectors);
    if (!difference) continue;
    std::fprintf(stderr, "%s: %s\n", amd ? "AMD" : "Intel", difference->c_str());
    std::abort();
  }
  return 0;
}
