// Id tokens: a genuine one identifies somebody, and each kind of wrong one nobody.
#include "id_token.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include <chrono>
#include <stdexcept>
#include <string>

using namespace pg_org;
using nlohmann::json;

namespace {

using Bytes = const unsigned char *;

std::string base64url(const std::string &bytes)
{
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
    text.resize(static_cast<std::size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char *>(text.data()),
                                                         reinterpret_cast<Bytes>(bytes.data()),
                                                         static_cast<int>(bytes.size()))));
    text.erase(std::min(text.find('='), text.size()));
    for (char &c : text)
        c = c == '+' ? '-' : c == '/' ? '_' : c;
    return text;
}

std::string big_endian(const BIGNUM *number, int size = 0)
{
    std::string bytes(static_cast<std::size_t>(size ? size : BN_num_bytes(number)), '\0');
    BN_bn2binpad(number, reinterpret_cast<unsigned char *>(bytes.data()), static_cast<int>(bytes.size()));
    return bytes;
}

std::string number_of(EVP_PKEY *key, const char *name, int size = 0)
{
    BIGNUM *number = nullptr;
    EVP_PKEY_get_bn_param(key, name, &number);
    const auto text = base64url(big_endian(number, size));
    BN_free(number);
    return text;
}

// Each is made once, since that takes a while, and lives as long as the test.
EVP_PKEY *rsa()
{
    static EVP_PKEY *key = EVP_RSA_gen(2048);
    return key;
}
EVP_PKEY *other_rsa()
{
    static EVP_PKEY *key = EVP_RSA_gen(2048);
    return key;
}
EVP_PKEY *p256()
{
    static EVP_PKEY *key = EVP_EC_gen("P-256");
    return key;
}

json rsa_jwk(EVP_PKEY *key, const std::string &kid)
{
    return {{"kty", "RSA"},
            {"kid", kid},
            {"use", "sig"},
            {"alg", "RS256"},
            {"n", number_of(key, OSSL_PKEY_PARAM_RSA_N)},
            {"e", number_of(key, OSSL_PKEY_PARAM_RSA_E)}};
}

json p256_jwk()
{
    return {{"kty", "EC"},
            {"crv", "P-256"},
            {"kid", "ec"},
            {"x", number_of(p256(), OSSL_PKEY_PARAM_EC_PUB_X, 32)},
            {"y", number_of(p256(), OSSL_PKEY_PARAM_EC_PUB_Y, 32)}};
}

const PublicKeys &keys()
{
    static const auto keys = read_jwks(json{{"keys", {rsa_jwk(rsa(), "rsa"), p256_jwk()}}}.dump());
    return keys;
}

std::string signature(EVP_PKEY *key, const std::string &text)
{
    std::string bytes(512, '\0');
    auto size = bytes.size();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key);
    EVP_DigestSign(context, reinterpret_cast<unsigned char *>(bytes.data()), &size,
                   reinterpret_cast<Bytes>(text.data()), text.size());
    EVP_MD_CTX_free(context);
    bytes.resize(size);
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC)
        return bytes;
    auto begin = reinterpret_cast<Bytes>(bytes.data());
    ECDSA_SIG *pair = d2i_ECDSA_SIG(nullptr, &begin, static_cast<long>(size));
    const auto raw = big_endian(ECDSA_SIG_get0_r(pair), 32) + big_endian(ECDSA_SIG_get0_s(pair), 32);
    ECDSA_SIG_free(pair);
    return raw;
}

