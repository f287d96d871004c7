#include "server.hpp"

#include "connection.hpp"
#include "credentials.hpp"
#include "lane.hpp"
#include "log.hpp"
#include "reply.hpp"

#include <httplib.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <unordered_set>

namespace pg_org {
namespace {

using Clock = std::chrono::steady_clock;
using Phase = Connection::Phase;

constexpr std::chrono::milliseconds tick{100};  // how exactly deadlines are kept
constexpr std::chrono::milliseconds idle_grace{500};
constexpr std::chrono::milliseconds thread_idle_time{10'000};
constexpr std::chrono::seconds linger_time{10};
constexpr std::size_t max_discarded_bytes = 64 << 20;
// This many connections beyond the limit get a 503; later ones are closed without a reply.
constexpr std::size_t max_refused = 256;
// Health checks have places of their own; handshakes have one for each processor.
constexpr std::size_t health_places = 2;
const std::size_t handshake_places = std::max(2u, std::thread::hardware_concurrency());
// The owner of what clients without a good key send: together they hold no more than half.
constexpr Owner strangers = 0;

std::mt19937_64 random_generator() {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64{seed};
}

// Time-ordered, like UUIDv7, so that index inserts append.
std::string new_id() {
    thread_local auto generator = random_generator();
    const std::chrono::milliseconds now =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
    char id[33];
    std::snprintf(id, sizeof id, "%012llx%04llx%016llx", static_cast<unsigned long long>(now.count()),
                  static_cast<unsigned long long>(generator() >> 48), static_cast<unsigned long long>(generator()));
    return id;
}

std::string request_id(std::string_view sent) {
    constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const bool is_well_formed = !sent.empty() && sent.size() <= 64 && sent.find_first_not_of(allowed) == sent.npos;
    return is_well_formed ? std::string{sent} : new_id();
}

Reply too_busy() { return refuse(503, "Too busy, try again"); }

// A client's address, and its hash.  With IPv6 a client has a whole network.
std::pair<std::string, Owner> name_of(const sockaddr_storage& address) {
    char host[INET6_ADDRSTRLEN] = "";
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    if (address.ss_family == AF_INET)
        inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, host, sizeof host);
    else
        inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
    const bool is_network = address.ss_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
    const std::string_view network{reinterpret_cast<const char*>(&v6.sin6_addr), 8};
    return {host, std::hash<std::string_view>{}(is_network ? network : std::string_view{host})};
}

// Hashes of keys that the database has accepted lately.
class KnownKeys {
public:
    bool contains(Owner key) const { return key != 0 && slot(key) == key; }
    void add(Owner key) { slot(key) = key; }
    void remove(Owner key) { slot(key).compare_exchange_strong(key, 0); }

private:
    mutable std::array<std::atomic<Owner>, 1 << 14> slots_ = {};

    std::atomic<Owner>& slot(Owner key) const { return slots_[key % slots_.size()]; }
};

// What the library reads and writes: a request line for it to know how to reply, and the reply.
class ReplyStream final : public httplib::Stream {
public:
    explicit ReplyStream(Connection& connection) : connection_{connection} {
        const auto& arrival = *connection.arrival;
        input_ = arrival.method() == "HEAD" ? "HEAD / HTTP/1.1\r\n\r\n" : "GET / HTTP/1.1\r\n\r\n";
    }

