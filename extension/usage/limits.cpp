// Telling what limits a key has.

#include "limits.hpp"

#include "base/clock.hpp"
#include "request.hpp"

using namespace pg_org;

namespace pg_org {

namespace {

void write_members(Writer &reply, const AppliedLimit &applied)
{
    const UsageLimit &limit = *applied.limit;
    reply.key("owner").value(name_of(applied.owner->kind)).key("id").value(applied.owner->id());
    reply.key("limit").value(name_of(limit.what)).key("field").value(to_text(limit.field));
    reply.key("per").value(limit.per).key("model").value(not_empty(limit.scope.model));
    reply.key("tag").value(not_empty(limit.scope.tag)).key("each").value(not_empty(name_of(limit.scope.each)));
    reply.key("part").value(applied.part == nullptr ? Maybe<Text>{} : not_empty(applied.part->part));
    write_amount(reply.key("soft").value(limit.soft).key("value"), limit, limit.value);
}

} // namespace

void write_limit(Writer &reply, const AppliedLimit &applied)
{
    const UsageLimit &limit = *applied.limit;
    if (limit.scope.each != Each::none) {
        write_members(reply, applied);
        return;
    }
    // Replies to batches show the same limits many times.
    if (limit.shown.empty()) {
        Writer once{makeStringInfo()};
        write_members(once.begin_object(), applied);
        limit.shown = tail({once.buffer()->data, static_cast<size_t>(once.buffer()->len)}, 1);
    }
    reply.members(limit.shown);
}

void write_amount(Writer &reply, const UsageLimit &limit, Number amount)
{
    if (limit.what == Limited::cost)
        reply.value(amount);
    else
        reply.value(DatumGetInt64(DirectFunctionCall1(numeric_int8, amount.datum)));
}

} // namespace pg_org

namespace {

// The owners of the key that the call asks about, if the caller may see them.
OwnerIds visible_owners(Session &session, Text key)
{
    const Caller &caller = session.caller;
    const auto confined = confinement(caller);
    const auto owners = key.starts_with("sk-") ? owners_of_secret(session, key) : owners_of_token_id(session, key);
    const bool sees_all = (caller.reads_everything() || has_permission(session, usage_permission)) &&
                          (!confined || caller.reads_everything() || (owners && owners->organization_id == *confined));
    if (!sees_all && !(owners && (owners->key_id == caller.key_id ||
                                  (!owners->organization_id.empty() && administers(session, owners->organization_id)))))
        forbidden("You do not have the required role to perform /usage/limits on this key. Your role is = %s",
                  role_name(caller.role));
    if (!owners)
        not_found("Key not found");
    return *owners;
}

// What is spent of a limit for each of something is known only if the call says of which.
void write_amounts(Writer &reply, const AppliedLimit &applied)
{
    const bool is_known = applied.counter != nullptr;
    const auto write = [&](const char *name, Number amount) {
        reply.key(name);
        if (is_known)
            write_amount(reply, *applied.limit, amount);
        else
            reply.null();
    };
    write("spent", applied.spent);
    write("held", applied.held);
    write("remaining", is_known ? applied.remaining() : Number{});
    reply.key("resets_at").value(applied.resets_at());
}

} // namespace

PG_ORG_READ(usage_limits)
{
    session.plan_for_look_ups();
    const auto asked = session.argument<Text>("key");
    const auto model = session.argument("model", not_empty);
    const auto end_user = session.argument("end_user", not_empty);
    const auto tags = session.argument("tags", tag_list);
    OwnerIds ids = visible_owners(session, required(asked ? asked : session.caller.key_id, "key"));
    ids.end_user = end_user.value_or(Text{});

    Counters counters{session, {&ids, 1}, present(), {}};
    counters.leave_out_expired();
    const CallOwners &owners = counters.owners_of(ids);
    const CountedCall call{owners, model ? Maybe<Text>{owners.resolve_model(*model)} : model,
                           tags ? Maybe<Texts>{owners.tags(*tags)} : tags, false};
    session.reply.begin_object().key("token_id").value(ids.key_id).key("limits").begin_array();
    // Organizations and their keys do not see end users of the platform, nor what these spend elsewhere.
    const bool sees_platform = session.caller.reads_everything() || has_permission(session, usage_permission);
    for (const AppliedLimit &applied : counters.limits_of(call)) {
        CHECK_FOR_INTERRUPTS();
        if (applied.owner->kind == OwnerKind::platform_end_user && !sees_platform)
            continue;
        write_limit(session.reply.begin_object(), applied);
        write_amounts(session.reply, applied);
        session.reply.end_object();
    }
    session.reply.end_array().end_object();
}
