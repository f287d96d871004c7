// Finding calls, and writing what became of them.

#include "ledger.hpp"

#include "base/fail.hpp"
#include "base/number.hpp"

namespace pg_org {

namespace {

#define RESERVATION_COLUMNS                                                                                            \
    "organization_id, team_id, user_id, key_id, request_id, model, tags::text, max_cost, max_tokens, reserved_at,"     \
    " expires_at, 'held'::text, ctid, delegated"
#define USAGE_COLUMNS                                                                                                  \
    "organization_id, team_id, user_id, key_id, request_id, model, tags::text, max_cost, max_tokens, reserved_at,"     \
    " expires_at, state, ctid, delegated, cost, prompt_tokens, completion_tokens, cache_read_input_tokens,"            \
    " cache_creation_input_tokens, failed, closed_at"
constexpr int state_column = 11;

// A name at a time, and never the other way round: OFFSET 0 keeps the planner from that.
#define NAMED(arrays, names, columns, table, condition)                                                                \
    "SELECT call.*, place FROM unnest(" arrays ") WITH ORDINALITY AS named (" names ", place)"                         \
    " CROSS JOIN LATERAL (SELECT " columns " FROM org." table " WHERE " condition " OFFSET 0) AS call"

// $1 organizations (empty: any) and $2 requests, place by place; $3 whether a place has an organization.
#define FIND(columns, table)                                                                                           \
    NAMED("$1, $2, $3", "organization, request, exact", columns, table,                                                \
          "request_id = request AND (NOT exact OR organization_id = organization)")
// By primary key; the names are in its order, so that two at once don't lock each other out.
#define LOCK(columns, table, which)                                                                                    \
    NAMED("$1, $2", "organization, request", columns, table,                                                           \
          "organization_id = organization AND request_id = request FOR UPDATE" which)

constinit Statement find_held{FIND(RESERVATION_COLUMNS, "reservation")};
constinit Statement find_closed{FIND(USAGE_COLUMNS, "usage")};
constinit Statement lock_held{LOCK(RESERVATION_COLUMNS, "reservation", "")};
constinit Statement lock_closed{LOCK(USAGE_COLUMNS, "usage", "")};
constinit Statement lock_free_held{LOCK(RESERVATION_COLUMNS, "reservation", " SKIP LOCKED")};
constinit Statement lock_free_closed{LOCK(USAGE_COLUMNS, "usage", " SKIP LOCKED")};

// What counts for $1 organizations, $2 keys of none and $3 users. In the order of an index, which no other plan has for
// nothing.
#define COUNTING_FOR_ONE(names, columns, owner, condition, limit)                                                      \
    "SELECT r.* FROM (SELECT DISTINCT unnest(" names ") AS id) AS named"                                               \
    " CROSS JOIN LATERAL (SELECT " columns " FROM org.reservation"                                                     \
    "                      WHERE " owner " AND " condition " ORDER BY expires_at" limit ") AS r"
#define COUNTING(columns, condition, limit)                                                                            \
    COUNTING_FOR_ONE("$1", columns, "organization_id = named.id AND organization_id <> ''", condition, limit)          \
    " UNION ALL " COUNTING_FOR_ONE("$2", columns, "key_id = named.id AND organization_id = ''", condition, limit)      \
    " UNION ALL " COUNTING_FOR_ONE("$3", columns, "user_id = named.id AND user_id <> '' AND NOT delegated"             \
                                   " AND NOT (organization_id <> '' AND organization_id = ANY ($1))"                   \
                                   " AND NOT (organization_id = '' AND key_id = ANY ($2))", condition, limit)
// $4 now.
#define MOST " LIMIT 1000"
static_assert(max_expired == 1000);
constinit Statement find_expired_statement{
    "SELECT * FROM (" COUNTING(RESERVATION_COLUMNS, "expires_at <= $4", MOST) ") AS expired" MOST};

// $4 now, $5 after when what has expired is summed, $6 points in time, $7 models.
constinit Statement sum_reserved_statement{
    "SELECT organization_id, team_id, user_id, key_id, asked, has_expired, sum(max_cost), sum(max_tokens)::bigint,"
    "       count(*), min(reserved_at), delegated"
    "  FROM (SELECT *, expires_at <= $4 AS has_expired,"
    "               CASE WHEN model IN (SELECT unnest($7))"
    "                      OR substr(model, strpos(model, '/') + 1) IN (SELECT unnest($7)) THEN model ELSE '' END"
    "                   AS asked"
    "          FROM (" COUNTING("*", "expires_at > $5", "") ") AS counting) AS counting"
    " GROUP BY organization_id, team_id, user_id, key_id, delegated, asked, has_expired,"
    "          width_bucket(reserved_at, $6)"};

constinit Statement insert_held{
    "INSERT INTO org.reservation (organization_id, team_id, user_id, key_id, request_id, model, tags, max_cost,"
    "                             max_tokens, reserved_at, expires_at, delegated)"
    " SELECT o, t, u, k, r, m, tags::text[], c, n, reserved, expires, d"
    "   FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    "     AS held (o, t, u, k, r, m, tags, c, n, reserved, expires, d)"};

constinit Statement delete_held{"DELETE FROM org.reservation WHERE ctid = ANY ($1)"};

constinit Statement insert_closed{
    "INSERT INTO org.usage (organization_id, team_id, user_id, key_id, request_id, model, tags, max_cost, max_tokens,"
    "                       reserved_at, expires_at, delegated, state, cost, prompt_tokens, completion_tokens,"
    "                       cache_read_input_tokens, cache_creation_input_tokens, failed, closed_at)"
    " SELECT o, t, u, k, r, m, tags::text[], c, n, reserved, expires, d, s, cost, p, e, cr, cc, f, closed"
    "   FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)"
    "     AS over (o, t, u, k, r, m, tags, c, n, reserved, expires, d, s, cost, p, e, cr, cc, f, closed)"};

constinit Statement settle_closed{
    "UPDATE org.usage"
    "   SET state = 'settled', cost = $3, prompt_tokens = $4, completion_tokens = $5, cache_read_input_tokens = $6,"
    "       cache_creation_input_tokens = $7, failed = $8, closed_at = $9"
    " WHERE organization_id = $1 AND request_id = $2"};

constexpr std::array<Text, 5> state_names{"", "held", "settled", "cancelled", "expired"};

State state_named(Text name)
{
    const auto found = std::ranges::find(state_names, name);
    if (found == state_names.end())
        not_as_made("A call has a state that there is not");
    return static_cast<State>(found - state_names.begin());
}

Call *read_call(const Row &row)
{
    Call *call = allocate<Call>(1).data();
    call->party = {*row.get<Text>(0), *row.get<Text>(1), *row.get<Text>(2), *row.get<Text>(3), *row.get<bool>(13)};
    call->request_id = *row.get<Text>(4);
    call->model = *row.get<Text>(5);
    call->tags = *row.get<Text>(6);
    call->max_cost = *row.get<Number>(7);
    call->max_tokens = *row.get<int64>(8);
    call->reserved_at = *row.get<Time>(9);
    call->expires_at = *row.get<Time>(10);
    call->state = call->stored = state_named(*row.get<Text>(state_column));
    call->tid = *row.get<Tid>(12);
    call->cost = zero();
    if (call->state == State::held)
        return call;
    call->cost = *row.get<Number>(14);
    call->prompt_tokens = *row.get<int64>(15);
    call->completion_tokens = *row.get<int64>(16);
    call->cache_read_input_tokens = *row.get<int64>(17);
    call->cache_creation_input_tokens = *row.get<int64>(18);
    call->failed = *row.get<bool>(19);
    call->closed_at = *row.get<Time>(20);
    return call;
}

std::span<const FoundCall> read_found(const Rows &held, const Rows &closed)
{
    const auto found = allocate<FoundCall>(held.size() + closed.size());
    size_t count = 0;
    for (const Rows *rows : {&held, &closed})
        for (const Row row : *rows)
            found[count++] = {static_cast<size_t>(*row.get<int64>(row.columns() - 1)) - 1, read_call(row)};
    return found;
}

// Runs a statement about what counts for owners of the parties.
template <typename... More>
Rows run_for(std::span<const Party> parties, Session &session, Statement &statement, const More &...more)
{
    const auto named = [&](auto member) {
        return column<Text>(parties, [&](const Party &party) { return party.*member; });
    };
    const auto keys = allocate<Text>(parties.size());
    size_t count = 0;
    for (const Party &party : parties)
        if (party.organization_id.empty())
            keys[count++] = party.key_id;
    return session.run(statement, named(&Party::organization_id), Texts{keys.first(count)}, named(&Party::user_id),
                       more...);
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
template <typename... More>
void write_reserved(Session &session, Statement &statement, Calls calls, const More &...more)
{
    session.run(statement, organizations(calls),
                column<Text>(calls, [](const Call *call) { return call->party.team_id; }),
                column<Text>(calls, [](const Call *call) { return call->party.user_id; }),
                column<Text>(calls, [](const Call *call) { return call->party.key_id; }), requests(calls),
                column<Text>(calls, [](const Call *call) { return call->model; }),
                column<Text>(calls, [](const Call *call) { return call->tags; }),
                column<Number>(calls, [](const Call *call) { return call->max_cost; }),
                column<int64>(calls, [](const Call *call) { return call->max_tokens; }),
                column<Time>(calls, [](const Call *call) { return call->reserved_at; }),
                column<Time>(calls, [](const Call *call) { return call->expires_at; }),
                column<bool>(calls, [](const Call *call) { return call->party.delegated; }), more...);
}

void write_held(Session &session, Calls held) { write_reserved(session, insert_held, held); }

void write_over(Session &session, Calls over)
{
    session.run(delete_held, column<Tid>(over, [](const Call *call) { return call->tid; }));
}

void write_closed(Session &session, Calls closed)
{
    const auto counts = [&](auto member) {
        return column<int64>(closed, [&](const Call *call) { return call->*member; });
    };
    write_reserved(session, insert_closed, closed,
                   column<Text>(closed, [](const Call *call) { return name_of(call->state); }),
                   column<Number>(closed, [](const Call *call) { return call->cost; }), counts(&Call::prompt_tokens),
                   counts(&Call::completion_tokens), counts(&Call::cache_read_input_tokens),
                   counts(&Call::cache_creation_input_tokens),
                   column<bool>(closed, [](const Call *call) { return call->failed; }),
                   column<Time>(closed, [](const Call *call) { return call->closed_at; }));
}

} // namespace

Text name_of(State state) { return state_names[static_cast<size_t>(state)]; }

Text reservation_id(const Call &call)
{
    const Text organization_id = call.party.organization_id;
    return to_text(psprintf("%zu.%.*s.%.*s", organization_id.size(), FMT_ARG(organization_id), FMT_ARG(call.request_id)));
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

std::span<const FoundCall> lock_calls(Session &session, std::span<const CallName> names, bool wait)
{
    const auto organizations = column<Text>(names, [](const CallName &name) { return *name.organization_id; });
    const auto requests = column<Text>(names, [](const CallName &name) { return name.request_id; });
    const Rows held = session.run(wait ? lock_held : lock_free_held, organizations, requests);
    if (held.size() == names.size())
        return read_found(held, Rows{nullptr, 0});
    return read_found(held, session.run(wait ? lock_closed : lock_free_closed, organizations, requests));
}

Calls find_expired(Session &session, std::span<const Party> parties, Time now)
{
    const auto rows = run_for(parties, session, find_expired_statement, now);
    const auto calls = allocate<Call *>(rows.size());
    for (size_t i = 0; i < rows.size(); i++)
        calls[i] = read_call(rows[i]);
    return calls;
}

std::span<const Reserved> sum_reserved(Session &session, std::span<const Party> parties, Time now, Time after,
                                       std::span<const Time> points, Texts models)
{
    const auto sorted = allocate<Time>(points.size());
    std::ranges::copy(points, sorted.begin());
    std::ranges::sort(sorted, {}, &Time::value);
    const auto rows = run_for(parties, session, sum_reserved_statement, now, after, std::span<const Time>{sorted},
                              models)
                          .all();
    const auto sums = allocate<Reserved>(rows.size());
    std::ranges::transform(rows, sums.begin(), [](const Row &row) -> Reserved {
        return {{*row.get<Text>(0), *row.get<Text>(1), *row.get<Text>(2), *row.get<Text>(3), *row.get<bool>(10)},
                *row.get<Text>(4),
                *row.get<bool>(5),
                *row.get<Number>(6),
                *row.get<int64>(7),
                *row.get<int64>(8),
                *row.get<Time>(9)};
    });
    return sums;
}

void write_calls(Session &session, Calls calls)
{
    const Calls held =
        those(calls, [](const Call *call) { return call->stored == State::none && call->state == State::held; });
    if (!held.empty())
        write_held(session, held);
    const Calls over =
        those(calls, [](const Call *call) { return call->stored == State::held && is_closed(call->state); });
    if (!over.empty())
        write_over(session, over);
    const Calls closed =
        those(calls, [](const Call *call) { return !is_closed(call->stored) && is_closed(call->state); });
    if (!closed.empty())
        write_closed(session, closed);
    for (const Call *call :
         those(calls, [](const Call *call) { return is_closed(call->stored) && call->state != call->stored; }))
        session.run(settle_closed, call->party.organization_id, call->request_id, call->cost, call->prompt_tokens,
                    call->completion_tokens, call->cache_read_input_tokens, call->cache_creation_input_tokens,
                    call->failed, call->closed_at);
    for (Call *call : calls)
        call->stored = call->state;
}

void warm_up_reading_calls(Session &session, Text nobody)
{
    const CallName name{nobody, nobody};
    const Party party{nobody, nobody, nobody, nobody};
    find_calls(session, {&name, 1});
    const Time now{GetCurrentTimestamp()};
    find_expired(session, {&party, 1}, now);
    sum_reserved(session, {&party, 1}, now, now, {&now, 1}, {});
}

void warm_up_writing_calls(Session &session, Text nobody)
{
    const CallName name{nobody, nobody};
    for (const bool wait : {false, true})
        lock_calls(session, {&name, 1}, wait);
    write_held(session, {});
    write_over(session, {});
    write_closed(session, {});
}

} // namespace pg_org
