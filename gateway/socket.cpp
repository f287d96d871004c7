#include "socket.hpp"

#include <openssl/err.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace pg_org {
namespace {

std::string reason()
{
    const auto code = ERR_get_error();
    ERR_clear_error();
    if (ERR_SYSTEM_ERROR(code))
        return std::strerror(ERR_GET_REASON(code));
    const char *words = ERR_reason_error_string(code);
    return words ? words : "unknown reason";
}

} // namespace

Certificate read_certificate(const std::string &certificate_file, const std::string &key_file)
{
    Certificate context{SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    // Idle connections need no buffers, and unsent data may move between attempts.
    SSL_CTX_set_mode(context.get(),
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_use_certificate_chain_file(context.get(), certificate_file.c_str()) != 1)
        throw std::runtime_error{"can't use the certificate in " + certificate_file + ": " + reason()};
    // Only the check compares a key of another type than the certificate's.
    if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context.get()) != 1)
        throw std::runtime_error{"can't use the private key in " + key_file + ": " + reason()};
    return context;
}

std::time_t expiry_of(const Certificate &certificate)
{
    std::tm end{};
    ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(certificate.get())), &end);
    return timegm(&end);
}

Socket::~Socket() { close(descriptor_); }

void Socket::use_tls(const Certificate &certificate)
{
    tls_.reset(SSL_new(certificate.get()));
    if (!tls_ || SSL_set_fd(tls_.get(), descriptor_) != 1)
        throw std::runtime_error{"no TLS: " + reason()};
}

ssize_t Socket::receive(char *bytes, std::size_t size)
{
    if (tls_) {
        if (is_broken_)
            return -1;
        ERR_clear_error();
        return result_of(SSL_read(tls_.get(), bytes, static_cast<int>(size)));
    }
    return receive_clear(bytes, size);
}

ssize_t Socket::receive_clear(char *bytes, std::size_t size)
{
    const auto received = recv(descriptor_, bytes, size, 0);
    wanted_ = EPOLLIN;
    return received > 0 ? received : received < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

ssize_t Socket::discard()
{
    char bytes[16 << 10];
    return receive_clear(bytes, sizeof bytes);
}

ssize_t Socket::send(std::string_view bytes)
{
    if (tls_) {
        if (is_broken_)
            return -1;
        ERR_clear_error();
        constexpr std::size_t max = std::numeric_limits<int>::max();
        return result_of(SSL_write(tls_.get(), bytes.data(), static_cast<int>(std::min(bytes.size(), max))));
    }
    const auto sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    wanted_ = EPOLLOUT;
    return sent >= 0 ? sent : errno == EAGAIN || errno == EINTR ? 0 : -1;
}

ssize_t Socket::shake_hands()
{
    ERR_clear_error();
    return result_of(SSL_accept(tls_.get()));
}

ssize_t Socket::result_of(int done)
{
    if (done > 0)
        return done;
    const int error = SSL_get_error(tls_.get(), done);
    wanted_ = error == SSL_ERROR_WANT_WRITE ? EPOLLOUT : EPOLLIN;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return 0;
    is_broken_ = error != SSL_ERROR_ZERO_RETURN;
    return -1;
}

bool Socket::send_all(std::string_view bytes, std::chrono::milliseconds timeout)
{
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + timeout;
    while (!bytes.empty()) {
        const auto sent = send(bytes);
        if (sent < 0)
            return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        pollfd socket{descriptor_, static_cast<short>(wanted_ == EPOLLOUT ? POLLOUT : POLLIN), 0};
        if (sent == 0 && (left.count() <= 0 || poll(&socket, 1, static_cast<int>(left.count())) == 0))
            return false;
    }
    return true;
}

bool Socket::is_connected() const
{
    char byte;
    return recv(descriptor_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
}

void Socket::finish()
{
    ERR_clear_error();
    if (tls_ && !is_broken_ && SSL_is_init_finished(tls_.get()))
        SSL_shutdown(tls_.get());
    shutdown(descriptor_, SHUT_WR);
}

} // namespace pg_org
