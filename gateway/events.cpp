#include "events.hpp"

#include "database.hpp"
#include "fields.hpp"
#include "log.hpp"
#include "observation.hpp"
#include "reply.hpp"

#include <algorithm>
#include <exception>
#include <optional>

namespace pg_org {
namespace {

constexpr std::chrono::seconds poll_interval{1};
constexpr std::chrono::seconds heartbeat_interval{15};

constexpr std::string_view nothing = "[]";
constexpr std::string_view heartbeat = ":\n\n";

Reply too_many() { return refuse(503, "Too many are waiting for events, try again"); }

std::string message_of(const Event &event)
{
    return "id: " + event.id + "\nevent: " + event.kind + "\ndata: " + std::string{event.json} + "\n\n";
}

// An empty array while the database is unavailable; no value if the stream must end.
std::optional<std::string> read_next(const Listeners::Read &read, const std::string &after)
{
    try {
        return read(after);
    } catch (const DatabaseError &error) {
        if (is_transient(error))
            return std::string{nothing};
        log_event(Level::debug, "stream of events ended", {{"sqlstate", error.sqlstate}});
    } catch (const std::exception &error) {
        log_event(Level::error, "stream of events ended", {{"error", error.what()}});
    }
    return std::nullopt;
}

} // namespace

std::vector<Event> read_events(std::string_view array)
{
    std::vector<Event> events;
    for_each_object(array, [&](std::string_view json) {
        const Fields fields = read_body(json).fields;
        events.push_back({fields.at("event_id").text, fields.at("kind").text, json});
    });
    return events;
}

Reply Listeners::poll(const Read &read, std::chrono::seconds patience)
{
    const auto deadline = Clock::now() + patience;
    std::string page = read({});
    if (page != nothing || patience == patience.zero())
        return {200, std::move(page)};
    const auto place = places_.take(trace().owner);
    if (!place)
        return too_many();
    for (auto now = Clock::now(); page == nothing && now < deadline; now = Clock::now()) {
        if (!pause(std::min<Clock::duration>(poll_interval, deadline - now)))
            break;
        page = read({});
    }
    return {200, std::move(page)};
}

Reply Listeners::stream(Read read)
{
    const auto place = places_.take(trace().owner);
    if (!place)
        return too_many();
    std::string page = read({}); // refused as any other request
    return {200,
            {},
            {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}},
            [this, place, read = std::move(read), page = std::move(page)](const Sink &sink) {
                send_all(read, page, sink);
                return true;
            },
            "text/event-stream"};
}

void Listeners::send_all(const Read &read, std::string page, const Sink &sink)
{
    std::string after;
    auto last_sent = Clock::now() - heartbeat_interval; // so that the client hears of the stream at once
    for (;;) {
        std::string text;
        for (const Event &event : read_events(page)) {
            text += message_of(event);
            after = event.id;
        }
        const bool quiet = text.empty();
        if (quiet && Clock::now() - last_sent >= heartbeat_interval)
            text = heartbeat;
        if (!text.empty()) {
            if (!sink.write(text))
                return;
            last_sent = Clock::now();
        }
        if (!pause(quiet ? poll_interval : Clock::duration::zero()) || !sink.is_open())
            return;
        auto next = read_next(read, after);
        if (!next)
            return;
        page = std::move(*next);
    }
}

void Listeners::stop()
{
    {
        const std::lock_guard lock{mutex_};
        stopped_ = true;
    }
    changed_.notify_all();
}

// False when stopped.
bool Listeners::pause(Clock::duration duration)
{
    std::unique_lock lock{mutex_};
    return !changed_.wait_for(lock, duration, [this] { return stopped_; });
}

} // namespace pg_org
