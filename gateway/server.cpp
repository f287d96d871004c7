#include "server.hpp"

#include "log.hpp"
#include "reply.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace pg_org {
namespace {

constexpr std::chrono::milliseconds tick{100}; // precision of deadlines
constexpr std::chrono::milliseconds thread_idle_time{10'000};
// This many connections beyond the limit get a 503; later ones are closed without a reply.
constexpr std::size_t max_refused = 256;
// Health checks have their own places; handshakes have one for each processor.
constexpr std::size_t health_places = 2;
const std::size_t handshake_places = std::max(2u, std::thread::hardware_concurrency());

// A client's address, and its hash: with IPv6, that of its /64 network.
std::pair<std::string, Owner> name_of(const sockaddr_storage &address)
{
    char host[INET6_ADDRSTRLEN] = "";
    const auto &v6 = reinterpret_cast<const sockaddr_in6 &>(address);
    if (address.ss_family == AF_INET)
        inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in &>(address).sin_addr, host, sizeof host);
    else
        inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
    const bool is_network = address.ss_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
    const std::string_view network{reinterpret_cast<const char *>(&v6.sin6_addr), 8};
    return {host, std::hash<std::string_view>{}(is_network ? network : std::string_view{host})};
}

// Threads that serve requests, health checks and handshakes, and one that waits in the lobby.
std::size_t max_threads(const Listener &options) { return 2 * options.threads + health_places + handshake_places + 1; }

} // namespace

Reply too_busy() { return refuse(503, "Too busy, try again"); }

Server::Server(const Listener &options, Places connections, Planner planner, Handler handler, Observer observer)
    : options_{options}, planner_{std::move(planner)}, handler_{std::move(handler)}, observer_{std::move(observer)},
      epoll_{epoll_create1(EPOLL_CLOEXEC)}, ending_{eventfd(0, EFD_CLOEXEC)},
      workers_{options.threads, options.max_waiting, options.request_timeout},
      callers_{std::min(options.threads, connections.count), options.max_waiting,
               std::min(options.request_timeout, connections.patience)},
      checks_{health_places, options.max_waiting, options.request_timeout},
      handshakes_{handshake_places, options.max_connections / 8, options.request_timeout},
      bodies_{std::max(options.max_buffered_bytes, 2 * options.max_body_bytes)}, replies_{options.max_buffered_bytes}
{
    epoll_event end{EPOLLIN, {.ptr = nullptr}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, ending_, &end);
    if (!options.tls_cert.empty())
        certificate_ = read_certificate(options.tls_cert, options.tls_key);
    set_socket_options([this](int socket) {
        const int on = 1;
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (options_.reuse_port)
            setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    });
    set_pre_routing_handler([this](const httplib::Request &, httplib::Response &response) {
        reply_to(*served(), response);
        return HandlerResponse::Handled;
    });
    set_post_routing_handler([this](const httplib::Request &, httplib::Response &response) { end_reply(response); });
}

// Waits for its threads; the process does not get here with requests under way.
Server::~Server()
{
    keeper_ = {};
    for (eventfd_write(ending_, 1); threads_ > 0;)
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
}

void Server::start()
{
    errno = 0;
    port_ = options_.port == 0                           ? bind_to_any_port(options_.host)
            : bind_to_port(options_.host, options_.port) ? options_.port
                                                         : -1;
    if (port_ < 0 || ::listen(svr_sock_, SOMAXCONN) != 0) // its own backlog is 5
        throw std::runtime_error{"can't listen on " + options_.host + ":" + std::to_string(options_.port) + ": " +
                                 (errno ? std::strerror(errno) : "no such address")};
    fcntl(svr_sock_, F_SETFL, O_NONBLOCK);
    fill_lobby();
    keeper_ = std::jthread{[this](std::stop_token stop) { keep(stop); }};
}

std::string Server::url() const
{
    const auto host = options_.host.find(':') == options_.host.npos ? options_.host : '[' + options_.host + ']';
    return (options_.tls_cert.empty() ? "http://" : "https://") + host + ':' + std::to_string(port_);
}

std::optional<std::time_t> Server::certificate_expiry() const
{
    const std::lock_guard lock{mutex_};
    return certificate_ ? std::optional{expiry_of(certificate_)} : std::nullopt;
}

void Server::reload_certificate()
{
    auto certificate = read_certificate(options_.tls_cert, options_.tls_key);
    const std::lock_guard lock{mutex_};
    certificate_ = std::move(certificate);
}

void Server::drain()
{
    draining_ = true;
    const std::lock_guard lock{mutex_};
    for (Connection *connection : connections_)
        if (connection->is_idle)
            shorten_deadline(*connection);
}

