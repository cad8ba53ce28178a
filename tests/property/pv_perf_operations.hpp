// SPDX-License-Identifier: MIT
//
// What can happen to PV perf, drawn at random or decoded from a fuzzer's input.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "property/choices.hpp"
#include "property/pv_perf_setups.hpp"

namespace vpmu::property {

struct PvPerfOperation {
  enum class Kind : std::uint8_t {
    kReadMsr,   ///< where: from the base
    kWriteMsr,  ///< where: from the base; value
    kRdpmc,     ///< where: ECX; flag: may read; value: has a PMU
    kCommand,   ///< where: event; words: its command record
    kCall,      ///< words: RAX, RBX, RCX, RDX; flag: long mode; value: user
    kOpen,      ///< where: address of param; words: see PvPerfOpen; value: of attr; flag: scribble
    kPoke,      ///< where: address; value: a word of memory
    kPage,      ///< where: page; value: what it is now
    kScribble,  ///< value: what other vCPUs write behind reads from now on; 0: nothing
    kRetire,    ///< where: how many; value: a pattern; flag: user
    kSoftware,  ///< where: which event; value: how often; flag: user
    kTime,      ///< value: ns; flag: in one piece
    kMove,      ///< where: host CPU; value: ns of being off
    kHost,      ///< where: host CPU; value: how many counters the host has there
    kRefuse,    ///< value: what the host says to whoever opens an event; 0: nothing
    kGate,      ///< value: its key; flag: another gate
    kLvtpc,     ///< value: what becomes of the next interrupt
    kReset,
    kRestore,  ///< where: on which host; value: a pattern; flag: register by register
  };
  Kind kind;
  std::uint32_t where = 0;
  std::uint64_t value = 0;
  bool flag = false;
  std::array<std::uint64_t, 8> words{};
};

/// Of kOpen: the words of CallParam, behind those that the operation has the address of.
struct PvPerfOpen {
  static constexpr std::size_t kEvent = 0, kId = 1, kType = 2, kConfig = 3, kPeriod = 4,
                               kReadFormat = 5, kFlags = 6, kReserved = 7;
};

PvPerfOperation draw_operation(Choices& choices, const PvPerfSetup& setup);

/// One line of C++-like text.
std::string describe(const PvPerfOperation& operation);

}  // namespace vpmu::property
