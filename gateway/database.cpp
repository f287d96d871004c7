#include "database.hpp"

#include <libpq-fe.h>
#include <pqxx/pqxx>

#include <poll.h>

#include <algorithm>
#include <deque>
#include <unordered_map>

namespace pg_org {
namespace {

constexpr std::size_t max_prepared = 256;

// The two spellings of libpqxx 6 and of 7.10 on.
#if PQXX_VERSION_MAJOR > 7 || (PQXX_VERSION_MAJOR == 7 && PQXX_VERSION_MINOR >= 10)
constexpr auto verbose = pqxx::error_verbosity::verbose;

pqxx::result execute(pqxx::nontransaction& session, const std::string& name, const std::vector<const char*>& values) {
    pqxx::params parameters;
    parameters.reserve(values.size());
    for (const char* value : values)
        parameters.append(value);
    return session.exec(pqxx::prepped{name}, parameters);
}
#else
constexpr auto verbose = pqxx::connection_base::verbose;

pqxx::result execute(pqxx::nontransaction& session, const std::string& name, const std::vector<const char*>& values) {
    return session.exec_prepared(name, pqxx::prepare::make_dynamic_params(values));
}
#endif

}  // namespace

// libpqxx 6 reconnects behind one's back when it is used after having noticed that the connection is lost; so a
// connection that is not open after a statement is never used again.
class Database::Connection {
public:
    explicit Connection(const Config& config) : connection_{config.database_url} {
        connection_.set_verbosity(verbose);
        run({"SELECT set_config('client_encoding', 'UTF8', false), set_config('lock_timeout', $1::text, false), "
             "set_config('statement_timeout', $2::text, false)",
             {std::to_string(config.lock_timeout.count()), std::to_string(config.statement_timeout.count())}});
    }

    std::vector<Row> run(const Statement& statement) {
        const std::string& name = prepared(statement.sql);
        std::vector<const char*> values;
        values.reserve(statement.values.size());
        for (const auto& value : statement.values)
            values.push_back(value ? value->c_str() : nullptr);
        pqxx::nontransaction session{connection_};
        std::vector<Row> rows;
        for (const auto& fields : execute(session, name, values)) {
            Row& row = rows.emplace_back();
            for (const auto& field : fields)
                row.emplace_back(field.c_str(), field.size());
        }
        return rows;
    }

    bool is_open() const { return connection_.is_open(); }

    // Nothing is to be read from an idle connection but the news of its end.
    bool is_quiet() const {
        pollfd socket{connection_.sock(), POLLIN, 0};
        return poll(&socket, 1, 0) == 0;
    }

private:
    pqxx::connection connection_;
    std::unordered_map<std::string, std::string> names_;  // by statement
    std::deque<std::string> statements_;                  // oldest first
    std::size_t next_name_ = 0;

    const std::string& prepared(const std::string& sql) {
        if (const auto known = names_.find(sql); known != names_.end())
            return known->second;
        if (statements_.size() == max_prepared) {
            connection_.unprepare(names_.at(statements_.front()));
            names_.erase(statements_.front());
            statements_.pop_front();
        }
        const auto name = "s" + std::to_string(next_name_++);
        connection_.prepare(name, sql);
        statements_.push_back(sql);
        return names_[sql] = name;
    }
};

Database::Database(const Config& config) : config_{config} {
    // Checked here because libpq's own complaint quotes the URL's password.
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options{
        PQconninfoParse(config.database_url.c_str(), nullptr), PQconninfoFree};
    if (!options)
        throw std::invalid_argument{"--database-url: not a connection URL or key=value pairs"};
}
Database::~Database() = default;

// A single statement is a transaction: one that failed because of others at the same time left nothing, and may be
// tried again.
std::vector<Row> Database::run(const Statement& statement) {
    constexpr int most_retries = 2;
    for (int retries = 0;; ++retries) {
        try {
            return run_once(statement);
        } catch (const DatabaseError& error) {
            if (retries == most_retries ||
                (error.sqlstate != sqlstate::serialization_failure && error.sqlstate != sqlstate::deadlock_detected))
                throw;
        }
    }
}

std::vector<Row> Database::run_once(const Statement& statement) {
    auto connection = take();
    std::vector<Row> rows;
    try {
        rows = connection->run(statement);
    } catch (const std::exception& error) {
        if (connection->is_open()) {
            give_back(std::move(connection));
            throw DatabaseError::parse(error.what());
        }
        forget(std::move(connection));
        throw DatabaseError{std::string{sqlstate::connection_lost}, "connection lost", true, error.what()};
    }
    give_back(std::move(connection));
    return rows;
}

std::unique_ptr<Database::Connection> Database::take() {
    const auto deadline = Clock::now() + config_.pool_timeout;
    std::unique_lock lock{mutex_};
    for (;;) {
        if (!changed_.wait_until(lock, deadline, [&] { return !idle_.empty() || open_ < config_.pool_size; }))
            throw DatabaseError{std::string{sqlstate::too_many_connections}, "pool exhausted", true,
                                "no database connection became free in time"};
        if (idle_.empty()) {
            ++open_;
            lock.unlock();
            return connect();
        }
        auto connection = std::move(idle_.back());
        idle_.pop_back();
        if (connection->is_quiet())
            return connection;
        --open_;
    }
}

std::unique_ptr<Database::Connection> Database::connect() {
    try {
        return std::make_unique<Connection>(config_);
    } catch (const std::exception& error) {
        forget(nullptr);
        throw DatabaseError{std::string{sqlstate::cannot_connect}, "cannot connect", true, error.what()};
    }
}

void Database::give_back(std::unique_ptr<Connection> connection) {
    {
        const std::lock_guard lock{mutex_};
        idle_.push_back(std::move(connection));
    }
    changed_.notify_one();
}

// The idle connections go as well: most likely the server was restarted.
void Database::forget(std::unique_ptr<Connection>) {
    std::vector<std::unique_ptr<Connection>> idle;
    {
        const std::lock_guard lock{mutex_};
        idle.swap(idle_);
        open_ -= idle.size() + 1;
    }
    changed_.notify_all();
}

DatabaseError DatabaseError::parse(const std::string& text) {
    // ERROR:  28000: Authentication Error, Invalid proxy server token passed.
    // COLUMN NAME:  key
    // LOCATION:  fail, fail.cpp:12
    std::string line = text.substr(0, text.find('\n'));
    std::string sqlstate;
    if (const auto colon = line.find(":  "); colon != line.npos && line.find(": ", colon + 3) == colon + 8) {
        sqlstate = line.substr(colon + 3, 5);
        line.erase(0, colon + 10);
    }
    const auto location = text.rfind("\nLOCATION:  ");
    const auto where = location == text.npos ? std::string{} : text.substr(location);
    const bool raised = where.find(".cpp:") != where.npos || where.find(".hpp:") != where.npos ||
                        where.find(" exec_stmt_raise,") != where.npos;  // PL/pgSQL's RAISE
    DatabaseError error{sqlstate, line, !raised, text};
    constexpr std::string_view named = "\nCOLUMN NAME:  ";
    if (const auto column = text.find(named); raised && column != text.npos) {
        error.argument = text.substr(column + named.size());
        error.argument.erase(error.argument.find_first_of("\n"));
    }
    return error;
}

}  // namespace pg_org
