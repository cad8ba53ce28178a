// SPDX-License-Identifier: MIT
#include "runtime/spe.h"

static uint64_t payload_of(const uint8_t* at, unsigned bytes) {
  uint64_t value = 0;
  for (unsigned n = 0; n < bytes; ++n) value |= (uint64_t)at[n] << (8 * n);
  return value;
}

static void take(struct spe_record* record, uint8_t header, uint64_t value) {
  switch (header) {
    case 0xb0: record->pc = value; break;
    case 0xb1: record->target = value; break;
    case 0xb2: record->address = value; break;
    case 0xb3: record->physical = value; break;
    case 0x98: record->total_latency = (uint16_t)value; break;
    case 0x64: record->context = (uint32_t)value; break;
    case 0x48:
    case 0x49:
    case 0x4a:
      record->type = header;
      record->payload = (uint8_t)value;
      break;
    default:
      if ((header & 0xcf) == 0x42) record->events = (uint32_t)value;
      break;
  }
}

const uint8_t* spe_parse(const uint8_t* at, const uint8_t* end, struct spe_record* record) {
  *record = (struct spe_record){0};
  while (at < end) {
    const uint8_t header = *at++;
    if (header == 0) continue;
    if (header == 1) break;
    if (header < 0x40) return NULL;
    const unsigned bytes = 1U << (header >> 4 & 3);
    if (end - at < bytes) return NULL;
    const uint64_t value = payload_of(at, bytes);
    at += bytes;
    if (header == 0x71) {
      record->timestamp = value;
      record->has_timestamp = true;
      break;
    }
    take(record, header, value);
  }
  while (at < end && *at == 0) ++at;
  return record->pc != 0 ? at : NULL;
}
