// SPDX-License-Identifier: MIT
#include "vpmu/silicon/arm64/cpu_model.hpp"

#include "silicon/arm64/models/models.hpp"

namespace vpmu::silicon::arm64 {

std::span<const CpuModel* const> cpu_models() {
  static constexpr const CpuModel* kModels[] = {&kArmv8_5, &kCortexA72, &kNeoverseN1, &kNeoverseV1};
  return kModels;
}

const CpuModel* find_cpu_model(std::string_view name) {
  for (const CpuModel* model : cpu_models()) {
    if (model->name == name) return model;
  }
  return nullptr;
}

const char* pmu_version_name(std::uint8_t version) {
  switch (version) {
    case 1: return "PMUv3";
    case 4: return "PMUv3.1";
    case 5: return "PMUv3.4";
    case 6: return "PMUv3.5";
    case 7: return "PMUv3.7";
    default: return nullptr;
  }
}

}  // namespace vpmu::silicon::arm64
