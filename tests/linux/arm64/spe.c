// SPDX-License-Identifier: MIT
//
// Linux's driver for the Statistical Profiling Extension (arm_spe_pmu.ko), on loops whose loads,
// stores and branches are known.
#define _GNU_SOURCE
#include "checks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spe_session.h"

enum { kPeriod = 1024, kBufferPages = 64 };
enum { kAll = -1, kThisProcess = 0 };

// ---- Loops --------------------------------------------------------------------------------------

enum { kTableWords = 512, kPerTurn = 6 };
static uint64_t table[kTableWords];

extern const char hot_begin[], hot_load[], hot_store[], hot_branch[], hot_end[];
extern const char other_begin[], other_end[];

/// kPerTurn instructions in each turn, which has no divisor in common with the distance between
/// samples: one loads, one stores, one branches.
__attribute__((noinline)) void hot_loop(uint64_t turns) {
  uint64_t index = 0, value = 0;
  __asm__ volatile(
      ".global hot_begin, hot_load, hot_store, hot_branch, hot_end\n"
      "hot_begin:\n"
      "  add %[index], %[index], #9\n"
      "  and %[index], %[index], #511\n"
      "hot_load:\n"
      "  ldr %[value], [%[table], %[index], lsl #3]\n"
      "hot_store:\n"
      "  str %[value], [%[table]]\n"
      "  subs %[turns], %[turns], #1\n"
      "hot_branch:\n"
      "  b.ne hot_begin\n"
      "hot_end:\n"
      : [turns] "+r"(turns), [index] "+r"(index), [value] "+r"(value)
      : [table] "r"(table)
      : "cc", "memory");
}

/// Nothing in memory.
__attribute__((noinline)) void other_loop(uint64_t turns) {
  __asm__ volatile(
      ".global other_begin, other_end\n"
      "other_begin:\n"
      "  subs %0, %0, #1\n"
      "  b.ne other_begin\n"
      "other_end:\n"
      : "+r"(turns)
      :
      : "cc");
}

static void call_kernel(unsigned calls) {
  while (calls-- > 0) syscall(SYS_getppid);
}

// ---- What is found ------------------------------------------------------------------------------

/// All records of all processes, for comparison with what the host has seen.
struct totals {
  uint64_t records;
  uint64_t sum;  ///< of the records' checksums
};
static struct totals* totals;

struct tally {
  uint64_t of_class[3];  ///< loads, stores, branches
  unsigned others;
  unsigned at_el0, at_el1;
  unsigned in_hot, at_load, in_other;
  unsigned timed, back_in_time;
  unsigned physical, bad_physical;
  unsigned outside_table;   ///< loads and stores of the loop's
  unsigned strangers;       ///< records of another process than `process`
  unsigned without_events;  ///< records that have not all of `events`
  unsigned least_latency;
  uint64_t last_time;
  uint32_t process;
  uint64_t events;
};

static bool within(uint64_t address, const char* begin, const char* end) {
  return address >= (uint64_t)begin && address < (uint64_t)end;
}

static void count_address(struct tally* tally, const struct spe_record* record) {
  const bool in_table =
      within(record->virtual_address, (const char*)table, (const char*)(table + kTableWords));
  const bool hot = within(record->pc, hot_begin, hot_end);
  tally->outside_table += hot && !in_table;
  tally->physical += record->has_physical;
  const uint64_t difference = record->physical_address ^ record->virtual_address;
  tally->bad_physical +=
      record->has_physical && (difference % 4096 != 0 || record->physical_address == 0);
}

