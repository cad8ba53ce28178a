// SPDX-License-Identifier: MIT
#include "unit/arm64_vixl/vixl_text.hpp"

#include <aarch64/cpu-features-auditor-aarch64.h>
#include <aarch64/decoder-aarch64.h>
#include <aarch64/disasm-aarch64.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <vector>

namespace vpmu::machine::arm64 {

namespace {

// ---- Names --------------------------------------------------------------------------------------

/// What a mnemonic begins with, and what that says.
struct Family {
  std::string_view begin{};
  bool loads = false, stores = false;
  bool atomic = false, exclusive = false, ordered = false;
  bool status = false;  ///< the first operand is a result
};
/// Names that are the begin of others come behind them.
constexpr Family kFamilies[] = {
    {.begin = "ldaxr", .loads = true, .exclusive = true, .ordered = true},
    {.begin = "ldaxp", .loads = true, .exclusive = true, .ordered = true},
    {.begin = "ldxr", .loads = true, .exclusive = true},
    {.begin = "ldxp", .loads = true, .exclusive = true},
    {.begin = "stlxr", .stores = true, .exclusive = true, .ordered = true, .status = true},
    {.begin = "stlxp", .stores = true, .exclusive = true, .ordered = true, .status = true},
    {.begin = "stxr", .stores = true, .exclusive = true, .status = true},
    {.begin = "stxp", .stores = true, .exclusive = true, .status = true},
    {.begin = "ldapur", .loads = true, .ordered = true},
    {.begin = "ldapr", .loads = true, .ordered = true},
    {.begin = "ldlar", .loads = true, .ordered = true},
    {.begin = "ldar", .loads = true, .ordered = true},
    {.begin = "stlur", .stores = true, .ordered = true},
    {.begin = "stllr", .stores = true, .ordered = true},
    {.begin = "stlr", .stores = true, .ordered = true},
    {.begin = "casp", .loads = true, .stores = true, .atomic = true},
    {.begin = "cas", .loads = true, .stores = true, .atomic = true},
    {.begin = "swp", .loads = true, .stores = true, .atomic = true},
};
constexpr std::string_view kAtomicOperations[] = {"add",  "clr",  "eor",  "set",
                                                  "smax", "smin", "umax", "umin"};
constexpr std::string_view kPlainLoads[] = {"ldr", "ldur", "ldp", "ldnp",
                                            "ld1", "ld2",  "ld3", "ld4"};
constexpr std::string_view kPlainStores[] = {"str", "stur", "stp", "stnp",
                                             "st1", "st2",  "st3", "st4"};
constexpr std::string_view kConditionals[] = {"csel",  "csinc", "csinv", "csneg", "cset",
                                              "csetm", "cinc",  "cinv",  "cneg",  "ccmp",
                                              "ccmn",  "fcsel", "fccmp", "fccmpe"};

/// What the name says, and the rest of it.
struct Named {
  Family family{};
  std::string_view rest{};
};

std::optional<Named> atomic_operation(std::string_view name) {
  if (!name.starts_with("ld") && !name.starts_with("st")) return std::nullopt;
  for (const std::string_view operation : kAtomicOperations) {
    if (name.substr(2).starts_with(operation)) {
      return Named{{.loads = true, .stores = true, .atomic = true},
                   name.substr(2 + operation.size())};
    }
  }
  return std::nullopt;
}

/// Acquire and release, in what follows the name of an atomic.
Named with_order(Named named) {
  for (const std::string_view order : {"al", "a", "l"}) {
    if (!named.rest.starts_with(order)) continue;
    named.family.ordered = true;
    named.rest.remove_prefix(order.size());
    break;
  }
  return named;
}

std::optional<Named> named(std::string_view name) {
  for (const Family& family : kFamilies) {
    if (!name.starts_with(family.begin)) continue;
    const Named found{family, name.substr(family.begin.size())};
    return family.atomic ? with_order(found) : found;
  }
  if (const auto atomic = atomic_operation(name)) return with_order(*atomic);
  for (const std::string_view load : kPlainLoads) {
    if (name.starts_with(load)) return Named{{.loads = true}, name.substr(load.size())};
  }
  for (const std::string_view store : kPlainStores) {
    if (name.starts_with(store)) return Named{{.stores = true}, name.substr(store.size())};
  }
  return std::nullopt;
}

BranchKind branch_named(std::string_view name) {
  if (name == "b") return BranchKind::kDirect;
  if (name == "bl") return BranchKind::kCall;
  if (name == "br") return BranchKind::kIndirect;
  if (name == "blr") return BranchKind::kIndirectCall;
  if (name == "ret") return BranchKind::kReturn;
  const bool compares = name == "cbz" || name == "cbnz" || name == "tbz" || name == "tbnz";
  return compares || name.starts_with("b.") ? BranchKind::kConditional : BranchKind::kNone;
}

// ---- Operands -----------------------------------------------------------------------------------

std::int64_t number(std::string_view text) {
  if (text.starts_with('#') || text.starts_with('+')) text.remove_prefix(1);
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(", "), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 2, text.size()));
  }
  return parts;
}

