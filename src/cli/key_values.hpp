// SPDX-License-Identifier: MIT
//
// The value of an option that is KEY=VALUE,...: numbers and switches that become members of a
// struct, each given at most once.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "vpmu/base/result.hpp"

namespace vpmu::cli {

/// The keys there are.
template <class Request>
struct RequestKeys {
  struct Number {
    std::string_view key;
    std::optional<unsigned> Request::*member;
  };
  struct Switch {
    std::string_view key;
    std::optional<bool> Request::*member;
  };
  struct Text {
    std::string_view key;
    std::optional<std::string> Request::*member;
  };
  std::span<const Number> numbers;
  std::span<const Switch> switches;  ///< on or off
  bool hexadecimal = false;          ///< numbers may be so, behind 0x
  std::span<const Text> texts{};
};

/// Errors name the key, and what it can be.
Result<unsigned> parse_number(std::string_view key, std::string_view value, bool hexadecimal);
Result<bool> parse_switch(std::string_view key, std::string_view value);

namespace key_values {

template <class T>
Result<void> set_once(std::optional<T>& member, std::string_view key, const Result<T>& value) {
  if (!value) return tl::unexpected(value.error());
  if (member) return fail(fmt::format("{} is given twice; leave one of them out", key));
  member = *value;
  return {};
}

template <class Request>
Result<void> set(Request& request, const RequestKeys<Request>& keys, std::string_view key,
                 std::string_view value) {
  std::string known = "on, off";
  for (const auto& each : keys.numbers) {
    if (each.key == key) {
      return set_once(request.*each.member, key, parse_number(key, value, keys.hexadecimal));
    }
    known += fmt::format(", {}", each.key);
  }
  for (const auto& each : keys.switches) {
    if (each.key == key) return set_once(request.*each.member, key, parse_switch(key, value));
    known += fmt::format(", {}", each.key);
  }
  for (const auto& each : keys.texts) {
    if (each.key == key) return set_once(request.*each.member, key, Result<std::string>{value});
    known += fmt::format(", {}", each.key);
  }
  return fail(fmt::format("'{}' is none of {}; give one of them", key, known));
}

}  // namespace key_values

/// Of an option that may also be `on` or `off`, which the caller has looked for.
template <class Request>
Result<Request> parse_request(std::string_view text, const RequestKeys<Request>& keys) {
  Request request;
  for (;;) {
    const std::size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    const std::size_t equals = item.find('=');
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view{} : item.substr(equals + 1);
    if (auto ok = key_values::set(request, keys, item.substr(0, equals), value); !ok) {
      return tl::unexpected(ok.error());
    }
    if (comma == std::string_view::npos) return request;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace vpmu::cli
