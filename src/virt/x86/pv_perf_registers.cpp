// SPDX-License-Identifier: MIT
//
// PV perf's registers: which one an MSR is, who may read it, which writes it takes. RDPMC.
#include "virt/x86/counter_sets.hpp"
#include "virt/x86/event_sets.hpp"
#include "virt/x86/pv_perf_events.hpp"
#include "virt/x86/pv_perf_page.hpp"
#include "vpmu/virt/x86/pv_perf.hpp"

namespace vpmu::virt::x86 {

using pv::BankMsr;
using pv::Code;
using pv::ErrorRegister;
using pv::Evtsel;
using pv::Features;
using pv::Msr;

namespace {

/// Of ECX: numbers that start with these are ours, whether there is such an event or not.
constexpr std::uint32_t kRdpmcSpace = 0xffff0000;
static_assert((pv::kRdpmcBase & ~kRdpmcSpace) == 0);

}  // namespace

struct PvPerf::Target {
  enum class Kind : std::uint8_t {
    kNotMine,
    kUndefined,  ///< an MSR of ours that does not exist
    kGlobal,
    kBank,
  };
  Kind kind;
  Msr global{};
  unsigned event = 0;
  BankMsr bank{};
};

PvPerf::Target PvPerf::decode(MsrIndex msr) const {
  using Kind = Target::Kind;
  const std::uint32_t offset = raw(msr) - config_.msr_base;
  if (!config_.offered() || offset >= pv::kMsrCount) return {Kind::kNotMine};
  if (offset <= raw(Msr::kBatch)) return {Kind::kGlobal, static_cast<Msr>(offset)};
  if (offset < raw(Msr::kFirstBank)) return {Kind::kUndefined};
  const unsigned event = (offset - raw(Msr::kFirstBank)) / pv::kBankMsrs;
  const auto bank = static_cast<BankMsr>(offset % pv::kBankMsrs);
  if (event >= config_.events || bank > BankMsr::kState) return {Kind::kUndefined};
  // Masked, so that no speculation behind the check gets past the array either.
  return {Kind::kBank, {}, event & (pv::kMaxEvents - 1), bank};
}

PvPerf::EventSet PvPerf::all_events() const {
  return static_cast<EventSet>(low_bits(config_.events));
}

std::uint64_t PvPerf::mask() const {
  return low_bits(config_.width);
}

std::uint64_t PvPerf::status_bits() const {
  return all_events() | pv::kStatusHostTrouble;
}

// ---- Reading ------------------------------------------------------------------------------------

Access PvPerf::read_msr(MsrIndex msr, Initiator) {
  const Target target = decode(msr);
  switch (target.kind) {
    case Target::Kind::kNotMine: return Access::not_mine();
    case Target::Kind::kUndefined: return Access::fault();
    case Target::Kind::kGlobal: return read_global(target.global);
    case Target::Kind::kBank: return read_bank(target.event, target.bank);
  }
  return Access::fault();
}

Access PvPerf::read_global(Msr msr) {
  switch (msr) {
    case Msr::kCap: return Access::done(pv_perf_cap(config_).raw);
    case Msr::kArea: return Access::done(page_->area().raw);
    case Msr::kGlobalCtrl: return Access::done(global_ctrl_);
    case Msr::kGlobalStatus: look_for_lost_events(); return Access::done(global_status_);
    case Msr::kError: look_for_lost_events(); return Access::done(error_.raw);
    case Msr::kStatusReset:
    case Msr::kStatusSet:
    case Msr::kBatch: return Access::done(0);
    case Msr::kFirstBank: break;
  }
  return Access::fault();
}

Access PvPerf::read_bank(unsigned i, BankMsr msr) {
  const Event& event = events_[i];
  switch (msr) {
    case BankMsr::kEvtsel: return Access::done(event.evtsel.raw);
    case BankMsr::kCount: fold(i); return Access::done(event.count);
    case BankMsr::kPeriod: return Access::done(event.period);
    case BankMsr::kTimeEn: fold(i); return Access::done(event.time_enabled);
    case BankMsr::kTimeRun: fold(i); return Access::done(event.time_running);
    case BankMsr::kState: fold(i); return Access::done(state(i).raw);
  }
  return Access::fault();
}

Access PvPerf::rdpmc(std::uint32_t ecx, bool may_read, bool has_pmu) {
  if (!config_.offered() || !config_.has(Features::kRdpmcTrap)) return Access::not_mine();
  const bool ours = (ecx & kRdpmcSpace) == pv::kRdpmcBase;
  if (!ours && has_pmu) return Access::not_mine();
  const std::uint32_t i = ours ? ecx - pv::kRdpmcBase : ecx;
  if (i >= config_.events || !may_read) return Access::fault();
  return read_bank(i & (pv::kMaxEvents - 1), BankMsr::kCount);
}

// ---- Writing ------------------------------------------------------------------------------------

Access PvPerf::write_msr(MsrIndex msr, std::uint64_t value, Initiator initiator) {
  const Target target = decode(msr);
  switch (target.kind) {
    case Target::Kind::kNotMine: return Access::not_mine();
    case Target::Kind::kUndefined: return Access::fault();
    case Target::Kind::kGlobal: return write_global(target.global, value, initiator);
    case Target::Kind::kBank: return write_bank(target.event, target.bank, value);
  }
  return Access::fault();
}

Access PvPerf::write_global(Msr msr, std::uint64_t value, Initiator initiator) {
  switch (msr) {
    case Msr::kCap:
    case Msr::kGlobalStatus:
    case Msr::kFirstBank: break;
    case Msr::kArea: return write_area(value, initiator);
    case Msr::kGlobalCtrl:
      if ((value & ~std::uint64_t{all_events()}) != 0) break;
      set_global_control(static_cast<EventSet>(value));
      return Access::done();
    case Msr::kStatusReset:
      if ((value & ~status_bits()) != 0) break;
      reset_status(value);
      return Access::done();
    case Msr::kStatusSet:
      if ((value & ~status_bits()) != 0) break;
      global_status_ |= value;
      return Access::done();
    case Msr::kError: return write_error(value, initiator);
    case Msr::kBatch: return write_batch(pv::Batch{{value}});
  }
  return Access::fault();
}

Access PvPerf::write_error(std::uint64_t value, Initiator initiator) {
  const ErrorRegister error{{value}};
  if (initiator == Initiator::kGuest && value != 0) return Access::fault();
  if ((value & ~mask_of(ErrorRegister::kCode, ErrorRegister::kId)) != 0) return Access::fault();
  if (error.get(ErrorRegister::kCode) >= pv::kCodes) return Access::fault();
  error_ = error;
  return Access::done();
}

Access PvPerf::write_bank(unsigned i, BankMsr msr, std::uint64_t value) {
  switch (msr) {
    case BankMsr::kEvtsel:
      if (meanings_->check(Evtsel{{value}}) != Code::kOk) break;
      set_event_select(i, Evtsel{{value}});
      return Access::done();
    case BankMsr::kCount:
      if (check_count(value) != Code::kOk) break;
      set_count(i, value);
      return Access::done();
    case BankMsr::kPeriod:
      if (check_period(value) != Code::kOk) break;
      set_period(i, value);
      return Access::done();
    case BankMsr::kTimeEn:
      touch(event_bit(i));
      set_times(i, {value, events_[i].time_running});
      return Access::done();
    case BankMsr::kTimeRun:
      touch(event_bit(i));
      set_times(i, {events_[i].time_enabled, value});
      return Access::done();
    case BankMsr::kState: break;
  }
  return Access::fault();
}

Code PvPerf::check_count(std::uint64_t value) const {
  return (value & ~mask()) == 0 ? Code::kOk : Code::kWidth;
}

Code PvPerf::check_period(std::uint64_t value) const {
  if ((value & ~mask()) != 0) return Code::kWidth;
  if (value == 0) return Code::kOk;
  return config_.has(Features::kAutoReload) && value >= config_.minimum_period ? Code::kOk
                                                                               : Code::kPeriod;
}

}  // namespace vpmu::virt::x86
