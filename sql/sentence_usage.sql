-- Limits as sentences: what each counts, when it starts again, and whom it refuses.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set usage :checkout /test/usage.sql
\i :usage

-- Sets the limits of one of the owners of test/usage.sql at a time.
CREATE FUNCTION test.limit_to(owner text, list text, at text DEFAULT '2030-06-12 10:20:30Z') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('pg_org.now', at, false);
    CASE owner
        WHEN 'organization' THEN PERFORM org_update('acme', limits => list::json);
        WHEN 'team' THEN PERFORM team_update('red', limits => list::json);
        WHEN 'member' THEN PERFORM org_member_update('acme', 'ann', limits => list::json);
        WHEN 'team_member' THEN PERFORM team_member_update('red', 'ann', limits => list::json);
        WHEN 'user' THEN PERFORM user_update('ann', limits => list::json);
        WHEN 'key' THEN PERFORM key_update('sk-ann', limits => list::json);
    END CASE;
END $$;
-- Lists limits as replies show them.
CREATE FUNCTION test.shown(reply json) RETURNS TABLE (owner text, "limit" text, per text, model text, tag text, each text, part text,
                                                      value text, spent text, held text, remaining text, resets_at text) LANGUAGE sql AS $$
    SELECT l ->> 'owner', l ->> 'limit', l ->> 'per', l ->> 'model', l ->> 'tag', l ->> 'each', l ->> 'part', l ->> 'value',
           l ->> 'spent', l ->> 'held', l ->> 'remaining', l ->> 'resets_at'
      FROM json_array_elements(reply -> 'limits') WITH ORDINALITY AS t (l, place) ORDER BY place
$$;
-- Makes calls that come to an amount of what is limited.
CREATE FUNCTION test.use(what text, amount integer) RETURNS void LANGUAGE sql AS $$
    SELECT count(CASE what WHEN 'cost' THEN usage_record('sk-ann', 'm', amount) WHEN 'tokens' THEN usage_record('sk-ann', 'm', 0, prompt_tokens => amount - 1, completion_tokens => 1)
                           ELSE usage_record('sk-ann', 'm', 0) END)
      FROM generate_series(1, CASE what WHEN 'requests' THEN amount ELSE 1 END)
$$;
CREATE FUNCTION test.ask(what text, amount integer) RETURNS text LANGUAGE sql AS $$
    SELECT substr(trial(format('usage_reserve(''sk-ann'', ''m'', %s, %s)', CASE what WHEN 'cost' THEN amount ELSE 0 END,
                               CASE what WHEN 'tokens' THEN amount ELSE 0 END)), 1, 5)
$$;

-- Windows -------------------------------------------------------------------------
-- Each is set at 06:07:08 on a Saturday, and used at that time or later: where its window is at another time.
CREATE FUNCTION test.window_at(wanted text, at text) RETURNS TABLE (starts text, ends text) LANGUAGE plpgsql AS $$
DECLARE
    per_member text = CASE WHEN wanted = '' THEN '' ELSE format(', "per": "%s"', wanted) END;
BEGIN
    UPDATE org.api_key SET limits = format('[{"limit": "cost", "value": 10%s, "since": "2030-01-05T06:07:08Z"}]', per_member)::jsonb WHERE key_id = 'ann';
    PERFORM set_config('pg_org.now', at, false);
    DELETE FROM org.usage_counter;
    PERFORM usage_reserve('sk-ann', 'm', 0, ttl_seconds => 1);
    RETURN QUERY SELECT c.starts[1]::text, (usage_limits('sk-ann') -> 'limits' -> 0 ->> 'resets_at')::timestamptz::text
                   FROM org.usage_counter AS c WHERE key_id = 'ann';
