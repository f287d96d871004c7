// Webhooks: every event is posted to a URL until it is taken, in the order of each organization.
#pragma once

#include "catalog.hpp"
#include "client.hpp"
#include "config.hpp"
#include "database.hpp"
#include "events.hpp"

#include <chrono>
#include <semaphore>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

namespace pg_org {

// How the receiver knows that it was us: v1= and the HMAC-SHA256 of "timestamp.body" in hexadecimal.
std::string signature(std::string_view secret, std::string_view timestamp, std::string_view body);

// Delivers from a thread of its own. Several gateways may: the database gives each event to one of them at a time.
class Webhook {
public:
    Webhook(const Config& config, Database& database, const Catalog& catalog);

    // Delivers no more; waits for the event under way, but no longer than `patience`.
    void stop(std::chrono::milliseconds patience);

private:
    const Config& config_;
    Database& database_;
    const Catalog& catalog_;
    Client client_;
    std::binary_semaphore ended_{0};
    std::jthread deliverer_;

    void deliver(std::stop_token stop);
    bool deliver_next();
    bool post(const Event& event);
    std::string call(std::string_view function, const Fields& fields);
};

}  // namespace pg_org
