// The OpenID Connect issuer whose id tokens are accepted, and its public keys.
#pragma once

#include "config.hpp"
#include "failure.hpp"
#include "id_token.hpp"

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

namespace pg_org {

// The keys could not be read yet.
struct NoKeys {};

class Issuer {
public:
    explicit Issuer(const Config &config);

    // Whom the token identifies. Throws InvalidToken or NoKeys.
    Identity identify(const std::string &id_token);

private:
    using Clock = std::chrono::steady_clock;

    const std::string name_, audience_, source_;
    LastFailure failure_;
    std::mutex reading_; // by one thread, while the others use the keys that there are
    std::mutex mutex_;
    std::shared_ptr<const PublicKeys> keys_; // null: none yet
    Clock::time_point read_at_{};

    std::shared_ptr<const PublicKeys> keys(Clock::duration max_age);
    void read();
};

} // namespace pg_org
