// Fuzz target: a request's path and query, or a header's value, from its text to bound values or a refusal.
#include "credentials.hpp"
#include "property.hpp"
#include "reply.hpp"
#include "url.hpp"

using namespace pg_org;

namespace {

void check_encoding(std::string_view text)
{
    require(percent_decode(percent_encode(text)) == text, "what is encoded is decoded as the same");
    require(percent_decode(percent_encode(text), true) == text, "so it is as a parameter");
}

void check_query(std::string_view target, std::string_view query)
{
    const Fields fields = read_query(query);
    check_binding(fields, "query", {"id", "GET", target, {}, {}});
    constexpr Route list{"GET", "/organization/list", "org_list", Kind::list, Envelope::detail, "organization_id"};
    const auto link = next_page(list, fields, R"([{"organization_id":"<\">;é"}])");
    for (const unsigned char c : link)
        require(c >= ' ' && c < 0x7f, "a header's value is printable");
}

void check_credentials(const std::string &value)
{
    for (const auto *name : {"authorization", "x-litellm-api-key", "api-key"}) {
        const auto credentials = read_credentials([&](const std::string &asked) { return asked == name ? value : ""; });
        require(credentials.refusal.empty() || credentials.api_key.empty(), "a key is refused or taken");
        require(is_storable(credentials.api_key), "a key is UTF-8 without U+0000");
    }
}

void check_url(std::string_view text)
{
    const auto url = parse_http_url(text);
    if (!url)
        return;
    require(url->origin.starts_with("http") && text.starts_with(url->origin), "a URL begins with its origin");
    require(url->path.starts_with('/') && url->path.find('#') == std::string::npos, "a path is one");
    require(url->origin.find('@') == std::string::npos, "a URL has no user");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::string_view target{reinterpret_cast<const char *>(data), size};
    std::string_view query = target;
    const auto path = take_until(query, '?');
    for (const auto *method : {"GET", "HEAD", "PATCH", "POST"}) {
        const Match match = find_route(method, path);
        require(!match.route || match.allowed.empty(), "a path has a route or says what it allows");
    }
    check_encoding(target);
    check_query(target, query);
    check_credentials(std::string{target});
    check_url(target);
    return 0;
}
