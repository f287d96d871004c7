// The calls of the ledger that a caller asks for and may see, newest first: those that the caller's own key or user
// made, those of the teams and organizations that the caller is an admin of, or all.
#pragma once

#include "base/paging.hpp"
#include "base/time_range.hpp"

namespace pg_org {

// What a caller asks for. None stands for all.
struct CallFilter {
    Maybe<Text> request_id, key_id, user_id, team_id, end_user, organization_id, model, status;
    Maybe<Number> min_spend, max_spend;
    TimeRange closed; // when the call was settled, cancelled or found expired
};

// Calls of the ledger that one of its indexes finds newest first. Empty texts stand for all.
struct CallSource {
    enum class Way { all, request, user, end_user, team, organization } way;
    bool of_organization; // else of all organizations
    Text organization_id, team_id, key_id, user_id;
    Time since; // calls before belong to an earlier owner of the same identifier
    bool own;   // the caller's own, without those that other sources have as well
};
using CallSources = std::span<const CallSource>;

// Where to look for what the caller asks for and may see.
CallSources sources_of_calls(Session &session, const CallFilter &filter);

// Their closed_at, request_id and organization_id: so many, after some others.
Rows find_calls(Session &session, CallSources sources, const CallFilter &filter, const PageStart &start, int64 limit,
                int64 offset = 0);

// How many there are, up to max_counted.
int64 count_calls(Session &session, CallSources sources, const CallFilter &filter);

// The costs of the calls by day in UTC: the day, what the sum is of, its identifier, and the sum. The sums of a day
// follow each other, in this order.
enum class SumOf : int64 { day, user, model, key };
Rows sum_calls_by_day(Session &session, CallSources sources, const CallFilter &filter);

// The token_id of a key given by secret or token_id; of a deleted key the token_id is still known.
Text id_of_key(Session &session, Text key);

} // namespace pg_org
