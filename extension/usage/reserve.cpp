// Reserving: before a call to a model is made, what it may cost is held against every limit that applies to it.

#include "exceeded.hpp"
#include "rules/models.hpp"
#include "base/number.hpp"
#include "request.hpp"

using namespace pg_org;

namespace {

constexpr int64 default_ttl = 600, longest_ttl = SECS_PER_DAY;

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
                    .rule("ttl_seconds", ttl_seconds.value_or(1) > 0, "must be more than zero")
                    .rule("ttl_seconds", ttl_seconds.value_or(1) <= longest_ttl, "must be at most 86400")
                    .wrong();
    }
};

struct Answer {
    Maybe<Refusal> refusal;
    Maybe<Exceeded> exceeded; // why it is refused, if for that
    const Call *call;         // what is granted
    UsageLimits limits;
    bool repeated; // granted before: the limits have it in what is held
};

Number asked_of(const UsageLimit &limit, const Call &call)
{
    switch (limit.kind) {
    case UsageLimit::max_budget:
    case UsageLimit::model_max_budget:
        return call.max_cost;
    case UsageLimit::tpm_limit:
        return number(call.max_tokens);
    case UsageLimit::max_parallel_requests:
    case UsageLimit::rpm_limit:
        return number(1);
    }
    pg_unreachable();
}

// Why the key may make no calls at all.
Maybe<Refusal> key_refusal(const Standing &standing, Time now)
{
    const auto refuse = [](const char *message) {
        return refusal(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, "key", "%s", message);
    };
    const Holder *key = standing.holder(Owner::key), *team = standing.holder(Owner::team),
                 *organization = standing.holder(Owner::organization);
    if (key == nullptr)
        return unknown_key();
    if (key->blocked)
        return refuse("Authentication Error, Key is blocked. Ask an admin to unblock it.");
    if (key->expires && key->expires->value <= now.value) {
        Refusal expired = expired_key(*key->expires);
        expired.argument = "key";
        return expired;
    }
    if (team != nullptr && team->blocked)
        return refuse(psprintf("Authentication Error, Team=%.*s is blocked.", FMT_ARG(team->id())));
    if (organization != nullptr && organization->blocked)
        return refuse(psprintf("Authentication Error, Organization=%.*s is blocked.", FMT_ARG(organization->id())));
    return {};
}

// Why the model may not be called, by whom. One list after the other must allow what was asked for or what it stands
// for; a key of its team's models leaves it to the team.
Maybe<Refusal> model_refusal(const Standing &standing, Text asked, Text model)
{
    for (const Owner owner : {Owner::key, Owner::team, Owner::organization, Owner::user}) {
        const Holder *holder = standing.holder(owner);
        const Texts list = holder == nullptr ? Texts{} : holder->models;
        const bool is_teams = owner == Owner::key && std::ranges::find(list, Text{"all-team-models"}) != list.end();
        if (list.empty() || is_teams)
            continue;
        const Text name = owner_name(owner);
        if (!is_model(asked) || !is_model(model) || !(allows(list, asked) || allows(list, model)))
            return refusal(errcode_model_denied, "model",
                           "%.*s not allowed to access model. This %.*s can only access models=%s. "
                           "Tried to access %.*s",
                           FMT_ARG(name), FMT_ARG(name), show_list(list), FMT_ARG(asked));
    }
    return {};
}

// What is held for a call whose highest cost is not given.
Maybe<Number> default_reserve(const Standing &standing)
{
    const Holder *organization = standing.holder(Owner::organization);
    return organization == nullptr ? Maybe<Number>{} : organization->default_reserve;
}

// Completes what was asked by what a limit needs to know.
Maybe<Refusal> complete(Call &call, const Reserve &asked, const Standing &standing, UsageLimits limits)
{
    const auto has = [&](auto of_kind) { return std::ranges::any_of(limits, of_kind); };
    const auto amount = asked.max_cost ? asked.max_cost : default_reserve(standing);
    if (!amount && has([](const UsageLimit &limit) { return limit.is_budget(); }))
        return refusal(ERRCODE_NULL_VALUE_NOT_ALLOWED, "max_cost", "\"max_cost\" is required: a budget applies");
    if (!asked.max_tokens && has([](const UsageLimit &limit) { return limit.kind == UsageLimit::tpm_limit; }))
        return refusal(ERRCODE_NULL_VALUE_NOT_ALLOWED, "max_tokens", "\"max_tokens\" is required: a tpm_limit applies");
    call.max_cost = amount.value_or(zero());
    call.max_tokens = asked.max_tokens.value_or(0);
    return {};
}

