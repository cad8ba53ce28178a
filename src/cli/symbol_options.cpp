// SPDX-License-Identifier: MIT
#include "cli/symbol_options.hpp"

#include <CLI/CLI.hpp>

namespace vpmu::cli {

void add_symbol_options(CLI::App& command, profile::SymbolSources& sources) {
  command.add_option("--image", sources.image,
                     "ELF image of the code: where the one that the recording names is now, or "
                     "the guest's kernel");
  command.add_option("--symbols", sources.symbols,
                     "File with symbols that count before all others: ELF, kallsyms, or lines "
                     "START SIZE NAME; by addresses as in the guest");
  command.add_option("--guest-kallsyms", sources.guest_kallsyms,
                     "File with the guest kernel's symbols: its /proc/kallsyms");
  command.add_option("--kallsyms", sources.host_kallsyms,
                     "File with the host kernel's symbols, as /proc/kallsyms");
}

}  // namespace vpmu::cli
