// The HTTP server: connections, TLS, framing, limits and deadlines around one handler.  A single thread reads and writes
// for all connections, so that one costs no more than its memory; what a request asks for is done by worker threads.
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
    // The reply to what needs no thread, because it waits for nothing; nothing to all else.
    using QuickHandler = std::function<std::optional<Reply>(const Request&)>;
    using Observer = std::function<void(const Observation&)>;

    // Takes the address; throws std::runtime_error, also if the certificate can't be used.
    Server(const pg_org::Listener& options, QuickHandler quick, Handler handler, Observer observer);
    ~Server();

    // Where it is to be found.
    std::string url() const;

    // From here on clients get in; throws std::runtime_error.
    void start();

    // For new connections the certificate as the files now have it.  Throws std::runtime_error, the old one kept.
    void reload_certificate();

    // Serves on, but asks each client to go elsewhere with its next request.
    void drain();

    // Takes no more connections and waits for the requests under way, but no longer than `patience`.
    void stop(std::chrono::milliseconds patience);

    std::size_t connections() const;

private:
    struct Listener;
    std::unique_ptr<Listener> listener_;
};

}  // namespace pg_org
