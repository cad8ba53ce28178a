// SPDX-License-Identifier: MIT
//
// Operations that are sampled: one instruction by itself, and what can be said of it.
#include <algorithm>

#include "machine/arm64/cpu_private.hpp"
#include "machine/arm64/identity.hpp"
#include "machine/arm64/memory_operand.hpp"
#include "machine/arm64/operation.hpp"

namespace vpmu::machine::arm64 {

using silicon::arm64::SpeDataSource;
using silicon::arm64::SpeOperation;

namespace {

// What an access costs on top of one that hits, in cycles: for records only, since machine time
// does not depend on the memory model.
constexpr std::uint32_t kFirstLevel = 4, kSecondLevel = 11, kLastLevel = 35, kMemory = 180;
constexpr std::uint32_t kSecondLevelTlb = 7, kWalk = 35, kMispredicted = 11;

/// What costs something on Neoverse cores when an access is misaligned.
bool crosses_line(const MemoryOperand& operand) {
  const std::uint64_t last = operand.address + operand.bytes - 1;
  return operand.address / kCacheLineBytes != last / kCacheLineBytes;
}

/// How often an event had happened before, and since.
class Since {
 public:
  Since(const silicon::RetireTotals& totals, RawEvent event)
      : totals_{totals}, event_{event}, before_{now()} {}
  [[nodiscard]] bool happened() const { return now() != before_; }

 private:
  [[nodiscard]] std::uint64_t now() const { return totals_.held(event_, silicon::kAllPrivileges); }
  const silicon::RetireTotals& totals_;
  const RawEvent event_;
  const std::uint64_t before_;
};

/// What the memory model says of the accesses of one instruction.
struct MemorySince {
  explicit MemorySince(const silicon::RetireTotals& totals)
      : l1d{totals, RawEvent::kL1dMisses},
        references{totals, RawEvent::kLlcReferences},
        misses{totals, RawEvent::kLlcMisses},
        dtlb{totals, RawEvent::kDtlbMisses},
        walks{totals, RawEvent::kDtlbWalks} {}

  void tell(SpeOperation& operation) const;

  Since l1d, references, misses, dtlb, walks;
};

void MemorySince::tell(SpeOperation& operation) const {
  using namespace silicon::arm64;
  if (walks.happened()) {
    operation.events |= kSpeTlbWalk;
    operation.translation_latency = kWalk;
  } else if (dtlb.happened()) {
    operation.translation_latency = kSecondLevelTlb;
  }
  auto source = SpeDataSource::kL1d;
  std::uint32_t latency = kFirstLevel;
  if (l1d.happened()) {
    operation.events |= kSpeL1dRefill;
    source = SpeDataSource::kL2;
    latency = kSecondLevel;
  }
  if (references.happened()) {
    operation.events |= kSpeLlcAccess;
    source = SpeDataSource::kSystemCache;
    latency = kLastLevel;
  }
  if (misses.happened()) {
    operation.events |= kSpeLlcMiss;
    source = SpeDataSource::kDram;
    latency = kMemory;
  }
  operation.total_latency += operation.translation_latency + (operation.loads ? latency : 0);
  if (operation.loads) operation.source = source;
}

}  // namespace

/// Runs the next instruction by itself and tells the environment of it, if it retires. Without the
/// memory model every access is one that hits.
void Cpu::Private::run_sampled() {
  using namespace silicon::arm64;
  exact_fails = false;
  ++samples_taken[at(level)];
  const std::uint32_t word = next_word();
  const std::uint64_t pc = registers.pc();
  const Since retired{totals, RawEvent::kInstructions};
  const Since mispredicted{totals, RawEvent::kMispredictedBranches};
  const MemorySince memory_since{totals};

  SpeOperation operation;
  operation.pc = {pc, static_cast<std::uint8_t>(level)};
  operation.type = operation_type(word);
  operation.total_latency = 2;
  operation.issue_latency = 1;
  operation.context_el1 = static_cast<std::uint32_t>(core.contextidr);
  const bool branches = operation.type.of == SpeOperationType::Class::kBranch;
  const auto operand = memory_operand(word, registers);
  if (operand) {
    const MemoryKind kind = memory_kind(word);
    operation.loads = kind.load;
    operation.stores = kind.store;
    operation.has_address = true;
    operation.virtual_address = operand->address;
    operation.physical_address = accesses.look_up(operand->address).value_or(0);
    operation.events |= kSpeL1dAccess | kSpeTlbAccess;
    if (crosses_line(*operand)) operation.events |= kSpeMisaligned;
  }
  if (condition_fails(word, registers.nzcv()).value_or(false)) operation.events |= kSpeNotTaken;

  Limits alone;
  run_step(alone);
  if (!retired.happened()) return;

  if (operand) memory_since.tell(operation);
  if (branches) {
    const SpeOperation::Place to{registers.pc(), static_cast<std::uint8_t>(level)};
    const bool falls_through =
        branch_kind(word) == BranchKind::kConditional && to.address == pc + kInstructionBytes;
    if (falls_through) {
      operation.events |= kSpeNotTaken;
    } else {
      operation.target = to;
    }
    if (mispredicted.happened()) {
      operation.events |= kSpeMispredicted;
      operation.total_latency += kMispredicted;
    }
  }
  environment.sampled(operation);
}

}  // namespace vpmu::machine::arm64