static void count_record(void* context, const struct spe_record* record, const uint8_t* bytes,
                         size_t size) {
  struct tally* const tally = context;
  __atomic_fetch_add(&totals->records, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&totals->sum, spe_checksum(bytes, size), __ATOMIC_RELAXED);
  if (record->class == kOther) ++tally->others;
  if (record->class == kMemory) ++tally->of_class[record->store ? 1 : 0];
  if (record->class == kBranch) ++tally->of_class[2];
  if (record->has_virtual) count_address(tally, record);
  tally->at_el0 += record->el == 0;
  tally->at_el1 += record->el == 1;
  tally->in_hot += within(record->pc, hot_begin, hot_end);
  tally->at_load += record->pc == (uint64_t)hot_load;
  tally->in_other += within(record->pc, other_begin, other_end);
  tally->timed += record->has_time;
  tally->back_in_time += record->has_time && record->time < tally->last_time;
  tally->last_time = record->time;
  tally->strangers += !record->has_context || record->context != tally->process;
  tally->without_events += (record->events & tally->events) != tally->events;
  if (tally->least_latency == 0 || record->total_latency < tally->least_latency) {
    tally->least_latency = record->total_latency;
  }
}

/// The kernel has nothing to complain of, and neither have we of the records.
static bool is_clean(const struct spe_session* session) {
  return session->flags == 0 && session->broken == 0 && session->messages == 0;
}

static bool is_near(uint64_t found, uint64_t expected) {
  const uint64_t distance = found > expected ? found - expected : expected - found;
  return distance * 20 <= expected;
}

static void on_cpu(int cpu) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(cpu, &only);
  if (sched_setaffinity(0, sizeof only, &only) != 0)
    report(false, "cpu %d: no process runs there", cpu);
}

// ---- Processes ----------------------------------------------------------------------------------

struct task {
  pid_t process;
  int go[2];  ///< a pipe: it waits until something is written
};

/// A process that runs `work` when it is told to.
static struct task start_task(int cpu, void (*work)(void)) {
  struct task task;
  if (pipe(task.go) != 0) report(false, "pipe: %m");
  task.process = fork();
  if (task.process == 0) {
    char byte;
    on_cpu(cpu);
    if (read(task.go[0], &byte, 1) == 1) work();
    _exit(0);
  }
  return task;
}

static void tell_task(const struct task* task) {
  if (write(task->go[1], "", 1) != 1) report(false, "a process does not start: %m");
}

static void await_task(const struct task* task) {
  waitpid(task->process, NULL, 0);
  close(task->go[0]);
  close(task->go[1]);
}

static void run_tasks(const struct task* tasks, int count) {
  for (int n = 0; n < count; ++n) tell_task(&tasks[n]);
  for (int n = 0; n < count; ++n) await_task(&tasks[n]);
}

// ---- The driver ---------------------------------------------------------------------------------

static void load_driver(void) {
  const int module = open("/arm_spe_pmu.ko", O_RDONLY | O_CLOEXEC);
  const bool loaded = syscall(SYS_finit_module, module, "", 0) == 0;
  report(loaded, "arm_spe_pmu.ko: %s", loaded ? "loaded" : strerror(errno));
  close(module);
}

static void check_driver(int cpus) {
  load_driver();
  report(spe_event_type() > 0, "arm_spe_0 has event type %d", spe_event_type());
  char expected[32];
  snprintf(expected, sizeof expected, cpus > 1 ? "0-%d" : "%d", cpus - 1);
  char mask[32];
  spe_attribute("cpumask", mask, sizeof mask);
  report(strcmp(mask, expected) == 0, "it is there on CPUs %s", mask);
  static const char* const kCaps[] = {"arch_inst", "ernd", "count_size", "min_interval"};
  char all[128] = "";
  for (unsigned n = 0; n < sizeof kCaps / sizeof kCaps[0]; ++n) {
    char path[32], value[16];
    snprintf(path, sizeof path, "caps/%s", kCaps[n]);
    spe_attribute(path, value, sizeof value);
    snprintf(all + strlen(all), sizeof all - strlen(all), " %s=%s", kCaps[n], value);
  }
  report(true, "caps:%s", all);
}

// ---- One process on one CPU ---------------------------------------------------------------------

