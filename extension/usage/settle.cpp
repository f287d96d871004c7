// Settling: when a model call is over, the held amount is replaced by its cost, or released if it was not made.

#include "base/clock.hpp"
#include "limit_events.hpp"
#include "named_reservation.hpp"
#include "refusal.hpp"
#include "spend.hpp"

using namespace pg_org;

namespace {

// The result of a call.
struct Outcome {
    Maybe<Number> cost;
    Maybe<int64> prompt_tokens, completion_tokens, cache_read_input_tokens, cache_creation_input_tokens;
    Maybe<bool> failed;

    template <typename Source> void read(Source &source)
    {
        pg_org::read(source, "cost", cost);
        pg_org::read(source, "prompt_tokens", prompt_tokens);
        pg_org::read(source, "completion_tokens", completion_tokens);
        pg_org::read(source, "cache_read_input_tokens", cache_read_input_tokens);
        pg_org::read(source, "cache_creation_input_tokens", cache_creation_input_tokens);
        pg_org::read(source, "failed", failed);
    }
    Check &check(Check &&check) const
    {
        return check.given("cost", cost.has_value())
            .amount("cost", cost)
            .count("prompt_tokens", prompt_tokens)
            .count("completion_tokens", completion_tokens)
            .count("cache_read_input_tokens", cache_read_input_tokens)
            .count("cache_creation_input_tokens", cache_creation_input_tokens);
    }
    void settle(Call &call, Time now) const
    {
        call.cost = *cost;
        call.prompt_tokens = prompt_tokens.value_or(0);
        call.completion_tokens = completion_tokens.value_or(0);
        call.cache_read_input_tokens = cache_read_input_tokens.value_or(0);
        call.cache_creation_input_tokens = cache_creation_input_tokens.value_or(0);
        call.failed = failed.value_or(false);
        call.closed_at = {std::max(now.value, call.reserved_at.value)}; // the clock may go back
        call.state = State::settled;
    }
};

struct Settle : NamedReservation {
    Outcome outcome;
    bool is_recorded_as_new = false; // in place of a call that is not remembered any more

    template <typename Source> void read(Source &source)
    {
        NamedReservation::read(source);
        outcome.read(source);
    }
    void check()
    {
        NamedReservation::check();
        wrong = outcome.check(Check{wrong}).wrong();
    }
};

// A request about a call that was not reserved.
struct Record : NewCall {
    Outcome outcome;

    template <typename Source> void read(Source &source)
    {
        NewCall::read(source);
        outcome.read(source);
    }
    void check()
    {
        NewCall::check();
        wrong = outcome.check(Check{wrong}).wrong();
    }
};

// When a call was made, as far as it is known: a deleted key made it no later than it was deleted, so that nobody is
// charged who came after that.
Time made_at(const Record &request, Time now)
{
    return request.key_deleted_at && request.key_deleted_at->value < now.value ? *request.key_deleted_at : now;
}

// A call that is not remembered any more: itself if it is settled, and otherwise a new one with nothing held. It was
// made when it was reserved, so that nobody is charged who came after that.
Call *as_remembered(Call &forgotten)
{
    if (forgotten.state == State::settled)
        return &forgotten;
    Call *call = allocate<Call>(1).data();
    *call = forgotten;
    call->state = call->stored = State::none;
    call->max_cost = zero();
    call->max_tokens = 0;
    return call;
}

// So that what a call costs is counted, and told of, which was not reserved. Before any call is counted: missing
// counters are made from the ledger.
void expect_new(Counters &counters, const Call &call)
{
    counters.limits_of({counters.owners_of(call.owners), call.model, call.tags, true});
}

// Refuses the requests whose calls other transactions have locked.
void refuse_busy_calls(Session &session, std::span<Settle> requests, NamedCalls &calls)
{
    for (Settle &request : requests) {
        if (request.wrong || calls[request.name()] != nullptr)
            continue;
        const CallName name = request.name();
        if (const auto found = find_calls(session, {&name, 1}); !found.empty())
            request.wrong = held_by_others("reservation", reservation_id(*found[0].call));
    }
}

// Settles the calls that are not settled yet, and returns the calls of all requests. One that is not remembered any
// more stays as it is: if it was not settled, a new call has the cost.
Calls settle(Session &session, std::span<Settle> requests, bool wait)
{
    const auto named = resolve_names(session, pointers_to<NamedReservation>(requests), true);
    const LockedOwners locked = lock_owners(session, named, wait);
    const auto owners = refuse_busy(requests, locked);
    NamedCalls calls{names_of(requests)};
    calls.put(lock_calls(session, calls.names(), wait));
    if (!wait)
        refuse_busy_calls(session, requests, calls);
    Counters counters{session, owners, present(), locked};
    const auto results = allocate<Call *>(requests.size());
    for (size_t i = 0; i < requests.size(); i++) {
        CHECK_FOR_INTERRUPTS();
        if (requests[i].wrong)
            continue;
        Call *&call = calls[requests[i].name()];
        if (call == nullptr && requests[i].forgotten != nullptr)
            call = as_remembered(*requests[i].forgotten);
        results[i] = call;
        if (call == nullptr)
            requests[i].wrong = no_reservation(requests[i]);
        else if (call->stored == State::none)
            expect_new(counters, *call);
    }
    const auto settled = allocate<Call *>(requests.size());
    size_t count = 0;
    for (size_t i = 0; i < requests.size(); i++) {
        CHECK_FOR_INTERRUPTS();
        Call *const call = results[i];
        if (requests[i].wrong || call->state == State::settled)
            continue;
        requests[i].is_recorded_as_new = call->stored == State::none;
        requests[i].outcome.settle(*call, counters.now());
        counters.count(*call, call->stored, State::settled);
        settled[count++] = call;
    }
    const Calls now_settled = settled.first(count);
    write_calls(session, now_settled);
    emit_limit_events(counters);
    counters.write();
    write_spend(session, counters, now_settled);
    return results;
}

void write_settled(Writer &reply, const Call &call, bool is_recorded_as_new = false)
{
    write_call_name(reply.begin_object(), call);
    reply.key("organization_id")
        .value(not_empty(call.owners.organization_id))
        .key("token_id")
        .value(call.owners.key_id);
    reply.key("model").value(call.model).key("cost").value(call.cost);
    reply.key("prompt_tokens").value(call.prompt_tokens).key("completion_tokens").value(call.completion_tokens);
    reply.key("state").value(Text{"settled"}).key("settled_at").value(call.closed_at);
    if (is_recorded_as_new)
        reply.key("recorded_as_new").value(true);
    reply.end_object();
}

} // namespace

