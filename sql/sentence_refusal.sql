-- Limits as sentences: what refusals, replies and events tell, soft limits, raises, and what calls have to bring.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set usage :checkout /test/usage.sql
\i :usage
SET pg_org.now = '2030-06-12 10:20:30Z';
-- Makes a request that is decided among many, and shows the refusal's fields.
CREATE FUNCTION test.refused(request text) RETURNS TABLE (name text, value text) LANGUAGE sql AS $$
    WITH error AS (SELECT usage_reserve_many(json_build_array(('{"key": "sk-ann", "model": "p/m"}'::jsonb || request::jsonb))) -> 0 -> 'error' AS error)
    SELECT e.key, e.value FROM error, json_each_text(error.error) AS e WHERE e.key <> 'limit'
     UNION ALL
    SELECT 'limit.' || l.key, l.value FROM error, json_each_text(nullif(error.error ->> 'limit', '')::json) AS l
$$;

-- The fields of a refusal -------------------------------------------------------------
SELECT org_update('acme', limits => '[{"limit": "cost", "value": 5, "per": "1d", "each": "end_user", "model": "p/*", "tag": "t"},
                                      {"limit": "tokens", "value": 100, "per": "1h", "each": "member"}, {"limit": "parallel_requests", "value": 1, "tag": "one"}]'),
       key_update('sk-ann', limits => '[{"limit": "requests", "value": 2, "tag": "few"}]', rpd_limit => 50) \g /dev/null
SELECT usage_record('sk-ann', 'p/m', 3, tags => '{t}', end_user => 'cust'), usage_reserve('sk-ann', 'p/m', 1, 40, 'held', tags => '{t,one}', end_user => 'cust') \g /dev/null
SELECT * FROM refused('{"max_cost": 2, "max_tokens": 1, "tags": ["t"], "end_user": "cust"}');
SELECT * FROM refused('{"max_cost": 2.5, "max_tokens": 1, "tags": ["t"], "end_user": "cust"}') WHERE name IN ('limit.spent', 'limit.held', 'limit.asked', 'limit.frees_at', 'retry_after', 'hint');
SELECT * FROM refused('{"max_cost": 6, "max_tokens": 1, "tags": ["t"], "end_user": "cust"}') WHERE name IN ('limit.spent', 'limit.held', 'limit.asked', 'limit.frees_at', 'retry_after', 'hint');
SELECT * FROM refused('{"max_cost": 0, "max_tokens": 61}');
SELECT * FROM refused('{"max_cost": 0, "max_tokens": 1, "tags": ["one"]}');
SELECT usage_record('sk-ann', 'p/m', 0, tags => '{few}') FROM generate_series(1, 2) \g /dev/null
SELECT * FROM refused('{"max_cost": 0, "max_tokens": 1, "tags": ["few"]}');
-- A single call is refused with the same numbers; param is the field by which the limit was set.
SELECT * FROM explained($$usage_reserve('sk-ann', 'p/m', 2, 1, tags => '{t}', end_user => 'cust')$$) \gx
SELECT * FROM explained($$usage_reserve('sk-ann', 'p/m', 0, 61)$$) \gx
SELECT * FROM explained($$usage_reserve('sk-ann', 'p/m', 0, 1, tags => '{one}')$$) \gx
SELECT * FROM explained($$usage_reserve('sk-ann', 'p/m', 0, 1, tags => '{few}')$$) \gx
SELECT key_update('sk-ann', limits => '[]', rpd_limit => 4) \g /dev/null
SELECT * FROM refused('{"max_cost": 0, "max_tokens": 1}') WHERE name IN ('param', 'limit.field', 'limit.per', 'limit.limit', 'message', 'limit.resets_at');
-- The fields of a grant, and of usage_limits.
SELECT key_update('sk-ann', clear => '{rpd_limit}') \g /dev/null
SELECT json_array_elements(usage_reserve('sk-ann', 'p/m', 0.5, 7, 'granted', tags => '{t}', end_user => 'cust') -> 'limits');
SELECT usage_cancel('granted') \g /dev/null
SELECT json_array_elements(usage_limits('sk-ann', 'p/m', 'cust', '{t}') -> 'limits');
SELECT usage_verify();

