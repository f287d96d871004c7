// Reserving: before a model is called, the maximum cost of the call is held against every limit that applies.

#include "base/clock.hpp"
#include "base/route.hpp"
#include "limit_events.hpp"
#include "limits.hpp"
#include "refusal_counts.hpp"
#include "request.hpp"
#include "rules/models.hpp"

using namespace pg_org;

namespace {

struct Reserve : NewCall {
    Maybe<Number> max_cost;
    Maybe<int64> max_tokens, ttl_seconds;

    template <typename Source> void read(Source &source)
    {
        NewCall::read(source);
        pg_org::read(source, "max_cost", max_cost);
        pg_org::read(source, "max_tokens", max_tokens);
        pg_org::read(source, "ttl_seconds", ttl_seconds);
    }
    void check()
    {
        NewCall::check();
        wrong = Check{wrong}
                    .amount("max_cost", max_cost)
                    .count("max_tokens", max_tokens)
                    .ttl("ttl_seconds", ttl_seconds)
                    .wrong();
    }
};

struct Answer {
    Maybe<Refusal> refusal;
    Maybe<ExceededLimit> exceeded; // the limit that refuses the request
    const Call *call;              // granted
    AppliedLimits limits;
    bool is_repeated; // granted before: the limits include it
};

Number asked_of(const UsageLimit &limit, const Call &call)
{
    switch (limit.what) {
    case Limited::cost: return call.max_cost;
    case Limited::tokens: return number(call.max_tokens);
    case Limited::parallel_requests:
    case Limited::requests: return number(1);
    }
    pg_unreachable();
}

// The refusal of every call with the key.
Maybe<Refusal> key_refusal(Session &session, const CallOwners &owners, Time now)
{
    const Owner *key = owners.find(OwnerKind::key), *team = owners.find(OwnerKind::team),
                *organization = owners.find(OwnerKind::organization);
    if (key == nullptr)
        return lost_key(session, owners.ids);
    if (key->blocked)
        return blocked_key("key");
    if (key->expires && key->expires->value <= now.value)
        return expired_key(*key->expires, "key");
    if (!allows_model_calls(key->allowed_routes))
        return refusal(errcode_route_denied, "key", "Key is not allowed to call models. Its allowed_routes are %s",
                       show_list(key->allowed_routes));
    if (team != nullptr && team->blocked)
        return blocked_team(team->id(), "key");
    if (organization != nullptr && organization->blocked)
        return blocked_organization(organization->id(), "key");
    for (const OwnerKind kind : {OwnerKind::platform_end_user, OwnerKind::end_user})
        if (const Owner *end_user = owners.find(kind); end_user != nullptr && end_user->blocked)
            return blocked_end_user(end_user->id(), "end_user");
    return {};
}

// The refusal of calls of the model. Every list of models must allow it, by the resolved name or by the one that it is
// asked for there: an alias of a key allows nothing that its team does not. A key with its team's models has no list of
// its own.
Maybe<Refusal> model_refusal(const CallOwners &owners, Text asked, Text model)
{
    for (const OwnerKind kind : {OwnerKind::key, OwnerKind::team, OwnerKind::organization, OwnerKind::user}) {
        const Owner *owner = owners.find(kind);
        const Texts list = owner == nullptr ? Texts{} : owner->models;
        const bool has_team_models =
            kind == OwnerKind::key && std::ranges::find(list, Text{"all-team-models"}) != list.end();
        if (list.empty() || has_team_models)
            continue;
        const Text name = name_of(kind);
        const Text asked_there = owners.resolve_model(asked, kind == OwnerKind::user ? OwnerKind::organization : kind);
        if (!is_model(asked_there) || !is_model(model) || !(allows(list, asked_there) || allows(list, model)))
            return refusal(errcode_model_denied, "model",
                           "%.*s not allowed to access model. This %.*s can only access models=%s. "
                           "Tried to access %.*s",
                           FMT_ARG(name), FMT_ARG(name), show_list(list), FMT_ARG(asked));
    }
    return {};
}

// The amount to hold for a request without max_cost.
Maybe<Number> default_reserve(const CallOwners &owners)
{
    const Owner *organization = owners.find(OwnerKind::organization);
    return organization == nullptr ? Maybe<Number>{} : organization->default_reserve;
}

// Sets the amounts of the call that the limits need.
Maybe<Refusal> set_amounts(Call &call, const Reserve &asked, const CallOwners &owners, AppliedLimits limits)
{
    const auto applies = [&](Limited what) {
        return std::ranges::any_of(
            limits, [&](const AppliedLimit &applied) { return applied.limit->what == what && !applied.limit->soft; });
    };
    const auto amount = asked.max_cost ? asked.max_cost : default_reserve(owners);
    if (!amount && applies(Limited::cost))
        return refusal(ERRCODE_NULL_VALUE_NOT_ALLOWED, "max_cost", "\"max_cost\" is required: a budget applies");
    if (!asked.max_tokens && applies(Limited::tokens))
        return refusal(ERRCODE_NULL_VALUE_NOT_ALLOWED, "max_tokens",
                       "\"max_tokens\" is required: a limit of tokens applies");
    call.max_cost = amount.value_or(zero());
    call.max_tokens = asked.max_tokens.value_or(0);
    return {};
}

// The answer to a request whose request_id is known.
Answer repeat(Counters &counters, const Reserve &asked, const CallOwners &owners, const Call &known)
{
    Answer answer{};
    // The default amount may have changed since, so a request without max_cost has no other amount.
    const bool is_other_amount = asked.max_cost && !(known.max_cost == *asked.max_cost);
    if (known.state != State::held || known.expires_at.value <= counters.now().value)
        answer.refusal = refusal(ERRCODE_UNIQUE_VIOLATION, "request_id", "Reservation is over for request_id=%.*s",
                                 FMT_ARG(known.request_id));
    else if (known.owners.key_id != asked.owners.key_id || known.owners.end_user != asked.owners.end_user ||
             known.model != owners.resolve_model(*asked.model) || is_other_amount ||
             known.max_tokens != asked.max_tokens.value_or(0))
        answer.refusal = refusal(ERRCODE_UNIQUE_VIOLATION, "request_id",
                                 "Another request was reserved with request_id=%.*s", FMT_ARG(known.request_id));
    else
        answer.call = &known;
    return answer;
}

// The answer to one request; the counters include a granted call from now on.
Answer decide(Counters &counters, const Reserve &asked, Call *&known)
{
    Answer answer{};
    const CallOwners &owners = counters.owners_of(asked.owners);
    const Time now = counters.now();
    if ((answer.refusal = key_refusal(counters.session(), owners, now)))
        return answer;
    const Text model = owners.resolve_model(*asked.model);
    if (known != nullptr) {
        answer = repeat(counters, asked, owners, *known);
        answer.limits = counters.limits_of({owners, known->model, known->tags, true});
        answer.is_repeated = true;
        return answer;
    }
    if ((answer.refusal = model_refusal(owners, *asked.model, model)))
        return answer;

    Call *call = asked.call(owners, model, now);
    answer.limits = counters.limits_of({owners, model, call->tags, true});
    call->expires_at = {now.value + asked.ttl_seconds.value_or(default_ttl) * USECS_PER_SEC};
    call->state = State::held;
    if ((answer.refusal = set_amounts(*call, asked, owners, answer.limits)))
        return answer;
    for (const AppliedLimit &applied : answer.limits) {
        const UsageLimit &limit = *applied.limit;
        const Number amount = asked_of(limit, *call);
        // What takes nothing breaks no limit, even one that is exceeded.
        if (limit.soft || amount == zero() || applied.spent + applied.held + amount <= limit.value)
            continue;
        answer.exceeded = make_exceeded(applied, amount, now);
        answer.refusal = refusal_of(*answer.exceeded);
        // A budget is not exceeded if reservations hold the rest of it, or if the call alone is larger than it.
        if (limit.what == Limited::cost && amount <= limit.value && applied.spent + amount > limit.value)
            emit_exceeded(counters, applied);
        return answer;
    }
    counters.count(*call, State::none, State::held);
    answer.call = known = call;
    return answer;
}

void close_expired(Session &session, Counters &counters, Calls expired)
{
    for (Call *call : expired) {
        CHECK_FOR_INTERRUPTS();
        call->state = State::expired;
        call->closed_at = counters.now();
        counters.count(*call, State::held, State::expired);
    }
    write_calls(session, expired);
}

std::span<const Answer> reserve(Session &session, std::span<Reserve> requests, bool wait)
{
    LockedOwners locked = lock_owners(session, find_owners(session, pointers_to<NewCall>(requests), wait), wait);
    const auto owners = refuse_busy(requests, locked);
    const Time now = present();
    const auto [expired, leaves_some] = lock_expired(session, owners, locked, now, wait);
    const auto expired_owners = map<OwnerIds>(expired, [](const Call *call) { return call->owners; });
    Counters counters{session, concatenate(owners, expired_owners), now, locked};
    close_expired(session, counters, expired);
    if (leaves_some)
        counters.leave_out_expired();
    else
        counters.expect_no_expired();

    NamedCalls calls{names_of(requests)};
    calls.put(find_calls(session, calls.names()));

    const auto answers = allocate<Answer>(requests.size());
    const auto granted = allocate<Call *>(requests.size());
    size_t grants = 0;
    for (size_t i = 0; i < requests.size(); i++) {
        CHECK_FOR_INTERRUPTS();
        if (requests[i].wrong) {
            answers[i].refusal = requests[i].wrong;
            continue;
        }
        Call *&known = calls[requests[i].name()];
        const bool is_new = known == nullptr;
        answers[i] = decide(counters, requests[i], known);
        if (is_new && known != nullptr)
            granted[grants++] = known;
    }
    write_calls(session, granted.first(grants));
    emit_limit_events(counters);
    counters.write();
    delete_idle_counters(session, counters.owners(), now);
    return answers;
}

void count_refused(Session &session, std::span<const Answer> answers)
{
    const auto limits = allocate<AppliedLimit>(answers.size());
    size_t size = 0;
    for (const Answer &answer : answers)
        if (answer.exceeded)
            limits[size++] = answer.exceeded->applied;
    if (size > 0)
        count_refusals(session, limits.first(size), present());
}

void write_grant(Writer &reply, const Answer &answer)
{
    const Call &call = *answer.call;
    write_call_name(reply.begin_object(), call);
    reply.key("model").value(call.model).key("expires_at").value(call.expires_at).key("limits").begin_array();
    for (const AppliedLimit &applied : answer.limits) {
        const UsageLimit &limit = *applied.limit;
        write_limit(reply.begin_object(), applied);
        const Number remaining = applied.remaining();
        write_amount(reply.key("remaining"), limit, answer.is_repeated ? remaining : remaining - asked_of(limit, call));
        reply.key("resets_at").value(applied.resets_at()).end_object();
    }
    reply.end_array().end_object();
}

} // namespace

PG_ORG_CALL(usage_reserve)
{
    require_gateway(session, "/usage/reserve");
    auto request = read_one<Reserve>(session);
    const Answer answer = reserve(session, {&request, 1}, true)[0];
    raise_if_any(answer.refusal);
    write_grant(session.reply, answer);
}

PG_ORG_CALL(usage_reserve_many)
{
    require_gateway(session, "/usage/reserve");
    const auto requests = read_many<Reserve>(session);
    const bool wait = read_wait(session);
    const auto answers = reserve(session, requests, wait);
    count_refused(session, answers);
    session.reply.begin_array();
    for (const Answer &answer : answers) {
        CHECK_FOR_INTERRUPTS();
        if (answer.refusal)
            write_refusal(session.reply, *answer.refusal, answer.exceeded);
        else
            write_grant(session.reply, answer);
    }
    session.reply.end_array();
}
