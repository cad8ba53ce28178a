// SPDX-License-Identifier: MIT
#include "cli/arm64_spe_report.hpp"

#include <cmath>
#include <cstdio>
#include <iterator>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/grouped.hpp"
#include "cli/arm64_spe_option.hpp"

namespace vpmu::cli {

namespace {
using Json = nlohmann::ordered_json;
using machine::arm64::BufferPins;
using machine::arm64::DeferredOperation;
using machine::arm64::GuestSpe;
using machine::arm64::Machine;
using machine::arm64::SpeMemory;
using silicon::arm64::Pmbsr;
using silicon::arm64::SpeStatistics;
using virt::arm64::SpeExitStatistics;
using virt::arm64::SpeSwitchStatistics;
using virt::arm64::SpeTrouble;

std::uint64_t locked_bytes(const SpeMemory& memory) {
  return memory.locked_pages() * virt::memory::kPageBytes;
}

/// In the discard mode of SPEv1p2.
std::uint64_t discarded(const SpeStatistics& unit) {
  return unit.filtrate - unit.records - unit.lost;
}

/// Of each entry, with two decimals.
double per_entry(std::uint64_t count, const SpeSwitchStatistics& switches) {
  if (switches.entries == 0) return 0;
  constexpr double kHundred = 100;
  return std::round(static_cast<double>(count) * kHundred / static_cast<double>(switches.entries)) /
         kHundred;
}

// ---- JSON ---------------------------------------------------------------------------------------

Json buffer_events(const SpeExitStatistics& exits) {
  return {{"full", exits.full},
          {"misprogrammed", exits.misprogrammed},
          {"stage1_faults", exits.stage1_faults},
          {"external_aborts", exits.external_aborts},
          {"replaced", exits.replaced},
          {"too_large", exits.too_large},
          {"unavailable", exits.unavailable}};
}

Json traps(const SpeExitStatistics& exits) {
  return {{"control", exits.control_traps},
          {"buffer", exits.buffer_traps},
          {"identification", exits.identification_traps}};
}

Json registers(const SpeSwitchStatistics& switches) {
  return {{"host_saved", switches.host_saved},
          {"host_loaded", switches.host_loaded},
          {"guest_saved", switches.guest_saved},
          {"guest_loaded", switches.guest_loaded},
          {"per_entry", per_entry(switches.moves(), switches)}};
}

Json drains(const SpeSwitchStatistics& switches) {
  return {{"host", switches.host_drains},
          {"guest", switches.guest_drains},
          {"per_entry", per_entry(switches.drains(), switches)}};
}

const char* name(DeferredOperation operation) {
  switch (operation) {
    case DeferredOperation::kTags: return "tags";
    case DeferredOperation::kDataCache: return "data-cache";
    case DeferredOperation::kInstructionCache: return "instruction-cache";
  }
  return "?";
}

Json memory_json(const SpeMemory& memory) {
  Json cleaned = Json::array();
  for (const DeferredOperation each : memory.deferred()) cleaned.push_back(name(each));
  return {{"lock", cli::name(memory.offer().lock)},
          {"mlock", memory.offer().mlock},
          {"locked_bytes", locked_bytes(memory)},
          {"stage2_faults", memory.stage2_faults()},
          {"cleaned", std::move(cleaned)}};
}

Json pinned_buffers(const BufferPins& pins) {
  const auto& statistics = pins.statistics();
  return {{"pinned", statistics.pins},
          {"reused", statistics.hits},
          {"walked_again", statistics.rewalks},
          {"evicted", statistics.evictions},
          {"refused", pins.refused()}};
}

// ---- For people ---------------------------------------------------------------------------------

using Part = std::pair<std::uint64_t, const char*>;

/// "3 full, 1 stage 1 faults": of what there was.
std::string parts(const std::vector<Part>& of) {
  std::string text;
  for (const auto& [count, what] : of) {
    if (count == 0) continue;
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}", grouped(count), what);
  }
  return text;
}

void add_row(std::string& text, const char* what, std::uint64_t count, const std::string& more) {
  std::string row = fmt::format("vpmu:   {:<16}{:>13}  {}", what, grouped(count), more);
  row.erase(row.find_last_not_of(' ') + 1);
  text += row + '\n';
}

std::uint64_t all_traps(const SpeExitStatistics& exits) {
  return exits.control_traps + exits.buffer_traps + exits.identification_traps;
}

bool used(const SpeExitStatistics& exits) {
  return all_traps(exits) + exits.direct != 0;
}

void add_samples(std::string& text, const SpeStatistics& unit) {
  add_row(text, "operations", unit.population, "while it was profiled");
  add_row(text, "samples", unit.feed,
          parts({{unit.feed - unit.filtrate, "filtered out"},
                 {unit.collisions, "more in collisions"}}));
  add_row(text, "records", unit.records,
          parts({{unit.bytes, "bytes"}, {unit.lost, "lost"}, {discarded(unit), "discarded"}}));
}

void add_exits(std::string& text, const SpeExitStatistics& exits) {
  add_row(text, "buffer events", exits.events + exits.too_large + exits.unavailable,
          parts({{exits.full, "full"},
                 {exits.misprogrammed, "misprogrammed"},
                 {exits.stage1_faults, "at stage 1"},
                 {exits.external_aborts, "external aborts"},
                 {exits.replaced, "replaced"},
                 {exits.too_large, "too large"},
                 {exits.unavailable, "unavailable"}}));
  add_row(text, "interrupts", exits.interrupts, "");
  add_row(text, "traps", all_traps(exits),
          parts({{exits.control_traps, "PMS*"},
                 {exits.buffer_traps, "PMB*"},
                 {exits.identification_traps, "PMBIDR"},
                 {exits.direct, "more without"}}));
}

void add_switches(std::string& text, const SpeSwitchStatistics& switches, std::uint64_t refused) {
  add_row(text, "entries", switches.entries, parts({{refused, "refused"}}));
  add_row(text, "registers moved", switches.moves(),
          fmt::format("{:.2f} per entry", per_entry(switches.moves(), switches)));
  add_row(text, "  the host's", switches.host_saved + switches.host_loaded,
          parts({{switches.host_saved, "saved"}, {switches.host_loaded, "loaded"}}));
  add_row(text, "  the guest's", switches.guest_loaded + switches.guest_saved,
          parts({{switches.guest_loaded, "loaded"}, {switches.guest_saved, "saved"}}));
  add_row(text, "buffers drained", switches.drains(),
          fmt::format("{:.2f} per entry", per_entry(switches.drains(), switches)));
  if (switches.host_drains != 0) add_row(text, "  the host's", switches.host_drains, "");
}

void add_pins(std::string& text, const BufferPins& pins) {
  const auto& statistics = pins.statistics();
  add_row(text, "buffers pinned", statistics.pins,
          parts({{statistics.hits, "reused"},
                 {statistics.rewalks, "walked again"},
                 {statistics.evictions, "evicted"},
                 {pins.refused(), "refused"}}));
  if (!pins.why_refused().empty()) {
    fmt::format_to(std::back_inserter(text), "vpmu: not pinned: {}\n", pins.why_refused());
  }
}

void add_memory(std::string& text, const SpeMemory& memory) {
  add_row(text, "bytes locked", locked_bytes(memory),
          parts({{memory.metadata_bytes(), "bytes of tables"},
                 {memory.stage2_faults(), "faults of stage 2"}}));
}

std::string fault_text(Pmbsr syndrome) {
  const bool external = syndrome.get(Pmbsr::kEa) != 0;
  const char* const stage = syndrome.get(Pmbsr::kEc) == Pmbsr::kEcStage2 ? "stage 2" : "stage 1";
  return external ? "an external abort"
                  : fmt::format("a fault of {}, {:#04x},", stage, syndrome.get(Pmbsr::kBsc));
}

std::string trouble_text(const SpeTrouble& trouble) {
  using Kind = SpeTrouble::Kind;
  switch (trouble.kind) {
    case Kind::kMisprogrammed:
      return fmt::format(
          "no record can go to PMBPTR_EL1 {:#x} of a buffer up to {:#x}: a sample is lost, and the "
          "guest is told that the buffer is full",
          trouble.pointer, trouble.limit);
    case Kind::kTooLarge:
      return fmt::format(
          "the guest's buffer, {:#x} to {:#x}, is larger than it may be: it is told so, and "
          "nothing is sampled",
          trouble.pointer, trouble.limit);
    case Kind::kUnavailable:
      return fmt::format(
          "the guest's buffer, {:#x} to {:#x}, cannot be had: it is told of an external abort, and "
          "nothing is sampled",
          trouble.pointer, trouble.limit);
    case Kind::kFault:
      return fmt::format("{} at {:#x} in the guest's buffer: a record is lost",
                         fault_text(trouble.syndrome), trouble.pointer);
    case Kind::kReplaced:
      return fmt::format(
          "{} at {:#x} in the guest's buffer: a record is lost, and the guest is told of an "
          "external abort instead",
          fault_text(trouble.syndrome), trouble.pointer);
  }
  return {};
}

}  // namespace

