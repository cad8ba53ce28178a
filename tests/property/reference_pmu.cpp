// SPDX-License-Identifier: MIT
#include "property/reference_pmu.hpp"

namespace vpmu::property {

using silicon::Privilege;
using silicon::RawEvent;
using silicon::x86::CpuidResult;
using silicon::x86::EventSelector;
using virt::x86::PmuConfig;

namespace {

constexpr std::uint64_t bit(unsigned number) {
  return std::uint64_t{1} << number;
}
constexpr std::uint64_t low_bits(unsigned count) {
  return count == 0 ? 0 : ~std::uint64_t{0} >> (64 - count);
}

constexpr Answer done(std::uint64_t value = 0) {
  return {Answer::Kind::kDone, value};
}
constexpr Answer kFault{Answer::Kind::kFault};
constexpr Answer kAbsent{Answer::Kind::kAbsent};
constexpr Answer kOther{Answer::Kind::kOther};

/// Written to a register that keeps nothing: accepted without effect. Reads give 0.
constexpr Answer kIgnored{Answer::Kind::kDone, 0};

/// All numbers that performance monitoring of either vendor takes up, registers that exist only
/// with features we never offer (PEBS, PERF_METRICS) included, and of LBRs' those that are answered
/// here where nobody else does. Table 1.4, section 2.1.
bool is_pmu_number(std::uint32_t msr) {
  struct Range {
    std::uint32_t first, last;
  };
  constexpr Range kRanges[] = {
      {0xc1, 0xc8},              // IA32_PMCi
      {0x186, 0x18d},            // IA32_PERFEVTSELi
      {0x1a0, 0x1a0},            // IA32_MISC_ENABLE
      {0x1c8, 0x1c9},            // LBR_SELECT, LBR_TOS
      {0x1d9, 0x1d9},            // IA32_DEBUGCTL
      {0x309, 0x30f},            // IA32_FIXED_CTRk
      {0x329, 0x329},            // MSR_PERF_METRICS
      {0x345, 0x345},            // IA32_PERF_CAPABILITIES
      {0x38d, 0x392},            // fixed and global control
      {0x3f1, 0x3f2},            // PEBS
      {0x4c1, 0x4c8},            // IA32_A_PMCi
      {0x600, 0x600},            // IA32_DS_AREA
      {0xc0000300, 0xc0000303},  // PerfCntrGlobal*
      {0xc0010000, 0xc0010007},  // K7
      {0xc0010200, 0xc001020f},  // core extension
  };
  for (const Range range : kRanges) {
    if (msr >= range.first && msr <= range.last) return true;
  }
  return false;
}

/// Table 1.4, KVM's quirk for legacy guests: where the PMU is absent or too small, these do not
/// #GP. KVM looks at no vendor here.
bool is_quirk(std::uint32_t msr) {
  return msr == 0xc1 || msr == 0xc2 || msr == 0x186 || msr == 0x187 ||
         (msr >= 0xc0010000 && msr <= 0xc0010007);
}

}  // namespace

ReferencePmu::ReferencePmu(const PmuConfig& config, const silicon::x86::CpuModel& silicon,
                           bool conditions)
    : config_{config},
      silicon_{silicon},
      conditions_{conditions},
      perf_capabilities_{config.perf_capabilities} {
  if (config.version != 0) n_ = config.gp_counters;
  // Section 3.1: "fixed only if version != 1". AMD has none.
  if (intel() && config.version > 1) m_ = config.fixed_counters;
  gp_.resize(n_);
  select_.resize(n_);
  was_true_.resize(n_);
  fixed_.resize(m_);
  reset();
}

void ReferencePmu::reset() {
  // P15: everything that can exist.
  for (std::uint64_t& value : gp_) value = 0;
  for (std::uint64_t& value : fixed_) value = 0;
  for (std::uint64_t& select : select_) select = 0;
  fixed_control_ = 0;
  // Table 1.4, 0x38F; section 2.1, 0xC0000301; P3.
  global_control_ = has_global_registers() ? low_bits(n_) : 0;
  global_status_ = 0;
  misc_enable_ = reset_misc_enable();
  debug_control_ = 0;
  pmi_pending_ = false;
  moved();
}

void ReferencePmu::moved() {
  for (unsigned i = 0; i < n_; ++i) was_true_[i] = false;
}

std::uint64_t ReferencePmu::reset_misc_enable() const {
  // Section 1.8, VMM policy: EMON iff there is a PMU; BTS and PEBS unavailable. Fast strings.
  std::uint64_t value = bit(0) | bit(11) | bit(12);
  if (config_.version > 0) value |= bit(7);
  return value;
}

// ---- What there is ------------------------------------------------------------------------------

std::uint64_t ReferencePmu::gp_mask() const {
  return low_bits(config_.gp_width);
}
std::uint64_t ReferencePmu::fixed_mask() const {
  return low_bits(config_.fixed_width);
}

std::uint64_t ReferencePmu::counter_bits() const {
  std::uint64_t bits = 0;
  for (unsigned i = 0; i < n_; ++i) bits |= bit(i);
  for (unsigned k = 0; k < m_; ++k) bits |= bit(32 + k);
  return bits;
}

/// Section 1.4, "GLOBAL_STATUS bits". Bit 55 is listed for 0x391, so from version 4 on.
std::uint64_t ReferencePmu::status_valid() const {
  std::uint64_t valid = counter_bits();
  if (!intel()) return valid;  // section 2.1: bits 58 and 59 are not offered
  valid |= bit(62) | bit(63);
  if (config_.version >= 3) valid |= bit(61);
  if (config_.version >= 4) valid |= bit(55) | bit(58) | bit(59) | bit(60);
  return valid;
}

std::uint64_t ReferencePmu::possible_bits() const {
  return gp_mask() | fixed_mask() | status_valid();
}

/// Table 1.1, version 3; table 1.5, bit 21; PmuConfig::any_thread_deprecated.
bool ReferencePmu::has_any_thread() const {
  return intel() && (config_.version == 3 || config_.version == 4) &&
         !config_.any_thread_deprecated;
}

/// Table 1.4, 0x392.
std::uint64_t ReferencePmu::in_use() const {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < n_; ++i) {
    if ((select_[i] & 0xff) != 0) value |= bit(i);
    if ((select_[i] & bit(20)) != 0) value |= bit(63);
  }
  for (unsigned k = 0; k < m_; ++k) {
    if ((fixed_control_ >> (4 * k) & 3) != 0) value |= bit(32 + k);
    if ((fixed_control_ >> (4 * k) & 8) != 0) value |= bit(63);
  }
  return value;
}

