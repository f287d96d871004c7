// The HTTP server, on cpp-httplib: who waits where, and for how long.  A connection without a whole request costs a
// buffer in an epoll set, never a thread; a thread that finds a whole request serves it and writes the reply at once.
#pragma once

#include "config.hpp"
#include "http.hpp"
#include "observation.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace pg_org {

class Server {
public:
    // What a request needs before its handler is called.
    enum class Need { check, connection, worker };  // a place of health checks, a database connection, or just a thread
    struct Plan {
        std::optional<Reply> reply = {};  // to a request that needs nothing, because nothing is waited for
        Need need = Need::worker;
    };
    struct Places {
        std::size_t count;
        std::chrono::milliseconds patience;  // how long a request waits for one
    };
    using Planner = std::function<Plan(const Request&)>;
    using Handler = std::function<Reply(const Request&)>;
    using Observer = std::function<void(const Observation&)>;

    // Throws std::runtime_error if the certificate can't be used.
    Server(const Listener& options, Places connections, Planner planner, Handler handler, Observer observer);
    ~Server();

    // Takes the address, and clients from then on; throws std::runtime_error.
    void start();

    // Where clients find it, once it is started.
    std::string url() const;

    // Reads the files again, for new connections.  Throws std::runtime_error, and keeps the old certificate then.
    void reload_certificate();

    // Serves on, but closes each connection after its next reply.
    void drain();

    // Takes no more connections and waits for the requests under way, but no longer than `patience`.
    void stop(std::chrono::milliseconds patience);

    std::size_t connections() const;
    std::size_t waiting_for_database() const;  // requests

private:
    struct Lobby;
    std::unique_ptr<Lobby> lobby_;
};

}  // namespace pg_org
