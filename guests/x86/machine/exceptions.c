// SPDX-License-Identifier: MIT
//
// Every exception that can be raised without special hardware: right vector, right error code,
// right address, nothing changed.
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

#define ATTEMPT static __attribute__((noinline, noclone)) void
#define LABEL(name) extern const char name[];
#define UNMAPPED 0x1000000000ULL         // 64 GiB: above the identity map
#define NON_CANONICAL 0x800000000000ULL  // bit 47 not extended

// ---- Faults: the saved RIP is the instruction
// ---------------------------------------------------------

LABEL(at_divide)
ATTEMPT divide_by_zero(void* unused) {
  (void)unused;
  __asm__ volatile("xor %%ecx, %%ecx\nmov $7, %%eax\ncltd\nat_divide: idiv %%ecx"
                   :
                   :
                   : "eax", "ecx", "edx");
}
ATTEMPT divide_overflow(void* unused) {
  (void)unused;
  __asm__ volatile("mov $1, %%ecx\nmov $1, %%edx\nxor %%eax, %%eax\ndiv %%ecx"
                   :
                   :
                   : "eax", "ecx", "edx");
}
ATTEMPT divide_smallest(void* unused) {
  (void)unused;
  __asm__ volatile("mov $-1, %%rcx\nmov $1, %%eax\nror $1, %%rax\ncqto\nidiv %%rcx"
                   :
                   :
                   : "rax", "rcx", "rdx");
}
LABEL(at_ud2)
ATTEMPT undefined(void* unused) {
  (void)unused;
  __asm__ volatile("at_ud2: ud2");
}
ATTEMPT lock_without_memory(void* unused) {
  (void)unused;
  __asm__ volatile(".byte 0xf0, 0x48, 0x01, 0xc0");  // LOCK ADD RAX, RAX
}
ATTEMPT push_es(void* unused) {
  (void)unused;
  __asm__ volatile(".byte 0x06");  // PUSH ES: not in 64-bit mode
}
ATTEMPT fpu_with_ts(void* unused) {
  (void)unused;
  write_cr0(read_cr0() | CR0_TS);
  __asm__ volatile("fnop");
}
ATTEMPT sse_with_ts(void* unused) {
  (void)unused;
  write_cr0(read_cr0() | CR0_TS);
  __asm__ volatile("xorps %xmm0, %xmm0");
}
ATTEMPT sse_with_em(void* unused) {
  (void)unused;
  write_cr0(read_cr0() | CR0_EM);
  __asm__ volatile("xorps %xmm0, %xmm0");
}
ATTEMPT load_ds(void* selector) {
  __asm__ volatile("mov %w0, %%ds" : : "r"(selector));
}
ATTEMPT load_ss(void* selector) {
  __asm__ volatile("mov %w0, %%ss" : : "r"(selector));
}
ATTEMPT load_tr(void* selector) {
  __asm__ volatile("ltr %w0" : : "r"(selector));
}
ATTEMPT load_ldtr(void* selector) {
  __asm__ volatile("lldt %w0" : : "r"(selector));
}
ATTEMPT far_return(void* selector) {
  __asm__ volatile("push %0\npush $0\nlretq" : : "r"(selector) : "memory");
}
ATTEMPT read_address(void* address) {
  __asm__ volatile("mov (%0), %%rax" : : "r"(address) : "rax");
}
ATTEMPT read_stack_address(void* address) {
  __asm__ volatile("push %%rbp\nmov %0, %%rbp\nmov (%%rbp), %%rax\npop %%rbp"
                   :
                   : "r"(address)
                   : "rax");
}
ATTEMPT write_address(void* address) {
  __asm__ volatile("mov %%rax, (%0)" : : "r"(address) : "memory");
}
ATTEMPT jump_to(void* address) {
  __asm__ volatile("jmp *%0" : : "r"(address));
}
ATTEMPT write_unknown_msr(void* unused) {
  (void)unused;
  wrmsr(0x12345678, 0);
}
ATTEMPT read_unknown_msr(void* unused) {
  (void)unused;
  rdmsr(0x12345678);
}
ATTEMPT write_non_canonical_base(void* unused) {
  (void)unused;
  wrmsr(MSR_FS_BASE, NON_CANONICAL);
}
ATTEMPT set_reserved_cr4(void* unused) {
  (void)unused;
  write_cr4(read_cr4() | 1ULL << 63);
}
ATTEMPT paging_without_protection(void* unused) {
  (void)unused;
  write_cr0(read_cr0() & ~1ULL);
}
ATTEMPT clear_pae(void* unused) {
  (void)unused;
  write_cr4(read_cr4() & ~0x20ULL);
}
ATTEMPT misaligned_movaps(void* unused) {
  (void)unused;
  static char bytes[32] __attribute__((aligned(16)));
  __asm__ volatile("movaps (%0), %%xmm0" : : "r"(bytes + 1));
}
ATTEMPT int_with_unusable_gate(void* unused) {
  (void)unused;
  __asm__ volatile("int $0x90");
}
ATTEMPT push_to(void* stack) {
  __asm__ volatile("mov %0, %%rsp\npush %%rax" : : "r"(stack) : "memory");
}

