// Finding calls, and writing what became of them.

#include "ledger.hpp"

#include "fail.hpp"
#include "number.hpp"

namespace pg_org {

namespace {

#define RESERVATION_COLUMNS                                                                                            \
    "organization_id, team_id, user_id, key_id, request_id, model, tags::text, max_cost, max_tokens, reserved_at,"     \
    " expires_at, 'held'::text"
#define USAGE_COLUMNS                                                                                                  \
    "organization_id, team_id, user_id, key_id, request_id, model, tags::text, max_cost, max_tokens, reserved_at,"     \
    " expires_at, state, cost, prompt_tokens, completion_tokens, cache_read_input_tokens,"                             \
    " cache_creation_input_tokens, failed, closed_at"
constexpr int state_column = 11;

// $1 organizations (empty: any) and $2 requests, place by place; $3 whether a place has an organization.
#define NAMED(columns, table)                                                                                          \
    "SELECT " columns ", place FROM unnest($1, $2, $3) WITH ORDINALITY AS named (organization, request, exact, place)" \
    "  JOIN org." table " ON request_id = request AND (NOT exact OR organization_id = organization)"

constinit Statement find_held{NAMED(RESERVATION_COLUMNS, "reservation")};
constinit Statement find_closed{NAMED(USAGE_COLUMNS, "usage")};

// By primary key; in the order of that, so that two at once don't lock each other out.
#define LOCKED(columns, table)                                                                                         \
    "SELECT " columns ", place FROM unnest($1, $2) WITH ORDINALITY AS named (organization, request, place)"            \
    "  JOIN org." table " ON organization_id = organization AND request_id = request"                                  \
    " ORDER BY organization_id, request_id FOR UPDATE OF " table

constinit Statement lock_held{LOCKED(RESERVATION_COLUMNS, "reservation")};
constinit Statement lock_closed{LOCKED(USAGE_COLUMNS, "usage")};

constinit Statement find_expired_statement{
    "SELECT " RESERVATION_COLUMNS " FROM org.reservation"
    " WHERE organization_id = ANY ($1) AND expires_at <= $3 AND (organization_id <> '' OR key_id = ANY ($2))"
    " LIMIT 1000"};

constinit Statement find_lapsed_statement{
    "SELECT " RESERVATION_COLUMNS " FROM org.reservation"
    " WHERE organization_id = ANY ($1) AND expires_at <= $4 AND (organization_id <> '' OR key_id = ANY ($2))"
    " UNION ALL "
    "SELECT " RESERVATION_COLUMNS " FROM org.reservation"
    " WHERE user_id = ANY ($3) AND user_id <> '' AND expires_at <= $4"
    "   AND NOT (organization_id = ANY ($1) AND (organization_id <> '' OR key_id = ANY ($2)))"};

constinit Statement insert_held{
    "INSERT INTO org.reservation (organization_id, team_id, user_id, key_id, request_id, model, tags, max_cost,"
    "                             max_tokens, reserved_at, expires_at)"
    " SELECT o, t, u, k, r, m, tags::text[], c, n, reserved, expires"
    "   FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    "     AS held (o, t, u, k, r, m, tags, c, n, reserved, expires)"};

constinit Statement delete_held{
    "DELETE FROM org.reservation USING unnest($1, $2) AS over (organization, request)"
    " WHERE organization_id = organization AND request_id = request"};

constinit Statement insert_closed{
    "INSERT INTO org.usage (organization_id, team_id, user_id, key_id, request_id, model, tags, max_cost, max_tokens,"
    "                       reserved_at, expires_at, state, cost, prompt_tokens, completion_tokens,"
    "                       cache_read_input_tokens, cache_creation_input_tokens, failed, closed_at)"
    " SELECT o, t, u, k, r, m, tags::text[], c, n, reserved, expires, s, cost, p, e, cr, cc, f, closed"
    "   FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)"
    "     AS over (o, t, u, k, r, m, tags, c, n, reserved, expires, s, cost, p, e, cr, cc, f, closed)"};

constinit Statement settle_closed{
    "UPDATE org.usage"
    "   SET state = 'settled', cost = c, prompt_tokens = p, completion_tokens = e, cache_read_input_tokens = cr,"
    "       cache_creation_input_tokens = cc, failed = f, closed_at = closed"
    "  FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) AS late (o, r, c, p, e, cr, cc, f, closed)"
    " WHERE organization_id = o AND request_id = r"};

constexpr std::array<Text, 5> state_names{"", "held", "settled", "cancelled", "expired"};

State state_named(Text name)
{
    return static_cast<State>(std::ranges::find(state_names, name) - state_names.begin());
}

Call *read_call(const Row &row)
{
    Call *call = allocate<Call>(1).data();
    call->party = {*row.get<Text>(0), *row.get<Text>(1), *row.get<Text>(2), *row.get<Text>(3)};
    call->request_id = *row.get<Text>(4);
    call->model = *row.get<Text>(5);
    call->tags = *row.get<Text>(6);
    call->max_cost = *row.get<Number>(7);
    call->max_tokens = *row.get<int64>(8);
    call->reserved_at = *row.get<Time>(9);
    call->expires_at = *row.get<Time>(10);
    call->state = call->stored = state_named(*row.get<Text>(state_column));
    call->cost = zero();
    if (call->state == State::held)
        return call;
    call->cost = *row.get<Number>(12);
    call->prompt_tokens = *row.get<int64>(13);
    call->completion_tokens = *row.get<int64>(14);
    call->cache_read_input_tokens = *row.get<int64>(15);
    call->cache_creation_input_tokens = *row.get<int64>(16);
    call->failed = *row.get<bool>(17);
    call->closed_at = *row.get<Time>(18);
    return call;
}

std::span<const FoundCall> read_found(const Rows &held, const Rows &closed)
{
    const auto found = allocate<FoundCall>(held.size() + closed.size());
    size_t count = 0;
    for (const Rows *rows : {&held, &closed})
        for (const Row row : *rows)
            found[count++] = {static_cast<size_t>(*row.get<int64>(row.description()->natts - 1)) - 1, read_call(row)};
    return found;
}

Calls read_calls(const Rows &rows)
{
    const auto calls = allocate<Call *>(rows.size());
    for (size_t i = 0; i < rows.size(); i++)
        calls[i] = read_call(rows[i]);
    return calls;
}

// Those of the calls that have come from one state to another.
template <typename Changed> Calls those(Calls calls, Changed changed)
{
    const auto some = allocate<Call *>(calls.size());
    const auto [in, end] = std::ranges::copy_if(calls, some.begin(), changed);
    return some.first(static_cast<size_t>(end - some.begin()));
}

bool is_closed(State state) { return state > State::held; }

std::span<const Text> organizations(Calls calls)
{
    return column<Text>(calls, [](const Call *call) { return call->party.organization_id; });
}
std::span<const Text> requests(Calls calls)
{
    return column<Text>(calls, [](const Call *call) { return call->request_id; });
}

// Runs a statement with what is known of reserved calls, and more.
template <typename... More> void write_reserved(Session &session, Statement &statement, Calls calls, const More &...more)
{
    session.run(statement, organizations(calls), column<Text>(calls, [](const Call *call) { return call->party.team_id; }),
                column<Text>(calls, [](const Call *call) { return call->party.user_id; }),
                column<Text>(calls, [](const Call *call) { return call->party.key_id; }), requests(calls),
                column<Text>(calls, [](const Call *call) { return call->model; }),
                column<Text>(calls, [](const Call *call) { return call->tags; }),
                column<Number>(calls, [](const Call *call) { return call->max_cost; }),
                column<int64>(calls, [](const Call *call) { return call->max_tokens; }),
                column<Time>(calls, [](const Call *call) { return call->reserved_at; }),
                column<Time>(calls, [](const Call *call) { return call->expires_at; }), more...);
}

struct Outcomes {
    std::span<const Number> cost;
    std::span<const int64> prompt_tokens, completion_tokens, cache_read, cache_creation;
    std::span<const bool> failed;
    std::span<const Time> closed_at;
};

Outcomes outcomes(Calls calls)
{
    return {column<Number>(calls, [](const Call *call) { return call->cost; }),
            column<int64>(calls, [](const Call *call) { return call->prompt_tokens; }),
            column<int64>(calls, [](const Call *call) { return call->completion_tokens; }),
            column<int64>(calls, [](const Call *call) { return call->cache_read_input_tokens; }),
            column<int64>(calls, [](const Call *call) { return call->cache_creation_input_tokens; }),
            column<bool>(calls, [](const Call *call) { return call->failed; }),
            column<Time>(calls, [](const Call *call) { return call->closed_at; })};
}

} // namespace

Text name_of(State state) { return state_names[static_cast<size_t>(state)]; }

Text reservation_id(const Call &call)
{
    const Text organization_id = call.party.organization_id;
    return to_text(psprintf("%zu.%.*s.%.*s", organization_id.size(), SHOW(organization_id), SHOW(call.request_id)));
}

Maybe<CallName> parse_reservation_id(Text id)
{
    size_t length = 0;
    const char *const end = id.data() + id.size();
    const auto [rest, error] = std::from_chars(id.data(), end, length);
    const Text after{rest, static_cast<size_t>(end - rest)};
    if (error != std::errc{} || length > after.size() || after.size() < length + 2 || after[0] != '.' ||
        after[length + 1] != '.')
        return {};
    return CallName{head(tail(after, 1), length), tail(after, length + 2)};
}

std::span<const FoundCall> find_calls(Session &session, std::span<const CallName> names)
{
    const auto organizations =
        column<Text>(names, [](const CallName &name) { return name.organization_id.value_or(Text{}); });
    const auto requests = column<Text>(names, [](const CallName &name) { return name.request_id; });
    const auto exact = column<bool>(names, [](const CallName &name) { return name.organization_id.has_value(); });
    return read_found(session.run(find_held, organizations, requests, exact),
                      session.run(find_closed, organizations, requests, exact));
}

std::span<const FoundCall> lock_calls(Session &session, std::span<const CallName> names)
{
    const auto organizations = column<Text>(names, [](const CallName &name) { return *name.organization_id; });
    const auto requests = column<Text>(names, [](const CallName &name) { return name.request_id; });
    const Rows held = session.run(lock_held, organizations, requests);
    return read_found(held, held.size() == names.size() ? Rows{nullptr, 0}
                                                        : session.run(lock_closed, organizations, requests));
}

Calls find_expired(Session &session, Texts organization_ids, Texts key_ids, Time now)
{
    return read_calls(session.run(find_expired_statement, organization_ids, key_ids, now));
}

Calls find_lapsed(Session &session, Texts organization_ids, Texts key_ids, Texts user_ids, Time now)
{
    return read_calls(session.run(find_lapsed_statement, organization_ids, key_ids, user_ids, now));
}

void write_calls(Session &session, Calls calls)
{
    const Calls held = those(calls, [](const Call *call) { return call->stored == State::none && call->state == State::held; });
    if (!held.empty())
        write_reserved(session, insert_held, held);
    const Calls over = those(calls, [](const Call *call) { return call->stored == State::held && is_closed(call->state); });
    if (!over.empty())
        session.run(delete_held, organizations(over), requests(over));
    const Calls closed = those(calls, [](const Call *call) { return !is_closed(call->stored) && is_closed(call->state); });
    if (!closed.empty()) {
        const auto [cost, prompt, completion, cache_read, cache_creation, failed, closed_at] = outcomes(closed);
        write_reserved(session, insert_closed, closed,
                       column<Text>(closed, [](const Call *call) { return name_of(call->state); }), cost, prompt,
                       completion, cache_read, cache_creation, failed, closed_at);
    }
    const Calls late =
        those(calls, [](const Call *call) { return is_closed(call->stored) && call->state != call->stored; });
    if (!late.empty()) {
        const auto [cost, prompt, completion, cache_read, cache_creation, failed, closed_at] = outcomes(late);
        session.run(settle_closed, organizations(late), requests(late), cost, prompt, completion, cache_read,
                    cache_creation, failed, closed_at);
    }
    for (Call *call : calls)
        call->stored = call->state;
}

} // namespace pg_org
