// SPDX-License-Identifier: MIT
#include "generator.hpp"

#include <cstring>
#include <span>
#include <utility>

#include "effects.hpp"
#include "encode.hpp"
#include "steering.hpp"
#include "values.hpp"

namespace vpmu::differential {

namespace {

constexpr std::size_t kPoolBytes = 64 * 1024;
constexpr unsigned kMostInstructions = 8;

bool is_branch(const Decoded& decoded) {
  return decoded.instruction.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE ||
         decoded.instruction.meta.category == ZYDIS_CATEGORY_RET;
}

bool has_relative(const Decoded& decoded) {
  return decoded.instruction.raw.imm[0].is_relative && decoded.instruction.raw.imm[0].size != 0;
}

/// A legal, admitted instance of some form.
bool random_instruction(Random& random, const std::vector<FormGroup>& groups, Decoded& decoded,
                        Bytes& bytes) {
  const FormGroup& group = groups[random.below(groups.size())];
  const Form& form = group.forms[random.below(group.forms.size())];
  bytes = random_bytes(random, form);
  if (bytes.size == 0 || !decode(bytes.span(), decoded)) return false;
  if (random.percent(30)) {
    encode_again(decoded, bytes);
  } else if (random.percent(10)) {
    mutate(random, bytes);
    Bytes padded = bytes;
    while (padded.size < padded.at.size()) padded.add(static_cast<std::uint8_t>(random.next()));
    if (!decode(padded.span(), decoded)) return false;
    padded.size = decoded.instruction.length;
    bytes = padded;
    return admitted(decoded);
  }
  return decode(bytes.span(), decoded) && decoded.instruction.length == bytes.size &&
         admitted(decoded) && decoded.mnemonic() == group.mnemonic;
}

/// Which flags are undefined along the way.
class Taint {
 public:
  bool allows(const FlagEffects& effects) const {
    return (effects.reads & flags_) == 0 && (effects.x87_reads & x87_) == 0;
  }
  void apply(const FlagEffects& effects) {
    read_ |= effects.reads;
    x87_read_ |= effects.x87_reads;
    ever_ |= effects.undefined;
    x87_ever_ |= effects.x87_undefined;
    if (!may_skip_) flags_ &= ~effects.defines;
    if (!may_skip_) x87_ &= static_cast<std::uint16_t>(~effects.x87_defines);
    flags_ |= effects.undefined;
    x87_ |= effects.x87_undefined;
  }
  /// From here on instructions may be jumped over.
  void note_branch() { may_skip_ = true; }
  /// True if nothing that is read was ever undefined, so that the code may run again.
  [[nodiscard]] bool repeatable() const {
    return (read_ & ever_) == 0 && (x87_read_ & x87_ever_) == 0;
  }
  /// From now on everything that ever was undefined may be.
  void note_loop() {
    flags_ = ever_;
    x87_ = x87_ever_;
  }
  [[nodiscard]] std::uint64_t flags() const { return flags_; }
  [[nodiscard]] std::uint16_t x87() const { return x87_; }

