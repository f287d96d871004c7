#include "database.hpp"

#include "log.hpp"
#include "observation.hpp"
#include "pause.hpp"
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

extern "C" const char query_confirm[], query_timeline[], query_warm_up[];

namespace pg_org {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t max_prepared = 256;

// How often to try a database that is away; meanwhile requests are refused at once.
constexpr std::chrono::milliseconds retry_interval{200};

// A primary that has not answered for so long may have a successor, for which the other servers are asked so often.
constexpr std::chrono::milliseconds patience{1000};
constexpr std::chrono::milliseconds search_interval{500};

// The server ends a statement at its deadline; after this much longer the connection counts as lost.
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

// Depends on the statement alone: behind a pooler, sessions of the server are shared.
std::string name_of(const std::string &sql)
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    if (!EVP_Digest(sql.data(), sql.size(), digest.data(), nullptr, EVP_sha256(), nullptr))
        throw std::runtime_error{"can't compute a digest"};
    return "pg_org_" + hexadecimal(std::span{digest}.first(16));
}

// Whether the prepared statement is missing or a duplicate, as behind a pooler, or its result type has changed.
bool is_lost_plan(const DatabaseError &error)
{
    return error.sqlstate == "26000" || error.sqlstate == "42P05" ||
           (error.sqlstate == "0A000" && error.message == "cached plan must not change result type");
}

// Adds its own lifetime to a total.
class Stopwatch {
public:
    explicit Stopwatch(Clock::duration &total) : total_{total} {}
    ~Stopwatch() { total_ += Clock::now() - start_; }

private:
    Clock::duration &total_;
    const Clock::time_point start_ = Clock::now();
};

} // namespace

// libpqxx 6 reconnects silently when a lost connection is used again, so a connection that is not open after a
// statement is never reused.
class Database::Connection {
public:
    Owner owner = 0; // whose share of the pool it uses

    ~Connection()
    {
        if (socket_ >= 0)
            close(socket_);
    }

    void open(const Conninfo &conninfo, const Config &config)
    {
        connection_.emplace(conninfo.text());
        server_ = {connection_->hostname(), connection_->port()};
        connection_->set_verbosity(verbose);
        socket_ = fcntl(connection_->sock(), F_DUPFD_CLOEXEC, 0);
        has_session_ = !config.transaction_pooling;
        if (has_session_)
            set_timeouts(config.lock_timeout, config.statement_timeout);
        if (conninfo.names_several())
            timeline_ = run({query_timeline, {}}).at(0).at(0);
    }

    // Spares requests the cost of a session's first calls.  A connection that can't be warmed up serves all the same.
    void warm_up(const Config &config)
    {
        if (!has_session_)
            return;
        constexpr std::chrono::milliseconds lock_timeout{100};
        set_timeouts(lock_timeout, config.statement_timeout);
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
        for (const auto &fields : execute_or_fall_back(statement.sql, values)) {
            Row &row = rows.emplace_back();
            for (const auto &field : fields)
                row.emplace_back(field.c_str(), field.size());
        }
        return rows;
    }

    std::vector<Row> change(const Statement &statement, HasRefusal has_refusal)
    {
        try {
            auto rows = run(statement);
            if (has_refusal(rows))
                run({query_confirm, {}});
            return rows;
        } catch (const std::exception &error) {
            if (is_open() && DatabaseError::parse(error.what()).depends_on_data())
                run({query_confirm, {}});
            throw;
        }
    }

    bool was_opened() const { return connection_.has_value(); }
    const Endpoint &server() const { return server_; }        // once it was opened
    const std::string &timeline() const { return timeline_; } // of one of several servers
    // Whether it can run another statement.
    bool is_sound() const { return is_open() && !lost_plan_; }
    bool is_open() const { return connection_->is_open(); }

    // An idle connection becomes readable only when it ends.
    bool is_quiet() const
    {
        pollfd socket{connection_->sock(), POLLIN, 0};
        return poll(&socket, 1, 0) == 0;
    }

    // Whether a statement that began before that is still under way.
    bool is_silent_since(Clock::time_point time) const { return begun_.load() < time; }

    // For another thread: the one that waits for the server finds the connection lost.
    void cut() { shutdown(socket_, SHUT_RDWR); }

private:
    static constexpr auto never = Clock::time_point::max();

