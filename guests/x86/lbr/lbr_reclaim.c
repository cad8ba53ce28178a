// SPDX-License-Identifier: MIT
//
// A host that takes the last branch records away from the guest, and gives them back: while they
// are lost they read as zeros, nobody else's are ever seen, and the guest's own come back. Options:
//   lost=A-B,C-D...   from when to when the host has them, in cycles of the TSC; in order
//   slack=N           cycles after which they must be back; 400000 if it is not given
// In every other time, the first included, the guest stops recording before they are lost, and
// looks whether the records are the same afterwards.
#include "known_loop.h"
#include "runtime/check.h"
#include "runtime/start.h"

enum { LOOPS = 60, MOST_WINDOWS = 16, BEFORE = 150000, INTO = 20000, MANY = 10 };

static struct window { uint64_t begin, end; } windows[MOST_WINDOWS];
static unsigned window_count;
static uint64_t slack;

static struct {
  unsigned own, lost, between;  ///< times that the records were read in each state
  unsigned wrong_own, wrong_lost, foreign;
  unsigned kept, wrong_kept;
} seen;

static uint64_t parse_number(const char** at) {
  uint64_t value = 0;
  for (; **at >= '0' && **at <= '9'; ++*at) value = value * 10 + (uint64_t)(**at - '0');
  return value;
}
static void parse_windows(void) {
  const char* at = option_text("lost");
  while (at != 0 && window_count < MOST_WINDOWS) {
    const uint64_t begin = parse_number(&at);
    if (*at++ != '-') panic("lost=FROM-TO,FROM-TO...");
    windows[window_count++] = (struct window){begin, parse_number(&at)};
    if (*at++ != ',') break;
  }
}

// ---- When ---------------------------------------------------------------------------------------

enum state { OWN, LOST, BETWEEN };
/// Of everything that happened from `begin` to `end`.
static enum state state_of(uint64_t begin, uint64_t end) {
  for (unsigned w = 0; w < window_count; ++w) {
    if (begin >= windows[w].begin + INTO && end < windows[w].end) return LOST;
    if (end >= windows[w].begin && begin < windows[w].end + slack) return BETWEEN;
  }
  return OWN;
}

// ---- What ---------------------------------------------------------------------------------------

/// In the guest's own code. Not only in the loop: a WRMSR that stops recording is lost when the
/// records are, and what runs when they come back is recorded then.
static bool is_own(uint64_t address) {
  enum { CODE = 1 << 20, CODE_END = 8 << 20 };  // guest.ld
  return address >= CODE && address < CODE_END;
}

/// Everything that can be read of the records, looked through for what is not the guest's.
static bool reads_zero(void) {
  bool zero = true;
  for (unsigned i = 0; i < lbr.depth; ++i) {
    const uint64_t from = rdmsr(lbr.from + i), to = rdmsr(lbr.to + i);
    const uint64_t info = lbr.info != 0 ? rdmsr(lbr.info + i) : 0;
    zero = zero && from == 0 && to == 0 && info == 0;
    const bool foreign = (from != 0 && !is_own(from)) || (to != 0 && !is_own(to));
    if (foreign && seen.foreign == 0) print("      (found %lx to %lx)\n", from, to);
    seen.foreign += foreign;
  }
  return zero && lbr_tos() == 0;
}

static void look(uint64_t begin, bool own, bool zero) {
  switch (state_of(begin, rdtsc())) {
    case OWN:
      ++seen.own;
      seen.wrong_own += !own;
      break;
    case LOST:
      ++seen.lost;
      seen.wrong_lost += !zero;
      break;
    case BETWEEN: ++seen.between; break;
  }
}

static void record(void) {
  const struct pmu_switch nothing = {0, pmu.global_ctrl};
  struct lbr_record records[LBR_MOST];
  const uint64_t begin = rdtsc();
  const struct pmu_switch start = lbr_arm(LBR_EVERYTHING);
  run_kernel_loop(&start, &nothing, LOOPS);
  const unsigned found = lbr_read_all(records);
  const bool own =
      found == lbr.depth && are_at_end(&kernel_loop, LBR_EVERYTHING, records, lbr.depth);
  look(begin, own, reads_zero());
}

/// Stays away from recording until the records are back.
static void keep(const struct window* window) {
  struct lbr_record before[LBR_MOST], after[LBR_MOST];
  lbr_read_all(before);
  const unsigned tos = lbr_tos();
  uint64_t begin;
  while ((begin = rdtsc()) < window->end + slack) {
    const unsigned found = lbr_read_all(after);
    const bool own =
        found == lbr.depth && are_at_end(&kernel_loop, LBR_EVERYTHING, after, lbr.depth);
    look(begin, own, reads_zero());
    for (volatile unsigned i = 0; i < 500; ++i) pause();
  }
  lbr_read_all(after);
  ++seen.kept;
  bool same = lbr_tos() == tos;
  for (unsigned age = 0; age < lbr.depth; ++age) {
    same = same && before[age].from == after[age].from && before[age].to == after[age].to &&
           before[age].info == after[age].info;
  }
  seen.wrong_kept += !same;
}

void guest_main(void) {
  pmu_start();
  parse_windows();
  slack = option_number("slack", 400000);
  if (!lbr_probe()) panic("this machine has no LBRs");
  const uint64_t end = window_count == 0 ? 0 : windows[window_count - 1].end + slack + 1000000;
  unsigned next = 0;
  do {
    record();
    while (next < window_count && rdtsc() > windows[next].begin) ++next;
    if (next < window_count && next % 2 == 0 && rdtsc() + BEFORE > windows[next].begin) {
      keep(&windows[next++]);
    }
  } while (rdtsc() < end || seen.own < MANY);
  CHECK(seen.own >= MANY, "the guest has its records, and looks %u times", seen.own);
  CHECK_EQUAL(seen.wrong_own, 0, "they are its own, all of them");
  if (window_count != 0)
    CHECK(seen.lost >= MANY, "it looks %u times while the host has them", seen.lost);
  CHECK_EQUAL(seen.wrong_lost, 0, "it reads zeros then");
  CHECK_EQUAL(seen.foreign, 0, "it never reads an address that is not its own");
  const unsigned kept = (window_count + 1) / 2 - (window_count != 0 && windows[0].begin == 0);
  CHECK(seen.kept == kept && seen.wrong_kept == 0, "%u times the records that it had come back",
        seen.kept);
}
