// SPDX-License-Identifier: MIT
#include "traps.h"

#include "console.h"
#include "cpu.h"

struct gate {
  uint16_t offset_low, selector;
  uint8_t ist, type;
  uint16_t offset_middle;
  uint32_t offset_high, reserved;
};
struct recovery {
  uint64_t rsp;
  uint64_t rflags;
  struct trap trap;
};

extern char trap_entries[], guarded_recovery[], syscall_entry[], sysenter_entry[];
extern uint64_t gdt[];
bool guarded_call(void (*function)(void*), void* argument, uint64_t* stack_at_recovery);
_Noreturn void enter_user(const struct user_entry* entry);
void trap_dispatch(struct trap* frame);

static struct gate idt[256];
static trap_handler handlers[VECTOR_SYSENTER + 1];
static struct recovery* volatile recoveries[MAX_CPUS];
static struct tss task_states[MAX_CPUS];
// For traps from user mode, and for the two interrupt stacks that are set up.
static char trap_stacks[MAX_CPUS][3][STACK_BYTES] __attribute__((aligned(16)));

unsigned current_cpu(void) {
  uint16_t selector;
  __asm__ volatile("str %0" : "=r"(selector));
  return (selector - SELECTOR_TSS) / 16u;
}

struct tss* current_tss(void) {
  return &task_states[current_cpu()];
}

void set_handler(unsigned vector, trap_handler handler) {
  handlers[vector] = handler;
}

void set_gate(unsigned vector, unsigned dpl, unsigned ist) {
  idt[vector].type = (uint8_t)(0x8e | dpl << 5);
  idt[vector].ist = (uint8_t)ist;
}

void set_gate_target(unsigned vector, uint64_t target) {
  idt[vector].offset_low = (uint16_t)target;
  idt[vector].offset_middle = (uint16_t)(target >> 16);
  idt[vector].offset_high = (uint32_t)(target >> 32);
}

static void start_tables(void) {
  for (unsigned vector = 0; vector < 256; ++vector) {
    idt[vector].selector = SELECTOR_KERNEL_CODE;
    set_gate_target(vector, (uint64_t)trap_entries + 16 * vector);
    set_gate(vector, 0, vector == VECTOR_DF ? 1 : 0);
  }
  set_gate(VECTOR_BP, 3, 0);
  set_gate(VECTOR_OF, 3, 0);
  set_gate(VECTOR_USER_EXIT, 3, 0);
}

static void start_task_state(unsigned cpu) {
  struct tss* tss = &task_states[cpu];
  tss->rsp[0] = (uint64_t)trap_stacks[cpu][0] + STACK_BYTES;
  tss->ist[0] = (uint64_t)trap_stacks[cpu][1] + STACK_BYTES;
  tss->ist[1] = (uint64_t)trap_stacks[cpu][2] + STACK_BYTES;
  tss->io_map = sizeof *tss;
  const uint64_t base = (uint64_t)tss;
  const unsigned selector = SELECTOR_TSS + 16 * cpu;
  gdt[selector / 8] =
      (sizeof *tss - 1) | (base & 0xffffff) << 16 | 0x89ULL << 40 | (base >> 24 & 0xff) << 56;
  gdt[selector / 8 + 1] = base >> 32;
  __asm__ volatile("ltr %w0" : : "r"(selector));
}

void traps_start(unsigned cpu) {
  if (cpu == 0) start_tables();
  start_task_state(cpu);
  const struct __attribute__((packed)) {
    uint16_t limit;
    uint64_t base;
  } pointer = {sizeof idt - 1, (uint64_t)idt};
  __asm__ volatile("lidt %0" : : "m"(pointer));
  wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
  wrmsr(MSR_STAR, (uint64_t)(SELECTOR_USER_CODE32) << 48 | (uint64_t)SELECTOR_KERNEL_CODE << 32);
  wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
  wrmsr(MSR_SFMASK, RFLAGS_IF | RFLAGS_TF | RFLAGS_DF | RFLAGS_AC);
  wrmsr(MSR_SYSENTER_CS, SELECTOR_KERNEL_CODE);
  wrmsr(MSR_SYSENTER_EIP, (uint64_t)sysenter_entry);
}

static void dump(const struct trap* t) {
  print("\nunexpected trap %lu, error 0x%lx, on CPU %u\n", t->vector, t->error, current_cpu());
  print("rip %lx:%016lx rsp %lx:%016lx rflags %lx cr2 %lx\n", t->cs, t->rip, t->ss, t->rsp,
        t->rflags, read_cr2());
  print("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", t->rax, t->rbx, t->rcx, t->rdx);
  print("rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", t->rsi, t->rdi, t->rbp, t->r8);
}

void trap_dispatch(struct trap* frame) {
  if (handlers[frame->vector] != 0) {
    handlers[frame->vector](frame);
    return;
  }
  struct recovery* recovery = recoveries[current_cpu()];
  if (recovery == 0) {
    dump(frame);
    panic("nobody handles this");
  }
  const uint64_t cr2 = read_cr2();
  // Field by field up to cr2, which the CPU does not push.
  __builtin_memcpy(&recovery->trap, frame, __builtin_offsetof(struct trap, cr2));
  recovery->trap.cr2 = cr2;
  frame->rip = (uint64_t)guarded_recovery;
  frame->cs = SELECTOR_KERNEL_CODE;
  frame->rflags = recovery->rflags;
  frame->rsp = recovery->rsp;
  frame->ss = SELECTOR_KERNEL_DATA;
}

struct trap guard(void (*function)(void*), void* argument) {
  struct recovery recovery;
  recovery.rflags = (read_rflags() & RFLAGS_IF) | RFLAGS_FIXED;
  recovery.trap.vector = NO_TRAP;
  const unsigned cpu = current_cpu();
  struct recovery* outer = recoveries[cpu];
  recoveries[cpu] = &recovery;
  guarded_call(function, argument, &recovery.rsp);
  recoveries[cpu] = outer;
  return recovery.trap;
}

bool expect_fault(unsigned vector, uint64_t error, void (*function)(void*), void* argument) {
  const struct trap trap = guard(function, argument);
  if (trap.vector == vector && trap.error == error) return true;
  print("      (got vector %lu error 0x%lx, not %u 0x%lx)\n", trap.vector, trap.error, vector,
        error);
  return false;
}

static void enter_user_guarded(void* entry) {
  enter_user(entry);
}

struct trap run_user(struct user_entry entry) {
  if (entry.ss == 0) entry.ss = SELECTOR_USER_DATA;
  if (entry.cs == 0) entry.cs = SELECTOR_USER_CODE;
  if (entry.rsp == 0) entry.rsp = USER_STACK_TOP;
  if (entry.rflags == 0) entry.rflags = RFLAGS_IF | RFLAGS_FIXED;
  return guard(enter_user_guarded, &entry);
}
