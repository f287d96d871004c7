// Users: people and services, known to the whole platform.

#include "user.hpp"

#include "base/duration.hpp"
#include "base/fail.hpp"
#include "base/paging.hpp"
#include "budget.hpp"
#include "key.hpp"
#include "lock.hpp"
#include "models.hpp"
#include "person.hpp"
#include "quota.hpp"
#include "show.hpp"

using namespace pg_org;

namespace {

constinit Statement insert_user{R"(
    INSERT INTO org."user" (user_id, user_email, user_alias, user_role, models, max_budget, model_max_budget, tpm_limit,
                            rpm_limit, budget_duration, budget_reset_at, sso_user_id, metadata, created_by, updated_by,
                            created_at, updated_at, quotas)
    VALUES ($1, $2, $3, $4, coalesce($5, '{}'), $6, coalesce($7, '{}'), $8, $9, $10, $11, $12, coalesce($13, '{}'),
            $14, $14, $15, $15, coalesce($16, '{}'))
        ON CONFLICT DO NOTHING
    RETURNING user_id)"};

constinit Statement find_administered_organizations_of{R"(
    SELECT organization_id
      FROM org.membership
     WHERE user_id = $1
       AND organization_id IN (SELECT organization_id
                                 FROM org.membership
                                WHERE user_id = $2
                                  AND user_role = 'org_admin'
                                  AND ($3 IS NULL OR organization_id = $3))
     ORDER BY organization_id)"};

constinit Statement lock_with_proxy_admins{R"(
    SELECT user_id, user_role = 'proxy_admin'
      FROM org."user"
     WHERE user_id = ANY ($1)
        OR user_role = 'proxy_admin'
     ORDER BY user_id
       FOR UPDATE)"};

constinit Statement lock_to_change{R"(SELECT FROM org."user" WHERE user_id = $1 FOR NO KEY UPDATE)"};

constinit Statement update_user{R"(
    UPDATE org."user"
       SET user_email = CASE WHEN 'user_email' = ANY ($13) THEN NULL ELSE coalesce($2, user_email) END,
           user_alias = CASE WHEN 'user_alias' = ANY ($13) THEN NULL ELSE coalesce($3, user_alias) END,
           user_role = coalesce($4, user_role),
           models = coalesce($5, models),
           max_budget = CASE WHEN 'max_budget' = ANY ($13) THEN NULL ELSE coalesce($6, max_budget) END,
           model_max_budget = CASE WHEN 'model_max_budget' = ANY ($13) THEN '{}'
                                   ELSE coalesce($7, model_max_budget) END,
           tpm_limit = CASE WHEN 'tpm_limit' = ANY ($13) THEN NULL ELSE coalesce($8, tpm_limit) END,
           rpm_limit = CASE WHEN 'rpm_limit' = ANY ($13) THEN NULL ELSE coalesce($9, rpm_limit) END,
           budget_duration = CASE WHEN 'budget_duration' = ANY ($13) THEN NULL ELSE coalesce($10, budget_duration) END,
           budget_reset_at = CASE WHEN 'budget_duration' = ANY ($13) THEN NULL
                                  WHEN $10 <> coalesce(budget_duration, '') THEN $11
                                  ELSE budget_reset_at END,
           metadata = coalesce($12, metadata),
           quotas = CASE WHEN 'quotas' = ANY ($13) THEN '{}' ELSE coalesce($15, quotas) END,
           updated_at = now(),
           updated_by = $14
     WHERE user_id = $1)"};

constinit Statement find_organizations_of_users{R"(
    SELECT organization_id FROM org.membership WHERE user_id = ANY ($1)
     UNION
    SELECT organization_id FROM org.api_key WHERE user_id = ANY ($1) AND organization_id IS NOT NULL
     ORDER BY organization_id)"};

constinit Statement find_budgets_of_users{R"(
    SELECT budget_id FROM org.membership WHERE user_id = ANY ($1) AND budget_id IS NOT NULL
     UNION
    SELECT budget_id FROM org.team_member WHERE user_id = ANY ($1) AND budget_id IS NOT NULL)"};

constinit Statement delete_users{R"(DELETE FROM org."user" WHERE user_id = ANY ($1))"};

// Whether the caller sees the user u: $1 is null for all, else the users in one of these organizations, and $2.
#define IS_VISIBLE                                                                                                     \
    "($1 IS NULL OR u.user_id = ANY (ARRAY(SELECT m.user_id FROM org.membership m"                                     \
    "                                       WHERE m.organization_id = ANY ($1) UNION SELECT $2)))"

constinit Statement find_page_start{R"(SELECT u.created_at FROM org."user" u WHERE u.user_id = $3 AND )" IS_VISIBLE,
                                    Planned::each_time};

// $2 is who the caller is, and $11 the organization that their key is confined to.
constinit Statement list_users{"SELECT " USER_COLUMNS R"(
      FROM org."user" u, LATERAL (
               SELECT $1 IS NULL OR (u.user_id = $2 AND $11 IS NULL) AS whole,
                      CASE WHEN u.user_id = $2 THEN $11 END AS inside) AS seen
     WHERE )" IS_VISIBLE R"(
       AND ($3 IS NULL OR (u.user_role = $3 AND seen.whole))
       AND ($4 IS NULL OR position(org.folded($4) IN org.folded(u.user_email)) > 0)
       AND ($5 IS NULL OR u.user_id = $5)
       AND ($6 IS NULL OR EXISTS (SELECT
                                    FROM org.membership m
                                   WHERE m.user_id = u.user_id
                                     AND m.organization_id = $6
                                     AND (seen.whole OR m.organization_id = ANY ($1)
                                          OR m.organization_id = seen.inside)))
       AND ($7 IS NULL OR EXISTS (SELECT
                                    FROM org.team_member tm
                                   WHERE tm.user_id = u.user_id
                                     AND tm.team_id = $7
                                     AND (seen.whole OR tm.organization_id = ANY ($1)
                                          OR tm.organization_id = seen.inside)))
       AND ($8 IS NULL OR (u.created_at, u.user_id) > ($8, $9))
     ORDER BY u.created_at, u.user_id
     LIMIT $10)",
                               Planned::each_time};

