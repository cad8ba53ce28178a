// SPDX-License-Identifier: MIT
//
// What the demo does: it sorts, hashes and branches. Each piece is in a section of its own, so that
// a sampled address tells it.
#pragma once

#include <stdint.h>

enum { PIECES = 3, PIECE_COUNTERS = 4, SAMPLE_PERIOD = 10000 };

extern struct piece {
  const char* name;
  void (*run)(void);
  const char *code_begin, *code_end;
  uint64_t counts[PIECE_COUNTERS];  ///< cycles, instructions, branches, and whatever else
  uint64_t samples;
} pieces[PIECES];

/// Does all pieces, on the same keys in every run.
void run_pieces(uint64_t (*read)(unsigned counter));
/// A sample of the piece there, or of none.
void sample_piece(uint64_t address);
/// The counts and samples of all. `fourth`: what the last counter counts; `by`: how counters are
/// read.
void print_pieces(const char* fourth, const char* by);
