// SPDX-License-Identifier: MIT
//
// The work of `profiled`: see profiled.c for who calls whom. In shares.S: tenth(), fifth(), most().
#pragma once

namespace work {

/// 2 * rounds + 4 instructions, kernel mode.
void tenth(unsigned long rounds);
void fifth(unsigned long rounds);

/// Calls itself down to depth 0, and there fifth().
class Tree {
 public:
  explicit Tree(unsigned long rounds) : rounds_(rounds) {}
  [[gnu::noinline, gnu::noclone]] void descend(unsigned long depth);

 private:
  unsigned long rounds_;
};

}  // namespace work

namespace user {

/// 2 * rounds + 4 instructions, user mode.
void most(unsigned long rounds);

}  // namespace user
