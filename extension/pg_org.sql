\echo Use "CREATE EXTENSION pg_org" to load this file. \quit

-- The functions of pg_org: their signatures are the product's vocabulary, the
-- same in SQL and, as JSON fields, on HTTP.  The extension holds no tables;
-- org_setup() makes them.  An argument without a default is a required field.

-- Setting up ----------------------------------------------------------------

CREATE FUNCTION org_setup()
RETURNS void LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_setup IS
'Make or migrate the tables.
Makes schema org and its tables, owned by whoever calls it first, and the proxy_admin user default_user_id. Call it again after each upgrade of the extension: it applies what is missing and changes nothing otherwise. A superuser is refused as the owner, here and by every function: they run their SQL as the owner of schema org. So is a schema org that somebody else made.';

CREATE FUNCTION org_grant_access(role name)
RETURNS void LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_grant_access IS
'Let a role call the functions.
Grants EXECUTE on every function of the extension but org_setup and org_grant_access, and nothing on the tables: such a role can do just what the api_key it passes may. For the owner of the extension or a superuser.';

CREATE FUNCTION org_warm_up()
RETURNS void LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_warm_up IS
'Make a database connection ready for calls.
The first call of a function in a connection takes many times longer than the next, because tables are opened and statements planned. This does it beforehand for the calls that matter most: it changes nothing and shows nothing, so that it needs no api_key. For pools, after they have connected.';

-- Organizations -------------------------------------------------------------

