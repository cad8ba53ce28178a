// SPDX-License-Identifier: MIT
//
// How the guest was booted.
#pragma once

/// BOOT_MULTIBOOT, BOOT_PVH or BOOT_ELF64; and the boot information as it was passed.
unsigned boot_protocol(void);
const void* boot_information(void);
