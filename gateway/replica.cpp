#include "replica.hpp"

#include "log.hpp"
#include "pause.hpp"

#include <algorithm>
#include <tuple>

extern "C" const char query_primary_position[], query_standby_position[];

namespace pg_org {

using namespace std::chrono_literals;

Replicas::Replicas(const Config &config)
    : config_{config}, interval_{std::clamp<Clock::duration>(config.max_replica_lag / 4, 20ms, 250ms)}
{
    for (const auto &url : config.replica_urls)
        replicas_.push_back(std::make_unique<Replica>(config, url));
    if (replicas_.empty())
        return;
    last_writes_ = std::make_unique<std::array<Slot, slots>>();
    for (Slot &slot : *last_writes_)
        slot = never;
    watches_.emplace_back([this](std::stop_token stop) { watch_primary(stop); });
    for (std::size_t number = 0; number < replicas_.size(); ++number)
        watches_.emplace_back([this, number](std::stop_token stop) { watch_replica(stop, number); });
}

std::optional<std::vector<Row>> Replicas::run(const Statement &statement, std::string_view api_key)
{
    if (replicas_.empty())
        return std::nullopt;
    const auto oldest = std::max(Clock::now() - config_.max_replica_lag, last_write(api_key).load());
    const auto first = next_++;
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
        Replica &replica = *replicas_[(first + i) % replicas_.size()];
        if (replica.fresh_as_of.load() < oldest)
            continue;
        try {
            return replica.database.run(statement);
        } catch (const DatabaseError &error) {
            if (error.sqlstate.starts_with("08"))
                replica.fresh_as_of = never; // until it is watched again: after a restart it may be further behind
            log_event(Level::debug, "standby query failed", {{"sqlstate", error.sqlstate}, {"error", error.what()}});
            return std::nullopt;
        }
    }
    return std::nullopt;
}

void Replicas::note_write(std::string_view api_key)
{
    if (replicas_.empty())
        return;
    Slot &slot = last_write(api_key);
    const auto now = Clock::now();
    auto known = slot.load();
    while (known < now && !slot.compare_exchange_weak(known, now)) {
    }
}

std::vector<Replicas::State> Replicas::states() const
{
    std::vector<State> states;
    for (const auto &replica : replicas_) {
        const auto fresh = replica->fresh_as_of.load();
        states.push_back({replica->database.state(), fresh == never ? Clock::duration::max() : Clock::now() - fresh});
    }
    return states;
}

Replicas::Slot &Replicas::last_write(std::string_view api_key) const
{
    return (*last_writes_)[std::hash<std::string_view>{}(api_key) % slots];
}

// Takes the time first, so that the position includes all changes made before it.
void Replicas::watch_primary(std::stop_token stop)
{
    Database primary{config_, "--database-url", config_.database_url, Database::Use::watching};
    do {
        const auto now = Clock::now();
        try {
            const Row row = primary.run({query_primary_position, {}}).at(0);
            add({row.at(0), std::stoull(row.at(1)), now});
        } catch (const std::exception &error) {
            log_event(Level::debug, "position of the primary is not known", {{"error", error.what()}});
        }
    } while (pause(stop, interval_));
}

void Replicas::watch_replica(std::stop_token stop, std::size_t number)
{
    Replica &replica = *replicas_[number];
    Database database{config_, "--replica-url", config_.replica_urls[number], Database::Use::watching};
    std::optional<bool> was_fresh;
    while (pause(stop, interval_)) {
        std::string failure = "not a standby";
        auto fresh_as_of = never;
        try {
            if (const auto rows = database.run({query_standby_position, {}}); !rows.empty())
                std::tie(fresh_as_of, failure) = freshness({rows[0].at(0), std::stoull(rows[0].at(1))});
        } catch (const std::exception &error) {
            failure = error.what();
        }
        replica.fresh_as_of = fresh_as_of;
        const bool is_fresh = fresh_as_of != never;
        if (is_fresh && was_fresh != true)
            log_event(Level::info, "standby in use", {{"replica", number + 1}});
        else if (!is_fresh && was_fresh != false)
            log_event(Level::warning, "standby out of use", {{"replica", number + 1}, {"reason", failure}});
        was_fresh = is_fresh;
    }
}

void Replicas::add(Position position)
{
    const std::lock_guard lock{mutex_};
    const auto oldest = position.time - config_.max_replica_lag;
    positions_.push_front(std::move(position));
    while (positions_.back().time < oldest)
        positions_.pop_back();
}

// The last time at which the primary's position was at most this one, or why it is unknown.
std::pair<Replicas::Clock::time_point, std::string> Replicas::freshness(const Position &replayed)
{
    const std::lock_guard lock{mutex_};
    const auto reached = std::find_if(positions_.begin(), positions_.end(), [&](const Position &position) {
        return position.history == replayed.history && position.place <= replayed.place;
    });
    if (reached != positions_.end())
        return {reached->time, {}};
    if (positions_.empty() || positions_.front().history == replayed.history)
        return {never, "behind, or the primary is away"};
    return {never,
            "cluster/timeline/database is " + replayed.history + ", the primary's " + positions_.front().history};
}

} // namespace pg_org
