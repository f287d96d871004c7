\echo Use "CREATE EXTENSION pg_org" to load this file. \quit

-- The functions of pg_org: their signatures are the product's vocabulary, the
-- same in SQL and, as JSON fields, on HTTP.  The extension holds no tables;
-- org_setup() makes them.  An argument without a default is a required field.

-- Setting up ----------------------------------------------------------------

CREATE FUNCTION org_setup()
RETURNS void LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_setup IS
'Make or migrate the tables.

Creates schema org with its tables, owned by the role that calls it first, and the proxy admin
default_user_id. Call it again after each upgrade of the extension: it applies the migrations that
are missing and changes nothing else. Every function runs its SQL as the owner of schema org.
Therefore a superuser is refused as the owner, and so is a schema org that another role created.

Callers: a role with EXECUTE on org_setup and CREATE on the database; later only the owner of schema
org.';

CREATE FUNCTION org_grant_access(role name)
RETURNS void LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_grant_access IS
'Let a role call the functions.

Grants EXECUTE on every function of the extension except org_setup and org_grant_access, and nothing
on the tables. Its rights then depend on the api_key that it passes.

- role: the database role, such as that of the gateway

Callers: the owner of the extension and superusers.';

CREATE FUNCTION org_warm_up()
RETURNS void LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_warm_up IS
'Make a database connection ready for calls.

In a new connection the first call of a function takes many times longer than the next ones, because
tables are opened and statements are planned. Connection pools call org_warm_up after they connect,
so that this is done before the first request. It changes nothing and returns nothing.

Callers: everybody who may call the functions, without an api_key.';

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
    access_group_ids json DEFAULT NULL,
    guardrails json DEFAULT NULL,
    logging json DEFAULT NULL,
    object_permission json DEFAULT NULL,
    policies json DEFAULT NULL,
    prompts json DEFAULT NULL,
    router_settings json DEFAULT NULL,
    limits json DEFAULT NULL,
    budget_limits json DEFAULT NULL,
    model_rpm_limit json DEFAULT NULL,
    model_tpm_limit json DEFAULT NULL,
    rpd_limit bigint DEFAULT NULL,
    tpd_limit bigint DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_new IS
'Create an organization.

The budget fields make a budget for it. With budget_id it uses an existing budget instead, and
budget fields are refused.

- organization_id: its identifier; null makes one
- budget_id: an existing budget to use
- quotas: how many it may have, an object: max_teams (10,000 by default), max_members (100,000),
  max_keys (100,000) and max_team_keys (keys in one team, 10,000)
- access_group_ids: a list that an LLM gateway reads, shown in metadata
- guardrails: a list that an LLM gateway reads, shown in metadata
- logging: a list that an LLM gateway reads, shown in metadata
- object_permission: an object that an LLM gateway reads
- policies: a list that an LLM gateway reads, shown in metadata
- prompts: a list that an LLM gateway reads, shown in metadata
- router_settings: an object that an LLM gateway reads, shown in metadata
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)
- budget_limits: limits of spend, an array of objects with max_budget and budget_duration
- model_rpm_limit: requests per minute by model, an object such as {"gpt-4o": 60}
- model_tpm_limit: tokens per minute by model, likewise
- rpd_limit: requests per day
- tpd_limit: tokens per day

Returns the organization.
Callers: proxy admins.';

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
    access_group_ids json DEFAULT NULL,
    guardrails json DEFAULT NULL,
    logging json DEFAULT NULL,
    object_permission json DEFAULT NULL,
    policies json DEFAULT NULL,
    prompts json DEFAULT NULL,
    router_settings json DEFAULT NULL,
    limits json DEFAULT NULL,
    budget_limits json DEFAULT NULL,
    model_rpm_limit json DEFAULT NULL,
    model_tpm_limit json DEFAULT NULL,
    rpd_limit bigint DEFAULT NULL,
    tpd_limit bigint DEFAULT NULL,
    clear text[] DEFAULT NULL,
    cascade boolean DEFAULT NULL,
    if_match text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_update IS
'Change an organization.

An argument that is null leaves its field unchanged. Budget fields change the organization''s budget;
if others share that budget, the organization gets a copy of its own. Limits and models that its
teams or keys exceed are refused, and the error names them.

- budget_id: an existing budget to use from now on
- litellm_budget_table: budget fields as one object; a budget field of its own takes precedence
- quotas: an object as in org_new that replaces all quotas; a lower quota deletes nothing
- access_group_ids: as in org_new
- guardrails: as in org_new
- logging: as in org_new
- object_permission: as in org_new
- policies: as in org_new
- prompts: as in org_new
- router_settings: as in org_new
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)
- budget_limits: limits of spend, an array of objects with max_budget and budget_duration
- model_rpm_limit: requests per minute by model, an object such as {"gpt-4o": 60}
- model_tpm_limit: tokens per minute by model, likewise
- rpd_limit: requests per day
- tpd_limit: tokens per day
- clear: names of the fields to reset; arguments that cannot be null stay as they are
- cascade: true lowers the limits of its teams and keys too, instead of refusing
- if_match: an entity tag; the change is refused unless it is the current one

Returns the organization.
Callers: proxy admins.';

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

The patch follows RFC 7396: null resets a field, objects are merged. It may have organization_alias,
models, metadata, blocked, tags, model_aliases, default_reserve, quotas, the budget fields, and the
fields for LLM gateways (access_group_ids, guardrails, logging, object_permission, policies,
prompts, router_settings). Any other field is refused.

- patch: an object with the fields to change
- cascade: as in org_update
- if_match: an entity tag; the change is refused unless it is the current one

Returns the organization.
Callers: proxy admins.';

