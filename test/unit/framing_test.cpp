// Where requests begin and end, in however many pieces they arrive.
#include "framing.hpp"

#include <gtest/gtest.h>

using namespace pg_org;

namespace {

constexpr std::size_t max_head = 200, max_body = 40;
const std::string get = "GET /a?b=c HTTP/1.1\r\nHost: h\r\n", post = "POST /a HTTP/1.1\r\nHost: h\r\n";
const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
const auto malformed = "400 The request is malformed", unclear = "400 The length of the body is unclear";
const auto too_long = "413 The body is larger than 40 bytes";
const auto head_too_long = "431 The headers are larger than 200 bytes";
const auto framing_too_long = "413 Chunk framing and trailers are larger than 200 bytes";

Arrival arrived(std::string_view text)
{
    Arrival arrival{max_head, max_body};
    arrival.take(text);
    return arrival;
}

// A request, and what is left after it; or its fault; or that it goes on.
std::string read_in(std::size_t first, std::size_t size, std::string_view text)
{
    Arrival arrival{max_head, max_body};
    for (auto piece = text.substr(0, first); !piece.empty(); piece = text.substr(0, size)) {
        text.remove_prefix(piece.size());
        auto rest = piece;
        arrival.take(rest);
        EXPECT_LE(arrival.size(), max_head + max_body);
        EXPECT_LE(arrival.body().size(), max_body);
        if (const auto &fault = arrival.fault(); fault.status != 0)
            return std::to_string(fault.status) + ' ' + fault.message;
        if (!arrival.is_whole()) {
            EXPECT_EQ(rest, "");
            continue;
        }
        std::string read;
        for (const auto part : {arrival.method(), arrival.target(), arrival.field("host"), arrival.field("X-Note")})
            read.append(part).append(" ");
        return read.append("(").append(arrival.body()).append(") ").append(rest).append(text);
    }
    return "more";
}

// At once, which must be the same as cut in two anywhere, and as one byte after the other.
std::string read(std::string_view text)
{
    const auto whole = read_in(text.size(), text.size(), text);
    for (std::size_t cut = 1; cut < text.size(); ++cut)
        if (const auto pieces = read_in(cut, text.size(), text); pieces != whole)
            return whole + ", but cut after " + std::to_string(cut) + " bytes " + pieces;
    EXPECT_EQ(read_in(1, 1, text), whole);
    return whole;
}

std::string with_field(const std::string &line) { return get + line + "\r\n\r\n"; }

} // namespace

TEST(Framing, ReadsARequestAndLeavesTheRest)
{
    EXPECT_EQ(read(get + "x-note: \tn o\xe9 \r\n\r\nGET"), "GET /a?b=c h n o\xe9 () GET");
    const std::string bytes("\0b\r\n\r\n\xff", 7);
    EXPECT_EQ(read(post + "Content-Length: 7\r\n\r\n" + bytes + "rest"), "POST /a h  (" + bytes + ") rest");
    EXPECT_EQ(read(post + "content-length:0000000000000000001\r\n\r\nab"), "POST /a h  (a) b");
    EXPECT_EQ(read(post + "Content-Length: 0\r\n\r\nx"), "POST /a h  () x");
    EXPECT_EQ(read(post + "Content-Length: 3\r\n\r\nab"), "more");
    EXPECT_EQ(read(get), "more");
    EXPECT_EQ(read("\r\n" + get + "\r\n"), "GET /a?b=c h  () ");
}

TEST(Framing, PutsChunksTogetherAndDropsTrailers)
{
    EXPECT_EQ(read(chunked + "2\r\nab\r\n00A;x=\"1; 2\"\r\n\r\n345678\r\n\r\n0 \t;last\r\n\r\nrest"),
              "POST /a h  (ab\r\n345678\r\n) rest");
    EXPECT_EQ(read(chunked + "0\r\nHost: other\r\nX-Note: trailing\r\n\r\n0"), "POST /a h  () 0");
    EXPECT_EQ(read(chunked + "1\r\na\r\n0\r\nX: 1\r\n"), "more");
}

