// SPDX-License-Identifier: MIT
#include "virt/x86/pv_perf_page.hpp"

#include <atomic>
#include <bit>
#include <cstddef>
#include <span>

#include "virt/x86/counter_sets.hpp"

namespace vpmu::virt::x86 {

namespace {

using pv::Page;
using pv::PageHeader;

constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::size_t kHeaderWords = sizeof(PageHeader) / kWord;
constexpr std::size_t kRecordWords = sizeof(pv::EventRecord) / kWord;
constexpr std::size_t kCommandHeaderWords = sizeof(pv::CommandHeader) / kWord;
constexpr std::size_t kCommandWords = sizeof(pv::CommandRecord) / kWord;
static_assert(offsetof(PageHeader, seq) == 0 && offsetof(PageHeader, abi) == 4);

/// Writes the host's parts of a page: from construction to destruction the number in it is odd.
/// Readers who see the even number behind it see all that was stored, and who saw anything of that
/// does not see the even number before it again. Every store is of whole words that cannot tear.
class PageWriter {
 public:
  PageWriter(std::uint8_t* page, std::uint32_t& seq) : page_{page}, seq_{seq} {
    word<std::uint32_t>(0).store(seq_ + 1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
  }
  ~PageWriter() {
    seq_ += 2;
    word<std::uint32_t>(0).store(seq_, std::memory_order_release);
  }
  PageWriter(const PageWriter&) = delete;
  PageWriter& operator=(const PageWriter&) = delete;

  void header(const PageHeader& header) {
    word<std::uint32_t>(offsetof(PageHeader, abi)).store(header.abi, std::memory_order_relaxed);
    const auto words = std::bit_cast<std::array<std::uint64_t, kHeaderWords>>(header);
    for (std::size_t n = 1; n < kHeaderWords; ++n) store(n * kWord, words[n]);
  }
  void event(std::size_t i, const pv::EventRecord& record) {
    const auto words = std::bit_cast<std::array<std::uint64_t, kRecordWords>>(record);
    const std::size_t begin = offsetof(Page, events) + i * sizeof(pv::EventRecord);
    for (std::size_t n = 0; n < kRecordWords; ++n) store(begin + n * kWord, words[n]);
  }

 private:
  template <class Word>
  std::atomic_ref<Word> word(std::size_t offset) const {
    return std::atomic_ref<Word>{*static_cast<Word*>(static_cast<void*>(page_ + offset))};
  }
  void store(std::size_t offset, std::uint64_t value) const {
    word<std::uint64_t>(offset).store(value, std::memory_order_relaxed);
  }

  std::uint8_t* const page_;
  std::uint32_t& seq_;
};

}  // namespace

GuestPhysical PvPerfPage::frame(pv::Area area) {
  return GuestPhysical{area.raw & mask_of(pv::Area::kFrame)};
}

GuestPhysical PvPerfPage::at(std::size_t offset) const {
  return GuestPhysical{raw(frame(area_)) + offset};
}

bool PvPerfPage::well_formed(pv::Area area) const {
  const std::uint64_t valid =
      mask_of(pv::Area::kEnable, pv::Area::kFrame) & low_bits(config_.physical_bits);
  if ((area.raw & ~valid) != 0) return false;
  return area.get(pv::Area::kEnable) == 0 || config_.has(pv::Features::kArea);
}

/// Enables the page, or none, without touching it.
bool PvPerfPage::claim(pv::Area area) {
  if (!well_formed(area)) return false;
  if (area.get(pv::Area::kEnable) != 0) {
    if (host_.writable_ram(frame(area), sizeof(Page)) == nullptr) return false;
    if (!areas_.claim(vcpu_, frame(area))) return false;
  } else {
    areas_.release(vcpu_);
  }
  area_ = area;
  return true;
}

bool PvPerfPage::set_area(pv::Area area) {
  if (!claim(area)) return false;
  if (enabled()) zero();
  return true;
}

bool PvPerfPage::adopt(pv::Area area, PageHeader& found) {
  if (!claim(area)) return false;
  if (!enabled()) return true;
  std::array<std::uint64_t, kHeaderWords> words{};
  if (!host_.read_ram(at(0), words)) {
    disable();
    return false;
  }
  found = std::bit_cast<PageHeader>(words);
  seq_ = ((found.seq + 1) & ~std::uint32_t{1}) + 2;
  return true;
}

void PvPerfPage::disable() {
  areas_.release(vcpu_);
  area_ = {};
}

/// Of what was there nothing stays; for readers that is a publication like others.
void PvPerfPage::zero() {
  std::uint8_t* const page = host_.writable_ram(at(0), sizeof(Page));
  if (page == nullptr) return;
  {
    PageWriter writer{page, seq_};
    writer.header({});
    for (std::size_t i = 0; i < pv::kMaxEvents; ++i) writer.event(i, {});
  }
  host_.ram_written(at(0), sizeof(Page));
}

bool PvPerfPage::publish(const Content& content) {
  std::uint8_t* const page = host_.writable_ram(at(0), sizeof(Page));
  if (page == nullptr) return false;
  pv::HostFlags flags;
  flags.set(pv::HostFlags::kPeriodic, config_.publish_period_us != 0 ? 1 : 0);
  {
    PageWriter writer{page, seq_};
    writer.header({
        .seq = 0,  // the writer's
        .abi = pv::kVersion,
        .global_ctrl = content.global_ctrl,
        .global_status = content.global_status,
        .pub_tsc = host_.guest_tsc(),
        .pub_ns = host_.now_ns(),
        .batch_seq = content.batch_seq,
        .batch_code = content.batch_code,
        .batch_id = content.batch_id,
        .host_flags = flags.raw,
        .pad0 = 0,
        .resv0 = 0,
    });
    for (std::size_t i = 0; i < config_.events; ++i) writer.event(i, content.events[i]);
  }
  host_.ram_written(at(0), sizeof(Page));
  return true;
}

tl::expected<void, pv::Code> PvPerfPage::load(std::uint32_t mask, Commands& into) {
  std::array<std::uint64_t, kCommandHeaderWords> header{};
  if (!host_.read_ram(at(offsetof(Page, command)), header)) {
    return tl::make_unexpected(pv::Code::kGpa);
  }
  std::array<std::uint64_t, pv::kMaxEvents * kCommandWords> words;
  if (mask != 0) {
    const auto first = static_cast<std::size_t>(std::countr_zero(mask));
    const auto last = static_cast<std::size_t>(std::bit_width(mask));
    const auto read =
        std::span{words}.subspan(first * kCommandWords, (last - first) * kCommandWords);
    if (!host_.read_ram(at(offsetof(Page, commands) + first * sizeof(pv::CommandRecord)), read)) {
      return tl::make_unexpected(pv::Code::kGpa);
    }
  }
  for (const std::uint64_t word : header) {
    if (word != 0) return tl::make_unexpected(pv::Code::kReserved);
  }
  for (std::uint32_t left = mask; left != 0; left &= left - 1) {
    const auto i = static_cast<std::size_t>(std::countr_zero(left));
    std::array<std::uint64_t, kCommandWords> record;
    for (std::size_t n = 0; n < kCommandWords; ++n) record[n] = words[i * kCommandWords + n];
    into[i] = std::bit_cast<pv::CommandRecord>(record);
  }
  return {};
}

}  // namespace vpmu::virt::x86
