// SPDX-License-Identifier: MIT
//
// What samples of a guest must say, found out without any of what makes samples: the guest runs on
// a second machine, is paused in front of every operation that is to be sampled, and executes that
// one by itself. What it is and what it accesses, VIXL says; where that is, tables that are walked
// here; what the caches did, counters; how long it took, the sum of what docs/abi/spe.md says.
//
//   spe_truth IMAGE INTERVAL MODEL VCPUS QUANTUM modelled|flat [ARGUMENTS]
//
// samples one in INTERVAL + 1 of each vCPU, without anything random, and prints a line of KEY=VALUE
// for each, behind one with the frequency of the generic counter. flat: caches, TLBs and branch
// prediction are not modelled.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/spe_truth/page_walk.hpp"
#include "machine/arm64/instruction_kinds.hpp"
#include "machine/arm64_board/machine.hpp"
#include "machine/silent_console.hpp"
#include "unit/arm64_vixl/plain_registers.hpp"
#include "unit/arm64_vixl/vixl_text.hpp"

namespace vpmu::machine::arm64 {
namespace {

using silicon::RawEvent;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "spe_truth: %s\n", why.c_str());
  std::exit(2);
}

// ---- What the vCPU is, and what it has counted --------------------------------------------------

/// Of which records say something.
struct Counts {
  std::uint64_t l1d = 0, references = 0, misses = 0, tlb = 0, walks = 0, mispredicted = 0;
};
Counts counts_of(const silicon::RetireTotals& totals) {
  const auto read = [&totals](RawEvent event) {
    return totals.read(event, silicon::kAllPrivileges);
  };
  return {read(RawEvent::kL1dMisses), read(RawEvent::kLlcReferences),
          read(RawEvent::kLlcMisses), read(RawEvent::kDtlbMisses),
          read(RawEvent::kDtlbWalks), read(RawEvent::kMispredictedBranches)};
}

// ---- An operation -------------------------------------------------------------------------------

/// ERET, which VIXL does not know.
constexpr std::uint32_t kEret = 0xd69f'03e0;

/// Whether the condition that the text ends with holds. Aliases name the opposite of the one in
/// the instruction.
bool fails_condition(std::string_view text, std::uint32_t nzcv) {
  constexpr std::string_view kConditions[] = {"eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc",
                                              "hi", "ls", "ge", "lt", "gt", "le", "al", "nv"};
  constexpr std::string_view kAliases[] = {"cset ", "csetm ", "cinc ", "cinv ", "cneg "};
  unsigned condition = 16;
  for (unsigned n = 0; n < 16; ++n) {
    if (text.ends_with(kConditions[n])) condition = n;
  }
  if (condition == 16) give_up("no condition in: " + std::string{text});
  for (const std::string_view alias : kAliases) {
    if (text.starts_with(alias)) condition ^= 1;
  }
  const bool n = nzcv >> 31 & 1, z = nzcv >> 30 & 1, c = nzcv >> 29 & 1, v = nzcv >> 28 & 1;
  const bool holds[] = {z, c, n, v, c && !z, n == v, n == v && !z, true};
  return condition < 14 && holds[condition / 2] == ((condition & 1) != 0);
}

class Truth {
 public:
  /// The vCPU is in front of it.
  Truth(Machine& machine, unsigned vcpu, std::uint64_t number)
      : machine_{machine},
        vcpu_{*machine.vcpus()[vcpu]},
        number_{number},
        level_{vcpu_.cpu().core().el == ExceptionLevel::kEl0 ? 0U : 1U},
        before_{counts_of(vcpu_.totals())} {}

  /// It has retired.
  void print_end();

 private:
  [[nodiscard]] const Core& core() const { return vcpu_.cpu().core(); }
  [[nodiscard]] std::uint64_t physical(std::uint64_t address) const;
  [[nodiscard]] std::uint32_t word_at(std::uint64_t address) const;
  void look_for_handler();
  void decode();
  [[nodiscard]] std::uint64_t events() const;
  void print_latency(const char* source) const;

  Machine& machine_;
  Vcpu& vcpu_;
  const std::uint64_t number_;
  PlainRegisters registers_{vcpu_.cpu().registers()};
  unsigned level_;
  Counts before_, after_;
  InstructionText text_;
  bool returns_from_exception_ = false, taken_ = false;
};

