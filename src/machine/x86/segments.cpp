// SPDX-License-Identifier: MIT
#include "machine/x86/segments.hpp"

#include "machine/x86/flags.hpp"
#include "machine/x86/mmu.hpp"

namespace vpmu::machine::x86 {

namespace {

constexpr std::uint8_t kTypeCode = 8, kTypeConforming = 4, kTypeWritable = 2, kTypeAccessed = 1;
// System descriptor types.
constexpr std::uint8_t kLdt = 2, kTss16Available = 1, kTss32Available = 9, kTss32Busy = 11;

bool protected_mode(const Core& core) {
  return (core.cr0 & kCr0Pe) != 0;
}

bool is_code(const Segment& s) {
  return !s.system && (s.type & kTypeCode) != 0;
}
bool is_conforming(const Segment& s) {
  return is_code(s) && (s.type & kTypeConforming) != 0;
}
bool is_readable(const Segment& s) {
  return !is_code(s) || (s.type & 2) != 0;
}
bool is_writable_data(const Segment& s) {
  return !s.system && !is_code(s) && (s.type & kTypeWritable) != 0;
}

bool fault(Core& core, std::uint8_t vector, std::uint32_t error_code) {
  set_exception(core, vector, error_code);
  return false;
}

/// Where a selector's descriptor is; false: outside its table (exception `vector` with the
/// selector).
bool descriptor_address(Core& core, std::uint16_t selector, unsigned bytes, std::uint8_t vector,
                        std::uint64_t& address) {
  const std::uint32_t offset = selector & ~7U;
  const bool local = (selector & 4) != 0;
  const std::uint64_t base = local ? core.ldtr.base : core.gdtr.base;
  const std::uint32_t limit = local ? core.ldtr.limit : core.gdtr.limit;
  if ((local && !core.ldtr.present) || offset + bytes - 1 > limit)
    return fault(core, vector, selector & ~3U);
  address = base + offset;
  return true;
}

bool fetch_descriptor(Core& core, std::uint16_t selector, std::uint8_t vector, Segment& segment) {
  std::uint64_t address = 0;
  std::uint64_t raw = 0;
  if (!descriptor_address(core, selector, 8, vector, address)) return false;
  if (!read_system(core, address, &raw, 8)) return false;
  segment = unpack(selector, raw);
  return true;
}

/// A system descriptor (LDT, TSS): 16 bytes in long mode.
bool fetch_system_descriptor(Core& core, std::uint16_t selector, std::uint8_t vector,
                             Segment& segment) {
  std::uint64_t address = 0;
  std::uint64_t raw[2] = {0, 0};
  const unsigned bytes = core.long_mode() ? 16 : 8;
  if (!descriptor_address(core, selector, bytes, vector, address)) return false;
  if (!read_system(core, address, raw, bytes)) return false;
  segment = unpack(selector, raw[0]);
  if (core.long_mode()) segment.base |= raw[1] << 32;
  return true;
}

/// Sets the accessed bit of a code or data descriptor that is loaded.
bool mark_accessed(Core& core, Segment& segment) {
  if (segment.type & kTypeAccessed) return true;
  std::uint64_t address = 0;
  if (!descriptor_address(core, segment.selector, 8, kGeneralProtection, address)) return false;
  std::uint8_t access = 0;
  if (!read_system(core, address + 5, &access, 1)) return false;
  access |= kTypeAccessed;
  segment.type |= kTypeAccessed;
  return write_system(core, address + 5, &access, 1);
}

void set_cpl(Core& core, unsigned cpl) {
  core.cpl = static_cast<std::uint8_t>(cpl);
}

/// Loads CS with a checked descriptor.
bool set_code_segment(Core& core, Segment segment, unsigned cpl) {
  if (!mark_accessed(core, segment)) return false;
  segment.selector = static_cast<std::uint16_t>((segment.selector & ~3U) | cpl);
  core.segment[kCs] = segment;
  set_cpl(core, cpl);
  return true;
}

/// L and D of a code segment must not both be set in long mode.
bool valid_code_bits(const Core& core, const Segment& segment) {
  return !(core.long_mode() && segment.long_code && segment.big);
}

bool to_code64(const Core& core, const Segment& segment) {
  return core.long_mode() && segment.long_code;
}

/// Whether `rip` lies in the segment (or is canonical).
bool valid_target(const Core& core, const Segment& segment, std::uint64_t rip) {
  return to_code64(core, segment) ? canonical(rip) : rip <= segment.limit;
}

}  // namespace

Segment unpack(std::uint16_t selector, std::uint64_t raw) {
  Segment s;
  s.selector = selector;
  s.base = (raw >> 16 & 0xffffff) | (raw >> 56 & 0xff) << 24;
  s.limit = static_cast<std::uint32_t>((raw & 0xffff) | (raw >> 48 & 0xf) << 16);
  if (raw >> 55 & 1) s.limit = s.limit << 12 | 0xfff;
  s.type = static_cast<std::uint8_t>(raw >> 40 & 0xf);
  s.system = (raw >> 44 & 1) == 0;
  s.dpl = static_cast<std::uint8_t>(raw >> 45 & 3);
  s.present = (raw >> 47 & 1) != 0;
  s.long_code = (raw >> 53 & 1) != 0;
  s.big = (raw >> 54 & 1) != 0;
  return s;
}

Segment real_mode_segment(std::uint16_t selector) {
  Segment s;
  s.selector = selector;
  s.base = static_cast<std::uint64_t>(selector) << 4;
  s.limit = 0xffff;
  s.type = kTypeWritable | kTypeAccessed;
  s.present = true;
  return s;
}

bool load_segment(Core& core, SegmentIndex index, std::uint16_t selector) {
  if (!protected_mode(core) || (core.rflags & kVm)) {
    // Real mode keeps the limit and size that protected mode left (so "unreal mode" works).
    core.segment[index].selector = selector;
    core.segment[index].base = static_cast<std::uint64_t>(selector) << 4;
    return true;
  }
  const unsigned rpl = selector & 3U;
  if ((selector & ~3U) == 0) {
    const bool null_stack_ok = core.code64() && core.cpl != 3 && rpl == core.cpl;
    if (index == kSs && !null_stack_ok) return fault(core, kGeneralProtection, 0);
    Segment& segment = core.segment[index];
    const std::uint64_t base = segment.base;
    segment = Segment{};
    segment.selector = selector;
    segment.dpl = core.cpl;
    // Loading a null selector clears the base of FS and GS here, as on Intel processors.
    (void)base;
    return true;
  }
  Segment segment;
  if (!fetch_descriptor(core, selector, kGeneralProtection, segment)) return false;
  const std::uint32_t error = selector & ~3U;
  if (index == kSs) {
    if (rpl != core.cpl || !is_writable_data(segment) || segment.dpl != core.cpl)
      return fault(core, kGeneralProtection, error);
    if (!segment.present) return fault(core, kStackFault, error);
  } else {
    if (segment.system || !is_readable(segment)) return fault(core, kGeneralProtection, error);
    if (!is_conforming(segment) && (rpl > segment.dpl || core.cpl > segment.dpl))
      return fault(core, kGeneralProtection, error);
    if (!segment.present) return fault(core, kSegmentNotPresent, error);
  }
  if (!mark_accessed(core, segment)) return false;
  core.segment[index] = segment;
  return true;
}

bool load_ldt(Core& core, std::uint16_t selector) {
  if ((selector & ~3U) == 0) {
    core.ldtr = Segment{};
    core.ldtr.selector = selector;
    return true;
  }
  const std::uint32_t error = selector & ~3U;
  if (selector & 4) return fault(core, kGeneralProtection, error);
  Segment segment;
  if (!fetch_system_descriptor(core, selector, kGeneralProtection, segment)) return false;
  if (!segment.system || segment.type != kLdt) return fault(core, kGeneralProtection, error);
  if (!segment.present) return fault(core, kSegmentNotPresent, error);
  core.ldtr = segment;
  return true;
}

bool load_task_register(Core& core, std::uint16_t selector) {
  const std::uint32_t error = selector & ~3U;
  if (error == 0 || (selector & 4)) return fault(core, kGeneralProtection, error);
  Segment segment;
  if (!fetch_system_descriptor(core, selector, kGeneralProtection, segment)) return false;
  const bool available =
      segment.type == kTss32Available || (segment.type == kTss16Available && !core.long_mode());
  if (!segment.system || !available) return fault(core, kGeneralProtection, error);
  if (!segment.present) return fault(core, kSegmentNotPresent, error);
  // The descriptor is marked busy in memory too.
  std::uint64_t address = 0;
  std::uint8_t access = 0;
  if (!descriptor_address(core, selector, 8, kGeneralProtection, address)) return false;
  if (!read_system(core, address + 5, &access, 1)) return false;
  access |= 2;
  if (!write_system(core, address + 5, &access, 1)) return false;
  segment.type |= 2;
  core.tr = segment;
  return true;
}

// ---- The stack of far transfers -----------------------------------------------------------------

namespace {

/// A stack to push to or pop from before it is known whether the transfer succeeds.
class StackCursor {
 public:
  /// `error_code`: of the stack fault that an address makes which is not canonical.
  StackCursor(Core& core, std::uint64_t pointer, std::uint64_t base, std::uint64_t mask,
              unsigned cpl, std::uint32_t error_code = 0)
      : core_{core},
        pointer_{pointer},
        base_{base},
        mask_{mask},
        cpl_{cpl},
        error_code_{error_code} {}

