// SPDX-License-Identifier: MIT
#include "cli/snapshot_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include <fmt/format.h>

#include "cli/arm64_guest.hpp"
#include "cli/arm64_pmu_option.hpp"
#include "cli/arm64_spe_option.hpp"
#include "cli/atomic_file.hpp"
#include "cli/host_events_option.hpp"
#include "cli/pmu_option.hpp"
#include "cli/pv_perf_option.hpp"
#include "cli/size_text.hpp"

namespace vpmu::cli {

namespace {
namespace snapshot = machine::snapshot;

class FileOutput final : public snapshot::Output {
 public:
  explicit FileOutput(AtomicFile& file) : file_{file} {}
  Result<void> write(std::string_view bytes) override { return file_.write(bytes); }

 private:
  AtomicFile& file_;
};

class FileInput final : public snapshot::Input {
 public:
  explicit FileInput(int descriptor) : descriptor_{descriptor} {}
  ~FileInput() { close(descriptor_); }
  FileInput(const FileInput&) = delete;
  FileInput& operator=(const FileInput&) = delete;

  /// In large pieces, whatever is asked for.
  Result<std::size_t> read(std::span<char> to) override {
    while (next_ == end_) {
      const ssize_t got = ::read(descriptor_, buffer_.data(), buffer_.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(fmt::format("{}; give another file", std::strerror(errno)));
      if (got == 0) return 0;
      next_ = 0;
      end_ = static_cast<std::size_t>(got);
    }
    const std::size_t count = std::min(to.size(), end_ - next_);
    std::memcpy(to.data(), buffer_.data() + next_, count);
    next_ += count;
    return count;
  }

 private:
  int descriptor_;
  std::vector<char> buffer_ = std::vector<char>(std::size_t{64} << 10);
  std::size_t next_ = 0;
  std::size_t end_ = 0;
};

Result<void> save_machine(const AnyMachine& machine, const snapshot::Guest& guest,
                          snapshot::Output& output) {
  Result<void> saved;
  visit(machine, [&](auto& of_its_type) { saved = snapshot::save(of_its_type, guest, output); });
  return saved;
}

tl::unexpected<Error> another_pmu(const GuestOptions& options) {
  return fail(fmt::format("its guest has another PMU than --pmu {}; leave --pmu out", options.pmu));
}

Result<void> check_pmu(const GuestOptions& options, const snapshot::Header& header) {
  const auto* model = silicon::x86::find_cpu_model(header.cpu_model);
  if (model == nullptr) return {};  // which the reader says better
  const auto pmu = pmu_config(*model, options.pmu);
  if (!pmu) return tl::unexpected(pmu.error());
  if (*pmu == header.pmu) return {};
  return another_pmu(options);
}

Result<void> check_arm64_pmu(const GuestOptions& options, const snapshot::Header& header) {
  const auto* model = silicon::arm64::find_cpu_model(header.cpu_model);
  if (model == nullptr) return {};  // which the reader says better
  const auto pmu = arm64_pmu_config(*model, options.pmu);
  if (!pmu) return tl::unexpected(pmu.error());
  const auto guests = header.spe ? with_sample_events(*pmu, *model) : *pmu;
  if (guests == header.arm64_pmu) return {};
  return another_pmu(options);
}

/// What of the guest's SPE is asked for must be what it has.
Result<void> check_spe(const GuestOptions& options, const snapshot::Header& header) {
  using machine::arm64::SpeOffer;
  if (options.given("--guest-spe")) {
    const auto given = arm64_spe_offer(options);
    if (!given) return tl::unexpected(given.error());
    std::optional<SpeOffer> wanted = *given;
    // Which host CPUs is asked below.
    if (wanted && header.spe) {
      wanted->host_cpus = header.spe->host_cpus;
      wanted->supported_cpus = header.spe->supported_cpus;
    }
    if (wanted != header.spe) {
      const std::string has = !header.spe ? "no SPE"
                              : !wanted   ? "SPE"
                                          : "another SPE than --guest-spe " + options.guest_spe;
      return fail("its guest has " + has + "; leave --guest-spe out");
    }
  }
  const SpeOffer saved = header.spe.value_or(SpeOffer{});
  if (options.given("--spe-cpus") && options.spe_cpus != saved.host_cpus) {
    return fail("its host has its SPE units on other CPUs; leave --spe-cpus out");
  }
  if (options.given("--spe-supported") && options.spe_supported != saved.supported_cpus) {
    return fail("its vCPUs may run on other host CPUs; leave --spe-supported out");
  }
  return {};
}

/// --pv-perf says what this host is to offer: it must be what the guest has.
Result<void> check_pv_perf(const GuestOptions& options, const snapshot::Header& header,
                           const snapshot::Host& host) {
  const auto* model = silicon::x86::find_cpu_model(header.cpu_model);
  if (model == nullptr || host.model == nullptr) return {};  // which the reader says better
  const auto given = pv_perf_config(*model, *host.model, options.pv_perf);
  if (!given) return tl::unexpected(given.error());
  const auto fit = fits(header.pv_perf.value_or(virt::x86::PvPerfConfig{}),
                        given->value_or(virt::x86::PvPerfConfig{}));
  if (fit) return {};
  return fail(fmt::format("--pv-perf {}: {}, or leave --pv-perf out", options.pv_perf,
                          fit.error().message));
}

/// Where the guest goes on: the host it was saved on, unless options say otherwise.
Result<snapshot::Host> next_host(const GuestOptions& options, const snapshot::Header& header) {
  const auto model = host_model(options, silicon::x86::find_cpu_model(header.host_cpu_model));
  if (!model) return tl::unexpected(model.error());
  snapshot::Host host{.model = *model};
  if (options.given("--pv-perf")) {
    if (auto fit = check_pv_perf(options, header, host); !fit) return tl::unexpected(fit.error());
  }
  if (!options.given("--pv-perf-raw") || *model == nullptr) return host;
  auto raw = pv_perf_raw(options, **model, header.pv_perf);
  if (!raw) return tl::unexpected(raw.error());
  host.pv_perf_raw = std::move(*raw);
  return host;
}

unsigned host_cpus(const snapshot::Header& header) {
  return header.host_cpus == 0 ? header.vcpus : header.host_cpus;
}

/// None: there is no such model, which the reader says better.
std::optional<hostperf::HostCpuModel> host_of(const snapshot::Header& header) {
  if (header.architecture == machine::Architecture::kArm64) {
    const auto* model = silicon::arm64::find_cpu_model(header.host_cpu_model);
    return model != nullptr ? std::optional<hostperf::HostCpuModel>{*model} : std::nullopt;
  }
  const auto* model = silicon::x86::find_cpu_model(header.host_cpu_model);
  return model != nullptr ? std::optional<hostperf::HostCpuModel>{*model} : std::nullopt;
}

Result<void> check_host_events(const GuestOptions& options, const snapshot::Header& header) {
  const bool events = options.given("--host-event"), script = options.given("--host-script");
  if (!events && !script) return {};
  const auto model = host_of(header);
  if (!model) return {};
  const auto given = host_events(options, {*model, host_cpus(header)});
  if (!given) return tl::unexpected(given.error());
  if (*given != header.host_events) {
    return fail(fmt::format("its host has other events; leave {}{}{} out",
                            events ? "--host-event" : "", events && script ? " and " : "",
                            script ? "--host-script" : ""));
  }
  return {};
}

/// What is asked of guests of all architectures alike.
Result<void> check_machine_options(const GuestOptions& options, const snapshot::Header& header) {
  const auto differs = [](const char* option, const auto& has, const auto& given) {
    return fail(
        fmt::format("its guest has {} {}, not {}; leave {} out", option, has, given, option));
  };
  if (options.given("--cpu") && options.cpu != header.cpu_model) {
    return differs("--cpu", header.cpu_model, options.cpu);
  }
  if (options.given("--smp") && options.smp != header.vcpus) {
    return differs("--smp", header.vcpus, options.smp);
  }
  if (options.given("--mem")) {
    const auto memory = parse_size(options.memory);
    if (!memory) return fail("--mem: " + memory.error().message);
    if (*memory != header.memory_bytes) {
      return differs("--mem", header.memory_bytes, options.memory);
    }
  }
  if (options.given("--quantum") && options.quantum != header.quantum) {
    return differs("--quantum", header.quantum, options.quantum);
  }
  const unsigned cpus = host_cpus(header);
  if (options.given("--host-cpus") && options.host_cpus != cpus) {
    return fail(fmt::format("its host has --host-cpus {}, not {}; leave --host-cpus out", cpus,
                            options.host_cpus));
  }
  return {};
}

/// Refuses what was asked for on the command line and is not what the guest has.
Result<void> check_options(const GuestOptions& options, const snapshot::Header& header) {
  if (auto fits = check_machine_options(options, header); !fits) return fits;
  if (header.architecture == machine::Architecture::kArm64) {
    if (auto has = check_arm64_options(options); !has) return has;
    if (auto fits = check_spe(options, header); !fits) return fits;
  }
  if (options.given("--pmu")) {
    auto fits = header.architecture == machine::Architecture::kArm64
                    ? check_arm64_pmu(options, header)
                    : check_pmu(options, header);
    if (!fits) return fits;
  }
  return check_host_events(options, header);
}

Result<RestoredGuest> restore(const GuestOptions& options, machine::Console& console,
                              machine::TraceSink* trace, virt::x86::LbrObserver& lbr_observer) {
  const int file = open(options.restore.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return fail(fmt::format("{}; give another file", std::strerror(errno)));
  FileInput input{file};
  snapshot::Reader reader{input};
  const auto header = reader.header();
  if (!header) return tl::unexpected(header.error());
  if (auto fits = check_options(options, *header); !fits) return tl::unexpected(fits.error());
  if (header->architecture == machine::Architecture::kArm64) {
    const auto* saved = silicon::arm64::find_cpu_model(header->host_cpu_model);
    const auto host =
        saved != nullptr ? arm64_host_model(options, *saved) : Result<decltype(saved)>{nullptr};
    if (!host) return tl::unexpected(host.error());
    auto restored = reader.arm64_machine(console, snapshot::kLargestMemory, *host);
    if (!restored) return tl::unexpected(restored.error());
    return RestoredGuest{header->guest, std::move(*restored)};
  }
  const auto host = next_host(options, *header);
  if (!host) return tl::unexpected(host.error());
  auto restored = reader.machine(console, trace, snapshot::kLargestMemory, &lbr_observer, *host);
  if (!restored) return tl::unexpected(restored.error());
  return RestoredGuest{header->guest, std::move(*restored)};
}
}  // namespace

Result<std::vector<Stop>> save_stops(const std::vector<std::string>& save_at,
                                     const AnyMachine& machine, const snapshot::Guest& guest) {
  std::vector<Stop> stops;
  for (const std::string& value : save_at) {
    const auto point = parse_stop_point("--save-at", value, {});
    if (!point) return tl::unexpected(point.error());
    stops.push_back({.instructions = point->instructions,
                     .option = "--save-at " + value,
                     .action = [machine, guest, file = point->what] {
                       return save_guest(machine, guest, file);
                     }});
  }
  return stops;
}

Result<void> save_guest(const AnyMachine& machine, const snapshot::Guest& guest,
                        const std::string& file) {
  auto atomic = AtomicFile::create(file, "snapshot");
  if (!atomic) return tl::unexpected(atomic.error());
  FileOutput output{*atomic};
  if (auto saved = save_machine(machine, guest, output); !saved) return saved;
  return atomic->commit();
}

Result<RestoredGuest> restore_guest(const GuestOptions& options, machine::Console& console,
                                    machine::TraceSink* trace,
                                    virt::x86::LbrObserver& lbr_observer) {
  return restore(options, console, trace, lbr_observer).map_error([&options](Error error) {
    return Error{fmt::format("snapshot '{}': {}", options.restore, error.message)};
  });
}

}  // namespace vpmu::cli
