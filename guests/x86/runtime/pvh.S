// SPDX-License-Identifier: MIT
// PVH: the ELF note that names the 32-bit entry. EBX points at the start information.
#include "layout.h"

.section .note.pvh, "a", @note
.balign 4
.long 2f - 1f                          // name bytes
.long 4f - 3f                          // descriptor bytes
.long 18                               // XEN_ELFNOTE_PHYS32_ENTRY
1:.asciz "Xen"
2:.balign 4
3:.long guest_entry
4:.balign 4

.text
.code32
.global guest_entry
guest_entry:
  mov $BOOT_PVH, %edi
  jmp boot32
