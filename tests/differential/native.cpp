// SPDX-License-Identifier: MIT
#include "native.hpp"

#include <csignal>
#include <cstddef>
#include <cstring>

#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

namespace {

/// What the assembler below and the signal handler share.
struct Sandbox {
  vpmu::differential::FxImage fx;  // 0
  std::uint64_t gpr[16];           // 512
  std::uint64_t rip;               // 640
  std::uint64_t rflags;            // 648
  std::uint64_t host_rsp;          // 656
  std::uint32_t host_mxcsr;        // 664
  volatile std::uint32_t inside;   // 668
};
static_assert(offsetof(Sandbox, gpr) == 512 && offsetof(Sandbox, rip) == 640 &&
              offsetof(Sandbox, host_rsp) == 656 && offsetof(Sandbox, inside) == 668);

vpmu::differential::Outcome* outcome = nullptr;
volatile std::uint64_t runs = 0;
std::uint64_t runs_at_last_tick = ~std::uint64_t{0};
alignas(64) std::uint8_t signal_stack[64 * 1024];
stack_t previous_stack;
constexpr int kSignals[] = {SIGFPE, SIGSEGV, SIGILL, SIGBUS, SIGTRAP, SIGALRM};
struct sigaction previous[std::size(kSignals)];

}  // namespace

extern "C" {
alignas(64) Sandbox vpmu_sandbox;
void vpmu_sandbox_enter();
void vpmu_sandbox_leave();
void vpmu_sandbox_signal(int, siginfo_t*, void*);
void vpmu_sandbox_handle(int signal, siginfo_t* info, void* context);
}

// The handler is entered with the test code's AC flag, which compiled code does not expect.
asm(R"(
.text
.globl vpmu_sandbox_enter
.type vpmu_sandbox_enter, @function
vpmu_sandbox_enter:
  pushq %rbx
  pushq %rbp
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  pushfq
  movq %rsp, 656+vpmu_sandbox(%rip)
  stmxcsr 664+vpmu_sandbox(%rip)
  fxrstor64 vpmu_sandbox(%rip)
  movl $1, 668+vpmu_sandbox(%rip)
  pushq 648+vpmu_sandbox(%rip)
  popfq
  movq 512+vpmu_sandbox(%rip), %rax
  movq 520+vpmu_sandbox(%rip), %rcx
  movq 528+vpmu_sandbox(%rip), %rdx
  movq 536+vpmu_sandbox(%rip), %rbx
  movq 544+vpmu_sandbox(%rip), %rsp
  movq 552+vpmu_sandbox(%rip), %rbp
  movq 560+vpmu_sandbox(%rip), %rsi
  movq 568+vpmu_sandbox(%rip), %rdi
  movq 576+vpmu_sandbox(%rip), %r8
  movq 584+vpmu_sandbox(%rip), %r9
  movq 592+vpmu_sandbox(%rip), %r10
  movq 600+vpmu_sandbox(%rip), %r11
  movq 608+vpmu_sandbox(%rip), %r12
  movq 616+vpmu_sandbox(%rip), %r13
  movq 624+vpmu_sandbox(%rip), %r14
  movq 632+vpmu_sandbox(%rip), %r15
  jmp *640+vpmu_sandbox(%rip)
.size vpmu_sandbox_enter, .-vpmu_sandbox_enter

.globl vpmu_sandbox_leave
.type vpmu_sandbox_leave, @function
vpmu_sandbox_leave:
  fninit
  ldmxcsr 664+vpmu_sandbox(%rip)
  popfq
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbp
  popq %rbx
  ret
.size vpmu_sandbox_leave, .-vpmu_sandbox_leave

.globl vpmu_sandbox_signal
.type vpmu_sandbox_signal, @function
vpmu_sandbox_signal:
  pushfq
  andq $~0x40000, (%rsp)
  popfq
  jmp vpmu_sandbox_handle
.size vpmu_sandbox_signal, .-vpmu_sandbox_signal
)");

