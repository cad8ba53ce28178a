// SPDX-License-Identifier: MIT
//
// Call-stack mode: while recursive programs run, the records are the chain of calls that leads to
// where they are, which their frame pointers say as well.
#include "recursion.h"
#include "runtime/check.h"
#include "runtime/lbr.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { MOST_FRAMES = 256 };

/// What on_look() found since reset_looks().
static struct {
  unsigned looks, deepest, wrong;
  unsigned most_records;
} seen;
static uint64_t kernel_frame;  ///< of the function that called the program; 0: user mode
static struct pmu_switch recording;
static unsigned ignored;  ///< records that may follow those of the chain
static bool forgetful;    ///< the chain has been longer than the stack: its end may be lost

static bool on_user_page(uint64_t address) {
  return address - USER_PAGE < USER_PAGE_BYTES;
}

/// Return addresses of the functions that have been called, from the innermost on.
static unsigned walk(uint64_t frame, uint64_t returns[MOST_FRAMES]) {
  unsigned count = 0;
  while (count < MOST_FRAMES) {
    const uint64_t* words = (const uint64_t*)frame;
    if (kernel_frame == 0 ? words[0] == 0 : frame == kernel_frame) break;
    returns[count++] = words[1];
    frame = words[0];
  }
  return count;
}

/// Is the record the call behind which `back` is?
static bool is_call(const struct lbr_record* record, uint64_t back) {
  const uint8_t* code = (const uint8_t*)record->from;
  if (record->from == back - 5 && *code == 0xe8) {
    return record->to == back + (uint64_t)(int64_t) * (const int32_t*)(code + 1);
  }
  // CALL r/m: two to seven bytes, with REX or without.
  return back - record->from >= 2 && back - record->from <= 7 && (*code == 0xff || *code == 0x41) &&
         on_user_page(record->to);
}

static void on_look(struct trap* frame) {
  if (kernel_frame != 0) wrmsr((uint32_t)recording.msr, 0);
  static struct lbr_record all[LBR_MOST];
  static uint64_t returns[MOST_FRAMES];
  const unsigned found = lbr_read_all(all);
  const unsigned frames = walk(frame->rdi, returns);
  // Calls of this handler itself, in the kernel.
  unsigned own = 0;
  while (own < found && kernel_frame != 0 && !on_user_page(all[own].from)) ++own;
  const unsigned records = found - own;
  const unsigned expected = frames < lbr.depth - own ? frames : lbr.depth - own;
  bool right =
      forgetful ? records <= expected : records >= expected && records <= expected + ignored;
  for (unsigned i = 0; i < records && i < expected; ++i) {
    if (is_call(&all[own + i], returns[i])) continue;
    if (right) {
      print("      (look %u: record %u is %lx to %lx, the frame returns to %lx)\n", seen.looks, i,
            all[own + i].from, all[own + i].to, returns[i]);
    }
    right = false;
  }
  if (!right && seen.wrong == 0) {
    print("      (look %u: %u records, %u frames)\n", seen.looks, records, frames);
  }
  ++seen.looks;
  seen.wrong += !right;
  if (frames > seen.deepest) seen.deepest = frames;
  if (records > seen.most_records) seen.most_records = records;
  if (kernel_frame != 0) wrmsr((uint32_t)recording.msr, recording.value);
}

static unsigned records_now(void) {
  static struct lbr_record all[LBR_MOST];
  return lbr_read_all(all);
}

/// In user mode; the kernel's own calls and returns are not recorded.
static struct trap in_user_mode(void* code, const char* text) {
  __builtin_memset(&seen, 0, sizeof seen);
  kernel_frame = 0;
  recording = lbr_arm(LBR_CALLS | LBR_USER);
  wrmsr((uint32_t)recording.msr, recording.value);
  const struct trap trap =
      run_user((struct user_entry){.rip = (uint64_t)code, .rdi = (uint64_t)text});
  wrmsr((uint32_t)recording.msr, 0);
  return trap;
}

