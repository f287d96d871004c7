// A lane: connections that have a place to be served, and those that wait for one.
#pragma once

#include "connection.hpp"

#include <algorithm>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace pg_org {

class Lane {
public:
    Lane(std::size_t places, std::size_t max_waiting, std::chrono::milliseconds patience)
        : limit_{places + max_waiting}, patience_{patience}, places_{places}
    {
    }

    // False if the connection waits: another thread may own it before this returns.  A full lane displaces the newest
    // waiting connection of the owner that has the most, perhaps this one.
    bool enter(Connection &connection, Connection *&displaced)
    {
        const std::lock_guard lock{mutex_};
        const auto is_others = [&](const Connection *waiting) { return waiting->owner != connection.owner; };
        connection.lane = this;
        if (places_.may_take(connection.owner, std::any_of(queue_.begin(), queue_.end(), is_others))) {
            places_.take(connection.owner);
            return true;
        }
        connection.give_up = Connection::Clock::now() + patience_;
        queue_.push_back(&connection);
        if (places_.taken() + queue_.size() > limit_) {
            displaced = newest_of_largest_owner();
            std::erase(queue_, displaced);
        }
        return displaced == &connection;
    }

    std::size_t waiting() const
    {
        const std::lock_guard lock{mutex_};
        return queue_.size();
    }

    // Returns the waiting connection that gets the place, if any.
    Connection *leave(Owner owner)
    {
        const std::lock_guard lock{mutex_};
        places_.give_back(owner);
        Connection *next = next_in(queue_, places_);
        if (next) {
            std::erase(queue_, next);
            places_.take(next->owner);
        }
        return next;
    }

    // Removes and returns the connections that have waited too long.
    std::vector<Connection *> take_late(Connection::Clock::time_point now)
    {
        const std::lock_guard lock{mutex_};
        std::vector<Connection *> late;
        std::erase_if(queue_,
                      [&](Connection *waiting) { return waiting->give_up < now && (late.push_back(waiting), true); });
        return late;
    }

private:
    const std::size_t limit_;
    const std::chrono::milliseconds patience_;
    mutable std::mutex mutex_;
    Shares places_;
    std::deque<Connection *> queue_;

    Connection *newest_of_largest_owner() const
    {
        std::unordered_map<Owner, std::size_t> counts;
        for (const Connection *waiting : queue_)
            ++counts[waiting->owner];
        return *std::max_element(queue_.rbegin(), queue_.rend(), [&](const Connection *one, const Connection *other) {
            return counts[one->owner] < counts[other->owner];
        });
    }
};

} // namespace pg_org
