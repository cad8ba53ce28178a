// SPDX-License-Identifier: MIT
//
// A guest's physical memory: slots, stage 2 entries that come into being on demand, dirty page
// logs, and slots or ranges that are locked: pinned, and mapped, so that hardware which cannot take
// a stage 2 fault (the Statistical Profiling Extension) may write to them. Meaning and errors are
// KVM's; docs/abi/memory-slots.md has all of it, and where this goes further.
//
//   AddressSpace space{config, host, user};
//   space.set_slot({.number = 0, .begin = GuestPhysical{0x4000'0000}, .bytes = n, .host = memory});
//   space.lock(0, LockAccess::kReadWrite);
//   vCPU:  space.before_run();  ...  space.translate(address, StageTwoAccess::kWrite)
//
// Threads: everything may be called on any thread, at any time, also while vCPUs run. Changes of
// slots, locks and dirty logs wait for one another. translate(), mark_dirty(), read() and
// generation() wait for nobody and allocate nothing, but a translation that has to map a page,
// which takes a lock for a moment and may be a system call. Only the constructor, the destructor
// and enable_memory_tags() want to be alone.
//
// A translation may be kept, and used, as long as generation() is what it was before it was asked
// for; of a slot that logs dirty pages, a write needs one that was made for writing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include <tl/expected.hpp>

#include "vpmu/base/errno_error.hpp"
#include "vpmu/base/numbers.hpp"
#include "vpmu/virt/memory/address_space_user.hpp"
#include "vpmu/virt/memory/memory_slot.hpp"
#include "vpmu/virt/memory/pinning_host.hpp"
#include "vpmu/virt/memory/slot_pages.hpp"
#include "vpmu/virt/read_copy_update.hpp"

namespace vpmu::virt::memory {

struct AddressSpaceConfig {
  std::uint32_t slots = 32767;  ///< KVM_MEM_SLOTS_NUM
  unsigned address_bits = 40;   ///< of guest physical addresses, 32 to 52
  bool blocks = true;           ///< stage 2 blocks of 2 MiB where they fit
  /// Locks are refused once a vCPU has run or while one runs, as in the kernel series' version 4.
  bool lock_before_first_run_only = false;
  std::uint64_t pin_batch_bytes = std::uint64_t{64}
                                  << 20;  ///< whole pages, asked of the host at once
};

enum class StageTwoAccess : std::uint8_t { kRead, kWrite, kExecute };

struct Translation {
  std::byte* host = nullptr;
  std::uint64_t bytes = 0;  ///< so many from there on, to the end of the page or block
  bool writable = false;
};

struct StageTwoFault {
  enum class Kind : std::uint8_t {
    kNoSlot,      ///< a device, or nothing
    kReadOnly,    ///< a write to a read-only slot
    kHostMemory,  ///< the slot's memory is not there: `error` is the host's
    kMapping,     ///< AddressSpaceUser::map() failed with `error`
    kNotMapped,   ///< translate_mapped(): there is no entry, or none for writing
  };
  Kind kind{};
  int error = 0;
  friend bool operator==(StageTwoFault, StageTwoFault) = default;
};

/// What tracking a slot takes, in bytes that are reserved; they have memory where they are used.
struct SlotMetadata {
  std::uint64_t pins = 0;       ///< a bit for each page, 32 bits for each block; once locked
  std::uint64_t stage2 = 0;     ///< two bits for each page, 8 for each block
  std::uint64_t dirty_log = 0;  ///< a bit for each page; while it is logged
};

struct Slot;
struct SlotTable;
class AddressSpace;

/// Keeps a range of a slot locked until its end. Must not outlive the address space.
class RangeLock {
 public:
  RangeLock(RangeLock&& other) noexcept;
  RangeLock& operator=(RangeLock&& other) noexcept;
  ~RangeLock();

 private:
  friend class AddressSpace;
  RangeLock(AddressSpace& space, std::uint32_t slot, std::uint64_t first, std::uint64_t end,
            bool write)
      : space_{&space}, slot_{slot}, first_{first}, end_{end}, write_{write} {}

  AddressSpace* space_;  ///< null: moved from
  std::uint32_t slot_;
  std::uint64_t first_, end_;  ///< pages of the slot
  bool write_;
};

class AddressSpace {
 public:
  /// Both outlive it.
  AddressSpace(const AddressSpaceConfig& config, PinningHost& host, AddressSpaceUser& user);
  /// Stage 2 goes first, then everything is unlocked.
  ~AddressSpace();
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  // ---- Slots ------------------------------------------------------------------------------------

