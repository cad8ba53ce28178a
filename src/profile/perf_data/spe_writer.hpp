// SPDX-License-Identifier: MIT
//
// Writes traces of SPE, one stream of bytes for each vCPU, as a perf.data file that stock perf
// (6.1) decodes: AUXTRACE pieces that end between records. Memory is bounded: a piece of each
// stream. As with Writer, the header on disk always describes what is whole in front of its end.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "profile/perf_data/side_band.hpp"
#include "profile/perf_data/writer.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::profile::perf_data {

/// The kernel that is mapped in our files of SPE, so that nobody takes another's for the guest's.
inline constexpr const char* kGuestOfSpe = "[kernel.kallsyms]_of_the_guest";

struct SpeEvent {
  std::string name = "arm_spe_0//";  ///< readers know SPE by "arm_spe_"
  std::uint64_t config = 0;          ///< of the driver: 1 ts_enable, 2 pa_enable, 4 pct_enable
  std::uint64_t period = 0;          ///< operations
  spe::TimeConversion time;
};

class SpeWriter {
 public:
  /// As Writer::create. Of `config`, `events`, `layout` and `kallsyms` are not looked at.
  static Result<std::unique_ptr<SpeWriter>> create(const std::string& path,
                                                   const WriterConfig& config,
                                                   const SpeEvent& event);
  ~SpeWriter();
  SpeWriter(const SpeWriter&) = delete;
  SpeWriter& operator=(const SpeWriter&) = delete;

  /// What the unit of `vcpu` (below WriterConfig::vcpus) wrote next; records may go on in the next
  /// call. Bytes that are of no record for longer than the longest record are left out, and make
  /// the stream truncated.
  void add(std::uint32_t vcpu, std::span<const std::uint8_t> trace);
  /// AuxFlags of what the vCPU has added since its last piece, and goes on to add to this one.
  void mark(std::uint32_t vcpu, std::uint64_t aux_flags);

  [[nodiscard]] bool failed() const;
  [[nodiscard]] std::uint64_t records() const;  ///< whole ones so far
  [[nodiscard]] std::uint64_t bytes() const;    ///< of the file so far
  /// Bytes that are in the file of no stream: of records that never ended.
  [[nodiscard]] std::uint64_t left_out() const;

  /// Ends the file. Once. An error if anything could not be written: with path and reason.
  Result<void> finish();

 private:
  SpeWriter();
  struct Private;
  std::unique_ptr<Private> private_;
};

}  // namespace vpmu::profile::perf_data
