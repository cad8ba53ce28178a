// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/pv_perf.hpp"

#include "virt/x86/pv_perf_events.hpp"
#include "virt/x86/pv_perf_page.hpp"

namespace vpmu::virt::x86 {

PvPerf::PvPerf(const PvPerfConfig& config, const Around& around)
    : config_{config},
      around_{around},
      meanings_{std::make_unique<const PvPerfEvents>(config_, *around.model)},
      page_{std::make_unique<PvPerfPage>(config_, around.vcpu, *around.host, *around.areas)} {}

PvPerf::~PvPerf() = default;

void PvPerf::before_entry() {}
std::uint64_t PvPerf::due_ns(bool) const {
  return kNever;
}
void PvPerf::time_passed() {}
void PvPerf::scheduled_in() {}
void PvPerf::scheduled_out() {}
void PvPerf::count(pv::Software, std::uint64_t, silicon::Privilege) {}
void PvPerf::set_event_gate(const EventGate* gate) {
  gate_ = gate;
}
void PvPerf::gate_changed() {}
void PvPerf::reset() {}
CounterStatus PvPerf::status(unsigned event) const {
  return events_[event].status;
}
std::uint64_t PvPerf::value(unsigned event) const {
  return events_[event].count;
}
PvPerf::Times PvPerf::times(unsigned) const {
  return {};
}
pv::State PvPerf::state(unsigned) const {
  return {};
}
std::optional<silicon::x86::EventSelector> PvPerf::selector(pv::Evtsel) const {
  return std::nullopt;
}
unsigned PvPerf::open_host_events() const {
  return 0;
}
void PvPerf::on_overflow(hostperf::EventId, std::uint64_t) {}

}  // namespace vpmu::virt::x86
