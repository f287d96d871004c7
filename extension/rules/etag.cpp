// Entity tags of objects.

#include "etag.hpp"

using namespace pg_org;

namespace {

// As the extension writes it. Clients can't forge it: in a string the quotes are escaped, in jsonb a space follows.
constexpr Text marker = "\"updated_at\":\"";

bool is_list_of_other_than_one(Text reply)
{
    return reply.starts_with('[') && (reply.find(marker) == Text::npos || reply.find(marker) != reply.rfind(marker));
}

} // namespace

namespace pg_org {

Text entity_tag(Text json)
{
    constexpr size_t tag_length = 32;
    const size_t at = json.find(marker);
    if (at == Text::npos)
        invalid("reply", "must be an organization, a team or a budget");
    const char *time = json.data() + at + marker.size();
    return {digest({time, json.find('"', at + marker.size()) - at - marker.size()}).data(), tag_length};
}

bool admits(Text if_match, Text tag)
{
    constexpr Text around = " \t\"";
    while (!if_match.empty()) {
        const size_t comma = std::min(if_match.find(','), if_match.size());
        Text one = head(if_match, comma);
        while (!one.empty() && around.find(one.front()) != Text::npos)
            one.remove_prefix(1);
        while (!one.empty() && around.find(one.back()) != Text::npos)
            one.remove_suffix(1);
        if (one == "*" || one == tag)
            return true;
        if_match.remove_prefix(std::min(comma + 1, if_match.size()));
    }
    return false;
}

} // namespace pg_org

PG_ORG_FUNCTION(org_etag)
{
    const Text reply = to_text(PG_GETARG_DATUM(0));
    // A list of one budget has the tag of that budget.
    if (is_list_of_other_than_one(reply))
        PG_RETURN_NULL();
    const Text tag = entity_tag(reply);
    return Sql<Text>::to_datum(to_text(psprintf("\"%.*s\"", FMT_ARG(tag))));
}