/// "x7", "wzr", "sp".
unsigned register_number(std::string_view name) {
  const bool numbered = name.size() > 1 && name[1] >= '0' && name[1] <= '9';
  return numbered ? static_cast<unsigned>(number(name.substr(1))) : 31;
}

unsigned bytes_of_letter(char letter) {
  switch (letter) {
    case 'b': return 1;
    case 'h': return 2;
    case 'w':
    case 's': return 4;
    case 'q': return 16;
    default: return 8;  // x, d
  }
}

/// "{v0.16b, v1.16b}", "{v0.s}": of one element of each register if the name or an index says so.
unsigned bytes_of_structure(std::string_view list, bool elements) {
  const auto count = static_cast<unsigned>(std::count(list.begin(), list.end(), 'v'));
  const std::string_view shape = list.substr(list.find('.') + 1);
  const std::size_t digits = shape.find_first_not_of("0123456789");
  const unsigned element = bytes_of_letter(shape[digits]);
  const auto lanes = digits == 0 || elements ? 1U : static_cast<unsigned>(number(shape));
  return count * element * lanes;
}

AddressText literal(std::string_view text) {
  AddressText where{.literal = true};
  where.offset = number(text.substr(2, text.find(' ') - 2));
  return where;
}

void read_index(AddressText& where, const std::vector<std::string_view>& parts) {
  where.index = register_number(parts[1]);
  where.index_is_word = parts[1].front() == 'w';
  if (parts.size() < 3) return;
  where.index_is_signed = parts[2].starts_with("sxt");
  const std::size_t amount = parts[2].find('#');
  if (amount != std::string_view::npos) {
    where.shift = static_cast<unsigned>(number(parts[2].substr(amount)));
  }
}

/// From the bracket on.
AddressText bracketed(std::string_view text) {
  AddressText where;
  const std::size_t end = text.find(']');
  const auto parts = split(text.substr(1, end - 1));
  where.base = register_number(parts[0]);
  if (parts.size() > 1 && parts[1].starts_with('#')) {
    where.offset = number(parts[1]);
  } else if (parts.size() > 1) {
    read_index(where, parts);
  }
  const std::string_view behind = text.substr(end + 1);
  where.pre = behind == "!";
  where.post = behind.starts_with(", ");
  if (!where.post) return where;
  if (behind[2] == '#') {
    where.offset = number(behind.substr(2));
  } else {
    where.index = register_number(behind.substr(2));
  }
  return where;
}

/// Of registers that are named in front of the address.
unsigned bytes_of_registers(const Named& what, std::vector<std::string_view> registers,
                            std::string_view name) {
  if (what.family.status) registers.erase(registers.begin());
  if (what.rest.ends_with("sw")) return 4 * static_cast<unsigned>(registers.size());
  if (what.rest.ends_with('b')) return 1;
  if (what.rest.ends_with('h')) return 2;
  const unsigned each = bytes_of_letter(registers.front().front());
  if (name.starts_with("casp")) return 2 * each;
  if (what.family.atomic) return each;
  return each * static_cast<unsigned>(registers.size());
}

