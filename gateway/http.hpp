// A request and a reply, as the gateway's stages see them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pg_org {

// The value of a header by its name in any case, empty if it was not sent.
using Header = std::function<std::string(const std::string &name)>;

struct Request {
    std::string_view id;
    std::string_view method;
    std::string_view target; // path and query, as sent
    std::string_view body;
    Header header;
};

// The client that a stream is sent to.
struct Sink {
    std::function<bool(std::string_view)> write; // false when the client is gone
    std::function<bool()> is_open;
};

struct Reply {
    int status = 200;
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers = {};
    // Writes the body piece by piece, until it returns: false if the body ends before its end.
    std::function<bool(const Sink &)> stream = {};
    std::string content_type = "application/json";
};

// The resource that a request needs: a place for health checks, a database connection, or just a thread.
enum class Need { check, connection, worker };
struct Plan {
    std::optional<Reply> reply = {}; // to a request that needs none of these
    Need need = Need::worker;
};

} // namespace pg_org
