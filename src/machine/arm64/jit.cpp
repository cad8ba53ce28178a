// SPDX-License-Identifier: MIT
#include "machine/arm64/jit.hpp"

#include <cstring>
#include <utility>

#include "machine/arm64/access_sites.hpp"
#include "machine/arm64/direct_pages.hpp"
#include "machine/arm64/dynarmic_config.hpp"
#include "machine/arm64/emulate.hpp"
#include "machine/arm64/exclusive_monitor.hpp"
#include "machine/arm64/instruction_probe.hpp"

namespace Dynarmic {

// Friends of ExclusiveMonitor, which has no other way to ask what is marked.
VAddr* GetExclusiveMonitorAddressPointer(ExclusiveMonitor* monitor, std::size_t index);
Vector* GetExclusiveMonitorValuePointer(ExclusiveMonitor* monitor, std::size_t index);

VAddr* GetExclusiveMonitorAddressPointer(ExclusiveMonitor* monitor, std::size_t index) {
  return &monitor->exclusive_addresses[index];
}
Vector* GetExclusiveMonitorValuePointer(ExclusiveMonitor* monitor, std::size_t index) {
  return &monitor->exclusive_values[index];
}

}  // namespace Dynarmic

namespace vpmu::machine::arm64 {

using Dynarmic::HaltReason;
using Dynarmic::A64::VAddr;
using Dynarmic::A64::Vector;

namespace {

constexpr std::size_t kCodeBytes = std::size_t{48} << 20;
constexpr std::size_t kExactCodeBytes = std::size_t{16} << 20;

/// Not the address of an instruction.
constexpr std::uint64_t kNowhere = ~std::uint64_t{0};

/// LDXP X1, X2, [X0]
constexpr std::uint32_t kLoadExclusivePair = 0xc87f'0801;

bool is_return(std::uint32_t word) {
  return branch_kind(word) == BranchKind::kReturn;
}

/// What stands in an empty place of the monitor.
std::uint64_t unmarked() {
  static const std::uint64_t address = [] {
    Dynarmic::ExclusiveMonitor monitor{1};
    return *GetExclusiveMonitorAddressPointer(&monitor, 0);
  }();
  return address;
}

}  // namespace

struct Jit::Private final : Dynarmic::A64::UserCallbacks {
  Private(const Setup& setup_in, Cluster& cluster, JitClient& client_in)
      : setup{setup_in},
        client{client_in},
        monitor{cluster.monitor().dynarmic},
        probe{cluster.probe()},
        map{setup.exact ? 1 : CodeMap::kLongestBlock},
        jit{config()} {}

  Dynarmic::A64::UserConfig config() {
    auto config = dynarmic_config(*this, monitor, setup.exact ? kExactCodeBytes : kCodeBytes);
    if (setup.exact) config.optimizations &= ~Dynarmic::OptimizationFlag::ReturnStackBuffer;
    config.processor_id = setup.index;
    config.tpidr_el0 = setup.tpidr_el0;
    config.tpidrro_el0 = setup.tpidrro_el0;
    config.page_table = setup.direct_pages;
    config.page_table_address_space_bits = DirectPages::kAddressBits;
    config.silently_mirror_page_table = false;
    config.absolute_offset_page_table = true;
    config.detect_misaligned_access_via_page_table = 16 | 32 | 64 | 128;
    return config;
  }

  // ---- Compiling --------------------------------------------------------------------------------

  struct Compiled {
    std::uint32_t word = kUndefinedWord;
    bool ends = true;  ///< its block
  };
  Compiled compiled(std::uint32_t word);
  static bool lone_store_exclusive(const CodePage& page, std::uint64_t address);
  std::uint64_t entered_at(std::uint64_t address);
  static bool unchecked_return(const CodePage& page, std::uint64_t address);
  CodePage* page_of(std::uint64_t address);
  std::optional<std::uint32_t> refuse(std::uint64_t address);
  std::optional<std::uint32_t> MemoryReadCode(VAddr address) override;

