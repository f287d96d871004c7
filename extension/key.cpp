// Keys: made once, known by their digest, blocked and unblocked.

#include "key.hpp"

#include "budget.hpp"
#include "duration.hpp"
#include "fail.hpp"
#include "membership.hpp"
#include "models.hpp"
#include "organization.hpp"
#include "user.hpp"

using namespace pg_org;

namespace {

// A key k in wire order. LiteLLM calls the id that may be shown token_id.
#define KEY_COLUMNS                                                                                                    \
    "k.key_name, k.key_id AS token_id, k.expires, k.key_alias, k.user_id, k.team_id, k.organization_id, k.models, "    \
    "k.spend, k.blocked, k.metadata, k.created_at, k.created_by, k.updated_at, k.updated_by"
constexpr int summary_columns = 3;

constinit Statement insert_key{
    "INSERT INTO org.api_key (key_hash, key_name, key_alias, user_id, organization_id, team_id, models, expires,"
    "                         metadata, delegated, created_by, updated_by)"
    " VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, '{}'), $8, coalesce($9, '{}'), $10, $11, $11)"
    " ON CONFLICT DO NOTHING RETURNING key_id"};

constinit Statement show_key{"SELECT " KEY_COLUMNS " FROM org.api_key k WHERE k.key_id = $1"};

constinit Statement show_keys_of_user{
    "SELECT " KEY_COLUMNS " FROM org.api_key k"
    " WHERE k.user_id = $1 AND ($2 IS NULL OR k.organization_id = ANY ($2)) ORDER BY k.created_at, k.key_id"};

constinit Statement show_keys_of_team{
    "SELECT " KEY_COLUMNS " FROM org.api_key k"
    " WHERE k.organization_id = $1 AND k.team_id = $2 ORDER BY k.created_at, k.key_id"};

constinit Statement find_key{"SELECT key_id, organization_id FROM org.api_key WHERE key_hash = $1 OR key_id = $2"};

constinit Statement set_blocked{
    "UPDATE org.api_key SET blocked = $2, updated_at = now(), updated_by = $3 WHERE key_id = $1"};

Text random_secret()
{
    constexpr size_t random_bytes = 24;
    constexpr Text prefix = "sk-";
    uint8 bytes[random_bytes];
    if (!pg_strong_random(bytes, sizeof bytes))
        ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values"));
    char *secret = static_cast<char *>(palloc(prefix.size() + 2 * random_bytes));
    std::ranges::copy(prefix, secret);
    hex_encode(reinterpret_cast<const char *>(bytes), sizeof bytes, secret + prefix.size());
    return {secret, prefix.size() + 2 * random_bytes};
}

// The secret with its middle left out: enough to recognize it by, if it is long enough to spare that.
Text name_of(Text secret)
{
    constexpr size_t shown = 4, enough = 20;
    const Text end = secret.size() < enough ? Text{} : Text{secret.data() + secret.size() - shown, shown};
    return to_text(psprintf("sk-...%.*s", SHOW(end)));
}

void require_models_within(Texts list, const char *owner, Text owner_id, Texts models)
{
    if (const auto model = first_not_allowed(list, models))
        refused("Key model=%.*s is not among the models of %s=%.*s: %s", SHOW(*model), owner, SHOW(owner_id),
                show_list(list));
}

[[noreturn]] void forbid_keys(const Caller &caller)
{
    forbidden("Only admins of an organization can make keys for others or outside a team they belong to. "
              "Your role is = %s",
              role_name(caller.role));
}

// Whether the caller is a member who makes a key for themself within a team they belong to.
bool makes_own_key(Session &session, const NewKey &key)
{
    return key.team_id && key.user_id && key.user_id == session.caller.user_id &&
           role_in(session, *key.organization_id) == "internal_user" &&
           role_in_team(session, {*key.organization_id, *key.team_id});
}

// A proxy admin makes any key; an organization's admin makes keys inside it, for its members.
void require_maker(Session &session, const NewKey &key)
{
    const Caller &caller = session.caller;
    if (caller.is_proxy_admin())
        return;
    if (key.secret || !key.organization_id)
        forbid_keys(caller);
    if (makes_own_key(session, key))
        return;
    if (!administers(session, *key.organization_id))
        forbid_keys(caller);
    if (key.user_id)
        find_member(session, *key.organization_id, key.user_id, {});
}

// Who holds a key that somebody else made for them, or that such a key made, must not gain that user's role on the
// platform by it.
bool is_delegated(const Caller &caller, const NewKey &key)
{
    return caller.delegated || (!caller.is_proxy_admin() && key.user_id != caller.user_id);
}

// Completes and checks what the key belongs to, and what it may use.
void place(Session &session, NewKey &key)
{
    if (key.team_id) {
        const auto team = find_team(session, *key.team_id, key.organization_id);
        if (!team) {
            if (!session.caller.is_proxy_admin())
                forbid_keys(session.caller);
            points_nowhere("Team not found for team_id=%.*s", SHOW(*key.team_id));
        }
        key.organization_id = team->organization_id;
    }
    // Left out, it is an admin's key for nobody in particular, anybody else's for themself.
    if (!key.user_id && !session.caller.is_proxy_admin() &&
        !(key.organization_id && administers(session, *key.organization_id)))
        key.user_id = session.caller.user_id;
    require_maker(session, key);
    if (key.organization_id) {
        const Texts models = lock_organization(session, *key.organization_id).models;
        if (key.models)
            require_models_within(models, "Organization", *key.organization_id, *key.models);
    }
    if (key.team_id) {
        const Texts models = lock_team(session, {*key.organization_id, *key.team_id});
        if (key.models)
            require_models_within(models, "Team", *key.team_id, *key.models);
    }
    if (key.user_id)
        lock_user(session, *key.user_id);
}

Datum set_blocked_and_reply(FunctionCallInfo fcinfo, bool blocked, const char *route)
{
    Session session{fcinfo, Access::write};
    const Text key = required(session.next<Text>(), "key");
    const Rows found = session.run(find_key, key_digest(key), key);
    const auto organization_id = found.empty() ? Maybe<Text>{} : found[0].get<Text>(1);
    if (!session.caller.is_proxy_admin() && !(organization_id && administers(session, *organization_id)))
        forbidden("You do not have the required role to perform %s on this key. Your role is = %s", route,
                  role_name(session.caller.role));
    if (found.empty())
        not_found("Key not found");
    const Text key_id = *found[0].get<Text>(0);
    session.run(set_blocked, key_id, blocked, session.caller.user_id);
    session.reply.object(session.run(show_key, key_id)[0]);
    return session.finish();
}

} // namespace

