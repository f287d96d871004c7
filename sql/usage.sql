-- Usage: who may reserve, settle, cancel and record calls, what refuses a call, and how calls count.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set usage :checkout /test/usage.sql
\i :usage
SET pg_org.now = '2030-06-12 10:20:30Z';

-- A call from beginning to end --------------------------------------------------
-- These are the whole replies.
CALL set_limit('organization', 'max_budget', '10');
CALL set_limit('organization', 'budget_duration', '30d');
UPDATE org.budget SET budget_reset_at = '2030-06-20Z' WHERE budget_id = 'of-acme';
CALL set_limit('key', 'rpm_limit', '5');
CALL set_limit('key', 'model_max_budget', '{"gpt-4o": {"budget_limit": 2.50, "time_period": "1d"}, "o3": 1}');
UPDATE org.organization SET model_aliases = '{"fast": "openai/gpt-4o"}';
\pset format unaligned
\pset tuples_only on
SELECT replace(usage_reserve('sk-ann', 'fast', 1.50, 1000, 'call-1', 60, '{chat}')::text, ',"', E',\n"');
SELECT replace(usage_limits('sk-ann')::text, ',"', E',\n"');
SELECT replace(usage_settle(0.25, 'call-1', prompt_tokens => 11, completion_tokens => 22,
                            cache_read_input_tokens => 3, cache_creation_input_tokens => 4)::text, ',"', E',\n"');
