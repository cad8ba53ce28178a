// SPDX-License-Identifier: MIT
//
// The bytes of a recording, mapped into memory: a file, or `data` in a directory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "vpmu/base/result.hpp"

namespace vpmu::profile::perf_data {

class InputFile {
 public:
  static Result<InputFile> open(const std::string& path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();

  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return bytes_; }
  /// Gives back the memory that holds what was looked at; it comes again when it is looked at.
  void forget() const;

  /// Symbols that lie in the directory, for the first of its VMs; empty: none.
  [[nodiscard]] const std::string& guest_kallsyms() const { return kallsyms_; }

  /// An error about the file: "profile 'PATH': WHAT".
  [[nodiscard]] tl::unexpected<Error> failure(std::string_view what) const;
  /// "profile 'PATH': at byte OFFSET: WHAT; ..."
  [[nodiscard]] tl::unexpected<Error> malformed(std::uint64_t offset, std::string_view what) const;

 private:
  explicit InputFile(std::string path) : path_{std::move(path)} {}
  Result<void> map(const std::string& file);
  Result<void> read_kallsyms();

  std::string path_;
  std::string kallsyms_;
  std::span<const std::uint8_t> bytes_;
};

}  // namespace vpmu::profile::perf_data