// ---- MSRs ---------------------------------------------------------------------------------------

Answer ReferencePmu::read_msr(std::uint32_t msr, Initiator initiator) {
  return access(msr, nullptr, initiator);
}

Answer ReferencePmu::write_msr(std::uint32_t msr, std::uint64_t value, Initiator initiator) {
  return access(msr, &value, initiator);
}

Answer ReferencePmu::access(std::uint32_t msr, const std::uint64_t* written, Initiator initiator) {
  if (initiator == Initiator::kGuest) ran_ = true;
  if (!is_pmu_number(msr)) return kOther;
  Answer answer = kAbsent;
  if (msr == 0x1a0)
    answer = misc_enable(written, initiator);
  else if (msr == 0x1d9)
    answer = debug_control(written);
  else if (msr == 0x345)
    answer = perf_capabilities(written, initiator);
  else if (config_.version == 0)
    answer = kAbsent;
  else if (intel())
    answer = access_intel(msr, written, initiator);
  else
    answer = access_amd(msr, written, initiator);
  if (answer.kind == Answer::Kind::kAbsent && is_quirk(msr)) return kIgnored;
  return answer;
}

Answer ReferencePmu::misc_enable(const std::uint64_t* written, Initiator initiator) {
  if (written == nullptr) return done(misc_enable_);
  // Section 1.8: a guest that changes bit 11 or 12 gets #GP; bit 7 is accepted and keeps its old
  // value. For the host they all keep their values: they say what this VMM offers.
  constexpr std::uint64_t kPolicy = bit(7) | bit(11) | bit(12);
  const std::uint64_t changed = *written ^ misc_enable_;
  if (initiator == Initiator::kGuest && (changed & (bit(11) | bit(12))) != 0) return kFault;
  misc_enable_ = (*written & ~kPolicy) | (misc_enable_ & kPolicy);
  return done();
}