SELECT replace(usage_limits('sk-ann')::text, ',"', E',\n"');
SELECT replace(usage_reserve('sk-ann', 'o3', 1, request_id => 'call-2')::text, ',"', E',\n"');
SELECT replace(usage_cancel('call-2')::text, ',"', E',\n"');
SELECT replace(usage_record('sk-ann', 'o3', 0.125, 'call-3', 5, failed => true, tags => '{}')::text, ',"', E',\n"');
SELECT replace(usage_reserve_many('[{"key": "sk-ann", "model": "o3", "max_cost": 0.875, "request_id": "call-4"},
                                    {"key": "sk-ann", "model": "o3", "max_cost": 0.1},
                                    {"key": "sk-ann", "max_cost": 0.1}]')::text, ',"', E',\n"');
SELECT replace(usage_settle_many('[{"cost": 0.75, "request_id": "call-4"},
                                   {"cost": 1, "request_id": "nowhere"}]')::text, ',"', E',\n"');
\pset tuples_only off
\pset format aligned
-- Tags are stored unchanged; a reservation_id is unambiguous, whatever characters its parts contain.
SELECT usage_reserve('sk-ann', 'o3', 0, request_id => 'a.b', tags => ARRAY['a,b', '{}', '"q"', 'NULL', '\', ''])
       ->> 'reservation_id' AS reservation_id;
SELECT tags FROM org.reservation;
SELECT usage_cancel(reservation_id => '4.acme.a.b') ->> 'request_id' AS request_id;
SELECT tags FROM org.usage WHERE request_id = 'a.b';
DELETE FROM org.usage WHERE request_id = 'a.b';
-- These are the rows in the tables.
TABLE org.reservation;
\x on
SELECT * FROM org.usage ORDER BY request_id;
\x off
SELECT organization_id, spend, model_spend FROM org.organization;
SELECT 'team' AS of, spend FROM org.team UNION ALL SELECT 'member', spend FROM org.membership
 UNION ALL SELECT 'team member', spend FROM org.team_member
 UNION ALL SELECT 'user', spend FROM org."user" WHERE user_id = 'ann' UNION ALL SELECT 'key', spend FROM org.api_key;
SELECT model_spend FROM org."user" WHERE user_id = 'ann';
SELECT * FROM org.usage_daily ORDER BY model;
SELECT organization_id, team_id, user_id, key_id, model, held_cost, held_requests, names, starts, amounts
  FROM org.usage_counter ORDER BY 1, 2, 3, 4, 5;
SELECT usage_verify();

-- Arguments -------------------------------------------------------------------
CALL begin_again();
SELECT usage_reserve('sk-ann', 'm', request_id => 'held') \g /dev/null
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$usage_reserve(NULL, 'm')$$),
    ($$usage_reserve('sk-ann', NULL)$$),
    ($$usage_reserve('sk-ann', '')$$),
    ($$usage_reserve('sk-ann', 'm', -0.01)$$),
    ($$usage_reserve('sk-ann', 'm', 1000000000000000.01)$$),
    ($$usage_reserve('sk-ann', 'm', 'NaN')$$),
    ($$usage_reserve('sk-ann', 'm', max_tokens => -1)$$),
    ($$usage_reserve('sk-ann', 'm', max_tokens => 1000000000001)$$),
    ($$usage_reserve('sk-ann', 'm', request_id => '')$$),
    ($$usage_reserve('sk-ann', 'm', ttl_seconds => 0)$$),
    ($$usage_reserve('sk-ann', 'm', ttl_seconds => 86401)$$),
    ($$usage_reserve('sk-ann', 'm', tags => '{a,NULL}')$$),
    ($$usage_settle(NULL, 'held')$$),
    ($$usage_settle(1)$$),
    ($$usage_settle(1, '')$$),
    ($$usage_settle(-1, 'held')$$),
    ($$usage_settle(1000000000000000.01, 'held')$$),
    ($$usage_settle('Infinity', 'held')$$),
    ($$usage_settle(1, 'held', prompt_tokens => -1)$$),
    ($$usage_settle(1, 'held', completion_tokens => -1)$$),
    ($$usage_settle(1, 'held', cache_read_input_tokens => -1)$$),
    ($$usage_settle(1, 'held', cache_creation_input_tokens => 1000000000001)$$),
    ($$usage_settle(1, 'nowhere')$$),
    ($$usage_settle(1, reservation_id => 'nowhere')$$),
    ($$usage_settle(1, reservation_id => '')$$),
    ($$usage_settle(1, reservation_id => '4.acme')$$),
    ($$usage_settle(1, reservation_id => '4.acme.')$$),
    ($$usage_settle(1, reservation_id => '4.acme.HELD')$$),
    ($$usage_settle(1, reservation_id => '5.acme.held')$$),
    ($$usage_settle(1, reservation_id => '18446744073709551615.acme.held')$$),
    ($$usage_cancel()$$),
    ($$usage_cancel('')$$),
    ($$usage_cancel('nowhere')$$),
    ($$usage_cancel(reservation_id => '0..held')$$),
    ($$usage_record(NULL, 'm', 1)$$),
    ($$usage_record('sk-ann', NULL, 1)$$),
    ($$usage_record('sk-ann', 'm', NULL)$$),
    ($$usage_record('sk-ann', 'm', -1)$$),
    ($$usage_record('sk-ann', 'm', 1, '')$$),
    ($$usage_record('sk-ann', 'm', 1, prompt_tokens => -1)$$),
    ($$usage_record('sk-ann', 'm', 1, tags => '{NULL}')$$),
    ($$usage_record('sk-nobody', 'm', 1)$$),
    ($$usage_limits('sk-nobody')$$),
    ($$usage_limits()$$)) AS t (call);
SELECT attempt(format('usage_reserve(''sk-ann'', %L)', repeat('x', 256))) AS model,
       attempt(format('usage_reserve(''sk-ann'', ''m'', request_id => %L)', repeat('x', 256))) AS request_id;
-- Unknown keys and missing keys are explained.
SELECT explained.* FROM explained($$usage_reserve('sk-nobody', 'm')$$);
SELECT explained.* FROM explained($$usage_limits(api_key => '')$$);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;
-- The largest and the smallest values are allowed.
SELECT call, trial(call) FROM (VALUES
    ($$usage_reserve('sk-ann', repeat('x', 255), 1e15, 1000000000000, repeat('x', 255), 86400, '{}')$$),
    ($$usage_reserve('sk-ann', 'm', 0, 0, ttl_seconds => 1)$$),
    ($$usage_reserve('sk-ann', 'm', NULL, NULL, NULL, NULL, NULL)$$),
    ($$usage_settle(1e15, 'held', NULL, 1000000000000, 1000000000000, 1000000000000, 1000000000000, true)$$),
    ($$usage_settle(0, 'held')$$),
    ($$usage_settle(1e-20, reservation_id => '4.acme.held')$$),
    ($$usage_record('sk-ann', repeat('x', 255), 1e15, repeat('x', 255))$$)) AS t (call);
-- A reservation expires after ttl_seconds, by default ten minutes. Generated request_ids all have the same length.
SELECT usage_reserve('sk-ann', 'm', ttl_seconds => ttl) ->> 'expires_at' AS expires_at
  FROM unnest('{NULL,1,86400}'::bigint[]) AS ttl;
SELECT count(DISTINCT request_id) AS made, count(DISTINCT length(request_id)) AS lengths FROM org.reservation
 WHERE request_id <> 'held';

-- Permissions -----------------------------------------------------------------
-- The tables' owner, proxy admins and keys with the permission usage may call; its value must be the JSON value true.
CALL begin_again();
SELECT org_new('Beta', 'beta'), user_new('zoe', user_role => 'proxy_admin', auto_create_key => false) \g /dev/null
SELECT key_generate(organization_id => 'acme', key => 'sk-acme'), key_generate(organization_id => 'beta', key => 'sk-beta'),
       key_generate(key => 'sk-lone'), key_generate('zoe', key => 'sk-zoe'),
       key_generate(key => 'sk-gate', permissions => '{"usage": true}'),
       key_generate(organization_id => 'acme', key => 'sk-gate-acme', permissions => '{"usage": true}'),
       key_generate(organization_id => 'beta', key => 'sk-gate-beta', permissions => '{"usage": true}') \g /dev/null
CALL settle_in();
UPDATE org.api_key SET permissions = p::jsonb
  FROM (VALUES ('acme', '{"usage": false}'), ('ann', '{"usage": "true"}'), ('lone', '{"events": true}'),
               ('beta', '{"Usage": true}')) AS given (id, p) WHERE key_id = id;
SELECT usage_reserve(key, 'm', request_id => 'of ' || key) FROM unnest('{sk-acme,sk-beta,sk-lone}'::text[]) AS key \g /dev/null
SELECT caller, left(trial(format('usage_reserve(''sk-acme'', ''m'', api_key => %L)', caller)), 5) AS reserve,
       left(trial(format('usage_settle(1, ''of sk-acme'', api_key => %L)', caller)), 5) AS settle,
       left(trial(format('usage_cancel(''of sk-acme'', api_key => %L)', caller)), 5) AS cancel,
       left(trial(format('usage_record(''sk-acme'', ''m'', 1, api_key => %L)', caller)), 5) AS record
  FROM unnest('{NULL,sk-zoe,sk-gate,sk-gate-acme,sk-acme,sk-ann,sk-lone,sk-beta}'::text[]) WITH ORDINALITY AS t (caller, place)
 ORDER BY place;
SELECT trial($$usage_reserve('sk-ann', 'm', api_key => 'sk-ann')$$);
SELECT trial($$usage_reserve_many('[]', api_key => 'sk-ann')$$), trial($$usage_settle_many('[]', api_key => 'sk-ann')$$);
-- For a key of an organization, everything outside seems not to exist.
SELECT caller, key, left(trial(format('usage_reserve(%L, ''m'', api_key => %L)', key, caller)), 5) AS reserve,
       left(trial(format('usage_record(%L, ''m'', 1, api_key => %L)', key, caller)), 5) AS record,
       left(trial(format('usage_settle(1, %L, api_key => %L)', 'of ' || key, caller)), 5) AS settle,
       left(trial(format('usage_settle(1, reservation_id => %L, api_key => %L)', r.reservation_id, caller)), 5)
       AS settle_by_id,
       left(trial(format('usage_cancel(%L, api_key => %L)', 'of ' || key, caller)), 5) AS cancel
  FROM unnest('{sk-gate,sk-gate-acme,sk-gate-beta}'::text[]) AS caller,
       (VALUES ('sk-acme', '4.acme.of sk-acme'), ('sk-beta', '4.beta.of sk-beta'), ('sk-lone', '0..of sk-lone'),
               ('sk-nobody', '4.acme.of sk-nobody')) AS r (key, reservation_id)
 ORDER BY caller, key;
SELECT caller, place, answer
  FROM unnest('{sk-gate,sk-gate-acme}'::text[]) AS caller,
       answers(usage_reserve_many('[{"key": "sk-beta", "model": "m", "request_id": "of sk-beta"},
                                    {"key": "sk-acme", "model": "m", "request_id": "of sk-acme"},
                                    {"key": "sk-nobody", "model": "m", "request_id": "new"}]', api_key => caller));
-- Limits are also shown to the key itself, to its organization's admins and to proxy admin viewers.
SELECT org_member_add('acme', '{"role": "org_admin", "user_id": "bob"}'), user_new('vic', user_role => 'proxy_admin_viewer',
       auto_create_key => false), key_generate('bob', key => 'sk-bob'), key_generate('vic', key => 'sk-vic') \g /dev/null
SELECT caller, left(trial(format('usage_limits(api_key => %L)', caller)), 5) AS own,
       left(trial(format('usage_limits(''sk-acme'', api_key => %L)', caller)), 5) AS of_acme,
       left(trial(format('usage_limits(''sk-beta'', api_key => %L)', caller)), 5) AS of_beta,
       left(trial(format('usage_limits(''sk-nobody'', api_key => %L)', caller)), 5) AS of_nobody
  FROM unnest('{sk-zoe,sk-vic,sk-bob,sk-ann,sk-acme,sk-lone,sk-gate,sk-gate-acme}'::text[]) WITH ORDINALITY AS t (caller, place)
 ORDER BY place;
SELECT trial($$usage_limits('sk-beta', api_key => 'sk-ann')$$);
SELECT usage_limits('acme', api_key => 'sk-acme') ->> 'token_id' AS named_by_token_id;

-- Keys ------------------------------------------------------------------------
CALL begin_again();
SELECT org_new('Beta', 'beta') \g /dev/null
SELECT key_generate('ann', 'acme', key => 'sk-acme', duration => '1d'), key_generate('ann', key => 'sk-lone'),
       key_generate(organization_id => 'beta', key => 'sk-beta') \g /dev/null
CALL settle_in();
CREATE FUNCTION test.keys() RETURNS TABLE (key text, answer text) LANGUAGE sql AS $$
    SELECT key, trial(format('usage_reserve(%L, ''m'')', key))
      FROM unnest('{sk-ann,sk-acme,sk-lone,sk-beta}'::text[]) WITH ORDINALITY AS t (key, place) ORDER BY place
$$;
UPDATE org.api_key SET expires = '2030-06-12 10:20:30.000001Z' WHERE key_id = 'acme';
SELECT * FROM keys();
-- A key is named by its secret and nothing else.
SELECT key, trial(format('usage_reserve(%L, ''m'')', key))
  FROM unnest(ARRAY['ann', 'sk-unknown', 'sk-', '', 'Bearer sk-ann', 'ANN', encode(sha256('sk-ann'), 'hex'),
                    (SELECT key_name FROM org.api_key WHERE key_id = 'ann')]) WITH ORDINALITY AS t (key, place) ORDER BY place;
-- A replaced secret works until its grace period ends.
UPDATE org.api_key SET previous_key_hash = encode(sha256('sk-before'), 'hex'), previous_expires = '2030-06-12 10:20:31Z'
 WHERE key_id = 'ann';
SELECT trial($$usage_reserve('sk-before', 'm')$$);
UPDATE org.api_key SET previous_expires = '2030-06-12 10:20:30Z' WHERE key_id = 'ann';
SELECT trial($$usage_reserve('sk-before', 'm')$$);
-- A key is expired from the given moment on.
UPDATE org.api_key SET expires = '2030-06-12 10:20:30Z' WHERE key_id = 'acme';
SELECT * FROM keys();
-- The key, its team or its organization is blocked; the block of a key takes precedence over its expiry.
UPDATE org.api_key SET blocked = true WHERE key_id IN ('acme', 'lone');
SELECT * FROM keys();
UPDATE org.api_key SET blocked = false;
SELECT team_block('red') ->> 'blocked' AS blocked;
SELECT * FROM keys();
SELECT org_block('acme') ->> 'blocked' AS blocked;
SELECT * FROM keys();
SELECT team_unblock('red') ->> 'blocked' AS blocked;
SELECT * FROM keys();
-- After a block or an expiry, reservations can be settled, calls can be recorded, and limits are shown.
SELECT org_unblock('acme') ->> 'blocked' AS blocked;
SELECT usage_reserve('sk-ann', 'm', request_id => 'before') \g /dev/null
SELECT org_block('acme'), key_block('sk-ann') \g /dev/null
UPDATE org.api_key SET expires = '2030-06-12Z' WHERE key_id = 'ann';
SELECT usage_settle(1, 'before') ->> 'state' AS settled, usage_record('sk-ann', 'm', 2, 'after') ->> 'state' AS recorded;
SELECT trial($$usage_limits('sk-ann')$$);
-- After the key or its organization is deleted, reservations can be settled, and calls recorded; they count for the
-- owners that remain.
SELECT org_unblock('acme'), key_unblock('sk-ann') \g /dev/null
UPDATE org.api_key SET expires = NULL;
SELECT usage_reserve('sk-ann', 'm', 4, request_id => 'of a key deleted'),
       usage_reserve('sk-ann', 'm', 4, request_id => 'of all deleted') \g /dev/null
SELECT key_delete('{sk-ann}') \g /dev/null
SELECT trial($$usage_reserve('sk-ann', 'm')$$) AS reserve, trial($$usage_record('sk-ann', 'm', 1)$$) AS record;
SELECT usage_settle(0.25, 'of a key deleted') ->> 'organization_id' AS organization_id;
SELECT spend FROM org.organization WHERE organization_id = 'acme';
SELECT org_delete('{acme}') \g /dev/null
SELECT usage_settle(0.5, 'of all deleted') ->> 'organization_id' AS organization_id;
SELECT user_id, spend, model_spend FROM org."user" WHERE user_id = 'ann';
SELECT request_id, organization_id, team_id, user_id, key_id, cost FROM org.usage ORDER BY closed_at, cost, request_id;
SELECT usage_verify();
DROP FUNCTION test.keys;

-- Models ----------------------------------------------------------------------
CALL begin_again();
-- Each name is asked with a list at one level, while the other levels have none.
CREATE FUNCTION test.models(list text[]) RETURNS TABLE (level text, answers text) LANGUAGE plpgsql AS $$
BEGIN
    FOR level IN SELECT unnest('{api_key,team,organization,user}'::text[]) LOOP
        EXECUTE format('UPDATE org.%I SET models = %L', level, list);
        SELECT string_agg(CASE left(trial(format('usage_reserve(''sk-ann'', %L)', model)), 5)
                               WHEN 'ok' THEN model WHEN '28MOD' THEN '-' ELSE '?' END, ' ' ORDER BY place)
          INTO answers
          FROM unnest('{gpt-4o,openai/gpt-4o,gpt-4,GPT-4o,fast,slow,*,gpt-*,all-proxy-models,all-team-models}'::text[])
               WITH ORDINALITY AS t (model, place);
        EXECUTE format('UPDATE org.%I SET models = ''{}''', level);
        RETURN NEXT;
    END LOOP;
END $$;
UPDATE org.organization
   SET model_aliases = '{"fast": "openai/gpt-4o", "slow": "fast", "gpt-4": 4, "all-team-models": "gpt-4o"}';
SELECT list, level, answers
  FROM (VALUES (1, '{}'), (2, '{gpt-4o}'), (3, '{openai/gpt-4o}'), (4, '{openai/*}'), (5, '{fast}'), (6, '{*-4o,slow}'),
               (7, '{*}'), (8, '{all-proxy-models}'), (9, '{all-team-models}'), (10, '{no-default-models}'),
               (11, '{gpt-4,no-default-models}'), (12, '{"gpt-*"}')) AS t (place, list), models(list::text[]) AS m
 ORDER BY t.place, array_position('{api_key,team,organization,user}', level);
DROP FUNCTION test.models;
-- An alias stands for one name and is not resolved again; the resolved name is called and counted.
SELECT usage_reserve('sk-ann', model, request_id => model) ->> 'model' AS model
  FROM unnest('{fast,slow,openai/gpt-4o,gpt-4}'::text[]) AS model;
SELECT usage_record('sk-ann', 'fast', 1) ->> 'model' AS model;
-- Every level must allow the model; the error names the first one that does not.
UPDATE org.api_key SET models = '{a}';
UPDATE org.team SET models = '{a,b}';
UPDATE org.organization SET models = '{a,b,c}';
UPDATE org."user" SET models = '{a,b,c,d}' WHERE user_id = 'ann';
SELECT explained.* FROM explained($$usage_reserve('sk-ann', 'b')$$);
UPDATE org.api_key SET models = '{all-team-models}';
SELECT model, trial(format('usage_reserve(''sk-ann'', %L)', model)) FROM unnest('{a,b,c}'::text[]) AS model;
UPDATE org.api_key SET models = '{}';
SELECT trial($$usage_reserve('sk-ann', 'c')$$);
UPDATE org.team SET models = '{}';
SELECT trial($$usage_reserve('sk-ann', 'c')$$), trial($$usage_reserve('sk-ann', 'd')$$);
UPDATE org.organization SET models = '{}';
SELECT trial($$usage_reserve('sk-ann', 'd')$$), trial($$usage_reserve('sk-ann', 'e')$$);
-- A call can be recorded for any model.
SELECT usage_record('sk-ann', 'e', 1) ->> 'model' AS model;

-- Unpriced calls --------------------------------------------------------------
CALL begin_again();
-- If no budget applies, nothing is held for an unpriced call.
SELECT usage_reserve('sk-ann', 'm', request_id => 'free') \g /dev/null
SELECT max_cost, max_tokens FROM org.reservation;
-- If a budget of any owner applies, the call needs a price, or the organization a default_reserve.
CREATE FUNCTION test.unpriced(owner text, name text, value text, call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    CALL set_limit(owner, name, value);
    answer = trial(call);
    CALL set_limit(owner, name, NULL);
    RETURN answer;
END $$;
SELECT owner, name, unpriced(owner, name, CASE name WHEN 'model_max_budget' THEN '{"m": 1000}' ELSE '1000' END,
                             $$usage_reserve('sk-ann', 'm')$$) AS nothing_given,
       unpriced(owner, name, CASE name WHEN 'model_max_budget' THEN '{"m": 1000}' ELSE '1000' END,
                $$usage_reserve('sk-ann', 'm', 0, 0)$$) AS zero_given,
       unpriced(owner, name, CASE name WHEN 'model_max_budget' THEN '{"n": 1000}' ELSE '1000' END,
                $$usage_reserve('sk-ann', 'm', 0)$$) AS zero_without_tokens
  FROM kind ORDER BY owner_place, place;
DROP FUNCTION test.unpriced;
CALL set_limit('user', 'max_budget', '10');
SELECT org_patch('acme', '{"default_reserve": 6}') ->> 'default_reserve' AS default_reserve;
SELECT usage_reserve('sk-ann', 'm', request_id => 'unpriced') \g /dev/null
SELECT request_id, max_cost FROM org.reservation ORDER BY 1;
SELECT trial($$usage_reserve('sk-ann', 'm')$$) AS again, trial($$usage_reserve('sk-ann', 'm', 4)$$) AS priced;
SELECT * FROM limits(usage_limits('sk-ann'));
-- A repeated request is the same, even if default_reserve has changed.
SELECT org_patch('acme', '{"default_reserve": 1}') ->> 'default_reserve' AS default_reserve;
SELECT usage_reserve('sk-ann', 'm', request_id => 'unpriced') ->> 'request_id' AS again,
       usage_reserve('sk-ann', 'm', 6, request_id => 'unpriced') ->> 'request_id' AS priced_as_held;
SELECT trial($$usage_reserve('sk-ann', 'm', 1, request_id => 'unpriced')$$) AS priced;

-- Each limit ------------------------------------------------------------------
-- After a settled call and an open one, a call is granted up to the limit and refused beyond it.
CREATE FUNCTION test.edge(owner text, name text)
RETURNS TABLE ("limit" text, up_to text, beyond text, message text, detail text, hint text) LANGUAGE plpgsql AS $$
DECLARE
    over text;
BEGIN
    CALL begin_again();
    PERFORM usage_record('sk-ann', 'openai/m', 3.5, 'over', 20, 15);
    PERFORM usage_reserve('sk-ann', 'm', 4, 40, 'under way');
    PERFORM usage_record('sk-ann', 'other', 100, 'another', 1000) WHERE name = 'model_max_budget';
    "limit" = CASE name WHEN 'max_budget' THEN '10' WHEN 'model_max_budget' THEN '{"m": 10}' WHEN 'tpm_limit' THEN '100'
                        WHEN 'rpm_limit' THEN '3' ELSE '2' END;
    CALL set_limit(owner, name, "limit");
    up_to = trial($t$usage_reserve('sk-ann', 'x/m', 2.5, 25)$t$);
    over = CASE name WHEN 'max_budget' THEN $t$usage_reserve('sk-ann', 'm', 2.51, 25)$t$
                     WHEN 'model_max_budget' THEN $t$usage_reserve('sk-ann', 'a/m', 2.51, 25)$t$
                     WHEN 'tpm_limit' THEN $t$usage_reserve('sk-ann', 'm', 2.5, 26)$t$ END;
    IF over IS NULL THEN -- The limit counts calls.
        CALL set_limit(owner, name, ("limit"::integer - 1)::text);
        over = $t$usage_reserve('sk-ann', 'm', 2.5, 25)$t$;
    END IF;
    beyond = left(trial(over), 5);
    SELECT e.message, e.detail, e.hint INTO message, detail, hint FROM explained(over) AS e;
    RETURN NEXT;
END $$;
SELECT owner, name, edge."limit", up_to, beyond FROM kind, edge(owner, name) ORDER BY owner_place, place;
\x on
SELECT owner, name, message, detail, hint FROM kind, edge(owner, name) ORDER BY place, owner_place;
\x off
DROP FUNCTION test.edge;

-- Several limits --------------------------------------------------------------
-- The error names the first limit that refuses: budgets before rates, and outer owners first.  Here all limits refuse,
-- and each limit is lifted after it is named.
CALL begin_again();
SELECT usage_reserve('sk-ann', 'm', 1, 1) \g /dev/null
CALL set_all_limits('0', '{"m": 0, "p/m": 0}');
CREATE FUNCTION test.lift() RETURNS TABLE (place bigint, owner text, "limit" text, model text) LANGUAGE plpgsql AS $$
DECLARE
    refusal json;
BEGIN
    FOR place IN SELECT generate_series(1, 100) LOOP
        refusal = usage_reserve_many('[{"key": "sk-ann", "model": "p/m", "max_cost": 1, "max_tokens": 1}]')
                  -> 0 -> 'error' -> 'limit';
        EXIT WHEN refusal IS NULL;
        owner = refusal ->> 'owner';
        "limit" = refusal ->> 'limit';
        model = refusal ->> 'model';
        CALL set_limit(owner, "limit", CASE model WHEN 'p/m' THEN '{"m": 0}' END);
        RETURN NEXT;
    END LOOP;
END $$;
SELECT * FROM lift();
DROP FUNCTION test.lift;
-- Before the limits come the arguments, the key, a known request, the model and the price.
CALL set_limit('key', 'max_budget', '0');
CALL set_limit('key', 'tpm_limit', '0');
UPDATE org.api_key SET models = '{n}', blocked = true;
SELECT usage_reserve_many('[{"key": "sk-ann", "model": "m", "max_cost": -1}]') -> 0 -> 'error' ->> 'sqlstate' AS sqlstate;
SELECT usage_reserve_many('[{"key": "sk-ann", "model": "m"}]') -> 0 -> 'error' ->> 'sqlstate' AS sqlstate;
UPDATE org.api_key SET blocked = false;
SELECT usage_record('sk-ann', 'm', 0, 'known') \g /dev/null
SELECT usage_reserve_many('[{"key": "sk-ann", "model": "m", "request_id": "known"}]') -> 0 -> 'error' ->> 'sqlstate' AS sqlstate;
SELECT usage_reserve_many('[{"key": "sk-ann", "model": "m"}]') -> 0 -> 'error' ->> 'sqlstate' AS sqlstate;
SELECT trial($$usage_reserve('sk-ann', 'n')$$);
SELECT trial($$usage_reserve('sk-ann', 'n', 1)$$);
SELECT trial($$usage_reserve('sk-ann', 'n', 1, 1)$$);
SELECT trial($$usage_reserve('sk-ann', 'n', 0, 1)$$);
SELECT trial($$usage_reserve('sk-ann', 'n', 0, 0)$$);

-- Retry times -----------------------------------------------------------------
CALL begin_again();
CALL set_limit('key', 'max_budget', '10');
CALL set_limit('key', 'budget_duration', '1d');
UPDATE org.api_key SET budget_reset_at = '2030-06-01Z';
SELECT usage_record('sk-ann', 'm', 3), usage_reserve('sk-ann', 'm', 4, 10) \g /dev/null
SELECT asked, explained.* FROM unnest('{3,4,7,7.01,10,10.01}'::numeric[]) AS asked,
       explained(format('usage_reserve(''sk-ann'', ''m'', %s, 1)', asked));
SELECT asked, answer -> 0 -> 'error' ->> 'retry_after' AS retry_after, answer -> 0 -> 'error' -> 'limit' ->> 'frees_at' AS frees_at
  FROM unnest('{4,7.01,10.01}'::numeric[]) AS asked,
       usage_reserve_many(json_build_array(json_build_object('key', 'sk-ann', 'model', 'm', 'max_cost', asked))) AS answer;
-- Without an end of the period there is no retry time.
CALL set_limit('key', 'budget_duration', NULL);
UPDATE org.api_key SET budget_reset_at = NULL;
SELECT asked, explained.* FROM unnest('{7,7.01}'::numeric[]) AS asked,
       explained(format('usage_reserve(''sk-ann'', ''m'', %s, 1)', asked));
-- Tokens and requests are available again in the next minute.
CALL set_limit('key', 'max_budget', NULL);
CALL set_limit('key', 'tpm_limit', '100');
SELECT usage_record('sk-ann', 'm', 0, prompt_tokens => 30, completion_tokens => 40) \g /dev/null
SELECT asked, explained.* FROM unnest('{20,21,100,101}'::integer[]) AS asked,
       explained(format('usage_reserve(''sk-ann'', ''m'', 0, %s)', asked));
SELECT asked, answer -> 0 -> 'error' ->> 'retry_after' AS retry_after
  FROM unnest('{21,101}'::integer[]) AS asked,
       usage_reserve_many(json_build_array(json_build_object('key', 'sk-ann', 'model', 'm', 'max_tokens', asked))) AS answer;

-- A refusal changes nothing ---------------------------------------------------
CALL begin_again();
CALL set_limit('organization', 'max_budget', '10');
CALL set_limit('key', 'rpm_limit', '2');
SELECT usage_reserve('sk-ann', 'm', 9), usage_reserve_many('[{"key": "sk-ann", "model": "m", "max_cost": 2}]') \g /dev/null
SELECT fingerprint() AS contents \gset before_
SELECT attempt($$usage_reserve('sk-ann', 'm', 2)$$);
SELECT * FROM answers(usage_reserve_many('[{"key": "sk-ann", "model": "m", "max_cost": 2}, {"key": "sk-ann", "model": "m"},
                                           {"key": "sk-ann", "model": "m", "max_cost": 1.01}, {}]'));
SELECT * FROM answers(usage_settle_many('[{"cost": 2}, {"cost": 1, "request_id": "nowhere"}]'));
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;
-- The rest of the budget is still available.
SELECT trial($$usage_reserve('sk-ann', 'm', 1)$$);

-- Repeated requests -----------------------------------------------------------
CALL begin_again();
CALL set_limit('team', 'max_budget', '10');
CALL set_limit('team', 'tpm_limit', '100');
CALL set_limit('team', 'rpm_limit', '1');
CALL set_limit('team', 'max_parallel_requests', '1');
SELECT usage_reserve('sk-ann', 'm', 6, 60, 'again', 60) AS first \gset
SELECT fingerprint() AS contents \gset before_
SELECT usage_reserve('sk-ann', 'm', 6, 60, 'again', 60)::text = :'first' AS same,
       usage_reserve(NULL, 'm', 6.00, 60, 'again', 86400, '{tag}', 'ann')::text = :'first' AS same_by_token_id_for_longer;
SELECT call, trial(call) FROM (VALUES
    ($$usage_reserve('sk-ann', 'n', 6, 60, 'again')$$),
    ($$usage_reserve('sk-ann', 'm', 5, 60, 'again')$$),
    ($$usage_reserve('sk-ann', 'm', 6, 61, 'again')$$),
    ($$usage_reserve('sk-ann', 'm', 6, NULL, 'again')$$),
    ($$usage_record('sk-ann', 'm', 6, 'again')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS nothing_changed;
SELECT key_generate('ann', 'acme', key => 'sk-acme') \g /dev/null
SELECT trial($$usage_reserve('sk-acme', 'm', 6, 60, 'again')$$) AS for_another_key;
-- In another organization, and outside organizations, it is a different request.
SELECT org_new('Beta', 'beta'), key_generate(organization_id => 'beta', key => 'sk-beta'),
       key_generate(key => 'sk-lone') \g /dev/null
SELECT usage_reserve(key, 'm', 6, 60, 'again') ->> 'reservation_id' AS reservation_id
  FROM unnest('{sk-beta,sk-lone}'::text[]) AS key;
-- Then the request_id is ambiguous, except for a caller who sees only one of the requests.
SELECT key_generate(organization_id => 'beta', key => 'sk-gate-beta', permissions => '{"usage": true}') \g /dev/null
SELECT trial($$usage_settle(1, 'again')$$) AS settle, trial($$usage_cancel('again')$$) AS cancel;
SELECT usage_cancel('again', api_key => 'sk-gate-beta') ->> 'reservation_id' AS cancelled;
SELECT usage_cancel(reservation_id => '0..again') ->> 'reservation_id' AS cancelled;
DELETE FROM org.usage;
-- The first settlement counts; later ones get its reply.
SELECT usage_settle(5, 'again', prompt_tokens => 7) AS first \gset
SELECT fingerprint() AS contents \gset before_
SELECT usage_settle(5, 'again', prompt_tokens => 7)::text = :'first' AS same, usage_settle(1, 'again')::text = :'first' AS other,
       usage_settle(1, reservation_id => '4.acme.again', failed => true)::text = :'first' AS by_id,
       usage_settle_many('[{"cost": 1, "request_id": "again"}, {"cost": 2, "reservation_id": "4.acme.again"}]')::text
       = '[' || :'first' || ',' || :'first' || ']' AS many;
SELECT trial($$usage_cancel('again')$$) AS cancel, trial($$usage_reserve('sk-ann', 'm', 6, 60, 'again')$$) AS reserve;
-- Recording a settled request gets the same reply.
SELECT usage_record('sk-ann', 'm', 100, 'again')::text = :'first' AS same;
SELECT fingerprint() = :'before_contents' AS nothing_changed;
SELECT usage_record('sk-ann', 'm', 2, 'recorded', 3, tags => '{a}') AS first \gset
SELECT fingerprint() AS contents \gset before_
SELECT usage_record('sk-ann', 'm', 2, 'recorded', 3, tags => '{a}')::text = :'first' AS same,
       usage_record(NULL, 'm', 1, 'recorded', token_id => 'ann')::text = :'first' AS other,
       usage_settle(1, 'recorded')::text = :'first' AS settled;
SELECT trial($$usage_record('sk-ann', 'n', 2, 'recorded')$$) AS another_model,
       trial($$usage_record('sk-acme', 'm', 2, 'recorded')$$) AS another_key, trial($$usage_cancel('recorded')$$) AS cancel;
SELECT fingerprint() = :'before_contents' AS nothing_changed;
-- A cancelled request stays cancelled until it is settled after all.
SELECT usage_reserve('sk-acme', 'm', 6, request_id => 'cancelled') \g /dev/null
SELECT usage_cancel('cancelled') AS first \gset
SELECT fingerprint() AS contents \gset before_
SELECT usage_cancel('cancelled')::text = :'first' AS same,
       usage_cancel(reservation_id => '4.acme.cancelled')::text = :'first' AS by_id;
SELECT trial($$usage_reserve('sk-acme', 'm', 6, request_id => 'cancelled')$$) AS reserve,
       trial($$usage_record('sk-acme', 'm', 6, 'cancelled')$$) AS record;
SELECT fingerprint() = :'before_contents' AS nothing_changed;
SELECT usage_settle(2, 'cancelled') ->> 'cost' AS cost;
SELECT trial($$usage_cancel('cancelled')$$) AS cancel;
SELECT state, cost FROM org.usage WHERE request_id = 'cancelled';
SELECT spend FROM org.organization WHERE organization_id = 'acme';
SELECT usage_verify();

-- Counting --------------------------------------------------------------------
-- Every step of a call counts for every limit.
CALL begin_again();
CALL set_all_limits('1000', '{"m": 1000}');
-- All owners have the same limits, so they are shown once.
CREATE FUNCTION test.counted() RETURNS TABLE (owners bigint, "limit" text, spent text, held text, remaining text, verified json)
LANGUAGE sql AS $$
    SELECT count(*), "limit", spent, held, remaining, usage_verify()
      FROM test.limits(usage_limits('sk-ann')) AS l
     GROUP BY "limit", spent, held, remaining ORDER BY right("limit", 6), "limit"
$$;
SELECT * FROM counted();
SELECT usage_reserve('sk-ann', 'm', 10, 100, 'a'), usage_reserve('sk-ann', 'p/m', 20, 200, 'b'),
       usage_reserve('sk-ann', 'n', 30, 300, 'c') \g /dev/null
SELECT * FROM counted();
-- Calls are settled below and above the held amount, and cancelled.
SELECT usage_settle(1, 'a', prompt_tokens => 5, completion_tokens => 6, cache_read_input_tokens => 1000) \g /dev/null
SELECT * FROM counted();
SELECT usage_settle(200, 'b', prompt_tokens => 250) \g /dev/null
SELECT * FROM counted();
SELECT usage_cancel('c') \g /dev/null
SELECT * FROM counted();
-- Calls are settled late: after they were cancelled, and after they expired.
SELECT usage_settle(2, 'c', completion_tokens => 7) \g /dev/null
SELECT * FROM counted();
SELECT usage_reserve('sk-ann', 'm', 40, 400, 'd', 5), usage_reserve('sk-ann', 'm', 50, 100, 'e', 5) \g /dev/null
SELECT * FROM counted();
SET pg_org.now = '2030-06-12 10:20:35Z';
SELECT * FROM counted();
SELECT trial($$usage_reserve('sk-ann', 'm', 40, 400, 'd', 5)$$);
SELECT usage_settle(4, 'd', prompt_tokens => 8) ->> 'settled_at' AS settled_at;
SELECT * FROM counted();
SELECT usage_reserve('sk-ann', 'n', 1, 0, 'f') \g /dev/null
SELECT request_id, state FROM org.usage WHERE request_id IN ('d', 'e');
SELECT usage_cancel('e') ->> 'state' AS state;
SELECT * FROM counted();
SELECT usage_settle(5, 'e', prompt_tokens => 9) ->> 'state' AS state;
SELECT * FROM counted();
-- A call that is cancelled after its expiry has the state expired.
SELECT usage_reserve('sk-ann', 'm', 1, 0, 'g', 1) \g /dev/null
SET pg_org.now = '2030-06-12 10:20:36Z';
SELECT usage_cancel('g') ->> 'state' AS state, usage_cancel('g') ->> 'state' AS again;
-- Recording checks no limit.
SELECT usage_record('sk-ann', 'm', 10000, 'h', 10000) \g /dev/null
SELECT * FROM counted();
SELECT trial($$usage_reserve('sk-ann', 'm', 0, 0)$$);
DROP FUNCTION test.counted;

-- Spend is summed by owner, by model and by day, with limits or without.
CALL begin_again();
SELECT org_new('Beta', 'beta'), org_member_add('beta', '{"role": "internal_user", "user_id": "ann"}'),
       org_member_add('acme', '{"role": "internal_user", "user_id": "bob"}') \g /dev/null
SELECT team_member_add('red', '{"role": "user", "user_id": "bob"}') \g /dev/null
SELECT key_generate('bob', 'acme', 'red', key => 'sk-bob'), key_generate(organization_id => 'acme', key => 'sk-acme'),
       key_generate('ann', 'beta', key => 'sk-beta'), key_generate('ann', key => 'sk-lone') \g /dev/null
CALL settle_in();
SET pg_org.now = '2030-06-12 23:59:59.999999Z';
SELECT usage_reserve('sk-ann', 'm', 9, request_id => 'late') \g /dev/null
SELECT usage_record('sk-ann', 'm', 0.1, prompt_tokens => 1, completion_tokens => 2, cache_read_input_tokens => 3,
                    cache_creation_input_tokens => 4),
       usage_record('sk-bob', 'n', 0.02, prompt_tokens => 10), usage_record('sk-acme', 'm', 0.003, failed => true),
       usage_record('sk-beta', 'm', 0.0004), usage_record('sk-lone', 'n', 0.00005, prompt_tokens => 100) \g /dev/null
SET pg_org.now = '2030-06-13Z';
SELECT usage_settle(1, 'late', prompt_tokens => 1000) \g /dev/null
SELECT 'organization' AS owner, organization_id AS id, spend, model_spend FROM org.organization
 UNION ALL SELECT 'team', team_id, spend, NULL FROM org.team
 UNION ALL SELECT 'member', organization_id || '/' || user_id, spend, NULL FROM org.membership
 UNION ALL SELECT 'team member', team_id || '/' || user_id, spend, NULL FROM org.team_member
 UNION ALL SELECT 'user', user_id, spend, model_spend FROM org."user" WHERE user_id <> 'default_user_id'
 UNION ALL SELECT 'key', key_id, spend, NULL FROM org.api_key ORDER BY owner, id;
SELECT organization_id AS org, day, team_id AS team, key_id AS key, model, spend, prompt_tokens AS prompt,
       completion_tokens AS completion, cache_read_input_tokens AS read, cache_creation_input_tokens AS written,
       successful_requests AS ok, failed_requests AS failed
  FROM org.usage_daily ORDER BY org, day, team, key, model;
-- Sums are exact, whatever the digits.
SELECT usage_record('sk-acme', 'm', 0.1), usage_record('sk-acme', 'm', 0.2), usage_record('sk-acme', 'm', 1e-15) \g /dev/null
SELECT spend FROM org.api_key WHERE key_id = 'acme';
SELECT spend, model_spend FROM org.organization WHERE organization_id = 'acme';
SELECT usage_verify();

-- A later owner of the same name begins at zero, and late settlements of earlier calls don't count for it.
SET pg_org.now = '2030-06-13 12:00:00Z';
CALL begin_again();
CALL set_limit('organization', 'max_budget', '10');
SELECT usage_record('sk-ann', 'm', 4), usage_reserve('sk-ann', 'm', 5, request_id => 'of the first') \g /dev/null
SELECT * FROM limits(usage_limits('sk-ann'));
SELECT org_delete('{acme}') \g /dev/null
INSERT INTO org.budget (budget_id, max_budget) VALUES ('of-acme', 10) ON CONFLICT DO NOTHING;
SELECT org_new('Acme again', 'acme', budget_id => 'of-acme'),
       org_member_add('acme', '{"role": "internal_user", "user_id": "ann"}'),
       key_generate('ann', 'acme', key => 'sk-ann') \g /dev/null
UPDATE org.organization SET created_at = '2030-06-13 12:00:01Z';
UPDATE org.membership SET created_at = '2030-06-13 12:00:01Z';
UPDATE org.api_key SET created_at = '2030-06-13 12:00:01Z', key_id = 'ann';
SET pg_org.now = '2030-06-13 12:00:02Z';
SELECT * FROM limits(usage_limits('sk-ann'));
SELECT usage_reserve('sk-ann', 'm', 10, request_id => 'of the second') \g /dev/null
SELECT usage_settle(5, 'of the first'), usage_settle(7, 'of the second') \g /dev/null
SELECT * FROM limits(usage_limits('sk-ann'));
SELECT spend AS of_acme, (SELECT spend FROM org.membership) AS of_member,
       (SELECT spend FROM org."user" WHERE user_id = 'ann') AS of_ann
  FROM org.organization;
SELECT usage_verify();

-- Lists of calls --------------------------------------------------------------
SET pg_org.now = '2030-06-14 12:00:00Z';
CALL begin_again();
CALL set_limit('key', 'max_budget', '10');
-- Calls are decided in order, each as if the previous ones were already made.
SELECT * FROM answers(usage_reserve_many('[
    {"key": "sk-ann", "model": "m", "max_cost": 4, "request_id": "1"},
    {"key": "sk-ann", "model": "m", "max_cost": 7, "request_id": "2"},
    {"key": "sk-ann", "model": "m", "max_cost": 6, "request_id": "3"},
    {"key": "sk-ann", "model": "m", "max_cost": 0.01, "request_id": "4"},
    {"key": "sk-ann", "model": "m", "max_cost": 0, "request_id": "5"}]'));
SELECT "limit", value, held, remaining FROM limits(usage_limits('sk-ann'));
-- Invalid calls in a list are refused alone.
CALL set_limit('key', 'max_budget', '1000');
SELECT * FROM answers(usage_reserve_many('[
    1, null, "sk-ann", [], {}, {"key": "sk-ann"}, {"model": "m"}, {"key": 1, "model": "m"}, {"key": "sk-ann", "model": {}},
    {"key": "sk-ann", "model": "m", "max_cost": true, "request_id": "bad"},
    {"key": "sk-ann", "model": "m", "max_cost": "much", "request_id": "bad"},
    {"key": "sk-ann", "model": "m", "max_cost": "NaN", "request_id": "bad"},
    {"key": "sk-ann", "model": "m", "max_cost": 1, "max_tokens": 1.5, "request_id": "bad"},
    {"key": "sk-ann", "model": "m", "max_cost": 1, "max_tokens": 1e30, "request_id": "bad"},
    {"key": "sk-ann", "model": "m", "max_cost": 1, "ttl_seconds": "soon", "request_id": "bad"},
    {"key": "sk-ann", "model": "m", "max_cost": 1, "ttl_seconds": 0, "request_id": "bad"},
    {"key": "sk-ann", "model": "m", "max_cost": 1, "tags": "a", "request_id": "bad"},
    {"key": "sk-ann", "model": "m", "max_cost": 1, "tags": ["a", null], "request_id": "bad"},
    {"key": "sk-ann", "model": "m", "max_cost": 1, "request_id": 1},
    {"key": "sk-ann", "model": "m", "max_cost": 1, "request_id": ""},
    {"key": "sk-nobody", "model": "m", "max_cost": 1, "request_id": "bad"},
    {"key": "sk-ann", "model": "m", "max_cost": "1.5", "max_tokens": "1e1", "ttl_seconds": null, "tags": null, "other": 1,
     "request_id": "good"},
    {"key": "sk-ann", "model": "m", "max_cost": 10000, "request_id": "bad"}]'));
SELECT request_id, max_cost, max_tokens FROM org.reservation ORDER BY request_id;
-- The same call twice counts once; another call of that request_id is refused, unless the first was refused.
SELECT * FROM answers(usage_reserve_many('[
    {"key": "sk-ann", "model": "m", "max_cost": 2, "request_id": "twice"},
    {"key": "sk-ann", "model": "m", "max_cost": 2, "request_id": "twice"},
    {"key": "sk-ann", "model": "m", "max_cost": 3, "request_id": "twice"},
    {"key": "sk-ann", "model": "m", "max_cost": 10000, "request_id": "at last"},
    {"key": "sk-ann", "model": "m", "max_cost": 2, "request_id": "at last"},
    {"key": "sk-ann", "model": "m", "max_cost": 2, "request_id": "1"}]'));
SELECT "limit", value, held, remaining FROM limits(usage_limits('sk-ann'));
SELECT * FROM answers(usage_settle_many('[
    {"cost": 1, "request_id": "1"}, {"cost": 2, "request_id": "1"}, {"cost": 3, "reservation_id": "4.acme.1"},
    {"request_id": "3"}, {"cost": "much", "request_id": "3"}, {"cost": -1, "request_id": "3"}, {"cost": 1}, 1, {},
    {"cost": 1, "request_id": 3}, {"cost": 1, "request_id": "3", "prompt_tokens": "few"},
    {"cost": 1, "request_id": "3", "failed": "no"}, {"cost": 1, "request_id": "bad"},
    {"cost": 4, "request_id": "3", "failed": true, "prompt_tokens": null}, {"cost": 1, "request_id": "good"}]'));
SELECT request_id, cost, failed FROM org.usage ORDER BY request_id;
SELECT "limit", value, spent, held, remaining FROM limits(usage_limits('sk-ann'));
-- The calls are of several keys and organizations.
SELECT org_new('Beta', 'beta'), org_member_add('acme', '{"role": "internal_user", "user_id": "bob"}') \g /dev/null
SELECT key_generate('bob', 'acme', key => 'sk-bob'), key_generate(organization_id => 'beta', key => 'sk-beta', max_budget => 1),
       key_generate('ann', key => 'sk-lone') \g /dev/null
CALL settle_in();
SELECT * FROM answers(usage_reserve_many((
    SELECT json_agg(json_build_object('key', key, 'model', 'm', 'max_cost', 0.6, 'request_id', key || ' ' || n) ORDER BY n, key)
      FROM unnest('{sk-ann,sk-bob,sk-beta,sk-lone}'::text[]) AS key, generate_series(1, 2) AS n)));
SELECT * FROM answers(usage_settle_many((
    SELECT json_agg(json_build_object('cost', 0.5, 'request_id', request_id) ORDER BY request_id)
      FROM org.reservation WHERE request_id ~ '^sk-')));
SELECT organization_id, spend, model_spend FROM org.organization ORDER BY 1;
SELECT key_id, spend FROM org.api_key ORDER BY 1;
SELECT usage_verify();
-- Without waiting the answers are the same, as long as no row is locked.
SELECT wait, place, answer
  FROM (VALUES (true), (false), (NULL)) AS t (wait),
       answers(usage_reserve_many('[{"key": "sk-bob", "model": "m", "request_id": "unhindered"},
                                    {"key": "sk-lone", "model": "m", "request_id": "unhindered too"},
                                    {"key": "sk-nobody", "model": "m"}]', wait)) ORDER BY wait, place;
SELECT wait, place, answer
  FROM (VALUES (true), (false), (NULL)) AS t (wait),
       answers(usage_settle_many('[{"cost": 0, "request_id": "unhindered"}, {"cost": 0, "request_id": "unhindered too"},
                                   {"cost": 0, "request_id": "nowhere"}]', wait)) ORDER BY wait, place;
-- An empty list gets an empty reply; a value that is no list and a list that is too long are refused.
SELECT usage_reserve_many('[]') AS reserve, usage_settle_many('[]') AS settle;
SELECT call, attempt(call) FROM (VALUES
    ($$usage_reserve_many(NULL)$$), ($$usage_settle_many(NULL)$$), ($$usage_reserve_many('{}')$$), ($$usage_settle_many('1')$$),
    ($$usage_reserve_many('null')$$),
    ($$usage_reserve_many((SELECT json_agg('{}'::json) FROM generate_series(1, 10001)))$$),
    ($$usage_settle_many((SELECT json_agg('{}'::json) FROM generate_series(1, 10001)))$$)) AS t (call);
SELECT json_array_length(usage_reserve_many((SELECT json_agg('{}'::json) FROM generate_series(1, 10000)))) AS answers;
SELECT json_array_length(usage_reserve_many((
    SELECT json_agg(json_build_object('key', 'sk-bob', 'model', 'm', 'request_id', 'of many ' || n))
      FROM generate_series(1, 1000) AS n))) AS answers;
SELECT count(*), sum(cost::numeric) FROM org.reservation,
       LATERAL (SELECT usage_settle(0.001, request_id) ->> 'cost' AS cost) AS settled WHERE request_id ~ '^of many [0-9]$';
SELECT count(*) FILTER (WHERE answer ->> 'state' = 'settled') AS settled
  FROM json_array_elements(usage_settle_many((SELECT json_agg(json_build_object('cost', 0.001, 'request_id', request_id))
                                                FROM org.reservation WHERE request_id ~ '^of many '))) AS answer;
SELECT spend FROM org.api_key WHERE key_id = 'bob';
SELECT usage_verify();

-- Transactions ------------------------------------------------------------------
BEGIN;
SELECT usage_reserve('sk-ann', 'm', 1, request_id => 'undone') ->> 'request_id' AS request_id;
ROLLBACK;
SELECT trial($$usage_settle(1, 'undone')$$);
-- Showing limits works in a read-only transaction; reserving and recording do not.
BEGIN READ ONLY;
SELECT json_array_length(usage_limits('sk-ann') -> 'limits') AS limits, usage_verify() AS differences;
SELECT left(attempt($$usage_reserve('sk-ann', 'm', 0)$$), 5) AS reserve,
       left(attempt($$usage_record('sk-ann', 'm', 0)$$), 5) AS record;
ROLLBACK;

RESET pg_org.now;
CALL clear();
