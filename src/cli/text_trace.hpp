// SPDX-License-Identifier: MIT
//
// `--trace`: one line on standard error for each thing that was asked for.
//
//   vcpu 0 @1234 rip 100080: wrmsr 0x38f = 0x1
//   vcpu 0 @1234 pc 40200080: msr PMCR_EL0 = 0x1
#pragma once

#include <string>
#include <vector>

#include "machine/arm64_board/trace_sink.hpp"
#include "machine/pc/trace_sink.hpp"

namespace vpmu::cli {

class TextTrace final : public machine::TraceSink, public machine::arm64::TraceSink {
 public:
  bool msrs = false;
  bool exits = false;
  bool interrupts = false;

  [[nodiscard]] bool any() const { return msrs || exits || interrupts; }

  // Of x86 guests.
  using PcWhere = machine::TraceSink::Where;
  void msr_read(const PcWhere& where, MsrIndex msr, const Access& result) override;
  void msr_write(const PcWhere& where, MsrIndex msr, std::uint64_t value,
                 const Access& result) override;
  void exit(const PcWhere& where, virt::ExitReason reason) override;
  void interrupt(const PcWhere& where, std::uint8_t vector) override;
  void nmi(const PcWhere& where) override;

  // Of arm64 guests.
  using ArmWhere = machine::arm64::TraceSink::Where;
  void register_read(const ArmWhere& where, silicon::arm64::SystemRegister reg,
                     const Access& result) override;
  void register_write(const ArmWhere& where, silicon::arm64::SystemRegister reg,
                      std::uint64_t value, const Access& result) override;
  void exit(const ArmWhere& where, virt::ExitReason reason) override;
  void interrupt(const ArmWhere& where, std::uint32_t intid) override;
};

}  // namespace vpmu::cli
