// SPDX-License-Identifier: MIT
#include "profile/symbols/address_space.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <map>
#include <tuple>
#include <utility>

#include "profile/symbols/image_store.hpp"

namespace vpmu::profile {

namespace {
/// A part of a mapping that nothing was mapped over.
struct Mapped {
  std::uint64_t last = 0;       ///< its last address
  std::uint64_t to_offset = 0;  ///< what to add to an address for its place in the file
  std::string file;
  std::vector<std::uint8_t> build_id;
  OpenImage* image = nullptr;  ///< null: not opened yet
};
/// By first address; disjoint. Processes that were forked share one until one of them maps
/// something: most run another program first.
using Space = std::map<std::uint64_t, Mapped>;

/// Guest, kernel, machine, process.
using SpaceKey = std::tuple<bool, bool, std::uint32_t, std::uint32_t>;

SpaceKey key_of(const AddressOwner& owner) {
  const bool kernel = is_kernel(owner.mode);
  return {is_guest(owner.mode), kernel, owner.machine_pid, kernel ? 0 : owner.pid};
}

AddressOwner other_side(AddressOwner owner) {
  constexpr std::array kOther{AddressMode::kHostUser, AddressMode::kHostKernel,
                              AddressMode::kGuestUser, AddressMode::kGuestKernel};
  owner.mode = kOther[static_cast<std::size_t>(owner.mode)];
  return owner;
}

bool is_kernel_name(std::string_view name) {
  return name.starts_with("[kernel.kallsyms") || name.starts_with("[guest.kernel.kallsyms");
}

/// "[kernel.kallsyms]_text" without what follows the brackets.
std::string_view kernel_name(std::string_view name) {
  return name.substr(0, name.find(']') + 1);
}

/// Takes [first, last] out of what is mapped.
void make_room(Space& space, std::uint64_t first, std::uint64_t last) {
  auto at = space.upper_bound(first);
  if (at != space.begin() && std::prev(at)->second.last >= first) --at;
  while (at != space.end() && at->first <= last) {
    const std::uint64_t old_first = at->first;
    Mapped old = std::move(at->second);
    at = space.erase(at);
    if (old.last > last) space.emplace(last + 1, old);
    if (old_first >= first) continue;
    old.last = first - 1;
    space.emplace(old_first, std::move(old));
  }
}

Mapped* mapped_at(Space& space, std::uint64_t address) {
  const auto after = space.upper_bound(address);
  if (after == space.begin()) return nullptr;
  Mapped& before = std::prev(after)->second;
  return before.last >= address ? &before : nullptr;
}
}  // namespace

struct AddressSpaces::Private {
  explicit Private(ImageStore store) : images{std::move(store)} {}

  Space* space(const AddressOwner& owner) {
    const SpaceKey key = key_of(owner);
    if (last_space == nullptr || last_key != key) {
      const auto found = spaces.find(key);
      if (found == spaces.end()) return nullptr;
      last_space = found->second.get();
      last_key = key;
    }
    return last_space;
  }

  Mapped* mapped(const AddressOwner& owner, std::uint64_t address) {
    Space* found = space(owner);
    return found == nullptr ? nullptr : mapped_at(*found, address);
  }

  /// A file that processes of the machine have mapped at the kernel's address: freestanding guests
  /// run one image in both modes.
  std::string kernel_elf(const AddressOwner& owner, std::uint64_t address) {
    for (const auto& [key, candidate] : spaces) {
      const auto& [guest, kernel, machine_pid, pid] = key;
      if (guest != is_guest(owner.mode) || kernel || machine_pid != owner.machine_pid) continue;
      Mapped* file = mapped_at(*candidate, address);
      if (file == nullptr || is_kernel_name(file->file)) continue;
      const std::string& path = open({owner.mode, machine_pid, pid}, *file, address).image.path;
      if (!path.empty()) return path;
    }
    return {};
  }

  OpenImage& kernel(const AddressOwner& owner, std::uint64_t address, std::string_view name) {
    const bool guest = is_guest(owner.mode);
    if (OpenImage* known = images.known_kernel(guest, owner.machine_pid)) return *known;
    return images.kernel(guest, owner.machine_pid, name,
                         guest ? kernel_elf(owner, address) : std::string{});
  }

  OpenImage& open(const AddressOwner& owner, Mapped& mapped, std::uint64_t address) {
    if (mapped.image == nullptr) {
      mapped.image = is_kernel_name(mapped.file)
                         ? &kernel(owner, address, kernel_name(mapped.file))
                         : &images.file(is_guest(owner.mode), mapped.file, mapped.build_id);
    }
    return *mapped.image;
  }

