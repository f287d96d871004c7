// The log, on standard output: a line per event, JSON unless a person reads.
#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace pg_org {

enum class Level { debug = 1, info, warning, error }; // as spdlog numbers them

// Format "text" or "json"; empty: text if standard output is a terminal.  Lines are written by a thread of their own:
// who reads them too slowly loses the oldest, and delays nothing.
void start_log(const std::string &level, const std::string &format);

// Writes what is still to be written.
void end_log();

std::size_t lost_log_lines();

void log_event(Level level, std::string_view message,
               const nlohmann::ordered_json &fields = nlohmann::ordered_json::object());

} // namespace pg_org
