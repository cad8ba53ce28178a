// SPDX-License-Identifier: MIT
//
// Every way between user and kernel mode, compatibility mode, and the FS and GS bases.
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

#define ATTEMPT static __attribute__((noinline, noclone)) void

extern char fast_syscall[], fast_sysenter[], user_syscall[], user_plain_syscall[],
    user_after_syscall[], user_sysenter[], user_int[], user32_compute[], user32_into[],
    user32_bound[], user32_memory[];
extern uint64_t syscall_saw_rcx, syscall_saw_r11, syscall_saw_rflags;

static struct trap run(const void* code) {
  return run_user((struct user_entry){.rip = (uint64_t)code});
}

// ---- Interrupt gates
// ----------------------------------------------------------------------------------

static volatile uint64_t frame_address, handler_ss, handler_rflags, frame_cs, frame_ss, frame_rsp;
static void note_frame(struct trap* frame) {
  frame_address = (uint64_t)frame;
  frame_cs = frame->cs;
  frame_ss = frame->ss;
  frame_rsp = frame->rsp;
  uint64_t ss;
  __asm__ volatile("mov %%ss, %0" : "=r"(ss));
  handler_ss = ss;
  handler_rflags = read_rflags();
}

/// The frame ends where the stack began: 22 words of struct trap below the top.
static bool on_stack(uint64_t top) {
  return frame_address + offsetof(struct trap, cr2) == top;
}

static void check_gates(void) {
  set_handler(0x82, note_frame);
  set_gate(0x82, 3, 0);
  struct trap trap = run(user_int);
  CHECK(trap.vector == VECTOR_USER_EXIT && on_stack(current_tss()->rsp[0]),
        "an interrupt from user mode runs on TSS.RSP0");
  CHECK(frame_cs == SELECTOR_USER_CODE && frame_ss == SELECTOR_USER_DATA &&
            frame_rsp == USER_STACK_TOP,
        "with the user's CS, SS and RSP in its frame");
  CHECK((handler_ss & ~3ULL) == 0 && (handler_rflags & RFLAGS_IF) == 0,
        "with a null SS and interrupts off");
  set_gate(0x82, 3, 2);
  trap = run(user_int);
  CHECK(on_stack(current_tss()->ist[1]), "with an IST in the gate it runs on that stack");
  __asm__ volatile("int $0x82");
  CHECK(on_stack(current_tss()->ist[1]) && frame_cs == SELECTOR_KERNEL_CODE,
        "from kernel mode too");
  set_gate(0x82, 3, 0);
  uint64_t rsp;
  __asm__ volatile("mov %%rsp, %0\nint $0x82" : "=&r"(rsp) : : "memory");
  CHECK(frame_rsp == rsp && on_stack(rsp & ~15ULL),
        "without one, kernel mode stays on its stack, aligned to 16 bytes");
}

// ---- SYSCALL, SYSENTER
// --------------------------------------------------------------------------------

static void check_system_calls(void) {
  struct trap trap = run(user_plain_syscall);  // through the runtime's entry
  CHECK(trap.vector == VECTOR_SYSCALL && trap.rip == (uint64_t)user_after_syscall &&
            (trap.rflags & RFLAGS_IF) != 0,
        "SYSCALL leaves the next address in RCX and RFLAGS in R11");

  wrmsr(MSR_LSTAR, (uint64_t)fast_syscall);
  trap = run(user_syscall);
  CHECK(trap.vector == VECTOR_USER_EXIT && trap.rax == 42, "SYSCALL goes in and SYSRET comes back");
  CHECK(trap.r8 == SELECTOR_USER_CODE && trap.r9 == SELECTOR_USER_DATA,
        "SYSRET gives CS and SS from STAR");
  CHECK(syscall_saw_rcx == (uint64_t)user_after_syscall && (syscall_saw_r11 & RFLAGS_IF) != 0 &&
            (syscall_saw_rflags & RFLAGS_IF) == 0,
        "SFMASK clears IF in the kernel only");
  CHECK((trap.rflags & RFLAGS_IF) != 0, "SYSRET restores RFLAGS from R11");

  wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~(uint64_t)EFER_SCE);
  trap = run(user_syscall);
  CHECK(trap.vector == VECTOR_UD, "SYSCALL without EFER.SCE raises #UD");
  wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
}

static bool is_amd(void) {
  return cpuid(0, 0).ecx == 0x444d4163;
}  // "cAMD"

static void check_sysenter(void) {
  if (is_amd()) {
    CHECK(run(user_sysenter).vector == VECTOR_UD, "AMD: SYSENTER in long mode raises #UD");
    return;
  }
  wrmsr(MSR_SYSENTER_EIP, (uint64_t)fast_sysenter);
  wrmsr(MSR_SYSENTER_ESP, current_tss()->rsp[0]);
  struct trap trap = run(user_sysenter);
  CHECK(trap.vector == VECTOR_USER_EXIT && trap.rax == 42,
        "SYSENTER goes in and SYSEXIT comes back");
  CHECK(trap.r8 == SELECTOR_USER_CODE && trap.r9 == SELECTOR_USER_DATA_SYSEXIT,
        "SYSEXIT gives CS and SS from SYSENTER_CS");
  wrmsr(MSR_SYSENTER_CS, 0);
  trap = run(user_sysenter);
  CHECK(trap.vector == VECTOR_GP && trap.error == 0,
        "SYSENTER with a null SYSENTER_CS raises #GP(0)");
  wrmsr(MSR_SYSENTER_CS, SELECTOR_KERNEL_CODE);
}

