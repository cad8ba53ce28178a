// SPDX-License-Identifier: MIT
//
// A driver for PV perf, the paravirtual performance interface of docs/abi/pv-perf.md, version 1.0:
// this header and pvperf.c. It is meant to be taken into kernels: freestanding C11 that is C++17,
// too, for x86 in 32- and 64-bit mode, without libc, without libgcc, without global state.
//
// What the kernel brings along:
// - six instructions, in the section "Instructions" below. They are there for gcc and clang; with
//   another compiler, or to put MSR accesses behind wrappers of its own, a kernel defines
//   PVPERF_OWN_INSTRUCTIONS before it includes this header, and the six functions somewhere;
// - for each CPU a struct pvperf_cpu and a page of RAM (struct pvperf_page), zeroed, whose physical
//   address it knows;
// - the local APIC: LVTPC says whether the interrupt is a vector or NMI. pvperf_pmi() is what the
//   handler calls.
//
// In short:
//   pvperf_discover(&info);                                   // once
//   pvperf_cpu_start(&cpu, &info, page, physical_address);    // each CPU
//   pvperf_command(&cpu, 0, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_OS), 0, 0);
//   pvperf_start(&cpu, 1, 0);                                 // an exit
//   pvperf_read(&cpu, 0, &value);                             // none
//   pvperf_stop(&cpu, 1);                                     // an exit
//
// All functions but pvperf_page_read() and pvperf_page_read_all() belong to the CPU that they run
// on: a caller must not be moved to another one meanwhile. "Exits" below are what a call costs: how
// often the CPU leaves the guest for the hypervisor, 1,000 cycles and more each.
#ifndef PVPERF_H
#define PVPERF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define PVPERF_ALIGNED(bytes) alignas(bytes)
#define PVPERF_STATIC_ASSERT(condition) static_assert(condition, #condition)
#else
#define PVPERF_ALIGNED(bytes) _Alignas(bytes)
#define PVPERF_STATIC_ASSERT(condition) _Static_assert(condition, #condition)
#endif

// ---- Numbers ------------------------------------------------------------------------------------

#define PVPERF_SIGNATURE 0x554d5056u  ///< "VPMU": EBX, ECX and EDX of the first leaf
#define PVPERF_MAJOR 1u
#define PVPERF_MAX_EVENTS 32u
#define PVPERF_PAGE_BYTES 4096u
#define PVPERF_RDPMC_BASE 0x56500000u  ///< ECX of RDPMC: this plus the event
#define PVPERF_HYPERCALL 0x5650u       ///< in RAX
#define PVPERF_NO_ID 0xffffu           ///< in batch_id
#define PVPERF_READ_RETRIES 1000u      ///< of a page that is being written

/// Features: CPUID base+1 EAX, and the low half of CAP.
enum pvperf_feature {
  PVPERF_FEATURE_PVPERF = 1 << 0,
  PVPERF_FEATURE_AREA = 1 << 1,
  PVPERF_FEATURE_BATCH = 1 << 2,
  PVPERF_FEATURE_RDPMC_TRAP = 1 << 3,
  PVPERF_FEATURE_RDPMC_NATIVE = 1 << 4,
  PVPERF_FEATURE_LVTPC = 1 << 5,
  PVPERF_FEATURE_AUTORELOAD = 1 << 6,
  PVPERF_FEATURE_BREAKPOINT = 1 << 7,
  PVPERF_FEATURE_BRANCH_STACK = 1 << 8,
  PVPERF_FEATURE_RAW = 1 << 9,
  PVPERF_FEATURE_SCALE_TIME = 1 << 10,
  PVPERF_FEATURE_POOL_SAFE = 1 << 11,
  PVPERF_FEATURE_HYPERCALLS = 1 << 12
};

/// MSRs, from the base that CPUID names.
enum pvperf_msr {
  PVPERF_MSR_CAP = 0x00,
  PVPERF_MSR_AREA = 0x01,
  PVPERF_MSR_GLOBAL_CTRL = 0x02,
  PVPERF_MSR_GLOBAL_STATUS = 0x03,
  PVPERF_MSR_STATUS_RESET = 0x04,
  PVPERF_MSR_STATUS_SET = 0x05,
  PVPERF_MSR_ERROR = 0x06,
  PVPERF_MSR_BATCH = 0x07,
  PVPERF_MSR_FIRST_BANK = 0x100,  ///< of event 0; the banks are 8 apart
  PVPERF_BANK_MSRS = 8
};
/// MSRs in the bank of an event.
enum pvperf_bank_msr {
  PVPERF_BANK_EVTSEL = 0,
  PVPERF_BANK_COUNT = 1,
  PVPERF_BANK_PERIOD = 2,
  PVPERF_BANK_TIME_EN = 3,
  PVPERF_BANK_TIME_RUN = 4,
  PVPERF_BANK_STATE = 5
};

