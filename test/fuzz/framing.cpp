// Fuzz target: what clients send, from its bytes to requests or a refusal, in however many pieces it arrives.
#include "framing.hpp"
#include "property.hpp"

#include <algorithm>
#include <functional>
#include <random>
#include <string>

using namespace pg_org;

namespace {

constexpr std::size_t max_head = 256, max_body = 64;

using NextSize = std::function<std::size_t()>;

bool is_clean(std::string_view text)
{
    return std::none_of(text.begin(), text.end(), [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
}

// Whatever has arrived.
void check_bounds(const Arrival &arrival)
{
    require(arrival.size() <= max_head + max_body, "what has arrived is bounded");
    require(arrival.body().size() <= max_body, "a body is bounded");
    require(!arrival.is_whole() || arrival.has_head(), "a whole request has a head");
    require(!arrival.has_head() || arrival.has_begun(), "a head has a beginning");
    require(!arrival.is_whole() || arrival.fault().status == 0, "a request is whole or refused");
    require(!arrival.expects_continue() || arrival.body().empty(), "nobody is told to go on who does");
    require(is_clean(arrival.method()) && is_clean(arrival.target()), "a request line has no control characters");
}

std::string told(const Arrival &arrival)
{
    std::string told;
    const auto tell = [&](std::string_view text) { told.append(text).append("\n"); };
    tell(arrival.method());
    tell(arrival.target());
    for (const auto *name : {"host", "connection", "expect", "authorization", "content-length", "transfer-encoding"}) {
        require(is_clean(arrival.field(name)), "a field has no control characters");
        tell(arrival.field(name));
    }
    tell(arrival.keeps_alive() ? "keeps alive" : "closes");
    tell(arrival.is_http_1_0() ? "1.0" : "1.1");
    tell(arrival.body());
    return told;
}

// The requests in the bytes, one after the other, and how they end.
std::string read(std::string_view bytes, const NextSize &next_size)
{
    std::string requests;
    while (!bytes.empty()) {
        Arrival arrival{max_head, max_body};
        while (!bytes.empty() && !arrival.is_whole()) {
            const auto piece = bytes.substr(0, next_size());
            auto rest = piece;
            arrival.take(rest);
            check_bounds(arrival);
            require(piece.ends_with(rest), "what is taken is at the front");
            if (const auto &fault = arrival.fault(); fault.status != 0)
                return requests.append(std::to_string(fault.status)).append(" ").append(fault.message);
            require(arrival.is_whole() || rest.empty(), "what belongs to a request is taken");
            require(rest.size() < piece.size(), "something is taken");
            bytes.remove_prefix(piece.size() - rest.size());
        }
        if (!arrival.is_whole())
            return requests.append(arrival.has_head() ? "a head" : arrival.has_begun() ? "a beginning" : "nothing");
        requests += told(arrival);
    }
    return requests;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::string_view bytes{reinterpret_cast<const char *>(data), size};
    std::minstd_rand random(static_cast<unsigned>(std::hash<std::string_view>{}(bytes)));
    const auto whole = read(bytes, [&] { return bytes.size(); });
    require(read(bytes, [] { return 1; }) == whole, "one byte after the other is the same");
    require(read(bytes, [&] { return 1 + random() % 40; }) == whole, "pieces are the same");
    return 0;
}