    bool is_readable() const { return true; }
    bool is_writable() const { return true; }
    bool wait_readable() const { return true; }
    bool wait_writable() const { return true; }
    ssize_t read(char* bytes, std::size_t size) {
        const auto taken = input_.substr(0, size).copy(bytes, size);
        input_.remove_prefix(taken);
        return static_cast<ssize_t>(taken);
    }
    ssize_t write(const char* bytes, std::size_t size) {
        const bool is_first = connection_.out.empty() && !std::exchange(has_begun_, true);
        connection_.out.append(bytes, size);
        if (is_first && connection_.arrival->is_http_1_0())
            connection_.out.at(std::string_view{"HTTP/1."}.size()) = '0';
        return static_cast<ssize_t>(size);
    }
    void get_remote_ip_and_port(std::string&, int&) const {}
    void get_local_ip_and_port(std::string&, int&) const {}
    int socket() const { return -1; }
    time_t duration() const { return 0; }

private:
    Connection& connection_;
    std::string_view input_;
    bool has_begun_ = false;
};

}  // namespace

struct Server::Lobby final : httplib::Server {
    // Connections for a thread to go on with.
    using Ready = std::deque<Connection*>;

    const Listener options;
    const pg_org::Server::Planner planner;
    const pg_org::Server::Handler handler;
    const pg_org::Server::Observer observer;

    const int epoll = epoll_create1(EPOLL_CLOEXEC), ending = eventfd(0, EFD_CLOEXEC);
    Lane workers{options.threads, options.max_waiting, options.request_timeout};
    Lane callers;
    Lane checks{health_places, options.max_waiting, options.request_timeout};
    Lane handshakes{handshake_places, options.max_connections + max_refused, options.request_timeout};
    const std::size_t max_threads;
    KnownKeys known;
    std::atomic<std::size_t> threads = 0, in_lobby = 0;
    std::atomic<bool> draining = false, closing = false;
    int port = 0;

    mutable std::mutex mutex;  // of what follows
    std::unordered_set<Connection*> connections;
    Shares bodies{options.max_buffered_bytes}, replies{options.max_buffered_bytes};  // in bytes
    Certificate certificate;

    std::jthread keeper;

    Lobby(const Listener& options, Places places, pg_org::Server::Planner planner, pg_org::Server::Handler handler,
          pg_org::Server::Observer observer)
        : options{options}, planner{std::move(planner)}, handler{std::move(handler)}, observer{std::move(observer)},
          callers{std::min(options.threads, places.count), options.max_waiting,
                  std::min(options.request_timeout, places.patience)},
          max_threads{2 * options.threads + health_places + handshake_places + 1} {
        epoll_event end{EPOLLIN, {.ptr = nullptr}};
        epoll_ctl(epoll, EPOLL_CTL_ADD, ending, &end);
        if (!options.tls_cert.empty())
            certificate = read_certificate(options.tls_cert, options.tls_key);
        set_socket_options([this](int socket) {
            const int on = 1;
            setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
            if (this->options.reuse_port)
                setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
        });
        set_pre_routing_handler([this](const httplib::Request&, httplib::Response& response) {
            reply_to(*served(), response);
            return HandlerResponse::Handled;
        });
        // The library speaks for itself here, and not the same in all of its versions.
        set_post_routing_handler([this](const httplib::Request&, httplib::Response& response) {
            for (const auto* name : {"Keep-Alive", "Accept-Ranges", "Connection"})
                response.headers.erase(name);
            served()->closes = served()->closes || draining;
            if (served()->closes)
                response.set_header("Connection", "close");
        });
    }

    // Its threads end first; the process does not come here with requests under way.
    ~Lobby() {
        keeper = {};
        for (eventfd_write(ending, 1); threads > 0;)
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }

    // The connection that this thread serves.
    static Connection*& served() {
        thread_local Connection* current = nullptr;
        return current;
    }

    void open() {
        errno = 0;
        port = options.port == 0                             ? bind_to_any_port(options.host)
               : bind_to_port(options.host, options.port) ? options.port
                                                             : -1;
        if (port < 0 || ::listen(svr_sock_, SOMAXCONN) != 0)  // its own backlog is 5
            throw std::runtime_error{"can't listen on " + options.host + ":" + std::to_string(options.port) + ": " +
                                     (errno ? std::strerror(errno) : "no such address")};
        fcntl(svr_sock_, F_SETFL, O_NONBLOCK);
        fill_lobby();
        keeper = std::jthread{[this](std::stop_token stop) { keep(stop); }};
    }

