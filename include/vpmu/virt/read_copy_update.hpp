// SPDX-License-Identifier: MIT
//
// Read-copy-update by liburcu's bulletproof flavour, of which threads need to know nothing. What is
// published by a pointer stays there until the read sections have ended that may have loaded it:
//
//   { const RcuReadSection section;  use(published.load(std::memory_order_acquire)); }
//
//   old = published.exchange(next);  wait_for_readers();  delete old;
//
// A thread's first section registers it, which takes a lock and memory: a VMM that minds calls
// urcu_bp_register_thread() when it starts a vCPU thread.
#pragma once

namespace vpmu::virt {

/// Neither waits nor makes others wait, but for wait_for_readers(). Sections nest.
class RcuReadSection {
 public:
  RcuReadSection();
  ~RcuReadSection();
  RcuReadSection(const RcuReadSection&) = delete;
  RcuReadSection& operator=(const RcuReadSection&) = delete;
};

/// Returns when every read section has ended that was there when it was called. Not within one.
void wait_for_readers();

}  // namespace vpmu::virt