// ---- Compatibility mode
// -------------------------------------------------------------------------------

static struct trap run32(const void* code) {
  return run_user((struct user_entry){.rip = (uint64_t)code, .cs = SELECTOR_USER_CODE32});
}

static void check_compatibility_mode(void) {
  struct trap trap = run32(user32_compute);
  CHECK(
      trap.vector == VECTOR_USER_EXIT && trap.rax == 0x80000000 && trap.cs == SELECTOR_USER_CODE32,
      "32-bit code decodes 40H as INC EAX");
  trap = run32(user32_into);
  CHECK(trap.vector == VECTOR_OF, "INTO with OF raises #OF");
  trap = run32(user32_bound);
  CHECK(trap.vector == VECTOR_BR, "BOUND beyond its limits raises #BR");
  trap = run32(user32_memory);
  CHECK(trap.vector == VECTOR_USER_EXIT && trap.rcx == 7 && trap.rsp == USER_STACK_TOP,
        "PUSHA and POPA use 32-bit words");
}

// ---- IRET
// ---------------------------------------------------------------------------------------------

struct iret_frame {
  uint64_t rip, cs, rflags, rsp, ss;
};
ATTEMPT iret_with(void* frame) {
  const struct iret_frame* f = frame;
  __asm__ volatile("push %0\npush %1\npush %2\npush %3\npush %4\niretq"
                   :
                   : "r"(f->ss), "r"(f->rsp), "r"(f->rflags), "r"(f->cs), "r"(f->rip)
                   : "memory");
}
ATTEMPT iret_with_nested_task(void* unused) {
  (void)unused;
  __asm__ volatile("pushq $0x4002\npopfq\niretq");
}

static void check_iret(void) {
  const uint64_t code = (uint64_t)user_int;
  struct iret_frame frame = {code, SELECTOR_USER_DATA, 2, USER_STACK_TOP, SELECTOR_USER_DATA};
  CHECK(expect_fault(VECTOR_GP, SELECTOR_USER_DATA & ~3, iret_with, &frame),
        "IRET to a data segment as CS raises #GP(selector)");
  frame = (struct iret_frame){code, SELECTOR_USER_CODE, 2, USER_STACK_TOP, SELECTOR_KERNEL_DATA};
  CHECK(expect_fault(VECTOR_GP, SELECTOR_KERNEL_DATA, iret_with, &frame),
        "IRET to user mode with a kernel SS raises #GP(selector)");
  frame = (struct iret_frame){1ULL << 47, SELECTOR_KERNEL_CODE, 2, USER_STACK_TOP, 0};
  CHECK(expect_fault(VECTOR_GP, 0, iret_with, &frame), "IRET to a non-canonical RIP raises #GP(0)");
  CHECK(expect_fault(VECTOR_GP, 0, iret_with_nested_task, 0), "IRET with NT raises #GP(0)");
}

// ---- FS and GS
// ----------------------------------------------------------------------------------------

static uint64_t gs_word(void) {
  uint64_t value;
  __asm__ volatile("mov %%gs:0, %0" : "=r"(value));
  return value;
}
static uint64_t fs_word(void) {
  uint64_t value;
  __asm__ volatile("mov %%fs:8, %0" : "=r"(value));
  return value;
}
USER_CODE static void user_swapgs(void) {
  __asm__ volatile("swapgs");
}
USER_CODE static void user_rdtsc(void) {
  __asm__ volatile("rdtsc\nint $0x80");
}
ATTEMPT write_fs_base(void* base) {
  __asm__ volatile("wrfsbase %0" : : "r"(base));
}

static void check_bases(void) {
  static uint64_t one[2] = {11, 12}, two[2] = {21, 22};
  wrmsr(MSR_GS_BASE, (uint64_t)one);
  wrmsr(MSR_KERNEL_GS_BASE, (uint64_t)two);
  wrmsr(MSR_FS_BASE, (uint64_t)two);
  CHECK(gs_word() == 11 && fs_word() == 22, "FS and GS bases come from their MSRs");
  __asm__ volatile("swapgs" : : : "memory");
  CHECK(gs_word() == 21 && rdmsr(MSR_KERNEL_GS_BASE) == (uint64_t)one,
        "SWAPGS exchanges GS base and KERNEL_GS_BASE");
  __asm__ volatile("swapgs" : : : "memory");
  CHECK(gs_word() == 11, "and back");
  CHECK(run(user_swapgs).vector == VECTOR_GP, "SWAPGS in user mode raises #GP");

  if ((cpuid(7, 0).ebx & 1) != 0) {
    CHECK(expect_fault(VECTOR_UD, 0, write_fs_base, one),
          "WRFSBASE without CR4.FSGSBASE raises #UD");
    write_cr4(read_cr4() | CR4_FSGSBASE);
    write_fs_base(one);
    CHECK(fs_word() == 12 && rdmsr(MSR_FS_BASE) == (uint64_t)one, "with it, it writes the FS base");
    write_cr4(read_cr4() & ~(uint64_t)CR4_FSGSBASE);
  } else {
    check_skip("FSGSBASE");
  }

  write_cr4(read_cr4() | 4);
  CHECK(run(user_rdtsc).vector == VECTOR_GP, "RDTSC in user mode with CR4.TSD raises #GP");
  write_cr4(read_cr4() & ~4ULL);
  CHECK(run(user_rdtsc).vector == VECTOR_USER_EXIT, "without it, it does not");
}

void guest_main(void) {
  check_gates();
  check_system_calls();
  check_sysenter();
  check_compatibility_mode();
  check_iret();
  check_bases();
}