std::optional<AccessText> access(std::string_view name, std::string_view operands) {
  const auto what = named(name);
  if (!what) return std::nullopt;
  AccessText result{.loads = what->family.loads,
                    .stores = what->family.stores,
                    .simd = false,
                    .atomic = what->family.atomic,
                    .exclusive = what->family.exclusive,
                    .ordered = what->family.ordered};
  const std::size_t relative = operands.find("pc");
  const std::size_t at = relative != std::string_view::npos ? relative : operands.rfind('[');
  const std::string_view registers = operands.substr(0, at - 2);
  result.where = relative != std::string_view::npos ? literal(operands.substr(at))
                                                    : bracketed(operands.substr(at));
  if (registers.starts_with('{')) {
    const bool elements = registers.ends_with(']') || name.ends_with('r');
    result.simd = true;
    result.bytes = bytes_of_structure(registers.substr(0, registers.find('}')), elements);
    return result;
  }
  const auto names = split(registers);
  const char first = names[what->family.status ? 1 : 0].front();
  result.simd = first != 'x' && first != 'w';
  result.bytes = bytes_of_registers(*what, names, name);
  return result;
}

}  // namespace

// ---- Addresses ----------------------------------------------------------------------------------

std::uint64_t AddressText::displacement(const Registers& registers) const {
  if (!index) return static_cast<std::uint64_t>(offset);
  std::uint64_t value = registers.read(*index);
  if (index_is_word) {
    const auto word = static_cast<std::uint32_t>(value);
    value = index_is_signed
                ? static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(word)})
                : word;
  }
  return value << shift;
}

std::uint64_t AddressText::address(const Registers& registers) const {
  if (literal) return registers.pc() + static_cast<std::uint64_t>(offset);
  return registers.read_base(base) + (post ? 0 : displacement(registers));
}

std::optional<std::uint64_t> AddressText::written_back(const Registers& registers) const {
  if (!pre && !post) return std::nullopt;
  return registers.read_base(base) + displacement(registers);
}

// ---- Instructions -------------------------------------------------------------------------------

struct VixlText::Private {
  Private() {
    decoder.AppendVisitor(&disassembler);
    decoder.AppendVisitor(&features);
  }
  /// Of what no CPU of the machine has.
  [[nodiscard]] bool belongs_elsewhere() const {
    using vixl::CPUFeatures;
    const CPUFeatures& needed = features.GetInstructionFeatures();
    constexpr CPUFeatures::Feature kElsewhere[] = {CPUFeatures::kSVE, CPUFeatures::kMTEInstructions,
                                                   CPUFeatures::kMTE, CPUFeatures::kPAuth};
    return std::any_of(std::begin(kElsewhere), std::end(kElsewhere),
                       [&](CPUFeatures::Feature feature) { return needed.Has(feature); });
  }

  vixl::aarch64::Decoder decoder;
  vixl::aarch64::Disassembler disassembler;
  vixl::aarch64::CPUFeaturesAuditor features;
};

VixlText::VixlText() : private_{std::make_unique<Private>()} {}
VixlText::~VixlText() = default;

std::optional<InstructionText> VixlText::read(std::uint32_t word) {
  private_->decoder.Decode(reinterpret_cast<const vixl::aarch64::Instruction*>(&word));
  InstructionText result{.text = private_->disassembler.GetOutput()};
  const std::string_view text = result.text;
  if (text.starts_with("un") || private_->belongs_elsewhere()) return std::nullopt;
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view name = text.substr(0, end);
  const std::string_view operands = text.substr(std::min(end + 1, text.size()));
  result.branch = branch_named(name);
  result.access = access(name, operands);
  result.conditional = std::find(std::begin(kConditionals), std::end(kConditionals), name) !=
                       std::end(kConditionals);
  return result;
}

}  // namespace vpmu::machine::arm64