static bool profile(struct spe_session* session, const struct spe_choice* choice,
                    struct tally* tally, void (*work)(uint64_t), uint64_t amount) {
  if (!spe_open(session, choice)) {
    report(false, "cpu %d: perf_event_open for SPE: %m", choice->cpu);
    return false;
  }
  if (tally->process == 0) tally->process = (uint32_t)getpid();
  spe_enable(session);
  work(amount);
  spe_disable(session);
  spe_drain(session, count_record, tally);
  spe_close(session);
  return true;
}

static struct spe_choice user_on(int cpu, uint64_t config) {
  return (struct spe_choice){.process = kAll,
                             .cpu = cpu,
                             .config = config,
                             .period = kPeriod,
                             .no_kernel = true,
                             .buffer_pages = kBufferPages};
}

enum { kTurns = 300000 };
static const uint64_t kDistance = kPeriod + 1;

static void check_records(int cpu) {
  struct spe_session session;
  struct tally tally = {0};
  const struct spe_choice choice = user_on(cpu, kTime | kPhysicalAddress | kPhysicalTime);
  if (!profile(&session, &choice, &tally, hot_loop, kTurns)) return;
  const uint64_t expected = (uint64_t)kTurns * kPerTurn / kDistance;
  report(is_clean(&session) && session.records >= expected && session.records <= expected + 3,
         "cpu %d: %u records in %u pieces, flags %#lx", cpu, session.records, session.pieces,
         session.flags);
  report(tally.at_el0 == session.records && session.records - tally.in_hot <= 3,
         "cpu %d: %u at EL0, %u in the loop", cpu, tally.at_el0, tally.in_hot);
  bool shares = true;
  for (int n = 0; n < 3; ++n) shares = shares && is_near(tally.of_class[n], expected / kPerTurn);
  report(shares, "cpu %d: %lu loads, %lu stores, %lu branches", cpu, tally.of_class[0],
         tally.of_class[1], tally.of_class[2]);
  report(tally.timed == session.records && tally.back_in_time == 0,
         "cpu %d: %u have times, in order", cpu, tally.timed);
  report(tally.physical == tally.of_class[0] + tally.of_class[1] && tally.bad_physical == 0 &&
             tally.outside_table == 0,
         "cpu %d: %u have addresses", cpu, tally.physical);
  report(tally.strangers == 0, "cpu %d: all are of process %d", cpu, getpid());
}

static void check_bare(int cpu) {
  struct spe_session session;
  struct tally tally = {0};
  const struct spe_choice choice = user_on(cpu, kJitter);
  if (!profile(&session, &choice, &tally, hot_loop, kTurns)) return;
  report(is_clean(&session) && is_near(session.records, (uint64_t)kTurns * kPerTurn / kDistance) &&
             tally.timed == 0 && tally.physical == 0,
         "cpu %d: %u records with jitter, without times and physical addresses", cpu,
         session.records);
}

struct filter {
  const char* name;
  uint64_t config, events, min_latency;
  bool loads, stores, branches, others;
};

static const struct filter kFilters[] = {
    {"loads", kLoads, 0, 0, true, false, false, false},
    {"stores", kStores, 0, 0, false, true, false, false},
    {"branches", kBranches, 0, 0, false, false, true, false},
    {"loads and branches", kLoads | kBranches, 0, 0, true, false, true, false},
    {"what retired", 0, 1 << 1, 0, true, true, true, true},
    {"L1D refills", 0, 1 << 3, 0, false, false, false, false},
    {"4,095 cycles and more", 0, 0, 4095, false, false, false, false},
};

static void check_filter(int cpu, const struct filter* filter) {
  struct spe_session session;
  struct tally tally = {.events = filter->events};
  struct spe_choice choice = user_on(cpu, kTime | kPhysicalAddress | filter->config);
  choice.event_filter = filter->events;
  choice.min_latency = filter->min_latency;
  if (!profile(&session, &choice, &tally, hot_loop, kTurns)) return;
  const bool classes =
      (tally.of_class[0] != 0) == filter->loads && (tally.of_class[1] != 0) == filter->stores &&
      (tally.of_class[2] != 0) == filter->branches && (tally.others != 0) == filter->others;
  const uint64_t all = (uint64_t)kTurns * kPerTurn / kDistance;
  const uint64_t expected =
      filter->others ? all : all * (filter->loads + filter->stores + filter->branches) / kPerTurn;
  report(is_clean(&session) && classes && tally.without_events == 0 &&
             is_near(session.records, expected),
         "cpu %d: only %s: %u records", cpu, filter->name, session.records);
}

