// SPDX-License-Identifier: MIT
//
// --spe-dump: what a guest's own statistical profiling writes, as it comes, in a file besides the
// guest's buffer. docs/abi/spe.md.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/atomic_file.hpp"
#include "machine/arm64_board/machine.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli {

class SpeDump final : public machine::arm64::SpeRecordSink {
 public:
  /// Of all vCPUs of a machine that has not run, to the file `path`; `image` is the guest's. The
  /// machine must not run without it any more.
  static Result<std::unique_ptr<SpeDump>> attach(machine::arm64::Machine& machine,
                                                 const std::string& path, const std::string& image);

  void on_record(unsigned vcpu, std::span<const std::uint8_t> bytes) override;
  /// Once. Otherwise there is no such file.
  Result<void> finish();

 private:
  SpeDump(AtomicFile file, unsigned vcpus) : file_{std::move(file)}, pieces_(vcpus) {}
  void write(std::string_view bytes);
  void flush(unsigned vcpu);

  AtomicFile file_;
  Result<void> written_;                           ///< the first that failed
  std::vector<std::vector<std::uint8_t>> pieces_;  ///< by vCPU: what is in no section yet
};

}  // namespace vpmu::cli
