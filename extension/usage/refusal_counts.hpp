// Counting the calls that limits refuse, as org.usage_refusal has them: by limit and hour.
#pragma once

#include "refusal.hpp"

namespace pg_org {

// Counts a refused call for each of these limits, and sorts them. Their owners are locked.
void count_refusals(Session &session, std::span<AppliedLimit> limits, Time now);

// How long the counts are kept, in days.
inline constexpr int64 refusal_days = 35;
// Deletes some of the counts that were kept that long, and returns how many; none of them are left if it is none.
size_t delete_old_refusals(Session &session, Time now);

// See warm_up.
void warm_up_counting_refusals(Session &session);

} // namespace pg_org
