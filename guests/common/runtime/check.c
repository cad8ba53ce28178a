// SPDX-License-Identifier: MIT
#include "check.h"

static unsigned passed_count, failed_count, skipped_count;

void check_result(bool passed, const char* file, int line) {
  if (passed) {
    ++passed_count;
    print("\n");
  } else {
    ++failed_count;
    print(" (%s:%d)\n", file, line);
  }
}

void check_skip(const char* what) {
  ++skipped_count;
  print("SKIP: %s\n", what);
}

void check_summary(void) {
  print("SUMMARY: %u passed, %u failed, %u skipped\n", passed_count, failed_count, skipped_count);
  guest_exit(failed_count == 0 && passed_count != 0 ? 0 : 1);
}
