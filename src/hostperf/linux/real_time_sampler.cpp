// SPDX-License-Identifier: MIT
#include "hostperf/linux/real_time_sampler.hpp"

#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "hostperf/linux/interrupted_ip.hpp"
#include "hostperf/linux/signal_ring.hpp"
#include "vpmu/hostperf/guest_callbacks.hpp"

namespace vpmu::hostperf {

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

struct Interruption {
  std::uint64_t time_ns;
  std::uint64_t period;
  std::uint64_t ip;
  std::uint32_t vcpu;
  SampledMode mode;
};

std::uint64_t monotonic_ns() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kSecond + static_cast<std::uint64_t>(now.tv_nsec);
}

/// Takes the signal for the process as long as some sampler has it.
class SignalTaken {
 public:
  using Handler = void (*)(int, siginfo_t*, void*);

  /// False: somebody else has it, or it cannot be had.
  static bool take(int signal, Handler handler);
  /// By each who took it, when no thread of his has one pending.
  static void give_back(int signal);

 private:
  static inline std::mutex mutex_;
  static inline int signal_ = 0;
  static inline unsigned users_ = 0;
};

bool SignalTaken::take(int signal, Handler handler) {
  const std::lock_guard lock{mutex_};
  if (users_ != 0) {
    if (signal_ != signal) return false;
    ++users_;
    return true;
  }
  struct sigaction before {};
  if (sigaction(signal, nullptr, &before) != 0 || before.sa_handler != SIG_DFL) return false;
  struct sigaction action {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  if (sigaction(signal, &action, nullptr) != 0) return false;
  signal_ = signal;
  users_ = 1;
  return true;
}

void SignalTaken::give_back(int signal) {
  const std::lock_guard lock{mutex_};
  if (--users_ != 0) return;
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  sigaction(signal, &action, nullptr);
}

sigset_t only(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  return set;
}

Result<void> check(const RealTimeConfig& config) {
  if (config.frequency_hz > RealTimeConfig::kMostHz) {
    return fail("a frequency of " + std::to_string(config.frequency_hz) +
                " Hz: real time is sampled at 1 to " + std::to_string(RealTimeConfig::kMostHz));
  }
  if (!std::has_single_bit(config.ring_size))
    return fail("a ring of " + std::to_string(config.ring_size) + " samples: give a power of two");
  return {};
}

}  // namespace

struct RealTimeSampler::Private {
  explicit Private(const RealTimeConfig& config_in) : config{config_in}, ring{config.ring_size} {}

  static void handle(int signal, siginfo_t* info, void* context);
  void interrupted(std::uint64_t periods, std::uint64_t host_ip) noexcept;
  Result<void> arm();
  void disarm();

  /// The calling thread's.
  static constinit thread_local Private* here __attribute__((tls_model("initial-exec")));

  const RealTimeConfig config;
  const GuestCallbackReader reader;
  SignalRing<Interruption> ring;
  std::optional<timer_t> timer;
  sigset_t mask_before{};
  bool running = false;
};

constinit thread_local RealTimeSampler::Private* RealTimeSampler::Private::here = nullptr;

// ---- In signal context --------------------------------------------------------------------------

void RealTimeSampler::Private::handle(int /*signal*/, siginfo_t* info, void* context) {
  const int saved = errno;
  // Of a timer that had expired several times before its signal came.
  const bool timed = info->si_code == SI_TIMER;
  const std::uint64_t periods = 1 + (timed ? static_cast<std::uint64_t>(info->si_overrun) : 0);
  if (here != nullptr) here->interrupted(periods, interrupted_ip(context));
  errno = saved;
}

