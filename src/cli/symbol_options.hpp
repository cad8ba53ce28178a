// SPDX-License-Identifier: MIT
//
// Where the commands that look at recordings get names for addresses from.
#pragma once

#include "profile/symbols/address_space.hpp"

namespace CLI {
class App;
}

namespace vpmu::cli {

/// --image, --symbols, --guest-kallsyms, --kallsyms. `sources` must outlive the parsing.
void add_symbol_options(CLI::App& command, profile::SymbolSources& sources);

}  // namespace vpmu::cli
