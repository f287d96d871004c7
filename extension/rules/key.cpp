// Keys: who may make, see, change and replace them.

#include "key.hpp"

#include "base/duration.hpp"
#include "base/fail.hpp"
#include "lock.hpp"
#include "models.hpp"
#include "ownership.hpp"
#include "person.hpp"
#include "quota.hpp"
#include "show.hpp"
#include "team.hpp"

using namespace pg_org;

namespace {

constinit Statement insert_key{R"(
    INSERT INTO org.api_key (key_hash, key_name, key_alias, user_id, organization_id, team_id, models, expires,
                             metadata, permissions, delegated, created_by, updated_by, max_budget, model_max_budget,
                             tpm_limit, rpm_limit, max_parallel_requests, budget_duration, budget_reset_at)
    SELECT $1, $2, $3, $4, $5, $6, coalesce($7, '{}'), $8, coalesce($9, '{}'), coalesce($10, '{}'), $11, $12, $12, $13,
           coalesce($14, '{}'), $15, $16, $17, $18, $19
     WHERE NOT EXISTS (SELECT FROM org.api_key WHERE previous_key_hash = $1)
        ON CONFLICT DO NOTHING
    RETURNING key_id)"};

constinit Statement find_key{R"(
    SELECT key_id, organization_id, user_id, permissions <> '{}'
      FROM org.api_key
     WHERE key_hash = $1
        OR key_id = $2)"};

constinit Statement lock_key{"SELECT key_id FROM org.api_key WHERE key_id = $1 FOR UPDATE"};

constinit Statement set_blocked{
    "UPDATE org.api_key SET blocked = $2, updated_at = now(), updated_by = $3 WHERE key_id = $1"};

constinit Statement update_key{R"(
    UPDATE org.api_key
       SET key_alias = CASE WHEN 'key_alias' = ANY ($14) THEN NULL ELSE coalesce($2, key_alias) END,
           models = coalesce($3, models),
           metadata = coalesce($4, metadata),
           permissions = coalesce($5, permissions),
           expires = CASE WHEN 'duration' = ANY ($14) THEN NULL ELSE coalesce($6, expires) END,
           max_budget = CASE WHEN 'max_budget' = ANY ($14) THEN NULL ELSE coalesce($7, max_budget) END,
           model_max_budget = coalesce($8, model_max_budget),
           tpm_limit = CASE WHEN 'tpm_limit' = ANY ($14) THEN NULL ELSE coalesce($9, tpm_limit) END,
           rpm_limit = CASE WHEN 'rpm_limit' = ANY ($14) THEN NULL ELSE coalesce($10, rpm_limit) END,
           max_parallel_requests = CASE WHEN 'max_parallel_requests' = ANY ($14) THEN NULL
                                        ELSE coalesce($11, max_parallel_requests) END,
           budget_duration = CASE WHEN 'budget_duration' = ANY ($14) THEN NULL ELSE coalesce($12, budget_duration) END,
           budget_reset_at = CASE WHEN 'budget_duration' = ANY ($14) THEN NULL
                                  WHEN $12 <> coalesce(budget_duration, '') THEN $13
                                  ELSE budget_reset_at END,
           updated_at = now(),
           updated_by = $15
     WHERE key_id = $1)"};

constinit Statement delete_key{"DELETE FROM org.api_key WHERE key_id = $1 RETURNING key_id"};

constinit Statement find_grace{
    "SELECT previous_expires FROM org.api_key WHERE key_id = $1 AND previous_expires > statement_timestamp()"};

// Without a grace period for this secret, the previous one keeps its own.
constinit Statement replace_secret{R"(
    UPDATE org.api_key
       SET previous_key_hash = CASE WHEN $4 IS NOT NULL THEN key_hash
                                    WHEN previous_expires > statement_timestamp() THEN previous_key_hash END,
           previous_expires = CASE WHEN $4 IS NOT NULL THEN $4
                                   WHEN previous_expires > statement_timestamp() THEN previous_expires END,
           key_hash = $2,
           key_name = $3,
           expires = coalesce($5, expires),
           delegated = delegated OR $6,
           updated_at = now(),
           updated_by = $7
     WHERE key_id = $1)"};

#define VISIBLE_KEYS "  FROM org.api_key k WHERE " SEES_KEY

constinit Statement find_visible_key{"SELECT " KEY_COLUMNS VISIBLE_KEYS " AND (k.key_hash = $4 OR k.key_id = $5)",
                                     Planned::each_time};

constinit Statement find_keys_of_aliases{"SELECT k.key_alias, k.key_id, k.organization_id, k.user_id" VISIBLE_KEYS
                                         " AND k.key_alias = ANY ($4)",
                                         Planned::each_time};

// An object of booleans. Unknown permissions are kept, since clients of LiteLLM have some of their own.
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

// The secret without its middle, to recognize it by; a short secret would give away too much.
Text name_of(Text secret)
{
    constexpr size_t shown = 4, enough = 20;
    const Text end = secret.size() < enough ? Text{} : tail(secret, secret.size() - shown);
    return to_text(psprintf("sk-...%.*s", FMT_ARG(end)));
}

[[noreturn]] void forbid_keys(const Caller &caller)
{
    forbidden("Only admins of an organization can make keys for others or outside a team they belong to. "
              "Your role is = %s",
              role_name(caller.role));
}

// Whether the caller is a member making a key of their own within a team they belong to.
bool makes_own_key(Session &session, const NewKey &key)
{
    return key.team_id && key.user_id && key.user_id == session.caller.user_id &&
           role_in(session, *key.organization_id) == "internal_user" &&
           role_in_team(session, {*key.organization_id, *key.team_id});
}

// Proxy admins make any key, an organization's admins make keys inside it.
void require_maker(Session &session, const NewKey &key)
{
    const Caller &caller = session.caller;
    if (caller.is_proxy_admin())
        return;
    if (key.secret || !key.organization_id)
        forbid_keys(caller);
    if (!makes_own_key(session, key) && !administers(session, *key.organization_id))
        forbid_keys(caller);
}

// A key with permissions acts for others, which only a proxy admin may grant.
void require_giver_of(const Caller &caller, const Maybe<Json> &permissions)
{
    if (permissions && !members(*permissions).empty() && !caller.is_proxy_admin())
        forbidden("Only proxy admins can give permissions to keys. Your role is = %s", role_name(caller.role));
}

// A key that somebody else made for the user, or that such a key made, does not carry the user's role on the platform.
bool is_delegated(const Caller &caller, const Maybe<Text> &user_id)
{
    return caller.delegated || (!caller.is_proxy_admin() && user_id != caller.user_id);
}

// Completes the user, team and organization of the key, locks them and checks that the caller may make it.
void resolve_owners(Session &session, NewKey &key)
{
    if (key.team_id) {
        const auto team = find_team(session, *key.team_id, key.organization_id);
        if (!team) {
            if (!session.caller.is_proxy_admin())
                forbid_keys(session.caller);
            no_such_reference("Team not found for team_id=%.*s", FMT_ARG(*key.team_id));
        }
        key.organization_id = team->organization_id;
    }
    // Without a user_id an admin makes a key of no user, anybody else one for themself.
    if (!key.user_id && !session.caller.is_proxy_admin() &&
        !(key.organization_id && administers(session, *key.organization_id)))
        key.user_id = session.caller.user_id;
    require_maker(session, key);
    if (key.organization_id)
        lock_organization(session, *key.organization_id);
    if (key.team_id)
        lock_team(session, *key.organization_id, *key.team_id);
    // The caller may have lost the right while waiting for the locks.
    require_maker(session, key);
    if (key.user_id && !session.caller.is_proxy_admin())
        require_member(session, *key.organization_id, *key.user_id);
    if (key.user_id)
        lock_user(session, *key.user_id);
}

// A key that a request names by its secret or its token_id.
struct NamedKey {
    Text key_id;
    Maybe<Text> organization_id, user_id;
    bool has_permissions;
};

// The callers that may change a key: proxy admins and admins of its organization, or its user, too.
enum class Allowed { admins, key_user_too };

bool is_own(Session &session, const NamedKey &key)
{
    const Caller &caller = session.caller;
    if (!key.user_id || key.user_id != caller.user_id || caller.role != Role::internal_user)
        return false;
    if (!key.organization_id)
        return !caller.organization_id;
    const auto role = role_in(session, *key.organization_id);
    return role == "internal_user" || role == "org_admin";
}

// The keys with these aliases that the caller may delete, which must be one for each. Keys of others do not show.
Texts keys_of_aliases(Session &session, Texts aliases)
{
    const Caller &caller = session.caller;
    const auto administered =
        caller.is_proxy_admin() ? Maybe<Texts>{} : Maybe<Texts>{administered_organizations(session)};
    const auto may_delete = [&](const NamedKey &key) {
        return !administered ||
               (key.organization_id && std::ranges::binary_search(*administered, *key.organization_id)) ||
               is_own(session, key);
    };
    const auto alias_of = [](const Row &row) { return *row.get<Text>(0); };
    const auto rows = session.run(find_keys_of_aliases, administered, caller.user_id, caller.organization_id, aliases)
                          .sorted_by(alias_of);
    const auto ids = allocate<Text>(aliases.size());
    for (size_t i = 0; i < aliases.size(); i++) {
        size_t count = 0;
        for (const Row &row : std::ranges::equal_range(rows, aliases[i], {}, alias_of))
            if (may_delete({*row.get<Text>(1), row.get<Text>(2), row.get<Text>(3), false}) && count++ == 0)
                ids[i] = *row.get<Text>(1);
        if (count == 0)
            not_found("Key not found for key_alias=%.*s", FMT_ARG(aliases[i]));
        if (count > 1)
            refused("%zu keys have key_alias=%.*s. Please use 'keys' instead.", count, FMT_ARG(aliases[i]));
    }
    return ids;
}

// The key, if the caller may do this to it. An unknown key is refused like one of others.
NamedKey key_to_change(Session &session, Text key, Allowed allowed, const char *route)
{
    const Rows found = session.run(find_key, digest(key), key);
    NamedKey named{};
    if (!found.empty())
        named = {*found[0].get<Text>(0), found[0].get<Text>(1), found[0].get<Text>(2), *found[0].get<bool>(3)};
    if (!session.caller.is_proxy_admin() && !(named.organization_id && administers(session, *named.organization_id)) &&
        !(allowed == Allowed::key_user_too && is_own(session, named)))
        forbidden("You do not have the required role to perform %s on this key. Your role is = %s", route,
                  role_name(session.caller.role));
    if (found.empty())
        not_found("Key not found");
    return named;
}

// The same after locking its organization and then the key.
NamedKey lock_key_to_change(Session &session, Text key, Allowed allowed, const char *route)
{
    const NamedKey named = key_to_change(session, key, allowed, route);
    if (named.organization_id) {
        session.audit_as(*named.organization_id);
        lock_organizations(session, Texts{&*named.organization_id, 1});
    }
    if (session.run(lock_key, named.key_id).empty())
        not_found("Key not found");
    session.look_up_caller_again();
    return key_to_change(session, named.key_id, allowed, route);
}

void set_blocked_and_reply(Session &session, bool blocked, const char *route)
{
    const Text key = session.required<Text>("key");
    const NamedKey named = lock_key_to_change(session, key, Allowed::admins, route);
    session.run(set_blocked, named.key_id, blocked, session.caller.user_id);
    write_key(session, named.key_id);
}

// The organizations whose keys the caller sees; none means all.
Maybe<Texts> visible_organizations(Session &session)
{
    return session.caller.reads_everything() ? Maybe<Texts>{} : administered_organizations(session);
}

} // namespace

