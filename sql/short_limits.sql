-- Fields that are short forms of limits: they read back as they were sent, and are enforced as what they stand for.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set usage :checkout /test/usage.sql
\i :usage

-- What is sent, and shown ---------------------------------------------------------------
CREATE TABLE test.field (place integer, name text, value text, wrong text[]);
INSERT INTO test.field VALUES
    (1, 'rpd_limit', '100', '{-1,1.5}'), (2, 'tpd_limit', '0', '{-1}'),
    (3, 'model_rpm_limit', '{"gpt-4o": 60, "openai/*": "7"}', ARRAY['[]', '5', '{"m": -1}', '{"m": 1.5}', '{"m": "x"}', '{"m": null}', '{"": 1}']),
    (4, 'model_tpm_limit', '{}', ARRAY['[]', '{"m": -1}']),
    (5, 'budget_limits', '[{"max_budget": 5.50, "budget_duration": "1d"}, {"budget_duration": "30d", "max_budget": "100"}, {"max_budget": 1000, "budget_duration": null}]',
     ARRAY['{}', '5', '[5]', '[{}]', '[{"max_budget": -1}]', '[{"max_budget": null}]', '[{"max_budget": "x"}]', '[{"max_budget": 5, "budget_duration": "30days"}]', '[{"max_budget": 5, "budget_duration": 7}]',
           '[{"max_budget": 5}, {"max_budget": 6}]']),
    (6, 'soft_budget', '5.5', '{-1,NaN}'), (7, 'max_parallel_requests', '3', '{-1}'),
    (8, 'model_max_budget', '{"m": 5, "gpt-*": {"budget_limit": 5.5, "time_period": "1d"}}', ARRAY['[]', '{"m": -1}', '{"m": {"budget_limit": 5, "time_period": "x"}}']),
    (9, 'team_member_budget', '5.25', '{-1}'), (10, 'team_member_budget_duration', '30d', '{30days,0d,""}'),
    (11, 'team_member_rpm_limit', '5', '{-1}'), (12, 'team_member_tpm_limit', '5', '{-1}'),
    (13, 'temp_budget_increase', '5.5', '{-1,NaN}'), (14, 'temp_budget_expiry', '2030-01-01T02:00:00+02:00', '{soon,"",infinity}');
CREATE TABLE test.door (place integer, owner text, call text, reply text, fields text[]);
INSERT INTO test.door VALUES
    (1, 'organization', 'org_update(''acme'', %s)', '{litellm_budget_table}', '{rpd_limit,tpd_limit,model_rpm_limit,model_tpm_limit,budget_limits,soft_budget,max_parallel_requests,model_max_budget}'),
    (2, 'budget', 'budget_update(''shared'', %s)', '{}', '{rpd_limit,tpd_limit,model_rpm_limit,model_tpm_limit,budget_limits,soft_budget,max_parallel_requests,model_max_budget}'),
    (3, 'team', 'team_update(''red'', %s)', '{data}', '{rpd_limit,tpd_limit,model_rpm_limit,model_tpm_limit,budget_limits,soft_budget,model_max_budget,team_member_budget,team_member_budget_duration,team_member_rpm_limit,team_member_tpm_limit}'),
    (4, 'user', 'user_update(''ann'', %s)', '{data}', '{rpd_limit,tpd_limit,model_rpm_limit,model_tpm_limit,budget_limits,soft_budget,max_parallel_requests}'),
    (5, 'key', 'key_update(''sk-ann'', %s)', '{}', '{rpd_limit,tpd_limit,model_rpm_limit,model_tpm_limit,budget_limits,soft_budget,temp_budget_increase,temp_budget_expiry}'),
    (6, 'end_user', 'customer_update(''cust'', %s)', '{litellm_budget_table}', '{rpd_limit,tpd_limit,model_rpm_limit,model_tpm_limit,budget_limits,soft_budget,max_parallel_requests,model_max_budget}'),
    (7, 'key', 'key_regenerate(''sk-ann'', new_key => ''sk-ann'', %s)', '{}', '{rpd_limit,budget_limits,temp_budget_increase}');