std::uint64_t ReferencePmu::valid_debug_control() const {
  std::uint64_t valid = 0;
  // Bit 12: #GP for KVM's guests; offered by `freeze_on_pmi` from version 2 on (table 1.1).
  if (intel() && config_.freeze_on_pmi && config_.version >= 2) valid |= bit(12);
  // Bit 15: valid iff guest RTM.
  if (config_.tsx) valid |= bit(15);
  // LBR specification b.6: bits 0 and 11 with a format of LBRs; a.2: architectural ones (0x3f) are
  // not switched by bit 0.
  const std::uint64_t format = perf_capabilities_ & 0x3f;
  if (format != 0) valid |= bit(11);
  if (format != 0 && format != 0x3f) valid |= bit(0);
  return valid;
}

Answer ReferencePmu::debug_control(const std::uint64_t* written) {
  if (written == nullptr) return done(debug_control_);
  // Table 1.8: where bits 0 and 1 have nothing to switch they are dropped.
  const std::uint64_t valid = valid_debug_control();
  const std::uint64_t value = *written & ~((bit(0) | bit(1)) & ~valid);
  if ((value & ~valid) != 0) return kFault;
  debug_control_ = value;
  return done();
}

Answer ReferencePmu::perf_capabilities(const std::uint64_t* written, Initiator initiator) {
  if (!config_.has_perf_capabilities) {
    // Table 1.4, 0x345: without PDCM reads are #GP for guests and 0 for the host. Section 4.8:
    // host write of 0 succeeds, of any bit fails.
    if (initiator == Initiator::kGuest) return kAbsent;
    if (written != nullptr && *written != 0) return kAbsent;
    return done(0);
  }
  if (written == nullptr) return done(perf_capabilities_);
  // Every guest write is #GP, even of the same value.
  if (initiator == Initiator::kGuest) return kFault;
  // Section 3.1, after the first run: the host may write the value that is there. Before it: what
  // is offered, or less; of LBR formats (LBR specification b.2) that one, or none.
  if (*written == perf_capabilities_) return done();
  const std::uint64_t format = *written & 0x3f;
  if (ran_ || (*written & ~config_.perf_capabilities) != 0) return kFault;
  if (format != 0 && format != (config_.perf_capabilities & 0x3f)) return kFault;
  perf_capabilities_ = *written;
  debug_control_ &= valid_debug_control();
  return done();
}

Answer ReferencePmu::access_intel(std::uint32_t msr, const std::uint64_t* written,
                                  Initiator initiator) {
  const bool read = written == nullptr;
  const bool host = initiator == Initiator::kHost;

  // Table 1.4, 0x0C1+i: guests write bits 31:0, sign-extended; section 3.2: the host all bits.
  if (msr >= 0xc1 && msr < 0xc1 + n_) {
    const unsigned i = msr - 0xc1;
    if (read) return done(gp_[i]);
    std::uint64_t value = *written;
    if (!host) {
      value &= 0xffffffff;
      if ((value & bit(31)) != 0) value |= 0xffffffff00000000;
    }
    gp_[i] = value & gp_mask();
    return done();
  }
  // Table 1.4, 0x4C1+i: with PERF_CAPABILITIES[13]; a bit at or above W is #GP.
  if (msr >= 0x4c1 && msr < 0x4c1 + n_) {
    const unsigned i = msr - 0x4c1;
    if (!config_.has_perf_capabilities || (perf_capabilities_ & bit(13)) == 0) {
      return kAbsent;
    }
    if (read) return done(gp_[i]);
    if ((*written & ~gp_mask()) != 0) return kFault;
    gp_[i] = *written;
    return done();
  }
  if (msr >= 0x186 && msr < 0x186 + n_) return event_select_intel(msr - 0x186, written);

  // Everything from here on came with version 2.
  if (!has_global_registers()) return kAbsent;

  // Table 1.4, 0x309+k: wider writes are truncated.
  if (msr >= 0x309 && msr < 0x309 + m_) {
    const unsigned k = msr - 0x309;
    if (read) return done(fixed_[k]);
    fixed_[k] = *written & fixed_mask();
    return done();
  }
  // Table 1.6: OR of 0xB << 4k; bit 2 with AnyThread.
  if (msr == 0x38d) {
    if (read) return done(fixed_control_);
    std::uint64_t valid = 0;
    for (unsigned k = 0; k < m_; ++k) {
      valid |= (has_any_thread() ? std::uint64_t{0xf} : std::uint64_t{0xb}) << (4 * k);
    }
    if ((*written & ~valid) != 0) return kFault;
    fixed_control_ = *written;
    return done();
  }
  // Table 1.4, 0x38E: read-only to guests; section 3.2: the host stores what is valid.
  if (msr == 0x38e) {
    if (read) return done(global_status_);
    if (!host) return kFault;
    if ((*written & ~status_valid()) != 0) return kFault;
    global_status_ = *written;
    return done();
  }
  // Table 1.4, 0x38F.
  if (msr == 0x38f) {
    if (read) return done(global_control_);
    if ((*written & ~counter_bits()) != 0) return kFault;
    global_control_ = *written;
    return done();
  }
  // Table 1.4, 0x390: write 1 to clear; section 3.2: no effect for the host.
  if (msr == 0x390) {
    if (read) return done(0);
    if (host) return kIgnored;
    if ((*written & ~status_valid()) != 0) return kFault;
    global_status_ &= ~*written;
    return done();
  }
  // Table 1.4, 0x391: version 4; valid are the status bits but 63.
  if (msr == 0x391 && config_.version >= 4) {
    if (read) return done(0);
    if (host) return kIgnored;
    if ((*written & ~(status_valid() & ~bit(63))) != 0) return kFault;
    global_status_ |= *written;
    return done();
  }
  // Table 1.4, 0x392: version 4; read-only.
  if (msr == 0x392 && config_.version >= 4) {
    if (read) return done(in_use());
    return kFault;
  }
  return kAbsent;
}