// The organizations through which the caller sees the user; none means the whole user, an empty list nothing.
Maybe<Texts> seen_organizations(Session &session, Text user_id)
{
    const Caller &caller = session.caller;
    if (caller.reads_everything())
        return {};
    if (caller.user_id == user_id)
        return caller.organization_id ? Maybe<Texts>{organizations_of(session)} : Maybe<Texts>{};
    if (!caller.user_id)
        return Texts{};
    return session.run(find_administered_organizations_of, user_id, *caller.user_id, caller.organization_id).texts();
}

// Each address belongs to one user only.
void require_free_email(Session &session, Text user_email, Text user_id)
{
    lock_user_names(session, Texts{&user_email, 1});
    const auto holder = user_of_email(session, user_email);
    if (holder && *holder != user_id)
        exists_already("User with email %.*s already exists", FMT_ARG(user_email));
}

Role checked_role(Maybe<Text> value, const char *name = "user_role")
{
    const auto role = parse_role(value.value_or("internal_user"));
    if (!role)
        invalid(name, "must be one of proxy_admin, proxy_admin_viewer, internal_user, internal_user_viewer");
    return *role;
}

} // namespace

namespace pg_org {

void warm_up_users(Session &session, Text nobody)
{
    const Maybe<Text> none;
    session.run(list_users, Maybe<Texts>{}, none, none, none, Maybe<Text>{nobody}, none, none, Maybe<Time>{}, none,
                Maybe<int64>{1}, none);
}

} // namespace pg_org

