// The ledger of calls to models. Each call is one row: in org.reservation while it is held, in org.usage once it is
// closed. All counters are sums of the ledger.
#pragma once

#include "limited_owner.hpp"

namespace pg_org {

enum class State { none, held, settled, cancelled, expired };
Text name_of(State state);

struct Call {
    OwnerIds owners;
    Text request_id;
    Text model; // aliases resolved
    Texts tags;
    Number max_cost; // in US dollars
    int64 max_tokens;
    Time reserved_at, expires_at;
    Number cost; // like the following: zero until the call is settled
    int64 prompt_tokens, completion_tokens, cache_read_input_tokens, cache_creation_input_tokens;
    bool failed;
    Time closed_at;
    State state;
    State stored; // in the tables
    Time stored_closed_at;
    Tid tid; // of the stored row

    int64 tokens() const { return prompt_tokens + completion_tokens; }
};
using Calls = std::span<Call *const>;

// The reservation_id in replies: it contains organization_id and request_id.
Text reservation_id(const Call &call);

// The name of a call in requests; without organization the call may be of any.
struct CallName {
    Maybe<Text> organization_id;
    Text request_id;
};
// The name that a reservation_id contains, none if it is malformed.
Maybe<CallName> parse_reservation_id(Text id);

struct FoundCall {
    size_t place; // of its name
    Call *call;
};
// Locks the ledger against archiving. To be called before rows of owners are locked: whoever holds those may need the
// ledger later, and would wait for archiving, which waits for those who use the ledger and wait for the rows.
void lock_ledger();

// Finds the calls of the names, as long as they are remembered. Only a name without organization can have several.
std::span<const FoundCall> find_calls(Session &session, std::span<const CallName> names);
// Finds calls that are not remembered any more, as long as they have not been archived.
std::span<const FoundCall> find_forgotten_calls(Session &session, std::span<const CallName> names);
// The same, locking the calls; without waiting it leaves out those that other transactions have locked.
std::span<const FoundCall> lock_calls(Session &session, std::span<const CallName> names, bool wait = true);

// Expired reservations of the owners of the calls: of their organizations, of their teams and keys of no organization,
// and of their users and the platform's end users in any organization. At most this many, the oldest of each owner
// first.
inline constexpr size_t max_expired = 1000;
Calls find_expired(Session &session, std::span<const OwnerIds> calls, Time now);

// The sum of reservations with the same owners, model and tags, made in the same interval.
struct ReservationSum {
    OwnerIds owners;
    // Empty if they were not asked for.
    Text model;
    Texts tags;
    bool has_expired;
    Number max_cost;
    int64 max_tokens, requests;
    Time reserved_at; // of one of them
};
using ReservationSums = std::span<const ReservationSum>;
// By what reservations are summed, beside the owners.
struct SumBy {
    bool model, tags, end_user;
};
// Sums the reservations of the owners of the calls that expire after a time. The times are the ends of intervals.
ReservationSums sum_reservations(Session &session, std::span<const OwnerIds> calls, Time now, Time expire_after,
                                 std::span<const Time> times, SumBy by);

// Writes the calls whose state has changed.
void write_calls(Session &session, Calls calls);

// See warm_up.
void warm_up_reading_calls(Session &session, Text nobody);
void warm_up_writing_calls(Session &session, Text nobody);

} // namespace pg_org
