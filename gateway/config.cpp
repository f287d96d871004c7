#include "config.hpp"

#include "url.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace pg_org {
namespace {

using std::chrono::milliseconds;

void refuse_if(bool is_wrong, const std::string &line)
{
    if (is_wrong)
        throw std::invalid_argument{line};
}

// Whether a URL of http is one of the loopback.
bool is_local(std::string_view url)
{
    const auto host = url.substr(std::min(url.size(), std::string_view{"http://"}.size()));
    return parse_http_url(url) && (host.starts_with("127.") || host.starts_with("[::1]"));
}

// Reads lines of name = value, and nothing else.
class Lines final : public CLI::ConfigBase {
    std::vector<CLI::ConfigItem> from_config(std::istream &input) const override
    {
        std::stringstream lines;
        std::size_t number = 0;
        for (std::string line; std::getline(input, line); lines << line << '\n')
            if (++number; line.find_first_not_of(" \t\r") < line.find('#') && line.find('=') == line.npos)
                throw CLI::ConfigError{"line " + std::to_string(number) + ": write name = value"};
        return CLI::ConfigBase::from_config(lines);
    }
};

// The options of the gateway, and what they set.
class Options {
public:
    Options()
    {
        app_.set_version_flag("--version", PG_ORG_VERSION);
        app_.get_formatter()->column_width(44);
        app_.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
        app_.set_config("--config", {}, "File of options, as lines of name = value")->envname("PG_ORG_CONFIG");
        app_.allow_config_extras(CLI::config_extras_mode::error);
        app_.config_formatter(std::make_shared<Lines>());
        add_options();
    }

    std::optional<Config> read(int argc, const char *const *argv)
    {
        try {
            app_.parse(arguments(argc, argv));
        } catch (const CLI::Success &success) {
            app_.exit(success, std::cout, std::cerr);
            return std::nullopt;
        } catch (const CLI::ExtrasError &) {
            throw std::invalid_argument{unexpected(app_.remaining()) + " (see --help)"};
        } catch (const CLI::ParseError &error) {
            throw std::invalid_argument{complaint(error)};
        }
        read_files();
        check();
        show();
        return config_;
    }

private:
    CLI::App app_{"pg_org's HTTP gateway: the organizations of an LLM platform, kept in PostgreSQL", "pg_org_gateway"};
    Config config_;
    std::map<std::string, std::pair<std::string *, std::string>> secrets_; // by name: the value, and a file that has it
    std::string replica_url_file_;
    std::set<std::string> from_environment_; // options

