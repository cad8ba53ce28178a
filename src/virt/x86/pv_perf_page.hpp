// SPDX-License-Identifier: MIT
//
// The shared page of one vCPU: where it is, how it is written so that readers on other vCPUs see
// one state, and the commands in it, which are copied out once. Knows nothing of what they mean.
//
// The sequence number lives here; the one in the page is output only.
#pragma once

#include <array>
#include <cstdint>

#include <tl/expected.hpp>

#include "vpmu/virt/x86/pv_perf_abi.hpp"
#include "vpmu/virt/x86/pv_perf_config.hpp"
#include "vpmu/virt/x86/pv_perf_host.hpp"

namespace vpmu::virt::x86 {

class PvPerfPage {
 public:
  PvPerfPage(const PvPerfConfig& config, hostperf::VcpuIndex vcpu, PvPerfHost& host,
             PvPerfAreas& areas)
      : config_{config}, vcpu_{vcpu}, host_{host}, areas_{areas} {}
  ~PvPerfPage() { disable(); }
  PvPerfPage(const PvPerfPage&) = delete;
  PvPerfPage& operator=(const PvPerfPage&) = delete;

  /// AREA as the guest wrote it.
  [[nodiscard]] pv::Area area() const { return area_; }
  [[nodiscard]] bool enabled() const { return area_.get(pv::Area::kEnable) != 0; }

  /// Takes a new AREA. False, and nothing has changed: reserved bits, no such feature, no writable
  /// RAM, or another vCPU's page. If it enables a page, the host's parts of it are zeroed.
  bool set_area(pv::Area area);
  /// The same for a guest that comes from elsewhere: its page keeps its content, and the sequence
  /// goes on behind the number in it. `found`: the header, from one reading; of no use to trust,
  /// and left alone if no page is enabled.
  bool adopt(pv::Area area, pv::PageHeader& found);
  /// AREA is 0, and the page is never touched again.
  void disable();

  /// What publish() writes besides what the page knows by itself (seq, abi, time, flags).
  struct Content {
    std::uint64_t global_ctrl = 0;
    std::uint64_t global_status = 0;
    std::uint32_t batch_seq = 0;
    std::uint16_t batch_code = 0;
    std::uint16_t batch_id = pv::kNoId;
    std::array<pv::EventRecord, pv::kMaxEvents> events;  ///< the first config.events count
  };
  /// Of an enabled page. False: it is no RAM any more. The caller then disables it.
  bool publish(const Content& content);

  using Commands = std::array<pv::CommandRecord, pv::kMaxEvents>;
  /// The commands of the events in `mask`, each copied once and not looked at; what the others are
  /// then is anything. Refused if something in the command header is not zero (kReserved), or if
  /// the page is no RAM any more (kGpa); the caller then disables it.
  tl::expected<void, pv::Code> load(std::uint32_t mask, Commands& into);

  /// The number in the page: even.
  [[nodiscard]] std::uint32_t seq() const { return seq_; }
  void set_seq(std::uint32_t seq) { seq_ = seq; }

 private:
  [[nodiscard]] static GuestPhysical frame(pv::Area area);
  [[nodiscard]] GuestPhysical at(std::size_t offset) const;
  [[nodiscard]] bool well_formed(pv::Area area) const;
  bool claim(pv::Area area);
  void zero();

  const PvPerfConfig& config_;
  const hostperf::VcpuIndex vcpu_;
  PvPerfHost& host_;
  PvPerfAreas& areas_;
  pv::Area area_;
  std::uint32_t seq_ = 0;
};

}  // namespace vpmu::virt::x86
