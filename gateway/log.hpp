// The log, on standard output: a line for each event, as JSON unless a terminal shows it.
#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace pg_org {

enum class Level { debug = 1, info, warning, error }; // as spdlog numbers them

// Format "text" or "json"; empty: text if standard output is a terminal.  A separate thread
// writes the lines: a slow reader loses the oldest and delays nothing.
void start_log(const std::string &level, const std::string &format);

// Writes the lines that are left.
void end_log();

std::size_t lost_log_lines();

void log_event(Level level, std::string_view message,
               const nlohmann::ordered_json &fields = nlohmann::ordered_json::object());

} // namespace pg_org
