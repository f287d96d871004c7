// Waiting for events: long polling, and streams of server-sent events.
#pragma once

#include "http.hpp"
#include "shares.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace pg_org {

struct Event {
    std::string id;
    std::string kind;
    std::string_view json; // the whole event, in one line
};

// The elements of an array from org_events or event_claim, which they refer to.
std::vector<Event> read_events(std::string_view array);

// Clients that wait for events.  Each occupies a thread, so their number is limited.
class Listeners {
public:
    // Returns the events after `after`, or if empty after the request's own, as an array; throws DatabaseError.
    using Read = std::function<std::string(const std::string &after)>;

    explicit Listeners(std::size_t places) : places_{places} {}

    // Returns events as soon as there are some, at the latest after `patience`; 503 when too many clients wait.
    Reply poll(const Read &read, std::chrono::seconds patience);

    // Streams all events until the client is gone or its key is refused.
    Reply stream(Read read);

    // Ends all waiting, for good.
    void stop();

private:
    using Clock = std::chrono::steady_clock;

    Places places_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool stopped_ = false;

    bool pause(Clock::duration duration);
    void send_all(const Read &read, std::string page, const Sink &sink);
};

} // namespace pg_org
