// SPDX-License-Identifier: MIT
#include <csetjmp>
#include <cstddef>
#include <cstring>
#include <string>

// The C library declares basename() itself.
#define HAVE_DECL_BASENAME 1
#include <libiberty/demangle.h>

#include "profile/symbols/printable_name.hpp"
#include "profile/symbols/symbol_table.hpp"

namespace vpmu::profile {

namespace {
/// A mangled name can stand for text that is exponentially longer: its parts refer to each other.
/// So the text comes piece by piece, and the demangler is left when there is too much of it. It
/// has nothing on the heap then but, for Rust names in other alphabets, one identifier.
struct Output {
  char text[kLongestName];
  std::size_t length;
  std::size_t calls;
  std::jmp_buf too_long;
};
constexpr std::size_t kMostCalls = 16 * kLongestName;  // pieces may be empty

void take(const char* piece, std::size_t length, void* opaque) {
  auto& output = *static_cast<Output*>(opaque);
  if (++output.calls > kMostCalls || length > sizeof output.text - output.length) {
    std::longjmp(output.too_long, 1);  // NOLINT(cert-err52-cpp): through C only
  }
  if (length == 0) return;
  std::memcpy(output.text + output.length, piece, length);
  output.length += length;
}

/// Its text is in `output` if true. Nothing here has a destructor, for the sake of longjmp().
bool demangle_into(Output& output, const char* name) {
  output.length = 0;
  output.calls = 0;
  if (setjmp(output.too_long) != 0) return false;  // NOLINT(cert-err52-cpp)
  if (rust_demangle_callback(name, DMGL_PARAMS, take, &output) != 0) return true;
  output.length = 0;
  output.calls = 0;
  return std::strncmp(name, "_Z", 2) == 0 &&
         cplus_demangle_v3_callback(name, DMGL_PARAMS | DMGL_ANSI, take, &output) != 0;
}
}  // namespace

std::string demangle(const std::string& linkage_name) {
  const bool mangled = linkage_name.starts_with("_Z") || linkage_name.starts_with("_R");
  if (!mangled || linkage_name.size() > kLongestName) return linkage_name;
  Output output;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  if (!demangle_into(output, linkage_name.c_str()) || output.length == 0) return linkage_name;
  return printable_name({output.text, output.length});
}

}  // namespace vpmu::profile
