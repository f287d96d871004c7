// How to connect to a database: the parameters of its URL, and the order in which its servers are tried.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace pg_org {

// A server that a URL names, as libpq tells of a connection.
struct Endpoint {
    std::string host; // or its address, or the directory of its socket
    std::string port;

    bool operator==(const Endpoint &) const = default;
};

class Conninfo {
public:
    // Adds timeouts for silent servers, unless the URL or the environment sets them.  The option is what the URL was
    // given by.  Throws std::invalid_argument if the URL is malformed.
    Conninfo(const std::string &option, const std::string &url, std::chrono::milliseconds patience);

    // For libpq, which tries the servers one after the other, and waits for each that is silent.
    std::string text() const;

    // Whether the URL names several servers.
    bool names_several() const { return !places_.empty(); }

    // How to connect to the other servers, if there are any.
    std::optional<Conninfo> without(const Endpoint &server) const;

    // The server that the latest connection was opened to, and one that a connection was lost to.
    void try_first(const Endpoint &server);
    void try_last(const Endpoint &server);

    // Whether the same servers are tried in the same order.
    bool operator==(const Conninfo &) const = default;

private:
    struct Place {
        std::string host, address, port; // empty: not given

        bool operator==(const Place &) const = default;

        bool is(const Endpoint &server) const
        {
            return (host.empty() ? address : host) == server.host && (port.empty() || port == server.port);
        }
    };

    std::string parameters_;
    std::vector<Place> places_; // none if the URL names one server, which is among the parameters
};

} // namespace pg_org
