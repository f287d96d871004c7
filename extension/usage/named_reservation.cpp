// Finding the calls that requests name.

#include "named_reservation.hpp"

namespace pg_org {

namespace {

// The name to look for; none: no call that the caller may see can have it.
Maybe<CallName> asked_name(const Caller &caller, const NamedReservation &named)
{
    const auto confined = confinement(caller);
    if (!named.reservation_id)
        return CallName{confined, *named.request_id};
    const auto name = parse_reservation_id(*named.reservation_id);
    return name && (!confined || confined == name->organization_id) ? name : Maybe<CallName>{};
}

} // namespace

Refusal no_reservation(const NamedReservation &named)
{
    const bool by_id = named.reservation_id.has_value();
    const Text id = by_id ? *named.reservation_id : *named.request_id;
    return refusal(ERRCODE_NO_DATA_FOUND, by_id ? "reservation_id" : "request_id", "Reservation not found for %s=%.*s",
                   by_id ? "reservation_id" : "request_id", FMT_ARG(id));
}

std::span<const OwnerIds> resolve_names(Session &session, std::span<NamedReservation *const> requests)
{
    const auto names = allocate<CallName>(requests.size());
    const auto at = allocate<NamedReservation *>(requests.size());
    size_t count = 0;
    for (NamedReservation *request : requests) {
        CHECK_FOR_INTERRUPTS();
        if (request->wrong)
            continue;
        const auto name = asked_name(session.caller, *request);
        request->wrong = no_reservation(*request);
        if (name) {
            at[count] = request;
            names[count++] = *name;
        }
    }
    const auto found = find_calls(session, names.first(count));
    const auto owners = allocate<OwnerIds>(found.size());
    for (size_t i = 0; i < found.size(); i++) {
        const auto &[place, call] = found[i];
        NamedReservation &request = *at[place];
        owners[i] = call->owners;
        const CallName name{call->owners.organization_id, call->request_id};
        if (!request.found)
            request.wrong = {};
        else if (request.found->organization_id != name.organization_id)
            request.wrong = refusal(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "request_id",
                                    "Several organizations have request_id=%.*s. Please use 'reservation_id' instead.",
                                    FMT_ARG(call->request_id));
        request.found = name;
        request.owners = call->owners;
    }
    return owners;
}

} // namespace pg_org