PG_ORG_CALL(usage_settle)
{
    require_gateway(session, "/usage/settle");
    auto request = read_one<Settle>(session);
    const Calls calls = settle(session, {&request, 1}, true);
    raise_if_any(request.wrong);
    write_settled(session.reply, *calls[0], request.is_recorded_as_new);
}

PG_ORG_CALL(usage_settle_many)
{
    require_gateway(session, "/usage/settle");
    const auto requests = read_many<Settle>(session);
    const bool wait = read_wait(session);
    const Calls calls = settle(session, requests, wait);
    session.reply.begin_array();
    for (size_t i = 0; i < requests.size(); i++) {
        CHECK_FOR_INTERRUPTS();
        if (requests[i].wrong)
            write_refusal(session.reply, *requests[i].wrong, {});
        else
            write_settled(session.reply, *calls[i], requests[i].is_recorded_as_new);
    }
    session.reply.end_array();
}

PG_ORG_CALL(usage_cancel)
{
    require_gateway(session, "/usage/cancel");
    auto request = read_one<NamedReservation>(session);
    const auto owners = resolve_names(session, pointers_to<NamedReservation>(std::span{&request, 1}));
    raise_if_any(request.wrong);
    const LockedOwners locked_owners = lock_owners(session, owners);
    const CallName name = request.name();
    const auto locked = lock_calls(session, {&name, 1});
    if (locked.empty())
        raise(no_reservation(request));
    Call *call = locked[0].call;
    if (call->state == State::settled)
        refused("Reservation is settled for request_id=%.*s", FMT_ARG(call->request_id));
    if (call->state == State::held) {
        Counters counters{session, owners, present(), locked_owners};
        call->state = call->expires_at.value <= counters.now().value ? State::expired : State::cancelled;
        call->closed_at = counters.now();
        counters.count(*call, State::held, call->state);
        write_calls(session, {&call, 1});
        emit_limit_events(counters);
        counters.write();
    }
    write_call_name(session.reply.begin_object(), *call);
    session.reply.key("state").value(name_of(call->state)).end_object();
}

PG_ORG_CALL(usage_record)
{
    require_gateway(session, "/usage/record");
    auto request = read_one<Record>(session);
    const auto owners = find_present_or_former_owners(session, request);
    raise_if_any(request.wrong);
    const LockedOwners locked = lock_owners(session, owners);

    const CallName name = request.name();
    const auto found = find_calls(session, {&name, 1});
    Counters counters{session, owners, present(), locked};
    CallOwners &call_owners = counters.owners_of(request.owners);
    if (call_owners.find(OwnerKind::key) == nullptr && !request.key_deleted_at)
        raise(former_key_of_token_id(session, request.owners.key_id) ? key_changed()
                                                                     : lost_key(session, request.owners));
    const Time call_made_at = made_at(request, counters.now());
    if (request.key_deleted_at)
        call_owners.leave_out_made_after(call_made_at);
    const Text model = call_owners.resolve_model(*request.model);
    Call *call = found.empty() ? request.call(call_owners, model, call_made_at) : found[0].call;
    if (found.empty()) {
        request.outcome.settle(*call, counters.now());
        expect_new(counters, *call);
        counters.count(*call, State::none, State::settled);
        write_calls(session, {&call, 1});
        emit_limit_events(counters);
        counters.write();
        write_spend(session, counters, {&call, 1});
    } else if (call->state != State::settled) {
        exists_already("Reserved already for request_id=%.*s. Settle that", FMT_ARG(call->request_id));
    } else if (call->owners.key_id != request.owners.key_id || call->model != model ||
               call->owners.end_user != request.owners.end_user) {
        exists_already("Another request was recorded with request_id=%.*s", FMT_ARG(call->request_id));
    }
    write_settled(session.reply, *call);
}
