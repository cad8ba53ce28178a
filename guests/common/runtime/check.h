// SPDX-License-Identifier: MIT
//
// CHECK(condition, "What should be true, with %u numbers") prints PASS or FAIL and the sentence;
// check_summary() ends the guest: exit value 0 if all passed.
#pragma once

#include <stdbool.h>

#include "console.h"

void check_result(bool passed, const char* file, int line);
#define CHECK(condition, ...)                             \
  do {                                                    \
    const bool check_passed_ = (condition);               \
    print(check_passed_ ? "PASS: " : "FAIL: ");           \
    print(__VA_ARGS__);                                   \
    check_result(check_passed_, __FILE_NAME__, __LINE__); \
  } while (0)
#define CHECK_EQUAL(actual, expected, ...)                                                     \
  do {                                                                                         \
    const uint64_t check_actual_ = (uint64_t)(actual), check_expected_ = (uint64_t)(expected); \
    print(check_actual_ == check_expected_ ? "PASS: " : "FAIL: ");                             \
    print(__VA_ARGS__);                                                                        \
    if (check_actual_ != check_expected_)                                                      \
      print(" [is %lu (0x%lx), should be %lu (0x%lx)]", check_actual_, check_actual_,          \
            check_expected_, check_expected_);                                                 \
    check_result(check_actual_ == check_expected_, __FILE_NAME__, __LINE__);                   \
  } while (0)

/// For what this CPU does not offer.
void check_skip(const char* what);
_Noreturn void check_summary(void);
