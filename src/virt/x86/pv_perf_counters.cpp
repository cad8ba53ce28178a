// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/pv_perf.hpp"