void RealTimeSampler::Private::interrupted(std::uint64_t periods, std::uint64_t host_ip) noexcept {
  GuestSnapshot guest = GuestCallbacks::host().snapshot();
  if (guest.state == 0 && config.exclude_host) return;
  if (config.exclude_guest) guest = {};
  const std::uint64_t period = config.frequency_hz != 0 ? kSecond / config.frequency_hz : 1;
  Interruption now{.time_ns = monotonic_ns(),
                   .period = periods * period,
                   .ip = host_ip,
                   .vcpu = config.vcpu != nullptr ? config.vcpu() : Sample::kNoVcpu,
                   .mode = SampledMode::kHostUser};
  if (guest.state != 0) {
    const bool user = (guest.state & kGuestUserMode) != 0;
    now.mode = user ? SampledMode::kGuestUser : SampledMode::kGuestKernel;
    now.ip = guest.ip;
  }
  ring.put(now);
}

// ---- Starting and stopping ----------------------------------------------------------------------

/// The timer of the calling thread.
Result<void> RealTimeSampler::Private::arm() {
  const clockid_t clock =
      config.clock == SamplingClock::kThreadCpu ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = config.signal;
  event._sigev_un._tid = gettid();
  timer_t created{};
  if (timer_create(clock, &event, &created) != 0) {
    return fail(std::string{"a timer for sampling in real time: "} + std::strerror(errno) +
                "; see `ulimit -i`");
  }
  timer = created;
  const std::uint64_t period = kSecond / config.frequency_hz;
  const timespec every{.tv_sec = static_cast<time_t>(period / kSecond),
                       .tv_nsec = static_cast<long>(period % kSecond)};
  const itimerspec times{.it_interval = every, .it_value = every};
  timer_settime(created, 0, &times, nullptr);
  return {};
}

/// The thread gets no signal any more, nor has one pending that would come when nobody wants it.
void RealTimeSampler::Private::disarm() {
  const sigset_t signal = only(config.signal);
  pthread_sigmask(SIG_BLOCK, &signal, nullptr);
  if (timer) timer_delete(*timer);
  timer.reset();
  const timespec now{};
  while (sigtimedwait(&signal, nullptr, &now) > 0) {
  }
  here = nullptr;
}

Result<std::unique_ptr<RealTimeSampler>> RealTimeSampler::start(const RealTimeConfig& config) {
  if (auto fine = check(config); !fine) return tl::unexpected(fine.error());
  if (Private::here != nullptr)
    return fail("this thread is sampled in real time already: stop that sampler first");
  std::unique_ptr<RealTimeSampler> sampler{new RealTimeSampler};
  sampler->private_ = std::make_unique<Private>(config);
  Private& started = *sampler->private_;
  if (!started.reader.ok()) return fail("too many threads are sampled: stop some of them first");
  if (!SignalTaken::take(config.signal, &Private::handle)) {
    return fail("signal " + std::to_string(config.signal) +
                " is in use in this process: choose another one for sampling in real time");
  }
  started.running = true;
  const sigset_t signal = only(config.signal);
  pthread_sigmask(SIG_SETMASK, nullptr, &started.mask_before);
  Private::here = &started;
  pthread_sigmask(SIG_UNBLOCK, &signal, nullptr);
  if (config.frequency_hz != 0) {
    if (const auto armed = started.arm(); !armed) return tl::unexpected(armed.error());
  }
  return sampler;
}

RealTimeSampler::RealTimeSampler() = default;

RealTimeSampler::~RealTimeSampler() {
  if (private_ != nullptr) stop();
}

void RealTimeSampler::stop() {
  Private& stopped = *private_;
  if (!std::exchange(stopped.running, false)) return;
  stopped.disarm();
  SignalTaken::give_back(stopped.config.signal);
  pthread_sigmask(SIG_SETMASK, &stopped.mask_before, nullptr);
}

// ---- Outside of signal context ------------------------------------------------------------------

std::size_t RealTimeSampler::drain(SampleSink& sink) {
  return private_->ring.drain([&](const Interruption& one) {
    Sample sample;
    sample.event = private_->config.event;
    sample.vcpu = one.vcpu;
    sample.time_ns = one.time_ns;
    sample.mode = one.mode;
    sample.ip = one.ip;
    sample.period = one.period;
    sink.on_sample(sample);
  });
}

std::uint64_t RealTimeSampler::lost() const {
  return private_->ring.lost();
}

}  // namespace vpmu::hostperf
