// SPDX-License-Identifier: MIT
#include "branches.h"

#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/traps.h"

enum { VECTOR_RETURN = 0x84, VECTOR_USER_END = 0x85, VECTOR_CALLING = 0x86, VECTOR_PENDING = 0x63 };

void near_branches(struct pmu_switch start);
void many_branches(struct pmu_switch start);
void far_branches(struct pmu_switch start);
void kernel_and_user(struct pmu_switch start);
void calls_in_both(struct pmu_switch start);
extern const struct branch near_begin[], near_end[], many_begin[], many_end[], far_begin[],
    far_end[], both_begin[], both_end[], calls_begin[], calls_end[];
extern const char return_handler[], skip_two_handler[], skip_fault_handler[], interrupt_handler[],
    syscall_handler[], sysenter_handler[], user_end[], calling_handler[];

const struct piece pieces[PIECES] = {
    {"near branches", near_branches, near_begin, near_end},
    {"more branches than records", many_branches, many_begin, many_end},
    {"far branches", far_branches, far_begin, far_end},
    {"between kernel and user mode", kernel_and_user, both_begin, both_end},
    {"calls in kernel and user mode", calls_in_both, calls_begin, calls_end},
};

static void gate(unsigned vector, unsigned dpl, const char* handler) {
  set_gate(vector, dpl, 0);
  set_gate_target(vector, (uint64_t)handler);
}

void branches_start(void) {
  gate(VECTOR_RETURN, 3, return_handler);
  gate(VECTOR_BP, 3, return_handler);
  gate(VECTOR_UD, 0, skip_two_handler);
  gate(VECTOR_PF, 0, skip_fault_handler);
  gate(VECTOR_PENDING, 0, interrupt_handler);
  gate(VECTOR_USER_END, 3, user_end);
  gate(VECTOR_CALLING, 3, calling_handler);
  wrmsr(MSR_LSTAR, (uint64_t)syscall_handler);
  wrmsr(MSR_SYSENTER_EIP, (uint64_t)sysenter_handler);
  wrmsr(MSR_SYSENTER_ESP, current_tss()->rsp[0]);
  apic_start();
}

void run_piece(const struct piece* piece, struct pmu_switch start) {
  apic_send(ICR_ASSERT | ICR_SELF | VECTOR_PENDING, 0);  // comes when the piece lets it
  piece->run(start);
}

unsigned expected_records(const struct piece* piece, uint64_t what,
                          struct branch expected[MOST_BRANCHES]) {
  unsigned count = 0;
  for (const struct branch* b = piece->end; b != piece->branches && count < lbr.depth;) {
    --b;
    if ((what & b->what) != 0 && (what & b->ends_in) != 0) expected[count++] = *b;
  }
  return count;
}

static const char* wrong_with(const struct lbr_record* record, const struct branch* branch) {
  if (record->from != branch->from) return "FROM";
  if (record->to != branch->to) return "TO";
  if (record->type >= 0 && 1u << (16 + record->type) != branch->what) return "type";
  if (record->mispredicted && branch->mispredicted == BRANCH_NEVER) return "misprediction";
  return 0;
}

bool runs_as_expected(const struct piece* piece, uint64_t what,
                      struct lbr_record records[LBR_MOST]) {
  static struct branch expected[MOST_BRANCHES];
  const unsigned count = expected_records(piece, what, expected);
  lbr_clear();
  run_piece(piece, lbr_arm(what));
  const unsigned found = lbr_read_all(records);
  for (unsigned age = 0; age < count && age < found; ++age) {
    const char* wrong = wrong_with(&records[age], &expected[age]);
    if (wrong == 0) continue;
    print("      (%s, filter 0x%lx, record %u: %s is wrong: %lx to %lx, should be %lx to %lx)\n",
          piece->name, what, age, wrong, records[age].from, records[age].to, expected[age].from,
          expected[age].to);
    return false;
  }
  if (found == count) return true;
  print("      (%s, filter 0x%lx: %u records, should be %u)\n", piece->name, what, found, count);
  return false;
}
