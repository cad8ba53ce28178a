// SPDX-License-Identifier: MIT
//
// From guest code to a block.
#pragma once

#include <Zydis/Zydis.h>

#include "machine/x86/block_cache.hpp"
#include "machine/x86/core.hpp"

namespace vpmu::machine::x86 {

class Decoder {
 public:
  /// The most instructions in one block.
  static constexpr unsigned kMostInstructions = 32;

  Decoder();

  /// Decodes the block at Core::rip in `mode` (Core::mode, perhaps with kAlone) into `cache` and
  /// marks its bytes as code. `physical` is where its first byte is. Null: the first instruction
  /// cannot be fetched; Core::exception says why.
  Block* decode(Core& core, BlockCache& cache, Mode mode, std::uint64_t physical);

 private:
  ZydisDecoder decoder64_;
  ZydisDecoder decoder32_;
  ZydisDecoder decoder16_;
};

}  // namespace vpmu::machine::x86
