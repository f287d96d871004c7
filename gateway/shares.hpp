// Fair shares of something scarce: no owner holds more than half of it while others want some; beyond half, an
// owner leaves a reserve for newcomers.  Callers lock.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace pg_org {

// The hash of an API key once the database has accepted it; before that, of the client's address.
using Owner = std::size_t;

class Shares {
public:
    explicit Shares(std::size_t total) : Shares{total, total > 1 ? std::max<std::size_t>(1, total / 4) : 0} {}
    Shares(std::size_t total, std::size_t reserve) : total_{total}, reserve_{reserve} {}

    bool may_take(Owner owner, bool others_want, std::size_t amount = 1) const
    {
        const auto left = total_ - std::min(taken_, total_);
        if (amount > left)
            return false;
        return is_within_half(owner, amount) || (!others_want && left - amount >= reserve_);
    }
    bool is_within_half(Owner owner, std::size_t more = 0) const
    {
        return held_by(owner) + more <= std::max<std::size_t>(1, total_ / 2);
    }
    void take(Owner owner, std::size_t amount = 1)
    {
        held_[owner] += amount;
        taken_ += amount;
    }
    void give_back(Owner owner, std::size_t amount = 1)
    {
        taken_ -= amount;
        if (const auto held = held_.find(owner); held != held_.end() && (held->second -= amount) == 0)
            held_.erase(held);
    }
    std::size_t taken() const { return taken_; }

private:
    const std::size_t total_, reserve_;
    std::size_t taken_ = 0;
    std::unordered_map<Owner, std::size_t> held_;

    std::size_t held_by(Owner owner) const
    {
        const auto held = held_.find(owner);
        return held == held_.end() ? 0 : held->second;
    }
};

// Places that threads hold for long, in fair shares.
class Places {
public:
    explicit Places(std::size_t total) : shares_{total, total / 4} {}

    // Null if there is none for the owner; else it must be dropped before this object is.
    std::shared_ptr<void> take(Owner owner)
    {
        const std::lock_guard lock{mutex_};
        if (!shares_.may_take(owner, false))
            return nullptr;
        shares_.take(owner);
        return {this, [this, owner](void *) {
                    const std::lock_guard lock{mutex_};
                    shares_.give_back(owner);
                }};
    }

private:
    std::mutex mutex_;
    Shares shares_;
};

// Hashes of the keys that the database has accepted recently.
class KnownKeys {
public:
    bool contains(Owner key) const { return key != 0 && slot(key) == key; }
    void add(Owner key) { slot(key) = key; }
    void remove(Owner key) { slot(key).compare_exchange_strong(key, 0); }

private:
    mutable std::array<std::atomic<Owner>, 1 << 14> slots_ = {};

    std::atomic<Owner> &slot(Owner key) const { return slots_[key % slots_.size()]; }
};

// The first in a queue whose owner may take one now; null if there is none.
template <typename Waiting> Waiting *next_in(const std::deque<Waiting *> &queue, const Shares &shares)
{
    if (queue.empty())
        return nullptr;
    const auto is_others = [&](const Waiting *waiting) { return waiting->owner != queue.front()->owner; };
    const bool several = std::any_of(queue.begin(), queue.end(), is_others);
    const auto next = std::find_if(queue.begin(), queue.end(),
                                   [&](const Waiting *waiting) { return shares.may_take(waiting->owner, several); });
    return next == queue.end() ? nullptr : *next;
}

} // namespace pg_org