// What is answered to a request whose request_id is known.
Answer repeat(Counters &counters, const Reserve &asked, const Standing &standing, const Call &known)
{
    Answer answer{};
    // What is held for an unpriced call may have been another amount then.
    const bool is_other_amount = asked.max_cost && !(known.max_cost == *asked.max_cost);
    if (known.state != State::held || known.expires_at.value <= counters.now().value)
        answer.refusal = refusal(ERRCODE_UNIQUE_VIOLATION, "request_id", "Reservation is over for request_id=%.*s",
                                 FMT_ARG(known.request_id));
    else if (known.party.key_id != asked.party.key_id || known.model != standing.model_named(*asked.model) ||
             is_other_amount || known.max_tokens != asked.max_tokens.value_or(0))
        answer.refusal = refusal(ERRCODE_UNIQUE_VIOLATION, "request_id",
                                 "Another request was reserved with request_id=%.*s", FMT_ARG(known.request_id));
    else
        answer.call = &known;
    return answer;
}

// The answer to one request; what is granted is held from now on.
Answer decide(Counters &counters, const Reserve &asked, Call *&known)
{
    Answer answer{};
    Standing &standing = counters.standing(asked.party);
    const Time now = counters.now();
    if ((answer.refusal = key_refusal(standing, now)))
        return answer;
    const Text model = standing.model_named(*asked.model);
    if (known != nullptr) {
        answer = repeat(counters, asked, standing, *known);
        answer.limits = counters.limits_of(standing, model);
        answer.repeated = true;
        return answer;
    }
    if ((answer.refusal = model_refusal(standing, *asked.model, model)))
        return answer;

    answer.limits = counters.limits_of(standing, model);
    Call *call = asked.call(model, now);
    call->expires_at = {now.value + asked.ttl_seconds.value_or(default_ttl) * USECS_PER_SEC};
    call->state = State::held;
    if ((answer.refusal = complete(*call, asked, standing, answer.limits)))
        return answer;
    for (const UsageLimit &limit : answer.limits) {
        const Number amount = asked_of(limit, *call);
        if (limit.spent + limit.held + amount <= limit.value)
            continue;
        answer.exceeded = make_exceeded(limit, amount, now);
        answer.refusal = refusal_of(*answer.exceeded);
        // That others hold the rest, or that it alone is too much, does not mean that the budget is spent.
        if (limit.is_budget() && amount <= limit.value && limit.spent + amount > limit.value)
            counters.exceeded(limit);
        return answer;
    }
    counters.move(*call, State::none, State::held);
    answer.call = known = call;
    return answer;
}

std::span<const Party> parties_of(std::span<const Party> some, Calls calls)
{
    const auto all = allocate<Party>(some.size() + calls.size());
    const auto after = std::ranges::copy(some, all.begin()).out;
    std::ranges::transform(calls, after, [](const Call *call) { return call->party; });
    return all;
}

Texts both(Texts some, Texts more)
{
    const auto all = allocate<Text>(some.size() + more.size());
    std::ranges::merge(some, more, all.begin());
    return all;
}

// Puts those of the calls first that others have locked by hand; returns the rest.
std::span<Call *> lock_free_calls(Session &session, std::span<Call *> calls)
{
    const auto names = column<CallName>(
        calls, [](const Call *call) { return CallName{call->party.organization_id, call->request_id}; });
    const auto is_free = allocate<bool>(calls.size());
    for (const auto &[place, call] : lock_calls(session, names, false))
        is_free[place] = call->state == State::held;
    size_t busy = 0;
    for (size_t i = 0; i < calls.size(); i++)
        if (!is_free[i])
            std::swap(calls[busy++], calls[i]);
    return calls.subspan(busy);
}

