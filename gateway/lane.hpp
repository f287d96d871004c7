// Connections that have a place, to be worked at, and those that wait for one.
#pragma once

#include "connection.hpp"

#include <algorithm>
#include <deque>
#include <mutex>
#include <vector>

namespace pg_org {

class Lane {
public:
    enum class Entry { admitted, waits, full };

    Lane(std::size_t places, std::size_t max_waiting, std::chrono::milliseconds patience)
        : limit_{places + max_waiting}, patience_{patience}, places_{places} {}

    // A connection that waits may be another thread's before this returns.
    Entry enter(Connection& connection) {
        const std::lock_guard lock{mutex_};
        if (places_.taken() + queue_.size() >= limit_)
            return Entry::full;
        connection.lane = this;
        const bool others_wait = std::any_of(queue_.begin(), queue_.end(), [&](const Connection* waiting) {
            return waiting->owner != connection.owner;
        });
        if (places_.may_take(connection.owner, others_wait)) {
            places_.take(connection.owner);
            return Entry::admitted;
        }
        connection.give_up = Connection::Clock::now() + patience_;
        queue_.push_back(&connection);
        return Entry::waits;
    }

    std::size_t waiting() const {
        const std::lock_guard lock{mutex_};
        return queue_.size();
    }

    // The connection that has the place now, if one waited for it.
    Connection* leave(Owner owner) {
        const std::lock_guard lock{mutex_};
        places_.give_back(owner);
        Connection* next = next_in(queue_, places_);
        if (next) {
            std::erase(queue_, next);
            places_.take(next->owner);
        }
        return next;
    }

    // Those that have waited too long, and wait no more.
    std::vector<Connection*> take_late(Connection::Clock::time_point now) {
        const std::lock_guard lock{mutex_};
        std::vector<Connection*> late;
        std::erase_if(queue_, [&](Connection* waiting) {
            return waiting->give_up < now && (late.push_back(waiting), true);
        });
        return late;
    }

private:
    const std::size_t limit_;
    const std::chrono::milliseconds patience_;
    mutable std::mutex mutex_;
    Shares places_;
    std::deque<Connection*> queue_;
};

}  // namespace pg_org
