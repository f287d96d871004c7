// Resets: what counts against a limit starts again now. The ledger keeps everything.

#include "base/bounds.hpp"
#include "base/clock.hpp"
#include "base/paging.hpp"
#include "lock.hpp"
#include "named_owner.hpp"
#include "ranges.hpp"

using namespace pg_org;

namespace {

constexpr size_t max_resets = 200;

// Sets $6 spend_reset_at and $7 limit_resets of an owner, $1 to $5; null keeps them. $8: who did it.
#define RESET(of_table, condition)                                                                                     \
    "UPDATE " of_table                                                                                                 \
    " SET spend_reset_at = coalesce($6, spend_reset_at), limit_resets = coalesce($7, limit_resets),"                   \
    " updated_at = greatest(now(), created_at), updated_by = $8 WHERE " condition

// All take all parameters, some of which do not matter.
constinit Statement reset_organization{RESET("org.organization", "organization_id = $1 AND $2 || $3 || $4 || $5 = ''")};
constinit Statement reset_team{RESET("org.team", "organization_id = $1 AND team_id = $2 AND $3 || $4 || $5 = ''")};
constinit Statement reset_member{
    RESET("org.membership", "organization_id = $1 AND user_id = $3 AND $2 || $4 || $5 = ''")};
constinit Statement reset_team_member{
    RESET("org.team_member", "organization_id = $1 AND team_id = $2 AND user_id = $3 AND $4 || $5 = ''")};
constinit Statement reset_user{RESET("org.\"user\"", "user_id = $3 AND $1 || $2 || $4 || $5 = ''")};
constinit Statement reset_end_user{
    RESET("org.end_user", "organization_id = $1 AND end_user_id = $5 AND $2 || $3 || $4 = ''")};
constinit Statement reset_key{
    RESET("org.api_key", "coalesce(organization_id, '') = $1 AND key_id = $4 AND $2 || $3 || $5 = ''")};

Statement &statement_to_reset(OwnerKind kind)
{
    switch (kind) {
    case OwnerKind::organization: return reset_organization;
    case OwnerKind::team: return reset_team;
    case OwnerKind::member: return reset_member;
    case OwnerKind::team_member: return reset_team_member;
    case OwnerKind::user: return reset_user;
    case OwnerKind::platform_end_user:
    case OwnerKind::end_user: return reset_end_user;
    case OwnerKind::key: return reset_key;
    }
    pg_unreachable();
}

// Organizations limit what is inside them; what limits an organization itself is the platform's.
void require_right_to_reset(Session &session, const NamedOwner &owner)
{
    const Text organization_id = owner.ids.organization_id;
    const bool is_inside = !organization_id.empty() && owner.kind != OwnerKind::organization;
    if (!session.caller.is_proxy_admin() && !(is_inside && administers(session, organization_id)))
        forbidden("You do not have the required role to perform /usage/reset on this owner. Your role is = %s",
                  role_name(session.caller.role));
}

// The reset of the limit that the argument names, as a reply shows limits.
LimitReset read_wanted(const Value &limit, const Maybe<Text> &part)
{
    if (!limit.is_object())
        invalid(limit.path(), "must be an object of limit, per, model, tag, each and soft");
    if (!limited_named(limit.member("limit").as_text()))
        invalid(limit.member("limit").path(), "must be cost, tokens, requests or parallel_requests");
    // Limits can be sent back as replies show them. A member that is not known could be meant to name another limit.
    static constexpr std::array<Text, 19> known{"limit", "per",   "model",     "tag",       "each",    "soft", "part",
                                                "value", "raise", "since",     "field",     "owner",   "id",   "spent",
                                                "held",  "asked", "remaining", "resets_at", "frees_at"};
    for (const auto &[name, value] : members(limit.as_object(), limit.path()))
        if (std::ranges::find(known, name) == known.end())
            invalid(value.path(), "is not supported");
    // A member of another type would be read as none, and so name another limit.
    for (const char *name : {"per", "model", "tag", "part"})
        if (const Value value = limit.member(name); !value.is_null())
            value.as_text();
    if (const Value each = limit.member("each"); !each.is_null() && !each_named(each.as_text()))
        invalid(each.path(), "must be model, tag, end_user, member, key or team");
    if (const Value soft = limit.member("soft"); !soft.is_null())
        soft.as_bool();
    LimitReset wanted = read_reset(limit);
    wanted.scope.part = part.value_or(wanted.scope.part);
    if (wanted.scope.part.size() > max_name_bytes)
        invalid("part", "must be at most %zu bytes long", max_name_bytes);
    if (!wanted.scope.part.empty() && wanted.scope.each == Each::none)
        invalid("part", "must come with a limit for each of something");
    if (wanted.what == Limited::parallel_requests)
        refused("Requests in progress are not counted from a time that could be reset");
    return wanted;
}

void write_reset(Writer &writer, const LimitReset &reset)
{
    const auto add = [&](const char *name, Text value) {
        if (!value.empty())
            writer.key(name).value(value);
    };
    writer.begin_object();
    add("limit", name_of(reset.what));
    add("per", reset.per.value_or(Text{}));
    add("model", reset.scope.model);
    add("tag", reset.scope.tag);
    add("each", name_of(reset.scope.each));
    add("part", reset.scope.part);
    if (reset.soft)
        writer.key("soft").value(true);
    writer.key("at").value(reset.at).end_object();
}

// The owner's resets with the new one at the end; those are left out that no current period depends on.
Json with_reset(const Owner &owner, const LimitReset &wanted)
{
    const auto is_same = [&](const LimitReset &other) {
        return other.what == wanted.what && other.per == wanted.per && other.soft == wanted.soft &&
               other.scope == wanted.scope;
    };
    const auto matters = [&](const LimitReset &reset) {
        return !is_same(reset) && std::ranges::any_of(owner.limits, [&](const UsageLimit &limit) {
            return reset.is_of(limit, reset.scope.part) && reset.at.value > limit.window_at(wanted.at).start.value;
        });
    };
    const auto others = filter(owner.resets, matters);
    if (others.size() >= max_resets)
        refused("At most %zu resets of single limits may matter at once: reset all limits of cost instead", max_resets);
    Writer writer{makeStringInfo()};
    writer.begin_array();
    for (const LimitReset &reset : others)
        write_reset(writer, reset);
    write_reset(writer, wanted);
    writer.end_array();
    return {DirectFunctionCall1(jsonb_in, CStringGetDatum(writer.buffer()->data))};
}

} // namespace

