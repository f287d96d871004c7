// The rows of counters: reading and writing org.usage_counter.
#pragma once

#include "limited_owner.hpp"

namespace pg_org {

struct OwnedPart {
    Owner *owner;
    PartCounters *part;
};
// Reads the counters of parts, which it sorts.
void read_counters(Session &session, std::span<OwnedPart> parts);
// A counter that is not stored yet.
Counter new_counter(const Owner &owner, const Scope &scope);

// Writes the counters that have changed.
void write_counters(Session &session, std::span<Owner> owners, Time now);
// Deletes counters of parts that have had nothing to count for half a day.
void delete_idle_counters(Session &session, std::span<Owner> owners, Time now);

// See warm_up.
void warm_up_writing_counters(Session &session);

} // namespace pg_org
