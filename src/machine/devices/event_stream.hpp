// SPDX-License-Identifier: MIT
//
// The event stream of a vCPU's generic timer (Arm ARM D11.2.3): an event at every transition, in
// one direction, of one bit of the virtual counter, so that code that waits by WFE looks again now
// and then.
//
// Only somebody who waits can tell, and only for the first one: a stream sends one event, and takes
// a place in the clock's queue, for each time that the vCPU begins to wait. Events that nobody
// waited for do not end the next wait at once, as they would where the event register remembers
// them: it takes up to a period longer.
#pragma once

#include <cstdint>

#include "machine/clock.hpp"

namespace vpmu::machine {

/// The vCPU of an event stream.
class EventStreamListener {
 public:
  /// As SEV by somebody else: it does not wait any more.
  virtual void on_stream_event() = 0;

 protected:
  ~EventStreamListener() = default;
};

class EventStream final : private Timer {
 public:
  /// Which transitions are events.
  struct Trigger {
    unsigned bit = 0;      ///< 0..15, of the counter
    bool falling = false;  ///< from 1 to 0, else from 0 to 1
  };

  EventStream(Clock& clock, std::uint64_t counter_hz)
      : Timer{clock}, clock_{clock}, counter_hz_{counter_hz} {}

  /// At set-up. Without a listener there are no events.
  void connect(EventStreamListener& listener) { listener_ = &listener; }

  /// The vCPU waits from now on. `offset`: how much its counter is behind the physical one.
  void start(const Trigger& trigger, std::uint64_t offset);
  void stop() { disarm(); }

  /// The first count behind `count` at which there is an event.
  static std::uint64_t next_event(const Trigger& trigger, std::uint64_t count);

 private:
  void on_timer() override { listener_->on_stream_event(); }

  Clock& clock_;
  std::uint64_t counter_hz_;
  EventStreamListener* listener_ = nullptr;
};

}  // namespace vpmu::machine
