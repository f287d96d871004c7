// What can be set from the command line and the environment.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

namespace pg_org {

struct Config {
    std::string host = "127.0.0.1";
    int port = 4000;
    std::string database_url;
    std::size_t pool_size = 10;
    std::chrono::milliseconds pool_timeout{3000};
    std::chrono::milliseconds lock_timeout{2000};
    std::chrono::milliseconds statement_timeout{5000};
    bool no_batching = false;
    std::size_t threads = 128;
    std::size_t max_body_bytes = 1 << 20;
    std::string log_level = "info";
    std::string webhook_url;  // empty: none
    std::string webhook_secret;
    std::string webhook_key;
};

// Nothing when there is nothing more to do (--help); throws std::invalid_argument with one line otherwise.
std::optional<Config> read_config(int argc, const char* const* argv);

}  // namespace pg_org