std::int64_t now()
{
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

json good_claims()
{
    return {{"iss", "https://issuer"}, {"aud", "pg_org"}, {"sub", "ada"}, {"exp", now() + 600}, {"iat", now()}};
}

json header_of(EVP_PKEY *key)
{
    const bool is_rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    return {{"alg", is_rsa ? "RS256" : "ES256"}, {"kid", is_rsa ? "rsa" : "ec"}, {"typ", "JWT"}};
}

std::string unsigned_token(const json &header, const json &claims)
{
    return base64url(header.dump()) + '.' + base64url(claims.dump());
}

std::string token(const json &claims, EVP_PKEY *key = rsa(), json header = nullptr)
{
    if (header.is_null())
        header = header_of(key);
    const auto text = unsigned_token(header, claims);
    return text + '.' + base64url(signature(key, text));
}

json with(json object, const std::string &name, const json &value)
{
    if (value.is_null())
        object.erase(name);
    else
        object[name] = value;
    return object;
}

Identity check(const std::string &token) { return check_id_token(token, keys(), "https://issuer", "pg_org"); }

// Why the token is refused; empty if it is not.
std::string refusal(const std::string &token)
{
    try {
        check(token);
        return {};
    } catch (const InvalidToken &error) {
        return error.message;
    }
}

std::string refusal_with(const std::string &claim, const json &value)
{
    return refusal(token(with(good_claims(), claim, value)));
}

} // namespace

TEST(IdToken, IdentifiesItsSubject)
{
    EXPECT_EQ(check(token(good_claims())).subject, "ada");
    EXPECT_EQ(check(token(good_claims(), p256())).subject, "ada");
    EXPECT_EQ(check(token(good_claims(), rsa(), {{"alg", "RS256"}, {"kid", "rsa"}})).subject, "ada");
}

TEST(IdToken, HasAnAddressOnlyIfTheIssuerVerifiedIt)
{
    const auto claims = with(good_claims(), "email", "ada@example.com");
    EXPECT_EQ(check(token(claims)).verified_email, "");
    EXPECT_EQ(check(token(with(claims, "email_verified", false))).verified_email, "");
    EXPECT_EQ(check(token(with(claims, "email_verified", "true"))).verified_email, "");
    EXPECT_EQ(check(token(with(claims, "email_verified", true))).verified_email, "ada@example.com");
}

TEST(IdToken, IsForOneAudience)
{
    EXPECT_EQ(refusal_with("aud", json::array({"pg_org"})), "");
    EXPECT_NE(refusal_with("aud", "another"), "");
    EXPECT_NE(refusal_with("aud", nullptr), "");
    EXPECT_NE(refusal_with("aud", 5), "");
    EXPECT_NE(refusal_with("aud", json::array()), "");
    EXPECT_NE(refusal_with("aud", json::array({"another", "pg_org"})), "");
    const auto both = with(good_claims(), "aud", json::array({"another", "pg_org"}));
    EXPECT_EQ(refusal(token(with(both, "azp", "pg_org"))), "");
    EXPECT_NE(refusal(token(with(both, "azp", "another"))), "");
}

TEST(IdToken, IsFromOneIssuer)
{
    EXPECT_NE(refusal_with("iss", "https://issuer/"), "");
    EXPECT_NE(refusal_with("iss", nullptr), "");
    EXPECT_NE(refusal_with("iss", json::array({"https://issuer"})), "");
}

TEST(IdToken, HasATime)
{
    EXPECT_NE(refusal_with("exp", now() - 600), "");
    EXPECT_NE(refusal_with("exp", nullptr), "");
    EXPECT_NE(refusal_with("exp", "2999-01-01"), "");
    EXPECT_NE(refusal_with("exp", -1), "");
    EXPECT_EQ(refusal_with("nbf", now() - 600), "");
    EXPECT_NE(refusal_with("nbf", now() + 600), "");
    EXPECT_NE(refusal_with("nbf", "now"), "");
}

TEST(IdToken, HasASubject)
{
    EXPECT_NE(refusal_with("sub", nullptr), "");
    EXPECT_NE(refusal_with("sub", ""), "");
    EXPECT_NE(refusal_with("sub", 5), "");
}

