-- Activity: org_daily_activity reports what organizations spend day by day.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

SELECT org_new('Acme', 'acme'), org_new('Beta', 'beta'), org_new('Gamma', 'gamma') \g /dev/null
SELECT user_new(id, auto_create_key => false) FROM unnest('{ann, bob, eve, vera}'::text[]) AS id \g /dev/null
SELECT user_update('vera', user_role => 'proxy_admin_viewer') \g /dev/null
SELECT org_member_add('acme', '[{"role": "org_admin", "user_id": "ann"}, {"role": "internal_user", "user_id": "bob"}]'),
       org_member_add('beta', '[{"role": "org_admin", "user_id": "ann"}, {"role": "org_admin", "user_id": "eve"}]')
       \g /dev/null
SELECT team_new('acme', 'Team', 'team') \g /dev/null
SELECT key_generate(user_id, key => 'sk-' || user_id) FROM unnest('{ann, bob, eve, vera}'::text[]) AS user_id
       \g /dev/null
SELECT key_generate(organization_id => 'acme', team_id => 'team', key_alias => 'ci', key => 'sk-ci'),
       key_generate(organization_id => 'acme', key => 'sk-plain'),
       key_generate('ann', organization_id => 'acme', key => 'sk-ann-acme') \g /dev/null
UPDATE org.api_key SET key_id = 'k-ci' WHERE key_alias = 'ci';
UPDATE org.api_key SET key_id = 'k-plain' WHERE key_hash = encode(sha256('sk-plain'), 'hex');
UPDATE org.organization SET created_at = '2026-01-01Z';

CREATE FUNCTION test.spent(organization_id text, day date, team_id text, key_id text, model text, spend numeric,
                           prompt bigint DEFAULT 0, completion bigint DEFAULT 0, cache_read bigint DEFAULT 0,
                           cache_creation bigint DEFAULT 0, successful bigint DEFAULT 1, failed bigint DEFAULT 0)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO org.usage_daily VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
$$;
SELECT spent('acme', '2026-03-01', 'team', 'k-ci', 'openai/gpt-4o', 0.1, 10, 5, 3, 2, 7, 1),
       spent('acme', '2026-03-01', '', 'k-plain', 'openai/gpt-4o', 0.20, 1, 1),
       spent('acme', '2026-03-01', '', 'k-plain', 'claude-3', 1e-15),
       spent('acme', '2026-03-02', '', 'k-plain', 'claude-3', 3, failed => 2, successful => 0),
       spent('acme', '2026-03-04', '', 'k-gone', 'a/b/c', 4),
       spent('beta', '2026-03-02', '', 'k-beta', '/x', 5),
       spent('beta', '2026-03-02', '', 'k-beta', '"\ /' || E'\n', 6),
       spent('gone', '2026-03-03', 'team', 'k-ci-gone', 'openai/gpt-4o', 7),
       spent('', '2026-03-02', '', 'k-of-none', 'openai/gpt-4o', 100) \g /dev/null

-- This is the whole reply for a day on which one organization used one key for one model.
SELECT reply(org_daily_activity('{acme}', '2026-03-02', '2026-03-02')) \g (format=unaligned tuples_only=on)
-- A range without usage gives no days.
SELECT reply(org_daily_activity('{acme}', '2026-04-01', '2026-04-30')) \g (format=unaligned tuples_only=on)

-- Lists the days, newest first, each with its spend by model, provider, key and organization.
CREATE FUNCTION test.spend(buckets json) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s=%s', key, value -> 'metrics' -> 'spend'), ' ' ORDER BY place)
      FROM json_each(buckets) WITH ORDINALITY AS b (key, value, place)
$$;
CREATE FUNCTION test.days(reply json) RETURNS TABLE (date text, spend text, models text, providers text, keys text,
                                                     entities text)
LANGUAGE sql AS $$
    SELECT day ->> 'date', day -> 'metrics' ->> 'spend', spend(day -> 'breakdown' -> 'models'),
           spend(day -> 'breakdown' -> 'providers'), spend(day -> 'breakdown' -> 'api_keys'),
           spend(day -> 'breakdown' -> 'entities')
      FROM json_array_elements(reply -> 'results') WITH ORDINALITY AS d (day, place) ORDER BY place
