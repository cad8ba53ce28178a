// SPDX-License-Identifier: MIT
//
// What compiled and emulated code reads, writes and fetches when it is not in the data TLB: the
// way through the MMU to RAM and devices. Keeps the TLBs, one for each set of rights.
//
// Compiled code stops in front of an access to a device or to words that have been compiled, and
// the instruction is then run by itself: so a device sees the exact time, and no code runs that has
// been overwritten.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <tl/expected.hpp>

#include "machine/arm64/core.hpp"
#include "machine/arm64/data_tlb.hpp"
#include "machine/arm64/direct_pages.hpp"
#include "machine/arm64/emulate.hpp"
#include "machine/arm64/environment.hpp"
#include "machine/arm64/jit.hpp"
#include "machine/arm64/mmu.hpp"
#include "machine/arm64/stage_two_pages.hpp"
#include "machine/code_pages.hpp"
#include "machine/guest_memory.hpp"
#include "vpmu/silicon/memory_model.hpp"

namespace vpmu::machine::arm64 {

class Accesses final : public JitClient, public DataPort {
 public:
  /// Everything passed must outlive it. `model` may be null.
  Accesses(const Core& core, const Mmu& mmu, const GuestMemory& memory, Environment& environment,
           CodePages& code_pages, silicon::MemoryModel* model);

  /// Where a byte is that an instruction accesses at the current level; nothing if it is nowhere.
  [[nodiscard]] std::optional<std::uint64_t> look_up(std::uint64_t address) const;

  /// The TLB for accesses of compiled code at the current level, or one without anything in it
  /// while they are modelled or watched.
  const DataTlb& tlb();
  /// What compiled code of that level accesses without asking.
  [[nodiscard]] void** direct_pages(ExceptionLevel of) { return direct(of).table(); }
  void flush();
  /// What was writable may be code now.
  void forget_writable() { flush_banks(); }

  /// While `modelled`, the memory model is shown what instructions access, when they have retired.
  void model(bool modelled) { modelled_ = modelled && model_ != nullptr; }
  void retired();
  void not_retired() { seen_.clear(); }

  /// Null, as at first: all pages are there. Must outlive it.
  void set_stage_two(StageTwoPages* pages) {
    stage2_ = pages;
    on_demand_ = pages != nullptr && pages->on_demand() ? pages : nullptr;
    flush_banks();
  }

  /// While `watched`, accesses that a watchpoint matches are faults.
  void watch(bool watched) { watched_ = watched; }

  /// Why the last access or fetch of compiled code was not done; none: it wants to be alone.
  [[nodiscard]] const std::optional<Fault>& fault() const { return fault_; }
  /// A device has been accessed since this was asked last.
  bool take_device_access() {
    const bool was = device_accessed_;
    device_accessed_ = false;
    return was;
  }

  std::optional<CodeMapping> fetch(std::uint64_t address) override;
  void compiles(const CodeMapping& mapping, std::uint64_t address) override;
  bool read(std::uint64_t address, unsigned bytes, void* to, bool alone) override;
  bool write(std::uint64_t address, unsigned bytes, const void* from, bool alone) override;
  void misaligned(std::uint64_t address, bool write) override;
  void defer() override { fault_.reset(); }
  std::uint8_t* exclusive(std::uint64_t address, unsigned bytes, bool alone) override;

  tl::expected<std::uint64_t, Fault> read(std::uint64_t address, unsigned bytes,
                                          ExceptionLevel rights) override;
  tl::expected<void, Fault> write(std::uint64_t address, unsigned bytes, std::uint64_t value,
                                  ExceptionLevel rights) override;
  tl::expected<void, Fault> zero(std::uint64_t address, ExceptionLevel rights) override;

  /// Writes by a unit of the CPU rather than by its code, with EL1's rights: all or nothing, and to
  /// RAM only. `bytes` lie in two pages at most.
  tl::expected<void, Fault> store(std::uint64_t address, std::span<const std::uint8_t> bytes);

 private:
  struct Wanted {
    std::uint64_t address;
    unsigned bytes;
    MemoryUse use;
    ExceptionLevel rights;
  };
  /// A part of an access that lies in one page; in RAM if it has a host address.
  struct Piece {
    std::uint64_t linear = 0;
    std::uint64_t physical = 0;
    unsigned bytes = 0;
    std::uint8_t* host = nullptr;
  };
  struct Place {
    std::array<Piece, 2> pieces{};
    std::size_t count = 1;

    [[nodiscard]] bool in_ram() const {
      return pieces[0].host != nullptr && (count == 1 || pieces[1].host != nullptr);
    }
  };

  [[nodiscard]] const DataTlb& bank() const { return banks_[bank_number()]; }
  [[nodiscard]] std::size_t bank_number() const {
    if (core_.el == ExceptionLevel::kEl0) return 0;
    return core_.pan ? 2 : 1;
  }
  tl::expected<Piece, Fault> stored_piece(std::uint64_t address, unsigned bytes);
  [[nodiscard]] DirectPages& direct(ExceptionLevel of) {
    return direct_[static_cast<std::size_t>(of)];
  }
  [[nodiscard]] bool sees_all() const { return modelled_ || watched_; }
  void flush_banks();
  tl::expected<Piece, Fault> piece(const Wanted& wanted, std::uint64_t address, unsigned bytes);
  tl::expected<Place, Fault> locate(const Wanted& wanted);
  /// Neither RAM nor a device is there.
  [[nodiscard]] bool nothing_at(const Piece& piece) const {
    return piece.bytes != 0 && piece.host == nullptr &&
           !environment_.answers(piece.physical, piece.bytes);
  }
  void keep(const Wanted& wanted, const Piece& piece, const Translation& translation);
  [[nodiscard]] bool hits_code(const Piece& piece) const;
  void see(const Wanted& wanted, const Piece& piece);
  void read_piece(const Piece& piece, std::uint8_t* to);
  void write_piece(const Piece& piece, const std::uint8_t* from);
  void read_place(const Wanted& wanted, const Place& place, std::uint8_t* to);
  void write_place(const Wanted& wanted, const Place& place, const std::uint8_t* from);
  bool fails(const Fault& fault);
  bool wants_to_be_alone();

  const Core& core_;
  const Mmu& mmu_;
  const GuestMemory& memory_;
  Environment& environment_;
  CodePages& code_pages_;
  silicon::MemoryModel* model_;
  StageTwoPages* stage2_ = nullptr;
  StageTwoPages* on_demand_ = nullptr;
  bool modelled_ = false;
  bool watched_ = false;
  bool device_accessed_ = false;
  std::optional<Fault> fault_;
  std::array<DataTlb, 3> banks_;  ///< EL0's rights, EL1's, EL1's with PAN
  DataTlb empty_;
  std::array<DirectPages, 2> direct_;               ///< by level, of the bank in use
  bool direct_pan_ = false;                         ///< what is in EL1's holds with that PSTATE.PAN
  Piece stored_;                                    ///< where store() was last; no host: nowhere
  bool stored_pan_ = false;                         ///< PSTATE.PAN at that time
  std::vector<silicon::MemoryModel::Access> seen_;  ///< of the current instruction
};

}  // namespace vpmu::machine::arm64
