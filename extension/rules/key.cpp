// Keys: making and showing them.

#include "key.hpp"

#include "base/duration.hpp"
#include "base/fail.hpp"
#include "base/paging.hpp"
#include "key_rights.hpp"
#include "models.hpp"
#include "ownership.hpp"
#include "quota.hpp"
#include "show.hpp"

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

constinit Statement find_visible_key{"SELECT " KEY_COLUMNS VISIBLE_KEYS " AND (k.key_hash = $4 OR k.key_id = $5)",
                                     Planned::each_time};

constinit Statement find_page_start{"SELECT k.created_at" VISIBLE_KEYS " AND k.key_id = $4", Planned::each_time};

constinit Statement list_keys{"SELECT " KEY_COLUMNS VISIBLE_KEYS R"(
       AND ($4 IS NULL OR k.organization_id = $4)
       AND ($5 IS NULL OR k.team_id = $5)
       AND ($6 IS NULL OR k.user_id = $6)
       AND ($7 IS NULL OR k.key_alias = $7)
       AND ($8 IS NULL OR (k.created_at, k.key_id) > ($8, $9))
     ORDER BY k.created_at, k.key_id
     LIMIT $10)",
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

Text name_of_secret(Text secret)
{
    constexpr size_t shown = 4, enough = 20;
    const Text end = secret.size() < enough ? Text{} : tail(secret, secret.size() - shown);
    return to_text(psprintf("sk-...%.*s", FMT_ARG(end)));
}

CreatedKey create_key(Session &session, const NewKey &key)
{
    require_room_for_key(session, key.organization_id, key.team_id, key.user_id);
    const Text secret = key.secret ? *key.secret : session.new_secret();
    const Rows made = session.run(
        insert_key, digest(secret), name_of_secret(secret), key.key_alias, key.user_id, key.organization_id,
        key.team_id, key.models, key.expires, key.metadata, key.permissions, is_delegated(session.caller, key.user_id),
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
    session.run(list_keys, Maybe<Texts>{}, none, none, none, none, Maybe<Text>{nobody}, none, Maybe<Time>{}, none,
                Maybe<int64>{1});
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

PG_ORG_READ(key_list)
{
    const auto organization_id = session.argument<Text>("organization_id");
    const auto team_id = session.argument<Text>("team_id");
    const auto user_id = session.argument<Text>("user_id");
    const auto key_alias = session.argument<Text>("key_alias");
    const auto limit = session.argument("limit", page_limit);
    const auto after = session.argument<Text>("after");

    const Caller &caller = session.caller;
    const auto visible = visible_organizations(session);
    const auto after_created =
        after ? page_start(session.run(find_page_start, visible, caller.user_id, caller.organization_id, *after),
                           "token_id")
              : Maybe<Time>{};
    session.reply.begin_array();
    for (const Row row : session.run(list_keys, visible, caller.user_id, caller.organization_id, organization_id,
                                     team_id, user_id, key_alias, after_created, after, limit))
        session.reply.object(row);
    session.reply.end_array();
}
