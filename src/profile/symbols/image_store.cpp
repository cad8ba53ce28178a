// SPDX-License-Identifier: MIT
#include "profile/symbols/image_store.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "profile/symbols/printable_name.hpp"

namespace vpmu::profile {

namespace {
std::string_view last_part(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

/// "[heap]", "//anon", "anon_inode:...": memory without a file.
bool names_a_file(std::string_view name) {
  return !name.empty() && name.front() != '[' && !name.starts_with("//") &&
         !name.starts_with("anon_inode:") && name.find('\0') == std::string_view::npos;
}

void index_segments(OpenImage& open) {
  const std::vector<ElfSegment>& segments = open.image.segments;
  std::vector<std::uint32_t> order(segments.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::uint32_t>(i);
  std::ranges::stable_sort(order, {}, [&](std::uint32_t i) { return segments[i].file_offset; });
  std::vector<AddressRange> all, code;
  for (const std::uint32_t i : order) {
    const ElfSegment& segment = segments[i];
    const AddressRange place{segment.file_offset, segment.file_offset + segment.file_bytes};
    all.push_back(place);
    open.all_segments.push_back(i);
    if (!segment.executable) continue;
    code.push_back(place);
    open.code_segments.push_back(i);
  }
  open.by_offset = NestedRanges{all};
  open.code_by_offset = NestedRanges{code};
}

/// How far a kernel runs from where its image is linked: as far as most of the names that both have
/// are apart.
std::uint64_t distance(const SymbolTable& running, const SymbolTable& linked) {
  std::unordered_map<std::string_view, std::uint64_t> starts;
  for (const Symbol& symbol : linked.symbols()) starts.emplace(symbol.linkage_name, symbol.start);
  std::map<std::uint64_t, std::size_t> votes;
  for (const Symbol& symbol : running.symbols()) {
    const auto twin = starts.find(symbol.linkage_name);
    if (twin != starts.end()) ++votes[symbol.start - twin->second];
  }
  const auto most =
      std::ranges::max_element(votes, {}, [](const auto& vote) { return vote.second; });
  return most == votes.end() ? 0 : most->first;
}

/// The kernel's own symbols, which have no sizes, with those of its image.
SymbolTable with_sizes(const SymbolTable& running, const SymbolTable& linked,
                       std::uint64_t moved_by) {
  std::vector<Symbol> symbols = running.symbols();
  for (Symbol& symbol : symbols) {
    const Symbol* twin = linked.find(symbol.start - moved_by);
    if (twin != nullptr && twin->start == symbol.start - moved_by &&
        twin->linkage_name == symbol.linkage_name) {
      symbol.size = twin->size;
    }
  }
  return SymbolTable{std::move(symbols)};
}

Result<SymbolTable> optional_file(const std::string& path) {
  return path.empty() ? SymbolTable{} : SymbolTable::from_file(path);
}
}  // namespace

std::optional<std::uint64_t> OpenImage::linked(std::uint64_t file_offset) const {
  std::uint32_t segment = NestedRanges::kNone;
  if (const auto code = code_by_offset.find(file_offset); code != NestedRanges::kNone) {
    segment = code_segments[code];
  } else if (const auto any = by_offset.find(file_offset); any != NestedRanges::kNone) {
    segment = all_segments[any];
  }
  if (segment == NestedRanges::kNone) return std::nullopt;
  return file_offset - image.segments[segment].file_offset + image.segments[segment].address;
}

Result<ImageStore> ImageStore::create(SymbolSources sources) {
  ImageStore store;
  if (!sources.image.empty()) {
    if (const auto image = read_elf_image(sources.image); !image) {
      return tl::unexpected{image.error()};
    }
  }
  auto first = optional_file(sources.symbols);
  if (!first) return tl::unexpected{first.error()};
  store.first_symbols_ = std::move(*first);
  auto guest =
      !sources.guest_kallsyms.empty() || sources.recorded_guest_kallsyms.empty()
          ? optional_file(sources.guest_kallsyms)
          : SymbolTable::from_kallsyms(sources.recorded_guest_kallsyms, "kallsyms of the profile");
  if (!guest) return tl::unexpected{guest.error()};
  store.guest_kernel_symbols_ = std::make_shared<SymbolTable>(std::move(*guest));
  auto host = optional_file(sources.host_kallsyms);
  if (!host) return tl::unexpected{host.error()};
  store.host_kernel_symbols_ = std::make_shared<SymbolTable>(std::move(*host));
  sources.recorded_guest_kallsyms.clear();
  store.sources_ = std::move(sources);
  return store;
}

OpenImage& ImageStore::file(bool guest, std::string_view name,
                            std::span<const std::uint8_t> build_id) {
  auto& slot = files_[{guest, std::string{name}, {build_id.begin(), build_id.end()}}];
  if (slot != nullptr) return *slot;
  slot = std::make_unique<OpenImage>();
  by_image_[&slot->image] = slot.get();
  slot->image.name = printable_name(name);
  slot->image.symbols = std::make_shared<SymbolTable>();
  if (!names_a_file(name)) return *slot;
  const std::string path = path_of(name);
  if (!read_elf(*slot, path, build_id)) return *slot;
  if (auto symbols = SymbolTable::from_elf(path)) {
    slot->image.symbols = std::make_shared<SymbolTable>(std::move(*symbols));
  } else {
    problem(symbols.error().message);
  }
  return *slot;
}

OpenImage& ImageStore::kernel(bool guest, std::uint32_t machine_pid, std::string_view name,
                              const std::string& elf) {
  auto& slot = kernels_[{guest, machine_pid}];
  if (slot != nullptr) return *slot;
  slot = std::make_unique<OpenImage>();
  by_image_[&slot->image] = slot.get();
  slot->image.name = printable_name(name);
  slot->image.kernel = true;
  slot->image.symbols = guest ? guest_kernel_symbols_ : host_kernel_symbols_;
  const std::string& path = guest && !sources_.image.empty() ? sources_.image : elf;
  if (path.empty() || !read_elf(*slot, path, {})) return *slot;
  auto linked = SymbolTable::from_elf(path);
  const SymbolTable& running = *slot->image.symbols;
  if (!linked) {
    problem(linked.error().message);
  } else if (running.symbols().empty()) {
    slot->image.symbols = std::make_shared<SymbolTable>(std::move(*linked));
  } else {
    slot->moved_by = distance(running, *linked);
    slot->image.symbols =
        std::make_shared<SymbolTable>(with_sizes(running, *linked, slot->moved_by));
  }
  return *slot;
}

OpenImage* ImageStore::known_kernel(bool guest, std::uint32_t machine_pid) {
  const auto found = kernels_.find({guest, machine_pid});
  return found == kernels_.end() ? nullptr : found->second.get();
}

bool ImageStore::has_kernel_symbols(bool guest) const {
  return !(guest ? guest_kernel_symbols_ : host_kernel_symbols_)->symbols().empty();
}

const SourceLines* ImageStore::lines(const Image& image) {
  const auto found = by_image_.find(&image);
  if (found == by_image_.end()) return nullptr;
  OpenImage& open = *found->second;
  if (!open.lines_asked && !open.image.path.empty()) {
    if (auto lines = SourceLines::open(open.image.path)) {
      open.lines = std::move(*lines);
    } else {
      problem(lines.error().message);
    }
  }
  open.lines_asked = true;
  return open.lines ? &*open.lines : nullptr;
}

std::string ImageStore::path_of(std::string_view name) const {
  std::string path{name};
  const bool replaced = !sources_.image.empty() && (last_part(name) == last_part(sources_.image) ||
                                                    access(path.c_str(), R_OK) != 0);
  return replaced ? sources_.image : path;
}

bool ImageStore::read_elf(OpenImage& open, const std::string& path,
                          std::span<const std::uint8_t> build_id) {
  auto elf = read_elf_image(path);
  if (!elf) {
    problem(elf.error().message);
    return false;
  }
  if (!build_id.empty() && !std::ranges::equal(build_id, elf->build_id)) {
    problem(
        fmt::format("image {} is not the one that was profiled, its build-id differs; name "
                    "that one with --image",
                    in_quotes(path)));
    return false;
  }
  open.image.path = path;
  open.image.code = elf->code;
  open.image.segments = std::move(elf->segments);
  open.image.build_id = std::move(elf->build_id);
  index_segments(open);
  return true;
}

void ImageStore::problem(std::string text) {
  constexpr std::size_t kMost = 100;
  if (problems_.size() == kMost) text = "more images cannot be read";
  if (problems_.size() <= kMost) problems_.push_back(std::move(text));
}

}  // namespace vpmu::profile
