// SPDX-License-Identifier: MIT
//
// A program that is laid out badly, for a post-link optimizer to put right: it makes a log, splits
// it into words and numbers, counts words in a hash table and lets a little stack machine work on
// the numbers. What happens nearly always is said to be unlikely, so that compilers put it out of
// the way; what never happens is in the middle of loops; functions that call each other are far
// apart. The checksum is what it must print however it is laid out. Options:
//   rounds=N   how many logs: 20
#include "runtime/check.h"
#include "runtime/start.h"

#define FAR __attribute__((noinline, noclone))
/// Always said to be rare, whatever is true.
#define SAID_TO_BE_RARE(condition) __builtin_expect((condition), 0)

enum { LOG_BYTES = 16384, BUCKETS = 1024, WORDS = 4096, STACK = 32, NAME_BYTES = 12 };

static char log_text[LOG_BYTES + 16];
static unsigned log_bytes;
static uint64_t state;
static uint64_t checksum;

struct word {
  char name[NAME_BYTES];
  unsigned length, count, next;
};
static struct word words[WORDS];
static unsigned first_of[BUCKETS], used_words;

static int64_t stack[STACK];
static unsigned depth;

// ---- What never happens, and is long
// ----------------------------------------------------------------------

static volatile uint64_t faults[64];

/// Writes down what went wrong, at a length no compiler would put into a loop by itself.
static inline __attribute__((always_inline)) void give_account(uint64_t code, uint64_t a,
                                                               uint64_t b) {
#pragma GCC unroll 8
  for (unsigned i = 0; i < 8; ++i) {
    faults[i] = code * (i + 1) + a;
    faults[i + 8] = faults[i] ^ b;
    if (faults[i + 16] > a) faults[i + 24] = b - i;
  }
}

// ---- Making a log
// -----------------------------------------------------------------------------------------

