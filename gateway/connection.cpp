#include "connection.hpp"

#include "errors.hpp"
#include "log.hpp"

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <future>
#include <random>

namespace pg_org {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;

using TlsStream = ssl::stream<tcp::socket>;
template <typename Value>
using Task = asio::awaitable<Value>;
using Clock = Connection::Clock;

constexpr std::size_t read_size = 4 << 10;
constexpr std::chrono::milliseconds idle_grace{500};
// A client that sends too much is told so when it is done, or its reply would be lost in a reset connection; but
// nobody is listened to for longer than this.
constexpr std::chrono::seconds linger_time{10};
constexpr std::size_t max_discarded_bytes = 64 << 20;

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

std::string request_id(std::string_view sent) {
    constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const bool sane = !sent.empty() && sent.size() <= 64 && sent.find_first_not_of(allowed) == sent.npos;
    return sane ? std::string{sent} : new_id();
}

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

std::string_view value_of(const http::fields& fields, beast::string_view name) {
    const auto found = fields.find(name);
    return found == fields.end() ? std::string_view{} : view(found->value());
}

// Two parties that disagree on where a request ends can be played off against each other: what is not clear is refused.
bool length_is_clear(const http::fields& fields) {
    const auto lengths = fields.count(http::field::content_length);
    const auto encodings = fields.count(http::field::transfer_encoding);
    const auto length = value_of(fields, "Content-Length"), encoding = value_of(fields, "Transfer-Encoding");
    return lengths + encodings <= 1 && length.find_first_not_of("0123456789") == length.npos &&
           (encodings == 0 || beast::iequals({encoding.data(), encoding.size()}, "chunked"));
}

// A body's part of the memory that all bodies may take, as long as it is needed.
class Allowance {
public:
    explicit Allowance(Service& service) : service_{service} {}
    Allowance(const Allowance&) = delete;
    ~Allowance() { service_.buffered -= bytes_; }

    bool take(std::size_t bytes) {
        if (bytes > service_.options.max_buffered_bytes - service_.buffered)
            return false;
        bytes_ = bytes;
        service_.buffered += bytes;
        return true;
    }

private:
    Service& service_;
    std::size_t bytes_ = 0;
};

// A reply that is about to be written, and what will be told of it.
struct Exchange {
    std::string id;
    std::string method;
    std::string user_agent;
    unsigned version = 11;
    bool keep_alive = false;
    bool wants_body = true;
    Clock::time_point start = Clock::now();
    Reply reply = {};
    Trace trace = {};
    std::size_t bytes = 0;
};

template <typename Stream>
class Session final : public Connection {
public:
    Session(Service& service, Stream&& stream, bool too_many)
        : service_{service}, options_{service.options}, stream_{std::move(stream)}, too_many_{too_many} {
        error_code ignored;
        socket().set_option(tcp::no_delay{true}, ignored);
        remote_ = socket().remote_endpoint(ignored).address().to_string(ignored);
        service_.connections.insert(this);
    }
    ~Session() { service_.connections.erase(this); }

    Task<void> run() {
        limit(options_.request_timeout);
        if constexpr (is_tls)
            co_await stream_.async_handshake(TlsStream::server, redirected());
        for (bool goes_on = !error_; goes_on;)
            goes_on = co_await serve_next();
        co_await close();
    }

private:
    static constexpr bool is_tls = std::is_same_v<Stream, TlsStream>;
    using Parser = http::request_parser<http::string_body>;

    Service& service_;
    const Listener& options_;
    Stream stream_;
    const bool too_many_;
    std::string remote_;
    beast::flat_buffer buffer_;  // what is read and not yet parsed
    error_code error_;           // of the last operation
    bool is_writing_ = false;

    auto& socket() { return beast::get_lowest_layer(stream_); }

    // Asio's TLS does not heed a cancelled read, but the end of what it reads.
    void cancel() override {
        error_code ignored;
        if constexpr (!is_tls)
            socket().cancel(ignored);
        else if (is_writing_)
            socket().close(ignored);
        else
            socket().shutdown(tcp::socket::shutdown_receive, ignored);
    }

    auto redirected() { return asio::redirect_error(asio::use_awaitable, error_); }