#define PVPERF_AREA_ENABLE UINT64_C(1)
#define PVPERF_STATUS_HOST_TROUBLE (UINT64_C(1) << 62)  ///< some event could not run: its STATE

/// BATCH, beside the mask of events in its low half.
#define PVPERF_BATCH_STOP (UINT64_C(1) << 32)
#define PVPERF_BATCH_LOAD (UINT64_C(1) << 33)
#define PVPERF_BATCH_START (UINT64_C(1) << 34)
#define PVPERF_BATCH_SNAP (UINT64_C(1) << 35)

/// EVTSEL: type in bits 7:0, code in 39:8, and these.
#define PVPERF_USR (UINT64_C(1) << 40)  ///< count at CPL > 0
#define PVPERF_OS (UINT64_C(1) << 41)   ///< count at CPL 0
#define PVPERF_EN (UINT64_C(1) << 42)
#define PVPERF_INT (UINT64_C(1) << 43)  ///< interrupt at overflow

enum pvperf_type {
  PVPERF_TYPE_GENERIC = 0,
  PVPERF_TYPE_CACHE = 1,
  PVPERF_TYPE_RAW = 2,
  PVPERF_TYPE_SOFTWARE = 3,
  PVPERF_TYPE_BREAKPOINT = 4  ///< refused
};
/// Codes of PVPERF_TYPE_GENERIC, which mean the same on every host.
enum pvperf_generic_event {
  PVPERF_CYCLES = 0,
  PVPERF_INSTRUCTIONS = 1,
  PVPERF_CACHE_REFERENCES = 2,
  PVPERF_CACHE_MISSES = 3,
  PVPERF_BRANCHES = 4,
  PVPERF_BRANCH_MISSES = 5,
  PVPERF_BUS_CYCLES = 6,
  PVPERF_STALLED_FRONTEND = 7,
  PVPERF_STALLED_BACKEND = 8,
  PVPERF_REFERENCE_CYCLES = 9
};
/// The three parts of a code of PVPERF_TYPE_CACHE.
enum pvperf_cache {
  PVPERF_L1D = 0,
  PVPERF_L1I = 1,
  PVPERF_LL = 2,
  PVPERF_DTLB = 3,
  PVPERF_ITLB = 4,
  PVPERF_BPU = 5,
  PVPERF_NODE = 6
};
enum pvperf_cache_operation { PVPERF_READ = 0, PVPERF_WRITE = 1, PVPERF_PREFETCH = 2 };
enum pvperf_cache_result { PVPERF_ACCESS = 0, PVPERF_MISS = 1 };
/// Codes of PVPERF_TYPE_SOFTWARE.
enum pvperf_software_event {
  PVPERF_EXITS = 0,
  PVPERF_STOLEN_NS = 1,
  PVPERF_INTERRUPTS = 2,
  PVPERF_PAGE_FAULT_EXITS = 3
};

/// STATE.
enum pvperf_state {
  PVPERF_STATE_RUNNING = 1 << 0,      ///< on a counter now
  PVPERF_STATE_NOT_STARTED = 1 << 1,  ///< the host cannot run it; the code says why
  PVPERF_STATE_REFUSED = 1 << 2,      ///< the host's operator forbids it: it counts 0
  PVPERF_STATE_THROTTLED = 1 << 3,    ///< no interrupts for up to 1 ms
  PVPERF_STATE_CODE_SHIFT = 8         ///< bits 15:8 are an enum pvperf_code
};

/// host_flags of the page.
enum pvperf_host_flag {
  PVPERF_HOST_RDPMC = 1 << 0,    ///< rdpmc_offset, rdpmc_index, rdpmc_width are valid
  PVPERF_HOST_PERIODIC = 1 << 1  ///< the page is written every publish period
};

/// Flags of a command.
enum pvperf_command_flag {
  PVPERF_SET_EVTSEL = 1 << 0,
  PVPERF_SET_COUNT = 1 << 1,
  PVPERF_SET_PERIOD = 1 << 2
};

