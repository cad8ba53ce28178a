// SPDX-License-Identifier: MIT
//
// A flame graph as one SVG file: stacks side by side, callers below (or above) those they called,
// as wide as what happened in them. It needs nothing else, and is complete without its script,
// which adds zoom, search and details. The same profile gives the same file.
#pragma once

#include <cstdint>
#include <string>

#include "profile/views/profile.hpp"
#include "profile/views/text_sink.hpp"

namespace vpmu::profile {

struct FlameGraphOptions {
  std::uint32_t event = 0;
  std::string title = {};  ///< empty: made of the guests' names
  unsigned width = 1200;   ///< pixels
  double min_width = 0.1;  ///< pixels; what is narrower is left out
  bool inverted = false;   ///< the outermost at the top: an icicle
};

inline constexpr unsigned kLeastFlameWidth = 320;

Result<void> write_flame_graph(const Profile& profile, const FlameGraphOptions& options,
                               const TextSink& sink);

}  // namespace vpmu::profile
