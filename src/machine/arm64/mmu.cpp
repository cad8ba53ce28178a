// SPDX-License-Identifier: MIT
#include "machine/arm64/mmu.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace vpmu::machine::arm64 {

namespace {

/// Bits 47:0: as far as addresses of tables and pages go.
constexpr std::uint64_t kAddressMask = (std::uint64_t{1} << kPhysicalBits) - 1;

/// A stage 1 descriptor of VMSAv8-64 (D5.3): what leaves have, and in the top bits what tables
/// impose on what is below them.
struct Descriptor : Register<std::uint64_t> {
  static constexpr Field<0> kValid{};
  static constexpr Field<1> kTable{};  ///< at level 3: a page
  static constexpr Field<4, 2> kAttributeIndex{};
  static constexpr Field<6> kEl0Access{};  ///< AP[1]
  static constexpr Field<7> kReadOnly{};   ///< AP[2]
  static constexpr Field<9, 8> kShareability{};
  static constexpr Field<10> kAccessed{};
  static constexpr Field<11> kNotGlobal{};
  static constexpr Field<51> kDirtyModifier{};
  static constexpr Field<53> kPxn{};
  static constexpr Field<54> kUxn{};
  static constexpr Field<59> kPxnTable{};
  static constexpr Field<60> kUxnTable{};
  static constexpr Field<61> kNoEl0Table{};     ///< APTable[0]
  static constexpr Field<62> kReadOnlyTable{};  ///< APTable[1]
  static constexpr std::uint64_t kHierarchical =
      mask_of(kPxnTable, kUxnTable, kNoEl0Table, kReadOnlyTable);
};

/// Half of the address space: what TCR_EL1 says about it.
struct Half {
  std::uint64_t ttbr;
  unsigned size;          ///< TxSZ
  unsigned granule_bits;  ///< 12, 14 or 16
  bool disabled;          ///< EPDx
  bool no_el0;            ///< E0PDx
  bool top_byte_ignored;  ///< TBIx
  bool flat_permissions;  ///< HPDx
};

bool is_upper(std::uint64_t address) {
  return (address >> 55 & 1) != 0;
}

Half half_of(const Core& core, std::uint64_t address) {
  const Tcr tcr = core.translation_control();
  // By TG0 and TG1; what is reserved means 4 KiB.
  static constexpr std::array<unsigned, 4> kGranule0{12, 16, 14, 12};
  static constexpr std::array<unsigned, 4> kGranule1{12, 14, 12, 16};
  if (is_upper(address)) {
    return {core.ttbr1,
            static_cast<unsigned>(tcr.get(Tcr::kT1sz)),
            kGranule1[tcr.get(Tcr::kTg1)],
            tcr.get(Tcr::kEpd1) != 0,
            tcr.get(Tcr::kE0pd1) != 0,
            tag_ignored(core, address),
            tcr.get(Tcr::kHpd1) != 0};
  }
  return {core.ttbr0,
          static_cast<unsigned>(tcr.get(Tcr::kT0sz)),
          kGranule0[tcr.get(Tcr::kTg0)],
          tcr.get(Tcr::kEpd0) != 0,
          tcr.get(Tcr::kE0pd0) != 0,
          tag_ignored(core, address),
          tcr.get(Tcr::kHpd0) != 0};
}

/// Bits of physical addresses that tables may name: TCR_EL1.IPS, but no more than there are.
unsigned output_bits(const Core& core) {
  static constexpr std::array<unsigned, 8> kBits{32, 36, 40, 42, 44, 48, 48, 48};
  return std::min(kBits[core.translation_control().get(Tcr::kIps)], kPhysicalBits);
}

/// What a walk finds.
struct Leaf {
  Descriptor descriptor;
  std::uint64_t where = 0;         ///< physical address of the descriptor
  std::uint64_t hierarchical = 0;  ///< what the tables above it impose
  std::uint64_t output = 0;        ///< physical address of the byte asked for
  unsigned level = 0;
  std::uint8_t size_bits = 0;
};

using Status = std::uint8_t;

constexpr unsigned kLargestTxsz = 39, kSmallestTxsz = 16;

/// The address is none of those that this half's tables translate: all bits from the input size on
/// are to be as bit 55 is.
bool outside(const Half& half, std::uint64_t address) {
  if (half.size < kSmallestTxsz || half.size > kLargestTxsz) return true;
  const unsigned ignored = half.top_byte_ignored ? 8 : 0;
  const unsigned input_bits = 64 - half.size;
  const std::uint64_t above = address << ignored >> ignored >> input_bits;
  const std::uint64_t ones = ~std::uint64_t{0} >> ignored >> input_bits;
  return above != (is_upper(address) ? ones : 0);
}

/// The lowest address bit that a descriptor at this level resolves.
unsigned level_shift(const Half& half, unsigned level) {
  return half.granule_bits + (half.granule_bits - 3) * (3 - level);
}

/// Blocks are there at levels 1 and 2 with 4 KiB, at level 2 with larger granules.
bool may_be_block(const Half& half, unsigned level) {
  return level == 2 || (level == 1 && half.granule_bits == 12);
}

constexpr std::uint64_t low_bits(unsigned count) {
  return (std::uint64_t{1} << count) - 1;
}

tl::expected<Leaf, Status> follow(const Core& core, const GuestMemory& memory, const Half& half,
                                  std::uint64_t address) {
  const unsigned stride = half.granule_bits - 3;
  const unsigned input_bits = 64 - half.size;
  const unsigned first = 3 - (input_bits - half.granule_bits - 1) / stride;
  const std::uint64_t beyond = ~low_bits(output_bits(core));
  const std::uint64_t input = address & low_bits(input_bits);

  // The first table has as many entries as the input size needs, and is aligned to its size.
  const unsigned first_bits = input_bits - level_shift(half, first) + 3;
  std::uint64_t table = half.ttbr & kAddressMask & ~low_bits(first_bits);
  if (table & beyond) return tl::unexpected(fault_status(FaultStatus::kAddressSize));

  Leaf leaf;
  for (unsigned level = first; level <= 3; ++level) {
    const unsigned shift = level_shift(half, level);
    const std::uint64_t index =
        input >> shift & (level == first ? ~std::uint64_t{0} : low_bits(stride));
    leaf.where = table + index * sizeof(std::uint64_t);
    const std::uint8_t* host = memory.host(leaf.where, sizeof(std::uint64_t));
    if (host == nullptr) return tl::unexpected(fault_status(FaultStatus::kExternalWalk, level));
    std::memcpy(&leaf.descriptor.raw, host, sizeof(std::uint64_t));

    const bool valid = leaf.descriptor.get(Descriptor::kValid) != 0;
    const bool table_bit = leaf.descriptor.get(Descriptor::kTable) != 0;
    const bool is_leaf = level == 3 || !table_bit;
    if (!valid || (is_leaf && level == 3 ? !table_bit : is_leaf && !may_be_block(half, level))) {
      return tl::unexpected(fault_status(FaultStatus::kTranslation, level));
    }
    const std::uint64_t next =
        leaf.descriptor.raw & kAddressMask & ~low_bits(is_leaf ? shift : half.granule_bits);
    if (next & beyond) return tl::unexpected(fault_status(FaultStatus::kAddressSize, level));
    if (is_leaf) {
      leaf.output = next | (input & low_bits(shift));
      leaf.level = level;
      leaf.size_bits = static_cast<std::uint8_t>(shift);
      return leaf;
    }
    leaf.hierarchical |= leaf.descriptor.raw & Descriptor::kHierarchical;
    table = next;
  }
  return tl::unexpected(fault_status(FaultStatus::kTranslation, 3));
}

MemoryType memory_type(std::uint8_t attributes) {
  return attributes >> 4 == 0 ? MemoryType::kDevice : MemoryType::kNormal;
}

/// Writes may be noted in this descriptor by hardware.
bool keeps_dirty_state(const Core& core, Descriptor descriptor) {
  const Tcr tcr = core.translation_control();
  return tcr.get(Tcr::kHa) != 0 && tcr.get(Tcr::kHd) != 0 &&
         descriptor.get(Descriptor::kDirtyModifier) != 0;
}

/// What may be done in a page, as if its dirty state had been noted (AArch64.CheckPermission).
void set_permissions(const Core& core, const Half& half, const Leaf& leaf, Translation& out) {
  const Descriptor imposed{{half.flat_permissions ? 0 : leaf.hierarchical}};
  const Descriptor own = leaf.descriptor;
  const bool read_only = (own.get(Descriptor::kReadOnly) != 0 && !keeps_dirty_state(core, own)) ||
                         imposed.get(Descriptor::kReadOnlyTable) != 0;
  const bool el0 =
      own.get(Descriptor::kEl0Access) != 0 && imposed.get(Descriptor::kNoEl0Table) == 0;
  const bool pxn =
      (own.raw & Descriptor::kPxn.kMask) || (imposed.raw & Descriptor::kPxnTable.kMask);
  const bool uxn =
      (own.raw & Descriptor::kUxn.kMask) || (imposed.raw & Descriptor::kUxnTable.kMask);
  const bool wxn = core.control().get(Sctlr::kWxn) != 0;

  out.el1_read = true;
  out.el1_write = !read_only;
  out.el0_read = el0;
  out.el0_write = el0 && !read_only;
  out.el0_execute = !uxn && !(wxn && out.el0_write);
  out.el1_execute = !pxn && !(wxn && out.el1_write) && !out.el0_write;
}

bool permitted(const Translation& translation, MemoryUse use, ExceptionLevel rights, bool pan) {
  const bool el0 = rights == ExceptionLevel::kEl0;
  switch (use) {
    case MemoryUse::kFetch: return el0 ? translation.el0_execute : translation.el1_execute;
    case MemoryUse::kRead:
      return el0 ? translation.el0_read : translation.el1_read && !(pan && translation.el0_read);
    case MemoryUse::kWrite:
      // What EL0 may not read it may not write.
      return el0 ? translation.el0_write : translation.el1_write && !(pan && translation.el0_read);
  }
  return false;
}

/// With the MMU off addresses are physical ones. Data is Device-nGnRnE, code is Normal.
tl::expected<Translation, Status> flat(const Core& core, std::uint64_t address, MemoryUse use) {
  const Half half = half_of(core, address);
  const std::uint64_t checked = half.top_byte_ignored ? address & low_bits(56) : address;
  if (checked & ~kAddressMask) return tl::unexpected(fault_status(FaultStatus::kAddressSize));
  Translation out;
  out.physical = checked;
  constexpr std::uint8_t kWriteThrough = 0xaa, kNonCacheable = 0x44;
  if (use == MemoryUse::kFetch) {
    out.attributes = core.control().get(Sctlr::kI) != 0 ? kWriteThrough : kNonCacheable;
  }
  out.type = memory_type(out.attributes);
  out.shareability = 2;
  out.el0_read = out.el0_write = out.el0_execute = true;
  out.el1_read = out.el1_write = out.el1_execute = true;
  return out;
}

/// What is done besides looking.
enum class Effect : std::uint8_t { kNothing, kUpdate };

/// Stores what a successful access leaves in the descriptor: that the page was accessed, and that
/// it was written to.
void note_access(const GuestMemory& memory, const Leaf& leaf, std::uint64_t descriptor) {
  if (descriptor == leaf.descriptor.raw) return;
  // Where the walk has just read it.
  std::memcpy(memory.host(leaf.where, sizeof descriptor), &descriptor, sizeof descriptor);
}

/// The walk's end: attributes, without permissions.
Translation attributes_of(const Core& core, const Leaf& leaf) {
  Translation out;
  out.physical = leaf.output;
  out.size_bits = leaf.size_bits;
  out.attributes =
      static_cast<std::uint8_t>(core.mair >> 8 * leaf.descriptor.get(Descriptor::kAttributeIndex));
  out.shareability = static_cast<std::uint8_t>(leaf.descriptor.get(Descriptor::kShareability));
  out.type = memory_type(out.attributes);
  out.global = leaf.descriptor.get(Descriptor::kNotGlobal) == 0;
  return out;
}

struct Request {
  std::uint64_t address;
  MemoryUse use;
  ExceptionLevel rights;
  bool pan;
  Effect effect;
};

tl::expected<Translation, Status> walk(const Core& core, const GuestMemory& memory,
                                       const Request& request) {
  const Half half = half_of(core, request.address);
  const bool hidden = half.no_el0 && request.rights == ExceptionLevel::kEl0;
  if (outside(half, request.address) || half.disabled || hidden) {
    return tl::unexpected(fault_status(FaultStatus::kTranslation));
  }
  const auto leaf = follow(core, memory, half, request.address);
  if (!leaf) return tl::unexpected(leaf.error());

  const bool accessed = leaf->descriptor.get(Descriptor::kAccessed) != 0;
  if (!accessed && core.translation_control().get(Tcr::kHa) == 0) {
    return tl::unexpected(fault_status(FaultStatus::kAccessFlag, leaf->level));
  }
  Translation out = attributes_of(core, *leaf);
  out.was_accessed = accessed;
  set_permissions(core, half, *leaf, out);
  if (!permitted(out, request.use, request.rights, request.pan)) {
    return tl::unexpected(fault_status(FaultStatus::kPermission, leaf->level));
  }
  std::uint64_t noted = leaf->descriptor.raw | Descriptor::kAccessed.kMask;
  if (request.use == MemoryUse::kWrite) noted &= ~Descriptor::kReadOnly.kMask;
  if (request.effect == Effect::kUpdate) note_access(memory, *leaf, noted);
  if (noted & Descriptor::kReadOnly.kMask) out.el0_write = out.el1_write = false;
  return out;
}

tl::expected<Translation, Fault> resolve(const Core& core, const GuestMemory& memory,
                                         const Request& request) {
  auto found = core.control().get(Sctlr::kM) != 0 ? walk(core, memory, request)
                                                  : flat(core, request.address, request.use);
  if (found && request.use == MemoryUse::kFetch && memory.host(found->physical, 1) == nullptr) {
    found = tl::unexpected(fault_status(FaultStatus::kExternal));
  }
  if (found) return *found;
  return tl::unexpected(Fault{request.address, request.use, false, found.error()});
}

}  // namespace

