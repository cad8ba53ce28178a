// SPDX-License-Identifier: MIT
//
// A host and a hypervisor for address spaces, which note what is asked of them, fail when they are
// told to, and object to what must not be asked. Memory is only addresses: nobody touches it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "vpmu/virt/memory/address_space.hpp"

namespace vpmu::virt::memory {

/// What both note, in the order in which it happens.
using Notes = std::vector<std::string>;

class FakeHost final : public PinningHost {
 public:
  explicit FakeHost(Notes* notes = nullptr) : notes_{notes} {}

  void* allocate(std::size_t bytes) override {
    if (allocations_left == 0) return nullptr;
    --allocations_left;
    ++allocated;
    return std::calloc(1, bytes);
  }
  void release(void* memory, std::size_t) override {
    --allocated;
    note("release tables");
    std::free(memory);
  }
  int pin(std::byte* begin, std::uint64_t bytes, bool write) override {
    ++pin_calls;
    if (on_pin) on_pin();
    if (hole >= begin && hole < begin + bytes) return pin_error;
    for (std::byte* page = begin; page != begin + bytes; page += kPageBytes) {
      if (!pinned.emplace(page, write).second) ++mistakes;
    }
    return 0;
  }
  int pin_for_writing(std::byte* begin, std::uint64_t bytes) override {
    ++pin_calls;
    if (hole >= begin && hole < begin + bytes) return pin_error;
    for (std::byte* page = begin; page != begin + bytes; page += kPageBytes) {
      if (!pinned.contains(page)) ++mistakes;
      pinned[page] = true;
    }
    return 0;
  }
  void unpin(std::byte* begin, std::uint64_t bytes) override {
    note("unpin");
    for (std::byte* page = begin; page != begin + bytes; page += kPageBytes)
      if (pinned.erase(page) == 0) ++mistakes;
  }
  int fault_in(std::byte* page, bool) override {
    ++faults_in;
    if (on_fault_in) on_fault_in();
    return page == hole ? fault_error : 0;
  }
  bool may_charge(std::uint64_t pages) override {
    return capable || (charged <= limit && pages <= limit - charged);
  }
  bool charge(std::uint64_t pages) override {
    charged += charged_by_others_meanwhile;
    const bool possible = may_charge(pages);
    if (possible) charged += pages;
    return possible;
  }
  void uncharge(std::uint64_t pages) override {
    if (pages > charged) ++mistakes;
    charged -= pages;
  }

  std::uint64_t limit = ~std::uint64_t{0};
  bool capable = false;
  std::uint64_t charged = 0;
  std::uint64_t charged_by_others_meanwhile = 0;
  std::uint64_t allocations_left = ~std::uint64_t{0};
  std::int64_t allocated = 0;
  std::map<std::byte*, bool> pinned;     ///< true: for writing
  std::byte* hole = nullptr;             ///< a page that cannot be pinned or touched
  int pin_error = 14, fault_error = 14;  ///< EFAULT
  std::function<void()> on_pin, on_fault_in;
  unsigned pin_calls = 0, faults_in = 0;
  unsigned mistakes = 0;

 private:
  void note(const char* what) {
    if (notes_ != nullptr && (notes_->empty() || notes_->back() != what)) notes_->push_back(what);
  }
  Notes* notes_;
};

class FakeUser final : public AddressSpaceUser {
 public:
  struct Entry {
    std::byte* host;
    bool writable;
  };

  explicit FakeUser(Notes* notes = nullptr) : notes_{notes} {}

  bool hold_vcpus() override {
    if (vcpu_runs) return false;
    ++holds;
    return true;
  }
  void let_vcpus_go() override { --holds; }
  int map(const StageTwoRange& range) override {
    ++map_calls;
    const std::uint64_t begin = raw(range.begin);
    if (unmappable >= begin && unmappable < begin + range.bytes) return map_error;
    for (std::uint64_t at = 0; at < range.bytes; at += kPageBytes) {
      Entry& entry = entries.try_emplace(begin + at, Entry{range.host + at, false}).first->second;
      if (entry.host != range.host + at) ++mistakes;
      entry.writable = entry.writable || range.writable;
    }
    return 0;
  }
  void unmap(GuestPhysical begin, std::uint64_t bytes) override {
    note("unmap");
    entries.erase(entries.lower_bound(raw(begin)), entries.lower_bound(raw(begin) + bytes));
  }
  void write_protect(GuestPhysical begin, std::uint64_t bytes) override {
    for (auto at = entries.lower_bound(raw(begin));
         at != entries.end() && at->first < raw(begin) + bytes; ++at)
      at->second.writable = false;
  }
  void drop_translations() override { ++drops; }
  int clean_tags(std::byte*, std::uint64_t) override {
    notes_->push_back("tags");
    return tags_error;
  }
  void clean_data_cache(std::byte*, std::uint64_t) override { notes_->push_back("data cache"); }
  void invalidate_instruction_cache() override { notes_->push_back("instruction cache"); }
  void locked_page_faulted(const LockedPageFault& fault) override { warnings.push_back(fault); }

  bool vcpu_runs = false;
  int holds = 0;
  std::map<std::uint64_t, Entry> entries;
  std::uint64_t unmappable = ~std::uint64_t{0};
  int map_error = 12;
  int tags_error = 0;
  unsigned map_calls = 0, drops = 0, mistakes = 0;
  std::vector<LockedPageFault> warnings;

 private:
  void note(const char* what) {
    if (notes_ != nullptr && (notes_->empty() || notes_->back() != what)) notes_->push_back(what);
  }
  Notes* notes_;
};

/// Memory that is only an address; slots may be congruent with it in blocks of 2 MiB.
inline std::byte* memory_at(std::uint64_t address) {
  return reinterpret_cast<std::byte*>(address);
}
inline constexpr std::uint64_t kMemory = std::uint64_t{1} << 45;

}  // namespace vpmu::virt::memory
