// Calls to a database: a pool of connections, and one statement and one round trip a call.  A database that is away,
// hangs or is full delays a request only for a bounded time, and is used again as soon as it recovers.
#pragma once

#include "config.hpp"
#include "conninfo.hpp"
#include "shares.hpp"

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <vector>

namespace pg_org {

struct Statement {
    std::string sql;
    std::vector<std::optional<std::string>> values;
};

using Row = std::vector<std::string>;

struct DatabaseError : std::runtime_error {
    std::string sqlstate;
    std::string message;       // one line, without severity
    bool internal;             // raised by PostgreSQL itself; a rule's error has the schema name pg_org
    std::string argument = {}; // that a rule's error is about, if it is about one
    std::string hint = {};     // a rule's

    // Whether a rule refused something for what is stored, so that a server that has other data might not refuse it.
    bool depends_on_data() const
    {
        const auto is = [&](std::string_view start) { return sqlstate.starts_with(start); };
        return !internal && (is("P0002") || is("23") || is("55"));
    }

    // From an error as libpq writes it at verbosity "verbose", which is kept as what().
    static DatabaseError parse(const std::string &text);

    DatabaseError(std::string sqlstate, std::string message, bool internal, const std::string &text)
        : std::runtime_error{text}, sqlstate{std::move(sqlstate)}, message{std::move(message)}, internal{internal}
    {
    }
};

namespace sqlstate {
inline constexpr std::string_view read_only = "25006";
inline constexpr std::string_view serialization_failure = "40001";
inline constexpr std::string_view deadlock_detected = "40P01";
// Errors on this side of the connection:
inline constexpr std::string_view cannot_connect = "08001";
inline constexpr std::string_view outcome_unknown = "08007"; // lost after the statement was sent
inline constexpr std::string_view too_many_connections = "53300";
} // namespace sqlstate

class Database {
public:
    struct State {
        std::size_t open;     // connections
        std::size_t in_use;   // of these
        std::size_t waiting;  // requests, for a connection
        bool is_away = false; // no attempt to connect succeeded yet, or the last one failed
    };

    // A pool for requests, whose connections are warmed up; or one connection for monitoring.
    enum class Use { requests, watching };

    // Connects only when needed.  Throws std::invalid_argument if the URL is malformed.
    explicit Database(const Config &config) : Database{config, "--database-url", config.database_url, Use::requests} {}
    Database(const Config &config, const std::string &option, const std::string &url, Use use);
    ~Database();

    // Prepares the statement once per connection, and retries conflicts with others.  Throws DatabaseError.
    std::vector<Row> run(const Statement &statement) { return retry(statement, nullptr); }

    // Whether one of a change's rows is a refusal that depends on data.
    using HasRefusal = bool (*)(const std::vector<Row> &);
    static bool has_none(const std::vector<Row> &) { return false; } // of a single call, whose refusals are errors

    // The same for a change.  With synchronous standbys, a refusal that depends on data waits for them as a change
    // does: a former primary, which does not know yet that it is none, can't refuse what its successor has.
    std::vector<Row> change(const Statement &statement, HasRefusal has_refusal = has_none)
    {
        return retry(statement, has_refusal);
    }

    State state() const;

private:
    class Connection;
    class Waiter;
    using Clock = std::chrono::steady_clock;
    using Lock = std::unique_lock<std::mutex>;

    const Config config_;
    const Use use_;
    const std::size_t pool_size_;
    mutable std::mutex mutex_;
    Conninfo conninfo_;
    std::vector<std::unique_ptr<Connection>> idle_; // the most recently used last
    std::unordered_set<Connection *> in_use_;
    std::deque<Waiter *> queue_;         // for a connection
    Shares shares_;                      // of the connections in use
    std::condition_variable_any needed_; // one more connection
    bool wants_spare_ = true;            // before it is needed
    std::unordered_set<Connection *> opening_;
    std::string timeline_;         // of the server of the latest connection, if the URL names several
    std::optional<Endpoint> lost_; // that a connection was lost to, if none was opened since
    bool was_open_ = false;        // some connection, ever
    bool away_ = false;            // since the last attempt to connect failed
    std::string failure_;
    std::jthread opener_, watch_, follower_;

    std::vector<Row> retry(const Statement &statement, HasRefusal has_refusal);
    std::vector<Row> run_once(const Statement &statement, HasRefusal has_refusal);
    std::unique_ptr<Connection> take();
    std::unique_ptr<Connection> take_idle();
    void use(Connection &connection);
    void release(Connection &connection);
    void wake_next();
    void wake_all();
    void keep_one_idle(std::stop_token stop);
    std::string open(Lock &lock, Connection &connection, const Conninfo &conninfo, bool is_warmed_up);
    void accept(std::unique_ptr<Connection> connection);
    void follow_primary(std::stop_token stop);
    std::optional<Endpoint> silent_server() const;
    void give_back(std::unique_ptr<Connection> connection);
    void forget(std::unique_ptr<Connection> connection);
    void cut_stalled(std::stop_token stop);
};

} // namespace pg_org