  bool push(std::uint64_t value, unsigned bytes) {
    pointer_ = (pointer_ & ~mask_) | ((pointer_ - bytes) & mask_);
    return write_as(core_, cpl_, linear(), &value, bytes) || refused();
  }
  /// As push(), for an instruction whose store it is: events push too, but store nothing.
  bool store(std::uint64_t value, unsigned bytes) {
    if (!push(value, bytes)) return false;
    if (core_.modelled) show_stack_access(core_, linear(), bytes, true);
    return true;
  }
  bool pop(std::uint64_t& value, unsigned bytes) {
    value = 0;
    if (!read_as(core_, cpl_, linear(), &value, bytes)) return refused();
    if (core_.modelled) show_stack_access(core_, linear(), bytes, false);
    skip(bytes);
    return true;
  }
  void skip(std::uint64_t bytes) { pointer_ = (pointer_ & ~mask_) | ((pointer_ + bytes) & mask_); }
  [[nodiscard]] std::uint64_t pointer() const { return pointer_; }

 private:
  [[nodiscard]] std::uint64_t linear() const {
    const std::uint64_t at = (pointer_ & mask_) + base_;
    return core_.long_mode() && mask_ == ~std::uint64_t{0} ? at : static_cast<std::uint32_t>(at);
  }
  [[nodiscard]] bool refused() const {
    if (core_.exception.vector == kPageFault) return false;
    return fault(core_, kStackFault, error_code_);
  }