PG_ORG_WRITE(usage_reset)
{
    session.plan_for_look_ups();
    const NamedOwner named = read_named_owner(session);
    const auto limit = session.json("limit");
    const auto part = session.argument("part", not_empty);
    const bool is_of_one = limit && !limit->is_null();
    if (part && !is_of_one)
        invalid("part", "must come with limit");
    require_right_to_reset(session, named);
    LimitReset wanted = is_of_one ? read_wanted(*limit, part) : LimitReset{};

    if (!named.ids.organization_id.empty())
        session.audit_as(named.ids.organization_id);
    const LockedOwners locked = lock_owners(session, {&named.ids, 1});
    require_right_to_reset(session, named);
    const Time now = wanted.at = present();
    const Owners owners = read_owners(session, {&named.ids, 1}, now, locked);
    const Owner &owner = existing_owner(owners, named);
    Maybe<Json> resets;
    if (is_of_one) {
        if (std::ranges::none_of(owner.limits, [&](const UsageLimit &one) {
                return !one.only_counts && wanted.is_of(one, wanted.scope.part);
            }))
            not_found("The %.*s has no such limit", FMT_ARG(name_of(named.kind)));
        resets = with_reset(owner, wanted);
    }
    const OwnerIds &ids = owner.ids;
    session.run(statement_to_reset(named.kind), ids.organization_id, ids.team_id, ids.user_id, ids.key_id, ids.end_user,
                is_of_one ? Maybe<Time>{} : Maybe<Time>{now}, resets, session.caller.user_id);

    Writer &reply = session.reply;
    reply.begin_object().key("owner").value(name_of(named.kind)).key("id").value(owner.id());
    reply.key("organization_id").value(not_empty(ids.organization_id)).key("limit");
    if (is_of_one)
        write_reset(reply, wanted);
    else
        reply.null();
    reply.key("reset_at").value(now).end_object();
}
