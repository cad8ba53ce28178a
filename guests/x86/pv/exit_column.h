// SPDX-License-Identifier: MIT
//
// One way to have four events counted, as a kernel's driver would do it: instructions, cycles,
// branches, loads, in all privileges. What the exit table (exit_table.c) has a column of. A step
// that a way does not know is null.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { EXIT_EVENTS = 4, SAMPLED_INSTRUCTIONS = 20000 };

struct exit_column {
  const char* name;  ///< for "column=NAME" on the command line
  /// What a kernel does once when it boots, to know what there is. False: it cannot be had here.
  bool (*discover)(void);
  void (*set_up)(void);
  void (*create)(void);
  void (*start)(void);
  void (*read_running)(uint64_t counts[EXIT_EVENTS]);
  void (*read_exact)(uint64_t counts[EXIT_EVENTS]);
  void (*stop)(uint64_t counts[EXIT_EVENTS]);  ///< fills them if stopping has them already
  void (*read_stopped)(uint64_t counts[EXIT_EVENTS]);
  void (*destroy)(void);
  /// Another task's turn, which does not count, and back.
  void (*switch_out)(uint64_t counts[EXIT_EVENTS]);
  void (*switch_in)(const uint64_t counts[EXIT_EVENTS]);
  /// An NMI when event 0 has counted SAMPLED_INSTRUCTIONS, and again and again; the handler's part
  /// returns false if nothing has overflowed.
  void (*sample)(void);
  bool (*on_nmi)(void);
  void (*end_sampling)(void);
};

extern const struct exit_column general_counters, fixed_counters, pv_calls, pv_registers, pv_batch;

/// Bits of GLOBAL_CTRL that pv_registers leaves on. 0 at first.
extern uint32_t other_pv_events;
