#include "database.hpp"

#include "log.hpp"
#include "observation.hpp"
#include "url.hpp"

#include <libpq-fe.h>
#include <openssl/evp.h>
#include <pqxx/pqxx>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <span>
#include <unordered_map>
#include <utility>

extern "C" const char query_warm_up[];

namespace pg_org {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t max_prepared = 256;

// While the database is away: how often it is tried again, requests being refused at once.
constexpr std::chrono::milliseconds retry_interval{200};

// The server ends a statement at its deadline; one that it has not ended so long after that, it never will.
constexpr std::chrono::milliseconds grace{1000};
constexpr std::chrono::milliseconds watch_interval{250};

// The two spellings of libpqxx 6 and of 7.10 on.
#if PQXX_VERSION_MAJOR > 7 || (PQXX_VERSION_MAJOR == 7 && PQXX_VERSION_MINOR >= 10)
constexpr auto verbose = pqxx::error_verbosity::verbose;

pqxx::params parameters_of(const std::vector<const char *> &values)
{
    pqxx::params parameters;
    parameters.reserve(values.size());
    for (const char *value : values)
        parameters.append(value);
    return parameters;
}

pqxx::result execute(pqxx::nontransaction &session, const std::string &name, const std::vector<const char *> &values)
{
    return session.exec(pqxx::prepped{name}, parameters_of(values));
}

pqxx::result execute_unprepared(pqxx::nontransaction &session, const std::string &sql,
                                const std::vector<const char *> &values)
{
    return session.exec(sql, parameters_of(values));
}
#else
constexpr auto verbose = pqxx::connection_base::verbose;

pqxx::result execute(pqxx::nontransaction &session, const std::string &name, const std::vector<const char *> &values)
{
    return session.exec_prepared(name, pqxx::prepare::make_dynamic_params(values));
}

pqxx::result execute_unprepared(pqxx::nontransaction &session, const std::string &sql,
                                const std::vector<const char *> &values)
{
    return session.exec_params(sql, pqxx::prepare::make_dynamic_params(values));
}
#endif

// The same for the same statement, whoever prepares it: behind a pooler a server's session may be anybody's.
std::string name_of(const std::string &sql)
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    if (!EVP_Digest(sql.data(), sql.size(), digest.data(), nullptr, EVP_sha256(), nullptr))
        throw std::runtime_error{"can't compute a digest"};
    return "pg_org_" + hexadecimal(std::span{digest}.first(16));
}

// Whether somebody else, or a pooler, came between a statement and its preparation; or what it returns has changed.
bool is_ill_prepared(const DatabaseError &error)
{
    return error.sqlstate == "26000" || error.sqlstate == "42P05" ||
           (error.sqlstate == "0A000" && error.message == "cached plan must not change result type");
}

// The URL, and what neither it nor the environment says: when a server that went without a word is given up.
std::string conninfo_of(const std::string &option, const std::string &url, std::chrono::milliseconds patience)
{
    const std::array<std::pair<std::string_view, std::string>, 6> defaults{{
        {"fallback_application_name", "pg_org_gateway"},
        {"connect_timeout", "2"},
        {"keepalives_idle", "10"},
        {"keepalives_interval", "3"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", std::to_string(patience.count())},
    }};
    // Checked here because libpq's own complaint quotes the URL's password.
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parameters{PQconninfoParse(url.c_str(), nullptr),
                                                                                  PQconninfoFree};
    if (!parameters)
        throw std::invalid_argument{option + ": not a connection URL or key=value pairs"};
    std::string conninfo;
    const auto add = [&](std::string_view keyword, std::string_view value) {
        conninfo.append(keyword).append("='");
        for (const char c : value) {
            if (c == '\'' || c == '\\')
                conninfo += '\\';
            conninfo += c;
        }
        conninfo += "' ";
    };
    for (const auto *parameter = parameters.get(); parameter->keyword; ++parameter) {
        const auto *const found = std::find_if(defaults.begin(), defaults.end(),
                                               [&](const auto &known) { return known.first == parameter->keyword; });
        if (parameter->val)
            add(parameter->keyword, parameter->val);
        else if (found != defaults.end() && !(parameter->envvar && std::getenv(parameter->envvar)))
            add(found->first, found->second);
    }
    return conninfo;
}

// Adds the time until it is gone.
class Stopwatch {
public:
    explicit Stopwatch(Clock::duration &total) : total_{total} {}
    ~Stopwatch() { total_ += Clock::now() - start_; }

private:
    Clock::duration &total_;
    const Clock::time_point start_ = Clock::now();
};

} // namespace

