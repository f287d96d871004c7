// Partitions: the ledger and the events are partitioned by time, and whoever writes makes the next partition before it
// is needed.
#pragma once

#include "session.hpp"

namespace pg_org {

enum class Partitioned { usage, event };

// Makes sure that the table has a partition for rows of this time. To be called before such rows are written, outside
// of statements that use the table.
void require_partition(Session &session, Partitioned table, Time time);

// Locks a table, such as org.usage, and partitions of it, named without the schema, that are to leave it. Fails with
// lock_not_available if others use the table all the time, or go on vacuuming a partition.
void lock_briefly(Session &session, Text table, Texts partitions);

} // namespace pg_org
