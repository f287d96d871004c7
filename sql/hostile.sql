-- Invalid input to any function gives a clear error and changes nothing. Input that
-- only looks invalid is stored and returned unchanged.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

SELECT org_new('Acme', 'acme') \g /dev/null
SELECT user_new('ann', 'ann@example.com', auto_create_key => false) \g /dev/null
SELECT org_member_add('acme', '{"role": "org_admin", "user_id": "ann"}') \g /dev/null
SELECT key_generate(organization_id => 'acme', user_id => 'ann', key => 'sk-acme') \g /dev/null
SELECT usage_reserve('sk-acme', 'm', request_id => 'held') \g /dev/null
SELECT fingerprint() AS contents \gset before_

-- Every argument of every function --------------------------------------------
CREATE VIEW test.argument AS
    SELECT proname AS function, name, type::regtype::text AS type, place,
           concat_ws(', ',
               (SELECT string_agg(format('%I => %L', other,
                                         CASE WHEN other = 'key' AND proname ~ '^usage_' THEN 'sk-acme'
                                         WHEN other_type = 'text'::regtype THEN 'acme'
                                         WHEN other_type = 'text[]'::regtype THEN '{acme}'
                                         WHEN other_type = 'json'::regtype THEN '[]'
                                         WHEN other_type = 'numeric'::regtype THEN '1' ELSE '{}' END), ', ')
                  FROM unnest(proargnames, proargtypes::oid[]) WITH ORDINALITY AS required (other, other_type, other_place)
                 WHERE other <> name
                   AND (other_place <= pronargs - pronargdefaults
                        OR (proname IN ('usage_reserve', 'usage_record') AND other IN ('key', 'model', 'cost')
                            AND NOT (name = 'token_id' AND other = 'key')))),
               CASE WHEN proname IN ('org_member_update', 'org_member_delete') AND name <> 'user_id'
                    THEN 'user_id => ''ann'''
                    WHEN proname IN ('usage_settle', 'usage_cancel', 'usage_extend')
                         AND name NOT IN ('request_id', 'reservation_id')
                    THEN 'request_id => ''held''' END) AS others
      FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass,
           unnest(proargnames, proargtypes::oid[]) WITH ORDINALITY AS argument (name, type, place)
     WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
       AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_org') AND proname <> 'org_grant_access';
-- Gives a function's answer to one value, with valid values for the other required arguments.
CREATE FUNCTION test.answer(a test.argument, value text) RETURNS text LANGUAGE sql AS $$
    SELECT masked(attempt(format('%I(%s)', a.function,
                                 concat_ws(', ', nullif(a.others, ''), format('%I => %L', a.name, value)))))
$$;

-- These values are not a number, infinite, negative or too large.
SELECT function, name, value, answer(a, value)
  FROM argument a, unnest('{NaN, Infinity, -Infinity, -0.01, 1e30}'::text[]) AS value
 WHERE type = 'numeric' ORDER BY function, place, value COLLATE "C";
SELECT function, name, answer(a, '-1') FROM argument a WHERE type = 'bigint' ORDER BY function, place;
-- This JSON has the wrong type.
SELECT function, name, value, answer(a, value)
  FROM argument a, unnest('{"[]", "1", "\"{}\"", "true", "null"}'::text[]) AS value
 WHERE type = 'jsonb' ORDER BY function, place, value COLLATE "C";
SELECT function, name, value, answer(a, value)
  FROM argument a, unnest('{"1", "\"[]\"", "true", "null", "[1]", "[[]]", "{\"role\": {}}"}'::text[]) AS value
 WHERE type = 'json' ORDER BY function, place, value COLLATE "C";
-- These lists contain nulls or lists.
SELECT function, name, answer(a, '{x, NULL}') AS with_null, left(answer(a, '{{x, y}, {z, w}}'), 5) AS two_dimensional
  FROM argument a WHERE type = 'text[]' ORDER BY function, place;
