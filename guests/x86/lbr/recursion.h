// SPDX-License-Identifier: MIT
//
// Recursive programs for call stacks. They lie on the user page and run in user mode or in the
// kernel, keep frame pointers, and execute INT VECTOR_LOOK wherever somebody should look at how
// they got there.
#pragma once

#include <stdint.h>

enum { VECTOR_LOOK = 0x87 };

/// Works out the sum, product or parenthesis that `text` is, by recursive descent; looks at each
/// '?', which is a 1. The text must lie on the user page.
uint64_t parse(const char* text);
/// Sorts some numbers by quicksort with a comparing function, which looks every few calls. True if
/// they are sorted then.
uint64_t sort(void);

/// Texts for parse(), and what they are.
extern char shallow_text[], deep_text[], then_shallow_text[];
enum { SHALLOW_VALUE = 2 * (3 + 1) + 4 * (5 + 1), DEEP_VALUE = 1, THEN_SHALLOW_VALUE = 1 + 7 };

/// User code: parse(RDI) or sort(), then INT 0x80 with the result in RAX.
void user_parse(const char* text);
void user_sort(void);
/// User code: calls some functions, and does not come back from them.
void user_leave(void);
/// User code: returns more often than it has called.
void user_return_only(void);
/// User code: calls the next instruction, which is no call.
void user_get_address(void);
