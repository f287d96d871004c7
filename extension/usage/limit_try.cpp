// Trying a limit: what would be over it if it was saved now.

#include "base/clock.hpp"
#include "limits.hpp"
#include "named_owner.hpp"
#include "ranges.hpp"
#include "recount.hpp"
#include "rules/end_user.hpp"
#include "rules/key_rights.hpp"
#include "rules/team_rights.hpp"

using namespace pg_org;

namespace {

constexpr size_t max_shown = 100;
constexpr const char *route = "/limit/try";

// Requires the right to save the limit.
void require_right_to_save(Session &session, const NamedOwner &owner)
{
    const OwnerIds &ids = owner.ids;
    const auto require_right_in_team = [&](TeamRight right) {
        team_to_change(session, ids.team_id, not_empty(ids.organization_id), right, route);
    };
    switch (owner.kind) {
    case OwnerKind::organization: require_proxy_admin(session, ids.organization_id, route); return;
    case OwnerKind::team: require_right_in_team(TeamRight::owner); return;
    case OwnerKind::team_member: require_right_in_team(TeamRight::team_admin); return;
    case OwnerKind::member:
    case OwnerKind::end_user: require_organization_admin(session, ids.organization_id, route); return;
    case OwnerKind::user:
    case OwnerKind::platform_end_user:
        if (!session.caller.is_proxy_admin())
            forbidden("You do not have the required role to perform %s on this owner. Your role is = %s", route,
                      role_name(session.caller.role));
        return;
    case OwnerKind::key: key_to_change(session, ids.key_id, Allowed::admins, "/key/update"); return;
    }
}

struct TriedPart {
    AppliedLimit counted;
    Number remaining;
};

// What counts against the owner's only limit in the window that the time `at` is in, the highest first.
std::span<const TriedPart> count(Session &session, Owner &owner, const UsageLimit &limit, Time at, Time now)
{
    std::span<PartCounters> parts;
    if (limit.scope.each == Each::none) {
        parts = allocate<PartCounters>(1);
        parts[0] = recount_everything(session, owner, limit, at, now);
    } else {
        parts = recount_parts(session, owner, limit, at, now);
    }
    const auto tried = allocate<TriedPart>(parts.size());
    std::ranges::transform(parts, tried.begin(), [&](PartCounters &part) {
        Counter &counter = *part.counters.begin();
        AppliedLimit counted{&limit, &owner, &part, &counter, counter.find(limit)};
        counted.look_up();
        return TriedPart{counted, counted.remaining()};
    });
    std::ranges::sort(tried, [](const TriedPart &one, const TriedPart &other) {
        return one.remaining == other.remaining ? one.counted.part->part < other.counted.part->part
                                                : one.remaining < other.remaining;
    });
    return tried;
}

void write_part(Writer &reply, const TriedPart &tried)
{
    const AppliedLimit &counted = tried.counted;
    reply.begin_object().key("part").value(not_empty(counted.part->part));
    write_amount(reply.key("spent"), *counted.limit, counted.spent);
    write_amount(reply.key("held"), *counted.limit, counted.held);
    write_amount(reply.key("remaining"), *counted.limit, tried.remaining);
    reply.end_object();
}

} // namespace

PG_ORG_READ(limit_try)
{
    session.plan_for_look_ups();
    const NamedOwner named = read_named_owner(session);
    const auto sentence = session.json("limit");
    require_right_to_save(session, named);
    const Time now = present();
    const Owners owners = read_owners(session, {&named.ids, 1}, now, {});
    const Owner &found = existing_owner(owners, named);

    UsageLimit limit = limit_if_saved(required(sentence, "limit"), found.limits, now);
    // A window that begins when the limit is set has nothing in it yet: the trial counts what one of the same length
    // has that ends now.
    const bool counts_at_once = !limit.since || limit.since->value < now.value;
    const Maybe<Time> resets_at = limit.window_at(now).end;
    if (!counts_at_once && !limit.per)
        limit.since = {};
    Owner owner = found;
    owner.limits = {&limit, 1};
    const Time at = counts_at_once ? now : Time{now.value - 1};
    const auto tried = count(session, owner, limit, at, now);
    const auto first_within =
        std::ranges::find_if(tried, [](const TriedPart &part) { return part.remaining > zero(); });
    const auto over = tried.first(static_cast<size_t>(first_within - tried.begin()));

    Writer &reply = session.reply;
    const Time start = owner.window_of(limit, {}, at).start;
    write_limit(reply.begin_object(), {&limit, &owner});
    reply.key("window_start").value(start.value == DT_NOBEGIN ? Maybe<Time>{} : start);
    reply.key("resets_at").value(resets_at).key("counts_at_once").value(counts_at_once);
    reply.key("total").value(static_cast<int64>(over.size())).key("over").begin_array();
    for (const TriedPart &part : over.first(std::min(over.size(), max_shown)))
        write_part(reply, part);
    reply.end_array().key("highest_within");
    if (first_within == tried.end())
        reply.null();
    else
        write_part(reply, *first_within);
    reply.end_object();
}