/// What functions here return. Up to 13 they are what ERROR, STATE and batch_code say.
enum pvperf_code {
  PVPERF_OK = 0,
  PVPERF_E_ABI = 1,       ///< another major version
  PVPERF_E_RESERVED = 2,  ///< something that must be zero is not
  PVPERF_E_ID = 3,        ///< there is no such event
  PVPERF_E_TYPE = 4,
  PVPERF_E_CODE = 5,      ///< not a code, or an event that this host does not have
  PVPERF_E_FILTERED = 6,  ///< the host's operator forbids it
  PVPERF_E_WIDTH = 7,
  PVPERF_E_PERIOD = 8,
  PVPERF_E_NOAREA = 9,  ///< there is no page
  PVPERF_E_GPA = 10,    ///< the page is no RAM (any more), or not where it was said to be
  PVPERF_E_BUSY = 11,   ///< the host has no counter left; it tries again every millisecond
  PVPERF_E_HOST = 12,
  PVPERF_E_LVT = 13,         ///< LVTPC is neither fixed nor NMI
  PVPERF_E_ABSENT = 0x100,   ///< not from the host: there is no PV perf
  PVPERF_E_FEATURE = 0x101,  ///< not from the host: the feature is not offered
};

/// Hypercalls, in RBX; and their results.
enum pvperf_call {
  PVPERF_CALL_OPEN = 1,
  PVPERF_CALL_CLOSE = 2,
  PVPERF_CALL_ENABLE = 3,
  PVPERF_CALL_DISABLE = 4,
  PVPERF_CALL_READ = 5
};
enum pvperf_call_error {
  PVPERF_CALL_EPERM = -1,        ///< not at CPL 0
  PVPERF_CALL_E2BIG = -7,        ///< reserved
  PVPERF_CALL_EFAULT = -14,      ///< an address is no RAM, or crosses a page
  PVPERF_CALL_EINVAL = -22,      ///< malformed, no such id, open already or not open
  PVPERF_CALL_EOPNOTSUPP = -95,  ///< unknown operation, or what is not offered
  PVPERF_CALL_ENOSYS = -1000     ///< no such call here
};
#define PVPERF_CALL_EXCLUDE_USER UINT64_C(1)        ///< in flags of an attr
#define PVPERF_CALL_EXCLUDE_KERNEL UINT64_C(2)      ///< likewise
#define PVPERF_CALL_INTERRUPT UINT64_C(4)           ///< likewise: interrupt at overflow
#define PVPERF_CALL_TIME_ENABLED UINT64_C(1)        ///< in read_format of an attr
#define PVPERF_CALL_TIME_RUNNING UINT64_C(2)        ///< likewise
#define PVPERF_CALL_OVERFLOWED (UINT64_C(1) << 16)  ///< in status of an event

// ---- Structures ---------------------------------------------------------------------------------
// Little-endian; the same for 32- and 64-bit guests. "Host" and "guest" say who writes.

struct pvperf_event_record {
  uint64_t count;
  uint64_t time_enabled;  ///< ns
  uint64_t time_running;  ///< ns
  uint64_t rdpmc_offset;
  uint32_t rdpmc_index;  ///< 0: none, else hardware index + 1
  uint16_t rdpmc_width;  ///< bits
  uint16_t state;        ///< STATE, bits 15:0
  uint64_t evtsel;
};

struct pvperf_command_record {
  uint64_t evtsel;
  uint64_t count;
  uint64_t period;
  uint32_t flags;  ///< enum pvperf_command_flag
  uint32_t pad;    ///< 0
};

struct pvperf_page {
  PVPERF_ALIGNED(4096)
  uint32_t seq;            ///< host: even is stable, odd is being written
  uint32_t abi;            ///< host: version, major in 31:16
  uint64_t global_ctrl;    ///< host
  uint64_t global_status;  ///< host
  uint64_t pub_tsc;        ///< host: this guest's TSC when it was written
  uint64_t pub_ns;         ///< host: monotonic ns when it was written
  uint32_t batch_seq;      ///< host: one more with each BATCH
  uint16_t batch_code;     ///< host: enum pvperf_code of the last BATCH
  uint16_t batch_id;       ///< host: the event that batch_code is about, or PVPERF_NO_ID
  uint32_t host_flags;     ///< host: enum pvperf_host_flag
  uint32_t pad0;           ///< host: 0
  uint64_t resv0;          ///< host: 0
  uint32_t cmd_flags;      ///< guest: 0
  uint32_t cmd_pad;        ///< guest: 0
  uint64_t cmd_resv[7];    ///< guest: 0
  uint8_t resv1[128];      ///< 0
  struct pvperf_event_record events[32];      ///< host
  uint8_t resv2[256];                         ///< 0
  struct pvperf_command_record commands[32];  ///< guest
  uint8_t resv3[1024];                        ///< 0
};