namespace pg_org {

CreatedKey create_key(Session &session, const NewKey &key)
{
    const Text secret = key.secret ? *key.secret : random_secret();
    const Rows made = session.run(insert_key, key_digest(secret), name_of(secret), key.key_alias, key.user_id,
                                  key.organization_id, key.team_id, key.models, key.expires, key.metadata,
                                  is_delegated(session.caller, key), session.caller.user_id);
    if (made.empty())
        exists_already("Key already exists");
    return {secret, *made[0].get<Text>(0)};
}

void write_new_key_summary(Session &session, const CreatedKey &key)
{
    session.reply.key("key").value(key.secret);
    session.reply.columns(session.run(show_key, key.key_id)[0], 0, summary_columns);
}

void write_keys_of_user(Session &session, Text user_id, Maybe<Texts> organization_ids)
{
    for (const Row row : session.run(show_keys_of_user, user_id, organization_ids))
        session.reply.object(row);
}

void write_keys_of_team(Session &session, const TeamName &team)
{
    for (const Row row : session.run(show_keys_of_team, team.organization_id, team.team_id))
        session.reply.object(row);
}

} // namespace pg_org

PG_ORG_FUNCTION(key_generate)
{
    Session session{fcinfo, Access::write};
    NewKey key;
    key.user_id = session.next<Text>();
    key.organization_id = session.next<Text>();
    key.team_id = session.next<Text>();
    key.models = text_list(session.next<Texts>(), "models");
    key.expires = from_now("duration", session.next<Text>());
    key.key_alias = session.next<Text>();
    key.metadata = object(session.next<Json>(), "metadata");
    key.secret = session.next<Text>();
    if (key.secret && (!key.secret->starts_with("sk-") || key.secret->size() <= 3))
        invalid("key", "must start with sk- and go on");
    place(session, key);
    const CreatedKey created = create_key(session, key);
    const Row row = session.run(show_key, created.key_id)[0];
    session.reply.begin_object().key("key").value(created.secret);
    session.reply.columns(row, 0, row.description()->natts).end_object();
    return session.finish();
}

PG_ORG_FUNCTION(key_block) { return set_blocked_and_reply(fcinfo, true, "/key/block"); }

PG_ORG_FUNCTION(key_unblock) { return set_blocked_and_reply(fcinfo, false, "/key/unblock"); }
