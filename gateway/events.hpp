// Events for those who wait for them: long-polling, and streams of server-sent events.
#pragma once

#include "http.hpp"
#include "shares.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace pg_org {

struct Event {
    std::string id;
    std::string kind;
    std::string_view json; // all of it, in one line
};

// The elements of an array as org_events and event_claim return it, which must stay where it is.
std::vector<Event> read_events(std::string_view array);

// Those who wait, each with a thread of the server: no more of them than may, and no longer than the gateway runs.
class Listeners {
public:
    // The events after that one, or after the one that the request names, as an array; throws DatabaseError.
    using Read = std::function<std::string(const std::string &after)>;

    explicit Listeners(std::size_t places) : places_{places, places / 4} {}

    // What there is, waited for while there is nothing; 503 when too many wait already.
    Reply poll(const Read &read, std::chrono::seconds patience);

    // What there is and all that comes, until the client is gone or refused.
    Reply stream(Read read);

    // Nobody waits any more, now or later.
    void stop();

private:
    using Clock = std::chrono::steady_clock;
    using Place = std::shared_ptr<void>;

    std::mutex mutex_;
    Shares places_;
    std::condition_variable changed_;
    bool stopped_ = false;

    Place take_place();
    bool pause(Clock::duration duration);
    void send_all(const Read &read, std::string page, const Sink &sink);
};

} // namespace pg_org
