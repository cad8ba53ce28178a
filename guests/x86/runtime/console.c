// SPDX-License-Identifier: MIT
#include "console.h"

#include "cpu.h"

enum { COM1 = 0x3f8, DEBUG_EXIT = 0xf4 };

void console_start(void) {
  outb(COM1 + 1, 0);     // no interrupts
  outb(COM1 + 3, 0x80);  // divisor 1: 115200 baud
  outb(COM1 + 0, 1);
  outb(COM1 + 1, 0);
  outb(COM1 + 3, 3);  // 8n1
  outb(COM1 + 2, 1);  // FIFO
}

void put_char(char c) {
  while ((inb(COM1 + 5) & 0x20) == 0) pause();
  outb(COM1, (uint8_t)c);
}

void guest_exit(uint32_t value) {
  outl(DEBUG_EXIT, value);
  for (;;) __asm__ volatile("cli; hlt");
}