void ReferencePmu::write_select(unsigned i, std::uint64_t value) {
  // INT, EN and pin control do not change what is counted, nor do Host-Only and Guest-Only.
  constexpr std::uint64_t kElse = bit(19) | bit(20) | bit(21) | bit(22) | bit(40) | bit(41);
  if (((select_[i] ^ value) & ~kElse) != 0) was_true_[i] = false;
  select_[i] = value;
}

/// Table 1.5; P26: reserved bits are looked at first, whatever the register holds.
Answer ReferencePmu::event_select_intel(unsigned i, const std::uint64_t* written) {
  if (written == nullptr) return done(select_[i]);
  std::uint64_t reserved = 0xffffffff00200000;
  if (has_any_thread()) reserved &= ~bit(21);
  if (config_.tsx) reserved &= ~bit(32);
  if (config_.tsx && i == 2) reserved &= ~bit(33);
  if ((*written & reserved) != 0) return kFault;
  write_select(i, *written);
  return done();
}

Answer ReferencePmu::access_amd(std::uint32_t msr, const std::uint64_t* written,
                                Initiator initiator) {
  const bool read = written == nullptr;
  const bool host = initiator == Initiator::kHost;

  // Section 2.1: four K7 counters, aliases of the first core counters.
  if (msr >= 0xc0010000 && msr <= 0xc0010003) return event_select_amd(msr - 0xc0010000, written);
  if (msr >= 0xc0010004 && msr <= 0xc0010007) return counter_amd(msr - 0xc0010004, written);
  // Section 2.1: core counters; even numbers are controls, odd ones counters.
  if (msr >= 0xc0010200 && msr < 0xc0010200 + 2 * n_) {
    if (!config_.core_extension) return kAbsent;
    const unsigned i = (msr - 0xc0010200) / 2;
    return msr % 2 == 0 ? event_select_amd(i, written) : counter_amd(i, written);
  }

  // PerfMonV2. AMD ignores reserved bits and writes of what is read-only.
  if (config_.version < 2) return kAbsent;
  if (msr == 0xc0000300) {
    if (read) return done(global_status_);
    if (!host) return kIgnored;
    if ((*written & ~status_valid()) != 0) return kFault;
    global_status_ = *written;
    return done();
  }
  if (msr == 0xc0000301) {
    if (read) return done(global_control_);
    global_control_ = *written & low_bits(n_);
    return done();
  }
  if (msr == 0xc0000302) {
    if (read) return done(0);
    if (!host) global_status_ &= ~*written;
    return done();
  }
  if (msr == 0xc0000303) {
    if (read) return done(0);
    if (!host) global_status_ |= *written & status_valid();
    return done();
  }
  return kAbsent;
}

