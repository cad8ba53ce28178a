// SPDX-License-Identifier: MIT
//
// Between State structs and protobuf messages. Fields<S>::list pairs each member of S with its
// field in the message; encode() and decode() walk it. A struct without such a list does not
// compile.
//
// decode() takes nothing for granted: a number that does not fit its member, an array of another
// length or a message that is missing is an error. What a value may be is asked by restore() of
// whoever takes the state.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "vpmu/base/result.hpp"

namespace vpmu::machine::snapshot {

/// To be specialised: `static constexpr auto list = std::tuple{number(...), ...}`.
template <class State>
struct Fields;

template <class State, class Message>
void encode(const State& state, Message& message);
template <class State, class Message>
Result<void> decode(const Message& message, State& state);

/// Numbers as they are in a message: enumerations by value, register types by their raw value.
template <class T>
constexpr auto to_number(const T& value) {
  if constexpr (requires { value.raw; }) {
    return value.raw;
  } else if constexpr (std::is_enum_v<T>) {
    return static_cast<std::underlying_type_t<T>>(value);
  } else {
    return value;
  }
}

template <class Integer, class Number>
constexpr bool fits(Number number) {
  if constexpr (std::is_same_v<Number, bool> || std::is_same_v<Integer, bool>) {
    return static_cast<Number>(static_cast<Integer>(number)) == number;
  } else {
    return std::in_range<Integer>(number);
  }
}

template <class T, class Number>
Result<void> from_number(Number number, T& value) {
  using Integer = decltype(to_number(value));
  if (!fits<Integer>(number)) return fail("a number is too large for its register");
  if constexpr (requires { value.raw; }) {
    value.raw = static_cast<Integer>(number);
  } else {
    value = static_cast<T>(number);
  }
  return {};
}

template <class S, class T, class M, class Number>
struct NumberField {
  T S::*member;
  Number (M::*get)() const;
  void (M::*set)(Number);

  void encode(const S& state, M& message) const {
    (message.*set)(static_cast<Number>(to_number(state.*member)));
  }
  Result<void> decode(const M& message, S& state) const {
    return from_number((message.*get)(), state.*member);
  }
};

/// Numbers in a repeated field.
template <class S, class Array, class M, class Repeated>
struct NumbersField {
  Array S::*member;
  const Repeated& (M::*get)() const;
  Repeated* (M::*change)();

  void encode(const S& state, M& message) const {
    for (const auto& value : state.*member) {
      (message.*change)()->Add(static_cast<typename Repeated::value_type>(to_number(value)));
    }
  }
  Result<void> decode(const M& message, S& state) const {
    const Repeated& from = (message.*get)();
    Array& to = state.*member;
    if (static_cast<std::size_t>(from.size()) != to.size()) {
      return fail("a list has another length");
    }
    for (std::size_t n = 0; n < to.size(); ++n) {
      if (auto done = from_number(from[static_cast<int>(n)], to[n]); !done) return done;
    }
    return {};
  }
};

/// An array, of plain bytes all through, as a byte string.
template <class S, class Bytes, class M>
struct BytesField {
  Bytes S::*member;
  const std::string& (M::*get)() const;
  std::string* (M::*change)();
  static_assert(std::has_unique_object_representations_v<Bytes>);

  void encode(const S& state, M& message) const {
    (message.*change)()->assign(reinterpret_cast<const char*>(&(state.*member)), sizeof(Bytes));
  }
  Result<void> decode(const M& message, S& state) const {
    const std::string& from = (message.*get)();
    if (from.size() != sizeof(Bytes)) return fail("a block of bytes has another length");
    std::memcpy(static_cast<void*>(&(state.*member)), from.data(), sizeof(Bytes));
    return {};
  }
};

/// A State in a State.
template <class S, class T, class M, class Nested>
struct StateField {
  T S::*member;
  bool (M::*has)() const;
  const Nested& (M::*get)() const;
  Nested* (M::*change)();

  void encode(const S& state, M& message) const {
    snapshot::encode(state.*member, *(message.*change)());
  }
  Result<void> decode(const M& message, S& state) const {
    if (!(message.*has)()) return fail("a part is missing");
    return snapshot::decode((message.*get)(), state.*member);
  }
};

/// An array of States.
template <class S, class Array, class M, class Repeated>
struct StatesField {
  Array S::*member;
  const Repeated& (M::*get)() const;
  Repeated* (M::*change)();

  void encode(const S& state, M& message) const {
    for (const auto& each : state.*member) snapshot::encode(each, *(message.*change)()->Add());
  }
  Result<void> decode(const M& message, S& state) const {
    const Repeated& from = (message.*get)();
    Array& to = state.*member;
    if (static_cast<std::size_t>(from.size()) != to.size()) {
      return fail("a list has another length");
    }
    for (std::size_t n = 0; n < to.size(); ++n) {
      if (auto done = snapshot::decode(from[static_cast<int>(n)], to[n]); !done) return done;
    }
    return {};
  }
};

/// What has a form of its own in the message.
template <class S, class M>
struct OwnField {
  void (*to_message)(const S&, M&);
  Result<void> (*to_state)(const M&, S&);

  void encode(const S& state, M& message) const { to_message(state, message); }
  Result<void> decode(const M& message, S& state) const { return to_state(message, state); }
};

template <class S, class T, class M, class Number>
constexpr auto number(T S::*member, Number (M::*get)() const, void (M::*set)(Number)) {
  return NumberField<S, T, M, Number>{member, get, set};
}
template <class S, class Array, class M, class Repeated>
constexpr auto numbers(Array S::*member, const Repeated& (M::*get)() const,
                       Repeated* (M::*change)()) {
  return NumbersField<S, Array, M, Repeated>{member, get, change};
}
template <class S, class Bytes, class M>
constexpr auto bytes(Bytes S::*member, const std::string& (M::*get)() const,
                     std::string* (M::*change)()) {
  return BytesField<S, Bytes, M>{member, get, change};
}
template <class S, class T, class M, class Nested>
constexpr auto part(T S::*member, bool (M::*has)() const, const Nested& (M::*get)() const,
                    Nested* (M::*change)()) {
  return StateField<S, T, M, Nested>{member, has, get, change};
}
template <class S, class Array, class M, class Repeated>
constexpr auto parts(Array S::*member, const Repeated& (M::*get)() const,
                     Repeated* (M::*change)()) {
  return StatesField<S, Array, M, Repeated>{member, get, change};
}
template <class S, class M>
constexpr auto own(void (*to_message)(const S&, M&), Result<void> (*to_state)(const M&, S&)) {
  return OwnField<S, M>{to_message, to_state};
}

template <class State, class Message>
void encode(const State& state, Message& message) {
  std::apply([&](const auto&... field) { (field.encode(state, message), ...); },
             Fields<State>::list);
}

template <class State, class Message>
Result<void> decode(const Message& message, State& state) {
  Result<void> done;
  const auto one = [&](const auto& field) {
    done = field.decode(message, state);
    return done.has_value();
  };
  std::apply([&](const auto&... field) { static_cast<void>((one(field) && ...)); },
             Fields<State>::list);
  return done;
}

}  // namespace vpmu::machine::snapshot
