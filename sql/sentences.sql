-- Limits as sentences: what is read and checked, on which owners, and what is shown of it.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set usage :checkout /test/usage.sql
\i :usage

-- Gives limits without since, which is the time when each was set.
CREATE FUNCTION test.sentences(limits json) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(jsonb_agg(sentence - 'since' ORDER BY place), '[]')::text
      FROM jsonb_array_elements(limits::jsonb) WITH ORDINALITY AS t (sentence, place)
$$;
-- Sets the key's only limit, and shows what is stored, or the refusal.
CREATE FUNCTION test.set_one(sentence text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN sentences(key_update('sk-ann', limits => ('[' || sentence || ']')::json) -> 'limits');
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END $$;
-- Shows the refusal of a list of limits.
CREATE FUNCTION test.refusal(list text) RETURNS text LANGUAGE sql AS $$
    SELECT masked(attempt(format('key_update(''sk-ann'', limits => %L)', list)))
$$;

-- What each field may be ----------------------------------------------------------
SELECT set_one(format('{"limit": "%s", "value": 5}', what)) FROM unnest('{cost,tokens,requests,parallel_requests}'::text[]) AS what;
SELECT set_one(format('{"limit": "%s", "value": %s}', what, value)) FROM (VALUES
    ('cost', '0'), ('cost', '0.000001'), ('cost', '5.50'), ('cost', '1e3'), ('cost', '"2.5"'), ('cost', '1000000000000000'),
    ('tokens', '0'), ('tokens', '"7"'), ('tokens', '3.0'), ('requests', '9223372036854775807'), ('parallel_requests', '0')) AS t (what, value);
SELECT set_one(format('{"limit": "cost", "value": 1, "per": %s}', per)) FROM json_array_elements('[null, "15s", "1m", "5m", "1h", "36h",
    "1d", "1w", "1mo", "1q", "1y", "2d", "2w", "3mo", "1mo@UTC", "1d@UTC", "1w@Europe/Berlin", "1mo@Asia/Kathmandu",
    "1q@America/New_York", "1y@+05:30", "1d@-08:00"]') AS per;
SELECT set_one(format('{"limit": "requests", "value": 1, "per": "1m", "each": %s}', each))
  FROM json_array_elements('[null, "model", "tag", "end_user", "member", "key", "team"]') AS each;
SELECT set_one('{"limit": "tokens", "value": 1, "model": "openai/*", "tag": "a tag", "each": "end_user", "per": "1d", "soft": true}');
SELECT set_one(format('{"limit": "tokens", "value": 1, "soft": %s}', soft)) FROM json_array_elements('[true, false, null]') AS soft;
-- Names are bounded.
SELECT length(set_one(format('{"limit": "tokens", "value": 1, "model": "%s"}', repeat('m', 255)))) > 255 AS longest;
SELECT set_one(format('{"limit": "tokens", "value": 1, "%s": %s}', field, value))
  FROM unnest('{model,tag}'::text[]) AS field, json_array_elements('[null, 7, []]') AS value;
-- A raise adds to the value until its time, which is shown in UTC.
SELECT set_one(format('{"limit": "%s", "value": 1, "raise": %s}', what, raise)) FROM (VALUES
    ('cost', 'null'), ('cost', '{"amount": 0.5, "until": "2030-01-01T02:00:00+02:00"}'),
    ('tokens', '{"amount": 50, "until": "2030-01-01T00:00:00Z"}'),
    ('parallel_requests', '{"amount": 1, "until": "2030-01-01"}')) AS t (what, raise);
-- The time when it was set is shown, and ignored when it is sent back.
SELECT set_one('{"limit": "cost", "value": 1, "since": "1999-01-01T00:00:00Z"}');
SELECT limits -> 0 ->> 'since' > '2026' AS since_now FROM org.api_key WHERE key_id = 'ann';

-- What they may not be ---------------------------------------------------------------
SELECT key_update('sk-ann', limits => '[]') \g /dev/null
SELECT fingerprint() AS contents \gset before_
SELECT set_one(format('{"limit": %s, "value": 1}', what)) FROM json_array_elements('[null, "", "money", "Cost", 7, {}]') AS what;
SELECT set_one('{"value": 1}');
SELECT set_one(format('{"limit": "%s", "value": %s}', what, value))
  FROM unnest('{cost,tokens}'::text[]) AS what,
       json_array_elements('[null, -1, -0.001, 1e30, "x", "", true, [], {}, "NaN", "Infinity", 1e-31]') AS value;
SELECT set_one('{"limit": "cost"}'), set_one('{"limit": "cost", "value": 1000000000000000.01}') AS too_large;
SELECT set_one(format('{"limit": "%s", "value": 1.5}', what)) FROM unnest('{tokens,requests,parallel_requests}'::text[]) AS what;
SELECT set_one('{"limit": "requests", "value": 9223372036854775808}');
SELECT set_one(format('{"limit": "cost", "value": 1, "per": %s}', per)) FROM json_array_elements('["", "0d", "-1d", "1.5h", "1", "d", "30days",
    "1 d", "1D", "1M", "2q", "2y", "100y", "1m@UTC", "2d@UTC", "1d@", "1d@Nowhere", "1d@EST5EDT4", "1d@posixrules", "1d@localtime",
    "1d@Factory", "1mo@UTC+3", "1d@+25", 7, [], "999999999999d"]') AS per;
SELECT set_one(format('{"limit": "parallel_requests", "value": 1, "per": %s}', per)) FROM json_array_elements('["1m", "1d", ""]') AS per;
SELECT set_one(format('{"limit": "cost", "value": 1, "each": %s}', each))
  FROM json_array_elements('["", "user", "organization", "Model", 7, {}]') AS each;
SELECT set_one(format('{"limit": "cost", "value": 1, "%s": "%s"}', field, name))
  FROM unnest('{model,tag}'::text[]) AS field, unnest(ARRAY['', repeat('n', 256)]) AS name;
SELECT set_one(format('{"limit": "cost", "value": 1, "soft": %s}', soft)) FROM json_array_elements('["yes", 1, "", {}]') AS soft;
SELECT set_one(format('{"limit": "cost", "value": 1, "raise": %s}', raise)) FROM json_array_elements('[5, [], true, {},
    {"amount": 5}, {"until": "2030-01-01T00:00:00Z"}, {"amount": null, "until": "2030-01-01T00:00:00Z"},
    {"amount": -1, "until": "2030-01-01T00:00:00Z"}, {"amount": "x", "until": "2030-01-01T00:00:00Z"},
    {"amount": 1e16, "until": "2030-01-01T00:00:00Z"}, {"amount": 5, "until": "soon"}, {"amount": 5, "until": ""},
    {"amount": 5, "until": 7}, {"amount": 5, "until": null}, {"amount": 5, "until": "now"}, {"amount": 5, "until": "infinity"},
    {"amount": 5, "until": "2030-01-01T00:00:00Z", "by": 1}]') AS raise;
SELECT set_one('{"limit": "requests", "value": 1, "raise": {"amount": 0.5, "until": "2030-01-01T00:00:00Z"}}');
SELECT set_one(format('{"limit": "cost", "value": 1, "%s": 1}', field))
  FROM unnest('{max_budget,Value,part,field,owner}'::text[]) AS field;
SELECT set_one('{"limit": "cost", "value": 1, "": null}');
SELECT set_one(sentence::text) FROM json_array_elements('[7, null, "cost", []]') AS sentence;
SELECT list, refusal(list::text) FROM json_array_elements('[7, {}, "cost", true, {"limit": "cost", "value": 1}]') AS list;
-- The second sentence is named as such.
SELECT refusal('[{"limit": "cost", "value": 1}, {"limit": "cost", "value": -1, "per": "1d"}]');
-- There are at most 200, with those that other fields set.
CREATE FUNCTION test.many(count integer) RETURNS json LANGUAGE sql AS $$
    SELECT json_agg(json_build_object('limit', 'cost', 'value', i, 'model', 'm' || i)) FROM generate_series(1, count) AS i
$$;
SELECT refusal(many(201)::text), refusal(many(1000)::text) AS more;
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;
SELECT json_array_length(key_update('sk-ann', limits => many(200)) -> 'limits') AS limits;
SELECT attempt('key_update(''sk-ann'', rpm_limit => 1)'), attempt('key_update(''sk-ann'', model_rpm_limit => ''{"m": 1}'')');
SELECT key_update('sk-ann', rpm_limit => 1, model_max_budget => '{"a": 1, "b": 2}', limits => many(197)) ->> 'rpm_limit' AS rpm_limit;
SELECT attempt('key_update(''sk-ann'', tpm_limit => 1)'), refusal(many(198)::text);
SELECT json_array_length(key_update('sk-ann', limits => '[]', clear => '{rpm_limit,model_max_budget}') -> 'limits') AS limits;

-- The same limit twice ----------------------------------------------------------------
SELECT refusal(format('[{"limit": "cost", "value": 1%s}, {"limit": "cost", "value": 2%s}]', one, other)) FROM (VALUES
    ('', ''), (', "per": "1d"', ', "per": "1d"'), (', "soft": true', ', "soft": true'), (', "soft": false', ''),
    (', "each": "key", "tag": "t", "model": "m"', ', "model": "m", "each": "key", "tag": "t"'),
    ('', ', "raise": {"amount": 1, "until": "2030-01-01T00:00:00Z"}')) AS t (one, other);
SELECT refusal(format('[{"limit": "cost", "value": 1}, {"limit": "cost", "value": 1%s}]', more)) FROM unnest(ARRAY[
    ', "per": "1d"', ', "soft": true', ', "model": "m"', ', "tag": "t"', ', "each": "key"']) AS more;
SELECT refusal('[{"limit": "cost", "value": 1, "per": "1d"}, {"limit": "tokens", "value": 1, "per": "1d"}, {"limit": "cost", "value": 1, "per": "24h"}]');
SELECT key_update('sk-ann', limits => '[]') \g /dev/null
-- A limit that is the same as that of a short form, whichever comes first.
CREATE TABLE test.short (place integer, owner text, field text, value text, sentence text);
INSERT INTO test.short VALUES
    (1, 'key', 'max_budget', '5', '"limit": "cost"'), (2, 'key', 'rpm_limit', '5', '"limit": "requests", "per": "1m"'),
    (3, 'key', 'tpm_limit', '5', '"limit": "tokens", "per": "1m"'),
    (4, 'key', 'max_parallel_requests', '5', '"limit": "parallel_requests"'),
    (5, 'key', 'soft_budget', '5', '"limit": "cost", "soft": true'),
    (6, 'key', 'rpd_limit', '5', '"limit": "requests", "per": "1d"'), (7, 'key', 'tpd_limit', '5', '"limit": "tokens", "per": "1d"'),
    (8, 'key', 'model_max_budget', '{"m": {"budget_limit": 5, "time_period": "1d"}}', '"limit": "cost", "per": "1d", "model": "m"'),
    (9, 'key', 'model_rpm_limit', '{"m": 5}', '"limit": "requests", "per": "1m", "model": "m"'),
    (10, 'key', 'model_tpm_limit', '{"m": 5}', '"limit": "tokens", "per": "1m", "model": "m"'),
    (11, 'key', 'budget_limits', '[{"max_budget": 5, "budget_duration": "7d"}]', '"limit": "cost", "per": "7d"'),
    (12, 'team', 'max_budget', '5', '"limit": "cost"'), (13, 'team', 'model_max_budget', '{"m": 5}', '"limit": "cost", "model": "m"'),
    (14, 'team', 'team_member_budget', '5', '"limit": "cost", "each": "member"'),
    (15, 'team', 'team_member_rpm_limit', '5', '"limit": "requests", "per": "1m", "each": "member"'),
    (16, 'team', 'team_member_tpm_limit', '5', '"limit": "tokens", "per": "1m", "each": "member"'),
    (17, 'user', 'max_budget', '5', '"limit": "cost"'), (18, 'user', 'max_parallel_requests', '5', '"limit": "parallel_requests"'),
    (19, 'user', 'soft_budget', '5', '"limit": "cost", "soft": true'),
    (20, 'organization', 'max_budget', '5', '"limit": "cost"'), (21, 'organization', 'tpd_limit', '5', '"limit": "tokens", "per": "1d"'),
    (22, 'budget', 'rpm_limit', '5', '"limit": "requests", "per": "1m"'), (23, 'end_user', 'max_budget', '5', '"limit": "cost"'),
    (24, 'organization', 'model_max_budget', '{"m": 5}', '"limit": "cost", "model": "m"');
SELECT budget_new('shared'), customer_new('cust', organization_id => 'acme') \g /dev/null
-- Updates an owner, or shows the refusal.
CREATE FUNCTION test.updated(owner text, arguments text) RETURNS text LANGUAGE sql AS $$
    SELECT masked(attempt(CASE owner WHEN 'key' THEN 'key_update(''sk-ann''' WHEN 'team' THEN 'team_update(''red'''
                                     WHEN 'user' THEN 'user_update(''ann''' WHEN 'organization' THEN 'org_update(''acme'''
                                     WHEN 'budget' THEN 'budget_update(''shared'''
                                     ELSE 'customer_update(''cust'', organization_id => ''acme''' END || ', ' || arguments || ')'))
$$;
SELECT owner, field, updated(owner, format('%I => %L, limits => %L', field, value, list)) AS both,
       updated(owner, format('%I => %L', field, value)) AS short_form, updated(owner, format('limits => %L', list)) AS then_sentence,
       updated(owner, format('clear => %L, limits => %L', '{' || field || '}', list)) AS in_its_place,
       updated(owner, format('%I => %L', field, value)) AS then_short_form, updated(owner, 'limits => ''[]''') AS cleared
  FROM short, format('[{%s, "value": 1}]', sentence) AS list ORDER BY place \gx
-- The same holds for what is made.
SELECT call, masked(attempt(call || $$, max_budget => 5, limits => '[{"limit": "cost", "value": 5}]')$$)) FROM (VALUES
    ($$org_new('G'$$), ($$team_new('acme'$$), ($$user_new('eve'$$), ($$key_generate('ann'$$), ($$key_service_account_generate('red'$$),
    ($$key_regenerate('sk-ann'$$), ($$budget_new('bad'$$), ($$customer_new('bad'$$)) AS t (call);
SELECT masked(attempt($$org_patch('acme', '{"max_budget": 5, "limits": [{"limit": "cost", "value": 5}]}')$$)) AS patched,
       masked(attempt($$org_member_update('acme', 'ann', max_budget_in_organization => 5, limits => '[{"limit": "cost", "value": 5}]')$$)) AS member,
       masked(attempt($$team_member_update('red', 'ann', rpm_limit => 5, limits => '[{"limit": "requests", "value": 5, "per": "1m"}]')$$)) AS team_member;

-- Owners ------------------------------------------------------------------------------
CALL begin_again();
-- Runs a call that replies with limits, where ONE, OTHER and WRONG stand for lists of limits.
CREATE FUNCTION test.shown(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found json;
BEGIN
    EXECUTE 'SELECT ' || replace(replace(replace(call,
        'ONE', '[{"limit": "cost", "value": 5, "per": "30d", "each": "end_user"}, {"limit": "tokens", "value": 9, "soft": true}]'),
        'OTHER', '[{"limit": "requests", "value": 2, "per": "1h", "model": "openai/*"}]'),
        'WRONG', '[{"limit": "cost", "value": -5}]') INTO found;
    RETURN sentences(found -> 'limits');
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END $$;
-- What is sent is shown; a list replaces the former one; an empty list and clear end it; without limits nothing changes.
SELECT call, shown(call) FROM (VALUES
    ($$org_new('Beta', 'beta', limits => 'ONE') -> 'litellm_budget_table'$$), ($$org_new('G', limits => 'WRONG')$$),
    ($$org_update('beta', organization_alias => 'B') -> 'litellm_budget_table'$$),
    ($$org_update('beta', limits => 'OTHER') -> 'litellm_budget_table'$$), ($$org_update('beta', limits => 'WRONG')$$),
    ($$org_info('beta') -> 'litellm_budget_table'$$), ($$org_update('beta', limits => '[]') -> 'litellm_budget_table'$$),
    ($$org_update('beta', litellm_budget_table => '{"limits": ONE}') -> 'litellm_budget_table'$$),
    ($$org_update('beta', litellm_budget_table => '{"limits": WRONG}')$$),
    ($$org_update('beta', limits => 'OTHER', litellm_budget_table => '{"limits": ONE}') -> 'litellm_budget_table'$$),
    ($$org_update('beta', litellm_budget_table => '{"limits": null}') -> 'litellm_budget_table'$$),
    ($$org_patch('beta', '{"limits": ONE}') -> 'litellm_budget_table'$$), ($$org_patch('beta', '{"limits": WRONG}')$$),
    ($$org_patch('beta', '{"limits": null}') -> 'litellm_budget_table'$$),
    ($$org_patch('beta', '{"limits": OTHER}') -> 'litellm_budget_table'$$),
    ($$org_update('beta', clear => '{limits}') -> 'litellm_budget_table'$$),
    ($$org_update('beta', limits => 'ONE', clear => '{limits}')$$)) AS t (call);
SELECT call, shown(call) FROM (VALUES
    ($$team_new('acme', team_id => 'blue', limits => 'ONE')$$), ($$team_new('acme', limits => 'WRONG')$$),
    ($$team_update('blue', team_alias => 'B') -> 'data'$$), ($$team_update('blue', limits => 'OTHER') -> 'data'$$),
    ($$team_update('blue', limits => 'WRONG')$$), ($$team_info('blue') -> 'team_info'$$),
    ($$team_update('blue', limits => '[]') -> 'data'$$), ($$team_update('blue', limits => 'ONE') -> 'data'$$),
    ($$team_update('blue', clear => '{limits}') -> 'data'$$)) AS t (call);
SELECT call, shown(call) FROM (VALUES
    ($$user_new('bob', auto_create_key => false, limits => 'ONE')$$), ($$user_new('eve', limits => 'WRONG')$$),
    ($$user_update('bob', user_alias => 'B') -> 'data'$$), ($$user_update('bob', limits => 'OTHER') -> 'data'$$),
    ($$user_update('bob', limits => 'WRONG')$$), ($$user_info_v2('bob')$$), ($$user_update('bob', limits => '[]') -> 'data'$$),
    ($$user_update('bob', limits => 'ONE') -> 'data'$$), ($$user_update('bob', clear => '{limits}') -> 'data'$$)) AS t (call);
SELECT call, shown(call) FROM (VALUES
    ($$key_generate('bob', key => 'sk-bob', limits => 'ONE')$$), ($$key_generate('bob', limits => 'WRONG')$$),
    ($$key_update('sk-bob', key_alias => 'B')$$), ($$key_update('sk-bob', limits => 'OTHER')$$), ($$key_update('sk-bob', limits => 'WRONG')$$),
    ($$key_info('sk-bob') -> 'info'$$), ($$key_regenerate('sk-bob', new_key => 'sk-bob-2')$$),
    ($$key_regenerate('sk-bob-2', new_key => 'sk-bob', limits => 'ONE')$$), ($$key_regenerate('sk-bob', limits => 'WRONG')$$),
    ($$key_update('sk-bob', limits => '[]')$$), ($$key_update('sk-bob', limits => 'ONE')$$), ($$key_update('sk-bob', clear => '{limits}')$$),
    ($$key_service_account_generate('red', key => 'sk-robot', limits => 'ONE')$$),
    ($$key_service_account_generate('red', limits => 'WRONG')$$)) AS t (call);
SELECT call, shown(call) FROM (VALUES
    ($$org_member_add('beta', '{"role": "internal_user", "user_id": "bob"}', limits => 'ONE') -> 'updated_organization_memberships' -> 0 -> 'litellm_budget_table'$$),
    ($$org_member_add('beta', '{"role": "internal_user", "user_id": "ann"}', limits => 'WRONG')$$),
    ($$org_member_update('beta', 'bob', max_budget_in_organization => 5) -> 'litellm_budget_table'$$),
    ($$org_member_update('beta', 'bob', limits => 'OTHER') -> 'litellm_budget_table'$$), ($$org_member_update('beta', 'bob', limits => 'WRONG')$$),
    ($$org_member_add('beta', '{"role": "org_admin", "user_id": "bob"}') -> 'updated_organization_memberships' -> 0 -> 'litellm_budget_table'$$),
    ($$org_member_add('beta', '{"role": "org_admin", "user_id": "bob"}', limits => 'ONE') -> 'updated_organization_memberships' -> 0 -> 'litellm_budget_table'$$),
    ($$org_member_update('beta', 'bob', limits => '[]') -> 'litellm_budget_table'$$),
    ($$org_member_update('beta', 'bob', limits => 'ONE') -> 'litellm_budget_table'$$),
    ($$org_member_update('beta', 'bob', clear => '{limits}') -> 'litellm_budget_table'$$)) AS t (call);
SELECT call, shown(call) FROM (VALUES
    ($$team_member_add('blue', '{"role": "user", "user_id": "bob"}', limits => 'ONE') -> 'updated_team_memberships' -> 0 -> 'litellm_budget_table'$$),
    ($$team_member_add('blue', '{"role": "user", "user_id": "ann"}', limits => 'WRONG')$$),
    ($$team_member_update('blue', 'bob', max_budget_in_team => 5) -> 'litellm_budget_table'$$),
    ($$team_member_update('blue', 'bob', limits => 'OTHER') -> 'litellm_budget_table'$$), ($$team_member_update('blue', 'bob', limits => 'WRONG')$$),
    ($$team_member_update('blue', 'bob', limits => '[]') -> 'litellm_budget_table'$$),
    ($$team_member_update('blue', 'bob', limits => 'ONE') -> 'litellm_budget_table'$$),
    ($$team_member_update('blue', 'bob', clear => '{limits}') -> 'litellm_budget_table'$$),
    ($$team_bulk_member_add('blue', '[{"role": "user", "user_id": "ann"}]', limits => 'ONE') -> 'results' -> 0 -> 'litellm_budget_table'$$),
    ($$team_bulk_member_add('blue', '[{"role": "user", "user_id": "ann"}]', limits => 'WRONG')$$)) AS t (call);
SELECT call, shown(call) FROM (VALUES
    ($$budget_new('gold', limits => 'ONE')$$), ($$budget_new('bad', limits => 'WRONG')$$), ($$budget_update('gold', max_budget => 5)$$),
    ($$budget_update('gold', limits => 'OTHER')$$), ($$budget_update('gold', limits => 'WRONG')$$), ($$budget_info('{gold}') -> 0$$),
    ($$budget_update('gold', limits => '[]')$$), ($$budget_update('gold', limits => 'ONE')$$),
    ($$budget_update('gold', clear => '{limits}')$$)) AS t (call);
SELECT call, shown(call) FROM (VALUES
    ($$customer_new('cust', limits => 'ONE') -> 'litellm_budget_table'$$), ($$customer_new('bad', limits => 'WRONG')$$),
    ($$customer_update('cust', alias => 'C') -> 'litellm_budget_table'$$), ($$customer_update('cust', limits => 'OTHER') -> 'litellm_budget_table'$$),
    ($$customer_update('cust', limits => 'WRONG')$$), ($$customer_info('cust') -> 'litellm_budget_table'$$),
    ($$customer_update('cust', limits => '[]') -> 'litellm_budget_table'$$), ($$customer_update('cust', limits => 'ONE') -> 'litellm_budget_table'$$),
    ($$customer_update('cust', clear => '{limits}') -> 'litellm_budget_table'$$)) AS t (call);
-- Of many users and keys at once, only those of users.
SELECT call, shown(call) FROM (VALUES
    ($$user_bulk_update('[{"user_id": "bob", "limits": ONE}]') -> 'results' -> 0 -> 'updated_user'$$),
    ($$user_bulk_update('[{"user_id": "bob", "limits": []}]') -> 'results' -> 0 -> 'updated_user'$$)) AS t (call);
SELECT user_bulk_update('[{"user_id": "bob", "limits": [{"limit": "cost", "value": -1}]}]') -> 'results' -> 0 ->> 'error' AS users,
       key_bulk_update('[{"key": "sk-bob", "limits": []}]') ->> 'failed_updates' AS keys;
SELECT unowned_budgets();

-- Since ---------------------------------------------------------------------------------
-- A sentence that is set again, with another value or raise as well, was set when it was set first; another is new.
CREATE FUNCTION test.set_at(at text, list text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('pg_org.now', at, false);
    RETURN (SELECT string_agg(sentence ->> 'since', ' ' ORDER BY place)
              FROM json_array_elements(key_update('sk-ann', limits => list::json) -> 'limits') WITH ORDINALITY AS t (sentence, place));
END $$;
SELECT at, set_at(at, list) AS since FROM (VALUES
    ('2030-01-01Z', '[{"limit": "cost", "value": 5, "per": "2d"}]'),
    ('2030-01-02Z', '[{"limit": "cost", "value": 6, "per": "2d"}]'),
    ('2030-01-03Z', '[{"limit": "tokens", "value": 6, "per": "2d"}, {"per": "2d", "value": 7, "limit": "cost", "soft": false, "raise": {"amount": 1, "until": "2031-01-01T00:00:00Z"}}]'),
    ('2030-01-04Z', '[{"limit": "cost", "value": 7, "per": "2d", "since": "2029-01-01T00:00:00Z"}, {"limit": "cost", "value": 7, "per": "2d", "soft": true}]'),
    ('2030-01-05Z', '[{"limit": "cost", "value": 7, "per": "2d", "model": "m"}]'),
    ('2030-01-06Z', '[{"limit": "cost", "value": 7, "per": "2d"}]'),
    ('2030-01-07Z', '[{"limit": "cost", "value": 7, "per": "3d"}]')) AS t (at, list);
RESET pg_org.now;

-- Audited ---------------------------------------------------------------------------------
CALL begin_again();
SELECT org_audit_purge(clock_timestamp()) \g /dev/null
\set other '[{"limit": "requests", "value": 2, "per": "1h", "model": "openai/*"}]'
SELECT key_update('sk-ann', limits => :'other'), team_update('red', limits => :'other'), user_update('ann', limits => :'other'),
       org_update('acme', limits => :'other'), org_member_update('acme', 'ann', limits => :'other'),
       team_member_update('red', 'ann', limits => :'other') \g /dev/null
SELECT key_update('sk-ann', limits => :'other'), key_update('sk-ann', limits => '[]') \g /dev/null
SELECT kind, id, action, before ->> 'limits' IS NULL AS was_none, sentences(coalesce((before -> 'limits')::json, '[]')) AS before,
       sentences((after -> 'limits')::json) AS after
  FROM org.audit_log WHERE after ? 'limits' ORDER BY occurred_at, kind, id;

DROP TABLE test.short;
DROP FUNCTION test.sentences, test.set_one, test.refusal, test.many, test.updated, test.set_at, test.shown;
CALL clear();
