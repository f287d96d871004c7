// The counters of the owners that calls are charged to: reading them, bringing them up to date, counting calls, and
// writing them. Periods are computed when counters are read: no job has to run in time.
#pragma once

#include "counter_rows.hpp"
#include "expired.hpp"
#include "ledger.hpp"
#include "limited_owner.hpp"

namespace pg_org {

// What limits distinguish of a call. Who asks what limits a key has may leave out the model, the tags and the end user.
struct CountedCall {
    const CallOwners &owners;
    Maybe<Text> model;
    Maybe<Texts> tags;
    bool is_whole;

    bool knows_part(Each each) const
    {
        return is_whole || !((each == Each::model && !model) || (each == Each::tag && !tags) ||
                             (each == Each::end_user && owners.ids.end_user.empty()));
    }
};

// A limit that applies to a call, with its count.
struct AppliedLimit {
    const UsageLimit *limit;
    Owner *owner;
    PartCounters *part;
    Counter *counter;   // null: the part is not known
    Count *count;       // null for requests in progress, which are counted with what is held
    Number spent, held; // when the limit was looked up

    // Looks up again what is spent and held.
    void look_up();
    Number remaining() const { return limit->value - spent - held; }
    Maybe<Time> resets_at() const { return count == nullptr ? Maybe<Time>{} : count->window.end; }
};
using AppliedLimits = std::span<const AppliedLimit>;

class Counters {
public:
    // Reads the owners of the calls and their counters at a point in time; see read_owners.
    Counters(Session &session, std::span<const OwnerIds> calls, Time now, const Maybe<LockedOwners> &locked);

    Session &session() const { return session_; }
    Time now() const { return now_; }
    std::span<Owner> owners() const { return owners_.all; }
    CallOwners &owners_of(const OwnerIds &ids) const { return owners_.of(ids); }
    // The owner that the call is charged to, null if it was made after the call or deleted.
    Owner *owner_of(const Call &call, OwnerKind kind) const;

    // Leaves out of the counters the reservations that have expired, but are not closed.
    void leave_out_expired();
    // Call this instead if it is known that there are none.
    void expect_no_expired() { is_without_expired_ = true; }

    // The limits that apply to a call, in the order in which they are checked: cost first, and each from the outermost
    // owner in. An owner gets a counter with the first call that a limit applies to.
    AppliedLimits limits_of(const CountedCall &call);

    // Counts that a call has changed its state.
    void count(const Call &call, State from, State to);

    // Writes the counters that have changed.
    void write() const { write_counters(session_, owners_.all, now_); }

private:
    Session &session_;
    Time now_;
    Owners owners_;
    bool is_without_expired_ = false;
    Maybe<ReservationSums> unclosed_; // none: nothing has expired

    void read_everything();
    void read_parts();
    PartCounters &part_of(Owner &owner, const CallOwners &call, Each each, Text part);
    Counter &counter_of(Owner &owner, PartCounters &part, const UsageLimit &limit);
    void bring_up_to_date(Owner &owner, PartCounters &part);
};

// See warm_up.
void warm_up_reading_counters(Session &session, Text nobody);

} // namespace pg_org
