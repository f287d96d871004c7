// The signature, as receivers compute it.
#include "webhook.hpp"

#include <gtest/gtest.h>

using namespace pg_org;

TEST(Signature, IsTheHmacOfTimestampAndBody)
{
    EXPECT_EQ(signature("whsec", "1700000000", R"({"event_id":1})"),
              "v1=3121594a548592d378c8f143e26b171f26db2d11d0a58793cc88f2a9a9488e05");
}

TEST(Signature, DependsOnAllOfIt)
{
    const auto whole = signature("secret", "1", "2");
    EXPECT_EQ(whole, signature("secret", "1", "2"));
    EXPECT_NE(whole, signature("Secret", "1", "2"));
    EXPECT_NE(whole, signature("secret", "2", "2"));
    EXPECT_NE(whole, signature("secret", "1", ""));
}
