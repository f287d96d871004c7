// How things are shown: their columns in wire order, and the functions that write them into a reply.
#pragma once

#include "base/period.hpp"
#include "base/session.hpp"
#include "kept.hpp"

namespace pg_org {

// clang-format off

// Limits of a row that have no column of their own.
#define SHORT_LIMIT(row, field) row ".short_limits -> '" field "' AS " field
#define SHORT_MONEY(row, field) "(" row ".short_limits ->> '" field "')::numeric AS " field
#define OTHER_LIMITS(row) \
    row ".limits, " SHORT_LIMIT(row, "budget_limits") ", " SHORT_LIMIT(row, "model_rpm_limit") ", " \
    SHORT_LIMIT(row, "model_tpm_limit") ", " SHORT_LIMIT(row, "rpd_limit") ", " SHORT_LIMIT(row, "tpd_limit")

// A budget b, of an owner or alone.
#define BUDGET_COLUMNS BUDGET_COLUMNS_OF("b")
#define BUDGET_COLUMNS_OF(owner) \
    "b.budget_id, b.max_budget, b.soft_budget, b.max_parallel_requests, b.tpm_limit, b.rpm_limit, " \
    "b.model_max_budget, b.budget_duration, " PERIOD_END(owner, "b") ", " OTHER_LIMITS("b") ", " \
    "b.created_at, b.created_by, b.updated_at, b.updated_by"

// A team t.
#define TEAM_COLUMNS \
    "t.team_id, t.team_alias, nullif(t.organization_id, '') AS organization_id, " \
    "coalesce(t.kept -> 'admins', '[]') AS admins, coalesce(t.kept -> 'members', '[]') AS members, " \
    METADATA_OF("t", "'{admins, members, object_permission}'") ", t.tpm_limit, " \
    "t.rpm_limit, t.max_budget, t.budget_duration, t.models, t.blocked, t.spend, " \
    PERIOD_SPEND_OF("t", "t.budget_duration", "t.budget_reset_at", "t.spend", "t.spend_reset_at", \
                    "t.organization_id, t.team_id, '', '', ''") ", " \
    "t.max_parallel_requests, " PERIOD_END("t", "t") ", t.created_at, t.updated_at, " \
    SHORT_MONEY("t", "soft_budget") ", " SHORT_LIMIT("t", "model_max_budget") ", " OTHER_LIMITS("t") ", " \
    SHORT_MONEY("t", "team_member_budget") ", t.short_limits ->> 'team_member_budget_duration'" \
    " AS team_member_budget_duration, " SHORT_LIMIT("t", "team_member_rpm_limit") ", " \
    SHORT_LIMIT("t", "team_member_tpm_limit") ", " \
    "NULL::text AS model_id, NULL::text AS litellm_model_table, " \
    "t.tags, t.model_aliases, t.team_member_permissions, t.open, " \
    "t.kept -> 'object_permission' AS object_permission, NULL::text AS object_permission_id"

// A column of the budget of a key k.
#define OF_BUDGET_OF_KEY(column) "(SELECT b." column " FROM org.budget b WHERE b.budget_id = k.budget_id)"

// A key k. LiteLLM calls the id that may be shown token_id, or token.
#define KEY_COLUMNS \
    "k.key_name, k.key_id AS token_id, k.expires, k.key_id AS token, k.key_alias, k.user_id, k.team_id, " \
    "k.organization_id, k.models, k.spend, " \
    PERIOD_SPEND_OF("k", "coalesce(k.budget_duration, " OF_BUDGET_OF_KEY("budget_duration") ")", \
                    "coalesce(k.budget_reset_at, " OF_BUDGET_OF_KEY("budget_reset_at") ")", "k.spend", \
                    "k.spend_reset_at", "coalesce(k.organization_id, ''), '', '', k.key_id, ''") ", " \
    "k.max_budget, k.model_max_budget, k.tpm_limit, k.rpm_limit, k.max_parallel_requests, k.budget_duration, " \
    PERIOD_END("k", "k") ", " SHORT_MONEY("k", "soft_budget") ", " OTHER_LIMITS("k") ", " \
    SHORT_MONEY("k", "temp_budget_increase") ", k.short_limits ->> 'temp_budget_expiry' AS temp_budget_expiry, " \
    "k.blocked, k.allowed_routes, k.aliases, k.tags, " \
    METADATA_OF("k", "'{allowed_cache_controls, config, object_permission}'") ", k.permissions, " \
    "k.created_at, k.created_by, k.updated_at, k.updated_by, k.budget_id, " \
    "(SELECT shown FROM (SELECT " BUDGET_COLUMNS_OF("k") " FROM org.budget b WHERE b.budget_id = k.budget_id) " \
    "AS shown) AS litellm_budget_table, " \
    "coalesce(k.kept -> 'config', '{}') AS config, " \
    "coalesce(k.kept -> 'allowed_cache_controls', '[]') AS allowed_cache_controls, " \
    "k.kept -> 'object_permission' AS object_permission, NULL::text AS object_permission_id"
inline constexpr int key_id_column = 1, key_user_column = 5, key_team_column = 6;

// What a user u spent, in all or as far as the caller sees it.
#define SPEND_OF_USER \
    "CASE WHEN seen.whole THEN u.spend" \
    "     ELSE (SELECT coalesce(sum(m.spend), 0) FROM org.membership m" \
    "            WHERE m.user_id = u.user_id" \
    "              AND (m.organization_id = ANY ($1) OR m.organization_id = seen.inside)) END"

#define SEEN_SHORT_LIMIT(field) "CASE WHEN seen.whole THEN u.short_limits -> '" field "' END AS " field

// A user u, beside a row `seen`: the whole user (seen.whole), or who they are and what they do in the organizations $1
// and seen.inside.
#define USER_COLUMNS \
    "u.user_id, u.user_email, u.user_alias, " \
    "CASE WHEN seen.whole THEN u.user_role END AS user_role, " \
    "ARRAY(SELECT tm.team_id::text FROM org.team_member tm" \
    "       WHERE tm.user_id = u.user_id" \
    "         AND (seen.whole OR tm.organization_id = ANY ($1) OR tm.organization_id = seen.inside)" \
    "       ORDER BY tm.created_at, tm.team_id) AS teams, " \
    "CASE WHEN seen.whole THEN u.models END AS models, " \
    "CASE WHEN seen.whole THEN u.max_budget END AS max_budget, " \
    SPEND_OF_USER " AS spend, " \
    PERIOD_SPEND_OF("u", "CASE WHEN seen.whole THEN u.budget_duration END", "u.budget_reset_at", \
                    SPEND_OF_USER, "CASE WHEN seen.whole THEN u.spend_reset_at END", "'', '', u.user_id, '', ''") ", " \
    "CASE WHEN seen.whole THEN u.model_max_budget END AS model_max_budget, " \
    "CASE WHEN seen.whole THEN u.model_spend END AS model_spend, " \
    "CASE WHEN seen.whole THEN u.tpm_limit END AS tpm_limit, " \
    "CASE WHEN seen.whole THEN u.rpm_limit END AS rpm_limit, " \
    "CASE WHEN seen.whole THEN u.budget_duration END AS budget_duration, " \
    "CASE WHEN seen.whole THEN " PERIOD_END_OF("u", "u") " END AS budget_reset_at, " \
    "CASE WHEN seen.whole THEN u.limits END AS limits, " \
    "CASE WHEN seen.whole THEN (u.short_limits ->> 'soft_budget')::numeric END AS soft_budget, " \
    SEEN_SHORT_LIMIT("max_parallel_requests") ", " SEEN_SHORT_LIMIT("budget_limits") ", " \
    SEEN_SHORT_LIMIT("model_rpm_limit") ", " SEEN_SHORT_LIMIT("model_tpm_limit") ", " \
    SEEN_SHORT_LIMIT("rpd_limit") ", " SEEN_SHORT_LIMIT("tpd_limit") ", " \
    "CASE WHEN seen.whole THEN u.sso_user_id END AS sso_user_id, " \
    "NULL::text AS organization_memberships, " \
    "CASE WHEN seen.whole THEN u.metadata END AS metadata, " \
    "CASE WHEN seen.whole THEN u.created_at END AS created_at, " \
    "CASE WHEN seen.whole THEN u.updated_at END AS updated_at, " \
    "CASE WHEN seen.whole THEN u.quotas END AS quotas"

// clang-format on

// Things are written in the order asked, and those that do not exist are left out. Functions that write one thing
// return whether it exists; those named _fields write it without the braces.

void write_budgets(Session &session, Texts budget_ids);

// Organizations with their members, teams and budgets. Returns how many were written.
size_t write_organizations(Session &session, Texts organization_ids);

void write_memberships(Session &session, Text organization_id, Texts user_ids);
void write_membership_fields(Session &session, Text organization_id, Text user_id);

// Teams with their members, budgets of members, and keys: all of the organizations `visible` (none: of all) and of
// teams that the caller is an admin of, of others only the caller's own.
void write_listed_teams(Session &session, Texts team_ids, const Maybe<Texts> &visible);
// Rows of TEAM_COLUMNS, with the teams' members.
void write_teams(Session &session, const Rows &teams);
void write_teams_of_user(Session &session, Text user_id, Maybe<Texts> organization_ids);
bool write_team(Session &session, Text organization_id, Text team_id);
void write_team_fields(Session &session, Text organization_id, Text team_id);
// A team with its keys and memberships.
void write_team_info(Session &session, Text organization_id, Text team_id);
// Some members of a team, or all, with their budgets.
void write_team_memberships(Session &session, Text organization_id, Text team_id, Maybe<Texts> user_ids);

// The row of KEY_COLUMNS of a key, none if there is no such key.
Rows read_key(Session &session, Text key_id);
void write_key(Session &session, Text key_id);
void write_keys_of_user(Session &session, Text user_id, Maybe<Texts> organization_ids);
void write_keys_of_team(Session &session, Text organization_id, Text team_id);
// A key with its secret, which no other reply shows.
void write_new_key(Session &session, Text key_id, Text secret);
// key, key_name, token_id and expires, as members of the open object.
void write_new_key_summary(Session &session, Text key_id, Text secret);

// Users as seen through the organizations given (none: the whole users).
void write_users(Session &session, Texts user_ids, Maybe<Texts> organization_ids);
bool write_user(Session &session, Text user_id, Maybe<Texts> organization_ids);
void write_user_fields(Session &session, Text user_id);

// See warm_up.
void warm_up_showing(Session &session, Text nobody);

} // namespace pg_org
