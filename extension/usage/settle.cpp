// Settling: when a call to a model is over, what it has cost is spent; or nothing, if it was not made.

#include "counters.hpp"
#include "exceeded.hpp"
#include "base/number.hpp"
#include "spend.hpp"
#include "request.hpp"

using namespace pg_org;

namespace {

// What a call has come to.
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
        call.closed_at = now;
        call.state = State::settled;
    }
};

// A reservation that a request names.
struct Named {
    Maybe<Text> request_id, reservation_id;
    Maybe<Refusal> wrong;
    Maybe<CallName> found; // complete, once it is
    Party party;           // then

    CallName name() const { return *found; }

    template <typename Source> void read(Source &source)
    {
        pg_org::read(source, "request_id", request_id);
        pg_org::read(source, "reservation_id", reservation_id);
    }
    void check()
    {
        wrong = Check{wrong}
                    .given("request_id", request_id || reservation_id)
                    .identifier("request_id", request_id)
                    .wrong();
    }
};

struct Settle : Named {
    Outcome outcome;

    template <typename Source> void read(Source &source)
    {
        Named::read(source);
        outcome.read(source);
    }
    void check()
    {
        Named::check();
        wrong = outcome.check(Check{wrong}).wrong();
    }
};

// A call that was not reserved.
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

Refusal no_reservation(const Named &named)
{
    const bool by_id = named.reservation_id.has_value();
    const Text id = by_id ? *named.reservation_id : *named.request_id;
    return refusal(ERRCODE_NO_DATA_FOUND, by_id ? "reservation_id" : "request_id",
                   "Reservation not found for %s=%.*s", by_id ? "reservation_id" : "request_id", FMT_ARG(id));
}

// The name as far as the request has it; none if nothing can have it.
Maybe<CallName> asked_name(const Caller &caller, const Named &named)
{
    const auto confined = confinement(caller);
    if (!named.reservation_id)
        return CallName{confined, *named.request_id};
    const auto name = parse_reservation_id(*named.reservation_id);
    return name && (!confined || confined == name->organization_id) ? name : Maybe<CallName>{};
}

// Completes the names of the requests, refuses those without a call, and returns whom the calls are charged to.
std::span<const Party> find_named(Session &session, std::span<Named *const> requests)
{
    const auto names = allocate<CallName>(requests.size());
    const auto at = allocate<Named *>(requests.size());
    size_t count = 0;
    for (Named *request : requests) {
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
    const auto parties = allocate<Party>(found.size());
    for (size_t i = 0; i < found.size(); i++) {
        const auto &[place, call] = found[i];
        Named &request = *at[place];
        parties[i] = call->party;
        const CallName name{call->party.organization_id, call->request_id};
        if (!request.found)
            request.wrong = {};
        else if (request.found->organization_id != name.organization_id)
            request.wrong = refusal(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "request_id",
                                    "Several organizations have request_id=%.*s. Please use 'reservation_id' instead.",
                                    FMT_ARG(call->request_id));
        request.found = name;
        request.party = call->party;
    }
    return parties;
}

// Refuses the requests whose calls are there, but were not locked because others have them.
void refuse_held(Session &session, std::span<Settle> requests, NamedCalls &calls)
{
    for (Settle &request : requests) {
        if (request.wrong || calls[request.name()] != nullptr)
            continue;
        const CallName name = request.name();
        if (const auto found = find_calls(session, {&name, 1}); !found.empty())
            request.wrong = held_by_others("reservation", reservation_id(*found[0].call));
    }
}

// Settles the calls that are not settled yet, and returns those of the requests.
Calls settle(Session &session, std::span<Settle> requests, bool wait)
{
    const Locked owners = lock_parties(session, find_named(session, pointers_to<Named>(requests)), wait);
    const auto parties = owners.sort_out(requests);
    NamedCalls calls{names_of(requests)};
    calls.put(lock_calls(session, calls.names(), wait));
    if (!wait)
        refuse_held(session, requests, calls);
    Counters counters{session, parties, present(), owners};
    const auto results = allocate<Call *>(requests.size());
    const auto settled = allocate<Call *>(requests.size());
    size_t count = 0;
    for (size_t i = 0; i < requests.size(); i++) {
        CHECK_FOR_INTERRUPTS();
        if (requests[i].wrong)
            continue;
        Call *call = results[i] = calls[requests[i].name()];
        if (call == nullptr)
            requests[i].wrong = no_reservation(requests[i]);
        if (call == nullptr || call->state == State::settled)
            continue;
        requests[i].outcome.settle(*call, counters.now());
        counters.move(*call, call->stored, State::settled);
        settled[count++] = call;
    }
    const Calls now_settled = settled.first(count);
    write_calls(session, now_settled);
    counters.write();
    write_spend(session, counters, now_settled);
    return results;
}

void write_settled(Writer &reply, const Call &call)
{
    const auto optional = [](Text text) { return not_empty(text); };
    write_call_name(reply.begin_object(), call);
    reply.key("organization_id").value(optional(call.party.organization_id)).key("token_id").value(call.party.key_id);
    reply.key("model").value(call.model).key("cost").value(call.cost);
    reply.key("prompt_tokens").value(call.prompt_tokens).key("completion_tokens").value(call.completion_tokens);
    reply.key("state").value(Text{"settled"}).key("settled_at").value(call.closed_at).end_object();
}

} // namespace

