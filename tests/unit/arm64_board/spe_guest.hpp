// SPDX-License-Identifier: MIT
//
// Guests of a few words that have SPE sample all they do, and what it recorded.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "unit/arm64_board/machine_fixture.hpp"
#include "vpmu/silicon/arm64/spe_registers.hpp"

namespace vpmu::machine::arm64 {

/// The bytes of all records, one behind the other, by vCPU.
class RecordedStreams final : public SpeRecordSink {
 public:
  void on_record(unsigned vcpu, std::span<const std::uint8_t> bytes) override {
    streams[vcpu].append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  /// `machine` tells it from now on.
  void listen_to(Machine& machine) {
    for (const auto& vcpu : machine.vcpus()) vcpu->spe()->set_record_sink(this);
  }

  std::map<unsigned, std::string> streams;
};

class SpeGuestFixture : public MachineFixture {
 protected:
  using SpeFlavour = virt::arm64::SpeFlavour;
  static constexpr SpeFlavour kFlavours[] = {SpeFlavour::kVhe, SpeFlavour::kNvhe,
                                             SpeFlavour::kProtected};
  static constexpr std::uint64_t kBuffer = kBase + 0x20'0000, kBufferBytes = 0x4'0000;
  static constexpr std::uint64_t kRecordBytes = 64;
  /// Of a sample, without random part: the interval and one.
  static constexpr std::uint64_t kInterval = 256, kPeriod = kInterval + 1;
  /// Instructions of the loop that each vCPU ends in.
  static constexpr std::uint64_t kLoop = 5;

  struct Sampling {
    std::uint64_t pmsirr = kInterval;
    std::uint64_t pmscr = 0b10'0010;  ///< of EL1, with timestamps
    std::uint64_t buffer_bytes = kBufferBytes;
    /// After so many passes through the loop, the buffer is taken as empty again, and as whole: up
    /// to 65,535, 0: never.
    std::uint32_t passes = 0;
  };

  /// A guest that samples on every vCPU, each into a buffer of its own. vCPU 0 starts the other.
  struct Guest {
    Code code;
    std::uint64_t loop = 0;             ///< address
    std::vector<std::uint64_t> set_up;  ///< by vCPU: instructions before the first of the loop
  };

  static Guest sampling(const Sampling& wanted, unsigned vcpus = 1) {
    using namespace silicon::arm64::reg;
    constexpr std::size_t kOther = 24, kCommon = 32;
    Guest guest;
    Code& code = guest.code;
    if (vcpus == 2) {
      set(code, 1, 1);
      set(code, 2, kBase + 4 * kOther);
      set(code, 0, Psci::kCpuOn64);
      code.push_back(kHvc);
    }
    set(code, 10, kBuffer);
    jump(code, kCommon);
    guest.set_up.push_back(code.size());
    code.resize(kOther, code::kNop);
    set(code, 10, kBuffer + kBufferBytes);
    jump(code, kCommon);
    if (vcpus == 2) guest.set_up.push_back(code.size() - kOther);
    code.resize(kCommon, code::kNop);
    code.push_back(msr(PMBPTR_EL1, 10));
    set(code, 1, wanted.buffer_bytes + 1);
    code.push_back(code::add_register(1, 10, 1));
    code.push_back(msr(PMBLIMITR_EL1, 1));
    set(code, 1, wanted.pmsirr);
    code.push_back(msr(PMSIRR_EL1, 1));
    set(code, 11, kBase + 0x18'0000);
    code.push_back(code::movz(5, std::max(wanted.passes, 1U)));
    set(code, 1, wanted.pmscr);
    code.push_back(msr(PMSCR_EL1, 1));
    for (std::uint64_t& each : guest.set_up) each += code.size() - kCommon;
    const std::size_t loop = code.size();
    guest.loop = kBase + 4 * loop;
    code.push_back(code::ldr(2, 11));
    code.push_back(code::str(2, 11, 1));
    code.push_back(code::add(3, 3, 1));
    code.push_back(code::eor_register(4, 4, 3));
    if (wanted.passes != 0) {
      constexpr std::uint32_t kToLoop = 0x5400'0001U | ((-5U & 0x7ffff) << 5);  // B.NE
      code.push_back(code::subs(5, 5, 1));
      code.push_back(kToLoop);
      code.push_back(code::movz(5, wanted.passes));
      code.push_back(msr(PMBPTR_EL1, 10));
      code.push_back(msr(PMBSR_EL1, code::kZr));
    }
    jump(code, loop);
    return guest;
  }

  static MachineConfig spe_config(SpeFlavour flavour = SpeFlavour::kVhe, unsigned vcpus = 1) {
    MachineConfig made = config(vcpus);
    made.spe.emplace().flavour = flavour;
    return made;
  }

 private:
  static void jump(Code& code, std::size_t to) {
    code.push_back(code::b(static_cast<std::int32_t>(to) - static_cast<std::int32_t>(code.size())));
  }
};

}  // namespace vpmu::machine::arm64
