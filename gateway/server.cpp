#include "server.hpp"

#include "errors.hpp"
#include "log.hpp"

#include <httplib.h>

#include <strings.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <tuple>

namespace pg_org {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int backlog = 1024;
constexpr std::size_t requests_per_connection = 100'000;
constexpr std::chrono::seconds keep_alive_timeout{5};
constexpr std::chrono::seconds io_timeout{10};
// A client that sends too much is told so when it is done, or its reply would be lost in a reset connection; but
// nobody is listened to for longer than this.
constexpr std::size_t max_discarded_bytes = 64 << 20;

constexpr auto any_path = R"([\s\S]*)";

// The request that this thread is at: httplib serves a connection from one thread.
struct Exchange {
    bool under_way = false;
    std::string id;
    Clock::time_point start;
};
thread_local Exchange exchange;

std::mt19937_64 random_generator() {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64{seed};
}

// Begins with the time: what is stored by it comes to lie side by side, and its index grows at one end.
std::string new_id() {
    thread_local auto generator = random_generator();
    const std::chrono::milliseconds now =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
    char id[33];
    std::snprintf(id, sizeof id, "%012llx%04llx%016llx", static_cast<unsigned long long>(now.count()),
                  static_cast<unsigned long long>(generator() >> 48), static_cast<unsigned long long>(generator()));
    return id;
}

std::string request_id(const std::string& sent) {
    constexpr auto allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const bool sane = !sent.empty() && sent.size() <= 64 && sent.find_first_not_of(allowed) == std::string::npos;
    return sane ? sent : new_id();
}

enum class Framing { no_body, body, unclear };

// Two parties that disagree on where a request ends can be played off against each other: what is not clear is refused.
Framing framing_of(const httplib::Request& request) {
    const auto encoding = request.get_header_value("Transfer-Encoding");
    const auto length = request.get_header_value("Content-Length");
    if (request.get_header_value_count("Transfer-Encoding") > 1 || request.get_header_value_count("Content-Length") > 1)
        return Framing::unclear;
    if (!encoding.empty())
        return strcasecmp(encoding.c_str(), "chunked") == 0 && length.empty() ? Framing::body : Framing::unclear;
    if (length.size() > 18 || length.find_first_not_of("0123456789") != std::string::npos)
        return Framing::unclear;
    return length.empty() || std::stoull(length) == 0 ? Framing::no_body : Framing::body;
}

bool takes_body(const std::string& method) {
    return method == "POST" || method == "PUT" || method == "PATCH" || method == "DELETE";
}

// httplib would cut replies to ranges, compress them at the slowest level, parse bodies as forms, and not read a
// DELETE's chunked body.  It makes the request it hands out as const.
void plain(const httplib::Request& sent) {
    auto& request = const_cast<httplib::Request&>(sent);
    request.ranges.clear();
    for (const auto* header : {"Accept-Encoding", "Content-Encoding", "Content-Type"})
        request.headers.erase(header);
    if (request.method == "DELETE" && !request.has_header("Content-Length"))
        request.headers.emplace("Content-Length", "0");
}

void write_stream(std::function<void(const Sink&)> stream, httplib::Response& response) {
    response.set_chunked_content_provider(
        "text/event-stream", [stream = std::move(stream)](std::size_t, httplib::DataSink& sink) {
            stream({[&](std::string_view text) { return sink.write(text.data(), text.size()); },
                    [&] { return sink.is_writable(); }});
            const bool is_open = sink.is_writable();
            if (is_open)
                sink.done();
            return is_open;
        });
}

void write(Reply&& reply, httplib::Response& response) {
    response.status = reply.status;
    response.headers.clear();
    for (const auto& [name, value] : reply.headers)
        response.set_header(name, value);
    response.set_header("x-request-id", exchange.id);
    if (reply.stream)
        return write_stream(std::move(reply.stream), response);
    response.set_header("Content-Type", "application/json");
    response.body = std::move(reply.body);
}

// For when the rest of what was sent can't be read or trusted.  httplib closes a connection if a reply's content
// can't be provided to the end, and knows no other way.
void write_and_close(Reply&& reply, const httplib::Request& sent, httplib::Response& response) {
    if (sent.method == "HEAD")  // the reply to which has no content
        const_cast<httplib::Request&>(sent).method = "GET";
    const auto body = std::make_shared<std::string>(std::move(reply.body));
    write(std::move(reply), response);
    response.headers.erase("Content-Type");
    response.body.clear();
    response.set_header("Connection", "close");
    response.set_content_provider(body->size(), "application/json",
                                  [body](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
                                      sink.write(body->data() + offset, length);
                                      return false;
                                  });
}

}  // namespace

struct Server::Implementation {
    using Handled = httplib::Server::HandlerResponse;

    Config config;
    Handler handler;
    httplib::Server http;
    int listener = -1;
    std::atomic<int> under_way = 0;

    explicit Implementation(const Config& config) : config{config} {
        http.new_task_queue = [this] { return new httplib::ThreadPool{this->config.threads}; };
        http.set_keep_alive_max_count(requests_per_connection);
        http.set_keep_alive_timeout(keep_alive_timeout.count());
        http.set_read_timeout(io_timeout);
        http.set_write_timeout(io_timeout);
        http.set_tcp_nodelay(true);
        http.set_payload_max_length(std::numeric_limits<std::size_t>::max());  // read() has the limit, also for chunks
        http.set_socket_options([this](int socket) {
            const int on = 1;
            setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);  // but not SO_REUSEPORT: two would share it
            listener = socket;
        });

