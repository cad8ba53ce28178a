// SPDX-License-Identifier: MIT
#include "vpmu/silicon/x86/cpu_model.hpp"

#include "silicon/x86/models/models.hpp"

namespace vpmu::silicon::x86 {

const char* name(Vendor vendor) {
  return vendor == Vendor::kIntel ? "Intel" : "AMD";
}

std::span<const CpuModel* const> cpu_models() {
  static constexpr const CpuModel* kModels[] = {&kHaswellServer, &kIcelakeServer, &kSapphireRapids,
                                                &kSkylakeServer, &kZen2,          &kZen4};
  return kModels;
}

const CpuModel* find_cpu_model(std::string_view name) {
  for (const CpuModel* model : cpu_models()) {
    if (model->name == name) return model;
  }
  return nullptr;
}

}  // namespace vpmu::silicon::x86
