// SPDX-License-Identifier: MIT
#include "machine/x86/mmu.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "machine/code_pages.hpp"
#include "machine/x86/memory_access.hpp"

namespace vpmu::machine::x86 {

namespace {

constexpr std::uint64_t kPagePresent = 1, kPageWritable = 2, kPageUser = 4, kPageAccessed = 1 << 5,
                        kPageDirty = 1 << 6, kPageLarge = 1 << 7, kPageNoExecute = 1ULL << 63;
constexpr std::uint64_t kPageMask = 0xfff;

/// How a level of a paging structure is laid out.
struct Level {
  unsigned shift;  ///< of the linear address bits that index it
  unsigned index_bits;
  bool may_be_large;
};

struct PagingMode {
  const Level* levels;
  unsigned count;
  unsigned entry_bytes;
};

PagingMode paging_mode(const Core& core) {
  static constexpr Level kFourLevel[] = {
      {39, 9, false}, {30, 9, true}, {21, 9, true}, {12, 9, false}};
  static constexpr Level kPae[] = {{30, 2, false}, {21, 9, true}, {12, 9, false}};
  static constexpr Level kTwoLevelPse[] = {{22, 10, true}, {12, 10, false}};
  static constexpr Level kTwoLevel[] = {{22, 10, false}, {12, 10, false}};
  if (core.long_mode()) return {kFourLevel, 4, 8};
  if (core.cr4 & kCr4Pae) return {kPae, 3, 8};
  return {core.cr4 & kCr4Pse ? kTwoLevelPse : kTwoLevel, 2, 4};
}

std::uint64_t read_entry(const Core& core, std::uint64_t address, unsigned bytes) {
  std::uint64_t entry = 0;
  // Paging structures outside RAM read as not present.
  if (const std::uint8_t* host = core.memory->host(address, bytes)) {
    std::memcpy(&entry, host, bytes);
  }
  return entry;
}

void set_entry_bits(Core& core, std::uint64_t address, std::uint64_t bits) {
  // All bits that the processor sets are in the first byte.
  *core.memory->host(address, 1) |= static_cast<std::uint8_t>(bits);
}

/// Bits that must be zero in a present entry.
std::uint64_t reserved_bits(const Core& core, const PagingMode& mode, unsigned level, bool large) {
  if (mode.entry_bytes == 4) return large ? 1ULL << 21 : 0;
  std::uint64_t reserved = ((1ULL << 52) - 1) & ~((1ULL << kPhysicalBits) - 1);
  if ((core.efer & kEferNxe) == 0) reserved |= kPageNoExecute;
  const unsigned shift = mode.levels[level].shift;
  if (large) reserved |= ((1ULL << shift) - 1) & ~0x1fffULL;
  if (shift == 39) reserved |= kPageLarge;
  if (mode.count == 3) {
    reserved |= 0x7ffULL << 52;
    if (level == 0) reserved |= kPageNoExecute | 0x1e6;
  }
  return reserved;
}

struct Path {
  std::uint64_t entry_address[4];
  std::uint64_t entry[4];
  unsigned depth = 0;  ///< entries visited
  bool present = false;
  bool reserved = false;
  std::uint64_t physical = 0;
};

Path follow(const Core& core, std::uint64_t linear) {
  const PagingMode mode = paging_mode(core);
  Path path;
  std::uint64_t table =
      core.cr3 & (mode.count == 3 ? ~0x1fULL & 0xffffffff : ((1ULL << 52) - 1) & ~kPageMask);
  for (unsigned n = 0; n < mode.count; ++n) {
    const Level& level = mode.levels[n];
    const std::uint64_t index = linear >> level.shift & ((1ULL << level.index_bits) - 1);
    const std::uint64_t address = table + index * mode.entry_bytes;
    const std::uint64_t entry = read_entry(core, address, mode.entry_bytes);
    path.entry_address[n] = address;
    path.entry[n] = entry;
    path.depth = n + 1;
    if ((entry & kPagePresent) == 0) return path;
    const bool last = n + 1 == mode.count;
    const bool large = !last && level.may_be_large && (entry & kPageLarge) != 0;
    if (entry & reserved_bits(core, mode, n, large)) {
      path.reserved = true;
      return path;
    }
    std::uint64_t frame = entry & ((1ULL << kPhysicalBits) - 1) & ~kPageMask;
    if (last || large) {
      const std::uint64_t offset_mask = (1ULL << level.shift) - 1;
      // PSE-36: bits 20:13 of a 4 MiB page's entry are address bits 39:32.
      if (large && mode.entry_bytes == 4) frame |= (entry >> 13 & 0xff) << 32;
      path.physical = (frame & ~offset_mask) | (linear & offset_mask);
      path.present = true;
      return path;
    }
    table = frame;
  }
  return path;
}

}  // namespace

Walk walk(Core& core, std::uint64_t linear, MemoryUse use, Requester requester) {
  Walk result;
  if ((core.cr0 & kCr0Pg) == 0) {
    result.ok = result.may_write = result.dirty = true;
    result.physical = linear & 0xffffffff;
    return result;
  }
  const bool user = requester == Requester::kUser;
  const bool write = use == MemoryUse::kWrite;
  const bool fetch = use == MemoryUse::kFetch;
  const bool nx_enabled = (core.efer & kEferNxe) != 0;
  std::uint32_t error = (write ? kPfWrite : 0) | (user ? kPfUser : 0);
  const bool pae = (core.cr4 & kCr4Pae) != 0;
  if (fetch && ((nx_enabled && pae) || (core.cr4 & kCr4Smep))) error |= kPfFetch;

  const Path path = follow(core, linear);
  if (path.reserved) {
    result.error = error | kPfPresent | kPfReserved;
    return result;
  }
  if (!path.present) {
    result.error = error;
    return result;
  }
  // Rights are what all levels agree on; PAE's first level has none.
  const unsigned first = pae && !core.long_mode() ? 1 : 0;
  std::uint64_t all = ~std::uint64_t{0};
  std::uint64_t any = 0;
  for (unsigned n = first; n < path.depth; ++n) {
    all &= path.entry[n];
    any |= path.entry[n];
  }
  const bool page_user = (all & kPageUser) != 0;
  const bool page_writable = (all & kPageWritable) != 0;
  const bool wp = (core.cr0 & kCr0Wp) != 0;
  const bool may_write = page_writable || (!user && !wp);
  bool allowed = !write || may_write;
  if (user) {
    allowed = allowed && page_user;
  } else if (page_user) {
    if (fetch && (core.cr4 & kCr4Smep)) allowed = false;
    const bool override_smap = requester == Requester::kSupervisor && (core.rflags & kAc);
    if (!fetch && (core.cr4 & kCr4Smap) && !override_smap) allowed = false;
  }
  if (fetch && nx_enabled && pae && (any & kPageNoExecute)) allowed = false;
  if (!allowed) {
    result.error = error | kPfPresent;
    return result;
  }

  for (unsigned n = first; n < path.depth; ++n) {
    std::uint64_t wanted = kPageAccessed;
    if (write && n + 1 == path.depth) wanted |= kPageDirty;
    if ((path.entry[n] & wanted) != wanted) set_entry_bits(core, path.entry_address[n], wanted);
  }
  result.ok = true;
  result.physical = path.physical;
  result.may_write = may_write;
  result.dirty = write || (path.entry[path.depth - 1] & kPageDirty) != 0;
  return result;
}

bool look_up(const Core& core, std::uint64_t linear, std::uint64_t& physical) {
  if ((core.cr0 & kCr0Pg) == 0) {
    physical = linear & 0xffffffff;
    return true;
  }
  if (core.long_mode() && !canonical(linear)) return false;
  const Path path = follow(core, linear);
  physical = path.physical;
  return path.present;
}

void set_exception(Core& core, std::uint8_t vector) {
  core.exception = {vector, false, 0, 0};
}

void set_exception(Core& core, std::uint8_t vector, std::uint32_t error_code) {
  core.exception = {vector, true, error_code, 0};
}

const Op* raise(Core& core, const Op* op, std::uint8_t vector) {
  set_exception(core, vector);
  core.stop = Stop::kException;
  core.stopped_at = op;
  return nullptr;
}

const Op* raise(Core& core, const Op* op, std::uint8_t vector, std::uint32_t error_code) {
  set_exception(core, vector, error_code);
  core.stop = Stop::kException;
  core.stopped_at = op;
  return nullptr;
}

bool translate_fetch(Core& core, std::uint64_t linear, std::uint64_t& physical) {
  const bool user = core.cpl == 3;
  Core::FetchEntry& entry = core.fetch_tlb[(linear >> 12) % core.fetch_tlb.size()];
  if (entry.tag == (linear & ~kPageMask) && entry.user == user) {
    physical = entry.physical | (linear & kPageMask);
    return true;
  }
  if (core.long_mode() && !canonical(linear)) {
    set_exception(core, kGeneralProtection, 0);
    return false;
  }
  const Walk result =
      walk(core, linear, MemoryUse::kFetch, user ? Requester::kUser : Requester::kSupervisor);
  if (!result.ok) {
    core.exception = {kPageFault, true, result.error, linear};
    return false;
  }
  physical = result.physical;
  entry = {linear & ~kPageMask, result.physical & ~kPageMask, user};
  return true;
}

// ---- Instructions' accesses ---------------------------------------------------------------------

namespace {

/// Stops at `op` so that it is run again in a block of its own.
bool retry_alone(Core& core, const Op* op) {
  core.stop = Stop::kAlone;
  core.stopped_at = op;
  return false;
}

bool fault_at(Core& core, const Op* op) {
  core.stop = Stop::kException;
  core.stopped_at = op;
  return false;
}

bool alone(const Core& core) {
  return (core.block->mode.bits & Mode::kAlone) != 0;
}

/// Remembers which data breakpoints an access hits, for the trap behind the instruction.
void note_data_breakpoints(Core& core, std::uint64_t linear, unsigned bytes, bool write) {
  for (unsigned n = 0; n < 4; ++n) {
    if ((core.dr7 >> 2 * n & 3) == 0) continue;
    const std::uint64_t kind = core.dr7 >> (16 + 4 * n) & 3;
    if (kind != 3 && !(kind == 1 && write)) continue;
    static constexpr std::uint64_t kLengths[] = {1, 2, 8, 4};
    const std::uint64_t length = kLengths[core.dr7 >> (18 + 4 * n) & 3];
    const std::uint64_t begin = core.dr[n] & ~(length - 1);
    if (linear < begin + length && begin < linear + bytes) core.data_breakpoints |= 1U << n;
  }
}

/// Shows the memory model what of an access lies in one page.
void show(Core& core, std::uint64_t linear, std::uint64_t physical, unsigned bytes, bool write) {
  const bool user = (core.block->mode.bits & Mode::kUser) != 0;
  core.memory_model->see({linear, physical, bytes, write,
                          user ? silicon::Privilege::kUser : silicon::Privilege::kKernel});
}

void copy(std::uint8_t* to, const std::uint8_t* from, unsigned bytes) {
  switch (bytes) {
    case 1: std::memcpy(to, from, 1); break;
    case 2: std::memcpy(to, from, 2); break;
    case 4: std::memcpy(to, from, 4); break;
    case 8: std::memcpy(to, from, 8); break;
    case 16: std::memcpy(to, from, 16); break;
    default: std::memcpy(to, from, bytes);
  }
}

/// While accesses are modelled all of them are slow. This is the fast path of those that the TLB
/// has; false for others.
bool access_modelled(Core& core, std::uint64_t linear, unsigned bytes, bool write) {
  const TlbEntry& entry = core.bank->entries[TlbBank::slot(linear)];
  if (page_of_last(linear, bytes) != (write ? entry.write_tag : entry.read_tag)) return false;
  auto* host = reinterpret_cast<std::uint8_t*>(linear + entry.addend);
  std::uint8_t* buffer = core.transfer.data();
  copy(write ? host : buffer, write ? buffer : host, bytes);
  show(core, linear, entry.physical | (linear & kPageMask), bytes, write);
  return true;
}

/// Checks that come before translation: canonical form, alignment.
bool check_address(Core& core, const Op* op, std::uint64_t linear, unsigned bytes) {
  if (core.long_mode() && (!canonical(linear) || !canonical(linear + bytes - 1))) {
    set_exception(core, op->segment == kSs ? kStackFault : kGeneralProtection, 0);
    return fault_at(core, op);
  }
  const bool alignment_checked =
      core.cpl == 3 && (core.cr0 & kCr0Am) != 0 && (core.rflags & kAc) != 0;
  // Ten bytes of x87 data are to be aligned like eight; vectors are not checked.
  const unsigned alignment = bytes == 10 ? 8 : bytes;
  if (alignment_checked && std::has_single_bit(alignment) && alignment <= 8 &&
      linear % alignment != 0) {
    set_exception(core, kAlignmentCheck, 0);
    return fault_at(core, op);
  }
  return true;
}

/// Puts a translation into a TLB bank. Pages with code are not remembered as writable: writes to
/// them have to be looked at.
void remember(Core& core, TlbBank& bank, std::uint64_t linear, const Walk& result) {
  const std::uint64_t page = result.physical & ~kPageMask;
  const std::uint8_t* host = core.memory->host(page, 4096);
  if (host == nullptr) return;
  TlbEntry& entry = bank.entries[TlbBank::slot(linear)];
  const std::uint64_t tag = linear & ~kPageMask;
  if (entry.read_tag != tag) entry.write_tag = TlbEntry::kNoPage;
  entry.read_tag = tag;
  entry.addend = reinterpret_cast<std::uintptr_t>(host) - tag;
  entry.physical = page;
  const bool has_code = core.code_pages->has_code(core.memory->page_index(page));
  if (result.may_write && result.dirty && !has_code) entry.write_tag = tag;
}

/// Translates one page's worth and remembers it in the TLB.
bool translate_data(Core& core, const Op* op, std::uint64_t linear, MemoryUse use,
                    std::uint64_t& physical) {
  const std::uint64_t page = linear & ~kPageMask;
  Core::DeviceEntry& device = core.device_tlb;
  if (device.tag == page && device.bank == core.bank &&
      (use != MemoryUse::kWrite || device.may_write)) {
    physical = device.physical | (linear & kPageMask);
    return true;
  }
  const auto requester = core.cpl == 3 ? Requester::kUser : Requester::kSupervisor;
  const Walk result = walk(core, linear, use, requester);
  if (!result.ok) {
    core.exception = {kPageFault, true, result.error, linear};
    return fault_at(core, op);
  }
  physical = result.physical;
  if (core.memory->host(physical, 1) == nullptr) {
    device = {page, physical & ~kPageMask, core.bank, result.may_write && result.dirty};
  }
  if (core.bank != &(*core.banks)[kBankChecked]) remember(core, *core.bank, linear, result);
  return true;
}

bool access_ram(Core& core, const Op* op, std::uint8_t* host, std::uint64_t physical,
                std::uint8_t* buffer, unsigned bytes, bool write) {
  if (!write) {
    std::memcpy(buffer, host, bytes);
    return true;
  }
  const std::size_t page = core.memory->page_index(physical);
  const auto first = static_cast<unsigned>(physical & kPageMask);
  if (core.code_pages->hits(page, first, first + bytes - 1)) {
    if (!alone(core)) return retry_alone(core, op);
    std::memcpy(host, buffer, bytes);
    core.code_pages->written(page);
    return true;
  }
  std::memcpy(host, buffer, bytes);
  return true;
}

/// An access within one page, translated.
bool access_physical(Core& core, const Op* op, std::uint64_t linear, std::uint64_t physical,
                     std::uint8_t* buffer, unsigned bytes, bool write) {
  if (std::uint8_t* host = core.memory->host(physical, bytes)) {
    if (!access_ram(core, op, host, physical, buffer, bytes, write)) return false;
    if (core.modelled) show(core, linear, physical, bytes, write);
    return true;
  }
  if (!alone(core)) return retry_alone(core, op);
  while (bytes != 0) {
    // Devices see naturally sized pieces.
    unsigned piece = std::min(8U, std::bit_floor(bytes));
    while (physical % piece != 0) piece /= 2;
    std::uint64_t value = 0;
    if (write) {
      std::memcpy(&value, buffer, piece);
      core.environment->write_mmio(physical, piece, value);
    } else {
      value = core.environment->read_mmio(physical, piece);
      std::memcpy(buffer, &value, piece);
    }
    physical += piece;
    buffer += piece;
    bytes -= piece;
  }
  return true;
}

bool access(Core& core, const Op* op, std::uint64_t linear, std::uint8_t* buffer, unsigned bytes,
            MemoryUse use) {
  const bool write = use == MemoryUse::kWrite;
  if (!check_address(core, op, linear, bytes)) return false;
  if (core.dr7 & kDr7Enabled) note_data_breakpoints(core, linear, bytes, write);
  const auto in_first =
      static_cast<unsigned>(std::min<std::uint64_t>(bytes, 4096 - (linear & kPageMask)));
  std::uint64_t physical = 0;
  if (!translate_data(core, op, linear, use, physical)) return false;
  if (in_first == bytes) return access_physical(core, op, linear, physical, buffer, bytes, write);
  std::uint64_t second_linear = linear + in_first;
  if (!core.long_mode()) second_linear = static_cast<std::uint32_t>(second_linear);
  std::uint64_t second = 0;
  if (!translate_data(core, op, second_linear, use, second)) return false;
  // Both parts can only be refused before anything is done: device or code in either one.
  if (!alone(core)) {
    for (const std::uint64_t part : {physical, second}) {
      if (core.memory->host(part, 1) == nullptr) return retry_alone(core, op);
      if (write && core.code_pages->has_code(core.memory->page_index(part)))
        return retry_alone(core, op);
    }
  }
  return access_physical(core, op, linear, physical, buffer, in_first, write) &&
         access_physical(core, op, second_linear, second, buffer + in_first, bytes - in_first,
                         write);
}

}  // namespace

bool load_slow(Core& core, const Op* op, std::uint64_t linear, unsigned bytes) {
  if (core.modelled && access_modelled(core, linear, bytes, false)) return true;
  return access(core, op, linear, core.transfer.data(), bytes, MemoryUse::kRead);
}

bool store_slow(Core& core, const Op* op, std::uint64_t linear, unsigned bytes) {
  if (core.modelled && access_modelled(core, linear, bytes, true)) return true;
  return access(core, op, linear, core.transfer.data(), bytes, MemoryUse::kWrite);
}

bool flush_line(Core& core, const Op* op, std::uint64_t linear) {
  core.modelled = false;
  const bool loaded = load_slow(core, op, linear, 1);
  core.modelled = true;
  std::uint64_t physical = 0;
  if (loaded && look_up(core, linear, physical)) core.memory_model->flush_line(physical);
  return loaded;
}

bool probe_write(Core& core, const Op* op, std::uint64_t linear, unsigned bytes) {
  if (core.modelled &&
      core.bank->entries[TlbBank::slot(linear)].write_tag == page_of_last(linear, bytes))
    return true;
  if (!check_address(core, op, linear, bytes)) return false;
  std::uint64_t physical = 0;
  if (!translate_data(core, op, linear, MemoryUse::kWrite, physical)) return false;
  // A fault in the second page is at its first byte.
  const std::uint64_t last_page = (linear + bytes - 1) & ~kPageMask;
  std::uint64_t last_physical = physical;
  if ((linear & ~kPageMask) != last_page &&
      !translate_data(core, op, last_page, MemoryUse::kWrite, last_physical))
    return false;
  if (alone(core)) return true;
  // What access() would refuse later is refused now, before anything is read from a device.
  for (const std::uint64_t part : {physical, last_physical}) {
    if (core.memory->host(part, 1) == nullptr) return retry_alone(core, op);
    if (core.code_pages->has_code(core.memory->page_index(part))) return retry_alone(core, op);
  }
  return true;
}

// ---- The processor's own accesses ---------------------------------------------------------------

namespace {

/// The bank whose entries a requester's accesses may use.
TlbBank& bank_of(Core& core, Requester requester) {
  if (requester == Requester::kUser) return (*core.banks)[kBankUser];
  const bool smap = (core.cr4 & kCr4Smap) != 0;
  const bool overridden = requester == Requester::kSupervisor && (core.rflags & kAc) != 0;
  return (*core.banks)[smap && !overridden ? kBankSupervisorNoUser : kBankSupervisor];
}

/// Null: not one access within a page that the bank has.
std::uint8_t* remembered(TlbBank& bank, std::uint64_t linear, unsigned bytes, bool write) {
  const TlbEntry& entry = bank.entries[TlbBank::slot(linear)];
  if (page_of_last(linear, bytes) != (write ? entry.write_tag : entry.read_tag)) return nullptr;
  return reinterpret_cast<std::uint8_t*>(linear + entry.addend);
}

bool access_as(Core& core, Requester requester, std::uint64_t linear, std::uint8_t* buffer,
               unsigned bytes, MemoryUse use) {
  const bool write = use == MemoryUse::kWrite;
  TlbBank& bank = bank_of(core, requester);
  if (std::uint8_t* host = remembered(bank, linear, bytes, write)) {
    std::memcpy(write ? host : buffer, write ? buffer : host, bytes);
    return true;
  }
  while (bytes != 0) {
    const auto piece =
        static_cast<unsigned>(std::min<std::uint64_t>(bytes, 4096 - (linear & kPageMask)));
    if (core.long_mode() && !canonical(linear)) {
      set_exception(core, kGeneralProtection, 0);
      return false;
    }
    const Walk result = walk(core, linear, use, requester);
    if (!result.ok) {
      core.exception = {kPageFault, true, result.error, linear};
      return false;
    }
    remember(core, bank, linear, result);
    if (std::uint8_t* host = core.memory->host(result.physical, piece)) {
      if (write) {
        std::memcpy(host, buffer, piece);
        const std::size_t page = core.memory->page_index(result.physical);
        const auto first = static_cast<unsigned>(result.physical & kPageMask);
        if (core.code_pages->hits(page, first, first + piece - 1)) core.code_pages->written(page);
      } else {
        std::memcpy(buffer, host, piece);
      }
    } else if (!write) {
      // Tables in a device's addresses: nothing answers.
      std::memset(buffer, 0xff, piece);
    }
    linear += piece;
    if (!core.long_mode()) linear = static_cast<std::uint32_t>(linear);
    buffer += piece;
    bytes -= piece;
  }
  return true;
}

bool write_pages_ok(Core& core, Requester requester, std::uint64_t linear, unsigned bytes) {
  if (remembered(bank_of(core, requester), linear, bytes, true) != nullptr) return true;
  for (const std::uint64_t at : {linear, linear + bytes - 1}) {
    if (core.long_mode() && !canonical(at)) {
      set_exception(core, kGeneralProtection, 0);
      return false;
    }
    const Walk result = walk(core, at, MemoryUse::kWrite, requester);
    if (!result.ok) {
      core.exception = {kPageFault, true, result.error, at};
      return false;
    }
  }
  return true;
}

bool write_checked(Core& core, Requester requester, std::uint64_t linear, const void* from,
                   unsigned bytes) {
  std::uint8_t buffer[16];
  std::memcpy(buffer, from, std::min<std::size_t>(bytes, sizeof buffer));
  return write_pages_ok(core, requester, linear, bytes) &&
         access_as(core, requester, linear, buffer, bytes, MemoryUse::kWrite);
}

Requester requester_of(unsigned cpl) {
  return cpl == 3 ? Requester::kUser : Requester::kSupervisor;
}

}  // namespace

bool read_system(Core& core, std::uint64_t linear, void* to, unsigned bytes) {
  return access_as(core, Requester::kImplicit, linear, static_cast<std::uint8_t*>(to), bytes,
                   MemoryUse::kRead);
}

bool write_system(Core& core, std::uint64_t linear, const void* from, unsigned bytes) {
  return write_checked(core, Requester::kImplicit, linear, from, bytes);
}

bool read_as(Core& core, unsigned cpl, std::uint64_t linear, void* to, unsigned bytes) {
  return access_as(core, requester_of(cpl), linear, static_cast<std::uint8_t*>(to), bytes,
                   MemoryUse::kRead);
}

bool write_as(Core& core, unsigned cpl, std::uint64_t linear, const void* from, unsigned bytes) {
  return write_checked(core, requester_of(cpl), linear, from, bytes);
}

void show_stack_access(Core& core, std::uint64_t linear, unsigned bytes, bool write) {
  while (bytes != 0) {
    const auto piece =
        static_cast<unsigned>(std::min<std::uint64_t>(bytes, 4096 - (linear & kPageMask)));
    std::uint64_t physical = 0;
    if (look_up(core, linear, physical) && core.memory->host(physical, piece) != nullptr)
      show(core, linear, physical, piece, write);
    linear += piece;
    bytes -= piece;
  }
}

// ---- Translations and modes ---------------------------------------------------------------------

namespace {
void forget_jumps(Core& core) {
  core.jumps->fill(core.no_block);
  for (const EdgeRef ref : core.cross_page_edges) ref.edge().target = nullptr;
  core.cross_page_edges.clear();
}
}  // namespace

void flush_tlb(Core& core) {
  for (TlbBank& bank : *core.banks) bank.entries.fill(TlbEntry{});
  core.fetch_tlb.fill(Core::FetchEntry{});
  core.device_tlb = {};
  if (core.memory_model != nullptr) core.memory_model->flush_tlb();
  forget_jumps(core);
}

void forget_write_access(Core& core) {
  for (TlbBank& bank : *core.banks) {
    for (TlbEntry& entry : bank.entries) entry.write_tag = TlbEntry::kNoPage;
  }
}

void update_mode(Core& core) {
  const Segment& cs = core.segment[kCs];
  std::uint8_t bits = 0;
  if (core.cpl != 0) bits |= Mode::kUser;
  const bool code64 = core.long_mode() && cs.long_code;
  if (!code64) {
    bits |= cs.big ? Mode::kCode32 : Mode::kCode16;
    if (!core.segment[kSs].big) bits |= Mode::kStack16;
  }
  bits |= core.mode.bits & Mode::kObserved;
  core.mode.bits = bits;
  const std::uint64_t code_base = code64 ? 0 : cs.base;
  if (core.code_base != code_base) {
    core.code_base = code_base;
    forget_jumps(core);
  }

  TlbBankIndex bank = kBankSupervisor;
  if (core.cpl == 3) {
    const bool checked = (core.cr0 & kCr0Am) != 0 && (core.rflags & kAc) != 0;
    bank = checked ? kBankChecked : kBankUser;
  } else if ((core.cr4 & kCr4Smap) != 0 && (core.rflags & kAc) == 0) {
    bank = kBankSupervisorNoUser;
  }
  if (core.dr7 & kDr7Enabled) bank = kBankChecked;
  core.bank = &(*core.banks)[bank];
  core.tlb = core.modelled ? &(*core.banks)[kBankChecked] : core.bank;
}

}  // namespace vpmu::machine::x86
