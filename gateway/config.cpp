#include "config.hpp"

#include "url.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>

namespace pg_org {
namespace {

constexpr auto mask = "***";

// All options of the gateway, and what they set.
class Options {
public:
    Options() {
        app_.set_version_flag("--version", PG_ORG_VERSION);
        app_.get_formatter()->column_width(44);
        app_.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
        app_.set_config("--config", {}, "File of options, as lines of name = value")->envname("PG_ORG_CONFIG");
        app_.allow_config_extras(CLI::config_extras_mode::error);
        add_listener();
        add_limits();
        add_database();
        add_webhooks();
        add_log();
    }

    std::optional<Config> read(int argc, const char* const* argv) {
        try {
            app_.parse(arguments(argc, argv));
        } catch (const CLI::Success& success) {
            app_.exit(success, std::cout, std::cerr);
            return std::nullopt;
        } catch (const CLI::ExtrasError&) {
            throw std::invalid_argument{unexpected(app_.remaining()) + " (see --help)"};
        } catch (const CLI::ConfigError& error) {
            throw std::invalid_argument{"--config: " + complaint_about_file(error.what())};
        } catch (const CLI::FileError& error) {
            throw std::invalid_argument{std::string{"--config: "} + error.what()};
        } catch (const CLI::ParseError& error) {
            std::string line = error.what();
            std::replace(line.begin(), line.end(), '\n', ' ');
            throw std::invalid_argument{line};
        }
        for (const Secret& secret : secrets_)
            if (!secret.file.empty())
                *secret.value = read_secret(secret);
        if (!replica_url_file_.empty())
            config_.replica_urls = read_lines("--replica-url-file", replica_url_file_);
        check();
        show();
        return config_;
    }

private:
    struct Secret {
        std::string name;
        std::string* value;
        std::string file;
    };

    CLI::App app_{"pg_org's HTTP gateway: the organizations of an LLM platform, kept in PostgreSQL", "pg_org_gateway"};
    Config config_;
    std::deque<Secret> secrets_;  // options refer to its elements
    std::string replica_url_file_;

    void add_listener() {
        group("Listening");
        add("--host", "PG_ORG_HOST", config_.listener.host, "Address to listen on");
        add("--port", "PG_ORG_PORT", config_.listener.port, "Port to listen on; 0 picks a free one")
            ->check(CLI::Range(0, 65535));
        flag("--reuse-port", "PG_ORG_REUSE_PORT", config_.listener.reuse_port,
             "Share the port with other gateways of the same user");
        add("--tls-cert", "PG_ORG_TLS_CERT", config_.listener.tls_cert,
            "PEM file of the certificate and its chain, read again on SIGHUP");
        add("--tls-key", "PG_ORG_TLS_KEY", config_.listener.tls_key, "PEM file of the certificate's private key");
        flag("--insecure-http", "PG_ORG_INSECURE_HTTP", config_.insecure_http,
             "Serve clear text on other addresses than the loopback");
        add("--admin-host", "PG_ORG_ADMIN_HOST", config_.admin.host,
            "Address of the operators' listener: /metrics, /health");
        add("--admin-port", "PG_ORG_ADMIN_PORT", config_.admin.port, "Its port; 0 picks a free one")
            ->check(CLI::Range(0, 65535));
    }

    void add_limits() {
        group("Limits");
        add("--threads", "PG_ORG_THREADS", config_.listener.threads, "Requests worked at at once")->check(CLI::Range(1, 1000));
        add("--max-waiting", "PG_ORG_MAX_WAITING", config_.listener.max_waiting,
            "Requests that wait for a thread; more are told to try again")->check(CLI::Range(0, 1'000'000));
        add("--max-connections", "PG_ORG_MAX_CONNECTIONS", config_.listener.max_connections,
            "Connections of clients; more are told to try again")->check(CLI::Range(1, 1'000'000));
        add("--max-header-bytes", "PG_ORG_MAX_HEADER_BYTES", config_.listener.max_header_bytes,
            "Size of a request's line and headers at most")->check(CLI::Range(1 << 10, 1 << 20));
        add("--max-body-bytes", "PG_ORG_MAX_BODY_BYTES", config_.listener.max_body_bytes, "Size of a request's body at most")
            ->check(CLI::Range(1, 1 << 30));
        add("--max-buffered-bytes", "PG_ORG_MAX_BUFFERED_BYTES", config_.listener.max_buffered_bytes,
            "Size of all bodies that are held at once; more are told to try again")
            ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40));
        duration("--request-timeout", "PG_ORG_REQUEST_TIMEOUT", config_.listener.request_timeout,
                 "How long a request may take to arrive and be begun, and its reply to be taken");
        duration("--idle-timeout", "PG_ORG_IDLE_TIMEOUT", config_.listener.idle_timeout,
                 "How long a connection is kept without a request");
        duration("--drain-time", "PG_ORG_DRAIN_TIME", config_.drain_time,
                 "How long it goes on serving, not ready, when asked to stop", 0);
    }

