// SPDX-License-Identifier: MIT
//
// Prints what is typed, sleeping in between: every byte comes through the serial port's interrupt.
// Ctrl-D (4) ends it.
#include <stdbool.h>

#include "runtime/apic.h"
#include "runtime/console.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { COM1 = 0x3f8, COM1_PIN = 4, IO_APIC = 0xfec00000, VECTOR_UART = 0x52, END_OF_INPUT = 4 };

static volatile bool ended;

static void on_uart(struct trap* frame) {
  (void)frame;
  while ((inb(COM1 + 5) & 1) != 0) {
    const uint8_t byte = inb(COM1);
    if (byte == END_OF_INPUT)
      ended = true;
    else
      put_char((char)byte);
  }
  apic_eoi();
}

static void io_apic_write(unsigned reg, uint32_t value) {
  *(volatile uint32_t*)(uint64_t)IO_APIC = reg;
  *(volatile uint32_t*)(uint64_t)(IO_APIC + 0x10) = value;
}

void guest_main(void) {
  apic_start();
  set_handler(VECTOR_UART, on_uart);
  io_apic_write(0x11 + 2 * COM1_PIN, apic_id() << 24);
  io_apic_write(0x10 + 2 * COM1_PIN, VECTOR_UART);
  outb(COM1 + 4, 0x0b);  // DTR, RTS, OUT2
  outb(COM1 + 1, 1);     // interrupt when there is data
  while (!ended) sti_hlt_cli();
  guest_exit(0);
}
