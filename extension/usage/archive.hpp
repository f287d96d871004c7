// Archiving: old partitions of the ledger leave it whole, after their sums were carried forward.
#pragma once

#include "base/session.hpp"

namespace pg_org {

// A partition of the ledger that is to be archived, and how far its sums have been carried forward.
struct OldPartition {
    Text name;
    Time ends_at;
    // Set by begin_or_resume().
    int64 summed_blocks = 0, blocks = 0;

    bool is_summed() const { return summed_blocks >= blocks; }
};
// Those that ended by that time, the oldest first.
std::span<OldPartition> old_partitions(Session &session, Time ended_by);

// A period that is counted against somebody's limit, and that is not over.
struct RunningPeriod {
    Time start;
    Text limit; // as in "cost per 1y@UTC"
};
// The one that began first. Calls that it counts must not be archived.
Maybe<RunningPeriod> first_running_period(Session &session, Time now);

// Makes others wait that archive; without waiting, false if somebody does.
bool begin_archiving(Session &session, bool wait);

// Finds out how far the sums of a partition have been carried forward. Keeps others from rewriting it until the
// transaction ends; if somebody has done so before, its sums are carried forward anew.
void begin_or_resume(Session &session, OldPartition &partition);
// Carries forward the sums of some more blocks.
void carry_sums(Session &session, OldPartition &partition);
// Takes partitions out of the ledger whose sums were carried forward. They are kept in schema org_archive, or dropped.
void archive(Session &session, std::span<const OldPartition> partitions, bool drop);

} // namespace pg_org
