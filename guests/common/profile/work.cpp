// SPDX-License-Identifier: MIT
#include "profile/work.hpp"

#define USER_CODE [[gnu::section(".user.text"), gnu::noinline, gnu::noclone]]

namespace work {

// What follows a call keeps it from being the function's last.
static inline void still_here() {
  __asm__ volatile("" : : : "memory");
}

void Tree::descend(unsigned long depth) {
  if (depth == 0) {
    fifth(2 * rounds_);
  } else {
    descend(depth - 1);
  }
  still_here();
}

namespace {
[[gnu::noinline, gnu::noclone]] void leaf(unsigned long rounds) {
  tenth(rounds);
  still_here();
}
[[gnu::noinline, gnu::noclone]] void branch(unsigned long rounds, unsigned long depth) {
  leaf(rounds);
  Tree(rounds).descend(depth);
  still_here();
}
}  // namespace

}  // namespace work

namespace user {
namespace {
USER_CODE void inner(unsigned long rounds) {
  most(7 * rounds);
  work::still_here();
}
USER_CODE void middle(unsigned long rounds, unsigned long depth) {
  if (depth == 0) {
    inner(rounds);
  } else {
    middle(rounds, depth - 1);
  }
  work::still_here();
}
}  // namespace
}  // namespace user

extern "C" {
void kernel_work(unsigned long rounds, unsigned long depth);
void user_work(unsigned long rounds, unsigned long depth);

void kernel_work(unsigned long rounds, unsigned long depth) {
  work::branch(rounds, depth);
}

USER_CODE void user_work(unsigned long rounds, unsigned long depth) {
  user::middle(rounds, depth);
  work::still_here();
}
}
