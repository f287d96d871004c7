// Reading requests and finding what they are about.

#include "request.hpp"

#include "counters.hpp"
#include "base/fail.hpp"
#include "base/number.hpp"

namespace pg_org {

namespace {

// Keys as requests name them: by digest, by the digest of a secret that was replaced, or by token_id.
#define KEY_PARTY                                                                                                      \
    "SELECT k.key_id, coalesce(k.organization_id, ''), coalesce(k.team_id, ''), coalesce(k.user_id, ''), k.delegated"  \
    "  FROM org.api_key k WHERE "

constinit Statement find_by_secret{KEY_PARTY "k.key_hash = $1"};
constinit Statement find_by_replaced_secret{KEY_PARTY "k.previous_key_hash = $1 AND k.previous_expires > $2"};
constinit Statement find_by_id{KEY_PARTY "k.key_id = $1"};

#define REQUEST_ID_LOCK(request_id) "hashtextextended(" request_id ", 1970496882)"
constinit Statement lock_request_ids{
    "SELECT pg_advisory_xact_lock(hash)"
    "  FROM (SELECT DISTINCT " REQUEST_ID_LOCK("request_id") " AS hash FROM unnest($1) AS request_id"
    "         ORDER BY hash) AS names"};
// The others of the names.
constinit Statement lock_free_request_ids{
    "SELECT request_id FROM unnest($1) AS request_id"
    " WHERE NOT pg_try_advisory_xact_lock(" REQUEST_ID_LOCK("request_id") ")"};

constexpr int64 max_money = 1'000'000'000'000;
constexpr int64 max_tokens = 1'000'000'000'000;
constexpr size_t max_requests = 10'000;

Party read_party(const Row &row)
{
    return {*row.get<Text>(1), *row.get<Text>(2), *row.get<Text>(3), *row.get<Text>(0), *row.get<bool>(4)};
}

bool has_null(const Maybe<Texts> &texts)
{
    return texts && std::ranges::any_of(*texts, [](Text text) { return text.data() == nullptr; });
}

Text array_literal(const Maybe<Texts> &texts)
{
    if (!texts || texts->empty())
        return "{}";
    return to_text(OidOutputFunctionCall(F_ARRAY_OUT, to_array(*texts)));
}

// In the order of time, so that indexes of them grow at one end.
Text new_request_id()
{
    uint8 random[10];
    if (!pg_strong_random(random, sizeof random))
        ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values"));
    const auto milliseconds = static_cast<unsigned long long>(GetCurrentTimestamp() / 1000);
    return to_text(psprintf("%012llx%.*s", milliseconds & 0xffffffffffff, FMT_ARG(hexadecimal(random))));
}

// Calls of keys of no organization have no lock in common but that of their name.
void lock_names_outside(Session &session, std::span<NewCall *const> requests, bool wait)
{
    const auto outside = allocate<NewCall *>(requests.size());
    const auto end = std::ranges::copy_if(requests, outside.begin(), [](const NewCall *request) {
                         return !request->wrong && request->party.organization_id.empty();
                     }).out;
    const std::span<NewCall *const> some{outside.begin(), end};
    if (some.empty())
        return;
    const auto names = column<Text>(some, [](const NewCall *request) { return *request->request_id; });
    if (wait) {
        session.run(lock_request_ids, Texts{names});
        return;
    }
    const Texts held = session.run(lock_free_request_ids, Texts{names}).texts();
    for (NewCall *request : some) {
        CHECK_FOR_INTERRUPTS();
        if (std::ranges::find(held, *request->request_id) != held.end())
            request->wrong = held_by_others("request", *request->request_id);
    }
}

} // namespace

void require_gateway(Session &session, const char *route)
{
    session.plan_for_look_ups();
    if (!has_permission(session, usage_permission))
        forbidden("Only proxy admins and keys with the permission %s can perform %s. Your role is = %s",
                  usage_permission, route, role_name(session.caller.role));
}

Maybe<Text> confinement(const Caller &caller)
{
    return caller.is_proxy_admin() ? Maybe<Text>{} : caller.organization_id;
}

namespace {

Maybe<Party> party_in(const Rows &rows) { return rows.empty() ? Maybe<Party>{} : read_party(rows[0]); }

} // namespace

Maybe<Party> party_of_secret(Session &session, Text key)
{
    const Text hash = digest(key);
    const auto party = party_in(session.run(find_by_secret, hash));
    return party ? party : party_in(session.run(find_by_replaced_secret, hash, present()));
}

Maybe<Party> party_of_token_id(Session &session, Text token_id)
{
    return party_in(session.run(find_by_id, token_id));
}

std::span<const Value> read_elements(Session &session)
{
    const auto requests = required(session.json("requests"), "requests").elements();
    if (requests.size() > max_requests)
        invalid("requests", "must be at most %zu", max_requests);
    return requests;
}

Element::Element(const Value &value) : value_(value)
{
    if (!value.is_object())
        refuse(invalid_value("requests", "must be objects"));
}

void Element::refuse(const Refusal &refusal)
{
    if (!wrong_)
        wrong_ = refusal;
}

Check &Check::identifier(const char *name, const Maybe<Text> &value)
{
    return rule(name, !value || !value->empty(), "must not be empty")
        .rule(name, !value || value->size() <= max_name_bytes, "must be at most 255 bytes long");
}

Check &Check::amount(const char *name, const Maybe<Number> &value)
{
    const char *wrong = value ? wrong_amount(*value, max_money) : nullptr;
    return rule(name, wrong == nullptr, wrong);
}

Check &Check::count(const char *name, const Maybe<int64> &value)
{
    return rule(name, !value || *value >= 0, "must be zero or more")
        .rule(name, !value || *value <= max_tokens, "must be at most 1000000000000");
}

void raise_if_any(const Maybe<Refusal> &refusal)
{
    if (refusal)
        raise(*refusal);
}

void NewCall::check()
{
    wrong = Check{wrong}
                .given("key", key || token_id)
                .rule("key", !key || !token_id, "must not come along with token_id")
                .given("model", model.has_value())
                .identifier("model", model)
                .identifier("request_id", request_id)
                .rule("tags", !has_null(tags), "must not contain null")
                .rule("tags", are_bounded_tags(tags.value_or(Texts{})), tags_rule)
                .wrong();
    if (!request_id)
        request_id = new_request_id();
}

Call *NewCall::call(Text model_called, Time now) const
{
    Call *call = allocate<Call>(1).data();
    *call = {.party = party,
             .request_id = *request_id,
             .model = model_called,
             .tags = array_literal(tags),
             .max_cost = zero(),
             .reserved_at = now,
             .expires_at = now,
             .cost = zero()};
    return call;
}

std::span<const Party> find_parties(Session &session, std::span<NewCall *const> requests, bool wait)
{
    const auto confined = confinement(session.caller);
    const auto parties = allocate<Party>(requests.size());
    size_t count = 0;
    for (size_t i = 0; i < requests.size(); i++) {
        CHECK_FOR_INTERRUPTS();
        NewCall &request = *requests[i];
        if (request.wrong)
            continue;
        // Most often many requests in a row are of few keys.
        const auto same = std::ranges::find_if(requests.first(i), [&](const NewCall *other) {
            return !other->wrong && other->key == request.key && other->token_id == request.token_id;
        });
        const auto party = same != requests.begin() + i ? Maybe<Party>{(*same)->party}
                           : request.key               ? party_of_secret(session, *request.key)
                                                       : party_of_token_id(session, *request.token_id);
        if (party && (!confined || party->organization_id == *confined))
            parties[count++] = request.party = *party;
        else
            request.wrong = unknown_key();
    }
    lock_names_outside(session, requests, wait);
    return parties.first(count);
}

void write_call_name(Writer &reply, const Call &call)
{
    reply.key("reservation_id").value(reservation_id(call)).key("request_id").value(call.request_id);
}

} // namespace pg_org