namespace {

constexpr int kGregOfGpr[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                REG_R12, REG_R13, REG_R14, REG_R15};

void capture(const ucontext_t& context) {
  const greg_t* gregs = context.uc_mcontext.gregs;
  for (unsigned i = 0; i < 16; ++i)
    outcome->state.gpr[i] = static_cast<std::uint64_t>(gregs[kGregOfGpr[i]]);
  outcome->state.rip = static_cast<std::uint64_t>(gregs[REG_RIP]);
  outcome->state.rflags = static_cast<std::uint64_t>(gregs[REG_EFL]);
  std::memcpy(static_cast<void*>(&outcome->state.fx), context.uc_mcontext.fpregs,
              sizeof(outcome->state.fx));
  outcome->vector = static_cast<std::uint8_t>(gregs[REG_TRAPNO]);
  outcome->error_code = static_cast<std::uint32_t>(gregs[REG_ERR]);
  outcome->address = static_cast<std::uint64_t>(gregs[REG_CR2]);
}

}  // namespace

extern "C" void vpmu_sandbox_handle(int signal, siginfo_t*, void* raw_context) {
  auto& context = *static_cast<ucontext_t*>(raw_context);
  if (vpmu_sandbox.inside == 0) {
    // Not the test code's: let it have its usual effect. A timer tick outside has none.
    if (signal != SIGALRM) std::signal(signal, SIG_DFL);
    return;
  }
  if (signal == SIGALRM) {
    const bool stuck = runs == runs_at_last_tick;
    runs_at_last_tick = runs;
    if (!stuck) return;
    outcome->trouble = "does not end";
  }
  capture(context);
  vpmu_sandbox.inside = 0;
  context.uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(&vpmu_sandbox_leave);
  context.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(vpmu_sandbox.host_rsp);
  context.uc_mcontext.gregs[REG_EFL] = 0x202;
}

namespace vpmu::differential {

namespace {

bool map(std::uint64_t at, std::size_t bytes, int protection, int extra) {
  void* const wanted = reinterpret_cast<void*>(at);
  return mmap(wanted, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | extra, -1, 0) == wanted;
}

}  // namespace

Result<NativeCpu> NativeCpu::create() {
  if (!map(kWindowBegin, kWindowEnd - kWindowBegin, PROT_NONE, MAP_FIXED_NOREPLACE | MAP_NORESERVE))
    return fail("cannot map the test window at 0x20000000");
  if (!map(kData, kDataBytes, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_POPULATE) ||
      !map(kReadOnly, kReadOnlyBytes, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_POPULATE) ||
      !map(kCode, kCodeBytes, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_FIXED | MAP_POPULATE))
    return fail("cannot map pages that are writable and executable for the test code");
  std::memset(reinterpret_cast<void*>(kCode), kBreakpointByte, kCodeBytes);

  stack_t stack{};
  stack.ss_sp = signal_stack;
  stack.ss_size = sizeof signal_stack;
  if (sigaltstack(&stack, &previous_stack) != 0) return fail("cannot set a signal stack");
  struct sigaction action {};
  action.sa_sigaction = vpmu_sandbox_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (std::size_t i = 0; i < std::size(kSignals); ++i)
    sigaction(kSignals[i], &action, &previous[i]);
  const itimerval tick{{1, 0}, {1, 0}};
  setitimer(ITIMER_REAL, &tick, nullptr);
  return NativeCpu{};
}

NativeCpu::~NativeCpu() {
  if (!owner_) return;
  const itimerval off{};
  setitimer(ITIMER_REAL, &off, nullptr);
  for (std::size_t i = 0; i < std::size(kSignals); ++i)
    sigaction(kSignals[i], &previous[i], nullptr);
  sigaltstack(&previous_stack, nullptr);
  munmap(reinterpret_cast<void*>(kWindowBegin), kWindowEnd - kWindowBegin);
}

void NativeCpu::fill_read_only(std::span<const std::uint8_t> bytes) {
  void* const page = reinterpret_cast<void*>(kReadOnly);
  mprotect(page, kReadOnlyBytes, PROT_READ | PROT_WRITE);
  std::memcpy(page, bytes.data(), bytes.size());
  mprotect(page, kReadOnlyBytes, PROT_READ);
}

Outcome NativeCpu::run(const CpuState& input) {
  Outcome result;
  outcome = &result;
  vpmu_sandbox.fx = input.fx;
  std::memcpy(vpmu_sandbox.gpr, input.gpr.data(), sizeof vpmu_sandbox.gpr);
  vpmu_sandbox.rip = input.rip;
  vpmu_sandbox.rflags = input.rflags;
  runs = runs + 1;
  vpmu_sandbox_enter();
  outcome = nullptr;
  return result;
}

}  // namespace vpmu::differential
