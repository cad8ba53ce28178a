// SPDX-License-Identifier: MIT
#include "vpmu/virt/read_copy_update.hpp"

#include <urcu/urcu-bp.h>

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define VPMU_THREAD_SANITIZER
#endif
#elif defined(__SANITIZE_THREAD__)
#define VPMU_THREAD_SANITIZER
#endif
#ifdef VPMU_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

namespace vpmu::virt {

namespace {

// liburcu is not built with -fsanitize=thread, which therefore does not know that a grace period
// orders what readers did before it and what the writer does behind it, and takes the end of what
// was published for a race. It is told that, and no more: a reader that is still inside when the
// grace period ends has not come by its release, and is reported.
#ifdef VPMU_THREAD_SANITIZER
char grace_periods;
void read_section_ends() {
  __tsan_release(&grace_periods);
}
void grace_period_is_over() {
  __tsan_acquire(&grace_periods);
}
#else
void read_section_ends() {}
void grace_period_is_over() {}
#endif

}  // namespace

RcuReadSection::RcuReadSection() {
  urcu_bp_read_lock();
}
RcuReadSection::~RcuReadSection() {
  read_section_ends();
  urcu_bp_read_unlock();
}

void wait_for_readers() {
  urcu_bp_synchronize_rcu();
  grace_period_is_over();
}

}  // namespace vpmu::virt
