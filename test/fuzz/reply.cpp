// Fuzz target: what the database says, from its text to the reply.
#include "reply.hpp"
#include "events.hpp"
#include "property.hpp"

using namespace pg_org;

namespace {

const Request request{"id", "POST", "/usage/reserve?limit=1", R"({"key":"sk-1","model":{"a":[1,"\u0000"]}})", {}};

void check_refusal(std::string_view element)
{
    const Refusal refusal = read_refusal(element);
    for (const Route &route : routes) {
        const Reply reply = translate(refusal, route, request);
        require(reply.status >= 400 && reply.status < 600, "a refusal has an error's status");
        require(is_json(reply.body), "a refusal is JSON");
    }
}

void check_events(std::string_view array)
{
    for (const Event &event : read_events(array))
        require(is_json(event.json), "an event is JSON");
}

void check_page(std::string_view array)
{
    constexpr Route list{"GET", "/organization/list", "org_list", Kind::list, Envelope::detail, "organization_id"};
    const Fields query{{"limit", Value{Value::Kind::string, "1", {}}}};
    next_page(list, query, array);
}

// PostgreSQL writes JSON: anything else is not what the gateway is for, and neither are members that are missing.
template <typename Check> void check_json(std::string_view text, Check check)
{
    try {
        check(text);
    } catch (const std::exception &) {
    } catch (const InvalidJson &) {
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::string_view text{reinterpret_cast<const char *>(data), size};
    if (!is_json(text))
        return 0;
    check_json(text, check_refusal);
    check_json(text, check_events);
    check_json(text, check_page);
    return 0;
}