// libpqxx 6 reconnects behind one's back when it is used after having noticed that the connection is lost; so a
// connection that is not open after a statement is never used again.
class Database::Connection {
public:
    Owner owner = 0; // whose share of the pool it is

    ~Connection()
    {
        if (socket_ >= 0)
            close(socket_);
    }

    void open(const std::string &conninfo, const Config &config)
    {
        connection_.emplace(conninfo);
        connection_->set_verbosity(verbose);
        socket_ = fcntl(connection_->sock(), F_DUPFD_CLOEXEC, 0);
        set_timeouts(config.lock_timeout, config.statement_timeout);
    }

    // So that no request waits for what the first calls in a session cost.  One that can't be serves them all the same.
    void warm_up(const Config &config)
    {
        constexpr std::chrono::milliseconds patience{100}; // with locks that others hold
        set_timeouts(patience, config.statement_timeout);
        try {
            for (const Row &row : run({query_warm_up, {}}))
                run({row.at(0), {}});
        } catch (const std::exception &error) {
            if (!is_open())
                throw;
            log_event(Level::debug, "connection not warmed up", {{"error", error.what()}});
        }
        set_timeouts(config.lock_timeout, config.statement_timeout);
    }

    std::vector<Row> run(const Statement &statement)
    {
        const Underway underway{begun_};
        std::vector<const char *> values;
        values.reserve(statement.values.size());
        for (const auto &value : statement.values)
            values.push_back(value ? value->c_str() : nullptr);
        std::vector<Row> rows;
        for (const auto &fields : execute_somehow(statement.sql, values)) {
            Row &row = rows.emplace_back();
            for (const auto &field : fields)
                row.emplace_back(field.c_str(), field.size());
        }
        return rows;
    }

    bool was_opened() const { return connection_.has_value(); }
    // Whether another statement can be run.
    bool is_sound() const { return is_open() && !ill_prepared_; }
    bool is_open() const { return connection_->is_open(); }

    // Nothing is to be read from an idle connection but the news of its end.
    bool is_quiet() const
    {
        pollfd socket{connection_->sock(), POLLIN, 0};
        return poll(&socket, 1, 0) == 0;
    }

    // For another thread: whoever waits for the server finds the connection lost.
    void cut_if_begun_before(Clock::time_point time)
    {
        if (begun_.load() < time)
            shutdown(socket_, SHUT_RDWR);
    }

private:
    static constexpr auto never = Clock::time_point::max();

    struct Underway {
        std::atomic<Clock::time_point> &begun;
        explicit Underway(std::atomic<Clock::time_point> &begun) : begun{begun} { begun = Clock::now(); }
        ~Underway() { begun = never; }
    };

    std::optional<pqxx::connection> connection_;
    std::atomic<int> socket_ = -1;                 // a second descriptor, because libpq closes its own when it likes
    std::atomic<Clock::time_point> begun_ = never; // the statement under way
    bool ill_prepared_ = false;
    std::unordered_map<std::string, std::string> names_; // by statement
    std::deque<std::string> statements_;                 // oldest first

    void set_timeouts(std::chrono::milliseconds lock, std::chrono::milliseconds statement)
    {
        run({"SELECT pg_catalog.set_config('client_encoding', 'UTF8', false),"
             " pg_catalog.set_config('lock_timeout', $1::text, false),"
             " pg_catalog.set_config('statement_timeout', $2::text, false)",
             {std::to_string(lock.count()), std::to_string(statement.count())}});
    }

    pqxx::result execute_somehow(const std::string &sql, const std::vector<const char *> &values)
    {
        try {
            const std::string &name = prepared(sql);
            pqxx::nontransaction session{*connection_};
            return execute(session, name, values);
        } catch (const std::exception &error) {
            ill_prepared_ = is_open() && is_ill_prepared(DatabaseError::parse(error.what()));
            if (!ill_prepared_)
                throw;
        }
        pqxx::nontransaction session{*connection_};
        return execute_unprepared(session, sql, values);
    }

