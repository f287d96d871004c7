// Webhooks: every event is posted to a URL until it is taken, in the order of each organization.
#pragma once

#include "catalog.hpp"
#include "config.hpp"
#include "database.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

namespace pg_org {

// How the receiver knows that it was us: v1= and the HMAC-SHA256 of "timestamp.body" in hexadecimal.
std::string signature(std::string_view secret, std::string_view timestamp, std::string_view body);

// Delivers from threads of its own, so that a slow reply holds up few others.  Several gateways may: the database gives
// each event to one deliverer at a time, and an organization's next event when the one before it is acknowledged.
class Webhook {
public:
    Webhook(const Config &config, Database &database, const Catalog &catalog);

    // Delivers no more; waits for the posts under way, but no longer than `patience`.
    void stop(std::chrono::milliseconds patience);

private:
    class Client;
    using Clock = std::chrono::steady_clock;
    static constexpr std::ptrdiff_t most_posts = 4;

    const Config &config_;
    Database &database_;
    const Catalog &catalog_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    Clock::time_point next_look_; // for events, by one deliverer for all
    std::string reported_;        // the failure told of last
    std::counting_semaphore<most_posts> ended_{0};
    std::vector<std::jthread> deliverers_;

    void deliver(std::stop_token stop);
    bool wait_for_turn(std::stop_token stop);
    void look_again();
    void deliver_next(Client &client);
    std::string call(std::string_view function, const Fields &fields);
};

} // namespace pg_org
