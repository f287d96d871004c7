// Requests that name a reservation, by request_id or reservation_id, and the calls that they mean.
#pragma once

#include "request.hpp"

namespace pg_org {

// A request that names a reservation.
struct NamedReservation {
    Maybe<Text> request_id, reservation_id;
    Maybe<Refusal> wrong;
    // Set by resolve_names().
    Maybe<CallName> found;
    OwnerIds owners;
    Call *forgotten = nullptr; // the call that was found, if it is not remembered any more

    CallName name() const { return *found; }

    template <typename Source> void read(Source &source)
    {
        pg_org::read(source, "request_id", request_id);
        pg_org::read(source, "reservation_id", reservation_id);
    }
    void check()
    {
        wrong = Check{wrong}
                    .given_either("request_id", "reservation_id", request_id || reservation_id)
                    .identifier("request_id", request_id)
                    .wrong();
    }
};

Refusal no_reservation(const NamedReservation &named);

// Finds the calls that the requests name, refuses requests without one, and returns the owners of the calls. Forgotten
// calls are found only if they are asked for; their names are locked.
std::span<const OwnerIds> resolve_names(Session &session, std::span<NamedReservation *const> requests,
                                        bool also_forgotten = false);

} // namespace pg_org
