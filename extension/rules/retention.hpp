// Retention: how long the ledger, the audit log and the events are kept.
#pragma once

#include "base/session.hpp"

namespace pg_org {

struct Retention {
    Text partition; // length of new partitions: day, week or month
    int64 request_memory_days;
    // None: for ever.
    Maybe<int64> ledger_days, archive_days, audit_log_days, event_days;
};
Retention read_retention(Session &session);

// The time from which on closed calls are remembered by their request_ids; it never goes back. A change by another
// session is noticed after some seconds.
Time remembered_from(Session &session, Time now);

} // namespace pg_org
