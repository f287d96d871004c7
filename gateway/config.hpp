// The options.  Precedence: command line, environment, configuration file.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pg_org {

// Where a server listens, and its limits.
struct Listener {
    std::string host = "127.0.0.1";
    int port = 4000;
    bool reuse_port = false;
    std::string tls_cert = {}; // PEM files; empty: clear text
    std::string tls_key = {};
    std::size_t threads = 128;
    std::size_t max_waiting = 1024;
    std::size_t max_connections = 10'000;
    std::size_t max_header_bytes = 16 << 10;
    std::size_t max_body_bytes = 1 << 20;
    std::size_t max_buffered_bytes = 256 << 20;
    std::chrono::milliseconds request_timeout{15'000};
    std::chrono::milliseconds idle_timeout{60'000};
};

struct Config {
    Listener listener;
    bool insecure_http = false;
    std::chrono::milliseconds drain_time{0};

    // For operators: metrics and health.
    Listener admin{
        .port = 4001, .threads = 2, .max_waiting = 16, .max_connections = 100, .max_buffered_bytes = 16 << 20};

    std::string database_url;
    std::vector<std::string> replica_urls;
    std::chrono::milliseconds max_replica_lag{1000};
    std::size_t pool_size = 10;
    std::chrono::milliseconds pool_timeout{3000};
    std::chrono::milliseconds lock_timeout{2000};
    std::chrono::milliseconds statement_timeout{5000};
    bool no_batching = false;
    bool transaction_pooling = false;

    std::string webhook_url; // empty: none
    std::string webhook_secret;
    std::string webhook_key;

    bool maintain = false;
    std::string maintain_key;
    std::chrono::milliseconds maintain_interval{60'000};

    std::string oidc_issuer; // empty: nobody signs in
    std::string oidc_audience;
    std::string oidc_jwks; // a file or a URL
    std::string sso_key;
    std::string sso_key_duration = "8h";

    std::string log_level = "info";
    std::string log_format; // empty: text on a terminal, else json

    // Each option with its value, secrets masked.
    std::vector<std::pair<std::string, std::string>> shown;
};

// Nothing after --help or --version.  Throws std::invalid_argument with a one-line message.
std::optional<Config> read_config(int argc, const char *const *argv);

} // namespace pg_org
