// Standbys of the database, for what may be a little old.  They are asked as long as it is known how old: nobody gets
// what is older than the lag allowed, and nobody what is older than their own last change.
#pragma once

#include "config.hpp"
#include "database.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace pg_org {

class Replicas {
public:
    struct State {
        Database::State connections;
        std::chrono::steady_clock::duration lag; // at most this much; very long when it is not known
    };

    // Throws std::invalid_argument if a URL is malformed.
    explicit Replicas(const Config &config);

    // From one that is fresh enough for this caller; nothing if there is none or it can't tell.  What it refuses is
    // nothing as well: maybe it has not heard of the caller yet.
    std::optional<std::vector<Row>> run(const Statement &statement, std::string_view api_key);

    // This caller has changed something, or may have.
    void note_write(std::string_view api_key);

    // In the order of the URLs.
    std::vector<State> states() const;

private:
    using Clock = std::chrono::steady_clock;
    static constexpr auto never = Clock::time_point::min();

    // Where the primary's log was at a time.
    struct Position {
        std::string history; // and of which database: other ones' positions mean something else
        std::uint64_t place;
        Clock::time_point time = never;
    };

    // Callers share a slot if their keys' hashes say so, which does no harm: they are sent to the primary more often.
    // So the keys themselves need not be kept, and there are never more slots.
    using Slot = std::atomic<Clock::time_point>;
    static constexpr std::size_t slots = 1 << 14;

    struct Replica {
        Replica(const Config &config, const std::string &url)
            : database{config, "--replica-url", url, Database::Use::requests}
        {
        }

        Database database;
        Slot fresh_as_of = never; // has all that was done before
    };

    const Config config_;
    const Clock::duration interval_; // of watches: several times within the lag allowed
    std::vector<std::unique_ptr<Replica>> replicas_;
    std::atomic<std::size_t> next_ = 0;
    std::unique_ptr<std::array<Slot, slots>> last_writes_;
    std::mutex mutex_;
    std::deque<Position> positions_;    // of the primary within the lag allowed, the newest first
    std::vector<std::jthread> watches_; // one of the primary, and one of each replica

    Slot &last_write(std::string_view api_key) const;
    void watch_primary(std::stop_token stop);
    void watch_replica(std::stop_token stop, std::size_t number);
    void add(Position position);
    std::pair<Clock::time_point, std::string> freshness(const Position &replayed);
};

} // namespace pg_org