SELECT budget_new('shared'), customer_new('cust') \g /dev/null
-- Sets a field, then another one, clears it, and tries wrong values: gives what is shown each time.
CREATE FUNCTION test.shown(call text, reply text, name text, argument text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found json;
BEGIN
    EXECUTE 'SELECT ' || format(call, argument || CASE name WHEN 'temp_budget_increase' THEN ', temp_budget_expiry => ''2999-01-01''' ELSE '' END)
       INTO found;
    RETURN found #> reply::text[] -> name;
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END $$;
SELECT d.owner, name, shown(call, reply, name, format('%I => %L', name, value)) AS sent, shown(call, reply, name, 'tpm_limit => 5') = shown(call, reply, name, 'tpm_limit => 6') AS kept,
       shown(call, reply, name, format('clear => %L', '{' || name || '}')) AS cleared
  FROM door d, unnest(fields) AS n (name) JOIN field f USING (name) WHERE d.place <> 7 ORDER BY d.place, f.place;
SELECT name, given, shown(call, reply, name, format('%I => %L', name, given)) AS refused
  FROM field f, unnest(f.wrong) WITH ORDINALITY AS w (given, of_wrong), LATERAL (SELECT * FROM door d WHERE name = ANY (fields) ORDER BY d.place DESC LIMIT 1) AS d ORDER BY f.place, of_wrong;
-- A raise has an end.
SELECT shown('key_update(''sk-ann'', %s)', '{}', '', 'temp_budget_increase => 5') AS without_expiry;
-- When made, in a patch, and with a new secret.
SELECT org_new('Beta', 'beta', rpd_limit => 5, budget_limits => '[{"max_budget": 5}]') -> 'litellm_budget_table' -> 'budget_limits' AS organization,
       team_new('acme', team_id => 'blue', team_member_budget => 5, team_member_budget_duration => '7d', soft_budget => 4) ->> 'team_member_budget_duration' AS team,
       user_new('bob', auto_create_key => false, max_parallel_requests => 2, tpd_limit => 9) ->> 'max_parallel_requests' AS user,
       key_generate('ann', key => 'sk-lone', model_rpm_limit => '{"m": 1}', temp_budget_increase => 5, temp_budget_expiry => '2999-01-01') ->> 'model_rpm_limit' AS key,
       key_service_account_generate('red', key => 'sk-robot', rpd_limit => 8) ->> 'rpd_limit' AS robot, budget_new('b', tpd_limit => 9) ->> 'tpd_limit' AS budget,
       customer_new('c', rpd_limit => 3) -> 'litellm_budget_table' ->> 'rpd_limit' AS end_user;
SELECT org_patch('beta', '{"tpd_limit": 7, "rpd_limit": null, "model_tpm_limit": {"m": 1}}') -> 'litellm_budget_table' ->> 'tpd_limit' AS tpd_limit;
SELECT org_patch('beta', '{"model_tpm_limit": {"n": 2}}') -> 'litellm_budget_table' ->> 'model_tpm_limit' AS replaced, org_info('beta') -> 'litellm_budget_table' ->> 'rpd_limit' AS cleared;
SELECT key_regenerate('sk-lone', new_key => 'sk-lone-2') ->> 'model_rpm_limit' AS kept, key_regenerate('sk-lone-2', new_key => 'sk-lone', rpd_limit => 4) ->> 'rpd_limit' AS set;

-- What they mean -----------------------------------------------------------------------------
CALL begin_again();
CREATE FUNCTION test.limits_of(owner text) RETURNS TABLE (field text, "limit" text, per text, model text, each text, part text, soft text, value text, spent text, resets_at text) LANGUAGE sql AS $$
    SELECT l ->> 'field', l ->> 'limit', l ->> 'per', l ->> 'model', l ->> 'each', l ->> 'part', l ->> 'soft', l ->> 'value', l ->> 'spent', l ->> 'resets_at'
      FROM json_array_elements(usage_limits('sk-ann') -> 'limits') WITH ORDINALITY AS t (l, place) WHERE l ->> 'owner' = owner ORDER BY place
$$;
CREATE PROCEDURE test.use(at text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('pg_org.now', at, false), usage_record('sk-ann', 'p/m', 1, prompt_tokens => 10);
END $$;
UPDATE org.api_key SET created_at = '2001-01-01 06:00:00Z';
SET pg_org.now = '2030-06-12 10:20:30Z';
SELECT key_update('sk-ann', max_budget => 50, budget_duration => '1mo@UTC', soft_budget => 40, rpm_limit => 6, tpm_limit => 60, rpd_limit => 8, tpd_limit => 80, max_parallel_requests => 4,
                  model_max_budget => '{"m": {"budget_limit": 20, "time_period": "1d"}, "p/m": 30}', model_rpm_limit => '{"m": 5, "p/*": 4}', model_tpm_limit => '{"m": 55}',
                  budget_limits => '[{"max_budget": 3, "budget_duration": "1h"}, {"max_budget": 9, "budget_duration": "7d"}, {"max_budget": 100}]') \g /dev/null
SELECT * FROM limits_of('key');
CALL use('2030-06-11 05:59:59Z');
CALL use('2030-06-12 00:00:00Z');
CALL use('2030-06-12 05:59:59Z');
CALL use('2030-06-12 10:20:00Z');
SELECT field, per, model, spent FROM limits_of('key');
SELECT usage_verify();
-- Each refuses, and param is its name.
CREATE FUNCTION test.refused_by(model text, cost numeric, tokens integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer json;
BEGIN
    answer = usage_reserve_many(json_build_array(json_build_object('key', 'sk-ann', 'model', model, 'max_cost', cost, 'max_tokens', tokens))) -> 0;
    RAISE SQLSTATE 'YESOK' USING MESSAGE = coalesce(concat_ws(' ', answer -> 'error' ->> 'param', answer -> 'error' -> 'limit' ->> 'per', answer -> 'error' -> 'limit' ->> 'model'), '');
EXCEPTION WHEN SQLSTATE 'YESOK' THEN
    RETURN CASE sqlerrm WHEN '' THEN 'granted' ELSE sqlerrm END;
END $$;
SELECT cost, tokens, model, refused_by(model, cost, tokens)
  FROM (VALUES (1, 2.1, 0, 'p/m'), (2, 2, 0, 'p/m'), (3, 2, 46, 'p/m'), (4, 2, 45, 'p/m'), (5, 2, 51, 'x'), (6, 2, 50, 'x')) AS t (place, cost, tokens, model);
-- One after the other, each in place of the others.
CREATE FUNCTION test.alone(arguments text, model text, cost numeric, tokens integer) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    UPDATE org.api_key SET max_budget = NULL, budget_duration = NULL, budget_reset_at = NULL, model_max_budget = '{}', tpm_limit = NULL, rpm_limit = NULL, max_parallel_requests = NULL, short_limits = '{}';
    EXECUTE 'SELECT key_update(''sk-ann'', ' || arguments || ')';
    RETURN refused_by(model, cost, tokens);
END $$;
SELECT arguments, alone(arguments, 'p/m', over, 0) AS over, alone(arguments, 'p/m', within, 0) AS within, alone(arguments, 'x', over, 0) AS other_model
  FROM (VALUES (1, $$max_budget => 5$$, 1.1, 1), (2, $$max_budget => 5, budget_duration => '1d@UTC'$$, 2.1, 2), (3, $$budget_limits => '[{"max_budget": 5, "budget_duration": "1h"}]'$$, 4.1, 4),
               (4, $$budget_limits => '[{"max_budget": 9, "budget_duration": "1h"}, {"max_budget": 9}]'$$, 5.1, 5), (5, $$model_max_budget => '{"m": {"budget_limit": 5, "time_period": "1d"}}'$$, 4.1, 4),
               (6, $$model_max_budget => '{"p/m": 5}'$$, 1.1, 1), (7, $$model_max_budget => '{"p/*": 5}', budget_duration => '1d@UTC'$$, 2.1, 2)) AS t (place, arguments, over, within) ORDER BY place;
SELECT arguments, alone(arguments, 'p/m', 0, over) AS over, alone(arguments, 'p/m', 0, within) AS within, alone(arguments, 'x', 0, over) AS other_model
  FROM (VALUES (1, $$tpm_limit => 20$$, 11, 10), (2, $$tpd_limit => 40$$, 11, 10), (3, $$model_tpm_limit => '{"m": 20}'$$, 11, 10), (4, $$model_tpm_limit => '{"p/*": 20}'$$, 11, 10),
               (5, $$rpm_limit => 1$$, 0, 0), (6, $$rpd_limit => 3$$, 0, 0), (7, $$model_rpm_limit => '{"p/m": 1}'$$, 0, 0), (8, $$rpm_limit => 2, rpd_limit => 4, model_rpm_limit => '{"m": 2}'$$, 0, 0),
               (9, $$max_parallel_requests => 0$$, 0, 0), (10, $$max_parallel_requests => 1$$, 0, 0), (11, $$soft_budget => 1$$, 0, 0)) AS t (place, arguments, over, within) ORDER BY place;
-- Days are of UTC, minutes of the clock.
SELECT key_update('sk-ann', clear => '{soft_budget}', rpd_limit => 3, rpm_limit => 1) \g /dev/null
SELECT at, set_config('pg_org.now', at, false) <> '' AS set, refused_by('m', 0, 0)
  FROM unnest('{2030-06-12 10:20:59.999999Z,2030-06-12 10:21:00Z,2030-06-12 23:59:59.999999Z,2030-06-13 00:00:00Z}'::text[]) AS at;

-- Of users, teams and their members ------------------------------------------------------------
CALL begin_again();
SET pg_org.now = '2030-06-12 10:20:30Z';
SELECT user_update('ann', max_parallel_requests => 1, budget_limits => '[{"max_budget": 50, "budget_duration": "1w@UTC"}]', model_rpm_limit => '{"m": 9}'),
       team_update('red', soft_budget => 5, max_budget => 90, budget_duration => '1d@UTC', model_max_budget => '{"m": 30}', team_member_budget => 8, team_member_budget_duration => '7d',
                   team_member_rpm_limit => 3, team_member_tpm_limit => 40, rpd_limit => 7),
       org_update('acme', budget_limits => '[{"max_budget": 60, "budget_duration": "1d"}]', model_tpm_limit => '{"m": 77}', tpd_limit => 777) \g /dev/null
SELECT owner, l.* FROM unnest('{organization,team,user}'::text[]) AS owner, limits_of(owner) AS l;
SELECT usage_reserve('sk-ann', 'm', 1, 5, 'a') \g /dev/null
SELECT refused_by('m', 0, 0);
SELECT usage_settle(1, 'a', prompt_tokens => 35) \g /dev/null
SELECT cost, tokens, refused_by('m', cost, tokens) FROM (VALUES (7.1, 0), (7, 6), (7, 5)) AS t (cost, tokens);
-- A member's budget in the team is for each member, from the team's creation in periods; a soft budget only tells.
SELECT user_update('ann', clear => '{max_parallel_requests}'), usage_record('sk-ann', 'm', 4) \g /dev/null
SELECT kind, data ->> 'owner' AS owner, data ->> 'field' AS field, data ->> 'value' AS value, data ->> 'spent' AS spent FROM org.event WHERE kind ~ '^(budget|limit)';
SELECT each, part, per, spent, resets_at FROM limits_of('team') WHERE field = 'team_member_budget';
SELECT usage_verify();
RESET pg_org.now;
DROP TABLE test.field, test.door;
DROP FUNCTION test.shown, test.limits_of, test.refused_by, test.alone;
DROP PROCEDURE test.use;
CALL clear();