    void add_options()
    {
        auto &listener = config_.listener;
        group("Listening");
        add("--host", listener.host, "Address to listen on");
        number("--port", listener.port, 0, 65535, "Port to listen on; 0 picks a free one");
        flag("--reuse-port", listener.reuse_port, "Share the port with other gateways of the same user");
        add("--tls-cert", listener.tls_cert, "PEM file of the certificate and its chain; read again on SIGHUP");
        add("--tls-key", listener.tls_key, "PEM file of the certificate's private key; read again on SIGHUP");
        flag("--insecure-http", config_.insecure_http, "Serve clear text on addresses other than the loopback");
        add("--admin-host", config_.admin.host, "Address of the admin listener: /metrics and /health");
        number("--admin-port", config_.admin.port, 0, 65535, "Port of the admin listener; 0 picks a free one");

        group("Limits");
        number("--threads", listener.threads, 1, 1000, "Maximum number of requests processed concurrently");
        number("--max-waiting", listener.max_waiting, 0, 1'000'000,
               "Maximum number of requests waiting for a thread or a database connection");
        number("--max-connections", listener.max_connections, 1, 1'000'000, "Maximum number of client connections");
        number("--max-header-bytes", listener.max_header_bytes, 1 << 10, 1 << 20,
               "Maximum size of a request's line and headers");
        number("--max-body-bytes", listener.max_body_bytes, 1, 1 << 30, "Maximum size of a request's body");
        number("--max-buffered-bytes", listener.max_buffered_bytes, 1, std::int64_t{1} << 40,
               "Maximum total size of the request bodies in memory");
        duration("--request-timeout", listener.request_timeout, 1,
                 "Maximum time to receive a request, to wait for a thread, and to send the reply; each");
        duration("--idle-timeout", listener.idle_timeout, 1, "How long to keep an idle connection");
        duration("--drain-time", config_.drain_time, 0,
                 "How long to keep serving, reported as not ready, after SIGTERM");

        group("Database");
        secret("--database-url", config_.database_url,
               "Database, as a URL or key=value pairs; without it, libpq's PG* variables apply");
        add("--replica-url", config_.replica_urls,
            "Standby to read lists and info from; may be repeated, in the environment one per line")
            ->default_str("")
            ->take_all()
            ->allow_extra_args(false)
            ->delimiter('\n');
        add("--replica-url-file", replica_url_file_, "File that contains them, one per line")
            ->excludes("--replica-url");
        duration("--max-replica-lag", config_.max_replica_lag, 0, "Maximum lag of a standby in use");
        number("--pool-size", config_.pool_size, 1, 1000, "Maximum number of connections to each database");
        duration("--pool-timeout", config_.pool_timeout, 1, "Maximum time to wait for a database connection");
        duration("--lock-timeout", config_.lock_timeout, 1,
                 "Maximum time to wait for a lock; less than --statement-timeout");
        duration("--statement-timeout", config_.statement_timeout, 1, "Maximum time for a statement");
        flag("--no-batching", config_.no_batching, "Send each usage request to the database separately");
        flag("--transaction-pooling", config_.transaction_pooling,
             "Keep nothing in sessions: for PgBouncer's pool_mode = transaction");

        group("Webhooks");
        add("--webhook-url", config_.webhook_url, "URL that every event is posted to");
        secret("--webhook-secret", config_.webhook_secret, "Secret that signs these posts");
        secret("--webhook-key", config_.webhook_key, "API key that may deliver events");

        group("Maintenance");
        flag("--maintain", config_.maintain, "Call org_maintain() regularly");
        secret("--maintain-key", config_.maintain_key, "API key that may, a proxy admin's");
        duration("--maintain-interval", config_.maintain_interval, 1,
                 "How long to wait when nothing more is due, or after a failure");

        group("Signing in");
        add("--oidc-issuer", config_.oidc_issuer, "OpenID Connect issuer, iss in its id tokens, for POST /sso/key");
        add("--oidc-audience", config_.oidc_audience, "Client that id tokens are for, aud in them");
        add("--oidc-jwks", config_.oidc_jwks, "JWKS of the issuer, a file or a URL; read again every 5 minutes");
        secret("--sso-key", config_.sso_key, "API key that makes the keys, a proxy admin's");
        add("--sso-key-duration", config_.sso_key_duration, "How long these keys work, such as 8h");

        group("Log");
        add("--log-level", config_.log_level, "Lowest level to log: debug, info, warning or error")
            ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
        add("--log-format", config_.log_format, "text or json; by default text on a terminal, otherwise json")
            ->check(CLI::IsMember({"text", "json"}));
    }

    void group(const std::string &name) { app_.option_defaults()->group(name); }

    CLI::Option *add(const std::string &name, auto &value, const std::string &description)
    {
        return app_.add_option(name, value, description)->envname(variable_of(name))->capture_default_str();
    }

    void flag(const std::string &name, bool &value, const std::string &description)
    {
        app_.add_flag(name, value, description)->envname(variable_of(name));
    }

    void number(const std::string &name, auto &value, std::int64_t min, std::int64_t max, const char *description)
    {
        add(name, value, description)->check(CLI::Range(min, max));
    }

    void duration(const std::string &name, milliseconds &value, std::int64_t min, const std::string &description)
    {
        const auto set = [&value](std::int64_t given) { value = milliseconds{given}; };
        app_.add_option_function<std::int64_t>(name, set, description)
            ->envname(variable_of(name))
            ->check(CLI::Range(min, std::int64_t{3'600'000}))
            ->type_name("MS")
            ->default_str(std::to_string(value.count()));
    }

    // Can also be read from a file, which other users of the machine can't see.
    void secret(const std::string &name, std::string &value, const std::string &description)
    {
        add(name, value, description);
        auto &[target, file] = secrets_[name];
        target = &value;
        add(name + "-file", file, "File that contains it")->excludes(name);
    }

    static std::string variable_of(std::string name)
    {
        std::transform(name.begin(), name.end(), name.begin(),
                       [](unsigned char c) { return c == '-' ? '_' : std::toupper(c); });
        return name.starts_with("__DATABASE_URL") ? name.substr(2) : "PG_ORG" + name.substr(1);
    }

    // The environment goes before the command line, since the last value wins; CLI11 reads from the file only what
    // neither gives.
    std::vector<std::string> arguments(int argc, const char *const *argv)
    {
        std::vector<std::string> all;
        for (const CLI::Option *option : app_.get_options()) {
            const auto name = "--" + option->get_lnames().front();
            const bool is_given = std::any_of(argv + 1, argv + argc, [&](std::string_view argument) {
                return argument.substr(0, argument.find('=')) == name;
            });
            if (const char *value = std::getenv(option->get_envname().c_str()); value && *value && !is_given) {
                all.push_back(name + '=' + value);
                from_environment_.insert(name);
            }
        }
        all.insert(all.end(), argv + 1, argv + argc);
        std::reverse(all.begin(), all.end()); // as CLI11 takes them
        return all;
    }

