// SPDX-License-Identifier: MIT
#include "machine/kvm/kvm_event_filter.hpp"

#include <linux/ioctl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "machine/kvm/kvm_probe.hpp"
#include "vpmu/virt/x86/filter_image.hpp"

namespace vpmu::machine::kvm {

namespace {
using virt::x86::FilterImage;

// The kernel's interface, spelled out: older headers lack parts of it.
constexpr unsigned kKvmIo = 0xae;
constexpr unsigned long kGetApiVersion = _IO(kKvmIo, 0x00);
constexpr unsigned long kCreateVm = _IO(kKvmIo, 0x01);
constexpr unsigned long kCheckExtension = _IO(kKvmIo, 0x03);
constexpr std::uintptr_t kCapEventFilter = 173;
constexpr std::uintptr_t kCapMaskedEvents = 226;

/// At least a page, of any size that pages have.
constexpr std::size_t kGuardBytes = std::size_t{64} << 10;

std::string reason(int error) {
  return std::strerror(error);
}

/// Bytes that are there, and then none.
std::byte* map_guarded() {
  void* const memory = mmap(nullptr, KvmEventFilter::kMostBytes + kGuardBytes, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  if (mprotect(memory, KvmEventFilter::kMostBytes, PROT_READ | PROT_WRITE) != 0) {
    munmap(memory, KvmEventFilter::kMostBytes + kGuardBytes);
    return nullptr;
  }
  return static_cast<std::byte*>(memory);
}
}  // namespace

KvmEventFilter::KvmEventFilter(KvmSystem& system, int kvm, int vm)
    : system_{&system}, kvm_{kvm}, vm_{vm}, memory_{map_guarded()} {}

KvmEventFilter::KvmEventFilter(KvmEventFilter&& other) noexcept
    : system_{other.system_},
      kvm_{std::exchange(other.kvm_, -1)},
      vm_{std::exchange(other.vm_, -1)},
      masked_events_{other.masked_events_},
      memory_{std::exchange(other.memory_, nullptr)} {}

KvmEventFilter::~KvmEventFilter() {
  if (memory_ != nullptr) munmap(memory_, kMostBytes + kGuardBytes);
  if (vm_ >= 0) system_->close(vm_);
  if (kvm_ >= 0) system_->close(kvm_);
}

Result<KvmEventFilter> KvmEventFilter::create(KvmSystem& system) {
  const int kvm = system.open();
  if (kvm < 0) {
    return fail("/dev/kvm does not open: " + reason(-kvm) + "; `vpmu doctor` says what to do");
  }
  KvmEventFilter filter{system, kvm, -1};
  if (filter.memory_ == nullptr) return fail("there is no memory for a filter; free some");
  if (const int version = system.call(kvm, kGetApiVersion, 0); version != kApiVersion) {
    return fail("/dev/kvm is not KVM as Linux has it; `vpmu doctor` says what to do");
  }
  if (system.call(kvm, kCheckExtension, kCapEventFilter) <= 0) {
    return fail(
        "this kernel's KVM has no event filters (KVM_CAP_PMU_EVENT_FILTER); use Linux 5.3 or newer "
        "on an x86 host");
  }
  filter.masked_events_ = system.call(kvm, kCheckExtension, kCapMaskedEvents) > 0;
  filter.vm_ = system.call(kvm, kCreateVm, 0);
  if (filter.vm_ < 0) {
    return fail("KVM creates no VM: " + reason(-filter.vm_) + "; `vpmu doctor` says what to do");
  }
  return filter;
}

int KvmEventFilter::load(std::span<const std::byte> filter) {
  filter = filter.first(std::min(filter.size(), kMostBytes));
  std::byte* const at = memory_ + kMostBytes - filter.size();
  std::ranges::copy(filter, at);
  const int result = system_->call(vm_, kSetPmuEventFilter, reinterpret_cast<std::uintptr_t>(at));
  return result < 0 ? -result : 0;
}

std::optional<silicon::x86::Vendor> KvmEventFilter::vendor() {
  using silicon::x86::Vendor;
  if (!masked_events_) return std::nullopt;
  // Event selects of 12 bits are AMD's.
  FilterImage image;
  image.flags = FilterImage::kMaskedEvents;
  image.count = 1;
  image.entries[0] = virt::x86::encode_entry({.event = 0x100, .mask = 0xff}).raw;
  FilterImage::Bytes bytes;
  const std::size_t size = write_filter_image(image, bytes);
  return load(std::span{bytes}.first(size)) == 0 ? Vendor::kAmd : Vendor::kIntel;
}

}  // namespace vpmu::machine::kvm
