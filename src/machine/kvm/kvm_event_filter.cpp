// SPDX-License-Identifier: MIT
#include "machine/kvm/kvm_event_filter.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <utility>

#include "vpmu/virt/x86/filter_image.hpp"

namespace vpmu::machine::kvm {

namespace {
using virt::x86::FilterImage;

// The kernel's interface, spelled out: older headers lack parts of it.
constexpr std::uintptr_t kCapEventFilter = 173;
constexpr std::uintptr_t kCapMaskedEvents = 226;

/// At least a page, of any size that pages have.
constexpr std::size_t kGuardBytes = std::size_t{64} << 10;

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

KvmEventFilter::KvmEventFilter(KvmVm vm) : vm_{std::move(vm)}, memory_{map_guarded()} {}

KvmEventFilter::KvmEventFilter(KvmEventFilter&& other) noexcept
    : vm_{std::move(other.vm_)},
      masked_events_{other.masked_events_},
      memory_{std::exchange(other.memory_, nullptr)} {}

KvmEventFilter::~KvmEventFilter() {
  if (memory_ != nullptr) munmap(memory_, kMostBytes + kGuardBytes);
}

Result<KvmEventFilter> KvmEventFilter::create(KvmSystem& system) {
  auto vm = KvmVm::open(system);
  if (!vm) return tl::unexpected(vm.error());
  KvmEventFilter filter{std::move(*vm)};
  if (filter.memory_ == nullptr) return fail("there is no memory for a filter; free some");
  if (!filter.vm_.has(kCapEventFilter)) {
    return fail(
        "this kernel's KVM has no event filters (KVM_CAP_PMU_EVENT_FILTER); use Linux 5.3 or newer "
        "on an x86 host");
  }
  filter.masked_events_ = filter.vm_.has(kCapMaskedEvents);
  if (auto created = filter.vm_.create(); !created) return tl::unexpected(created.error());
  return filter;
}

int KvmEventFilter::load(std::span<const std::byte> filter) {
  filter = filter.first(std::min(filter.size(), kMostBytes));
  std::byte* const at = memory_ + kMostBytes - filter.size();
  std::ranges::copy(filter, at);
  const int result = vm_.call(kSetPmuEventFilter, reinterpret_cast<std::uintptr_t>(at));
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
