// SPDX-License-Identifier: MIT
//
// The content of a file that a user named.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include "base/descriptor.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu {

/// All that comes; pipes are welcome. Of a file of more than `most` bytes, `most` + 1. The error
/// says cause and remedy, the caller which file it is.
inline Result<std::string> read_all(const std::string& path, std::size_t most) {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.number() < 0) {
    const int error = errno;
    return fail(std::string{std::strerror(error)} + "; check the path" +
                (error == EACCES ? " and its permissions" : ""));
  }
  std::string content(most + 1, '\0');
  std::size_t have = 0;
  while (have < content.size()) {
    const ssize_t got = read(file.number(), content.data() + have, content.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(std::string{std::strerror(errno)} + "; give a file that can be read");
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  content.resize(have);
  return content;
}

}  // namespace vpmu
