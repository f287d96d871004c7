// A client's socket, in clear text or by TLS, that nobody ever waits for.
#pragma once

#include <openssl/ssl.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace pg_org {

// A certificate and its private key, ready for use.
using Certificate = std::shared_ptr<SSL_CTX>;

// From two files of PEM; throws std::runtime_error, also if they don't belong together.
Certificate read_certificate(const std::string &certificate_file, const std::string &key_file);

class Socket {
public:
    explicit Socket(int descriptor) : descriptor_{descriptor} {}
    Socket(const Socket &) = delete;
    ~Socket();

    void use_tls(const Certificate &certificate);

    // The number of bytes; 0 when that would have to wait for wanted_events(), less if it failed or there are no more.
    ssize_t receive(char *bytes, std::size_t size);
    ssize_t send(std::string_view bytes);
    // 1 when it is done, otherwise as above.
    ssize_t shake_hands();

    // What epoll is to watch for.
    std::uint32_t wanted_events() const { return wanted_; }

    // Waits, as the only one of these, until all is sent or the time is over.
    bool send_all(std::string_view bytes, std::chrono::milliseconds timeout);

    // Whether the client has not hung up.
    bool is_connected() const;

    // Tells the client that nothing more will be sent.
    void finish();
    // Then: reads what the client still sends, and forgets it; as receive().
    ssize_t discard();

    int descriptor() const { return descriptor_; }

private:
    const int descriptor_;
    std::unique_ptr<SSL, decltype(&SSL_free)> tls_{nullptr, SSL_free};
    bool is_broken_ = false; // TLS, which can't say anything more then
    std::uint32_t wanted_ = 0;

    ssize_t receive_clear(char *bytes, std::size_t size);
    ssize_t result_of(int done);
};

} // namespace pg_org
