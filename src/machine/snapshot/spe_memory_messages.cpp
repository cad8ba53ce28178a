// SPDX-License-Identifier: MIT
#include "machine/snapshot/spe_memory_messages.hpp"

#include "machine/snapshot/fields.hpp"

namespace vpmu::machine::snapshot {

using virt::memory::PinCacheState;

template <>
struct Fields<virt::memory::BufferKey> {
  using S = virt::memory::BufferKey;
  using M = proto::BufferKey;
  static constexpr auto list = std::tuple{
      number(&S::root, &M::root, &M::set_root), number(&S::begin, &M::begin, &M::set_begin),
      number(&S::limit, &M::limit, &M::set_limit),
      number(&S::generation, &M::generation, &M::set_generation)};
};

template <>
struct Fields<virt::memory::PinCacheStatistics> {
  using S = virt::memory::PinCacheStatistics;
  using M = proto::PinCacheStatistics;
  static constexpr auto list = std::tuple{number(&S::hits, &M::hits, &M::set_hits),
                                          number(&S::rewalks, &M::rewalks, &M::set_rewalks),
                                          number(&S::pins, &M::pins, &M::set_pins),
                                          number(&S::evictions, &M::evictions, &M::set_evictions)};
};

namespace {
void encode_buffer(const PinCacheState::Buffer& buffer, proto::PinnedBuffer& message) {
  encode(buffer.key, *message.mutable_key());
  message.set_used(buffer.used);
  for (const PinCacheState::Run& run : buffer.runs) {
    message.add_runs(run.begin);
    message.add_runs(run.pages);
  }
}

Result<void> decode_buffer(const proto::PinnedBuffer& message, PinCacheState::Buffer& buffer) {
  if (!message.has_key() || message.runs_size() % 2 != 0) return fail("a buffer is not whole");
  buffer.used = message.used();
  for (int n = 0; n < message.runs_size(); n += 2) {
    buffer.runs.push_back({message.runs(n), message.runs(n + 1)});
  }
  return decode(message.key(), buffer.key);
}

void encode_pins(const arm64::BufferPinsState& pins, proto::BufferPins& message) {
  for (const auto& buffer : pins.cache.buffers) encode_buffer(buffer, *message.add_buffers());
  message.set_in_use(pins.cache.in_use);
  encode(pins.cache.statistics, *message.mutable_statistics());
  if (pins.in_use) encode(*pins.in_use, *message.mutable_key());
  message.set_refused(pins.refused);
}

Result<void> decode_pins(const proto::BufferPins& message, arm64::BufferPinsState& pins) {
  if (!message.has_statistics()) return fail("a part of the pinned buffers is missing");
  for (const proto::PinnedBuffer& buffer : message.buffers()) {
    auto done = decode_buffer(buffer, pins.cache.buffers.emplace_back());
    if (!done) return done;
  }
  pins.cache.in_use = message.in_use();
  pins.refused = message.refused();
  if (message.has_key()) {
    if (auto key = decode(message.key(), pins.in_use.emplace()); !key) return key;
  }
  return decode(message.statistics(), pins.cache.statistics);
}
}  // namespace

void encode_spe_memory(const arm64::MachineState& state, proto::Arm64Machine& message) {
  if (!state.spe_memory) return;
  const arm64::SpeMemoryState& memory = *state.spe_memory;
  proto::SpeMemory& to = *message.mutable_spe_memory();
  to.mutable_mapped()->Add(memory.mapped.begin(), memory.mapped.end());
  to.set_stage2_faults(memory.stage2_faults);
  to.set_first_fault(memory.first_fault);
  for (const arm64::DeferredOperation operation : memory.deferred) {
    to.mutable_deferred()->push_back(static_cast<char>(operation));
  }
  for (const auto& pins : state.buffer_pins) encode_pins(pins, *to.add_pins());
}

Result<void> decode_spe_memory(const proto::Arm64Machine& message, arm64::MachineState& state) {
  if (!message.has_spe_memory()) return {};
  const proto::SpeMemory& from = message.spe_memory();
  arm64::SpeMemoryState& memory = state.spe_memory.emplace();
  memory.mapped.assign(from.mapped().begin(), from.mapped().end());
  memory.stage2_faults = from.stage2_faults();
  memory.first_fault = from.first_fault();
  for (const char operation : from.deferred()) {
    memory.deferred.push_back(static_cast<arm64::DeferredOperation>(operation));
    if (memory.deferred.back() > arm64::DeferredOperation::kInstructionCache) {
      return fail("an operation of the memory's is none");
    }
  }
  for (const proto::BufferPins& pins : from.pins()) {
    auto done = decode_pins(pins, state.buffer_pins.emplace_back());
    if (!done) return done;
  }
  return {};
}

}  // namespace vpmu::machine::snapshot
