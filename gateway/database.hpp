// Calls to the database: a pool of connections, one statement and one round trip at a time.
#pragma once

#include "config.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace pg_org {

struct Statement {
    std::string sql;
    std::vector<std::optional<std::string>> values;
};

using Row = std::vector<std::string>;

struct DatabaseError : std::runtime_error {
    std::string sqlstate;
    std::string message;        // one line, without severity
    bool internal;              // raised by PostgreSQL itself, not in so many words by a rule
    std::string argument = {};  // that a rule says it is about, if it does

    // From an error as libpq writes it at verbosity "verbose", which is kept as what().
    static DatabaseError parse(const std::string& text);

    DatabaseError(std::string sqlstate, std::string message, bool internal, const std::string& text)
        : std::runtime_error{text}, sqlstate{std::move(sqlstate)}, message{std::move(message)}, internal{internal} {}
};

namespace sqlstate {
inline constexpr std::string_view serialization_failure = "40001";
inline constexpr std::string_view deadlock_detected = "40P01";
// Of what happens on this side of the connection:
inline constexpr std::string_view cannot_connect = "08001";
inline constexpr std::string_view connection_lost = "08006";
inline constexpr std::string_view too_many_connections = "53300";
}  // namespace sqlstate

class Database {
public:
    // Connects when needed, not yet.  Throws std::invalid_argument if the URL is malformed.
    explicit Database(const Config& config);
    ~Database();

    // Prepared once per connection, tried again when others came between.  Throws DatabaseError.
    std::vector<Row> run(const Statement& statement);

private:
    class Connection;
    using Clock = std::chrono::steady_clock;

    Config config_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::unique_ptr<Connection>> idle_;  // the one used last at the end
    std::size_t open_ = 0;

    std::vector<Row> run_once(const Statement& statement);
    std::unique_ptr<Connection> take();
    std::unique_ptr<Connection> connect();
    void give_back(std::unique_ptr<Connection> connection);
    void forget(std::unique_ptr<Connection> connection);
};

}  // namespace pg_org
