// SPDX-License-Identifier: MIT
//
// `vpmu report` as people read it, and as JSON.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "profile/views/branch_table.hpp"
#include "profile/views/profile.hpp"
#include "profile/views/report_table.hpp"

namespace vpmu::profile {

/// What is before the tables: the file, guests, duration, and what is wrong with it. No line is
/// longer than `columns`.
std::string report_header(const Profile& profile, const std::string& file, std::size_t columns);

/// The table of one event, with a line about the event above it. No line is longer than `columns`.
std::string report_text(const Profile& profile, const ReportTable& table,
                        const ReportOptions& options, std::size_t columns);
std::string branches_text(const Profile& profile, const BranchTable& table, std::size_t columns);

nlohmann::ordered_json report_json(const Profile& profile, const std::string& file,
                                   const std::vector<ReportTable>& tables,
                                   const ReportOptions& options);
nlohmann::ordered_json branches_json(const Profile& profile, const BranchTable& table);

}  // namespace vpmu::profile
