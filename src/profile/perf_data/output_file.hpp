// SPDX-License-Identifier: MIT
//
// The file that a recording goes to, or the directory with it. It is not there for anybody before
// publish(), so that nobody finds a beginning that cannot be read, however the process ends; where
// the file system cannot do that, or a link or a file that may not be removed is in the way, it is
// there from the start. Errors are kept as errno, since what is to be said depends on how much has
// been written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vpmu/base/result.hpp"

namespace vpmu::profile::perf_data {

class OutputFile {
 public:
  /// A new file at `path`; what was there is replaced: a file, or the directory of a recording,
  /// but nothing else.
  static Result<OutputFile> create_file(const std::string& path);
  /// The same in a new directory `path`: its file `data`, and beside it the kernel's symbols of the
  /// VM `vm_pid`, where perf looks for them.
  static Result<OutputFile> create_directory(const std::string& path, std::uint32_t vm_pid,
                                             std::string_view kallsyms);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  /// Once, before anything is read from it; errno or 0.
  int publish();
  /// All of it at `offset`; the errno of what went wrong, or 0.
  int write_at(std::uint64_t offset, std::string_view bytes);
  /// Nothing is behind `size` any more; errno or 0.
  int cut(std::uint64_t size);
  /// Errno or 0; some file systems only tell now.
  int close();

  /// As it was given, for messages.
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  OutputFile(int descriptor, std::string path, std::string hidden = {})
      : descriptor_{descriptor}, path_{std::move(path)}, hidden_{std::move(hidden)} {}

  int descriptor_;
  std::string path_;
  std::string hidden_;     ///< the directory's name until it is published
  bool nameless_ = false;  ///< a file without a name, until it is published
};

/// "profile 'PATH': REASON; REMEDY", on one line.
tl::unexpected<Error> profile_error(const std::string& path, std::string_view reason,
                                    std::string_view remedy);
/// The same for what the system said.
tl::unexpected<Error> profile_error(const std::string& path, int error, std::string_view remedy);

}  // namespace vpmu::profile::perf_data