static void call_kernel_often(uint64_t calls) {
  call_kernel((unsigned)calls);
}

static void check_kernel(int cpu) {
  struct spe_session session;
  struct tally tally = {0};
  struct spe_choice choice = user_on(cpu, kTime | kJitter);
  choice.no_kernel = false;
  choice.no_user = true;
  if (!profile(&session, &choice, &tally, call_kernel_often, 3000)) return;
  report(is_clean(&session) && session.records > 100 && tally.at_el1 == session.records,
         "cpu %d: %u records of the kernel alone", cpu, tally.at_el1);
}

static void loop_and_call(uint64_t amount) {
  hot_loop(amount);
  call_kernel((unsigned)(amount / 100));
}

static void check_both_levels(int cpu) {
  struct spe_session session;
  struct tally tally = {0};
  struct spe_choice choice = user_on(cpu, kTime | kPhysicalAddress | kJitter);
  choice.no_kernel = false;
  if (!profile(&session, &choice, &tally, loop_and_call, kTurns)) return;
  report(is_clean(&session) && tally.at_el0 > 1000 && tally.at_el1 > 100 &&
             tally.bad_physical == 0 && tally.at_el0 + tally.at_el1 == session.records &&
             tally.back_in_time == 0,
         "cpu %d: %u records at EL0, %u at EL1", cpu, tally.at_el0, tally.at_el1);
}

// ---- Buffers that fill up -----------------------------------------------------------------------

/// Of the unit, on that CPU.
static unsigned long interrupts(int cpu) {
  FILE* const file = fopen("/proc/interrupts", "r");
  char line[512];
  unsigned long count = 0;
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (strstr(line, "arm_spe_pmu") == NULL) continue;
    char* at = strchr(line, ':') + 1;
    for (int n = 0; n <= cpu; ++n) count = strtoul(at, &at, 10);
  }
  if (file != NULL) fclose(file);
  return count;
}

enum { kSmallBuffer = 8 };

enum { kChunks = 60, kTurnsOfChunk = 20000 };

static void loop_long(void) {
  hot_loop(kChunks * kTurnsOfChunk);
}

/// Much more of one process than the buffer holds; another takes it out when the kernel says so.
static void check_many_buffers(int cpu) {
  struct task task = start_task(cpu, loop_long);
  struct spe_session session;
  struct tally tally = {.process = (uint32_t)task.process};
  struct spe_choice choice = user_on(kAll, kTime | kPhysicalAddress);
  choice.process = task.process;
  choice.buffer_pages = kSmallBuffer;
  const unsigned long before = interrupts(cpu);
  if (!spe_open(&session, &choice)) return report(false, "cpu %d: a small buffer: %m", cpu);
  spe_enable(&session);
  tell_task(&task);
  struct pollfd wait_for = {.fd = session.event, .events = POLLIN};
  do {
    poll(&wait_for, 1, -1);
    spe_drain(&session, count_record, &tally);
  } while ((wait_for.revents & POLLHUP) == 0);
  await_task(&task);
  spe_close(&session);
  const uint64_t expected = (uint64_t)kChunks * kTurnsOfChunk * kPerTurn / kDistance;
  report(is_clean(&session) && session.bytes > 8 * session.buffer_size &&
             is_near(tally.in_hot, expected) && tally.back_in_time == 0 && tally.strangers == 0,
         "cpu %d: %u records in %u pieces through a buffer of %zu bytes, flags %#lx", cpu,
         session.records, session.pieces, session.buffer_size, session.flags);
  const unsigned long interrupted = interrupts(cpu) - before;
  report(interrupted >= 16, "cpu %d: the unit has interrupted %lu times", cpu, interrupted);
}

