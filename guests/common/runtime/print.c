// SPDX-License-Identifier: MIT
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "console.h"

struct layout {
  int width;
  bool left;
  bool zeros;
  bool groups;
};

static void put_text(const char* text, int length, struct layout how) {
  if (!how.left) {
    for (int i = length; i < how.width; ++i) put_char(' ');
  }
  for (int i = 0; i < length; ++i) put_char(text[i]);
  if (how.left) {
    for (int i = length; i < how.width; ++i) put_char(' ');
  }
}

static void put_number(uint64_t value, unsigned base, bool negative, struct layout how) {
  char text[40];
  char* at = text + sizeof text;
  int digits = 0;
  do {
    if (how.groups && digits != 0 && digits % 3 == 0) *--at = ',';
    *--at = "0123456789abcdef"[value % base];
    value /= base;
    ++digits;
  } while (value != 0 || (how.zeros && digits + negative < how.width));
  if (negative) *--at = '-';
  put_text(at, (int)(text + sizeof text - at), how);
}

void print(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  for (const char* f = format; *f != 0; ++f) {
    if (*f != '%') {
      put_char(*f);
      continue;
    }
    struct layout how = {0};
    for (++f;; ++f) {
      if (*f == '-')
        how.left = true;
      else if (*f == '0')
        how.zeros = true;
      else if (*f == '\'')
        how.groups = true;
      else
        break;
    }
    if (*f == '*') {
      how.width = va_arg(arguments, int);
      ++f;
    }
    for (; *f >= '0' && *f <= '9'; ++f) how.width = how.width * 10 + (*f - '0');
    bool wide = false;
    for (; *f == 'l' || *f == 'z'; ++f) wide = true;
    switch (*f) {
      case 'd':
      case 'i': {
        const int64_t value = wide ? va_arg(arguments, int64_t) : va_arg(arguments, int);
        put_number(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, value < 0, how);
        break;
      }
      case 'u':
      case 'x': {
        const uint64_t value = wide ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned);
        put_number(value, *f == 'x' ? 16 : 10, false, how);
        break;
      }
      case 'p': put_number((uint64_t)va_arg(arguments, void*), 16, false, how); break;
      case 'c': {
        const char c = (char)va_arg(arguments, int);
        put_text(&c, 1, how);
        break;
      }
      case 's': {
        const char* text = va_arg(arguments, const char*);
        int length = 0;
        while (text[length] != 0) ++length;
        put_text(text, length, how);
        break;
      }
      default: put_char(*f);
    }
  }
  va_end(arguments);
}

void panic(const char* why) {
  print("PANIC: %s\n", why);
  guest_exit(1);
}