  /// Creates, moves or deletes (`bytes` 0) a slot, or changes its flags. When it returns, no vCPU
  /// uses what was before. Errors, in this order; nothing has changed then:
  ///   EINVAL  flags, sizes or addresses that are none; no such number; a slot that is changed
  ///           keeps its memory, size and whether it is read-only
  ///   EEXIST  another slot is there
  ///   EBUSY   it is locked, wholly or in part; but its dirty log may be switched on if it is not
  ///           locked for writing, and on and off if only ranges are locked
  ///   EFAULT  behind the last guest physical address
  ///   ENOMEM  no memory for its tables or log
  ErrnoResult<void> set_slot(const MemorySlot& slot);
  /// By their numbers.
  [[nodiscard]] std::vector<MemorySlot> slots() const;
  [[nodiscard]] std::optional<MemorySlot> slot_at(GuestPhysical address) const;

  // ---- Stage 2 ----------------------------------------------------------------------------------

  /// Maps the page or block if need be, and notes that it is dirty.
  tl::expected<Translation, StageTwoFault> translate(GuestPhysical address, StageTwoAccess access);
  /// The same for hardware that cannot wait for a mapping: maps nothing. If a lock had promised the
  /// page, that is noted.
  tl::expected<Translation, StageTwoFault> translate_mapped(GuestPhysical address,
                                                            StageTwoAccess access);
  /// Changes whenever an entry goes away or loses a permission.
  [[nodiscard]] std::uint64_t generation() const {
    return generation_.load(std::memory_order_acquire);
  }
  /// The VMM has changed what is mapped there (munmap, mprotect, MADV_DONTNEED), as a notifier of
  /// the kernel's says it: stage 2 forgets it, locked or not. Also within PinningHost::pin().
  void invalidate(const std::byte* host, std::uint64_t bytes);

  // ---- Dirty logs -------------------------------------------------------------------------------

  /// Which pages were written since the last time, a bit each, and begins anew. EINVAL: no such
  /// number, or not a word for each 64 pages; ENOENT: no such slot, or it has no log.
  ErrnoResult<void> take_dirty_log(std::uint32_t slot, std::span<std::uint64_t> words);
  /// For what writes past translate(): devices, hardware that drains a buffer. Of slots that log.
  void mark_dirty(GuestPhysical begin, std::uint64_t bytes);

  // ---- Locks ------------------------------------------------------------------------------------

  /// KVM_ENABLE_CAP of KVM_CAP_ARM_LOCK_USER_MEMORY_REGION: lock() and unlock(), with its errors
  /// for malformed arguments, all of them EINVAL, before theirs.
  ErrnoResult<void> enable_lock_capability(const LockRequest& request);

  /// Pins and maps all pages of a slot. Errors, in this order; nothing has changed then:
  ///   EINVAL  no such number
  ///   EBUSY   only if locks are for before the first run: a vCPU runs, or one has run
  ///   EINVAL  no such slot
  ///   EPERM   writing, but the slot is read-only or logs dirty pages
  ///   EBUSY   it is locked
  ///   ENOMEM  more pages than RLIMIT_MEMLOCK allows; no memory for tables; pages that cannot be
  ///           pinned, holes among them
  ///   EAGAIN  invalidate() was called meanwhile; may be tried again
  ///   others  of AddressSpaceUser::map()
  ErrnoResult<void> lock(std::uint32_t slot, LockAccess access);
  /// Pages of ranges that are locked stay pinned, and so do stage 2 entries. EINVAL: no such number
  /// or slot, or it is not locked.
  ErrnoResult<void> unlock(std::uint32_t slot);
  /// Every slot that is locked as a whole.
  void unlock_all();
  /// The same for part of a slot, at any time; ranges may lie in one another, and in locked slots.
  /// A page is pinned, and charged for, once. EINVAL: not whole pages of one slot; EPERM: writing,
  /// but it is read-only; further errors as lock(). A slot that logs dirty pages keeps these pages
  /// writable: whoever writes to them past translate() calls mark_dirty(). All of a range that is
  /// locked for writing is dirty when it is unlocked.
  ErrnoResult<RangeLock> lock_range(GuestPhysical begin, std::uint64_t bytes, LockAccess access);
  [[nodiscard]] std::optional<LockAccess> lock_of(std::uint32_t slot) const;

