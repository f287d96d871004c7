-- Bounds on the size of requests. hostile.sql shows that every argument has a bound; this script shows where each
-- bound lies, and which arguments have a bound of their own.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

SELECT org_new('Acme', 'acme') \g /dev/null
SELECT org_new('Beta', 'beta') \g /dev/null
SELECT user_new('ann', auto_create_key => false), key_generate('ann', key => 'sk-ann') \g /dev/null
SELECT org_member_add('acme', '{"role": "org_admin", "user_id": "ann"}') \g /dev/null
SELECT key_generate(organization_id => 'acme', key => 'sk-acme') \g /dev/null
-- Makes an object whose text has the given length.
CREATE FUNCTION test.object(length integer) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('x', repeat('x', length - 9))
$$;
CREATE FUNCTION test.names(count integer, length integer = NULL) RETURNS text[] LANGUAGE sql AS $$
    SELECT array_agg(coalesce(rpad('m' || i, length, 'x'), 'm' || i)) FROM generate_series(1, count) AS i
$$;

-- Texts and objects -----------------------------------------------------------
SELECT length(test.object(65536)::text) AS length,
       attempt($$org_update('acme', repeat('x', 65536), metadata => test.object(65536))$$);
SELECT attempt($$org_update('acme', repeat('x', 65537))$$),
       attempt($$org_update('acme', metadata => test.object(65537))$$),
       attempt($$org_patch('acme', jsonb_build_object('organization_alias', repeat('x', 65537)))$$),
       attempt($$org_patch('acme', jsonb_build_object('metadata', test.object(65537)))$$);
-- The size of an object is the length of its text, with escapes, spaces and digits.
SELECT length(value::text) AS length, attempt(format('team_new(%L, metadata => %L)', 'acme', value))
  FROM unnest(ARRAY[jsonb_build_object('x', repeat('"', 32763) || 'x'), jsonb_build_object('x', repeat('"', 32764)),
                    jsonb_build_object('x', repeat(E'\x01', 10921) || 'x'),
                    jsonb_build_object('x', repeat(E'\x01', 10921) || 'xx'),
                    jsonb_build_object('x', array_fill(true, '{10921}')),
                    jsonb_build_object('x', array_fill(true, '{10922}')),
                    (SELECT jsonb_object_agg(1000 + i, '{}'::jsonb) FROM generate_series(1, 5461) AS i),
                    jsonb_build_object('x', array_fill(1e99, '{642}')),
                    jsonb_build_object('x', array_fill(1e99, '{643}'))])
       AS value;
-- A merge patch can't exceed the bound either.
SELECT attempt($$org_patch('acme', jsonb_build_object('metadata', jsonb_build_object('y', repeat('y', 10))))$$)
       AS merged,
       length(org_info('acme') ->> 'metadata') AS length;
SELECT attempt($$org_patch('acme', '{"metadata": {"x": null, "y": 1}}')$$);

-- Numbers ---------------------------------------------------------------------
SELECT given, attempt(format('key_generate(metadata => %L)', value))
  FROM unnest(ARRAY['1e99', '-1e99', '1e100', '1e-99', '1e-100', '12e-99', '1e-16383', '[{"a": 1e100}]']) AS given,
       CAST(format('{"x": %s}', given) AS text) AS value;
SELECT attempt(call) AS of_all
  FROM unnest(ARRAY[$$org_patch('acme', '{"max_budget": 1e-16383}')$$,
                    $$org_update('acme', litellm_budget_table => '{"max_budget": 1e-16383}')$$,
                    $$org_update('acme', model_aliases => '{"a": 1e-16383}')$$,
                    $$key_generate(permissions => '{"usage": 1e-16383}')$$,
                    $$budget_new(model_max_budget => '{"m": 1e-16383}')$$]) AS call;
-- Money has at most 30 digits after the decimal point, in every argument and JSON field.
SELECT attempt(format(call, '1e-30')) AS thirty, attempt(format(call, '1e-31')) AS more
  FROM unnest(ARRAY['org_new(''x'', max_budget => %s)', 'org_update(''acme'', default_reserve => %s)',
                    'org_patch(''acme'', ''{"soft_budget": %s}'')', 'org_patch(''acme'', ''{"soft_budget": "%s"}'')',
                    'org_update(''acme'', litellm_budget_table => ''{"max_budget": %s}'')',
                    'user_update(''ann'', model_max_budget => ''{"m": %s}'')',
                    'budget_new(model_max_budget => ''{"m": {"budget_limit": "%s"}}'')',
                    'org_member_add(''acme'', ''{"role": "org_admin", "user_id": "ann"}'', %s)',
                    'usage_reserve(''sk-acme'', ''m'', %s)', 'usage_record(''sk-acme'', ''m'', %s)']) AS call;
