// SPDX-License-Identifier: MIT
//
// What the CPUs of a machine share: which parts of RAM hold code that one of them has compiled, and
// the monitor of exclusive accesses.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "machine/arm64/mmu.hpp"
#include "machine/code_pages.hpp"
#include "machine/guest_memory.hpp"

namespace vpmu::machine::arm64 {

/// Of exclusive accesses, as the code generator has it (jit.cpp).
struct ExclusiveMonitor;
class InstructionProbe;

class Cluster {
 public:
  /// For CPUs 0 to `cpus` - 1 that run in `memory`.
  Cluster(const GuestMemory& memory, std::size_t cpus);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  /// Whoever writes to RAM past the CPUs tells them so (CodePages::written).
  [[nodiscard]] CodePages& code_pages() { return code_pages_; }
  [[nodiscard]] ExclusiveMonitor& monitor() { return *monitor_; }
  [[nodiscard]] InstructionProbe& probe() { return *probe_; }

  /// The CPUs, as far as their caches of translations go: for what one of them broadcasts.
  void add_listener(TranslationListener& listener) { listeners_.push_back(&listener); }
  void remove_listener(TranslationListener& listener) { std::erase(listeners_, &listener); }
  [[nodiscard]] const std::vector<TranslationListener*>& listeners() const { return listeners_; }

 private:
  CodePages code_pages_;
  std::unique_ptr<ExclusiveMonitor> monitor_;
  std::unique_ptr<InstructionProbe> probe_;
  std::vector<TranslationListener*> listeners_;
};

}  // namespace vpmu::machine::arm64
