// SPDX-License-Identifier: MIT
//
// Where a view that may be long goes, piece by piece.
#pragma once

#include <functional>
#include <string_view>

#include "vpmu/base/result.hpp"

namespace vpmu::profile {

/// An error ends the view.
using TextSink = std::function<Result<void>(std::string_view)>;

}  // namespace vpmu::profile
