// SPDX-License-Identifier: MIT
//
// Where a guest's compiler puts the fields of pvperf.h: offset and size of each, by name, as data
// that pvperf_layout_test.cpp finds in the object file's section .layout. C11 and C++17, 32 and 64
// bits.
#include "pvperf/pvperf.h"

struct layout_entry {
  char name[40];
  uint32_t offset, bytes;
};

#define FIELD(type, member)                                    \
  {                                                            \
#type "." #member, offsetof(struct pvperf_##type, member), \
        sizeof(((struct pvperf_##type*)0)->member)             \
  }
#define WHOLE(type) \
  { #type, 0, sizeof(struct pvperf_##type) }

#ifdef __cplusplus
extern "C"
#endif
    __attribute__((section(".layout"), used)) const struct layout_entry pvperf_layout[] = {
        WHOLE(page),
        FIELD(page, seq),
        FIELD(page, abi),
        FIELD(page, global_ctrl),
        FIELD(page, global_status),
        FIELD(page, pub_tsc),
        FIELD(page, pub_ns),
        FIELD(page, batch_seq),
        FIELD(page, batch_code),
        FIELD(page, batch_id),
        FIELD(page, host_flags),
        FIELD(page, pad0),
        FIELD(page, resv0),
        FIELD(page, cmd_flags),
        FIELD(page, cmd_pad),
        FIELD(page, cmd_resv),
        FIELD(page, resv1),
        FIELD(page, events),
        FIELD(page, resv2),
        FIELD(page, commands),
        FIELD(page, resv3),
        WHOLE(event_record),
        FIELD(event_record, count),
        FIELD(event_record, time_enabled),
        FIELD(event_record, time_running),
        FIELD(event_record, rdpmc_offset),
        FIELD(event_record, rdpmc_index),
        FIELD(event_record, rdpmc_width),
        FIELD(event_record, state),
        FIELD(event_record, evtsel),
        WHOLE(command_record),
        FIELD(command_record, evtsel),
        FIELD(command_record, count),
        FIELD(command_record, period),
        FIELD(command_record, flags),
        FIELD(command_record, pad),
        WHOLE(call_attr),
        FIELD(call_attr, type),
        FIELD(call_attr, pad),
        FIELD(call_attr, config),
        FIELD(call_attr, sample_period),
        FIELD(call_attr, read_format),
        FIELD(call_attr, flags),
        FIELD(call_attr, reserved),
        WHOLE(call_event),
        FIELD(call_event, count),
        FIELD(call_event, status),
        FIELD(call_event, time_enabled),
        FIELD(call_event, time_running),
        WHOLE(call_param),
        FIELD(call_param, attr_addr),
        FIELD(call_param, event_addr),
        FIELD(call_param, id),
        FIELD(call_param, flags),
        FIELD(call_param, reserved),
};
