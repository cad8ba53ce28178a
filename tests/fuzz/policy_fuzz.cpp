// SPDX-License-Identifier: MIT
//
// A policy: any bytes are read, or refused in one line that names the file and a place.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "policy/policy.hpp"

namespace {
constexpr std::string_view kFile = "policy.toml";

void check(bool holds, std::string_view what, std::string_view text) {
  if (holds) return;
  std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(text.size()), text.data());
  std::abort();
}

void check_message(std::string_view message) {
  check(message.starts_with(std::string{kFile} + ":"), "a message without the file", message);
  check(message.find_first_of("\r\n\0") == std::string_view::npos, "more than a line", message);
  check(message.size() < 2000, "a very long line", message);
}

void check_policy(const vpmu::policy::Policy& policy) {
  check(policy.catalogue != nullptr, "no catalogue", "");
  check(policy.allowed.vendor() == policy.catalogue->vendor(), "another vendor", "");
  check(policy.fixed_allowed >> policy.catalogue->fixed_counters() == 0,
        "a fixed counter that there is not", "");
  for (const std::string& warning : policy.warnings) check_message(warning);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  const auto policy = vpmu::policy::parse_policy(text, kFile);
  if (policy) {
    check_policy(*policy);
  } else {
    check_message(policy.error().message);
  }
  return 0;
}
