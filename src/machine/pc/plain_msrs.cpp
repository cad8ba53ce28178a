// SPDX-License-Identifier: MIT
#include "machine/pc/plain_msrs.hpp"

#include <optional>

#include "machine/cannot_hold.hpp"

namespace vpmu::machine {

namespace {
using silicon::x86::Vendor;

constexpr std::uint32_t kMicrocodeRevision = 0x8b, kMtrrCap = 0xfe, kMcgCap = 0x179,
                        kMcgStatus = 0x17a, kMtrrVariableFirst = 0x200, kPat = 0x277,
                        kMtrrDefaultType = 0x2ff;
// Intel
constexpr std::uint32_t kPlatformId = 0x17, kSmiCount = 0x34, kFeatureControl = 0x3a,
                        kMicrocodeUpdate = 0x79, kPlatformInfo = 0xce;
// AMD
constexpr std::uint32_t kSyscfg = 0xc0010010, kHwcr = 0xc0010015, kPatchLoader = 0xc0010020,
                        kNbCfg = 0xc001001f, kVmCr = 0xc0010114, kDeCfg = 0xc0011029;
/// HWCR: McStatusWrEn can be written, TscFreqSel (the TSC counts at the P0 frequency) is one.
constexpr std::uint64_t kMcStatusWrEn = 1 << 18, kTscFreqSel = 1 << 24;
/// SYSCFG: MtrrFixDramEn to MtrrTom2En and Tom2ForceMemTypeWB.
constexpr std::uint64_t kSyscfgWritable = 0x7c0000;
/// VM_CR: SVM is disabled, and that is locked.
constexpr std::uint64_t kVmCrLocked = 1 << 3 | 1 << 4;
/// DE_CFG: LFENCE is dispatch serializing.
constexpr std::uint64_t kLfenceSerializes = 1 << 1;

/// The eleven fixed-range MTRRs are at three places; the index among them.
std::optional<unsigned> fixed_range(std::uint32_t msr) {
  if (msr == 0x250) return 0;
  if (msr == 0x258 || msr == 0x259) return msr - 0x258 + 1;
  if (msr >= 0x268 && msr <= 0x26f) return msr - 0x268 + 3;
  return std::nullopt;
}

bool is_memory_type(std::uint64_t type) {
  return type == 0 || type == 1 || (type >= 4 && type <= 6);
}

/// Each of the eight bytes is a memory type; a PAT entry may also be UC- (7).
bool are_memory_types(std::uint64_t value, bool pat) {
  for (unsigned i = 0; i < 64; i += 8) {
    const std::uint64_t type = value >> i & 0xff;
    if (!is_memory_type(type) && !(pat && type == 7)) return false;
  }
  return true;
}

/// Physical address bits above the 46 that CPUID reports are reserved.
constexpr std::uint64_t kAddressBits = 0x3fff'ffff'f000;

bool is_variable_range(bool mask, std::uint64_t value) {
  const std::uint64_t allowed = kAddressBits | (mask ? 0x800 : 0xff);
  return (value & ~allowed) == 0 && (mask || is_memory_type(value & 0xff));
}

bool is_default_type(std::uint64_t value) {
  return (value & ~std::uint64_t{0xcff}) == 0 && is_memory_type(value & 0xff);
}

bool is_mcg_status(std::uint64_t value) {
  return (value & ~std::uint64_t{7}) == 0;
}
}  // namespace

Access PlainMsrs::read(MsrIndex msr) const {
  const std::uint32_t index = raw(msr);
  if (index >= kMtrrVariableFirst && index < kMtrrVariableFirst + state_.mtrr_variable.size()) {
    return Access::done(state_.mtrr_variable[index - kMtrrVariableFirst]);
  }
  if (const auto fixed = fixed_range(index)) return Access::done(state_.mtrr_fixed[*fixed]);
  switch (index) {
    case kMcgCap: return Access::done(0);
    case kMtrrCap: return Access::done(kVariableRanges | 0x500);  // fixed ranges, WC
    case kMcgStatus: return Access::done(state_.mcg_status);
    case kPat: return Access::done(state_.pat);
    case kMtrrDefaultType: return Access::done(state_.mtrr_default_type);
    default: return vendor_ == Vendor::kIntel ? read_intel(index) : read_amd(index);
  }
}

Access PlainMsrs::read_intel(std::uint32_t index) const {
  switch (index) {
    case kPlatformId:
    case kSmiCount: return Access::done(0);
    case kFeatureControl: return Access::done(1);  // locked, nothing enabled
    case kMicrocodeRevision: return Access::done(std::uint64_t{1} << 32);
    case kPlatformInfo: return Access::done(hz_ / 100'000'000 << 8);  // maximum non-turbo ratio
    default: return Access::not_mine();
  }
}

Access PlainMsrs::read_amd(std::uint32_t index) const {
  switch (index) {
    case kMicrocodeRevision: return Access::done(1);
    case kSyscfg: return Access::done(state_.syscfg);
    case kHwcr: return Access::done(state_.hwcr | kTscFreqSel);
    case kNbCfg: return Access::done(state_.nb_cfg);
    case kVmCr: return Access::done(kVmCrLocked);
    case kDeCfg: return Access::done(state_.de_cfg | kLfenceSerializes);
    default: return Access::not_mine();
  }
}

Access PlainMsrs::write(MsrIndex msr, std::uint64_t value) {
  const std::uint32_t index = raw(msr);
  const auto store = [value](std::uint64_t& to, bool valid) {
    if (!valid) return Access::fault();
    to = value;
    return Access::done();
  };
  if (index >= kMtrrVariableFirst && index < kMtrrVariableFirst + state_.mtrr_variable.size()) {
    const unsigned place = index - kMtrrVariableFirst;
    return store(state_.mtrr_variable[place], is_variable_range(place % 2 != 0, value));
  }
  if (const auto fixed = fixed_range(index)) {
    return store(state_.mtrr_fixed[*fixed], are_memory_types(value, false));
  }
  switch (index) {
    case kMcgCap:
    case kMtrrCap: return Access::fault();  // read-only
    case kMcgStatus: return store(state_.mcg_status, is_mcg_status(value));
    case kPat: return store(state_.pat, are_memory_types(value, true));
    case kMtrrDefaultType: return store(state_.mtrr_default_type, is_default_type(value));
    default: return vendor_ == Vendor::kIntel ? write_intel(index) : write_amd(index, value);
  }
}

Access PlainMsrs::write_intel(std::uint32_t index) {
  switch (index) {
    case kPlatformId:
    case kSmiCount:
    case kFeatureControl:
    case kPlatformInfo: return Access::fault();  // read-only
    case kMicrocodeUpdate:
    case kMicrocodeRevision: return Access::done();  // nothing to update; written before CPUID
    default: return Access::not_mine();
  }
}

/// AMD ignores what is written to bits that are reserved or read-only.
Access PlainMsrs::write_amd(std::uint32_t index, std::uint64_t value) {
  switch (index) {
    case kMicrocodeRevision: return Access::fault();
    case kPatchLoader:  // nothing to update
    case kVmCr: return Access::done();
    case kSyscfg: state_.syscfg = value & kSyscfgWritable; return Access::done();
    case kHwcr: state_.hwcr = value & kMcStatusWrEn; return Access::done();
    case kNbCfg: state_.nb_cfg = value; return Access::done();
    case kDeCfg: state_.de_cfg = value & ~kLfenceSerializes; return Access::done();
    default: return Access::not_mine();
  }
}

Result<void> PlainMsrs::restore(const State& state) {
  if (!are_memory_types(state.pat, true)) return cannot_hold("PAT", state.pat);
  for (unsigned n = 0; n < state.mtrr_variable.size(); ++n) {
    if (!is_variable_range(n % 2 != 0, state.mtrr_variable[n])) {
      return cannot_hold("variable MTRR", state.mtrr_variable[n]);
    }
  }
  for (const std::uint64_t fixed : state.mtrr_fixed) {
    if (!are_memory_types(fixed, false)) return cannot_hold("fixed MTRR", fixed);
  }
  if (!is_default_type(state.mtrr_default_type)) {
    return cannot_hold("MTRR default type", state.mtrr_default_type);
  }
  if (!is_mcg_status(state.mcg_status)) return cannot_hold("MCG_STATUS", state.mcg_status);
  const bool amd = vendor_ == Vendor::kAmd;
  if (state.hwcr & ~(amd ? kMcStatusWrEn : 0)) return cannot_hold("HWCR", state.hwcr);
  if (state.syscfg & ~(amd ? kSyscfgWritable : 0)) return cannot_hold("SYSCFG", state.syscfg);
  if (!amd && state.nb_cfg != 0) return cannot_hold("NB_CFG", state.nb_cfg);
  if (state.de_cfg & (amd ? kLfenceSerializes : ~std::uint64_t{0}))
    return cannot_hold("DE_CFG", state.de_cfg);
  state_ = state;
  return {};
}

}  // namespace vpmu::machine