namespace pg_org {

CreatedKey create_key(Session &session, const NewKey &key)
{
    require_room_for_key(session, key.organization_id, key.team_id, key.user_id);
    const Text secret = key.secret ? *key.secret : session.new_secret();
    const Rows made = session.run(
        insert_key, digest(secret), name_of(secret), key.key_alias, key.user_id, key.organization_id, key.team_id,
        key.models, key.expires, key.metadata, key.permissions, is_delegated(session.caller, key.user_id),
        session.caller.user_id, key.limits.max_budget, key.limits.model_max_budget, key.limits.tpm_limit,
        key.limits.rpm_limit, key.limits.max_parallel_requests, key.limits.budget_duration, key.limits.budget_reset_at);
    if (made.empty())
        exists_already("Key already exists");
    const Text key_id = *made[0].get<Text>(0);
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

PG_ORG_WRITE(key_generate)
{
    NewKey key;
    key.user_id = session.argument<Text>("user_id");
    key.organization_id = session.argument<Text>("organization_id");
    key.team_id = session.argument<Text>("team_id");
    key.models = session.argument("models", model_list);
    key.expires = session.argument("duration", from_now);
    key.key_alias = session.argument<Text>("key_alias");
    if (key.key_alias)
        identifier(key.key_alias, "key_alias");
    key.metadata = session.argument("metadata", object);
    key.permissions = session.argument("permissions", permissions_object);
    key.secret = session.argument<Text>("key");
    if (key.secret && (!key.secret->starts_with("sk-") || key.secret->size() <= 3))
        invalid("key", "must start with sk- and go on");
    key.limits = read_own_limits(session, LimitsOf::key);

    require_giver_of(session.caller, key.permissions);
    resolve_owners(session, key);
    require_models_of_caller(session.caller, key.models.value_or(Texts{}));
    const auto [secret, key_id] = create_key(session, key);
    write_new_key(session, key_id, secret);
}

PG_ORG_WRITE(key_update)
{
    const Text key = session.required<Text>("key");
    const auto key_alias = session.argument<Text>("key_alias");
    if (key_alias)
        identifier(key_alias, "key_alias");
    const auto models = session.argument("models", model_list);
    const auto metadata = session.argument("metadata", object);
    const auto permissions = session.argument("permissions", permissions_object);
    const auto expires = session.argument("duration", from_now);
    const OwnLimits limits = read_own_limits(session, LimitsOf::key);
    static constexpr std::array<Text, 7> clearable{
        "key_alias", "duration", "max_budget", "tpm_limit", "rpm_limit", "max_parallel_requests", "budget_duration"};
    const Texts clear = fields_to_clear(session, clearable);
    // Holders of a key may name it, but not change what limits them.
    const bool only_names = !models && !permissions && !expires && !limits.any() &&
                            std::ranges::all_of(clear, [](Text field) { return field == "key_alias"; });

    require_giver_of(session.caller, permissions);
    const NamedKey named =
        lock_key_to_change(session, key, only_names ? Allowed::key_user_too : Allowed::admins, "/key/update");
    session.run(update_key, named.key_id, key_alias, models, metadata, permissions, expires, limits.max_budget,
                limits.model_max_budget, limits.tpm_limit, limits.rpm_limit, limits.max_parallel_requests,
                limits.budget_duration, limits.budget_reset_at, clear, session.caller.user_id);
    if (models) {
        require_models_of_caller(session.caller, *models);
        require_key_within_owners(session, named.key_id);
    }
    write_key(session, named.key_id);
}

PG_ORG_READ(key_info)
{
    const auto asked = session.argument<Text>("key");
    const Text key = required(asked ? asked : session.caller.key_id, "key");
    const Rows found = session.run(find_visible_key, visible_organizations(session), session.caller.user_id,
                                   session.caller.organization_id, digest(key), key);
    // A key always sees itself.
    const Rows rows = found.empty() && key == session.caller.key_id ? read_key(session, key) : found;
    if (rows.empty())
        not_found("Key not found");
    session.reply.begin_object().key("key").value(*rows[0].get<Text>(key_id_column));
    session.reply.key("info").object(rows[0]).end_object();
}

PG_ORG_WRITE(key_delete)
{
    const Texts keys = each_once(session.argument("keys", text_list).value_or(Texts{}));
    const Texts aliases = each_once(session.argument("key_aliases", text_list).value_or(Texts{}));
    const Texts of_aliases = keys_of_aliases(session, aliases);

    const auto named = allocate<NamedKey>(keys.size() + of_aliases.size());
    const auto organizations = allocate<Text>(named.size());
    size_t in_organizations = 0;
    for (size_t i = 0; i < named.size(); i++) {
        const Text key = i < keys.size() ? keys[i] : of_aliases[i - keys.size()];
        named[i] = key_to_change(session, key, Allowed::key_user_too, "/key/delete");
        if (named[i].organization_id)
            organizations[in_organizations++] = *named[i].organization_id;
    }
    lock_organizations(session, Texts{organizations.first(in_organizations)});
    std::ranges::sort(named, {}, &NamedKey::key_id);

    session.reply.begin_array();
    for (size_t i = 0; i < named.size(); i++) {
        if (i > 0 && named[i].key_id == named[i - 1].key_id)
            continue;
        // The caller may have lost the right while waiting for the locks.
        key_to_change(session, named[i].key_id, Allowed::key_user_too, "/key/delete");
        const Rows rows = read_key(session, named[i].key_id);
        if (rows.empty() || session.run(delete_key, named[i].key_id).empty())
            not_found("Key not found");
        session.reply.object(rows[0]);
    }
    session.reply.end_array();
}

PG_ORG_WRITE(key_regenerate)
{
    const Text key = session.required<Text>("key");
    const auto grace_until = session.argument("grace_period", from_now);
    const auto expires = session.argument("duration", from_now);
    // As in key_update, holders of a key do not change when it expires.
    const NamedKey named =
        lock_key_to_change(session, key, expires ? Allowed::admins : Allowed::key_user_too, "/key/regenerate");

    const Caller &caller = session.caller;
    const bool delegated = is_delegated(caller, named.user_id);
    if (delegated && named.has_permissions)
        forbidden("Only proxy admins and its user can replace the secret of a key that has permissions. "
                  "Your role is = %s",
                  role_name(caller.role));
    if (const Rows grace = session.run(find_grace, named.key_id); grace_until && !grace.empty())
        exists_already("The secret before this one still works until %s. Replace this one without a grace_period, or "
                       "wait until then",
                       iso_8601(*grace[0].get<Time>(0)));
    const Text secret = session.new_secret();
    session.run(replace_secret, named.key_id, digest(secret), name_of(secret), grace_until, expires, delegated,
                caller.user_id);
    write_new_key(session, named.key_id, secret);
}

PG_ORG_WRITE(key_block) { set_blocked_and_reply(session, true, "/key/block"); }

PG_ORG_WRITE(key_unblock) { set_blocked_and_reply(session, false, "/key/unblock"); }