PG_ORG_WRITE(user_new)
{
    const Text user_id = session.argument("user_id", identifier_or_new);
    const auto user_email = session.argument("user_email", email_address);
    const auto user_alias = session.argument<Text>("user_alias");
    const Role role = checked_role(session.argument<Text>("user_role"));
    const auto models = session.argument("models", model_list);
    const OwnLimits limits = read_own_limits(session, LimitsOf::user);
    const auto sso_user_id = session.argument<Text>("sso_user_id");
    if (sso_user_id)
        identifier(sso_user_id, "sso_user_id");
    const auto metadata = session.argument("metadata", object);
    const bool with_key = session.argument<bool>("auto_create_key").value_or(true);
    NewKey key{.secret = {}, .user_id = user_id};
    key.key_alias = session.argument<Text>("key_alias");
    key.expires = session.argument("duration", from_now);
    const auto quotas = session.argument("quotas", quotas_of_user);

    const Caller &caller = session.caller;
    if (!caller.is_proxy_admin())
        forbidden("Only proxy admins can create users. Your role is = %s", role_name(caller.role));
    if (user_email)
        require_free_email(session, *user_email, user_id);
    if (session
            .run(insert_user, user_id, user_email, user_alias, to_text(role_name(role)), models, limits.max_budget,
                 limits.model_max_budget, limits.tpm_limit, limits.rpm_limit, limits.budget_duration,
                 limits.budget_reset_at, sso_user_id, metadata, caller.user_id, session.made_at(), quotas)
            .empty())
        exists_already("User already exists for user_id=%.*s or sso_user_id", FMT_ARG(user_id));

    session.reply.begin_object();
    if (with_key) {
        const auto [secret, key_id] = create_key(session, key);
        write_new_key_summary(session, key_id, secret);
    } else {
        session.reply.key("key").null().key("key_name").null().key("token_id").null().key("expires").null();
    }
    write_user_fields(session, user_id);
    session.reply.end_object();
}

namespace {

// Locks the users to be deleted or demoted, and returns those that exist. It locks all proxy admins with them, for one
// must remain.
Texts lock_keeping_a_proxy_admin(Session &session, Texts user_ids)
{
    const auto is_named = [&](Text user_id) { return std::ranges::find(user_ids, user_id) != user_ids.end(); };
    const Rows rows = session.run(lock_with_proxy_admins, user_ids);
    session.look_up_caller_again();
    const auto locked = allocate<Text>(rows.size());
    size_t count = 0, admins_named = 0, admins_remaining = 0;
    for (const Row row : rows) {
        const Text user_id = *row.get<Text>(0);
        if (*row.get<bool>(1))
            ++(is_named(user_id) ? admins_named : admins_remaining);
        if (is_named(user_id))
            locked[count++] = user_id;
    }
    if (admins_named > 0 && admins_remaining == 0)
        refused("The last proxy_admin cannot be deleted or demoted");
    return locked.first(count);
}

} // namespace

