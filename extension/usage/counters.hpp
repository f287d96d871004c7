// Reading the counters of the owners that calls are charged to, counting calls, and writing the counters. Periods and
// minutes are computed when counters are read: no job has to run in time.
#pragma once

#include "expired.hpp"
#include "ledger.hpp"
#include "owners.hpp"

namespace pg_org {

class Counters {
public:
    // Reads the owners of the calls and their counters at a point in time; see read_owners.
    Counters(Session &session, std::span<const OwnerIds> calls, Time now, const Maybe<LockedOwners> &locked);

    Session &session() const { return session_; }
    Time now() const { return now_; }
    Time minute() const { return minute_of(now_); }
    std::span<Owner> owners() const { return owners_.all; }
    CallOwners &owners_of(const OwnerIds &ids) const { return owners_.of(ids); }
    // The owner that the call is charged to, null if it was made after the call or deleted.
    Owner *owner_of(const Call &call, OwnerKind kind) const;

    // Leaves out of the counters the reservations that have expired, but are not closed.
    void leave_out_expired();
    // Call this instead if it is known that there are none.
    void expect_no_expired() { is_without_expired_ = true; }

    // The counter of a model, or of all (empty). An owner gets it with the first call that a limit applies to.
    Counter &counter_of(Owner &owner, Text model, const Window &window);
    // The counters of many models, in their order.
    std::span<Counter *> counters_of(Owner &owner, std::span<const ModelBudget> budgets);

    // Counts that a call has changed its state.
    void count(const Call &call, State from, State to);

    // Writes the counters that have changed.
    void write();

private:
    Session &session_;
    Time now_;
    Owners owners_;
    bool is_without_expired_ = false;
    Maybe<ReservationSums> unclosed_; // none: nothing has expired

    void read_counters();
    void start_periods(Owner &owner);
    bool start_period(const Owner &owner, Counter &counter) const;
};

// See warm_up.
void warm_up_reading_counters(Session &session, Text nobody);
void warm_up_writing_counters(Session &session);

} // namespace pg_org
