// The key, by header.
#include "credentials.hpp"

#include <gtest/gtest.h>

#include <map>

using namespace pg_org;

namespace {

Credentials read(const std::map<std::string, std::string> &headers)
{
    return read_credentials([&](const std::string &name) {
        const auto header = headers.find(name);
        return header == headers.end() ? "" : header->second;
    });
}

} // namespace

TEST(Credentials, AreReadFromEachHeader)
{
    EXPECT_EQ(read({{"authorization", "Bearer sk-1"}}).api_key, "sk-1");
    EXPECT_EQ(read({{"authorization", "bearer sk-1"}}).api_key, "sk-1");
    EXPECT_EQ(read({{"authorization", "Bearer   sk-1"}}).api_key, "sk-1");
    EXPECT_EQ(read({{"x-litellm-api-key", "sk-1"}}).api_key, "sk-1");
    EXPECT_EQ(read({{"x-litellm-api-key", "Bearer sk-1"}}).api_key, "sk-1");
    EXPECT_EQ(read({{"api-key", "sk-1"}}).api_key, "sk-1");
    EXPECT_EQ(read({{"x-api-key", "sk-1"}}).api_key, "sk-1");
    EXPECT_EQ(read({{"x-goog-api-key", "sk-1"}}).api_key, "sk-1");
    EXPECT_EQ(read({{"x-goog-api-key", "Bearer sk-1"}}).api_key, "Bearer sk-1");
}

TEST(Credentials, HavePrecedence)
{
    std::map<std::string, std::string> headers{{"authorization", "Bearer 1"},
                                               {"x-litellm-api-key", "2"},
                                               {"api-key", "3"},
                                               {"x-api-key", "4"},
                                               {"x-goog-api-key", "5"}};
    EXPECT_EQ(read(headers).api_key, "1");
    headers.erase("authorization");
    EXPECT_EQ(read(headers).api_key, "2");
    headers.erase("x-litellm-api-key");
    EXPECT_EQ(read(headers).api_key, "3");
    headers.erase("api-key");
    EXPECT_EQ(read(headers).api_key, "4");
}

TEST(Credentials, MayBeAbsent)
{
    EXPECT_EQ(read({}).api_key, "");
    EXPECT_EQ(read({}).refusal, "");
}

TEST(Credentials, NeedTheBearerPrefixAndAreNotEchoed)
{
    for (const auto *value : {"sk-secret", "Basic c2s=", "Bearer", "Bearersk-secret"}) {
        const auto credentials = read({{"authorization", value}, {"x-api-key", "sk-other"}});
        EXPECT_EQ(credentials.api_key, "");
        EXPECT_NE(credentials.refusal.find("`Bearer `"), std::string::npos);
        EXPECT_EQ(credentials.refusal.find("sk-secret"), std::string::npos);
    }
}

TEST(Credentials, ThatNoTextCanHoldAreRefused)
{
    for (const auto &key : {std::string("Bearer sk-1\0x", 13), std::string("Bearer sk-\xff")}) {
        EXPECT_EQ(read({{"authorization", key}}).api_key, "");
        EXPECT_EQ(read({{"authorization", key}}).refusal, "Authentication Error, Invalid proxy server token passed.");
    }
}