  /// What kernel code is called that is in no file which could be read.
  const Symbol* kernel_symbol(const AddressOwner& owner, std::uint64_t address) {
    if (!is_kernel(owner.mode) || !images.has_kernel_symbols(is_guest(owner.mode))) return nullptr;
    return unmapped_kernel(owner, address).image.symbols->find(address);
  }

  OpenImage& unmapped_kernel(const AddressOwner& owner, std::uint64_t address) {
    return kernel(owner, address,
                  is_guest(owner.mode) ? "[guest.kernel.kallsyms]" : "[kernel.kallsyms]");
  }

  AddressInfo describe(const AddressOwner& owner, Mapped& mapped, std::uint64_t address) {
    const OpenImage& found = open(owner, mapped, address);
    AddressInfo info{&found.image, nullptr, address, address};
    if (found.image.kernel) {
      info.linked = address - found.moved_by;
    } else {
      info.linked = found.linked(address + mapped.to_offset).value_or(address);
    }
    info.symbol = images.first_symbols().find(address);
    if (info.symbol != nullptr) return info;
    if (!found.image.kernel) info.in_symbols = info.linked;
    info.symbol = found.image.symbols->find(info.in_symbols);
    if (info.symbol == nullptr && !found.image.kernel) {
      info.symbol = kernel_symbol(owner, address);
      if (info.symbol != nullptr) info.in_symbols = address;
    }
    return info;
  }

  ImageStore images;
  /// To change it: nobody else's, then.
  Space& own_space(const AddressOwner& owner) {
    last_space = nullptr;
    std::shared_ptr<Space>& space = spaces[key_of(owner)];
    if (space == nullptr) space = std::make_shared<Space>();
    if (space.use_count() > 1) space = std::make_shared<Space>(*space);
    return *space;
  }

  std::map<SpaceKey, std::shared_ptr<Space>> spaces;
  Space* last_space = nullptr;
  SpaceKey last_key;
};

AddressSpaces::AddressSpaces() = default;
AddressSpaces::AddressSpaces(AddressSpaces&&) noexcept = default;
AddressSpaces& AddressSpaces::operator=(AddressSpaces&&) noexcept = default;
AddressSpaces::~AddressSpaces() = default;

Result<AddressSpaces> AddressSpaces::create(SymbolSources sources) {
  auto images = ImageStore::create(std::move(sources));
  if (!images) return tl::unexpected{images.error()};
  AddressSpaces spaces;
  spaces.private_ = std::make_unique<Private>(std::move(*images));
  return spaces;
}

void AddressSpaces::map(const CodeMapping& mapping) {
  if (mapping.length == 0) return;
  const std::uint64_t last =
      mapping.start + std::min(mapping.length - 1, ~std::uint64_t{0} - mapping.start);
  Space& space = private_->own_space(mapping.owner);
  make_room(space, mapping.start, last);
  space[mapping.start] = {last,
                          mapping.file_offset - mapping.start,
                          std::string{mapping.file},
                          {mapping.build_id.begin(), mapping.build_id.end()}};
}

void AddressSpaces::unmap(const AddressOwner& owner) {
  private_->spaces.erase(key_of(owner));
  private_->last_space = nullptr;
}

void AddressSpaces::fork(const AddressOwner& parent, const AddressOwner& child) {
  const auto found = private_->spaces.find(key_of(parent));
  if (found == private_->spaces.end() || key_of(parent) == key_of(child)) return;
  private_->spaces[key_of(child)] = found->second;
  private_->last_space = nullptr;
}

AddressInfo AddressSpaces::find(const AddressOwner& owner, std::uint64_t address) {
  Private& p = *private_;
  if (Mapped* mapped = p.mapped(owner, address)) return p.describe(owner, *mapped, address);
  const AddressOwner other = other_side(owner);
  if (Mapped* mapped = p.mapped(other, address)) return p.describe(other, *mapped, address);
  AddressInfo info{nullptr, p.images.first_symbols().find(address), address, address};
  if (info.symbol != nullptr) return info;
  for (const AddressOwner& kernel : {owner, other}) {
    if ((info.symbol = p.kernel_symbol(kernel, address)) != nullptr) {
      info.image = &p.unmapped_kernel(kernel, address).image;
      info.linked = address - p.unmapped_kernel(kernel, address).moved_by;
      break;
    }
  }
  return info;
}

const SourceLines* AddressSpaces::lines(const Image& image) {
  return private_->images.lines(image);
}

const std::vector<std::string>& AddressSpaces::problems() const {
  return private_->images.problems();
}

}  // namespace vpmu::profile
