// SPDX-License-Identifier: MIT
#include <array>
#include <cstring>

#include "machine/arm64/emulate.hpp"

namespace vpmu::machine::arm64 {

namespace {

constexpr std::uint64_t kPageBytes = 4096;

/// Where an access goes: to one place, or to one on each side of a page end.
struct Target {
  std::uint64_t first = 0;  ///< physical
  unsigned first_bytes = 0;
  std::uint64_t second = 0;
  unsigned second_bytes = 0;
};

struct Wanted {
  std::uint64_t address;
  unsigned bytes;
  MemoryUse use;
  ExceptionLevel rights;

  [[nodiscard]] bool aligned() const { return address % bytes == 0; }
};

/// Translates one side of an access that begins at `address` there.
tl::expected<std::uint64_t, Fault> side(const Mmu& mmu, const Wanted& wanted,
                                        std::uint64_t address) {
  const auto found = mmu.translate(address, wanted.use, wanted.rights);
  if (!found) return tl::unexpected(found.error());
  if (found->type == MemoryType::kDevice && !wanted.aligned()) {
    return tl::unexpected(alignment_fault(wanted.address, wanted.use));
  }
  return found->physical;
}

tl::expected<Target, Fault> translate(const Core& core, const Mmu& mmu, const Wanted& wanted) {
  if (!wanted.aligned() && alignment_checked(core)) {
    return tl::unexpected(alignment_fault(wanted.address, wanted.use));
  }
  Target target;
  const auto in_page = static_cast<unsigned>(kPageBytes - wanted.address % kPageBytes);
  target.first_bytes = in_page < wanted.bytes ? in_page : wanted.bytes;
  target.second_bytes = wanted.bytes - target.first_bytes;
  const auto first = side(mmu, wanted, wanted.address);
  if (!first) return tl::unexpected(first.error());
  target.first = *first;
  if (target.second_bytes == 0) return target;
  const auto second = side(mmu, wanted, wanted.address + target.first_bytes);
  if (!second) return tl::unexpected(second.error());
  target.second = *second;
  return target;
}

/// Devices get what is aligned as one access; Normal memory where there is no RAM, byte for byte.
template <class Each>
void in_pieces(std::uint64_t physical, unsigned bytes, Each each) {
  const bool whole = (bytes & (bytes - 1)) == 0 && physical % bytes == 0;
  const unsigned piece = whole ? bytes : 1;
  for (unsigned done = 0; done < bytes; done += piece) each(physical + done, done, piece);
}

}  // namespace

tl::expected<std::uint64_t, Fault> DirectData::read(std::uint64_t address, unsigned bytes,
                                                    ExceptionLevel rights) {
  const auto target = translate(core_, mmu_, {address, bytes, MemoryUse::kRead, rights});
  if (!target) return tl::unexpected(target.error());
  std::array<std::uint8_t, 8> value{};
  const auto get = [&](std::uint64_t physical, unsigned count, unsigned offset) {
    if (const std::uint8_t* host = memory_.host(physical, count)) {
      std::memcpy(value.data() + offset, host, count);
      return;
    }
    in_pieces(physical, count, [&](std::uint64_t at, unsigned done, unsigned piece) {
      const std::uint64_t read = environment_.read_mmio(at, piece);
      std::memcpy(value.data() + offset + done, &read, piece);
    });
  };
  get(target->first, target->first_bytes, 0);
  if (target->second_bytes != 0) get(target->second, target->second_bytes, target->first_bytes);
  std::uint64_t result = 0;
  std::memcpy(&result, value.data(), sizeof result);
  return result;
}

tl::expected<void, Fault> DirectData::write(std::uint64_t address, unsigned bytes,
                                            std::uint64_t value, ExceptionLevel rights) {
  const auto target = translate(core_, mmu_, {address, bytes, MemoryUse::kWrite, rights});
  if (!target) return tl::unexpected(target.error());
  std::array<std::uint8_t, 8> from{};
  std::memcpy(from.data(), &value, sizeof value);
  const auto put = [&](std::uint64_t physical, unsigned count, unsigned offset) {
    if (std::uint8_t* host = memory_.host(physical, count)) {
      std::memcpy(host, from.data() + offset, count);
      return;
    }
    in_pieces(physical, count, [&](std::uint64_t at, unsigned done, unsigned piece) {
      std::uint64_t part = 0;
      std::memcpy(&part, from.data() + offset + done, piece);
      environment_.write_mmio(at, piece, part);
    });
  };
  put(target->first, target->first_bytes, 0);
  if (target->second_bytes != 0) put(target->second, target->second_bytes, target->first_bytes);
  return {};
}

tl::expected<void, Fault> DirectData::zero(std::uint64_t address, ExceptionLevel rights) {
  const auto found = mmu_.translate(address, MemoryUse::kWrite, rights);
  if (!found) return tl::unexpected(found.error());
  // Device memory has no blocks to zero.
  if (found->type == MemoryType::kDevice) {
    return tl::unexpected(alignment_fault(address, MemoryUse::kWrite));
  }
  if (std::uint8_t* host = memory_.host(found->physical, kZvaBytes)) {
    std::memset(host, 0, kZvaBytes);
    return {};
  }
  for (std::uint64_t done = 0; done < kZvaBytes; done += 8) {
    environment_.write_mmio(found->physical + done, 8, 0);
  }
  return {};
}

}  // namespace vpmu::machine::arm64
