// SPDX-License-Identifier: MIT
#include "property/lbr_setups.hpp"

#include <vector>

#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::property {
namespace {

using silicon::x86::LbrFormat;
using silicon::x86::LbrModel;

LbrModel legacy(LbrFormat format, std::uint8_t depth) {
  LbrModel model{.format = format, .depth = depth};
  model.from = MsrIndex{0x680};
  model.to = MsrIndex{0x6c0};
  if (format == LbrFormat::kInfo) model.info = MsrIndex{0xdc0};
  return model;
}

/// `depths` as CPUID.1CH:EAX[7:0] has them; the highest is `depth`.
LbrModel architectural(std::uint8_t depths, std::uint8_t depth) {
  LbrModel model{.format = LbrFormat::kArchitectural, .depth = depth, .depths = depths};
  model.from = MsrIndex{0x1500};
  model.to = MsrIndex{0x1600};
  model.info = MsrIndex{0x1200};
  return model;
}

LbrModel with_call_stack(LbrModel model) {
  model.call_stack = true;
  return model;
}

LbrModel with_tsx(LbrModel model) {
  model.tsx = true;
  return model;
}

/// Where Silvermont has them.
LbrModel at_low_numbers(LbrModel model) {
  model.from = MsrIndex{0x40};
  model.to = MsrIndex{0x60};
  return model;
}

std::vector<LbrSetup> make_setups() {
  using enum LbrFormat;
  std::vector<LbrSetup> setups;
  for (const silicon::x86::CpuModel* model : silicon::x86::cpu_models()) {
    if (model->lbr.exists()) setups.push_back({std::string{model->name}, model->lbr});
  }
  setups.insert(setups.end(),
                {
                    {"format 3, 16 records", legacy(kEipFlags, 16)},
                    {"format 3, 8 records", at_low_numbers(legacy(kEipFlags, 8))},
                    {"format 3, 4 records, call stack", with_call_stack(legacy(kEipFlags, 4))},
                    {"format 4", with_call_stack(legacy(kEipFlags2, 16))},
                    {"format 4, TSX", with_tsx(with_call_stack(legacy(kEipFlags2, 16)))},
                    {"format 4, 8 records, TSX", with_tsx(legacy(kEipFlags2, 8))},
                    {"format 5", with_call_stack(legacy(kInfo, 32))},
                    {"format 5, TSX", with_tsx(with_call_stack(legacy(kInfo, 32)))},
                    {"format 5, 4 records", with_call_stack(legacy(kInfo, 4))},
                    {"architectural", with_call_stack(architectural(0x0b, 32))},
                    {"architectural, TSX", with_tsx(with_call_stack(architectural(0x0a, 32)))},
                    {"architectural, 8 records", with_call_stack(architectural(0x01, 8))},
                    {"architectural without call stack", architectural(0x03, 16)},
                });
  return setups;
}

}  // namespace

std::span<const LbrSetup> lbr_setups() {
  static const std::vector<LbrSetup> kSetups = make_setups();
  return kSetups;
}

}  // namespace vpmu::property
