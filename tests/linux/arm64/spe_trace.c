// SPDX-License-Identifier: MIT
#include "spe_trace.h"

#include <string.h>

enum { kPadding = 0x00, kEnd = 0x01, kTimestamp = 0x71 };
enum { kProgramCounter = 0xb0, kVirtual = 0xb2, kPhysical = 0xb3, kTotalLatency = 0x98 };
static const uint64_t kAddressBits = (1ull << 56) - 1;

size_t spe_padding(const uint8_t* trace, size_t size) {
  size_t length = 0;
  while (length < size && trace[length] == kPadding) ++length;
  return length;
}

uint64_t spe_checksum(const uint8_t* bytes, size_t size) {
  uint64_t sum = 0xcbf29ce484222325;
  for (size_t n = 0; n < size; ++n) sum = (sum ^ bytes[n]) * 0x100000001b3;
  return sum;
}

static uint64_t sign_extended(uint64_t address) {
  return (uint64_t)((int64_t)(address << 8) >> 8);
}

/// False: no packet that this unit writes.
static bool take_packet(uint8_t header, uint64_t payload, struct spe_record* record) {
  switch (header) {
    case kOther:
    case kMemory:
    case kBranch:
      record->class = header;
      record->store = (payload & 1) != 0;
      return true;
    case kProgramCounter:
      record->pc = sign_extended(payload);
      record->el = payload >> 61 & 3;
      return true;
    case kVirtual:
      record->has_virtual = true;
      record->virtual_address = payload & kAddressBits;
      return true;
    case kPhysical:
      record->has_physical = true;
      record->physical_address = payload & kAddressBits;
      return true;
    case kTotalLatency: record->total_latency = (unsigned)payload; return true;
    case kTimestamp:
      record->has_time = true;
      record->time = payload;
      return true;
    case 0x64:  // CONTEXTIDR_EL1
      record->has_context = true;
      record->context = (uint32_t)payload;
      return true;
    default: break;
  }
  const bool events = (header & 0xcf) == 0x42, source = (header & 0xcf) == 0x43;
  const bool other_address = header == 0xb1, other_counter = header == 0x99 || header == 0x9a;
  if (events) record->events = payload;
  return events || source || other_address || other_counter;
}

size_t spe_read_record(const uint8_t* trace, size_t size, struct spe_record* record) {
  memset(record, 0, sizeof *record);
  for (size_t at = 0; at < size;) {
    const uint8_t header = trace[at++];
    if (header == kEnd) return at;
    const size_t length = (size_t)1 << (header >> 4 & 3);
    if (header < 0x40 || length > size - at) return 0;
    uint64_t payload = 0;
    memcpy(&payload, trace + at, length);
    at += length;
    if (!take_packet(header, payload, record)) return 0;
    if (header == kTimestamp) return at;
  }
  return 0;
}
