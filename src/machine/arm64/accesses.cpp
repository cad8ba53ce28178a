// SPDX-License-Identifier: MIT
#include "machine/arm64/accesses.hpp"

#include <algorithm>
#include <cstring>

#include "machine/arm64/breakpoints.hpp"

namespace vpmu::machine::arm64 {

namespace {

/// Fault status: an exclusive access to what does not support it.
constexpr std::uint8_t kUnsupportedExclusive = 0x35;

Fault external_abort(std::uint64_t address, MemoryUse use) {
  return {.address = address, .use = use, .status = fault_status(FaultStatus::kExternal)};
}

/// Devices get what is aligned in accesses of up to 8 bytes; anything else, byte for byte.
template <class Each>
void in_pieces(std::uint64_t physical, unsigned bytes, Each each) {
  const unsigned largest = std::min(bytes, 8U);
  const unsigned size = physical % largest == 0 && (bytes & (bytes - 1)) == 0 ? largest : 1;
  for (unsigned done = 0; done < bytes; done += size) each(physical + done, done, size);
}

}  // namespace

Accesses::Accesses(const Core& core, const Mmu& mmu, const GuestMemory& memory,
                   Environment& environment, CodePages& code_pages, silicon::MemoryModel* model)
    : core_{core},
      mmu_{mmu},
      memory_{memory},
      environment_{environment},
      code_pages_{code_pages},
      model_{model} {
  constexpr std::size_t kMostOfOneInstruction = 128;
  seen_.reserve(kMostOfOneInstruction);
}

void Accesses::flush_banks() {
  for (DataTlb& bank : banks_) bank.flush();
  for (DirectPages& pages : direct_) pages.clear();
  stored_ = {};
}

const DataTlb& Accesses::tlb() {
  if (core_.el == ExceptionLevel::kEl1 && core_.pan != direct_pan_) {
    direct(ExceptionLevel::kEl1).clear();
    direct_pan_ = core_.pan;
  }
  if (!sees_all()) return bank();
  direct(core_.el).clear();
  return empty_;
}

std::optional<std::uint64_t> Accesses::look_up(std::uint64_t address) const {
  const std::uint8_t* const host = bank().readable_anyhow(address, 1);
  return host != nullptr ? memory_.address_of(host) : mmu_.look_up(address);
}

void Accesses::flush() {
  flush_banks();
  if (model_ != nullptr) model_->flush_tlb();
}

void Accesses::retired() {
  for (const auto& access : seen_) model_->see(access);
  seen_.clear();
}

// ---- Where an access goes -----------------------------------------------------------------------

/// Is remembered for compiled code, at the level that asks.
void Accesses::keep(const Wanted& wanted, const Piece& piece, const Translation& translation) {
  if (wanted.rights != core_.el || piece.host == nullptr) return;
  const bool el0 = wanted.rights == ExceptionLevel::kEl0;
  // With PAN, a page that EL0 may access does not get here.
  const bool written = el0 ? translation.el0_write : translation.el1_write;
  const DataTlb::Rights rights{
      .read = el0 ? translation.el0_read : translation.el1_read,
      .write = written && !code_pages_.has_code(memory_.page_index(piece.physical)),
      .aligned = translation.type == MemoryType::kDevice || alignment_checked(core_)};
  const std::uint64_t page = piece.linear & ~kPageMask;
  const std::uint8_t* const host = piece.host - (piece.linear & kPageMask);
  banks_[bank_number()].fill(page, host, rights);
  if (rights.read && rights.write && !rights.aligned && !sees_all()) {
    direct(core_.el).fill(page, host);
  }
}

tl::expected<Accesses::Piece, Fault> Accesses::piece(const Wanted& wanted, std::uint64_t address,
                                                     unsigned bytes) {
  const auto found = mmu_.translate(address, wanted.use, wanted.rights);
  if (!found) return tl::unexpected(found.error());
  if (found->type == MemoryType::kDevice && wanted.address % wanted.bytes != 0) {
    return tl::unexpected(alignment_fault(wanted.address, wanted.use));
  }
  const Piece piece{address, found->physical, bytes, memory_.host(found->physical, bytes)};
  if (on_demand_ != nullptr && piece.host != nullptr) on_demand_->touch(piece.physical);
  keep(wanted, piece, *found);
  return piece;
}

tl::expected<Accesses::Place, Fault> Accesses::locate(const Wanted& wanted) {
  if (wanted.address % wanted.bytes != 0 && alignment_checked(core_)) {
    return tl::unexpected(alignment_fault(wanted.address, wanted.use));
  }
  Place place;
  const auto to_page_end = static_cast<unsigned>(kPageBytes - (wanted.address & kPageMask));
  const unsigned first = std::min(wanted.bytes, to_page_end);
  for (std::size_t n = 0; n < 2; ++n) {
    const auto found = n == 0 ? piece(wanted, wanted.address, first)
                              : piece(wanted, wanted.address + first, wanted.bytes - first);
    if (!found) return tl::unexpected(found.error());
    place.pieces[n] = *found;
    if (first == wanted.bytes) break;
    place.count = n + 1;
  }
  // Watchpoints come after whatever is wrong with the translation.
  const auto hit =
      watched_ ? watchpoint_at(core_, {wanted.address, wanted.bytes, wanted.use, wanted.rights})
               : std::nullopt;
  if (hit) {
    return tl::unexpected(
        Fault{.address = *hit, .use = wanted.use, .status = fault_status(FaultStatus::kDebug)});
  }
  for (const Piece& piece : place.pieces) {
    if (nothing_at(piece)) return tl::unexpected(external_abort(piece.linear, wanted.use));
  }
  return place;
}

bool Accesses::hits_code(const Piece& piece) const {
  if (piece.host == nullptr) return false;
  const auto offset = static_cast<unsigned>(piece.physical & kPageMask);
  return code_pages_.hits(memory_.page_index(piece.physical), offset, offset + piece.bytes - 1);
}

// ---- Doing it -----------------------------------------------------------------------------------

void Accesses::see(const Wanted& wanted, const Piece& piece) {
  if (!modelled_ || piece.host == nullptr) return;
  const bool user = core_.el == ExceptionLevel::kEl0;
  seen_.push_back({.linear = piece.linear,
                   .physical = piece.physical,
                   .bytes = piece.bytes,
                   .write = wanted.use == MemoryUse::kWrite,
                   .privilege = user ? silicon::Privilege::kUser : silicon::Privilege::kKernel});
}

void Accesses::read_piece(const Piece& piece, std::uint8_t* to) {
  if (piece.host != nullptr) {
    std::memcpy(to, piece.host, piece.bytes);
    return;
  }
  device_accessed_ = true;
  in_pieces(piece.physical, piece.bytes, [&](std::uint64_t at, unsigned done, unsigned size) {
    const std::uint64_t value = environment_.read_mmio(at, size);
    std::memcpy(to + done, &value, size);
  });
}

void Accesses::write_piece(const Piece& piece, const std::uint8_t* from) {
  if (piece.host != nullptr) {
    if (hits_code(piece)) code_pages_.written(memory_.page_index(piece.physical));
    std::memcpy(piece.host, from, piece.bytes);
    return;
  }
  device_accessed_ = true;
  in_pieces(piece.physical, piece.bytes, [&](std::uint64_t at, unsigned done, unsigned size) {
    std::uint64_t value = 0;
    std::memcpy(&value, from + done, size);
    environment_.write_mmio(at, size, value);
  });
}

void Accesses::read_place(const Wanted& wanted, const Place& place, std::uint8_t* to) {
  for (std::size_t n = 0; n < place.count; ++n) {
    see(wanted, place.pieces[n]);
    read_piece(place.pieces[n], to);
    to += place.pieces[n].bytes;
  }
}

void Accesses::write_place(const Wanted& wanted, const Place& place, const std::uint8_t* from) {
  for (std::size_t n = 0; n < place.count; ++n) {
    see(wanted, place.pieces[n]);
    write_piece(place.pieces[n], from);
    from += place.pieces[n].bytes;
  }
}

// ---- For compiled code --------------------------------------------------------------------------

bool Accesses::fails(const Fault& fault) {
  fault_ = fault;
  return false;
}

bool Accesses::wants_to_be_alone() {
  defer();
  return false;
}

std::optional<CodeMapping> Accesses::fetch(std::uint64_t address) {
  const auto found = mmu_.translate(address, MemoryUse::kFetch, core_.el);
  if (!found) {
    fault_ = found.error();
    return std::nullopt;
  }
  const std::uint64_t page = found->physical & ~kPageMask;
  const std::uint8_t* host = memory_.host(page, kPageBytes);
  if (host == nullptr) {
    fault_ = external_abort(address, MemoryUse::kFetch);
    return std::nullopt;
  }
  if (on_demand_ != nullptr) on_demand_->touch(page);
  return CodeMapping{page, host, found->size_bits, found->global};
}

void Accesses::compiles(const CodeMapping& mapping, std::uint64_t address) {
  const auto offset = static_cast<unsigned>(address & kPageMask);
  code_pages_.mark(memory_.page_index(mapping.physical), offset,
                   offset + static_cast<unsigned>(kInstructionBytes) - 1);
}

bool Accesses::read(std::uint64_t address, unsigned bytes, void* to, bool alone) {
  const Wanted wanted{address, bytes, MemoryUse::kRead, core_.el};
  const auto place = locate(wanted);
  if (!place) return fails(place.error());
  if (!alone && !place->in_ram()) return wants_to_be_alone();
  read_place(wanted, *place, static_cast<std::uint8_t*>(to));
  return true;
}

bool Accesses::write(std::uint64_t address, unsigned bytes, const void* from, bool alone) {
  const Wanted wanted{address, bytes, MemoryUse::kWrite, core_.el};
  const auto place = locate(wanted);
  if (!place) return fails(place.error());
  const bool plain =
      place->in_ram() && !hits_code(place->pieces[0]) && !hits_code(place->pieces[1]);
  if (!alone && !plain) return wants_to_be_alone();
  write_place(wanted, *place, static_cast<const std::uint8_t*>(from));
  return true;
}

void Accesses::misaligned(std::uint64_t address, bool write) {
  fails(alignment_fault(address, write ? MemoryUse::kWrite : MemoryUse::kRead));
}

std::uint8_t* Accesses::exclusive(std::uint64_t address, unsigned bytes, bool alone) {
  const Wanted wanted{address, bytes, MemoryUse::kWrite, core_.el};
  if (address % bytes != 0) {
    fails(alignment_fault(address, MemoryUse::kWrite));
    return nullptr;
  }
  const auto place = locate(wanted);
  if (!place) {
    fails(place.error());
    return nullptr;
  }
  const Piece& piece = place->pieces[0];
  if (piece.host == nullptr) {
    fails({.address = address, .use = MemoryUse::kWrite, .status = kUnsupportedExclusive});
    return nullptr;
  }
  if (hits_code(piece)) {
    if (!alone) {
      wants_to_be_alone();
      return nullptr;
    }
    code_pages_.written(memory_.page_index(piece.physical));
  }
  see(wanted, piece);
  return piece.host;
}

// ---- For emulated code --------------------------------------------------------------------------

tl::expected<std::uint64_t, Fault> Accesses::read(std::uint64_t address, unsigned bytes,
                                                  ExceptionLevel rights) {
  const Wanted wanted{address, bytes, MemoryUse::kRead, rights};
  const auto place = locate(wanted);
  if (!place) return tl::unexpected(place.error());
  std::uint64_t value = 0;
  std::array<std::uint8_t, sizeof value> got{};
  read_place(wanted, *place, got.data());
  std::memcpy(&value, got.data(), sizeof value);
  return value;
}

tl::expected<void, Fault> Accesses::write(std::uint64_t address, unsigned bytes,
                                          std::uint64_t value, ExceptionLevel rights) {
  const Wanted wanted{address, bytes, MemoryUse::kWrite, rights};
  const auto place = locate(wanted);
  if (!place) return tl::unexpected(place.error());
  std::array<std::uint8_t, sizeof value> from{};
  std::memcpy(from.data(), &value, sizeof value);
  write_place(wanted, *place, from.data());
  return {};
}

tl::expected<void, Fault> Accesses::zero(std::uint64_t address, ExceptionLevel rights) {
  const Wanted wanted{address, kZvaBytes, MemoryUse::kWrite, rights};
  const auto found = mmu_.translate(address, MemoryUse::kWrite, rights);
  // Device memory has no blocks to zero.
  if (found && found->type == MemoryType::kDevice) {
    return tl::unexpected(alignment_fault(address, MemoryUse::kWrite));
  }
  const auto place = locate(wanted);
  if (!place) return tl::unexpected(place.error());
  constexpr std::array<std::uint8_t, kZvaBytes> kZeroes{};
  write_place(wanted, *place, kZeroes.data());
  return {};
}

/// The page of the last one is still known, usually.
tl::expected<Accesses::Piece, Fault> Accesses::stored_piece(std::uint64_t address, unsigned bytes) {
  const std::uint64_t page = address & ~kPageMask;
  if (stored_.host == nullptr || stored_.linear != page || stored_pan_ != core_.pan) {
    const auto found = mmu_.translate(address, MemoryUse::kWrite, ExceptionLevel::kEl1);
    if (!found) return tl::unexpected(found.error());
    const std::uint64_t physical = found->physical & ~kPageMask;
    std::uint8_t* const host = memory_.host(physical, kPageBytes);
    if (host == nullptr) return tl::unexpected(external_abort(address, MemoryUse::kWrite));
    const auto refused = stage2_ != nullptr ? stage2_->refuse_unit(physical) : std::nullopt;
    if (refused) {
      return tl::unexpected(
          Fault{.address = address, .use = MemoryUse::kWrite, .status = *refused, .stage2 = true});
    }
    stored_ = {.linear = page, .physical = physical, .bytes = kPageBytes, .host = host};
    stored_pan_ = core_.pan;
  }
  const std::uint64_t offset = address & kPageMask;
  return Piece{address, stored_.physical + offset, bytes, stored_.host + offset};
}

tl::expected<void, Fault> Accesses::store(std::uint64_t address,
                                          std::span<const std::uint8_t> bytes) {
  const auto count = static_cast<unsigned>(bytes.size());
  const auto first = std::min(count, static_cast<unsigned>(kPageBytes - (address & kPageMask)));
  const auto head = stored_piece(address, first);
  if (!head) return tl::unexpected(head.error());
  if (first == count) {
    write_piece(*head, bytes.data());
    return {};
  }
  const auto tail = stored_piece(address + first, count - first);
  if (!tail) return tl::unexpected(tail.error());
  write_piece(*head, bytes.data());
  write_piece(*tail, bytes.data() + first);
  return {};
}

}  // namespace vpmu::machine::arm64
