// SPDX-License-Identifier: MIT
#include "profile/spe/dump.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

namespace vpmu::profile::spe {

namespace {

static_assert(std::endian::native == std::endian::little, "dumps are as they are in memory");

constexpr std::string_view kMagic = "vpmu-spe";
constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kEndOfDump = ~std::uint32_t{0};
constexpr std::size_t kAlign = 8;

struct FixedHeader {
  std::array<char, 8> magic{};
  std::uint32_t version = kVersion;
  std::uint32_t header_bytes = 0;  ///< with the texts; where sections begin
  std::uint32_t vcpus = 0;
  std::uint32_t midr = 0;
  std::uint64_t time_shift = 0;
  std::uint64_t time_multiplier = 0;
  std::uint64_t time_zero = 0;
  std::uint64_t period = 0;
  std::uint32_t cpu_model_bytes = 0;
  std::uint32_t image_bytes = 0;
};
static_assert(sizeof(FixedHeader) == 64);

struct SectionHeader {
  std::uint32_t vcpu = 0;
  std::uint32_t flags = 0;
  std::uint64_t size = 0;
};
static_assert(sizeof(SectionHeader) == 16);

template <class T>
std::string raw(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

void pad(std::string& bytes) {
  bytes.append((kAlign - bytes.size() % kAlign) % kAlign, '\0');
}

tl::unexpected<Error> malformed(std::size_t offset, std::string_view what) {
  return fail(fmt::format("at byte {}: {}; dump it anew", offset, what));
}

Result<DumpInfo> info_of(const FixedHeader& header, std::string_view texts) {
  constexpr std::size_t kModelAt = 56, kImageAt = 60, kVcpusAt = 16;
  if (header.vcpus == 0 || header.vcpus > kMostDumpedVcpus) {
    return malformed(kVcpusAt, fmt::format("{} vCPUs", header.vcpus));
  }
  if (header.cpu_model_bytes > std::min(texts.size(), kLongestDumpText)) {
    return malformed(kModelAt, "a CPU model's name that is too long");
  }
  if (header.image_bytes > std::min(texts.size() - header.cpu_model_bytes, kLongestDumpText)) {
    return malformed(kImageAt, "an image's name that is too long");
  }
  return DumpInfo{.vcpus = header.vcpus,
                  .midr = header.midr,
                  .period = header.period,
                  .time = {header.time_shift, header.time_multiplier, header.time_zero},
                  .cpu_model = std::string{texts.substr(0, header.cpu_model_bytes)},
                  .image = std::string{texts.substr(header.cpu_model_bytes, header.image_bytes)}};
}

}  // namespace

std::string dump_header(const DumpInfo& info) {
  const std::string_view model = std::string_view{info.cpu_model}.substr(0, kLongestDumpText);
  const std::string_view image = std::string_view{info.image}.substr(0, kLongestDumpText);
  std::string texts{model};
  texts += image;
  pad(texts);
  FixedHeader header;
  std::copy(kMagic.begin(), kMagic.end(), header.magic.begin());
  header.header_bytes = static_cast<std::uint32_t>(sizeof header + texts.size());
  header.vcpus = info.vcpus;
  header.midr = info.midr;
  header.time_shift = info.time.shift;
  header.time_multiplier = info.time.multiplier;
  header.time_zero = info.time.zero;
  header.period = info.period;
  header.cpu_model_bytes = static_cast<std::uint32_t>(model.size());
  header.image_bytes = static_cast<std::uint32_t>(image.size());
  return raw(header) + texts;
}

std::string dump_section(std::uint32_t vcpu, std::uint32_t flags,
                         std::span<const std::uint8_t> trace) {
  std::string bytes = raw(SectionHeader{vcpu, flags, trace.size()});
  bytes.append(reinterpret_cast<const char*>(trace.data()), trace.size());
  pad(bytes);
  return bytes;
}

std::string dump_end() {
  return raw(SectionHeader{kEndOfDump, 0, 0});
}

bool is_dump(std::span<const std::uint8_t> bytes) {
  return bytes.size() >= kMagic.size() && std::equal(kMagic.begin(), kMagic.end(), bytes.begin());
}

Result<Dump> parse_dump(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t kVersionAt = 8, kHeaderBytesAt = 12;
  FixedHeader header;
  if (!is_dump(bytes)) return malformed(0, "no dump of SPE");
  if (bytes.size() < sizeof header) return malformed(bytes.size(), "a header that is cut short");
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.version != kVersion) {
    return malformed(kVersionAt,
                     fmt::format("version {}, of which nothing is known", header.version));
  }
  if (header.header_bytes < sizeof header || header.header_bytes % kAlign != 0 ||
      header.header_bytes > bytes.size()) {
    return malformed(kHeaderBytesAt, fmt::format("a header of {} bytes", header.header_bytes));
  }
  const auto texts = bytes.first(header.header_bytes).subspan(sizeof header);
  auto info = info_of(header, {reinterpret_cast<const char*>(texts.data()), texts.size()});
  if (!info) return tl::unexpected(info.error());
  Dump dump{std::move(*info), {}, false};
  for (std::size_t at = header.header_bytes; bytes.size() - at >= sizeof(SectionHeader);) {
    SectionHeader section;
    std::memcpy(&section, bytes.data() + at, sizeof section);
    if (section.vcpu == kEndOfDump && section.size == 0) {
      dump.complete = true;
      break;
    }
    if (section.vcpu >= dump.info.vcpus) {
      return malformed(at,
                       fmt::format("a section of vCPU {}, of {}", section.vcpu, dump.info.vcpus));
    }
    at += sizeof section;
    const std::size_t there =
        static_cast<std::size_t>(std::min<std::uint64_t>(section.size, bytes.size() - at));
    dump.sections.push_back({section.vcpu, section.flags, bytes.subspan(at, there)});
    at += std::min((there + kAlign - 1) / kAlign * kAlign, bytes.size() - at);
  }
  return dump;
}

}  // namespace vpmu::profile::spe