/// Nobody takes anything out: the kernel stops, and says so; afterwards it goes on.
static void check_full_buffer(int cpu) {
  struct spe_session session;
  struct tally tally = {.process = (uint32_t)getpid()};
  struct spe_choice choice = user_on(cpu, kTime);
  choice.buffer_pages = kSmallBuffer;
  if (!spe_open(&session, &choice)) return report(false, "cpu %d: a small buffer: %m", cpu);
  spe_enable(&session);
  hot_loop(kTurns);
  spe_drain(&session, count_record, &tally);
  const unsigned records = session.records;
  report(session.flags == PERF_AUX_FLAG_TRUNCATED && session.broken == 0 && session.messages == 0 &&
             session.bytes <= session.buffer_size && session.bytes > session.buffer_size * 3 / 4,
         "cpu %d: %u records until the buffer was full, flags %#lx", cpu, records, session.flags);
  session.flags = 0;
  spe_disable(&session);  // Linux has not yet done so itself on all CPUs.
  spe_enable(&session);
  hot_loop(10000);
  spe_disable(&session);
  spe_drain(&session, count_record, &tally);
  spe_close(&session);
  report(is_clean(&session) && session.records > records + 50,
         "cpu %d: and then %u more, flags %#lx", cpu, session.records - records, session.flags);
}

static void check_cpu(int cpu) {
  on_cpu(cpu);
  check_records(cpu);
  check_bare(cpu);
  for (unsigned n = 0; n < sizeof kFilters / sizeof kFilters[0]; ++n)
    check_filter(cpu, &kFilters[n]);
  check_kernel(cpu);
  check_both_levels(cpu);
  check_many_buffers(cpu);
  check_full_buffer(cpu);
}

// ---- Several processes --------------------------------------------------------------------------

enum { kRounds = 200, kTurnsOfRound = 3000 };

/// What two processes say to each other: whose turn it is.
static int turns[2][2];

static void give_turn(int to) {
  if (write(turns[to][1], "", 1) != 1) report(false, "process %d of two: %m", to);
}

static void await_turn(int who) {
  char byte;
  if (read(turns[who][0], &byte, 1) != 1) report(false, "process %d of two: %m", who);
}

static void loop_in_turns(void) {
  for (int n = 0; n < kRounds; ++n) {
    hot_loop(kTurnsOfRound);
    give_turn(1);
    await_turn(0);
  }
}

static void other_in_turns(void) {
  for (int n = 0; n < kRounds; ++n) {
    await_turn(1);
    other_loop(3 * kTurnsOfRound);
    give_turn(0);
  }
}

/// Both on one CPU, in turns: each one's event has only what it does.
static void check_two_tasks(void) {
  if (pipe(turns[0]) != 0 || pipe(turns[1]) != 0) return report(false, "pipe: %m");
  struct task tasks[2] = {start_task(0, loop_in_turns), start_task(0, other_in_turns)};
  struct spe_session sessions[2];
  struct tally tallies[2] = {{.process = (uint32_t)tasks[0].process},
                             {.process = (uint32_t)tasks[1].process}};
  for (int n = 0; n < 2; ++n) {
    struct spe_choice choice = user_on(kAll, kTime | kPhysicalAddress | kJitter);
    choice.process = tasks[n].process;
    if (!spe_open(&sessions[n], &choice)) return report(false, "an event of a process: %m");
    spe_enable(&sessions[n]);
  }
  run_tasks(tasks, 2);
  for (int n = 0; n < 2; ++n) {
    spe_drain(&sessions[n], count_record, &tallies[n]);
    spe_close(&sessions[n]);
    const struct tally* const tally = &tallies[n];
    const uint64_t expected = (uint64_t)kRounds * kTurnsOfRound * kPerTurn / kDistance;
    report(is_clean(&sessions[n]) && is_near(sessions[n].records, expected) &&
               tally->strangers == 0 &&
               is_near(n == 0 ? tally->in_hot : tally->in_other, expected) &&
               (n == 0 ? tally->in_other : tally->in_hot) == 0 && sessions[n].pieces >= kRounds,
           "process %d of two: %u records in %u pieces, %u of another", n, sessions[n].records,
           sessions[n].pieces, tally->strangers);
  }
}

