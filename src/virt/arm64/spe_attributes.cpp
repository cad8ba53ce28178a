// SPDX-License-Identifier: MIT
//
// Virtual SPE: what a VMM sets, with the kernel's errors.
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "vpmu/virt/arm64/spe.hpp"

namespace vpmu::virt::arm64 {

namespace {

constexpr unsigned kFirstPpi = 16, kLastPpi = 31;

tl::unexpected<ErrnoError> bad_pointer(const char* what) {
  return refuse(EFAULT, std::string{what} + ": a null pointer");
}

}  // namespace

ErrnoError error(SpeEntry entry) {
  switch (entry) {
    case SpeEntry::kDone: break;
    case SpeEntry::kCpuOutsideSet:
      return {ENOEXEC, "the vCPU runs on a host CPU outside its supported CPUs: set its affinity"};
    case SpeEntry::kNoUnit:
      return {ENOEXEC, "the vCPU has SPE, and this host CPU has none: set its affinity"};
    case SpeEntry::kNoValidSet:
      return {ENOEXEC,
              "not all host CPUs have SPE: set the vCPU's supported CPUs to some of those that do"};
    case SpeEntry::kNotInitialised:
      return {EPERM, "SPE of the vCPU is not initialised: set the attribute INIT first"};
    case SpeEntry::kStoppedAndProfiles:
      return {EAGAIN,
              "the guest has enabled SPE while it is stopped: set the attribute STOP to "
              "RESUME, or to TRAP"};
  }
  return {0, {}};
}

ErrnoResult<void> Spe::init_vcpu(const SpeVcpuFeatures& features) {
  if (features.spe && !vm_.usable()) return refuse(EINVAL, "SPE: no CPU of this host has it");
  if (features.spe && features.aarch32_el1) {
    return refuse(EINVAL, "SPE: not for a vCPU with AArch32 at EL1");
  }
  if (has_feature_ && !features.spe) {
    return refuse(EINVAL, "SPE: the vCPU has it already; it is for the vCPU's whole life");
  }
  if (features.spe) exit();
  has_feature_ = features.spe;
  reset();
  return {};
}

ErrnoResult<void> Spe::set_supported_cpus(const char* list) {
  if (has_run_) return refuse(ENOEXEC, "supported CPUs: the vCPU has run; set them before");
  if (list == nullptr) return bad_pointer("supported CPUs");
  // One byte more than may be is enough to see that it is too long.
  const std::string_view text{list, strnlen(list, kCpuListMost + 1)};
  auto parsed = parse_cpu_list(text, vm_.config().cpus.cpus());
  if (!parsed) return tl::unexpected<ErrnoError>(std::move(parsed.error()));
  supported_ = std::move(*parsed);
  return {};
}

// ---- Attributes ---------------------------------------------------------------------------------

ErrnoResult<void> Spe::has_attribute(SpeAttribute which) const {
  if (!has_feature_) return refuse(ENXIO, "SPE: the vCPU does not have it; initialise it with it");
  if (vm_.interrupt_controller() == SpeVm::InterruptController::kNone) {
    return refuse(ENXIO, "SPE: the VM has no interrupt controller; create it before");
  }
  switch (which) {
    case SpeAttribute::kIrq:
    case SpeAttribute::kInit:
    case SpeAttribute::kStop: return {};
  }
  return refuse(ENXIO, "SPE: no attribute " + std::to_string(static_cast<std::uint64_t>(which)) +
                           "; there are 0 to 2");
}

ErrnoResult<void> Spe::may_set_irq() const {
  if (auto has = has_attribute(SpeAttribute::kIrq); !has) return has;
  if (irq_) return refuse(EBUSY, "SPE: the interrupt is set already, to " + std::to_string(*irq_));
  return {};
}

ErrnoResult<void> Spe::may_stop() const {
  if (auto has = has_attribute(SpeAttribute::kStop); !has) return has;
  if (!initialised_) return refuse(EAGAIN, "SPE: not initialised; set the attribute INIT first");
  return {};
}

ErrnoResult<void> Spe::set_attribute(SpeAttribute which, const std::int32_t* value) {
  if (auto has = has_attribute(which); !has) return has;
  if (which == SpeAttribute::kInit) return init();
  const bool is_irq = which == SpeAttribute::kIrq;
  if (auto may = is_irq ? may_set_irq() : may_stop(); !may) return may;
  if (value == nullptr) return bad_pointer(is_irq ? "SPE: IRQ" : "SPE: STOP");
  return is_irq ? set_irq(*value) : set_stop(*value);
}

ErrnoResult<void> Spe::get_attribute(SpeAttribute which, std::int32_t* value) const {
  if (auto has = has_attribute(which); !has) return has;
  if (which == SpeAttribute::kInit) return refuse(ENXIO, "SPE: INIT can be set only");
  std::int32_t got = 0;
  if (which == SpeAttribute::kIrq) {
    const auto number = irq();
    if (!number) return tl::unexpected<ErrnoError>(number.error());
    got = *number;
  } else {
    const auto state = stop();
    if (!state) return tl::unexpected<ErrnoError>(state.error());
    got = static_cast<std::int32_t>(*state);
  }
  if (value == nullptr) return bad_pointer("SPE: where the attribute is to go");
  *value = got;
  return {};
}

ErrnoResult<void> Spe::set_irq(std::int32_t irq) {
  if (auto may = may_set_irq(); !may) return may;
  const auto number = static_cast<unsigned>(irq);
  if (number < kFirstPpi || number > kLastPpi) {
    return refuse(EINVAL, "SPE: interrupt " + std::to_string(irq) + " is no PPI: 16 to 31");
  }
  if (vm_.irq() && *vm_.irq() != number) {
    return refuse(EINVAL, "SPE: interrupt " + std::to_string(irq) +
                              " is not that of the other vCPUs: " + std::to_string(*vm_.irq()));
  }
  irq_ = static_cast<std::uint8_t>(number);
  vm_.set_irq(number);
  return {};
}

ErrnoResult<std::int32_t> Spe::irq() const {
  if (auto has = has_attribute(SpeAttribute::kIrq); !has) {
    return tl::unexpected<ErrnoError>(std::move(has.error()));
  }
  if (!irq_) return refuse(ENXIO, "SPE: no interrupt is set");
  return *irq_;
}

ErrnoResult<void> Spe::init() {
  if (auto has = has_attribute(SpeAttribute::kInit); !has) return has;
  if (!irq_) return refuse(ENXIO, "SPE: no interrupt is set; set the attribute IRQ first");
  if (vm_.interrupt_controller() != SpeVm::InterruptController::kInitialised) {
    return refuse(ENXIO, "SPE: the interrupt controller is not initialised; initialise it before");
  }
  if (initialised_) return refuse(EBUSY, "SPE: initialised already");
  if (!sink_.own_interrupt(*irq_)) {
    return refuse(ENXIO, "SPE: interrupt " + std::to_string(*irq_) + " is another device's");
  }
  initialised_ = true;
  return {};
}

ErrnoResult<void> Spe::set_stop(std::int32_t request) {
  if (auto may = may_stop(); !may) return may;
  SpeStop stop{};
  switch (request) {
    case kSpeStopTrap: stop = SpeStop::kTrap; break;
    case kSpeStopExit: stop = SpeStop::kExit; break;
    case kSpeResume: stop = SpeStop::kRunning; break;
    default:
      return refuse(EINVAL, "SPE: STOP is " + std::to_string(request) +
                                ": neither 1 (TRAP), 2 (EXIT) nor 4 (RESUME)");
  }
  scheduled_out();
  stop_ = stop;
  return {};
}

ErrnoResult<SpeStop> Spe::stop() const {
  if (auto may = may_stop(); !may) return tl::unexpected<ErrnoError>(std::move(may.error()));
  return stop_;
}

}  // namespace vpmu::virt::arm64