TEST(Framing, RefusesHeadsThatAreNone)
{
    for (const auto *line : {"GET", "GET /", "GET /  HTTP/1.1", " GET / HTTP/1.1", "G(T / HTTP/1.1",
                             "GET /a b HTTP/1.1", "GET /\t HTTP/1.1", "GET /\x7f HTTP/1.1", "GET /\r HTTP/1.1",
                             "GET / HTTP/1.2", "GET / http/1.1", "\r\n\r\nGET / HTTP/1.1", "\x16\x03\x01"})
        EXPECT_EQ(read(line + std::string{"\r\nHost: h\r\n\r\n"}), malformed) << line;
    for (const auto *line : {"no colon", ": no name", "X : a", "X Y: a", " folded: a", "X: a\r\n folded", "X: a\rb",
                             "X: a\nY: b", "\nX: a", "X: \x01", "X: \x7f", "X\xe9: a"})
        EXPECT_EQ(read(with_field(line)), malformed) << line;
    EXPECT_EQ(read(with_field(std::string{"X: a\0b", 6})), malformed);
}

TEST(Framing, NeedsExactlyOneHost)
{
    constexpr auto hosts = "400 A request needs exactly one Host header";
    EXPECT_EQ(read("GET / HTTP/1.1\r\n\r\n"), hosts);
    EXPECT_EQ(read(with_field("HOST: h")), hosts);
    EXPECT_EQ(read("GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n"), hosts);
    EXPECT_EQ(read("GET / HTTP/1.0\r\n\r\n"), "GET /   () ");
}