    // Whether there may be a next one.
    Task<bool> serve_next() {
        if (!co_await await_request())
            co_return false;
        Exchange exchange;
        Parser parser;
        parser.header_limit(options_.max_header_bytes);
        parser.body_limit(options_.max_body_bytes);
        co_await http::async_read_header(stream_, buffer_, parser, redirected());
        read_header(parser.get(), exchange);
        if (!error_ && !length_is_clear(parser.get()))
            error_ = http::error::bad_content_length;
        Allowance allowance{service_};
        if (!error_ && !allowance.take(size_of_body(parser)))
            error_ = http::error::buffer_overflow;
        if (!error_)
            co_await read_body(parser);
        exchange.start = Clock::now();
        unlimit();
        if (error_ && !refuse_unread(parser, exchange))
            co_return false;
        if (!error_)
            co_await answer(parser.get(), exchange);
        exchange.keep_alive = !error_ && !too_many_ && !service_.draining && parser.get().keep_alive();
        co_await write(exchange);
        co_return !error_ && exchange.keep_alive;
    }

    // A connection at rest holds no memory for what it may read.
    Task<bool> await_request() {
        if (buffer_.size() == 0) {
            buffer_.shrink_to_fit();
            idle_ = true;
            limit(options_.idle_timeout);
            if (service_.draining)
                hurry();
            buffer_.commit(co_await stream_.async_read_some(buffer_.prepare(read_size), redirected()));
        }
        idle_ = false;
        limit(options_.request_timeout);
        co_return !error_;
    }

    void read_header(const Parser::value_type& request, Exchange& exchange) {
        exchange.id = request_id(value_of(request, "x-request-id"));
        exchange.method = view(request.method_string());
        exchange.user_agent = value_of(request, "User-Agent");
        exchange.wants_body = request.method() != http::verb::head;
        if (request.version() == 10)
            exchange.version = 10;
    }

    // At most.
    std::size_t size_of_body(const Parser& parser) const {
        return parser.content_length().value_or(parser.chunked() ? options_.max_body_bytes : 0);
    }

    Task<void> read_body(Parser& parser) {
        if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
            const http::response<http::empty_body> go_on{http::status::continue_, 11};
            co_await http::async_write(stream_, go_on, redirected());
        }
        if (!error_)
            co_await http::async_read(stream_, buffer_, parser, redirected());
    }

    // To what could not be read as a request; false when there is nobody to reply to.
    bool refuse_unread(const Parser& parser, Exchange& exchange) {
        const bool is_begun = parser.got_some();
        if (is_late())
            exchange.reply = refuse(408, "The request took too long to arrive");
        else if (error_ == http::error::body_limit)
            exchange.reply =
                refuse(413, "The body is larger than " + std::to_string(options_.max_body_bytes) + " bytes");
        else if (error_ == http::error::buffer_overflow)
            exchange.reply = too_busy();
        else if (error_ == http::error::header_limit && exchange.method.empty())
            exchange.reply = refuse(414, "The URI is too long");
        else if (error_ == http::error::header_limit)
            exchange.reply =
                refuse(431, "The headers are larger than " + std::to_string(options_.max_header_bytes) + " bytes");
        else if (error_ == http::error::partial_message && parser.is_header_done())
            exchange.reply = refuse(400, "The body is incomplete");
        else if (error_ == http::error::bad_content_length || error_ == http::error::bad_transfer_encoding)
            exchange.reply = refuse(400, "The length of the body is unclear");
        else if (error_.category() == http::make_error_code(http::error::end_of_stream).category() && is_begun)
            exchange.reply = refuse(400, "The request is malformed");
        else
            return false;
        return true;
    }

    Task<void> answer(const Parser::value_type& sent, Exchange& exchange) {
        const auto header = [&](const std::string& name) { return std::string{value_of(sent, name)}; };
        trace() = {};
        const Request request{exchange.id, exchange.method, view(sent.target()), sent.body(), header};
        if (auto reply = too_many_ ? std::optional{too_busy()} : service_.quick(request)) {
            exchange.reply = std::move(*reply);
            exchange.trace = trace();
        } else if (service_.requests >= options_.threads + options_.max_waiting) {
            exchange.reply = too_busy();
        } else {
            ++service_.requests;
            co_await on_worker([&] { work(request, exchange); });
            --service_.requests;
        }
    }

    static Reply too_busy() { return refuse(503, "Too busy, try again"); }

    void work(const Request& request, Exchange& exchange) {
        trace() = {};
        trace().waited = Clock::now() - exchange.start;
        try {
            exchange.reply = trace().waited < options_.request_timeout ? service_.handler(request) : too_busy();
        } catch (const std::exception& error) {
            log_event(Level::error, "unexpected error", {{"request_id", exchange.id}, {"error", error.what()}});
            exchange.reply = refuse(500, "Internal Server Error");
        }
        exchange.trace = trace();
    }

