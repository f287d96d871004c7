// Requests of the gateway's own, to others.
#pragma once

#include "url.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pg_org {

struct Acknowledgement {
    int status = 0;      // 0 when there was none
    std::string reason;  // why not
};

// Posts to one URL, over a connection that is kept.
class Client {
public:
    using Headers = std::vector<std::pair<std::string, std::string>>;

    explicit Client(const HttpUrl& url);
    ~Client();

    // Gives up after 5 s without a connection, 5 s in which nothing could be sent, or 10 s in which nothing came.
    Acknowledgement post(const std::string& json, const Headers& headers);

private:
    struct Implementation;
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace pg_org
