#include "replica.hpp"

#include "log.hpp"

#include <algorithm>
#include <condition_variable>

namespace pg_org {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// The timeline is that of the last checkpoint on a standby: after the primary was replaced one counts again when it has
// made its next.  With asynchronous commits what is done may not be written yet.
const Statement where_primary_is{R"(
    SELECT s.system_identifier || '/' || pg_catalog.left(pg_catalog.pg_walfile_name(p.lsn), 8), p.lsn - '0/0'
      FROM pg_catalog.pg_control_system() AS s,
           (SELECT CASE pg_catalog.current_setting('synchronous_commit')
                   WHEN 'off' THEN pg_catalog.pg_current_wal_insert_lsn()
                   ELSE pg_catalog.pg_current_wal_lsn() END) AS p (lsn))",
                                 {}};
const Statement where_replica_is{R"(
    SELECT s.system_identifier || '/' || pg_catalog.lpad(pg_catalog.upper(pg_catalog.to_hex(c.timeline_id)), 8, '0'),
           pg_catalog.pg_last_wal_replay_lsn() - '0/0'
      FROM pg_catalog.pg_control_system() AS s, pg_catalog.pg_control_checkpoint() AS c
     WHERE pg_catalog.pg_is_in_recovery())",
                                 {}};

// With a connection of its own, so that it is told also when all others are taken.
Database watching(const Config& config, const std::string& option, const std::string& url) {
    return Database{config, option, url, 1};
}

}  // namespace

Replicas::Replicas(const Config& config) : config_{config} {
    for (const auto& url : config.replica_urls)
        replicas_.push_back(std::make_unique<Replica>(config, url));
    if (replicas_.empty())
        return;
    last_writes_ = std::make_unique<std::array<Slot, slots>>();
    for (Slot& slot : *last_writes_)
        slot = never;
    watches_.emplace_back([this](std::stop_token stop) { watch_primary(stop); });
    for (std::size_t number = 0; number < replicas_.size(); ++number)
        watches_.emplace_back([this, number](std::stop_token stop) { watch_replica(stop, number); });
}

std::optional<std::vector<Row>> Replicas::run(const Statement& statement, std::string_view api_key) {
    if (replicas_.empty())
        return std::nullopt;
    const auto oldest = std::max(Clock::now() - config_.max_replica_lag, last_write(api_key).load());
    const auto first = next_++;
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
        Replica& replica = *replicas_[(first + i) % replicas_.size()];
        if (replica.fresh_as_of.load() < oldest)
            continue;
        try {
            return replica.database.run(statement);
        } catch (const DatabaseError& error) {
            if (error.sqlstate.starts_with("08"))
                replica.fresh_as_of = never;  // until it is seen again: when it restarts it may be behind where it was
            log_event(Level::debug, "replica can't tell", {{"sqlstate", error.sqlstate}, {"error", error.what()}});
            return std::nullopt;
        }
    }
    return std::nullopt;
}

void Replicas::note_write(std::string_view api_key) {
    if (replicas_.empty())
        return;
    Slot& slot = last_write(api_key);
    const auto now = Clock::now();
    auto known = slot.load();
    while (known < now && !slot.compare_exchange_weak(known, now)) {
    }
}

std::vector<Replicas::State> Replicas::states() const {
    std::vector<State> states;
    for (const auto& replica : replicas_) {
        const auto fresh = replica->fresh_as_of.load();
        states.push_back({replica->database.state(), fresh == never ? Clock::duration::max() : Clock::now() - fresh});
    }
    return states;
}

Replicas::Slot& Replicas::last_write(std::string_view api_key) const {
    return (*last_writes_)[std::hash<std::string_view>{}(api_key) % slots];
}

// Several times within the lag allowed.
void Replicas::repeat(std::stop_token stop, const std::function<void()>& look) {
    const auto interval = std::clamp<Clock::duration>(config_.max_replica_lag / 4, 20ms, 250ms);
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock{mutex};
    for (;;) {
        stopped.wait_for(lock, stop, interval, [] { return false; });
        if (stop.stop_requested())
            return;
        look();
    }
}

// The time first: what was done until then has its place before.  While the primary is away nothing is added.
void Replicas::watch_primary(std::stop_token stop) {
    auto primary = watching(config_, "--database-url", config_.database_url);
    const auto look = [&] {
        const auto now = Clock::now();
        try {
            const Row row = primary.run(where_primary_is).at(0);
            add({row.at(0), std::stoull(row.at(1)), now});
        } catch (const std::exception& error) {
            log_event(Level::debug, "position of the primary is not known", {{"error", error.what()}});
        }
    };
    look();
    repeat(stop, look);
}

void Replicas::watch_replica(std::stop_token stop, std::size_t number) {
    Replica& replica = *replicas_[number];
    auto database = watching(config_, "--replica-url", config_.replica_urls[number]);
    std::optional<bool> was_fresh;
    repeat(stop, [&] {
        std::string failure = "it is behind, or no standby of this primary";
        auto fresh_as_of = never;
        try {
            if (const auto rows = database.run(where_replica_is); !rows.empty())
                fresh_as_of = freshness({rows[0].at(0), std::stoull(rows[0].at(1))});
        } catch (const std::exception& error) {
            failure = error.what();
        }
        replica.fresh_as_of = fresh_as_of;
        const bool is_fresh = fresh_as_of != never;
        if (is_fresh && was_fresh != true)
            log_event(Level::info, "replica is asked", {{"replica", number + 1}});
        else if (!is_fresh && was_fresh != false)
            log_event(Level::warning, "replica is not asked", {{"replica", number + 1}, {"reason", failure}});
        was_fresh = is_fresh;
    });
}

void Replicas::add(Position position) {
    const std::lock_guard lock{mutex_};
    const auto oldest = position.time - config_.max_replica_lag;
    positions_.push_front(std::move(position));
    while (positions_.back().time < oldest)
        positions_.pop_back();
}

// The last time at which the primary was not further than that.
Replicas::Clock::time_point Replicas::freshness(const Position& replayed) {
    const std::lock_guard lock{mutex_};
    const auto reached = std::find_if(positions_.begin(), positions_.end(), [&](const Position& position) {
        return position.history == replayed.history && position.place <= replayed.place;
    });
    return reached == positions_.end() ? never : reached->time;
}

}  // namespace pg_org
