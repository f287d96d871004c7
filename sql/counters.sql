-- Counters of limits: each equals its ledger, goes when it is not needed, and is the owner's whom it was made for.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set usage :checkout /test/usage.sql
\i :usage

-- Limits for each of everything on every kind of owner, for end users made and not, and calls of them.
CREATE PROCEDURE test.make_calls() LANGUAGE plpgsql AS $$
DECLARE
    every text = '[' || (SELECT string_agg(format('{"limit": "%s", "value": 1000, "per": "%s", "each": "%s"%s}', what, per, each, more), ',')
                           FROM (VALUES ('cost', '1d', ''), ('tokens', '1h', ', "model": "p/*"'), ('requests', '1mo@Europe/Berlin', ', "tag": "t", "soft": true')) AS w (what, per, more),
                                unnest('{model,tag,end_user,member,key,team}'::text[]) AS each) || ']';
BEGIN
    CALL begin_again();
    PERFORM set_config('pg_org.now', '2030-06-12 09:00:00Z', false);
    PERFORM org_update('acme', limits => every::json), team_update('red', limits => every::json), user_update('ann', limits => every::json),
            org_member_update('acme', 'ann', limits => every::json), team_member_update('red', 'ann', limits => every::json),
            key_update('sk-ann', limits => every::json);
    PERFORM customer_new('cust', limits => every::json), customer_new('cust', organization_id => 'acme', limits => every::json);
    PERFORM key_generate('ann', key => 'sk-lone', limits => every::json), org_new('Beta', 'beta'), key_generate(organization_id => 'beta', key => 'sk-beta', limits => every::json);
    CALL settle_in();
    UPDATE org.end_user SET created_at = '2001-01-01Z';
    PERFORM set_config('pg_org.now', '2030-06-12 10:20:30Z', false);
    PERFORM usage_record('sk-ann', 'p/m', 1, prompt_tokens => 1, tags => '{t,u}', end_user => 'cust'), usage_record('sk-ann', 'm', 2, prompt_tokens => 2, tags => '{u}', end_user => 'other'),
            usage_record('sk-lone', 'p/m', 4, prompt_tokens => 4, tags => '{t}', end_user => 'cust'), usage_record('sk-beta', 'q/n', 8, prompt_tokens => 8, end_user => 'cust'),
            usage_reserve('sk-ann', 'p/m', 16, 16, 'held', tags => '{t}', end_user => 'cust'), usage_reserve('sk-lone', 'n', 32, 32, 'taken back', end_user => 'cust'),
            usage_reserve('sk-beta', 'p/n', 64, 64, 'expired', 1, end_user => 'cust');
    PERFORM usage_cancel('taken back'), set_config('pg_org.now', '2030-06-12 10:30:00Z', false);
END $$;
CREATE FUNCTION test.all_limits() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(usage_limits(key, model, end_user, tags)::text, '')
      FROM unnest('{sk-ann,sk-lone,sk-beta}'::text[]) AS key, unnest('{p/m,m}'::text[]) AS model, unnest('{cust,other,new}'::text[]) AS end_user,
           (VALUES ('{t,u}'::text[]), ('{}')) AS t (tags)
$$;

-- Verified and repaired -----------------------------------------------------------------
CALL make_calls();
SELECT count(*) > 200 AS many, usage_verify() FROM org.usage_counter;
SELECT CASE WHEN end_user <> '' THEN 'end_user' WHEN key_id <> '' THEN 'key' WHEN team_id <> '' AND user_id <> '' THEN 'team_member' WHEN team_id <> '' THEN 'team'
            WHEN user_id <> '' AND organization_id <> '' THEN 'member' WHEN user_id <> '' THEN 'user' ELSE 'organization' END AS owner, organization_id,
       string_agg(DISTINCT each, ' ' ORDER BY each) AS each, count(*) > 10 AS many
  FROM org.usage_counter WHERE each <> '' GROUP BY 1, 2 ORDER BY 1, 2;
-- Each part's row, set too high or too low, is found and repaired; after it, limits are as before.
CREATE FUNCTION test.tamper(change text, condition text) RETURNS TABLE (rows bigint, differ bigint, counters text, mended integer, then_differ json) LANGUAGE plpgsql AS $$
DECLARE
    before text;
    tampered bigint;
BEGIN
    CALL make_calls();
    before = all_limits();
    EXECUTE format('UPDATE org.usage_counter SET %s WHERE %s', change, condition);
    GET DIAGNOSTICS tampered = ROW_COUNT;
    rows = tampered;
    SELECT count(DISTINCT (d ->> 'organization_id', d ->> 'team_id', d ->> 'user_id', d ->> 'token_id', d ->> 'end_user', d ->> 'each', d ->> 'part', d ->> 'model', d ->> 'tag')),
           string_agg(DISTINCT regexp_replace(d ->> 'counter', '.*[.]', ''), ', ')
      INTO differ, counters FROM json_array_elements(usage_verify()) AS d;
    mended = json_array_length(usage_repair());
    then_differ = usage_verify();
    RETURN NEXT;
    IF all_limits() <> before THEN
        RAISE 'not mended: % %', before, all_limits();
    END IF;