static int cpus_to_move_over;

static void loop_and_move(void) {
  for (int n = 0; n < kRounds; ++n) {
    on_cpu(n % cpus_to_move_over);
    hot_loop(kTurnsOfRound);
  }
}

static void check_migration(int cpus) {
  cpus_to_move_over = cpus;
  struct task task = start_task(0, loop_and_move);
  struct spe_session session;
  struct tally tally = {.process = (uint32_t)task.process};
  struct spe_choice choice = user_on(kAll, kTime | kJitter);
  choice.process = task.process;
  if (!spe_open(&session, &choice)) return report(false, "an event of a process: %m");
  spe_enable(&session);
  run_tasks(&task, 1);
  spe_drain(&session, count_record, &tally);
  spe_close(&session);
  const uint64_t expected = (uint64_t)kRounds * kTurnsOfRound * kPerTurn / kDistance;
  report(is_clean(&session) && is_near(session.records, expected) && tally.strangers == 0 &&
             tally.back_in_time == 0 && session.cpus == (1ull << cpus) - 1,
         "a process that moves: %u records in %u pieces, CPUs %#lx", session.records,
         session.pieces, session.cpus);
}

// ---- What happens seldom ------------------------------------------------------------------------

/// Nobody takes anything out, and nobody wants to: what stays are the last records.
static void check_overwriting(int cpu) {
  on_cpu(cpu);
  struct spe_session session;
  struct tally tally = {0};
  struct spe_choice choice = user_on(cpu, kTime);
  choice.buffer_pages = kSmallBuffer;
  choice.overwrite = true;
  if (!profile(&session, &choice, &tally, hot_loop, kTurns)) return;
  report(session.flags == PERF_AUX_FLAG_OVERWRITE && session.broken == 0 && session.messages == 0 &&
             session.records == session.buffer_size / 64 && tally.back_in_time == 0,
         "cpu %d: the last %u records, flags %#lx", cpu, session.records, session.flags);
}

enum { kManyBytes = 4 << 20, kStride = 4096 + 64 };
static char many_bytes[kManyBytes + kStride];

/// Loads that miss the first level.
static void miss_loop(uint64_t turns) {
  for (uint64_t at = 0; turns > 0; --turns) {
    *(volatile const char*)(many_bytes + at);
    at = (at + kStride) % kManyBytes;
  }
}

/// Caches are modelled while somebody counts their misses, and then records have them, too.
static void check_misses(int cpu) {
  struct perf_event_attr attributes = {.type = PERF_TYPE_RAW,
                                       .size = sizeof attributes,
                                       .config = 0x03,  // L1D_CACHE_REFILL
                                       .exclude_kernel = 1};
  const int counter = (int)syscall(SYS_perf_event_open, &attributes, kThisProcess, kAll, -1, 0UL);
  struct spe_session session;
  struct tally tally = {.events = 1 << 3};
  struct spe_choice choice = user_on(cpu, kTime | kLoads | kJitter);
  choice.event_filter = tally.events;
  memset(many_bytes, 1, sizeof many_bytes);  // Else all its pages are one.
  if (!profile(&session, &choice, &tally, miss_loop, kTurns)) return;
  uint64_t count = 0;
  const bool counted = read(counter, &count, sizeof count) == sizeof count && count >= kTurns;
  close(counter);
  report(counted && is_clean(&session) && session.records > 100 && tally.without_events == 0 &&
             tally.of_class[0] == session.records && tally.least_latency > 6,
         "cpu %d: %u loads that missed, of %u cycles and more", cpu, session.records,
         tally.least_latency);
}