-- What takes nothing ------------------------------------------------------------------
-- It breaks no limit, even beside counters that are over.
CALL begin_again();
SELECT key_update('sk-ann', max_budget => 5, limits => '[{"limit": "cost", "value": 1, "each": "model"}, {"limit": "tokens", "value": 10, "per": "1d"}, {"limit": "cost", "value": 0, "tag": "free"}]') \g /dev/null
SELECT usage_record('sk-ann', 'm', 7, prompt_tokens => 20) \g /dev/null
SELECT l ->> 'limit' AS "limit", l ->> 'tag' AS tag, l ->> 'value' AS value, l ->> 'spent' AS spent, l ->> 'remaining' AS remaining
  FROM json_array_elements(usage_limits('sk-ann', 'm') -> 'limits') AS l;
SELECT cost, tokens, trial(format('usage_reserve(''sk-ann'', ''m'', %s, %s, tags => ''{free}'')', cost, tokens))
  FROM unnest('{0,0.000001}'::numeric[]) AS cost, unnest('{0,1}'::integer[]) AS tokens;
SELECT usage_reserve('sk-ann', 'm', 0, 0) -> 'limits' -> 0 ->> 'remaining' AS remaining;
-- A request takes one: a limit of 0 lets none through.
SELECT key_update('sk-ann', clear => '{max_budget}', limits => '[{"limit": "requests", "value": 0, "per": "1h", "model": "dear/*"}, {"limit": "parallel_requests", "value": 0, "tag": "none"}]') \g /dev/null
SELECT trial($$usage_reserve('sk-ann', 'dear/m', 0, 0)$$) AS requests, trial($$usage_reserve('sk-ann', 'm', 0, 0, tags => '{none}')$$) AS parallel,
       trial($$usage_reserve('sk-ann', 'm')$$) AS others;
SELECT usage_verify();

-- What calls bring --------------------------------------------------------------------
-- max_cost is required where a hard limit of cost applies, max_tokens where one of tokens does.
CREATE FUNCTION test.without(sentence text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM key_update('sk-ann', limits => ('[' || sentence || ']')::json);
    RETURN trial($call$usage_reserve('sk-ann', 'p/m', tags => '{t}', end_user => 'cust')$call$);
END $$;
SELECT sentence, without(sentence) FROM unnest(ARRAY['', '{"limit": "cost", "value": 5}', '{"limit": "cost", "value": 5, "soft": true}',
    '{"limit": "cost", "value": 5, "model": "m"}', '{"limit": "cost", "value": 5, "model": "n"}', '{"limit": "cost", "value": 5, "tag": "t"}',
    '{"limit": "cost", "value": 5, "tag": "u"}', '{"limit": "cost", "value": 5, "each": "end_user"}', '{"limit": "cost", "value": 5, "each": "team"}',
    '{"limit": "tokens", "value": 5}', '{"limit": "tokens", "value": 5, "soft": true}', '{"limit": "tokens", "value": 5, "model": "x/m"}',
    '{"limit": "requests", "value": 5}', '{"limit": "parallel_requests", "value": 5}']) AS sentence;
SELECT org_update('acme', default_reserve => 2) \g /dev/null
SELECT without('{"limit": "cost", "value": 5, "each": "tag"}') AS with_default, without('{"limit": "cost", "value": 1, "each": "tag"}') AS default_too_large;
SELECT org_update('acme', clear => '{default_reserve}') \g /dev/null

-- Soft limits -------------------------------------------------------------------------
-- They refuse nothing, and tell once in a window, for each part, and again of a higher value.
CALL begin_again();
CREATE FUNCTION test.told() RETURNS TABLE (kind text, "limit" text, per text, tag text, each text, part text, value text, spent text, held text) LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM org.event RETURNING *)
    SELECT kind, data ->> 'limit', data ->> 'per', data ->> 'tag', data ->> 'each', data ->> 'part', data ->> 'value', data ->> 'spent', data ->> 'held'
      FROM gone WHERE kind ~ '^(budget|limit)' ORDER BY kind, 2, 3, 4, 5, 6, event_id
