// SPDX-License-Identifier: MIT
#include "machine/arm64/code_map.hpp"

#include <cstring>

namespace vpmu::machine::arm64 {

void BlockProfile::add(std::uint32_t word) {
  const MemoryKind memory = memory_kind(word);
  ++instructions;
  loads = static_cast<std::uint8_t>(loads + (memory.load ? 1 : 0));
  stores = static_cast<std::uint8_t>(stores + (memory.store ? 1 : 0));
  branch = branch_kind(word);
}

std::uint32_t CodePage::word(std::uint64_t address) const {
  std::uint32_t word = 0;
  std::memcpy(&word, mapping_.host + (address & kPageMask), sizeof word);
  return word;
}

CodePage* CodeMap::find_slowly(std::uint64_t address) {
  const auto found = pages_.find(address & ~kPageMask);
  if (found == pages_.end()) return nullptr;
  return recent_[recent_slot(address)] = found->second.get();
}

CodePage& CodeMap::add(std::uint64_t address, const CodeMapping& mapping) {
  const std::uint64_t begin = address & ~kPageMask;
  auto& page = pages_[begin];
  page = std::make_unique<CodePage>(begin, mapping);
  return *(recent_[recent_slot(address)] = page.get());
}

bool CodeMap::may_begin(const CodePage& page, std::uint64_t address) {
  return page.position_[CodePage::index(address)] <= 1;
}

void CodeMap::begin(CodePage& page, std::uint64_t address) {
  compiling_ = &page;
  first_ = CodePage::index(address);
  page.begins_.set(first_);
  page.profile_[first_] = {};
}

bool CodeMap::goes_on(std::uint64_t address) const {
  const std::size_t index = CodePage::index(address);
  // The first instruction of the next page has index 0.
  return index > first_ && index - first_ < longest_ && !compiling_->begins_.test(index);
}

void CodeMap::append(std::uint32_t word) {
  BlockProfile& profile = compiling_->profile_[first_];
  const std::size_t index = first_ + profile.instructions;
  profile.add(word);
  compiling_->position_[index] = profile.instructions;
}

std::uint64_t CodeMap::instructions_before(std::uint64_t address) {
  const CodePage* page = find(address);
  if (page == nullptr) return 0;
  const std::uint8_t position = page->position_[CodePage::index(address)];
  return position == 0 ? 0 : position - 1U;
}

std::uint64_t CodeMap::rest_of_block(std::uint64_t address) {
  const std::uint64_t before = instructions_before(address);
  if (before == 0) return 0;
  const BlockProfile* block = profile(address - before * kInstructionBytes);
  return block != nullptr && before < block->instructions ? block->instructions - before : 0;
}

const BlockProfile* CodeMap::profile(std::uint64_t address) {
  const CodePage* page = find(address);
  if (page == nullptr || page->position_[CodePage::index(address)] != 1) return nullptr;
  return &page->profile_[CodePage::index(address)];
}

CodeMap::Range CodeMap::split(std::uint64_t address) {
  CodePage* page = find(address);
  if (page == nullptr) return {address, kInstructionBytes};
  const std::size_t index = CodePage::index(address);
  page->begins_.set(index);
  const std::size_t before = instructions_before(address);
  if (before == 0) return {address, kInstructionBytes};
  const std::size_t begin = index - before;
  const std::size_t count = page->profile_[begin].instructions;
  for (std::size_t n = 0; n < count; ++n) page->position_[begin + n] = 0;
  return {address - before * kInstructionBytes, count * kInstructionBytes};
}

void CodeMap::forget_page(std::uint64_t address) {
  CodePage*& recent = recent_[recent_slot(address)];
  if (recent != nullptr && recent->address() == (address & ~kPageMask)) recent = nullptr;
  pages_.erase(address & ~kPageMask);
  compiling_ = nullptr;
}

void CodeMap::clear() {
  pages_.clear();
  recent_ = {};
  compiling_ = nullptr;
}

}  // namespace vpmu::machine::arm64
