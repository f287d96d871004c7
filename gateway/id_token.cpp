#include "id_token.hpp"

#include <jwt/jwt.hpp>
#include <nlohmann/json.hpp>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace pg_org {
namespace {

using nlohmann::json;

constexpr std::size_t max_token_bytes = 16 << 10;
constexpr std::uint32_t max_clock_difference = 30; // seconds
constexpr int min_rsa_bits = 2048;
constexpr std::size_t p256_bytes = 32;

template <auto free> struct Free {
    template <typename T> void operator()(T *pointer) const { free(pointer); }
};
template <typename T, auto free> using Owned = std::unique_ptr<T, Free<free>>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;

std::optional<std::string> from_base64url(std::string text)
{
    constexpr auto alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if (text.find_first_not_of(alphabet) != text.npos)
        return std::nullopt;
    std::replace(text.begin(), text.end(), '-', '+');
    std::replace(text.begin(), text.end(), '_', '/');
    const std::size_t padding = (4 - text.size() % 4) % 4;
    if (text.empty() || padding == 3)
        return std::nullopt;
    text.append(padding, '=');
    std::string bytes(text.size() / 4 * 3, '\0');
    if (EVP_DecodeBlock(reinterpret_cast<unsigned char *>(bytes.data()),
                        reinterpret_cast<const unsigned char *>(text.data()), static_cast<int>(text.size())) < 0)
        return std::nullopt;
    bytes.resize(bytes.size() - padding);
    return bytes;
}

// A member that is a text; empty if there is none.
std::string text_of(const json &object, const char *name)
{
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

Key make_key(const char *type, OSSL_PARAM_BLD *builder)
{
    const Owned<OSSL_PARAM, OSSL_PARAM_free> parameters{OSSL_PARAM_BLD_to_param(builder)};
    const Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context{EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr)};
    EVP_PKEY *key = nullptr;
    if (parameters && context && EVP_PKEY_fromdata_init(context.get()) == 1)
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get());
    return Key{key};
}

Key rsa_key(const std::string &modulus, const std::string &exponent)
{
    const auto number = [](const std::string &bytes) {
        return Owned<BIGNUM, BN_free>{
            BN_bin2bn(reinterpret_cast<const unsigned char *>(bytes.data()), static_cast<int>(bytes.size()), nullptr)};
    };
    const auto n = number(modulus), e = number(exponent);
    const Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> builder{OSSL_PARAM_BLD_new()};
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
    auto key = make_key("RSA", builder.get());
    return key && EVP_PKEY_get_bits(key.get()) >= min_rsa_bits ? std::move(key) : Key{};
}

Key p256_key(const std::string &x, const std::string &y)
{
    if (x.size() != p256_bytes || y.size() != p256_bytes)
        return {};
    const auto point = '\4' + x + y; // uncompressed
    const Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> builder{OSSL_PARAM_BLD_new()};
    OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
    OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
    return make_key("EC", builder.get());
}