END $$;
SELECT each, t.* FROM unnest('{model,tag,end_user,member,key,team}'::text[]) WITH ORDINALITY AS e (each, place),
       tamper('amounts = array(SELECT amount + 1 FROM unnest(amounts) AS amount)', format('each = %L', each)) AS t ORDER BY place;
SELECT * FROM tamper('held_cost = held_cost + 1', $$each <> ''$$);
SELECT * FROM tamper('held_requests = held_requests + 1', $$each <> ''$$);
SELECT * FROM tamper('amounts = array_fill(0, ARRAY[cardinality(amounts)])', $$each <> '' AND end_user = 'cust'$$);
-- This is the whole difference of one.
CALL make_calls();
UPDATE org.usage_counter SET held_cost = 3
 WHERE (organization_id, team_id, user_id, key_id, end_user, each, part, model, tag) = ('acme', '', '', '', '', 'end_user', 'cust', 'p/*', '');
SELECT usage_verify(), usage_verify('beta') AS of_beta;
SELECT json_array_length(usage_repair()) AS mended;
SELECT usage_verify();
-- Deleting rows changes nothing: all of them, parts' rows, or those of everything.
CREATE FUNCTION test.without(condition text) RETURNS TABLE (rows bigint, same boolean, difference json) LANGUAGE plpgsql AS $$
DECLARE
    before text;
    deleted bigint;
BEGIN
    CALL make_calls();
    before = all_limits();
    EXECUTE 'DELETE FROM org.usage_counter WHERE ' || condition;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    same = all_limits() = before AND deleted > 5;
    PERFORM usage_record('sk-ann', 'p/m', 0.5, tags => '{t}', end_user => 'cust');
    before = all_limits();
    DELETE FROM org.usage_counter;
    RETURN QUERY SELECT deleted, without.same AND all_limits() = before, usage_verify();
END $$;
SELECT condition, same, difference
  FROM unnest(ARRAY['true', $$each <> ''$$, $$each = ''$$, $$each = 'end_user'$$, $$model <> ''$$, $$end_user <> ''$$]) AS condition, without(condition);
-- The ledger is the truth for parts as well.
CALL make_calls();
UPDATE org.usage SET cost = cost + 100 WHERE key_id = 'ann' AND end_user = 'other';
SELECT count(*) > 20 AS found, bool_and(d ->> 'organization_id' IN ('acme', '')) AS of_its_owners FROM json_array_elements(usage_verify()) AS d;
SELECT json_array_length(usage_repair()) > 20 AS mended;
SELECT usage_verify() AS then_differ, l ->> 'spent' AS spent
  FROM json_array_elements(usage_limits('sk-ann', 'm', 'other', '{u}') -> 'limits') AS l WHERE l ->> 'owner' = 'organization' AND l ->> 'part' = 'other' AND l ->> 'limit' = 'cost';

