// SPDX-License-Identifier: MIT
//
// What is in a trace of the Statistical Profiling Extension, record by record.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum spe_class { kOther = 0x48, kMemory = 0x49, kBranch = 0x4a };

struct spe_record {
  uint64_t pc;  ///< sign-extended, as the CPU has it
  unsigned el;
  enum spe_class class;
  bool store;  ///< of kMemory
  bool has_virtual, has_physical, has_time, has_context;
  uint64_t virtual_address, physical_address;
  uint64_t time;
  uint32_t context;
  uint64_t events;
  unsigned total_latency;
};

/// The record at the front of `trace`, without what fills it up. Returns its length, or 0 if there
/// is none: something is no packet, or it does not end within `size`.
size_t spe_read_record(const uint8_t* trace, size_t size, struct spe_record* record);

/// How many bytes of padding are at the front of `trace`.
size_t spe_padding(const uint8_t* trace, size_t size);

/// FNV-1a.
uint64_t spe_checksum(const uint8_t* bytes, size_t size);