 private:
  std::uint64_t flags_ = 0;
  std::uint16_t x87_ = 0;
  std::uint64_t read_ = 0, ever_ = 0;
  std::uint16_t x87_read_ = 0, x87_ever_ = 0;
  bool may_skip_ = false;
};

/// Points relative branches at instruction boundaries further on, or at the breakpoints around.
/// The first `count` instructions' branches only: the rest is a loop's.
void resolve_branches(Random& random, std::size_t count, TestCase& test) {
  for (std::size_t i = 0; i < count; ++i) {
    const TestCase::Instruction& at = test.instructions[i];
    Decoded decoded;
    if (!decode({&test.code[at.offset], at.length}, decoded) || !has_relative(decoded)) continue;
    const auto& immediate = decoded.instruction.raw.imm[0];
    const std::int64_t end = at.offset + at.length;
    const auto size = static_cast<std::int64_t>(test.code.size());
    std::int64_t to = 0;
    if (random.percent(50)) {
      // Behind the code is the end, or the loop's counting.
      const std::size_t next = i + 1 + random.below(count - i);
      to = next < test.instructions.size() ? test.instructions[next].offset : size;
    } else if (immediate.size > 8) {
      to = random.percent(50) ? size + random.between(0, 500) : -random.between(1, 500);
    } else {
      to = random.percent(50) ? size + random.between(0, 7) : -random.between(1, 20);
    }
    std::int64_t distance = to - end;
    if (immediate.size == 8 && (distance < -128 || distance > 127)) distance = 0;
    std::memcpy(&test.code[at.offset + immediate.offset], &distance, immediate.size / 8);
  }
}

void append(TestCase& test, std::span<const std::uint8_t> bytes, const Taint& taint) {
  test.instructions.push_back({static_cast<std::uint8_t>(test.code.size()),
                               static_cast<std::uint8_t>(bytes.size()), taint.flags(),
                               taint.x87()});
  test.code.insert(test.code.end(), bytes.begin(), bytes.end());
}

/// Closes the code to a loop that runs a few times, if it can bear that.
void add_loop(Random& random, Steering& steering, Taint& taint, TestCase& test) {
  if (!steering.repeatable() || !taint.repeatable()) return;
  const int counter = steering.claim(1 + random.below(5));
  if (counter < 0) return;
  taint.note_loop();
  for (TestCase::Instruction& at : test.instructions) {
    at.undefined_flags |= taint.flags();
    at.undefined_x87 |= taint.x87();
  }
  const std::uint8_t decrement[] = {static_cast<std::uint8_t>(counter >= 8 ? 0x49 : 0x48), 0xff,
                                    static_cast<std::uint8_t>(0xc8 | (counter & 7))};
  append(test, decrement, taint);
  const auto back = -static_cast<std::int32_t>(test.code.size()) - 6;
  std::uint8_t branch[6] = {0x0f, 0x85};
  std::memcpy(branch + 2, &back, sizeof back);
  append(test, branch, taint);
}

/// A LOCK prefix where it must not be: an invalid opcode.
void add_illegal_lock(TestCase& test) {
  std::vector<std::uint8_t> locked = test.code;
  locked.insert(locked.begin(), 0xf0);
  Decoded decoded;
  // AMD processors take a locked MOV CR0 for MOV CR8.
  if (decode(test.code, decoded) && decoded.has(ZYDIS_ATTRIB_IS_PRIVILEGED)) return;
  if (locked.size() > 15 || decode(locked, decoded)) return;
  test.code = std::move(locked);
  ++test.instructions.front().length;
}

}  // namespace

Generator::Generator(std::vector<FormGroup> groups)
    : groups_{std::move(groups)}, pool_(kPoolBytes + kDataBytes) {
  Random random{0x706f6f6c};
  for (std::size_t at = 0; at < pool_.size(); at += 64) fill_lanes(random, {&pool_[at], 64});
}

std::vector<std::uint8_t> Generator::read_only_contents() const {
  return {pool_.begin(), pool_.begin() + kReadOnlyBytes};
}

void Generator::make(std::uint64_t seed, TestCase& test) const {
  Random random{seed};
  test.code.clear();
  test.instructions.clear();
  test.ignored.clear();
  std::memcpy(test.data.data(), &pool_[random.below(kPoolBytes / 16) * 16], kDataBytes);
  test.input = random_state(random);
  test.input.rip = kCode + 1024 + random.below(kCodeBytes - 2048);
  if (random.percent(5)) test.input.rip = kCode + kPage - 1 - random.below(20);

  const bool alone = random.percent(60);
  const auto wanted = alone ? 1 : 3 + random.below(kMostInstructions - 2);
  Steering steering{random, test, alone};
  Taint taint;
  // CL, where nothing that comes later can change it.
  const auto count = [&] { return alone ? static_cast<int>(test.input.gpr[1] & 0xff) : -1; };
  for (unsigned attempt = 0; test.instructions.size() < wanted && attempt < 200; ++attempt) {
    Decoded decoded;
    Bytes bytes;
    if (!random_instruction(random, groups_, decoded, bytes)) continue;
    const bool last = test.instructions.size() + 1 == wanted;
    if (is_branch(decoded) && !last && !has_relative(decoded)) continue;
    if (saves_pointers(decoded) && !last) continue;
    if (!alone && (is_approximate(decoded) || may_enter_mmx(decoded))) continue;
    FlagEffects effects = flag_effects(decoded, count());
    if (!taint.allows(effects) || effects.result_undefined) continue;
    if (!steering.accept(decoded, bytes, test.input.rip + test.code.size())) continue;
    // Addresses are chosen: so is CL.
    effects = flag_effects(decoded, count());
    if (effects.result_undefined) test.input.gpr[1] &= ~std::uint64_t{0x10};
    effects = flag_effects(decoded, count());
    append(test, bytes.span(), taint);
    taint.apply(effects);
    if (is_branch(decoded)) taint.note_branch();
  }
  const std::size_t count_without_loop = test.instructions.size();
  if (!alone && random.percent(25)) add_loop(random, steering, taint, test);
  resolve_branches(random, count_without_loop, test);
  if (alone && !test.code.empty() && random.percent(2)) add_illegal_lock(test);
  test.undefined_flags = taint.flags();
  test.undefined_x87 = taint.x87();
}

}  // namespace vpmu::differential