-- Empty, long and quote-breaking texts get only the answers of rules.
SELECT function, name, left(value, 30) AS value, left(answer, 100) AS answer
  FROM argument a, unnest(ARRAY['', ' ', '''; DROP SCHEMA org CASCADE; --', '"', '\', '%s%n', '$1', E'\n', E'\x01',
                                '{}', '{NULL}',
                                U&'\00A0', '😀', repeat('x', 300), repeat('ä', 100000)]) AS value,
       CAST(answer(a, value) AS text) AS answer
 WHERE type = 'text' AND left(answer, 5) NOT IN ('ok', '22023', 'P0002', '23503', '55000', '28000')
 ORDER BY function, place, value COLLATE "C";
-- Every text, list, object and number has a bound, and these values exceed it.
SELECT function, name, left(answer, 100) AS other_answer
  FROM argument a, CAST(answer(a, repeat('x', 65537)) AS text) AS answer
 WHERE type = 'text' AND name <> 'api_key' AND function !~ '_purge$'
   AND answer <> format('22023 "%s" must be at most 64 KiB', name)
 ORDER BY function, place;
SELECT function, name, answer(a, array_fill('x'::text, '{1001}')::text) FROM argument a
 WHERE type = 'text[]' ORDER BY function, place;
SELECT function, name, answer(a, '0.' || repeat('0', 30) || '1') FROM argument a
 WHERE type = 'numeric' ORDER BY function, place;
SELECT function, name, value, answer(a, value)
  FROM argument a, unnest('{"{\"m\": [1e-16383]}", "{\"m\": {\"n\": 1e100}}", "{\"m\": -0.1e-99}"}'::text[]) AS value
 WHERE type = 'jsonb' ORDER BY function, place, value COLLATE "C";
SELECT function, name, answer(a, format('{"m": "%s"}', repeat('x', 65536))) FROM argument a
 WHERE type = 'jsonb' ORDER BY function, place;
-- The objects that these calls made are valid and can be changed and deleted.
SELECT json_array_length(org_delete(ARRAY(SELECT organization_id FROM org.organization
                                           WHERE organization_id <> 'acme'))) > 9 AS made_many;
DELETE FROM org.api_key;
DELETE FROM org.team;
DELETE FROM org."user" WHERE user_id NOT IN ('ann', 'default_user_id');
SELECT org_update('acme', organization_alias => 'Acme') ->> 'organization_alias' AS alias;
SELECT unowned_budgets();

-- Stored and returned unchanged -----------------------------------------------
CALL clear();
SELECT count(org_new(value, value, models => ARRAY[value], tags => ARRAY[value, value],
                     metadata => jsonb_build_object(value, value),
                     model_aliases => jsonb_build_object(value, ARRAY[value]))) AS made
  FROM unnest(ARRAY['''; DROP SCHEMA org CASCADE; --', '"quoted" ''text''', '\u0041\n\\', E'tab\tline\nreturn\r',
                    E'\x01\x1f\x7f',
                    '{}', '[]', 'null', '$1', '%s', '😀 שלום', U&'\2028\00A0', ' ', repeat('x', 255)]) AS value;
SELECT count(*) AS organizations, bool_and(o ->> 'organization_id' = o ->> 'organization_alias' AND o -> 'models'
                                           ->> 0 = o ->> 'organization_id'
       AND o -> 'tags' ->> 1 = o ->> 'organization_id' AND o -> 'metadata' ->> (o ->> 'organization_id') = o
       ->> 'organization_id'
       AND o -> 'model_aliases' -> (o ->> 'organization_id') ->> 0 = o ->> 'organization_id') AS as_it_came,
       bool_and(o::jsonb IS NOT NULL) AS valid_json
  FROM json_array_elements(org_list()) AS o;
SELECT count(*) AS found FROM org.organization, org_info(organization_id) AS o
 WHERE o ->> 'organization_id' = organization_id;
SELECT json_array_length(org_delete(ARRAY(SELECT organization_id FROM org.organization))) AS deleted;
-- Messages repeat a value unchanged as well.
SELECT attempt('org_info(' || quote_literal(value) || ')')
  FROM unnest(ARRAY['''; --', '"', '%s %n', '\', '😀']) AS value;

-- Largest allowed values ------------------------------------------------------
SELECT org_new(repeat('a', 65536), 'acme', metadata => jsonb_build_object('x', repeat('"', 32763)),
               models => ARRAY(SELECT rpad('model-' || i, 255, 'x') FROM generate_series(1, 1000) AS i))
       IS NOT NULL AS made;
SELECT length(reply ->> 'organization_alias') AS alias, length(reply -> 'metadata' ->> 'x') AS metadata,
       json_array_length(reply -> 'models') AS models
  FROM org_info('acme') AS reply;
SELECT json_array_length(org_member_add('acme',
                                        (SELECT json_agg(json_build_object('role', 'internal_user', 'user_id',
                                               'user-' || i))
                                                   FROM generate_series(1, 1000) AS i)) -> 'updated_users') AS users;
SELECT json_array_length(org_info('acme') -> 'members') AS members;
SELECT attempt($$org_delete(ARRAY(SELECT 'nobody-' || i FROM generate_series(1, 1000) AS i))$$);
SELECT json_array_length(org_info_many(array_fill('acme'::text, '{1000}'))) AS the_same_is_answered_once;
SELECT attempt('org_list(api_key => repeat(''sk-'', 1000000))');
-- Numbers of a hundred digits are allowed in metadata, but not in budgets.
SELECT org_patch('acme', '{"metadata": {"x": 1e99}}') -> 'metadata' ->> 'x' = 1e99::text AS kept;
SELECT attempt($$org_patch('acme', '{"max_budget": 1e99}')$$), attempt($$org_patch('acme', '{"tpm_limit": 1e99}')$$),
       attempt($$org_patch('acme', '{"max_budget": 1e-99}')$$), attempt($$org_patch('acme', '{"tpm_limit": 1e-99}')$$);
-- These texts are numbers that are too long.
SELECT left(attempt(format('org_patch(%L, %L)', 'acme', format('{"max_budget": "%s"}', repeat('9', 200000)))), 5)
       AS digits,
       left(attempt(format('org_patch(%L, %L)', 'acme', format('{"tpm_limit": "1%s"}', repeat('0', 200000)))), 5)
       AS zeros,
       left(attempt(format('org_patch(%L, %L)', 'acme', format('{"max_budget": "0.%s"}', repeat('1', 200000)))), 5)
       AS decimals;

-- Deep nesting ----------------------------------------------------------------
CALL clear();
CREATE FUNCTION test.nested(depth integer) RETURNS text LANGUAGE sql AS $$
    SELECT repeat('{"a":', depth) || '1' || repeat('}', depth)
$$;
SELECT org_new('Acme', 'acme', metadata => nested(3000)::jsonb) IS NOT NULL AS made;
SELECT length(org_patch('acme', format('{"metadata": %s}', nested(3000))::jsonb) -> 'metadata' #>> '{}') > 0 AS merged;
SELECT length(org_patch('acme', format('{"metadata": %s}', replace(nested(3000), '1', 'null'))::jsonb)
              -> 'metadata' #>> '{}') > 0 AS merged;
SELECT left(attempt(format('org_new(%L, metadata => %L)', 'x', nested(20000))), 5) AS metadata,
       left(attempt(format('org_patch(%L, %L)', 'acme', nested(20000))), 5) AS patch,
       left(attempt(format('org_member_add(%L, %L)', 'acme', nested(20000))), 5) AS member,
       left(attempt(format('org_member_add(%L, %L)', 'acme', repeat('[', 20000) || repeat(']', 20000))), 5) AS members;
SELECT attempt(format('org_member_add(%L, %L)', 'acme', nested(1000))) AS member,
       attempt(format('org_member_add(%L, %L)', 'acme', repeat('[', 1000) || repeat(']', 1000))) AS members;

-- Invalid escapes -------------------------------------------------------------
SELECT escape, left(attempt(format('org_new(%L, metadata => %L)', 'x', format('{"a": "%s"}', escape))), 5) AS metadata,
       left(attempt(format('org_patch(%L, %L)', 'acme', format('{"organization_alias": "%s"}', escape))), 5) AS patch,
       left(attempt(format('org_member_add(%L, %L)', 'acme',
                           format('{"role": "org_admin", "user_id": "%s"}', escape))), 5) AS member,
       left(attempt(format('team_new(%L, members_with_roles => %L)', 'acme',
                           format('[{"role": "user", "user_id": "%s"}]', escape))), 5) AS members
  FROM unnest('{\\u0000, a\\u0000b, \\ud800, \\udc00, \\udc00\\ud800, \\u12, \\x}'::text[]) AS escape;
SELECT org_patch('acme', '{"organization_alias": "\ud83d\ude00 \u00e9"}') ->> 'organization_alias' AS alias;

-- Session settings don't change the rules -------------------------------------
CALL clear();
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SET transform_null_equals = on;
SET array_nulls = off;
SET intervalstyle = 'sql_standard';
SET timezone = 'Pacific/Kiritimati';
SET extra_float_digits = 0;
SET plan_cache_mode = force_generic_plan;
SET work_mem = 64;
SET enable_indexscan = off;
SET default_transaction_isolation = serializable;
SELECT org_new('It''s', 'acme', max_budget => 0.1, budget_duration => '1mo') -> 'litellm_budget_table'
       -> 'max_budget' AS max_budget;
SELECT org_member_add('acme', '[{"role": "org_admin", "user_email": "Ann@example.com"},
                                {"role": "internal_user", "user_id": "bob"}]', 1)
       -> 'updated_users' -> 1 ->> 'user_id' AS second;
SELECT org_member_update('acme', user_email => 'ANN@example.com', max_budget_in_organization => 2)
       -> 'litellm_budget_table' -> 'max_budget' AS max_budget;
SELECT key_generate('bob', 'acme', key => 'sk-bob') ->> 'key' AS key;
SELECT usage_reserve('sk-bob', 'm', 0.1, request_id => 'call', tags => ARRAY['NULL', '\\']) -> 'limits' -> 0
       -> 'remaining' AS remaining;
SELECT usage_settle(0.05, 'call') -> 'cost' AS cost;
SELECT usage_limits('sk-bob') -> 'limits' -> 0 -> 'spent' AS spent, usage_verify() AS differences;
SELECT tags FROM org.usage;
SELECT o ->> 'organization_alias' AS alias, json_array_length(o -> 'members') AS members
  FROM json_array_elements(org_list(org_alias => 'iT''S')) AS o;
SELECT json_array_length(org_delete('{acme}')) AS deleted;
RESET ALL;
SET search_path = public, test;
SELECT unowned_budgets();

-- A prepared statement, as the gateway uses, works with its generic plan as well.
PREPARE info (text) AS SELECT org_info(organization_id => $1) ->> 'organization_alias' AS alias;
SELECT org_new('Acme', 'acme') IS NOT NULL AS made;
EXECUTE info('acme'); EXECUTE info('acme'); EXECUTE info('acme');
EXECUTE info('acme'); EXECUTE info('acme'); EXECUTE info('acme');
EXECUTE info('nowhere');
EXECUTE info(NULL);
-- Reading works in a read-only transaction.
BEGIN READ ONLY;
EXECUTE info('acme');
SELECT attempt($$org_new('x')$$);
ROLLBACK;
-- In a transaction, a failed call undoes only itself.
BEGIN;
SELECT org_update('acme', max_budget => 5) -> 'litellm_budget_table' -> 'max_budget' AS max_budget;
SELECT attempt($$org_member_add('acme', '[{"role": "org_admin", "user_id": "eve"}, {}]')$$);
SELECT attempt($$org_update('acme', max_budget => 6, budget_id => 'nowhere')$$);
COMMIT;
SELECT org_info('acme') -> 'litellm_budget_table' -> 'max_budget' AS max_budget, org_info('acme')
       -> 'members' AS members;

DROP FUNCTION test.nested, test.answer;
DROP VIEW test.argument;
CALL clear();