std::string pem_of(const Key &key)
{
    const Owned<BIO, BIO_free_all> memory{BIO_new(BIO_s_mem())};
    char *text = nullptr;
    PEM_write_bio_PUBKEY(memory.get(), key.get());
    const auto size = BIO_get_mem_data(memory.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

// Nothing for a key that is malformed or for something else.
std::optional<PublicKey> read_jwk(const json &jwk)
{
    const auto type = text_of(jwk, "kty"), use = text_of(jwk, "use"), algorithm = text_of(jwk, "alg");
    const auto bytes = [&](const char *name) { return from_base64url(text_of(jwk, name)).value_or(std::string{}); };
    const bool is_rsa = type == "RSA", is_p256 = type == "EC" && text_of(jwk, "crv") == "P-256";
    const std::string expected = is_rsa ? "RS256" : "ES256";
    if (!(is_rsa || is_p256) || !(use.empty() || use == "sig") || !(algorithm.empty() || algorithm == expected))
        return std::nullopt;
    const auto key = is_rsa ? rsa_key(bytes("n"), bytes("e")) : p256_key(bytes("x"), bytes("y"));
    return key ? std::optional{PublicKey{expected, pem_of(key)}} : std::nullopt;
}

// The part of the token that is a JSON object.
json read_part(std::string_view part)
{
    const auto text = from_base64url(std::string{part});
    auto object = text ? json::parse(*text, nullptr, false) : json{};
    if (!object.is_object())
        throw InvalidToken{"The id token is malformed"};
    return object;
}

// The issuer may name several audiences; then the token is for the one that asked for it.
bool is_for(const json &claims, const std::string &audience)
{
    const auto named = claims.find("aud");
    if (named == claims.end())
        return false;
    const bool is_among = named->is_array() && std::find(named->begin(), named->end(), audience) != named->end();
    if (claims.contains("azp") && text_of(claims, "azp") != audience)
        return false;
    return is_among ? named->size() == 1 || claims.contains("azp") : *named == audience;
}

// Throws InvalidToken unless the key has signed the token, the issuer has made it, and it is valid now.
void verify(const std::string &token, const PublicKey &key, const std::string &issuer)
{
    using namespace jwt::params;
    std::error_code error;
    try {
        jwt::decode(token, algorithms({key.algorithm}), error, secret(key.pem), jwt::params::issuer(issuer),
                    leeway(max_clock_difference));
    } catch (const std::exception &exception) {
        throw InvalidToken{std::string{"The id token is not valid: "} + exception.what()};
    }
    if (error)
        throw InvalidToken{"The id token is not valid: " + error.message()};
}

} // namespace

PublicKeys read_jwks(std::string_view text)
{
    const auto jwks = json::parse(text, nullptr, false);
    const auto listed = jwks.is_object() ? jwks.find("keys") : jwks.end();
    if (!jwks.is_object() || listed == jwks.end() || !listed->is_array())
        throw std::runtime_error{"this is no JWKS, an object with an array keys"};
    PublicKeys keys;
    for (const auto &jwk : *listed)
        if (auto key = jwk.is_object() ? read_jwk(jwk) : std::nullopt)
            keys.insert_or_assign(text_of(jwk, "kid"), std::move(*key));
    if (keys.empty())
        throw std::runtime_error{"the JWKS has no key for RS256 (2048 bits or more) or ES256"};
    return keys;
}

Identity check_id_token(const std::string &token, const PublicKeys &keys, const std::string &issuer,
                        const std::string &audience)
{
    if (token.size() > max_token_bytes)
        throw InvalidToken{"The id token is too long"};
    const auto first = token.find('.'), second = first == token.npos ? first : token.find('.', first + 1);
    if (second == token.npos || token.find('.', second + 1) != token.npos)
        throw InvalidToken{"The id token is malformed"};
    const auto header = read_part(std::string_view{token}.substr(0, first));
    const auto claims = read_part(std::string_view{token}.substr(first + 1, second - first - 1));
    if (!from_base64url(token.substr(second + 1))) // the library is not as strict
        throw InvalidToken{"The id token is malformed"};
    // The key decides the algorithm, never the token.
    const auto key = keys.find(text_of(header, "kid"));
    if (key == keys.end())
        throw UnknownKey{{"The id token is signed with an unknown key"}};
    if (text_of(header, "alg") != key->second.algorithm || header.contains("crit"))
        throw InvalidToken{"The id token must be signed with " + key->second.algorithm};
    verify(token, key->second, issuer);
    if (!claims.contains("exp"))
        throw InvalidToken{"The id token never expires"};
    if (!is_for(claims, audience))
        throw InvalidToken{"The id token is for another audience"};
    const auto subject = text_of(claims, "sub");
    if (subject.empty())
        throw InvalidToken{"The id token has no sub"};
    const bool is_verified = claims.value("email_verified", json{}) == true;
    return {subject, is_verified ? text_of(claims, "email") : std::string{}};
}

} // namespace pg_org