  // ---- Data -------------------------------------------------------------------------------------

  struct Access {
    std::uint64_t address;
    unsigned bytes;
    bool write;
    AccessSites::Site site;
  };
  void stop_at_access() {
    stop = Stop::kAccess;
    jit.HaltExecution(HaltReason::MemoryAbort);
  }
  /// An access of the same instruction is not done: what the client said of that one stays.
  [[nodiscard]] bool stopped_at_access() const { return stop == Stop::kAccess; }
  /// Of the callback that it is called by.
  [[gnu::always_inline]] static AccessSites::Site site() {
    return reinterpret_cast<AccessSites::Site>(__builtin_return_address(0));
  }
  /// An access that is not aligned goes on; otherwise the client has been told why not.
  bool goes_on(const Access& access);
  bool read_elsewhere(const Access& access, void* to);
  bool write_elsewhere(const Access& access, const void* from);
  template <class T>
  T read(VAddr address, AccessSites::Site site) {
    T value{};
    if (const std::uint8_t* host = tlb->readable(address, sizeof(T))) [[likely]] {
      std::memcpy(&value, host, sizeof(T));
    } else if (!read_elsewhere({address, sizeof(T), false, site}, &value)) {
      stop_at_access();
    }
    return value;
  }
  template <class T>
  void write(VAddr address, T value, AccessSites::Site site) {
    if (std::uint8_t* host = tlb->writable(address, sizeof(T))) [[likely]] {
      std::memcpy(host, &value, sizeof(T));
    } else if (!write_elsewhere({address, sizeof(T), true, site}, &value)) {
      stop_at_access();
    }
  }
  template <class T>
  bool write_exclusive(VAddr address, T value, T expected) {
    std::uint8_t* host = tlb->writable(address, sizeof(T));
    if (host == nullptr) host = client.exclusive(address, sizeof(T), alone);
    if (host == nullptr) {
      lost = {.held = true, .address = address, .loaded = {}};
      std::memcpy(lost.loaded.data(), &expected, sizeof(T));
      stop_at_access();
      return false;
    }
    if (std::memcmp(host, &expected, sizeof(T)) != 0) return false;
    std::memcpy(host, &value, sizeof(T));
    return true;
  }

  std::uint8_t MemoryRead8(VAddr a) override { return read<std::uint8_t>(a, site()); }
  std::uint16_t MemoryRead16(VAddr a) override { return read<std::uint16_t>(a, site()); }
  std::uint32_t MemoryRead32(VAddr a) override { return read<std::uint32_t>(a, site()); }
  std::uint64_t MemoryRead64(VAddr a) override { return read<std::uint64_t>(a, site()); }
  Vector MemoryRead128(VAddr a) override { return read<Vector>(a, site()); }
  void MemoryWrite8(VAddr a, std::uint8_t v) override { write(a, v, site()); }
  void MemoryWrite16(VAddr a, std::uint16_t v) override { write(a, v, site()); }
  void MemoryWrite32(VAddr a, std::uint32_t v) override { write(a, v, site()); }
  void MemoryWrite64(VAddr a, std::uint64_t v) override { write(a, v, site()); }
  void MemoryWrite128(VAddr a, Vector v) override { write(a, v, site()); }
  bool MemoryWriteExclusive8(VAddr a, std::uint8_t v, std::uint8_t e) override {
    return write_exclusive(a, v, e);
  }
  bool MemoryWriteExclusive16(VAddr a, std::uint16_t v, std::uint16_t e) override {
    return write_exclusive(a, v, e);
  }
  bool MemoryWriteExclusive32(VAddr a, std::uint32_t v, std::uint32_t e) override {
    return write_exclusive(a, v, e);
  }
  bool MemoryWriteExclusive64(VAddr a, std::uint64_t v, std::uint64_t e) override {
    return write_exclusive(a, v, e);
  }
  bool MemoryWriteExclusive128(VAddr a, Vector v, Vector e) override {
    return write_exclusive(a, v, e);
  }

