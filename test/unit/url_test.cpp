// Percent-encoding and query strings.
#include "url.hpp"

#include <gtest/gtest.h>

using namespace pg_org;
using Parameters = std::vector<std::pair<std::string, std::string>>;

TEST(Url, EncodesAllButUnreservedBytes) {
    EXPECT_EQ(percent_encode("aZ0-._~"), "aZ0-._~");
    EXPECT_EQ(percent_encode("a b&c=d/ü\"\r\n"), "a%20b%26c%3Dd%2F%C3%BC%22%0D%0A");
}

TEST(Url, DecodesBytes) {
    EXPECT_EQ(percent_decode("a%2Fb%c3%BC"), "a/bü");
    EXPECT_EQ(percent_decode("%00"), std::string(1, '\0'));
    EXPECT_EQ(percent_decode("a+b"), "a+b");
    EXPECT_EQ(percent_decode("a+b%2B", true), "a b+");
}

TEST(Url, LeavesWhatIsNotEncoded) {
    for (const auto* text : {"%", "%4", "100%", "%zz", "%4z", "%-1", "%+1", "%u0041"})
        EXPECT_EQ(percent_decode(text), text);
}

TEST(Url, EncodingRoundTrips) {
    std::string every_byte;
    for (int byte = 0; byte < 256; ++byte)
        every_byte += static_cast<char>(byte);
    EXPECT_EQ(percent_decode(percent_encode(every_byte)), every_byte);
}

TEST(Url, ParsesQueries) {
    EXPECT_EQ(parse_query(""), Parameters{});
    EXPECT_EQ(parse_query("a=1&b=x+y&c=%3D"), (Parameters{{"a", "1"}, {"b", "x y"}, {"c", "="}}));
    EXPECT_EQ(parse_query("a=1=2&b&c=&&=x&a=3"), (Parameters{{"a", "1=2"}, {"b", ""}, {"c", ""}, {"a", "3"}}));
}
