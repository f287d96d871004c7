// The ledger of calls to models.  A call is in the tables once: in reservation while something is held for it, in
// usage from then on.  What becomes of it is a change of its state, and all counters follow from that (see counters).
#pragma once

#include "base/session.hpp"

namespace pg_org {

// Whom a call is charged to. An empty identifier means none. One with a key that an organization's admin made for the
// user is delegated: it is charged to them inside the organization, not on the whole platform.
struct Party {
    Text organization_id, team_id, user_id, key_id;
    bool delegated = false;
    auto operator<=>(const Party &) const = default;
};

enum class State { none, held, settled, cancelled, expired };
Text name_of(State state);

struct Call {
    Party party;
    Text request_id;
    Text model;      // aliases resolved
    Text tags;       // as a text[] literal
    Number max_cost; // held, in US dollars
    int64 max_tokens;
    Time reserved_at, expires_at;
    Number cost; // zero before it is settled, as all that follows
    int64 prompt_tokens, completion_tokens, cache_read_input_tokens, cache_creation_input_tokens;
    bool failed;
    Time closed_at;
    State state;  // what it is by now
    State stored; // what it is in the tables
    Tid tid;      // and where

    int64 tokens() const { return prompt_tokens + completion_tokens; }
};
using Calls = std::span<Call *const>;

// The name by which replies call a reservation: its organization and request.
Text reservation_id(const Call &call);

// A call as requests name it: by request_id, among those of an organization if that is known.
struct CallName {
    Maybe<Text> organization_id;
    Text request_id;
};
// What a reservation_id stands for, none if it is malformed.
Maybe<CallName> parse_reservation_id(Text id);

// Finds the calls of those names, in the order of the names; several for one only if it has no organization.
struct FoundCall {
    size_t place; // of its name
    Call *call;
};
std::span<const FoundCall> find_calls(Session &session, std::span<const CallName> names);
// The same, locking them against others who would change them at the same time; without waiting, those that others have
// locked are left out.
std::span<const FoundCall> lock_calls(Session &session, std::span<const CallName> names, bool wait = true);

// Reservations that have expired and count for owners of the parties: those of their organizations, of their keys of
// no organization, and of their users anywhere. No more than this at once, an owner's oldest first.
inline constexpr size_t max_expired = 1000;
Calls find_expired(Session &session, std::span<const Party> parties, Time now);

// The sum of reservations of one party, for one model, made between two of some points in time.
struct Reserved {
    Party party;
    Text model; // empty for those that are not asked for one by one
    bool has_expired;
    Number max_cost;
    int64 max_tokens, requests;
    Time reserved_at; // of one of them
};
// Sums the reservations that count for owners of the parties and have not expired, or have expired after a time.
std::span<const Reserved> sum_reserved(Session &session, std::span<const Party> parties, Time now, Time after,
                                       std::span<const Time> points, Texts models);

// Writes those calls whose state is not what is stored.
void write_calls(Session &session, Calls calls);

// A list of values, one from each element of a range.
template <typename T, typename Range, typename Get> std::span<const T> column(const Range &range, Get get)
{
    const auto values = allocate<T>(std::size(range));
    std::ranges::transform(range, values.begin(), get);
    return values;
}

// See warm_up.
void warm_up_reading_calls(Session &session, Text nobody);
void warm_up_writing_calls(Session &session, Text nobody);

} // namespace pg_org
