#include "log.hpp"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <unistd.h>

namespace pg_org {
namespace {

constexpr std::size_t max_waiting_lines = 8192;

bool is_text = false;

std::string dump(const nlohmann::ordered_json &json)
{
    return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

} // namespace

void start_log(const std::string &level, const std::string &format)
{
    is_text = format.empty() ? isatty(STDOUT_FILENO) == 1 : format == "text";
    spdlog::init_thread_pool(max_waiting_lines, 1);
    spdlog::set_default_logger(spdlog::async_factory_nonblock::create<spdlog::sinks::stdout_color_sink_mt>("pg_org"));
    spdlog::set_level(spdlog::level::from_str(level));
    const auto pattern = is_text ? "%H:%M:%S.%e %^%l%$ %v" : R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l",%v})";
    spdlog::set_pattern(pattern, is_text ? spdlog::pattern_time_type::local : spdlog::pattern_time_type::utc);
}

void end_log() { spdlog::shutdown(); }

std::size_t lost_log_lines() { return spdlog::thread_pool()->overrun_counter(); }

void log_event(Level level, std::string_view message, const nlohmann::ordered_json &fields)
{
    const auto number = static_cast<spdlog::level::level_enum>(level);
    if (!spdlog::should_log(number))
        return;
    auto line = is_text ? std::string{message} : "\"message\":" + dump(message);
    if (is_text)
        for (const auto &[name, value] : fields.items())
            line += ' ' + name + '=' + dump(value);
    else if (const auto rest = dump(fields); rest.size() > 2)
        line.append(",").append(rest, 1, rest.size() - 2); // the pattern has the braces
    spdlog::log(number, "{}", line);
}

} // namespace pg_org
