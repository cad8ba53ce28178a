// SPDX-License-Identifier: MIT
// The fixed computation as an ordinary process, for `callgrind
// --toggle-collect=static_computation`.
#include <stdio.h>

#include "static_computation.h"

int main(void) {
  printf("result %016llx\n", (unsigned long long)static_computation());
  return 0;
}
