// Webhooks: each event is posted to a URL until the receiver accepts it, in order within each organization.
#pragma once

#include "catalog.hpp"
#include "config.hpp"
#include "database.hpp"
#include "failure.hpp"
#include "metrics.hpp"
#include "own_caller.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

namespace pg_org {

// Proves to the receiver who sent the post: v1= and the HMAC-SHA256 of "timestamp.body" in hexadecimal.
std::string signature(std::string_view secret, std::string_view timestamp, std::string_view body);

// Delivers from its own threads, so that a slow receiver delays few events.  Several gateways may deliver: the database
// gives each event to one deliverer at a time, and an organization's next event when the previous one is acknowledged.
class Webhook {
public:
    Webhook(const Config &config, Database &database, const Catalog &catalog, Metrics &metrics);

    // Stops delivering; waits for the posts under way, but no longer than `patience`.
    void stop(std::chrono::milliseconds patience);

private:
    class Client;
    using Clock = std::chrono::steady_clock;
    static constexpr std::ptrdiff_t max_posts = 4;

    const Config &config_;
    Metrics &metrics_;
    const OwnCaller caller_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    Clock::time_point next_look_; // for events, by one deliverer
    LastFailure failure_;
    std::counting_semaphore<max_posts> ended_{0};
    std::vector<std::jthread> deliverers_;

    void deliver(std::stop_token stop);
    bool wait_for_turn(std::stop_token stop);
    void look_again();
    void deliver_next(Client &client);
};

} // namespace pg_org