    void add_database() {
        group("Database");
        secret("--database-url", "DATABASE_URL", config_.database_url,
               "Database, as a URL or key=value pairs; when empty, libpq's PG* variables say");
        app_.add_option("--replica-url", config_.replica_urls,
                        "A standby for lists and info; may be given several times, in the environment a line each")
            ->envname("PG_ORG_REPLICA_URL")->take_all()->allow_extra_args(false)->delimiter('\n');
        app_.add_option("--replica-url-file", replica_url_file_, "File that has them, a line each")
            ->envname("PG_ORG_REPLICA_URL_FILE")->excludes("--replica-url");
        duration("--max-replica-lag", "PG_ORG_MAX_REPLICA_LAG", config_.max_replica_lag,
                 "How far a standby may be behind to be asked", 0);
        add("--pool-size", "PG_ORG_POOL_SIZE", config_.pool_size, "Connections to each database at most")
            ->check(CLI::Range(1, 1000));
        duration("--pool-timeout", "PG_ORG_POOL_TIMEOUT", config_.pool_timeout,
                 "How long a request waits for a database connection");
        duration("--lock-timeout", "PG_ORG_LOCK_TIMEOUT", config_.lock_timeout,
                 "How long a statement waits for a lock; less than the statement timeout");
        duration("--statement-timeout", "PG_ORG_STATEMENT_TIMEOUT", config_.statement_timeout,
                 "How long a statement may take");
        flag("--no-batching", "PG_ORG_NO_BATCHING", config_.no_batching,
             "Take each usage request to the database by itself, not with others that wait");
    }

    void add_webhooks() {
        group("Webhooks");
        add("--webhook-url", "PG_ORG_WEBHOOK_URL", config_.webhook_url, "Where every event is posted to");
        secret("--webhook-secret", "PG_ORG_WEBHOOK_SECRET", config_.webhook_secret, "What these posts are signed with");
        secret("--webhook-key", "PG_ORG_WEBHOOK_KEY", config_.webhook_key, "API key that may deliver events");
    }

    void add_log() {
        group("Log");
        add("--log-level", "PG_ORG_LOG_LEVEL", config_.log_level, "debug, info, warning or error")
            ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
        add("--log-format", "PG_ORG_LOG_FORMAT", config_.log_format, "text or json; text on a terminal, else json")
            ->check(CLI::IsMember({"text", "json"}));
    }

    void group(const std::string& name) { app_.option_defaults()->group(name); }

    template <typename Value>
    CLI::Option* add(const std::string& name, const std::string& variable, Value& value,
                     const std::string& description) {
        return app_.add_option(name, value, description)->envname(variable)->capture_default_str();
    }

    void flag(const std::string& name, const std::string& variable, bool& value, const std::string& description) {
        app_.add_flag(name, value, description)->envname(variable);
    }

    void duration(const std::string& name, const std::string& variable, std::chrono::milliseconds& value,
                  const std::string& description, std::int64_t least = 1) {
        app_.add_option_function<std::int64_t>(
                name, [&value](std::int64_t given) { value = std::chrono::milliseconds{given}; }, description)
            ->check(CLI::Range(least, std::int64_t{3'600'000}))
            ->envname(variable)
            ->type_name("MS")
            ->default_str(std::to_string(value.count()));
    }

    // From a file as well, where other users of the machine can't see it.
    void secret(const std::string& name, const std::string& variable, std::string& value,
                const std::string& description) {
        static_cast<void>(add(name, variable, value, description));
        secrets_.push_back({name, &value, {}});
        app_.add_option(name + "-file", secrets_.back().file, "File that has it")
            ->envname(variable + "_FILE")->excludes(name);
    }

