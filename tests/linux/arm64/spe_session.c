// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "spe_session.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kPage = 4096, kRingPages = 16 };

// ---- The driver ---------------------------------------------------------------------------------

void spe_attribute(const char* name, char* text, size_t size) {
  char path[128];
  snprintf(path, sizeof path, "/sys/bus/event_source/devices/arm_spe_0/%s", name);
  const int file = open(path, O_RDONLY);
  const ssize_t length = file < 0 ? 0 : read(file, text, size - 1);
  text[length < 0 ? 0 : length] = '\0';
  text[strcspn(text, "\n")] = '\0';
  if (file >= 0) close(file);
}

int spe_event_type(void) {
  char text[16];
  spe_attribute("type", text, sizeof text);
  return text[0] == '\0' ? -1 : atoi(text);
}

// ---- Events -------------------------------------------------------------------------------------

bool spe_open(struct spe_session* session, const struct spe_choice* choice) {
  struct perf_event_attr attributes = {
      .type = (uint32_t)spe_event_type(),
      .size = sizeof attributes,
      .config = choice->config,
      .config1 = choice->event_filter,
      .config2 = choice->min_latency,
      .sample_period = choice->period,
      .sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_CPU,
      .disabled = 1,
      .exclude_user = choice->no_user,
      .exclude_kernel = choice->no_kernel,
      .exclude_hv = 1,
      .sample_id_all = 1,
  };
  memset(session, 0, sizeof *session);
  const int no_group = -1;
  session->event =
      (int)syscall(SYS_perf_event_open, &attributes, choice->process, choice->cpu, no_group, 0UL);
  if (session->event < 0) return false;
  const int access = PROT_READ | PROT_WRITE;
  session->ring = mmap(NULL, (1 + kRingPages) * kPage, access, MAP_SHARED, session->event, 0);
  if (session->ring == MAP_FAILED) return false;
  session->buffer_size = choice->buffer_pages * kPage;
  session->ring->aux_offset = (1 + kRingPages) * kPage;
  session->ring->aux_size = session->buffer_size;
  session->overwrite = choice->overwrite;
  const int access_of_buffer = choice->overwrite ? PROT_READ : access;
  session->buffer = mmap(NULL, session->buffer_size, access_of_buffer, MAP_SHARED, session->event,
                         (off_t)session->ring->aux_offset);
  return session->buffer != MAP_FAILED;
}

void spe_enable(const struct spe_session* session) {
  ioctl(session->event, PERF_EVENT_IOC_ENABLE, 0);
}

void spe_disable(const struct spe_session* session) {
  ioctl(session->event, PERF_EVENT_IOC_DISABLE, 0);
}

void spe_close(struct spe_session* session) {
  munmap((void*)session->buffer, session->buffer_size);
  munmap(session->ring, (1 + kRingPages) * kPage);
  close(session->event);
  session->event = -1;
}

// ---- What they write ----------------------------------------------------------------------------

struct piece {
  struct perf_event_header header;
  uint64_t offset, size, flags;
  uint32_t process, thread, cpu, reserved;
};

static void take_records(struct spe_session* session, const uint8_t* trace, size_t size,
                         spe_visitor* visit, void* context) {
  for (size_t at = spe_padding(trace, size); at < size;) {
    struct spe_record record;
    const size_t length = spe_read_record(trace + at, size - at, &record);
    if (length == 0) {
      ++session->broken;
      return;
    }
    ++session->records;
    if (visit != NULL) visit(context, &record, trace + at, length);
    at += length;
    at += spe_padding(trace + at, size - at);
  }
}

static void take_piece(struct spe_session* session, const struct piece* piece, spe_visitor* visit,
                       void* context) {
  ++session->pieces;
  session->bytes += piece->size;
  session->flags |= piece->flags;
  session->cpus |= 1ull << piece->cpu;
  if (session->overwrite) return;
  uint8_t* const trace = malloc(piece->size);
  const size_t from = piece->offset % session->buffer_size;
  const size_t behind = session->buffer_size - from;
  const size_t front = piece->size < behind ? piece->size : behind;
  memcpy(trace, session->buffer + from, front);
  memcpy(trace + front, session->buffer, piece->size - front);
  // First of all: the unit goes on while records are looked at.
  __atomic_store_n(&session->ring->aux_tail, piece->offset + piece->size, __ATOMIC_RELEASE);
  take_records(session, trace, piece->size, visit, context);
  free(trace);
}

/// The kernel's message at `position`, which may begin at the ring's end and go on at its
/// beginning.
static void copy_message(const struct perf_event_mmap_page* ring, uint64_t position, void* to,
                         size_t size) {
  const uint8_t* const data = (const uint8_t*)ring + ring->data_offset;
  for (size_t n = 0; n < size; ++n) ((uint8_t*)to)[n] = data[(position + n) % ring->data_size];
}

void spe_drain(struct spe_session* session, spe_visitor* visit, void* context) {
  struct perf_event_mmap_page* const ring = session->ring;
  const uint64_t head = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE);
  uint64_t at = ring->data_tail;
  while (at < head) {
    struct piece piece;
    copy_message(ring, at, &piece.header, sizeof piece.header);
    if (piece.header.type == PERF_RECORD_AUX && piece.header.size == sizeof piece) {
      copy_message(ring, at, &piece, sizeof piece);
      take_piece(session, &piece, visit, context);
    } else if (piece.header.type != PERF_RECORD_ITRACE_START) {
      ++session->messages;
    }
    at += piece.header.size;
  }
  __atomic_store_n(&ring->data_tail, at, __ATOMIC_RELEASE);
  if (!session->overwrite) return;
  // From the oldest on, which would have been the next to go.
  const size_t oldest = ring->aux_head % session->buffer_size;
  take_records(session, session->buffer + oldest, session->buffer_size - oldest, visit, context);
  take_records(session, session->buffer, oldest, visit, context);
}
