// Finding, locking and writing calls.

#include "ledger.hpp"

#include "base/clock.hpp"
#include "base/partition.hpp"
#include "ranges.hpp"
#include "rules/retention.hpp"

namespace pg_org {

namespace {

#define RESERVATION_COLUMNS                                                                                            \
    "organization_id, team_id, user_id, key_id, request_id, model, tags, max_cost, max_tokens, reserved_at,"           \
    " expires_at, 'held'::text, ctid, delegated, end_user"
#define USAGE_COLUMNS                                                                                                  \
    "organization_id, team_id, user_id, key_id, request_id, model, tags, max_cost, max_tokens, reserved_at,"           \
    " expires_at, state, ctid, delegated, end_user, cost, prompt_tokens, completion_tokens, cache_read_input_tokens,"  \
    " cache_creation_input_tokens, failed, closed_at"
// In place of the columns that a reservation does not have.
#define NOT_CLOSED ", 0::numeric AS cost, 0::bigint, 0::bigint, 0::bigint, 0::bigint, false, NULL::timestamptz"
constexpr int state_column = 11;

// The index on closed calls has digests of their request_ids: it is a third as large as one of the texts. IS TRUE keeps
// the planner from reading all calls of an organization instead, while it has no statistics of a new partition.
#define HAS_REQUEST_ID "org.request_digest(request_id) = org.request_digest(request) AND request_id = request"

// Calls by name: $1 organizations and $2 requests; $3 tells whether a name has an organization, $4 from when on closed
// calls are remembered. A name with an organization is that of one call: once it is found, LIMIT ends the search, and
// for a reservation the ledger is not read. LIMIT also makes the planner look up one name after the other. One
// statement, since starting one costs more than a look-up.
constinit Statement find_statement{R"(
    SELECT call.*, place
      FROM unnest($1, $2, $3) WITH ORDINALITY AS named (organization, request, exact, place)
     CROSS JOIN LATERAL (
           SELECT )" RESERVATION_COLUMNS NOT_CLOSED R"(
             FROM org.reservation
            WHERE request_id = request
              AND (NOT exact OR organization_id = organization)
            UNION ALL
           SELECT )" USAGE_COLUMNS R"(
             FROM org.usage
            WHERE )" HAS_REQUEST_ID R"(
              AND (NOT exact OR organization_id = organization)
              AND closed_at >= $4
            LIMIT CASE WHEN exact THEN 1 END) AS call)"};

// Of several in one organization the last one.
constinit Statement find_forgotten{R"(
    SELECT call.*, place
      FROM unnest($1, $2, $3) WITH ORDINALITY AS named (organization, request, exact, place)
     CROSS JOIN LATERAL (
           SELECT DISTINCT ON (organization_id) )" USAGE_COLUMNS R"(
             FROM org.usage
            WHERE )" HAS_REQUEST_ID R"(
              AND (NOT exact OR organization_id = organization)
              AND closed_at < $4
            ORDER BY organization_id, closed_at DESC) AS call)",
                                   Planned::each_time};

// Names are sorted, so that concurrent calls lock in the same order.
constinit Statement lock_held{R"(
    SELECT call.*, place
      FROM unnest($1, $2) WITH ORDINALITY AS named (organization, request, place)
     CROSS JOIN LATERAL (
           SELECT )" RESERVATION_COLUMNS R"(
             FROM org.reservation
            WHERE organization_id = organization AND request_id = request FOR UPDATE OFFSET 0) AS call)"};

constinit Statement lock_closed{R"(
    SELECT call.*, place
      FROM unnest($1, $2) WITH ORDINALITY AS named (organization, request, place)
     CROSS JOIN LATERAL (
           SELECT )" USAGE_COLUMNS R"(
             FROM org.usage
            WHERE )" HAS_REQUEST_ID R"(
              AND (organization_id = organization) IS TRUE
              AND closed_at >= $3
              FOR UPDATE OFFSET 0) AS call)"};

constinit Statement lock_free_held{R"(
    SELECT call.*, place
      FROM unnest($1, $2) WITH ORDINALITY AS named (organization, request, place)
     CROSS JOIN LATERAL (
           SELECT )" RESERVATION_COLUMNS R"(
             FROM org.reservation
            WHERE organization_id = organization AND request_id = request
              FOR UPDATE SKIP LOCKED OFFSET 0) AS call)"};

constinit Statement lock_free_closed{R"(
    SELECT call.*, place
      FROM unnest($1, $2) WITH ORDINALITY AS named (organization, request, place)
     CROSS JOIN LATERAL (
           SELECT )" USAGE_COLUMNS R"(
             FROM org.usage
            WHERE )" HAS_REQUEST_ID R"(
              AND (organization_id = organization) IS TRUE
              AND closed_at >= $3
              FOR UPDATE SKIP LOCKED OFFSET 0) AS call)"};

// Reservations that have expired by $2 of owners $1, the oldest of each owner first. ORDER BY keeps the planner to the
// index on each owner's reservations by expires_at.
#define FIND_EXPIRED(owners, condition)                                                                                \
    "SELECT r.*"                                                                                                       \
    "  FROM " owners " AS named (id)"                                                                                  \
    " CROSS JOIN LATERAL (SELECT " RESERVATION_COLUMNS " FROM org.reservation"                                         \
    "                      WHERE " condition " AND expires_at <= $2 ORDER BY expires_at LIMIT 1000) AS r LIMIT 1000"
static_assert(max_expired == 1000);
// Not those that were found of $3 organizations, and of $4 keys and $5 teams of no organization.
#define NOT_FOUND_YET                                                                                                  \
    " AND NOT (organization_id <> '' AND organization_id = ANY ($3))"                                                  \
    " AND NOT (organization_id = '' AND (key_id = ANY ($4) OR (team_id <> '' AND team_id = ANY ($5))))"

constinit Statement find_expired_of_organizations{
    FIND_EXPIRED("unnest($1)", "organization_id = named.id AND organization_id <> ''")};
constinit Statement find_expired_of_keys{FIND_EXPIRED("unnest($1)", "key_id = named.id AND organization_id = ''")};
constinit Statement find_expired_of_teams{FIND_EXPIRED(
    "unnest($1)", "team_id = named.id AND organization_id = '' AND team_id <> '' AND NOT key_id = ANY ($3)")};
constinit Statement find_expired_of_users{
    FIND_EXPIRED("unnest($1)", "user_id = named.id AND user_id <> '' AND NOT delegated" NOT_FOUND_YET)};
// $6: users.
constinit Statement find_expired_of_end_users{
    FIND_EXPIRED("(SELECT end_user_id FROM org.end_user WHERE organization_id = '' AND end_user_id = ANY ($1))",
                 "end_user = named.id AND end_user <> ''" NOT_FOUND_YET
                 " AND NOT (user_id <> '' AND NOT delegated AND user_id = ANY ($6))")};

constinit Statement sum_reservations_statement{
#include "queries/sum_reservations.inc"
};

#define CALL_COLUMNS                                                                                                   \
    "organization_id, team_id, user_id, key_id, request_id, model, tags, max_cost, max_tokens, reserved_at, "          \
    "expires_at, delegated, end_user"
#define TYPED_CALL_COLUMNS                                                                                             \
    "organization_id text, team_id text, user_id text, key_id text, request_id text, model text, tags text[], "        \
    "max_cost numeric, max_tokens bigint, reserved_at timestamptz, expires_at timestamptz, delegated boolean, "        \
    "end_user text"
using CallColumns = std::tuple<Text, Text, Text, Text, Text, Text, Texts, Number, int64, Time, Time, bool, Text>;

constinit Statement insert_held{"INSERT INTO org.reservation (" CALL_COLUMNS
                                ") SELECT * FROM unnest($1) AS held (" TYPED_CALL_COLUMNS ")"};

constinit Statement delete_held{"DELETE FROM org.reservation WHERE ctid = ANY ($1)"};

constinit Statement insert_closed{R"(
    INSERT INTO org.usage ()" CALL_COLUMNS R"(, state, cost, prompt_tokens, completion_tokens, cache_read_input_tokens,
                           cache_creation_input_tokens, failed, closed_at)
    SELECT *
      FROM unnest($1) AS call ()" TYPED_CALL_COLUMNS R"(, state text, cost numeric, prompt_tokens bigint,
                               completion_tokens bigint, cache_read_input_tokens bigint,
                               cache_creation_input_tokens bigint, failed boolean, closed_at timestamptz))"};

constinit Statement settle_closed{R"(
    UPDATE org.usage
       SET state = 'settled', cost = $3, prompt_tokens = $4, completion_tokens = $5, cache_read_input_tokens = $6,
           cache_creation_input_tokens = $7, failed = $8, closed_at = $9
     WHERE organization_id = $1
       AND request_id = $2
       AND closed_at = $10)"};

constexpr std::array<Text, 5> state_names{"", "held", "settled", "cancelled", "expired"};

State state_named(Text name)
{
    const auto found = std::ranges::find(state_names, name);
    if (found == state_names.end())
        not_as_made("A call has an unknown state");
    return static_cast<State>(found - state_names.begin());
}

Call *read_call(const Row &row)
{
    Call *call = allocate<Call>(1).data();
    call->owners = {*row.get<Text>(0), *row.get<Text>(1),  *row.get<Text>(2),
                    *row.get<Text>(3), *row.get<Text>(14), *row.get<bool>(13)};
    call->request_id = *row.get<Text>(4);
    call->model = *row.get<Text>(5);
    call->tags = *row.get<Texts>(6);
    call->max_cost = *row.get<Number>(7);
    call->max_tokens = *row.get<int64>(8);
    call->reserved_at = *row.get<Time>(9);
    call->expires_at = *row.get<Time>(10);
    call->state = call->stored = state_named(*row.get<Text>(state_column));
    call->tid = *row.get<Tid>(12);
    call->cost = zero();
    if (call->state == State::held)
        return call;
    call->cost = *row.get<Number>(15);
    call->prompt_tokens = *row.get<int64>(16);
    call->completion_tokens = *row.get<int64>(17);
    call->cache_read_input_tokens = *row.get<int64>(18);
    call->cache_creation_input_tokens = *row.get<int64>(19);
    call->failed = *row.get<bool>(20);
    call->closed_at = call->stored_closed_at = *row.get<Time>(21);
    return call;
}

std::span<const FoundCall> read_found(const Rows &rows)
{
    return map<FoundCall>(rows.all(), [](const Row &row) {
        return FoundCall{static_cast<size_t>(*row.get<int64>(row.columns() - 1)) - 1, read_call(row)};
    });
}

// Names of calls as parameters.
struct Names {
    Texts organizations, requests;
    std::span<const bool> are_exact; // whether they have an organization

