// SPDX-License-Identifier: MIT
//
// An address space and the reference in lockstep: slots come, move, change and go, guests access
// them, slots and ranges are locked and unlocked, the host refuses, memory changes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "property/choices.hpp"
#include "property/reference_address_space.hpp"
#include "unit/virt_memory/fakes.hpp"
#include "vpmu/virt/memory/address_space.hpp"

namespace vpmu::property {

struct AddressSpaceSetup {
  std::string name;
  bool blocks;
  bool strict;  ///< locks are for before the first run
  std::uint64_t batch_pages;
};

std::span<const AddressSpaceSetup> address_space_setups();

struct AddressSpaceOperation {
  enum class Kind : std::uint8_t {
    kSetSlot,      ///< number, flags, page, count, memory
    kTranslate,    ///< page; flags: StageTwoAccess
    kTakeLog,      ///< number
    kMarkDirty,    ///< page, count: in bytes, from the middle of the page
    kLock,         ///< number; write; flags: 1 if the memory changes meanwhile
    kUnlock,       ///< number
    kUnlockAll,    ///<
    kLockRange,    ///< page, count, write; flags: 1 if the memory changes meanwhile
    kUnlockRange,  ///< number: which of those there are
    kInvalidate,   ///< memory, count
    kRun,          ///<
    kReset,        ///<
    kLimit,        ///< count: pages more than now; write, or flags 0: none
    kHole,         ///< memory: that page cannot be pinned; count < 700: all can
    kUnmappable,   ///< page: cannot be mapped; count < 700: all can
  };
  Kind kind;
  bool write = false;
  std::uint32_t number = 0;
  std::uint32_t flags = 0;
  std::uint64_t page = 0;
  std::uint64_t count = 0;
  std::uint64_t memory = 0;  ///< page
};

AddressSpaceOperation draw_operation(Choices& choices, const AddressSpaceSetup& setup);
std::string describe(const AddressSpaceOperation& operation);

class AddressSpaceLockstep {
 public:
  using Setup = AddressSpaceSetup;
  using Operation = AddressSpaceOperation;

  explicit AddressSpaceLockstep(const Setup& setup);

  std::optional<std::string> step(const Operation& operation);
  /// Locks, pins, accounts, logs, and that nothing is mapped that must not be.
  std::optional<std::string> compare_all();
  /// Nothing is left.
  std::optional<std::string> finish();

 private:
  std::optional<std::string> translate(const Operation& operation);
  std::optional<std::string> translate_mapped(std::uint64_t page, bool write);
  std::optional<std::string> take_log(std::uint32_t number);
  std::optional<std::string> set_slot(const Operation& operation);
  std::optional<std::string> lock(const Operation& operation);
  std::optional<std::string> lock_range(const Operation& operation);
  std::optional<std::string> compare_slot(const ReferenceAddressSpace::Slot& slot);
  std::optional<std::string> compare_entries();
  ReferenceAddressSpace::Circumstances begin_lock(const Operation& operation,
                                                  std::optional<std::uint64_t> raced_page);
  void promise(const ReferenceAddressSpace::Slot& slot, std::uint64_t first, std::uint64_t end,
               bool write);
  void invalidate(std::uint64_t memory, std::uint64_t count);
  void forget_unpinned();
  void see_writes_again(std::uint32_t number);

  virt::memory::Notes notes_;
  virt::memory::FakeHost host_;
  virt::memory::FakeUser user_{&notes_};
  std::unique_ptr<virt::memory::AddressSpace> space_;
  ReferenceAddressSpace reference_;
  std::vector<virt::memory::RangeLock> ranges_;
  /// Guest addresses of pages that cannot fault when they are read, or written, either.
  std::set<std::uint64_t> readable_, writable_;
};

}  // namespace vpmu::property
