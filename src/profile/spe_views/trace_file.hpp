// SPDX-License-Identifier: MIT
//
// The traces of SPE in a file, a dump or perf.data, and names for the addresses in them. Code
// counts as mapped for the whole recording.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "profile/spe/record.hpp"
#include "profile/spe/time_conversion.hpp"
#include "profile/symbols/address_space.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::profile {

/// What one unit wrote.
struct SpeStream {
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  std::uint32_t cpu = kNone;  ///< a guest's vCPU
  std::uint32_t pid = 0;
  std::uint32_t tid = 0;
  std::string name;                                   ///< of the thread, or the guest
  std::vector<std::span<const std::uint8_t>> pieces;  ///< valid as long as the SpeTrace
};

struct SpeTraceInfo {
  std::string file;
  bool dump = false;
  bool guest = false;  ///< of a guest of ours
  std::string name;    ///< of the guest, or the process
  std::string cpu_model;
  std::string image;       ///< a dump's
  std::uint32_t midr = 0;  ///< a dump's
  std::uint64_t period = 0;
  spe::TimeConversion time;
  std::uint64_t bytes = 0;
  std::uint64_t truncated = 0;  ///< pieces in front of which something was lost
  std::uint64_t collided = 0;   ///< pieces with collisions
  bool complete = true;
};

/// Whether it is a dump, or perf.data with events of SPE. False if it cannot be read, either.
bool has_spe_traces(const std::string& path);

class SpeTrace {
 public:
  /// An error: it is neither, has traces of something else, or none. It names the file.
  static Result<SpeTrace> open(const std::string& path, SymbolSources sources);
  SpeTrace(SpeTrace&&) noexcept;
  SpeTrace& operator=(SpeTrace&&) noexcept;
  ~SpeTrace();

  [[nodiscard]] const SpeTraceInfo& info() const;
  /// By CPU.
  [[nodiscard]] const std::vector<SpeStream>& streams() const;
  [[nodiscard]] AddressSpaces& spaces();
  /// Who runs what is at `place` in a record of the stream.
  [[nodiscard]] AddressOwner owner(const SpeStream& stream, const spe::CodePlace& place) const;
  /// What could not be read: one line each.
  [[nodiscard]] std::vector<std::string> problems() const;

 private:
  SpeTrace();
  struct Private;
  std::unique_ptr<Private> private_;
};

}  // namespace vpmu::profile
