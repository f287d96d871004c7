-- Lists in pages: by number with totals, and by cursor.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
-- Changes of totals are added up at random: each time at the same places.
SELECT setseed(0.5) \g /dev/null

-- One of each list, in a transaction of its own, so that each has its own time of creation.
SELECT org_new('Acme', 'acme') \g /dev/null
SELECT org_new('Beta', 'beta') \g /dev/null
SELECT user_new('ada', 'ada@acme.example', 'Ada', auto_create_key => false) \g /dev/null
SELECT user_new('ben', 'ben@beta.example', 'Ben', auto_create_key => false, sso_user_id => 'sso') \g /dev/null
SELECT user_new('cleo', 'cleo@acme.example', auto_create_key => false, user_role => 'proxy_admin_viewer') \g /dev/null
SELECT org_member_add('acme', '[{"role": "org_admin", "user_id": "ada"}, {"role": "internal_user", "user_id": "cleo"}]'),
       org_member_add('beta', '{"role": "internal_user", "user_id": "ben"}') \g /dev/null
SELECT team_new('acme', 'Red', 'red', members_with_roles => '[{"role": "admin", "user_id": "cleo"}]') \g /dev/null
SELECT team_new('beta', 'Blue', 'blue', members_with_roles => '[{"role": "admin", "user_id": "ben"}]') \g /dev/null
SELECT team_new('beta', 'Grey', 'grey', members_with_roles => '[{"role": "user", "user_id": "ben"}]') \g /dev/null
SELECT key_generate('default_user_id', key => 'sk-admin', key_alias => 'alpha') \g /dev/null
SELECT key_generate('ada', key => 'sk-ada', key_alias => 'beta') \g /dev/null
SELECT key_generate('ben', key => 'sk-ben', key_alias => 'gamma') \g /dev/null
SELECT key_generate(organization_id => 'acme', key => 'sk-acme', key_alias => 'delta', max_budget => 3) \g /dev/null
SELECT key_generate(organization_id => 'acme', team_id => 'red', key => 'sk-red', key_alias => 'epsilon', max_budget => 2) \g /dev/null
SELECT key_generate(organization_id => 'beta', team_id => 'blue', key => 'sk-blue', key_alias => 'iota', max_budget => 1) \g /dev/null
SELECT key_generate(organization_id => 'beta', team_id => 'grey', user_id => 'ben', key => 'sk-grey', key_alias => 'zeta') \g /dev/null
SELECT key_generate(organization_id => 'beta', team_id => 'grey', key => 'sk-grey-too') \g /dev/null

