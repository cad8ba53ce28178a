// SPDX-License-Identifier: MIT
//
// How a guest tells the host what it is doing, so that the host can say what that has cost: it
// writes a phase to a port that nobody else has. Each such write is an exit by itself, which the
// host leaves out. C and C++.
#pragma once

enum { PHASE_PORT = 0x80 };

/// What is done with four events on one CPU, as a driver of the kernel's would.
enum exit_phase {
  PHASE_NONE,   ///< what is not measured
  PHASE_EMPTY,  ///< nothing: what a mark takes by itself
  PHASE_SET_UP,
  PHASE_CREATE,
  PHASE_START,
  PHASE_READ_RUNNING,
  PHASE_READ_EXACT,  ///< only where it is not PHASE_READ_RUNNING
  PHASE_STOP,
  PHASE_READ_STOPPED,
  PHASE_DESTROY,
  PHASE_TASK_SWITCH,  ///< out and in
  PHASE_OVERFLOW,     ///< of one event, with its interrupt
  /// All of `perf stat`, in one way after another (perf_stat.c).
  PHASE_FIRST_WAY,
  PHASE_WAYS = 5,
  PHASES = PHASE_FIRST_WAY + PHASE_WAYS,
};
