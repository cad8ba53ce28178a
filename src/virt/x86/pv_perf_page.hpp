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

  /// Takes a new AREA. False, and nothing has changed: reserved bits, no writable RAM, or another
  /// vCPU's page. If it enables a page, the host's parts of it are zeroed, unless `keep_content`:
  /// then the sequence goes on behind what is in the page.
  bool set_area(pv::Area area, bool keep_content);
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
  /// False: it is no RAM any more. The caller then disables it.
  bool publish(const Content& content);

  struct Refusal {
    pv::Code code;
    std::uint16_t id;
  };
  /// The commands of the events in `mask`, each copied once; others are left as they are. Refused
  /// if something that must be zero is not, or (kGpa) the page is no RAM any more.
  tl::expected<void, Refusal> load(std::uint32_t mask,
                                   std::array<pv::CommandRecord, pv::kMaxEvents>& into);

  [[nodiscard]] std::uint32_t seq() const { return seq_; }
  void set_seq(std::uint32_t seq) { seq_ = seq; }

 private:
  const PvPerfConfig& config_;
  const hostperf::VcpuIndex vcpu_;
  PvPerfHost& host_;
  PvPerfAreas& areas_;
  pv::Area area_;
  std::uint32_t seq_ = 0;  ///< even
};

}  // namespace vpmu::virt::x86