$$;
SELECT key_update('sk-ann', limits => '[{"limit": "cost", "value": 5, "per": "1h", "soft": true}, {"limit": "tokens", "value": 10, "per": "1h", "soft": true},
                                        {"limit": "requests", "value": 2, "per": "1m", "soft": true}, {"limit": "parallel_requests", "value": 2, "soft": true},
                                        {"limit": "cost", "value": 3, "per": "1h", "each": "end_user", "soft": true}, {"limit": "requests", "value": 2, "each": "tag", "soft": true}]') \g /dev/null
SELECT count(*) AS before FROM told();
SELECT usage_record('sk-ann', 'm', 4.99, prompt_tokens => 9) \g /dev/null
SELECT * FROM told();
SELECT usage_record('sk-ann', 'm', 0.01, completion_tokens => 1) \g /dev/null
SELECT * FROM told();
SELECT usage_reserve('sk-ann', 'm', 100, 100, 'a') \g /dev/null
SELECT * FROM told();
SELECT usage_reserve('sk-ann', 'm', request_id => 'b') \g /dev/null
SELECT * FROM told();
SELECT usage_reserve('sk-ann', 'm', request_id => 'c') \g /dev/null
SELECT * FROM told();
-- For each part by itself.
SELECT usage_record('sk-ann', 'm', 3, tags => '{a,b}', end_user => 'one') \g /dev/null
SELECT * FROM told();
SELECT usage_record('sk-ann', 'm', 3, tags => '{b,c}', end_user => 'two'), usage_record('sk-ann', 'm', 3, tags => '{b,c}', end_user => 'one') \g /dev/null
SELECT * FROM told();
-- In the next window again; a higher value again, a lower one not.
SET pg_org.now = '2030-06-12 11:00:00Z';
SELECT usage_record('sk-ann', 'm', 3, end_user => 'one') \g /dev/null
SELECT * FROM told();
SELECT key_update('sk-ann', limits => '[{"limit": "cost", "value": 2, "per": "1h", "each": "end_user", "soft": true}]'), usage_record('sk-ann', 'm', 1, end_user => 'one') \g /dev/null
SELECT * FROM told();
SELECT key_update('sk-ann', limits => '[{"limit": "cost", "value": 6, "per": "1h", "each": "end_user", "soft": true}]'), usage_record('sk-ann', 'm', 1, end_user => 'one') \g /dev/null
SELECT * FROM told();
SELECT usage_record('sk-ann', 'm', 1, end_user => 'one'), usage_record('sk-ann', 'm', 1, end_user => 'one') \g /dev/null
SELECT * FROM told();
-- A hard limit of cost tells when it is reached, and when it refuses a call in a list; one of requests does not.
SELECT key_update('sk-ann', limits => '[{"limit": "cost", "value": 3, "per": "1h", "each": "end_user"}, {"limit": "requests", "value": 1, "per": "1m", "each": "end_user"}]') \g /dev/null
SELECT usage_record('sk-ann', 'm', 2, end_user => 'three'), usage_record('sk-ann', 'm', 2, end_user => 'three') \g /dev/null
SELECT * FROM told();
SELECT usage_record('sk-ann', 'm', 2, end_user => 'three'), usage_record('sk-ann', 'm', 2, end_user => 'four') \g /dev/null
SELECT * FROM told();
SELECT * FROM answers(usage_reserve_many('[{"key": "sk-ann", "model": "m", "max_cost": 2, "end_user": "four"}, {"key": "sk-ann", "model": "m", "max_cost": 2, "end_user": "four"},
                                           {"key": "sk-ann", "model": "m", "max_cost": 9, "end_user": "five"}]'));
SELECT * FROM told();
SELECT usage_verify();
-- What only expired reservations would reach is not told of.
CALL begin_again();
SELECT key_update('sk-ann', limits => '[{"limit": "parallel_requests", "value": 2, "soft": true}, {"limit": "tokens", "value": 50, "per": "1d", "soft": true}]'),
       usage_reserve('sk-ann', 'm', max_tokens => 45, ttl_seconds => 1), usage_reserve('sk-ann', 'm', max_tokens => 4, ttl_seconds => 9) \g /dev/null
SELECT * FROM told();
SET pg_org.now = '2030-06-12 11:01:00Z';
SELECT usage_record('sk-ann', 'm', 0, prompt_tokens => 5) \g /dev/null
SELECT * FROM told();
SELECT usage_record('sk-ann', 'm', 0, prompt_tokens => 45) \g /dev/null
SELECT * FROM told();
SELECT usage_verify();
-- This is a whole event.
SELECT key_update('sk-ann', limits => '[{"limit": "cost", "value": 3, "per": "1h", "each": "end_user"}]') \g /dev/null
SELECT usage_record('sk-ann', 'm', 3, end_user => 'six') \g /dev/null
SELECT organization_id, kind, data FROM org.event WHERE kind = 'budget.exceeded' \gx

-- Raises ------------------------------------------------------------------------------
CALL begin_again();
SET pg_org.now = '2030-06-12 10:20:30Z';
SELECT key_update('sk-ann', limits => '[{"limit": "cost", "value": 5, "raise": {"amount": 2.5, "until": "2030-06-14T00:00:00Z"}},
                                        {"limit": "requests", "value": 1, "per": "1h", "raise": {"amount": 1, "until": "2030-06-14T00:00:00Z"}},
                                        {"limit": "tokens", "value": 5, "each": "tag", "raise": {"amount": 5, "until": "2030-06-14T00:00:00Z"}}]') \g /dev/null
SELECT l ->> 'limit' AS "limit", l ->> 'value' AS value FROM json_array_elements(usage_limits('sk-ann') -> 'limits') AS l;
SELECT trial($$usage_reserve('sk-ann', 'm', 7.5, 10, tags => '{t}')$$) AS raised, trial($$usage_reserve('sk-ann', 'm', 7.51, 10)$$) AS more,
       trial($$usage_reserve('sk-ann', 'm', 0, 11, tags => '{t}')$$) AS more_tokens \gx
SELECT usage_reserve('sk-ann', 'm', 6, request_id => 'long', ttl_seconds => 86400, max_tokens => 0) \g /dev/null
SET pg_org.now = '2030-06-13 23:59:59.999999Z';
SELECT trial($$usage_reserve('sk-ann', 'm', 7.5, 10, tags => '{t}')$$) AS raised;
-- From its end on, the former value holds; what was granted before stays.
SELECT usage_settle(6, 'long') \g /dev/null
SET pg_org.now = '2030-06-14 00:00:00Z';
SELECT l ->> 'limit' AS "limit", l ->> 'value' AS value, l ->> 'spent' AS spent, l ->> 'remaining' AS remaining FROM json_array_elements(usage_limits('sk-ann') -> 'limits') AS l;
SELECT trial($$usage_reserve('sk-ann', 'm', 0.1, 5, tags => '{t}')$$) AS cost, trial($$usage_reserve('sk-ann', 'm', 0, 6, tags => '{t}')$$) AS tokens,
       trial($$usage_reserve('sk-ann', 'm', 0, 5, tags => '{t}')$$) AS within \gx
SELECT usage_verify();
-- The short form of a raise of max_budget.
SET pg_org.now = '2030-06-12 10:20:30Z';
SELECT key_update('sk-ann', limits => '[]', max_budget => 5, temp_budget_increase => 3, temp_budget_expiry => '2030-06-14T00:00:00Z') ->> 'max_budget' AS max_budget;
SELECT trial($$usage_reserve('sk-ann', 'm', 2)$$) AS raised, trial($$usage_reserve('sk-ann', 'm', 2.1)$$) AS more;
SET pg_org.now = '2030-06-14 00:00:00Z';
SELECT trial($$usage_reserve('sk-ann', 'm', 0.1)$$) AS over;
SELECT key_update('sk-ann', clear => '{temp_budget_expiry,temp_budget_increase}') -> 'temp_budget_expiry' AS expiry;
SELECT left(trial($$usage_reserve('sk-ann', 'm', 0.1)$$), 5) AS without_expiry, usage_verify();

RESET pg_org.now;
DROP FUNCTION test.refused, test.without, test.told;
CALL clear();
