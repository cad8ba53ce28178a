// SPDX-License-Identifier: MIT
#include "machine/arm64_board/guest_spe.hpp"

#include <string>

namespace vpmu::machine::arm64 {

using silicon::arm64::SpeOperation;
using virt::arm64::SpeBufferAnswer;
using virt::arm64::SpeEntry;

namespace {
/// Every vCPU's random generator begins elsewhere, and each time with the same.
std::uint64_t seed_of(unsigned vcpu) {
  constexpr std::uint64_t kGolden = 0x9e37'79b9'7f4a'7c15;
  return kGolden * (vcpu + 1);
}
}  // namespace

GuestSpe::GuestSpe(const Around& around)
    : vcpu_{around.vcpu},
      cpu_{around.cpu},
      redistributor_{around.redistributor},
      memory_{around.memory},
      unit_{around.vm.config().model, seed_of(around.vcpu), *this},
      spe_{around.vm, &unit_, *this},
      sampler_{unit_, around.totals, &around.samples} {
  if (memory_.offer().lock == SpeLock::kBuffer) pins_.emplace(memory_, cpu_);
  cpu_.set_stage_two(&memory_);
}

Result<void> GuestSpe::set_up(const char* cpus) {
  const auto named = [](const char* what, const ErrnoResult<void>& done) -> Result<void> {
    if (done) return {};
    return fail(std::string{what} + ": " + done.error().message);
  };
  if (auto done = named("SPE", spe_.init_vcpu({.spe = true})); !done) return done;
  if (auto done = named("--spe-supported", spe_.set_supported_cpus(cpus)); !done) return done;
  if (auto done = named("SPE's interrupt", spe_.set_irq(arm64_map::kSpeInterrupt)); !done)
    return done;
  return named("SPE", spe_.init());
}

// ---- The guest ----------------------------------------------------------------------------------

Access GuestSpe::read(SystemRegister which, silicon::Privilege privilege) {
  sampler_.hand_over();
  return spe_.read_register(which, privilege, Initiator::kGuest);
}

Access GuestSpe::write(SystemRegister which, std::uint64_t value, silicon::Privilege privilege) {
  sampler_.hand_over();
  const Access access = spe_.write_register(which, value, privilege, Initiator::kGuest);
  if (access.is_done() && spe_.is_entered()) sampler_.registers_changed(true);
  return access;
}

SpeEntry GuestSpe::enter(hostperf::HostCpu cpu, bool retires) {
  if (spe_.is_entered()) return SpeEntry::kDone;
  memory_.before_run();
  const SpeEntry entry = spe_.enter(cpu);
  sampler_.registers_changed(retires);
  return entry;
}

void GuestSpe::exit() {
  if (!spe_.is_entered()) return;
  sampler_.hand_over();
  spe_.exit();
}

void GuestSpe::scheduled_out() {
  sampler_.hand_over();
  spe_.scheduled_out();
}

void GuestSpe::reset() {
  spe_.reset();
  sampler_.registers_changed(false);
}

ErrnoResult<void> GuestSpe::set_stop(virt::arm64::SpeStopRequest request) {
  sampler_.hand_over();
  auto stopped = spe_.set_stop(request);
  sampler_.registers_changed(false);
  return stopped;
}

void GuestSpe::set_host_has_unit(bool has) {
  sampler_.hand_over();
  spe_.set_host_has_unit(has);
  sampler_.registers_changed(false);
}

bool GuestSpe::sampled(const SpeOperation& operation) {
  sampler_.retired(operation);
  return unit_.interrupt();
}

void GuestSpe::set_buffer_line(bool asserted) {
  redistributor_.set_line(arm64_map::kSpeInterrupt, asserted);
}

SpeBufferAnswer GuestSpe::prepare_buffer(std::uint64_t start, std::uint64_t limit) {
  return pins_ ? pins_->prepare(start, limit) : SpeBufferAnswer::kReady;
}

void GuestSpe::release_buffer() {
  if (pins_) pins_->release();
}

// ---- Its memory ---------------------------------------------------------------------------------

/// Where buffers are pinned, no record goes anywhere else.
tl::expected<void, arm64::Fault> GuestSpe::store(std::uint64_t address,
                                                 std::span<const std::uint8_t> bytes) {
  if (!pins_) return cpu_.store(address, bytes);
  const auto unavailable = [address] {
    return tl::unexpected(arm64::Fault{.address = address,
                                       .use = MemoryUse::kWrite,
                                       .status = fault_status(FaultStatus::kExternal)});
  };
  if (pins_->settle() != SpeBufferAnswer::kReady) return unavailable();
  auto stored = cpu_.store(address, bytes);
  if (stored || !stored.error().stage2) return stored;
  if (pins_->walk_again() != SpeBufferAnswer::kReady) return unavailable();
  return cpu_.store(address, bytes);
}

tl::expected<void, silicon::arm64::SpeBuffer::Fault> GuestSpe::write(
    std::uint64_t address, std::span<const std::uint8_t> bytes) {
  if (const auto stored = store(address, bytes); !stored) {
    const auto& fault = stored.error();
    return tl::unexpected(Fault{.address = fault.address,
                                .stage2 = fault.stage2,
                                .external = fault.status == fault_status(FaultStatus::kExternal),
                                .status = fault.status});
  }
  if (sink_ != nullptr) sink_->on_record(vcpu_, bytes);
  return {};
}

// ---- State --------------------------------------------------------------------------------------

virt::arm64::SpeState GuestSpe::save() {
  sampler_.hand_over();
  return spe_.save();
}

Result<void> GuestSpe::restore(const virt::arm64::SpeState& state) {
  auto restored = spe_.restore(state);
  sampler_.registers_changed(false);
  return restored;
}

}  // namespace vpmu::machine::arm64
