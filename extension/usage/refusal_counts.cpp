// Counting refused calls, and forgetting them again.

#include "refusal_counts.hpp"

namespace pg_org {

namespace {

// $1 limits that refused calls at $2, in the hour $3. Those of a key and its budget may differ only in their values.
constinit Statement count_statement{R"(
    INSERT INTO org.usage_refusal AS r
                (organization_id, team_id, user_id, key_id, end_user, hour, what, field, per, model, tag, each, value,
                 refused, last_refused_at)
    SELECT organization_id, team_id, user_id, key_id, end_user, $3, what, field, per, model, tag, each, min(value),
           sum(refused)::bigint, $2
      FROM unnest($1) AS l (organization_id text, team_id text, user_id text, key_id text, end_user text, what text,
                            field text, per text, model text, tag text, each text, value numeric, refused bigint)
     GROUP BY organization_id, team_id, user_id, key_id, end_user, what, field, per, model, tag, each
     ORDER BY organization_id, team_id, user_id, key_id, end_user, what, field, per, model, tag, each
        ON CONFLICT (organization_id, team_id, user_id, key_id, end_user, hour, what, field, per, model, tag, each)
        DO UPDATE
       SET value = excluded.value, refused = r.refused + excluded.refused, last_refused_at = excluded.last_refused_at)"};

// Those of hours until $1, the oldest first. Rows of an owner that is being deleted are left to its deletion.
constinit Statement delete_old_statement{R"(
    DELETE FROM org.usage_refusal
     WHERE ctid = ANY (ARRAY(
           SELECT ctid
             FROM org.usage_refusal
            WHERE hour <= $1
            ORDER BY hour
            LIMIT 10000
              FOR UPDATE SKIP LOCKED)))"};

using Refused = std::tuple<Text, Text, Text, Text, Text, Text, Text, Text, Text, Text, Text, Number, int64>;

Refused refused_by(const AppliedLimit &applied, size_t calls)
{
    const OwnerIds &owner = applied.owner->ids;
    const UsageLimit &limit = *applied.limit;
    const Scope &scope = limit.scope;
    return {owner.organization_id,
            owner.team_id,
            owner.user_id,
            owner.key_id,
            owner.end_user,
            name_of(limit.what),
            to_text(limit.field),
            limit.per.value_or(Text{}),
            scope.model,
            scope.tag,
            name_of(scope.each),
            limit.value,
            static_cast<int64>(calls)};
}

Time hour_of(Time time) { return {time.value - time.value % USECS_PER_HOUR}; }

} // namespace

void count_refusals(Session &session, std::span<AppliedLimit> limits, Time now)
{
    const auto which = [](const AppliedLimit &applied) { return std::pair{applied.owner, applied.limit}; };
    std::ranges::sort(limits, {}, which);
    const auto counted = allocate<Refused>(limits.size());
    size_t size = 0;
    while (!limits.empty()) {
        const auto same = std::ranges::equal_range(limits, which(limits[0]), {}, which);
        counted[size++] = refused_by(limits[0], same.size());
        limits = limits.subspan(same.size());
    }
    session.run(count_statement, std::span<const Refused>{counted.first(size)}, now, hour_of(now));
}

size_t delete_old_refusals(Session &session, Time now)
{
    return session.run(delete_old_statement, Time{now.value - refusal_days * USECS_PER_DAY - USECS_PER_HOUR}).size();
}

void warm_up_counting_refusals(Session &session) { count_refusals(session, {}, {}); }

} // namespace pg_org