/// What OPEN asks for.
struct pvperf_call_attr {
  PVPERF_ALIGNED(8)
  uint32_t type;           ///< enum pvperf_type
  uint32_t pad;            ///< 0
  uint64_t config;         ///< the type's code; bits 63:32 are 0
  uint64_t sample_period;  ///< events from overflow to overflow; 0: free running
  uint64_t read_format;    ///< which times the host fills in
  uint64_t flags;
  uint64_t reserved;  ///< 0
};
/// What the host writes at DISABLE, READ and overflow.
struct pvperf_call_event {
  PVPERF_ALIGNED(8)
  uint64_t count;
  uint64_t status;        ///< STATE, and PVPERF_CALL_OVERFLOWED
  uint64_t time_enabled;  ///< ns
  uint64_t time_running;  ///< ns
};
/// What OPEN is given the address of.
struct pvperf_call_param {
  PVPERF_ALIGNED(8)
  uint64_t attr_addr;   ///< physical, of a struct pvperf_call_attr that crosses no page
  uint64_t event_addr;  ///< physical, of a struct pvperf_call_event that crosses no page
  uint32_t id;          ///< the event, below pvperf_info::events
  uint32_t flags;       ///< 0
  uint64_t reserved;    ///< 0
};

#define PVPERF_AT(type, member, offset) \
  PVPERF_STATIC_ASSERT(offsetof(struct pvperf_##type, member) == (offset))
PVPERF_AT(event_record, count, 0);
PVPERF_AT(event_record, time_enabled, 8);
PVPERF_AT(event_record, time_running, 16);
PVPERF_AT(event_record, rdpmc_offset, 24);
PVPERF_AT(event_record, rdpmc_index, 32);
PVPERF_AT(event_record, rdpmc_width, 36);
PVPERF_AT(event_record, state, 38);
PVPERF_AT(event_record, evtsel, 40);
PVPERF_STATIC_ASSERT(sizeof(struct pvperf_event_record) == 48);
PVPERF_AT(command_record, evtsel, 0);
PVPERF_AT(command_record, count, 8);
PVPERF_AT(command_record, period, 16);
PVPERF_AT(command_record, flags, 24);
PVPERF_AT(command_record, pad, 28);
PVPERF_STATIC_ASSERT(sizeof(struct pvperf_command_record) == 32);
PVPERF_AT(page, seq, 0x000);
PVPERF_AT(page, abi, 0x004);
PVPERF_AT(page, global_ctrl, 0x008);
PVPERF_AT(page, global_status, 0x010);
PVPERF_AT(page, pub_tsc, 0x018);
PVPERF_AT(page, pub_ns, 0x020);
PVPERF_AT(page, batch_seq, 0x028);
PVPERF_AT(page, batch_code, 0x02c);
PVPERF_AT(page, batch_id, 0x02e);
PVPERF_AT(page, host_flags, 0x030);
PVPERF_AT(page, pad0, 0x034);
PVPERF_AT(page, resv0, 0x038);
PVPERF_AT(page, cmd_flags, 0x040);
PVPERF_AT(page, cmd_pad, 0x044);
PVPERF_AT(page, cmd_resv, 0x048);
PVPERF_AT(page, resv1, 0x080);
PVPERF_AT(page, events, 0x100);
PVPERF_AT(page, resv2, 0x700);
PVPERF_AT(page, commands, 0x800);
PVPERF_AT(page, resv3, 0xc00);
PVPERF_STATIC_ASSERT(sizeof(struct pvperf_page) == PVPERF_PAGE_BYTES);
PVPERF_AT(call_attr, type, 0);
PVPERF_AT(call_attr, pad, 4);
PVPERF_AT(call_attr, config, 8);
PVPERF_AT(call_attr, sample_period, 16);
PVPERF_AT(call_attr, read_format, 24);
PVPERF_AT(call_attr, flags, 32);
PVPERF_AT(call_attr, reserved, 40);
PVPERF_STATIC_ASSERT(sizeof(struct pvperf_call_attr) == 48);
PVPERF_AT(call_event, count, 0);
PVPERF_AT(call_event, status, 8);
PVPERF_AT(call_event, time_enabled, 16);
PVPERF_AT(call_event, time_running, 24);
PVPERF_STATIC_ASSERT(sizeof(struct pvperf_call_event) == 32);
PVPERF_AT(call_param, attr_addr, 0);
PVPERF_AT(call_param, event_addr, 8);
PVPERF_AT(call_param, id, 16);
PVPERF_AT(call_param, flags, 20);
PVPERF_AT(call_param, reserved, 24);
PVPERF_STATIC_ASSERT(sizeof(struct pvperf_call_param) == 32);
#undef PVPERF_AT

// ---- Instructions -------------------------------------------------------------------------------

struct pvperf_cpuid_result {
  uint32_t eax, ebx, ecx, edx;
};

#ifdef PVPERF_OWN_INSTRUCTIONS
// The kernel's, which do what those below do.
struct pvperf_cpuid_result pvperf_cpuid(uint32_t leaf);
uint64_t pvperf_rdmsr(uint32_t msr);
void pvperf_wrmsr(uint32_t msr, uint64_t value);
uint64_t pvperf_rdpmc(uint32_t index);
intptr_t pvperf_hypercall(bool amd, uintptr_t number, uintptr_t b, uintptr_t c, uintptr_t d);
void pvperf_pause(void);
#else
/// CPUID; the subleaf is 0.
static inline struct pvperf_cpuid_result pvperf_cpuid(uint32_t leaf) {
  struct pvperf_cpuid_result r;
  __asm__ volatile("cpuid"
                   : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                   : "a"(leaf), "c"(0));
  return r;
}
static inline uint64_t pvperf_rdmsr(uint32_t msr) {
  uint32_t low, high;
  __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
  return (uint64_t)high << 32 | low;
}
/// WRMSR. Stores before it must not move behind it, nor loads behind it before it ("memory").
static inline void pvperf_wrmsr(uint32_t msr, uint64_t value) {
  __asm__ volatile("wrmsr"
                   :
                   : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(msr)
                   : "memory");
}
static inline uint64_t pvperf_rdpmc(uint32_t index) {
  uint32_t low, high;
  __asm__ volatile("rdpmc" : "=a"(low), "=d"(high) : "c"(index) : "memory");
  return (uint64_t)high << 32 | low;
}
/// VMCALL, or VMMCALL if `amd`: number and arguments in RAX, RBX, RCX, RDX, the result in RAX. The
/// host may read and write memory.
static inline intptr_t pvperf_hypercall(bool amd, uintptr_t number, uintptr_t b, uintptr_t c,
                                        uintptr_t d) {
  uintptr_t result;
  if (amd) {
    __asm__ volatile("vmmcall" : "=a"(result) : "a"(number), "b"(b), "c"(c), "d"(d) : "memory");
  } else {
    __asm__ volatile("vmcall" : "=a"(result) : "a"(number), "b"(b), "c"(c), "d"(d) : "memory");
  }
  return (intptr_t)result;
}
/// What a loop that waits does.
static inline void pvperf_pause(void) {
  __asm__ volatile("pause" : : : "memory");
}
#endif

// ---- Discovery ----------------------------------------------------------------------------------

/// What the hypervisor offers; the same for all CPUs.
struct pvperf_info {
  uint32_t cpuid_base;
  uint32_t features;  ///< enum pvperf_feature
  uint32_t version;   ///< major in 31:16, minor in 15:0
  uint32_t msr_base;
  uint32_t events;           ///< N: each CPU has events 0 to N - 1
  uint32_t width;            ///< W: bits of a count
  uint32_t at_once;          ///< how many can be on counters at the same time, for information
  uint32_t publish_us;       ///< how old the page may be while events run; 0: written on request
  uint32_t minimum_period;   ///< of PERIOD; 0: none
  uint32_t generic_events;   ///< bit i: enum pvperf_generic_event i is there
  uint32_t software_events;  ///< bit i: enum pvperf_software_event i is there
  uint32_t evtsel_bits;      ///< EVTSEL[63:40] that may be set
  bool amd;                  ///< hypercalls are VMMCALL
};

/// Looks for PV perf. PVPERF_E_ABSENT: no hypervisor, or none that has it. PVPERF_E_ABI: a version
/// whose major number is not 1, or nonsense; it must not be used then. Some ten to 258 CPUIDs, each
/// of which may exit; once is enough.
enum pvperf_code pvperf_discover(struct pvperf_info* info);

static inline bool pvperf_has(const struct pvperf_info* info, enum pvperf_feature feature) {
  return (info->features & (uint32_t)feature) != 0;
}
/// The bits that a count has: 2^W - 1. No exits.
static inline uint64_t pvperf_mask(const struct pvperf_info* info) {
  return ~UINT64_C(0) >> (64 - info->width);
}

// ---- EVTSEL: what an event counts ---------------------------------------------------------------
// `flags`: PVPERF_USR, PVPERF_OS, PVPERF_INT. All set EN. No exits.

static inline uint64_t pvperf_evtsel(enum pvperf_type type, uint32_t code, uint64_t flags) {
  return (uint64_t)(uint32_t)type | (uint64_t)code << 8 | PVPERF_EN | flags;
}
static inline uint64_t pvperf_generic(enum pvperf_generic_event event, uint64_t flags) {
  return pvperf_evtsel(PVPERF_TYPE_GENERIC, (uint32_t)event, flags);
}
static inline uint64_t pvperf_software(enum pvperf_software_event event, uint64_t flags) {
  return pvperf_evtsel(PVPERF_TYPE_SOFTWARE, (uint32_t)event, flags);
}
static inline uint64_t pvperf_cache(enum pvperf_cache cache, enum pvperf_cache_operation operation,
                                    enum pvperf_cache_result result, uint64_t flags) {
  return pvperf_evtsel(PVPERF_TYPE_CACHE,
                       (uint32_t)cache | (uint32_t)operation << 8 | (uint32_t)result << 16, flags);
}
/// As the host's own CPU encodes it: select of up to 12 bits, unit mask and counter mask of 8.
static inline uint64_t pvperf_raw(uint32_t select, uint32_t unit_mask, uint32_t counter_mask,
                                  bool edge, bool invert, uint64_t flags) {
  return pvperf_evtsel(PVPERF_TYPE_RAW,
                       select | unit_mask << 12 | counter_mask << 20 | (edge ? 1u << 28 : 0u) |
                           (invert ? 1u << 29 : 0u),
                       flags);
}

// ---- A CPU and its page -------------------------------------------------------------------------

struct pvperf_cpu {
  const struct pvperf_info* info;
  struct pvperf_page* page;  ///< null: none
  /// Of events that sample though the host does not reload them: how far to the next overflow.
  uint64_t rearm[PVPERF_MAX_EVENTS];
  // The page is not written because an overflow is acknowledged. So until it is written again:
  uint32_t acknowledged_seq;  ///< when the page has this number, its GLOBAL_STATUS may show
  uint32_t acknowledged;      ///< these events, though they have been acknowledged
  bool acknowledged_unsure;   ///< and it cannot be said whether before or behind it was written
};

/// What an event has counted.
struct pvperf_value {
  uint64_t count;
  uint64_t time_enabled;  ///< ns
  uint64_t time_running;  ///< ns; less than time_enabled if the host had no counter for a while
  uint32_t state;         ///< STATE, bits 15:0
};

/// Makes `page`, which lies at `physical`, the page of the CPU that it runs on. `page` may be null:
/// then only the functions of the register method, and those that say so, can be used.
/// PVPERF_E_FEATURE: no pages here; PVPERF_E_GPA: what the host wrote does not show in `page`.
/// #GP (the driver does not handle it): `physical` is no RAM, or another CPU's page. 1 exit.
enum pvperf_code pvperf_cpu_start(struct pvperf_cpu* cpu, const struct pvperf_info* info,
                                  struct pvperf_page* page, uint64_t physical);

/// Stops all events, and takes the page away from the host; it is ordinary memory again. 2 exits.
void pvperf_cpu_stop(struct pvperf_cpu* cpu);

// ---- Batch method: an exit for all events -------------------------------------------------------
// Events are named by a mask, event i by bit i.

/// Writes the command of event i: what it counts, from where, and after how many events it
/// overflows, again and again; 0: it is free running and starts at `count`. With a `period` `count`
/// is how much of it has passed. Nothing happens before pvperf_start(). No exits.
void pvperf_command(struct pvperf_cpu* cpu, unsigned i, uint64_t evtsel, uint64_t count,
                    uint64_t period);

/// Loads the commands of these events, and starts them; all or, if one is refused, none. `refused`
/// (may be null): which, or PVPERF_NO_ID. An event that the host lacks, or forbids, is not refused:
/// see pvperf_value::state. PVPERF_E_NOAREA, PVPERF_E_FEATURE: cannot be. PVPERF_E_GPA: the page is
/// gone; `cpu` has none any more. Codes of records otherwise. 1 exit (2 if the page is gone).
enum pvperf_code pvperf_start(struct pvperf_cpu* cpu, uint32_t events, unsigned* refused);

/// Starts them where they stand, without their commands. Errors as pvperf_start(). 1 exit.
enum pvperf_code pvperf_resume(struct pvperf_cpu* cpu, uint32_t events);

/// Stops them; the page is exact. Errors as pvperf_start(). 1 exit.
enum pvperf_code pvperf_stop(struct pvperf_cpu* cpu, uint32_t events);

/// Brings the page up to date for all events, at one instant. Errors as pvperf_start(). 1 exit.
enum pvperf_code pvperf_snap(struct pvperf_cpu* cpu);

/// Any combination of PVPERF_BATCH_... The others are this. STOP and START together are #GP.
enum pvperf_code pvperf_batch(struct pvperf_cpu* cpu, uint32_t events, uint64_t operations,
                              unsigned* refused);

// ---- Reading ------------------------------------------------------------------------------------

/// Event i as the page has it: up to pvperf_info::publish_us old while it runs, exact when it is
/// stopped. Without page, or if that cannot be read, from the registers. No exits (4 in the latter
/// case).
void pvperf_read(const struct pvperf_cpu* cpu, unsigned i, struct pvperf_value* value);

/// The count at this instant, by the cheapest way there is: the page and the hardware's counter (no
/// exits), RDPMC or the register (1 exit).
uint64_t pvperf_read_exact(const struct pvperf_cpu* cpu, unsigned i);

/// The page of any CPU, from any CPU. False: it was being written each of PVPERF_READ_RETRIES
/// times; `value` is then anything. No exits.
bool pvperf_page_read(const struct pvperf_page* page, unsigned i, struct pvperf_value* value);

/// The same for events 0 to `count` - 1 at one instant; and GLOBAL_STATUS then, if `status` is not
/// null. No exits.
bool pvperf_page_read_all(const struct pvperf_page* page, unsigned count,
                          struct pvperf_value* values, uint64_t* status);

/// RDPMC of event i of this CPU; also in user mode if CR4.PCE is set. #GP without the feature
/// PVPERF_FEATURE_RDPMC_TRAP. 1 exit.
static inline uint64_t pvperf_read_rdpmc(unsigned i) {
  return pvperf_rdpmc(PVPERF_RDPMC_BASE + i);
}

/// What the event would have counted had it always been on a counter, rounded down: count x
/// time_enabled / time_running; the largest number if that is more, 0 if it never ran. No exits.
uint64_t pvperf_scaled(const struct pvperf_value* value);

// ---- Interrupts ---------------------------------------------------------------------------------

/// What pvperf_pmi() calls.
struct pvperf_pmi_calls {
  /// Event i overflowed. `value` is as of the overflow, or later.
  void (*overflow)(void* context, unsigned i, const struct pvperf_value* value);
  /// Clears the mask bit of LVTPC, which the host of an Intel guest has set. May be null if
  /// nothing does (AMD).
  void (*unmask)(void* context);
  void* context;
};

/// The whole of the interrupt's handler, but for the end of interrupt where it is not NMI: calls
/// `overflow` for each event that overflowed, sets those going again that the host does not reload,
/// unmasks, acknowledges. In this order: what overflows meanwhile interrupts again. Returns the
/// events that overflowed; 0: it was not PV perf's interrupt, or an earlier call has handled it
/// already. Can be called in NMI context, on the CPU that was interrupted anywhere, also within
/// other functions of this driver. 1 exit, and what `unmask` costs (1), and 1 for each event
/// without auto-reload; none if it returns 0, but 1 if there is no page, or if that
/// was written while the last overflow was acknowledged.
uint32_t pvperf_pmi(struct pvperf_cpu* cpu, const struct pvperf_pmi_calls* calls);

// ---- Task switches ------------------------------------------------------------------------------

struct pvperf_task_event {
  uint64_t evtsel;
  uint64_t count;                           ///< when it was last switched out
  uint64_t period;                          ///< as in pvperf_command()
  uint64_t time_enabled;                    ///< ns, in all turns
  uint64_t time_running;                    ///< ns, in all turns
  uint64_t enabled_before, running_before;  ///< the CPU's times when this turn began
};
/// The events of a task, which go with it from CPU to CPU.
struct pvperf_task {
  uint32_t events;      ///< which it has
  uint32_t overflowed;  ///< whose overflow was found when it was switched out, not by an interrupt
  struct pvperf_task_event event[PVPERF_MAX_EVENTS];
};

/// A task without events. No exits.
void pvperf_task_start(struct pvperf_task* task);

/// Gives the task an event, from its next turn on. As pvperf_command(). No exits.
void pvperf_task_add(struct pvperf_task* task, const struct pvperf_cpu* cpu, unsigned i,
                     uint64_t evtsel, uint64_t count, uint64_t period);

/// The task's turn begins on this CPU. Interrupts are off. Errors as pvperf_start(). 1 exit.
enum pvperf_code pvperf_task_in(struct pvperf_cpu* cpu, struct pvperf_task* task);

/// It ends: stops its events and keeps their counts. Interrupts are off. An overflow that nobody
/// has handled yet is taken back, so that the next task does not get it, and noted in
/// pvperf_task::overflowed. Errors as pvperf_start(). 1 exit; 2 with such an overflow.
enum pvperf_code pvperf_task_out(struct pvperf_cpu* cpu, struct pvperf_task* task);

// ---- Register method: an exit for each access, no page ------------------------------------------

static inline uint32_t pvperf_msr(const struct pvperf_info* info, enum pvperf_msr msr) {
  return info->msr_base + (uint32_t)msr;
}
static inline uint32_t pvperf_bank_msr(const struct pvperf_info* info, unsigned i,
                                       enum pvperf_bank_msr msr) {
  return info->msr_base + PVPERF_MSR_FIRST_BANK + PVPERF_BANK_MSRS * i + (uint32_t)msr;
}
/// Event i counts this, from `count` on (bits W and up are ignored), if pvperf_enable() says so.
/// #GP: it is malformed. 2 exits.
void pvperf_program(const struct pvperf_info* info, unsigned i, uint64_t evtsel, uint64_t count);
/// The host sets its count to 2^W - `period` at each overflow; 0: it does not. #GP: `period` is
/// below pvperf_info::minimum_period, or does not fit. 1 exit.
void pvperf_set_period(const struct pvperf_info* info, unsigned i, uint64_t period);
/// Exactly these events run from now on. 1 exit.
void pvperf_enable(const struct pvperf_info* info, uint32_t events);
/// The count of event i at this instant. 1 exit.
uint64_t pvperf_read_register(const struct pvperf_info* info, unsigned i);
/// All of event i at this instant, or nearly. 4 exits.
void pvperf_read_registers(const struct pvperf_info* info, unsigned i, struct pvperf_value* value);

// ---- Calls instead of registers -----------------------------------------------------------------
// Results: 0, or an enum pvperf_call_error. They are shorthands for the registers of event `id`.

/// `param` is the physical address of a struct pvperf_call_param, 8-byte aligned, as are the two
/// that it names; both structures that the host reads it reads now, once. `event_addr` is written
/// until CLOSE. The event is off. 1 exit.
int pvperf_call_open(const struct pvperf_info* info, uint64_t param);
/// It is off and forgotten. 1 exit.
int pvperf_call_close(const struct pvperf_info* info, uint32_t id);
/// It counts; an overflow that it had is acknowledged. 1 exit.
int pvperf_call_enable(const struct pvperf_info* info, uint32_t id);
/// It does not count any more; its struct pvperf_call_event is exact. 1 exit.
int pvperf_call_disable(const struct pvperf_info* info, uint32_t id);
/// Its struct pvperf_call_event is as of now. 1 exit.
int pvperf_call_read(const struct pvperf_info* info, uint32_t id);

// ---- Names --------------------------------------------------------------------------------------

/// As the ABI spells it, e.g. "E_FILTERED"; "?" for others. Never null. No exits.
const char* pvperf_code_name(enum pvperf_code code);
/// Likewise, e.g. "EINVAL"; "OK" for 0.
const char* pvperf_call_error_name(int error);

#ifdef __cplusplus
}
#endif

#endif