static void check_faults(void) {
  struct trap trap = guard(divide_by_zero, 0);
  CHECK(trap.vector == VECTOR_DE && trap.rip == (uint64_t)at_divide && trap.rax == 7,
        "IDIV by zero raises #DE at the IDIV and changes nothing");
  CHECK(expect_fault(VECTOR_DE, 0, divide_overflow, 0), "a quotient that does not fit raises #DE");
  CHECK(expect_fault(VECTOR_DE, 0, divide_smallest, 0), "the smallest integer by -1 raises #DE");

  trap = guard(undefined, 0);
  CHECK(trap.vector == VECTOR_UD && trap.rip == (uint64_t)at_ud2, "UD2 raises #UD at the UD2");
  CHECK(expect_fault(VECTOR_UD, 0, lock_without_memory, 0), "LOCK with a register raises #UD");
  CHECK(expect_fault(VECTOR_UD, 0, push_es, 0), "PUSH ES raises #UD in 64-bit mode");

  const uint64_t cr0 = read_cr0();
  CHECK(expect_fault(VECTOR_NM, 0, fpu_with_ts, 0), "x87 with CR0.TS raises #NM");
  CHECK(expect_fault(VECTOR_NM, 0, sse_with_ts, 0), "SSE with CR0.TS raises #NM");
  write_cr0(cr0);
  CHECK(expect_fault(VECTOR_UD, 0, sse_with_em, 0), "SSE with CR0.EM raises #UD");
  write_cr0(cr0);

  load_ldtr(0);
  void* not_present = (void*)SELECTOR_NOT_PRESENT;
  CHECK(expect_fault(VECTOR_NP, SELECTOR_NOT_PRESENT, load_ds, not_present),
        "loading DS with a segment that is not present raises #NP(selector)");
  CHECK(expect_fault(VECTOR_SS, SELECTOR_NOT_PRESENT, load_ss, not_present),
        "loading SS with a segment that is not present raises #SS(selector)");
  CHECK(expect_fault(VECTOR_GP, 0xfff8, load_ds, (void*)0xfff8),
        "a selector beyond the GDT raises #GP(selector)");
  CHECK(expect_fault(VECTOR_GP, 0x0c, load_ds, (void*)0x0c),
        "a selector into an empty LDT raises #GP(selector)");
  CHECK(expect_fault(VECTOR_GP, SELECTOR_KERNEL_CODE, load_ss, (void*)SELECTOR_KERNEL_CODE),
        "loading SS with a code segment raises #GP(selector)");
  CHECK(expect_fault(VECTOR_GP, SELECTOR_KERNEL_DATA, load_tr, (void*)SELECTOR_KERNEL_DATA),
        "LTR of a data segment raises #GP(selector)");
  CHECK(expect_fault(VECTOR_GP, SELECTOR_TSS, load_tr, (void*)SELECTOR_TSS),
        "LTR of a busy TSS raises #GP(selector)");
  CHECK(expect_fault(VECTOR_GP, SELECTOR_KERNEL_DATA, load_ldtr, (void*)SELECTOR_KERNEL_DATA),
        "LLDT of a data segment raises #GP(selector)");
  CHECK(expect_fault(VECTOR_GP, 0, far_return, 0), "a far return to a null selector raises #GP(0)");

  CHECK(expect_fault(VECTOR_GP, 0, read_address, (void*)NON_CANONICAL),
        "reading a non-canonical address raises #GP(0)");
  CHECK(expect_fault(VECTOR_SS, 0, read_stack_address, (void*)NON_CANONICAL),
        "reading a non-canonical address through RBP raises #SS(0)");
  CHECK(expect_fault(VECTOR_GP, 0, jump_to, (void*)NON_CANONICAL),
        "jumping to a non-canonical address raises #GP(0)");
  CHECK(expect_fault(VECTOR_GP, 0, write_unknown_msr, 0), "WRMSR of no MSR raises #GP(0)");
  CHECK(expect_fault(VECTOR_GP, 0, read_unknown_msr, 0), "RDMSR of no MSR raises #GP(0)");
  CHECK(expect_fault(VECTOR_GP, 0, write_non_canonical_base, 0),
        "a non-canonical FS base raises #GP(0)");
  CHECK(expect_fault(VECTOR_GP, 0, set_reserved_cr4, 0), "a reserved CR4 bit raises #GP(0)");
  CHECK(expect_fault(VECTOR_GP, 0, paging_without_protection, 0),
        "CR0.PG without PE raises #GP(0)");
  CHECK(expect_fault(VECTOR_GP, 0, clear_pae, 0), "clearing CR4.PAE in long mode raises #GP(0)");
  CHECK(expect_fault(VECTOR_GP, 0, misaligned_movaps, 0), "misaligned MOVAPS raises #GP(0)");

  set_gate(0x90, 0, 0);
  set_gate_target(0x90, NON_CANONICAL);
  CHECK(expect_fault(VECTOR_GP, 0, int_with_unusable_gate, 0),
        "a gate to a non-canonical address raises #GP(0)");
}

