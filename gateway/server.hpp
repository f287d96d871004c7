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
    using Handler = std::function<Reply(const Request&)>;
    // The reply to a request that needs no worker, because nothing is waited for; nothing for all others.
    using InlineHandler = std::function<std::optional<Reply>(const Request&)>;
    using Observer = std::function<void(const Observation&)>;

    // Throws std::runtime_error if the certificate can't be used.
    Server(const Listener& options, InlineHandler at_once, Handler handler, Observer observer);
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

private:
    struct Lobby;
    std::unique_ptr<Lobby> lobby_;
};

}  // namespace pg_org
