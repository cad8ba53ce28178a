// SPDX-License-Identifier: MIT
//
// An event of Linux's driver for the Statistical Profiling Extension, with its two buffers: the
// ring, where the kernel says what has come, and AUX, where the unit itself writes.
#pragma once

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "spe_trace.h"

/// Bits of perf_event_attr.config.
enum {
  kTime = 1 << 0,
  kPhysicalAddress = 1 << 1,
  kPhysicalTime = 1 << 2,
  kJitter = 1 << 16,
};
static const uint64_t kBranches = 1ull << 32, kLoads = 1ull << 33, kStores = 1ull << 34;

struct spe_choice {
  pid_t process;  ///< -1: all
  int cpu;        ///< -1: all
  uint64_t config, event_filter, min_latency;
  uint64_t period;
  bool no_user, no_kernel;
  size_t buffer_pages;  ///< of AUX: a power of two
  bool overwrite;       ///< when it is full, it begins again: what is in it are the last records
};

struct spe_session {
  int event;  ///< -1: there is none
  struct perf_event_mmap_page* ring;
  const uint8_t* buffer;
  size_t buffer_size;
  bool overwrite;
  unsigned pieces;    ///< how often the kernel said that there is something
  uint64_t bytes;     ///< in all of them
  uint64_t flags;     ///< PERF_AUX_FLAG_* of all of them
  unsigned broken;    ///< pieces that are not of whole records
  unsigned messages;  ///< of the kernel's, other than pieces and the beginning: something was lost
  unsigned records;
  uint64_t cpus;  ///< bit n: there are pieces of CPU n
};

/// Called for each record, in order. `bytes`: without padding.
typedef void spe_visitor(void* context, const struct spe_record* record, const uint8_t* bytes,
                         size_t size);

/// The driver's number among event sources; -1 if it is not there.
int spe_event_type(void);

/// A number or a text that the driver has in sysfs, `name` below its folder; empty if it is not
/// there.
void spe_attribute(const char* name, char* text, size_t size);

/// Disabled. False, with errno: the kernel refuses.
bool spe_open(struct spe_session* session, const struct spe_choice* choice);
void spe_enable(const struct spe_session* session);
void spe_disable(const struct spe_session* session);

/// Takes all that has come out of the buffers; with `overwrite`, once, when the event is disabled.
void spe_drain(struct spe_session* session, spe_visitor* visit, void* context);

void spe_close(struct spe_session* session);