$$;
-- Without a filter all organizations count, also a deleted one; keys outside organizations do not.
SELECT * FROM days(org_daily_activity(start_date => '2026-03-01', end_date => '2026-03-31'));
-- The range includes both its first and its last day.
SELECT date FROM days(org_daily_activity(start_date => '2026-03-02', end_date => '2026-03-03'));
SELECT date FROM days(org_daily_activity(start_date => '0001-01-01', end_date => '9999-12-31'));
-- A list of organizations restricts the report to them.
SELECT ids, (SELECT string_agg(date || ' ' || entities, ', ')
               FROM days(org_daily_activity(ids, '2026-03-01', '2026-03-31'))) AS days
  FROM (VALUES ('{acme}'::text[]), ('{acme,beta}'), ('{beta,acme,acme}'), ('{gone}'), ('{}')) AS lists (ids);
SELECT ids, attempt(format('org_daily_activity(%L, %L, %L)', ids, '2026-03-01', '2026-03-31'))
  FROM (VALUES ('{nowhere}'), ('{acme,nowhere}'), ('{ACME}'), ('{"acme,beta"}'), ('{""}')) AS lists (ids);
-- A model filters by the name that was called; a key filters by its secret or token_id, also after it is deleted.
SELECT model, (SELECT string_agg(date || ' ' || spend, ', ')
                 FROM days(org_daily_activity(NULL, '2026-03-01', '2026-03-31', model))) AS days
  FROM unnest('{openai/gpt-4o, gpt-4o, claude-3, openai, /x, ""}'::text[]) AS model;
SELECT key, (SELECT string_agg(date || ' ' || keys, ', ')
               FROM days(org_daily_activity(NULL, '2026-03-01', '2026-03-31', key => key))) AS days
  FROM unnest(ARRAY['k-plain', 'sk-plain', 'k-gone', 'sk-unknown', encode(sha256('sk-plain'), 'hex'), '']) AS key;
SELECT * FROM days(org_daily_activity('{acme}', '2026-03-01', '2026-03-31', 'claude-3', 'k-plain'));

-- The parts of a day add up to the day, and the days of a page add up to the page's totals.
CREATE FUNCTION test.adds_up(parts json, metrics json) RETURNS boolean LANGUAGE sql AS $$
    SELECT bool_and(whole::numeric = (SELECT sum((part -> 'metrics' ->> metric)::numeric)
                                        FROM json_each(parts) AS p (name, part)))
      FROM json_each_text(metrics) AS m (metric, whole)
$$;
SELECT breakdown, bool_and(adds_up(day -> 'breakdown' -> breakdown, day -> 'metrics')) AS adds_up,
       bool_and(adds_up(part -> 'api_key_breakdown', part -> 'metrics')) AS by_key
  FROM json_array_elements(org_daily_activity(NULL, '2026-03-01', '2026-03-31') -> 'results') AS day,
       unnest('{models, model_groups, providers, api_keys, entities}'::text[]) WITH ORDINALITY AS b (breakdown, place),
       json_each(day -> 'breakdown' -> breakdown) AS p (name, part)
 GROUP BY breakdown, place ORDER BY place;
SELECT page, metric
  FROM generate_series(1, 2) AS page, org_daily_activity(NULL, '2026-03-01', '2026-03-31', page => page, page_size => 3)
       AS reply, json_object_keys(reply -> 'results' -> 0 -> 'metrics') AS metric
 WHERE (reply -> 'metadata' ->> ('total_' || replace(metric, 'total_', '')))::numeric
       IS DISTINCT FROM (SELECT sum((day -> 'metrics' ->> metric)::numeric)
                           FROM json_array_elements(reply -> 'results') AS day);

-- A page has whole days, and each day is on one page.
SELECT page_size, asked, (SELECT string_agg(date, ' ') FROM days(reply)) AS days,
       reply -> 'metadata' -> 'page' AS page, reply -> 'metadata' -> 'total_pages' AS total_pages,
       reply -> 'metadata' -> 'has_more' AS has_more, reply -> 'metadata' -> 'total_spend' AS spend
  FROM (VALUES (1, 1), (1, 4), (1, 5), (3, 1), (3, 2), (3, 3), (4, 1), (4, 2), (1000, 1), (1000, 9223372036854775807),
               (NULL, NULL)) AS t (page_size, asked),
       org_daily_activity(NULL, '2026-03-01', '2026-03-31', page => asked, page_size => page_size) AS reply;

-- Calls count immediately, on the day on which they are settled.
SET pg_org.now = '2026-06-30 23:59:59.999999+00';
SELECT usage_record('sk-ci', 'openai/gpt-4o', 0.5, 'first', 30, 4, 2, 1),
       usage_record('sk-ci', 'openai/gpt-4o', 0.25, 'second', failed => true),
       usage_reserve('sk-ci', 'openai/gpt-4o', 1, request_id => 'third'),
       usage_reserve('sk-ci', 'openai/gpt-4o', 1, request_id => 'fourth') \g /dev/null