static void check_page_faults(void) {
  struct trap trap = guard(read_address, (void*)(UNMAPPED + 0x123));
  CHECK(trap.vector == VECTOR_PF && trap.error == 0 && trap.cr2 == UNMAPPED + 0x123,
        "reading an unmapped page raises #PF(0), CR2 to the byte");
  trap = guard(write_address, (void*)(UNMAPPED + 0x456));
  CHECK(trap.vector == VECTOR_PF && trap.error == 2 && trap.cr2 == UNMAPPED + 0x456,
        "writing an unmapped page raises #PF(W)");
  trap = guard(jump_to, (void*)(UNMAPPED + 0x789));
  CHECK(trap.vector == VECTOR_PF && trap.error == 0x10 && trap.cr2 == UNMAPPED + 0x789 &&
            trap.rip == UNMAPPED + 0x789,
        "jumping to an unmapped page raises #PF(I) with RIP there");
}

static void check_double_fault(void) {
  const struct trap trap = guard(push_to, (void*)UNMAPPED);
  CHECK(trap.vector == VECTOR_DF && trap.error == 0,
        "a page fault that cannot be delivered for lack of a stack is a #DF on its own stack");
}

// ---- Traps: the saved RIP is what comes next
// ----------------------------------------------------------

LABEL(after_int3)
LABEL(after_int)
ATTEMPT breakpoint(void* unused) {
  (void)unused;
  __asm__ volatile("int3\nafter_int3: nop");
}
ATTEMPT software_interrupt(void* unused) {
  (void)unused;
  __asm__ volatile("int $0x81\nafter_int: nop");
}

static volatile uint64_t traps_seen, trap_rip[8], trap_dr6;
static void count_trap(struct trap* frame) {
  if (traps_seen < 8) trap_rip[traps_seen] = frame->rip;
  ++traps_seen;
  __asm__ volatile("mov %%dr6, %0" : "=r"(trap_dr6));
  __asm__ volatile("mov %0, %%dr6" : : "r"(0xffff0ff0ULL));
  frame->rflags |= 1 << 16;  // RF: an instruction breakpoint must not trap again
}

LABEL(step_begin)
LABEL(step_1)
LABEL(step_2)
LABEL(step_3)
static __attribute__((noinline, noclone)) void single_step(void) {
  // POPF sets TF: the trap comes after the instruction that follows.
  __asm__ volatile(
      "pushfq\n"
      "orq $0x100, (%%rsp)\n"
      "popfq\n"
      "step_begin: nop\n"
      "step_1: mov $1, %%eax\n"
      "step_2: pushfq\n"
      "step_3: andq $~0x100, (%%rsp)\n"
      "popfq\n"
      "nop\n"
      :
      :
      : "rax", "memory");
}