static void set_online(int cpu, const char* whether) {
  char path[64];
  snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/online", cpu);
  const int file = open(path, O_WRONLY);
  const bool done = write(file, whether, 1) == 1;
  report(done, "cpu %d: online is %s", cpu, whether);
  close(file);
}

/// A CPU that has been switched off has a unit that has been reset.
static void check_cpu_that_goes(void) {
  on_cpu(0);
  set_online(1, "0");
  struct spe_session session;
  const struct spe_choice choice = user_on(1, kTime);
  report(!spe_open(&session, &choice) && errno == ENODEV, "cpu 1: no event while it is off: %m");
  set_online(1, "1");
  on_cpu(1);
  check_records(1);
}

static void check_driver_that_goes(void) {
  const bool gone = syscall(SYS_delete_module, "arm_spe_pmu", O_NONBLOCK) == 0;
  report(gone && spe_event_type() < 0, "arm_spe_pmu.ko: unloaded");
  load_driver();
  check_records(1);
}

void check_spe_seldom(int cpus) {
  totals = mmap(NULL, sizeof *totals, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  check_driver(cpus);
  if (spe_event_type() < 0 || cpus != 2) return;
  check_overwriting(0);
  check_overwriting(1);
  check_misses(1);
  check_cpu_that_goes();
  check_driver_that_goes();
}

// ---- For the host -------------------------------------------------------------------------------

static void print_bytes(void* context, const struct spe_record* record, const uint8_t* bytes,
                        size_t size) {
  static const char kDigits[] = "0123456789abcdef";
  (void)record;
  char line[256];
  int at = snprintf(line, sizeof line, "RECORD %d ", *(const int*)context);
  for (size_t n = 0; n < size && at + 3 < (int)sizeof line; ++n) {
    line[at++] = kDigits[bytes[n] >> 4];
    line[at++] = kDigits[bytes[n] & 15];
  }
  line[at++] = '\n';
  if (write(STDOUT_FILENO, line, (size_t)at) != at) _exit(1);
}

static void loop_for_host(void) {
  loop_and_call(kTurns);
}

/// As `perf record -a` has it: an event for each CPU, processes on all of them. Prints every
/// record.
static void print_records(int cpus) {
  struct task tasks[64];
  struct spe_session sessions[64];
  if (cpus > 64) cpus = 64;
  for (int cpu = 0; cpu < cpus; ++cpu) {
    struct spe_choice choice = user_on(cpu, kTime | kPhysicalAddress | kPhysicalTime | kJitter);
    choice.no_kernel = false;
    choice.period = 4 * kPeriod;
    if (!spe_open(&sessions[cpu], &choice)) return report(false, "cpu %d: %m", cpu);
    tasks[cpu] = start_task(cpu, loop_for_host);
  }
  for (int cpu = 0; cpu < cpus; ++cpu) spe_enable(&sessions[cpu]);
  run_tasks(tasks, cpus);
  for (int cpu = 0; cpu < cpus; ++cpu) spe_disable(&sessions[cpu]);
  for (int cpu = 0; cpu < cpus; ++cpu) {
    spe_drain(&sessions[cpu], print_bytes, &cpu);
    report(is_clean(&sessions[cpu]), "cpu %d: %u records printed", cpu, sessions[cpu].records);
    spe_close(&sessions[cpu]);
  }
}

// ---- All ----------------------------------------------------------------------------------------

void check_spe(int cpus) {
  totals = mmap(NULL, sizeof *totals, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  check_driver(cpus);
  if (spe_event_type() < 0) return;
  for (int cpu = 0; cpu < cpus; ++cpu) {
    if (fork() == 0) {
      check_cpu(cpu);
      _exit(0);
    }
  }
  while (wait(NULL) > 0) {
  }
  check_two_tasks();
  check_migration(cpus);
  report(totals->records != 0, "in all: %lu records, sum %016lx", totals->records, totals->sum);
}

void print_spe(int cpus) {
  check_driver(cpus);
  if (spe_event_type() >= 0) print_records(cpus);
}