// Which of the expired reservations may be put away: those of organizations and users that are locked, or can be
// without waiting, for they would be out of order; what is locked then has them as well. Those of no organization, or
// of one that is gone, have only users.
struct Expired {
    Calls taken;
    bool leaves_some;
};
Expired take_expired(Session &session, std::span<const Party> parties, Locked &locked, Time now, bool wait)
{
    const Calls found = find_expired(session, parties, now);
    if (found.empty())
        return {};
    const auto users = column<Text>(found, [](const Call *call) { return call->party.user_id; });
    locked.users = both(locked.users, session.run(user_rows.lock_free, users).texts());
    const Texts all_users = session.run(user_rows.find, users).texts();
    const Texts all_organizations =
        session
            .run(organization_rows.find,
                 column<Text>(found, [](const Call *call) { return call->party.organization_id; }))
            .texts();
    const auto is_busy = [&](Text user_id) {
        return std::ranges::binary_search(all_users, user_id) && !std::ranges::binary_search(locked.users, user_id);
    };
    const auto calls = allocate<Call *>(found.size());
    std::ranges::copy(found, calls.begin());
    const auto is_left = [&](const Call *call) {
        const Party &party = call->party;
        const bool inside = !std::ranges::binary_search(all_organizations, party.organization_id) ||
                            std::ranges::binary_search(locked.organizations, party.organization_id);
        return !inside || is_busy(party.user_id);
    };
    std::span<Call *> free{std::ranges::partition(calls, is_left).begin(), calls.end()};
    if (!wait && !free.empty())
        free = lock_free_calls(session, free);
    return {free, found.size() == max_expired || free.size() < found.size()};
}

std::span<const Answer> reserve(Session &session, std::span<Reserve> requests, bool wait)
{
    Locked locked = lock_parties(session, find_parties(session, pointers_to<NewCall>(requests), wait), wait);
    const auto parties = locked.sort_out(requests);
    const Time now = present();
    const auto [taken, leaves_some] = take_expired(session, parties, locked, now, wait);
    Counters counters{session, parties_of(parties, taken), now, locked};
    for (Call *call : taken) {
        CHECK_FOR_INTERRUPTS();
        call->state = State::expired;
        call->closed_at = now;
        counters.move(*call, State::held, State::expired);
    }
    write_calls(session, taken);
    counters.leave_out_expired(leaves_some);

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
    counters.write();
    return answers;
}

void write_grant(Writer &reply, const Answer &answer)
{
    const Call &call = *answer.call;
    write_call_name(reply.begin_object(), call);
    reply.key("model").value(call.model).key("expires_at").value(call.expires_at).key("limits").begin_array();
    for (const UsageLimit &limit : answer.limits) {
        const Number left = limit.value - limit.spent - limit.held;
        write_limit_name(reply.begin_object(), limit);
        write_amount(reply.key("remaining"), limit, answer.repeated ? left : left - asked_of(limit, call));
        reply.key("resets_at").value(limit.resets_at).end_object();
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
    session.reply.begin_array();
    for (const Answer &answer : reserve(session, requests, wait)) {
        CHECK_FOR_INTERRUPTS();
        if (answer.refusal)
            write_refusal(session.reply, *answer.refusal, answer.exceeded);
        else
            write_grant(session.reply, answer);
    }
    session.reply.end_array();
}

PG_ORG_READ(usage_limits)
{
    session.plan_for_look_ups();
    const auto asked = session.argument<Text>("key");
    const Text key = required(asked ? asked : session.caller.key_id, "key");
    const Caller &caller = session.caller;
    const auto confined = confinement(caller);
    const auto party = key.starts_with("sk-") ? party_of_secret(session, key) : party_of_token_id(session, key);
    const bool sees_all = (caller.reads_everything() || has_permission(session, usage_permission)) &&
                          (!confined || caller.reads_everything() || (party && party->organization_id == *confined));
    if (!sees_all && !(party && (party->key_id == caller.key_id ||
                                 (!party->organization_id.empty() && administers(session, party->organization_id)))))
        forbidden("You do not have the required role to perform /usage/limits on this key. Your role is = %s",
                  role_name(caller.role));
    if (!party)
        not_found("Key not found");

    Counters counters{session, {&*party, 1}, present(), {}};
    counters.leave_out_expired();
    session.reply.begin_object().key("token_id").value(party->key_id).key("limits").begin_array();
    for (const UsageLimit &limit : counters.limits_of(counters.standing(*party), {})) {
        write_limit_name(session.reply.begin_object(), limit);
        write_amount(session.reply.key("spent"), limit, limit.spent);
        write_amount(session.reply.key("held"), limit, limit.held);
        write_amount(session.reply.key("remaining"), limit, limit.value - limit.spent - limit.held);
        session.reply.key("resets_at").value(limit.resets_at).end_object();
    }
    session.reply.end_array().end_object();
}
