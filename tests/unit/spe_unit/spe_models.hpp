// SPDX-License-Identifier: MIT
//
// Units of every version, and what tests change about them.
#pragma once

#include "vpmu/silicon/arm64/spe_model.hpp"

namespace vpmu::silicon::arm64 {

inline constexpr SpeModel kSpeModelV1{.version = kSpeV1, .pmsidr = 0x2643f, .pmbidr = 0x26};
inline constexpr SpeModel kSpeModelV1p1{.version = kSpeV1p1, .pmsidr = 0x2643f, .pmbidr = 0x26};
inline constexpr SpeModel kSpeModelV1p2{.version = kSpeV1p2, .pmsidr = 0x2647f, .pmbidr = 0x26};
inline constexpr const SpeModel* kSpeModels[] = {&kSpeModelV1, &kSpeModelV1p1, &kSpeModelV1p2};

constexpr SpeModel with_max_size(SpeModel model, unsigned log2_bytes) {
  Pmsidr id{model.pmsidr};
  id.set(Pmsidr::kMaxSize, log2_bytes);
  model.pmsidr = id.raw;
  return model;
}
constexpr SpeModel with_align(SpeModel model, unsigned log2_bytes) {
  Pmbidr id{model.pmbidr};
  id.set(Pmbidr::kAlign, log2_bytes);
  model.pmbidr = id.raw;
  return model;
}
constexpr SpeModel with_max_buffer(SpeModel model, unsigned pages) {
  Pmbidr id{model.pmbidr};
  id.set(Pmbidr::kMaxBuffSize, pages);
  model.pmbidr = id.raw;
  return model;
}
constexpr SpeModel without_ernd(SpeModel model) {
  model.pmsidr &= ~mask_of(Pmsidr::kErnd);
  return model;
}
constexpr SpeModel without_lds(SpeModel model) {
  model.pmsidr &= ~mask_of(Pmsidr::kLds);
  return model;
}
constexpr SpeModel with_wide_counters(SpeModel model) {
  Pmsidr id{model.pmsidr};
  id.set(Pmsidr::kCountSize, 3);
  model.pmsidr = id.raw;
  return model;
}

}  // namespace vpmu::silicon::arm64
