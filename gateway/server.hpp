// The HTTP server: connections, framing, limits, request ids and the access log around one handler.
#pragma once

#include "config.hpp"
#include "http.hpp"

#include <functional>
#include <memory>

namespace pg_org {

class Server {
public:
    using Handler = std::function<Reply(const Request&)>;

    explicit Server(const Config& config);
    ~Server();

    // Takes the address, returns the port; throws std::runtime_error.
    int bind();

    // Serves until stopped; false if it can't go on before that.
    bool run(Handler handler);

    // Takes no more connections and waits for the requests under way, but no longer than `patience`.
    void stop(std::chrono::milliseconds patience);

private:
    struct Implementation;
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace pg_org
