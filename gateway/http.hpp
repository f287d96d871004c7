// A request and a reply, as the gateway's other rooms see them.
#pragma once

#include "credentials.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pg_org {

struct Request {
    std::string_view id;
    std::string_view method;
    std::string_view target;  // path and query, as sent
    std::string_view body;
    Header header;
};

struct Reply {
    int status = 200;
    std::string body;  // JSON
    std::vector<std::pair<std::string, std::string>> headers = {};
};

}  // namespace pg_org