TEST(IdToken, IsSignedByAKnownKeyWithItsAlgorithm)
{
    EXPECT_NE(refusal(token(good_claims(), other_rsa())), "");
    EXPECT_THROW(check(token(good_claims(), rsa(), {{"alg", "RS256"}, {"kid", "new"}})), UnknownKey);
    EXPECT_THROW(check(token(good_claims(), rsa(), {{"alg", "RS256"}})), UnknownKey);
    EXPECT_NE(refusal(token(good_claims(), rsa(), {{"alg", "RS256"}, {"kid", "ec"}})), "");
    EXPECT_NE(refusal(token(good_claims(), rsa(), {{"alg", "RS512"}, {"kid", "rsa"}})), "");
    EXPECT_NE(refusal(token(good_claims(), rsa(), {{"alg", "PS256"}, {"kid", "rsa"}})), "");
    EXPECT_NE(refusal(token(good_claims(), rsa(), {{"alg", "RS256"}, {"kid", "rsa"}, {"crit", {"b64"}}})), "");
    auto changed = token(good_claims());
    changed[changed.find('.') + 5] ^= 1;
    EXPECT_NE(refusal(changed), "");
}

TEST(IdToken, IsNeverUnsignedNorSignedWithThePublicKeyAsASecret)
{
    for (const auto *none : {"none", "None", "NONE", ""}) {
        const auto text = unsigned_token({{"alg", none}, {"kid", "rsa"}}, good_claims());
        EXPECT_NE(refusal(text + '.'), "");
        EXPECT_NE(refusal(text), "");
    }
    const auto text = unsigned_token({{"alg", "HS256"}, {"kid", "rsa"}, {"typ", "JWT"}}, good_claims());
    const auto &pem = keys().at("rsa").pem;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    HMAC(EVP_sha256(), pem.data(), static_cast<int>(pem.size()), reinterpret_cast<Bytes>(text.data()), text.size(),
         digest, &size);
    EXPECT_NE(refusal(text + '.' + base64url({reinterpret_cast<char *>(digest), size})), "");
}

TEST(IdToken, IsNeverGarbage)
{
    const auto good = token(good_claims());
    for (const std::string &text :
         {std::string{}, std::string{"."}, std::string{".."}, std::string{"..."}, std::string{"a.b.c"},
          std::string{"sk-1234"}, good + ".", good + ".a", good.substr(0, good.rfind('.')),
          good.substr(0, good.rfind('.') + 1), good + '\0', good + "=", " " + good,
          base64url("[]") + '.' + base64url("[]") + ".c2ln", base64url("{}") + '.' + base64url("{}") + ".c2ln",
          base64url(R"({"alg":5,"kid":[]})") + ".e30.c2ln", std::string(1 << 20, 'a'), std::string(1 << 20, '.')})
        EXPECT_NE(refusal(text), "") << text.substr(0, 100);
    EXPECT_EQ(refusal(token(with(good_claims(), "padding", std::string(16 << 10, 'a')))), "The id token is too long");
    EXPECT_NE(refusal(token(json(5))), "");
}

TEST(Jwks, KeepsOnlyKeysThatSign)
{
    const auto rsa_key = rsa_jwk(rsa(), "a");
    const json keys{with(rsa_key, "kid", "a"),
                    with(with(rsa_key, "kid", "b"), "use", "enc"),
                    with(with(rsa_key, "kid", "c"), "alg", "RS512"),
                    with(with(rsa_key, "kid", "d"), "n", "AQAB"),
                    with(with(rsa_key, "kid", "e"), "n", "!"),
                    with(with(p256_jwk(), "kid", "f"), "x", "AQAB"),
                    with(with(p256_jwk(), "kid", "g"), "crv", "P-384"),
                    {{"kty", "oct"}, {"kid", "h"}, {"k", "AQAB"}},
                    5};
    const auto read = read_jwks(json{{"keys", keys}}.dump());
    ASSERT_EQ(read.size(), 1U);
    EXPECT_EQ(read.begin()->first, "a");
    EXPECT_EQ(read.begin()->second.algorithm, "RS256");
}

TEST(Jwks, IsAnObjectWithKeys)
{
    for (const auto *text : {"", "[]", "{}", R"({"keys":5})", R"({"keys":[]})", R"({"keys":[{}]})", "{"})
        EXPECT_THROW(read_jwks(text), std::runtime_error) << text;
}