LABEL(watched_instruction)
LABEL(after_watched_store)
static volatile uint64_t watched;
static __attribute__((noinline, noclone)) void cross_breakpoints(void) {
  __asm__ volatile(
      "watched_instruction: nop\n"
      "movl $1, %0\n"
      "after_watched_store: nop\n"
      : "=m"(watched)
      :
      : "memory");
}

static void check_traps(void) {
  struct trap trap = guard(breakpoint, 0);
  CHECK(trap.vector == VECTOR_BP && trap.rip == (uint64_t)after_int3, "INT3 traps behind itself");
  trap = guard(software_interrupt, 0);
  CHECK(trap.vector == 0x81 && trap.error == 0 && trap.rip == (uint64_t)after_int,
        "INT n goes through its gate, without an error code");

  set_handler(VECTOR_DB, count_trap);
  traps_seen = 0;
  single_step();
  CHECK_EQUAL(traps_seen, 5, "TF traps after each instruction until POPF has cleared it");
  CHECK(trap_rip[0] == (uint64_t)step_1 && trap_rip[1] == (uint64_t)step_2 &&
            trap_rip[2] == (uint64_t)step_3 && (trap_dr6 >> 14 & 1) == 1,
        "each single-step trap has the next instruction's address and DR6.BS");

  traps_seen = 0;
  __asm__ volatile("mov %0, %%dr0" : : "r"(watched_instruction));
  __asm__ volatile("mov %0, %%dr7" : : "r"(0x402ULL));  // G0, instruction
  cross_breakpoints();
  CHECK(traps_seen == 1 && trap_rip[0] == (uint64_t)watched_instruction && (trap_dr6 & 1) == 1,
        "an instruction breakpoint traps before the instruction, once");
  traps_seen = 0;
  __asm__ volatile("mov %0, %%dr1" : : "r"(&watched));
  __asm__ volatile("mov %0, %%dr7" : : "r"(0x00d00408ULL));  // G1, write, 4 bytes
  cross_breakpoints();
  CHECK(traps_seen == 1 && trap_rip[0] == (uint64_t)after_watched_store && (trap_dr6 & 2) == 2,
        "a data breakpoint traps behind the store");
  __asm__ volatile("mov %0, %%dr7" : : "r"(0x400ULL));
  set_handler(VECTOR_DB, 0);
}

// ---- Floating point
// -----------------------------------------------------------------------------------