END $$;
CALL begin_again();
SELECT per, at, starts, ends FROM (VALUES
    (1, '15s', '2030-06-12 10:20:44.999999Z'), (2, '15s', '2030-06-12 10:20:45Z'), (3, '1m', '2030-06-12 10:20:59.999999Z'),
    (4, '1m', '2030-06-12 10:21:00Z'), (5, '5m', '2030-06-12 10:24:59.999999Z'), (6, '5m', '2030-06-12 10:25:00Z'),
    (7, '1h', '2030-06-12 10:59:59.999999Z'), (8, '1h', '2030-06-12 11:00:00Z'), (9, '36h', '2030-06-12 10:20:00Z'),
    (10, '7m', '2030-06-12 00:00:00Z'), (11, '1d', '2030-06-12 23:59:59.999999Z'), (12, '1d', '2030-06-13 00:00:00Z'),
    (13, '1w', '2030-06-16 23:59:59.999999Z'), (14, '1w', '2030-06-17 00:00:00Z'), (15, '1mo', '2030-06-30 23:59:59.999999Z'),
    (16, '1mo', '2030-07-01 00:00:00Z'), (17, '1q', '2030-06-30 23:59:59.999999Z'), (18, '1q', '2030-07-01 00:00:00Z'),
    (19, '1y', '2030-12-31 23:59:59.999999Z'), (20, '1y', '2031-01-01 00:00:00Z'),
    (21, '1d@Asia/Kathmandu', '2030-06-12 18:14:59.999999Z'), (22, '1d@Asia/Kathmandu', '2030-06-12 18:15:00Z'),
    (23, '1d@Europe/Berlin', '2030-03-31 12:00:00Z'), (24, '1mo@Europe/Berlin', '2030-06-30 21:59:59.999999Z'),
    (25, '1mo@Europe/Berlin', '2030-06-30 22:00:00Z'), (26, '1q@America/New_York', '2030-04-01 03:59:59.999999Z'),
    (27, '1q@America/New_York', '2030-04-01 04:00:00Z'), (28, '1y@+05:30', '2030-12-31 18:29:59.999999Z'),
    (29, '1y@+05:30', '2030-12-31 18:30:00Z'), (30, '2d', '2030-01-07 06:07:07.999999Z'), (31, '2d', '2030-01-07 06:07:08Z'),
    (32, '2w', '2030-06-12 10:20:30Z'), (33, '3mo', '2030-04-05 06:07:07.999999Z'), (34, '3mo', '2030-04-05 06:07:08Z'),
    (35, '30d', '2030-01-05 06:07:08Z'), (36, '', '2030-06-12 10:20:30Z')) AS t (place, per, at), window_at(per, at) ORDER BY place;
