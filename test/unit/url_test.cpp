// Percent-encoding and query strings.
#include "url.hpp"

#include <gtest/gtest.h>

using namespace pg_org;
using Parameters = std::vector<std::pair<std::string, std::string>>;

TEST(Url, WritesBytesInHexadecimal)
{
    constexpr unsigned char bytes[]{0, 9, 0xAB, 0xFF};
    EXPECT_EQ(hexadecimal(bytes), "0009abff");
    EXPECT_EQ(hexadecimal(bytes, "0123456789ABCDEF"), "0009ABFF");
    EXPECT_EQ(hexadecimal({}), "");
}

TEST(Url, EncodesAllButUnreservedBytes)
{
    EXPECT_EQ(percent_encode("aZ0-._~"), "aZ0-._~");
    EXPECT_EQ(percent_encode("a b&c=d/ü\"\r\n"), "a%20b%26c%3Dd%2F%C3%BC%22%0D%0A");
}

TEST(Url, DecodesBytes)
{
    EXPECT_EQ(percent_decode("a%2Fb%c3%BC"), "a/bü");
    EXPECT_EQ(percent_decode("%00"), std::string(1, '\0'));
    EXPECT_EQ(percent_decode("a+b"), "a+b");
    EXPECT_EQ(percent_decode("a+b%2B", true), "a b+");
}

TEST(Url, LeavesWhatIsNotEncoded)
{
    for (const auto *text : {"%", "%4", "100%", "%zz", "%4z", "%-1", "%+1", "%u0041"})
        EXPECT_EQ(percent_decode(text), text);
}

TEST(Url, EncodingRoundTrips)
{
    std::string every_byte;
    for (int byte = 0; byte < 256; ++byte)
        every_byte += static_cast<char>(byte);
    EXPECT_EQ(percent_decode(percent_encode(every_byte)), every_byte);
}

TEST(Url, ParsesQueries)
{
    EXPECT_EQ(parse_query(""), Parameters{});
    EXPECT_EQ(parse_query("a=1&b=x+y&c=%3D"), (Parameters{{"a", "1"}, {"b", "x y"}, {"c", "="}}));
    EXPECT_EQ(parse_query("a=1=2&b&c=&&=x&a=3"), (Parameters{{"a", "1=2"}, {"b", ""}, {"c", ""}, {"a", "3"}}));
}

TEST(HttpUrl, IsTakenApart)
{
    const std::vector<std::vector<const char *>> expected{
        {"http://localhost", "http://localhost", "/"},
        {"http://localhost:8080/hook", "http://localhost:8080", "/hook"},
        {"https://example.com/a/b?c=d#e", "https://example.com", "/a/b?c=d"},
        {"https://example.com?c=d@e", "https://example.com", "/?c=d@e"},
        {"https://example.com#e", "https://example.com", "/"},
        {"http://[::1]:8080/", "http://[::1]:8080", "/"}};
    for (const auto &parts : expected) {
        const auto url = parse_http_url(parts[0]);
        ASSERT_TRUE(url) << parts[0];
        EXPECT_EQ(url->origin, parts[1]);
        EXPECT_EQ(url->path, parts[2]);
    }
}

TEST(HttpUrl, IsNothingElse)
{
    for (const auto *url : {"", "localhost", "/hook", "ftp://localhost/", "http://", "http:///hook", "http://?a",
                            "https://me:secret@host/", "http://host/a b", "http://host/a\r\nX: y", "http://h\xC3\xA9/"})
        EXPECT_FALSE(parse_http_url(url)) << url;
}