ATTEMPT x87_divide_by_zero(void* unused) {
  (void)unused;
  const uint16_t control = 0x37f & ~4;  // divide by zero is not masked
  __asm__ volatile("fninit\nfldcw %0\nfld1\nfldz\nfdivrp\nfwait" : : "m"(control));
}
ATTEMPT sse_divide_by_zero(void* unused) {
  (void)unused;
  const uint32_t mxcsr = 0x1f80 & ~0x200;
  const uint32_t one = 0x3f800000;
  __asm__ volatile("ldmxcsr %0\nmovss %1, %%xmm0\nxorps %%xmm1, %%xmm1\ndivss %%xmm1, %%xmm0"
                   :
                   : "m"(mxcsr), "m"(one));
}
ATTEMPT load_reserved_mxcsr(void* unused) {
  (void)unused;
  const uint32_t mxcsr = 0x80000000;
  __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

static void check_floating_point(void) {
  CHECK(expect_fault(VECTOR_MF, 0, x87_divide_by_zero, 0), "an unmasked x87 exception raises #MF");
  __asm__ volatile("fninit");
  CHECK(expect_fault(VECTOR_XM, 0, sse_divide_by_zero, 0), "an unmasked SSE exception raises #XM");
  const uint32_t mxcsr = 0x1f80;
  __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
  CHECK(expect_fault(VECTOR_GP, 0, load_reserved_mxcsr, 0), "a reserved MXCSR bit raises #GP(0)");
}

// ---- From user mode
// -----------------------------------------------------------------------------------

USER_CODE static void user_hlt(void) {
  __asm__ volatile("hlt");
}
USER_CODE static void user_out(void) {
  __asm__ volatile("out %al, $0x80");
}
USER_CODE static void user_rdmsr(void) {
  __asm__ volatile("rdmsr");
}
USER_CODE static void user_int(void) {
  __asm__ volatile("int $0x81");
}
USER_CODE static void user_int3(void) {
  __asm__ volatile("int3");
}
USER_CODE static void user_read(volatile uint64_t* address) {
  (void)*address;
}
USER_CODE static void user_write(volatile uint64_t* address) {
  *address = 1;
}
USER_CODE static void user_jump(void* address) {
  __asm__ volatile("jmp *%0" : : "r"(address));
}
USER_CODE static void user_popf(void) {
  __asm__ volatile("push $0x3002\npopfq\npushfq\npop %%rax\nint $0x80" : : : "rax");
}
USER_CODE static void user_load_ds(void) {
  __asm__ volatile("mov %0, %%ds" : : "r"(SELECTOR_KERNEL_DATA));
}
USER_CODE static void user_misaligned(void) {
  __asm__ volatile("mov %rsp, %rax\nmov 1(%rax), %ecx\nint $0x80");
}

static struct trap in_user_mode(void* code, void* argument, uint64_t rflags) {
  return run_user(
      (struct user_entry){.rip = (uint64_t)code, .rdi = (uint64_t)argument, .rflags = rflags});
}
static bool user_raises(void* code, void* argument, unsigned vector, uint64_t error) {
  const struct trap trap = in_user_mode(code, argument, 0);
  if (trap.vector == vector && trap.error == error && (trap.cs & 3) == 3) return true;
  print("      (got vector %lu error 0x%lx cs %lx)\n", trap.vector, trap.error, trap.cs);
  return false;
}

static void check_user_mode(void) {
  CHECK(user_raises(user_hlt, 0, VECTOR_GP, 0), "HLT in user mode raises #GP(0)");
  CHECK(user_raises(user_out, 0, VECTOR_GP, 0), "OUT in user mode raises #GP(0)");
  CHECK(user_raises(user_rdmsr, 0, VECTOR_GP, 0), "RDMSR in user mode raises #GP(0)");
  CHECK(user_raises(user_int, 0, VECTOR_GP, 0x81 * 8 + 2),
        "INT n through a kernel gate raises #GP(vector * 8 + IDT)");
  CHECK(user_raises(user_int3, 0, VECTOR_BP, 0), "INT3 is allowed through its gate");
  CHECK(user_raises(user_load_ds, 0, VECTOR_GP, SELECTOR_KERNEL_DATA),
        "a kernel data segment raises #GP(selector) in user mode");
  static volatile uint64_t kernel_data;
  CHECK(user_raises(user_read, (void*)&kernel_data, VECTOR_PF, 5),
        "reading kernel memory raises #PF(U, P)");
  CHECK(user_raises(user_write, (void*)&kernel_data, VECTOR_PF, 7),
        "writing kernel memory raises #PF(U, W, P)");
  CHECK(user_raises(user_write, (void*)UNMAPPED, VECTOR_PF, 6),
        "writing unmapped memory raises #PF(U, W)");
  CHECK(user_raises(user_jump, (void*)check_user_mode, VECTOR_PF, 0x15),
        "jumping to kernel memory raises #PF(U, I, P)");
  struct trap trap = in_user_mode(user_popf, 0, 0);
  CHECK(trap.vector == VECTOR_USER_EXIT && (trap.rax & 0x3000) == 0 && (trap.rax & RFLAGS_IF) != 0,
        "POPF in user mode changes neither IOPL nor IF");

  write_cr0(read_cr0() | CR0_AM);
  trap = in_user_mode(user_misaligned, 0, RFLAGS_AC | RFLAGS_FIXED);
  CHECK(trap.vector == VECTOR_AC && trap.error == 0,
        "a misaligned access with CR0.AM and RFLAGS.AC raises #AC(0) in user mode");
  trap = in_user_mode(user_misaligned, 0, RFLAGS_FIXED);
  CHECK(trap.vector == VECTOR_USER_EXIT, "without RFLAGS.AC it does not");
  write_cr0(read_cr0() & ~(uint64_t)CR0_AM);
}

void guest_main(void) {
  check_faults();
  check_page_faults();
  check_double_fault();
  check_traps();
  check_floating_point();
  check_user_mode();
}
