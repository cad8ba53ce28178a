// SPDX-License-Identifier: MIT
//
// Gives a VM on /dev/kvm an event filter that was built in:
//
//   vpmu filter build POLICY --format c -o filter.h
//   cc load_event_filter.c -o load_event_filter
//
// A VMM has a VM already, and calls set_event_filter() before its vCPUs run, or later: KVM replaces
// the filter while they do.
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "filter.h"

static int set_event_filter(int kvm, int vm) {
  // Older kernels take the entries for something else.
  if (ioctl(kvm, KVM_CHECK_EXTENSION, 226 /* KVM_CAP_PMU_EVENT_MASKED_EVENTS */) <= 0)
    return ENOTSUP;
  return ioctl(vm, KVM_SET_PMU_EVENT_FILTER, &pmu_event_filter) == 0 ? 0 : errno;
}

int main(void) {
  const int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  const int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
  if (vm < 0) {
    fprintf(stderr, "no VM on /dev/kvm: %s\n", strerror(errno));
    return 2;
  }
  const int error = set_event_filter(kvm, vm);
  if (error != 0) {
    fprintf(stderr, "the kernel refuses the filter: %s\n", strerror(error));
    return error == ENOTSUP ? 2 : 1;
  }
  printf("%u entries\n", pmu_event_filter.nevents);
  return 0;
}