    explicit Names(std::span<const CallName> names)
        : organizations(map<Text>(names, [](const CallName &name) { return name.organization_id.value_or(Text{}); })),
          requests(map<Text>(names, [](const CallName &name) { return name.request_id; })),
          are_exact(map<bool>(names, [](const CallName &name) { return name.organization_id.has_value(); }))
    {
    }
};

// The owners of calls whose reservations calls look at, each kind once: all of an organization; outside those, of a key
// or a team; and of users and end users anywhere.
struct ReservationOwners {
    Texts organizations, keys, teams, users, end_users;

    explicit ReservationOwners(std::span<const OwnerIds> calls)
        : organizations(ids_of(calls, &OwnerIds::organization_id, false)), keys(ids_of(calls, &OwnerIds::key_id, true)),
          teams(ids_of(calls, &OwnerIds::team_id, true)), users(ids_of(calls, &OwnerIds::user_id, false)),
          end_users(ids_of(calls, &OwnerIds::end_user, false))
    {
    }

private:
    static Texts ids_of(std::span<const OwnerIds> calls, Text OwnerIds::*member, bool only_outside)
    {
        const auto ids = allocate<Text>(calls.size());
        size_t count = 0;
        for (const OwnerIds &call : calls)
            if (!(call.*member).empty() && (!only_outside || call.organization_id.empty()))
                ids[count++] = call.*member;
        return sort_unique(ids.first(count));
    }
};

bool is_closed(State state) { return state > State::held; }

CallColumns columns_of(const Call &call)
{
    const OwnerIds &owners = call.owners;
    return {owners.organization_id, owners.team_id,   owners.user_id,  owners.key_id,
            call.request_id,        call.model,       call.tags,       call.max_cost,
            call.max_tokens,        call.reserved_at, call.expires_at, owners.delegated,
            owners.end_user};
}

void write_held(Session &session, Calls held)
{
    session.run(insert_held, map<CallColumns>(held, [](const Call *call) { return columns_of(*call); }));
}

void delete_closed(Session &session, Calls closed)
{
    session.run(delete_held, map<Tid>(closed, [](const Call *call) { return call->tid; }));
}

void write_closed(Session &session, Calls closed)
{
    using More = std::tuple<Text, Number, int64, int64, int64, int64, bool, Time>;
    using Record = decltype(std::tuple_cat(CallColumns{}, More{}));
    session.run(insert_closed, map<Record>(closed, [](const Call *call) {
                    return std::tuple_cat(columns_of(*call),
                                          More{name_of(call->state), call->cost, call->prompt_tokens,
                                               call->completion_tokens, call->cache_read_input_tokens,
                                               call->cache_creation_input_tokens, call->failed, call->closed_at});
                }));
}

} // namespace