    struct Underway {
        std::atomic<Clock::time_point> &begun;
        explicit Underway(std::atomic<Clock::time_point> &begun) : begun{begun} { begun = Clock::now(); }
        ~Underway() { begun = never; }
    };

    std::optional<pqxx::connection> connection_;
    Endpoint server_;
    std::string timeline_;
    std::atomic<int> socket_ = -1;                 // a duplicate, because libpq may close its own at any time
    std::atomic<Clock::time_point> begun_ = never; // begin of the current statement
    bool has_session_ = true;                      // or a pooler gives each statement another one
    bool lost_plan_ = false;
    std::unordered_map<std::string, std::string> names_; // by statement
    std::deque<std::string> statements_;                 // oldest first

    void set_timeouts(std::chrono::milliseconds lock, std::chrono::milliseconds statement)
    {
        run({"SELECT pg_catalog.set_config('lock_timeout', $1::text, false),"
             " pg_catalog.set_config('statement_timeout', $2::text, false)",
             {std::to_string(lock.count()), std::to_string(statement.count())}});
    }

    pqxx::result execute_or_fall_back(const std::string &sql, const std::vector<const char *> &values)
    {
        if (has_session_) {
            try {
                const std::string &name = prepared(sql);
                pqxx::nontransaction session{*connection_};
                return execute(session, name, values);
            } catch (const std::exception &error) {
                lost_plan_ = is_open() && is_lost_plan(DatabaseError::parse(error.what()));
                if (!lost_plan_)
                    throw;
            }
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
    : config_{config}, use_{use}, pool_size_{use == Use::requests ? config.pool_size : 1},
      conninfo_{option, url, config.statement_timeout + grace}, shares_{pool_size_},
      opener_{[this](std::stop_token stop) { keep_one_idle(stop); }},
      watch_{[this](std::stop_token stop) { cut_stalled(stop); }}
{
    if (conninfo_.names_several())
        follower_ = std::jthread{[this](std::stop_token stop) { follow_primary(stop); }};
}

Database::~Database() = default;

// A single statement is a transaction: one that failed because of a conflict, or because the server has become
// read-only, changed nothing and can be tried again.
std::vector<Row> Database::retry(const Statement &statement, HasRefusal has_refusal)
{
    constexpr std::array transient{sqlstate::serialization_failure, sqlstate::deadlock_detected, sqlstate::read_only};
    constexpr int max_retries = 2;
    for (int retries = 0;; ++retries) {
        try {
            return run_once(statement, has_refusal);
        } catch (const DatabaseError &error) {
            if (retries == max_retries ||
                std::find(transient.begin(), transient.end(), error.sqlstate) == transient.end())
                throw;
        }
    }
}

std::vector<Row> Database::run_once(const Statement &statement, HasRefusal has_refusal)
{
    auto connection = take();
    std::vector<Row> rows;
    try {
        const Stopwatch stopwatch{trace().database};
        rows = has_refusal ? connection->change(statement, has_refusal) : connection->run(statement);
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

// A thread in the queue for a connection: first come, first served within the owners' shares.  Without the queue, a
// thread that has just returned a connection would take it again before the waiting ones are awake.
class Database::Waiter {
public:
    const Owner owner = trace().owner;

    explicit Waiter(Database &database) : database_{database} { database_.queue_.push_back(this); }
    ~Waiter()
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

// Refuses at once while the database is away, unless a connection in use may come back.
std::unique_ptr<Database::Connection> Database::take()
{
    const Stopwatch stopwatch{trace().waited};
    const auto deadline = Clock::now() + config_.pool_timeout;
    Lock lock{mutex_};
    for (Waiter waiter{*this};; waiter.wait_until(lock, deadline)) {
        if (waiter.is_next())
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
    if (Waiter *next = next_in(queue_, shares_))
        next->wake();
}

void Database::wake_all()
{
    for (Waiter *waiter : queue_)
        waiter->wake();
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

// Opens connections before they are needed, so that no request waits for a new session.
void Database::keep_one_idle(std::stop_token stop)
{
    Lock lock{mutex_};
    const auto is_needed = [this] {
        const bool is_wanted = wants_spare_ || away_ || !queue_.empty();
        return is_wanted && idle_.empty() && in_use_.size() < pool_size_;
    };
    while (needed_.wait(lock, stop, is_needed) && !stop.stop_requested()) {
        auto connection = std::make_unique<Connection>();
        const auto conninfo = conninfo_;
        // While the database is away, requests are refused: they can't wait for a warm-up.
        const bool is_warmed_up = use_ == Use::requests && !away_;
        auto failure = open(lock, *connection, conninfo, is_warmed_up);
        if (conninfo != conninfo_) // a server was lost meanwhile, or another one is the primary
            continue;
        const bool is_good = failure.empty();
        // A connection that opened and was lost at once does not mean that the database is away.
        away_ = !is_good && !connection->was_opened();
        failure_ = std::move(failure);
        wants_spare_ = false;
        if (is_good)
            accept(std::move(connection));
        else if (connection->was_opened())
            conninfo_.try_last(connection->server());
        wake_all();
        if (!is_good)
            needed_.wait_for(lock, stop, retry_interval, [] { return false; });
    }
}

// Without the lock meanwhile.  Returns what failed, if something did.
std::string Database::open(Lock &lock, Connection &connection, const Conninfo &conninfo, bool is_warmed_up)
{
    std::string failure;
    opening_.insert(&connection);
    lock.unlock();
    try {
        connection.open(conninfo, config_);
        if (is_warmed_up)
            connection.warm_up(config_);
    } catch (const std::exception &error) {
        failure = error.what();
    }
    lock.lock();
    opening_.erase(&connection);
    return failure;
}

void Database::accept(std::unique_ptr<Connection> connection)
{
    conninfo_.try_first(connection->server());
    timeline_ = connection->timeline();
    lost_.reset();
    away_ = false;
    was_open_ = true;
    idle_.insert(idle_.begin(), std::move(connection));
}

// A primary that does not answer may have lost its place to a standby, without knowing it: statements would wait there
// until their deadline, and new ones after them.  Only a later timeline counts, which is that of a promoted standby: a
// former primary may still seem to be one.
void Database::follow_primary(std::stop_token stop)
{
    while (pause(stop, search_interval)) {
        std::vector<std::unique_ptr<Connection>> left;
        Lock lock{mutex_};
        const auto silent = silent_server();
        const auto others = silent ? conninfo_.without(*silent) : std::nullopt;
        if (!others)
            continue;
        auto connection = std::make_unique<Connection>();
        constexpr bool is_warmed_up = false; // requests wait for it
        if (!open(lock, *connection, *others, is_warmed_up).empty())
            continue;
        for (Connection *other : in_use_)
            if (other->timeline() < connection->timeline())
                other->cut();
        if (connection->timeline() <= timeline_)
            continue;
        log_event(Level::warning, "another server is the primary",
                  {{"former", silent->host}, {"server", connection->server().host}});
        left.swap(idle_);
        accept(std::move(connection));
        wake_all();
    }
}

// The one that some statement has been waiting for, or to which a connection was lost and none was opened since.
std::optional<Endpoint> Database::silent_server() const
{
    const auto begun_before = Clock::now() - patience;
    for (const Connection *connection : in_use_)
        if (connection->is_silent_since(begun_before))
            return connection->server();
    return lost_;
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

// Drops the idle connections to that server as well: most likely it was restarted.
void Database::forget(std::unique_ptr<Connection> connection)
{
    std::vector<std::unique_ptr<Connection>> lost;
    const Lock lock{mutex_};
    release(*connection);
    conninfo_.try_last(connection->server());
    lost_ = connection->server();
    const auto is_lost = [&](const auto &idle) { return idle->server() == connection->server(); };
    const auto first = std::stable_partition(idle_.begin(), idle_.end(), std::not_fn(is_lost));
    std::move(first, idle_.end(), std::back_inserter(lost));
    idle_.erase(first, idle_.end());
    wants_spare_ = false;
    needed_.notify_one();
    wake_all();
}

void Database::cut_stalled(std::stop_token stop)
{
    while (pause(stop, watch_interval)) {
        const Lock lock{mutex_};
        const auto begun_before = Clock::now() - config_.statement_timeout - grace;
        for (const auto *connections : {&in_use_, &opening_})
            for (Connection *connection : *connections)
                if (connection->is_silent_since(begun_before))
                    connection->cut();
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
    // Reads backwards from the end, in this order: the text before these fields may contain a client's words.
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
    if (error.internal)
        return error;
    error.argument = fields[2];
    constexpr std::string_view hint = "\nHINT:  ";
    if (const auto start = rest.rfind(hint); start != rest.npos)
        error.hint = take_until(rest = rest.substr(start + hint.size()), '\n');
    return error;
}

} // namespace pg_org
