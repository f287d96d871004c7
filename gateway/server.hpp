// The HTTP server, on cpp-httplib: connections, queues, deadlines and threads.  A connection without a whole request
// costs a buffer in an epoll set, never a thread; a thread that finds a whole request serves it and writes the reply at
// once. server.cpp accepts connections and keeps deadlines and threads; exchange.cpp has the steps of an exchange.
#pragma once

#include "config.hpp"
#include "connection.hpp"
#include "http.hpp"
#include "lane.hpp"
#include "shares.hpp"

#include <httplib.h>

#include <chrono>
#include <cstddef>
#include <ctime>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>

namespace pg_org {

class Server final : private httplib::Server {
public:
    struct Places {
        std::size_t count;
        std::chrono::milliseconds patience; // how long a request waits for one
    };
    using Planner = std::function<Plan(const Request &)>;
    using Handler = std::function<Reply(const Request &)>;
    using Observer = std::function<void(const Observation &)>;

    // Throws std::runtime_error if the certificate can't be used.
    Server(const Listener &options, Places connections, Planner planner, Handler handler, Observer observer);
    ~Server();

    // Binds the address and accepts clients from then on; throws std::runtime_error.
    void start();

    // The address for clients, once started.
    std::string url() const;

    // Reads the files again, for new connections.  Throws std::runtime_error, and keeps the old certificate then.
    void reload_certificate();

    // When the certificate ends that new connections get, if they get one.
    std::optional<std::time_t> certificate_expiry() const;

    // Keeps serving, but closes each connection after its next reply.
    void drain();

    // Accepts no more connections and waits for the requests under way, but no longer than `patience`.
    void stop(std::chrono::milliseconds patience);

    std::size_t connections() const;
    std::size_t waiting_for_database() const { return callers_.waiting(); } // requests

private:
    using Clock = Connection::Clock;
    static constexpr std::chrono::seconds idle_grace{2}; // while draining: a client may be about to use its connection
    // Connections that this thread continues with.
    using Ready = std::deque<Connection *>;

    const Listener options_;
    const Planner planner_;
    const Handler handler_;
    const Observer observer_;
    const int epoll_, ending_;
    Lane workers_, callers_, checks_, handshakes_;
    KnownKeys known_;
    std::atomic<std::size_t> threads_ = 0, in_lobby_ = 0;
    std::atomic<bool> draining_ = false, closing_ = false;
    int port_ = 0;

    mutable std::mutex mutex_; // guards what follows
    std::unordered_set<Connection *> connections_;
    Shares bodies_, replies_; // in bytes: bodies received, and replies that clients do not read
    Certificate certificate_;

    std::jthread keeper_;

    void keep(std::stop_token stop);
    bool accept_all();
    void admit(int client, const sockaddr_storage &address);
    void check_deadlines(Clock::time_point now);
    void park(Connection &connection, std::uint32_t events, Clock::time_point deadline, int direction,
              bool idle = false);
    void shorten_deadline(Connection &connection);
    void fill_lobby();
    void wait_and_work();
    void work(Connection *first);

    // Steps: each returns whether this thread continues with the connection; if not, it is parked, in a lane, or gone.
    bool advance(Connection &connection, Ready &ready);
    bool shake_hands(Connection &connection, Ready &ready);
    bool read(Connection &connection, Ready &ready);
    bool dispatch(Connection &connection, Ready &ready);
    bool serve(Connection &connection, Ready &ready);
    bool write(Connection &connection, Ready &ready);
    bool close(Connection &connection);
    bool linger(Connection &connection, Ready &ready);
    bool end(Connection &connection, Ready &ready);

    void feed(Connection &connection, std::string_view bytes);
    bool wait_for_more(Connection &connection);
    void identify(Connection &connection);
    bool hold(Connection &connection, std::size_t bytes);
    void hold_unsent(Connection &connection);
    bool holds_too_much(const Connection &connection) const;
    void forget_exchange(Connection &connection);
    bool enter_lane(Lane &lane, Connection &connection, Ready &ready);
    void leave_lane(Connection &connection, Ready &ready);
    void turn_away(Connection &connection);
    template <typename Stream> void converse(Stream &stream);
    void reply_to(Connection &connection, httplib::Response &response);
    void end_reply(httplib::Response &response);
    Reply call_handler(Connection &connection);
    void provide(Connection &connection, const Reply &reply, httplib::Response &response);
};

// The reply to what exceeds a share or a limit.
Reply too_busy();

// The connection that this thread serves.
inline Connection *&served()
{
    thread_local Connection *current = nullptr;
    return current;
}

} // namespace pg_org