-- Parts that have nothing to count ------------------------------------------------------
-- A part's row goes with a later call of its owner: at most a day after its window. Others stay.
CREATE FUNCTION test.parts(at text) RETURNS TABLE (each text, parts text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('pg_org.now', at, false), usage_reserve('sk-ann', 'm', 0, 0, end_user => 'late', ttl_seconds => 1);
    RETURN QUERY SELECT c.each, string_agg(part, ' ' ORDER BY part) FROM org.usage_counter AS c WHERE key_id = 'ann' AND c.each <> '' GROUP BY c.each ORDER BY c.each;
END $$;
CALL begin_again();
SET pg_org.now = '2030-06-12 10:00:00Z';
SELECT key_update('sk-ann', limits => '[{"limit": "requests", "value": 10, "per": "1m", "each": "end_user"}, {"limit": "cost", "value": 10, "per": "1w", "each": "tag"},
                                        {"limit": "cost", "value": 10, "each": "model"}]') \g /dev/null
SELECT usage_record('sk-ann', 'dear', 5, tags => '{a}', end_user => 'one'), usage_record('sk-ann', 'free', 0, tags => '{b}', end_user => 'two'),
       usage_reserve('sk-ann', 'm', 1, request_id => 'long', tags => '{c}', end_user => 'three', ttl_seconds => 86400) \g /dev/null
SELECT each, string_agg(part, ' ' ORDER BY part) AS parts FROM org.usage_counter WHERE each <> '' GROUP BY each ORDER BY each;
SELECT at, parts.* FROM unnest('{2030-06-12 10:01:00Z,2030-06-12 23:59:59Z,2030-06-13 00:00:00Z,2030-06-13 10:01:00Z}'::text[]) AS at, parts(at);
-- The held one is closed by then; the next call may delete its row.
SELECT at, parts.* FROM unnest('{2030-06-14 10:01:00Z,2030-06-17 00:00:00Z,2030-06-18 00:00:00Z}'::text[]) AS at, parts(at);
-- The count is right without the row, and with it again.
SELECT l ->> 'each' AS each, l ->> 'part' AS part, l ->> 'spent' AS spent FROM json_array_elements(usage_limits('sk-ann', 'dear', 'one', '{a}') -> 'limits') AS l;
SELECT usage_verify(), usage_record('sk-ann', 'dear', 1, tags => '{a}', end_user => 'one') ->> 'cost' AS cost;
SELECT l ->> 'each' AS each, l ->> 'part' AS part, l ->> 'spent' AS spent FROM json_array_elements(usage_limits('sk-ann', 'dear', 'one', '{a}') -> 'limits') AS l;
SELECT usage_verify();
-- A cost settled late counts in a part whose row had gone.
SELECT usage_settle(3, 'long') \g /dev/null
SELECT l ->> 'each' AS each, l ->> 'part' AS part, l ->> 'spent' AS spent FROM json_array_elements(usage_limits('sk-ann', 'm', 'three', '{c}') -> 'limits') AS l;
SELECT usage_verify();
-- Many are deleted a hundred at a time.
CALL begin_again();
SET pg_org.now = '2030-06-12 10:00:00Z';
SELECT key_update('sk-ann', limits => '[{"limit": "requests", "value": 10, "per": "1m", "each": "end_user"}]') \g /dev/null
SELECT count(usage_record('sk-ann', 'm', 0, end_user => 'cust-' || i)) AS made FROM generate_series(1, 250) AS i;
SET pg_org.now = '2030-06-14 10:00:00Z';
SELECT usage_reserve('sk-ann', 'm') \g /dev/null
SELECT count(*) AS rows FROM org.usage_counter WHERE each <> '';
SELECT usage_reserve('sk-ann', 'm') \g /dev/null
SELECT count(*) AS rows FROM org.usage_counter WHERE each <> '';
SELECT usage_reserve('sk-ann', 'm') \g /dev/null
SELECT count(*) AS rows FROM org.usage_counter WHERE each <> '';

-- Limits dropped and set again -----------------------------------------------------------
-- What was called meanwhile is counted, from the start of the window, or from when the sentence was set again.
CALL begin_again();
SET pg_org.now = '2030-06-12 10:00:00Z';
\set some '[{"limit": "cost", "value": 10, "per": "1d", "each": "end_user"}, {"limit": "cost", "value": 10, "each": "tag"}, {"limit": "cost", "value": 10, "per": "1d", "model": "m"}]'
SELECT key_update('sk-ann', limits => :'some'), usage_record('sk-ann', 'm', 1, tags => '{t}', end_user => 'cust') \g /dev/null
SELECT key_update('sk-ann', limits => '[]'), usage_record('sk-ann', 'm', 2, tags => '{t}', end_user => 'cust') \g /dev/null
SELECT count(*) AS rows FROM org.usage_counter WHERE key_id = 'ann';
SET pg_org.now = '2030-06-12 11:00:00Z';
SELECT key_update('sk-ann', limits => :'some'), usage_record('sk-ann', 'm', 4, tags => '{t}', end_user => 'cust') \g /dev/null
SELECT l ->> 'each' AS each, l ->> 'model' AS model, l ->> 'spent' AS spent FROM json_array_elements(usage_limits('sk-ann', 'm', 'cust', '{t}') -> 'limits') AS l;
SELECT usage_verify();
-- Only one kind of part is dropped and set again, with another kept; a changed value keeps the count.
SELECT key_update('sk-ann', limits => '[{"limit": "cost", "value": 20, "each": "tag"}]'), usage_record('sk-ann', 'm', 8, tags => '{t}', end_user => 'cust') \g /dev/null
SELECT key_update('sk-ann', limits => '[{"limit": "cost", "value": 30, "each": "tag"}, {"limit": "cost", "value": 30, "per": "1d", "each": "end_user"}]'),
       usage_record('sk-ann', 'm', 16, tags => '{t}', end_user => 'cust') \g /dev/null
SELECT l ->> 'each' AS each, l ->> 'value' AS value, l ->> 'spent' AS spent, l ->> 'remaining' AS remaining FROM json_array_elements(usage_limits('sk-ann', 'm', 'cust', '{t}') -> 'limits') AS l;
SELECT usage_verify();
-- Another period is another sentence, and has what the ledger has for it.
SET pg_org.now = '2030-06-13 11:00:00Z';
SELECT key_update('sk-ann', limits => '[{"limit": "cost", "value": 30, "per": "1w", "each": "tag"}, {"limit": "cost", "value": 30, "per": "2d", "each": "end_user"}, {"limit": "requests", "value": 30, "per": "1w", "each": "end_user"}]'),
       usage_record('sk-ann', 'm', 0.5, tags => '{t}', end_user => 'cust') \g /dev/null
SELECT l ->> 'limit' AS "limit", l ->> 'each' AS each, l ->> 'per' AS per, l ->> 'spent' AS spent FROM json_array_elements(usage_limits('sk-ann', 'm', 'cust', '{t}') -> 'limits') AS l;
SELECT usage_verify();
RESET pg_org.now;
DROP FUNCTION test.all_limits, test.tamper, test.without, test.parts;
DROP PROCEDURE test.make_calls;
CALL clear();
