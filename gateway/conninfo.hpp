// How to connect to a database: the parameters of its URL, and the order in which its servers are tried.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace pg_org {

// A server that a URL names, as libpq tells of a connection.
struct Endpoint {
    std::string host; // or its address, or the directory of its socket
    std::string port;
};

class Conninfo {
public:
    // Adds timeouts for silent servers, unless the URL or the environment sets them.  The option is what the URL was
    // given by.  Throws std::invalid_argument if the URL is malformed.
    Conninfo(const std::string &option, const std::string &url, std::chrono::milliseconds patience);

    // For libpq, which tries the servers one after the other, and waits for each that is silent.
    std::string text() const;

    // The server that the latest connection was opened to, and one that a connection was lost to.
    void try_first(const Endpoint &server);
    void try_last(const Endpoint &server);

private:
    struct Place {
        std::string host, address, port; // empty: not given

        bool is(const Endpoint &server) const
        {
            return (host.empty() ? address : host) == server.host && (port.empty() || port == server.port);
        }
    };

    std::string parameters_;
    std::vector<Place> places_; // none if the URL names one server, which is among the parameters
};

} // namespace pg_org
