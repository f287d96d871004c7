-- limit_try: what would be over a limit if it was saved now. It changes nothing.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set usage :checkout /test/usage.sql
\i :usage

-- One line for each part over the limit, and one for the highest that is within it.
CREATE FUNCTION test.tried(reply json) RETURNS TABLE ("limit" text, value text, window_start text, resets_at text, at_once text, total text, over text, highest_within text) LANGUAGE sql AS $$
    WITH named AS (SELECT e ->> 'part' AS part, concat_ws(' ', coalesce(e ->> 'part', 'all'), e ->> 'spent', '+', e ->> 'held', 'leaves', e ->> 'remaining') AS shown, place
                     FROM (SELECT e, place FROM json_array_elements(reply -> 'over') WITH ORDINALITY AS o (e, place)
                            UNION ALL SELECT reply -> 'highest_within', 0 WHERE json_typeof(reply -> 'highest_within') = 'object') AS parts)
    SELECT reply ->> 'limit', reply ->> 'value', reply ->> 'window_start', reply ->> 'resets_at', reply ->> 'counts_at_once', reply ->> 'total',
           (SELECT string_agg(shown, ', ' ORDER BY place) FROM named WHERE place > 0), (SELECT shown FROM named WHERE place = 0)
$$;
-- Calls of two members, for three end users, with two models and tags; one is held, and the hold of another has expired.
CREATE PROCEDURE test.begin_with_calls() LANGUAGE plpgsql AS $$
BEGIN
    CALL begin_again();
    PERFORM user_new('bob', auto_create_key => false), org_member_add('acme', '{"role": "internal_user", "user_id": "bob"}'),
            team_member_add('red', '{"role": "user", "user_id": "bob"}'), key_generate('bob', 'acme', 'red', key => 'sk-bob'),
            key_generate(organization_id => 'acme', key => 'sk-acme'), key_generate('ann', key => 'sk-lone');
    CALL settle_in();
    PERFORM set_config('pg_org.now', '2030-05-31 23:00:00Z', false);
    PERFORM usage_record('sk-ann', 'openai/m', 40, end_user => 'one', prompt_tokens => 400, tags => '{t}');
    PERFORM set_config('pg_org.now', '2030-06-12 10:00:00Z', false);
    PERFORM usage_record('sk-ann', 'openai/m', 3, end_user => 'one', prompt_tokens => 30, tags => '{t,u}'), usage_record('sk-ann', 'n', 4, end_user => 'two', prompt_tokens => 40, tags => '{t}'),
            usage_record('sk-bob', 'openai/m', 5, end_user => 'two', prompt_tokens => 50), usage_record('sk-acme', 'n', 6, prompt_tokens => 60, end_user => 'three'), usage_record('sk-lone', 'n', 9),
            usage_reserve('sk-bob', 'openai/m', 2, request_id => 'held', max_tokens => 20, ttl_seconds => 86400, end_user => 'one', tags => '{u}'),
            usage_reserve('sk-bob', 'openai/m', 50, request_id => 'expired', max_tokens => 500, ttl_seconds => 60, end_user => 'one');
    PERFORM set_config('pg_org.now', '2030-06-12 11:00:00Z', false);
END $$;

-- What counts ---------------------------------------------------------------------------
CALL begin_with_calls();
CREATE TABLE test.before AS SELECT test.fingerprint();
SELECT reply(limit_try('{"limit": "cost", "value": 7, "per": "1d", "each": "end_user"}', 'acme'));
SELECT t.* FROM unnest('{cost,tokens,requests,parallel_requests}'::text[], '{10,100,3,1}'::int[], '{1d,1mo@Europe/Berlin,1h,NULL}'::text[]) AS l ("limit", value, per),
       tried(limit_try(json_strip_nulls(json_build_object('limit', "limit", 'value', value, 'per', per)), 'acme')) AS t;
