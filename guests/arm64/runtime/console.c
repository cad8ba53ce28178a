// SPDX-License-Identifier: MIT
#include "console.h"

#include "cpu.h"
#include "layout.h"

// PL011.
enum { DR = 0x00, FR = 0x18, IBRD = 0x24, FBRD = 0x28, LCR_H = 0x2c, CR = 0x30, IMSC = 0x38 };
enum { FR_TXFF = 1 << 5 };
enum { SYS_EXIT = 0x18 };

void console_start(void) {
  write32(UART + CR, 0);
  write32(UART + IMSC, 0);
  write32(UART + IBRD, 13);  // 115200 baud of 24 MHz
  write32(UART + FBRD, 1);
  write32(UART + LCR_H, 0x70);  // 8n1, FIFO
  write32(UART + CR, 0x301);    // receives and sends
}

void put_char(char c) {
  while ((read32(UART + FR) & FR_TXFF) != 0) pause();
  write32(UART + DR, (uint8_t)c);
}

void guest_exit(uint32_t value) {
  const uint64_t application_exit[2] = {0x20026, value};
  register uint64_t operation __asm__("x0") = SYS_EXIT;
  register const uint64_t* parameters __asm__("x1") = application_exit;
  for (;;) __asm__ volatile("hlt #0xf000" : "+r"(operation) : "r"(parameters) : "memory");
}