static FAR uint64_t next_random(void) {
  if (state == 0) {
    give_account(1, log_bytes, depth);
    state = 88172645463325252;
  }
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static FAR void put(char c) {
  if (SAID_TO_BE_RARE(log_bytes < LOG_BYTES)) {
    log_text[log_bytes++] = c;
  } else {
    give_account(2, log_bytes, (uint64_t)c);
  }
}

static FAR void put_number(uint64_t number) {
  char digits[20];
  unsigned count = 0;
  do {
    digits[count++] = (char)('0' + number % 10);
    number /= 10;
    if (count == sizeof digits) give_account(3, number, count);
  } while (SAID_TO_BE_RARE(number != 0));
  while (SAID_TO_BE_RARE(count > 0)) put(digits[--count]);
}

static FAR void put_word(uint64_t number) {
  const unsigned length = 2 + number % 5;
  for (unsigned i = 0; SAID_TO_BE_RARE(i < length); ++i) {
    put((char)('a' + number % 13));
    number /= 13;
  }
}

static FAR void make_log(void) {
  log_bytes = 0;
  while (SAID_TO_BE_RARE(log_bytes + 64 < LOG_BYTES)) {
    const uint64_t random = next_random();
    if (SAID_TO_BE_RARE((random & 7) != 0)) {
      put_word(random >> 3 & 0x3ff);
    } else {
      put_number(random >> 40);
    }
    if (SAID_TO_BE_RARE((random >> 32 & 31) != 0)) {
      put(' ');
    } else {
      put('\n');
    }
  }
  log_text[log_bytes] = 0;
}

// ---- The stack machine
// ------------------------------------------------------------------------------------

static FAR void push(int64_t value) {
  if (SAID_TO_BE_RARE(depth < STACK)) {
    stack[depth++] = value;
  } else {
    give_account(4, (uint64_t)value, depth);
    depth = 0;
  }
}

static FAR int64_t pop(void) {
  if (SAID_TO_BE_RARE(depth > 0)) return stack[--depth];
  give_account(5, depth, 0);
  return 0;
}

static FAR void operate(unsigned operation) {
  const int64_t right = pop();
  const int64_t left = pop();
  switch (operation) {
    case 0: push(left + right); break;
    case 1: push(left - right); break;
    case 2: push(left * right); break;
    case 3: push(left ^ right); break;
    case 4: push(left & right); break;
    case 5: push(left | right); break;
    case 6: push(left < right ? left : right); break;
    case 7: push(left + (right >> 3)); break;
    default: give_account(6, (uint64_t)left, (uint64_t)right); push(left);
  }
}

static FAR void compute(uint64_t number) {
  push((int64_t)number);
  push((int64_t)(number >> 5));
  for (uint64_t steps = number; SAID_TO_BE_RARE(steps != 0); steps >>= 3) {
    push((int64_t)steps);
    operate(steps & 7);
  }
  while (SAID_TO_BE_RARE(depth > 1)) operate(0);
  checksum = checksum * 31 + (uint64_t)pop();
}

// ---- Words
// ------------------------------------------------------------------------------------------------

static FAR unsigned hash(const char* name, unsigned length) {
  uint32_t value = 0x811c9dc5;
  for (unsigned i = 0; SAID_TO_BE_RARE(i < length); ++i) {
    if (name[i] == 0) give_account(7, i, length);
    value = (value ^ (uint8_t)name[i]) * 0x01000193;
  }
  return (value ^ value >> 15) % BUCKETS;
}

static FAR bool same(const struct word* word, const char* name, unsigned length) {
  if (word->length != length) return false;
  for (unsigned i = 0; SAID_TO_BE_RARE(i < length); ++i) {
    if (word->name[i] != name[i]) return false;
  }
  return true;
}

static FAR void count_word(const char* name, unsigned length) {
  const unsigned bucket = hash(name, length);
  unsigned w = first_of[bucket];
  while (SAID_TO_BE_RARE(w != 0)) {
    if (SAID_TO_BE_RARE(same(&words[w], name, length))) {
      ++words[w].count;
      return;
    }
    w = words[w].next;
  }
  if (used_words + 1 == WORDS) {
    give_account(8, used_words, bucket);
    return;
  }
  struct word* word = &words[++used_words];
  for (unsigned i = 0; i < length; ++i) word->name[i] = name[i];
  word->length = length;
  word->count = 1;
  word->next = first_of[bucket];
  first_of[bucket] = used_words;
}

// ---- Reading the log
// --------------------------------------------------------------------------------------

static FAR bool is_letter(char c) {
  return c >= 'a' && c <= 'z';
}
static FAR bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static FAR const char* read_word(const char* at) {
  const char* begin = at;
  while (SAID_TO_BE_RARE(is_letter(*at))) {
    if (at - begin == NAME_BYTES) {
      give_account(9, (uint64_t)(at - log_text), 0);
      break;
    }
    ++at;
  }
  count_word(begin, (unsigned)(at - begin));
  return at;
}

static FAR const char* read_number(const char* at) {
  uint64_t number = 0;
  while (SAID_TO_BE_RARE(is_digit(*at))) {
    if (number > UINT64_MAX / 16) give_account(10, number, (uint64_t)*at);
    number = number * 10 + (uint64_t)(*at++ - '0');
  }
  compute(number);
  return at;
}

static FAR void read_log(void) {
  const char* at = log_text;
  uint64_t lines = 0;
  while (SAID_TO_BE_RARE(*at != 0)) {
    const char c = *at;
    if (c == '\t') {
      give_account(11, (uint64_t)c, lines);
      ++at;
    } else if (c == '"') {
      give_account(12, (uint64_t)c, lines);
      ++at;
    } else if (c == '\\') {
      give_account(13, (uint64_t)c, lines);
      ++at;
    } else if (c == '\n') {
      ++lines;
      ++at;
    } else if (SAID_TO_BE_RARE(c == ' ')) {
      ++at;
    } else if (SAID_TO_BE_RARE(is_letter(c))) {
      at = read_word(at);
    } else if (SAID_TO_BE_RARE(is_digit(c))) {
      at = read_number(at);
    } else {
      give_account(14, (uint64_t)c, lines);
      ++at;
    }
  }
  checksum = checksum * 31 + lines;
}

void guest_main(void) {
  const uint64_t rounds = option_number("rounds", 20);
  state = 88172645463325252;
  for (uint64_t round = 0; round < rounds; ++round) {
    make_log();
    read_log();
  }
  for (unsigned w = 1; w <= used_words; ++w) checksum = checksum * 31 + words[w].count;
  CHECK(used_words > 100, "%u words, checksum %lx", used_words, checksum);
}