SET pg_org.now = '2026-07-01 00:00:00+00';
SELECT usage_settle(2, 'third'), usage_cancel('fourth') \g /dev/null
RESET pg_org.now;
SELECT day -> 'date' AS date, day -> 'metrics' AS metrics
  FROM json_array_elements(org_daily_activity('{acme}', '2026-06-01', '2026-07-31', key => 'sk-ci') -> 'results') AS day;

-- These arguments are refused.
SELECT call, attempt(format('org_daily_activity(%s)', call)) FROM (VALUES
    ($$$$),
    ($$start_date => '2026-03-01'$$),
    ($$end_date => '2026-03-01'$$),
    ($$start_date => '', end_date => ''$$),
    ($$start_date => '2026-03-03', end_date => '2026-03-02'$$),
    ($$'{NULL}', '2026-03-01', '2026-03-31'$$),
    ($$'{acme}', '2026-03-01', '2026-03-31', page => 0$$),
    ($$'{acme}', '2026-03-01', '2026-03-31', page => -1$$),
    ($$'{acme}', '2026-03-01', '2026-03-31', page_size => 0$$),
    ($$'{acme}', '2026-03-01', '2026-03-31', page_size => 1001$$)) AS t (call);
SELECT date, attempt(format('org_daily_activity(start_date => %L, end_date => %L)', date, '9999-12-31')) AS start_date,
       attempt(format('org_daily_activity(start_date => %L, end_date => %L)', '0001-01-01', date)) AS end_date
  FROM unnest('{2026-02-28, 2026-02-29, 2024-02-29, 1900-02-29, 2000-02-29, 2026-00-01, 2026-13-01, 2026-01-00,
                2026-04-31, 2026-12-31, 0000-01-01, 2026-3-1, 20260301, 2026/03/01, 2026-03-01T00:00:00Z, " 2026-03-01",
                2026-03-011, today, infinity, -026-01-01, 2026-+3-01, ٢٠٢٦-٠٣-٠١}'::text[]) AS date;
SET datestyle = 'German, DMY';
SELECT string_agg(date, ' ') AS days FROM days(org_daily_activity('{acme}', '2026-03-01', '2026-03-04'));
RESET datestyle;

-- Proxy admins and viewers see everything; an organization's admins see their organizations.
CREATE FUNCTION test.seen(organization_ids text[]) RETURNS TABLE (key text, seen text) LANGUAGE sql AS $$
    SELECT key, CASE attempt(call) WHEN 'ok' THEN
                (SELECT string_agg(date || ' ' || entities, ', ')
                   FROM days(org_daily_activity(organization_ids, '2026-03-01', '2026-03-31', api_key => key)))
                ELSE attempt(call) END
      FROM unnest('{sk-vera, sk-ann, sk-eve, sk-ann-acme, sk-bob, sk-ci}'::text[]) AS key,
           format('org_daily_activity(%L, %L, %L, api_key => %L)', organization_ids, '2026-03-01', '2026-03-31', key)
           AS call
$$;
SELECT * FROM seen(NULL);
SELECT * FROM seen('{acme}');
SELECT * FROM seen('{acme,beta}');
SELECT * FROM seen('{nowhere}');
-- An organization with a reused identifier does not see what its predecessor spent.
UPDATE org.organization SET created_at = '2026-03-02T12:00Z' WHERE organization_id = 'acme';
DELETE FROM org.api_key WHERE key_id = 'k-plain';
SELECT spent('acme', '2026-03-02', '', 'k-gone', 'old', 50), spent('acme', '2026-03-02', 'team', 'k-ci', 'new', 60)
       \g /dev/null
SELECT * FROM seen('{acme}');

-- Names of deleted keys and organizations are gone, but their spend stays; a total out of range is an error.
SELECT key, day -> 'breakdown' -> 'api_keys' -> key -> 'metadata' AS key_metadata,
       day -> 'breakdown' -> 'entities' -> 'gone' -> 'metadata' AS metadata
  FROM json_array_elements(org_daily_activity('{gone}', '2026-03-03', '2026-03-03') -> 'results') AS day,
       json_object_keys(day -> 'breakdown' -> 'api_keys') AS key;
SELECT spent('acme', '2026-03-05', '', key, 'm', 1, prompt => 9223372036854775807) FROM unnest('{a, b}'::text[]) AS key
       \g /dev/null
SELECT attempt($$org_daily_activity('{acme}', '2026-03-05', '2026-03-05')$$);

DROP FUNCTION test.seen, test.adds_up, test.days, test.spend, test.spent;
CALL clear();
