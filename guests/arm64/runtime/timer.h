// SPDX-License-Identifier: MIT
//
// The generic timer's virtual and physical timers, by number.
#pragma once

#include <stdint.h>

#include "cpu.h"
#include "gic.h"

enum timer { TIMER_VIRTUAL, TIMER_PHYSICAL, TIMERS };
enum { TIMER_ENABLE = 1, TIMER_IMASK = 2, TIMER_ISTATUS = 4 };

static inline uint64_t counter(void) {
  isb();
  return read_sysreg(cntvct_el0);
}
static inline unsigned timer_intid(enum timer timer) {
  return timer == TIMER_VIRTUAL ? INTID_VIRTUAL_TIMER : INTID_PHYSICAL_TIMER;
}
static inline void timer_control(enum timer timer, uint64_t value) {
  if (timer == TIMER_VIRTUAL) {
    write_sysreg(cntv_ctl_el0, value);
  } else {
    write_sysreg(cntp_ctl_el0, value);
  }
  isb();
}
static inline uint64_t timer_status(enum timer timer) {
  return timer == TIMER_VIRTUAL ? read_sysreg(cntv_ctl_el0) : read_sysreg(cntp_ctl_el0);
}
/// Fires when the counter gets there.
static inline void timer_at(enum timer timer, uint64_t when) {
  if (timer == TIMER_VIRTUAL) {
    write_sysreg(cntv_cval_el0, when);
  } else {
    write_sysreg(cntp_cval_el0, when);
  }
  isb();
}
static inline uint64_t timer_when(enum timer timer) {
  return timer == TIMER_VIRTUAL ? read_sysreg(cntv_cval_el0) : read_sysreg(cntp_cval_el0);
}
/// Fires in so many ticks from now on.
static inline void timer_in(enum timer timer, int32_t ticks) {
  if (timer == TIMER_VIRTUAL) {
    write_sysreg(cntv_tval_el0, (uint32_t)ticks);
  } else {
    write_sysreg(cntp_tval_el0, (uint32_t)ticks);
  }
  isb();
}
static inline int32_t timer_left(enum timer timer) {
  return (int32_t)(timer == TIMER_VIRTUAL ? read_sysreg(cntv_tval_el0)
                                          : read_sysreg(cntp_tval_el0));
}
