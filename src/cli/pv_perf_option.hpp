// SPDX-License-Identifier: MIT
//
// --pv-perf, --pv-perf-raw and --host-cpu: what of PV perf the guest is offered, and the CPU model
// of the host that counts for it.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "cli/guest_options.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/virt/x86/event_filter.hpp"
#include "vpmu/virt/x86/pv_perf_config.hpp"

namespace vpmu::cli {

/// What --help says of them. Static storage.
extern const char* const kPvPerfOptionHelp;
extern const char* const kPvPerfRawOptionHelp;
extern const char* const kHostCpuOptionHelp;

/// KEY=VALUE,...
Result<virt::x86::PvPerfRequest> parse_pv_perf_request(std::string_view text);

/// What a guest of `model` is offered on `host` with that value of --pv-perf; nothing: off. Errors
/// name the option.
Result<std::optional<virt::x86::PvPerfConfig>> pv_perf_config(const silicon::x86::CpuModel& model,
                                                              const silicon::x86::CpuModel& host,
                                                              std::string_view text);

/// --host-cpu, or `otherwise` if it is not given. Errors name the option.
Result<const silicon::x86::CpuModel*> host_model(const GuestOptions& options,
                                                 const silicon::x86::CpuModel* otherwise);

/// The raw events of --pv-perf-raw, which are the host's; null: all that there are. Refused where
/// there is no PV perf, or raw events are off.
Result<std::shared_ptr<const virt::x86::EventFilter>> pv_perf_raw(
    const GuestOptions& options, const silicon::x86::CpuModel& host,
    const std::optional<virt::x86::PvPerfConfig>& config);

}  // namespace vpmu::cli
