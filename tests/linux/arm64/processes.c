// SPDX-License-Identifier: MIT
//
// What programs do that a machine easily gets wrong: processes that take turns, faults that are
// caught, code that is written while it runs, registers that survive interrupts, debuggers.
#define _GNU_SOURCE
#include "checks.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kPage = 4096 };

// ---- Processes ----------------------------------------------------------------------------------

/// Echoes numbers, one more each time, until there are no more.
static void echo(int from, int to) {
  uint32_t number = 0;
  while (read(from, &number, sizeof number) == sizeof number) {
    ++number;
    if (write(to, &number, sizeof number) != sizeof number) break;
  }
  _exit(0);
}

static void check_turns(void) {
  enum { kTurns = 2000 };
  int there[2], back[2];
  if (pipe(there) != 0 || pipe(back) != 0) return report(false, "pipe: %m");
  const pid_t child = fork();
  if (child == 0) {
    close(there[1]);
    close(back[0]);
    echo(there[0], back[1]);
  }
  close(there[0]);
  close(back[1]);
  uint32_t number = 0;
  unsigned turns = 0;
  while (turns < kTurns && write(there[1], &number, sizeof number) == sizeof number &&
         read(back[0], &number, sizeof number) == sizeof number) {
    ++turns;
  }
  close(there[1]);
  close(back[0]);
  waitpid(child, NULL, 0);
  report(number == kTurns, "two processes took %u turns", number);
}

