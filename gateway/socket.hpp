// A client's non-blocking socket, in clear text or with TLS.
#pragma once

#include <openssl/ssl.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>

namespace pg_org {

// A certificate and its private key, ready for use.
using Certificate = std::shared_ptr<SSL_CTX>;

// Reads two PEM files; throws std::runtime_error, also if key and certificate don't match.
Certificate read_certificate(const std::string &certificate_file, const std::string &key_file);

// When it ends.
std::time_t expiry_of(const Certificate &certificate);

class Socket {
public:
    explicit Socket(int descriptor) : descriptor_{descriptor} {}
    Socket(const Socket &) = delete;
    ~Socket();

    void use_tls(const Certificate &certificate);

    // Return the number of bytes; 0 if the socket must first have wanted_events(); negative on failure or at the end.
    ssize_t receive(char *bytes, std::size_t size);
    ssize_t send(std::string_view bytes);
    // Returns 1 when done, otherwise as above.
    ssize_t shake_hands();

    // The events for epoll to watch.
    std::uint32_t wanted_events() const { return wanted_; }

    // Blocks, unlike the others, until all is sent or the timeout is over.
    bool send_all(std::string_view bytes, std::chrono::milliseconds timeout);

    // False when the client has hung up.
    bool is_connected() const;

    // Tells the client that nothing more will be sent.
    void finish();
    // After finish(): reads and drops what the client still sends; returns as receive() does.
    ssize_t discard();

    int descriptor() const { return descriptor_; }

private:
    const int descriptor_;
    std::unique_ptr<SSL, decltype(&SSL_free)> tls_{nullptr, SSL_free};
    bool is_broken_ = false; // TLS has failed, and can send nothing more
    std::uint32_t wanted_ = 0;

    ssize_t receive_clear(char *bytes, std::size_t size);
    ssize_t result_of(int done);
};

} // namespace pg_org