-- Costs, requests and tokens are counted up to each border, and anew from there.
CREATE FUNCTION test.across_border(what text, per text, start text, border text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
BEGIN
    CALL begin_again();
    PERFORM limit_to('key', format('[{"limit": "%s", "value": 10, "per": "%s"}]', what, per), '2030-01-05 06:07:08Z');
    PERFORM set_config('pg_org.now', (start::timestamptz - interval '1 us')::text, false), use(what, 3);
    PERFORM set_config('pg_org.now', start, false), use(what, 4);
    PERFORM set_config('pg_org.now', (border::timestamptz - interval '1 us')::text, false), use(what, 5);
    said = concat_ws(' ', (SELECT spent || ' until ' || resets_at FROM shown(usage_limits('sk-ann'))), ask(what, 1));
    PERFORM use(what, 1);
    said = concat_ws(' ', said, ask(what, 1), usage_verify());
    PERFORM set_config('pg_org.now', border, false);
    said = concat_ws(' ', said, (SELECT spent FROM shown(usage_limits('sk-ann'))), ask(what, 1));
    PERFORM use(what, 2);
    RETURN concat_ws(' ', said, (SELECT spent FROM shown(usage_limits('sk-ann'))), usage_verify());
END $$;
SELECT what, per, across_border(what, per, start, border)
  FROM unnest('{cost,tokens,requests}'::text[]) WITH ORDINALITY AS w (what, of_what), (VALUES
    (1, '15s', '2030-06-12 10:20:30Z', '2030-06-12 10:20:45Z'), (2, '1m', '2030-06-12 10:20:00Z', '2030-06-12 10:21:00Z'),
    (3, '5m', '2030-06-12 10:20:00Z', '2030-06-12 10:25:00Z'), (4, '1h', '2030-06-12 10:00:00Z', '2030-06-12 11:00:00Z'),
    (5, '1d', '2030-06-12 00:00:00Z', '2030-06-13 00:00:00Z'), (6, '1w', '2030-06-10 00:00:00Z', '2030-06-17 00:00:00Z'),
    (7, '1mo@Europe/Berlin', '2030-05-31 22:00:00Z', '2030-06-30 22:00:00Z'), (8, '1q', '2030-04-01 00:00:00Z', '2030-07-01 00:00:00Z'),
    (9, '1y', '2030-01-01 00:00:00Z', '2031-01-01 00:00:00Z'), (10, '2d', '2030-01-07 06:07:08Z', '2030-01-09 06:07:08Z')) AS p (place, per, start, border)
 ORDER BY of_what, place;
-- Without a period, all counts since it was set.
CALL begin_again();
SET pg_org.now = '2030-06-12 10:20:29.999999Z';
SELECT use('cost', 7), use('tokens', 7), use('requests', 7) \g /dev/null
SELECT limit_to('key', '[{"limit": "cost", "value": 10}, {"limit": "tokens", "value": 10}, {"limit": "requests", "value": 10}]') \g /dev/null
SELECT use('cost', 8), use('tokens', 8), use('requests', 7) \g /dev/null
SET pg_org.now = '2035-01-01Z';
SELECT "limit", value, spent, remaining, resets_at FROM shown(usage_limits('sk-ann'));
SELECT ask('cost', 2) AS cost, ask('tokens', 2) AS tokens, ask('requests', 1) AS requests, usage_verify();
-- A cost counts when it is settled, requests and tokens when they were reserved; what is cancelled does not count.
CALL begin_again();
SELECT limit_to('key', '[{"limit": "cost", "value": 10, "per": "1h"}, {"limit": "tokens", "value": 100, "per": "1h"}, {"limit": "requests", "value": 3, "per": "1h"}]') \g /dev/null
SELECT usage_reserve('sk-ann', 'm', 4, 40, 'over the hour', 7200), usage_reserve('sk-ann', 'm', 4, 40, 'taken back') \g /dev/null
SELECT "limit", spent, held, remaining FROM shown(usage_limits('sk-ann'));
SELECT usage_cancel('taken back') \g /dev/null
SELECT "limit", spent, held, remaining FROM shown(usage_limits('sk-ann'));
SET pg_org.now = '2030-06-12 11:00:00Z';
SELECT "limit", spent, held, remaining FROM shown(usage_limits('sk-ann'));
SELECT usage_settle(9, 'over the hour', prompt_tokens => 90) \g /dev/null
SELECT "limit", spent, held, remaining FROM shown(usage_limits('sk-ann'));
SELECT ask('cost', 2) AS cost, ask('tokens', 100) AS tokens, usage_verify();

-- Requests in progress ------------------------------------------------------------
CALL begin_again();
SELECT limit_to('key', '[{"limit": "parallel_requests", "value": 2}]') \g /dev/null
SELECT usage_reserve('sk-ann', 'm', request_id => 'a', ttl_seconds => 60), usage_reserve('sk-ann', 'm', request_id => 'b') \g /dev/null
SELECT value, spent, held, remaining, resets_at FROM shown(usage_limits('sk-ann'));
SELECT trial($$usage_reserve('sk-ann', 'm')$$);
SELECT usage_settle(0, 'b') \g /dev/null
SELECT trial($$usage_reserve('sk-ann', 'm')$$);
SELECT usage_reserve('sk-ann', 'm', request_id => 'c') \g /dev/null
SELECT trial($$usage_reserve('sk-ann', 'm')$$);
SELECT usage_cancel('c') \g /dev/null
SELECT usage_reserve('sk-ann', 'm', request_id => 'd') \g /dev/null
SET pg_org.now = '2030-06-12 10:21:29.999999Z';
SELECT left(trial($$usage_reserve('sk-ann', 'm')$$), 5) AS before_it_expires;
SET pg_org.now = '2030-06-12 10:21:30Z';
SELECT held FROM shown(usage_limits('sk-ann'));
SELECT trial($$usage_reserve('sk-ann', 'm')$$) AS expired, usage_verify();

-- Models --------------------------------------------------------------------------
-- A pattern matches the model with or without its provider; a name after an alias.
CALL begin_again();
SELECT key_update('sk-ann', aliases => '{"fast": "openai/gpt-4o-mini"}') \g /dev/null
SELECT limit_to('key', format('[%s]', (SELECT string_agg(format('{"limit": "requests", "value": 100, "model": "%s"}', model), ',') FROM unnest(
    '{openai/*,gpt-4o,openai/gpt-4o,gpt-4o*,*,*mini,claude}'::text[]) AS model))) \g /dev/null
SELECT called, (SELECT string_agg(model, ' ') FROM shown(usage_limits('sk-ann', model => called))) AS limits
  FROM unnest('{gpt-4o,openai/gpt-4o,azure/gpt-4o,fast,gpt-4o-mini,openai/o1,openai,claude,openai/gpt-4o/x,GPT-4o}'::text[]) AS called;
SELECT usage_record('sk-ann', called, 0) FROM unnest('{gpt-4o,openai/gpt-4o,azure/gpt-4o,fast,openai/o1}'::text[]) AS called \g /dev/null
SELECT model, spent FROM shown(usage_limits('sk-ann'));
SELECT limit_to('key', '[{"limit": "tokens", "value": 50, "per": "1d", "model": "openai/*"}]') \g /dev/null
SELECT called, trial(format('usage_reserve(''sk-ann'', %L, 0, 51)', called)) FROM unnest('{openai/o1,fast,azure/o1,o1}'::text[]) AS called;
SELECT usage_verify();

-- Tags ------------------------------------------------------------------------------
-- The tags of a call are its own and those of its key, team and organization.
CALL begin_again();
SELECT key_update('sk-ann', tags => '{of-key}'), team_update('red', tags => '{of-team}'), org_update('acme', tags => '{of-org,of-key}') \g /dev/null
SELECT limit_to('organization', format('[%s, {"limit": "cost", "value": 100}]', (SELECT string_agg(format('{"limit": "cost", "value": 10, "tag": "%s"}', tag), ',') FROM unnest(
    '{of-key,of-team,of-org,of-call,other}'::text[]) AS tag))) \g /dev/null
SELECT usage_record('sk-ann', 'm', 3, tags => '{of-call,of-key,of-call}'), usage_record('sk-ann', 'm', 2) \g /dev/null
SELECT tag, spent FROM shown(usage_limits('sk-ann'));
SELECT tag, spent FROM shown(usage_limits('sk-ann', tags => '{}'));
SELECT tag, spent FROM shown(usage_limits('sk-ann', tags => '{other}'));
SELECT cost, tags, trial(format('usage_reserve(''sk-ann'', ''m'', %s, tags => %L)', cost, tags))
  FROM unnest('{5,6}'::integer[]) AS cost, unnest('{"{}","{of-call}"}'::text[]) AS tags;
SELECT limit_to('organization', '[]'), limit_to('key', '[{"limit": "cost", "value": 1, "tag": "vip"}, {"limit": "requests", "value": 0, "tag": "not-here"}]') \g /dev/null
SELECT tags, trial(format('usage_reserve(''sk-ann'', ''m'', 2, tags => %L)', tags)) FROM unnest('{"{}","{vip}","{VIP}","{a,not-here}"}'::text[]) AS tags;
SELECT usage_verify();

-- For each ----------------------------------------------------------------------------
-- Another key of ann's in the team, one outside of it, bob's in the team, and the organization's own.
CREATE PROCEDURE test.begin_with_keys() LANGUAGE plpgsql AS $$
BEGIN
    CALL begin_again();
    PERFORM org_member_add('acme', '{"role": "internal_user", "user_id": "bob"}'), team_member_add('red', '{"role": "user", "user_id": "bob"}');
    PERFORM key_generate('ann', 'acme', 'red', key => 'sk-beta'), key_generate('ann', 'acme', key => 'sk-gate'),
            key_generate('bob', 'acme', 'red', key => 'sk-bob'), key_generate(organization_id => 'acme', key => 'sk-acme');
    CALL settle_in();
END $$;
CALL begin_with_keys();
SELECT limit_to('organization', format('[%s]', (SELECT string_agg(format('{"limit": "cost", "value": 10, "per": "1d", "each": "%s"}', each), ',') FROM unnest(
    '{model,tag,end_user,member,key,team}'::text[]) AS each))) \g /dev/null
-- Without a model, tags or an end user, their amounts are not known.
SELECT each, part, value, spent, held, remaining, resets_at FROM shown(usage_limits('sk-ann'));
SELECT usage_record('sk-ann', 'p/m', 3, tags => '{a,b}', end_user => 'cust-1'), usage_record('sk-ann', 'm', 2, tags => '{a}') \g /dev/null
SELECT usage_reserve('sk-beta', 'p/m', 1, tags => '{b}', end_user => 'cust-2') \g /dev/null
SELECT key, each, part, spent, held, remaining FROM unnest('{sk-ann,sk-gate,sk-bob,sk-acme}'::text[]) AS key,
       shown(usage_limits(key, 'p/m', 'cust-1', '{b,a,b}')) WHERE each NOT IN ('tag', 'model', 'end_user') OR key = 'sk-acme';
-- One counter for each part that was used, none for others.
SELECT each, part, amounts, held_cost, idle_after FROM org.usage_counter WHERE each <> '' ORDER BY 1, 2;
-- Each is refused for itself, and the refusal names it; calls without one are not limited.
CREATE FUNCTION test.asked(key text, model text, cost numeric, tags text DEFAULT '{}', end_user text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT trial(format('usage_reserve(%L, %L, %s, tags => %L, end_user => %L)', key, model, cost, tags, end_user))
$$;
SELECT asked('sk-bob', 'p/m', 7) AS model, asked('sk-bob', 'm', 7) AS other_model, asked('sk-bob', 'x', 6, '{a}') AS tag, asked('sk-bob', 'x', 7, '{b}') AS other_tag \gx
SELECT asked('sk-bob', 'x', 6, '{c,a}') AS two_tags, asked('sk-bob', 'x', 6, '{c,d}') AS new_tags, asked('sk-bob', 'x', 8, end_user => 'cust-1') AS end_user,
       asked('sk-bob', 'x', 9, end_user => 'cust-2') AS other_end_user, asked('sk-bob', 'x', 10, end_user => 'cust-3') AS new_end_user \gx
SELECT asked('sk-gate', 'x', 5) AS member, asked('sk-gate', 'x', 4) AS within, asked('sk-acme', 'x', 10) AS no_member, asked('sk-ann', 'x', 6) AS key_or_member,
       asked('sk-bob', 'x', 5) AS team, asked('sk-acme', 'x', 11) AS new_model \gx
SELECT usage_record('sk-acme', 'y', 8), limit_to('organization', '[{"limit": "cost", "value": 10, "per": "1d", "each": "key"}]') \g /dev/null
SELECT asked('sk-acme', 'x', 3) AS key, asked('sk-acme', 'x', 2) AS within, asked('sk-gate', 'x', 10) AS new_key;
SELECT usage_verify();
-- With a model and a tag, each counts only these calls; a team's each counts the team's.
CALL begin_with_keys();
SELECT limit_to('team', '[{"limit": "requests", "value": 2, "per": "1h", "each": "member", "tag": "play", "model": "gpt-*"}]') \g /dev/null
SELECT usage_record(key, model, 0, tags => ARRAY[tag]) FROM (VALUES ('sk-ann', 'gpt-1', 'play'), ('sk-beta', 'p/gpt-2', 'play'), ('sk-ann', 'gpt-1', 'work'),
    ('sk-ann', 'claude', 'play'), ('sk-bob', 'gpt-1', 'play'), ('sk-gate', 'gpt-1', 'play')) AS t (key, model, tag) \g /dev/null
SELECT key, part, spent FROM unnest('{sk-ann,sk-bob}'::text[]) AS key, shown(usage_limits(key, tags => '{play}'));
SELECT asked('sk-beta', 'gpt-3', 0, '{play}') AS over, asked('sk-ann', 'gpt-3', 0) AS no_tag, asked('sk-ann', 'claude', 0, '{play}') AS other_model,
       asked('sk-bob', 'gpt-3', 0, '{play}') AS bob, asked('sk-gate', 'gpt-3', 0, '{play}') AS no_team, usage_verify() \gx
-- Requests in progress, of each key of a user wherever it is.
CALL begin_with_keys();
SELECT limit_to('user', '[{"limit": "parallel_requests", "value": 1, "each": "key"}, {"limit": "parallel_requests", "value": 2, "each": "model"}]') \g /dev/null
SELECT usage_reserve('sk-ann', 'm') \g /dev/null
SELECT asked('sk-ann', 'n', 0) AS key, asked('sk-beta', 'm', 0) AS other_key;
SELECT usage_reserve('sk-beta', 'm') \g /dev/null
SELECT asked('sk-gate', 'm', 0) AS model, asked('sk-gate', 'n', 0) AS other_model, usage_verify();

-- Own before each ---------------------------------------------------------------------
-- A part with a hard limit of its own for the same, in whatever period, is not under the one for each.
CALL begin_with_keys();
SELECT customer_new('cust', organization_id => 'acme') \g /dev/null
CREATE PROCEDURE test.own(part text, list text) LANGUAGE plpgsql AS $$
BEGIN
    CASE part
        WHEN 'member' THEN PERFORM org_member_update('acme', 'ann', limits => list::json);
        WHEN 'team_member' THEN PERFORM team_member_update('red', 'ann', limits => list::json);
        WHEN 'key' THEN PERFORM key_update('sk-ann', limits => list::json);
        WHEN 'team' THEN PERFORM team_update('red', limits => list::json);
        WHEN 'end_user' THEN PERFORM customer_update('cust', organization_id => 'acme', limits => list::json);
    END CASE;
END $$;
CREATE FUNCTION test.with_own(owner text, each text, part text, list text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    refusal text;
BEGIN
    PERFORM limit_to(owner, format('[{"limit": "cost", "value": 5, "per": "1d", "each": "%s"}]', each));
    CALL own(part, list);
    refusal = asked('sk-ann', 'm', 9, '{t}', 'cust');
    CALL own(part, '[]');
    PERFORM limit_to(owner, '[]');
    RETURN regexp_replace(refusal, '^53400.*! (.*)Current cost.*', '\1');
END $$;
SELECT owner, each, part, own, with_own(owner, each, part, format('[%s]', own)) AS refused
  FROM (VALUES (1, 'organization', 'member', 'member'), (2, 'team', 'member', 'team_member'), (3, 'organization', 'key', 'key'), (4, 'team', 'key', 'key'),
               (5, 'user', 'key', 'key'), (6, 'organization', 'team', 'team'), (7, 'organization', 'end_user', 'end_user'), (8, 'key', 'end_user', 'end_user'),
               (9, 'organization', 'member', 'team_member'), (10, 'team', 'member', 'member')) AS o (place, owner, each, part),
       unnest(ARRAY['', '{"limit": "cost", "value": 20}', '{"limit": "cost", "value": 7, "per": "30d"}', '{"limit": "cost", "value": 20, "soft": true}',
                    '{"limit": "cost", "value": 20, "model": "m"}', '{"limit": "cost", "value": 20, "tag": "t"}', '{"limit": "tokens", "value": 20}',
                    '{"limit": "cost", "value": 20, "each": "tag"}']) WITH ORDINALITY AS w (own, variant)
 WHERE place <= 2 OR variant <= 4 ORDER BY place, variant;
-- This holds for short forms as well, on both sides.
SELECT team_update('red', team_member_budget => 5, team_member_rpm_limit => 2) \g /dev/null
SELECT asked('sk-ann', 'm', 9) AS ann, asked('sk-bob', 'm', 9) AS bob;
SELECT team_member_update('red', 'ann', max_budget_in_team => 8) \g /dev/null
SELECT asked('sk-ann', 'm', 9) AS ann, asked('sk-bob', 'm', 9) AS bob;
SELECT team_member_update('red', 'ann', clear => '{max_budget_in_team}') \g /dev/null
SELECT asked('sk-ann', 'm', 9) AS ann, usage_verify();
-- Outside of organizations: an end user is the platform's, a member the user; in a team of the platform, the team's member.
CALL begin_again();
SET pg_org.now = '2030-06-12 10:20:30Z';
SELECT team_new(team_id => 'free', members_with_roles => '[{"role": "user", "user_id": "ann"}]', limits => '[{"limit": "cost", "value": 6, "each": "member"}]') \g /dev/null
SELECT key_generate('ann', key => 'sk-lone', limits => '[{"limit": "cost", "value": 5, "each": "end_user"}, {"limit": "cost", "value": 7, "each": "member"}]'),
       key_generate('ann', team_id => 'free', key => 'sk-beta'), customer_new('cust', max_budget => 20), customer_new('cust', organization_id => 'acme') \g /dev/null
SELECT limit_to('organization', '[{"limit": "cost", "value": 5, "each": "end_user"}]') \g /dev/null
SELECT asked('sk-lone', 'm', 6, end_user => 'other') AS end_user, asked('sk-lone', 'm', 6, end_user => 'cust') AS own_of_platform, asked('sk-ann', 'm', 6, end_user => 'cust') AS in_acme,
       asked('sk-lone', 'm', 8) AS member, asked('sk-beta', 'm', 7) AS team_member \gx
-- A call that the limit does not apply to counts all the same, also for the next one of a batch.
BEGIN;
SELECT user_update('ann', limits => '[{"limit": "cost", "value": 5, "each": "end_user"}]'), customer_new('eve', organization_id => 'acme', max_budget => 20) \g /dev/null
SELECT place, r ->> 'request_id' AS granted, r -> 'error' ->> 'message' AS refused
  FROM json_array_elements(usage_reserve_many('[{"key": "sk-ann", "model": "m", "max_cost": 3, "end_user": "eve", "request_id": "in acme"},
                                                {"key": "sk-lone", "model": "m", "max_cost": 3, "end_user": "eve", "request_id": "over"},
                                                {"key": "sk-lone", "model": "m", "max_cost": 2, "end_user": "eve", "request_id": "rest"}]')) WITH ORDINALITY AS e (r, place);
SELECT usage_verify();
ROLLBACK;
SELECT user_update('ann', limits => '[{"limit": "cost", "value": 9}]') \g /dev/null
SELECT asked('sk-lone', 'm', 8) AS own_of_user, asked('sk-beta', 'm', 7) AS team_member \gx
SELECT team_member_update('free', 'ann', max_budget_in_team => 8) \g /dev/null
SELECT asked('sk-beta', 'm', 7) AS own_of_team_member, asked('sk-beta', 'm', 8.5) AS over_own, asked('sk-lone', 'm', 9.5) AS over_own_of_user \gx
SELECT usage_verify();
-- A key that an admin made for somebody else is under the member's limits, not the user's.
SELECT user_new('ada', auto_create_key => false), org_member_add('acme', '{"role": "org_admin", "user_id": "ada"}'), key_generate('ada', key => 'sk-ada') \g /dev/null
SELECT key_generate('ann', 'acme', api_key => 'sk-ada') ->> 'key' AS made \gset
SELECT limit_to('organization', '[{"limit": "cost", "value": 30, "each": "member"}]') \g /dev/null
SELECT asked(:'made', 'm', 29) AS made_by_admin, asked(:'made', 'm', 31) AS over_member, asked('sk-ann', 'm', 10) AS own \gx
SELECT usage_record(:'made', 'm', 4), usage_record('sk-ann', 'm', 1) \g /dev/null
SELECT key = :'made' AS made_by_admin, owner, each, part, spent FROM unnest(ARRAY[:'made', 'sk-ann']) AS key, shown(usage_limits(key));
SELECT usage_verify();

RESET pg_org.now;
DROP FUNCTION test.limit_to, test.shown, test.use, test.ask, test.window_at, test.across_border, test.asked, test.with_own;
DROP PROCEDURE test.begin_with_keys, test.own;
CALL clear();