SELECT each, t.over, t.highest_within FROM unnest('{model,tag,end_user,member,key,team}'::text[]) AS each,
       tried(limit_try(json_build_object('limit', 'cost', 'value', 9, 'per', '1d', 'each', each), 'acme')) AS t;
SELECT "limit", t.over, t.highest_within
  FROM json_array_elements('[{"model": "m"},{"model": "azure/m"},{"tag": "u"},{"each": "member", "model": "*m"},{"each": "tag", "tag": "u"},{"each": "end_user", "soft": true}]') AS "limit",
       tried(limit_try((jsonb '{"limit": "tokens", "value": 40, "per": "1d"}' || "limit"::text::jsonb)::json, 'acme')) AS t;
-- Each owner's calls are its own.
SELECT owner, t.* FROM (VALUES ('organization', 'acme', NULL, NULL, NULL, NULL), ('team', NULL, 'red', NULL, NULL, NULL), ('member', 'acme', NULL, 'ann', NULL, NULL),
    ('member of team', NULL, 'red', 'bob', NULL, NULL), ('user', NULL, NULL, 'ann', NULL, NULL), ('key', NULL, NULL, NULL, 'sk-ann', NULL)) AS o (owner, o, t, u, k, e),
       tried(limit_try('{"limit": "cost", "value": 8, "per": "1d", "each": "key"}', o, t, u, k, e)) AS t;
-- It changes nothing.
SELECT fingerprint = test.fingerprint() AS unchanged FROM test.before;
-- A raise counts until it ends; nothing over a limit of 0 but what has calls, and all together.
SELECT t.value, t.over FROM unnest('{2030-06-12T11:00:01Z,2030-06-12T11:00:00Z}'::text[]) AS until,
       tried(limit_try(json_build_object('limit', 'cost', 'value', 3, 'per', '1d', 'each', 'model', 'raise', json_build_object('amount', 9, 'until', until)), 'acme')) AS t;
SELECT t.total, t.over FROM json_array_elements('[{},{"each": "team"},{"model": "x"},{"model": "x", "each": "team"}]') AS "limit",
       tried(limit_try((jsonb '{"limit": "cost", "value": 0, "per": "1d"}' || "limit"::text::jsonb)::json, 'acme')) AS t;

-- Windows that begin with the limit -------------------------------------------------------
-- The reply shows what was spent in the last 2d, 30d and so on; the saved limit would not count it.
SELECT per, t.* FROM unnest('{2d,30d,1mo,2mo,NULL}'::text[]) AS per, tried(limit_try(json_strip_nulls(json_build_object('limit', 'cost', 'value', 30, 'per', per)), 'acme')) AS t;
SELECT per, t.* FROM unnest('{2d,30d,NULL}'::text[]) AS per, tried(limit_try(json_strip_nulls(json_build_object('limit', 'cost', 'value', 30, 'per', per, 'each', 'model')), 'acme')) AS t;
-- The same limit as before keeps its window, as if it was saved.
SET pg_org.now = '2030-06-12 10:30:00Z';
SELECT org_update('acme', limits => '[{"limit": "cost", "value": 30, "per": "30d"}, {"limit": "requests", "value": 9}]', max_budget => 100) \g /dev/null
SET pg_org.now = '2030-06-12 10:40:00Z';
SELECT usage_record('sk-acme', 'n', 7) \g /dev/null
SET pg_org.now = '2030-06-12 11:00:00Z';
SELECT t.* FROM json_array_elements('[{"limit": "cost", "value": 5, "per": "30d"},{"limit": "cost", "value": 5, "per": "30d", "soft": true},{"limit": "requests", "value": 1},{"limit": "requests", "value": 1, "each": "key"}]') AS "limit",
       tried(limit_try("limit", 'acme')) AS t;
-- A short form that says the same is in the way, as when it is saved.
SELECT attempt($$limit_try('{"limit": "cost", "value": 5}', 'acme')$$) AS tried, attempt($$org_update('acme', limits => '[{"limit": "cost", "value": 5}]')$$) AS saved;