CREATE FUNCTION org_new(
    organization_alias text,
    organization_id text DEFAULT NULL,
    models text[] DEFAULT '{}',
    budget_id text DEFAULT NULL,
    max_budget numeric DEFAULT NULL,
    soft_budget numeric DEFAULT NULL,
    tpm_limit bigint DEFAULT NULL,
    rpm_limit bigint DEFAULT NULL,
    max_parallel_requests bigint DEFAULT NULL,
    model_max_budget jsonb DEFAULT NULL,
    budget_duration text DEFAULT NULL,
    metadata jsonb DEFAULT NULL,
    blocked boolean DEFAULT NULL,
    tags text[] DEFAULT NULL,
    model_aliases jsonb DEFAULT NULL,
    default_reserve numeric DEFAULT NULL,
    quotas jsonb DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_new IS
'Create an organization.
Makes its budget from the budget fields, or attaches the budget named by budget_id (then no budget field may be given). An empty list of models means all. default_reserve (US dollars) is held for a call whose highest cost is not known. quotas is an object of how many it may have: max_teams (10,000 unless it says otherwise), max_members and max_keys (100,000 each), max_team_keys (keys in one team, 10,000). Returns the organization. For proxy admins.';

CREATE FUNCTION org_update(
    organization_id text,
    organization_alias text DEFAULT NULL,
    models text[] DEFAULT NULL,
    metadata jsonb DEFAULT NULL,
    budget_id text DEFAULT NULL,
    blocked boolean DEFAULT NULL,
    tags text[] DEFAULT NULL,
    model_aliases jsonb DEFAULT NULL,
    default_reserve numeric DEFAULT NULL,
    max_budget numeric DEFAULT NULL,
    soft_budget numeric DEFAULT NULL,
    tpm_limit bigint DEFAULT NULL,
    rpm_limit bigint DEFAULT NULL,
    max_parallel_requests bigint DEFAULT NULL,
    model_max_budget jsonb DEFAULT NULL,
    budget_duration text DEFAULT NULL,
    litellm_budget_table jsonb DEFAULT NULL,
    quotas jsonb DEFAULT NULL,
    clear text[] DEFAULT NULL,
    cascade boolean DEFAULT NULL,
    if_match text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_update IS
'Change an organization.
An argument that is null leaves its field unchanged; clear lists fields to reset. quotas, an object as in org_new, replaces all quotas; a lower quota deletes nothing. Budget fields, flat or inside litellm_budget_table (flat wins), change the budget; if others share it, this organization gets a copy of its own. Limits below what its teams and keys hold are refused, naming them, unless cascade lowers those as well. With if_match, only if that is still its entity tag. Returns the organization. For proxy admins.';

CREATE FUNCTION org_patch(
    organization_id text,
    patch jsonb,
    cascade boolean DEFAULT NULL,
    if_match text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_patch IS
'Change an organization by merge patch.
The patch (RFC 7396) is an object of organization_alias, models, metadata, blocked, tags, model_aliases, default_reserve, quotas and budget fields; a null clears, objects merge, an unrecognized field is refused. cascade and if_match as in org_update. Returns the organization. For proxy admins.';

CREATE FUNCTION org_delete(
    organization_ids text[],
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_delete IS
'Delete organizations with all they own.
All of organization_ids or, if one does not exist, none. Their teams, memberships, keys and the budgets that nobody else uses go with them; users stay. Returns the organizations as they stood just before. For proxy admins.';

CREATE FUNCTION org_list(
    org_id text DEFAULT NULL,
    org_alias text DEFAULT NULL,
    "limit" bigint DEFAULT NULL,
    after text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_list IS
'List organizations.
Those the caller belongs to, or all for proxy admins and viewers, oldest first. Filter by org_id (exact) and org_alias (part of the name, case ignored). For pages give limit (1 to 1000) and, from the second on, after: the last organization_id of the page before.';

CREATE FUNCTION org_info(
    organization_id text,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_info IS
'Show an organization.
With its members, teams and budget. For its members, proxy admins and viewers.';

CREATE FUNCTION org_info_many(
    organizations text[],
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_info_many IS
'Show several organizations.
In the order of organizations, each once. For members of all of them: one that does not exist is refused like one that is not theirs. For proxy admins and viewers what does not exist is left out.';

CREATE FUNCTION org_block(
    organization_id text,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_block IS
'Block an organization.
From the next request on its keys are refused, but for those of proxy admins. Returns the organization. For proxy admins.';

CREATE FUNCTION org_unblock(
    organization_id text,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_unblock IS
'Unblock an organization.
From the next request on its keys are accepted again. Returns the organization. For proxy admins.';

CREATE FUNCTION org_daily_activity(
    organization_ids text[] DEFAULT NULL,
    start_date text DEFAULT NULL,
    end_date text DEFAULT NULL,
    model text DEFAULT NULL,
    key text DEFAULT NULL,
    page bigint DEFAULT 1,
    page_size bigint DEFAULT 50,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_daily_activity IS
'Report what organizations spent day by day.
From start_date to end_date (2026-11-23, days in UTC), newest first, in all and by model, provider, key and organization; only of organization_ids, of a model, of a key (itself or its token_id). A page has up to page_size (1 to 1000) days with any activity, and metadata its totals. For proxy admins and viewers, and the admins of the organizations, who get their own if none is named, since they were made.';

CREATE FUNCTION org_audit(
    organization_id text,
    "limit" bigint DEFAULT NULL,
    after text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_audit IS
'List the changes of an organization.
Of all it owns, by whom and how, newest first, with what was changed: before and after have the fields of a row that differ, or all of it if it was made or deleted. An empty organization_id asks for what belongs to none. For its admins it begins when the organization was made, whatever one of that identifier did before. For pages give limit (1 to 1000) and, from the second on, after: the last audit_id of the page before. For the organization''s admins, proxy admins and viewers.';

CREATE FUNCTION org_audit_purge(
    before timestamptz,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_audit_purge IS
'Delete old entries of the audit log.
All that are older than before. Only for the owner of the tables, without an api_key.';

CREATE FUNCTION org_etag(reply json)
RETURNS text LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_etag IS
'Tell the entity tag of a reply.
The ETag of an organization, team or budget as another function returned it, for if_match.';

-- Events --------------------------------------------------------------------

CREATE FUNCTION org_events(
    after bigint DEFAULT NULL,
    "limit" bigint DEFAULT NULL,
    organization_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_events IS
'Read what happened.
Gives the events with a greater event_id than after, in the order of event_id, up to limit of them (1 to 1000, 100 by default). Reading on from the last event_id never misses an event. All for proxy admins, viewers and keys with the permission events, those of their organizations since they were made for organizations'' admins; of one organization with organization_id.';

CREATE FUNCTION event_claim(
    "limit" bigint DEFAULT NULL,
    lease_seconds bigint DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION event_claim IS
'Claim events for delivery.
Of each organization the oldest that was not delivered, limit in all (1 to 1000, else 100), unless somebody else claimed it within their lease_seconds (1 to 3600, else 60). Organizations take turns: first the one whose last was longest ago. One that is not acknowledged can be claimed again after that, and with every attempt later, up to an hour. For proxy admins and keys with the permission events.';

CREATE FUNCTION event_acknowledge(
    event_id bigint,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION event_acknowledge IS
'Acknowledge the delivery of an event.
It is not claimed again; the next of its organization can be. Returns when it was delivered. For proxy admins and keys with the permission events.';

CREATE FUNCTION org_event_purge(
    before timestamptz,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_event_purge IS
'Delete old events.
All that are older than before, whether delivered or not. Only for the owner of the tables, without an api_key.';

-- Members -------------------------------------------------------------------

CREATE FUNCTION org_member_add(
    organization_id text,
    member json,
    max_budget_in_organization numeric DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_member_add IS
'Add members to an organization.
member is an object with role and user_id or user_email, or an array of such objects. If it has both, they must belong to one user. Who is not known yet becomes a user; who is a member already gets the new role, who is named twice the last one. At most 1,000 at once. With max_budget_in_organization each of them has a budget of their own. All or none. For proxy admins and the organization''s admins.';

CREATE FUNCTION org_member_update(
    organization_id text,
    user_id text DEFAULT NULL,
    user_email text DEFAULT NULL,
    role text DEFAULT NULL,
    max_budget_in_organization numeric DEFAULT NULL,
    clear text[] DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_member_update IS
'Change a member''s role or budget.
Name the member by user_id or user_email. role is org_admin, internal_user or internal_user_viewer. A budget that others share is copied before it is changed; clear takes {max_budget_in_organization}. Returns the membership. For proxy admins and the organization''s admins.';

CREATE FUNCTION org_member_delete(
    organization_id text,
    user_id text DEFAULT NULL,
    user_email text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_member_delete IS
'Remove a member from an organization.
And from its teams, with the keys they hold there and the budget that nobody else uses; the user stays. Name the member by user_id or user_email. Returns the membership as it stood, with token_ids_to_rotate: those keys of nobody in particular that they made there, and whose secrets they may have kept. For proxy admins, the organization''s admins and the member; the last org_admin does not remove themself.';

-- Users ---------------------------------------------------------------------

CREATE FUNCTION user_new(
    user_id text DEFAULT NULL,
    user_email text DEFAULT NULL,
    user_alias text DEFAULT NULL,
    user_role text DEFAULT NULL,
    models text[] DEFAULT NULL,
    max_budget numeric DEFAULT NULL,
    model_max_budget jsonb DEFAULT NULL,
    tpm_limit bigint DEFAULT NULL,
    rpm_limit bigint DEFAULT NULL,
    budget_duration text DEFAULT NULL,
    sso_user_id text DEFAULT NULL,
    metadata jsonb DEFAULT NULL,
    auto_create_key boolean DEFAULT true,
    key_alias text DEFAULT NULL,
    duration text DEFAULT NULL,
    quotas jsonb DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_new IS
'Create a user.
And, unless auto_create_key is false, a key of theirs, shown this once; key_alias and duration are that key''s. quotas is an object of how many keys outside organizations the user may have: max_keys (10,000 unless it says otherwise). No two users have one user_email. Returns the user. For proxy admins.';

CREATE FUNCTION user_update(
    user_id text,
    user_email text DEFAULT NULL,
    user_alias text DEFAULT NULL,
    user_role text DEFAULT NULL,
    models text[] DEFAULT NULL,
    max_budget numeric DEFAULT NULL,
    model_max_budget jsonb DEFAULT NULL,
    tpm_limit bigint DEFAULT NULL,
    rpm_limit bigint DEFAULT NULL,
    budget_duration text DEFAULT NULL,
    metadata jsonb DEFAULT NULL,
    quotas jsonb DEFAULT NULL,
    clear text[] DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_update IS
'Change a user.
An argument that is null leaves its field unchanged; clear lists fields to reset. The last proxy_admin stays one. Returns the user. No two users have one user_email. For proxy admins; users themselves change user_alias.';

CREATE FUNCTION user_info(
    user_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_info IS
'Show a user.
With their keys and teams; without user_id the caller. For the user, proxy admins and viewers, and for admins of an organization the user is in, who see no more than who it is, and what the user has and has spent in that organization.';

CREATE FUNCTION user_list(
    role text DEFAULT NULL,
    user_email text DEFAULT NULL,
    user_id text DEFAULT NULL,
    organization_id text DEFAULT NULL,
    team_id text DEFAULT NULL,
    "limit" bigint DEFAULT NULL,
    after text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_list IS
'List users.
All for proxy admins and viewers, those of their organizations for organizations'' admins, themselves for others, oldest first; organizations'' admins see who others are and what they have and have spent there, no more. Filter by role on the platform, user_email (part of it, case ignored), user_id, organization_id and team_id. For pages give limit (1 to 1000) and, from the second on, after: the last user_id of the page before.';

CREATE FUNCTION user_delete(
    user_ids text[],
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_delete IS
'Delete users.
All of user_ids or, if one does not exist, none. Their memberships, keys and the budgets that nobody else uses go with them. The last proxy_admin stays. Returns the users as they stood just before. For proxy admins.';

-- Teams ---------------------------------------------------------------------

CREATE FUNCTION team_new(
    organization_id text,
    team_alias text DEFAULT NULL,
    team_id text DEFAULT NULL,
    models text[] DEFAULT NULL,
    members_with_roles json DEFAULT NULL,
    metadata jsonb DEFAULT NULL,
    max_budget numeric DEFAULT NULL,
    tpm_limit bigint DEFAULT NULL,
    rpm_limit bigint DEFAULT NULL,
    max_parallel_requests bigint DEFAULT NULL,
    budget_duration text DEFAULT NULL,
    blocked boolean DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_new IS
'Create a team in an organization.
Its models and limits must be within the organization''s, its members (members_with_roles: an array of role, admin or user, and user_id or user_email) members of the organization. Returns the team. For proxy admins and the organization''s admins.';

CREATE FUNCTION team_update(
    team_id text,
    organization_id text DEFAULT NULL,
    team_alias text DEFAULT NULL,
    models text[] DEFAULT NULL,
    metadata jsonb DEFAULT NULL,
    max_budget numeric DEFAULT NULL,
    tpm_limit bigint DEFAULT NULL,
    rpm_limit bigint DEFAULT NULL,
    max_parallel_requests bigint DEFAULT NULL,
    budget_duration text DEFAULT NULL,
    blocked boolean DEFAULT NULL,
    clear text[] DEFAULT NULL,
    cascade boolean DEFAULT NULL,
    if_match text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_update IS
'Change a team.
An argument that is null leaves its field unchanged; clear lists fields to reset. Its models and limits must stay within the organization''s; models that its keys still list are refused, naming them, unless cascade takes them from those as well. With if_match, only if that is still its entity tag. Returns the team. For proxy admins and the organization''s admins.';

CREATE FUNCTION team_info(
    team_id text,
    organization_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_info IS
'Show a team.
With its members and keys. For its members, its organization''s admins, proxy admins and viewers.';

CREATE FUNCTION team_list(
    organization_id text DEFAULT NULL,
    user_id text DEFAULT NULL,
    team_alias text DEFAULT NULL,
    "limit" bigint DEFAULT NULL,
    after text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_list IS
'List teams.
All for proxy admins and viewers, those of their organizations for organizations'' admins, their own for others, oldest first. Filter by organization_id, user_id of a member and team_alias (part of it, case ignored). For pages give limit (1 to 1000) and, from the second on, after: the last team_id of the page before.';

CREATE FUNCTION team_delete(
    team_ids text[],
    organization_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_delete IS
'Delete teams.
With their keys, and the members'' budgets that nobody else uses. All of team_ids or none. Returns the teams as they stood just before. For proxy admins and the organization''s admins.';

CREATE FUNCTION team_block(
    team_id text,
    organization_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_block IS
'Block a team.
From the next request on its keys are refused, but for those of proxy admins. Returns the team. For proxy admins and the organization''s admins.';

CREATE FUNCTION team_unblock(
    team_id text,
    organization_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_unblock IS
'Unblock a team.
From the next request on its keys are accepted again. Returns the team. For proxy admins and the organization''s admins.';

CREATE FUNCTION team_member_add(
    team_id text,
    member json,
    max_budget_in_team numeric DEFAULT NULL,
    organization_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_member_add IS
'Add members to a team.
The member is an object of role (admin or user) and user_id or user_email, or an array of such, each a member of the organization; who is in the team already gets the new role. With max_budget_in_team each of them has a budget of their own. All or none. Returns the team with updated_users and updated_team_memberships. For proxy admins and the organization''s admins.';

CREATE FUNCTION team_member_update(
    team_id text,
    user_id text DEFAULT NULL,
    user_email text DEFAULT NULL,
    role text DEFAULT NULL,
    max_budget_in_team numeric DEFAULT NULL,
    clear text[] DEFAULT NULL,
    organization_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_member_update IS
'Change a team member''s role or budget.
Name the member by user_id or user_email; clear takes {max_budget_in_team}. Returns the member''s place in the team. For proxy admins and the organization''s admins.';

CREATE FUNCTION team_member_delete(
    team_id text,
    user_id text DEFAULT NULL,
    user_email text DEFAULT NULL,
    organization_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_member_delete IS
'Remove a member from a team.
With the keys they hold there and the budget that nobody else uses. Name the member by user_id or user_email. Returns the team. For proxy admins and the organization''s admins.';

-- Keys ----------------------------------------------------------------------

CREATE FUNCTION key_generate(
    user_id text DEFAULT NULL,
    organization_id text DEFAULT NULL,
    team_id text DEFAULT NULL,
    models text[] DEFAULT NULL,
    duration text DEFAULT NULL,
    key_alias text DEFAULT NULL,
    metadata jsonb DEFAULT NULL,
    permissions jsonb DEFAULT NULL,
    key text DEFAULT NULL,
    max_budget numeric DEFAULT NULL,
    model_max_budget jsonb DEFAULT NULL,
    tpm_limit bigint DEFAULT NULL,
    rpm_limit bigint DEFAULT NULL,
    max_parallel_requests bigint DEFAULT NULL,
    budget_duration text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_generate IS
'Make a key.
Returns it this once: only its digest is kept. It expires after duration, if given. Its models must be among those of its team and organization. A proxy admin makes keys for anybody and may choose the secret (key); an organization''s admin makes keys inside the organization; a member makes keys of their own within a team they belong to. Only a proxy admin gives a key permissions: an object with what it may do besides, such as {"usage": true}.';

CREATE FUNCTION key_update(
    key text,
    key_alias text DEFAULT NULL,
    models text[] DEFAULT NULL,
    metadata jsonb DEFAULT NULL,
    permissions jsonb DEFAULT NULL,
    duration text DEFAULT NULL,
    max_budget numeric DEFAULT NULL,
    model_max_budget jsonb DEFAULT NULL,
    tpm_limit bigint DEFAULT NULL,
    rpm_limit bigint DEFAULT NULL,
    max_parallel_requests bigint DEFAULT NULL,
    budget_duration text DEFAULT NULL,
    clear text[] DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_update IS
'Change a key.
Name it in key by itself or its token_id. What is null stays as it is; clear names fields to set back to nothing, duration among them: then it never expires. Its models must stay among those of its team and organization. Returns what is known of the key. For proxy admins, who alone give permissions, and the admins of its organization; its user changes key_alias and metadata.';

CREATE FUNCTION key_info(
    key text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_info IS
'Show a key.
Name it by itself or its token_id; without key the caller''s own. For its user, the admins of its organization, proxy admins and viewers.';

CREATE FUNCTION key_list(
    organization_id text DEFAULT NULL,
    team_id text DEFAULT NULL,
    user_id text DEFAULT NULL,
    key_alias text DEFAULT NULL,
    "limit" bigint DEFAULT NULL,
    after text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_list IS
'List keys.
All for proxy admins and viewers, those of their organizations for organizations'' admins, their own for others, oldest first; never the secrets. Filter by organization_id, team_id, user_id and key_alias. For pages give limit (1 to 1000) and, from the second on, after: the last token_id of the page before.';

CREATE FUNCTION key_delete(
    keys text[] DEFAULT NULL,
    key_aliases text[] DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_delete IS
'Delete keys.
Named in keys by themselves or token_id, or in key_aliases by alias, which must mean one of the keys that the caller may delete; all of them or none. From the next request on they are refused. Returns what was known of them. For proxy admins, the admins of their organization and their users.';

CREATE FUNCTION key_regenerate(
    key text,
    grace_period text DEFAULT NULL,
    duration text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_regenerate IS
'Replace a key''s secret.
Name it in key by itself or its token_id. Returns the new one this once; all else about the key stays. The old secret works for grace_period more, if given, for calls of models and to read, but changes nothing; one grace_period at a time. With duration the key expires anew, which is for those who may set that in key_update. For proxy admins, its user and, if it has no permissions, the admins of its organization.';

CREATE FUNCTION key_block(
    key text,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_block IS
'Block a key.
Name it in key by itself or its token_id. From the next request on it is refused. Returns what is known of the key. For proxy admins and the admins of its organization.';

CREATE FUNCTION key_unblock(
    key text,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_unblock IS
'Unblock a key.
Name it in key by itself or its token_id. From the next request on it is accepted again. Returns what is known of the key. For proxy admins and the admins of its organization.';

-- Budgets -------------------------------------------------------------------

CREATE FUNCTION budget_new(
    budget_id text DEFAULT NULL,
    max_budget numeric DEFAULT NULL,
    soft_budget numeric DEFAULT NULL,
    tpm_limit bigint DEFAULT NULL,
    rpm_limit bigint DEFAULT NULL,
    max_parallel_requests bigint DEFAULT NULL,
    model_max_budget jsonb DEFAULT NULL,
    budget_duration text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION budget_new IS
'Create a budget.
To be attached to organizations by its budget_id. Returns the budget. For proxy admins.';

CREATE FUNCTION budget_update(
    budget_id text,
    max_budget numeric DEFAULT NULL,
    soft_budget numeric DEFAULT NULL,
    tpm_limit bigint DEFAULT NULL,
    rpm_limit bigint DEFAULT NULL,
    max_parallel_requests bigint DEFAULT NULL,
    model_max_budget jsonb DEFAULT NULL,
    budget_duration text DEFAULT NULL,
    clear text[] DEFAULT NULL,
    cascade boolean DEFAULT NULL,
    if_match text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION budget_update IS
'Change a budget.
For all its owners. An argument that is null leaves its field unchanged; clear lists fields to reset. Limits below what the teams of an organization hold are refused, naming them, unless cascade lowers those as well. With if_match, only if that is still its entity tag. Returns the budget. For proxy admins.';

CREATE FUNCTION budget_info(
    budgets text[],
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION budget_info IS
'Show budgets.
In the order of budgets, each once; what does not exist is left out. For proxy admins and viewers.';

CREATE FUNCTION budget_list(
    "limit" bigint DEFAULT NULL,
    after text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION budget_list IS
'List budgets.
All of them, oldest first. For pages give limit (1 to 1000) and, from the second on, after: the last budget_id of the page before. For proxy admins and viewers.';

CREATE FUNCTION budget_delete(
    id text,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION budget_delete IS
'Delete a budget.
Named in id by its budget_id. Refused, naming them, while somebody uses it. Returns the budget as it stood. For proxy admins.';

-- Usage ---------------------------------------------------------------------

CREATE FUNCTION usage_reserve(
    key text DEFAULT NULL,
    model text DEFAULT NULL,
    max_cost numeric DEFAULT NULL,
    max_tokens bigint DEFAULT NULL,
    request_id text DEFAULT NULL,
    ttl_seconds bigint DEFAULT 600,
    tags text[] DEFAULT NULL,
    token_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_reserve IS
'Ask whether a call to a model may be made.
With key, the secret that came with the call; or with token_id, if you have checked the secret yourself. Every limit of the key, its user, team, membership and organization is checked, and max_cost (US dollars) and max_tokens are held against each until the call is settled, cancelled, or ttl_seconds (1 to 86400) are over. The same request_id again gets the same answer; without one it is made. Returns the model with aliases resolved and what is left of each limit. For proxy admins and keys with the permission usage.';

CREATE FUNCTION usage_reserve_many(
    requests json,
    wait boolean DEFAULT true,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_reserve_many IS
'Ask for many calls at once.
An array of objects with the arguments of usage_reserve, decided one after the other in one transaction. Returns an array with what usage_reserve would return for each, or an object with error: its sqlstate, message and more; one refusal touches none of the others. With wait false nothing is waited for: what depends on something that somebody else has locked is refused with sqlstate 55P03, and held names that. For proxy admins and keys with the permission usage.';

CREATE FUNCTION usage_settle(
    cost numeric,
    request_id text DEFAULT NULL,
    reservation_id text DEFAULT NULL,
    prompt_tokens bigint DEFAULT NULL,
    completion_tokens bigint DEFAULT NULL,
    cache_read_input_tokens bigint DEFAULT NULL,
    cache_creation_input_tokens bigint DEFAULT NULL,
    failed boolean DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_settle IS
'Tell what a reserved call has cost.
Named by request_id or reservation_id. The hold ends and the cost (US dollars) is spent: in full, even if it is more than was held or the hold had expired, and once: the same again returns what the first did. For proxy admins and keys with the permission usage.';

CREATE FUNCTION usage_settle_many(
    requests json,
    wait boolean DEFAULT true,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_settle_many IS
'Settle many calls at once.
An array of objects with the arguments of usage_settle. Returns an array with what usage_settle would return for each, or an object with error: its sqlstate and message; one refusal touches none of the others. With wait false nothing is waited for: what depends on something that somebody else has locked is refused with sqlstate 55P03, and held names that. For proxy admins and keys with the permission usage.';

CREATE FUNCTION usage_cancel(
    request_id text DEFAULT NULL,
    reservation_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_cancel IS
'Take back a reservation.
For a call that was not made, named by request_id or reservation_id: nothing is held or counted for it any more. One that was settled is refused. For proxy admins and keys with the permission usage.';

CREATE FUNCTION usage_record(
    key text DEFAULT NULL,
    model text DEFAULT NULL,
    cost numeric DEFAULT NULL,
    request_id text DEFAULT NULL,
    prompt_tokens bigint DEFAULT NULL,
    completion_tokens bigint DEFAULT NULL,
    cache_read_input_tokens bigint DEFAULT NULL,
    cache_creation_input_tokens bigint DEFAULT NULL,
    failed boolean DEFAULT NULL,
    tags text[] DEFAULT NULL,
    token_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_record IS
'Record what a call has cost that was never reserved.
With key, the secret that came with the call; or with token_id, if you have checked the secret yourself. No limit is asked, for it was spent. Once for each request_id: the same again returns what the first did. For proxy admins and keys with the permission usage.';

CREATE FUNCTION usage_limits(
    key text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_limits IS
'Show what is left of every limit of a key.
At every level: what was spent in the current period, what is held, what remains and when it resets. Without key, of the caller''s own. For the key itself, its organization''s admins, proxy admins and viewers, and keys with the permission usage.';

CREATE FUNCTION usage_verify(
    organization_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_verify IS
'Compare every counter with its ledger.
Returns those that differ, with what they are and what they should be: none, unless the tables were changed by hand. Of all organizations or of one. For proxy admins and viewers.';

CREATE FUNCTION usage_repair(
    organization_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_repair IS
'Set every counter to what its ledger says.
Of all organizations or of one. Returns those that differed; only calls of whose they are wait meanwhile. At most 100 organizations, and 100 users and 100 keys that count outside of any, are mended at once: repeat until the list is empty. For proxy admins.';

-- Functions are for everybody unless taken away; org_grant_access() hands them out.
REVOKE ALL ON FUNCTION
    org_setup, org_grant_access, org_warm_up,
    org_new, org_update, org_patch, org_delete, org_list, org_info, org_info_many, org_block, org_unblock,
    org_daily_activity, org_audit, org_audit_purge, org_etag,
    org_events, event_claim, event_acknowledge, org_event_purge,
    org_member_add, org_member_update, org_member_delete,
    user_new, user_update, user_info, user_list, user_delete,
    team_new, team_update, team_info, team_list, team_delete, team_block, team_unblock,
    team_member_add, team_member_update, team_member_delete,
    key_generate, key_update, key_info, key_list, key_delete, key_regenerate, key_block, key_unblock,
    budget_new, budget_update, budget_info, budget_list, budget_delete,
    usage_reserve, usage_reserve_many, usage_settle, usage_settle_many, usage_cancel, usage_record, usage_limits,
    usage_verify, usage_repair
FROM PUBLIC;