/// Table 2.2: bits 63:42, 39:36, 21 and 19 are dropped; 40 and 41 too where they mean nothing.
Answer ReferencePmu::event_select_amd(unsigned i, const std::uint64_t* written) {
  if (i >= n_) return kAbsent;
  if (written == nullptr) return done(select_[i]);
  std::uint64_t kept = ~std::uint64_t{0xfffffff000280000};
  if (config_.host_guest_only) kept |= bit(40) | bit(41);
  write_select(i, *written & kept);
  return done();
}

/// Section 2.2: "truncated to 48 bits, full width, no sign extension".
Answer ReferencePmu::counter_amd(unsigned i, const std::uint64_t* written) {
  if (i >= n_) return kAbsent;
  if (written == nullptr) return done(gp_[i]);
  gp_[i] = *written & gp_mask();
  return done();
}

// ---- RDPMC and CPUID ----------------------------------------------------------------------------

Answer ReferencePmu::rdpmc(std::uint32_t ecx, bool may_read) {
  ran_ = true;
  // Table 1.8, row by row; they all end in the same #GP.
  if (config_.version == 0) return kFault;  // 1; P12
  if (!intel()) {
    // Section 2.4: ECX whole.
    if (ecx >= n_ || !may_read) return kFault;
    return done(gp_[ecx]);
  }
  const std::uint32_t type = ecx >> 16;
  const std::uint32_t index = ecx & 0xffff;
  if (type != 0 && type != 0x4000) return kFault;    // 2 and 3: nobody opts in to pseudo counters
  if (type == 0 && index >= n_) return kFault;       // 4
  if (type == 0x4000 && index >= m_) return kFault;  // 4
  if (!may_read) return kFault;                      // 5
  return done(type == 0 ? gp_[index] : fixed_[index]);  // 6
}

void ReferencePmu::adjust_cpuid(std::uint32_t leaf, CpuidResult& result) const {
  const auto assign = [](std::uint32_t& reg, unsigned number, bool value) {
    reg = (reg & ~(1u << number)) | std::uint32_t{value} << number;
  };
  if (leaf == 0x1 && intel()) assign(result.ecx, 15, config_.has_perf_capabilities);
  if (leaf == 0x7 && intel() && !config_.tsx) result.ebx &= ~(1u << 4 | 1u << 11);
  // LBR specification a.9.
  const bool architectural_lbrs = (perf_capabilities_ & 0x3f) == 0x3f;
  if (leaf == 0x7 && intel() && !architectural_lbrs) result.edx &= ~(1u << 19);
  if (leaf == 0x1c && intel() && !architectural_lbrs) result = {};
  if (leaf == 0xa) {
    result = {};
    if (!intel() || config_.version == 0) return;
    result.eax = config_.version | n_ << 8 | std::uint32_t{config_.gp_width} << 16 |
                 std::uint32_t{config_.arch_event_length} << 24;
    result.ebx = config_.arch_events_unavailable;
    if (config_.version > 1) result.edx = m_ | std::uint32_t{config_.fixed_width} << 5;
    // The same said twice; KVM, which offers no version 5, leaves it at EDX.
    if (config_.version >= 5) result.ecx = static_cast<std::uint32_t>(low_bits(m_));
    // Section 1.2: KVM sets EDX[15] whatever the version.
    assign(result.edx, 15, !has_any_thread());
  }
  if (leaf == 0x80000001 && !intel()) {
    assign(result.ecx, 23, config_.version != 0 && config_.core_extension);
  }
  if (leaf == 0x80000022 && !intel()) {
    result = {};
    if (config_.version >= 2) result = {.eax = 1, .ebx = n_};
  }
}

// ---- Counting -----------------------------------------------------------------------------------

/// Section 1.7, streamlined freeze: from version 4 on, CTR_Frz stops everything.
bool ReferencePmu::frozen() const {
  return intel() && config_.version >= 4 && (global_status_ & bit(59)) != 0;
}

/// Table 2.3.
bool ReferencePmu::svm_allows(std::uint64_t select) const {
  const bool guest_only = (select & bit(40)) != 0;
  const bool host_only = (select & bit(41)) != 0;
  if (!guest_only && !host_only) return true;
  if (!svme_) return false;
  return svm_guest_ ? guest_only : host_only;
}

void ReferencePmu::set_svm(bool svme, bool guest_mode) {
  svme_ = svme;
  svm_guest_ = guest_mode;
}

