#include "client.hpp"

#include <httplib.h>

#include <cstdint>

namespace pg_org {
namespace {

constexpr std::chrono::seconds connect_timeout{5};
constexpr std::chrono::seconds write_timeout{5};
constexpr std::chrono::seconds read_timeout{10};
// Of a reply's body, which says nothing that matters here, no more is read to keep the connection.
constexpr std::size_t max_body_bytes = 64 << 10;

}  // namespace

struct Client::Implementation {
    std::string path;
    httplib::Client http;

    explicit Implementation(const HttpUrl& url) : path{url.path}, http{url.origin} {
        http.set_keep_alive(true);
        http.set_tcp_nodelay(true);
        http.set_connection_timeout(connect_timeout);
        http.set_write_timeout(write_timeout);
        http.set_read_timeout(read_timeout);
    }
};

Client::Client(const HttpUrl& url) : implementation_{std::make_unique<Implementation>(url)} {}
Client::~Client() = default;

Acknowledgement Client::post(const std::string& json, const Headers& headers) {
    httplib::Request request;
    request.method = "POST";
    request.path = implementation_->path;
    request.headers.insert(headers.begin(), headers.end());
    request.set_header("Content-Type", "application/json");
    request.body = json;

    Acknowledgement answer;
    request.response_handler = [&](const httplib::Response& response) {
        answer.status = response.status;
        return true;
    };
    std::size_t size = 0;
    request.content_receiver = [&](const char*, std::size_t length, std::uint64_t, std::uint64_t) {
        size += length;
        return size <= max_body_bytes;
    };
    const auto result = implementation_->http.send(request);
    if (result)  // also of a reply without a body, of which the handler does not hear
        answer.status = result->status;
    else if (answer.status == 0)
        answer.reason = httplib::to_string(result.error());
    return answer;
}

}  // namespace pg_org
