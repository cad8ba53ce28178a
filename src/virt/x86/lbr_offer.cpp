// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/lbr_offer.hpp"

namespace vpmu::virt::x86 {

using silicon::x86::LbrFormat;
using silicon::x86::Vendor;

LbrRefusal lbr_refusal(const LbrOffer& offer) {
  if (offer.vendor != Vendor::kIntel) return LbrRefusal::kVendor;
  if (!offer.host.exists()) return LbrRefusal::kNoRecords;
  if (!offer.host.call_stack) return LbrRefusal::kNoCallStack;
  if (offer.version == 0) return LbrRefusal::kNoPmu;
  if (!offer.pdcm) return LbrRefusal::kNoCapabilities;
  if (offer.format == LbrFormat::k32) return LbrRefusal::kNotOffered;
  if (offer.format != offer.host.format) return LbrRefusal::kFormat;
  if (offer.host.architectural() && offer.version < kArchitecturalLbrVersion) {
    return LbrRefusal::kVersion;
  }
  if (!offer.same_model) return LbrRefusal::kModel;
  return LbrRefusal::kNone;
}

}  // namespace vpmu::virt::x86
