#include "log.hpp"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <unistd.h>

namespace pg_org {
namespace {

spdlog::level::level_enum level_of(Level level) {
    switch (level) {
        case Level::debug: return spdlog::level::debug;
        case Level::info: return spdlog::level::info;
        case Level::warning: return spdlog::level::warn;
        case Level::error: break;
    }
    return spdlog::level::err;
}

constexpr std::size_t most_waiting_lines = 8192;

bool is_text = false;

std::string dump(const nlohmann::ordered_json& json) {
    return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

void start_log(const std::string& level, const std::string& format) {
    is_text = format.empty() ? isatty(STDOUT_FILENO) == 1 : format == "text";
    spdlog::init_thread_pool(most_waiting_lines, 1);
    spdlog::set_default_logger(spdlog::async_factory_nonblock::create<spdlog::sinks::stdout_color_sink_mt>("pg_org"));
    spdlog::set_level(spdlog::level::from_str(level));
    if (is_text)
        spdlog::set_pattern("%H:%M:%S.%e %^%l%$ %v");
    else
        spdlog::set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l",%v})", spdlog::pattern_time_type::utc);
}

void end_log() { spdlog::shutdown(); }

std::size_t lost_log_lines() { return spdlog::thread_pool()->overrun_counter(); }

void log_event(Level level, std::string_view message, const nlohmann::ordered_json& fields) {
    if (!spdlog::should_log(level_of(level)))
        return;
    std::string line;
    if (is_text) {
        line = message;
        for (const auto& [name, value] : fields.items())
            line += ' ' + name + '=' + dump(value);
    } else {
        line = "\"message\":" + dump(message);
        if (const std::string rest = dump(fields); rest.size() > 2)
            line.append(",").append(rest, 1, rest.size() - 2);  // the pattern has the braces
    }
    spdlog::log(level_of(level), "{}", line);
}

}  // namespace pg_org