Json spe_offer(const Machine& machine) {
  const auto& offer = *machine.config().spe;
  return {{"version", machine.vcpus().front()->spe()->version()},
          {"flavour", name(offer.flavour)},
          {"physical_time", offer.physical_time},
          {"exclusive", offer.exclusive},
          {"max_buffer_bytes", offer.max_buffer_bytes},
          {"memory", memory_json(*machine.spe_memory())}};
}

Json spe_of_vcpu(const GuestSpe& spe) {
  const SpeStatistics unit = spe.statistics();
  const SpeExitStatistics& exits = spe.spe().exit_statistics();
  const SpeSwitchStatistics switches = spe.spe().switch_statistics();
  Json json{{"operations", unit.population},
            {"samples", unit.feed},
            {"filtered_out", unit.feed - unit.filtrate},
            {"collisions", unit.collisions},
            {"records", unit.records},
            {"bytes", unit.bytes},
            {"lost", unit.lost},
            {"discarded", discarded(unit)},
            {"buffer_events", buffer_events(exits)},
            {"interrupts", exits.interrupts},
            {"traps", traps(exits)},
            {"direct_accesses", exits.direct},
            {"entries", switches.entries},
            {"refused_entries", exits.refused},
            {"registers", registers(switches)},
            {"drains", drains(switches)}};
  if (spe.buffer_pins() != nullptr) json["pinned_buffers"] = pinned_buffers(*spe.buffer_pins());
  return json;
}

