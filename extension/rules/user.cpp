// Users: people and services, known to the whole platform.

#include "user.hpp"

#include "base/duration.hpp"
#include "base/fail.hpp"
#include "budget.hpp"
#include "key.hpp"
#include "limit.hpp"
#include "lock.hpp"
#include "models.hpp"
#include "person.hpp"
#include "quota.hpp"
#include "show.hpp"
#include "user_join.hpp"

using namespace pg_org;

namespace {

constinit Statement insert_user{R"(
    INSERT INTO org."user" (user_id, user_email, user_alias, user_role, models, max_budget, model_max_budget, tpm_limit,
                            rpm_limit, budget_duration, budget_reset_at, sso_user_id, metadata, created_by, updated_by,
                            created_at, updated_at, quotas, limits, short_limits)
    VALUES ($1, $2, $3, $4, coalesce($5, '{}'), $6, coalesce($7, '{}'), $8, $9, $10, $11, $12, coalesce($13, '{}'),
            $14, $14, $15, $15, coalesce($16, '{}'), coalesce($17, '[]'), $18)
        ON CONFLICT DO NOTHING
    RETURNING user_id)"};

constinit Statement read_limits_of_user{"SELECT " LIMITS_OF_USER("u") R"( FROM org."user" u WHERE user_id = $1)"};

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

constinit Statement find_organizations_of_users{R"(
    SELECT organization_id FROM org.membership WHERE user_id = ANY ($1)
     UNION
    SELECT organization_id FROM org.api_key WHERE user_id = ANY ($1) AND organization_id IS NOT NULL
     ORDER BY organization_id)"};

constinit Statement find_platform_teams_of_users{R"(
    SELECT team_id FROM org.team_member WHERE user_id = ANY ($1) AND organization_id = ''
     UNION
    SELECT team_id FROM org.api_key WHERE user_id = ANY ($1) AND organization_id IS NULL AND team_id IS NOT NULL
     ORDER BY team_id)"};

constinit Statement find_budgets_of_users{R"(
    SELECT budget_id FROM org.membership WHERE user_id = ANY ($1) AND budget_id IS NOT NULL
     UNION
    SELECT budget_id FROM org.team_member WHERE user_id = ANY ($1) AND budget_id IS NOT NULL
     UNION
    SELECT budget_id FROM org.api_key WHERE user_id = ANY ($1) AND budget_id IS NOT NULL)"};

constinit Statement delete_users{R"(DELETE FROM org."user" WHERE user_id = ANY ($1))"};

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

// Locks the names of the new user. Each address belongs to one user only.
void lock_new_user(Session &session, Text user_id, Maybe<Text> user_email)
{
    const std::array names{user_id, user_email.value_or(user_id)};
    lock_user_names(session, names);
    if (user_email && user_of_email(session, *user_email))
        raise(taken_email(*user_email));
}

} // namespace

namespace pg_org {

Refusal taken_email(Text user_email)
{
    return refusal(ERRCODE_UNIQUE_VIOLATION, nullptr, "User with email %.*s already exists", FMT_ARG(user_email));
}

Role checked_role(Maybe<Text> value, const char *name)
{
    const auto role = parse_role(value.value_or("internal_user"));
    if (!role)
        invalid(name, "must be one of proxy_admin, proxy_admin_viewer, internal_user, internal_user_viewer");
    return *role;
}

void require_valid_limits_of_user(Session &session, Text user_id, const OwnLimits &change)
{
    if (change.any())
        require_valid_limits(read_limit_columns(session.run(read_limits_of_user, user_id)[0], 0));
}

Refusal last_proxy_admin()
{
    return refusal(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, nullptr,
                   "The last proxy_admin cannot be deleted or demoted");
}

} // namespace pg_org

