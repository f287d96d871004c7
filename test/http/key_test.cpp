// Keys of requests: from which header they are read, and how they are refused.

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string probe = "GET /organization/list";

Reply with(const httplib::Headers &headers) { return send(probe, "", headers); }
Reply with_key(const std::string &key) { return with(bearer(key)); }

void expire(const std::string &key)
{
    query("UPDATE org.api_key SET expires = now() - interval '1 second'"
          " WHERE key_hash = encode(sha256(convert_to($1, 'UTF8')), 'hex')",
          key);
}

TEST(Key, IsReadFromEachHeader)
{
    const std::string key = person().key;
    for (const httplib::Headers &headers : std::vector<httplib::Headers>{{{"Authorization", "Bearer " + key}},
                                                                         {{"authorization", "bearer " + key}},
                                                                         {{"x-litellm-api-key", key}},
                                                                         {{"x-litellm-api-key", "Bearer " + key}},
                                                                         {{"API-Key", key}},
                                                                         {{"x-api-key", key}},
                                                                         {{"X-API-KEY", key}},
                                                                         {{"x-goog-api-key", key}}}) {
        EXPECT_EQ(with(headers).status, 200) << headers.begin()->first << ": " << headers.begin()->second;
    }
}

TEST(Key, IsTakenFromTheFirstHeaderThatIsThere)
{
    const std::string key = person().key;
    const std::vector<std::string> order{"Authorization", "x-litellm-api-key", "API-Key", "x-api-key",
                                         "x-goog-api-key"};
    for (size_t first = 0; first < order.size(); ++first) {
        for (size_t second = first + 1; second < order.size(); ++second) {
            const std::string prefix = first == 0 ? "Bearer " : "";
            EXPECT_EQ(with({{order[first], prefix + key}, {order[second], "sk-wrong"}}).status, 200)
                << order[first] << " before " << order[second];
            EXPECT_EQ(with({{order[first], prefix + "sk-wrong"}, {order[second], key}}).status, 401)
                << order[first] << " before " << order[second];
        }
    }
}

TEST(Key, IsNeeded)
{
    EXPECT_THAT(with({}), e1(401, "Authentication Error, No api key passed in."));
    EXPECT_THAT(with({{"Authorization", "Bearer "}}), e1(401, testing::_));
    EXPECT_THAT(with({{"Cookie", "token=" + admin_key()}}), e1(401, testing::_));
    EXPECT_THAT(send(probe + "?api_key=" + admin_key(), "", {}), e1(401, testing::_)) << "not from the query";
    EXPECT_THAT(
        send("POST /organization/new", R"({"organization_alias": "x", "api_key": ")" + admin_key() + R"("})", {}),
        e1(401, testing::_))
        << "not from the body";
}

TEST(Key, NeedsTheBearerPrefixInAuthorizationAndIsNotEchoed)
{
    for (const char *value : {"sk-without-a-prefix", "Basic c2stc2VjcmV0", "Token sk-without-a-prefix"}) {
        EXPECT_THAT(with({{"Authorization", value}}), e1(401, AllOf(HasSubstr("Bearer "), Not(HasSubstr(value)))))
            << value;
    }
}

TEST(Key, MustStartWithSk)
{
    for (const char *key : {"pk-something", "something", "SK-something", "s k-something"}) {
        EXPECT_THAT(with_key(key), e1(401, Not(HasSubstr(key)))) << key;
        EXPECT_THAT(with({{"x-api-key", key}}), e1(401, Not(HasSubstr(key)))) << key;
    }
}

TEST(Key, MustBeKnown)
{
    for (const char *key : {"sk-unknown", "sk-", "sk-' OR '1'='1", "sk-%", "sk-é"}) {
        EXPECT_THAT(with_key(key), e1(401, "Authentication Error, Invalid proxy server token passed.")) << key;
    }
}

TEST(Key, IsNotItsOwnDigest)
{
    const std::string key = person().key;
    const std::string digest = value("SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex')", key);
    ASSERT_EQ(value("SELECT count(*) FROM org.api_key WHERE key_hash = $1", digest), "1")
        << "stored in LiteLLM's format";
    for (const std::string &forged : {digest, "sk-" + digest}) {
        EXPECT_THAT(with_key(forged), e1(401, testing::_));
        EXPECT_THAT(with({{"x-api-key", forged}}), e1(401, testing::_));
    }
}

TEST(Key, ExpiresWithA400)
{
    const std::string key = person().key;
    expire(key);
    EXPECT_THAT(with_key(key), e1(400, StartsWith("Authentication Error - Expired Key."), "expired_key"));
}

} // namespace
} // namespace pg_org::test