CREATE FUNCTION org_delete(
    organization_ids text[],
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_delete IS
'Delete organizations with all they own.

Deletes cascade to their teams, memberships, keys and the budgets that nobody else uses. Users stay.
If one of the organizations does not exist, none is deleted.

- organization_ids: the organizations to delete

Returns the organizations as they were before.
Callers: proxy admins.';

CREATE FUNCTION org_list(
    org_id text DEFAULT NULL,
    org_alias text DEFAULT NULL,
    "limit" bigint DEFAULT NULL,
    after text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_list IS
'List organizations.

The oldest come first.

- org_id: only the organization with this identifier
- org_alias: only organizations whose alias contains this text, in upper or lower case
- limit: the page size, 1 to 1000; null returns everything
- after: the last organization_id of the previous page or, which works even if that was deleted,
  its created_at, a slash and its organization_id; null begins with the first page

Returns an array of organizations.
Callers: proxy admins and viewers for all organizations, others for those they are members of.';

CREATE FUNCTION org_info(
    organization_id text,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_info IS
'Show an organization.

Includes its members, teams and budget.

Returns the organization.
Callers: its members, proxy admins and viewers.';

CREATE FUNCTION org_info_many(
    organizations text[],
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_info_many IS
'Show several organizations.

For proxy admins and viewers, organizations that do not exist are left out. For everybody else they
are refused like organizations of others.

- organizations: their identifiers

Returns an array of organizations, in the order asked for, each once.
Callers: members of all of them, proxy admins and viewers.';

CREATE FUNCTION org_block(
    organization_id text,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_block IS
'Block an organization.

From the next request on its keys are refused, except those of proxy admins.

Returns the organization.
Callers: proxy admins.';

CREATE FUNCTION org_unblock(
    organization_id text,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_unblock IS
'Unblock an organization.

From the next request on its keys are accepted again.

Returns the organization.
Callers: proxy admins.';

CREATE FUNCTION org_daily_activity(
    organization_ids text[] DEFAULT NULL,
    start_date text DEFAULT NULL,
    end_date text DEFAULT NULL,
    model text DEFAULT NULL,
    key text DEFAULT NULL,
    page bigint DEFAULT 1,
    page_size bigint DEFAULT 50,
    exclude_organization_ids text[] DEFAULT NULL,
    timezone text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_daily_activity IS
'Report what organizations spent day by day.

Sums up calls, tokens and costs of each day, in total and by model, provider, key and organization.

- organization_ids: only these organizations; null means all that the caller may see
- start_date: the first day, such as 2026-11-01 (required)
- end_date: the last day, such as 2026-11-30 (required)
- model: only calls to this model
- key: only calls with this key: the key itself or its token_id
- page: the number of the page, from 1
- page_size: how many days with activity a page has, 1 to 1000
- exclude_organization_ids: not these organizations
- timezone: time zone of the days: a name such as Europe/Berlin, an offset such as +02:00, or minutes west of UTC; null
  means UTC

Returns an object: results has the days, newest first, and metadata the totals of the page.
Callers: proxy admins and viewers; the admins of the organizations, for the time since they were
created.';

CREATE FUNCTION team_daily_activity(
    team_ids text[] DEFAULT NULL,
    start_date text DEFAULT NULL,
    end_date text DEFAULT NULL,
    model text DEFAULT NULL,
    key text DEFAULT NULL,
    page bigint DEFAULT 1,
    page_size bigint DEFAULT 50,
    exclude_team_ids text[] DEFAULT NULL,
    timezone text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_daily_activity IS
'Report what teams spent day by day.

Sums up calls, tokens and costs of each day, in total and by model, provider, key and team.

- team_ids: only these teams; null means all that the caller may see
- start_date: the first day, such as 2026-11-01 (required)
- end_date: the last day, such as 2026-11-30 (required)
- model: only calls to this model
- key: only calls with this key: the key itself or its token_id
- page: the number of the page, from 1
- page_size: how many days with activity a page has, 1 to 1000
- exclude_team_ids: not these teams
- timezone: time zone of the days: a name such as Europe/Berlin, an offset such as +02:00, or minutes west of UTC; null
  means UTC

Returns an object: results has the days, newest first, and metadata the totals of the page.
Callers: proxy admins and viewers; for the time since the teams were created also their admins, those of
their organizations, and members whom team_member_permissions permits /team/daily/activity.';

CREATE FUNCTION user_daily_activity(
    user_id text DEFAULT NULL,
    start_date text DEFAULT NULL,
    end_date text DEFAULT NULL,
    model text DEFAULT NULL,
    key text DEFAULT NULL,
    page bigint DEFAULT 1,
    page_size bigint DEFAULT 50,
    timezone text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_daily_activity IS
'Report what users spent day by day.

Sums up calls, tokens and costs of each day, in total and by model, provider, key and user.

- user_id: only this user; null means all users for proxy admins and viewers, and the caller for others
- start_date: the first day, such as 2026-11-01 (required)
- end_date: the last day, such as 2026-11-30 (required)
- model: only calls to this model
- key: only calls with this key: the key itself or its token_id
- page: the number of the page, from 1
- page_size: how many days with activity a page has, 1 to 1000
- timezone: time zone of the days: a name such as Europe/Berlin, an offset such as +02:00, or minutes west of UTC; null
  means UTC

Returns an object: results has the days, newest first, and metadata the totals of the page.
Callers: proxy admins and viewers; everybody for their own calls; admins of organizations for the calls
made there.';

CREATE FUNCTION user_daily_activity_aggregated(
    user_id text DEFAULT NULL,
    start_date text DEFAULT NULL,
    end_date text DEFAULT NULL,
    model text DEFAULT NULL,
    key text DEFAULT NULL,
    timezone text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_daily_activity_aggregated IS
'Report what users spent day by day, all days on one page.

Sums up calls, tokens and costs of each day, in total and by model, provider, key and user.

- user_id: only this user; null means all users for proxy admins and viewers, and the caller for others
- start_date: the first day, such as 2026-11-01 (required)
- end_date: the last day, such as 2026-11-30 (required)
- model: only calls to this model
- key: only calls with this key: the key itself or its token_id
- timezone: time zone of the days: a name such as Europe/Berlin, an offset such as +02:00, or minutes west of UTC; null
  means UTC

Returns an object: results has the days, newest first, and metadata the totals of the page.
Callers: proxy admins and viewers; everybody for their own calls; admins of organizations for the calls
made there.';

CREATE FUNCTION tag_daily_activity(
    tags text[] DEFAULT NULL,
    start_date text DEFAULT NULL,
    end_date text DEFAULT NULL,
    model text DEFAULT NULL,
    key text DEFAULT NULL,
    page bigint DEFAULT 1,
    page_size bigint DEFAULT 50,
    timezone text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION tag_daily_activity IS
'Report what calls with tags spent day by day.

Sums up calls, tokens and costs of each day, in total and by model, provider, key and tag. The total
counts a call with several tags once, and each tag counts it.

- tags: only calls with one of these tags; null means with any
- start_date: the first day, such as 2026-11-01 (required)
- end_date: the last day, such as 2026-11-30 (required)
- model: only calls to this model
- key: only calls with this key: the key itself or its token_id
- page: the number of the page, from 1
- page_size: how many days with activity a page has, 1 to 1000
- timezone: time zone of the days: a name such as Europe/Berlin, an offset such as +02:00, or minutes west of UTC; null
  means UTC

Returns an object: results has the days, newest first, and metadata the totals of the page.
Callers: proxy admins and viewers; admins of organizations for the calls made there.';

CREATE FUNCTION customer_daily_activity(
    end_user_ids text[] DEFAULT NULL,
    start_date text DEFAULT NULL,
    end_date text DEFAULT NULL,
    model text DEFAULT NULL,
    key text DEFAULT NULL,
    page bigint DEFAULT 1,
    page_size bigint DEFAULT 50,
    exclude_end_user_ids text[] DEFAULT NULL,
    timezone text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION customer_daily_activity IS
'Report what end users spent day by day.

Sums up calls, tokens and costs of each day, in total and by model, provider, key and end user.

- end_user_ids: only these end users; null means all that the caller may see
- start_date: the first day, such as 2026-11-01 (required)
- end_date: the last day, such as 2026-11-30 (required)
- model: only calls to this model
- key: only calls with this key: the key itself or its token_id
- page: the number of the page, from 1
- page_size: how many days with activity a page has, 1 to 1000
- exclude_end_user_ids: not these end users
- timezone: time zone of the days: a name such as Europe/Berlin, an offset such as +02:00, or minutes west of UTC; null
  means UTC

Returns an object: results has the days, newest first, and metadata the totals of the page.
Callers: proxy admins and viewers; admins of organizations for the calls made there.';

CREATE FUNCTION spend_report(
    start_date text DEFAULT NULL,
    end_date text DEFAULT NULL,
    group_by text DEFAULT 'team',
    key text DEFAULT NULL,
    internal_user_id text DEFAULT NULL,
    team_id text DEFAULT NULL,
    customer_id text DEFAULT NULL,
    model text DEFAULT NULL,
    timezone text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION spend_report IS
'Report what each team, customer or key spent.

- start_date: the first day, such as 2026-11-01 (required)
- end_date: the last day, such as 2026-11-30 (required)
- group_by: team or customer, day by day, or api_key
- key: only calls with this key, the key itself or its token_id: grouped by key
- internal_user_id: only calls of this user: grouped by key
- team_id: only calls of this team: grouped by key, unless by team
- customer_id: only calls for this end user: grouped by key, unless by customer
- model: only calls to this model
- timezone: time zone of the days: a name such as Europe/Berlin, an offset such as +02:00, or minutes west of UTC; null
  means UTC

Returns a list: for each day its teams or customers, with what each spent by key and model, the earliest
day first; or for each key what it spent by model.
Callers: proxy admins and viewers; admins of organizations for the calls made there.';
CREATE FUNCTION spend_logs(
    request_id text DEFAULT NULL,
    key text DEFAULT NULL,
    user_id text DEFAULT NULL,
    team_id text DEFAULT NULL,
    end_user text DEFAULT NULL,
    organization_id text DEFAULT NULL,
    model text DEFAULT NULL,
    status_filter text DEFAULT NULL,
    min_spend numeric DEFAULT NULL,
    max_spend numeric DEFAULT NULL,
    start_date text DEFAULT NULL,
    end_date text DEFAULT NULL,
    timezone text DEFAULT NULL,
    summarize boolean DEFAULT NULL,
    "limit" bigint DEFAULT NULL,
    after text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION spend_logs IS
'List calls of models, or sum them up by day.

The calls of the ledger, those that ended last first. A call is in it once it is over: settled,
cancelled or expired. Those that the caller may not see are left out. Without limit, more than 10,000
calls are refused.

- request_id: only the call with this request_id
- key: only calls with this key: the key itself or its token_id
- user_id: only calls with keys of this user
- team_id: only calls with keys of this team
- end_user: only calls for this end user
- organization_id: only calls with keys of this organization
- model: only calls to this model
- status_filter: success or failure
- min_spend: only calls that cost at least this much
- max_spend: only calls that cost at most this much
- start_date: only calls that ended on this day, such as 2026-11-01, or at this time, such as
  2026-11-01 08:30:00, or later
- end_date: only calls that ended on this day, or at this time, or earlier
- timezone: the time zone of these, such as Europe/Berlin, its offset, such as +02:00, or the minutes
  that UTC is ahead, such as -120; UTC by default
- summarize: true for the spend of each day, in UTC, instead of the calls; that is the default with
  both start_date and end_date but without limit and after
- limit: the page size, 1 to 1000
- after: the last request_id of the previous page or, which finds it faster, its endTime, a slash and
  its request_id; null begins with the first page

Returns an array of calls. With summarize, the days on which calls ended, oldest first, each with
startTime, spend, users (spend by user_id), models (spend by model) and the spend with each key by
its token_id.
Callers: proxy admins and viewers; organizations'' and teams'' admins for the calls of theirs, for the
time since they were created; others for the calls of their own user, or of their key if it has none.';

CREATE FUNCTION spend_logs_ui(
    page bigint DEFAULT NULL,
    page_size bigint DEFAULT NULL,
    request_id text DEFAULT NULL,
    key text DEFAULT NULL,
    user_id text DEFAULT NULL,
    team_id text DEFAULT NULL,
    end_user text DEFAULT NULL,
    organization_id text DEFAULT NULL,
    model text DEFAULT NULL,
    status_filter text DEFAULT NULL,
    min_spend numeric DEFAULT NULL,
    max_spend numeric DEFAULT NULL,
    start_date text DEFAULT NULL,
    end_date text DEFAULT NULL,
    timezone text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION spend_logs_ui IS
'List calls of models in numbered pages.

The calls of the ledger, those that ended last first, without those that the caller may not see. Only
the first 10,000 are counted and have a page.

- page: the number of the page, from 1
- page_size: the number of calls on a page, 1 to 1000; 50 by default
- request_id: only the call with this request_id
- key: only calls with this key: the key itself or its token_id
- user_id: only calls with keys of this user
- team_id: only calls with keys of this team
- end_user: only calls for this end user
- organization_id: only calls with keys of this organization
- model: only calls to this model
- status_filter: success or failure
- min_spend: only calls that cost at least this much
- max_spend: only calls that cost at most this much
- start_date: only calls that ended on this day, such as 2026-11-01, or at this time, such as
  2026-11-01 08:30:00, or later
- end_date: only calls that ended on this day, or at this time, or earlier
- timezone: the time zone of these, such as Europe/Berlin, its offset, such as +02:00, or the minutes
  that UTC is ahead, such as -120; UTC by default

Returns an object with data (the calls), total (10,000 if there are more), page, page_size and
total_pages.
Callers: proxy admins and viewers; organizations'' and teams'' admins for the calls of theirs, for the
time since they were created; others for the calls of their own user, or of their key if it has none.';

CREATE FUNCTION org_audit(
    organization_id text,
    "limit" bigint DEFAULT NULL,
    after text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_audit IS
'List the changes of an organization.

Includes the changes of everything it owns: who changed what, when and how. before and after have
the fields that differ, or all fields of a new or deleted row. The newest come first. Admins of an
organization see no entries from before it was created, when another organization may have had its
identifier.

- organization_id: the organization; an empty text means changes outside of organizations
- limit: the page size, 1 to 1000; null returns everything
- after: the last audit_id of the previous page or, which works even if that was deleted,
  its occurred_at, a slash and its audit_id; null begins with the first page

Returns an array of entries.
Callers: the organization''s admins, proxy admins and viewers.';

CREATE FUNCTION audit_list(
    page bigint DEFAULT NULL,
    page_size bigint DEFAULT NULL,
    changed_by text DEFAULT NULL,
    changed_by_api_key text DEFAULT NULL,
    action text DEFAULT NULL,
    table_name text DEFAULT NULL,
    object_id text DEFAULT NULL,
    organization_id text DEFAULT NULL,
    start_date text DEFAULT NULL,
    end_date text DEFAULT NULL,
    timezone text DEFAULT NULL,
    sort_by text DEFAULT NULL,
    sort_order text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION audit_list IS
'List changes in numbered pages.

The entries of the audit log as LiteLLM shows them. Only the first 10,000 are counted and have a
page. Admins of an organization see no entries from before it was created.

- page: the number of the page, from 1
- page_size: the number of entries on a page, 1 to 1000; 10 by default
- changed_by: only changes by the caller with this user_id
- changed_by_api_key: only changes with the key with this token_id
- action: only these changes: created, updated, deleted, blocked, unblocked or rotated
- table_name: only changes of these things, such as LiteLLM_TeamTable
- object_id: only changes of the thing with this identifier
- organization_id: only changes inside this organization
- start_date: only changes on this day, such as 2026-11-01, or at this time, such as
  2026-11-01 08:30:00, or later
- end_date: only changes on this day, or at this time, or earlier
- timezone: the time zone of these, such as Europe/Berlin, its offset, such as +02:00, or the minutes
  that UTC is ahead, such as -120; UTC by default
- sort_by: updated_at
- sort_order: asc or desc; desc by default

Returns an object with audit_logs, total (10,000 if there are more), page, page_size and
total_pages.
Callers: the organizations'' admins for theirs, proxy admins and viewers.';

CREATE FUNCTION audit_info(
    id text,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION audit_info IS
'Show one change.

- id: the identifier of the entry

Returns the entry as audit_list shows it.
Callers: the organization''s admins, proxy admins and viewers.';

CREATE FUNCTION org_audit_purge(
    before timestamptz,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_audit_purge IS
'Delete old entries of the audit log.

- before: entries from before this time are deleted

Returns an object with the number of entries that were deleted.
Callers: the owner of the tables, without an api_key.';

CREATE FUNCTION org_etag(reply json)
RETURNS text LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_etag IS
'Compute the entity tag of a reply.

An entity tag changes whenever the thing changes. Pass it as if_match, and a change is refused if
somebody else has changed the thing since.

- reply: an organization, team or budget as another function returned it

Returns the entity tag.
Callers: everybody who may call the functions, without an api_key.';

-- Events --------------------------------------------------------------------

CREATE FUNCTION org_events(
    after bigint DEFAULT NULL,
    "limit" bigint DEFAULT NULL,
    organization_id text DEFAULT NULL,
    since text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_events IS
'Read events.

Events come in the order of event_id. Reading on from the last event_id never misses an event.

- after: only events with a greater event_id; null begins with the first event
- limit: at most this many events, 1 to 1000; null means 100
- organization_id: only events of this organization
- since: without after, begin with the first event that occurred at this time or later, which is
  written as in 2026-12-01T00:00:00Z

Returns an array of events.
Callers: proxy admins, viewers and keys with the permission events for all organizations;
organizations'' admins for theirs, for the time since they were created.';

CREATE FUNCTION event_claim(
    "limit" bigint DEFAULT NULL,
    lease_seconds bigint DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION event_claim IS
'Claim events for delivery.

Gives the oldest undelivered event of each organization, unless another caller holds a lease on it.
Organizations take turns: the one whose last claim is the longest ago comes first. An event that is
not acknowledged can be claimed again after its lease; the wait grows with each attempt, up to an
hour.

- limit: at most this many events, 1 to 1000; null means 100
- lease_seconds: how long nobody else can claim them, 1 to 3600; null means 60

Returns an array of events.
Callers: proxy admins and keys with the permission events.';

CREATE FUNCTION event_acknowledge(
    event_id bigint,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION event_acknowledge IS
'Acknowledge the delivery of an event.

It is not claimed again, and the next event of its organization can be claimed.

- event_id: the event that was delivered

Returns an object with the time of delivery.
Callers: proxy admins and keys with the permission events.';

CREATE FUNCTION org_event_purge(
    before timestamptz,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_event_purge IS
'Delete old events.

Deletes delivered and undelivered events alike.

- before: events from before this time are deleted

Returns an object with the number of events that were deleted.
Callers: the owner of the tables, without an api_key.';

-- Members -------------------------------------------------------------------

CREATE FUNCTION org_member_add(
    organization_id text,
    member json,
    max_budget_in_organization numeric DEFAULT NULL,
    limits json DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_member_add IS
'Add members to an organization.

Unknown people become users; existing members get the new role. If somebody is named twice, the last
role counts. Either all are added or none.

- member: an object with role and user_id or user_email, or an array of up to 1,000 such objects; a
  user_id and a user_email together must belong to the same user
- max_budget_in_organization: the most that each of them may spend in the organization, in US
  dollars; gives each a budget of their own
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)

Returns the memberships and users that were added or changed.
Callers: proxy admins and the organization''s admins.';

CREATE FUNCTION org_member_update(
    organization_id text,
    user_id text DEFAULT NULL,
    user_email text DEFAULT NULL,
    role text DEFAULT NULL,
    max_budget_in_organization numeric DEFAULT NULL,
    limits json DEFAULT NULL,
    clear text[] DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_member_update IS
'Change a member''s role or budget.

An argument that is null leaves its field unchanged. If others share the member''s budget, the member
gets a copy of their own.

- user_id: the member; user_id or user_email is required
- user_email: the member''s e-mail address
- role: the new role: org_admin, internal_user or internal_user_viewer
- max_budget_in_organization: the most that the member may spend in the organization, in US dollars
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)
- clear: names of the fields to reset; only max_budget_in_organization can be

Returns the membership.
Callers: proxy admins and the organization''s admins.';

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

The delete cascades to their memberships in its teams, to their keys there and to the budget that
nobody else uses. The user stays. The last org_admin cannot remove themself.

- user_id: the member; user_id or user_email is required
- user_email: the member''s e-mail address

Returns the membership as it was before. Its token_ids_to_rotate are keys without a user that the
member made there and whose secrets they may have kept.
Callers: proxy admins, the organization''s admins and the member.';

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
    teams json DEFAULT NULL,
    team_id text DEFAULT NULL,
    organizations text[] DEFAULT NULL,
    quotas jsonb DEFAULT NULL,
    aliases jsonb DEFAULT NULL,
    limits json DEFAULT NULL,
    soft_budget numeric DEFAULT NULL,
    max_parallel_requests bigint DEFAULT NULL,
    budget_limits json DEFAULT NULL,
    model_rpm_limit json DEFAULT NULL,
    model_tpm_limit json DEFAULT NULL,
    rpd_limit bigint DEFAULT NULL,
    tpd_limit bigint DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_new IS
'Create a user.

Also makes a key for the user and shows it this once, unless auto_create_key is false.

- user_id: the user''s identifier; null makes one
- auto_create_key: whether to make a key for the user
- key_alias: the alias of that key
- duration: how long that key works, such as 30d; null means without end
- teams: teams that the user joins, an array of their identifiers, or of objects with team_id,
  user_role (admin or user) and max_budget_in_team; the user joins their organizations as well
- team_id: a team that the user joins, and that the key belongs to
- organizations: organizations that the user joins as internal_user
- quotas: how many the user may have, an object: max_keys (keys outside organizations, 10,000 by
  default)
- aliases: names that stand for models in calls with the key
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)
- soft_budget: spend from which on an event tells of it
- max_parallel_requests: requests in progress at the same time
- budget_limits: limits of spend, an array of objects with max_budget and budget_duration
- model_rpm_limit: requests per minute by model, an object such as {"gpt-4o": 60}
- model_tpm_limit: tokens per minute by model, likewise
- rpd_limit: requests per day
- tpd_limit: tokens per day

Returns the user.
Callers: proxy admins.';

CREATE FUNCTION user_update(
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
    metadata jsonb DEFAULT NULL,
    quotas jsonb DEFAULT NULL,
    teams json DEFAULT NULL,
    spend numeric DEFAULT NULL,
    limits json DEFAULT NULL,
    soft_budget numeric DEFAULT NULL,
    max_parallel_requests bigint DEFAULT NULL,
    budget_limits json DEFAULT NULL,
    model_rpm_limit json DEFAULT NULL,
    model_tpm_limit json DEFAULT NULL,
    rpd_limit bigint DEFAULT NULL,
    tpd_limit bigint DEFAULT NULL,
    clear text[] DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_update IS
'Change a user.

An argument that is null leaves its field unchanged. The last proxy admin must stay one. If no user
has the user_id, a user with it is made.

- user_id: the user; user_id or user_email is required
- user_email: with user_id the new e-mail address, without it the user''s address now
- quotas: an object as in user_new that replaces all quotas
- teams: the teams that they are in: they join those that they are not in yet, and leave none. An array
  of team_ids, or of objects with team_id, user_role (admin or user) and max_budget_in_team
- spend: 0 lets the user''s budgets start again from zero
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)
- soft_budget: spend from which on an event tells of it
- max_parallel_requests: requests in progress at the same time
- budget_limits: limits of spend, an array of objects with max_budget and budget_duration
- model_rpm_limit: requests per minute by model, an object such as {"gpt-4o": 60}
- model_tpm_limit: tokens per minute by model, likewise
- rpd_limit: requests per day
- tpd_limit: tokens per day
- clear: names of the fields to reset

Returns an object of the user_id and, as data, the user.
Callers: proxy admins; the user, for user_alias.';

CREATE FUNCTION user_bulk_update(
    users json DEFAULT NULL,
    all_users boolean DEFAULT NULL,
    user_updates json DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_bulk_update IS
'Change many users.

Changes one user after the other as user_update does. If a rule refuses the change of one, the
others are changed all the same. A field that is null is reset.

- users: an array of up to 1,000 objects, each with user_id or user_email and the fields to change;
  users or all_users is required
- all_users: true changes all users, up to 10,000, by user_updates
- user_updates: an object of the fields to change

Returns an object: results has for each user whether it was changed, and the error or the user; and
how many changes were requested, were successful and failed.
Callers: proxy admins.';

CREATE FUNCTION user_reset_spend(
    user_id text,
    reset_to numeric,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_reset_spend IS
'Let the budgets of a user start again.

Their budgets start again from zero. Their spend, the total for all time, does not change.

- reset_to: 0

Returns the user.
Callers: proxy admins.';

CREATE FUNCTION user_info(
    user_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_info IS
'Show a user.

Includes their keys and teams. Organizations'' admins see the user''s name and e-mail address, and the
teams, keys and spend in their organizations.

- user_id: the user; null means the caller

Returns the user.
Callers: the user, proxy admins and viewers; admins of the user''s organizations.';

CREATE FUNCTION user_info_v2(
    user_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_info_v2 IS
'Show a user alone.

Like user_info, without their keys and teams.

- user_id: the user; null means the caller

Returns the user.
Callers: the user, proxy admins and viewers; admins of the user''s organizations.';

CREATE FUNCTION user_filter(
    user_email text DEFAULT NULL,
    user_id text DEFAULT NULL,
    page bigint DEFAULT 1,
    page_size bigint DEFAULT 50,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_filter IS
'Find users to add to a team or organization.

The oldest come first.

- user_email: only users whose e-mail address contains this text, in upper or lower case
- user_id: only users whose identifier contains this text, in upper or lower case
- page: the number of the page, from 1
- page_size: how many users a page has, 1 to 1000

Returns an array of objects with user_id, user_email and user_alias.
Callers: proxy admins and viewers for all users, organizations'' admins for their members, others for
themselves.';

CREATE FUNCTION user_available_roles(
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_available_roles IS
'List the roles that users can have on the platform.

Returns an object that has the description and ui_label of each role.
Callers: everybody who may call the functions.';

CREATE FUNCTION user_list(
    page bigint DEFAULT NULL,
    page_size bigint DEFAULT NULL,
    role text DEFAULT NULL,
    user_role text DEFAULT NULL,
    user_email text DEFAULT NULL,
    user_id text DEFAULT NULL,
    user_ids text[] DEFAULT NULL,
    organization_id text DEFAULT NULL,
    team text DEFAULT NULL,
    team_id text DEFAULT NULL,
    sort_by text DEFAULT NULL,
    sort_order text DEFAULT NULL,
    "limit" bigint DEFAULT NULL,
    after text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_list IS
'List users.

The newest come first, unless sort_by or sort_order says otherwise. With limit or after, the
oldest come first, in pages that neither repeat nor skip a user when others are made or deleted
meanwhile, and are not counted. Organizations'' admins see the users'' names and e-mail addresses, and
the teams and spend in their organizations; for them the user_id stands in for the time of creation.

- page: the number of the page, from 1
- page_size: the number of users on a page, 1 to 1000; 25 by default
- role: only users with this role on the platform
- user_role: the same
- user_email: only users whose e-mail address contains this text, in upper or lower case
- user_id: only this user
- user_ids: only these users
- organization_id: only members of this organization
- team: only members of the team with this team_id
- team_id: the same
- sort_by: created_at, user_id, user_email, user_alias, user_role or spend
- sort_order: asc or desc; asc by default if there is a sort_by
- limit: the page size, 1 to 1000; not with page, page_size, sort_by or sort_order
- after: next of the previous page, or the last user_id; null begins with the first page

Returns an object with users, total, page, page_size, total_pages and next (what after takes for the
next page; null without limit, and on a page that is not full).
Callers: proxy admins and viewers for all users, organizations'' admins for their members, others for
themselves.';

CREATE FUNCTION user_delete(
    user_ids text[],
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION user_delete IS
'Delete users.

Deletes cascade to their memberships, keys and the budgets that nobody else uses. The last proxy
admin cannot be deleted. If one of the users does not exist, none is deleted.

- user_ids: the users to delete

Returns how many users were deleted.
Callers: proxy admins.';

-- Teams ---------------------------------------------------------------------

CREATE FUNCTION team_new(
    organization_id text DEFAULT NULL,
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
    team_member_permissions text[] DEFAULT NULL,
    open boolean DEFAULT NULL,
    tags text[] DEFAULT NULL,
    model_aliases jsonb DEFAULT NULL,
    access_group_ids json DEFAULT NULL,
    admins json DEFAULT NULL,
    enforced_params json DEFAULT NULL,
    guardrails json DEFAULT NULL,
    logging json DEFAULT NULL,
    members json DEFAULT NULL,
    object_permission json DEFAULT NULL,
    policies json DEFAULT NULL,
    prompts json DEFAULT NULL,
    router_settings json DEFAULT NULL,
    rpm_limit_type text DEFAULT NULL,
    team_member_key_duration text DEFAULT NULL,
    tpm_limit_type text DEFAULT NULL,
    limits json DEFAULT NULL,
    soft_budget numeric DEFAULT NULL,
    model_max_budget json DEFAULT NULL,
    budget_limits json DEFAULT NULL,
    model_rpm_limit json DEFAULT NULL,
    model_tpm_limit json DEFAULT NULL,
    rpd_limit bigint DEFAULT NULL,
    tpd_limit bigint DEFAULT NULL,
    team_member_budget numeric DEFAULT NULL,
    team_member_budget_duration text DEFAULT NULL,
    team_member_rpm_limit bigint DEFAULT NULL,
    team_member_tpm_limit bigint DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_new IS
'Create a team.

The caller becomes an admin of the team unless members_with_roles lists them. A proxy admin who is
not a member of the organization is left out.

- organization_id: the organization, whose models and limits bound those of the team; null or empty
  makes a team of the platform, which belongs to no organization
- team_id: its identifier; null makes one
- members_with_roles: its members, an array of objects with role (admin or user) and user_id or
  user_email; unknown people become users, and members of the organization as internal_user
- team_member_permissions: routes by which members who are no admins of the team may see and change
  its keys; null permits /key/info and /key/health
- open: true lets people add themselves to the team
- access_group_ids: a list that an LLM gateway reads, shown in metadata
- enforced_params: a list that an LLM gateway reads, shown in metadata
- guardrails: a list that an LLM gateway reads, shown in metadata
- logging: a list that an LLM gateway reads, shown in metadata
- policies: a list that an LLM gateway reads, shown in metadata
- prompts: a list that an LLM gateway reads, shown in metadata
- admins: a list of texts that is given back as it was set; members_with_roles says who is in the team
- members: a list of texts that is given back as it was set; members_with_roles says who is in the
  team
- router_settings: an object that an LLM gateway reads, shown in metadata
- rpm_limit_type: a word that an LLM gateway reads, shown in metadata
- team_member_key_duration: a word that an LLM gateway reads, shown in metadata
- tpm_limit_type: a word that an LLM gateway reads, shown in metadata
- object_permission: an object that an LLM gateway reads
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)
- soft_budget: spend from which on an event tells of it
- model_max_budget: limits of spend by model, an object such as {"gpt-4o": 5}
- budget_limits: limits of spend, an array of objects with max_budget and budget_duration
- model_rpm_limit: requests per minute by model, an object such as {"gpt-4o": 60}
- model_tpm_limit: tokens per minute by model, likewise
- rpd_limit: requests per day
- tpd_limit: tokens per day
- team_member_budget: the most that each member may spend in the team, unless they have a budget of
  their own there
- team_member_budget_duration: the period of that, such as 30d
- team_member_rpm_limit: requests per minute of each member
- team_member_tpm_limit: tokens per minute of each member

Returns the team.
Callers: proxy admins; the organization''s admins for its teams.';

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
    team_member_permissions text[] DEFAULT NULL,
    open boolean DEFAULT NULL,
    tags text[] DEFAULT NULL,
    model_aliases jsonb DEFAULT NULL,
    spend numeric DEFAULT NULL,
    access_group_ids json DEFAULT NULL,
    admins json DEFAULT NULL,
    enforced_params json DEFAULT NULL,
    guardrails json DEFAULT NULL,
    logging json DEFAULT NULL,
    members json DEFAULT NULL,
    object_permission json DEFAULT NULL,
    policies json DEFAULT NULL,
    prompts json DEFAULT NULL,
    router_settings json DEFAULT NULL,
    rpm_limit_type text DEFAULT NULL,
    team_member_key_duration text DEFAULT NULL,
    tpm_limit_type text DEFAULT NULL,
    limits json DEFAULT NULL,
    soft_budget numeric DEFAULT NULL,
    model_max_budget json DEFAULT NULL,
    budget_limits json DEFAULT NULL,
    model_rpm_limit json DEFAULT NULL,
    model_tpm_limit json DEFAULT NULL,
    rpd_limit bigint DEFAULT NULL,
    tpd_limit bigint DEFAULT NULL,
    team_member_budget numeric DEFAULT NULL,
    team_member_budget_duration text DEFAULT NULL,
    team_member_rpm_limit bigint DEFAULT NULL,
    team_member_tpm_limit bigint DEFAULT NULL,
    clear text[] DEFAULT NULL,
    cascade boolean DEFAULT NULL,
    if_match text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_update IS
'Change or move a team.

An argument that is null leaves its field unchanged. Its models and limits must be within those of
the organization. Models that its keys still list cannot be removed, and the error names the keys.

- organization_id: where a proxy admin moves the team, with its members and keys; empty moves it to
  the platform. What was spent stays on record in the organization where it was spent
- team_member_permissions: routes by which members who are no admins of the team may see and change
  its keys
- open: true lets people add themselves to the team
- access_group_ids: a list that an LLM gateway reads, shown in metadata
- enforced_params: a list that an LLM gateway reads, shown in metadata
- guardrails: a list that an LLM gateway reads, shown in metadata
- logging: a list that an LLM gateway reads, shown in metadata
- policies: a list that an LLM gateway reads, shown in metadata
- prompts: a list that an LLM gateway reads, shown in metadata
- admins: a list of texts that is given back as it was set; members_with_roles says who is in the team
- members: a list of texts that is given back as it was set; members_with_roles says who is in the
  team
- router_settings: an object that an LLM gateway reads, shown in metadata
- rpm_limit_type: a word that an LLM gateway reads, shown in metadata
- team_member_key_duration: a word that an LLM gateway reads, shown in metadata
- tpm_limit_type: a word that an LLM gateway reads, shown in metadata
- object_permission: an object that an LLM gateway reads
- spend: 0 lets its budget start again from zero
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)
- soft_budget: spend from which on an event tells of it
- model_max_budget: limits of spend by model, an object such as {"gpt-4o": 5}
- budget_limits: limits of spend, an array of objects with max_budget and budget_duration
- model_rpm_limit: requests per minute by model, an object such as {"gpt-4o": 60}
- model_tpm_limit: tokens per minute by model, likewise
- rpd_limit: requests per day
- tpd_limit: tokens per day
- team_member_budget: the most that each member may spend in the team, unless they have a budget of
  their own there
- team_member_budget_duration: the period of that, such as 30d
- team_member_rpm_limit: requests per minute of each member
- team_member_tpm_limit: tokens per minute of each member
- clear: names of the fields to reset
- cascade: true removes the models from those keys too, instead of refusing
- if_match: an entity tag; the change is refused unless it is the current one

Returns an object with team_id and the team as data.
Callers: proxy admins and the organization''s admins; the team''s admins for team_alias, metadata and
team_member_permissions.';

CREATE FUNCTION team_reset_spend(
    team_id text,
    reset_to numeric,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_reset_spend IS
'Let the budget of a team start again.

Its budget starts again from zero. Its spend, the total for all time, does not change.

- reset_to: 0

Returns the team.
Callers: proxy admins and the organization''s admins.';

CREATE FUNCTION team_permissions_list(
    team_id text,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_permissions_list IS
'List what a team permits its members.

Returns an object with team_member_permissions and all_available_permissions.
Callers: its members, the organization''s admins, proxy admins and viewers.';

CREATE FUNCTION team_permissions_update(
    team_id text,
    team_member_permissions text[],
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_permissions_update IS
'Change what a team permits its members.

- team_member_permissions: routes by which members who are no admins of the team may see and change
  its keys

Returns the team.
Callers: proxy admins, the organization''s admins and the team''s admins.';

CREATE FUNCTION team_available(
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_available IS
'List the teams that the caller may join.

These are open teams of the platform and of the caller''s organizations that the caller is not in yet.
Join one with team_member_add, as a member with the role user.

Returns an array of teams.
Callers: everybody.';

CREATE FUNCTION team_info(
    team_id text,
    organization_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_info IS
'Show a team.

Includes its members and keys.

Returns the team.
Callers: its members, the organization''s admins, proxy admins and viewers.';

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

The oldest come first.

- organization_id: only teams of this organization
- user_id: only teams that this user is in
- team_alias: only teams whose alias contains this text, in upper or lower case
- limit: the page size, 1 to 1000; null returns everything
- after: the last team_id of the previous page or, which works even if that was deleted,
  its created_at, a slash and its team_id; null begins with the first page

Returns an array of teams, each with its keys (of teams that the caller does not administer, only
the caller''s own) and its members'' budgets.
Callers: proxy admins and viewers for all teams, organizations'' admins for theirs, others for those
they are in.';

CREATE FUNCTION team_list_v2(
    page bigint DEFAULT NULL,
    page_size bigint DEFAULT NULL,
    team_id text DEFAULT NULL,
    team_alias text DEFAULT NULL,
    organization_id text DEFAULT NULL,
    user_id text DEFAULT NULL,
    sort_by text DEFAULT NULL,
    sort_order text DEFAULT NULL,
    "limit" bigint DEFAULT NULL,
    after text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_list_v2 IS
'List teams in numbered pages.

The newest come first, unless sort_by or sort_order says otherwise. With limit or after, the
oldest come first, in pages that neither repeat nor skip a team when others are made or deleted
meanwhile, and are not counted.

- page: the number of the page, from 1
- page_size: the number of teams on a page, 1 to 1000; 10 by default
- team_id: only this team
- team_alias: only teams whose alias contains this text, in upper or lower case
- organization_id: only teams of this organization
- user_id: only teams that this user is in
- sort_by: created_at, updated_at, team_id, team_alias, spend or max_budget
- sort_order: asc or desc; asc by default if there is a sort_by
- limit: the page size, 1 to 1000; not with page, page_size, sort_by or sort_order
- after: next of the previous page, or the last team_id; null begins with the first page

Returns an object with teams as in team_list, total, page, page_size, total_pages and next (what
after takes for the next page; null without limit, and on a page that is not full).
Callers: proxy admins and viewers for all teams, organizations'' admins for theirs, others for those
they are in.';

CREATE FUNCTION team_delete(
    team_ids text[],
    organization_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_delete IS
'Delete teams.

Deletes cascade to their keys and to the members'' budgets that nobody else uses. If one of the teams
does not exist, none is deleted.

- team_ids: the teams to delete

Returns the teams as they were before.
Callers: proxy admins, the organization''s admins and, of a team of the platform, the team''s admins.';

CREATE FUNCTION team_block(
    team_id text,
    organization_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_block IS
'Block a team.

From the next request on its keys are refused, except those of proxy admins.

Returns the team.
Callers: proxy admins and the organization''s admins.';

CREATE FUNCTION team_unblock(
    team_id text,
    organization_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_unblock IS
'Unblock a team.

From the next request on its keys are accepted again.

Returns the team.
Callers: proxy admins and the organization''s admins.';

CREATE FUNCTION team_member_add(
    team_id text,
    member json,
    max_budget_in_team numeric DEFAULT NULL,
    budget_duration text DEFAULT NULL,
    tpm_limit bigint DEFAULT NULL,
    rpm_limit bigint DEFAULT NULL,
    organization_id text DEFAULT NULL,
    limits json DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_member_add IS
'Add members to a team.

Existing members of the team get the new role. Unknown people become users. In an organization''s team
they become members of the organization, as internal_user, if the caller may add members there. Either
all are added or none.

- member: an object with role (admin or user) and user_id or user_email, or an array of such objects
- max_budget_in_team: the most that each of them may spend in the team, in US dollars; this and the
  next three give each a budget of their own
- budget_duration: the period of that budget, such as 30d
- tpm_limit: the most tokens a minute of each of them in the team
- rpm_limit: the most requests a minute of each of them in the team
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)

Returns the team with updated_users and updated_team_memberships.
Callers: proxy admins, the organization''s admins and the team''s admins; everybody who may join an
open team, for themself.';

CREATE FUNCTION team_bulk_member_add(
    team_id text,
    members json DEFAULT NULL,
    all_users boolean DEFAULT NULL,
    max_budget_in_team numeric DEFAULT NULL,
    budget_duration text DEFAULT NULL,
    tpm_limit bigint DEFAULT NULL,
    rpm_limit bigint DEFAULT NULL,
    organization_id text DEFAULT NULL,
    limits json DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_bulk_member_add IS
'Add many members to a team.

Works like team_member_add. Either all are added or none.

- members: an array of objects with role (admin or user) and user_id or user_email
- all_users: true adds everybody who may be in the team, as user: all members of its organization, or
  all users to a team of the platform
- max_budget_in_team: the most that each of them may spend in the team, in US dollars; this and the
  next three give each a budget of their own
- budget_duration: the period of that budget, such as 30d
- tpm_limit: the most tokens a minute of each of them in the team
- rpm_limit: the most requests a minute of each of them in the team
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)

Returns an object with the numbers of members, their memberships and the team.
Callers: proxy admins and the organization''s admins; the team''s admins unless all_users is true.';

CREATE FUNCTION team_member_update(
    team_id text,
    user_id text DEFAULT NULL,
    user_email text DEFAULT NULL,
    role text DEFAULT NULL,
    max_budget_in_team numeric DEFAULT NULL,
    budget_duration text DEFAULT NULL,
    tpm_limit bigint DEFAULT NULL,
    rpm_limit bigint DEFAULT NULL,
    limits json DEFAULT NULL,
    clear text[] DEFAULT NULL,
    organization_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION team_member_update IS
'Change a team member''s role or budget.

An argument that is null leaves its field unchanged.

- user_id: the member; user_id or user_email is required
- user_email: the member''s e-mail address
- role: the new role: admin or user
- max_budget_in_team: the most that the member may spend in the team, in US dollars
- budget_duration: the period of that budget, such as 30d
- tpm_limit: the most tokens a minute of the member in the team
- rpm_limit: the most requests a minute of the member in the team
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)
- clear: names of the fields to reset: max_budget_in_team, budget_duration, tpm_limit and rpm_limit

Returns the membership in the team.
Callers: proxy admins, the organization''s admins and the team''s admins.';

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

The delete cascades to the keys they hold there and to the budget that nobody else uses.

- user_id: the member; user_id or user_email is required
- user_email: the member''s e-mail address

Returns the team.
Callers: proxy admins, the organization''s admins and the team''s admins.';

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
    blocked boolean DEFAULT NULL,
    budget_id text DEFAULT NULL,
    allowed_routes text[] DEFAULT NULL,
    tags text[] DEFAULT NULL,
    aliases jsonb DEFAULT NULL,
    access_group_ids json DEFAULT NULL,
    allowed_cache_controls json DEFAULT NULL,
    config json DEFAULT NULL,
    enforced_params json DEFAULT NULL,
    guardrails json DEFAULT NULL,
    key_type text DEFAULT NULL,
    logging json DEFAULT NULL,
    object_permission json DEFAULT NULL,
    policies json DEFAULT NULL,
    prompts json DEFAULT NULL,
    router_settings json DEFAULT NULL,
    rpm_limit_type text DEFAULT NULL,
    tpm_limit_type text DEFAULT NULL,
    limits json DEFAULT NULL,
    soft_budget numeric DEFAULT NULL,
    budget_limits json DEFAULT NULL,
    model_rpm_limit json DEFAULT NULL,
    model_tpm_limit json DEFAULT NULL,
    rpd_limit bigint DEFAULT NULL,
    tpd_limit bigint DEFAULT NULL,
    temp_budget_increase numeric DEFAULT NULL,
    temp_budget_expiry text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_generate IS
'Make a key.

Shows the secret this once, because only its digest is kept. The models of a key must be among those
of its team and organization; the models and limits of a personal key must be within those of its
user. An alias belongs to one key of an organization.

- user_id: the user who owns the key. Null means no user if an admin calls, and otherwise the caller.
  An unknown user is created if a proxy admin calls
- duration: how long it works, such as 30d; null or -1 means without end
- permissions: additional rights, an object such as {"usage": true}; only proxy admins give
  permissions
- key: the secret, chosen by a proxy admin; null makes one
- budget_id: a budget that limits the key, in place of a max_budget of its own; only proxy admins give
  one
- allowed_routes: paths, in which * stands for anything, or llm_api_routes, management_routes or
  info_routes; with others the key is refused
- tags: labels that calls with the key get
- aliases: names that stand for models in calls with the key
- access_group_ids: a list that an LLM gateway reads, shown in metadata
- enforced_params: a list that an LLM gateway reads, shown in metadata
- guardrails: a list that an LLM gateway reads, shown in metadata
- logging: a list that an LLM gateway reads, shown in metadata
- policies: a list that an LLM gateway reads, shown in metadata
- prompts: a list that an LLM gateway reads, shown in metadata
- router_settings: an object that an LLM gateway reads, shown in metadata
- key_type: a word that an LLM gateway reads, shown in metadata
- rpm_limit_type: a word that an LLM gateway reads, shown in metadata
- tpm_limit_type: a word that an LLM gateway reads, shown in metadata
- allowed_cache_controls: a list that an LLM gateway reads
- config: an object that an LLM gateway reads
- object_permission: an object that an LLM gateway reads
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)
- soft_budget: spend from which on an event tells of it
- budget_limits: limits of spend, an array of objects with max_budget and budget_duration
- model_rpm_limit: requests per minute by model, an object such as {"gpt-4o": 60}
- model_tpm_limit: tokens per minute by model, likewise
- rpd_limit: requests per day
- tpd_limit: tokens per day
- temp_budget_increase: an amount that raises max_budget until temp_budget_expiry
- temp_budget_expiry: a time such as 2026-12-01T00:00:00Z

Returns the key.
Callers: proxy admins for everybody, organizations'' admins inside the organization, teams'' admins
for the members of the team, members for themselves as their team permits it, internal users for
themselves outside organizations.';

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
    blocked boolean DEFAULT NULL,
    budget_id text DEFAULT NULL,
    allowed_routes text[] DEFAULT NULL,
    tags text[] DEFAULT NULL,
    aliases jsonb DEFAULT NULL,
    organization_id text DEFAULT NULL,
    team_id text DEFAULT NULL,
    user_id text DEFAULT NULL,
    spend numeric DEFAULT NULL,
    access_group_ids json DEFAULT NULL,
    allowed_cache_controls json DEFAULT NULL,
    config json DEFAULT NULL,
    enforced_params json DEFAULT NULL,
    guardrails json DEFAULT NULL,
    key_type text DEFAULT NULL,
    logging json DEFAULT NULL,
    object_permission json DEFAULT NULL,
    policies json DEFAULT NULL,
    prompts json DEFAULT NULL,
    router_settings json DEFAULT NULL,
    rpm_limit_type text DEFAULT NULL,
    tpm_limit_type text DEFAULT NULL,
    limits json DEFAULT NULL,
    soft_budget numeric DEFAULT NULL,
    budget_limits json DEFAULT NULL,
    model_rpm_limit json DEFAULT NULL,
    model_tpm_limit json DEFAULT NULL,
    rpd_limit bigint DEFAULT NULL,
    tpd_limit bigint DEFAULT NULL,
    temp_budget_increase numeric DEFAULT NULL,
    temp_budget_expiry text DEFAULT NULL,
    clear text[] DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_update IS
'Change a key.

An argument that is null leaves its field unchanged. Its models must be among those of its team and
organization.

organization_id, team_id and user_id move the key to another owner. The caller must be allowed to
change the key, and to create a key for the new owner. Past spend stays with the organization in
which it happened.

- key: the key itself or its token_id
- duration: how long it works from now on, such as 30d; -1 means without end
- permissions: additional rights, an object such as {"usage": true}; only proxy admins give
  permissions
- budget_id: a budget that limits the key, in place of a max_budget of its own; only proxy admins give
  one
- allowed_routes: paths, in which * stands for anything, or llm_api_routes, management_routes or
  info_routes; an empty list allows all
- tags: labels that calls with the key get
- aliases: names that stand for models in calls with the key
- team_id: the team it moves to, and with it to the team''s organization
- organization_id: the organization it moves to, there outside teams
- user_id: the user who gets the key
- spend: 0 lets its budgets start again from zero
- access_group_ids: a list that an LLM gateway reads, shown in metadata
- enforced_params: a list that an LLM gateway reads, shown in metadata
- guardrails: a list that an LLM gateway reads, shown in metadata
- logging: a list that an LLM gateway reads, shown in metadata
- policies: a list that an LLM gateway reads, shown in metadata
- prompts: a list that an LLM gateway reads, shown in metadata
- router_settings: an object that an LLM gateway reads, shown in metadata
- key_type: a word that an LLM gateway reads, shown in metadata
- rpm_limit_type: a word that an LLM gateway reads, shown in metadata
- tpm_limit_type: a word that an LLM gateway reads, shown in metadata
- allowed_cache_controls: a list that an LLM gateway reads
- config: an object that an LLM gateway reads
- object_permission: an object that an LLM gateway reads
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)
- soft_budget: spend from which on an event tells of it
- budget_limits: limits of spend, an array of objects with max_budget and budget_duration
- model_rpm_limit: requests per minute by model, an object such as {"gpt-4o": 60}
- model_tpm_limit: tokens per minute by model, likewise
- rpd_limit: requests per day
- tpd_limit: tokens per day
- temp_budget_increase: an amount that raises max_budget until temp_budget_expiry
- temp_budget_expiry: a time such as 2026-12-01T00:00:00Z
- clear: names of the fields to reset; without its duration a key never expires

Returns the key, and in key what it was asked for by.
Callers: proxy admins, the organization''s admins, the team''s admins, and members of the team whom it
permits that; its user, for key_alias and metadata.';

CREATE FUNCTION key_info(
    key text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_info IS
'Show a key.

- key: the key itself or its token_id; null means the caller''s own

Returns the key, without its secret.
Callers: the key itself, its user, the organization''s admins, the team''s admins, members of the team
whom it permits that, proxy admins and viewers.';

CREATE FUNCTION key_info_many(
    keys text[],
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_info_many IS
'Show keys.

- keys: the keys themselves or their token_ids

Returns keys as they were asked for in key, and those that the caller may see in info.
Callers: as in key_info.';

CREATE FUNCTION key_health(
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_health IS
'Check the caller''s own key.

A key that does not work is refused as in every other call.

Returns healthy in key.
Callers: everybody.';

CREATE FUNCTION key_list(
    page bigint DEFAULT NULL,
    size bigint DEFAULT NULL,
    organization_id text DEFAULT NULL,
    team_id text DEFAULT NULL,
    user_id text DEFAULT NULL,
    key_alias text DEFAULT NULL,
    key_hash text DEFAULT NULL,
    include_team_keys boolean DEFAULT NULL,
    include_created_by_keys boolean DEFAULT NULL,
    return_full_object boolean DEFAULT NULL,
    expand text[] DEFAULT NULL,
    sort_by text DEFAULT NULL,
    sort_order text DEFAULT NULL,
    "limit" bigint DEFAULT NULL,
    after text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_list IS
'List keys.

The newest come first, unless sort_by or sort_order says otherwise. With limit or after, the
oldest come first, in pages that neither repeat nor skip a key when others are made or deleted
meanwhile, and are not counted.

- page: the number of the page, from 1
- size: the number of keys on a page, 1 to 1000; 10 by default
- organization_id: only keys of this organization
- team_id: only keys of this team
- user_id: only keys of this user
- key_alias: only keys with this alias
- key_hash: only the key with this token_id
- include_team_keys: true for also the keys of teams that the caller is an admin of or that permit
  their members to list them; with a team_id, that is so in any case
- include_created_by_keys: true for also the keys that the user with this user_id made
- return_full_object: true for whole keys; otherwise the list is of their token_ids
- expand: user, for whole keys, each with its user''s user_id, user_email and user_alias
- sort_by: created_at, updated_at, spend, max_budget, key_alias or token
- sort_order: asc or desc; desc by default
- limit: the page size, 1 to 1000; not with page, size, sort_by or sort_order
- after: next of the previous page, or the last token_id; null begins with the first page

Returns an object with keys (without their secrets), total_count, current_page, total_pages and next
(what after takes for the next page; null without limit, and on a page that is not full).
Callers: proxy admins and viewers for all keys, organizations'' admins for theirs, others for their
own.';

CREATE FUNCTION key_aliases(
    page bigint DEFAULT NULL,
    size bigint DEFAULT NULL,
    search text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_aliases IS
'List the aliases of keys.

In the order of the alphabet, once for each key that has one.

- page: the number of the page, from 1
- size: the number of aliases on a page, 1 to 1000; 50 by default
- search: only aliases that contain this text, in upper or lower case

Returns an object with aliases, total_count, current_page and total_pages.
Callers: proxy admins and viewers for all keys, organizations'' admins for theirs, others for their
own.';

CREATE FUNCTION key_delete(
    keys text[] DEFAULT NULL,
    key_aliases text[] DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_delete IS
'Delete keys.

From the next request on they are refused. If one of them does not exist, none is deleted.

- keys: the keys themselves or their token_ids; keys or key_aliases is required
- key_aliases: aliases of keys; each must belong to exactly one key that the caller may delete

Returns in deleted_keys what they were asked for by.
Callers: proxy admins, the organization''s admins, their users, the team''s admins, and members of the
team whom it permits that.';

CREATE FUNCTION key_regenerate(
    key text,
    grace_period text DEFAULT NULL,
    new_key text DEFAULT NULL,
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
    blocked boolean DEFAULT NULL,
    budget_id text DEFAULT NULL,
    allowed_routes text[] DEFAULT NULL,
    tags text[] DEFAULT NULL,
    aliases jsonb DEFAULT NULL,
    organization_id text DEFAULT NULL,
    team_id text DEFAULT NULL,
    user_id text DEFAULT NULL,
    spend numeric DEFAULT NULL,
    access_group_ids json DEFAULT NULL,
    allowed_cache_controls json DEFAULT NULL,
    config json DEFAULT NULL,
    enforced_params json DEFAULT NULL,
    guardrails json DEFAULT NULL,
    key_type text DEFAULT NULL,
    logging json DEFAULT NULL,
    object_permission json DEFAULT NULL,
    policies json DEFAULT NULL,
    prompts json DEFAULT NULL,
    router_settings json DEFAULT NULL,
    rpm_limit_type text DEFAULT NULL,
    tpm_limit_type text DEFAULT NULL,
    limits json DEFAULT NULL,
    soft_budget numeric DEFAULT NULL,
    budget_limits json DEFAULT NULL,
    model_rpm_limit json DEFAULT NULL,
    model_tpm_limit json DEFAULT NULL,
    rpd_limit bigint DEFAULT NULL,
    tpd_limit bigint DEFAULT NULL,
    temp_budget_increase numeric DEFAULT NULL,
    temp_budget_expiry text DEFAULT NULL,
    clear text[] DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_regenerate IS
'Replace a key''s secret.

Shows the new secret this once. Everything else about the key stays, unless it is changed by the same
arguments as in key_update, for callers who may change it there.

- key: the key itself or its token_id
- grace_period: how long the old secret still works, such as 1h, for calls of models and for reading
  only; null means not at all
- new_key: the new secret, chosen by a proxy admin; null makes one
- duration: how long it works from now on, such as 30d; -1 means without end
- permissions: additional rights, an object such as {"usage": true}; only proxy admins give
  permissions
- team_id: the team it moves to, and with it to the team''s organization
- organization_id: the organization it moves to, there outside teams
- user_id: the user who gets the key
- spend: 0 lets its budgets start again from zero
- access_group_ids: a list that an LLM gateway reads, shown in metadata
- enforced_params: a list that an LLM gateway reads, shown in metadata
- guardrails: a list that an LLM gateway reads, shown in metadata
- logging: a list that an LLM gateway reads, shown in metadata
- policies: a list that an LLM gateway reads, shown in metadata
- prompts: a list that an LLM gateway reads, shown in metadata
- router_settings: an object that an LLM gateway reads, shown in metadata
- key_type: a word that an LLM gateway reads, shown in metadata
- rpm_limit_type: a word that an LLM gateway reads, shown in metadata
- tpm_limit_type: a word that an LLM gateway reads, shown in metadata
- allowed_cache_controls: a list that an LLM gateway reads
- config: an object that an LLM gateway reads
- object_permission: an object that an LLM gateway reads
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)
- soft_budget: spend from which on an event tells of it
- budget_limits: limits of spend, an array of objects with max_budget and budget_duration
- model_rpm_limit: requests per minute by model, an object such as {"gpt-4o": 60}
- model_tpm_limit: tokens per minute by model, likewise
- rpd_limit: requests per day
- tpd_limit: tokens per day
- temp_budget_increase: an amount that raises max_budget until temp_budget_expiry
- temp_budget_expiry: a time such as 2026-12-01T00:00:00Z
- clear: names of the fields to reset

Returns the key.
Callers: proxy admins, its user and, if it has no permissions, the organization''s admins, the team''s
admins, and members of the team whom it permits that.';

CREATE FUNCTION key_reset_spend(
    key text,
    reset_to numeric,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_reset_spend IS
'Let the budgets of a key start again.

Its budgets start again from zero. Its spend, the total for all time, does not change.

- key: the key itself or its token_id
- reset_to: 0

Returns the key, and in key what it was asked for by.
Callers: those who may change limits with key_update.';

CREATE FUNCTION sso_key(
    sso_user_id text,
    verified_email text DEFAULT NULL,
    duration text DEFAULT '8h',
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION sso_key IS
'Make a key for a user who signs in.

Call it after the single sign-on provider has identified the user: it takes your word for that. The
key is personal, has the rights of the user and ends. Keys made so that have expired are deleted.

- sso_user_id: identifier of the user at the provider, such as the sub of an id token
- verified_email: an e-mail address of the user that the provider has verified. If nobody has the
  identifier yet, the user with this address and without an identifier gets it
- duration: how long the key works, such as 8h

Returns the new key with its secret, as key_generate does.
Callers: proxy admins.';

CREATE FUNCTION key_service_account_generate(
    team_id text,
    organization_id text DEFAULT NULL,
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
    blocked boolean DEFAULT NULL,
    budget_id text DEFAULT NULL,
    allowed_routes text[] DEFAULT NULL,
    tags text[] DEFAULT NULL,
    aliases jsonb DEFAULT NULL,
    access_group_ids json DEFAULT NULL,
    allowed_cache_controls json DEFAULT NULL,
    config json DEFAULT NULL,
    enforced_params json DEFAULT NULL,
    guardrails json DEFAULT NULL,
    key_type text DEFAULT NULL,
    logging json DEFAULT NULL,
    object_permission json DEFAULT NULL,
    policies json DEFAULT NULL,
    prompts json DEFAULT NULL,
    router_settings json DEFAULT NULL,
    rpm_limit_type text DEFAULT NULL,
    tpm_limit_type text DEFAULT NULL,
    limits json DEFAULT NULL,
    soft_budget numeric DEFAULT NULL,
    budget_limits json DEFAULT NULL,
    model_rpm_limit json DEFAULT NULL,
    model_tpm_limit json DEFAULT NULL,
    rpd_limit bigint DEFAULT NULL,
    tpd_limit bigint DEFAULT NULL,
    temp_budget_increase numeric DEFAULT NULL,
    temp_budget_expiry text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_service_account_generate IS
'Make a key of a team that belongs to no user.

The arguments are those of key_generate.

- team_id: the team
- duration: how long it works, such as 30d; null or -1 means without end
- key: the secret, chosen by a proxy admin; null makes one
- access_group_ids: a list that an LLM gateway reads, shown in metadata
- enforced_params: a list that an LLM gateway reads, shown in metadata
- guardrails: a list that an LLM gateway reads, shown in metadata
- logging: a list that an LLM gateway reads, shown in metadata
- policies: a list that an LLM gateway reads, shown in metadata
- prompts: a list that an LLM gateway reads, shown in metadata
- router_settings: an object that an LLM gateway reads, shown in metadata
- key_type: a word that an LLM gateway reads, shown in metadata
- rpm_limit_type: a word that an LLM gateway reads, shown in metadata
- tpm_limit_type: a word that an LLM gateway reads, shown in metadata
- allowed_cache_controls: a list that an LLM gateway reads
- config: an object that an LLM gateway reads
- object_permission: an object that an LLM gateway reads
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)
- soft_budget: spend from which on an event tells of it
- budget_limits: limits of spend, an array of objects with max_budget and budget_duration
- model_rpm_limit: requests per minute by model, an object such as {"gpt-4o": 60}
- model_tpm_limit: tokens per minute by model, likewise
- rpd_limit: requests per day
- tpd_limit: tokens per day
- temp_budget_increase: an amount that raises max_budget until temp_budget_expiry
- temp_budget_expiry: a time such as 2026-12-01T00:00:00Z

Returns the key, with its secret this once.
Callers: proxy admins, the organization''s admins, the team''s admins, and members of the team whom it
permits that.';

CREATE FUNCTION key_bulk_update(
    keys json,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_bulk_update IS
'Change many keys, each by itself.

A refused change does not affect the others.

- keys: an array of objects with key and any of budget_id, max_budget, tags and team_id, as in
  key_update; null clears a budget_id or max_budget

Returns the changed keys in successful_updates, and in failed_updates the reasons of the others.
Callers: as in key_update.';

CREATE FUNCTION key_block(
    key text,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_block IS
'Block a key.

From the next request on it is refused.

- key: the key itself or its token_id

Returns the key, without its secret.
Callers: proxy admins, the organization''s admins, the team''s admins, and members of the team whom it
permits that.';

CREATE FUNCTION key_unblock(
    key text,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION key_unblock IS
'Unblock a key.

From the next request on it is accepted again.

- key: the key itself or its token_id

Returns the key, without its secret.
Callers: proxy admins, the organization''s admins, the team''s admins, and members of the team whom it
permits that.';

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
    limits json DEFAULT NULL,
    budget_limits json DEFAULT NULL,
    model_rpm_limit json DEFAULT NULL,
    model_tpm_limit json DEFAULT NULL,
    rpd_limit bigint DEFAULT NULL,
    tpd_limit bigint DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION budget_new IS
'Create a budget.

Organizations use it by its budget_id.

- budget_id: its identifier; null makes one
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)
- budget_limits: limits of spend, an array of objects with max_budget and budget_duration
- model_rpm_limit: requests per minute by model, an object such as {"gpt-4o": 60}
- model_tpm_limit: tokens per minute by model, likewise
- rpd_limit: requests per day
- tpd_limit: tokens per day

Returns the budget.
Callers: proxy admins.';

CREATE FUNCTION budget_update(
    budget_id text,
    max_budget numeric DEFAULT NULL,
    soft_budget numeric DEFAULT NULL,
    tpm_limit bigint DEFAULT NULL,
    rpm_limit bigint DEFAULT NULL,
    max_parallel_requests bigint DEFAULT NULL,
    model_max_budget jsonb DEFAULT NULL,
    budget_duration text DEFAULT NULL,
    limits json DEFAULT NULL,
    budget_limits json DEFAULT NULL,
    model_rpm_limit json DEFAULT NULL,
    model_tpm_limit json DEFAULT NULL,
    rpd_limit bigint DEFAULT NULL,
    tpd_limit bigint DEFAULT NULL,
    clear text[] DEFAULT NULL,
    cascade boolean DEFAULT NULL,
    if_match text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION budget_update IS
'Change a budget.

Changes it for everybody who uses it. An argument that is null leaves its field unchanged. Limits
that the teams of an organization exceed are refused, and the error names them.

- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)
- budget_limits: limits of spend, an array of objects with max_budget and budget_duration
- model_rpm_limit: requests per minute by model, an object such as {"gpt-4o": 60}
- model_tpm_limit: tokens per minute by model, likewise
- rpd_limit: requests per day
- tpd_limit: tokens per day
- clear: names of the fields to reset
- cascade: true lowers the limits of those teams too, instead of refusing
- if_match: an entity tag; the change is refused unless it is the current one

Returns the budget.
Callers: proxy admins.';

CREATE FUNCTION budget_info(
    budgets text[],
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION budget_info IS
'Show budgets.

Budgets that do not exist are left out.

- budgets: their identifiers

Returns an array of budgets, in the order asked for, each once.
Callers: proxy admins and viewers.';

CREATE FUNCTION budget_list(
    "limit" bigint DEFAULT NULL,
    after text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION budget_list IS
'List budgets.

The oldest come first.

- limit: the page size, 1 to 1000; null returns everything
- after: the last budget_id of the previous page or, which works even if that was deleted,
  its created_at, a slash and its budget_id; null begins with the first page

Returns an array of budgets.
Callers: proxy admins and viewers.';

CREATE FUNCTION budget_delete(
    id text,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION budget_delete IS
'Delete a budget.

A budget that is in use is refused, and the error names its owners.

- id: its budget_id

Returns the budget as it was before.
Callers: proxy admins.';

-- End users -----------------------------------------------------------------

CREATE FUNCTION customer_new(
    user_id text,
    alias text DEFAULT NULL,
    blocked boolean DEFAULT NULL,
    max_budget numeric DEFAULT NULL,
    soft_budget numeric DEFAULT NULL,
    tpm_limit bigint DEFAULT NULL,
    rpm_limit bigint DEFAULT NULL,
    max_parallel_requests bigint DEFAULT NULL,
    model_max_budget jsonb DEFAULT NULL,
    budget_duration text DEFAULT NULL,
    budget_id text DEFAULT NULL,
    metadata jsonb DEFAULT NULL,
    organization_id text DEFAULT NULL,
    allowed_model_region text DEFAULT NULL,
    default_model text DEFAULT NULL,
    object_permission json DEFAULT NULL,
    limits json DEFAULT NULL,
    budget_limits json DEFAULT NULL,
    model_rpm_limit json DEFAULT NULL,
    model_tpm_limit json DEFAULT NULL,
    rpd_limit bigint DEFAULT NULL,
    tpd_limit bigint DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION customer_new IS
'Create an end user.

End users are the customers of those who call models. They have no keys: a call names the end user
whom it is for. Limits of an end user of an organization are for that organization''s calls, those
of an end user of the platform for all calls. The budget fields make a budget for them. With
budget_id they use an existing budget instead, and budget fields are refused.

- user_id: identifier of the end user, as calls name it; must be unused in the organization, or on
  the platform
- alias: a name for people
- blocked: true refuses their calls
- budget_id: an existing budget to use; only proxy admins may give one
- organization_id: the organization that they belong to; null means that of the caller''s key, or the
  platform if the key has none
- allowed_model_region: kept for the LLM gateway
- default_model: kept for the LLM gateway
- object_permission: kept for the LLM gateway
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)
- budget_limits: limits of spend, an array of objects with max_budget and budget_duration
- model_rpm_limit: requests per minute by model, an object such as {"gpt-4o": 60}
- model_tpm_limit: tokens per minute by model, likewise
- rpd_limit: requests per day
- tpd_limit: tokens per day

Returns the end user.
Callers: proxy admins; for end users of an organization, its admins.';

CREATE FUNCTION customer_update(
    user_id text,
    alias text DEFAULT NULL,
    blocked boolean DEFAULT NULL,
    max_budget numeric DEFAULT NULL,
    soft_budget numeric DEFAULT NULL,
    tpm_limit bigint DEFAULT NULL,
    rpm_limit bigint DEFAULT NULL,
    max_parallel_requests bigint DEFAULT NULL,
    model_max_budget jsonb DEFAULT NULL,
    budget_duration text DEFAULT NULL,
    budget_id text DEFAULT NULL,
    metadata jsonb DEFAULT NULL,
    organization_id text DEFAULT NULL,
    allowed_model_region text DEFAULT NULL,
    default_model text DEFAULT NULL,
    object_permission json DEFAULT NULL,
    limits json DEFAULT NULL,
    budget_limits json DEFAULT NULL,
    model_rpm_limit json DEFAULT NULL,
    model_tpm_limit json DEFAULT NULL,
    rpd_limit bigint DEFAULT NULL,
    tpd_limit bigint DEFAULT NULL,
    clear text[] DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION customer_update IS
'Change an end user.

An argument that is null leaves its field unchanged. If others use the budget too, or if a proxy
admin made it and somebody else changes it, the end user gets a changed copy of their own.

- user_id: the end user
- alias: a name for people
- blocked: true refuses their calls
- budget_id: an existing budget to use from now on; only proxy admins may give one
- organization_id: the organization that they belong to; null means that of the caller''s key, or the
  platform if the key has none
- allowed_model_region: kept for the LLM gateway
- default_model: kept for the LLM gateway
- object_permission: kept for the LLM gateway
- limits: limits as sentences, an array of objects: limit (cost, tokens, requests or
  parallel_requests), value, per (such as 1m, 30d or 1mo@Europe/Berlin), model, tag, each (model,
  tag, end_user, member, key or team), soft, and raise (amount, until)
- budget_limits: limits of spend, an array of objects with max_budget and budget_duration
- model_rpm_limit: requests per minute by model, an object such as {"gpt-4o": 60}
- model_tpm_limit: tokens per minute by model, likewise
- rpd_limit: requests per day
- tpd_limit: tokens per day
- clear: names of the fields to reset

Returns the end user.
Callers: proxy admins; for end users of an organization, its admins.';

CREATE FUNCTION customer_info(
    end_user_id text,
    organization_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION customer_info IS
'Show an end user.

- end_user_id: the user_id of the end user
- organization_id: the organization that they belong to; null means that of the caller''s key, or the
  platform if the key has none

Returns the end user.
Callers: proxy admins and viewers; for end users of an organization, its admins.';

CREATE FUNCTION customer_list(
    organization_id text DEFAULT NULL,
    "limit" bigint DEFAULT NULL,
    after text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION customer_list IS
'List end users.

The oldest come first.

- organization_id: only those of this organization; null means all that the caller sees, an empty
  text those of the platform
- limit: the page size, 1 to 1000; null returns everything
- after: the last user_id of the previous page or, which works even if that was deleted, its
  created_at, a slash and its user_id; null begins with the first page

Returns an array of end users.
Callers: proxy admins and viewers; organization admins, for end users of their organizations.';

CREATE FUNCTION customer_delete(
    user_ids text[],
    organization_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION customer_delete IS
'Delete end users.

All or none. Budgets that were made with them and that nobody else uses go as well. What they spent
stays in the ledger.

- user_ids: their identifiers
- organization_id: the organization that they belong to; null means that of the caller''s key, or the
  platform if the key has none

Returns an object with the number of end users.
Callers: proxy admins; for end users of an organization, its admins.';

CREATE FUNCTION customer_block(
    user_ids text[],
    organization_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION customer_block IS
'Block end users.

Their calls are refused. Those that do not exist are made.

- user_ids: their identifiers
- organization_id: the organization that they belong to; null means that of the caller''s key, or the
  platform if the key has none

Returns an object with the end users.
Callers: proxy admins; for end users of an organization, its admins.';

CREATE FUNCTION customer_unblock(
    user_ids text[],
    organization_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION customer_unblock IS
'Unblock end users.

All or none.

- user_ids: their identifiers
- organization_id: the organization that they belong to; null means that of the caller''s key, or the
  platform if the key has none

Returns an object with the end users.
Callers: proxy admins; for end users of an organization, its admins.';

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
    end_user text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_reserve IS
'Reserve a call to a model.

Checks every limit of the key, of its user, team, membership and organization, and of the end user.
If the call is allowed, max_cost and max_tokens are held against each limit until the call is
settled or cancelled or the reservation expires. The function is idempotent: the same request_id gets the same answer.

- key: the secret that came with the call; key or token_id is required
- model: the model to call; aliases are resolved (required)
- max_cost: the most that the call can cost, in US dollars; null holds the default_reserve of the
  organization
- request_id: identifier of the call; null makes one
- ttl_seconds: when the reservation expires, in seconds, 1 to 86400
- token_id: the key, if you have checked its secret yourself
- end_user: whom the call is for, as limits for each end user count it

Returns the reservation, with the model that aliases stand for and the remaining amount of each
limit. A refusal is an error, so usage_refusals does not count it.
Callers: proxy admins and keys with the permission usage.';

CREATE FUNCTION usage_reserve_many(
    requests json,
    wait boolean DEFAULT true,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_reserve_many IS
'Reserve many calls to models.

Decides one call after the other, in one transaction. A refused call does not affect the others.

- requests: an array of objects with the arguments of usage_reserve
- wait: false refuses calls that would wait for the lock of another transaction: with sqlstate
  55P03, and with the name of what is locked in held

Returns an array: for each call the reply of usage_reserve, or an object with error (its sqlstate,
message and more).
Callers: proxy admins and keys with the permission usage.';

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
'Settle a reserved call.

The reservation ends, and the cost is spent in full, even if it is more than was held or the
reservation has expired. The function is idempotent: settling again returns the first reply.
A call that is not remembered any more (see org_retention_update) stays as it is, and a new call
has the cost.

- request_id: identifier of the call; request_id or reservation_id is required
- reservation_id: identifier of the reservation, as usage_reserve returned it

Returns the settled call, with recorded_as_new if it is a new one.
Callers: proxy admins and keys with the permission usage.';

CREATE FUNCTION usage_settle_many(
    requests json,
    wait boolean DEFAULT true,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_settle_many IS
'Settle many reserved calls.

Settles one call after the other, in one transaction. A refused call does not affect the others.

- requests: an array of objects with the arguments of usage_settle
- wait: false refuses calls that would wait for the lock of another transaction: with sqlstate
  55P03, and with the name of what is locked in held

Returns an array: for each call the reply of usage_settle, or an object with error (its sqlstate and
message).
Callers: proxy admins and keys with the permission usage.';

CREATE FUNCTION usage_cancel(
    request_id text DEFAULT NULL,
    reservation_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_cancel IS
'Cancel a reserved call.

For calls that were not made: nothing is held or counted for them any more. A settled call is
refused.

- request_id: identifier of the call; request_id or reservation_id is required
- reservation_id: identifier of the reservation, as usage_reserve returned it

Returns the identifiers of the call and its state.
Callers: proxy admins and keys with the permission usage.';

CREATE FUNCTION usage_extend(
    request_id text DEFAULT NULL,
    reservation_id text DEFAULT NULL,
    ttl_seconds bigint DEFAULT 600,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_extend IS
'Let the reservation of a call that lasts longer expire later.

For streams, while they run. A reservation that has expired or is over is refused, and none is made
shorter.

- request_id: identifier of the call; request_id or reservation_id is required
- reservation_id: identifier of the reservation, as usage_reserve returned it
- ttl_seconds: when the reservation expires, in seconds from now, 1 to 86400

Returns the identifiers of the call, and when its reservation expires.
Callers: proxy admins and keys with the permission usage.';

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
    end_user text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_record IS
'Record a call that was never reserved.

No limit is checked, because the cost is spent already. The function is idempotent: the same
request_id gets the first reply. The key may have been deleted meanwhile: the call is then recorded
into its organization, team and user, and those of them are charged that are the same still.

- key: the secret that came with the call; key or token_id is required
- model: the model that was called; aliases are resolved (required)
- cost: the cost of the call, in US dollars (required)
- request_id: identifier of the call; null makes one
- token_id: the key, if you have checked its secret yourself
- end_user: whom the call was for

Returns the recorded call.
Callers: proxy admins and keys with the permission usage.';

CREATE FUNCTION usage_limits(
    key text DEFAULT NULL,
    model text DEFAULT NULL,
    end_user text DEFAULT NULL,
    tags text[] DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_limits IS
'Show the limits of a key and their remaining amounts.

Lists the limits of the key and of its user, team, membership and organization, each with the
amounts spent in the current period, held and remaining, and with the end of the period. The amounts
of a limit for each model, tag or end user are null unless you name the model, tags or end user.

- key: the key itself or its token_id; null means the caller''s own
- model: only limits that apply to calls of this model
- end_user: with the limits for this end user
- tags: only limits that apply to calls with these tags

Returns an object with the limits.
Callers: the key itself, the organization''s admins, proxy admins and viewers, keys with the
permission usage.';

CREATE FUNCTION usage_refusals(
    page bigint DEFAULT NULL,
    page_size bigint DEFAULT NULL,
    organization_id text DEFAULT NULL,
    team_id text DEFAULT NULL,
    user_id text DEFAULT NULL,
    key text DEFAULT NULL,
    end_user text DEFAULT NULL,
    start_date text DEFAULT NULL,
    end_date text DEFAULT NULL,
    timezone text DEFAULT NULL,
    by_hour boolean DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_refusals IS
'Show how many calls each limit has refused.

The limits that refused most come first. A limit for each of something has one count for all of
them. Refusals are counted by the hour, in UTC, and kept for 35 days; an hour of which the given
time has a part counts as a whole. A refusal by usage_reserve is an error that rolls everything
back, so it is not counted. Those by usage_reserve_many are, which the gateway calls.

- page: the number of the page, from 1
- page_size: the number of limits on a page, 1 to 1000; 50 by default
- organization_id: only limits of this organization and inside it
- team_id: only limits of this team and of its members
- user_id: only limits of this user, also as a member
- key: only limits of this key: the key itself or its token_id
- end_user: only limits of this end user
- start_date: only refusals on this day, such as 2026-11-01, or at this time, such as 2026-11-01
  08:00:00, or later
- end_date: only refusals on this day, or at this time, or earlier
- timezone: the time zone of these, such as Europe/Berlin, its offset, such as +02:00, or the
  minutes that UTC is ahead, such as -120; UTC by default
- by_hour: true for one element for each hour of a limit, the newest first

Returns an object with refusals (limits with the number of refused calls), total, page, page_size
and total_pages.
Callers: proxy admins and viewers; organizations'' admins for limits of theirs and inside them;
others for limits of their own, and teams'' admins for those of the team, its members and its keys.';

CREATE FUNCTION limit_try(
    "limit" json,
    organization_id text DEFAULT NULL,
    team_id text DEFAULT NULL,
    user_id text DEFAULT NULL,
    key text DEFAULT NULL,
    end_user text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION limit_try IS
'Try a limit before it is saved.

Changes nothing, and tells what would be over the limit now. A limit that the owner has already, but
for its value and raise, keeps what it has counted. Other limits without a window, or with one such
as 30d, would begin with nothing: for them, the amounts are those of as much time until now.

- limit: the limit, as in limits of a function that saves it
- organization_id: the organization that would have it; with user_id, its member; with end_user, its
  end user
- team_id: the team; with user_id, the member of the team
- user_id: the user
- key: the key, or its token_id
- end_user: the end user

Returns an object with the limit; window_start and resets_at; counts_at_once, which is false if it
would begin with nothing; over, an array of the parts that are over it, the first 100; their total;
and highest_within, the part that is nearest to it. Without each, there is one part, null.
Callers: those who may set this limit.';

CREATE FUNCTION usage_reset(
    organization_id text DEFAULT NULL,
    team_id text DEFAULT NULL,
    user_id text DEFAULT NULL,
    key text DEFAULT NULL,
    end_user text DEFAULT NULL,
    "limit" json DEFAULT NULL,
    part text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_reset IS
'Let a limit start again from zero.

A new period begins now, and ends when it would have ended. The ledger and spend, the total for all
time, do not change.

- organization_id: the organization whose limit it is; with user_id, its member; with end_user, its
  end user
- team_id: the team whose limit it is; with user_id, the member of the team
- user_id: the user
- key: the key, or its token_id
- end_user: the end user
- limit: the limit, an object with its limit, per, model, tag, each and soft; null means all limits of
  cost
- part: of a limit for each of something, the one whose count starts again; null means all

Returns an object with the owner, the limit and reset_at.
Callers: proxy admins; the organization''s admins for what is inside it.';

CREATE FUNCTION usage_verify(
    organization_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_verify IS
'Compare every counter with its ledger.

A counter differs only if the tables were changed by hand.

- organization_id: only this organization; null means all

Returns an array of the counters that differ, with the actual and the expected values.
Callers: proxy admins and viewers.';

CREATE FUNCTION usage_repair(
    organization_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_repair IS
'Set every counter to the sum of its ledger.

Repairs up to 100 organizations, and 100 users and 100 keys that count outside of organizations.
Call it until the array is empty. Only calls of their owners wait meanwhile.

- organization_id: only this organization; null means all

Returns an array of the counters that differed.
Callers: proxy admins.';

CREATE FUNCTION usage_archive(
    before timestamptz,
    "drop" boolean DEFAULT false,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION usage_archive IS
'Archive old partitions of the ledger.

They leave it after their sums were carried forward. The sums of each day go on to count: spend,
budgets and reports by days in UTC stay the same. Either all of it is done or nothing. Other calls
wait for its last moment only. No request_id from before that time may be remembered, and no
period of a limit that began before it may be running.

- before: partitions that ended by this time are archived
- drop: true deletes the calls, as when they were copied; false keeps tables in schema org_archive

Returns an object with archived: an array of the partitions with name, ends_at and table, which
is null for a dropped one.
Callers: proxy admins.';

CREATE FUNCTION org_retention(
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_retention IS
'Show how long calls, audit log and events are kept.

Returns the settings as org_retention_update has them; null means without end.
Callers: proxy admins and viewers.';

CREATE FUNCTION org_retention_update(
    partition text DEFAULT NULL,
    request_memory_days bigint DEFAULT NULL,
    ledger_days bigint DEFAULT NULL,
    archive_days bigint DEFAULT NULL,
    audit_log_days bigint DEFAULT NULL,
    event_days bigint DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_retention_update IS
'Set how long calls, audit log and events are kept.

org_maintain() does what is due. Settings that are left out stay as they are; 0 means without end.

- partition: length of the partitions that are made from now on: day, week or month
- request_memory_days: how long a request_id is remembered after its call was closed: first 35;
  raising it does not bring back what is forgotten already
- ledger_days: after how many days calls are archived, at least request_memory_days
- archive_days: after how many days archived calls are deleted
- audit_log_days: after how many days entries of the audit log are deleted
- event_days: after how many days events are deleted

Returns the settings.
Callers: proxy admins.';

CREATE FUNCTION org_maintain(
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION org_maintain IS
'Do a part of the maintenance that is due.

That is to make partitions, and to archive and delete what is old. A call takes about a quarter of
a second. Call it again while is_complete is false, and otherwise once a day or more often. While
another session is at it, a call does nothing.

Returns an object with is_complete and steps: an array of what it did, objects with step
(partition_made, partition_dropped, sums_carried, partition_archived, archive_dropped or
refusals_deleted), table, and name or (of refusals) rows.
Callers: proxy admins.';

-- Functions are for everybody unless taken away; org_grant_access() hands them out.
REVOKE ALL ON FUNCTION
    org_setup, org_grant_access, org_warm_up,
    org_new, org_update, org_patch, org_delete, org_list, org_info, org_info_many, org_block, org_unblock,
    org_daily_activity, team_daily_activity, user_daily_activity, user_daily_activity_aggregated,
    tag_daily_activity, customer_daily_activity, spend_report, org_audit, org_audit_purge, org_etag,
    org_daily_activity, spend_logs, spend_logs_ui, org_audit, audit_list, audit_info, org_audit_purge, org_etag,
    org_events, event_claim, event_acknowledge, org_event_purge,
    org_member_add, org_member_update, org_member_delete,
    user_new, user_update, user_bulk_update, user_info, user_info_v2, user_filter, user_available_roles, user_list,
    user_delete, user_reset_spend,
    team_new, team_update, team_info, team_list, team_list_v2, team_delete, team_block, team_unblock,
    team_reset_spend, team_permissions_list, team_permissions_update, team_available, team_bulk_member_add,
    team_member_add, team_member_update, team_member_delete,
    sso_key, key_generate, key_service_account_generate, key_update, key_bulk_update, key_info, key_info_many, key_list,
    key_aliases, key_delete, key_regenerate, key_reset_spend, key_block, key_unblock, key_health,
    budget_new, budget_update, budget_info, budget_list, budget_delete,
    customer_new, customer_update, customer_info, customer_list, customer_delete, customer_block, customer_unblock,
    usage_reserve, usage_reserve_many, usage_settle, usage_settle_many, usage_cancel, usage_extend, usage_record,
    usage_limits, usage_refusals, limit_try, usage_reset, usage_verify, usage_repair, usage_archive,
    org_retention, org_retention_update, org_maintain
FROM PUBLIC;