        http.set_expect_100_continue_handler(
            [this](const auto& request, auto& response) { return expect(request, response); });
        http.set_pre_routing_handler([this](const auto& request, auto& response) { return route(request, response); });
        const auto read_then_answer = [this](const auto& request, auto& response, const auto& reader) {
            read(request, response, reader);
        };
        http.Post(any_path, read_then_answer);
        http.Put(any_path, read_then_answer);
        http.Patch(any_path, read_then_answer);
        http.Delete(any_path, read_then_answer);
        http.set_exception_handler([](const auto& request, auto& response, std::exception_ptr thrown) {
            try {
                std::rethrow_exception(thrown);
            } catch (const std::exception& error) {
                log_event(Level::error, "unexpected error", {{"request_id", exchange.id}, {"error", error.what()}});
            } catch (...) {
                log_event(Level::error, "unexpected error", {{"request_id", exchange.id}});
            }
            write_and_close(refuse(500, "Internal Server Error"), request, response);
        });
        http.set_error_handler(httplib::Server::HandlerWithResponse{
            [this](const auto& request, auto& response) { return complete(request, response); }});
        http.set_logger([this](const auto& request, const auto& response) { end(request, response); });
    }

    void begin(const httplib::Request& request) {
        if (!exchange.under_way)
            ++under_way;
        exchange = {true, request_id(request.get_header_value("x-request-id")), Clock::now()};
    }

    void end(const httplib::Request& request, const httplib::Response& response) {
        const std::chrono::duration<double, std::milli> duration = Clock::now() - exchange.start;
        log_event(Level::info, "request",
                  {{"request_id", exchange.id},
                   {"method", request.method},
                   {"path", request.target.substr(0, request.target.find('?'))},
                   {"status", response.status},
                   {"duration_ms", std::round(duration.count() * 1000) / 1000},
                   {"remote", request.remote_addr}});
        exchange.under_way = false;
        --under_way;
    }

    // Before the body is sent.
    int expect(const httplib::Request& request, httplib::Response& response) {
        const auto length = request.get_header_value("Content-Length");
        if (framing_of(request) != Framing::body || length.empty() || std::stoull(length) <= config.max_body_bytes)
            return 100;
        begin(request);
        write_and_close(too_large(), request, response);
        return response.status;
    }

    // Before the body is read: all that has none is answered here, past httplib's regular expressions.
    Handled route(const httplib::Request& request, httplib::Response& response) {
        begin(request);
        const auto framing = framing_of(request);
        plain(request);
        if (framing == Framing::body && takes_body(request.method))
            return Handled::Unhandled;
        if (framing == Framing::unclear)
            write_and_close(refuse(400, "The length of the body is unclear"), request, response);
        else if (framing == Framing::body)  // one that httplib won't read, and nobody needs
            write_and_close(answer(request, {}), request, response);
        else
            write(answer(request, {}), response);
        return Handled::Handled;
    }

    void read(const httplib::Request& request, httplib::Response& response, const httplib::ContentReader& reader) {
        std::string body;
        std::size_t size = 0;
        const bool complete = reader([&](const char* data, std::size_t length) {
            size += length;
            if (size <= config.max_body_bytes)
                body.append(data, length);
            return size <= config.max_body_bytes + max_discarded_bytes;
        });
        const bool fits = size <= config.max_body_bytes;
        if (!complete)
            write_and_close(fits ? refuse(400, "The body is incomplete") : too_large(), request, response);
        else
            write(fits ? answer(request, body) : too_large(), response);
    }

    Reply answer(const httplib::Request& request, std::string_view body) {
        const auto header = [&](const std::string& name) {  // httplib's own getter stops at a NUL
            const auto found = request.headers.find(name);
            return found == request.headers.end() ? std::string{} : found->second;
        };
        return handler({exchange.id, request.method, request.target, body, header});
    }

    Reply too_large() const {
        return refuse(413, "The body is larger than " + std::to_string(config.max_body_bytes) + " bytes");
    }

    // Replies that httplib made by itself, to what it could not read as a request, get a body as well.
    Handled complete(const httplib::Request& request, httplib::Response& response) {
        if (!response.has_header("x-request-id")) {
            begin(request);
            const auto* message = response.status == 414 ? "The URI is too long" : "The request is malformed";
            write_and_close(refuse(response.status, message), request, response);
        }
        return Handled::Handled;
    }
};

Server::Server(const Config& config) : implementation_{std::make_unique<Implementation>(config)} {}
Server::~Server() = default;

int Server::bind() {
    auto& http = implementation_->http;
    const auto& [host, port] = std::tie(implementation_->config.host, implementation_->config.port);
    errno = 0;
    const int bound = port == 0 ? http.bind_to_any_port(host) : http.bind_to_port(host, port) ? port : -1;
    if (bound < 0)
        throw std::runtime_error{"can't listen on " + host + ":" + std::to_string(port) +
                                 (errno ? std::string{": "} + std::strerror(errno) : "")};
    listen(implementation_->listener, backlog);  // again, for httplib's own backlog is 5
    return bound;
}

bool Server::run(Handler handler) {
    implementation_->handler = std::move(handler);
    return implementation_->http.listen_after_bind();
}

void Server::stop(std::chrono::milliseconds patience) {
    auto& http = implementation_->http;
    const auto deadline = Clock::now() + patience;
    while (!http.is_running())  // stopping before it runs would be lost
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    http.stop();
    while (implementation_->under_way > 0 && Clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
}

}  // namespace pg_org
