// SPDX-License-Identifier: MIT
//
// PV perf: the shared page and the doorbell for many registers at once.
#include <bit>

#include "virt/x86/counter_sets.hpp"
#include "virt/x86/event_sets.hpp"
#include "virt/x86/pv_perf_events.hpp"
#include "virt/x86/pv_perf_page.hpp"
#include "vpmu/virt/x86/pv_perf.hpp"

namespace vpmu::virt::x86 {

using pv::Area;
using pv::Batch;
using pv::Code;
using pv::CommandFlags;
using pv::CommandRecord;

namespace {

/// As far as it does not matter what is in the page.
bool well_formed(Batch batch, const PvPerfConfig& config, bool has_page) {
  if (!config.has(pv::Features::kBatch)) return false;
  if (batch.get(Batch::kReserved) != 0) return false;
  if ((batch.get(Batch::kEvents) & ~low_bits(config.events)) != 0) return false;
  const bool stop = batch.get(Batch::kStop) != 0, load = batch.get(Batch::kLoad) != 0;
  const bool start = batch.get(Batch::kStart) != 0, snap = batch.get(Batch::kSnap) != 0;
  if (stop && start) return false;
  if ((load || snap) && !has_page) return false;
  return stop || load || start || snap;
}

// What the guest of another host left in its page is anything.
Code code_of(std::uint16_t found) {
  return found < pv::kCodes ? static_cast<Code>(found) : Code::kOk;
}
std::uint16_t id_of(std::uint16_t found, const PvPerfConfig& config) {
  return found < config.events ? found : pv::kNoId;
}

}  // namespace

// ---- AREA ---------------------------------------------------------------------------------------

Access PvPerf::write_area(std::uint64_t value, Initiator initiator) {
  if (initiator == Initiator::kGuest) {
    if (!page_->set_area(Area{{value}})) return Access::fault();
  } else {
    // What no register holds comes with the page.
    pv::PageHeader found{};
    found.batch_id = pv::kNoId;
    if (!page_->adopt(Area{{value}}, found)) return Access::fault();
    batch_seq_ = found.batch_seq;
    batch_code_ = code_of(found.batch_code);
    batch_id_ = id_of(found.batch_id, config_);
  }
  publish_requested_ = true;
  request_work();
  return Access::done();
}

// ---- BATCH --------------------------------------------------------------------------------------

Access PvPerf::write_batch(Batch batch) {
  if (!well_formed(batch, config_, page_->enabled())) return Access::fault();
  const auto events = static_cast<EventSet>(batch.get(Batch::kEvents));
  if (batch.get(Batch::kStop) != 0) set_global_control(global_ctrl_ & ~events);
  batch_code_ = Code::kOk;
  batch_id_ = pv::kNoId;
  if (batch.get(Batch::kLoad) != 0) load(events);
  if (batch.get(Batch::kStart) != 0 && batch_code_ == Code::kOk) {
    set_global_control(global_ctrl_ | events);
  }
  ++batch_seq_;
  ++statistics_.batches;
  publish_requested_ = true;
  request_work();
  return Access::done();
}

/// All that the page has for these events, or nothing. What is wrong is in the batch's result.
void PvPerf::load(EventSet events) {
  PvPerfPage::Commands commands;
  if (const auto copied = page_->load(events, commands); !copied) {
    if (copied.error() == Code::kGpa) page_->disable();
    return refuse_batch(copied.error(), pv::kNoId);
  }
  for (EventSet left = events; left != 0; left &= left - 1) {
    const auto i = static_cast<unsigned>(std::countr_zero(left));
    const Code code = check(commands[i]);
    if (code != Code::kOk) return refuse_batch(code, static_cast<std::uint16_t>(i));
  }
  touch(events);
  for_each_event(events, [&](unsigned i) {
    const CommandRecord& command = commands[i];
    const CommandFlags flags{{command.flags}};
    if (flags.get(CommandFlags::kSetEvtsel) != 0) set_event_select(i, pv::Evtsel{{command.evtsel}});
    if (flags.get(CommandFlags::kSetCount) != 0) set_count(i, command.count);
    if (flags.get(CommandFlags::kSetPeriod) != 0) set_period(i, command.period);
  });
}

/// Values that are not to be set are not looked at.
Code PvPerf::check(const CommandRecord& command) const {
  const CommandFlags flags{{command.flags}};
  if (flags.get(CommandFlags::kReserved) != 0 || command.pad != 0) return Code::kReserved;
  Code code = Code::kOk;
  if (flags.get(CommandFlags::kSetEvtsel) != 0) {
    code = meanings_->check(pv::Evtsel{{command.evtsel}});
  }
  if (code == Code::kOk && flags.get(CommandFlags::kSetCount) != 0) {
    code = check_count(command.count);
  }
  if (code == Code::kOk && flags.get(CommandFlags::kSetPeriod) != 0) {
    code = check_period(command.period);
  }
  return code;
}

void PvPerf::refuse_batch(Code code, std::uint16_t id) {
  batch_code_ = code;
  batch_id_ = id;
  set_error(code, id == pv::kNoId ? pv::kNoErrorId : static_cast<std::uint8_t>(id));
  ++statistics_.batches_refused;
}

// ---- Publication --------------------------------------------------------------------------------

/// Of an event that is folded.
pv::EventRecord PvPerf::record(unsigned i) const {
  const Event& event = events_[i];
  return {
      .count = event.count,
      .time_enabled = event.time_enabled,
      .time_running = event.time_running,
      .rdpmc_offset = 0,
      .rdpmc_index = 0,
      .rdpmc_width = 0,
      .state = static_cast<std::uint16_t>(state_of(event, event.status, event.code).raw),
      .evtsel = event.evtsel.raw,
  };
}

void PvPerf::publish() {
  publish_due_ = kNever;
  publish_requested_ = false;
  if (!page_->enabled()) return;
  // All first: one that wraps changes GLOBAL_STATUS, which is of the same instant.
  const std::uint64_t now = around_.host->now_ns();
  for_each_event(all_events() & ~touched_, [&](unsigned i) { fold(i, now); });
  publish_requested_ = false;  // which it also asked for
  PvPerfPage::Content content;
  content.global_ctrl = global_ctrl_;
  content.global_status = global_status_;
  content.batch_seq = batch_seq_;
  content.batch_code = static_cast<std::uint16_t>(batch_code_);
  content.batch_id = batch_id_;
  for_each_event(all_events(), [&](unsigned i) { content.events[i] = record(i); });
  if (!page_->publish(content)) {
    page_->disable();
    return set_error(Code::kGpa, pv::kNoErrorId);
  }
  ++statistics_.publications;
  schedule_publication();
}

void PvPerf::schedule_publication() {
  if (publish_due_ != kNever || config_.publish_period_us == 0 || !page_->enabled()) return;
  if (!any_enabled()) return;
  publish_due_ = around_.host->now_ns() + std::uint64_t{config_.publish_period_us} * 1000;
}

}  // namespace vpmu::virt::x86