PG_ORG_CALL(usage_settle)
{
    require_gateway(session, "/usage/settle");
    auto request = read_one<Settle>(session);
    const Calls calls = settle(session, {&request, 1}, true);
    raise_if_any(request.wrong);
    write_settled(session.reply, *calls[0]);
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
            write_settled(session.reply, *calls[i]);
    }
    session.reply.end_array();
}

PG_ORG_CALL(usage_cancel)
{
    require_gateway(session, "/usage/cancel");
    auto request = read_one<Named>(session);
    const auto parties = find_named(session, pointers_to<Named>(std::span{&request, 1}));
    raise_if_any(request.wrong);
    const Locked owners = lock_parties(session, parties);
    const CallName name = request.name();
    const auto locked = lock_calls(session, {&name, 1});
    if (locked.empty())
        raise(no_reservation(request));
    Call *call = locked[0].call;
    if (call->state == State::settled)
        refused("Reservation is settled for request_id=%.*s", FMT_ARG(call->request_id));
    if (call->state == State::held) {
        Counters counters{session, parties, present(), owners};
        call->state = call->expires_at.value <= counters.now().value ? State::expired : State::cancelled;
        call->closed_at = counters.now();
        counters.move(*call, State::held, call->state);
        write_calls(session, {&call, 1});
        counters.write();
    }
    write_call_name(session.reply.begin_object(), *call);
    session.reply.key("state").value(name_of(call->state)).end_object();
}

PG_ORG_CALL(usage_record)
{
    require_gateway(session, "/usage/record");
    auto request = read_one<Record>(session);
    const auto parties = find_parties(session, pointers_to<NewCall>(std::span{&request, 1}));
    raise_if_any(request.wrong);
    const Locked owners = lock_parties(session, parties);

    const CallName name = request.name();
    const auto found = find_calls(session, {&name, 1});
    Counters counters{session, parties, present(), owners};
    const Standing &standing = counters.standing(request.party);
    if (standing.holder(Owner::key) == nullptr)
        raise(unknown_key());
    const Text model = standing.model_named(*request.model);
    Call *call = found.empty() ? request.call(model, counters.now()) : found[0].call;
    if (found.empty()) {
        request.outcome.settle(*call, counters.now());
        counters.move(*call, State::none, State::settled);
        write_calls(session, {&call, 1});
        counters.write();
        write_spend(session, counters, {&call, 1});
    } else if (call->state != State::settled) {
        exists_already("Reserved already for request_id=%.*s. Settle that", FMT_ARG(call->request_id));
    } else if (call->party.key_id != request.party.key_id || call->model != model) {
        exists_already("Another request was recorded with request_id=%.*s", FMT_ARG(call->request_id));
    }
    write_settled(session.reply, *call);
}