-- The same as the counters say ------------------------------------------------------------
-- Saves a limit, and compares what counts against it for every part with the trial: with a deleted and made member, a reset and an exception.
CREATE FUNCTION test.differences(owner text, "limit" json, organization_id text DEFAULT NULL, team_id text DEFAULT NULL, user_id text DEFAULT NULL, key text DEFAULT NULL)
RETURNS TABLE (differs text, of_part text, tried text, counted text) LANGUAGE plpgsql AS $$
DECLARE
    trial json = limit_try("limit", organization_id, team_id, user_id, key);
    list json = json_build_array("limit");
BEGIN
    CASE owner WHEN 'organization' THEN PERFORM org_update('acme', limits => list);
               WHEN 'team' THEN PERFORM team_update('red', limits => list);
               WHEN 'member' THEN PERFORM org_member_update('acme', differences.user_id, limits => list);
               WHEN 'team_member' THEN PERFORM team_member_update('red', differences.user_id, limits => list);
               WHEN 'user' THEN PERFORM user_update(differences.user_id, limits => list);
               ELSE PERFORM key_update(differences.key, limits => list); END CASE;
    RETURN QUERY
    WITH counted AS (
        SELECT DISTINCT coalesce(l ->> 'part', '') AS part, concat_ws('+', l ->> 'spent', l ->> 'held') AS amounts
          FROM unnest('{sk-ann,sk-bob,sk-acme,sk-lone}'::text[]) AS k, unnest('{one,two,two,three}'::text[], '{openai/m,openai/m,n,n}'::text[]) AS call (e, m),
               json_array_elements(usage_limits(k, m, e, '{t,u}') -> 'limits') AS l
         WHERE l ->> 'owner' = differences.owner AND l ->> 'field' = 'limits' AND l ->> 'spent' IS NOT NULL
           AND (differences.user_id IS NULL OR split_part(l ->> 'id', '/', -1) = differences.user_id) AND (differences.key IS NULL OR l ->> 'id' = substr(differences.key, 4))),
    tried AS (
        SELECT coalesce(e ->> 'part', '') AS part, concat_ws('+', e ->> 'spent', e ->> 'held') AS amounts FROM json_array_elements(trial -> 'over') AS e)
    SELECT "limit"::text, coalesce(c.part, t.part), t.amounts, c.amounts FROM counted c FULL JOIN tried t ON t.part = c.part
     WHERE t.amounts IS DISTINCT FROM c.amounts AND NOT (t.amounts IS NULL AND c.amounts IN ('0.0+0.0', '0+0'));
END $$;
CALL begin_with_calls();
SELECT org_member_delete('acme', 'bob'), org_member_add('acme', '{"role": "internal_user", "user_id": "bob"}'), team_member_add('red', '{"role": "user", "user_id": "bob"}'),
       key_generate('bob', 'acme', 'red', key => 'sk-bob') \g /dev/null
