// Users: people and services, known to the whole platform.

#include "user.hpp"

#include "budget.hpp"
#include "duration.hpp"
#include "fail.hpp"
#include "key.hpp"
#include "team.hpp"

using namespace pg_org;

namespace {

// A user u in wire order; the last parameter limits the teams to some organizations.
#define USER_COLUMNS(organizations)                                                                                    \
    "u.user_id, u.user_email, u.user_alias, u.user_role, "                                                             \
    "ARRAY(SELECT tm.team_id::text FROM org.team_member tm"                                                            \
    "       WHERE tm.user_id = u.user_id" organizations " ORDER BY tm.created_at, tm.team_id) AS teams, "              \
    "u.models, u.max_budget, u.spend, u.model_max_budget, u.model_spend, u.tpm_limit, u.rpm_limit, "                   \
    "u.budget_duration, u.budget_reset_at, u.sso_user_id, NULL::text AS organization_memberships, u.metadata, "        \
    "u.created_at, u.updated_at"

constinit Statement show_users{
    "SELECT " USER_COLUMNS("")
    "  FROM unnest($1) WITH ORDINALITY AS asked (id, place) JOIN org.\"user\" u ON u.user_id = asked.id"
    " ORDER BY asked.place"};

constinit Statement show_user{
    "SELECT " USER_COLUMNS(" AND ($2 IS NULL OR tm.organization_id = ANY ($2))")
    "  FROM org.\"user\" u WHERE u.user_id = $1"};

constinit Statement lock_one{"SELECT FROM org.\"user\" WHERE user_id = $1 FOR KEY SHARE"};

constinit Statement insert_user{
    "INSERT INTO org.\"user\" (user_id, user_email, user_alias, user_role, models, max_budget, model_max_budget,"
    "                          tpm_limit, rpm_limit, budget_duration, budget_reset_at, sso_user_id, metadata,"
    "                          created_by, updated_by)"
    " VALUES ($1, $2, $3, $4, coalesce($5, '{}'), $6, coalesce($7, '{}'), $8, $9, $10, $11, $12, coalesce($13, '{}'),"
    "         $14, $14)"
    " ON CONFLICT DO NOTHING RETURNING user_id"};

constinit Statement find_administered_organizations_of{
    "SELECT organization_id FROM org.membership"
    " WHERE user_id = $1 AND organization_id IN"
    "       (SELECT organization_id FROM org.membership"
    "         WHERE user_id = $2 AND user_role = 'org_admin' AND ($3 IS NULL OR organization_id = $3))"
    " ORDER BY organization_id"};

// The organizations through which the caller may see the user: none means without limit, an empty list not at all.
Maybe<Texts> seen_through(Session &session, Text user_id)
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

Role checked_role(Maybe<Text> name)
{
    const auto role = parse_role(name.value_or("internal_user"));
    if (!role)
        invalid("user_role", "must be one of proxy_admin, proxy_admin_viewer, internal_user, internal_user_viewer");
    return *role;
}

} // namespace

namespace pg_org {

void write_users(Session &session, Texts user_ids)
{
    for (const Row row : session.run(show_users, user_ids))
        session.reply.object(row);
}

void lock_user(Session &session, Text user_id)
{
    if (session.run(lock_one, user_id).empty())
        points_nowhere("User not found for user_id=%.*s", SHOW(user_id));
}

} // namespace pg_org

PG_ORG_FUNCTION(user_new)
{
    Session session{fcinfo, Access::write};
    const Text user_id = identifier_or_new(session.next<Text>(), "user_id");
    const auto user_email = session.next<Text>();
    if (user_email)
        identifier(user_email, "user_email");
    const auto user_alias = session.next<Text>();
    const Role role = checked_role(session.next<Text>());
    const auto models = text_list(session.next<Texts>(), "models");
    const auto max_budget = money(session.next<Number>(), "max_budget");
    const auto model_max_budget = object(session.next<Json>(), "model_max_budget");
    const auto tpm_limit = limit(session.next<int64>(), "tpm_limit");
    const auto rpm_limit = limit(session.next<int64>(), "rpm_limit");
    const auto budget_duration = session.next<Text>();
    const auto budget_reset_at = from_now("budget_duration", budget_duration);
    const auto sso_user_id = session.next<Text>();
    if (sso_user_id)
        identifier(sso_user_id, "sso_user_id");
    const auto metadata = object(session.next<Json>(), "metadata");
    const bool with_key = session.next<bool>().value_or(true);
    NewKey key{.secret = {}, .user_id = user_id};
    key.key_alias = session.next<Text>();
    key.expires = from_now("duration", session.next<Text>());

    const Caller &caller = session.caller;
    if (!caller.is_proxy_admin())
        forbidden("Only proxy admins can create users. Your role is = %s", role_name(caller.role));
    if (session
            .run(insert_user, user_id, user_email, user_alias, to_text(role_name(role)), models, max_budget,
                 model_max_budget, tpm_limit, rpm_limit, budget_duration, budget_reset_at, sso_user_id, metadata,
                 caller.user_id)
            .empty())
        exists_already("User already exists for user_id=%.*s or sso_user_id", SHOW(user_id));

    session.reply.begin_object();
    if (with_key)
        write_new_key_summary(session, create_key(session, key));
    else
        session.reply.key("key").null().key("key_name").null().key("token_id").null().key("expires").null();
    const Row row = session.run(show_user, user_id, Maybe<Texts>{})[0];
    session.reply.columns(row, 0, row.description()->natts).end_object();
    return session.finish();
}

PG_ORG_FUNCTION(user_info)
{
    Session session{fcinfo, Access::read};
    const auto asked = session.next<Text>();
    const Text user_id = required(asked ? asked : session.caller.user_id, "user_id");
    const auto organizations = seen_through(session, user_id);
    const Rows users = session.run(show_user, user_id, organizations);
    if (users.empty() || (organizations && organizations->empty() && session.caller.user_id != user_id))
        not_found("User not found for user_id=%.*s", SHOW(user_id));

    Writer &reply = session.reply;
    reply.begin_object().key("user_id").value(user_id).key("user_info").object(users[0]);
    reply.key("keys").begin_array();
    write_keys_of_user(session, user_id, organizations);
    reply.end_array().key("teams").begin_array();
    write_teams_of_user(session, user_id, organizations);
    reply.end_array().end_object();
    return session.finish();
}