/// Section 1.5, the last sentence, but for privilege and filter.
bool ReferencePmu::gp_enabled(unsigned i) const {
  if ((select_[i] & bit(22)) == 0) return false;
  // P4: version 1 has no global control.
  if (has_global_registers() && (global_control_ & bit(i)) == 0) return false;
  if (frozen()) return false;
  return intel() || svm_allows(select_[i]);
}

bool ReferencePmu::fixed_enabled(unsigned k) const {
  if ((fixed_control_ >> (4 * k) & 3) == 0) return false;
  if ((global_control_ & bit(32 + k)) == 0) return false;
  return !frozen();
}

EventSelector ReferencePmu::gp_selector(unsigned i) const {
  EventSelector selector;
  selector.event = static_cast<std::uint16_t>(select_[i] & 0xff);
  // P6, P30: 12 bits of event select on AMD only.
  if (!intel()) selector.event |= static_cast<std::uint16_t>(select_[i] >> 32 << 8 & 0xf00);
  selector.unit_mask = static_cast<std::uint8_t>(select_[i] >> 8);
  return selector;
}

bool ReferencePmu::gp_allowed(unsigned i) const {
  return gate_ == nullptr || gate_->admits(gp_selector(i));
}
bool ReferencePmu::fixed_allowed(unsigned k) const {
  return gate_ == nullptr || gate_->admits_fixed(k);
}

bool ReferencePmu::gp_at(unsigned i, Privilege privilege) const {
  return (select_[i] & (privilege == Privilege::kUser ? bit(16) : bit(17))) != 0;
}
bool ReferencePmu::fixed_at(unsigned k, Privilege privilege) const {
  return (fixed_control_ >> (4 * k) & (privilege == Privilege::kUser ? 2 : 1)) != 0;
}

std::optional<RawEvent> ReferencePmu::gp_event(unsigned i) const {
  const auto* row = silicon::x86::find_event(silicon_.events, gp_selector(i));
  if (row == nullptr) return {};
  // Linux's pseudo-encoding of what only a fixed counter counts (section 1.2) is no event of a
  // general-purpose counter, and must not take the fixed counter away.
  if (row->counted_on == silicon::x86::CountedOn::kFixedCounter) return {};
  if (conditional(i) && !conditions_) return {};
  return row->raw;
}

std::optional<RawEvent> ReferencePmu::fixed_event(unsigned k) const {
  const auto* row = silicon::x86::find_event(silicon_.events, silicon::x86::fixed_only_selector(k));
  if (row == nullptr) return {};
  return row->raw;
}

ReferencePmu::State ReferencePmu::gp_state(unsigned i) const {
  if (!gp_enabled(i)) return State::kOff;
  if (!gp_allowed(i)) return State::kDenied;
  if (!gp_event(i)) return State::kUnsupported;
  return State::kCounting;
}

ReferencePmu::State ReferencePmu::fixed_state(unsigned k) const {
  if (!fixed_enabled(k)) return State::kOff;
  if (!fixed_allowed(k)) return State::kDenied;
  if (!fixed_event(k)) return State::kUnsupported;
  return State::kCounting;
}

/// Section 1.7, "Overflow" and "PMI"; P1.
void ReferencePmu::increment_gp(unsigned i) {
  gp_[i] = (gp_[i] + 1) & gp_mask();
  if (gp_[i] != 0) return;
  // Section 3.3, "create": IN_TXCP counts without overflows.
  if (intel() && (select_[i] & bit(33)) != 0) return;
  ++overflows_;
  if (has_global_registers()) global_status_ |= bit(i);
  if ((select_[i] & bit(20)) != 0) pmi_pending_ = true;
}

void ReferencePmu::increment_fixed(unsigned k) {
  fixed_[k] = (fixed_[k] + 1) & fixed_mask();
  if (fixed_[k] != 0) return;
  ++overflows_;
  global_status_ |= bit(32 + k);
  if ((fixed_control_ >> (4 * k) & 8) != 0) pmi_pending_ = true;
}

/// Table 1.5, bits 18, 23 and 31:24: EDGE and CMASK; INV has no effect when CMASK is 0.
bool ReferencePmu::conditional(unsigned i) const {
  return (select_[i] & (bit(18) | std::uint64_t{0xff} << 24)) != 0;
}