    // Runs it on a worker thread, and goes on here when it is done.
    template <typename Work>
    auto on_worker(Work work) {
        return asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
            [this, work](auto handler) {
                asio::post(service_.workers, [this, work, handler = std::move(handler)]() mutable {
                    work();
                    asio::post(service_.io, std::move(handler));
                });
            },
            asio::use_awaitable);
    }

    Task<void> write(Exchange& exchange) {
        limit(options_.request_timeout);
        is_writing_ = true;
        if (exchange.reply.stream && exchange.wants_body)
            co_await write_stream(exchange);
        else if (exchange.wants_body)
            co_await write_body(exchange);
        else
            co_await write_header(exchange);
        unlimit();
        is_writing_ = false;
        service_.observer({exchange.id, exchange.method, exchange.reply.status, Clock::now() - exchange.start,
                           exchange.bytes, remote_, exchange.user_agent, exchange.trace});
    }

    template <typename Body>
    static http::response<Body> response_of(const Exchange& exchange) {
        http::response<Body> response;
        response.version(exchange.version);
        response.result(static_cast<unsigned>(exchange.reply.status));
        for (const auto& [name, value] : exchange.reply.headers)
            response.set(name, value);
        response.set("x-request-id", exchange.id);
        response.set(http::field::content_type, exchange.reply.content_type);
        response.keep_alive(exchange.keep_alive);
        return response;
    }

    Task<void> write_body(Exchange& exchange) {
        auto response = response_of<http::string_body>(exchange);
        exchange.bytes = exchange.reply.body.size();
        response.body() = std::move(exchange.reply.body);
        response.prepare_payload();
        co_await http::async_write(stream_, response, redirected());
    }

    // To HEAD.
    Task<void> write_header(Exchange& exchange) {
        auto response = response_of<http::empty_body>(exchange);
        response.content_length(exchange.reply.body.size());
        co_await http::async_write(stream_, response, redirected());
    }

    // As it comes, from a worker thread.
    Task<void> write_stream(Exchange& exchange) {
        exchange.keep_alive = false;
        auto response = response_of<http::empty_body>(exchange);
        response.chunked(exchange.version == 11);
        http::response_serializer<http::empty_body> serializer{response};
        co_await http::async_write_header(stream_, serializer, redirected());
        if (error_)
            co_return;
        unlimit();
        const Sink sink{[&](std::string_view text) { return write_piece(text, exchange); },
                        [&] { return is_connected(); }};
        ++service_.requests;
        co_await on_worker([&] { exchange.reply.stream(sink); });
        --service_.requests;
        if (exchange.version == 11)
            co_await asio::async_write(stream_, http::make_chunk_last(), redirected());
    }

    // On a worker thread, which waits until it is out.
    bool write_piece(std::string_view text, Exchange& exchange) {
        std::promise<bool> written;
        asio::post(service_.io, [&] {
            limit(options_.request_timeout);
            const auto done = [&](error_code error, std::size_t) {
                unlimit();
                exchange.bytes += text.size();
                written.set_value(!error);
            };
            const asio::const_buffer piece{text.data(), text.size()};
            if (exchange.version == 11)
                asio::async_write(stream_, http::make_chunk(piece), done);
            else
                asio::async_write(stream_, piece, done);
        });
        return written.get_future().get();
    }

    // Whether the client has not hung up.
    bool is_connected() {
        char byte;
        return recv(socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
    }

    // Reads the rest of what the client sends.
    Task<void> close() {
        idle_ = true;
        limit(linger_time);
        if (service_.draining)
            hurry();
        if constexpr (is_tls)
            if (!error_)
                co_await stream_.async_shutdown(redirected());
        socket().shutdown(tcp::socket::shutdown_send, error_);
        std::size_t discarded = buffer_.size();
        buffer_.clear();
        while (!error_ && !is_late() && discarded < max_discarded_bytes)
            discarded += co_await socket().async_read_some(buffer_.prepare(16 * read_size), redirected());
    }
};

template <typename Stream>
Task<void> run(Service& service, Stream stream, bool too_many) {
    Session session{service, std::move(stream), too_many};
    co_await session.run();
}

}  // namespace

void Connection::check(Clock::time_point now) {
    if (now < deadline_)
        return;
    unlimit();
    is_late_ = true;
    cancel();
}

void Connection::hurry() {
    if (idle_)
        deadline_ = std::min(deadline_, Clock::now() + idle_grace);
}

asio::awaitable<void> serve(Service& service, tcp::socket socket, std::shared_ptr<ssl::context> certificate,
                            bool too_many) {
    if (certificate)
        co_await run(service, TlsStream{std::move(socket), *certificate}, too_many);
    else
        co_await run(service, std::move(socket), too_many);
}

}  // namespace pg_org
