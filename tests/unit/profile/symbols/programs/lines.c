/* SPDX-License-Identifier: MIT
 *
 * Compiled with debug information for the tests of source lines. They find the marked instructions
 * in the code, and the lines by the comments in this file.
 */
#define MARK(n) __asm__ volatile("prefetchnta 0x5a0000+" #n "(%%rax)" ::: "memory")

static inline __attribute__((always_inline)) void innermost(void) {
  MARK(1); /* LINE innermost */
}

static inline __attribute__((always_inline)) void middle(void) {
  innermost(); /* LINE calls innermost */
  MARK(2);     /* LINE middle */
}

__attribute__((noinline)) void outer(void) {
  MARK(3); /* LINE outer */
  middle(); /* LINE calls middle */
}

void _start(void) {
  outer();
}