    const std::string &prepared(const std::string &sql)
    {
        if (const auto known = names_.find(sql); known != names_.end())
            return known->second;
        if (statements_.size() == max_prepared) {
            connection_->unprepare(names_.at(statements_.front()));
            names_.erase(statements_.front());
            statements_.pop_front();
        }
        const auto name = name_of(sql);
        connection_->prepare(name, sql);
        statements_.push_back(sql);
        return names_[sql] = name;
    }
};

Database::Database(const Config &config, const std::string &option, const std::string &url, Use use)
    : config_{config}, conninfo_{conninfo_of(option, url, config.statement_timeout + grace)}, use_{use},
      pool_size_{use == Use::requests ? config.pool_size : 1}, shares_{pool_size_},
      opener_{[this](std::stop_token stop) { keep_one_idle(stop); }},
      watch_{[this](std::stop_token stop) { cut_stalled(stop); }}
{
}

Database::~Database() = default;

// A single statement is a transaction: one that failed because of others at the same time, or at a server that only
// reads any more, left nothing, and may be tried again.
std::vector<Row> Database::run(const Statement &statement)
{
    constexpr std::array passing{sqlstate::serialization_failure, sqlstate::deadlock_detected, sqlstate::read_only};
    constexpr int most_retries = 2;
    for (int retries = 0;; ++retries) {
        try {
            return run_once(statement);
        } catch (const DatabaseError &error) {
            if (retries == most_retries || std::find(passing.begin(), passing.end(), error.sqlstate) == passing.end())
                throw;
        }
    }
}

std::vector<Row> Database::run_once(const Statement &statement)
{
    auto connection = take();
    std::vector<Row> rows;
    try {
        const Stopwatch stopwatch{trace().database};
        rows = connection->run(statement);
    } catch (const std::exception &error) {
        if (!connection->is_open()) {
            forget(std::move(connection));
            throw DatabaseError{std::string{sqlstate::outcome_unknown}, "connection lost", true, error.what()};
        }
        auto reason = DatabaseError::parse(error.what());
        if (reason.sqlstate == sqlstate::read_only)
            forget(std::move(connection));
        else
            give_back(std::move(connection));
        throw reason;
    }
    give_back(std::move(connection));
    return rows;
}

// A place in the queue for a connection: first come, first served within the owners' shares.  Without a queue a thread
// that has just given a connection back would have it again before those that wait are awake.
class Database::Turn {
public:
    const Owner owner = trace().owner;

    explicit Turn(Database &database) : database_{database} { database_.queue_.push_back(this); }
    ~Turn()
    {
        std::erase(database_.queue_, this);
        database_.wake_next();
    }

    bool is_next() const { return next_in(database_.queue_, database_.shares_) == this; }
    void wait_until(Lock &lock, Clock::time_point time) { changed_.wait_until(lock, time); }
    void wake() { changed_.notify_one(); }

private:
    Database &database_;
    std::condition_variable changed_;
};

// While the database is away, requests are refused at once, unless a connection in use may come back.
std::unique_ptr<Database::Connection> Database::take()
{
    const Stopwatch stopwatch{trace().waited};
    const auto deadline = Clock::now() + config_.pool_timeout;
    Lock lock{mutex_};
    for (Turn turn{*this};; turn.wait_until(lock, deadline)) {
        if (turn.is_next())
            if (auto connection = take_idle())
                return connection;
        if (away_ && in_use_.empty() && idle_.empty())
            throw DatabaseError{std::string{sqlstate::cannot_connect}, "cannot connect", true, failure_};
        if (Clock::now() >= deadline)
            throw DatabaseError{std::string{sqlstate::too_many_connections}, "pool exhausted", true,
                                "no database connection became free in time"};
    }
}

void Database::use(Connection &connection)
{
    connection.owner = trace().owner;
    shares_.take(connection.owner);
    in_use_.insert(&connection);
}

void Database::release(Connection &connection)
{
    shares_.give_back(connection.owner);
    in_use_.erase(&connection);
}

void Database::wake_next()
{
    if (Turn *next = next_in(queue_, shares_))
        next->wake();
}

void Database::wake_all()
{
    for (Turn *turn : queue_)
        turn->wake();
}

std::unique_ptr<Database::Connection> Database::take_idle()
{
    while (!idle_.empty()) {
        auto connection = std::move(idle_.back());
        idle_.pop_back();
        if (!connection->is_quiet())
            continue;
        use(*connection);
        wants_spare_ = idle_.empty();
        if (wants_spare_ && in_use_.size() < pool_size_)
            needed_.notify_one();
        return connection;
    }
    if (in_use_.size() < pool_size_)
        needed_.notify_one();
    return nullptr;
}

