#include "credentials.hpp"
#include "log.hpp"
#include "reply.hpp"
#include "server.hpp"

#include <sys/epoll.h>

#include <random>

namespace pg_org {
namespace {

using Phase = Connection::Phase;

constexpr std::chrono::seconds linger_time{10};
constexpr std::size_t max_discarded_bytes = 64 << 20;
// Owns the buffers of all clients without a valid key: together they hold at most half.
constexpr Owner strangers = 0;

std::mt19937_64 random_generator()
{
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64{seed};
}

// Time-ordered, like UUIDv7, so that index inserts append.
std::string new_id()
{
    thread_local auto generator = random_generator();
    const std::chrono::milliseconds now =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
    char id[33];
    std::snprintf(id, sizeof id, "%012llx%04llx%016llx", static_cast<unsigned long long>(now.count()),
                  static_cast<unsigned long long>(generator() >> 48), static_cast<unsigned long long>(generator()));
    return id;
}

std::string request_id(std::string_view sent)
{
    constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const bool is_well_formed = !sent.empty() && sent.size() <= 64 && sent.find_first_not_of(allowed) == sent.npos;
    return is_well_formed ? std::string{sent} : new_id();
}

// The library reads a request line from it, to know how to reply, and writes the reply to it.
class ReplyStream final : public httplib::Stream {
public:
    explicit ReplyStream(Connection &connection) : connection_{connection}
    {
        const auto &arrival = *connection.arrival;
        input_ = arrival.method() == "HEAD" ? "HEAD / HTTP/1.1\r\n\r\n" : "GET / HTTP/1.1\r\n\r\n";
    }

