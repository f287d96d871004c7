// Id tokens of an OpenID Connect issuer: whom they identify, if they are genuine.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace pg_org {

// A public key for signatures of one algorithm, as PEM.
struct PublicKey {
    std::string algorithm, pem;
};
using PublicKeys = std::map<std::string, PublicKey, std::less<>>; // by kid

// The keys of a JWKS that can sign with RS256 or ES256; others are left out. Throws std::runtime_error if it is none.
PublicKeys read_jwks(std::string_view json);

struct Identity {
    std::string subject;
    std::string verified_email; // empty: none
};

struct InvalidToken {
    std::string message;
};
// No key has the token's kid: the issuer may have a new one.
struct UnknownKey : InvalidToken {};

// Throws InvalidToken.
Identity check_id_token(const std::string &token, const PublicKeys &keys, const std::string &issuer,
                        const std::string &audience);

} // namespace pg_org
