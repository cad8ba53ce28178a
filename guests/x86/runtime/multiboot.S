// SPDX-License-Identifier: MIT
// Multiboot 1: header and entry. EBX points at the boot information; it must survive to boot32.
#include "layout.h"

.section .multiboot, "a"
.balign 4
.long 0x1badb002
.long 0x00000002                       // we want the memory fields
.long -(0x1badb002 + 0x00000002)

.text
.code32
.global guest_entry
guest_entry:
  mov $BOOT_MULTIBOOT, %edi
  jmp boot32
