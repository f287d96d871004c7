#include "config.hpp"

#include "url.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <stdexcept>

namespace pg_org {
namespace {

// CLI11 from 2.4 on passes over an environment variable that fails a check, instead of refusing it.
CLI::Option* checked(CLI::Option* option, const CLI::Validator& check) {
    return option
        ->each([option, check](std::string text) {
            if (const auto complaint = check(text); !complaint.empty())
                throw std::invalid_argument{option->get_name() + ": " + complaint};
        })
        ->check(check);
}

void add_duration(CLI::App& app, const std::string& option, const std::string& variable,
                  std::chrono::milliseconds& value, const std::string& description) {
    checked(app.add_option_function<std::int64_t>(
                option, [&value](std::int64_t given) { value = std::chrono::milliseconds{given}; }, description),
            CLI::Range(std::int64_t{1}, std::int64_t{3'600'000}))
        ->envname(variable)
        ->type_name("MS")
        ->default_str(std::to_string(value.count()));
}

// Names the option but never a value: it may be a mistyped secret.
std::string unexpected(const std::vector<std::string>& arguments) {
    const auto option = std::find_if(arguments.begin(), arguments.end(),
                                     [](const std::string& argument) { return argument.starts_with('-'); });
    if (option == arguments.end())
        return "unexpected argument";
    return "no such option: " + option->substr(0, option->find('='));
}

}  // namespace

std::optional<Config> read_config(int argc, const char* const* argv) {
    Config config;
    CLI::App app{"pg_org's HTTP gateway: the organizations of an LLM platform, kept in PostgreSQL", "pg_org_gateway"};
    app.set_version_flag("--version", PG_ORG_VERSION);
    app.get_formatter()->column_width(44);
    app.add_option("--host", config.host, "Address to listen on")->envname("PG_ORG_HOST")->capture_default_str();
    checked(app.add_option("--port", config.port, "Port to listen on; 0 picks a free one"), CLI::Range(0, 65535))
        ->envname("PG_ORG_PORT")->capture_default_str();
    app.add_option("--database-url", config.database_url,
                   "Database, as a URL or key=value pairs; when empty, libpq's PG* variables say")
        ->envname("DATABASE_URL");
    checked(app.add_option("--pool-size", config.pool_size, "Database connections at most"), CLI::Range(1, 1000))
        ->envname("PG_ORG_POOL_SIZE")->capture_default_str();
    add_duration(app, "--pool-timeout", "PG_ORG_POOL_TIMEOUT", config.pool_timeout,
                 "How long a request waits for a database connection");
    add_duration(app, "--lock-timeout", "PG_ORG_LOCK_TIMEOUT", config.lock_timeout,
                 "How long a statement waits for a lock; less than the statement timeout");
    add_duration(app, "--statement-timeout", "PG_ORG_STATEMENT_TIMEOUT", config.statement_timeout,
                 "How long a statement may take");
    app.add_flag("--no-batching", config.no_batching,
                 "Take each usage request to the database by itself, not with others that wait")
        ->envname("PG_ORG_NO_BATCHING");
    checked(app.add_option("--threads", config.threads, "HTTP connections served at once"), CLI::Range(1, 1000))
        ->envname("PG_ORG_THREADS")->capture_default_str();
    checked(app.add_option("--max-body-bytes", config.max_body_bytes, "Size of a request's body at most"),
            CLI::Range(1, 1 << 30))
        ->envname("PG_ORG_MAX_BODY_BYTES")->capture_default_str();
    checked(app.add_option("--log-level", config.log_level, "debug, info, warning or error"),
            CLI::IsMember({"debug", "info", "warning", "error"}))
        ->envname("PG_ORG_LOG_LEVEL")->capture_default_str();
    app.add_option("--webhook-url", config.webhook_url, "Where every event is posted to")
        ->envname("PG_ORG_WEBHOOK_URL");
    app.add_option("--webhook-secret", config.webhook_secret, "What these posts are signed with")
        ->envname("PG_ORG_WEBHOOK_SECRET");
    app.add_option("--webhook-key", config.webhook_key, "API key that may deliver events")
        ->envname("PG_ORG_WEBHOOK_KEY");

    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& success) {
        app.exit(success, std::cout, std::cerr);
        return std::nullopt;
    } catch (const CLI::ExtrasError&) {
        throw std::invalid_argument{unexpected(app.remaining()) + " (see --help)"};
    } catch (const CLI::ParseError& error) {
        std::string line = error.what();
        std::replace(line.begin(), line.end(), '\n', ' ');
        throw std::invalid_argument{line};
    }
    if (config.lock_timeout >= config.statement_timeout)
        throw std::invalid_argument{"--lock-timeout: must be less than --statement-timeout"};
    if (!config.webhook_url.empty() && !parse_http_url(config.webhook_url))
        throw std::invalid_argument{"--webhook-url: must be a URL of http or https, without a user"};
    if (!config.webhook_url.empty() && (config.webhook_secret.empty() || config.webhook_key.empty()))
        throw std::invalid_argument{"--webhook-url: needs --webhook-secret and --webhook-key"};
    return config;
}

}  // namespace pg_org
