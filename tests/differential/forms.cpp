// SPDX-License-Identifier: MIT
#include "forms.hpp"

#include <cpuid.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

namespace vpmu::differential {

namespace {

enum CpuidRegister : std::uint8_t { kAlways, kEbx, kEcx, kEdx };

/// An instruction set that the guest has, and the CPUID bit that says that the host has it.
struct InstructionSet {
  ZydisISAExt extension;
  const char* name;
  std::uint32_t leaf;
  CpuidRegister reg;
  unsigned bit;
};
constexpr InstructionSet kInstructionSets[] = {
    {ZYDIS_ISA_EXT_BASE, "base", 0, kAlways, 0},
    {ZYDIS_ISA_EXT_LONGMODE, "long mode", 0, kAlways, 0},
    {ZYDIS_ISA_EXT_X87, "x87", 1, kEdx, 0},
    {ZYDIS_ISA_EXT_MMX, "MMX", 1, kEdx, 23},
    {ZYDIS_ISA_EXT_PAUSE, "PAUSE", 0, kAlways, 0},
    {ZYDIS_ISA_EXT_CLFSH, "CLFLUSH", 1, kEdx, 19},
    {ZYDIS_ISA_EXT_CLFLUSHOPT, "CLFLUSHOPT", 7, kEbx, 23},
    {ZYDIS_ISA_EXT_AMD3DNOW_PREFETCH, "PREFETCHW", 0x8000'0001, kEcx, 8},
    {ZYDIS_ISA_EXT_SSE, "SSE", 1, kEdx, 25},
    {ZYDIS_ISA_EXT_SSE2, "SSE2", 1, kEdx, 26},
    {ZYDIS_ISA_EXT_SSE3, "SSE3", 1, kEcx, 0},
    {ZYDIS_ISA_EXT_SSSE3, "SSSE3", 1, kEcx, 9},
    {ZYDIS_ISA_EXT_SSE4, "SSE4.2", 1, kEcx, 20},
    {ZYDIS_ISA_EXT_AES, "AES", 1, kEcx, 25},
    {ZYDIS_ISA_EXT_PCLMULQDQ, "PCLMULQDQ", 1, kEcx, 1},
    {ZYDIS_ISA_EXT_MOVBE, "MOVBE", 1, kEcx, 22},
    {ZYDIS_ISA_EXT_LZCNT, "LZCNT", 0x8000'0001, kEcx, 5},
    {ZYDIS_ISA_EXT_BMI1, "BMI1", 7, kEbx, 3},
    {ZYDIS_ISA_EXT_BMI2, "BMI2", 7, kEbx, 8},
    {ZYDIS_ISA_EXT_ADOX_ADCX, "ADX", 7, kEbx, 19},
};

bool host_has(const InstructionSet& set) {
  if (set.reg == kAlways) return true;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(set.leaf, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  const unsigned value = set.reg == kEbx ? ebx : set.reg == kEcx ? ecx : edx;
  return (value >> set.bit & 1) != 0;
}

const InstructionSet* set_of(ZydisISAExt extension) {
  for (const InstructionSet& set : kInstructionSets)
    if (set.extension == extension) return &set;
  return nullptr;
}

constexpr std::array kExcluded = {
    // The kernel's.
    ZYDIS_MNEMONIC_SYSCALL, ZYDIS_MNEMONIC_SYSENTER, ZYDIS_MNEMONIC_INT, ZYDIS_MNEMONIC_INT1,
    ZYDIS_MNEMONIC_INT3, ZYDIS_MNEMONIC_INTO,
    // Differ from processor to processor, or in time.
    ZYDIS_MNEMONIC_CPUID, ZYDIS_MNEMONIC_RDTSC, ZYDIS_MNEMONIC_RDPMC, ZYDIS_MNEMONIC_RSM,
    ZYDIS_MNEMONIC_GETSEC, ZYDIS_MNEMONIC_PREFETCH, ZYDIS_MNEMONIC_UD0,
    // Descriptor tables differ; some of these the host kernel emulates.
    ZYDIS_MNEMONIC_SGDT, ZYDIS_MNEMONIC_SIDT, ZYDIS_MNEMONIC_SLDT, ZYDIS_MNEMONIC_STR,
    ZYDIS_MNEMONIC_SMSW, ZYDIS_MNEMONIC_LAR, ZYDIS_MNEMONIC_LSL, ZYDIS_MNEMONIC_VERR,
    ZYDIS_MNEMONIC_VERW, ZYDIS_MNEMONIC_LDS, ZYDIS_MNEMONIC_LES, ZYDIS_MNEMONIC_LFS,
    ZYDIS_MNEMONIC_LGS, ZYDIS_MNEMONIC_LSS, ZYDIS_MNEMONIC_IRET, ZYDIS_MNEMONIC_IRETD,
    ZYDIS_MNEMONIC_IRETQ, ZYDIS_MNEMONIC_SYSRET, ZYDIS_MNEMONIC_SYSEXIT, ZYDIS_MNEMONIC_INVALID};

}  // namespace

bool admitted(const Decoded& decoded) {
  const ZydisDecodedInstruction& instruction = decoded.instruction;
  if (set_of(instruction.meta.isa_ext) == nullptr) return false;
  if (std::find(kExcluded.begin(), kExcluded.end(), instruction.mnemonic) != kExcluded.end())
    return false;
  if (instruction.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) return false;
  // Vendors differ in what a 16-bit near branch does in 64-bit mode.
  const bool branch = instruction.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE ||
                      instruction.meta.category == ZYDIS_CATEGORY_RET;
  if (branch) {
    for (unsigned i = 0; i < instruction.raw.prefix_count; ++i)
      if (instruction.raw.prefixes[i].value == 0x66) return false;
  }
  // AMD processors let REPNE and REP choose the condition of these.
  if (instruction.mnemonic == ZYDIS_MNEMONIC_LOOPE ||
      instruction.mnemonic == ZYDIS_MNEMONIC_LOOPNE) {
    for (unsigned i = 0; i < instruction.raw.prefix_count; ++i)
      if (instruction.raw.prefixes[i].value >= 0xf2) return false;
  }
  // Prefetches of a register are reserved: a NOP to some, invalid to others.
  if (instruction.opcode_map == ZYDIS_OPCODE_MAP_0F && instruction.opcode == 0x0d &&
      instruction.raw.modrm.mod == 3)
    return false;
  // With REX.B it is an exchange to processors and a pause to Zydis.
  if (instruction.mnemonic == ZYDIS_MNEMONIC_PAUSE && instruction.raw.rex.B != 0) return false;
  // Undefined.
  if (instruction.mnemonic == ZYDIS_MNEMONIC_BSWAP && instruction.operand_width == 16) return false;
  if (decoded.has(ZYDIS_ATTRIB_HAS_SEGMENT_FS | ZYDIS_ATTRIB_HAS_SEGMENT_GS)) return false;
  for (const ZydisDecodedOperand& operand : decoded.visible()) {
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
        ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_SEGMENT &&
        (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0)
      return false;
  }
  return true;
}

std::vector<FormGroup> all_forms(const std::string& only, std::vector<std::string>& missing) {
  for (const InstructionSet& set : kInstructionSets)
    if (!host_has(set)) missing.emplace_back(set.name);

  using Key =
      std::tuple<ZydisMnemonic, std::uint8_t, std::uint8_t, std::uint8_t, bool, bool, bool, bool>;
  std::map<Key, Form> found;
  const auto look = [&](Form form, std::uint8_t modrm) {
    std::uint8_t bytes[15] = {};
    std::size_t n = 0;
    if (form.vex) {
      bytes[n++] = 0xc4;
      bytes[n++] = 0xe0 | form.map;
      const unsigned pp = form.prefix == 0x66 ? 1 : form.prefix == 0xf3 ? 2 : form.prefix ? 3 : 0;
      bytes[n++] = static_cast<std::uint8_t>((form.rex_w ? 0x80 : 0) | 0x78 | pp);
    } else {
      if (form.prefix != 0) bytes[n++] = form.prefix;
      if (form.rex_w) bytes[n++] = 0x48;
      if (form.map >= 1) bytes[n++] = 0x0f;
      if (form.map == 2) bytes[n++] = 0x38;
      if (form.map == 3) bytes[n++] = 0x3a;
    }
    bytes[n++] = form.opcode;
    bytes[n] = modrm;
    Decoded decoded;
    if (!decode(bytes, decoded)) {
      // Three-operand VEX forms that must not name a register in vvvv decode with all ones only.
      return;
    }
    if (decoded.instruction.opcode != form.opcode || !admitted(decoded)) return;
    if (!host_has(*set_of(decoded.instruction.meta.isa_ext))) return;
    form.modrm = decoded.has(ZYDIS_ATTRIB_HAS_MODRM);
    form.memory = form.modrm && modrm < 0xc0;
    if (!form.modrm && modrm != 0) return;
    Form& entry = found[Key{decoded.mnemonic(), form.prefix, form.map, form.opcode, form.rex_w,
                            form.vex, form.modrm, form.memory}];
    form.reg_mask = entry.reg_mask | static_cast<std::uint8_t>(1 << (modrm >> 3 & 7));
    form.rm_mask = entry.rm_mask | static_cast<std::uint8_t>(1 << (modrm & 7));
    entry = form;
  };

  for (const bool vex : {false, true}) {
    for (const std::uint8_t prefix : {0x00, 0x66, 0xf2, 0xf3}) {
      for (const bool rex_w : {false, true}) {
        for (std::uint8_t map = vex ? 1 : 0; map < 4; ++map) {
          for (unsigned opcode = 0; opcode < 256; ++opcode) {
            Form form;
            form.prefix = prefix;
            form.rex_w = rex_w;
            form.map = map;
            form.opcode = static_cast<std::uint8_t>(opcode);
            form.vex = vex;
            for (unsigned reg = 0; reg < 8; ++reg) look(form, static_cast<std::uint8_t>(reg << 3));
            for (unsigned modrm = 0xc0; modrm < 0x100; ++modrm)
              look(form, static_cast<std::uint8_t>(modrm));
          }
        }
      }
    }
  }

  std::vector<FormGroup> groups;
  for (const auto& [key, form] : found) {
    const ZydisMnemonic mnemonic = std::get<0>(key);
    if (!only.empty() && only != ZydisMnemonicGetString(mnemonic)) continue;
    if (groups.empty() || groups.back().mnemonic != mnemonic) groups.push_back({mnemonic, {}});
    groups.back().forms.push_back(form);
  }
  return groups;
}

}  // namespace vpmu::differential