UPDATE org.membership SET created_at = '2030-06-12 10:30:00Z' WHERE user_id = 'bob';
UPDATE org.team_member SET created_at = '2030-06-12 10:30:00Z' WHERE user_id = 'bob';
UPDATE org.api_key SET created_at = '2030-06-12 10:30:00Z', key_id = 'bob' WHERE user_id = 'bob';
SELECT usage_record('sk-bob', 'openai/m', 0.5, end_user => 'two', prompt_tokens => 5) \g /dev/null
SELECT limit_try('{"limit": "cost", "value": 0, "per": "1d", "each": "member"}', 'acme') -> 'over' AS members;
-- Each owner with each, and one of the limits in turn.
CREATE TABLE test.trial AS
SELECT o.*, limits[row_number() OVER (ORDER BY owner, u, each, more::text) % 6 + 1]::jsonb || CASE WHEN each = '' THEN '{}' ELSE jsonb_build_object('each', each) END || more::text::jsonb AS "limit"
  FROM (VALUES ('organization', 'acme', NULL, NULL, NULL), ('team', NULL, 'red', NULL, NULL), ('member', 'acme', NULL, 'ann', NULL), ('member', 'acme', NULL, 'bob', NULL), ('team_member', NULL, 'red', 'bob', NULL),
               ('user', NULL, NULL, 'ann', NULL), ('key', NULL, NULL, NULL, 'sk-bob')) AS o (owner, o, t, u, k),
       unnest('{"",model,tag,end_user,member,key,team}'::text[]) AS each, json_array_elements('[{},{"model": "m"},{"tag": "u"}]') AS more,
       (SELECT ARRAY['{"limit": "cost", "value": 0, "per": "1d"}', '{"limit": "cost", "value": 0, "per": "1mo"}', '{"limit": "tokens", "value": 0, "per": "1q@Europe/Berlin"}', '{"limit": "requests", "value": 0, "per": "1h"}',
                     '{"limit": "requests", "value": 0, "per": "1d", "soft": true}', '{"limit": "parallel_requests", "value": 0}'] AS limits) AS of_all;
SELECT count(*) AS trials FROM test.trial;
SELECT t.owner, d.* FROM test.trial AS t, differences(t.owner, t."limit"::json, t.o, t.t, t.u, t.k) AS d;
-- A limit that was reset, for one part and for all.
SELECT org_update('acme', limits => '[{"limit": "cost", "value": 1, "per": "1mo", "each": "end_user"}]') \g /dev/null
SET pg_org.now = '2030-06-12 10:30:00Z';
SELECT usage_reset('acme', "limit" => '{"limit": "cost", "per": "1mo", "each": "end_user"}', part => 'two') \g /dev/null
SET pg_org.now = '2030-06-12 11:00:00Z';
SELECT t.* FROM tried(limit_try('{"limit": "cost", "value": 1, "per": "1mo", "each": "end_user"}', 'acme')) AS t;
SELECT * FROM differences('organization', '{"limit": "cost", "value": 0, "per": "1mo", "each": "end_user"}', 'acme');
SELECT usage_reset('acme') \g /dev/null
SELECT t.window_start, t.over FROM tried(limit_try('{"limit": "cost", "value": 0, "per": "1mo", "each": "end_user"}', 'acme')) AS t;
-- Exceptions are left out.
CALL begin_with_calls();
SELECT org_member_update('acme', 'ann', limits => '[{"limit": "cost", "value": 99, "per": "1mo"}]'), key_update('sk-bob', limits => '[{"limit": "tokens", "value": 1}]'),
       customer_new('two', organization_id => 'acme', limits => '[{"limit": "cost", "value": 99, "model": "m"}]') \g /dev/null
SELECT "limit", t.over FROM json_array_elements('[{"each": "member"},{"each": "member", "limit": "tokens"},{"each": "key", "limit": "tokens"},{"each": "end_user"},{"each": "end_user", "model": "m"}]') AS "limit",
       tried(limit_try((jsonb '{"limit": "cost", "value": 0, "per": "1d"}' || "limit"::text::jsonb)::json, 'acme')) AS t;
-- Archived calls count, too. Other scripts need a ledger that reaches back for ever.
BEGIN;
SET LOCAL pg_org.now = '2095-01-10 00:00:00Z';
SELECT usage_record('sk-acme', 'n', 1) \g /dev/null
SET LOCAL pg_org.now = '2095-06-10 00:00:00Z';
SELECT limit_try('{"limit": "cost", "value": 0, "each": "key"}', 'acme')::text AS before \gset
SELECT json_array_length(usage_archive('2095-04-01Z') -> 'archived') > 0 AS archived;
SELECT count(*) AS calls FROM org.usage WHERE closed_at < '2031-01-01Z';
SELECT limit_try('{"limit": "cost", "value": 0, "each": "key"}', 'acme')::text = :'before' AS same;
ROLLBACK;