TEST(Framing, RefusesUnclearLengths)
{
    for (const auto *line :
         {"Content-Length:", "Content-Length: +2", "Content-Length: -2", "Content-Length: 2, 2",
          "Content-Length: 2\r\nContent-Length: 2", "Content-Length: 0x2", "Content-Length: 1 0",
          "Content-Length: 00000000000000000002", "Content-Length: 18446744073709551617",
          "Content-Length: 2\r\nTransfer-Encoding: chunked", "Transfer-Encoding:", "Transfer-Encoding: gzip, chunked",
          "Transfer-Encoding: chunked;q=1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"})
        EXPECT_EQ(read(with_field(line)), unclear) << line;
    EXPECT_EQ(read("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), unclear);
    for (const auto *text : {"\r\n", "x\r\n", "-1\r\n", " 1\r\n", "0x1\r\n", ";a\r\n", "1,\r\n", "1 1\r\n", "1 x;a\r\n",
                             "00000000000000001\r\n", "1\r\nab", "1\r\na0\r\n\r\n", "1\r\na\rb", "1\r\na\n"})
        EXPECT_EQ(read(chunked + text), unclear) << text;
    for (const auto *text : {"1\na", "1;\x01\r\n", "1\r1\r\n", "0\r\nX: \x7f\r\n", "0\r\nX: a\n", "0\r\n\n"})
        EXPECT_EQ(read(chunked + text), malformed) << text;
}

TEST(Framing, BoundsTheBody)
{
    const std::string full(max_body, 'b');
    EXPECT_EQ(read(post + "Content-Length: 40\r\n\r\n" + full), "POST /a h  (" + full + ") ");
    EXPECT_EQ(read(chunked + "20\r\n" + full.substr(0, 32) + "\r\n8\r\n" + full.substr(32) + "\r\n0\r\n\r\n"),
              "POST /a h  (" + full + ") ");
    for (const auto *length : {"41", "9223372036854775808", "9999999999999999999"})
        EXPECT_EQ(read(post + "Content-Length: " + length + "\r\n\r\n"), too_long);
    for (const auto *size : {"29", "FFFFFFFFFFFFFFFF", "1\r\na\r\n28", "1\r\na\r\nffffffffffffffff"})
        EXPECT_EQ(read(chunked + size + "\r\n" + full), too_long);
}

TEST(Framing, BoundsTheHead)
{
    const auto head_of = [](std::size_t size) {
        const std::string start = get + "X: ";
        return start + std::string(size - start.size() - 4, 'x') + "\r\n\r\n";
    };
    EXPECT_EQ(read(head_of(max_head)), "GET /a?b=c h  () ");
    EXPECT_EQ(read(head_of(max_head + 1)), head_too_long);
    EXPECT_EQ(read(head_of(max_head).substr(0, max_head - 1)), "more");
    EXPECT_EQ(read(get + std::string(1000, 'x')), head_too_long);
    EXPECT_EQ(read("GET /" + std::string(1000, 'x')), "414 The URI is too long");
}

TEST(Framing, BoundsWhatIsNotTheBody)
{
    const std::string endless(1000, '0');
    std::string small_chunks;
    for (std::size_t i = 0; i < max_body; ++i)
        small_chunks += "01\r\na\r\n";
    for (const auto &text : {endless, "1;" + endless, "0\r\n" + endless, "0\r\nX: " + endless, small_chunks})
        EXPECT_EQ(read(chunked + text), framing_too_long) << text;
    EXPECT_EQ(read(chunked + "1\r\na" + endless), unclear);
    EXPECT_EQ(read(chunked + "1;" + std::string(max_head - 4, 'x') + "\r\na\rX"), framing_too_long);
    EXPECT_EQ(read(chunked + "0;" + std::string(max_head - 6, 'x') + "\r\n\r\n"), "POST /a h  () ");
    EXPECT_EQ(read(chunked + "0;" + std::string(max_head - 5, 'x') + "\r\n\r\n"), framing_too_long);
}

TEST(Framing, FindsAFieldsFirstValueByItsNameInAnyCase)
{
    const auto arrival = arrived(with_field("X-One: 1\r\nx-one: 2\r\nEmpty:"));
    EXPECT_EQ(arrival.field("x-ONE"), "1");
    EXPECT_EQ(arrival.field("empty"), "");
    EXPECT_EQ(arrival.field("x-on"), "");
}

TEST(Framing, KeepsConnectionsAliveUnlessToldOtherwise)
{
    for (const auto *line : {"X: close", "Connection: keep-alive", "Connection: closed", "Connection: "})
        EXPECT_TRUE(arrived(with_field(line)).keeps_alive()) << line;
    for (const auto *line : {"Connection: close", "connection: CLOSE", "Connection: te, close ,x",
                             "Connection: keep-alive\r\nConnection: close"})
        EXPECT_FALSE(arrived(with_field(line)).keeps_alive()) << line;
    const auto old = arrived("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_TRUE(old.is_whole() && old.is_http_1_0());
    EXPECT_FALSE(old.keeps_alive());
}

TEST(Framing, ExpectsToBeToldToContinueBeforeTheBody)
{
    const auto expects = [](const std::string &text) { return arrived(text).expects_continue(); };
    const std::string head = post + "Expect: 100-Continue\r\n", sized = head + "Content-Length: 2\r\n\r\n";
    EXPECT_FALSE(expects(head));
    EXPECT_FALSE(expects(head + "\r\n"));
    EXPECT_TRUE(expects(sized));
    EXPECT_FALSE(expects(sized + "a"));
    EXPECT_FALSE(expects(sized + "ab"));
    EXPECT_TRUE(expects(head + "Transfer-Encoding: chunked\r\n\r\n"));
    EXPECT_FALSE(expects(head + "Transfer-Encoding: chunked\r\n\r\n1"));
    EXPECT_FALSE(expects(post + "Expect: something\r\nContent-Length: 2\r\n\r\n"));
    EXPECT_FALSE(expects("POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
}

TEST(Framing, TakesNothingMoreOnceItIsDone)
{
    Arrival whole = arrived(get + "\r\n"), refused = arrived("(");
    for (Arrival *arrival : {&whole, &refused}) {
        std::string_view rest = "more";
        arrival->take(rest);
        EXPECT_EQ(rest, "more");
    }
    EXPECT_EQ(refused.fault().status, 400);
    Arrival empty{max_head, max_body};
    EXPECT_FALSE(empty.has_begun());
    std::string_view blank = "\r\n";
    empty.take(blank);
    EXPECT_FALSE(empty.has_begun());
    EXPECT_TRUE(whole.has_begun() && whole.has_head());
}
