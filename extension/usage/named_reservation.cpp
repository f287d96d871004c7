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

std::span<const OwnerIds> owners_of(std::span<const FoundCall> found)
{
    return map<OwnerIds>(found, [](const FoundCall &one) { return one.call->owners; });
}

// The calls that were found become those of the requests at their places.
void take_found(std::span<const FoundCall> found, std::span<NamedReservation *const> requests)
{
    for (const auto &[place, call] : found) {
        NamedReservation &request = *requests[place];
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
}

} // namespace

Refusal no_reservation(const NamedReservation &named)
{
    const bool by_id = named.reservation_id.has_value();
    const Text id = by_id ? *named.reservation_id : *named.request_id;
    return refusal(ERRCODE_NO_DATA_FOUND, by_id ? "reservation_id" : "request_id", "Reservation not found for %s=%.*s",
                   by_id ? "reservation_id" : "request_id", FMT_ARG(id));
}

std::span<const OwnerIds> resolve_names(Session &session, std::span<NamedReservation *const> requests,
                                        bool also_forgotten)
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
    take_found(found, at);
    if (!also_forgotten || std::ranges::all_of(at.first(count), [](const auto *request) { return !request->wrong; }))
        return owners_of(found);

    size_t unknown = 0;
    for (size_t i = 0; i < count; i++)
        if (!at[i]->found) {
            at[unknown] = at[i];
            names[unknown++] = names[i];
        }
    const auto forgotten = find_forgotten_calls(session, names.first(unknown));
    take_found(forgotten, at);
    for (const auto &[place, call] : forgotten)
        at[place]->forgotten = call;
    lock_request_ids(session, map<Text>(forgotten, [](const FoundCall &one) { return one.call->request_id; }));
    return concatenate(owners_of(found), owners_of(forgotten));
}

} // namespace pg_org
