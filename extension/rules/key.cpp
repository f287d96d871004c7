// Keys: making and showing them.

#include "key.hpp"

#include "base/duration.hpp"
#include "base/fail.hpp"
#include "base/route.hpp"
#include "key_rights.hpp"
#include "limit.hpp"
#include "models.hpp"
#include "ownership.hpp"
#include "quota.hpp"
#include "show.hpp"
#include "team_rights.hpp"

using namespace pg_org;

namespace {

constinit Statement insert_key{R"(
    INSERT INTO org.api_key (key_hash, key_name, key_alias, user_id, organization_id, team_id, models, expires,
                             metadata, permissions, delegated, created_by, updated_by, max_budget, model_max_budget,
                             tpm_limit, rpm_limit, max_parallel_requests, budget_duration, budget_reset_at, blocked,
                             budget_id, allowed_routes, tags, aliases, kept, limits, short_limits)
    SELECT $1, $2, $3, $4, $5, $6, coalesce($7, '{}'), $8, coalesce($9, '{}'), coalesce($10, '{}'), $11, $12, $12, $13,
           coalesce($14, '{}'), $15, $16, $17, $18, $19, coalesce($20, false), $21, coalesce($22, '{}'),
           coalesce($23, '{}'), coalesce($24, '{}'), $25, coalesce($26, '[]'), $27
     WHERE NOT EXISTS (SELECT FROM org.api_key WHERE previous_key_hash = $1)
        ON CONFLICT DO NOTHING
    RETURNING key_id)"};

constinit Statement read_limits_of_key{"SELECT " LIMITS_OF_KEY("k") " FROM org.api_key k WHERE key_id = $1"};

constinit Statement find_visible_key{"SELECT " KEY_COLUMNS VISIBLE_KEYS " AND (k.key_hash = $4 OR k.key_id = $5)",
                                     Planned::each_time};

} // namespace

namespace pg_org {

Maybe<Json> permissions_object(Maybe<Json> value, const char *name)
{
    if (!object(value, name))
        return {};
    const auto is_boolean = [](const Member &permission) { return permission.value.boolean().has_value(); };
    if (!std::ranges::all_of(members(*value), is_boolean)) {
        Refusal refused = invalid_value(name, "must be an object of true and false");
        refused.hint = "Known permissions are usage and events.";
        raise(refused);
    }
    return value;
}

Maybe<Text> chosen_secret(Maybe<Text> secret, const char *name)
{
    if (secret && (!secret->starts_with("sk-") || secret->size() <= 3))
        invalid(name, "must start with sk- and go on");
    return secret;
}

Expiry read_expiry(Maybe<Text> duration, const char *name)
{
    const bool never = duration == "-1";
    return {never, never ? Maybe<Time>{} : from_now(duration, name)};
}

void require_no_own_budget(Text budget_id, const OwnLimits &limits)
{
    if (limits.max_budget || limits.budget_duration || (limits.model_max_budget && size(*limits.model_max_budget) > 0))
        refused("Either budget_id or max_budget, model_max_budget and budget_duration, not both: budget_id=%.*s has "
                "its own",
                FMT_ARG(budget_id));
}

Text name_of_secret(Text secret)
{
    constexpr size_t shown = 4, enough = 20;
    const Text end = secret.size() < enough ? Text{} : tail(secret, secret.size() - shown);
    return to_text(psprintf("sk-...%.*s", FMT_ARG(end)));
}

void require_valid_limits_of_key(Session &session, Text key_id, const OwnLimits &change)
{
    if (change.any())
        require_valid_limits(read_limit_columns(session.run(read_limits_of_key, key_id)[0], 0));
}

CreatedKey create_key(Session &session, const NewKey &key)
{
    require_room_for_key(session, key.organization_id, key.team_id, key.user_id);
    require_free_alias(session, key, {});
    const Text secret = key.secret ? *key.secret : session.new_secret();
    const Rows made = session.run(
        insert_key, digest(secret), name_of_secret(secret), key.key_alias, key.user_id, key.organization_id,
        key.team_id, key.models, key.expires, key.metadata, key.permissions, is_delegated(session.caller, key.user_id),
        session.caller.user_id, key.limits.max_budget, key.limits.model_max_budget, key.limits.tpm_limit,
        key.limits.rpm_limit, key.limits.max_parallel_requests, key.limits.budget_duration, key.limits.budget_reset_at,
        key.blocked, key.budget_id, key.allowed_routes, key.tags, key.aliases, key.kept.values(),
        key.limits.others.sentences, key.limits.others.short_forms.values());
    if (made.empty())
        exists_already("Key already exists");
    const Text key_id = *made[0].get<Text>(0);
    require_valid_limits_of_key(session, key_id, key.limits);
    require_key_within_owners(session, key_id);
    return {secret, key_id};
}

void warm_up_keys(Session &session, Text nobody)
{
    const Maybe<Text> none;
    session.run(find_visible_key, Maybe<Texts>{}, none, none, nobody, nobody);
    warm_up_key_list(session, nobody);
}

} // namespace pg_org

