// SPDX-License-Identifier: MIT
//
// Where devices are: I/O ports and physical addresses that are not RAM. A read nobody answers gives
// all ones, as on a PC, unless the bus is told otherwise; a write nobody takes disappears.
#pragma once

#include <cstdint>
#include <vector>

namespace vpmu::machine {

class PortDevice {
 public:
  /// `port` is absolute; `bytes` is 1, 2 or 4. Bits above the size are ignored by the caller.
  virtual std::uint32_t read_port(std::uint16_t port, unsigned bytes) = 0;
  virtual void write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) = 0;

 protected:
  ~PortDevice() = default;
};

class MmioDevice {
 public:
  /// `offset` from the start of the device's range; `bytes` is 1, 2, 4 or 8.
  virtual std::uint64_t read_mmio(std::uint64_t offset, unsigned bytes) = 0;
  virtual void write_mmio(std::uint64_t offset, unsigned bytes, std::uint64_t value) = 0;

 protected:
  ~MmioDevice() = default;
};

class Bus {
 public:
  /// What a read of a physical address gives that nobody answers, before it is cut to its size.
  explicit Bus(std::uint64_t nobody = ~std::uint64_t{0}) : nobody_{nobody} {}

  /// Devices must outlive the bus. Ranges must not overlap (asserted).
  void add_ports(std::uint16_t first, std::uint32_t count, PortDevice& device);
  void add_mmio(std::uint64_t first, std::uint64_t length, MmioDevice& device);

  std::uint32_t read_port(std::uint16_t port, unsigned bytes);
  void write_port(std::uint16_t port, unsigned bytes, std::uint32_t value);
  /// False: nobody is there.
  [[nodiscard]] bool answers_mmio(std::uint64_t address, unsigned bytes) const;
  std::uint64_t read_mmio(std::uint64_t address, unsigned bytes);
  void write_mmio(std::uint64_t address, unsigned bytes, std::uint64_t value);

 private:
  struct PortRange {
    std::uint16_t first;
    std::uint32_t count;
    PortDevice* device;
    [[nodiscard]] std::uint64_t length_in_bytes() const { return count; }
  };
  struct MmioRange {
    std::uint64_t first;
    std::uint64_t length;
    MmioDevice* device;
    [[nodiscard]] std::uint64_t length_in_bytes() const { return length; }
  };
  const std::uint64_t nobody_;
  std::vector<PortRange> ports_;
  std::vector<MmioRange> mmio_;
};

}  // namespace vpmu::machine