// Opens connections before they are needed, so that no request waits for what the first call in a session costs.
void Database::keep_one_idle(std::stop_token stop)
{
    Lock lock{mutex_};
    const auto is_needed = [this] {
        const bool is_wanted = wants_spare_ || away_ || !queue_.empty();
        return is_wanted && idle_.empty() && in_use_.size() < pool_size_;
    };
    while (needed_.wait(lock, stop, is_needed) && !stop.stop_requested()) {
        auto connection = std::make_unique<Connection>();
        opening_ = connection.get();
        std::string failure;
        lock.unlock();
        try {
            connection->open(conninfo_, config_);
            if (use_ == Use::requests)
                connection->warm_up(config_);
        } catch (const std::exception &error) {
            failure = error.what();
        }
        lock.lock();
        opening_ = nullptr;
        // One that is lost again at once says nothing of the next.
        const bool is_good = failure.empty();
        away_ = !is_good && !connection->was_opened();
        failure_ = std::move(failure);
        wants_spare_ = false;
        was_open_ = was_open_ || is_good;
        if (is_good)
            idle_.insert(idle_.begin(), std::move(connection));
        wake_all();
        if (!is_good)
            needed_.wait_for(lock, stop, retry_interval, [] { return false; });
    }
}

void Database::give_back(std::unique_ptr<Connection> connection)
{
    const Lock lock{mutex_};
    release(*connection);
    if (connection->is_sound())
        idle_.push_back(std::move(connection));
    else
        needed_.notify_one();
    wake_next();
}

// The idle connections go as well: most likely the server was restarted.
void Database::forget(std::unique_ptr<Connection> connection)
{
    std::vector<std::unique_ptr<Connection>> idle;
    const Lock lock{mutex_};
    release(*connection);
    idle.swap(idle_);
    wants_spare_ = false;
    needed_.notify_one();
    wake_all();
}

void Database::cut_stalled(std::stop_token stop)
{
    std::condition_variable_any stopped;
    Lock lock{mutex_};
    while (!stop.stop_requested()) {
        const auto begun_before = Clock::now() - config_.statement_timeout - grace;
        for (Connection *connection : in_use_)
            connection->cut_if_begun_before(begun_before);
        if (opening_)
            opening_->cut_if_begun_before(begun_before);
        stopped.wait_for(lock, stop, watch_interval, [] { return false; });
    }
}

Database::State Database::state() const
{
    const Lock lock{mutex_};
    return {idle_.size() + in_use_.size(), in_use_.size(), queue_.size(), away_ || !was_open_};
}

DatabaseError DatabaseError::parse(const std::string &text)
{
    // ERROR:  28000: Authentication Error, Invalid proxy server token passed.
    // SCHEMA NAME:  pg_org
    // COLUMN NAME:  key
    // LOCATION:  raise, fail.cpp:12
    std::string line = text.substr(0, text.find('\n'));
    std::string sqlstate;
    if (const auto colon = line.find(":  "); colon != line.npos && line.find(": ", colon + 3) == colon + 8) {
        sqlstate = line.substr(colon + 3, 5);
        line.erase(0, colon + 10);
    }
    // Read from the end backwards: what stands before these, in this order, may be in a client's words.
    constexpr std::array<std::string_view, 6> labels{
        "SCHEMA NAME:  ", "TABLE NAME:  ", "COLUMN NAME:  ", "DATATYPE NAME:  ", "CONSTRAINT NAME:  ", "LOCATION:  "};
    std::array<std::string_view, labels.size()> fields;
    std::string_view rest{text};
    for (auto i = labels.size(); i-- > 0;) {
        const auto last_line = rest.substr(0, rest.size() - (rest.ends_with('\n') ? 1 : 0));
        const auto start = last_line.rfind('\n') + 1;
        if (!last_line.substr(start).starts_with(labels[i]))
            continue;
        fields[i] = last_line.substr(start + labels[i].size());
        rest = rest.substr(0, start);
    }
    DatabaseError error{sqlstate, line, fields[0] != "pg_org", text};
    if (!error.internal)
        error.argument = fields[2];
    return error;
}

} // namespace pg_org
