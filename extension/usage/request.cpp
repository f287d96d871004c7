// Reading and checking requests, and finding their keys.

#include "request.hpp"

#include "base/clock.hpp"

namespace pg_org {

namespace {

#define KEY_COLUMNS "key_id, coalesce(organization_id, ''), coalesce(team_id, ''), coalesce(user_id, ''), delegated"
constinit Statement find_by_secret{"SELECT " KEY_COLUMNS " FROM org.api_key WHERE key_hash = $1"};
constinit Statement find_by_replaced_secret{"SELECT " KEY_COLUMNS
                                            " FROM org.api_key WHERE previous_key_hash = $1 AND previous_expires > $2"};
constinit Statement find_by_id{"SELECT " KEY_COLUMNS " FROM org.api_key WHERE key_id = $1"};

#define FORMER_KEY_COLUMNS "id, organization_id, team_id, user_id, delegated, deleted_at"
constinit Statement find_former_by_secret{"SELECT " FORMER_KEY_COLUMNS " FROM org.former_owner"
                                          " WHERE key_hash = $1 ORDER BY deleted_at DESC LIMIT 1"};
constinit Statement find_former_by_id{"SELECT " FORMER_KEY_COLUMNS
                                      " FROM org.former_owner WHERE kind = 'key' AND id = $1"};

constinit Statement lock_all_request_ids{R"(
    SELECT pg_advisory_xact_lock(hash)
      FROM (SELECT DISTINCT hashtextextended(request_id, 1970496882) AS hash FROM unnest($1) AS request_id
             ORDER BY hash) AS names)"};
// Returns those that other transactions have locked.
constinit Statement lock_free_request_ids{R"(
    SELECT request_id FROM unnest($1) AS request_id
     WHERE NOT pg_try_advisory_xact_lock(hashtextextended(request_id, 1970496882)))"};

constexpr int64 max_tokens = 1'000'000'000'000;
constexpr size_t max_requests = 10'000;

OwnerIds read_owner_ids(const Row &row)
{
    return {.organization_id = *row.get<Text>(1),
            .team_id = *row.get<Text>(2),
            .user_id = *row.get<Text>(3),
            .key_id = *row.get<Text>(0),
            .delegated = *row.get<bool>(4)};
}

Maybe<OwnerIds> first_of(const Rows &rows) { return rows.empty() ? Maybe<OwnerIds>{} : read_owner_ids(rows[0]); }

Maybe<FormerKey> former_of(const Rows &rows)
{
    return rows.empty() ? Maybe<FormerKey>{} : FormerKey{read_owner_ids(rows[0]), *rows[0].get<Time>(5)};
}

bool has_null(const Maybe<Texts> &texts)
{
    return texts && std::ranges::any_of(*texts, [](Text text) { return text.data() == nullptr; });
}

// Random bytes for one request, of many that are generated at once: that takes as long as a few.
std::span<const uint8> random_bytes()
{
    constexpr size_t size = 10, many = 64;
    static uint8 bytes[size * many];
    static size_t left = 0;
    if (left == 0) {
        if (!pg_strong_random(bytes, sizeof bytes))
            ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values"));
        left = many;
    }
    return {bytes + size * --left, size};
}

// Time-ordered, like UUIDv7, so that index inserts append.
Text new_request_id()
{
    const auto milliseconds = static_cast<unsigned long long>(GetCurrentTimestamp() / 1000);
    return to_text(psprintf("%012llx%.*s", milliseconds & 0xffffffffffff, FMT_ARG(hexadecimal(random_bytes()))));
}

// Calls outside organizations lock no common row, so their names are locked themselves.
void lock_names_outside(Session &session, std::span<NewCall *const> requests, bool wait)
{
    const auto outside = filter(requests, [](const NewCall *request) {
        return !request->wrong && (request->owners.organization_id.empty() || request->key_deleted_at);
    });
    if (outside.empty())
        return;
    const auto names = map<Text>(outside, [](const NewCall *request) { return *request->request_id; });
    if (wait) {
        lock_request_ids(session, names);
        return;
    }
    const Texts busy = session.run(lock_free_request_ids, names).texts();
    for (NewCall *request : outside) {
        CHECK_FOR_INTERRUPTS();
        if (std::ranges::find(busy, *request->request_id) != busy.end())
            request->wrong = held_by_others("request", *request->request_id);
    }
}

} // namespace

void require_gateway(Session &session, const char *route)
{
    session.plan_for_look_ups();
    lock_ledger();
    if (!has_permission(session, usage_permission))
        forbidden("Only proxy admins and keys with the permission %s (\"permissions\": {\"%s\": true}) can perform %s. "
                  "Your role is = %s",
                  usage_permission, usage_permission, route, role_name(session.caller.role));
}

Maybe<Text> confinement(const Caller &caller)
{
    return caller.is_proxy_admin() ? Maybe<Text>{} : caller.organization_id;
}

Maybe<OwnerIds> owners_of_secret(Session &session, Text key)
{
    const Text hash = digest(key);
    const auto owners = first_of(session.run(find_by_secret, hash));
    return owners ? owners : first_of(session.run(find_by_replaced_secret, hash, present()));
}

Maybe<OwnerIds> owners_of_token_id(Session &session, Text token_id)
{
    return first_of(session.run(find_by_id, token_id));
}

Maybe<FormerKey> former_key_of_secret(Session &session, Text key)
{
    return former_of(session.run(find_former_by_secret, digest(key)));
}

Maybe<FormerKey> former_key_of_token_id(Session &session, Text token_id)
{
    return former_of(session.run(find_former_by_id, token_id));
}

Refusal lost_key(Session &session, const OwnerIds &owners)
{
    return owners_of_token_id(session, owners.key_id) ? key_changed() : unknown_key("key");
}

Refusal key_changed()
{
    return refusal(ERRCODE_T_R_SERIALIZATION_FAILURE, "key", "Changed by somebody else just now. Try again");
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
    const char *broken = value ? broken_money_rule(*value) : nullptr;
    return rule(name, broken == nullptr, broken);
}

Check &Check::count(const char *name, const Maybe<int64> &value)
{
    return rule(name, !value || *value >= 0, "must be zero or more")
        .rule(name, !value || *value <= max_tokens, "must be at most 1000000000000");
}

Check &Check::ttl(const char *name, const Maybe<int64> &value)
{
    return rule(name, value.value_or(1) > 0, "must be more than zero")
        .rule(name, value.value_or(1) <= max_ttl, "must be at most 86400");
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
                .rule("end_user", !end_user || end_user->size() <= max_name_bytes, "must be at most 255 bytes long")
                .rule("tags", !has_null(tags), "must not contain null")
                .rule("tags", are_bounded_tags(tags.value_or(Texts{})), tags_rule)
                .wrong();
    if (!request_id)
        request_id = new_request_id();
}

Call *NewCall::call(const CallOwners &call_owners, Text resolved_model, Time now) const
{
    Call *call = allocate<Call>(1).data();
    *call = {.owners = owners,
             .request_id = *request_id,
             .model = resolved_model,
             .tags = call_owners.tags(tags.value_or(Texts{})),
             .max_cost = zero(),
             .reserved_at = now,
             .expires_at = now,
             .cost = zero()};
    return call;
}

bool NewCall::take(const Maybe<OwnerIds> &found, const Maybe<Text> &confined)
{
    if (!found || (confined && found->organization_id != *confined)) {
        wrong = unknown_key("key");
        return false;
    }
    owners = *found;
    owners.end_user = end_user.value_or(Text{});
    return true;
}

std::span<const OwnerIds> find_owners(Session &session, std::span<NewCall *const> requests, bool wait)
{
    const auto confined = confinement(session.caller);
    const auto found = allocate<OwnerIds>(requests.size());
    size_t count = 0;
    for (size_t i = 0; i < requests.size(); i++) {
        CHECK_FOR_INTERRUPTS();
        NewCall &request = *requests[i];
        if (request.wrong)
            continue;
        // A batch often has many requests of few keys.
        const auto same = std::ranges::find_if(requests.first(i), [&](const NewCall *other) {
            return !other->wrong && other->key == request.key && other->token_id == request.token_id;
        });
        const auto owners = same != requests.begin() + i ? Maybe<OwnerIds>{(*same)->owners}
                            : request.key                ? owners_of_secret(session, *request.key)
                                                         : owners_of_token_id(session, *request.token_id);
        if (request.take(owners, confined))
            found[count++] = request.owners;
    }
    lock_names_outside(session, requests, wait);
    return found.first(count);
}

std::span<const OwnerIds> find_present_or_former_owners(Session &session, NewCall &request)
{
    NewCall *const requests[] = {&request};
    const auto found = find_owners(session, requests);
    if (!found.empty())
        return found;
    const auto former =
        request.key ? former_key_of_secret(session, *request.key) : former_key_of_token_id(session, *request.token_id);
    if (!former)
        return {};
    request.wrong = {};
    request.key_deleted_at = former->deleted_at;
    if (!request.take(former->owners, confinement(session.caller)))
        return {};
    lock_names_outside(session, requests, true);
    return {&request.owners, 1};
}

void lock_request_ids(Session &session, Texts request_ids) { session.run(lock_all_request_ids, request_ids); }

void write_call_name(Writer &reply, const Call &call)
{
    reply.key("reservation_id").value(reservation_id(call)).key("request_id").value(call.request_id);
}

} // namespace pg_org
