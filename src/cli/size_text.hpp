// SPDX-License-Identifier: MIT
//
// Sizes as people write them on a command line: 64M, 2G, 4096K; without a suffix MiB, as QEMU's -m
// has it.
#pragma once

#include <cstdint>
#include <string>

#include "vpmu/base/result.hpp"

namespace vpmu::cli {

/// Bytes. Units are powers of 1024, K, M, G or T in either case, `iB` or `B` behind them allowed.
Result<std::uint64_t> parse_size(const std::string& text);

}  // namespace vpmu::cli