void Server::stop(std::chrono::milliseconds patience)
{
    const auto deadline = Clock::now() + patience;
    closing_ = true;
    drain();
    while ((connections() > 0 || svr_sock_ != -1) && Clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
}

std::size_t Server::connections() const
{
    const std::lock_guard lock{mutex_};
    return connections_.size();
}

// Accepts connections, and keeps deadlines.
void Server::keep(std::stop_token stop)
{
    auto next_check = Clock::now();
    while (!stop.stop_requested()) {
        pollfd listening{svr_sock_, POLLIN, 0};
        poll(&listening, 1, static_cast<int>(tick.count()));
        if (!accept_all())
            std::this_thread::sleep_for(tick);
        if (closing_)
            ::close(svr_sock_.exchange(-1)); // after accept_all() has emptied its queue
        if (const auto now = Clock::now(); now >= next_check) {
            check_deadlines(now);
            next_check = now + tick;
        }
    }
}

// False if accepting fails for now, most likely because too many files are open.
bool Server::accept_all()
{
    for (;;) {
        sockaddr_storage address{};
        socklen_t size = sizeof address;
        const int client =
            accept4(svr_sock_, reinterpret_cast<sockaddr *>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
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

void Server::admit(int client, const sockaddr_storage &address)
{
    const int on = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto [remote, owner] = name_of(address);
    const std::lock_guard lock{mutex_};
    if (connections_.size() >= options_.max_connections + max_refused) {
        ::close(client);
        return;
    }
    const bool is_over_limit = connections_.size() >= options_.max_connections;
    auto made = std::make_unique<Connection>(client, remote, owner, is_over_limit);
    if (certificate_) {
        made->phase = Connection::Phase::handshake;
        made->socket.use_tls(certificate_);
    }
    Connection &connection = *made;
    connections_.insert(made.release());
    const auto now = Clock::now();
    connection.give_up = now + options_.request_timeout;
    park(connection, EPOLLIN, certificate_ ? connection.give_up : now + options_.idle_timeout, SHUT_RD, !certificate_);
}

void Server::check_deadlines(Clock::time_point now)
{
    {
        const std::lock_guard lock{mutex_};
        for (Connection *connection : connections_)
            if (connection->deadline.load() <= now) {
                connection->deadline = Connection::never;
                connection->is_late = true;
                shutdown(connection->socket.descriptor(), connection->direction);
            }
    }
    for (Lane *lane : {&workers_, &callers_, &checks_, &handshakes_})
        for (Connection *connection : lane->take_late(now)) {
            turn_away(*connection);
            park(*connection, EPOLLOUT, Connection::never,
                 SHUT_RDWR); // writable at once, so that a thread sends the refusal
        }
}

// Leaves the connection to epoll; the thread that it wakes owns it from then on.
void Server::park(Connection &connection, std::uint32_t events, Clock::time_point deadline, int direction, bool idle)
{
    connection.is_idle = idle;
    connection.direction = direction;
    connection.deadline = deadline;
    if (idle)
        shorten_deadline(connection);
    epoll_event event{events | EPOLLONESHOT, {.ptr = &connection}};
    epoll_ctl(epoll_, std::exchange(connection.is_watched, true) ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
              connection.socket.descriptor(), &event);
}

void Server::shorten_deadline(Connection &connection)
{
    if (draining_)
        connection.deadline = std::min(connection.deadline.load(), Clock::now() + idle_grace);
}

// Makes sure that a thread waits in epoll, the lobby, before this one starts something slow.
void Server::fill_lobby()
{
    if (in_lobby_ > 0 || threads_ >= max_threads(options_))
        return;
    ++threads_;
    try {
        std::thread{[this] { wait_and_work(); }}.detach();
    } catch (const std::system_error &) {
        --threads_; // the other threads have to do
    }
}

void Server::wait_and_work()
{
    for (;;) {
        ++in_lobby_;
        epoll_event event;
        const int found = epoll_wait(epoll_, &event, 1, thread_idle_time.count());
        const bool is_last = --in_lobby_ == 0;
        if (found > 0 && !event.data.ptr)
            break;
        if (found > 0)
            work(static_cast<Connection *>(event.data.ptr));
        else if (found == 0 && !is_last)
            break;
    }
    --threads_;
}

void Server::work(Connection *first)
{
    for (Ready ready{first}; !ready.empty();) {
        Connection &connection = *ready.front();
        ready.pop_front();
        connection.deadline = Connection::never;
        try {
            while (advance(connection, ready)) {
            }
        } catch (const std::exception &error) {
            log_event(Level::error, "unexpected error", {{"request_id", connection.id}, {"error", error.what()}});
            end(connection, ready);
        }
    }
}

} // namespace pg_org
