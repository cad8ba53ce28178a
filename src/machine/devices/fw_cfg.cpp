// SPDX-License-Identifier: MIT
#include "machine/devices/fw_cfg.hpp"

namespace vpmu::machine {

namespace {
constexpr std::uint16_t kSelector = 0x510, kData = 0x511;
constexpr std::uint16_t kSignature = 0x00, kInterface = 0x01, kCpuCount = 0x05, kMaxCpus = 0x0f;
}  // namespace

FwCfg::FwCfg(std::uint16_t cpu_count)
    : cpu_count_{static_cast<char>(cpu_count & 0xff), static_cast<char>(cpu_count >> 8)} {}

void FwCfg::add_to(Bus& bus) {
  bus.add_ports(kSelector, 2, *this);
}

std::string_view FwCfg::item(std::uint16_t key) const {
  switch (key) {
    case kSignature: return "QEMU";
    case kInterface: return {"\1\0\0\0", 4};
    case kCpuCount:
    case kMaxCpus: return {cpu_count_, sizeof cpu_count_};
    default: return {};
  }
}

std::uint8_t FwCfg::next_byte() {
  const std::string_view bytes = item(state_.key);
  return state_.offset < bytes.size() ? static_cast<std::uint8_t>(bytes[state_.offset++]) : 0;
}

std::uint32_t FwCfg::read_port(std::uint16_t port, unsigned bytes) {
  if (port != kData) return bytes == 2 ? state_.key : 0;
  return next_byte();
}

void FwCfg::write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) {
  if (port == kSelector && bytes == 2) state_ = {static_cast<std::uint16_t>(value), 0};
}

}  // namespace vpmu::machine