std::string spe_summary(const Machine& machine) {
  std::string text;
  for (const auto& vcpu : machine.vcpus()) {
    const GuestSpe* const spe = vcpu->spe();
    if (spe == nullptr || !used(spe->spe().exit_statistics())) continue;
    fmt::format_to(std::back_inserter(text), "vpmu: SPE of vCPU {}, {}\n", vcpu->index(),
                   name(machine.config().spe->flavour));
    const SpeExitStatistics& exits = spe->spe().exit_statistics();
    add_samples(text, spe->statistics());
    add_exits(text, exits);
    add_switches(text, spe->spe().switch_statistics(), exits.refused);
    if (spe->buffer_pins() != nullptr) add_pins(text, *spe->buffer_pins());
  }
  if (!text.empty()) add_memory(text, *machine.spe_memory());
  return text;
}

std::string spe_warning(unsigned vcpu, const SpeTrouble& trouble) {
  return fmt::format("vpmu: vCPU {}: SPE: {}\n", vcpu, trouble_text(trouble));
}

void SpeWarnings::attach(Machine& machine) {
  for (const auto& vcpu : machine.vcpus()) {
    if (vcpu->spe() == nullptr) continue;
    vcpu->spe()->spe().set_observer(&vcpus_.emplace_back(vcpu->index()));
  }
}

void SpeWarnings::OfVcpu::spe_trouble(const SpeTrouble& trouble) {
  fmt::print(stderr, "{}", spe_warning(vcpu_, trouble));
}

}  // namespace vpmu::cli