/// How often counter `i`, which counts, is to be incremented for one instruction.
unsigned ReferencePmu::gp_counts(unsigned i, Privilege privilege, const Counts& counts) {
  const unsigned occurrences = counts[static_cast<std::size_t>(*gp_event(i))];
  const unsigned cycles = counts[static_cast<std::size_t>(RawEvent::kCycles)];
  // Table 1.5, bit 32. Unlike on AMD, where bits 35:32 are part of the event (P30).
  if (intel() && (select_[i] & bit(32)) != 0) return 0;
  if (conditional(i)) return condition_counts(i, privilege, occurrences, cycles);
  return gp_at(i, privilege) ? occurrences : 0;
}

/// Table 1.5, bits 18, 23 and 31:24, cycle by cycle. How an instruction's occurrences spread over
/// its cycles is silicon/cycle_conditions.hpp's.
unsigned ReferencePmu::condition_counts(unsigned i, Privilege privilege, unsigned occurrences,
                                        unsigned cycles) {
  const bool edge = (select_[i] & bit(18)) != 0;
  const auto cmask = static_cast<unsigned>(select_[i] >> 24 & 0xff);
  const bool inverted = (select_[i] & bit(23)) != 0 && cmask != 0;
  // EDGE alone: of whether it occurs at all.
  const unsigned threshold = cmask == 0 ? 1 : cmask;
  unsigned counted = 0;
  for (unsigned cycle = 0; cycle < cycles; ++cycle) {
    const bool one_more = cycles - cycle <= occurrences % cycles;
    const unsigned in_this_cycle = occurrences / cycles + (one_more ? 1 : 0);
    const bool enough = inverted ? in_this_cycle < threshold : in_this_cycle >= threshold;
    const bool is_true = enough && gp_at(i, privilege);
    if (is_true && !(edge && was_true_[i])) ++counted;
    was_true_[i] = is_true;
  }
  return counted;
}

void ReferencePmu::retire(Privilege privilege, const Counts& counts) {
  for (unsigned i = 0; i < n_; ++i) {
    if (gp_state(i) != State::kCounting) continue;
    const unsigned times = gp_counts(i, privilege, counts);
    for (unsigned n = 0; n < times; ++n) increment_gp(i);
  }
  for (unsigned k = 0; k < m_; ++k) {
    if (fixed_state(k) != State::kCounting || !fixed_at(k, privilege)) continue;
    const unsigned times = counts[static_cast<std::size_t>(*fixed_event(k))];
    for (unsigned n = 0; n < times; ++n) increment_fixed(k);
  }
}

/// Section 3.4: instructions are 0xC0/00; branches 0xC4/00 on Intel, 0xC2/00 on AMD. Bits 35:32
/// take part on both; edge, pin control, INV and CMASK do not.
void ReferencePmu::emulated(bool branch, Privilege privilege) {
  constexpr std::uint64_t kCompared = 0xf0000ffff;
  const std::uint64_t branches = intel() ? 0xc4 : 0xc2;
  for (unsigned i = 0; i < n_; ++i) {
    const std::uint64_t selected = select_[i] & kCompared;
    if (selected != 0xc0 && !(branch && selected == branches)) continue;
    if (gp_enabled(i) && gp_allowed(i) && gp_at(i, privilege)) increment_gp(i);
  }
  if (m_ > 0 && fixed_enabled(0) && fixed_allowed(0) && fixed_at(0, privilege)) increment_fixed(0);
}

bool ReferencePmu::enter() {
  for (unsigned i = 0; i < n_; ++i) {
    if (gp_state(i) != State::kCounting) was_true_[i] = false;
  }
  // Section 1.7, "One per entry"; P10.
  if (!pmi_pending_) return false;
  pmi_pending_ = false;
  // Section 1.7, "Freeze on PMI": clears the enables up to version 3, sets CTR_Frz from 4 on,
  // whether or not LVTPC lets the PMI through.
  if ((debug_control_ & bit(12)) != 0) {
    if (config_.version >= 4)
      global_status_ |= bit(59);
    else
      global_control_ = 0;
  }
  // LBR specification a.7 and b.11: FREEZE_LBRS_ON_PMI clears LBR in versions 2 and 3, and sets
  // LBR_FRZ from 4 on.
  if ((debug_control_ & bit(11)) != 0) {
    if (config_.version >= 4)
      global_status_ |= bit(58);
    else if (config_.version >= 2)
      debug_control_ &= ~bit(0);
  }
  return true;
}

}  // namespace vpmu::property