-- The keys of a list by what follows sk- in their secrets.
CREATE FUNCTION test.secrets(list json) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg((SELECT secret FROM unnest('{admin,ada,ben,acme,red,blue,grey,grey-too}'::text[]) AS secret, org.api_key
                        WHERE key_hash = encode(sha256(('sk-' || secret)::bytea), 'hex')
                          AND key_id = coalesce(e ->> 'token_id', e #>> '{}')), ' ')
      FROM json_array_elements(list -> 'keys') AS e
$$;
CREATE FUNCTION test.ids(elements json) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(coalesce(e ->> 'team_id', e ->> 'user_id'), ' ') FROM json_array_elements(elements) AS e
$$;
-- What a list says beside its elements.
CREATE FUNCTION test.about(list json) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(key || ' ' || coalesce(value #>> '{}', 'null'), ', ')
      FROM json_each(list) WHERE key NOT IN ('keys', 'users', 'teams', 'aliases')
$$;

-- key_list by number ------------------------------------------------------------
SELECT page, secrets(list), about(list)
  FROM unnest('{1,2,3,4,9223372036854775807}'::bigint[]) AS page, key_list(page, 3) AS list;
SELECT about(key_list()) AS by_default, json_array_length(key_list(size => 1000) -> 'keys') AS on_largest;
-- Tokens, whole keys, and keys with their users.
SELECT key_list(size => 1) #> '{keys,0}' #>> '{}' = (key_list(size => 1, return_full_object => true) #>> '{keys,0,token_id}')
       AS token_of_key;
SELECT reply(key_list(key_alias => 'gamma', expand => '{user}')) \g (format=unaligned tuples_only=on)
SELECT k ->> 'key_alias' AS key, k -> 'user' AS user
  FROM json_array_elements(key_list(expand => '{user}', sort_by => 'key_alias', sort_order => 'asc') -> 'keys') AS k;
-- An admin of Acme does not see who the users of other organizations' keys are, not even if such a key is Acme's.
SELECT key_generate('ben', 'acme', key => 'sk-ben-acme') \g /dev/null
SELECT k ->> 'user_id' AS user_id, k -> 'user' AS user
  FROM json_array_elements(key_list(user_id => 'ben', expand => '{user}', api_key => 'sk-ada') -> 'keys') AS k;
SELECT key_delete('{sk-ben-acme}') \g /dev/null
-- Each filter.
SELECT filter, secrets(list), list ->> 'total_count' AS total_count FROM (VALUES
    ('organization_id', key_list(organization_id => 'beta')), ('no such', key_list(organization_id => 'nowhere')),
    ('team_id', key_list(team_id => 'grey')), ('user_id', key_list(user_id => 'ben')),
    ('key_alias', key_list(key_alias => 'iota')), ('no such', key_list(key_alias => 'Iota')),
    ('key_hash', key_list(key_hash => (SELECT key_id FROM org.api_key WHERE key_alias = 'iota'))),
    ('no secret', key_list(key_hash => 'sk-blue')),
    ('no digest', key_list(key_hash => encode(sha256('sk-blue'), 'hex'))),
    ('several', key_list(organization_id => 'beta', team_id => 'grey', user_id => 'ben')),
    ('those made, too', key_list(user_id => 'default_user_id', include_created_by_keys => true)),
    ('without', key_list(user_id => 'default_user_id')),
    ('in pages', key_list(2, 2, organization_id => 'beta'))) AS t (filter, list);
-- Each order, both ways.
SELECT sort_by, secrets(key_list(sort_by => sort_by)) AS by_default, secrets(key_list(sort_by => sort_by, sort_order => 'asc'))
       AS ascending, secrets(key_list(3, 3, sort_by => sort_by, sort_order => 'asc')) AS last_page
  FROM unnest('{created_at,key_alias}'::text[]) AS sort_by;
SELECT secrets(key_list(size => 3, sort_by => 'max_budget', sort_order => 'asc')) AS ascending,
       secrets(key_list(6, 1, sort_by => 'max_budget')) || ' ' || secrets(key_list(4, 2, sort_by => 'max_budget')) AS descending;
UPDATE org.api_key SET spend = 5, updated_at = now() WHERE key_alias = 'delta';
SELECT sort_by, split_part(secrets(key_list(sort_by => sort_by, sort_order => 'desc')), ' ', 1) AS first
  FROM unnest('{spend,updated_at}'::text[]) AS sort_by;
UPDATE org.api_key SET spend = 0;
SELECT (SELECT string_agg(k #>> '{}', ' ') FROM json_array_elements(key_list(sort_by => 'token') -> 'keys') AS k)
       = (SELECT string_agg(key_id, ' ' ORDER BY key_id DESC) FROM org.api_key) AS by_token;
SELECT attempt($$key_list(sort_by => '', sort_order => '')$$) AS not_chosen;
-- Each caller gets the elements that they may see, and the total of those.
SELECT key, organization_id, secrets(list), list ->> 'total_count' AS total_count,
       secrets(key_list(organization_id => organization_id, include_team_keys => true, api_key => 'sk-' || key)) AS with_teams
  FROM unnest('{admin,ada,ben,acme,red}'::text[]) AS key, unnest('{NULL,acme,beta}'::text[]) AS organization_id,
       key_list(organization_id => organization_id, api_key => 'sk-' || key) AS list;
-- These requests are refused.
SELECT call, attempt(call) FROM unnest(ARRAY[
    $$key_list(page => 0)$$, $$key_list(page => -1)$$, $$key_list(size => 0)$$, $$key_list(size => 1001)$$,
    $$key_list(sort_by => 'key_hash')$$, $$key_list(sort_order => 'up')$$, $$key_list(expand => '{team}')$$,
    $$key_list(expand => '{user,team}')$$, $$key_list(expand => '{NULL}')$$,
    $$key_list(page => 1, "limit" => 1)$$, $$key_list(size => 1, after => 'x')$$,
    $$key_list(sort_by => 'spend', "limit" => 1)$$, $$key_list(sort_order => 'asc', "limit" => 1)$$,
    $$key_list("limit" => 0)$$, $$key_list(after => 'x')$$, $$key_list(after => '')$$]) AS call;

-- user_list by number -----------------------------------------------------------
SELECT page, ids(list -> 'users'), about(list) FROM generate_series(1, 3) AS page, user_list(page, 3) AS list;
SELECT about(user_list()) AS by_default;
SELECT filter, ids(list -> 'users'), list ->> 'total' AS total FROM (VALUES
    ('role', user_list(role => 'proxy_admin_viewer')), ('user_role', user_list(user_role => 'proxy_admin_viewer')),
    ('user_email', user_list(user_email => 'ACME')), ('user_id', user_list(user_id => 'ada')),
    ('user_ids', user_list(user_ids => '{ada,ben,nobody}')), ('none of them', user_list(user_ids => '{}')),
    ('both', user_list(user_id => 'ada', user_ids => '{ben}')), ('organization_id', user_list(organization_id => 'acme')),
    ('team', user_list(team => 'grey')), ('team_id', user_list(team_id => 'grey')),
    ('several', user_list(team => 'red', organization_id => 'acme', role => 'proxy_admin_viewer'))) AS t (filter, list);
SELECT sort_by, ids(user_list(sort_by => sort_by) -> 'users') AS by_default,
       ids(user_list(sort_by => sort_by, sort_order => 'desc') -> 'users') AS descending
  FROM unnest('{created_at,user_id,user_email,user_alias}'::text[]) AS sort_by;
UPDATE org."user" SET spend = 5 WHERE user_id = 'ben';
SELECT sort_by, split_part(ids(user_list(sort_by => sort_by, sort_order => 'desc') -> 'users'), ' ', 1) AS first
  FROM unnest('{spend,user_role}'::text[]) AS sort_by;
-- An admin of an organization does not learn from the order what users spend or are elsewhere, or since when.
SELECT ids(user_list(sort_by => sort_by, api_key => 'sk-ada') -> 'users') AS users
  FROM unnest('{spend,user_role,created_at}'::text[]) AS sort_by;
SELECT user_list("limit" => 1, api_key => 'sk-ada') ->> 'next' AS next \gset
SELECT CASE WHEN :'next' ~ '^1970-01-01T' THEN 'no time' ELSE 'the time' END AS told,
       ids(user_list(after => :'next', api_key => 'sk-ada') -> 'users') AS next_page;
SELECT caller, ids(list -> 'users') AS users, list ->> 'total' AS total
  FROM unnest('{admin,ada,ben,acme}'::text[]) AS caller, user_list(api_key => 'sk-' || caller) AS list;
SELECT call, attempt(call) FROM unnest(ARRAY[
    $$user_list(page_size => 1001)$$, $$user_list(page => 0)$$, $$user_list(sort_by => 'password')$$,
    $$user_list(role => 'proxy_admin', user_role => 'internal_user')$$, $$user_list(role => 'internal_user', user_role => 'internal_user')$$,
    $$user_list(user_role => 'king')$$, $$user_list(team => 'red', team_id => 'blue')$$,
    $$user_list(page_size => 1, "limit" => 1)$$]) AS call;

-- team_list_v2, and what rows of team lists carry ---------------------------------
SELECT page, ids(list -> 'teams'), about(list) FROM generate_series(1, 3) AS page, team_list_v2(page, 2) AS list;
SELECT filter, ids(list -> 'teams'), list ->> 'total' AS total FROM (VALUES
    ('team_id', team_list_v2(team_id => 'red')), ('team_alias', team_list_v2(team_alias => 'RE')),
    ('organization_id', team_list_v2(organization_id => 'beta')), ('user_id', team_list_v2(user_id => 'cleo')),
    ('several', team_list_v2(organization_id => 'beta', user_id => 'cleo'))) AS t (filter, list);
SELECT sort_by, ids(team_list_v2(sort_by => sort_by) -> 'teams') AS by_default,
       ids(team_list_v2(sort_by => sort_by, sort_order => 'desc') -> 'teams') AS descending
  FROM unnest('{created_at,team_id,team_alias}'::text[]) AS sort_by;
SELECT attempt($$team_list_v2(sort_by => 'spend')$$) AS by_spend, attempt($$team_list_v2(sort_by => 'max_budget')$$) AS by_budget,
       attempt($$team_list_v2(sort_by => 'updated_at')$$) AS by_change, attempt($$team_list_v2(sort_by => 'models')$$) AS by_models,
       attempt($$team_list_v2(page_size => 0)$$) AS no_size, attempt($$team_list_v2(page => 1, "limit" => 1)$$) AS both;
SELECT reply(team_list_v2(team_id => 'grey', api_key => 'sk-ben')) \g (format=unaligned tuples_only=on)
-- The same rows as in the bare list; of keys, members see their own, and a team's admin all of the team.
SELECT caller, (list -> 'teams')::text = team_list(api_key => 'sk-' || caller)::text AS same,
       (SELECT string_agg(format('%s: %s keys, %s memberships', t ->> 'team_id', json_array_length(t -> 'keys'),
                                 json_array_length(t -> 'team_memberships')), '; ')
          FROM json_array_elements(list -> 'teams') AS t) AS teams
  FROM unnest('{admin,ada,ben,acme}'::text[]) AS caller,
       team_list_v2(sort_by => 'created_at', api_key => 'sk-' || caller) AS list;

-- key_aliases --------------------------------------------------------------------
SELECT key_aliases() AS all, key_aliases(2, 2) AS second, key_aliases(9) AS beyond, key_aliases(search => 'BE') AS found,
       key_aliases(api_key => 'sk-ada') AS of_acme, key_aliases(api_key => 'sk-ben') AS own \gx
SELECT attempt($$key_aliases(page => 0)$$) AS no_page, attempt($$key_aliases(size => 1001)$$) AS too_many;

-- By cursor, past elements that are deleted ---------------------------------------
CREATE TABLE test.page (place serial, page text);
CREATE PROCEDURE test.read_keys() LANGUAGE plpgsql AS $$
DECLARE
    list   json := key_list("limit" => 3);
    last   text;
BEGIN
    LOOP
        INSERT INTO test.page (page) VALUES (test.secrets(list) || '; ' || masked(test.about(list)));
        EXIT WHEN list ->> 'next' IS NULL;
        last := list #>> '{keys,2}';
        PERFORM key_delete(ARRAY[last]);
        list := key_list("limit" => 3, after => list ->> 'next');
    END LOOP;
END $$;
CALL test.read_keys();
SELECT page FROM test.page ORDER BY place;
-- A token_id alone works while the key exists.
SELECT secrets(key_list(after => (SELECT key_id FROM org.api_key WHERE key_alias = 'beta'))) AS after_ada,
       secrets(key_list(after => (SELECT key_id FROM org.api_key WHERE key_alias = 'beta'), api_key => 'sk-ada')) AS for_her,
       attempt(format('key_list(after => %L, api_key => %L)', (SELECT key_id FROM org.api_key WHERE key_alias = 'alpha'), 'sk-ada'))
           AS not_hers;
-- The other lists.
SELECT org_list("limit" => 1) -> 0 AS o, team_list("limit" => 1) -> 0 AS t, user_list("limit" => 1) -> 'users' -> 0 AS u,
       budget_list("limit" => 1) -> 0 AS b, org_audit('acme', "limit" => 1) -> 0 AS a \gset
SELECT (SELECT count(*) FROM json_array_elements(org_list())) - count(*) AS first FROM json_array_elements(org_list(after =>
        (:'o'::json ->> 'created_at') || '/' || (:'o'::json ->> 'organization_id')));
SELECT (SELECT count(*) FROM org.team) - count(*) AS first FROM json_array_elements(team_list(after =>
        (:'t'::json ->> 'created_at') || '/' || (:'t'::json ->> 'team_id')));
SELECT (SELECT count(*) FROM org.budget) - count(*) AS first FROM json_array_elements(budget_list(after =>
        (:'b'::json ->> 'created_at') || '/' || (:'b'::json ->> 'budget_id')));
SELECT (SELECT count(*) FROM json_array_elements(org_audit('acme'))) - count(*) AS first FROM json_array_elements(org_audit('acme', after =>
        (:'a'::json ->> 'occurred_at') || '/' || (:'a'::json ->> 'audit_id')));
SELECT ids(org_list(after => '2000-02-29T00:00:00.000000Z/gone') -> 0 -> 'teams') AS teams,
       ids(team_list("limit" => 1, after => '2000-02-29T00:00:00.000000Z/gone')) AS team,
       ids(user_list("limit" => 1, after => '2000-02-29T00:00:00.000000Z/gone') -> 'users') AS user,
       ids(team_list_v2("limit" => 1, after => '2000-02-29T00:00:00.000000Z/gone') -> 'teams') AS team_of_v2,
       json_array_length(budget_list(after => '9999-12-31T23:59:59.999999Z/gone')) AS budgets,
       json_array_length(org_audit('acme', after => '1999-12-31T23:59:59.999999Z/gone')) AS entries;
SELECT cursor, attempt(format('team_list(after => %L)', cursor)) FROM unnest(ARRAY[
    '2026-02-29T00:00:00.000000Z/x', '2026-13-01T00:00:00.000000Z/x', '2026-01-01T24:00:00.000000Z/x',
    '2026-01-01T00:00:60.000000Z/x', '2026-01-01T00:00:00.000000/x', '2026-01-01T00:00:00.000000Z', '2026-01-01 00:00:00.000000Z/x',
    '0000-00-00T00:00:00.000000Z/x', '2026-01-01T00:00:00.000000Z/x']) AS cursor;

-- Totals are those of the tables, whatever changes them -----------------------------
CREATE FUNCTION test.wrong_totals() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT coalesce(counted.list, told.list) || ': ' || coalesce(counted.n, 0) || ' are ' || coalesce(told.n, 0)
      FROM (SELECT list, count(*) AS n
              FROM (SELECT 'user' AS list FROM org."user" UNION ALL SELECT 'team' FROM org.team UNION ALL
                    SELECT unnest(ARRAY['api_key', 'api_key/' || organization_id]) FROM org.api_key UNION ALL
                    SELECT unnest(ARRAY['key_alias', 'key_alias/' || organization_id]) FROM org.api_key
                     WHERE key_alias IS NOT NULL) AS listed
             WHERE list IS NOT NULL GROUP BY list) AS counted
      FULL JOIN (SELECT list, sum(amount) AS n FROM org.list_total GROUP BY list) AS told USING (list)
     WHERE coalesce(counted.n, 0) <> coalesce(told.n, 0)
$$;
SELECT wrong_totals();
SELECT org_delete('{beta}'), user_delete('{cleo}') \g /dev/null
SELECT wrong_totals();
SELECT list FROM org.list_total WHERE list LIKE '%/%' GROUP BY list ORDER BY list;
-- Many changes, each of its own; more than half are undone. Their rows are added up at random.
SELECT org.add_to_totals(ARRAY[list], ARRAY[more], true)
  FROM (SELECT DISTINCT list FROM org.list_total) AS lists, (VALUES (1), (-1)) AS t (more)
       \g /dev/null
SELECT setseed(0.5) \g /dev/null
DO $$
BEGIN
    FOR i IN 1..200 LOOP
        BEGIN
            PERFORM key_generate(organization_id => CASE WHEN i % 2 = 0 THEN 'acme' END, key => 'sk-many-' || i,
                                 key_alias => CASE WHEN i % 3 = 0 THEN 'many-' || i END);
            IF i % 4 <> 0 THEN
                RAISE SQLSTATE 'UNDO1';
            END IF;
        EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
        END;
    END LOOP;
END $$;
SELECT wrong_totals();
SELECT count(*) < 100 AS few_rows FROM org.list_total;
INSERT INTO org.api_key (key_hash, key_name, organization_id, key_alias)
SELECT encode(sha256(n::text::bytea), 'hex'), 'sk-...', CASE WHEN n % 2 = 0 THEN 'acme' END, CASE WHEN n % 5 = 0 THEN n::text END
  FROM generate_series(1, 1000) AS n;
SELECT wrong_totals(), key_list() ->> 'total_count' AS total_count;
SELECT org_new('Gamma', 'gamma') \g /dev/null
-- One statement for many organizations adds up the rows of each.
BEGIN;
SELECT org_new('Many ' || n, 'many-' || n) FROM generate_series(1, 50) AS n \g /dev/null
INSERT INTO org.list_total (list, amount)
SELECT list || n, amount FROM generate_series(1, 50) AS n, unnest('{api_key/many-,key_alias/many-}'::text[]) AS list,
       unnest('{1,-1}'::bigint[]) AS amount;
INSERT INTO org.api_key (key_hash, key_name, organization_id, key_alias)
SELECT encode(sha256(('many' || n)::bytea), 'hex'), 'sk-...', 'many-' || 1 + n % 50, CASE WHEN n % 3 = 0 THEN n::text END
  FROM generate_series(1, 1000) AS n;
SELECT wrong_totals();
SELECT count(*) AS rows, count(DISTINCT list) AS lists, sum(amount) FROM org.list_total WHERE list LIKE '%/many-%';
DELETE FROM org.api_key WHERE organization_id LIKE 'many-%';
SELECT wrong_totals();
SELECT count(*) AS rows FROM org.list_total WHERE list LIKE '%/many-%';
ROLLBACK;
-- Keys that move, and keys that get or lose their aliases.
UPDATE org.api_key SET organization_id = 'gamma' WHERE organization_id = 'acme' AND team_id IS NULL AND key_alias IS NOT NULL;
UPDATE org.api_key SET organization_id = NULL, key_alias = NULL WHERE organization_id = 'gamma' AND key_alias LIKE '%0';
UPDATE org.api_key SET organization_id = 'gamma', key_alias = 'new' WHERE organization_id IS NULL AND key_alias IS NULL;
SELECT wrong_totals();
SELECT about(key_list(organization_id => 'gamma')) AS of_gamma;
DELETE FROM org.api_key WHERE organization_id = 'gamma' AND key_name = 'sk-...';
SELECT wrong_totals();
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT key_generate(organization_id => 'acme', key => 'sk-strict') \g /dev/null
COMMIT;
SELECT wrong_totals();
BEGIN;
TRUNCATE org.api_key CASCADE;
SELECT wrong_totals();
SELECT about(key_list()) AS no_keys, about(key_aliases()) AS no_aliases;
ROLLBACK;
SELECT wrong_totals();

DROP PROCEDURE test.read_keys;
DROP TABLE test.page;
DROP FUNCTION test.ids, test.about, test.secrets, test.wrong_totals;
CALL test.clear();
