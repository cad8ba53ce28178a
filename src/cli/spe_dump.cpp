// SPDX-License-Identifier: MIT
#include "cli/spe_dump.hpp"

#include "cli/arm64_spe_option.hpp"
#include "cli/spe_time.hpp"
#include "profile/spe/dump.hpp"

namespace vpmu::cli {

namespace {
/// Of a section.
constexpr std::size_t kPiece = std::size_t{1} << 16;
}  // namespace

Result<std::unique_ptr<SpeDump>> SpeDump::attach(machine::arm64::Machine& machine,
                                                 const std::string& path,
                                                 const std::string& image) {
  if (auto has = check_has_spe(machine, "--spe-dump"); !has) return tl::unexpected(has.error());
  auto file = AtomicFile::create(path, "SPE dump");
  if (!file) return tl::unexpected(file.error());
  const auto& model = *machine.config().model;
  const auto vcpus = static_cast<unsigned>(machine.vcpus().size());
  std::unique_ptr<SpeDump> dump{new SpeDump{std::move(*file), vcpus}};
  dump->write(profile::spe::dump_header({.vcpus = vcpus,
                                         .midr = model.midr,
                                         .period = 0,
                                         .time = spe_time(model.counter_hz),
                                         .cpu_model = std::string{model.name},
                                         .image = image}));
  for (const auto& vcpu : machine.vcpus()) vcpu->spe()->set_record_sink(dump.get());
  return dump;
}

void SpeDump::write(std::string_view bytes) {
  if (written_) written_ = file_.write(bytes);
}

void SpeDump::flush(unsigned vcpu) {
  write(profile::spe::dump_section(vcpu, 0, pieces_[vcpu]));
  pieces_[vcpu].clear();
}

void SpeDump::on_record(unsigned vcpu, std::span<const std::uint8_t> bytes) {
  auto& piece = pieces_[vcpu];
  piece.insert(piece.end(), bytes.begin(), bytes.end());
  if (piece.size() >= kPiece) flush(vcpu);
}

Result<void> SpeDump::finish() {
  for (unsigned vcpu = 0; vcpu < pieces_.size(); ++vcpu) {
    if (!pieces_[vcpu].empty()) flush(vcpu);
  }
  write(profile::spe::dump_end());
  if (!written_) return written_;
  return file_.commit();
}

}  // namespace vpmu::cli
