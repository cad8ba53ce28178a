// SPDX-License-Identifier: MIT
//
// What machines of all architectures have, as the messages of each have it: turns, the host,
// totals, caches, the branch predictor.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <vector>

#include "machine/host_activity.hpp"
#include "machine/snapshot/fields.hpp"
#include "machine/snapshot/snapshot.pb.h"
#include "machine/turns.hpp"
#include "vpmu/silicon/branch_predictor.hpp"
#include "vpmu/silicon/memory_model.hpp"
#include "vpmu/silicon/retire_totals.hpp"

namespace vpmu::machine::snapshot {

template <>
struct Fields<HostActivityState::Event> {
  using S = HostActivityState::Event;
  using M = proto::HostEventState;
  static constexpr auto list = std::tuple{
      number(&S::count, &M::count, &M::set_count),
      number(&S::left, &M::left, &M::set_left),
      number(&S::time_enabled_cycles, &M::time_enabled_cycles, &M::set_time_enabled_cycles),
      number(&S::time_running_cycles, &M::time_running_cycles, &M::set_time_running_cycles),
      number(&S::overflows, &M::overflows, &M::set_overflows),
      number(&S::on, &M::on, &M::set_on),
      number(&S::error, &M::error, &M::set_error),
      number(&S::next, &M::next, &M::set_next),
      number(&S::times, &M::times, &M::set_times),
      number(&S::began, &M::began, &M::set_began),
      number(&S::ended, &M::ended, &M::set_ended),
      number(&S::retired_branches, &M::retired_branches, &M::set_retired_branches),
      number(&S::sampled_branches, &M::sampled_branches, &M::set_sampled_branches)};
};

template <>
struct Fields<hostperf::LbrSwitches> {
  using S = hostperf::LbrSwitches;
  using M = proto::LbrSwitches;
  static constexpr auto list =
      std::tuple{number(&S::switches, &M::switches, &M::set_switches),
                 number(&S::saved_msrs, &M::saved_msrs, &M::set_saved_msrs),
                 number(&S::restored_msrs, &M::restored_msrs, &M::set_restored_msrs),
                 number(&S::skipped_restores, &M::skipped_restores, &M::set_skipped_restores),
                 number(&S::resets, &M::resets, &M::set_resets)};
};

template <>
struct Fields<silicon::x86::LbrState::Record> {
  using S = silicon::x86::LbrState::Record;
  using M = proto::LbrRecord;
  static constexpr auto list =
      std::tuple{number(&S::from, &M::from, &M::set_from), number(&S::to, &M::to, &M::set_to),
                 number(&S::info, &M::info, &M::set_info)};
};

template <>
struct Fields<silicon::x86::LbrState> {
  using S = silicon::x86::LbrState;
  using M = proto::LbrRegisters;
  static constexpr auto list = std::tuple{
      number(&S::select, &M::select, &M::set_select), number(&S::tos, &M::tos, &M::set_tos),
      number(&S::depth, &M::depth, &M::set_depth), number(&S::cycle, &M::cycle, &M::set_cycle),
      parts(&S::records, &M::records, &M::mutable_records)};
};

template <>
struct Fields<Turns::State> {
  using S = Turns::State;
  using M = proto::Schedule;
  static constexpr auto list =
      std::tuple{number(&S::round, &M::round, &M::set_round),
                 number(&S::vcpu, &M::vcpu, &M::set_vcpu),
                 number(&S::cut, &M::cut, &M::set_cut),
                 number(&S::in_turn, &M::in_turn, &M::set_in_turn),
                 number(&S::ran, &M::ran, &M::set_ran),
                 number(&S::turn_begin, &M::turn_begin, &M::set_turn_begin),
                 number(&S::turn_end, &M::turn_end, &M::set_turn_end),
                 number(&S::stalled, &M::stalled, &M::set_stalled),
                 number(&S::idle_timers, &M::idle_timers, &M::set_idle_timers)};
};

// ---- What has a form of its own -----------------------------------------------------------------

template <class State, class Message>
void encode_predictor(const State& cpu, Message& message) {
  const silicon::BranchPredictor::State& state = cpu.predictor;
  proto::BranchPredictor& to = *message.mutable_predictor();
  if (std::ranges::any_of(state.strength, [](auto strength) { return strength != 0; })) {
    to.mutable_strength()->assign(reinterpret_cast<const char*>(state.strength.data()),
                                  state.strength.size());
  }
  for (std::uint32_t place = 0; place < state.targets.size(); ++place) {
    const silicon::BranchPredictor::Target& target = state.targets[place];
    if (target == silicon::BranchPredictor::Target{}) continue;
    to.add_target_place(place);
    to.add_target_from(target.from);
    to.add_target_to(target.to);
  }
  if (state.returns != silicon::BranchPredictor::State{}.returns) {
    for (const std::uint64_t address : state.returns) to.add_returns(address);
  }
  to.set_return_top(state.return_top);
  to.set_return_depth(state.return_depth);
  to.set_history(state.history);
}

inline Result<void> decode_targets(const proto::BranchPredictor& from,
                                   silicon::BranchPredictor::State& state) {
  if (from.target_from_size() != from.target_place_size() ||
      from.target_to_size() != from.target_place_size()) {
    return fail("a list has another length");
  }
  for (int n = 0; n < from.target_place_size(); ++n) {
    if (from.target_place(n) >= state.targets.size()) return fail("a branch target has no place");
    state.targets[from.target_place(n)] = {from.target_from(n), from.target_to(n)};
  }
  return {};
}

/// And back.
template <class State, class Message>
Result<void> decode_predictor(const Message& message, State& cpu) {
  if (!message.has_predictor()) return fail("a part is missing");
  const proto::BranchPredictor& from = message.predictor();
  silicon::BranchPredictor::State& state = cpu.predictor;
  state = {};
  const std::string& strength = from.strength();
  if (!strength.empty() && strength.size() != state.strength.size()) {
    return fail("a block of bytes has another length");
  }
  std::copy(strength.begin(), strength.end(), state.strength.begin());
  if (auto targets = decode_targets(from, state); !targets) return targets;
  if (from.returns_size() != 0) {
    if (static_cast<std::size_t>(from.returns_size()) != state.returns.size()) {
      return fail("a list has another length");
    }
    std::copy(from.returns().begin(), from.returns().end(), state.returns.begin());
  }
  if (auto top = from_number(from.return_top(), state.return_top); !top) return top;
  if (auto depth = from_number(from.return_depth(), state.return_depth); !depth) return depth;
  state.history = from.history();
  return {};
}

template <class State, class Message>
void encode_retired(const State& state, Message& message) {
  for (const std::uint64_t total : state.retired[0]) message.add_retired_user(total);
  for (const std::uint64_t total : state.retired[1]) message.add_retired_kernel(total);
}

template <class State, class Message>
Result<void> decode_retired(const Message& message, State& state) {
  constexpr int kEvents = static_cast<int>(silicon::kRawEventCount);
  if (message.retired_user_size() != kEvents || message.retired_kernel_size() != kEvents) {
    return fail("there are totals of other events");
  }
  std::copy(message.retired_user().begin(), message.retired_user().end(), state.retired[0].begin());
  std::copy(message.retired_kernel().begin(), message.retired_kernel().end(),
            state.retired[1].begin());
  return {};
}

template <class Message>
void encode_host(const HostActivityState& state, Message& message) {
  for (const HostActivityState::Cpu& cpu : state.cpus) {
    proto::HostCpu& to = *message.add_host_cpus();
    to.set_vcpu(cpu.vcpu);
    to.set_rotation_interval(cpu.rotation_interval);
    for (const std::uint32_t event : cpu.order) to.add_order(event);
    for (const HostActivityState::Event& event : cpu.events) encode(event, *to.add_events());
    encode(cpu.lbr_switches, *to.mutable_lbr_switches());
    if (cpu.host_records) encode(*cpu.host_records, *to.mutable_host_records());
  }
}

template <class Message>
Result<void> decode_host(const Message& message, HostActivityState& state) {
  for (const proto::HostCpu& from : message.host_cpus()) {
    HostActivityState::Cpu& cpu = state.cpus.emplace_back();
    cpu.vcpu = from.vcpu();
    cpu.rotation_interval = from.rotation_interval();
    cpu.order.assign(from.order().begin(), from.order().end());
    for (const proto::HostEventState& event : from.events()) {
      if (auto done = decode(event, cpu.events.emplace_back()); !done) return done;
    }
    if (auto done = decode(from.lbr_switches(), cpu.lbr_switches); !done) return done;
    if (!from.has_host_records()) continue;
    if (auto done = decode(from.host_records(), cpu.host_records.emplace()); !done) return done;
  }
  return {};
}

template <class Repeated>
void encode_keys(const std::vector<std::uint64_t>& keys, Repeated& to) {
  to.Add(keys.begin(), keys.end());
}

template <class State, class Message>
void encode_caches(const State& state, Message& message) {
  for (const silicon::MemoryModel::State& caches : state.caches) {
    proto::Caches& to = *message.add_caches();
    encode_keys(caches.l1d, *to.mutable_l1d());
    encode_keys(caches.l2, *to.mutable_l2());
    encode_keys(caches.dtlb, *to.mutable_dtlb());
    encode_keys(caches.stlb, *to.mutable_stlb());
  }
  encode_keys(state.last_level_cache, *message.mutable_last_level_cache());
}

template <class Message, class State>
void decode_caches(const Message& message, State& state) {
  for (const proto::Caches& from : message.caches()) {
    state.caches.push_back({.l1d = {from.l1d().begin(), from.l1d().end()},
                            .l2 = {from.l2().begin(), from.l2().end()},
                            .dtlb = {from.dtlb().begin(), from.dtlb().end()},
                            .stlb = {from.stlb().begin(), from.stlb().end()}});
  }
  state.last_level_cache.assign(message.last_level_cache().begin(),
                                message.last_level_cache().end());
}

}  // namespace vpmu::machine::snapshot
