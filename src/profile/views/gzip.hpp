// SPDX-License-Identifier: MIT
//
// Bytes as a gzip file, with neither name nor time in it.
#pragma once

#include <string>
#include <string_view>

namespace vpmu::profile {

std::string gzipped(std::string_view bytes);

}  // namespace vpmu::profile
