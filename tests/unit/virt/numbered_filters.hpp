// SPDX-License-Identifier: MIT
//
// Filters that tell on who gives them out wrongly. Each carries its number, as the bitmap of its
// fixed counters, and two that follow one another never agree, on any event: answers that come from
// both are seen, and so is a filter that was replaced before, freed, overwritten, or is not whole.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "unit/virt/filter_images.hpp"
#include "vpmu/virt/x86/event_filter.hpp"

namespace vpmu::virt::x86 {

/// 300 masked entries on 16 event selects. Even numbers allow what they match, odd ones deny it.
class NumberedFilters {
 public:
  /// Every so often there is none.
  static constexpr std::uint32_t kNoFilterEvery = 64;

  NumberedFilters() {
    std::vector<std::uint64_t> entries;
    for (unsigned i = 0; i < FilterImage::kMaxEntries; ++i) {
      const auto mask = static_cast<std::uint8_t>(i * 37 | 0x81);
      const auto match = static_cast<std::uint8_t>(i * 91 & mask);
      const auto event = static_cast<std::uint16_t>(0xc0 + i % 16);
      entries.push_back(i % 5 == 4 ? exclude(event, mask, match) : include(event, mask, match));
    }
    image_ = image_of(kAllow, kMaskedMode, entries);
    for (unsigned i = 0; i < kQuestions; ++i) {
      questions_[i] = {static_cast<std::uint16_t>(0xc0 + i % 17), static_cast<std::uint8_t>(i * 5)};
      matched_[i] = matches(questions_[i]);
    }
  }

  [[nodiscard]] std::unique_ptr<const EventFilter> make(std::uint32_t number) const {
    if (number % kNoFilterEvery == 0) return nullptr;
    FilterImage image = image_;
    image.action = number % 2;
    image.fixed_bitmap = number;
    return filter_of(image);
  }

  static constexpr unsigned kQuestions = 64;
  [[nodiscard]] silicon::x86::EventSelector question(unsigned i) const { return questions_[i]; }
  /// What filter `number` answers.
  [[nodiscard]] bool answer(std::uint32_t number, unsigned i) const {
    if (number % kNoFilterEvery == 0) return true;
    return matched_[i] == (number % 2 == 0);
  }

 private:
  /// By the definition: some include covers it, and no exclude.
  [[nodiscard]] bool matches(silicon::x86::EventSelector asked) const {
    bool included = false, excluded = false;
    for (const std::uint64_t entry : image_.used()) {
      const auto said = *decode_entry(FilterEntry{{entry}}, true, silicon::x86::Vendor::kIntel);
      if (said.event != asked.event || !said.covers(asked.unit_mask)) continue;
      (said.exclude ? excluded : included) = true;
    }
    return included && !excluded;
  }

  FilterImage image_;
  std::array<silicon::x86::EventSelector, kQuestions> questions_;
  std::array<bool, kQuestions> matched_;
};

/// What a reader can see that must not be.
enum class Fault : std::uint8_t {
  kNone,
  kTorn,       ///< answers of more than one filter, or of none that there is
  kStale,      ///< a filter that had been replaced before the reader asked
  kNotAFilter  ///< a number that nobody has begun to publish: memory that is something else now
};

/// What a writer publishes, and whether readers see it as they should.
class Watch {
 public:
  template <class Slot>
  void publish(Slot& slot, std::uint32_t number) {
    begun_.store(number, std::memory_order_release);
    slot.publish(filters.make(number));
    done_.store(number, std::memory_order_release);
  }
  [[nodiscard]] std::uint32_t begun() const { return begun_.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint32_t done() const { return done_.load(std::memory_order_acquire); }

  /// A read-side section. `meanwhile` happens in it, when the filter is already known.
  template <class Slot, class Meanwhile>
  Fault read(const Slot& slot, unsigned seed, Meanwhile&& meanwhile) const {
    const std::uint32_t least = done();
    std::optional<std::uint32_t> number;
    bool whole = true;
    slot.read([&](const auto* filter) {
      meanwhile();
      if (filter == nullptr) return;
      number = filter->image().fixed_bitmap;
      whole = is_whole(*filter, *number, seed);
    });
    const std::uint32_t most = begun();
    if (!number) {
      const bool there_was_none = most / kNoneEvery * kNoneEvery >= least;
      return there_was_none ? Fault::kNone : Fault::kStale;
    }
    if (*number > most) return Fault::kNotAFilter;
    if (!whole) return Fault::kTorn;
    return *number < least ? Fault::kStale : Fault::kNone;
  }
  template <class Slot>
  Fault read(const Slot& slot, unsigned seed) const {
    return read(slot, seed, [] {});
  }

  /// Questions one by one, as PMUs ask them. Nothing is said if a publication was under way.
  template <class Slot>
  Fault ask(const Slot& slot, unsigned seed) const {
    const std::uint32_t number = done();
    bool right = true;
    for (unsigned n = 0; n < 4; ++n) {
      const unsigned i = (seed + n) % NumberedFilters::kQuestions;
      right = right && slot.admits(filters.question(i)) == filters.answer(number, i);
    }
    return right || begun() != number ? Fault::kNone : Fault::kStale;
  }

  const NumberedFilters filters;

 private:
  static constexpr std::uint32_t kNoneEvery = NumberedFilters::kNoFilterEvery;

  template <class Filter>
  [[nodiscard]] bool is_whole(const Filter& filter, std::uint32_t number, unsigned seed) const {
    if (filter.image().count != FilterImage::kMaxEntries) return false;
    for (unsigned n = 0; n < 8; ++n) {
      const unsigned i = (seed + n) % NumberedFilters::kQuestions;
      if (filter.admits(filters.question(i)) != filters.answer(number, i)) return false;
      const unsigned k = (seed + n) % 32;
      const bool named = (number >> k & 1) != 0;
      if (filter.admits_fixed(k) != (named == (number % 2 == 0))) return false;
    }
    return filter.image().fixed_bitmap == number;
  }

  std::atomic<std::uint32_t> begun_ = 0;
  std::atomic<std::uint32_t> done_ = 0;
};

}  // namespace vpmu::virt::x86