namespace {

// The arguments of a call that makes a key, but its owners.
NewKey read_new_key(Session &session)
{
    NewKey key;
    key.models = session.argument("models", model_list);
    key.expires = session.argument("duration", read_expiry).at;
    key.key_alias = session.argument<Text>("key_alias");
    if (key.key_alias)
        identifier(key.key_alias, "key_alias");
    key.metadata = session.argument("metadata", object);
    key.permissions = session.argument("permissions", permissions_object);
    key.secret = session.argument("key", chosen_secret);
    key.limits = read_own_limits(session, LimitsOf::key);
    key.blocked = session.argument<bool>("blocked");
    key.budget_id = session.argument("budget_id", not_empty);
    key.allowed_routes = session.argument("allowed_routes", route_list);
    key.tags = session.argument("tags", tag_list);
    key.aliases = session.argument("aliases", model_aliases);
    key.kept.read(session);
    return key;
}

// Makes the key for its owners, and replies with it.
void generate(Session &session, NewKey &key)
{
    require_giver_of(session.caller, key.permissions);
    if (key.budget_id)
        require_giver_of_budget(session.caller, "keys");
    resolve_owners(session, key);
    require_models_of_caller(session.caller, key.models.value_or(Texts{}));
    require_routes_of_caller(session.caller, key.allowed_routes.value_or(Texts{}));
    if (key.budget_id) {
        require_no_own_budget(*key.budget_id, key.limits);
        share_budget(session, *key.budget_id);
    }
    const auto [secret, key_id] = create_key(session, key);
    if (!session.caller.is_proxy_admin())
        require_key_within_user(session, key_id);
    write_new_key(session, key_id, secret);
}

// The key of that secret or token_id, if the caller may see it; a key always sees itself, and a team may show its keys
// to its members.
Rows find_visible(Session &session, Text key)
{
    const Caller &caller = session.caller;
    const Rows found = session.run(find_visible_key, overseen_organizations(session), caller.user_id,
                                   caller.organization_id, digest(key), key);
    if (!found.empty())
        return found;
    const auto named = find_key(session, key);
    if (!named)
        return found;
    const bool is_itself = named->key_id == caller.key_id;
    const auto permits = [&](const Text &team_id) {
        return may_with_keys_of(session, {named->organization_id.value_or(Text{}), team_id}, "/key/info");
    };
    return is_itself || (named->team_id && permits(*named->team_id)) ? read_key(session, named->key_id) : found;
}

// Refuses a member of the key's team whom the team does not permit to see its keys.
void require_permission_to_see(Session &session, Text key)
{
    const auto named = find_key(session, key);
    if (named && named->team_id)
        require_permission_of_team(session, {named->organization_id.value_or(Text{}), *named->team_id}, "/key/info");
}

// Callers whose key is for calls of models may ask about that key only.
void require_route_to(Session &session, const Rows &keys)
{
    const bool is_itself =
        !keys.empty() && session.caller.key_id && *keys[0].get<Text>(key_id_column) == *session.caller.key_id;
    if (!is_itself)
        require_route_to_others(session.caller, "key_info");
}

} // namespace

PG_ORG_WRITE(key_generate)
{
    NewKey key = read_new_key(session);
    key.user_id = session.argument<Text>("user_id");
    key.organization_id = session.argument<Text>("organization_id");
    key.team_id = session.argument<Text>("team_id");
    // Without a user_id an admin makes a key of no user, anybody else one for themself.
    if (!key.user_id && !session.caller.is_proxy_admin()) {
        NewKey of_nobody = key;
        resolve_team(session, of_nobody);
        if (!of_nobody.organization_id || !administers(session, *of_nobody.organization_id))
            key.user_id = session.caller.user_id;
    }
    generate(session, key);
}

PG_ORG_WRITE(key_service_account_generate)
{
    NewKey key = read_new_key(session);
    key.team_id = session.required<Text>("team_id");
    key.organization_id = session.argument<Text>("organization_id");
    generate(session, key);
}

PG_ORG_READ(key_info)
{
    const auto asked = session.argument<Text>("key");
    const Text key = required(asked ? asked : session.caller.key_id, "key");
    const Rows rows = find_visible(session, key);
    require_route_to(session, rows);
    if (rows.empty()) {
        require_permission_to_see(session, key);
        not_found("Key not found");
    }
    session.reply.begin_object().key("key").value(key);
    session.reply.key("info").object(rows[0]).end_object();
}

PG_ORG_READ(key_info_many)
{
    const Texts keys = bounded_list(session.required("keys", text_list), "keys");
    Writer &reply = session.reply;
    reply.begin_object().key("key").begin_array();
    for (const Text key : keys)
        reply.value(key);
    reply.end_array().key("info").begin_array();
    for (const Text key : keys)
        for (const Row row : find_visible(session, key))
            reply.object(row);
    reply.end_array().end_object();
}

PG_ORG_READ(key_health)
{
    session.reply.begin_object().key("key").value(Text{"healthy"}).key("logging_callbacks").null().end_object();
}