Text name_of(State state) { return state_names[static_cast<size_t>(state)]; }

Text reservation_id(const Call &call)
{
    const Text organization_id = call.owners.organization_id;
    return to_text(
        psprintf("%zu.%.*s.%.*s", organization_id.size(), FMT_ARG(organization_id), FMT_ARG(call.request_id)));
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

void lock_ledger() { LockRelationOid(get_relname_relid("usage", get_namespace_oid("org", false)), RowExclusiveLock); }

std::span<const FoundCall> find_calls(Session &session, std::span<const CallName> names)
{
    const Names of{names};
    return read_found(
        session.run(find_statement, of.organizations, of.requests, of.are_exact, remembered_from(session, present())));
}

std::span<const FoundCall> find_forgotten_calls(Session &session, std::span<const CallName> names)
{
    const Names of{names};
    return read_found(
        session.run(find_forgotten, of.organizations, of.requests, of.are_exact, remembered_from(session, present())));
}

std::span<const FoundCall> lock_calls(Session &session, std::span<const CallName> names, bool wait)
{
    const Names of{names};
    const auto held = read_found(session.run(wait ? lock_held : lock_free_held, of.organizations, of.requests));
    if (held.size() == names.size())
        return held;
    const auto closed = read_found(session.run(wait ? lock_closed : lock_free_closed, of.organizations, of.requests,
                                               remembered_from(session, present())));
    return concatenate(held, closed);
}

Calls find_expired(Session &session, std::span<const OwnerIds> calls, Time now)
{
    const ReservationOwners of{calls};
    const auto expired = allocate<Call *>(max_expired);
    size_t count = 0;
    const auto find = [&](Statement &statement, Texts ids, const auto &...others) {
        if (ids.empty() || count == max_expired)
            return;
        for (const Row row : session.run(statement, ids, now, others...))
            if (count < max_expired)
                expired[count++] = read_call(row);
    };
    find(find_expired_of_organizations, of.organizations);
    find(find_expired_of_keys, of.keys);
    find(find_expired_of_teams, of.teams, of.keys);
    find(find_expired_of_users, of.users, of.organizations, of.keys, of.teams);
    find(find_expired_of_end_users, of.end_users, of.organizations, of.keys, of.teams, of.users);
    return expired.first(count);
}

ReservationSums sum_reservations(Session &session, std::span<const OwnerIds> calls, Time now, Time expire_after,
                                 std::span<const Time> times, SumBy by)
{
    const auto sorted = concatenate<Time>(times, {});
    std::ranges::sort(sorted, {}, &Time::value);
    const ReservationOwners of{calls};
    const auto rows = session
                          .run(sum_reservations_statement, of.organizations, of.keys, of.users, of.teams, of.end_users,
                               now, expire_after, std::span<const Time>{sorted}, by.model, by.tags, by.end_user)
                          .all();
    return map<ReservationSum>(rows, [](const Row &row) -> ReservationSum {
        return {{*row.get<Text>(0), *row.get<Text>(1), *row.get<Text>(2), *row.get<Text>(3), *row.get<Text>(4),
                 *row.get<bool>(5)},
                *row.get<Text>(6),
                *row.get<Texts>(7),
                *row.get<bool>(8),
                *row.get<Number>(9),
                *row.get<int64>(10),
                *row.get<int64>(11),
                *row.get<Time>(12)};
    });
}

void write_calls(Session &session, Calls calls)
{
    for (const Call *call : calls)
        if (is_closed(call->state))
            require_partition(session, Partitioned::usage, call->closed_at);
    const Calls held =
        filter(calls, [](const Call *call) { return call->stored == State::none && call->state == State::held; });
    if (!held.empty())
        write_held(session, held);
    const Calls no_longer_held =
        filter(calls, [](const Call *call) { return call->stored == State::held && is_closed(call->state); });
    if (!no_longer_held.empty())
        delete_closed(session, no_longer_held);
    const Calls closed =
        filter(calls, [](const Call *call) { return !is_closed(call->stored) && is_closed(call->state); });
    if (!closed.empty())
        write_closed(session, closed);
    for (const Call *call : calls)
        if (is_closed(call->stored) && call->state != call->stored)
            session.run(settle_closed, call->owners.organization_id, call->request_id, call->cost, call->prompt_tokens,
                        call->completion_tokens, call->cache_read_input_tokens, call->cache_creation_input_tokens,
                        call->failed, call->closed_at, call->stored_closed_at);
    for (Call *call : calls) {
        call->stored = call->state;
        call->stored_closed_at = call->closed_at;
    }
}

void warm_up_reading_calls(Session &session, Text nobody)
{
    const CallName name{nobody, nobody};
    const OwnerIds ids{nobody, nobody, nobody, nobody, nobody};
    find_calls(session, {&name, 1});
    const Time now{GetCurrentTimestamp()};
    find_expired(session, {&ids, 1}, now);
    sum_reservations(session, {&ids, 1}, now, now, {&now, 1}, {});
}

void warm_up_writing_calls(Session &session, Text nobody)
{
    const CallName name{nobody, nobody};
    for (const bool wait : {false, true})
        lock_calls(session, {&name, 1}, wait);
    write_held(session, {});
    delete_closed(session, {});
    write_closed(session, {});
}

} // namespace pg_org