PG_ORG_WRITE(user_new)
{
    const Text user_id = session.argument("user_id", identifier_or_new);
    const auto user_email = session.argument("user_email", email_address);
    const auto user_alias = session.argument<Text>("user_alias");
    const Role role = checked_role(session.argument<Text>("user_role"), "user_role");
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
    key.aliases = session.argument("aliases", model_aliases);
    key.team_id = session.argument("team_id", not_empty);
    const auto teams = read_teams_to_join(session, key.team_id);
    const Texts organization_ids = each_once(session.argument("organizations", text_list).value_or(Texts{}));

    const Caller &caller = session.caller;
    if (!caller.is_proxy_admin())
        forbidden("Only proxy admins can create users. Your role is = %s", role_name(caller.role));
    const ToJoin to_join = lock_to_join(session, teams, organization_ids);
    if (key.team_id)
        key.organization_id = not_empty(organization_to_join(to_join, *key.team_id));
    lock_new_user(session, user_id, user_email);
    if (session
            .run(insert_user, user_id, user_email, user_alias, to_text(role_name(role)), models, limits.max_budget,
                 limits.model_max_budget, limits.tpm_limit, limits.rpm_limit, limits.budget_duration,
                 limits.budget_reset_at, sso_user_id, metadata, caller.user_id, session.made_at(), quotas,
                 limits.others.sentences, limits.others.short_forms.values())
            .empty())
        exists_already("User already exists for user_id=%.*s or sso_user_id", FMT_ARG(user_id));
    require_valid_limits_of_user(session, user_id, limits);
    join(session, to_join, user_id);

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

// Locks the users to be deleted, and returns those that exist. It locks all proxy admins with them, for one must
// remain.
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
        raise(last_proxy_admin());
    return locked.first(count);
}

} // namespace

PG_ORG_WRITE(user_delete)
{
    const Texts asked = each_once(session.required("user_ids", text_list));
    if (!session.caller.is_proxy_admin())
        forbidden("Only proxy admins can delete users. Your role is = %s", role_name(session.caller.role));

    lock_organizations(session, session.run(find_organizations_of_users, asked).texts());
    lock_platform_teams(session, session.run(find_platform_teams_of_users, asked).texts());
    const Texts locked = lock_keeping_a_proxy_admin(session, asked);
    // From here on nobody can make them members or make keys for them.
    require_organizations_locked(session, session.run(find_organizations_of_users, locked).texts());
    const Texts budgets = lock_budgets(session, session.run(find_budgets_of_users, asked).texts());
    for (const Text user_id : asked)
        if (!std::ranges::binary_search(locked, user_id))
            not_found("User not found for user_id=%.*s", FMT_ARG(user_id));
    session.run(delete_users, locked);
    delete_unowned_budgets(session, budgets);
    session.reply.value(static_cast<int64>(locked.size()));
}

namespace {

// The user whom a call asks about: the caller, unless it names another.
Text asked_user(const Session &session)
{
    const auto asked = session.argument<Text>("user_id");
    return required(asked ? asked : session.caller.user_id, "user_id");
}

void write_seen_user(Session &session, Text user_id, Maybe<Texts> organizations)
{
    const bool exists = write_user(session, user_id, organizations);
    if (!exists || (organizations && organizations->empty() && session.caller.user_id != user_id))
        not_found("User not found for user_id=%.*s", FMT_ARG(user_id));
}

} // namespace

PG_ORG_READ(user_info)
{
    const Text user_id = asked_user(session);
    const auto organizations = seen_organizations(session, user_id);
    Writer &reply = session.reply;
    reply.begin_object().key("user_id").value(user_id).key("user_info");
    write_seen_user(session, user_id, organizations);
    reply.key("keys").begin_array();
    write_keys_of_user(session, user_id, organizations);
    reply.end_array().key("teams").begin_array();
    write_teams_of_user(session, user_id, organizations);
    reply.end_array().end_object();
}

PG_ORG_READ(user_info_v2)
{
    const Text user_id = asked_user(session);
    write_seen_user(session, user_id, seen_organizations(session, user_id));
}

PG_ORG_READ(user_available_roles)
{
    struct Described {
        const char *role, *description, *ui_label;
    };
    constexpr std::array roles{
        Described{"proxy_admin", "Changes and sees everything on the platform", "Admin (all permissions)"},
        Described{"proxy_admin_viewer", "Sees everything on the platform and changes nothing", "Admin (view only)"},
        Described{"internal_user", "Makes keys for themself, and sees and changes what is their own",
                  "Internal user (own keys and spend)"},
        Described{"internal_user_viewer", "Sees what is their own, and changes nothing", "Internal user (view only)"},
    };
    Writer &reply = session.reply;
    reply.begin_object();
    for (const auto &[role, description, ui_label] : roles) {
        reply.key(role).begin_object().key("description").value(to_text(description));
        reply.key("ui_label").value(to_text(ui_label)).end_object();
    }
    reply.end_object();
}