tl::expected<Translation, Fault> Mmu::translate(std::uint64_t address, MemoryUse use,
                                                ExceptionLevel rights) const {
  return resolve(core_, memory_, {address, use, rights, core_.pan, Effect::kUpdate});
}

tl::expected<Translation, Fault> Mmu::probe(std::uint64_t address, MemoryUse use,
                                            ExceptionLevel rights, bool pan) const {
  return resolve(core_, memory_, {address, use, rights, pan, Effect::kNothing});
}

std::optional<std::uint64_t> Mmu::look_up(std::uint64_t address) const {
  if (core_.control().get(Sctlr::kM) == 0) {
    const auto found = flat(core_, address, MemoryUse::kRead);
    return found ? std::optional{found->physical} : std::nullopt;
  }
  const Half half = half_of(core_, address);
  if (outside(half, address) || half.disabled) return std::nullopt;
  const auto leaf = follow(core_, memory_, half, address);
  return leaf ? std::optional{leaf->output} : std::nullopt;
}

std::uint16_t Mmu::asid() const {
  const Tcr tcr = core_.translation_control();
  const std::uint64_t ttbr = tcr.get(Tcr::kA1) != 0 ? core_.ttbr1 : core_.ttbr0;
  const std::uint64_t wide = tcr.get(Tcr::kAs) != 0 ? 0xffff : 0xff;
  return static_cast<std::uint16_t>(ttbr >> 48 & wide);
}

bool alignment_checked(const Core& core, bool must) {
  return must || core.control().get(Sctlr::kA) != 0;
}

Fault alignment_fault(std::uint64_t address, MemoryUse use) {
  return {address, use, false, fault_status(FaultStatus::kAlignment)};
}

}  // namespace vpmu::machine::arm64
