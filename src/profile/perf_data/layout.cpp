// SPDX-License-Identifier: MIT
#include "profile/perf_data/layout.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

#include <fmt/format.h>

#include "profile/perf_data/side_band.hpp"
#include "profile/perf_data/spe_writer.hpp"

namespace vpmu::profile::perf_data {
namespace {

constexpr std::uint32_t kNobody = ~std::uint32_t{0};
/// User and kernel, any branch.
constexpr std::uint64_t kAllBranches = 1 << 0 | 1 << 1 | 1 << 3;
constexpr std::uint16_t kMostFrames = 127;

constexpr std::uint64_t flag(AttrFlag flag) {
  return std::uint64_t{1} << static_cast<unsigned>(flag);
}

MappedCode code_of(const WrittenMapping& mapping) {
  return {mapping.start, mapping.length, mapping.file_offset, mapping.file, mapping.build_id};
}

/// Code addresses of a kallsyms file, from the first up to the page after the last.
struct Range {
  std::uint64_t begin = ~std::uint64_t{0};
  std::uint64_t end = 0;
  [[nodiscard]] bool meets(const WrittenMapping& mapping) const {
    return mapping.start < end && begin < mapping.start + mapping.length;
  }
};

Range kernel_range(std::string_view kallsyms) {
  constexpr std::uint64_t kPage = 4096;
  Range range;
  while (!kallsyms.empty()) {
    const std::string_view line = kallsyms.substr(0, kallsyms.find('\n'));
    kallsyms.remove_prefix(std::min(line.size() + 1, kallsyms.size()));
    std::uint64_t address = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), address, 16);
    const std::string_view rest = line.substr(static_cast<std::size_t>(end - line.data()));
    if (error != std::errc{} || rest.size() < 2 || (rest[1] | 0x20) != 't') continue;
    if (rest.find('[') != std::string_view::npos) continue;  // a module's
    range.begin = std::min(range.begin, address);
    range.end = std::max(range.end, address / kPage * kPage + kPage);
  }
  return range;
}

/// perf warns that it cannot resolve kernel samples unless it is told of the host's kernel, though
/// there may be no sample of it. Where it usually is.
MappedCode host_kernel() {
  constexpr std::uint64_t kText = 0xffff'ffff'8100'0000, kLength = 0x100'0000;
  return {kText, kLength, kText, "[kernel.kallsyms]_text", {}};
}

std::string host_threads(const WriterConfig& config, std::string_view process) {
  const std::uint32_t pid = config.vm_pid;
  std::string records = comm_record({pid, pid, CpuMode::kUser, 0}, process);
  for (unsigned vcpu = 0; vcpu < config.vcpus; ++vcpu) {
    records += comm_record({pid, host_thread(pid, vcpu), CpuMode::kUser, 0},
                           fmt::format("CPU {}/KVM", vcpu));
  }
  return records;
}

std::string id_index(const WriterConfig& config, const SampleIds& ids) {
  std::vector<IndexedId> entries;
  for (std::size_t event = 0; event < config.events.size(); ++event) {
    for (unsigned vcpu = 0; vcpu < config.vcpus; ++vcpu) {
      entries.push_back({.id = ids.id(event, vcpu),
                         .slot = vcpu,
                         .tid = host_thread(config.vm_pid, vcpu),
                         .machine_pid = config.vm_pid,
                         .vcpu = vcpu});
    }
    entries.push_back({.id = ids.id(event, ids.host_slot()), .slot = ids.host_slot()});
  }
  return id_index_records(entries);
}

/// The same file for the kernel: "/a/./b" for "/a/b". perf 6.1 writes behind the end of a user's
/// mapping if it is of a file that it knows as a kernel's.
std::string kernel_spelling(const std::string& file) {
  const std::size_t slash = file.rfind('/');
  return slash == std::string::npos ? file : file.substr(0, slash) + "/." + file.substr(slash);
}

bool has_text(const WrittenMapping& mapping) {
  return mapping.text >= mapping.start && mapping.text - mapping.start < mapping.length;
}

/// A kernel's file is to perf what is mapped where its .text is. Other parts of it have no mapping
/// in its view: it makes them when it reads the file's symbols, and one of ours would hide them.
bool hides_another(const WriterConfig& config, const WrittenMapping& mapping) {
  return !has_text(mapping) && std::any_of(config.mappings.begin(), config.mappings.end(),
                                           [&mapping](const WrittenMapping& other) {
                                             return other.file == mapping.file && has_text(other);
                                           });
}

/// Without what lies in front of the section .text, if that is in the mapping: perf believes that
/// files of a kernel's are mapped from there on.
MappedCode from_text_on(const WrittenMapping& mapping) {
  MappedCode code = code_of(mapping);
  if (!has_text(mapping)) return code;
  const std::uint64_t skipped = mapping.text - code.start;
  code.start += skipped;
  code.length -= skipped;
  code.file_offset += skipped;
  return code;
}