    // What the environment says goes before what the command line says, which then has the last word; a file is only
    // asked for what neither says.
    std::vector<std::string> arguments(int argc, const char* const* argv) {
        std::vector<std::string> all;
        for (const CLI::Option* option : app_.get_options())
            if (const char* value = std::getenv(option->get_envname().c_str());
                value && *value && !is_given(*option, argc, argv))
                all.push_back("--" + option->get_lnames().front() + '=' + value);
        all.insert(all.end(), argv + 1, argv + argc);
        std::reverse(all.begin(), all.end());  // as CLI11 takes them
        return all;
    }

    static bool is_given(const CLI::Option& option, int argc, const char* const* argv) {
        const auto name = "--" + option.get_lnames().front();
        return std::any_of(argv + 1, argv + argc, [&](std::string_view argument) {
            return argument.starts_with(name) && (argument.size() == name.size() || argument[name.size()] == '=');
        });
    }

    // Names the option but never a value: it may be a mistyped secret.
    static std::string unexpected(const std::vector<std::string>& arguments) {
        const auto option = std::find_if(arguments.begin(), arguments.end(),
                                         [](const std::string& argument) { return argument.starts_with('-'); });
        if (option == arguments.end())
            return "unexpected argument";
        return "no such option: " + option->substr(0, option->find('='));
    }

    static std::string complaint_about_file(const std::string& complaint) {
        constexpr std::string_view unknown = "INI was not able to parse ";
        return complaint.starts_with(unknown) ? "no such option: " + complaint.substr(unknown.size()) : complaint;
    }

    static bool is_loopback(const std::string& host) {
        return host == "localhost" || host == "::1" || host.starts_with("127.");
    }

    static std::vector<std::string> read_lines(const std::string& option, const std::string& path) {
        std::ifstream file{path};
        std::vector<std::string> lines;
        for (std::string line; std::getline(file, line);)
            if (!line.empty())
                lines.push_back(std::move(line));
        if (lines.empty())
            throw std::invalid_argument{option + ": can't read anything from " + path};
        return lines;
    }

    static std::string read_secret(const Secret& secret) {
        const auto option = secret.name + "-file";
        auto lines = read_lines(option, secret.file);
        if (lines.size() > 1)
            throw std::invalid_argument{option + ": " + secret.file + " has more than one line"};
        return std::move(lines.front());
    }

    void check() const {
        if (!is_loopback(config_.listener.host) && config_.listener.tls_cert.empty() && !config_.insecure_http)
            throw std::invalid_argument{"--host: is not the loopback, so give --tls-cert and --tls-key, or "
                                        "--insecure-http behind a proxy that does TLS"};
        if (config_.lock_timeout >= config_.statement_timeout)
            throw std::invalid_argument{"--lock-timeout: must be less than --statement-timeout"};
        if (config_.listener.max_buffered_bytes < config_.listener.max_body_bytes)
            throw std::invalid_argument{"--max-buffered-bytes: must be no less than --max-body-bytes"};
        if (config_.listener.tls_cert.empty() != config_.listener.tls_key.empty())
            throw std::invalid_argument{"--tls-cert and --tls-key: need each other"};
        if (!config_.webhook_url.empty() && !parse_http_url(config_.webhook_url))
            throw std::invalid_argument{"--webhook-url: must be a URL of http or https, without a user"};
        if (!config_.webhook_url.empty() && (config_.webhook_secret.empty() || config_.webhook_key.empty()))
            throw std::invalid_argument{"--webhook-url: needs --webhook-secret and --webhook-key"};
    }

    void show() {
        for (const CLI::Option* option : app_.get_options()) {
            const auto name = option->get_lnames().front();
            if (name == "help" || name == "version")
                continue;
            const bool is_secret =
                name == "replica-url" || std::any_of(secrets_.begin(), secrets_.end(),
                                                     [&](auto& secret) { return secret.name == "--" + name; });
            auto value = option->empty() ? option->get_default_str() : option->results().back();
            if (name == "webhook-url" && !value.empty())
                value = parse_http_url(value)->origin;  // the rest may hold a secret
            if (!value.empty())
                config_.shown.emplace_back(name, is_secret ? mask : value);
        }
    }
};

}  // namespace

std::optional<Config> read_config(int argc, const char* const* argv) { return Options{}.read(argc, argv); }

}  // namespace pg_org
