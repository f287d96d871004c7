-- Brings what LiteLLM's tables say into those of pg_org, in one transaction. import_litellm.py runs it with psql, which
-- reads the rows from its standard input, and writes to its standard output how far it is and, as JSON, what was done.
-- How far: per cent of the time that was measured for 200,000 keys and 800,000 sums of days.
-- Variables: dry_run (yes: undo everything at the end) and key_id (SQL: the identifier of a key, of its digest).
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET work_mem = '256MB';
SET temp_buffers = '256MB';
SET maintenance_work_mem = '256MB';
SET jit = off;
BEGIN;
SELECT pg_get_userbyid(nspowner) AS owner FROM pg_namespace WHERE nspname = 'org' \gset
SET LOCAL ROLE :"owner";
SELECT pg_advisory_xact_lock(1634886505) \g /dev/null

-- The source: rows as JSON, so that columns which a version does not have are simply missing. They are not compressed:
-- each is read many times.
CREATE TEMP TABLE source (kind text COLLATE "C", id text COLLATE "C", row jsonb)
    WITH (toast_tuple_target = 8160) ON COMMIT DROP;
\copy source FROM pstdin
-- Sums of days are most of the rows, so they come as columns.
CREATE TEMP TABLE told_day (
    kind text COLLATE "C", owner_id text, date text COLLATE "C", api_key text COLLATE "C", model text COLLATE "C",
    model_group text COLLATE "C", spend numeric, api_requests numeric, failed_requests numeric, prompt_tokens numeric,
    completion_tokens numeric, cache_read_input_tokens numeric, cache_creation_input_tokens numeric) ON COMMIT DROP;
\copy told_day FROM pstdin
\echo progress 8 checking
CREATE INDEX ON source (kind, id);
ANALYZE source;
ANALYZE told_day;

-- The problems that were found, and what was done about each.
CREATE TEMP TABLE problem (place bigserial, kind text, id text, field text, what text, done text) ON COMMIT DROP;
-- How many rows are new, and how many have changed.
CREATE TEMP TABLE written (place bigserial, kind text, added bigint, changed bigint) ON COMMIT DROP;

-- Functions that read a value of LiteLLM's, and return null if it is invalid. PostgreSQL does not inline functions with
-- a subquery, so each of those is called by another one, and only if the value is not empty.