-- Many parts ------------------------------------------------------------------------------
-- At most the first hundred are listed.
SELECT count(usage_record('sk-acme', 'n', i, end_user => 'cust-' || i)) FROM generate_series(1, 150) AS i;
SELECT json_array_length(t -> 'over') AS listed, t ->> 'total' AS total, t -> 'over' -> 0 AS first, t -> 'over' -> 99 AS last, t -> 'highest_within' AS highest_within
  FROM limit_try('{"limit": "cost", "value": 10, "per": "1d", "each": "end_user"}', 'acme') AS t;

-- Refusals ----------------------------------------------------------------------------------
SELECT attempt(format('limit_try(%L, ''acme'')', "limit")) FROM (VALUES (NULL), ('null'), ('7'), ('[]'), ('{}'), ('{"limit": "money", "value": 1}'), ('{"limit": "cost"}'), ('{"limit": "cost", "value": -1}'),
    ('{"limit": "cost", "value": 1, "per": "0d"}'), ('{"limit": "parallel_requests", "value": 1, "per": "1d"}'), ('{"limit": "cost", "value": 1, "each": "cat"}'), ('{"limit": "cost", "value": 1, "part": "x"}')) AS t ("limit");
SELECT call, attempt(format('limit_try(''{"limit": "cost", "value": 1}''%s)', call)) FROM (VALUES (''), (', ''nowhere'''), (', team_id => ''unknown'''), (', ''acme'', user_id => ''nobody'''), (', user_id => ''nobody'''),
    (', key => ''sk-unknown'''), (', ''acme'', end_user => ''nobody'''), (', end_user => ''nobody'''), (', ''acme'', key => ''sk-lone'''), (', team_id => ''red'', key => ''sk-ann''')) AS t (call);
-- Trying a limit takes the same right as saving it.
SELECT user_new(id, auto_create_key => false) FROM unnest('{ada,zoe,vera}'::text[]) AS id \g /dev/null
SELECT user_update('vera', user_role => 'proxy_admin_viewer'), org_member_add('acme', '{"role": "org_admin", "user_id": "ada"}'), org_member_add('acme', '{"role": "internal_user", "user_id": "zoe"}'),
       team_member_add('red', '{"role": "admin", "user_id": "zoe"}'), customer_new('cust', organization_id => 'acme'), customer_new('cust') \g /dev/null
SELECT key_generate(id, key => 'sk-of-' || id) FROM unnest('{ada,zoe,vera,ann}'::text[]) AS id \g /dev/null
SELECT tried_for, caller, left(attempt(format('limit_try(''{"limit": "cost", "value": 1}'', %s, api_key => %L)', tried_for, caller)), 5) AS tries,
       left(trial(format('%s, limits => ''[{"limit": "cost", "value": 1}]'', api_key => %L)', saves, caller)), 5) AS saves
  FROM (VALUES ('''acme''', 'org_update(''acme'''), ('team_id => ''red''', 'team_update(''red'''), ('''acme'', user_id => ''ann''', 'org_member_update(''acme'', ''ann'''),
               ('team_id => ''red'', user_id => ''ann''', 'team_member_update(''red'', ''ann'''), ('user_id => ''ann''', 'user_update(''ann'''), ('key => ''sk-ann''', 'key_update(''sk-ann'''),
               ('''acme'', end_user => ''cust''', 'customer_update(''cust'', organization_id => ''acme'''), ('end_user => ''cust''', 'customer_update(''cust''')) AS t (tried_for, saves),
       unnest('{sk-of-ada,sk-of-zoe,sk-of-ann,sk-of-vera}'::text[]) AS caller;

RESET pg_org.now;
DROP TABLE test.before, test.trial;
DROP FUNCTION test.tried, test.differences;
DROP PROCEDURE test.begin_with_calls;
CALL clear();