static void check_user_mode(void) {
  struct trap trap = in_user_mode(user_parse, shallow_text);
  CHECK(trap.vector == VECTOR_USER_EXIT && trap.rax == SHALLOW_VALUE && seen.looks == 2,
        "recursive descent works as without recording");
  CHECK_EQUAL(seen.wrong, 0, "the records are the chain of calls to where it is");
  CHECK_EQUAL(records_now(), 0, "there is none when it has returned");

  trap = in_user_mode(user_sort, 0);
  CHECK(trap.rax == 1 && seen.looks > 20 && seen.deepest > 5 && seen.deepest < lbr.depth,
        "quicksort sorts, and is looked at %u times, at most %u calls deep", seen.looks,
        seen.deepest);
  CHECK_EQUAL(seen.wrong, 0, "the records are the chain of calls, indirect ones too");
  CHECK_EQUAL(records_now(), 0, "there is none when it has returned");
}

static void check_too_deep(void) {
  struct trap trap = in_user_mode(user_parse, deep_text);
  CHECK(trap.rax == DEEP_VALUE && seen.looks == 1 && seen.deepest > lbr.depth,
        "recursive descent goes %u calls deep", seen.deepest);
  CHECK(seen.wrong == 0 && seen.most_records == lbr.depth, "the records are the innermost %u calls",
        lbr.depth);
  CHECK_EQUAL(records_now(), 0, "there is none when it has returned");
  lbr_clear();
  forgetful = true;
  trap = in_user_mode(user_parse, then_shallow_text);
  forgetful = false;
  CHECK(trap.rax == THEN_SHALLOW_VALUE && seen.looks == 2 && seen.wrong == 0,
        "less deep again, those that are left are calls of the chain");
  lbr_clear();
}

static void check_imbalance(void) {
  in_user_mode(user_leave, 0);
  const unsigned left = records_now();
  CHECK_EQUAL(left, 8, "calls that never return stay");
  ignored = left;
  struct trap trap = in_user_mode(user_parse, shallow_text);
  CHECK(trap.rax == SHALLOW_VALUE && seen.looks == 2 && seen.wrong == 0,
        "the records of those that come later are before them");
  CHECK_EQUAL(records_now(), left, "and go when they return");
  ignored = 0;

  lbr_clear();
  trap = in_user_mode(user_return_only, 0);
  static struct lbr_record all[LBR_MOST];
  unsigned foreign = 0;
  const unsigned found = lbr_read_all(all);
  for (unsigned age = 0; age < found; ++age) foreign += !on_user_page(all[age].from);
  CHECK(trap.vector == VECTOR_USER_EXIT && foreign == 0,
        "returns that nobody has called for do no harm");
  lbr_clear();
  trap = in_user_mode(user_parse, shallow_text);
  CHECK(trap.rax == SHALLOW_VALUE && seen.wrong == 0, "once cleared, the chain is right again");

  in_user_mode(user_get_address, 0);
  CHECK_EQUAL(records_now(), 0, "a call of the next instruction is not one");
  lbr_clear();
}

/// The programs, called by kernel code. The frame is of this function.
static __attribute__((noinline, noclone)) uint64_t in_kernel(const char* text) {
  __builtin_memset(&seen, 0, sizeof seen);
  kernel_frame = (uint64_t)__builtin_frame_address(0);
  recording = lbr_arm(LBR_CALLS | LBR_KERNEL);
  wrmsr((uint32_t)recording.msr, recording.value);
  const uint64_t result = text != 0 ? parse(text) : sort();
  wrmsr((uint32_t)recording.msr, 0);
  return result;
}

static void check_kernel(void) {
  CHECK(in_kernel(shallow_text) == SHALLOW_VALUE && seen.looks == 2 && seen.wrong == 0,
        "in the kernel, the records are the chain of calls, behind the interrupt handler's");
  CHECK_EQUAL(records_now(), 0, "there is none when it has returned");
  CHECK(in_kernel(0) == 1 && seen.looks > 20 && seen.wrong == 0, "with indirect calls, too");
  CHECK_EQUAL(records_now(), 0, "there is none when it has returned");
  CHECK(in_kernel(deep_text) == DEEP_VALUE && seen.wrong == 0 && seen.deepest > lbr.depth,
        "deeper than there are records, the innermost are there");
  lbr_clear();
}

void guest_main(void) {
  lbr_start();
  set_handler(VECTOR_LOOK, on_look);
  set_gate(VECTOR_LOOK, 3, 0);
  check_user_mode();
  check_too_deep();
  check_imbalance();
  check_kernel();
}