std::uint64_t Truth::physical(std::uint64_t address) const {
  const auto found = walk(core(), machine_.board().memory, address);
  if (!found) give_up("sample " + std::to_string(number_) + ": an address that is not mapped");
  return *found;
}

std::uint32_t Truth::word_at(std::uint64_t address) const {
  const std::uint8_t* const bytes = machine_.board().memory.host(physical(address), 4);
  if (bytes == nullptr) give_up("code that is not in RAM");
  std::uint32_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

/// An interrupt or a fault came before: what retired is the first instruction of its handler.
void Truth::look_for_handler() {
  const std::uint64_t now = vcpu_.cpu().registers().pc();
  const bool exceptional = (word_at(registers_.pc()) & 0xff00'0000) == 0xd400'0000;  // SVC, ...
  const std::uint64_t begin = (now - 4) & ~std::uint64_t{0x7f};
  const bool in_vectors = now - core().vbar < 0x800;
  if (!in_vectors || now != begin + 4 || exceptional || registers_.pc() == begin) return;
  if (level_ == 0) registers_.set_sp(vcpu_.cpu().save().core.sp_el[1]);
  registers_.set_pc(begin);
  level_ = 1;
}

void Truth::decode() {
  static VixlText vixl;
  const std::uint32_t word = word_at(registers_.pc());
  returns_from_exception_ = word == kEret;
  if (returns_from_exception_) {
    text_ = {.text = "eret"};
    return;
  }
  auto text = vixl.read(word);
  char digits[16];
  std::snprintf(digits, sizeof digits, "%08" PRIx32, word);
  if (!text) give_up(std::string{"VIXL does not know the instruction "} + digits);
  text_ = *text;
}

std::uint64_t Truth::events() const {
  std::uint64_t events = 1 << 1;
  const auto add = [&events](unsigned bit, bool happened) {
    if (happened) events |= std::uint64_t{1} << bit;
  };
  const bool branches = text_.branch != BranchKind::kNone || returns_from_exception_;
  add(6, branches && !taken_);
  add(6, text_.conditional && fails_condition(text_.text, registers_.nzcv()));
  add(7, branches && after_.mispredicted != before_.mispredicted);
  if (!text_.access) return events;
  add(2, true);
  add(3, after_.l1d != before_.l1d);
  add(4, true);
  add(5, after_.walks != before_.walks);
  add(8, after_.references != before_.references);
  add(9, after_.misses != before_.misses);
  const std::uint64_t first = text_.access->where.address(registers_);
  add(11, first / kCacheLineBytes != (first + text_.access->bytes - 1) / kCacheLineBytes);
  return events;
}

void Truth::print_latency(const char* source) const {
  unsigned total = 2, translation = 0;
  if (text_.access) {
    if (after_.tlb != before_.tlb) translation = 7;
    if (after_.walks != before_.walks) translation = 35;
    total += translation;
  }
  if (source != nullptr) {
    const std::string_view from = source;
    total += from == "L1" ? 4 : from == "L2" ? 11 : from == "LLC" ? 35 : 180;
    std::printf(" source=%s", source);
  }
  const bool branches = text_.branch != BranchKind::kNone || returns_from_exception_;
  if (branches && after_.mispredicted != before_.mispredicted) total += 11;
  std::printf(" total=%u issue=1", total);
  if (text_.access) std::printf(" translation=%u", translation);
}

void Truth::print_end() {
  after_ = counts_of(vcpu_.totals());
  look_for_handler();
  decode();
  const std::uint64_t now = vcpu_.cpu().registers().pc();
  const bool branches = text_.branch != BranchKind::kNone || returns_from_exception_;
  taken_ = text_.branch != BranchKind::kConditional || now != registers_.pc() + 4;
  std::printf("vcpu=%u pc=%" PRIx64 " level=%u", vcpu_.index(), registers_.pc(), level_);
  const char* source = nullptr;
  if (branches) {
    const bool plain = text_.branch == BranchKind::kDirect || text_.branch == BranchKind::kCall;
    const bool conditional = text_.branch == BranchKind::kConditional;
    std::printf(" kind=branch%s", conditional ? ",conditional" : plain ? "" : ",indirect");
    if (taken_) {
      std::printf(" target=%" PRIx64 " target_level=%u", now,
                  core().el == ExceptionLevel::kEl0 ? 0U : 1U);
    }
  } else if (text_.access) {
    const AccessText& access = *text_.access;
    const std::uint64_t address = access.where.address(registers_);
    std::printf(" kind=%s%s%s%s%s", access.loads ? "load" : "store", access.simd ? ",simd" : "",
                access.atomic ? ",atomic" : "", access.exclusive ? ",exclusive" : "",
                access.ordered ? ",ordered" : "");
    std::printf(" address=%" PRIx64 " physical=%" PRIx64, address, physical(address));
    if (access.loads) {
      source = after_.misses != before_.misses           ? "DRAM"
               : after_.references != before_.references ? "LLC"
               : after_.l1d != before_.l1d               ? "L2"
                                                         : "L1";
    }
  } else {
    std::printf(" kind=other%s", text_.conditional ? ",conditional" : "");
  }
  print_latency(source);
  const auto& clock = machine_.clock();
  const std::uint64_t hz = machine_.config().model->counter_hz;
  std::printf(" events=%" PRIx64 " time=%" PRIu64 "\n", events(),
              clock.from_cycles(machine_.now(), hz));
}

// ---- The run ------------------------------------------------------------------------------------

class Run {
 public:
  Run(Machine& machine, std::uint64_t interval, bool models_memory);

  void to_the_end();

 private:
  [[nodiscard]] std::uint64_t left(unsigned vcpu) const {
    return next_[vcpu] - machine_.vcpus()[vcpu]->instructions();
  }
  /// Of all vCPUs together. False: the guest has come to its end.
  bool go_on(std::uint64_t instructions) {
    const std::uint64_t to = machine_.instructions() + instructions;
    return machine_.run({.pause_at = to}).reason == Outcome::Reason::kPaused;
  }
  bool step();

  Machine& machine_;
  const std::uint64_t interval_;
  std::vector<std::uint64_t> next_;  ///< by vCPU: which of its operations
};

Run::Run(Machine& machine, std::uint64_t interval, bool models_memory)
    : machine_{machine}, interval_{interval}, next_(machine.vcpus().size(), interval + 1) {
  if (!models_memory) return;
  for (const auto& vcpu : machine.vcpus()) {
    vcpu->totals().demand(RawEvent::kL1dMisses);
    vcpu->totals().demand(RawEvent::kMispredictedBranches);
  }
}

/// One operation of whoever has its turn.
bool Run::step() {
  std::vector<std::optional<Truth>> truths(next_.size());
  for (unsigned vcpu = 0; vcpu < next_.size(); ++vcpu) {
    if (left(vcpu) == 1) truths[vcpu].emplace(machine_, vcpu, next_[vcpu]);
  }
  const bool goes_on = go_on(1);
  for (unsigned vcpu = 0; vcpu < next_.size(); ++vcpu) {
    if (left(vcpu) != 0) continue;
    truths[vcpu]->print_end();
    next_[vcpu] += interval_ + 1;
  }
  return goes_on;
}

void Run::to_the_end() {
  std::printf("counter_hz=%" PRIu64 "\n", machine_.config().model->counter_hz);
  for (bool goes_on = true; goes_on;) {
    std::uint64_t least = left(0);
    for (unsigned vcpu = 1; vcpu < next_.size(); ++vcpu) least = std::min(least, left(vcpu));
    goes_on = least > 1 ? go_on(least - 1) : step();
  }
}

}  // namespace
}  // namespace vpmu::machine::arm64

int main(int count, char** words) {
  using namespace vpmu;
  using namespace vpmu::machine::arm64;
  if (count < 7) {
    give_up("spe_truth IMAGE INTERVAL MODEL VCPUS QUANTUM modelled|flat [ARGUMENTS]");
  }
  const auto number = [words](int word) { return std::strtoull(words[word], nullptr, 10); };
  MachineConfig config;
  config.model = silicon::arm64::find_cpu_model(words[3]);
  if (config.model == nullptr) give_up("no such CPU model");
  config.vcpus = static_cast<unsigned>(number(4));
  config.quantum = number(5);
  machine::SilentConsole console;
  auto machine = Machine::create(config, console);
  if (!machine) give_up(machine.error().message);
  const auto loaded =
      (*machine)->load({.image = words[1], .arguments = count > 7 ? words[7] : "", .modules = {}});
  if (!loaded) give_up(loaded.error().message);
  Run{**machine, number(2), std::string_view{words[6]} != "flat"}.to_the_end();
}
