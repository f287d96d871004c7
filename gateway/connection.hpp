// One client's connection: its requests, one after the other, each with its deadlines, and the end of it.
#pragma once

#include <utility>  // which Asio 1.18 forgets

#include "server.hpp"

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>

#include <atomic>
#include <unordered_set>

namespace pg_org {

class Connection;

// What the connections of a server share.  All of it is the I/O thread's, but for what is atomic.
struct Service {
    const Listener options;
    const Server::QuickHandler quick;
    const Server::Handler handler;
    const Server::Observer observer;
    boost::asio::io_context io{1};
    boost::asio::thread_pool workers{options.threads};
    std::unordered_set<Connection*> connections = {};
    std::size_t requests = 0;  // that a worker has, or shall have
    std::size_t buffered = 0;  // bytes, of bodies that are held or being read
    bool draining = false;     // clients are to go elsewhere
};

// What the server's clock has to know of a connection.
class Connection {
public:
    using Clock = std::chrono::steady_clock;

    // Hangs up on who is late, or lets the connection say so.
    void check(Clock::time_point now);

    // Of a connection without a request not much is expected any more.
    void hurry();

protected:
    Connection() = default;
    Connection(const Connection&) = delete;
    ~Connection() = default;

    void limit(Clock::duration duration) {
        deadline_ = Clock::now() + duration;
        is_late_ = false;
    }
    void unlimit() { deadline_ = Clock::time_point::max(); }
    bool is_late() const { return is_late_; }

    bool idle_ = true;

private:
    Clock::time_point deadline_ = Clock::time_point::max();
    bool is_late_ = false;

    // Ends what the connection waits for.
    virtual void cancel() = 0;
};

// Serves that client until it is gone; with a certificate by TLS.  One who is too many is told so and no more.
boost::asio::awaitable<void> serve(Service& service, boost::asio::ip::tcp::socket socket,
                                   std::shared_ptr<boost::asio::ssl::context> certificate, bool too_many);

}  // namespace pg_org