    bool is_readable() const { return true; }
    bool is_writable() const { return true; }
    bool wait_readable() const { return true; }
    bool wait_writable() const { return true; }
    ssize_t read(char *bytes, std::size_t size)
    {
        const auto taken = input_.substr(0, size).copy(bytes, size);
        input_.remove_prefix(taken);
        return static_cast<ssize_t>(taken);
    }
    ssize_t write(const char *bytes, std::size_t size)
    {
        const bool is_first = connection_.out.empty() && !std::exchange(has_begun_, true);
        connection_.out.append(bytes, size);
        if (is_first && connection_.arrival->is_http_1_0())
            connection_.out.at(std::string_view{"HTTP/1."}.size()) = '0';
        return static_cast<ssize_t>(size);
    }
    void get_remote_ip_and_port(std::string &, int &) const {}
    void get_local_ip_and_port(std::string &, int &) const {}
    int socket() const { return -1; }
    time_t duration() const { return 0; }

private:
    Connection &connection_;
    std::string_view input_;
    bool has_begun_ = false;
};

Header header_of(const Connection &connection)
{
    return [&](const std::string &name) { return std::string{connection.arrival->field(name)}; };
}

Request request_of(const Connection &connection)
{
    const auto &arrival = *connection.arrival;
    return {connection.id, arrival.method(), arrival.target(), arrival.body(), header_of(connection)};
}

Owner owner_of_buffers(const Connection &connection)
{
    return connection.owner == connection.address ? strangers : connection.owner;
}

void refuse_and_close(Connection &connection, Reply reply)
{
    connection.reply = std::move(reply);
    connection.closes = true;
}

} // namespace

// Takes one step; false if this thread no longer owns the connection: it is parked, in a lane, or gone.
bool Server::advance(Connection &connection, Ready &ready)
{
    switch (connection.phase) {
    case Phase::handshake: return shake_hands(connection, ready);
    case Phase::reading: return read(connection, ready);
    case Phase::serving: return serve(connection, ready);
    case Phase::writing: return write(connection, ready);
    case Phase::lingering: break;
    }
    return linger(connection, ready);
}

bool Server::shake_hands(Connection &connection, Ready &ready)
{
    if (connection.is_late)
        return end(connection, ready);
    if (!connection.lane && !enter_lane(handshakes_, connection, ready))
        return false;
    if (connection.is_late) // the lane is full
        return end(connection, ready);
    fill_lobby();
    const auto done = connection.socket.shake_hands();
    leave_lane(connection, ready);
    if (done < 0)
        return close(connection);
    if (done > 0)
        connection.phase = Phase::reading;
    else
        park(connection, connection.socket.wanted_events(), connection.give_up, SHUT_RDWR);
    return done > 0;
}

// False if the connection waits: another thread owns it then.
bool Server::enter_lane(Lane &lane, Connection &connection, Ready &ready)
{
    Connection *displaced = nullptr;
    const bool waits = !lane.enter(connection, displaced);
    if (displaced)
        turn_away(*displaced);
    if (displaced && displaced != &connection)
        ready.push_back(displaced);
    return !waits;
}

// Refuses a connection that its lane has no room or no time for.
void Server::turn_away(Connection &connection)
{
    connection.lane = nullptr;
    connection.is_late = connection.phase == Phase::handshake;
    connection.reply = too_busy();
}

void Server::leave_lane(Connection &connection, Ready &ready)
{
    if (Lane *lane = std::exchange(connection.lane, nullptr))
        if (Connection *next = lane->leave(connection.owner))
            ready.push_back(next);
}

bool Server::read(Connection &connection, Ready &ready)
{
    if (!connection.arrival)
        connection.arrival.emplace(options_.max_header_bytes, options_.max_body_bytes);
    auto &arrival = *connection.arrival;
    feed(connection, std::exchange(connection.unread, {}));
    while (!connection.reply && !arrival.is_whole()) {
        if (connection.is_late && !arrival.has_begun())
            return end(connection, ready);
        if (connection.is_late) {
            refuse_and_close(connection, refuse(408, "The request took too long to arrive"));
            break;
        }
        char bytes[16 << 10];
        const auto received = connection.socket.receive(bytes, sizeof bytes);
        if (received > 0)
            feed(connection, {bytes, static_cast<std::size_t>(received)});
        else if (received == 0)
            return wait_for_more(connection);
        else if (!arrival.has_begun())
            return end(connection, ready);
        else
            refuse_and_close(connection,
                             refuse(400, arrival.has_head() ? "The body is incomplete" : "The request is malformed"));
    }
    return dispatch(connection, ready);
}

void Server::feed(Connection &connection, std::string_view bytes)
{
    auto &arrival = *connection.arrival;
    const bool had_begun = arrival.has_begun(), had_head = arrival.has_head();
    arrival.take(bytes);
    connection.unread.append(bytes);
    if (!had_begun) {
        connection.begun = Clock::now();
        connection.give_up = connection.begun + options_.request_timeout;
    }
    if (!had_head && arrival.has_head())
        identify(connection);
    if (arrival.fault().status != 0)
        refuse_and_close(connection, refuse(arrival.fault().status, arrival.fault().message));
    else if (!arrival.body().empty() && !hold(connection, arrival.body().size() - connection.buffered))
        refuse_and_close(connection, too_busy());
}

// Decides whose shares the request uses.
void Server::identify(Connection &connection)
{
    const auto credentials = read_credentials(header_of(connection));
    connection.key = credentials.api_key.empty() ? 0 : std::hash<std::string>{}(credentials.api_key);
    connection.owner = known_.contains(connection.key) ? connection.key : connection.address;
}

bool Server::hold(Connection &connection, std::size_t bytes)
{
    const auto owner = owner_of_buffers(connection);
    const std::lock_guard lock{mutex_};
    if (!bodies_.may_take(owner, true, bytes))
        return false;
    bodies_.take(owner, bytes);
    connection.buffered += bytes;
    return true;
}

bool Server::wait_for_more(Connection &connection)
{
    const auto events = connection.socket.wanted_events();
    if (connection.arrival->expects_continue() && !std::exchange(connection.sent_continue, true))
        connection.socket.send("HTTP/1.1 100 Continue\r\n\r\n");
    const bool idle = !connection.arrival->has_begun();
    park(connection, events, idle ? Clock::now() + options_.idle_timeout : connection.give_up, SHUT_RD, idle);
    return false;
}

// Replies at once to a request that is refused or needs no worker, and queues any other.
bool Server::dispatch(Connection &connection, Ready &ready)
{
    const auto &arrival = *connection.arrival;
    connection.begun = Clock::now();
    connection.give_up = connection.begun + options_.request_timeout;
    connection.is_late = false;
    connection.id = request_id(arrival.field("x-request-id"));
    connection.phase = Phase::serving;
    connection.closes = connection.closes || !arrival.keeps_alive();
    if (!connection.reply && (connection.is_over_limit || holds_too_much(connection)))
        refuse_and_close(connection, too_busy());
    trace() = {};
    auto plan = connection.reply ? Plan{} : planner_(request_of(connection));
    connection.trace = trace();
    if (plan.reply)
        connection.reply = std::move(plan.reply);
    if (connection.reply)
        return true;
    auto &lane = plan.need == Need::check ? checks_ : plan.need == Need::connection ? callers_ : workers_;
    return enter_lane(lane, connection, ready);
}

// Whether the client leaves too much of its replies unread.
bool Server::holds_too_much(const Connection &connection) const
{
    const std::lock_guard lock{mutex_};
    return !replies_.is_within_half(owner_of_buffers(connection));
}

bool Server::serve(Connection &connection, Ready &ready)
{
    if (connection.lane)
        fill_lobby();
    served() = &connection;
    ReplyStream stream{connection};
    converse(stream);
    leave_lane(connection, ready);
    connection.reply.reset();
    connection.give_up = Clock::now() + options_.request_timeout;
    connection.phase = Phase::writing;
    return true;
}

// Runs the library's engine, which from version 0.18 on takes the addresses of both ends as well.
template <typename Stream> void Server::converse(Stream &stream)
{
    bool closed = false;
    const std::function<void(httplib::Request &)> no_setup;
    if constexpr (requires { this->process_request(stream, false, closed, no_setup); })
        this->process_request(stream, false, closed, no_setup);
    else
        this->process_request(stream, std::string{}, 0, std::string{}, 0, false, closed, no_setup);
}

void Server::reply_to(Connection &connection, httplib::Response &response)
{
    Reply reply = connection.reply ? std::move(*connection.reply) : call_handler(connection);
    connection.status = response.status = reply.status;
    for (const auto &[name, value] : reply.headers)
        response.set_header(name, value);
    response.set_header("x-request-id", connection.id);
    if (reply.stream) {
        provide(connection, reply, response);
    } else {
        response.set_header("Content-Type", reply.content_type);
        connection.bytes = connection.arrival->method() == "HEAD" ? 0 : reply.body.size();
        response.body = std::move(reply.body);
    }
}

Reply Server::call_handler(Connection &connection)
{
    trace() = {};
    trace().waited = Clock::now() - connection.begun;
    trace().owner = connection.owner;
    Reply reply;
    try {
        reply = handler_(request_of(connection));
    } catch (const std::exception &error) {
        log_event(Level::error, "unexpected error", {{"request_id", connection.id}, {"error", error.what()}});
        reply = refuse(500, "Internal Server Error");
    }
    if (trace().key_is_good)
        known_.add(connection.key);
    else if (trace().sqlstate.starts_with("28"))
        known_.remove(connection.key);
    connection.trace = trace();
    return reply;
}

// Removes the library's own headers, which differ between its versions.
void Server::end_reply(httplib::Response &response)
{
    for (const auto *name : {"Keep-Alive", "Accept-Ranges", "Connection"})
        response.headers.erase(name);
    served()->closes = served()->closes || draining_;
    if (served()->closes)
        response.set_header("Connection", "close");
}

// Streams the reply: each piece is sent before the next one is made.
void Server::provide(Connection &connection, const Reply &reply, httplib::Response &response)
{
    connection.closes = true;
    const auto provider = [this, &connection, stream = reply.stream](std::size_t, httplib::DataSink &sink) {
        const auto write = [&](std::string_view text) {
            connection.bytes += text.size();
            return sink.write(text.data(), text.size()),
                   connection.socket.send_all(std::exchange(connection.out, {}), options_.request_timeout);
        };
        // Without its last chunk a client can tell that the body is not whole.
        if (!stream({write, [&] { return connection.socket.is_connected(); }}))
            return false;
        sink.done();
        return true;
    };
    if (connection.arrival->is_http_1_0())
        response.set_content_provider(reply.content_type, provider);
    else
        response.set_chunked_content_provider(reply.content_type, provider);
}

bool Server::write(Connection &connection, Ready &ready)
{
    const std::string_view out{connection.out};
    bool is_sound = !connection.is_late;
    while (is_sound && connection.sent < out.size()) {
        const auto sent = connection.socket.send(out.substr(connection.sent));
        if (sent == 0) {
            hold_unsent(connection);
            park(connection, connection.socket.wanted_events(), connection.give_up, SHUT_RDWR);
            return false;
        }
        is_sound = sent > 0;
        connection.sent += is_sound ? static_cast<std::size_t>(sent) : 0;
    }
    const auto &arrival = *connection.arrival;
    observer_({connection.id, arrival.method(), connection.status, Clock::now() - connection.begun, connection.bytes,
               connection.remote, arrival.field("user-agent"), connection.trace});
    if (!is_sound)
        return end(connection, ready);
    forget_exchange(connection);
    if (connection.closes)
        return close(connection);
    connection.phase = Phase::reading;
    if (ready.empty())
        return true;
    ready.push_back(&connection); // after the connections that wait for this thread
    return false;
}

// Charges what the client does not read to its owner, which limits it.
void Server::hold_unsent(Connection &connection)
{
    if (connection.unsent > 0)
        return;
    const std::lock_guard lock{mutex_};
    connection.unsent = connection.out.size() - connection.sent;
    replies_.take(owner_of_buffers(connection), connection.unsent);
}

// An idle connection holds no buffers.
void Server::forget_exchange(Connection &connection)
{
    if (connection.buffered + connection.unsent > 0) {
        const std::lock_guard lock{mutex_};
        bodies_.give_back(owner_of_buffers(connection), connection.buffered);
        replies_.give_back(owner_of_buffers(connection), connection.unsent);
    }
    connection.buffered = connection.unsent = connection.sent = connection.bytes = 0;
    connection.arrival.reset();
    connection.out = {};
    connection.owner = connection.address;
    connection.sent_continue = false;
}

bool Server::close(Connection &connection)
{
    connection.socket.finish();
    connection.give_up = Clock::now() + (draining_ ? Clock::duration{idle_grace} : linger_time);
    connection.phase = Phase::lingering;
    return true;
}

bool Server::linger(Connection &connection, Ready &ready)
{
    while (!connection.is_late && connection.sent < max_discarded_bytes) {
        const auto received = connection.socket.discard();
        if (received < 0)
            break;
        if (received == 0) {
            park(connection, connection.socket.wanted_events(), connection.give_up, SHUT_RDWR, true);
            return false;
        }
        connection.sent += static_cast<std::size_t>(received);
    }
    return end(connection, ready);
}

bool Server::end(Connection &connection, Ready &ready)
{
    leave_lane(connection, ready);
    forget_exchange(connection);
    const std::lock_guard lock{mutex_};
    connections_.erase(&connection);
    delete &connection;
    return false;
}

} // namespace pg_org
