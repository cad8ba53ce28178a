// SPDX-License-Identifier: MIT
//
// A profile as speedscope's own JSON: a sampled profile for each event and vCPU, in order of time.
#pragma once

#include <string>

#include "profile/views/profile.hpp"
#include "profile/views/text_sink.hpp"

namespace vpmu::profile {

/// `profile` must have its timeline. `name`: of the file.
Result<void> write_speedscope(const Profile& profile, const std::string& name,
                              const TextSink& sink);

}  // namespace vpmu::profile
