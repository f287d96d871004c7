// Adding up spend.

#include "spend.hpp"


namespace pg_org {

namespace {

#define ADD_SPEND(table, condition)                                                                                    \
    "UPDATE org." table " AS x SET spend = x.spend + s.amount"                                                         \
    "  FROM unnest($1, $2, $3, $4, $5) AS s (organization_id, team_id, user_id, key_id, amount) WHERE " condition

// $6 to $8: what each call has cost its owner, by model.
#define ADD_MODEL_SPEND(table, id)                                                                                     \
    "UPDATE org." table " AS x SET spend = x.spend + s.amount,"                                                        \
    "       model_spend = x.model_spend || ("                                                                          \
    "           SELECT jsonb_object_agg(m.model, coalesce((x.model_spend->>m.model)::numeric, 0) + m.cost)"            \
    "             FROM (SELECT c.model, sum(c.cost) AS cost FROM unnest($6, $7, $8) AS c (id, model, cost)"            \
    "                    WHERE c.id = x." id " GROUP BY c.model) AS m)"                                                \
    "  FROM unnest($1, $2, $3, $4, $5) AS s (organization_id, team_id, user_id, key_id, amount)"                       \
    " WHERE x." id " = s." id

constinit std::array<Statement, owners> add_spend{
    Statement{ADD_MODEL_SPEND("organization", "organization_id")},
    Statement{ADD_SPEND("team", "x.organization_id = s.organization_id AND x.team_id = s.team_id")},
    Statement{ADD_SPEND("membership", "x.organization_id = s.organization_id AND x.user_id = s.user_id")},
    Statement{ADD_SPEND("team_member",
                        "x.organization_id = s.organization_id AND x.team_id = s.team_id AND x.user_id = s.user_id")},
    Statement{ADD_MODEL_SPEND("\"user\"", "user_id")},
    Statement{ADD_SPEND("api_key", "x.key_id = s.key_id")},
};

// In the order of the key, so that two at once don't lock each other out.
constinit Statement add_daily{
    "INSERT INTO org.usage_daily AS d (organization_id, day, team_id, key_id, model, spend, prompt_tokens,"
    "       completion_tokens, cache_read_input_tokens, cache_creation_input_tokens, successful_requests,"
    "       failed_requests, first_reserved_at)"
    " SELECT o, (closed AT TIME ZONE 'UTC')::date AS day, t, k, m, sum(cost), sum(p), sum(e), sum(cr), sum(cc),"
    "        count(*) FILTER (WHERE NOT failed), count(*) FILTER (WHERE failed), min(reserved)"
    "   FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    "     AS c (o, t, k, m, closed, cost, p, e, cr, cc, failed, reserved)"
    "  GROUP BY o, day, t, k, m ORDER BY o, day, t, k, m"
    " ON CONFLICT (organization_id, day, team_id, key_id, model) DO UPDATE"
    "   SET spend = d.spend + excluded.spend, prompt_tokens = d.prompt_tokens + excluded.prompt_tokens,"
    "       completion_tokens = d.completion_tokens + excluded.completion_tokens,"
    "       cache_read_input_tokens = d.cache_read_input_tokens + excluded.cache_read_input_tokens,"
    "       cache_creation_input_tokens = d.cache_creation_input_tokens + excluded.cache_creation_input_tokens,"
    "       successful_requests = d.successful_requests + excluded.successful_requests,"
    "       failed_requests = d.failed_requests + excluded.failed_requests,"
    // What is not known stays so.
    "       first_reserved_at = CASE WHEN excluded.first_reserved_at < d.first_reserved_at"
    "                                THEN excluded.first_reserved_at ELSE d.first_reserved_at END"};

void add_to_owners(Session &session, Owner owner, std::span<const Holder> charged, Calls calls)
{
    const auto names = [&](auto member) {
        return column<Text>(charged, [&](const Holder &holder) { return holder.name.*member; });
    };
    const auto run = [&](const auto &...more) {
        session.run(add_spend[static_cast<size_t>(owner)], names(&Party::organization_id), names(&Party::team_id),
                    names(&Party::user_id), names(&Party::key_id),
                    column<Number>(charged, [](const Holder &holder) { return *holder.charged; }), more...);
    };
    if (owner != Owner::organization && owner != Owner::user)
        return run();
    const auto id = owner == Owner::user ? &Party::user_id : &Party::organization_id;
    run(column<Text>(calls, [&](const Call *call) { return call->party.*id; }),
        column<Text>(calls, [](const Call *call) { return call->model; }),
        column<Number>(calls, [](const Call *call) { return call->cost; }));
}

void add_to_days(Session &session, Calls settled)
{
    const auto counts = [&](auto member) {
        return column<int64>(settled, [&](const Call *call) { return call->*member; });
    };
    session.run(add_daily, column<Text>(settled, [](const Call *call) { return call->party.organization_id; }),
                column<Text>(settled, [](const Call *call) { return call->party.team_id; }),
                column<Text>(settled, [](const Call *call) { return call->party.key_id; }),
                column<Text>(settled, [](const Call *call) { return call->model; }),
                column<Time>(settled, [](const Call *call) { return call->closed_at; }),
                column<Number>(settled, [](const Call *call) { return call->cost; }), counts(&Call::prompt_tokens),
                counts(&Call::completion_tokens), counts(&Call::cache_read_input_tokens),
                counts(&Call::cache_creation_input_tokens),
                column<bool>(settled, [](const Call *call) { return call->failed; }),
                column<Time>(settled, [](const Call *call) { return call->reserved_at; }));
}

} // namespace

void write_spend(Session &session, Counters &counters, Calls settled)
{
    if (settled.empty())
        return;
    const auto charged = allocate<Holder>(counters.holders().size());
    const auto calls = allocate<Call *>(settled.size());
    for (size_t i = 0; i < owners; i++) {
        const Owner owner = static_cast<Owner>(i);
        const auto holders_end = std::ranges::copy_if(counters.holders(), charged.begin(), [&](const Holder &holder) {
                                     return holder.owner == owner && holder.charged;
                                 }).out;
        const auto calls_end = std::ranges::copy_if(settled, calls.begin(), [&](const Call *call) {
                                   return counters.holder_of(*call, owner) != nullptr;
                               }).out;
        if (holders_end != charged.begin())
            add_to_owners(session, owner, {charged.begin(), holders_end}, {calls.begin(), calls_end});
    }
    add_to_days(session, settled);
}

void warm_up_writing_spend(Session &session)
{
    for (size_t i = 0; i < owners; i++)
        add_to_owners(session, static_cast<Owner>(i), {}, {});
    add_to_days(session, {});
}

} // namespace pg_org
