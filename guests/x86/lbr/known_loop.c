// SPDX-License-Identifier: MIT
#include "known_loop.h"

unsigned step_at(const struct known_loop* loop, uint64_t rip) {
  unsigned step = 0;
  while (step < LOOP_STEPS && loop->steps[step] != rip) ++step;
  return step;
}

/// Newest first from branch `next - 1` of a round on.
static bool are_from(const struct known_loop* loop, uint64_t what, unsigned next,
                     const struct lbr_record* records, unsigned count) {
  for (unsigned age = 0; age < count; ++age) {
    do next = (next + LOOP_BRANCHES - 1) % LOOP_BRANCHES;
    while ((loop->branches[next].what & what) == 0);
    if (records[age].from != loop->branches[next].from) return false;
    if (records[age].to != loop->branches[next].to) return false;
  }
  return true;
}

bool are_before(const struct known_loop* loop, uint64_t what, unsigned step,
                const struct lbr_record* records, unsigned count) {
  unsigned next = 0;
  while (next < LOOP_BRANCHES && loop->branches[next].step < step) ++next;
  return are_from(loop, what, next, records, count);
}

bool are_at_end(const struct known_loop* loop, uint64_t what, const struct lbr_record* records,
                unsigned count) {
  // The branch back is not taken the last time.
  return are_before(loop, what, LOOP_STEPS - 1, records, count);
}
