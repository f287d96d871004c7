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

// Finds the calls that the requests name, refuses requests without one, and returns the owners of the calls.
std::span<const OwnerIds> resolve_names(Session &session, std::span<NamedReservation *const> requests);

} // namespace pg_org
