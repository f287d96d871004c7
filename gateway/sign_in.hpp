// Signing in: a request with an id token becomes a call with the gateway's own key, for whom the token identifies.
#pragma once

#include "config.hpp"
#include "database.hpp"
#include "issuer.hpp"
#include "read.hpp"

#include <optional>
#include <string>

namespace pg_org {

struct CannotSignIn {
    int status;
    std::string message;
};

class SignIn {
public:
    explicit SignIn(const Config &config);

    // Puts what the function takes in place of what the client sent. Throws CannotSignIn.
    void complete(Asked &asked);

    // Whether the database refused the gateway's own key, which is no fault of the client's, and logs it.
    static bool is_own_fault(const DatabaseError &error);

private:
    std::optional<Issuer> issuer_;
    const std::string key_, duration_;

    Identity identify(const std::string &id_token);
};

} // namespace pg_org
