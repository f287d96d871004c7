// Reservations that have expired. Counters include a reservation until it is closed in the ledger. Calls that reserve
// close what has expired, as far as they can lock it; whoever reads counters leaves out the rest.
#pragma once

#include "ledger.hpp"
#include "lock.hpp"

namespace pg_org {

struct ExpiredCalls {
    Calls locked; // to be closed
    bool leaves_some;
};
// Locks reservations of the owners' that have expired, together with the owners they are charged to.
ExpiredCalls lock_expired(Session &session, std::span<const OwnerIds> calls, LockedOwners &locked, Time now, bool wait);

// Sums the reservations of the owners as finely as leave_out_expired() needs; none if none has expired.
Maybe<ReservationSums> sum_unclosed(Session &session, const Owners &owners, Time now);

// Leaves the expired reservations out of a counter of an owner's part.
void leave_out_expired(ReservationSums sums, const Owner &owner, const PartCounters &part, Counter &counter);

} // namespace pg_org
