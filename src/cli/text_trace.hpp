// SPDX-License-Identifier: MIT
//
// `--trace`: one line on standard error for each thing that was asked for.
//
//   vcpu 0 @1234 rip 100080: wrmsr 0x38f = 0x1
#pragma once

#include <string>
#include <vector>

#include "machine/pc/trace_sink.hpp"

namespace vpmu::cli {

class TextTrace final : public machine::TraceSink {
 public:
  bool msrs = false;
  bool exits = false;
  bool interrupts = false;

  [[nodiscard]] bool any() const { return msrs || exits || interrupts; }

  void msr_read(const Where& where, MsrIndex msr, const Access& result) override;
  void msr_write(const Where& where, MsrIndex msr, std::uint64_t value,
                 const Access& result) override;
  void exit(const Where& where, virt::ExitReason reason) override;
  void interrupt(const Where& where, std::uint8_t vector) override;
  void nmi(const Where& where) override;
};

}  // namespace vpmu::cli