PG_ORG_WRITE(user_update)
{
    const Text user_id = session.required<Text>("user_id");
    const auto user_email = session.argument("user_email", email_address);
    const auto user_alias = session.argument<Text>("user_alias");
    const auto user_role = session.argument<Text>("user_role");
    if (user_role)
        checked_role(user_role);
    const auto models = session.argument("models", model_list);
    const OwnLimits limits = read_own_limits(session, LimitsOf::user);
    const auto metadata = session.argument("metadata", object);
    const auto quotas = session.argument("quotas", quotas_of_user);
    static constexpr std::array<Text, 8> clearable{"user_email", "user_alias",      "max_budget", "tpm_limit",
                                                   "rpm_limit",  "budget_duration", "quotas",     "model_max_budget"};
    const Texts clear = fields_to_clear(session, clearable);

    const Caller &caller = session.caller;
    if (!caller.is_proxy_admin()) {
        // A key that is confined to an organization may be in other hands than its user's.
        const bool own =
            caller.user_id == user_id && !caller.organization_id && caller.role != Role::proxy_admin_viewer;
        const bool clears_others = std::ranges::any_of(clear, [](Text field) { return field != "user_alias"; });
        if (!own || user_email || user_role || models || limits.any() || metadata || quotas || clears_others)
            forbidden("Only proxy admins can change users, beyond one's own user_alias. Your role is = %s",
                      role_name(caller.role));
    }
    if (user_email)
        require_free_email(session, *user_email, user_id);
    if (user_role && *user_role != "proxy_admin")
        lock_keeping_a_proxy_admin(session, {&user_id, 1});
    if (session.run(lock_to_change, user_id).empty())
        not_found("User not found for user_id=%.*s", FMT_ARG(user_id));
    session.look_up_caller_again();
    session.run(update_user, user_id, user_email, user_alias, user_role, models, limits.max_budget,
                limits.model_max_budget, limits.tpm_limit, limits.rpm_limit, limits.budget_duration,
                limits.budget_reset_at, metadata, clear, caller.user_id, quotas);
    write_user(session, user_id, {});
}

PG_ORG_WRITE(user_delete)
{
    const Texts asked = each_once(session.required("user_ids", text_list));
    if (!session.caller.is_proxy_admin())
        forbidden("Only proxy admins can delete users. Your role is = %s", role_name(session.caller.role));

    lock_organizations(session, session.run(find_organizations_of_users, asked).texts());
    const Texts locked = lock_keeping_a_proxy_admin(session, asked);
    // From here on nobody can make them members or make keys for them.
    require_organizations_locked(session, session.run(find_organizations_of_users, locked).texts());
    const Texts budgets = lock_budgets(session, session.run(find_budgets_of_users, asked).texts());
    for (const Text user_id : asked)
        if (!std::ranges::binary_search(locked, user_id))
            not_found("User not found for user_id=%.*s", FMT_ARG(user_id));
    session.reply.begin_array();
    write_users(session, locked, {});
    session.reply.end_array();
    session.run(delete_users, locked);
    delete_unowned_budgets(session, budgets);
}

PG_ORG_READ(user_list)
{
    const auto role = session.argument<Text>("role");
    if (role)
        checked_role(role, "role");
    const auto user_email = session.argument("user_email", part_of_name);
    const auto user_id = session.argument<Text>("user_id");
    const auto organization_id = session.argument<Text>("organization_id");
    const auto team_id = session.argument<Text>("team_id");
    const auto limit = session.argument("limit", page_limit);
    const auto after = session.argument<Text>("after");

    const Caller &caller = session.caller;
    const auto administered = caller.reads_everything() ? Maybe<Texts>{} : administered_organizations(session);
    const auto after_created =
        after ? page_start(session.run(find_page_start, administered, caller.user_id, *after), "user_id")
              : Maybe<Time>{};
    session.reply.begin_array();
    for (const Row row : session.run(list_users, administered, caller.user_id, role, user_email, user_id,
                                     organization_id, team_id, after_created, after, limit, caller.organization_id))
        session.reply.object(row);
    session.reply.end_array();
}

PG_ORG_READ(user_info)
{
    const auto asked = session.argument<Text>("user_id");
    const Text user_id = required(asked ? asked : session.caller.user_id, "user_id");
    const auto organizations = seen_organizations(session, user_id);
    Writer &reply = session.reply;
    reply.begin_object().key("user_id").value(user_id).key("user_info");
    const bool exists = write_user(session, user_id, organizations);
    if (!exists || (organizations && organizations->empty() && session.caller.user_id != user_id))
        not_found("User not found for user_id=%.*s", FMT_ARG(user_id));
    reply.key("keys").begin_array();
    write_keys_of_user(session, user_id, organizations);
    reply.end_array().key("teams").begin_array();
    write_teams_of_user(session, user_id, organizations);
    reply.end_array().end_object();
}