    // Accepts connections, and keeps deadlines.
    void keep(std::stop_token stop) {
        auto next_check = Clock::now();
        while (!stop.stop_requested()) {
            pollfd listening{svr_sock_, POLLIN, 0};
            poll(&listening, 1, static_cast<int>(tick.count()));
            if (!accept_all())
                std::this_thread::sleep_for(tick);
            if (closing)
                ::close(svr_sock_.exchange(-1));  // the connections in its queue are served
            if (const auto now = Clock::now(); now >= next_check) {
                check_deadlines(now);
                next_check = now + tick;
            }
        }
    }

    bool is_listening() const { return svr_sock_ != -1; }

    // Whether it makes sense to try again at once: most likely there are too many open files.
    bool accept_all() {
        for (;;) {
            sockaddr_storage address{};
            socklen_t size = sizeof address;
            const int client = accept4(svr_sock_, reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (client >= 0) {
                admit(client, address);
            } else if (errno == EAGAIN || errno == EBADF) {
                return true;
            } else if (errno != EINTR && errno != ECONNABORTED) {
                log_event(Level::warning, "can't accept a connection", {{"error", std::strerror(errno)}});
                return false;
            }
        }
    }

    void admit(int client, const sockaddr_storage& address) {
        const int on = 1;
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const auto [remote, owner] = name_of(address);
        const std::lock_guard lock{mutex};
        if (connections.size() >= options.max_connections + max_refused) {
            ::close(client);
            return;
        }
        const bool is_too_many = connections.size() >= options.max_connections;
        auto made = std::make_unique<Connection>(client, remote, owner, is_too_many);
        if (certificate) {
            made->phase = Phase::handshake;
            made->socket.use_tls(certificate);
        }
        Connection& connection = *made;
        connections.insert(made.release());
        const auto now = Clock::now();
        connection.give_up = now + options.request_timeout;
        park(connection, EPOLLIN, certificate ? connection.give_up : now + options.idle_timeout, SHUT_RD, !certificate);
    }

    void check_deadlines(Clock::time_point now) {
        {
            const std::lock_guard lock{mutex};
            for (Connection* connection : connections)
                if (connection->deadline.load() <= now) {
                    connection->deadline = Connection::never;
                    connection->is_late = true;
                    shutdown(connection->socket.descriptor(), connection->direction);
                }
        }
        for (Lane* lane : {&workers, &callers, &checks, &handshakes})
            for (Connection* connection : lane->take_late(now)) {
                if (lane == &handshakes)
                    connection->is_late = true;
                else
                    connection->reply = too_busy();
                connection->lane = nullptr;
                park(*connection, EPOLLOUT, Connection::never, SHUT_RDWR);  // a thread goes on with it at once
            }
    }

    // Until something happens; from then on it is another thread's.
    void park(Connection& connection, std::uint32_t events, Clock::time_point deadline, int direction, bool idle = false) {
        connection.is_idle = idle;
        connection.direction = direction;
        connection.deadline = deadline;
        if (idle)
            shorten_deadline(connection);
        epoll_event event{events | EPOLLONESHOT, {.ptr = &connection}};
        epoll_ctl(epoll, std::exchange(connection.is_watched, true) ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
                  connection.socket.descriptor(), &event);
    }

    void shorten_deadline(Connection& connection) {
        if (draining)
            connection.deadline = std::min(connection.deadline.load(), Clock::now() + idle_grace);
    }

    // There is always a thread in the lobby, before others are busy with something that takes long.
    void fill_lobby() {
        if (in_lobby > 0 || threads >= max_threads)
            return;
        ++threads;
        try {
            std::thread{[this] { wait_and_work(); }}.detach();
        } catch (const std::system_error&) {
            --threads;  // those there are do it
        }
    }

    void wait_and_work() {
        for (;;) {
            ++in_lobby;
            epoll_event event;
            const int found = epoll_wait(epoll, &event, 1, thread_idle_time.count());
            const bool is_last = --in_lobby == 0;
            if (found > 0 && !event.data.ptr)
                break;
            if (found > 0)
                work(static_cast<Connection*>(event.data.ptr));
            else if (found == 0 && !is_last)
                break;
        }
        --threads;
    }

    void work(Connection* first) {
        for (Ready ready{first}; !ready.empty();) {
            Connection& connection = *ready.front();
            ready.pop_front();
            connection.deadline = Connection::never;
            try {
                while (advance(connection, ready)) {
                }
            } catch (const std::exception& error) {
                log_event(Level::error, "unexpected error", {{"request_id", connection.id}, {"error", error.what()}});
                end(connection, ready);
            }
        }
    }

    // A step further; false if the connection is no more this thread's, but parked, in a lane, or gone.
    bool advance(Connection& connection, Ready& ready) {
        switch (connection.phase) {
            case Phase::handshake: return shake_hands(connection, ready);
            case Phase::reading: return read(connection, ready);
            case Phase::serving: return serve(connection, ready);
            case Phase::writing: return write(connection, ready);
            case Phase::lingering: break;
        }
        return linger(connection, ready);
    }

    bool shake_hands(Connection& connection, Ready& ready) {
        if (connection.is_late)
            return end(connection, ready);
        if (!connection.lane && handshakes.enter(connection) != Lane::Entry::admitted)
            return false;
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

    void leave_lane(Connection& connection, Ready& ready) {
        if (Lane* lane = std::exchange(connection.lane, nullptr))
            if (Connection* next = lane->leave(connection.owner))
                ready.push_back(next);
    }

    bool read(Connection& connection, Ready& ready) {
        if (!connection.arrival)
            connection.arrival.emplace(options.max_header_bytes, options.max_body_bytes);
        auto& arrival = *connection.arrival;
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
        return dispatch(connection);
    }

    void feed(Connection& connection, std::string_view bytes) {
        auto& arrival = *connection.arrival;
        const bool had_begun = arrival.has_begun(), had_head = arrival.has_head();
        arrival.take(bytes);
        connection.unread.append(bytes);
        if (!had_begun) {
            connection.begun = Clock::now();
            connection.give_up = connection.begun + options.request_timeout;
        }
        if (!had_head && arrival.has_head())
            identify(connection);
        if (arrival.fault().status != 0)
            refuse_and_close(connection, refuse(arrival.fault().status, arrival.fault().message));
        else if (!arrival.body().empty() && !hold(connection, arrival.size() - connection.buffered))
            refuse_and_close(connection, too_busy());
    }

    // Whose shares the request takes from.
    void identify(Connection& connection) {
        const auto credentials = read_credentials(header_of(connection));
        connection.key = credentials.api_key.empty() ? 0 : std::hash<std::string>{}(credentials.api_key);
        connection.owner = known.contains(connection.key) ? connection.key : connection.address;
    }

    static Header header_of(const Connection& connection) {
        return [&](const std::string& name) { return std::string{connection.arrival->field(name)}; };
    }

    static Owner owner_of_buffers(const Connection& connection) {
        return connection.owner == connection.address ? strangers : connection.owner;
    }

    bool hold(Connection& connection, std::size_t bytes) {
        const auto owner = owner_of_buffers(connection);
        const std::lock_guard lock{mutex};
        const bool others_hold = bodies.others_hold(owner) || owner == strangers;
        if (!bodies.may_take(owner, others_hold, bytes))
            return false;
        bodies.take(owner, bytes);
        connection.buffered += bytes;
        return true;
    }

    static void refuse_and_close(Connection& connection, Reply reply) {
        connection.reply = std::move(reply);
        connection.closes = true;
    }

    bool wait_for_more(Connection& connection) {
        const auto events = connection.socket.wanted_events();
        if (connection.arrival->expects_continue() && !std::exchange(connection.told_to_continue, true))
            connection.socket.send("HTTP/1.1 100 Continue\r\n\r\n");
        const bool idle = !connection.arrival->has_begun();
        park(connection, events, idle ? Clock::now() + options.idle_timeout : connection.give_up, SHUT_RD, idle);
        return false;
    }

    // A request that is whole, or refused, is replied to at once, or goes to a worker.
    bool dispatch(Connection& connection) {
        const auto& arrival = *connection.arrival;
        connection.begun = Clock::now();
        connection.give_up = connection.begun + options.request_timeout;
        connection.is_late = false;
        connection.id = request_id(arrival.field("x-request-id"));
        connection.phase = Phase::serving;
        connection.closes = connection.closes || !arrival.keeps_alive();
        if (!connection.reply && (connection.is_too_many || holds_too_much(connection)))
            refuse_and_close(connection, too_busy());
        trace() = {};
        auto plan = connection.reply ? Plan{} : planner(request_of(connection));
        connection.trace = trace();
        if (plan.reply)
            connection.reply = std::move(plan.reply);
        if (connection.reply)
            return true;
        auto& lane = plan.need == Need::check ? checks : plan.need == Need::connection ? callers : workers;
        const auto entry = lane.enter(connection);
        if (entry == Lane::Entry::full)
            connection.reply = too_busy();
        return entry != Lane::Entry::waits;
    }

    // Replies that a client does not take.
    bool holds_too_much(const Connection& connection) const {
        const std::lock_guard lock{mutex};
        return !replies.is_within_half(owner_of_buffers(connection));
    }

    static Request request_of(const Connection& connection) {
        const auto& arrival = *connection.arrival;
        return {connection.id, arrival.method(), arrival.target(), arrival.body(), header_of(connection)};
    }

    bool serve(Connection& connection, Ready& ready) {
        if (connection.lane)
            fill_lobby();
        served() = &connection;
        ReplyStream stream{connection};
        converse(stream);
        leave_lane(connection, ready);
        connection.reply.reset();
        connection.give_up = Clock::now() + options.request_timeout;
        connection.phase = Phase::writing;
        return true;
    }

    // The library's engine, which takes the addresses of both ends as well from version 0.18 on.
    template <typename Stream>
    void converse(Stream& stream) {
        bool closed = false;
        const std::function<void(httplib::Request&)> no_setup;
        if constexpr (requires { this->process_request(stream, false, closed, no_setup); })
            this->process_request(stream, false, closed, no_setup);
        else
            this->process_request(stream, std::string{}, 0, std::string{}, 0, false, closed, no_setup);
    }

    void reply_to(Connection& connection, httplib::Response& response) {
        Reply reply = connection.reply ? std::move(*connection.reply) : call_handler(connection);
        connection.status = response.status = reply.status;
        for (const auto& [name, value] : reply.headers)
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

    Reply call_handler(Connection& connection) {
        trace() = {};
        trace().waited = Clock::now() - connection.begun;
        trace().owner = connection.owner;
        Reply reply;
        try {
            reply = handler(request_of(connection));
        } catch (const std::exception& error) {
            log_event(Level::error, "unexpected error", {{"request_id", connection.id}, {"error", error.what()}});
            reply = refuse(500, "Internal Server Error");
        }
        if (trace().key_is_good)
            known.add(connection.key);
        else if (trace().sqlstate.starts_with("28"))
            known.remove(connection.key);
        connection.trace = trace();
        return reply;
    }

    // A stream, as it comes; each piece is sent before the next one is made.
    void provide(Connection& connection, const Reply& reply, httplib::Response& response) {
        connection.closes = true;
        const auto provider = [this, &connection, stream = reply.stream](std::size_t, httplib::DataSink& sink) {
            const auto write = [&](std::string_view text) {
                connection.bytes += text.size();
                return sink.write(text.data(), text.size()),
                       connection.socket.send_all(std::exchange(connection.out, {}), options.request_timeout);
            };
            stream({write, [&] { return connection.socket.is_connected(); }});
            sink.done();
            return true;
        };
        if (connection.arrival->is_http_1_0())
            response.set_content_provider(reply.content_type, provider);
        else
            response.set_chunked_content_provider(reply.content_type, provider);
    }

    bool write(Connection& connection, Ready& ready) {
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
        const auto& arrival = *connection.arrival;
        observer({connection.id, arrival.method(), connection.status, Clock::now() - connection.begun, connection.bytes,
                  connection.remote, arrival.field("user-agent"), connection.trace});
        if (!is_sound)
            return end(connection, ready);
        forget_exchange(connection);
        if (connection.closes)
            return close(connection);
        connection.phase = Phase::reading;
        if (ready.empty())
            return true;
        ready.push_back(&connection);  // after those that wait for this thread
        return false;
    }

    // What a client does not take counts for it, so that there is an end to it.
    void hold_unsent(Connection& connection) {
        if (connection.unsent > 0)
            return;
        const std::lock_guard lock{mutex};
        connection.unsent = connection.out.size() - connection.sent;
        replies.take(owner_of_buffers(connection), connection.unsent);
    }

    // A connection at rest holds no memory for what it may read or write.
    void forget_exchange(Connection& connection) {
        if (connection.buffered + connection.unsent > 0) {
            const std::lock_guard lock{mutex};
            bodies.give_back(owner_of_buffers(connection), connection.buffered);
            replies.give_back(owner_of_buffers(connection), connection.unsent);
        }
        connection.buffered = connection.unsent = connection.sent = connection.bytes = 0;
        connection.arrival.reset();
        connection.out = {};
        connection.owner = connection.address;
        connection.told_to_continue = false;
    }

    bool close(Connection& connection) {
        connection.socket.finish();
        connection.give_up = Clock::now() + (draining ? Clock::duration{idle_grace} : linger_time);
        connection.phase = Phase::lingering;
        return true;
    }

    bool linger(Connection& connection, Ready& ready) {
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

    bool end(Connection& connection, Ready& ready) {
        leave_lane(connection, ready);
        forget_exchange(connection);
        const std::lock_guard lock{mutex};
        connections.erase(&connection);
        delete &connection;
        return false;
    }

    void drain() {
        draining = true;
        const std::lock_guard lock{mutex};
        for (Connection* connection : connections)
            if (connection->is_idle)
                shorten_deadline(*connection);
    }
};

Server::Server(const Listener& options, Places connections, Planner planner, Handler handler, Observer observer)
    : lobby_{std::make_unique<Lobby>(options, connections, std::move(planner), std::move(handler), std::move(observer))} {}
Server::~Server() = default;

std::string Server::url() const {
    const auto& options = lobby_->options;
    const auto host = options.host.find(':') == options.host.npos ? options.host : '[' + options.host + ']';
    return (options.tls_cert.empty() ? "http://" : "https://") + host + ':' + std::to_string(lobby_->port);
}

void Server::start() { lobby_->open(); }

void Server::reload_certificate() {
    auto certificate = read_certificate(lobby_->options.tls_cert, lobby_->options.tls_key);
    const std::lock_guard lock{lobby_->mutex};
    lobby_->certificate = std::move(certificate);
}

void Server::drain() { lobby_->drain(); }

void Server::stop(std::chrono::milliseconds patience) {
    const auto deadline = Clock::now() + patience;
    lobby_->closing = true;
    lobby_->drain();
    while ((connections() > 0 || lobby_->is_listening()) && Clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
}

std::size_t Server::connections() const {
    const std::lock_guard lock{lobby_->mutex};
    return lobby_->connections.size();
}

std::size_t Server::waiting_for_database() const { return lobby_->callers.waiting(); }

}  // namespace pg_org