    // Names the option but never a value: it may be a mistyped secret.
    static std::string unexpected(const std::vector<std::string> &arguments)
    {
        for (const auto &argument : arguments)
            if (argument.starts_with('-'))
                return "no such option: " + argument.substr(0, argument.find('='));
        return "unexpected argument";
    }

    // Names an option as it was given: a variable of the environment by its own name.
    std::string complaint(const CLI::ParseError &error) const
    {
        constexpr std::string_view unknown = "INI was not able to parse ";
        std::string line = error.what();
        std::replace(line.begin(), line.end(), '\n', ' ');
        if (line.starts_with(unknown))
            line.replace(0, unknown.size(), "no such option: ");
        if (const auto name = line.substr(0, line.find(':')); from_environment_.contains(name))
            line.replace(0, name.size(), variable_of(name));
        return (error.get_name() == "ConfigError" || error.get_name() == "FileError" ? "--config: " : "") + line;
    }

    static std::vector<std::string> read_lines(const std::string &option, const std::string &path)
    {
        std::ifstream file{path};
        std::vector<std::string> lines;
        for (std::string line; std::getline(file, line);)
            if (!line.empty())
                lines.push_back(std::move(line));
        refuse_if(lines.empty(), option + ": can't read anything from " + path);
        return lines;
    }

    void read_files()
    {
        if (!replica_url_file_.empty())
            config_.replica_urls = read_lines("--replica-url-file", replica_url_file_);
        for (const auto &[name, secret] : secrets_) {
            const auto &[value, file] = secret;
            if (file.empty())
                continue;
            const auto lines = read_lines(name + "-file", file);
            refuse_if(lines.size() > 1, name + "-file: " + file + " has more than one line");
            *value = lines.front();
        }
    }

    void check() const
    {
        const auto &listener = config_.listener;
        const auto &host = listener.host, &webhook = config_.webhook_url;
        const bool is_loopback = host == "localhost" || host == "::1" || host.starts_with("127.");
        refuse_if(!is_loopback && listener.tls_cert.empty() && !config_.insecure_http,
                  "--host: is not the loopback, so give --tls-cert and --tls-key, or --insecure-http behind a proxy "
                  "that does TLS");
        refuse_if(listener.port != 0 && listener.port == config_.admin.port && host == config_.admin.host,
                  "--admin-port: is the same as --port");
        refuse_if(config_.lock_timeout >= config_.statement_timeout,
                  "--lock-timeout: must be less than --statement-timeout");
        refuse_if(listener.max_buffered_bytes < listener.max_body_bytes,
                  "--max-buffered-bytes: must be at least --max-body-bytes");
        refuse_if(listener.tls_cert.empty() != listener.tls_key.empty(), "--tls-cert, --tls-key: give both or neither");
        refuse_if(!webhook.empty() && !parse_http_url(webhook),
                  "--webhook-url: must be a URL of http or https, without a user");
        refuse_if(!webhook.empty() && (config_.webhook_secret.empty() || config_.webhook_key.empty()),
                  "--webhook-url: needs --webhook-secret and --webhook-key");
        refuse_if(!config_.oidc_issuer.empty() &&
                      (config_.oidc_audience.empty() || config_.oidc_jwks.empty() || config_.sso_key.empty()),
                  "--oidc-issuer: needs --oidc-audience, --oidc-jwks and --sso-key");
        refuse_if(config_.oidc_jwks.starts_with("http:") && !is_local(config_.oidc_jwks),
                  "--oidc-jwks: must be a file or a URL of https; of http only on this machine");
        refuse_if(config_.maintain && config_.maintain_key.empty(), "--maintain: needs --maintain-key");
    }

    // Masks secrets, and a webhook's path, which is often one too.
    void show()
    {
        for (const CLI::Option *option : app_.get_options()) {
            const auto name = option->get_lnames().front();
            auto value = option->empty() ? option->get_default_str() : option->results().back();
            if (name == "help" || name == "version" || value.empty())
                continue;
            if (name == "replica-url" || secrets_.contains("--" + name))
                value = "***";
            if (name == "webhook-url")
                value = parse_http_url(value)->origin;
            config_.shown.emplace_back(name, value);
        }
    }
};

} // namespace

std::optional<Config> read_config(int argc, const char *const *argv) { return Options{}.read(argc, argv); }

} // namespace pg_org
