// Standbys of the database, for reads that may be slightly stale.  A standby is used only while its lag is known to be
// within the limit, and never for data older than the caller's last write.
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
        std::chrono::steady_clock::duration lag; // an upper bound; the maximum when unknown
    };

    // Throws std::invalid_argument if a URL is malformed.
    explicit Replicas(const Config &config);

    // Runs it on a standby that is fresh enough for this caller; nothing if there is none or it fails.  A refusal
    // counts as a failure: the standby may not know the caller yet.
    std::optional<std::vector<Row>> run(const Statement &statement, std::string_view api_key);

    // Notes that this caller has changed something, or may have.
    void note_write(std::string_view api_key);

    // In the order of the URLs.
    std::vector<State> states() const;

private:
    using Clock = std::chrono::steady_clock;
    static constexpr auto never = Clock::time_point::min();

    // Where the primary's log was at a time.
    struct Position {
        std::string history; // cluster, timeline and database; others' positions are not comparable
        std::uint64_t place;
        Clock::time_point time = never;
    };

    // Callers whose keys hash alike share a slot, which only sends them to the primary more often.  So no keys are
    // kept, and the number of slots is fixed.
    using Slot = std::atomic<Clock::time_point>;
    static constexpr std::size_t slots = 1 << 14;

    struct Replica {
        Replica(const Config &config, const std::string &url)
            : database{config, "--replica-url", url, Database::Use::requests}
        {
        }

        Database database;
        Slot fresh_as_of = never; // has all changes made before
    };

    const Config config_;
    const Clock::duration interval_; // between watches: a fraction of the allowed lag
    std::vector<std::unique_ptr<Replica>> replicas_;
    std::atomic<std::size_t> next_ = 0;
    std::unique_ptr<std::array<Slot, slots>> last_writes_;
    std::mutex mutex_;
    std::deque<Position> positions_;    // of the primary within the allowed lag, the newest first
    std::vector<std::jthread> watches_; // one of the primary, and one of each replica

    Slot &last_write(std::string_view api_key) const;
    void watch_primary(std::stop_token stop);
    void watch_replica(std::stop_token stop, std::size_t number);
    void add(Position position);
    std::pair<Clock::time_point, std::string> freshness(const Position &replayed);
};

} // namespace pg_org
