#include "server.hpp"

#include "connection.hpp"
#include "log.hpp"

#include <cstring>
#include <stdexcept>
#include <thread>

namespace pg_org {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds tick{100};  // how exactly deadlines are kept
// So many connections over the limit are told so; those who come after them are hung up on.
constexpr std::size_t most_refused = 256;

// In OpenSSL's words; Asio 1.18 has none of its own.
std::string reason(error_code error) {
    const unsigned long code = static_cast<unsigned>(error.value());
    if (ERR_SYSTEM_ERROR(code))
        return std::strerror(ERR_GET_REASON(code));
    const char* words = ERR_reason_error_string(code);
    return words ? words : error.message();
}

std::shared_ptr<ssl::context> read_certificate(const pg_org::Listener& options) {
    if (options.tls_cert.empty())
        return nullptr;
    auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
    context->set_options(ssl::context::default_workarounds | ssl::context::no_sslv3 | ssl::context::no_tlsv1 |
                         ssl::context::no_tlsv1_1 | ssl::context::no_compression);
    SSL_CTX_set_mode(context->native_handle(), SSL_MODE_RELEASE_BUFFERS);  // most connections are idle
    error_code error;
    context->use_certificate_chain_file(options.tls_cert, error);
    if (error)
        throw std::runtime_error{"can't use the certificate in " + options.tls_cert + ": " + reason(error)};
    context->use_private_key_file(options.tls_key, ssl::context::pem, error);
    if (error)  // also of a key that is not the certificate's
        throw std::runtime_error{"can't use the private key in " + options.tls_key + ": " + reason(error)};
    return context;
}

tcp::acceptor bind_to(asio::io_context& io, const tcp::endpoint& endpoint, bool reuse_port, error_code& error) {
    using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
    tcp::acceptor acceptor{io};
    acceptor.open(endpoint.protocol(), error);
    if (!error)
        acceptor.set_option(tcp::acceptor::reuse_address{true}, error);
    if (!error && reuse_port)
        acceptor.set_option(ReusePort{true}, error);
    if (!error)
        acceptor.bind(endpoint, error);
    return acceptor;
}

// To the first of the host's addresses that can be taken.
tcp::acceptor bind(asio::io_context& io, const pg_org::Listener& options) {
    error_code error;
    for (const auto& found : tcp::resolver{io}.resolve(options.host, std::to_string(options.port), error))
        if (auto acceptor = bind_to(io, found.endpoint(), options.reuse_port, error); !error)
            return acceptor;
    throw std::runtime_error{"can't listen on " + options.host + ":" + std::to_string(options.port) + ": " +
                             error.message()};
}

void report(std::exception_ptr thrown) {
    try {
        if (thrown)
            std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
        log_event(Level::error, "unexpected error", {{"error", error.what()}});
    }
}

}  // namespace

struct Server::Listener {
    Service service;
    tcp::acceptor acceptor;
    std::shared_ptr<ssl::context> certificate;  // none: clear text
    std::atomic<std::size_t> connections = 0;
    std::thread thread = {};

    Listener(const pg_org::Listener& options, QuickHandler quick, Handler handler, Observer observer)
        : service{options, std::move(quick), std::move(handler), std::move(observer)},
          acceptor{bind(service.io, options)}, certificate{read_certificate(options)} {}

    ~Listener() {
        service.io.stop();
        if (thread.joinable())
            thread.join();
        service.workers.join();
    }

    asio::awaitable<void> accept() {
        while (acceptor.is_open()) {
            error_code error;
            auto socket = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
            if (!error)
                admit(std::move(socket));
            else if (error != asio::error::operation_aborted)
                co_await pause(error);
        }
    }

    void admit(tcp::socket socket) {
        const auto most = service.options.max_connections;
        if (connections == most + most_refused)
            return;
        const bool too_many = ++connections > most;
        asio::co_spawn(service.io, serve(service, std::move(socket), certificate, too_many),
                       [this](std::exception_ptr thrown) {
                           --connections;
                           report(thrown);
                       });
    }

    // Most likely there are too many open files: until some are closed it would go wrong again at once.
    asio::awaitable<void> pause(error_code error) {
        log_event(Level::warning, "can't accept a connection", {{"error", error.message()}});
        asio::steady_timer timer{service.io, tick};
        co_await timer.async_wait(asio::use_awaitable);
    }

    asio::awaitable<void> keep_deadlines() {
        asio::steady_timer timer{service.io};
        for (;;) {
            timer.expires_after(tick);
            co_await timer.async_wait(asio::use_awaitable);
            const auto now = Clock::now();
            for (Connection* connection : service.connections)
                connection->check(now);
        }
    }

    void drain() {
        service.draining = true;
        for (Connection* connection : service.connections)
            connection->hurry();
    }

    // Those who were let in by the kernel already are served.
    void close() {
        error_code error;
        acceptor.non_blocking(true, error);
        while (!error)
            if (auto socket = acceptor.accept(error); !error)
                admit(std::move(socket));
        acceptor.close(error);
    }
};

Server::Server(const pg_org::Listener& options, QuickHandler quick, Handler handler, Observer observer)
    : listener_{std::make_unique<Listener>(options, std::move(quick), std::move(handler), std::move(observer))} {}
Server::~Server() = default;

std::string Server::url() const {
    const auto& options = listener_->service.options;
    const auto host = options.host.find(':') == options.host.npos ? options.host : '[' + options.host + ']';
    return (listener_->certificate ? "https://" : "http://") + host + ':' +
           std::to_string(listener_->acceptor.local_endpoint().port());
}

void Server::start() {
    auto& io = listener_->service.io;
    listener_->acceptor.listen(tcp::acceptor::max_listen_connections);
    asio::co_spawn(io, listener_->accept(), report);
    asio::co_spawn(io, listener_->keep_deadlines(), report);
    listener_->thread = std::thread{[&io] { io.run(); }};
}

void Server::reload_certificate() {
    asio::post(listener_->service.io, [this, certificate = read_certificate(listener_->service.options)] {
        listener_->certificate = certificate;
    });
}

void Server::drain() {
    asio::post(listener_->service.io, [this] { listener_->drain(); });
}

void Server::stop(std::chrono::milliseconds patience) {
    const auto deadline = Clock::now() + patience;
    asio::post(listener_->service.io, [this] {
        listener_->close();
        listener_->drain();
    });
    while (listener_->connections > 0 && Clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
}

std::size_t Server::connections() const { return listener_->connections; }

}  // namespace pg_org
