// Extending: a call that lasts longer than its hold, as streams may, keeps it.

#include "base/clock.hpp"
#include "named_reservation.hpp"

using namespace pg_org;

namespace {

constinit Statement extend_held{
    "UPDATE org.reservation SET expires_at = $3 WHERE organization_id = $1 AND request_id = $2"};

struct Extend : NamedReservation {
    Maybe<int64> ttl_seconds;

    template <typename Source> void read(Source &source)
    {
        NamedReservation::read(source);
        pg_org::read(source, "ttl_seconds", ttl_seconds);
    }
    void check()
    {
        NamedReservation::check();
        wrong = Check{wrong}.ttl("ttl_seconds", ttl_seconds).wrong();
    }
    Time until(Time now) const { return {now.value + ttl_seconds.value_or(default_ttl) * USECS_PER_SEC}; }
};

// Others may have been granted what an expired hold held, so it can't be had back.
void require_running(const Call &call, Time now)
{
    if (call.state == State::expired || (call.state == State::held && call.expires_at.value <= now.value))
        refused("Reservation has expired for request_id=%.*s", FMT_ARG(call.request_id));
    if (call.state != State::held)
        refused("Reservation is %.*s for request_id=%.*s", FMT_ARG(name_of(call.state)), FMT_ARG(call.request_id));
}

} // namespace

PG_ORG_CALL(usage_extend)
{
    require_gateway(session, "/usage/extend");
    auto request = read_one<Extend>(session);
    const auto owners = resolve_names(session, pointers_to<NamedReservation>(std::span{&request, 1}));
    raise_if_any(request.wrong);
    // Calls that reserve close what has expired under these locks: so they see the hold as it is now or as it will be.
    lock_owners(session, owners);
    const CallName name = request.name();
    const auto locked = lock_calls(session, {&name, 1});
    if (locked.empty())
        raise(no_reservation(request));
    Call &call = *locked[0].call;
    const Time now = present();
    require_running(call, now);
    if (const Time until = request.until(now); until.value > call.expires_at.value) {
        call.expires_at = until;
        session.run(extend_held, call.owners.organization_id, call.request_id, call.expires_at);
    }
    write_call_name(session.reply.begin_object(), call);
    session.reply.key("expires_at").value(call.expires_at).end_object();
}