  // ---- The end of a run -------------------------------------------------------------------------

  void end_at(VAddr address, Stop why) {
    stop = why;
    jit.SetPC(address);
    jit.HaltExecution(HaltReason::UserDefined2);
  }
  void InterpreterFallback(VAddr address, std::size_t) override { end_at(address, Stop::kCaught); }
  void CallSVC(std::uint32_t) override { end_at(jit.GetPC() - kInstructionBytes, Stop::kCaught); }
  void ExceptionRaised(VAddr address, Dynarmic::A64::Exception exception) override {
    end_at(address,
           exception == Dynarmic::A64::Exception::NoExecuteFault ? Stop::kFetch : Stop::kCaught);
  }
  void AddTicks(std::uint64_t ticks) override {
    ticks_done += ticks;
    ticks_left = ticks < ticks_left ? ticks_left - ticks : 0;
  }
  std::uint64_t GetTicksRemaining() override { return ticks_left; }
  std::uint64_t GetCNTPCT() override { return 0; }

  void begin(std::uint64_t ticks) {
    stop = Stop::kTicks;
    ticks_left = ticks;
    ticks_done = 0;
    continues_at = kNowhere;
  }
  void after_refusal();
  void step_once();

  const Setup setup;
  JitClient& client;
  Dynarmic::ExclusiveMonitor& monitor;
  InstructionProbe& probe;
  AccessSites sites;
  const DataTlb* tlb = nullptr;
  CodeMap map;
  std::uint64_t ticks_left = 0, ticks_done = 0;
  std::uint64_t continues_at = kNowhere;  ///< where the block that is being compiled goes on
  Stop stop = Stop::kTicks;
  bool alone = false;  ///< step()
  bool fp_caught = setup.exact, stack_caught = false;
  enum class Refused : std::uint8_t { kNot, kFetch, kOverlap, kFull };
  Refused refused = Refused::kNot;
  std::uint64_t refused_at = 0;
  std::uint64_t refused_pc = 0;              ///< kFetch: what the guest branched to
  const std::uint64_t* restoring = nullptr;  ///< what an exclusive load is to see
  /// The exclusive access that a store could have completed, but was stopped: dynarmic has
  /// forgotten it, and step() needs it again.
  ExclusiveState lost;
  Dynarmic::A64::Jit jit;
};

// ---- Compiling ----------------------------------------------------------------------------------

Jit::Private::Compiled Jit::Private::compiled(std::uint32_t word) {
  // dynarmic leaves out loads that nobody uses.
  if (discards_load(word)) return {kUndefinedWord, true};
  switch (handling_of(word)) {
    case Handling::kPlain: return {word, false};
    case Handling::kBranch: return {word, true};
    case Handling::kNothing: return {kIdleWord, false};
    case Handling::kCaught: return {kUndefinedWord, true};
    case Handling::kUnsure: break;
  }
  const bool caught = (fp_caught && uses_fp(word)) ||
                      (setup.level == ExceptionLevel::kEl1 && is_unprivileged_access(word));
  const auto answer = caught ? InstructionProbe::Answer::kRefuses : probe.ask(word);
  if (answer == InstructionProbe::Answer::kRefuses) return {kUndefinedWord, true};
  if (answer == InstructionProbe::Answer::kDoesNothing) return {kIdleWord, false};
  return {word, answer == InstructionProbe::Answer::kEnds};
}

/// A RET that compiled code may come to without a look at the ticks: the return stack leads behind
/// calls, and RET goes where the return stack leads. It is caught. Any other is a block of its own
/// that only links lead to, which do look.
bool Jit::Private::unchecked_return(const CodePage& page, std::uint64_t address) {
  if (!is_return(page.word(address))) return false;
  if ((address & kPageMask) == 0) return true;
  const BranchKind before = branch_kind(page.word(address - kInstructionBytes));
  return before == BranchKind::kCall || before == BranchKind::kIndirectCall;
}

/// A store-exclusive that is not behind its load. It is caught: without a reservation dynarmic does
/// not ask anybody, and whether it is aligned has to be looked at before. Behind its load it is.
bool Jit::Private::lone_store_exclusive(const CodePage& page, std::uint64_t address) {
  constexpr unsigned kNear = 8;
  const std::uint32_t store = page.word(address);
  if (!stores_exclusive(store)) return false;
  const unsigned base = exclusive_base(store);
  for (unsigned n = 1; n <= kNear && (address & kPageMask) >= n * kInstructionBytes; ++n) {
    const std::uint32_t word = page.word(address - n * kInstructionBytes);
    if (branch_kind(word) == BranchKind::kConditional) continue;
    const MemoryKind memory = memory_kind(word);
    const bool may_write_base = (word & 31) == base;
    if (loads_exclusive(word) && exclusive_base(word) == base) {
      return may_write_base || exclusive_bytes(word) != exclusive_bytes(store);
    }
    const Handling handling = handling_of(word);
    const bool falls_through = handling == Handling::kPlain || handling == Handling::kNothing;
    if (may_write_base || !falls_through || memory.load || memory.store) return true;
  }
  return true;
}

/// dynarmic takes bits 63:56 of a branch's target for copies of bit 55. Where the code that it then
/// asks for is not to be had, this is what the guest asked for.
std::uint64_t Jit::Private::entered_at(std::uint64_t address) {
  constexpr std::uint64_t kKept = (std::uint64_t{1} << 56) - 1;
  const std::uint64_t pc = jit.GetPC();
  return ((pc ^ address) & kKept) == 0 ? pc : address;
}

/// Null: refused.
CodePage* Jit::Private::page_of(std::uint64_t address) {
  if (CodePage* page = map.find(address)) return page;
  if (map.full()) {
    refused = Refused::kFull;
    return nullptr;
  }
  const auto mapping = client.fetch(address);
  if (!mapping) {
    refused = Refused::kFetch;
    return nullptr;
  }
  return &map.add(address, *mapping);
}

/// The code at `address` cannot be compiled now: run() ends there, and what dynarmic makes of it is
/// forgotten.
std::optional<std::uint32_t> Jit::Private::refuse(std::uint64_t address) {
  refused_at = address;
  return std::nullopt;
}

std::optional<std::uint32_t> Jit::Private::MemoryReadCode(VAddr address) {
  if (restoring != nullptr) return kLoadExclusivePair;
  const bool continues = address == continues_at;
  continues_at = kNowhere;
  if (continues && (!map.goes_on(address) || is_return(map.find(address)->word(address)))) {
    return kSplitWord;
  }
  CodePage* page = address % kInstructionBytes == 0 ? page_of(address) : nullptr;
  if (page == nullptr) {
    if (address % kInstructionBytes != 0) refused = Refused::kFetch;
    if (refused == Refused::kFetch) {
      refused_pc = entered_at(address);
      if (refused_pc != address) (void)client.fetch(refused_pc);  // that is the fault
    }
    return refuse(address);
  }
  if (!continues && !alone) {
    if (!CodeMap::may_begin(*page, address)) {
      refused = Refused::kOverlap;
      return refuse(address);
    }
    map.begin(*page, address);
  }
  if (must_be_aligned(page->word(address))) sites.forget();
  client.compiles(page->mapping(), address);
  Compiled code = compiled(page->word(address));
  if (alone) return code.word;
  if (!setup.exact && unchecked_return(*page, address)) code.word = kUndefinedWord;
  if (lone_store_exclusive(*page, address)) code = {};
  if (stack_caught && may_misalign_stack(page->word(address))) code = {};
  map.append(code.word);
  if (!code.ends) continues_at = address + kInstructionBytes;
  return code.word;
}

// ---- Data ---------------------------------------------------------------------------------------

bool Jit::Private::goes_on(const Access& access) {
  if (access.address % access.bytes == 0) return true;
  if (!alone) {
    if (sites.knows(access.site)) return true;
    sites.suspect(access.site);
    client.defer();
    return false;
  }
  const CodePage* page = map.find(jit.GetPC());
  if (page == nullptr || !must_be_aligned(page->word(jit.GetPC()))) {
    sites.acquit();
    return true;
  }
  client.misaligned(access.address, access.write);
  return false;
}

bool Jit::Private::read_elsewhere(const Access& access, void* to) {
  if (restoring != nullptr) {
    std::memcpy(to, restoring, access.bytes);
    return true;
  }
  if (stopped_at_access() || !goes_on(access)) return false;
  if (const std::uint8_t* host = tlb->readable_anyhow(access.address, access.bytes)) {
    std::memcpy(to, host, access.bytes);
    return true;
  }
  return client.read(access.address, access.bytes, to, alone);
}

bool Jit::Private::write_elsewhere(const Access& access, const void* from) {
  if (stopped_at_access() || !goes_on(access)) return false;
  if (std::uint8_t* host = tlb->writable_anyhow(access.address, access.bytes)) {
    std::memcpy(host, from, access.bytes);
    return true;
  }
  return client.write(access.address, access.bytes, from, alone);
}

void Jit::Private::after_refusal() {
  if (refused == Refused::kNot) return;
  jit.InvalidateCacheRange(refused_at, kInstructionBytes);
  if (refused == Refused::kOverlap) {
    const CodeMap::Range range = map.split(refused_at);
    jit.InvalidateCacheRange(range.begin, range.bytes);
  }
  if (refused == Refused::kFull) {
    map.clear();
    jit.ClearCache();
  }
  if (refused == Refused::kFetch && stop == Stop::kFetch) jit.SetPC(refused_pc);
  // Only what cannot be fetched is anybody else's business.
  if (refused != Refused::kFetch && stop == Stop::kFetch) stop = Stop::kTicks;
  refused = Refused::kNot;
}

// ---- Running ------------------------------------------------------------------------------------

Jit::Jit(const Setup& setup, Cluster& cluster, JitClient& client)
    : private_{std::make_unique<Private>(setup, cluster, client)} {}

Jit::~Jit() = default;

Jit::Ran Jit::run(std::uint64_t ticks) {
  Private& p = *private_;
  p.begin(ticks);
  p.lost = {};
  p.sites.drop_suspicion();
  p.jit.Run();
  std::uint64_t retired = p.ticks_done;
  switch (p.stop) {
    case Stop::kTicks: break;
    // What stops a block there has been counted.
    case Stop::kCaught:
    case Stop::kFetch: --retired; break;
    // Blocks before this one have been counted.
    case Stop::kAccess: retired += p.map.instructions_before(p.jit.GetPC()); break;
  }
  p.after_refusal();
  return {p.stop, retired};
}

/// Only ticks tell that something has been done: Step() does nothing if somebody has called halt()
/// since code ran last.
void Jit::Private::step_once() {
  begin(1);
  do {
    jit.Step();
  } while (stop == Stop::kTicks && ticks_done == 0);
}

Jit::Ran Jit::step() {
  Private& p = *private_;
  if (p.lost.held) set_exclusive(std::exchange(p.lost, {}));
  p.alone = true;
  p.step_once();
  p.alone = false;
  const std::uint64_t retired = p.stop == Stop::kTicks ? 1 : 0;
  p.after_refusal();
  return {p.stop, retired};
}

void Jit::halt() {
  private_->jit.HaltExecution(HaltReason::UserDefined1);
}

void Jit::use(const DataTlb& tlb) {
  private_->tlb = &tlb;
}

void Jit::catch_fp(bool caught) {
  if (private_->setup.exact || private_->fp_caught == caught) return;
  private_->fp_caught = caught;
  forget_all();
}

void Jit::catch_stack(bool caught) {
  if (private_->stack_caught == caught) return;
  private_->stack_caught = caught;
  forget_all();
}

bool Jit::runs(std::uint32_t word) {
  return private_->compiled(word).word != kUndefinedWord;
}

CodeMap& Jit::map() {
  return private_->map;
}

void Jit::forget_page(std::uint64_t address) {
  private_->map.forget_page(address);
  private_->jit.InvalidateCacheRange(address & ~kPageMask, kPageBytes);
}

void Jit::forget_all() {
  private_->map.clear();
  private_->jit.ClearCache();
}

// ---- Registers ----------------------------------------------------------------------------------

std::uint64_t Jit::x(unsigned n) const {
  return private_->jit.GetRegister(n);
}
void Jit::set_x(unsigned n, std::uint64_t value) {
  private_->jit.SetRegister(n, value);
}
std::uint64_t Jit::sp() const {
  return private_->jit.GetSP();
}
void Jit::set_sp(std::uint64_t value) {
  private_->jit.SetSP(value);
}
std::uint64_t Jit::pc() const {
  return private_->jit.GetPC();
}
void Jit::set_pc(std::uint64_t value) {
  private_->jit.SetPC(value);
}
std::uint32_t Jit::nzcv() const {
  return static_cast<std::uint32_t>(private_->jit.GetPstate() & Spsr::kNzcv.kMask);
}
void Jit::set_nzcv(std::uint32_t value) {
  private_->jit.SetPstate(value);
}

RegisterState Jit::registers() const {
  const Dynarmic::A64::Jit& jit = private_->jit;
  return {.x = jit.GetRegisters(),
          .sp = jit.GetSP(),
          .pc = jit.GetPC(),
          .nzcv = nzcv(),
          .fpcr = jit.GetFpcr(),
          .fpsr = jit.GetFpsr(),
          .v = jit.GetVectors()};
}

void Jit::take_general_registers(const Jit& from) {
  Dynarmic::A64::Jit& jit = private_->jit;
  jit.SetRegisters(from.private_->jit.GetRegisters());
  jit.SetSP(from.sp());
  jit.SetPC(from.pc());
  jit.SetPstate(from.nzcv());
}

void Jit::set_registers(const RegisterState& registers) {
  Dynarmic::A64::Jit& jit = private_->jit;
  jit.SetRegisters(registers.x);
  jit.SetSP(registers.sp);
  jit.SetPC(registers.pc);
  jit.SetPstate(registers.nzcv);
  jit.SetFpcr(registers.fpcr);
  jit.SetFpsr(registers.fpsr);
  jit.SetVectors(registers.v);
}

// ---- Exclusive accesses -------------------------------------------------------------------------

void Jit::clear_exclusive() {
  private_->lost = {};
  private_->jit.ClearExclusiveState();
  private_->monitor.ClearProcessor(private_->setup.index);
}

ExclusiveState Jit::exclusive() const {
  Private& p = *private_;
  const std::uint64_t address = *GetExclusiveMonitorAddressPointer(&p.monitor, p.setup.index);
  if (address == unmarked()) return {};
  return {true, address, *GetExclusiveMonitorValuePointer(&p.monitor, p.setup.index)};
}

void Jit::set_exclusive(const ExclusiveState& state) {
  Private& p = *private_;
  clear_exclusive();
  if (!state.held) return;
  const RegisterState before = registers();
  static const DataTlb kNothing;
  const DataTlb* const tlb = p.tlb;
  p.tlb = &kNothing;
  p.restoring = state.loaded.data();
  p.jit.InvalidateCacheRange(before.pc, kInstructionBytes);
  p.jit.SetRegister(0, state.address);
  p.step_once();
  p.restoring = nullptr;
  p.tlb = tlb;
  p.jit.InvalidateCacheRange(before.pc, kInstructionBytes);
  set_registers(before);
}

}  // namespace vpmu::machine::arm64
