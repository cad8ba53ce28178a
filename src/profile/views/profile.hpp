// SPDX-License-Identifier: MIT
//
// A profile: how often what was running, by event, vCPU, mode and call stack. All views are made of
// it. Its size goes with the number of distinct stacks, not with that of samples. Every number is
// given away in the order of the file, so the same file gives the same profile.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "profile/perf_data/reader.hpp"
#include "profile/symbols/address_space.hpp"
#include "profile/views/name_table.hpp"

namespace vpmu::profile {

using FrameId = std::uint32_t;
using FunctionId = std::uint32_t;
using StackId = std::uint32_t;

/// The stack without frames.
inline constexpr StackId kEmptyStack = 0;
inline constexpr std::uint32_t kNoImage = ~std::uint32_t{0};
inline constexpr std::uint32_t kNoVcpu = ~std::uint32_t{0};

/// What colours and marks tell apart: guest and host alike.
enum class CodeKind : std::uint8_t { kKernel, kUser, kHypervisor, kUnknown };
CodeKind code_kind(perf_data::CpuMode mode);
/// "k", "u", "h" or "?".
const char* mark(CodeKind kind);
/// "guest kernel", "kernel", ...
const char* mode_name(perf_data::CpuMode mode);

struct Weight {
  std::uint64_t samples = 0;
  std::uint64_t count = 0;  ///< sum of periods: how often the event happened; stays at its maximum

  void add(const Weight& other);
  friend bool operator==(const Weight&, const Weight&) = default;
};

/// A function, or what is known of one.
struct Function {
  NameId name = kNoName;   ///< none: no symbol is known
  NameId image = kNoName;  ///< none: no mapping is known
  CodeKind kind = CodeKind::kUnknown;
};

/// A place in the code, in one address space.
struct Frame {
  std::uint64_t address = 0;        ///< as sampled; of a caller, where the call returns to
  std::uint64_t linked = 0;         ///< the address in its image as that is linked
  std::uint64_t into_function = 0;  ///< bytes from the function's start; 0 if there is no symbol
  std::uint32_t image = kNoImage;   ///< index in Profile::images
  std::uint32_t space = 0;          ///< tells address spaces apart
  FunctionId function = 0;
  perf_data::CpuMode mode = perf_data::CpuMode::kUnknown;
  bool is_caller = false;

  /// `linked`, of a caller in the call instruction: where names and lines are looked up.
  [[nodiscard]] std::uint64_t linked_to_name() const {
    return is_caller && linked != 0 ? linked - 1 : linked;
  }
};

/// A stack is its innermost frame and the stack that called it.
struct StackNode {
  StackId caller = kEmptyStack;
  FrameId frame = 0;
  std::uint32_t depth = 0;
};

/// Samples that have all of this in common.
struct Group {
  std::uint32_t event = 0;
  std::uint32_t vcpu = kNoVcpu;
  NameId task = kNoName;  ///< "vm:NAME" of a guest, otherwise the process' name
  perf_data::CpuMode mode = perf_data::CpuMode::kUnknown;
  StackId stack = kEmptyStack;
  Weight weight;
};

struct BranchPair {
  std::uint32_t event = 0;
  FrameId from = 0, to = 0;
  std::uint64_t taken = 0;
  std::uint64_t predicted = 0, mispredicted = 0;
  std::uint64_t cycles = 0, timed = 0;  ///< sum, and of how many
};

/// One sample, for views in order of time.
struct Moment {
  std::uint32_t group = 0;
  std::uint64_t count = 0;
};

struct EventTotals {
  std::string name;
  Weight total;
  Weight without_symbol;  ///< whose innermost frame has none
  bool has_callers = false;
};

struct Profile {
  NameTable names;
  std::vector<const Image*> images;  ///< of the AddressSpaces that resolved the addresses
  std::vector<Function> functions;
  std::vector<Frame> frames;
  std::vector<StackNode> stacks{1};  ///< [kEmptyStack]
  std::vector<Group> groups;
  std::vector<BranchPair> branches;  ///< only if asked for
  std::vector<Moment> timeline;      ///< only if asked for
  std::vector<EventTotals> events;   ///< as in the file

  std::vector<std::string> guests;     ///< names, in the file's order
  std::vector<std::string> processes;  ///< of the host, that have samples, in the file's order
  std::uint64_t lost = 0;
  std::uint64_t first_time = 0, last_time = 0;  ///< ns, of samples
  bool complete = true;                         ///< false: the recording was cut short

  [[nodiscard]] const Function& function_of(FrameId frame) const {
    return functions[frames[frame].function];
  }
  /// The symbol's name, or "[unknown]".
  [[nodiscard]] const std::string& function_name(const Function& function) const;
};

}  // namespace vpmu::profile