static void check_copies(void) {
  enum { kChildren = 50, kPages = 64 };
  unsigned char* const memory = malloc(kPages * kPage);
  memset(memory, 1, kPages * kPage);
  unsigned right = 0;
  for (int n = 0; n < kChildren; ++n) {
    const pid_t child = fork();
    if (child == 0) {
      unsigned sum = 0;
      for (int page = 0; page < kPages; ++page) memory[page * kPage] += (unsigned char)n;
      for (int page = 0; page < kPages; ++page) sum += memory[page * kPage];
      _exit(sum == (unsigned)(kPages * (1 + n)) ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    if (status == 0) ++right;
  }
  bool kept = true;
  for (int page = 0; page < kPages; ++page) kept = kept && memory[page * kPage] == 1;
  free(memory);
  report(right == kChildren && kept, "%u of %d children wrote to copies of their own", right,
         kChildren);
}

static void check_programs(void) {
  enum { kPrograms = 20 };
  unsigned right = 0;
  for (int n = 0; n < kPrograms; ++n) {
    const pid_t child = fork();
    if (child == 0) {
      execl("/init", "init", "status", "7", (char*)NULL);
      _exit(1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 7) ++right;
  }
  report(right == kPrograms, "%u of %d programs ran", right, kPrograms);
}

// ---- Threads ------------------------------------------------------------------------------------

enum { kThreads = 4, kAdditions = 20000 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t locked_sum, atomic_sum;

static void* add(void* unused) {
  for (int n = 0; n < kAdditions; ++n) {
    pthread_mutex_lock(&lock);
    ++locked_sum;
    pthread_mutex_unlock(&lock);
    __atomic_fetch_add(&atomic_sum, 1, __ATOMIC_RELAXED);
  }
  return unused;
}

static void check_threads(void) {
  pthread_t threads[kThreads];
  for (int n = 0; n < kThreads; ++n) pthread_create(&threads[n], NULL, add, NULL);
  for (int n = 0; n < kThreads; ++n) pthread_join(threads[n], NULL);
  report(locked_sum == kThreads * kAdditions && atomic_sum == locked_sum,
         "%d threads added up to %lu", kThreads, locked_sum);
}

// ---- Faults -------------------------------------------------------------------------------------

static sigjmp_buf after_fault;
static volatile uintptr_t fault_address;
static volatile int fault_code;

static void on_fault(int signal, siginfo_t* what, void* context) {
  (void)signal, (void)context;
  fault_address = (uintptr_t)what->si_addr;
  fault_code = what->si_code;
  siglongjmp(after_fault, 1);
}

static void check_faults(void) {
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
  sigaction(SIGILL, &action, NULL);
  volatile char* const page = mmap(NULL, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (sigsetjmp(after_fault, 1) == 0) page[5] = 1;
  report(fault_address == (uintptr_t)page + 5 && fault_code == SEGV_ACCERR,
         "a store to what may only be read is caught");
  mprotect((void*)page, kPage, PROT_READ | PROT_WRITE);
  page[5] = 1;
  mprotect((void*)page, kPage, PROT_NONE);
  fault_address = 0;
  if (sigsetjmp(after_fault, 1) == 0) (void)page[7];
  report(fault_address == (uintptr_t)page + 7, "a load from what may not be accessed is caught");
  munmap((void*)page, kPage);
  if (sigsetjmp(after_fault, 1) == 0) ((void (*)(void))page)();
  report(fault_address == (uintptr_t)page && fault_code == SEGV_MAPERR,
         "a call of what is not there is caught");
  if (sigsetjmp(after_fault, 1) == 0) {
    fault_code = 0;
    __asm__ volatile("udf #0");
  }
  report(fault_code == ILL_ILLOPC, "an undefined instruction is caught");
}

// ---- Code that changes --------------------------------------------------------------------------

/// MOVZ W0, #n; RET
static void write_code(uint32_t* code, unsigned n) {
  code[0] = 0x52800000 | n << 5;
  code[1] = 0xd65f03c0;
  __builtin___clear_cache((char*)code, (char*)(code + 2));
}

static void check_new_code(void) {
  enum { kTimes = 500 };
  uint32_t* const code =
      mmap(NULL, kPage, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  unsigned right = 0;
  for (unsigned n = 0; n < kTimes; ++n) {
    write_code(code, n);
    if (((unsigned (*)(void))code)() == n) ++right;
  }
  munmap(code, kPage);
  report(right == kTimes, "code written %u times ran as written", right);
}

/// The same address has other code in each process.
static void check_other_code(void) {
  enum { kTurns = 200 };
  uint32_t* const code =
      mmap(NULL, kPage, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  write_code(code, 0);
  const unsigned processes = 3;
  unsigned wrong = 0;
  for (unsigned process = 1; process <= processes; ++process) {
    if (fork() != 0) continue;
    write_code(code, process);
    for (int turn = 0; turn < kTurns; ++turn) {
      if (((unsigned (*)(void))code)() != process) _exit(1);
      sched_yield();
    }
    _exit(0);
  }
  int status = 0;
  while (wait(&status) > 0) wrong += status != 0;
  report(wrong == 0 && ((unsigned (*)(void))code)() == 0,
         "%u processes ran code of their own at the same address", processes);
  munmap(code, kPage);
}

// ---- Registers and interrupts -------------------------------------------------------------------

static volatile sig_atomic_t alarms;

static void on_alarm(int signal) {
  (void)signal;
  ++alarms;
  __asm__ volatile("movi v8.16b, #255\n movi v16.16b, #255\n fmov d0, #1.0" ::: "v0", "v8", "v16");
}

static void check_vectors(void) {
  enum { kAlarms = 20 };
  signal(SIGALRM, on_alarm);
  const struct itimerval often = {{0, 1000}, {0, 1000}};
  setitimer(ITIMER_REAL, &often, NULL);
  unsigned wrong = 0;
  while (alarms < kAlarms) {
    uint64_t low = 0, high = 0;
    __asm__ volatile(
        "movi v16.16b, #90\n movi v8.16b, #165\n mov x9, #20000\n"
        "1: subs x9, x9, #1\n b.ne 1b\n"
        "umov %0, v16.d[1]\n umov %1, v8.d[0]\n"
        : "=r"(low), "=r"(high)
        :
        : "x9", "v8", "v16", "cc");
    if (low != 0x5a5a5a5a5a5a5a5aULL || high != 0xa5a5a5a5a5a5a5a5ULL) ++wrong;
  }
  const struct itimerval never = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &never, NULL);
  report(wrong == 0, "vector registers survived %d alarms", (int)alarms);
}

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void check_sleep(void) {
  const struct timespec asleep = {0, 50000000};
  const int64_t before = nanoseconds();
  nanosleep(&asleep, NULL);
  const int64_t slept = nanoseconds() - before;
  report(slept >= asleep.tv_nsec && slept < 2 * asleep.tv_nsec, "50 ms asleep");
}

// ---- Debuggers ----------------------------------------------------------------------------------

static uint64_t pc_of(pid_t process) {
  struct user_regs_struct registers = {0};
  struct iovec where = {&registers, sizeof registers};
  ptrace(PTRACE_GETREGSET, process, (void*)1 /* NT_PRSTATUS */, &where);
  return registers.pc;
}

__attribute__((noinline)) static void stop_and_loop(void) {
  ptrace(PTRACE_TRACEME, 0, NULL, NULL);
  raise(SIGSTOP);
  __asm__ volatile("mov x9, #50\n1: subs x9, x9, #1\n b.ne 1b" ::: "x9", "cc");
  _exit(3);
}

static void check_steps(void) {
  const pid_t child = fork();
  if (child == 0) stop_and_loop();
  int status = 0;
  waitpid(child, &status, 0);
  unsigned steps = 0, moved = 0;
  for (uint64_t pc = pc_of(child); steps < 100000; ++steps) {
    ptrace(PTRACE_SINGLESTEP, child, NULL, NULL);
    waitpid(child, &status, 0);
    if (!WIFSTOPPED(status)) break;
    const uint64_t next = pc_of(child);
    if (next != pc) ++moved;
    pc = next;
  }
  report(WIFEXITED(status) && WEXITSTATUS(status) == 3 && steps > 100 && moved == steps,
         "a process was stepped to its end");
}

/// The device tree has a seed; without one the kernel would look for noise for seconds.
static void check_random_numbers(void) {
  unsigned char bytes[16];
  report(getrandom(bytes, sizeof bytes, GRND_NONBLOCK) == sizeof bytes,
         "there are random numbers at once");
}

void check_processes(void) {
  check_random_numbers();
  check_turns();
  check_copies();
  check_programs();
  check_threads();
  check_faults();
  check_new_code();
  check_other_code();
  check_vectors();
  check_sleep();
  check_steps();
}