  // ---- vCPUs ------------------------------------------------------------------------------------

  /// Before each entry of a vCPU: does what was put off when slots were locked or vCPUs were reset,
  /// once: tags, data caches, instruction cache, in this order. An error (of clean_tags()) means
  /// that the vCPU does not run, and that it is tried again the next time.
  ErrnoResult<void> before_run() {
    if (pending_.load(std::memory_order_acquire) != 0) return do_pending();
    if (!has_run_.load(std::memory_order_relaxed)) has_run_.store(true);
    return {};
  }
  /// A vCPU is initialised again. If one has run, the guest begins anew: what is not locked goes
  /// from stage 2, what is gets its caches and tags cleaned before the next run.
  void vcpu_reset();
  /// Guests may use memory tags (KVM_CAP_ARM_MTE). Also when slots are locked, before vCPUs run.
  void enable_memory_tags();

  // ---- What there is ----------------------------------------------------------------------------

  /// Calls `look` with a slot's pages (SlotPages), which stay until it returns; no such slot has 0.
  template <class Look>
  auto read(std::uint32_t slot, Look&& look) const {
    const RcuReadSection section;
    return look(pages_of(slot));
  }
  [[nodiscard]] SlotMetadata metadata(std::uint32_t slot) const;
  [[nodiscard]] std::uint64_t locked_page_faults() const { return locked_faults_; }

 private:
  friend class RangeLock;
  enum Pending : std::uint32_t { kTags = 1, kDataCache = 2, kInstructionCache = 4 };
  enum class Change : std::uint8_t { kCreate, kMove, kFlags, kDelete, kNone };
  /// Pages of a slot, from `first` up to `end`.
  struct Pages {
    std::uint64_t first;
    std::uint64_t end;
  };

  ErrnoResult<void> check(const MemorySlot& slot) const;
  ErrnoResult<Change> change_of(const MemorySlot& slot, const Slot* old) const;
  ErrnoResult<void> check_place(const MemorySlot& slot, Change change, const Slot* old) const;
  ErrnoResult<std::unique_ptr<Slot>> make_slot(const MemorySlot& slot, Change change,
                                               const Slot* old);
  void publish(std::uint32_t number, std::unique_ptr<Slot> next, Change change);
  void protect_for_log(const Slot& slot, Pages pages);
  [[nodiscard]] const Slot* find(std::uint32_t number) const;

  std::optional<StageTwoFault> map_page(const SlotTable& table, const Slot& slot,
                                        std::uint64_t page, StageTwoAccess access);
  void note_locked_fault(const Slot& slot, std::uint64_t page, StageTwoAccess access);
  void entries_changed();

  ErrnoResult<void> lock_held(std::uint32_t number, LockAccess access);
  ErrnoResult<void> pin(const Slot& slot, Pages pages, bool write);
  int pin_run(const Slot& slot, Pages pages, bool fresh, bool write, std::uint64_t invalidations);
  void undo_pins(const Slot& slot, Pages done, std::span<const Pages> fresh);
  void unpin_unlocked(const Slot& slot, Pages pages);
  void unlock_slot(const Slot& slot);
  void unlock_range(const RangeLock& range);
  ErrnoResult<void> do_pending();
  [[nodiscard]] SlotPages pages_of(std::uint32_t slot) const;

  const AddressSpaceConfig config_;
  PinningHost& host_;
  AddressSpaceUser& user_;

  /// Taken in this order. The first is held while pages are pinned; the second is for stage 2, and
  /// never held while anything waits.
  mutable std::mutex slots_mutex_;
  std::mutex stage2_mutex_;
  std::map<std::uint32_t, std::unique_ptr<Slot>> slots_;
  std::atomic<const SlotTable*> table_;
  std::uint64_t pages_ = 0;  ///< of all slots

  std::atomic<std::uint64_t> generation_ = 0;
  std::atomic<std::uint64_t> invalidations_ = 0;
  std::atomic<std::uint64_t> locked_faults_ = 0;
  std::atomic<std::uint32_t> pending_ = 0;
  std::atomic<bool> has_run_ = false;
  bool memory_tags_ = false;
};

}  // namespace vpmu::virt::memory