CREATE FUNCTION pg_temp.amount(value numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN value BETWEEN 0 AND 1000000000000000 THEN trim_scale(round(value, 30)) END
$$;
CREATE FUNCTION pg_temp.amount(value jsonb) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN pg_temp.amount(value::numeric) END
$$;
CREATE FUNCTION pg_temp.count(value numeric) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN value BETWEEN 0 AND 1000000000000000 THEN trunc(value)::bigint END
$$;
CREATE FUNCTION pg_temp.count(value jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN pg_temp.count(value::numeric) END
$$;
CREATE FUNCTION pg_temp.duration(value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN value ~ '^[1-9]([0-9]{0,2}(mo|w)|[0-9]{0,3}d|[0-9]{0,4}h|[0-9]{0,6}m|[0-9]{0,8}s)$' THEN value END
$$;
CREATE FUNCTION pg_temp.duration(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_temp.duration(value #>> '{}')
$$;
CREATE FUNCTION pg_temp.time(value jsonb) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT (value #>> '{}')::timestamptz
$$;
CREATE FUNCTION pg_temp.is_day(date text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT date ~ '^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$'
$$;
CREATE FUNCTION pg_temp.texts_of(list jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY(SELECT e FROM jsonb_array_elements_text(list) AS e WHERE e IS NOT NULL)
$$;
CREATE FUNCTION pg_temp.texts(value jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'array' AND value <> '[]' THEN pg_temp.texts_of(value) ELSE '{}' END
$$;
-- LiteLLM has written some of its objects as strings that contain JSON.
CREATE FUNCTION pg_temp.read_object(written text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE jsonb_typeof(written::jsonb) WHEN 'object' THEN written::jsonb ELSE '{}' END;
EXCEPTION WHEN OTHERS THEN
    RETURN '{}';
END $$;
CREATE FUNCTION pg_temp.object(value jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE jsonb_typeof(value)
           WHEN 'object' THEN value
           WHEN 'string' THEN pg_temp.read_object(value #>> '{}')
           ELSE '{}' END
$$;
-- The valid entries of an object that has a budget or a count for each model.
CREATE FUNCTION pg_temp.budgets_of(by_model jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_object_agg(model, budget), '{}')
      FROM jsonb_each(pg_temp.object(by_model)) AS e (model, budget)
     WHERE pg_temp.amount(CASE jsonb_typeof(budget)
                          WHEN 'object' THEN coalesce(budget -> 'budget_limit', budget -> 'max_budget')
                          ELSE budget END) IS NOT NULL
       AND (jsonb_typeof(budget) <> 'object'
            OR coalesce(budget ->> 'time_period', budget ->> 'budget_duration') IS NULL
            OR pg_temp.duration(coalesce(budget -> 'time_period', budget -> 'budget_duration')) IS NOT NULL)
$$;
CREATE FUNCTION pg_temp.budgets_by_model(value jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN value IS NULL OR value IN ('null', '{}') THEN '{}' ELSE pg_temp.budgets_of(value) END
$$;
CREATE FUNCTION pg_temp.counts_of(by_model jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_object_agg(model, count), '{}')
      FROM jsonb_each(pg_temp.object(by_model)) AS e (model, count)
     WHERE pg_temp.count(count) IS NOT NULL
$$;
CREATE FUNCTION pg_temp.counts_by_model(value jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN value IS NULL OR value IN ('null', '{}') THEN '{}' ELSE pg_temp.counts_of(value) END
$$;
-- The valid entries of a list of budgets with periods of their own; null if there is none.
CREATE FUNCTION pg_temp.budgets_in(list jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_agg(jsonb_build_object('max_budget', budget -> 'max_budget',
                                        'budget_duration', budget -> 'budget_duration'))
      FROM jsonb_array_elements(list) AS budget
     WHERE pg_temp.amount(budget -> 'max_budget') IS NOT NULL
       AND pg_temp.duration(budget -> 'budget_duration') IS NOT NULL
$$;
CREATE FUNCTION pg_temp.budget_list(value jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'array' THEN pg_temp.budgets_in(value) END
$$;
-- An object with this field alone, or without it if the value is empty. || adds such fields up to an object.
CREATE FUNCTION pg_temp.set(field text, value jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN value IS NULL OR value IN ('null', '{}', '[]', '""') THEN '{}'
                ELSE jsonb_build_object(field, value) END
$$;
-- The start of the period of a budget in which LiteLLM has summed up: the one that runs now, or the one that is over if
-- its sum is still to be reset. Periods follow each other from the time of a reset.
CREATE FUNCTION pg_temp.period_start(duration text, reset_at timestamptz, created_at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
DECLARE
    length   interval := replace(regexp_replace(duration, 'm$', ' minutes'), 'mo', ' months')::interval;
    anchor   timestamptz := coalesce(reset_at, created_at);
    periods  bigint;
BEGIN
    IF duration IS NULL OR anchor IS NULL THEN
        RETURN NULL;
    ELSIF reset_at <= now() THEN
        RETURN reset_at - length;
    END IF;
    periods := floor(extract(epoch FROM now() - anchor) / extract(epoch FROM length));
    RETURN (SELECT max(anchor + n * length)
              FROM generate_series(periods - 2, periods + 2) AS n
             WHERE anchor + n * length <= now());
END $$;
-- The identifier that an imported key gets.
SELECT format('CREATE FUNCTION pg_temp.key_id(digest text) RETURNS text LANGUAGE sql IMMUTABLE AS %L',
              'SELECT ' || :'key_id') \gexec

-- The names of things in reports. Some keys are stored as their secret, which must not be shown.
CREATE FUNCTION pg_temp.name_of_key(digest text, alias text, name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(alias, name, '')
           || CASE WHEN digest ~ '^[0-9a-f]{64}$' THEN ' (' || left(digest, 12) || '…)' ELSE '' END
$$;
CREATE FUNCTION pg_temp.name_of(kind text, id text, of_row jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE kind
           WHEN 'key' THEN pg_temp.name_of_key(id, of_row ->> 'key_alias', of_row ->> 'key_name')
           WHEN 'deprecated key' THEN left(of_row ->> 'active_token_id', 12) || '…'
           ELSE left(id, 300) END
$$;
CREATE FUNCTION pg_temp.name_of_day(owner_id text, api_key text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format('%s (%s…)', owner_id, left(api_key, 12))
$$;

-- Invalid amounts, counts and periods are reported here, for all kinds of things.

INSERT INTO problem (kind, id, field, what, done)
SELECT kind, pg_temp.name_of(kind, id, row), field, 'is ' || left(row ->> field, 100),
       CASE field WHEN 'spend' THEN 'counted as 0' ELSE 'left out: no limit' END
  FROM source
 CROSS JOIN unnest('{max_budget,soft_budget,spend}'::text[]) AS field
 WHERE kind IN ('budget', 'organization', 'team', 'user', 'key', 'customer', 'team member', 'member')
   AND row -> field <> 'null' AND pg_temp.amount(row -> field) IS NULL
 UNION ALL
SELECT 'day of a ' || kind, pg_temp.name_of_day(owner_id, api_key), 'spend', 'is ' || spend, 'counted as 0'
  FROM told_day
 WHERE spend IS NOT NULL AND pg_temp.amount(spend) IS NULL
 UNION ALL
SELECT kind, pg_temp.name_of(kind, id, row), field, 'is ' || left(row ->> field, 100), 'left out: no limit'
  FROM source
 CROSS JOIN unnest('{tpm_limit,rpm_limit,max_parallel_requests}'::text[]) AS field
 WHERE kind IN ('budget', 'team', 'user', 'key')
   AND row -> field <> 'null' AND pg_temp.count(row -> field) IS NULL
 UNION ALL
SELECT kind, pg_temp.name_of(kind, id, row), 'budget_duration', 'is ' || left(row ->> 'budget_duration', 100),
       'left out: the budget has no period'
  FROM source
 WHERE kind IN ('budget', 'team', 'user', 'key')
   AND row -> 'budget_duration' <> 'null' AND pg_temp.duration(row -> 'budget_duration') IS NULL
 UNION ALL
SELECT kind, pg_temp.name_of(kind, id, row), 'model_max_budget',
       'has an entry that is no budget: ' || left(model, 100), 'left out'
  FROM source
 CROSS JOIN LATERAL jsonb_object_keys(pg_temp.object(row -> 'model_max_budget')) AS model
 WHERE kind IN ('budget', 'team', 'user', 'key') AND row -> 'model_max_budget' NOT IN ('null', '{}')
   AND NOT pg_temp.budgets_by_model(row -> 'model_max_budget') ? model
 UNION ALL
SELECT kind, pg_temp.name_of(kind, id, row), field, 'has an entry that is no count: ' || left(model, 100), 'left out'
  FROM source
 CROSS JOIN unnest('{model_rpm_limit,model_tpm_limit}'::text[]) AS field
 CROSS JOIN LATERAL jsonb_object_keys(pg_temp.object(row -> 'metadata' -> field)) AS model
 WHERE kind IN ('team', 'user', 'key') AND row -> 'metadata' ? field
   AND NOT pg_temp.counts_by_model(row -> 'metadata' -> field) ? model;
-- Identifiers are at most 255 bytes long, and not empty.
WITH removed AS (
    DELETE FROM source
     WHERE kind IN ('budget', 'organization', 'team', 'user', 'customer', 'deprecated key')
       AND (octet_length(id) > 255 OR id = '')
    RETURNING kind, id)
INSERT INTO problem (kind, id, field, what, done)
SELECT kind, left(id, 60), 'id', CASE id WHEN '' THEN 'is empty' ELSE 'is longer than 255 bytes' END, 'left out'
  FROM removed;

-- Budgets.

CREATE TEMP TABLE new_budget ON COMMIT DROP AS
SELECT id AS budget_id,
       pg_temp.amount(row -> 'max_budget') AS max_budget,
       pg_temp.amount(row -> 'soft_budget') AS soft_budget,
       pg_temp.count(row -> 'max_parallel_requests') AS max_parallel_requests,
       pg_temp.count(row -> 'tpm_limit') AS tpm_limit,
       pg_temp.count(row -> 'rpm_limit') AS rpm_limit,
       nullif(pg_temp.budgets_by_model(row -> 'model_max_budget'), '{}') AS model_max_budget,
       pg_temp.duration(row -> 'budget_duration') AS budget_duration,
       CASE WHEN pg_temp.duration(row -> 'budget_duration') IS NOT NULL
            THEN pg_temp.time(row -> 'budget_reset_at') END AS budget_reset_at,
       row ->> 'created_by' AS created_by,
       coalesce(pg_temp.time(row -> 'created_at'), now()) AS created_at
  FROM source
 WHERE kind = 'budget';
CREATE INDEX ON new_budget (budget_id);

-- Organizations.

INSERT INTO problem (kind, id, field, what, done)
SELECT kind, pg_temp.name_of(kind, id, row), 'budget_id',
       'names a budget that does not exist: ' || (row ->> 'budget_id'),
       CASE kind WHEN 'organization' THEN 'has an empty budget of this name' ELSE 'left out' END
  FROM source
 WHERE kind IN ('organization', 'member', 'team member', 'customer', 'key')
   AND row ->> 'budget_id' IS NOT NULL
   AND NOT EXISTS (SELECT FROM new_budget WHERE budget_id = row ->> 'budget_id');
INSERT INTO new_budget (budget_id, created_at)
SELECT DISTINCT coalesce(row ->> 'budget_id', 'of-organization-' || id),
       coalesce(pg_temp.time(row -> 'created_at'), now())
  FROM source
 WHERE kind = 'organization'
   AND NOT EXISTS (SELECT FROM new_budget WHERE budget_id = row ->> 'budget_id');

CREATE TEMP TABLE new_organization ON COMMIT DROP AS
SELECT id AS organization_id,
       coalesce(row ->> 'organization_alias', id) AS organization_alias,
       coalesce(row ->> 'budget_id', 'of-organization-' || id) AS budget_id,
       pg_temp.object(row -> 'metadata') - 'tags' AS metadata,
       pg_temp.texts(row -> 'models') AS models,
       pg_temp.texts(row -> 'metadata' -> 'tags') AS tags,
       row ->> 'created_by' AS created_by,
       coalesce(pg_temp.time(row -> 'created_at'), now()) AS created_at
  FROM source
 WHERE kind = 'organization';
CREATE UNIQUE INDEX ON new_organization (organization_id);

-- Users.

INSERT INTO problem (kind, id, field, what, done)
SELECT kind, id, 'user_role', 'is ' || (row ->> 'user_role'), 'became internal_user'
  FROM source
 WHERE kind = 'user'
   AND row ->> 'user_role' NOT IN ('proxy_admin', 'proxy_admin_viewer', 'internal_user', 'internal_user_viewer');
CREATE TEMP TABLE new_user ON COMMIT DROP AS
SELECT id AS user_id,
       nullif(btrim(row ->> 'user_email'), '') AS user_email,
       row ->> 'user_alias' AS user_alias,
       CASE WHEN row ->> 'user_role' IN ('proxy_admin', 'proxy_admin_viewer', 'internal_user', 'internal_user_viewer')
            THEN row ->> 'user_role'
            ELSE 'internal_user' END AS user_role,
       pg_temp.texts(row -> 'models') AS models,
       pg_temp.amount(row -> 'max_budget') AS max_budget,
       pg_temp.budgets_by_model(row -> 'model_max_budget') AS model_max_budget,
       pg_temp.count(row -> 'tpm_limit') AS tpm_limit,
       pg_temp.count(row -> 'rpm_limit') AS rpm_limit,
       pg_temp.duration(row -> 'budget_duration') AS budget_duration,
       CASE WHEN pg_temp.duration(row -> 'budget_duration') IS NOT NULL
            THEN pg_temp.time(row -> 'budget_reset_at') END AS budget_reset_at,
       nullif(row ->> 'sso_user_id', '') AS sso_user_id,
       pg_temp.object(row -> 'metadata') - '{model_rpm_limit,model_tpm_limit}'::text[] AS metadata,
       pg_temp.set('max_parallel_requests', to_jsonb(pg_temp.count(row -> 'max_parallel_requests')))
       || pg_temp.set('model_rpm_limit', pg_temp.counts_by_model(row -> 'metadata' -> 'model_rpm_limit'))
       || pg_temp.set('model_tpm_limit', pg_temp.counts_by_model(row -> 'metadata' -> 'model_tpm_limit'))
       AS short_limits,
       coalesce(pg_temp.time(row -> 'created_at'), now()) AS created_at
  FROM source
 WHERE kind = 'user';
CREATE UNIQUE INDEX ON new_user (user_id);
-- The platform's administrator stays one, whatever LiteLLM calls it.
UPDATE new_user SET user_role = 'proxy_admin' WHERE user_id = 'default_user_id';
WITH taken AS (
    SELECT user_id, user_email, first_value(user_id) OVER same_email AS by_user
      FROM (SELECT user_id, user_email, created_at, 1 AS place FROM new_user WHERE user_email IS NOT NULL
             UNION ALL
            SELECT user_id, user_email, created_at, 0
              FROM org."user" o
             WHERE user_email IS NOT NULL AND NOT EXISTS (SELECT FROM new_user n WHERE n.user_id = o.user_id)) AS u
    WINDOW same_email AS (PARTITION BY org.folded(btrim(user_email)) ORDER BY place, created_at, user_id)
), cleared AS (
    UPDATE new_user n
       SET user_email = NULL
      FROM taken t
     WHERE t.user_id = n.user_id AND t.by_user <> n.user_id
    RETURNING n.user_id, t.user_email, t.by_user)
INSERT INTO problem (kind, id, field, what, done)
SELECT 'user', user_id, 'user_email', format('%s is also the e-mail address of %s', user_email, by_user),
       'left out: the older user keeps it'
  FROM cleared;
WITH cleared AS (
    UPDATE new_user n
       SET sso_user_id = NULL
      FROM org."user" o
     WHERE o.sso_user_id = n.sso_user_id AND o.user_id <> n.user_id
    RETURNING n.user_id, o.sso_user_id, o.user_id AS by_user)
INSERT INTO problem (kind, id, field, what, done)
SELECT 'user', user_id, 'sso_user_id', format('%s is that of %s', sso_user_id, by_user), 'left out'
  FROM cleared;

-- Teams, and who is in them.

INSERT INTO problem (kind, id, field, what, done)
SELECT kind, id, 'organization_id', 'names an organization that does not exist: ' || (row ->> 'organization_id'),
       'became a team of the platform'
  FROM source
 WHERE kind = 'team'
   AND row ->> 'organization_id' IS NOT NULL
   AND NOT EXISTS (SELECT FROM new_organization WHERE organization_id = row ->> 'organization_id');
CREATE TEMP TABLE new_team ON COMMIT DROP AS
SELECT coalesce(o.organization_id, '') AS organization_id,
       s.id AS team_id,
       row ->> 'team_alias' AS team_alias,
       pg_temp.object(row -> 'metadata') - '{tags,model_rpm_limit,model_tpm_limit,team_member_budget_id}'::text[]
       AS metadata,
       pg_temp.texts(row -> 'models') AS models,
       coalesce((row ->> 'blocked')::boolean, false) AS blocked,
       pg_temp.amount(row -> 'max_budget') AS max_budget,
       pg_temp.count(row -> 'tpm_limit') AS tpm_limit,
       pg_temp.count(row -> 'rpm_limit') AS rpm_limit,
       pg_temp.count(row -> 'max_parallel_requests') AS max_parallel_requests,
       pg_temp.duration(row -> 'budget_duration') AS budget_duration,
       CASE WHEN pg_temp.duration(row -> 'budget_duration') IS NOT NULL
            THEN pg_temp.time(row -> 'budget_reset_at') END AS budget_reset_at,
       CASE WHEN pg_temp.texts(row -> 'team_member_permissions') = '{}' THEN '{/key/info,/key/health}'
            ELSE pg_temp.texts(row -> 'team_member_permissions') END AS team_member_permissions,
       pg_temp.texts(row -> 'metadata' -> 'tags') AS tags,
       pg_temp.object(m.aliases) AS model_aliases,
       pg_temp.set('policies', row -> 'policies')
       || pg_temp.set('access_group_ids', row -> 'access_group_ids')
       || pg_temp.set('router_settings', pg_temp.object(row -> 'router_settings')) AS kept,
       pg_temp.set('soft_budget', to_jsonb(pg_temp.amount(row -> 'soft_budget')))
       || pg_temp.set('budget_limits', pg_temp.budget_list(row -> 'budget_limits'))
       || pg_temp.set('model_max_budget', pg_temp.budgets_by_model(row -> 'model_max_budget'))
       || pg_temp.set('model_rpm_limit', pg_temp.counts_by_model(row -> 'metadata' -> 'model_rpm_limit'))
       || pg_temp.set('model_tpm_limit', pg_temp.counts_by_model(row -> 'metadata' -> 'model_tpm_limit'))
       || pg_temp.set('team_member_budget', to_jsonb(b.max_budget))
       || pg_temp.set('team_member_budget_duration', to_jsonb(b.budget_duration))
       || pg_temp.set('team_member_rpm_limit', to_jsonb(b.rpm_limit))
       || pg_temp.set('team_member_tpm_limit', to_jsonb(b.tpm_limit)) AS short_limits,
       coalesce(pg_temp.time(row -> 'created_at'), now()) AS created_at
  FROM source s
  LEFT JOIN new_organization o ON o.organization_id = row ->> 'organization_id'
  LEFT JOIN (SELECT id, coalesce(row -> 'aliases', row -> 'model_aliases') AS aliases FROM source WHERE kind = 'model')
         AS m ON m.id = row ->> 'model_id'
  LEFT JOIN new_budget b ON b.budget_id = row -> 'metadata' ->> 'team_member_budget_id'
 WHERE kind = 'team';
CREATE UNIQUE INDEX ON new_team (team_id);
-- Moving a team is more than changing a column: its keys and members go along.
WITH moved AS (
    UPDATE new_team n
       SET organization_id = o.organization_id
      FROM org.team o
     WHERE o.team_id = n.team_id AND o.organization_id <> n.organization_id
    RETURNING n.team_id, o.organization_id,
              (SELECT row ->> 'organization_id' FROM source WHERE kind = 'team' AND id = n.team_id) AS asked)
INSERT INTO problem (kind, id, field, what, done)
SELECT 'team', team_id, 'organization_id', format('is now %s', coalesce(asked, 'none')),
       format('stays in %s: move it with team_update, then import again',
              CASE organization_id WHEN '' THEN 'the platform' ELSE organization_id END)
  FROM moved;
INSERT INTO problem (kind, id, field, what, done)
SELECT 'team', t.team_id, 'max_budget',
       format('is %s, above that of organization %s, %s', t.max_budget, o.organization_id, b.max_budget),
       'kept: both limits hold'
  FROM new_team t
  JOIN new_organization o USING (organization_id)
  JOIN new_budget b USING (budget_id)
 WHERE t.max_budget > b.max_budget;

-- The users on the list of each team. Old versions have the lists of members and admins instead.
CREATE TEMP TABLE listed ON COMMIT DROP AS
SELECT team_id, min(place) AS place, user_id, user_email, bool_or(role = 'admin') AS is_admin
  FROM (SELECT id AS team_id, place, m ->> 'user_id' AS user_id, m ->> 'user_email' AS user_email, m ->> 'role' AS role
          FROM source
         CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(row -> 'members_with_roles')
                                                 WHEN 'array' THEN row -> 'members_with_roles'
                                                 ELSE '[]' END) WITH ORDINALITY AS l (m, place)
         WHERE kind = 'team'
         UNION ALL
        SELECT id, place, user_id, NULL, role
          FROM source
         CROSS JOIN LATERAL (
               SELECT place, user_id, 'user'
                 FROM unnest(pg_temp.texts(row -> 'members')) WITH ORDINALITY AS m (user_id, place)
                UNION ALL
               SELECT place, user_id, 'admin'
                 FROM unnest(pg_temp.texts(row -> 'admins')) WITH ORDINALITY AS a (user_id, place))
               AS old (place, user_id, role)
         WHERE kind = 'team'
           AND (jsonb_typeof(row -> 'members_with_roles') IS DISTINCT FROM 'array'
                OR row -> 'members_with_roles' = '[]')) AS l
 GROUP BY team_id, user_id, user_email;
ALTER TABLE listed ADD known_as text;
UPDATE listed l SET known_as = u.user_id FROM new_user u WHERE u.user_id = l.user_id;
UPDATE listed l
   SET known_as = u.user_id
  FROM new_user u
 WHERE l.user_id IS NULL AND org.folded(btrim(u.user_email)) = org.folded(btrim(l.user_email));
INSERT INTO problem (kind, id, field, what, done)
SELECT 'team', team_id, 'members_with_roles',
       'names a user that does not exist: ' || coalesce(user_id, user_email, 'nobody'), 'left out'
  FROM listed
 WHERE known_as IS NULL
 ORDER BY team_id, place;
CREATE TEMP TABLE new_team_member ON COMMIT DROP AS
SELECT DISTINCT ON (l.team_id, l.known_as) t.organization_id, l.team_id, l.known_as AS user_id,
       CASE WHEN bool_or(l.is_admin) OVER (PARTITION BY l.team_id, l.known_as) THEN 'admin' ELSE 'user' END AS role,
       b.budget_id, greatest(t.created_at, u.created_at) AS created_at
  FROM listed l
  JOIN new_team t USING (team_id)
  JOIN new_user u ON u.user_id = l.known_as
  LEFT JOIN source s ON s.kind = 'team member' AND s.id = l.known_as || ' in ' || l.team_id
  LEFT JOIN new_budget b ON b.budget_id = s.row ->> 'budget_id'
 ORDER BY l.team_id, l.known_as, l.place;
CREATE UNIQUE INDEX ON new_team_member (team_id, user_id);
INSERT INTO problem (kind, id, field, what, done)
SELECT kind, id, '', 'is not on the list of the team', 'left out'
  FROM source s
 WHERE kind = 'team member'
   AND NOT EXISTS (SELECT FROM new_team_member m
                    WHERE m.team_id = s.row ->> 'team_id' AND m.user_id = s.row ->> 'user_id');

-- Members of organizations: those that LiteLLM has, and whoever is in an organization's team.

INSERT INTO problem (kind, id, field, what, done)
SELECT kind, id, '',
       CASE WHEN o.organization_id IS NULL THEN 'names an organization that does not exist'
            ELSE 'names a user that does not exist' END, 'left out'
  FROM source s
  LEFT JOIN new_organization o ON o.organization_id = row ->> 'organization_id'
  LEFT JOIN new_user u ON u.user_id = row ->> 'user_id'
 WHERE kind = 'member' AND (o.organization_id IS NULL OR u.user_id IS NULL)
 UNION ALL
SELECT kind, id, 'user_role', 'is ' || (row ->> 'user_role'), 'became internal_user'
  FROM source
 WHERE kind = 'member' AND row ->> 'user_role' NOT IN ('org_admin', 'internal_user', 'internal_user_viewer');
CREATE TEMP TABLE new_membership ON COMMIT DROP AS
SELECT o.organization_id, u.user_id,
       CASE WHEN row ->> 'user_role' IN ('org_admin', 'internal_user', 'internal_user_viewer') THEN row ->> 'user_role'
            ELSE 'internal_user' END AS user_role,
       b.budget_id,
       coalesce(pg_temp.time(row -> 'created_at'), greatest(o.created_at, u.created_at)) AS created_at
  FROM source s
  JOIN new_organization o ON o.organization_id = row ->> 'organization_id'
  JOIN new_user u ON u.user_id = row ->> 'user_id'
  LEFT JOIN new_budget b ON b.budget_id = row ->> 'budget_id'
 WHERE kind = 'member';
CREATE UNIQUE INDEX ON new_membership (organization_id, user_id);
WITH implied AS (
    SELECT DISTINCT ON (organization_id, user_id) organization_id, user_id, 'internal_user' AS user_role, created_at,
           team_id
      FROM new_team_member t
     WHERE organization_id <> ''
       AND NOT EXISTS (SELECT FROM new_membership m
                        WHERE m.organization_id = t.organization_id AND m.user_id = t.user_id)
     ORDER BY organization_id, user_id, created_at, team_id
), added AS (
    INSERT INTO new_membership (organization_id, user_id, user_role, created_at)
    SELECT organization_id, user_id, user_role, created_at FROM implied)
INSERT INTO problem (kind, id, field, what, done)
SELECT 'member', user_id || ' in ' || organization_id, '',
       format('is in its team %s, but not in the organization', team_id), 'became a member of the organization'
  FROM implied;

-- Keys. The fields of their rows become columns at once, because so many of them are read.

\echo progress 16 checking keys
CREATE TEMP TABLE asked_key ON COMMIT DROP AS
SELECT s.id,
       CASE WHEN s.id ~ '^[0-9a-f]{64}$' THEN s.id ELSE encode(sha256(convert_to(s.id, 'UTF8')), 'hex') END AS key_hash,
       t.team_id,
       CASE WHEN t.team_id IS NULL THEN o.organization_id ELSE nullif(t.organization_id, '') END AS organization_id,
       u.user_id,
       f.*
  FROM source s
 CROSS JOIN LATERAL (
       SELECT team_id AS asked_team, organization_id AS asked_organization, user_id AS asked_user,
              pg_temp.object(metadata) AS metadata, pg_temp.object(permissions) AS permissions,
              budget_id AS asked_budget, pg_temp.duration(budget_duration) AS budget_duration, budget_reset_at,
              key_name, key_alias, models, max_budget, model_max_budget, budget_limits, tpm_limit, rpm_limit,
              max_parallel_requests, expires, blocked, allowed_routes, aliases, config, router_settings, policies,
              access_group_ids, allowed_cache_controls, auto_rotate, created_by, created_at
         FROM jsonb_to_record(s.row) AS f (
              team_id text, organization_id text, user_id text, metadata jsonb, permissions jsonb, budget_duration text,
              key_name text, key_alias text, models jsonb, budget_id text, max_budget jsonb, model_max_budget jsonb,
              budget_limits jsonb, tpm_limit jsonb, rpm_limit jsonb, max_parallel_requests jsonb,
              budget_reset_at timestamptz, expires timestamptz, blocked boolean, allowed_routes jsonb, aliases jsonb,
              config jsonb, router_settings jsonb, policies jsonb, access_group_ids jsonb, allowed_cache_controls jsonb,
              auto_rotate boolean, created_by text, created_at timestamptz)) AS f
  LEFT JOIN new_team t ON t.team_id = f.asked_team
  LEFT JOIN new_organization o ON o.organization_id = f.asked_organization
  LEFT JOIN new_user u ON u.user_id = f.asked_user
 WHERE s.kind = 'key' AND f.asked_team IS DISTINCT FROM 'litellm-dashboard';
INSERT INTO problem (kind, id, field, what, done)
SELECT kind, pg_temp.name_of(kind, id, row), '', 'is a session of LiteLLM''s dashboard', 'left out'
  FROM source
 WHERE kind = 'key' AND row ->> 'team_id' = 'litellm-dashboard';
INSERT INTO problem (kind, id, field, what, done)
SELECT 'key', pg_temp.name_of_key(k.id, key_alias, key_name), p.field, p.what, p.done
  FROM asked_key k
 CROSS JOIN LATERAL (
       SELECT 'token' AS field, 'is not a SHA-256 digest' AS what, 'its digest is stored' AS done
        WHERE key_hash <> id
        UNION ALL
       SELECT 'team_id', 'names a team that does not exist: ' || asked_team, 'is blocked, and in no team'
        WHERE asked_team <> '' AND team_id IS NULL
        UNION ALL
       SELECT 'organization_id', 'names an organization that does not exist: ' || asked_organization,
              'is blocked, and in no organization'
        WHERE asked_organization <> '' AND organization_id IS NULL AND team_id IS NULL
        UNION ALL
       SELECT 'organization_id',
              format('is %s, but its team %s is in %s', asked_organization, team_id,
                     coalesce('organization ' || organization_id, 'no organization')), 'follows the team'
        WHERE asked_organization <> '' AND team_id IS NOT NULL AND organization_id IS DISTINCT FROM asked_organization
        UNION ALL
       SELECT 'user_id', 'names a user that does not exist: ' || asked_user, 'is nobody''s'
        WHERE asked_user <> '' AND user_id IS NULL
        UNION ALL
       SELECT 'permissions', format('has %s, which is no permission here', permission), 'left out'
         FROM jsonb_each(permissions) AS e (permission, value)
        WHERE jsonb_typeof(value) <> 'boolean' OR permission = 'usage'
        UNION ALL
       SELECT 'auto_rotate', 'is true', 'left out: nothing rotates keys here'
        WHERE auto_rotate) AS p
 WHERE key_hash <> id OR permissions <> '{}' OR auto_rotate
    OR (asked_team, asked_organization, asked_user) IS DISTINCT FROM (team_id, organization_id, user_id);
INSERT INTO problem (kind, id, field, what, done)
SELECT kind, pg_temp.name_of(kind, id, row), 'active_token_id', 'names a key that does not exist', 'left out'
  FROM source d
 WHERE kind = 'deprecated key'
   AND pg_temp.time(row -> 'revoke_at') > now()
   AND NOT EXISTS (SELECT FROM asked_key WHERE key_hash = d.row ->> 'active_token_id');

-- The former secrets of keys that were rotated: of each key the one that works longest.
CREATE TEMP TABLE former_secret ON COMMIT DROP AS
SELECT DISTINCT ON (key_hash) row ->> 'active_token_id' AS key_hash, id AS digest,
       pg_temp.time(row -> 'revoke_at') AS revoke_at
  FROM source
 WHERE kind = 'deprecated key' AND id ~ '^[0-9a-f]{64}$' AND pg_temp.time(row -> 'revoke_at') > now()
 ORDER BY key_hash, revoke_at DESC;
-- A key may be stored twice, as its secret and as its digest.
DELETE FROM asked_key k USING asked_key d WHERE k.key_hash <> k.id AND d.id = k.key_hash;
-- Fields of a key come before those of a budget that it is linked to, as in LiteLLM. Sorted by the owners, with which
-- most indexes of keys, of the audit log and of events begin: so they grow at one place, which is faster.
CREATE TEMP TABLE new_api_key ON COMMIT DROP AS
SELECT k.key_hash,
       coalesce(known.key_id, pg_temp.key_id(k.key_hash)) AS key_id,
       coalesce(nullif(k.key_name, ''), 'sk-...') AS key_name,
       k.key_alias, k.user_id, k.organization_id, k.team_id,
       pg_temp.texts(k.models) AS models,
       NULL::text AS budget_id,
       coalesce(pg_temp.amount(k.max_budget), b.max_budget) AS max_budget,
       coalesce(nullif(pg_temp.budgets_by_model(k.model_max_budget), '{}'), b.model_max_budget, '{}')
       AS model_max_budget,
       coalesce(pg_temp.count(k.tpm_limit), b.tpm_limit) AS tpm_limit,
       coalesce(pg_temp.count(k.rpm_limit), b.rpm_limit) AS rpm_limit,
       coalesce(pg_temp.count(k.max_parallel_requests), b.max_parallel_requests) AS max_parallel_requests,
       coalesce(k.budget_duration, b.budget_duration) AS budget_duration,
       CASE WHEN k.budget_duration IS NOT NULL THEN k.budget_reset_at ELSE b.budget_reset_at END AS budget_reset_at,
       k.expires,
       coalesce(k.blocked, false)
       OR k.team_id IS NULL
          AND (k.asked_team <> '' OR k.asked_organization <> '' AND k.organization_id IS NULL) IS TRUE AS blocked,
       k.metadata - '{tags,model_rpm_limit,model_tpm_limit}'::text[] AS metadata,
       CASE k.permissions WHEN '{}' THEN '{}'
            ELSE coalesce((SELECT jsonb_object_agg(permission, value)
                             FROM jsonb_each(k.permissions) AS p (permission, value)
                            WHERE jsonb_typeof(value) = 'boolean' AND permission <> 'usage'), '{}') END AS permissions,
       pg_temp.texts(k.allowed_routes) AS allowed_routes,
       pg_temp.object(k.aliases) AS aliases,
       pg_temp.texts(k.metadata -> 'tags') AS tags,
       pg_temp.set('config', pg_temp.object(k.config))
       || pg_temp.set('router_settings', pg_temp.object(k.router_settings))
       || pg_temp.set('policies', k.policies)
       || pg_temp.set('access_group_ids', k.access_group_ids)
       || pg_temp.set('allowed_cache_controls', k.allowed_cache_controls) AS kept,
       pg_temp.set('soft_budget', to_jsonb(b.soft_budget))
       || pg_temp.set('budget_limits', pg_temp.budget_list(k.budget_limits))
       || pg_temp.set('model_rpm_limit', pg_temp.counts_by_model(k.metadata -> 'model_rpm_limit'))
       || pg_temp.set('model_tpm_limit', pg_temp.counts_by_model(k.metadata -> 'model_tpm_limit')) AS short_limits,
       s.digest AS previous_key_hash,
       s.revoke_at AS previous_expires,
       k.created_by,
       coalesce(k.created_at, now()) AS created_at
  FROM asked_key k
  LEFT JOIN new_budget b ON b.budget_id = k.asked_budget
  LEFT JOIN former_secret s USING (key_hash)
  LEFT JOIN org.api_key known USING (key_hash)
 ORDER BY k.organization_id, k.team_id, k.key_hash;
CREATE UNIQUE INDEX ON new_api_key (key_hash);
ANALYZE new_api_key;

-- Customers are end users of the platform.

CREATE TEMP TABLE new_end_user ON COMMIT DROP AS
SELECT '' AS organization_id,
       s.id AS end_user_id,
       row ->> 'alias' AS alias,
       coalesce((row ->> 'blocked')::boolean, false) AS blocked,
       b.budget_id,
       pg_temp.set('allowed_model_region', row -> 'allowed_model_region')
       || pg_temp.set('default_model', row -> 'default_model') AS kept,
       coalesce(e.created_at, now()) AS created_at
  FROM source s
  LEFT JOIN new_budget b ON b.budget_id = row ->> 'budget_id'
  LEFT JOIN org.end_user e ON e.organization_id = '' AND e.end_user_id = s.id
 WHERE kind = 'customer';
CREATE UNIQUE INDEX ON new_end_user (end_user_id);
INSERT INTO problem (kind, id, field, what, done)
SELECT kind, id, '', 'is a tag with a budget or models of its own', 'left out: limits of tags are set on organizations'
  FROM source
 WHERE kind = 'tag' AND (row ->> 'budget_id' IS NOT NULL OR pg_temp.texts(row -> 'models') <> '{}');

-- A budget that nobody shares goes with its owner.
ALTER TABLE new_budget ADD auto_created boolean NOT NULL DEFAULT false;
UPDATE new_budget b
   SET auto_created = true
  FROM (SELECT budget_id
          FROM (SELECT budget_id FROM new_organization
                 UNION ALL
                SELECT budget_id FROM new_membership
                 UNION ALL
                SELECT budget_id FROM new_team_member
                 UNION ALL
                SELECT budget_id FROM new_end_user) AS used
         WHERE budget_id IS NOT NULL
         GROUP BY budget_id
        HAVING count(*) = 1) AS unshared
 WHERE unshared.budget_id = b.budget_id;

-- Writes what has changed and what is new. The columns are those of the temporary tables.

SELECT format('SELECT %L', format('progress %s writing %s', percent, kind)) AS progress,
       format('WITH changed AS (
                   UPDATE org.%2$I AS o SET %4$s FROM new_%2$s AS n
                    WHERE (%7$s) = (%8$s) AND (%5$s) IS DISTINCT FROM (%6$s)
                   RETURNING 1),
               added AS (
                   INSERT INTO org.%2$I (%3$s) SELECT %3$s FROM new_%2$s AS n
                    WHERE NOT EXISTS (SELECT FROM org.%2$I AS o WHERE (%7$s) = (%8$s))
                   RETURNING 1)
               INSERT INTO written (kind, added, changed)
               SELECT %1$L, (SELECT count(*) FROM added), (SELECT count(*) FROM changed)',
              kind, target, all_columns, changes, old_values, new_values, old_key, new_key) AS statement
  FROM (VALUES (1, 24, 'budgets', 'budget', '{budget_id}'),
               (2, 24, 'organizations', 'organization', '{organization_id}'),
               (3, 24, 'users', 'user', '{user_id}'),
               (4, 26, 'members of organizations', 'membership', '{organization_id,user_id}'),
               (5, 28, 'teams', 'team', '{organization_id,team_id}'),
               (6, 29, 'members of teams', 'team_member', '{organization_id,team_id,user_id}'),
               (7, 31, 'keys', 'api_key', '{key_hash}'),
               (8, 45, 'customers', 'end_user', '{organization_id,end_user_id}'))
       AS w (place, percent, kind, target, key)
 CROSS JOIN LATERAL (
       SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS all_columns,
              string_agg(format('%1$I = n.%1$I', attname), ', ' ORDER BY attnum) FILTER (WHERE changes) AS changes,
              string_agg(format('o.%I', attname), ', ' ORDER BY attnum) FILTER (WHERE changes) AS old_values,
              string_agg(format('n.%I', attname), ', ' ORDER BY attnum) FILTER (WHERE changes) AS new_values,
              string_agg(format('o.%I', attname), ', ' ORDER BY attnum) FILTER (WHERE identifies) AS old_key,
              string_agg(format('n.%I', attname), ', ' ORDER BY attnum) FILTER (WHERE identifies) AS new_key
         FROM pg_attribute
        CROSS JOIN LATERAL (
              SELECT attname <> 'created_at' AND attname <> ALL (key::text[]) AS changes,
                     attname = ANY (key::text[]) AS identifies) AS c
        WHERE attrelid = format('pg_temp.new_%s', target)::regclass AND attnum > 0 AND NOT attisdropped) AS columns
 ORDER BY place
\gexec

-- Spend. LiteLLM has a sum for each owner, since its last reset, and sums of each day by key and model. Here both
-- become sums of the ledger that were carried forward, as those of an archived partition: the days, and an opening
-- balance for what an owner has spent beyond them.

\echo progress 45 summing days
INSERT INTO problem (kind, id, field, what, done)
SELECT 'day of a ' || kind, pg_temp.name_of_day(owner_id, api_key), 'date', 'is ' || left(date, 100), 'left out'
  FROM told_day
 WHERE NOT pg_temp.is_day(date);
CREATE TEMP TABLE carried (
    organization_id text COLLATE "C", team_id text COLLATE "C", user_id text COLLATE "C", key_id text COLLATE "C",
    end_user text COLLATE "C", model text, requests bigint, failed_requests bigint, cost numeric, prompt_tokens bigint,
    completion_tokens bigint, cache_read_input_tokens bigint, cache_creation_input_tokens bigint, at timestamptz)
    ON COMMIT DROP;

-- The same calls are in the days of users and in those of teams; whichever says more is taken.
CREATE TEMP TABLE deleted_key ON COMMIT DROP AS
SELECT DISTINCT ON (key_hash) row ->> 'token' AS key_hash, row ->> 'team_id' AS team_id, row ->> 'user_id' AS user_id,
       row ->> 'key_alias' AS key_alias, pg_temp.time(row -> 'created_at') AS created_at,
       pg_temp.time(row -> 'deleted_at') AS deleted_at
  FROM source
 WHERE kind = 'deleted key'
 ORDER BY key_hash, deleted_at DESC;
WITH side AS (
    SELECT kind, api_key, date,
           coalesce(nullif(model, ''), nullif(model_group, ''), 'unknown') COLLATE "C" AS model_name,
           max(owner_id) FILTER (WHERE kind = 'user') AS user_id,
           max(owner_id) FILTER (WHERE kind = 'team') AS team_id,
           sum(coalesce(pg_temp.amount(spend), 0)) AS cost,
           sum(coalesce(pg_temp.count(api_requests), 0))::bigint AS requests,
           sum(coalesce(pg_temp.count(failed_requests), 0))::bigint AS failed_requests,
           sum(coalesce(pg_temp.count(prompt_tokens), 0))::bigint AS prompt_tokens,
           sum(coalesce(pg_temp.count(completion_tokens), 0))::bigint AS completion_tokens,
           sum(coalesce(pg_temp.count(cache_read_input_tokens), 0))::bigint AS cache_read_input_tokens,
           sum(coalesce(pg_temp.count(cache_creation_input_tokens), 0))::bigint AS cache_creation_input_tokens
      FROM told_day
     WHERE pg_temp.is_day(date)
     GROUP BY api_key, date, model_name, kind
), told AS (
    SELECT DISTINCT ON (api_key, date, model_name) *,
           max(user_id) OVER calls AS of_user, max(team_id) OVER calls AS of_team
      FROM side
    WINDOW calls AS (PARTITION BY api_key, date, model_name)
     ORDER BY api_key, date, model_name, cost DESC, requests DESC
)
INSERT INTO carried
SELECT coalesce(CASE WHEN k.key_id IS NULL THEN t.organization_id ELSE k.organization_id END, ''),
       coalesce(CASE WHEN k.key_id IS NULL THEN t.team_id ELSE k.team_id END, ''),
       coalesce(CASE WHEN k.key_id IS NULL THEN u.user_id ELSE k.user_id END, ''),
       coalesce(k.key_id, pg_temp.key_id(h.api_key)), '', h.model_name,
       greatest(h.requests, h.failed_requests), h.failed_requests, h.cost, h.prompt_tokens, h.completion_tokens,
       h.cache_read_input_tokens, h.cache_creation_input_tokens,
       CASE WHEN made.at::date = d.day THEN made.at ELSE d.day::timestamptz END
  FROM told h
 -- The 31st of a month of 30 days is no error, but the 1st of the next month.
 CROSS JOIN LATERAL (SELECT make_date(substr(h.date, 1, 4)::integer, substr(h.date, 6, 2)::integer, 1)
                            + (substr(h.date, 9, 2)::integer - 1) AS day) AS d
  LEFT JOIN new_api_key n ON n.key_hash = h.api_key
  LEFT JOIN org.api_key k ON k.key_hash = n.key_hash
  LEFT JOIN deleted_key g ON g.key_hash = h.api_key AND k.key_id IS NULL
  LEFT JOIN new_team t ON t.team_id = coalesce(g.team_id, h.of_team)
  LEFT JOIN new_user u ON u.user_id = coalesce(g.user_id, h.of_user)
 CROSS JOIN LATERAL (SELECT coalesce(k.created_at, g.created_at) AS at) AS made;
ANALYZE carried;
-- Reports name keys that were deleted.
INSERT INTO org.former_owner (kind, id, key_hash, organization_id, team_id, user_id, delegated, alias, deleted_at)
SELECT 'key', pg_temp.key_id(g.key_hash), g.key_hash, coalesce(t.organization_id, ''), coalesce(t.team_id, ''),
       coalesce(u.user_id, ''), false, g.key_alias, g.deleted_at
  FROM deleted_key g
  LEFT JOIN new_team t USING (team_id)
  LEFT JOIN new_user u USING (user_id)
 WHERE g.key_hash ~ '^[0-9a-f]{64}$'
   AND NOT EXISTS (SELECT FROM org.api_key k WHERE k.key_hash = g.key_hash)
    ON CONFLICT DO NOTHING;

-- Each owner with what LiteLLM says it has spent, and since when. Owners come after those whose calls count for them as
-- well. The columns that name it are those of usage_counter.
\echo progress 54 comparing spend
CREATE TEMP TABLE owner ON COMMIT DROP AS
SELECT w.level, w.kind, w.id, w.organization_id, w.team_id, w.user_id, w.key_id, w.end_user, w.created_at,
       coalesce(pg_temp.amount(s.row -> 'spend'), 0) AS spend,
       CASE WHEN w.budget_duration IS NULL THEN w.created_at
            ELSE greatest(w.created_at, pg_temp.period_start(w.budget_duration, w.budget_reset_at, w.created_at)) END
       AS since
  FROM (SELECT 1 AS level, 'key' AS kind, k.key_hash AS id, coalesce(k.organization_id, '') AS organization_id,
               coalesce(k.team_id, '') AS team_id, coalesce(k.user_id, '') AS user_id, k.key_id, '' AS end_user,
               k.created_at, k.budget_duration, k.budget_reset_at
          FROM org.api_key k
          JOIN new_api_key USING (key_hash)
         UNION ALL
        SELECT 2, 'team member', m.user_id || ' in ' || m.team_id, m.organization_id, m.team_id, m.user_id, '', '',
               m.created_at, b.budget_duration, b.budget_reset_at
          FROM org.team_member m
          JOIN new_team_member USING (organization_id, team_id, user_id)
          LEFT JOIN org.budget b ON b.budget_id = m.budget_id
         UNION ALL
        SELECT 3, 'team', t.team_id, t.organization_id, t.team_id, '', '', '', t.created_at, t.budget_duration,
               t.budget_reset_at
          FROM org.team t
          JOIN new_team USING (team_id)
         UNION ALL
        SELECT 4, 'member', m.user_id || ' in ' || m.organization_id, m.organization_id, '', m.user_id, '', '',
               m.created_at, b.budget_duration, b.budget_reset_at
          FROM org.membership m
          JOIN new_membership USING (organization_id, user_id)
          LEFT JOIN org.budget b ON b.budget_id = m.budget_id
         UNION ALL
        SELECT 5, 'user', u.user_id, '', '', u.user_id, '', '', u.created_at, u.budget_duration, u.budget_reset_at
          FROM org."user" u
          JOIN new_user USING (user_id)
         UNION ALL
        SELECT 6, 'organization', o.organization_id, o.organization_id, '', '', '', '', o.created_at,
               b.budget_duration, b.budget_reset_at
          FROM org.organization o
          JOIN new_organization USING (organization_id)
          JOIN org.budget b ON b.budget_id = o.budget_id
         UNION ALL
        SELECT 7, 'customer', e.end_user_id, '', '', '', '', e.end_user_id, e.created_at, b.budget_duration,
               b.budget_reset_at
          FROM org.end_user e
          JOIN new_end_user USING (organization_id, end_user_id)
          LEFT JOIN org.budget b ON b.budget_id = e.budget_id) AS w
  JOIN source s ON s.kind = w.kind AND s.id = w.id;
CREATE INDEX ON owner (level);
ANALYZE owner;

-- Makes what is carried for the owners of a level as much as they have spent. Arguments: their table, the condition for
-- a call c of the owner w, and that for its row x.
CREATE PROCEDURE pg_temp.balance(level_of integer, of_table text, is_of text, has_key text) LANGUAGE plpgsql AS $$
BEGIN
    -- Days since which no more is counted than LiteLLM says was spent: it has reset the sum, and kept the days.
    EXECUTE format($sql$
        WITH counted AS (
            SELECT w.id, w.spend, c.at, sum(sum(c.cost)) OVER (PARTITION BY w.id ORDER BY c.at DESC) AS since_then
              FROM owner w
              JOIN carried c ON %1$s
             WHERE w.level = %2$L AND c.at >= w.since
             GROUP BY w.id, w.spend, c.at
        ), over AS (
            SELECT id, max(since_then) AS told,
                   coalesce(min(at) FILTER (WHERE since_then <= spend + 0.000001),
                            max(at) + interval '1 microsecond') AS reset_at
              FROM counted
             GROUP BY id, spend
            HAVING max(since_then) > spend + 0.000001
        ), moved AS (
            UPDATE owner w
               SET since = over.reset_at
              FROM over
             WHERE w.level = %2$L AND w.id = over.id
            RETURNING w.*, over.told, over.reset_at
        ), marked AS (
            UPDATE org.%3$I x
               SET spend_reset_at = w.reset_at
              FROM moved w
             WHERE %4$s AND x.spend_reset_at IS DISTINCT FROM w.reset_at)
        INSERT INTO problem (kind, id, field, what, done)
        SELECT m.kind, pg_temp.name_of(m.kind, m.id, s.row), 'spend',
               format('is %%s, but its calls of the period cost %%s', trim_scale(m.spend),
                      trim_scale(round(m.told, 6))),
               'counts those since ' || reset_at::date || ', as after a reset'
          FROM moved m
          JOIN source s USING (kind, id)$sql$, is_of, level_of, of_table, has_key);
    EXECUTE format($sql$
        INSERT INTO carried
        SELECT w.organization_id, w.team_id, w.user_id, w.key_id, w.end_user, 'opening balance', 0, 0,
               w.spend - coalesce(c.cost, 0), 0, 0, 0, 0, w.since
          FROM owner w
          LEFT JOIN (SELECT w.id, sum(c.cost) AS cost
                       FROM owner w
                       JOIN carried c ON %1$s
                      WHERE w.level = %2$L AND c.at >= w.since
                      GROUP BY w.id) AS c ON c.id = w.id
         WHERE w.level = %2$L AND w.spend - coalesce(c.cost, 0) > 0.000001$sql$, is_of, level_of);
END $$;
CALL pg_temp.balance(1, 'api_key', 'c.key_id = w.key_id', 'x.key_id = w.key_id');
CALL pg_temp.balance(2, 'team_member', 'c.team_id = w.team_id AND c.user_id = w.user_id',
                     '(x.organization_id, x.team_id, x.user_id) = (w.organization_id, w.team_id, w.user_id)');
CALL pg_temp.balance(3, 'team', 'c.team_id = w.team_id', 'x.team_id = w.team_id');
-- LiteLLM does not count what members spend in their organization.
UPDATE owner w
   SET spend = greatest(w.spend, c.cost)
  FROM (SELECT w.id, sum(c.cost) AS cost
          FROM owner w
          JOIN carried c USING (organization_id, user_id)
         WHERE w.level = 4 AND c.at >= w.since
         GROUP BY w.id) AS c
 WHERE w.level = 4 AND w.id = c.id;
CALL pg_temp.balance(4, 'membership', 'c.organization_id = w.organization_id AND c.user_id = w.user_id',
                     'x.organization_id = w.organization_id AND x.user_id = w.user_id');
CALL pg_temp.balance(5, 'user', 'c.user_id = w.user_id', 'x.user_id = w.user_id');
CALL pg_temp.balance(6, 'organization', 'c.organization_id = w.organization_id',
                     'x.organization_id = w.organization_id');
CALL pg_temp.balance(7, 'end_user', 'c.end_user = w.end_user', 'x.organization_id = '''' AND x.end_user_id = w.id');

-- The sums of an import are those of a partition of its own, which ends after the last of them, and when no other does.
-- Only what has changed is written.

\echo progress 66 writing sums
SELECT coalesce((SELECT ends_at FROM org.usage_archive WHERE name = 'imported_from_litellm'), '-infinity') AS old_end,
       coalesce(date_trunc('day', max(at)), 'epoch') + interval '1 day 1 microsecond' AS new_end
  FROM carried \gset
INSERT INTO org.usage_archive (ends_at, name, filenode, archived_at)
SELECT :'new_end', 'imported_from_litellm', 0, now() WHERE :'new_end' <> :'old_end';
UPDATE org.usage_carried SET ends_at = :'new_end' WHERE ends_at = :'old_end' AND :'new_end' <> :'old_end';
DELETE FROM org.usage_archive WHERE ends_at = :'old_end' AND :'new_end' <> :'old_end';
CREATE TEMP TABLE change ON COMMIT DROP AS
WITH new AS (
    SELECT md5(jsonb_build_array(at, team_id, user_id, key_id, end_user, model)::text)::uuid AS digest,
           organization_id, team_id, user_id, key_id, end_user, model,
           sum(requests)::bigint AS requests, sum(failed_requests)::bigint AS failed_requests, sum(cost) AS cost,
           sum(prompt_tokens)::bigint AS prompt_tokens, sum(completion_tokens)::bigint AS completion_tokens,
           sum(cache_read_input_tokens)::bigint AS cache_read_input_tokens,
           sum(cache_creation_input_tokens)::bigint AS cache_creation_input_tokens, at
      FROM carried
     GROUP BY organization_id, team_id, user_id, key_id, end_user, model, at
), old AS (
    SELECT digest, organization_id, team_id, user_id, key_id, end_user, model, requests, failed_requests, cost,
           prompt_tokens, completion_tokens, cache_read_input_tokens, cache_creation_input_tokens,
           first_closed_at AS at
      FROM org.usage_carried
     WHERE ends_at = :'new_end'
)
SELECT side.*
  FROM old
  FULL JOIN new USING (organization_id, digest)
 CROSS JOIN LATERAL (
       SELECT -1 AS sign, old.* WHERE old.at IS NOT NULL
        UNION ALL
       SELECT 1, new.* WHERE new.at IS NOT NULL) AS side
 WHERE old IS DISTINCT FROM new;
ANALYZE change;
DELETE FROM org.usage_carried c
 USING change
 WHERE sign < 0 AND c.ends_at = :'new_end'
   AND c.organization_id = change.organization_id AND c.digest = change.digest;
INSERT INTO org.usage_carried (
       organization_id, ends_at, digest, day, team_id, user_id, key_id, end_user, delegated, model, tags, requests,
       failed_requests, cost, prompt_tokens, completion_tokens, cache_read_input_tokens, cache_creation_input_tokens,
       first_reserved_at, first_closed_at, last_closed_at)
SELECT organization_id, :'new_end', digest, at::date, team_id, user_id, key_id, end_user, false, model, '{}', requests,
       failed_requests, cost, prompt_tokens, completion_tokens, cache_read_input_tokens, cache_creation_input_tokens,
       at, at, at
  FROM change
 WHERE sign > 0
 ORDER BY organization_id, digest;
CREATE TEMP TABLE day ON COMMIT DROP AS
SELECT organization_id, at::date AS day, team_id, key_id, model COLLATE "C" AS model,
       sum(sign * cost) AS spend,
       sum(sign * prompt_tokens)::bigint AS prompt_tokens,
       sum(sign * completion_tokens)::bigint AS completion_tokens,
       sum(sign * cache_read_input_tokens)::bigint AS cache_read_input_tokens,
       sum(sign * cache_creation_input_tokens)::bigint AS cache_creation_input_tokens,
       sum(sign * (requests - failed_requests))::bigint AS successful_requests,
       sum(sign * failed_requests)::bigint AS failed_requests,
       min(at) AS first_reserved_at
  FROM change
 GROUP BY organization_id, at::date, team_id, key_id, model;
ANALYZE day;
WITH counted AS (
    UPDATE org.usage_daily o
       SET spend = o.spend + d.spend,
           prompt_tokens = o.prompt_tokens + d.prompt_tokens,
           completion_tokens = o.completion_tokens + d.completion_tokens,
           cache_read_input_tokens = o.cache_read_input_tokens + d.cache_read_input_tokens,
           cache_creation_input_tokens = o.cache_creation_input_tokens + d.cache_creation_input_tokens,
           successful_requests = o.successful_requests + d.successful_requests,
           failed_requests = o.failed_requests + d.failed_requests
      FROM day d
     WHERE (o.organization_id, o.day, o.team_id, o.key_id, o.model)
           = (d.organization_id, d.day, d.team_id, d.key_id, d.model)
    RETURNING o.organization_id, o.day, o.team_id, o.key_id, o.model)
INSERT INTO org.usage_daily (
       organization_id, day, team_id, key_id, model, spend, prompt_tokens, completion_tokens, cache_read_input_tokens,
       cache_creation_input_tokens, successful_requests, failed_requests, first_reserved_at)
SELECT organization_id, day, team_id, key_id, model, spend, prompt_tokens, completion_tokens, cache_read_input_tokens,
       cache_creation_input_tokens, successful_requests, failed_requests, first_reserved_at
  FROM day d
 WHERE NOT EXISTS (SELECT FROM counted c
                    WHERE (c.organization_id, c.day, c.team_id, c.key_id, c.model)
                          = (d.organization_id, d.day, d.team_id, d.key_id, d.model))
 ORDER BY organization_id, day, team_id, key_id, model;

-- What owners have spent: the calls that were made since they are there. Arguments: their table, and the condition for
-- a call c of the owner w.

\echo progress 86 charging owners
CREATE PROCEDURE pg_temp.charge(of_table text, is_of text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($sql$
        UPDATE org.%1$I w
           SET spend = w.spend + c.cost
          FROM (SELECT w.ctid AS place, sum(c.sign * c.cost) AS cost
                  FROM org.%1$I w
                  JOIN change c ON %2$s AND c.at >= w.created_at
                 GROUP BY w.ctid) AS c
         WHERE w.ctid = c.place AND c.cost <> 0$sql$, of_table, is_of);
END $$;
CALL pg_temp.charge('api_key', 'c.key_id = w.key_id AND c.organization_id = coalesce(w.organization_id, '''')');
CALL pg_temp.charge('team_member',
                    '(c.organization_id, c.team_id, c.user_id) = (w.organization_id, w.team_id, w.user_id)');
CALL pg_temp.charge('team', 'c.organization_id = w.organization_id AND c.team_id = w.team_id');
CALL pg_temp.charge('membership', 'c.organization_id = w.organization_id AND c.user_id = w.user_id');
CALL pg_temp.charge('user', 'c.user_id = w.user_id');
CALL pg_temp.charge('organization', 'c.organization_id = w.organization_id');
CALL pg_temp.charge('end_user', 'c.end_user = w.end_user_id AND w.organization_id IN ('''', c.organization_id)');
-- And by model. Arguments: the table, and the column that identifies its owners.
CREATE PROCEDURE pg_temp.charge_by_model(of_table text, id text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($sql$
        WITH changed AS (
            SELECT w.%2$I AS id, c.model, sum(c.sign * c.cost) AS cost
              FROM org.%1$I w
              JOIN change c ON c.%2$I = w.%2$I AND c.at >= w.created_at
             GROUP BY w.%2$I, c.model
        ), summed AS (
            SELECT id, model, sum(cost) AS cost
              FROM (SELECT * FROM changed
                     UNION ALL
                    SELECT w.%2$I, m.model, m.cost::numeric
                      FROM org.%1$I w
                     CROSS JOIN LATERAL jsonb_each_text(w.model_spend) AS m (model, cost)
                     WHERE w.%2$I IN (SELECT id FROM changed)) AS s
             GROUP BY id, model)
        UPDATE org.%1$I w
           SET model_spend = s.by_model
          FROM (SELECT id, coalesce(jsonb_object_agg(model, trim_scale(cost)) FILTER (WHERE cost > 0), '{}') AS by_model
                  FROM summed
                 GROUP BY id) AS s
         WHERE w.%2$I = s.id$sql$, of_table, id);
END $$;
CALL pg_temp.charge_by_model('organization', 'organization_id');
CALL pg_temp.charge_by_model('user', 'user_id');
-- Counters of these owners are made again when they are needed.
DELETE FROM org.usage_counter
 WHERE EXISTS (SELECT FROM change)
   AND (organization_id, team_id, user_id, key_id, end_user) IN (
       SELECT charged.*
         FROM change c
        CROSS JOIN LATERAL (
              VALUES (c.organization_id, '', '', '', ''),
                     (c.organization_id, c.team_id, '', '', ''),
                     (c.organization_id, '', c.user_id, '', ''),
                     (c.organization_id, c.team_id, c.user_id, '', ''),
                     ('', '', c.user_id, '', ''),
                     ('', '', '', '', c.end_user),
                     (c.organization_id, '', '', '', c.end_user),
                     (c.organization_id, '', '', c.key_id, '')) AS charged);
INSERT INTO written (kind, added, changed)
SELECT 'sums of spend', count(*) FILTER (WHERE sign > 0) - count(*) FILTER (WHERE sign < 0),
       least(count(*) FILTER (WHERE sign > 0), count(*) FILTER (WHERE sign < 0))
  FROM change;

-- The report.

SELECT json_build_object('kind', kind, 'added', added, 'changed', changed)
  FROM written
 ORDER BY place;
SELECT json_build_object('kind', kind, 'id', id, 'field', field, 'what', what, 'done', done)
  FROM problem
 ORDER BY kind, id, place;
SELECT CASE :'dry_run' WHEN 'yes' THEN 'ROLLBACK' ELSE 'COMMIT' END AS ending \gset
:ending;
\echo progress 100 done
