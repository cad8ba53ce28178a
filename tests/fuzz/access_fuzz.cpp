// SPDX-License-Identifier: MIT
//
// Any sequence of MSR, port, MMIO and RDPMC accesses, on any CPU model, with and without last
// branch records, and with a host that takes these away again and again; and of PV perf's registers
// and calls, where it is offered, with its page and structures among the RAM that they name. Each
// record of the input becomes the instructions of one access; a handler skips those that raise #GP,
// and interrupts are taken. The host's own branches have a mark, and no guest ever reads an MSR
// that has it.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <vector>

#include "fuzz/fuzz_machine.hpp"
#include "vpmu/hostperf/lbr_host.hpp"
#include "vpmu/virt/x86/pmu_request.hpp"
#include "vpmu/virt/x86/pv_perf_config.hpp"

namespace {
using Code = std::vector<std::uint8_t>;

void emit(Code& code, std::initializer_list<std::uint8_t> bytes) {
  code.insert(code.end(), bytes);
}
template <class T>
void emit_value(Code& code, T value) {
  const std::size_t at = code.size();
  code.resize(at + sizeof value);
  std::memcpy(code.data() + at, &value, sizeof value);
}

struct Record {
  std::uint8_t kind;
  std::uint32_t where;
  std::uint32_t low;
  std::uint32_t high;
};
constexpr std::size_t kRecordBytes = 13;

/// What makes sense to be hit often: known places, with the input choosing among and near them.
std::uint32_t msr_of(std::uint32_t where) {
  constexpr std::uint32_t kRanges[] = {0x10, 0x1b, 0xc1, 0x174, 0x186, 0x1a0, 0x1d9, 0x200, 0x277,
                                       0x309, 0x345, 0x38d, 0x4c1, 0x600, 0x6e0, 0x800, 0x820,
                                       0x830, 0x838, 0x83e, 0xc0000080, 0xc0000100,
                                       // Where AMD has performance monitoring.
                                       0xc0000300, 0xc0010000, 0xc0010200,
                                       // Last branch records.
                                       0x1c8, 0x1d9, 0x390, 0x680, 0x690, 0x6c0, 0x6d0, 0xdc0,
                                       0xdd0, 0x1200, 0x14ce, 0x14ce, 0x1500, 0x1510, 0x1600,
                                       // PV perf.
                                       0x40005000, 0x40005100, 0x40005110, 0x400051f0};
  if ((where & 0x80000000) != 0) return where & 0x7fffffff;
  return kRanges[(where & 0xff) % std::size(kRanges)] + (where >> 8 & 0xf);
}

std::uint16_t port_of(std::uint32_t where) {
  constexpr std::uint16_t kRanges[] = {0x20,  0x40,  0x60,  0x70,  0x80,   0xa0, 0x3f8,
                                       0x4d0, 0x510, 0xcf8, 0xcf9, 0x2000, 0x604};
  if ((where & 0x80000000) != 0) return static_cast<std::uint16_t>(where);
  return static_cast<std::uint16_t>(kRanges[(where & 0xff) % std::size(kRanges)] +
                                    (where >> 8 & 7));
}

std::uint64_t mmio_of(std::uint32_t where) {
  if ((where & 0x80000000) != 0) return 0xc0000000 | (where & 0x3fffffff);
  return (where & 1 ? 0xfee00000u : 0xfec00000u) + (where >> 4 & 0xfff);
}

/// The upper half of all addresses between which the host branches; without its three uppermost
/// bits, which may be flags of a record.
constexpr std::uint32_t kHostMark = 0xffffe7e7, kWithoutFlags = 0x1fffffff;

/// R15, which nothing else touches, is 1 from then on if EDX has the host's mark.
void emit_search(Code& code) {
  emit(code, {0x81, 0xe2});  // AND EDX
  emit_value(code, kWithoutFlags);
  emit(code, {0x81, 0xfa});  // CMP EDX
  emit_value(code, kHostMark & kWithoutFlags);
  emit(code, {0x75, 0x06, 0x41, 0xbf});  // JNE, MOV R15D
  emit_value(code, std::uint32_t{1});
}

/// WRMSR of what makes last branch records work.
std::uint64_t lbr_value(std::uint32_t msr, std::uint32_t low) {
  constexpr std::uint64_t kDebugControls[] = {1, 1, 0x801, 0x800, 0, 0x1001};
  constexpr std::uint64_t kSelects[] = {0, 1, 2, 0x3c4, 0x3c5, 0x1ff};
  constexpr std::uint64_t kControls[] = {0x7f0007, 0x7f0003, 0x38000f, 0x7f0006, 0};
  switch (msr) {
    case 0x1d9: return kDebugControls[low % std::size(kDebugControls)];
    case 0x1c8: return kSelects[low % std::size(kSelects)];
    case 0x14ce: return kControls[low % std::size(kControls)];
    default: return std::uint64_t{1} << 58;  // IA32_PERF_GLOBAL_STATUS_RESET
  }
}

// Where PV perf finds what a guest writes.
constexpr std::uint32_t kPvPerfPage = 0x280000, kPvPerfParam = 0x281000, kPvPerfAttr = 0x281040,
                        kPvPerfEvents = 0x282000;

/// MOV [address], value.
void emit_store(Code& code, std::uint32_t address, std::uint32_t value) {
  emit(code, {0xc7, 0x04, 0x25});
  emit_value(code, address);
  emit_value(code, value);
}

/// WRMSR of something that makes PV perf work.
void emit_pv_perf_write(Code& code, const Record& record) {
  constexpr std::uint64_t kEvtsel = std::uint64_t{0xf} << 40;
  const std::uint32_t event = record.where >> 8 & 3;
  std::uint32_t msr = 0x40005100 + 8 * event;
  std::uint64_t value = kEvtsel | (record.low & 3) << 8;
  switch (record.where >> 4 & 7) {
    case 0: msr = 0x40005001, value = kPvPerfPage | (record.low & 1); break;
    case 1: msr = 0x40005002, value = record.low & 0xf; break;
    case 2: msr = 0x40005004, value = record.low & 0xf; break;
    case 3: msr = 0x40005007, value = std::uint64_t{record.high & 0xf} << 32 | event; break;
    case 4: msr += 1, value = 0xffff'ffff'ffff - (record.low & 0xff); break;
    case 5: msr += 2, value = record.low & 0xfff; break;
    default: break;
  }
  emit(code, {0xb9});
  emit_value(code, msr);
  emit(code, {0xb8});
  emit_value(code, static_cast<std::uint32_t>(value));
  emit(code, {0xba});
  emit_value(code, static_cast<std::uint32_t>(value >> 32));
  emit(code, {0x0f, 0x30});
}

/// A call, by either vendor's instruction; OPEN's structures are where it says, mostly.
void emit_hypercall(Code& code, const Record& record) {
  const bool open = (record.where >> 4 & 7) < 3;
  const std::uint32_t odd = (record.where & 0x80) != 0 ? record.high : 0;
  emit_store(code, kPvPerfParam, kPvPerfAttr ^ odd);
  emit_store(code, kPvPerfParam + 8, (kPvPerfEvents + 32 * (record.low & 0x7f)) ^ odd);
  emit_store(code, kPvPerfParam + 16, record.where >> 8 & 3);
  emit_store(code, kPvPerfAttr + 8, record.low & 3);
  emit_store(code, kPvPerfAttr + 16, record.high & 0xff);
  emit_store(code, kPvPerfAttr + 24, 3);
  emit_store(code, kPvPerfAttr + 32, 4);
  emit(code, {0xb8});
  emit_value(code, std::uint32_t{0x5650});
  emit(code, {0xbb});
  emit_value(code, open ? 1 : record.where >> 4 & 7);
  emit(code, {0xb9});
  emit_value(code, open ? kPvPerfParam : record.where >> 8 & 3);
  emit(code, {0xba});
  emit_value(code, std::uint32_t{0});
  emit(code, {0x0f, 0x01, static_cast<std::uint8_t>((record.where & 8) != 0 ? 0xd9 : 0xc1)});
}

void emit_pv_perf(Code& code, const Record& record) {
  switch (record.where & 3) {
    case 0: emit_pv_perf_write(code, record); return;
    case 1: emit_hypercall(code, record); return;
    case 2: emit_store(code, kPvPerfPage + (record.low & 0xffc), record.high); return;
    default: emit(code, {0x90, 0x90, 0x90}); return;
  }
}

void emit_access(Code& code, const Record& record) {
  const auto eax_edx = [&] {
    emit(code, {0xb8});
    emit_value(code, record.low);
    emit(code, {0xba});
    const bool marked = (record.high & kWithoutFlags) == (kHostMark & kWithoutFlags);
    emit_value(code, marked ? 0 : record.high);
  };
  const auto ecx = [&](std::uint32_t value) {
    emit(code, {0xb9});
    emit_value(code, value);
  };
  switch (record.kind % 11) {
    case 0: ecx(msr_of(record.where)), emit(code, {0x0f, 0x32}), emit_search(code); return;
    case 1: ecx(msr_of(record.where)), eax_edx(), emit(code, {0x0f, 0x30}); return;
    case 2: ecx(record.where), emit(code, {0x0f, 0x33}); return;
    case 3:  // OUT DX, AL/EAX
    case 4:  // IN
      eax_edx();
      emit(code, {0x66, 0xba});
      emit_value(code, port_of(record.where));
      emit(code,
           {static_cast<std::uint8_t>((record.kind % 11 == 3 ? 0xee : 0xec) | (record.high & 1))});
      return;
    case 5:  // MOV [RBX], EAX
    case 6:  // MOV EAX, [RBX]
      emit(code, {0x48, 0xbb});
      emit_value(code, mmio_of(record.where));
      eax_edx();
      emit(code, {static_cast<std::uint8_t>(record.kind % 11 == 5 ? 0x89 : 0x8b), 0x03});
      return;
    case 7: emit(code, {0xb8}), emit_value(code, record.where), emit(code, {0x0f, 0xa2}); return;
    case 8: {
      constexpr std::uint32_t kSwitches[] = {0x1d9, 0x1c8, 0x14ce, 0x390};
      const std::uint32_t msr = kSwitches[record.where % std::size(kSwitches)];
      const std::uint64_t value = lbr_value(msr, record.low);
      ecx(msr);
      emit(code, {0xb8});
      emit_value(code, static_cast<std::uint32_t>(value));
      emit(code, {0xba});
      emit_value(code, static_cast<std::uint32_t>(value >> 32));
      emit(code, {0x0f, 0x30});
      return;
    }
    case 9:  // CALL the RET behind the next, which jumps over it
      emit(code, {0xe8, 0x02, 0x00, 0x00, 0x00, 0xeb, 0x01, 0xc3});
      return;
    default: emit_pv_perf(code, record); return;
  }
}

/// None where the model has none.
std::optional<vpmu::virt::x86::PmuConfig> with_lbr(const vpmu::silicon::x86::CpuModel& model) {
  const auto config = vpmu::virt::x86::restrict_pmu(model, {.version = {}, .lbr = true});
  return config ? std::optional{*config} : std::nullopt;
}

/// Takes the records from guests several times while such an input runs.
std::vector<vpmu::machine::HostEvent> activity() {
  constexpr std::uint64_t kFrom = std::uint64_t{kHostMark} << 32;
  vpmu::machine::HostEvent reclaim{.name = "reclaim", .at = 100, .until = 300, .every = 1000};
  reclaim.attr = {.config = 0x3c, .pinned = true, .branch_type = vpmu::hostperf::kBranchAny};
  reclaim.branches = {.count = 40, .from = kFrom + 0x1000, .to = kFrom + 0x2000};
  vpmu::machine::HostEvent trace{.name = "trace", .trace = true, .at = 1500, .until = 1600};
  return {reclaim, trace};
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint64_t kTable = vpmu::fuzz::kEntry + 0x100;
  constexpr std::uint64_t kSkip = vpmu::fuzz::kEntry + 0x40;
  constexpr std::uint64_t kSkipCall = vpmu::fuzz::kEntry + 0x50;
  constexpr std::uint64_t kReturn = vpmu::fuzz::kEntry + 0x60;
  constexpr std::uint64_t kStart = vpmu::fuzz::kEntry + 0x1100;
  if (size < 1 || size > 400 * kRecordBytes) return 0;

  // LIDT, STI, jump over the handlers and the table.
  Code code;
  emit(code, {0x0f, 0x01, 0x1c, 0x25});
  emit_value(code, static_cast<std::uint32_t>(vpmu::fuzz::kEntry + 0x80));
  emit(code, {0xfb, 0xe9});
  emit_value(code, static_cast<std::uint32_t>(kStart - (vpmu::fuzz::kEntry + code.size() + 4)));
  code.resize(0x40);
  // Drop the error code, skip two bytes (RDMSR, WRMSR, RDPMC).
  emit(code, {0x48, 0x83, 0xc4, 0x08, 0x48, 0x83, 0x04, 0x24, 0x02, 0x48, 0xcf});
  code.resize(0x50);
  emit(code, {0x48, 0x83, 0x04, 0x24, 0x03, 0x48, 0xcf});  // the other vendor's call has three
  code.resize(0x60);
  emit(code, {0x48, 0xcf});  // IRETQ
  code.resize(0x80);
  emit_value(code, std::uint16_t{0xfff});
  emit_value(code, kTable);
  code.resize(0x100);
  for (unsigned vector = 0; vector < 256; ++vector) {
    std::uint64_t to = vector == 13 ? kSkip : kReturn;
    if (vector == 6) to = kSkipCall;
    emit_value(code, (to & 0xffff) | std::uint64_t{0x18} << 16 | std::uint64_t{0x8e00} << 32 |
                         (to >> 16 & 0xffff) << 48);
    emit_value(code, std::uint64_t{0});
  }
  const bool taken_away = (data[0] & 0x80) != 0;
  emit(code, {0x41, 0xbe});  // MOV R14D: several times, so that the host comes and goes meanwhile
  emit_value(code, std::uint32_t{taken_away ? 8u : 1u});
  const std::size_t again = code.size();
  for (std::size_t at = 1; at + kRecordBytes <= size; at += kRecordBytes) {
    Record record{};
    record.kind = data[at];
    std::memcpy(&record.where, data + at + 1, 4);
    std::memcpy(&record.low, data + at + 5, 4);
    std::memcpy(&record.high, data + at + 9, 4);
    emit_access(code, record);
  }
  emit(code, {0x41, 0xff, 0xce, 0x0f, 0x8f});  // DEC R14D, JG
  emit_value(code, static_cast<std::int32_t>(again) - static_cast<std::int32_t>(code.size() + 4));
  emit(code, {0xe7, 0xf4});  // debug exit
  // Bit 0: another vCPU; 1 to 5: the model, and PV perf behind the last one; 6: last branch
  // records; 7: a host that wants them too.
  const auto models = vpmu::silicon::x86::cpu_models();
  vpmu::fuzz::Setup setup{.vcpus = 1u + (data[0] & 1), .instructions = 5'000};
  const std::size_t choice = data[0] >> 1 & 0x1f;
  setup.model = models[choice % models.size()];
  if (choice >= models.size())
    setup.pv_perf = vpmu::virt::x86::offer_pv_perf(*setup.model, {}).value();
  if ((data[0] & 0x40) != 0) setup.pmu = with_lbr(*setup.model);
  if (taken_away && setup.model->lbr.exists()) setup.host_events = activity();
  if (vpmu::fuzz::run(code, setup)[15] != 0) {
    std::fputs("the guest read a branch of the host's\n", stderr);
    std::abort();
  }
  return 0;
}