  Core& core_;
  std::uint64_t pointer_;
  std::uint64_t base_;
  std::uint64_t mask_;
  unsigned cpl_;
  std::uint32_t error_code_;
};

StackCursor current_stack(Core& core) {
  return {core, core.gpr[kRsp], core.code64() ? 0 : core.segment[kSs].base, stack_mask(core),
          core.cpl};
}

/// Checks a code segment as the target of a far JMP or CALL.
bool check_far_target(Core& core, std::uint16_t selector, Segment& segment) {
  if ((selector & ~3U) == 0) return fault(core, kGeneralProtection, 0);
  if (!fetch_descriptor(core, selector, kGeneralProtection, segment)) return false;
  const std::uint32_t error = selector & ~3U;
  // Call gates, task gates and task state segments are not offered.
  if (!is_code(segment)) return fault(core, kGeneralProtection, error);
  if (!valid_code_bits(core, segment)) return fault(core, kGeneralProtection, error);
  if (is_conforming(segment)) {
    if (segment.dpl > core.cpl) return fault(core, kGeneralProtection, error);
  } else if ((selector & 3U) > core.cpl || segment.dpl != core.cpl) {
    return fault(core, kGeneralProtection, error);
  }
  if (!segment.present) return fault(core, kSegmentNotPresent, error);
  return true;
}

void set_real_mode_cs(Core& core, std::uint16_t selector) {
  core.segment[kCs].selector = selector;
  core.segment[kCs].base = static_cast<std::uint64_t>(selector) << 4;
}

}  // namespace

bool far_jump(Core& core, std::uint16_t selector, std::uint64_t offset) {
  if (!protected_mode(core)) {
    set_real_mode_cs(core, selector);
  } else {
    Segment segment;
    if (!check_far_target(core, selector, segment)) return false;
    if (!valid_target(core, segment, offset)) return fault(core, kGeneralProtection, 0);
    if (!set_code_segment(core, segment, core.cpl)) return false;
  }
  core.rip = offset;
  update_mode(core);
  return true;
}

bool far_call(Core& core, std::uint16_t selector, std::uint64_t offset, unsigned bytes,
              std::uint64_t return_rip) {
  Segment segment;
  if (protected_mode(core)) {
    if (!check_far_target(core, selector, segment)) return false;
    if (!valid_target(core, segment, offset)) return fault(core, kGeneralProtection, 0);
  }
  StackCursor stack = current_stack(core);
  if (!stack.store(core.segment[kCs].selector, bytes) || !stack.store(return_rip, bytes))
    return false;
  if (protected_mode(core)) {
    if (!set_code_segment(core, segment, core.cpl)) return false;
  } else {
    set_real_mode_cs(core, selector);
  }
  core.gpr[kRsp] = stack.pointer();
  core.rip = offset;
  update_mode(core);
  return true;
}

namespace {

/// Checks CS popped by RETF or IRET.
bool check_return_segment(Core& core, std::uint16_t selector, Segment& segment) {
  if ((selector & ~3U) == 0) return fault(core, kGeneralProtection, 0);
  if (!fetch_descriptor(core, selector, kGeneralProtection, segment)) return false;
  const std::uint32_t error = selector & ~3U;
  const unsigned rpl = selector & 3U;
  if (!is_code(segment) || rpl < core.cpl) return fault(core, kGeneralProtection, error);
  if (!valid_code_bits(core, segment)) return fault(core, kGeneralProtection, error);
  if (is_conforming(segment) ? segment.dpl > rpl : segment.dpl != rpl)
    return fault(core, kGeneralProtection, error);
  if (!segment.present) return fault(core, kSegmentNotPresent, error);
  return true;
}

/// Checks SS popped by a return to an outer (or, for 64-bit IRET, the same) privilege.
bool check_return_stack(Core& core, std::uint16_t selector, unsigned rpl, bool to_64,
                        Segment& segment) {
  const std::uint32_t error = selector & ~3U;
  if (error == 0) {
    if (!to_64 || rpl == 3) return fault(core, kGeneralProtection, 0);
    segment = Segment{};
    segment.selector = selector;
    segment.dpl = static_cast<std::uint8_t>(rpl);
    return true;
  }
  if (!fetch_descriptor(core, selector, kGeneralProtection, segment)) return false;
  if ((selector & 3U) != rpl || !is_writable_data(segment) || segment.dpl != rpl)
    return fault(core, kGeneralProtection, error);
  if (!segment.present) return fault(core, kStackFault, error);
  return true;
}

/// On a return to less privilege, data segments that it may not use become null.
void drop_segments(Core& core) {
  for (const SegmentIndex index : {kEs, kDs, kFs, kGs}) {
    Segment& segment = core.segment[index];
    if ((segment.selector & ~3U) == 0) {
      continue;
    }
    if (!is_conforming(segment) && segment.dpl < core.cpl) segment = Segment{};
  }
}

void load_stack_segment(Core& core, const Segment& segment) {
  core.segment[kSs] = segment;
}

}  // namespace

namespace {
/// The stack pointer behind a return that popped one: RSP, ESP or SP of the stack that is returned
/// to.
std::uint64_t returned_stack(const Core& core, const Segment& code, const Segment& data,
                             unsigned bytes, std::uint64_t pointer) {
  if (to_code64(core, code) || bytes == 8) return pointer;
  if (data.big) return static_cast<std::uint32_t>(pointer);
  return (core.gpr[kRsp] & ~std::uint64_t{0xffff}) | (pointer & 0xffff);
}
}  // namespace

bool far_return(Core& core, unsigned bytes, std::uint16_t release) {
  StackCursor stack = current_stack(core);
  std::uint64_t rip = 0;
  std::uint64_t selector = 0;
  if (!stack.pop(rip, bytes) || !stack.pop(selector, bytes)) return false;
  if (!protected_mode(core)) {
    set_real_mode_cs(core, static_cast<std::uint16_t>(selector));
    stack.skip(release);
    core.gpr[kRsp] = stack.pointer();
    core.rip = rip;
    update_mode(core);
    return true;
  }
  Segment code;
  if (!check_return_segment(core, static_cast<std::uint16_t>(selector), code)) return false;
  const unsigned rpl = selector & 3U;
  if (!valid_target(core, code, rip)) return fault(core, kGeneralProtection, 0);
  stack.skip(release);
  if (rpl == core.cpl) {
    if (!set_code_segment(core, code, rpl)) return false;
    core.gpr[kRsp] = stack.pointer();
  } else {
    std::uint64_t rsp = 0;
    std::uint64_t ss = 0;
    if (!stack.pop(rsp, bytes) || !stack.pop(ss, bytes)) return false;
    Segment data;
    if (!check_return_stack(core, static_cast<std::uint16_t>(ss), rpl, to_code64(core, code), data))
      return false;
    if (!set_code_segment(core, code, rpl)) return false;
    load_stack_segment(core, data);
    core.gpr[kRsp] = returned_stack(core, code, data, bytes, rsp + release);
    drop_segments(core);
  }
  core.rip = rip;
  update_mode(core);
  return true;
}

bool interrupt_return(Core& core, unsigned bytes) {
  // Also if it faults then (SDM vol. 3A 6.7.1).
  core.nmi_blocked = false;
  const bool protection = protected_mode(core);
  if (protection && (core.rflags & kNt)) {
    // Task returns are not offered; in long mode NT is an error anyway.
    return fault(core, kGeneralProtection, 0);
  }
  StackCursor stack = current_stack(core);
  std::uint64_t rip = 0;
  std::uint64_t selector = 0;
  std::uint64_t flags = 0;
  if (!stack.pop(rip, bytes) || !stack.pop(selector, bytes) || !stack.pop(flags, bytes))
    return false;

  std::uint64_t changed = kArithmeticFlags | kTf | kDf | kNt;
  if (bytes > 2) changed |= kAc | kId;
  if (!protection || core.cpl == 0) changed |= kIopl;
  if (!protection || core.cpl <= (core.rflags & kIopl) >> 12) changed |= kIf;
  if (bytes > 2 && core.cpl == 0) changed |= kVif | kVip;

  if (!protection) {
    set_real_mode_cs(core, static_cast<std::uint16_t>(selector));
    core.gpr[kRsp] = stack.pointer();
  } else {
    // Virtual-8086 mode is not offered.
    if (bytes == 4 && core.cpl == 0 && !core.long_mode() && (flags & kVm))
      return fault(core, kGeneralProtection, 0);
    Segment code;
    if (!check_return_segment(core, static_cast<std::uint16_t>(selector), code)) return false;
    const unsigned rpl = selector & 3U;
    if (!valid_target(core, code, rip)) return fault(core, kGeneralProtection, 0);
    if (rpl != core.cpl || core.code64()) {
      std::uint64_t rsp = 0;
      std::uint64_t ss = 0;
      if (!stack.pop(rsp, bytes) || !stack.pop(ss, bytes)) return false;
      Segment data;
      if (!check_return_stack(core, static_cast<std::uint16_t>(ss), rpl, to_code64(core, code),
                              data))
        return false;
      const bool outward = rpl != core.cpl;
      if (!set_code_segment(core, code, rpl)) return false;
      load_stack_segment(core, data);
      core.gpr[kRsp] = returned_stack(core, code, data, bytes, rsp);
      if (outward) drop_segments(core);
    } else {
      if (!set_code_segment(core, code, rpl)) return false;
      core.gpr[kRsp] = stack.pointer();
    }
  }
  // RF matters only while breakpoints are enabled; otherwise nobody would clear it again.
  if (core.dr7 & kDr7Enabled) changed |= kRf;
  core.rflags =
      (core.rflags & ~(changed & ~kArithmeticFlags)) | (flags & changed & ~kArithmeticFlags);
  set_arithmetic_flags(core, flags);
  core.rip = rip;
  update_mode(core);
  return true;
}

// ---- Delivery -----------------------------------------------------------------------------------

namespace {

struct Gate {
  std::uint16_t selector = 0;
  std::uint64_t offset = 0;
  std::uint8_t type = 0;
  std::uint8_t dpl = 0;
  std::uint8_t ist = 0;
  bool system = false;
  bool present = false;
};

constexpr std::uint8_t kInterruptGate16 = 6, kTrapGate16 = 7, kInterruptGate = 14, kTrapGate = 15;

bool fetch_gate(Core& core, std::uint8_t vector, std::uint32_t error, Gate& gate) {
  const unsigned bytes = core.long_mode() ? 16 : 8;
  const std::uint32_t offset = vector * bytes;
  if (offset + bytes - 1 > core.idtr.limit) return fault(core, kGeneralProtection, error);
  std::uint64_t raw[2] = {0, 0};
  if (!read_system(core, core.idtr.base + offset, raw, bytes)) return false;
  gate.selector = static_cast<std::uint16_t>(raw[0] >> 16);
  gate.offset = (raw[0] & 0xffff) | (raw[0] >> 48 & 0xffff) << 16;
  gate.type = static_cast<std::uint8_t>(raw[0] >> 40 & 0xf);
  gate.system = (raw[0] >> 44 & 1) == 0;
  gate.dpl = static_cast<std::uint8_t>(raw[0] >> 45 & 3);
  gate.present = (raw[0] >> 47 & 1) != 0;
  if (core.long_mode()) {
    gate.offset |= raw[1] << 32;
    gate.ist = static_cast<std::uint8_t>(raw[0] >> 32 & 7);
  } else if (gate.type == kInterruptGate16 || gate.type == kTrapGate16) {
    gate.offset &= 0xffff;
  }
  return true;
}

bool valid_gate_type(const Core& core, const Gate& gate) {
  if (!gate.system) return false;
  if (gate.type == kInterruptGate || gate.type == kTrapGate) return true;
  return !core.long_mode() && (gate.type == kInterruptGate16 || gate.type == kTrapGate16);
}

/// The stack pointer that the TSS has for a privilege level (64-bit TSS: or for an IST entry).
bool stack_from_tss64(Core& core, unsigned slot_offset, std::uint32_t ext, std::uint64_t& rsp) {
  if (slot_offset + 7 > core.tr.limit)
    return fault(core, kInvalidTss, (core.tr.selector & ~3U) | ext);
  if (!read_system(core, core.tr.base + slot_offset, &rsp, 8)) return false;
  if (!canonical(rsp)) return fault(core, kStackFault, ext);
  return true;
}

bool stack_from_tss32(Core& core, unsigned level, std::uint32_t ext, std::uint64_t& esp,
                      Segment& ss) {
  const bool wide = core.tr.type == kTss32Busy || core.tr.type == kTss32Available;
  const unsigned bytes = wide ? 4 : 2;
  const unsigned offset = wide ? 4 + 8 * level : 2 + 4 * level;
  if (offset + 2 * bytes - 1 > core.tr.limit)
    return fault(core, kInvalidTss, (core.tr.selector & ~3U) | ext);
  std::uint16_t selector = 0;
  esp = 0;
  if (!read_system(core, core.tr.base + offset, &esp, bytes) ||
      !read_system(core, core.tr.base + offset + bytes, &selector, 2))
    return false;
  const std::uint32_t error = (selector & ~3U) | ext;
  if ((selector & ~3U) == 0) return fault(core, kInvalidTss, ext);
  if (!fetch_descriptor(core, selector, kInvalidTss, ss)) {
    if (core.exception.vector == kInvalidTss) core.exception.error_code |= ext;
    return false;
  }
  if ((selector & 3U) != level || ss.dpl != level || !is_writable_data(ss))
    return fault(core, kInvalidTss, error);
  if (!ss.present) return fault(core, kStackFault, error);
  return true;
}

bool deliver_real_mode(Core& core, std::uint8_t vector, std::uint64_t return_rip) {
  const std::uint32_t offset = vector * 4U;
  if (offset + 3 > core.idtr.limit) return fault(core, kGeneralProtection, 0);
  std::uint16_t target[2];
  if (!read_system(core, core.idtr.base + offset, target, 4)) return false;
  StackCursor stack = current_stack(core);
  if (!stack.push(rflags(core), 2) || !stack.push(core.segment[kCs].selector, 2) ||
      !stack.push(return_rip, 2))
    return false;
  core.gpr[kRsp] = stack.pointer();
  core.rflags &= ~(kIf | kTf | kAc);
  set_real_mode_cs(core, target[1]);
  core.rip = target[0];
  update_mode(core);
  return true;
}

/// One attempt to deliver. False: Core::exception is set, nothing else has changed.
bool deliver_once(Core& core, EventSource source, const Exception& event,
                  std::uint64_t return_rip) {
  if ((core.cr0 & kCr0Pe) == 0) return deliver_real_mode(core, event.vector, return_rip);
  const std::uint32_t ext = source == EventSource::kSoftware ? 0 : 1;
  const std::uint32_t gate_error = event.vector * 8U + 2 + ext;
  Gate gate;
  if (!fetch_gate(core, event.vector, gate_error, gate)) return false;
  if (!valid_gate_type(core, gate)) return fault(core, kGeneralProtection, gate_error);
  if (source == EventSource::kSoftware && gate.dpl < core.cpl)
    return fault(core, kGeneralProtection, gate_error);
  if (!gate.present) return fault(core, kSegmentNotPresent, gate_error);

  const std::uint32_t code_error = (gate.selector & ~3U) | ext;
  if ((gate.selector & ~3U) == 0) return fault(core, kGeneralProtection, ext);
  Segment code;
  if (!fetch_descriptor(core, gate.selector, kGeneralProtection, code)) {
    if (core.exception.vector == kGeneralProtection) core.exception.error_code |= ext;
    return false;
  }
  if (!is_code(code) || code.dpl > core.cpl) return fault(core, kGeneralProtection, code_error);
  if (core.long_mode() && (!code.long_code || code.big))
    return fault(core, kGeneralProtection, code_error);
  if (!code.present) return fault(core, kSegmentNotPresent, code_error);

  const unsigned new_cpl = is_conforming(code) ? core.cpl : code.dpl;
  const bool inward = new_cpl < core.cpl;
  if (!valid_target(core, code, gate.offset)) return fault(core, kGeneralProtection, ext);

  std::uint64_t flags = rflags(core);
  // Faults push RF so that the restarted instruction does not break again; traps and interrupts
  // between instructions do not.
  const bool is_fault = source == EventSource::kException && event.vector != kDebug &&
                        event.vector != kBreakpoint && event.vector != kOverflow &&
                        event.vector != kDoubleFault;
  if (is_fault) flags |= kRf;

  const std::uint64_t old_rsp = core.gpr[kRsp];
  const Segment old_ss = core.segment[kSs];
  if (core.long_mode()) {
    std::uint64_t rsp = old_rsp;
    if (gate.ist != 0) {
      if (!stack_from_tss64(core, 36 + 8 * (gate.ist - 1U), ext, rsp)) return false;
    } else if (inward) {
      if (!stack_from_tss64(core, 4 + 8 * new_cpl, ext, rsp)) return false;
    }
    StackCursor stack{core, rsp & ~std::uint64_t{15}, 0, ~std::uint64_t{0}, new_cpl, ext};
    if (!stack.push(old_ss.selector, 8) || !stack.push(old_rsp, 8) || !stack.push(flags, 8) ||
        !stack.push(core.segment[kCs].selector, 8) || !stack.push(return_rip, 8))
      return false;
    if (event.has_error_code && !stack.push(event.error_code, 8)) return false;
    if (!set_code_segment(core, code, new_cpl)) return false;
    if (inward) {
      Segment null_stack;
      null_stack.selector = static_cast<std::uint16_t>(new_cpl);
      null_stack.dpl = static_cast<std::uint8_t>(new_cpl);
      core.segment[kSs] = null_stack;
    }
    core.gpr[kRsp] = stack.pointer();
  } else {
    const bool wide = gate.type == kInterruptGate || gate.type == kTrapGate;
    const unsigned bytes = wide ? 4 : 2;
    Segment new_ss = old_ss;
    std::uint64_t rsp = old_rsp;
    if (inward && !stack_from_tss32(core, new_cpl, ext, rsp, new_ss)) return false;
    StackCursor stack{core, rsp, new_ss.base, new_ss.big ? 0xffffffffULL : 0xffffULL, new_cpl};
    if (inward && (!stack.push(old_ss.selector, bytes) || !stack.push(old_rsp, bytes)))
      return false;
    if (!stack.push(flags, bytes) || !stack.push(core.segment[kCs].selector, bytes) ||
        !stack.push(return_rip, bytes))
      return false;
    if (event.has_error_code && !stack.push(event.error_code, bytes)) return false;
    if (!set_code_segment(core, code, new_cpl)) return false;
    core.segment[kSs] = new_ss;
    core.gpr[kRsp] = stack.pointer();
  }
  if (gate.type == kInterruptGate || gate.type == kInterruptGate16) core.rflags &= ~kIf;
  core.rflags &= ~(kTf | kNt | kRf | kVm);
  core.rip = gate.offset;
  update_mode(core);
  return true;
}

bool contributory(std::uint8_t vector) {
  return vector == kDivideError || (vector >= kInvalidTss && vector <= kGeneralProtection);
}

/// Whether an exception during the delivery of another makes a double fault, or is delivered
/// instead.
bool makes_double_fault(EventSource source, std::uint8_t first, std::uint8_t second) {
  if (source != EventSource::kException) return false;
  if (first == kPageFault) return second == kPageFault || contributory(second);
  return contributory(first) && contributory(second);
}

}  // namespace

bool deliver(Core& core, EventSource source, const Exception& event) {
  Exception current = event;
  for (;;) {
    if (current.vector == kPageFault && source == EventSource::kException)
      core.cr2 = current.address;
    const std::uint64_t rip = core.rip;
    if (deliver_once(core, source, current, rip)) {
      if (source == EventSource::kNonMaskable) core.nmi_blocked = true;
      if (source == EventSource::kException)
        core.exceptions.add(current, rip, ExceptionLog::Outcome::kDelivered);
      return true;
    }
    core.exceptions.add(current, rip, ExceptionLog::Outcome::kNotDelivered);
    const Exception next = core.exception;
    if (source == EventSource::kException && current.vector == kDoubleFault) return false;
    if (makes_double_fault(source, current.vector, next.vector)) {
      core.exceptions.add(next, rip, ExceptionLog::Outcome::kDoubled);
      if (next.vector == kPageFault) core.cr2 = next.address;
      current = {kDoubleFault, true, 0, 0};
    } else {
      current = next;
    }
    source = EventSource::kException;
  }
}

bool deliver_software(Core& core, std::uint8_t vector, std::uint64_t return_rip) {
  return deliver_once(core, EventSource::kSoftware, {vector, false, 0, 0}, return_rip);
}

}  // namespace vpmu::machine::x86
