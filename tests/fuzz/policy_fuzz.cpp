// SPDX-License-Identifier: MIT
//
// A policy: any bytes are read, or refused in one line that names the file and a place.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "fuzz/messages.hpp"
#include "policy/policy.hpp"

namespace {
constexpr std::string_view kFile = "policy.toml";

using vpmu::fuzz::check;
using vpmu::fuzz::check_message;

void check_policy(const vpmu::policy::Policy& policy) {
  check(policy.catalogue != nullptr, "no catalogue", "");
  check(policy.allowed.vendor() == policy.catalogue->vendor(), "another vendor", "");
  check(policy.fixed_allowed >> policy.catalogue->fixed_counters() == 0,
        "a fixed counter that there is not", "");
  for (const std::string& warning : policy.warnings) check_message(warning, kFile);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  const auto policy = vpmu::policy::parse_policy(text, kFile);
  if (policy) {
    check_policy(*policy);
  } else {
    check_message(policy.error().message, kFile);
  }
  return 0;
}
