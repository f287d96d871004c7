// Adding up spend.

#include "spend.hpp"

#include "ranges.hpp"

namespace pg_org {

namespace {

// $1 to $5 owners and $6 what each has spent.
constinit Statement add_to_teams{R"(
    UPDATE org.team AS x SET spend = x.spend + s.amount
      FROM unnest($1, $2, $3, $4, $5, $6) AS s (organization_id, team_id, user_id, key_id, end_user, amount)
     WHERE x.organization_id = s.organization_id AND x.team_id = s.team_id)"};

constinit Statement add_to_members{R"(
    UPDATE org.membership AS x SET spend = x.spend + s.amount
      FROM unnest($1, $2, $3, $4, $5, $6) AS s (organization_id, team_id, user_id, key_id, end_user, amount)
     WHERE x.organization_id = s.organization_id AND x.user_id = s.user_id)"};

constinit Statement add_to_team_members{R"(
    UPDATE org.team_member AS x SET spend = x.spend + s.amount
      FROM unnest($1, $2, $3, $4, $5, $6) AS s (organization_id, team_id, user_id, key_id, end_user, amount)
     WHERE x.organization_id = s.organization_id AND x.team_id = s.team_id AND x.user_id = s.user_id)"};

constinit Statement add_to_keys{R"(
    UPDATE org.api_key AS x SET spend = x.spend + s.amount
      FROM unnest($1, $2, $3, $4, $5, $6) AS s (organization_id, team_id, user_id, key_id, end_user, amount)
     WHERE x.key_id = s.key_id)"};

constinit Statement add_to_end_users{R"(
    UPDATE org.end_user AS x SET spend = x.spend + s.amount
      FROM unnest($1, $2, $3, $4, $5, $6) AS s (organization_id, team_id, user_id, key_id, end_user, amount)
     WHERE x.organization_id = s.organization_id AND x.end_user_id = s.end_user)"};

// Likewise, with $7 the owners, $8 the models and $9 the costs of the calls.
constinit Statement add_to_organizations{R"(
    UPDATE org.organization AS x
       SET spend = x.spend + s.amount,
           model_spend = x.model_spend || (
               SELECT jsonb_object_agg(m.model, coalesce((x.model_spend->>m.model)::numeric, 0) + m.cost)
                 FROM (SELECT c.model, sum(c.cost) AS cost FROM unnest($7, $8, $9) AS c (id, model, cost)
                        WHERE c.id = x.organization_id GROUP BY c.model) AS m)
      FROM unnest($1, $2, $3, $4, $5, $6) AS s (organization_id, team_id, user_id, key_id, end_user, amount)
     WHERE x.organization_id = s.organization_id)"};

constinit Statement add_to_users{R"(
    UPDATE org."user" AS x
       SET spend = x.spend + s.amount,
           model_spend = x.model_spend || (
               SELECT jsonb_object_agg(m.model, coalesce((x.model_spend->>m.model)::numeric, 0) + m.cost)
                 FROM (SELECT c.model, sum(c.cost) AS cost FROM unnest($7, $8, $9) AS c (id, model, cost)
                        WHERE c.id = x.user_id GROUP BY c.model) AS m)
      FROM unnest($1, $2, $3, $4, $5, $6) AS s (organization_id, team_id, user_id, key_id, end_user, amount)
     WHERE x.user_id = s.user_id)"};

// Rows are sorted by their key, so that concurrent calls lock in the same order. A day with an unknown
// first_reserved_at keeps it unknown.
constinit Statement add_to_days_statement{R"(
    INSERT INTO org.usage_daily AS d (organization_id, day, team_id, key_id, model, spend, prompt_tokens,
           completion_tokens, cache_read_input_tokens, cache_creation_input_tokens, successful_requests,
           failed_requests, first_reserved_at)
    SELECT o, (closed AT TIME ZONE 'UTC')::date AS day, t, k, m, sum(cost), sum(p), sum(e), sum(cr), sum(cc),
           count(*) FILTER (WHERE NOT failed), count(*) FILTER (WHERE failed), min(reserved)
      FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        AS c (o, t, k, m, closed, cost, p, e, cr, cc, failed, reserved)
     GROUP BY o, day, t, k, m ORDER BY o, day, t, k, m
        ON CONFLICT (organization_id, day, team_id, key_id, model) DO UPDATE
       SET spend = d.spend + excluded.spend, prompt_tokens = d.prompt_tokens + excluded.prompt_tokens,
           completion_tokens = d.completion_tokens + excluded.completion_tokens,
           cache_read_input_tokens = d.cache_read_input_tokens + excluded.cache_read_input_tokens,
           cache_creation_input_tokens = d.cache_creation_input_tokens + excluded.cache_creation_input_tokens,
           successful_requests = d.successful_requests + excluded.successful_requests,
           failed_requests = d.failed_requests + excluded.failed_requests,
           first_reserved_at = CASE WHEN excluded.first_reserved_at < d.first_reserved_at
                                    THEN excluded.first_reserved_at ELSE d.first_reserved_at END)"};

using OwnerSpan = std::span<const Owner>;

// Runs a statement with owners and what each has spent, and more.
template <typename... More> void run_for(OwnerSpan owners, Session &session, Statement &statement, const More &...more)
{
    const auto id = [&](auto member) {
        return map<Text>(owners, [&](const Owner &owner) { return owner.ids.*member; });
    };
    session.run(statement, id(&OwnerIds::organization_id), id(&OwnerIds::team_id), id(&OwnerIds::user_id),
                id(&OwnerIds::key_id), id(&OwnerIds::end_user),
                map<Number>(owners, [](const Owner &owner) { return *owner.newly_spent; }), more...);
}

void add_to_owners(Session &session, OwnerKind kind, OwnerSpan owners, Calls calls)
{
    const auto id_of = [&](Text OwnerIds::*id) {
        return map<Text>(calls, [&](const Call *call) { return call->owners.*id; });
    };
    const auto models = map<Text>(calls, [](const Call *call) { return call->model; });
    const auto costs = map<Number>(calls, [](const Call *call) { return call->cost; });
    switch (kind) {
    case OwnerKind::organization:
        return run_for(owners, session, add_to_organizations, id_of(&OwnerIds::organization_id), models, costs);
    case OwnerKind::team: return run_for(owners, session, add_to_teams);
    case OwnerKind::member: return run_for(owners, session, add_to_members);
    case OwnerKind::team_member: return run_for(owners, session, add_to_team_members);
    case OwnerKind::user: return run_for(owners, session, add_to_users, id_of(&OwnerIds::user_id), models, costs);
    case OwnerKind::platform_end_user:
    case OwnerKind::end_user: return run_for(owners, session, add_to_end_users);
    case OwnerKind::key: return run_for(owners, session, add_to_keys);
    }
}

void add_to_days(Session &session, Calls settled)
{
    const auto counts = [&](auto member) {
        return map<int64>(settled, [&](const Call *call) { return call->*member; });
    };
    session.run(
        add_to_days_statement, map<Text>(settled, [](const Call *call) { return call->owners.organization_id; }),
        map<Text>(settled, [](const Call *call) { return call->owners.team_id; }),
        map<Text>(settled, [](const Call *call) { return call->owners.key_id; }),
        map<Text>(settled, [](const Call *call) { return call->model; }),
        map<Time>(settled, [](const Call *call) { return call->closed_at; }),
        map<Number>(settled, [](const Call *call) { return call->cost; }), counts(&Call::prompt_tokens),
        counts(&Call::completion_tokens), counts(&Call::cache_read_input_tokens),
        counts(&Call::cache_creation_input_tokens), map<bool>(settled, [](const Call *call) { return call->failed; }),
        map<Time>(settled, [](const Call *call) { return call->reserved_at; }));
}

} // namespace

void write_spend(Session &session, Counters &counters, Calls settled)
{
    if (settled.empty())
        return;
    for (const OwnerKind kind : owner_kinds) {
        const auto owners =
            filter(counters.owners(), [&](const Owner &owner) { return owner.kind == kind && owner.newly_spent; });
        const auto calls = filter(settled, [&](const Call *call) { return counters.owner_of(*call, kind) != nullptr; });
        if (!owners.empty())
            add_to_owners(session, kind, owners, calls);
    }
    add_to_days(session, settled);
}

void warm_up_writing_spend(Session &session)
{
    for (const OwnerKind kind : owner_kinds)
        add_to_owners(session, kind, {}, {});
    add_to_days(session, {});
}

} // namespace pg_org
