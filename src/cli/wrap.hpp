// SPDX-License-Identifier: MIT
//
// Text in lines that fit a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vpmu::cli {

/// What tables and paragraphs of the command keep to.
inline constexpr std::size_t kTextColumns = 100;

/// `head`, which takes `indent` columns, and behind it `text`, broken at spaces; further lines
/// begin `indent` spaces in. No line end behind the last. A word that does not fit a line is not
/// broken.
std::string wrapped(std::string_view head, std::size_t indent, std::string_view text,
                    std::size_t columns = kTextColumns);

/// The columns of the terminal that standard output is, at most kTextColumns; kTextColumns if it
/// is none.
std::size_t output_columns();

}  // namespace vpmu::cli
