// SPDX-License-Identifier: MIT
//
// What a PC has had since 1984: interval timer, interrupt controllers old and new, real-time clock,
// serial port.
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum {
  PIT0 = 0x40,
  PIT2 = 0x42,
  PIT_COMMAND = 0x43,
  PIC0 = 0x20,
  PIC1 = 0xa0,
  RTC_INDEX = 0x70,
  RTC_DATA = 0x71,
  COM1 = 0x3f8,
  IO_APIC = 0xfec00000,
  VECTOR_PIC = 0x30,
  VECTOR_PIT = 0x51,
  VECTOR_UART = 0x52,
};

static volatile unsigned ticks, pic_ticks, uart_interrupts;
static void on_pit(struct trap* frame) {
  (void)frame;
  ++ticks;
  apic_eoi();
}
static void on_pic(struct trap* frame) {
  (void)frame;
  ++pic_ticks;
  outb(PIC0, 0x20);
}
static void on_uart(struct trap* frame) {
  (void)frame;
  ++uart_interrupts;
  inb(COM1 + 2);  // reading IIR acknowledges "transmitter empty"
  apic_eoi();
}

static void io_apic_write(unsigned reg, uint32_t value) {
  *(volatile uint32_t*)(uint64_t)IO_APIC = reg;
  *(volatile uint32_t*)(uint64_t)(IO_APIC + 0x10) = value;
}
static uint32_t io_apic_read(unsigned reg) {
  *(volatile uint32_t*)(uint64_t)IO_APIC = reg;
  return *(volatile uint32_t*)(uint64_t)(IO_APIC + 0x10);
}
static void route(unsigned pin, uint32_t low) {
  io_apic_write(0x11 + 2 * pin, apic_id() << 24);
  io_apic_write(0x10 + 2 * pin, low);
}

static void pit_start(unsigned mode, uint16_t count) {
  outb(PIT_COMMAND, (uint8_t)(0x30 | mode << 1));
  outb(PIT0, (uint8_t)count);
  outb(PIT0, (uint8_t)(count >> 8));
}
static uint16_t pit_read(void) {
  outb(PIT_COMMAND, 0);  // latch
  const uint16_t low = inb(PIT0);
  return (uint16_t)(low | inb(PIT0) << 8);
}

static void pic_start(void) {
  outb(PIC0, 0x11);
  outb(PIC0 + 1, VECTOR_PIC);
  outb(PIC0 + 1, 4);
  outb(PIC0 + 1, 1);
  outb(PIC1, 0x11);
  outb(PIC1 + 1, VECTOR_PIC + 8);
  outb(PIC1 + 1, 2);
  outb(PIC1 + 1, 1);
  outb(PIC0 + 1, 0xff);
  outb(PIC1 + 1, 0xff);
}

static void check_pit(void) {
  CHECK((io_apic_read(1) >> 16 & 0xff) == 23, "the I/O APIC has 24 pins");
  set_handler(VECTOR_PIT, on_pit);
  route(2, VECTOR_PIT);
  CHECK((io_apic_read(0x14) & 0xff) == VECTOR_PIT, "its redirection entry reads back");
  pit_start(2, 1193);  // 1 kHz
  while (ticks < 5) sti_hlt_cli();
  CHECK(ticks >= 5, "timer 0 interrupts through I/O APIC pin 2");
  const uint64_t begin = rdtsc();
  const unsigned first = ticks;
  while (ticks < first + 4) sti_hlt_cli();
  print("      4 ms are %lu cycles of the TSC\n", rdtsc() - begin);
  const uint16_t before = pit_read();
  uint16_t after = before;
  for (unsigned i = 0; i < 100000 && after == before; ++i) after = pit_read();
  CHECK(before != after && before <= 1193 && after <= 1193, "its counter counts down");
  route(2, LVT_MASKED);
  const unsigned masked_at = ticks;
  for (uint64_t start = rdtsc(); rdtsc() - start < 10000000;) pause();
  sti();
  __asm__ volatile("nop");
  cli();
  CHECK(ticks <= masked_at + 1, "a masked pin is silent");
}

static void check_pic(void) {
  set_handler(VECTOR_PIC, on_pic);
  apic_write(APIC_LVT_LINT0, 7 << 8);  // ExtINT
  pic_start();
  CHECK(inb(PIC0 + 1) == 0xff, "the 8259's mask reads back");
  pit_start(2, 1193);
  outb(PIC0 + 1, 0xfe);
  while (pic_ticks < 3) sti_hlt_cli();
  CHECK(pic_ticks >= 3, "timer 0 interrupts through the 8259 and LINT0 too");
  outb(PIC0 + 1, 0xff);
  apic_write(APIC_LVT_LINT0, LVT_MASKED);
}

static void check_gate(void) {
  // Timer 2 in mode 0: its output in port 61H goes high when it has counted down.
  outb(0x61, 1);
  outb(PIT_COMMAND, 0xb0);
  outb(PIT2, 0x00);
  outb(PIT2, 0x04);
  CHECK((inb(0x61) & 0x20) == 0, "timer 2's output is low while it counts");
  unsigned polls = 0;
  while ((inb(0x61) & 0x20) == 0 && ++polls < 10000000) pause();
  CHECK((inb(0x61) & 0x20) != 0, "and high at the end");
}

static uint8_t rtc_read(uint8_t index) {
  outb(RTC_INDEX, index);
  return inb(RTC_DATA);
}

static void check_rtc(void) {
  const uint8_t status_b = rtc_read(0xb);
  const uint8_t month = rtc_read(8), day = rtc_read(7), hour = rtc_read(4);
  CHECK((rtc_read(0xd) & 0x80) != 0, "the real-time clock has power");
  const uint8_t top_month = (status_b & 4) != 0 ? 12 : 0x12,
                top_day = (status_b & 4) != 0 ? 31 : 0x31;
  CHECK(month >= 1 && month <= top_month && day >= 1 && day <= top_day && hour <= 0x92,
        "its date is one");
}

static void check_uart(void) {
  outb(COM1 + 7, 0x5a);
  CHECK(inb(COM1 + 7) == 0x5a, "the scratch register of the serial port keeps a byte");
  while ((inb(COM1 + 5) & 0x40) == 0) pause();  // the last character has left
  outb(COM1 + 4, 0x10 | 0xa);                   // loopback
  const uint8_t modem = inb(COM1 + 6);
  outb(COM1, 'x');
  unsigned polls = 0;
  while ((inb(COM1 + 5) & 1) == 0 && ++polls < 10000000) pause();
  const uint8_t received = inb(COM1);
  outb(COM1 + 4, 0x8);
  CHECK_EQUAL(modem & 0xf0, 0x90, "loopback shows RTS and OUT2 as CTS and DCD");
  CHECK_EQUAL(received, 'x', "loopback receives what is sent");

  set_handler(VECTOR_UART, on_uart);
  route(4, VECTOR_UART);
  outb(COM1 + 1, 2);  // transmitter empty
  sti();
  for (polls = 0; uart_interrupts == 0 && polls < 1000000; ++polls) pause();
  cli();
  outb(COM1 + 1, 0);
  route(4, LVT_MASKED);
  CHECK(uart_interrupts >= 1, "an empty transmitter interrupts through I/O APIC pin 4");
}

void guest_main(void) {
  pic_start();
  apic_start();
  check_pit();
  check_pic();
  check_gate();
  check_rtc();
  check_uart();
}
