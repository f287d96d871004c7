// The log, on standard output: a line per event, JSON unless a person is reading.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace pg_org {

enum class Level { debug, info, warning, error };

void start_log(const std::string& level);
void log_event(Level level, std::string_view message,
               const nlohmann::ordered_json& fields = nlohmann::ordered_json::object());

}  // namespace pg_org