/// The guest's kernel. A kernel that is an image in a file is to perf what a module is: its path,
/// and where it is mapped. With kallsyms it is the kernel itself.
std::string guest_kernel(const WriterConfig& config, const Subject& kernel) {
  std::string records;
  const Range symbols = kernel_range(config.kallsyms);
  if (symbols.begin < symbols.end) {
    // Where that symbol is, is left out: perf would look for it in kallsyms, and without it for
    // no other either.
    const std::string name = fmt::format("[guest.kernel.kallsyms.{}]_text", config.vm_pid);
    records += mmap_record(kernel, {symbols.begin, symbols.end - symbols.begin, 0, name, {}});
  }
  for (const WrittenMapping& mapping : config.mappings) {
    if (symbols.meets(mapping) || hides_another(config, mapping)) continue;
    const std::string file = kernel_spelling(mapping.file);
    MappedCode code = from_text_on(mapping);
    code.file = file;
    records += mmap2_record(kernel, code);
  }
  return records;
}

std::string guest_records(const WriterConfig& config, const SampleIds& ids) {
  const std::uint64_t id = ids.id(0, 0);
  const Subject user{kGuestPid, kGuestPid, CpuMode::kGuestUser, id};
  std::string records = id_index(config, ids);
  records += mmap_record({kNobody, 0, CpuMode::kKernel, 0}, host_kernel());
  records += host_threads(config, "vpmu");
  records += guest_kernel(config, {kNobody, 0, CpuMode::kGuestKernel, id});
  for (unsigned vcpu = 0; vcpu < config.vcpus; ++vcpu) {
    records += comm_record({kGuestPid, guest_thread(vcpu), CpuMode::kGuestUser, ids.id(0, vcpu)},
                           config.guest);
  }
  for (const WrittenMapping& mapping : config.mappings) {
    records += mmap2_record(user, code_of(mapping));
  }
  records += bare_record(RecordType::kFinishedInit);
  return records;
}

/// A kernel that nothing is in. To perf, kernel code begins where the host's does, whose symbols it
/// looks for on its own machine, unless that fails, which a symbol does that no kernel has: then it
/// is the upper half of all addresses, as it is for SPE.
MappedCode no_kernel() {
  constexpr std::uint64_t kUpperHalf = std::uint64_t{1} << 63, kLength = 0x1000;
  return {kUpperHalf, kLength, kUpperHalf, kGuestOfSpe, {}};
}

/// `modules`: of the kernel. They come first: perf takes one that has the name of a user's file for
/// that, if it knows of it.
std::string process_records(const WriterConfig& config, const MappedCode& kernel,
                            std::string_view modules = {}) {
  std::string records = mmap_record({kNobody, 0, CpuMode::kKernel, 0}, kernel);
  records += modules;
  records += host_threads(config, config.guest);
  for (const WrittenMapping& mapping : config.mappings) {
    records += mmap2_record({config.vm_pid, config.vm_pid, CpuMode::kUser, 0}, code_of(mapping));
  }
  return records;
}

/// What perf makes of addresses of SPE's at EL1 and EL2, wherever they are.
WrittenMapping as_spe_kernel(WrittenMapping mapping) {
  constexpr std::uint64_t kKernelByte = std::uint64_t{0xff} << 56;
  mapping.start |= kKernelByte;
  if (mapping.text != 0) mapping.text |= kKernelByte;
  return mapping;
}

}  // namespace

std::vector<std::uint64_t> SampleIds::of_event(std::uint64_t event) const {
  std::vector<std::uint64_t> ids;
  for (std::uint64_t slot = 0; slot < slots_; ++slot) ids.push_back(id(event, slot));
  return ids;
}

Attr attr_of(const WrittenEvent& event) {
  Attr attr = event.attr;
  attr.size = kAttrBytes;
  attr.sample_type = kTrailerTypes | kSampleIp | kSamplePeriod;
  attr.read_format = 0;
  attr.flags |= flag(AttrFlag::kSampleIdAll) | flag(AttrFlag::kMmap) | flag(AttrFlag::kComm) |
                flag(AttrFlag::kMmap2);
  if (event.callchain) {
    attr.sample_type |= kSampleCallchain;
    attr.sample_max_stack = kMostFrames;
  }
  if (event.branches) {
    attr.sample_type |= kSampleBranchStack;
    if (attr.branch_sample_type == 0) attr.branch_sample_type = kAllBranches;
  }
  return attr;
}

std::string first_records(const WriterConfig& config, const SampleIds& ids) {
  return config.layout == Layout::kGuest ? guest_records(config, ids)
                                         : process_records(config, host_kernel());
}

std::string first_spe_records(const WriterConfig& config) {
  WriterConfig kernel = config;
  kernel.kallsyms.clear();
  std::ranges::transform(config.mappings, kernel.mappings.begin(), as_spe_kernel);
  const std::string modules = guest_kernel(kernel, {kNobody, 0, CpuMode::kKernel, 0});
  return process_records(config, no_kernel(), modules) + bare_record(RecordType::kFinishedInit);
}

}  // namespace vpmu::profile::perf_data
