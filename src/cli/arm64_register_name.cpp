// SPDX-License-Identifier: MIT
#include "cli/arm64_register_name.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "vpmu/silicon/arm64/pmu_registers.hpp"
#include "vpmu/silicon/arm64/spe_registers.hpp"

namespace vpmu::cli {

namespace {
using namespace silicon::arm64;

struct Named {
  SystemRegister reg;
  std::string_view name;
};
constexpr Named kNames[] = {
    {reg::PMINTENSET_EL1, "PMINTENSET_EL1"},
    {reg::PMINTENCLR_EL1, "PMINTENCLR_EL1"},
    {reg::PMMIR_EL1, "PMMIR_EL1"},
    {reg::PMCR_EL0, "PMCR_EL0"},
    {reg::PMCNTENSET_EL0, "PMCNTENSET_EL0"},
    {reg::PMCNTENCLR_EL0, "PMCNTENCLR_EL0"},
    {reg::PMOVSCLR_EL0, "PMOVSCLR_EL0"},
    {reg::PMSWINC_EL0, "PMSWINC_EL0"},
    {reg::PMSELR_EL0, "PMSELR_EL0"},
    {reg::PMCEID0_EL0, "PMCEID0_EL0"},
    {reg::PMCEID1_EL0, "PMCEID1_EL0"},
    {reg::PMCCNTR_EL0, "PMCCNTR_EL0"},
    {reg::PMXEVTYPER_EL0, "PMXEVTYPER_EL0"},
    {reg::PMXEVCNTR_EL0, "PMXEVCNTR_EL0"},
    {reg::PMUSERENR_EL0, "PMUSERENR_EL0"},
    {reg::PMOVSSET_EL0, "PMOVSSET_EL0"},
    {reg::PMCCFILTR_EL0, "PMCCFILTR_EL0"},
    {reg::PMSCR_EL1, "PMSCR_EL1"},
    {reg::PMSNEVFR_EL1, "PMSNEVFR_EL1"},
    {reg::PMSICR_EL1, "PMSICR_EL1"},
    {reg::PMSIRR_EL1, "PMSIRR_EL1"},
    {reg::PMSFCR_EL1, "PMSFCR_EL1"},
    {reg::PMSEVFR_EL1, "PMSEVFR_EL1"},
    {reg::PMSLATFR_EL1, "PMSLATFR_EL1"},
    {reg::PMSIDR_EL1, "PMSIDR_EL1"},
    {reg::PMBLIMITR_EL1, "PMBLIMITR_EL1"},
    {reg::PMBPTR_EL1, "PMBPTR_EL1"},
    {reg::PMBSR_EL1, "PMBSR_EL1"},
    {reg::PMBIDR_EL1, "PMBIDR_EL1"},
    {system_register(3, 0, 4, 6, 0), "ICC_PMR_EL1"},
    {system_register(3, 0, 12, 8, 0), "ICC_IAR0_EL1"},
    {system_register(3, 0, 12, 8, 1), "ICC_EOIR0_EL1"},
    {system_register(3, 0, 12, 8, 2), "ICC_HPPIR0_EL1"},
    {system_register(3, 0, 12, 8, 3), "ICC_BPR0_EL1"},
    {system_register(3, 0, 12, 8, 4), "ICC_AP0R0_EL1"},
    {system_register(3, 0, 12, 9, 0), "ICC_AP1R0_EL1"},
    {system_register(3, 0, 12, 11, 1), "ICC_DIR_EL1"},
    {system_register(3, 0, 12, 11, 3), "ICC_RPR_EL1"},
    {system_register(3, 0, 12, 11, 5), "ICC_SGI1R_EL1"},
    {system_register(3, 0, 12, 11, 6), "ICC_ASGI1R_EL1"},
    {system_register(3, 0, 12, 11, 7), "ICC_SGI0R_EL1"},
    {system_register(3, 0, 12, 12, 0), "ICC_IAR1_EL1"},
    {system_register(3, 0, 12, 12, 1), "ICC_EOIR1_EL1"},
    {system_register(3, 0, 12, 12, 2), "ICC_HPPIR1_EL1"},
    {system_register(3, 0, 12, 12, 3), "ICC_BPR1_EL1"},
    {system_register(3, 0, 12, 12, 4), "ICC_CTLR_EL1"},
    {system_register(3, 0, 12, 12, 5), "ICC_SRE_EL1"},
    {system_register(3, 0, 12, 12, 6), "ICC_IGRPEN0_EL1"},
    {system_register(3, 0, 12, 12, 7), "ICC_IGRPEN1_EL1"},
    {system_register(3, 0, 14, 1, 0), "CNTKCTL_EL1"},
    {system_register(3, 3, 14, 0, 0), "CNTFRQ_EL0"},
    {system_register(3, 3, 14, 0, 1), "CNTPCT_EL0"},
    {system_register(3, 3, 14, 0, 2), "CNTVCT_EL0"},
    {system_register(3, 3, 14, 2, 0), "CNTP_TVAL_EL0"},
    {system_register(3, 3, 14, 2, 1), "CNTP_CTL_EL0"},
    {system_register(3, 3, 14, 2, 2), "CNTP_CVAL_EL0"},
    {system_register(3, 3, 14, 3, 0), "CNTV_TVAL_EL0"},
    {system_register(3, 3, 14, 3, 1), "CNTV_CTL_EL0"},
    {system_register(3, 3, 14, 3, 2), "CNTV_CVAL_EL0"},
};
constexpr unsigned kEventCounters = 31;
}  // namespace

std::string register_name(SystemRegister which) {
  const auto* const named = std::ranges::find(kNames, which, &Named::reg);
  if (named != std::end(kNames)) return std::string{named->name};
  for (unsigned n = 0; n < kEventCounters; ++n) {
    if (which == reg::PMEVCNTR_EL0(n)) return fmt::format("PMEVCNTR{}_EL0", n);
    if (which == reg::PMEVTYPER_EL0(n)) return fmt::format("PMEVTYPER{}_EL0", n);
  }
  return fmt::format("S{}_{}_C{}_C{}_{}", op0(which), op1(which), crn(which), crm(which),
                     op2(which));
}

}  // namespace vpmu::cli