SELECT answer -> 'error' ->> 'message' AS of_many
  FROM json_array_elements(usage_reserve_many('[{"key": "sk-acme", "model": "m", "max_cost": 1e-16000},
                                                {"key": "sk-acme", "model": "m", "max_cost": "1e-9999"},
                                                {"key": "sk-acme", "model": "m", "max_tokens": 1e131071},
                                                {"key": "sk-acme", "model": "m", "max_tokens": 1e-16383},
                                                {"key": "sk-acme", "model": "m", "max_tokens": 1.0}]')) AS answer;

SELECT org_update('acme', clear => '{max_budget}') \g /dev/null

-- Models ----------------------------------------------------------------------
SELECT attempt(format(call, names(1000, 255))) AS most, attempt(format(call, names(1001))) AS many,
       attempt(format(call, names(1, 256))) AS long
  FROM unnest(ARRAY['org_new(''x'', models => %L)', 'org_update(''beta'', models => %L)',
  'team_new(''acme'', models => %L)',
                    'key_generate(models => %L)', 'key_update(''sk-acme'', models => %L)', 'user_new(models => %L)',
                    'user_update(''ann'', models => %L)',
                    'org_patch(''beta'', jsonb_build_object(''models'', %L::text[]))']) AS call;
SELECT org_update('beta', models => '{}'), key_update('sk-acme', models => '{}'),
       user_update('ann', models => '{}') \g /dev/null
-- Model aliases have the same bounds.
SELECT attempt(format('org_update(%L, model_aliases => %L)', 'beta', aliases)) AS replaced,
       attempt(format('org_patch(%L, jsonb_build_object(%L, %L::jsonb))', 'beta', 'model_aliases', aliases)) AS merged
  FROM (SELECT jsonb_object_agg(name, 'm') FROM unnest(names(1000)) AS name UNION ALL
        SELECT jsonb_object_agg(name, 'm') FROM unnest(names(1001)) AS name UNION ALL
        SELECT jsonb_build_object(repeat('x', 255), repeat('x', 255)) UNION ALL
        SELECT jsonb_build_object(repeat('x', 256), 'm') UNION ALL
        SELECT jsonb_build_object('m', repeat('x', 256))) AS given (aliases);
-- Model budgets have at most 200 entries, counted after merging.
SELECT attempt(format(call, most)) AS most, attempt(format(call, most || '{"more": 1}')) AS more
  FROM (SELECT jsonb_object_agg(name, 1) FROM unnest(names(200)) AS name) AS given (most),
       unnest(ARRAY['org_new(''x'', model_max_budget => %L)', 'user_update(''ann'', model_max_budget => %L)',
                    'key_update(''sk-acme'', model_max_budget => %L)', 'budget_new(model_max_budget => %L)',
                    'org_update(''beta'', litellm_budget_table => jsonb_build_object(''model_max_budget'', %L::jsonb))',
                    'org_patch(''beta'', jsonb_build_object(''model_max_budget'', %L::jsonb))']) AS call;
SELECT attempt($$org_patch('beta', '{"model_max_budget": {"one more": 1}}')$$),
       attempt($$org_patch('beta', '{"model_max_budget": {"m1": null, "one more": 1}}')$$);

-- Tags ------------------------------------------------------------------------
SELECT attempt(format(call, ARRAY[repeat('x', 65535), 'y'])) AS most,
       attempt(format(call, ARRAY[repeat('x', 65536), 'y'])) AS long,
       attempt(format(call, names(1001))) AS many
  FROM unnest(ARRAY['org_new(''x'', tags => %L)', 'org_update(''acme'', tags => %L)',
                    'org_patch(''acme'', jsonb_build_object(''tags'', %L::text[]))',
                    'usage_reserve(''sk-acme'', ''m'', 0, 0, tags => %L)',
                    'usage_record(''sk-acme'', ''m'', 0, tags => %L)'])
       AS call;
SELECT answer -> 'error' ->> 'message' AS of_many
  FROM json_array_elements(usage_reserve_many(json_build_array(
           json_build_object('key', 'sk-acme', 'model', 'm', 'max_cost', 0, 'tags', names(1001)),
           json_build_object('key', 'sk-acme', 'model', 'm', 'max_cost', 0, 'tags', ARRAY[repeat('x', 65537)]))))
           AS answer;

-- Lists -----------------------------------------------------------------------
SELECT attempt(format('%s, %L)', call, (SELECT json_agg(json_build_object('role', role, 'user_id', 'u' || i))
                                          FROM generate_series(1, 1001) AS i))) AS many
  FROM (VALUES ('org_member_add(''acme''', 'internal_user'), ('team_member_add(''team''', 'user'),
               ('team_new(''acme'', NULL, NULL, NULL', 'user')) AS t (call, role);
-- An item that is named twice is answered once.
SELECT team_new('acme', team_id => 'team', members_with_roles => '[{"role": "user", "user_id": "ann"}]') \g /dev/null
SELECT json_array_length(reply -> 'updated_users') AS users,
       json_array_length(reply -> 'updated_organization_memberships')
       AS memberships, reply -> 'updated_organization_memberships' -> 0 -> 'user_role' AS the_last_role
  FROM org_member_add('acme',
  '[{"role": "internal_user", "user_id": "ann"}, {"role": "org_admin", "user_id": "ann"}]') AS reply;
SELECT json_array_length(reply -> 'updated_users') AS users, json_array_length(reply -> 'updated_team_memberships')
       AS memberships
  FROM team_member_add('team', '[{"role": "user", "user_id": "ann"}, {"role": "admin", "user_id": "ann"}]') AS reply;
SELECT budget_new('one'), budget_new('two') \g /dev/null
SELECT string_agg(budget ->> 'budget_id', ' ') AS budgets
  FROM json_array_elements(budget_info('{two, one, none, two, two, one}')) AS budget;
SELECT string_agg(organization ->> 'organization_id', ' ') AS organizations
  FROM json_array_elements(org_info_many('{beta, acme, beta, beta, acme}')) AS organization;

-- A search text has at most 255 bytes.
SELECT attempt(format('%s => repeat(''x'', 255))', call)) AS most, attempt(format('%s => repeat(''x'', 256))', call))
       AS more
  FROM unnest('{org_list(org_alias, team_list(team_alias, team_list_v2(team_alias, user_list(user_email, key_aliases(search}'::text[]) AS call;

-- Refusals abbreviate long lists ----------------------------------------------
SELECT key_generate(user_id => 'default_user_id', models => names(12), key => 'sk-twelve') \g /dev/null
SELECT attempt($$key_generate(models => '{other}', api_key => 'sk-twelve')$$);
SELECT org_update('beta', models => names(1000)), key_generate(organization_id => 'beta', key => 'sk-beta') \g /dev/null
SELECT attempt($$usage_reserve('sk-beta', 'other', 0, 0)$$),
       attempt($$key_generate(organization_id => 'beta', models => '{other}')$$);
SELECT team_new('beta', team_id => name, models => '{m12}') FROM unnest(names(12)) AS name \g /dev/null
SELECT attempt($$org_update('beta', models => '{m1}')$$);

-- Matching --------------------------------------------------------------------
-- Tells whether a list of one pattern allows a model.
CREATE FUNCTION test.allows(pattern text, model text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE org.api_key SET models = ARRAY[pattern] WHERE key_hash = encode(sha256('sk-matched'), 'hex');
    RETURN attempt(format('usage_reserve(%L, %L, 0, 0)', 'sk-matched', model)) = 'ok';
END $$;
SELECT key_generate(key => 'sk-matched') \g /dev/null
-- Every pattern and every model of up to four characters match as a regular expression does.
CREATE TEMPORARY TABLE word AS
    WITH RECURSIVE word (text) AS (
        VALUES ('') UNION ALL SELECT text || c FROM word, unnest('{a,b,*}'::text[]) AS c WHERE length(text) < 4)
    SELECT text FROM word WHERE text <> '';
SELECT count(*) > 3000 AS many, count(*) FILTER (WHERE allowed) > 1000 AS allowed,
       count(*) FILTER (WHERE allowed <> (model ~ ('^' || replace(pattern, '*', '.*') || '$'))) AS different
  FROM word AS p (pattern), word AS m (model), allows(pattern, model) AS allowed WHERE model !~ '\*';
-- The parts of these patterns overlap themselves.
SELECT left(pattern, 15) AS pattern, left(model, 15) AS model, allows(pattern, model)
  FROM (VALUES ('*aabaaab*', 'aabaabaaab'), ('*aabaaab*', 'aabaabaab'), ('x*abab*abac*y', 'xababababacy'),
               ('x*abab*abac*y', 'xabababacy'), ('*' || repeat('a', 126) || 'b*', repeat('a', 254) || 'b'),
               ('*' || repeat('a', 126) || 'b*', repeat('a', 255))) AS t (pattern, model);

DROP FUNCTION test.object, test.names, test.allows;
CALL clear();
