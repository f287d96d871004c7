-- Time and usage: minutes, budget periods and expiry.  Nothing runs in the background; pg_org.now sets the time.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set usage :checkout /test/usage.sql
\i :usage

-- The setting -------------------------------------------------------------------
-- A role that can set pg_org.now can spend tomorrow's budget today, so only superusers can set it.
CREATE ROLE regress_pg_org_traveller;
SELECT org_grant_access('regress_pg_org_traveller') \g /dev/null
SET ROLE regress_pg_org_traveller;
SELECT attempt('SET pg_org.now = ''2030-01-01Z''');
SELECT attempt('set_config(''pg_org.now'', ''2030-01-01Z'', false)');
SELECT attempt('RESET pg_org.now');
SHOW pg_org.now;
RESET ROLE;
-- A value that was set before the module is loaded is ignored, and the clock counts.
\c
SET search_path = public, test;
SET client_min_messages = error;
SET ROLE regress_pg_org_traveller;
SET pg_org.now = '2030-01-01Z';
RESET ROLE;
SELECT (usage_record('sk-ann', 'm', 1) ->> 'settled_at')::timestamptz BETWEEN now() AND clock_timestamp() AS by_the_clock;
SHOW pg_org.now;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT has_parameter_privilege('regress_pg_org_traveller', 'pg_org.now', 'SET') AS traveller_may;
DROP OWNED BY regress_pg_org_traveller;
DROP ROLE regress_pg_org_traveller;
-- A superuser can set it, also for one transaction. A value that is no time is refused.
BEGIN;
SET LOCAL pg_org.now = '2030-01-01Z';
SELECT usage_record('sk-ann', 'm', 1) ->> 'settled_at' AS settled_at;
COMMIT;
SELECT (usage_record('sk-ann', 'm', 1) ->> 'settled_at')::timestamptz < now() + interval '1 minute' AS by_the_clock;
SET pg_org.now = 'soon';
SELECT left(attempt($$usage_reserve('sk-ann', 'm')$$), 5) AS not_a_time;
RESET pg_org.now;

-- Minutes -----------------------------------------------------------------------
CALL begin_again();
CALL set_limit('team', 'rpm_limit', '3');
CALL set_limit('team', 'tpm_limit', '100');
SET pg_org.now = '2030-06-12 10:20:00Z';
SELECT usage_reserve('sk-ann', 'm', max_tokens => 40, request_id => 'first') \g /dev/null
SET pg_org.now = '2030-06-12 10:20:59.999999Z';
SELECT usage_reserve('sk-ann', 'm', max_tokens => 40, request_id => 'last') \g /dev/null
SELECT "limit", value, spent, held, remaining, resets_at FROM limits(usage_limits('sk-ann'));
SELECT trial($$usage_reserve('sk-ann', 'm', max_tokens => 21)$$);
-- A new minute begins at zero, whatever is still open.
SET pg_org.now = '2030-06-12 10:21:00Z';
SELECT "limit", value, spent, held, remaining, resets_at FROM limits(usage_limits('sk-ann'));
SELECT trial($$usage_reserve('sk-ann', 'm', max_tokens => 100)$$);
SELECT usage_reserve('sk-ann', 'm', max_tokens => 10, request_id => 'next') \g /dev/null
-- Settled, recorded and cancelled calls count in the minute in which they were reserved or recorded.
SELECT usage_settle(0, 'first', prompt_tokens => 1000), usage_cancel('last') \g /dev/null
SELECT "limit", spent FROM limits(usage_limits('sk-ann'));
SELECT usage_settle(0, 'next', prompt_tokens => 50), usage_record('sk-ann', 'm', 0, prompt_tokens => 5) \g /dev/null
SELECT "limit", spent FROM limits(usage_limits('sk-ann'));
SELECT usage_verify();
-- A limit that is added later counts the minute's requests from the ledger.
CALL set_limit('key', 'rpm_limit', '3');
CALL set_limit('user', 'tpm_limit', '100');
SELECT * FROM limits(usage_limits('sk-ann'));
SELECT usage_reserve('sk-ann', 'm', max_tokens => 1) \g /dev/null
SELECT trial($$usage_reserve('sk-ann', 'm', max_tokens => 1)$$);
SELECT usage_verify();

-- Periods -------------------------------------------------------------------------
-- Gives the period of a budget with the given duration and reset.
CREATE FUNCTION test.period(duration text, reset_at text, at text) RETURNS TABLE (starts text, ends text, hours numeric)
LANGUAGE plpgsql AS $$
DECLARE
    e timestamptz;
    s timestamptz;
BEGIN
    PERFORM set_config('pg_org.now', at, false);
    UPDATE org.api_key SET max_budget = 1, budget_duration = duration, budget_reset_at = reset_at::timestamptz;
    DELETE FROM org.usage_counter;
    PERFORM usage_reserve('sk-ann', 'm', 0, ttl_seconds => 1);
    SELECT c.starts[1] INTO s FROM org.usage_counter AS c WHERE key_id = 'ann';
    SELECT resets_at INTO e FROM limits(usage_limits('sk-ann'));
    RETURN QUERY SELECT s::text, e::text, round(extract(epoch FROM e - s) / 3600, 3)
                  WHERE s <= at::timestamptz AND e > at::timestamptz;
END $$;
CALL begin_again();
-- Periods end at the reset, and whole durations before and after it; the end belongs to the next period.
SELECT duration, reset_at, at, starts, ends FROM (VALUES
    (1, '1s', '2030-06-12 10:20:30.5Z', '2030-06-12 10:20:31Z'),
    (2, '90s', '2030-06-12 00:00:00Z', '2030-06-12 10:20:30Z'),
    (3, '5m', '2030-06-12 10:22:30Z', '2030-06-12 10:20:30Z'),
    (4, '1h', '2030-06-12 10:20:30Z', '2030-06-12 10:20:29.999999Z'),
    (5, '1h', '2030-06-12 10:20:30Z', '2030-06-12 10:20:30Z'),
    (6, '1h', '2030-06-12 10:20:30Z', '2030-06-12 10:20:30.000001Z'),
    (7, '36h', '2030-06-12 12:00:00Z', '2030-06-11 00:00:00Z'),
    (8, '36h', '2030-06-12 12:00:00Z', '2030-06-10 23:59:59.999999Z'),
    (9, '1d', '2030-06-12 10:20:30Z', '2029-06-12 10:20:29Z'),
    (10, '30d', '2030-06-12 10:20:30Z', '2029-01-01 00:00:00Z'),
    (11, '30d', '2030-06-12 10:20:30Z', '2031-12-31 00:00:00Z'),
    (12, '2w', '2030-06-12 10:20:30Z', '2030-07-01 00:00:00Z'),
    (13, '36525d', '2030-06-12 10:20:30Z', '2029-01-01 00:00:00Z')) AS t (place, duration, reset_at, at),
       period(duration, reset_at, at) ORDER BY place;
-- Months count from the reset, so the 31st stays the 31st in every month that has one.
SELECT duration, at, starts, ends FROM (VALUES
    (1, '1mo', '2030-01-30 23:59:59Z'), (2, '1mo', '2030-01-31 00:00:00Z'), (3, '1mo', '2030-02-27 23:59:59.999999Z'),
    (4, '1mo', '2030-02-28 00:00:00Z'), (5, '1mo', '2030-03-30 12:00:00Z'), (6, '1mo', '2030-03-31 00:00:00Z'),
    (7, '1mo', '2030-04-30 00:00:00Z'), (8, '1mo', '2032-02-29 00:00:00Z'), (9, '1mo', '2029-02-28 00:00:00Z'),
    (10, '1mo', '2028-02-28 23:00:00Z'), (11, '3mo', '2030-04-29 00:00:00Z'), (12, '3mo', '2030-04-30 00:00:00Z'),
    (13, '12mo', '2031-01-30 23:59:59Z'), (14, '12mo', '2031-01-31 00:00:00Z'), (15, '1mo', '2079-02-28 00:00:00Z'),
    (16, '1mo', '2002-11-29 23:59:59Z')) AS t (place, duration, at),
       period(duration, '2030-01-31Z', at) ORDER BY place;
SELECT at, starts, ends FROM (VALUES (1, '2028-03-30Z'), (2, '2031-02-28 06:07:08Z'), (3, '2031-02-28 06:07:07Z'))
       AS t (place, at), period('1mo', '2030-01-30 06:07:08Z', at) ORDER BY place;
-- Calendar periods ignore the reset: days (of 23 or 25 hours when clocks change), weeks from Monday, and months.
SELECT duration, at, starts, ends, hours FROM (VALUES
    (1, '1d@Europe/Berlin', '2024-03-30 22:59:59.999999Z'), (2, '1d@Europe/Berlin', '2024-03-30 23:00:00Z'),
    (3, '1d@Europe/Berlin', '2024-03-31 21:59:59.999999Z'), (4, '1d@Europe/Berlin', '2024-03-31 22:00:00Z'),
    (5, '1d@Europe/Berlin', '2024-10-26 21:59:59.999999Z'), (6, '1d@Europe/Berlin', '2024-10-26 22:00:00Z'),
    (7, '1d@Europe/Berlin', '2024-10-27 22:59:59.999999Z'), (8, '1d@Europe/Berlin', '2024-10-27 23:00:00Z'),
    (9, '1w@Europe/Berlin', '2024-03-31 21:59:59.999999Z'), (10, '1w@Europe/Berlin', '2024-03-31 22:00:00Z'),
    (11, '1w@Europe/Berlin', '2024-10-23 12:00:00Z'), (12, '1mo@Europe/Berlin', '2024-03-31 21:59:59.999999Z'),
    (13, '1mo@Europe/Berlin', '2024-03-31 22:00:00Z'), (14, '1mo@Europe/Berlin', '2024-10-15 12:00:00Z'),
    (15, '1mo@Europe/Berlin', '2024-02-29 23:00:00Z'), (16, '1d@UTC', '2024-03-31 12:00:00Z'),
    (17, '1d@Asia/Kathmandu', '2024-06-12 18:15:00Z'), (18, '1w@Pacific/Kiritimati', '2024-06-09 10:00:00Z'),
    (19, '1mo@America/New_York', '2024-11-15 12:00:00Z')) AS t (place, duration, at),
       period(duration, '2027-07-07 07:07:07Z', at) ORDER BY place;
-- The session's time zone and the order of the queries don't matter.
SET timezone = 'Pacific/Kiritimati';
SELECT duration, starts::timestamptz AT TIME ZONE 'UTC' AS starts, ends::timestamptz AT TIME ZONE 'UTC' AS ends
  FROM unnest('{1d,1mo,1d@Europe/Berlin,1mo@Europe/Berlin}'::text[]) WITH ORDINALITY AS t (duration, place),
       period(duration, '2024-01-31Z', '2024-03-31 12:00:00Z') ORDER BY place;
SET timezone = 'UTC';
-- The first period lasts one duration from now, or until the end of the calendar day.
SET pg_org.now = '';
CREATE FUNCTION test.first_end(duration text) RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    PERFORM key_update('sk-ann', budget_duration => duration);
    RETURN (SELECT resets_at FROM limits(usage_limits('sk-ann')));
END $$;
SELECT first_end('1h') = now() + interval '1 hour' AS hour, first_end('1mo') = now() + interval '1 month' AS month,
       first_end('1d@Asia/Tokyo') = (date_trunc('day', now() AT TIME ZONE 'Asia/Tokyo') + interval '1 day')
                                    AT TIME ZONE 'Asia/Tokyo' AS day;
DROP FUNCTION test.first_end;

-- Spend in a period -----------------------------------------------------------------
CALL begin_again();
CALL set_limit('organization', 'max_budget', '10');
CALL set_limit('organization', 'budget_duration', '1d');
UPDATE org.budget SET budget_reset_at = '2030-06-13Z' WHERE budget_id = 'of-acme';
SET pg_org.now = '2030-06-12 23:59:59.999999Z';
SELECT usage_record('sk-ann', 'm', 6), usage_reserve('sk-ann', 'm', 3, request_id => 'overnight') \g /dev/null
SELECT spent, held, remaining, resets_at FROM limits(usage_limits('sk-ann'));
SELECT trial($$usage_reserve('sk-ann', 'm', 2)$$);
-- The next period begins with what is held, and includes what is settled in it.
SET pg_org.now = '2030-06-13Z';
SELECT spent, held, remaining, resets_at FROM limits(usage_limits('sk-ann'));
SELECT trial($$usage_reserve('sk-ann', 'm', 7)$$);
SELECT usage_settle(4, 'overnight') \g /dev/null
SELECT spent, held, remaining, resets_at FROM limits(usage_limits('sk-ann'));
SELECT usage_verify();
-- This holds however long nobody calls.
SET pg_org.now = '2031-01-01 12:00:00Z';
SELECT spent, held, remaining, resets_at FROM limits(usage_limits('sk-ann'));
SELECT usage_record('sk-ann', 'm', 1) \g /dev/null
SELECT spent, held, remaining, resets_at FROM limits(usage_limits('sk-ann'));
SELECT spend FROM org.organization;
SELECT usage_verify();

-- Changed budgets -----------------------------------------------------------------
-- After a change of the periods, the spend is always what the ledger says.
CALL begin_again();
CREATE FUNCTION test.spend_on(days integer[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    day integer;
BEGIN
    FOREACH day IN ARRAY days LOOP
        PERFORM set_config('pg_org.now', format('2030-06-%s 12:00:00Z', day), false), usage_record('sk-ann', 'm', day);
    END LOOP;
END $$;
-- Each day of the month costs its number in dollars, so a sum shows which days it includes.
SELECT spend_on('{1,2,3,10,11,12}') \g /dev/null
CREATE FUNCTION test.change(duration text, reset_at text) RETURNS TABLE (owner text, spent text, resets_at text)
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE org.budget SET budget_duration = duration, budget_reset_at = reset_at::timestamptz;
    UPDATE org.team SET budget_duration = duration, budget_reset_at = reset_at::timestamptz;
    UPDATE org."user" SET budget_duration = duration, budget_reset_at = reset_at::timestamptz;
    UPDATE org.api_key SET budget_duration = duration, budget_reset_at = reset_at::timestamptz;
    PERFORM usage_reserve('sk-ann', 'm', 0, 0, ttl_seconds => 1);
    RETURN QUERY SELECT string_agg(l.owner, ' '), l.spent, l.resets_at FROM limits(usage_limits('sk-ann')) AS l
                  WHERE l."limit" = 'max_budget' AND usage_verify()::text = '[]' GROUP BY l.spent, l.resets_at;
END $$;
CALL set_all_limits('1000', NULL);
SELECT c.duration, changed.* FROM (VALUES
    (1, NULL, NULL), (2, '1d', '2030-06-13Z'), (3, '2d', '2030-06-13Z'), (4, '30d', '2030-06-13Z'),
    (5, '10d', '2030-06-13Z'), (6, '10d', '2030-06-12Z'), (7, '1h', '2030-06-12Z'), (8, '1mo@UTC', '2030-06-12Z'),
    (9, '1w@UTC', NULL), (10, '1d@UTC', NULL), (11, NULL, NULL), (12, '1h', '2030-06-12 11:00Z')) AS c (place, duration, reset_at),
       LATERAL change(duration, reset_at) AS changed ORDER BY place;
-- Another budget, and a limit where there was none, count the time before as well.
CALL set_all_limits(NULL, NULL);
INSERT INTO org.budget (budget_id, max_budget, budget_duration, budget_reset_at) VALUES ('gold', 30, '2d', '2030-06-13Z');
SELECT org_update('acme', budget_id => 'gold') ->> 'budget_id' AS budget_id;
SELECT owner, value, spent, remaining, resets_at FROM limits(usage_limits('sk-ann')) WHERE owner = 'organization';
SELECT trial($$usage_reserve('sk-ann', 'm', 7)$$), trial($$usage_reserve('sk-ann', 'm', 8)$$);
SELECT budget_update('gold', max_budget => 31),
       key_update('sk-ann', model_max_budget => '{"m": {"max_budget": 40, "time_period": "1w@UTC"}}') \g /dev/null
SELECT owner, "limit", value, spent, remaining, resets_at FROM limits(usage_limits('sk-ann'))
 WHERE owner = 'organization' OR "limit" = 'model_max_budget';
SELECT trial($$usage_reserve('sk-ann', 'm', 7)$$), trial($$usage_reserve('sk-ann', 'm', 8)$$);
SELECT usage_verify();
DROP FUNCTION test.spend_on, test.change;

-- Budgets of models -----------------------------------------------------------------
-- A model's budget has its own period, counted from the owner's creation, or otherwise the owner's period.
CALL begin_again();
UPDATE org.api_key
   SET created_at = '2030-06-01 06:00:00Z', max_budget = 1000, budget_duration = '1d', budget_reset_at = '2030-06-02Z',
       model_max_budget = '{"a": 10, "p/a": 5, "b": {"budget_limit": 10, "time_period": "1d"},
                            "c": {"max_budget": 10, "budget_duration": "2d"}, "e": {"budget_limit": 0},
                            "d": {"budget_limit": 10, "budget_duration": "1w@Europe/Berlin"}}';
SET pg_org.now = '2030-06-10 23:00:00Z';
SELECT usage_record('sk-ann', model, 1) FROM unnest('{a,b,c,d,p/a,q/a,p/q/a,p/b}'::text[]) AS model \g /dev/null
SELECT "limit", model, value, spent, remaining, resets_at FROM limits(usage_limits('sk-ann'));
SET pg_org.now = '2030-06-11 05:59:59Z';
SELECT model, spent, resets_at FROM limits(usage_limits('sk-ann'));
SET pg_org.now = '2030-06-11 06:00:00Z';
SELECT model, spent, resets_at FROM limits(usage_limits('sk-ann'));
-- The part before the first slash is the provider; if both names have a budget, both count.
SELECT model, trial(format('usage_reserve(''sk-ann'', %L, 5.5)', model)) FROM unnest('{a,p/a,q/a,A,p/q/a,e,p/e}'::text[]) AS model;
SELECT model, value, remaining FROM remaining(usage_reserve('sk-ann', 'p/a', 4));
SELECT usage_verify();

-- Expiry --------------------------------------------------------------------------
-- An expired reservation no longer counts for budgets, parallel requests or the minute's limits.
SET pg_org.now = '2030-06-12 10:20:00Z';
CALL begin_again();
CALL set_limit('member', 'max_budget', '10');
CALL set_limit('member', 'model_max_budget', '{"m": 10}');
CALL set_limit('key', 'max_parallel_requests', '1');
CALL set_limit('key', 'rpm_limit', '1');
CALL set_limit('key', 'tpm_limit', '100');
SELECT usage_reserve('sk-ann', 'm', 10, 100, 'lost', 10) \g /dev/null
SET pg_org.now = '2030-06-12 10:20:09.999999Z';
SELECT "limit", spent, held, remaining FROM limits(usage_limits('sk-ann'));
SELECT trial($$usage_reserve('sk-ann', 'm', 10, 100)$$);
SET pg_org.now = '2030-06-12 10:20:10Z';
SELECT "limit", spent, held, remaining FROM limits(usage_limits('sk-ann'));
SELECT usage_verify();
SELECT request_id FROM org.reservation;
SELECT "limit", value, remaining FROM remaining(usage_reserve('sk-ann', 'm', 10, 100, 'next'));
-- The next call closes it.
SELECT request_id, state, closed_at FROM org.usage;
SELECT usage_verify();
-- It can still be settled, and counts in the minute in which it was reserved.
SELECT usage_settle(3, 'lost', prompt_tokens => 5) ->> 'settled_at' AS settled_at;
SELECT "limit", spent, held, remaining FROM limits(usage_limits('sk-ann'));
SELECT usage_verify();

-- A user's reservations count in all organizations, and expire in all of them, wherever the next call is.
CALL begin_again();
CREATE FUNCTION test.limits_of_keys() RETURNS TABLE (key text, "limit" text, spent text, held text, remaining text)
LANGUAGE sql AS $$
    SELECT key, "limit", spent, held, remaining
      FROM unnest('{sk-ann,sk-beta,sk-lone}'::text[]) AS key, limits(usage_limits(key)) ORDER BY 1, 2
$$;
SELECT org_new('Beta', 'beta'), org_member_add('beta', '{"role": "internal_user", "user_id": "ann"}') \g /dev/null
SELECT key_generate('ann', 'beta', key => 'sk-beta', max_parallel_requests => 1), key_generate('ann', key => 'sk-lone') \g /dev/null
CALL settle_in();
CALL set_limit('user', 'max_budget', '10');
CALL set_limit('user', 'rpm_limit', '4');
SELECT usage_reserve('sk-beta', 'm', 4, request_id => 'in beta', ttl_seconds => 20),
       usage_reserve('sk-lone', 'm', 5, request_id => 'alone', ttl_seconds => 30) \g /dev/null
SELECT * FROM limits_of_keys();
SELECT trial($$usage_reserve('sk-ann', 'm', 2)$$);
SET pg_org.now = '2030-06-12 10:20:30Z';
SELECT * FROM limits_of_keys();
SELECT usage_reserve('sk-ann', 'm', 5, request_id => 'in acme') ->> 'request_id' AS granted;
SELECT usage_verify();
SELECT trial($$usage_reserve('sk-ann', 'm', 5)$$) AS acme, trial($$usage_reserve('sk-beta', 'm', 5)$$) AS beta;
SET pg_org.now = '2030-06-12 10:20:40Z';
SELECT trial($$usage_reserve('sk-ann', 'm', 5)$$) AS acme, trial($$usage_reserve('sk-beta', 'm', 4)$$) AS beta,
       trial($$usage_reserve('sk-lone', 'm', 4)$$) AS alone;
SELECT * FROM limits_of_keys();
SELECT usage_reserve('sk-lone', 'm', 1) ->> 'model' AS granted;
SELECT usage_verify();
SELECT usage_settle(2, 'in beta'), usage_settle(1, 'alone') \g /dev/null
SELECT * FROM limits_of_keys();
SELECT usage_verify();
DROP FUNCTION test.limits_of_keys;
-- Many expired reservations are closed at once; those that remain open don't count either.
CALL begin_again();
CALL set_limit('key', 'max_budget', '5000');
SET pg_org.now = '2030-06-12 10:30:00Z';
SELECT json_array_length(usage_reserve_many((
    SELECT json_agg(json_build_object('key', 'sk-ann', 'model', 'm', 'max_cost', 1, 'ttl_seconds', 1))
      FROM generate_series(1, 2500)))) AS held;
CALL set_limit('key', 'max_parallel_requests', '1');
SET pg_org.now = '2030-06-12 10:31:00Z';
SELECT "limit", held, remaining FROM limits(usage_limits('sk-ann'));
SELECT "limit", remaining FROM remaining(usage_reserve('sk-ann', 'm', 5000, request_id => 'all of it'));
SELECT count(*) AS left_over, usage_verify() AS differences FROM org.reservation WHERE expires_at <= '2030-06-12 10:31:00Z';
SELECT usage_cancel('all of it') ->> 'state' AS state;
SELECT usage_reserve('sk-ann', 'm', 1, request_id => 'again'), usage_cancel('again'), usage_reserve('sk-ann', 'm', 1) \g /dev/null
SELECT count(*) AS left_over, usage_verify() AS differences FROM org.reservation WHERE expires_at <= '2030-06-12 10:31:00Z';

-- Limits with many expired reservations are exact for each owner, model and minute, and exclude a former owner of the
-- same name. 1,500 are of ann's key, half of them of m, 300 of them of an earlier minute; 200 are of another key in the
-- team; 100 are of another organization; 40 are of a key of no organization; 10, and one that is open, are older than
-- the user and the team.
CALL begin_again();
CALL set_all_limits('5000', '{"m": {"budget_limit": 3000}, "p/x": {"budget_limit": 2000}}');
UPDATE org."user" SET created_at = '2030-06-12 09:00:00Z';
UPDATE org.team SET created_at = '2030-06-12 09:00:00Z';
INSERT INTO org.reservation (organization_id, team_id, user_id, key_id, request_id, model, tags, max_cost, max_tokens,
                             reserved_at, expires_at)
SELECT o, t, u, k, k || reserved || i, CASE WHEN i % 2 = 0 THEN 'm' ELSE 'p/x' END, '{}', 1, 2, reserved,
       reserved + interval '1 s'
  FROM (VALUES ('acme', 'red', 'ann', 'ann', '2030-06-12 10:30:10Z'::timestamptz, 1200),
               ('acme', 'red', 'ann', 'ann', '2030-06-12 10:29:50Z', 300),
               ('acme', 'red', 'ann', 'ann', '2030-06-12 08:59:59.999999Z', 10),
               ('acme', 'red', '', 'other', '2030-06-12 10:30:10Z', 200),
               ('beta', '', 'ann', 'beta', '2030-06-12 10:30:10Z', 100),
               ('', '', 'ann', 'lone', '2030-06-12 10:30:10Z', 40)) AS f (o, t, u, k, reserved, many),
       generate_series(1, many) AS i;
SET pg_org.now = '2030-06-12 10:30:15Z';
INSERT INTO org.reservation (organization_id, team_id, user_id, key_id, request_id, model, tags, max_cost, max_tokens,
                             reserved_at, expires_at)
VALUES ('acme', 'red', 'ann', 'ann', 'under way', 'm', '{}', 7, 3, '2030-06-12 10:30:12Z', '2030-06-12 10:40:00Z'),
       ('acme', 'red', 'ann', 'ann', 'newer', 'p/x', '{}', 30, 0, '2030-06-12 09:00:00Z', '2030-06-12 10:40:00Z'),
       ('acme', 'red', 'ann', 'ann', 'older', 'p/x', '{}', 20, 0, '2030-06-12 08:59:59.999999Z', '2030-06-12 10:40:00Z');
CREATE FUNCTION test.counted(reply json) RETURNS TABLE ("limit" text, counted text) LANGUAGE sql AS $$
    SELECT "limit" || coalesce(' of ' || model, ''),
           string_agg(owner || ' ' || coalesce(spent || '+' || held, remaining), ', ' ORDER BY place)
      FROM test.limits(reply) WITH ORDINALITY
           AS l (owner, id, "limit", model, value, spent, held, remaining, resets_at, place)
     GROUP BY 1 ORDER BY 1
$$;
-- These are the spent and held amounts before any reservation is closed.
SELECT * FROM counted(usage_limits('sk-ann'));
-- These are the remaining amounts while each call closes a thousand reservations.
SELECT * FROM counted(usage_reserve('sk-ann', 'm', 1, 1, 'first'));
SELECT count(*) AS left_over, usage_verify() AS differences FROM org.reservation WHERE expires_at <= '2030-06-12 10:30:15Z';
SELECT * FROM counted(usage_limits('sk-ann'));
SELECT * FROM counted(usage_reserve('sk-ann', 'x', 1, 1, 'second'));
SELECT count(*) AS left_over, usage_verify() AS differences FROM org.reservation WHERE expires_at <= '2030-06-12 10:30:15Z';
SELECT * FROM counted(usage_limits('sk-ann'));
SELECT closed_at, count(*) FROM org.usage WHERE state = 'expired' GROUP BY closed_at;
DROP FUNCTION test.counted;

-- Events --------------------------------------------------------------------------
-- Reaching a soft budget emits one event in a period; so does reaching a budget, or a refusal by it.
CALL begin_again();
SET pg_org.now = '2030-06-12 10:00:00Z';
CALL set_limit('organization', 'soft_budget', '5');
CALL set_limit('organization', 'max_budget', '10');
CALL set_limit('organization', 'budget_duration', '1d@UTC');
CALL set_limit('key', 'model_max_budget', '{"m": 4}');
CREATE FUNCTION test.told() RETURNS TABLE (organization_id text, kind text, data jsonb) LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM org.event RETURNING *)
    SELECT organization_id, kind, data FROM gone WHERE kind ~ '^budget' ORDER BY occurred_at, event_id, kind DESC
$$;
SELECT usage_record('sk-ann', 'n', 4.99), usage_reserve('sk-ann', 'm', 3) \g /dev/null
SELECT * FROM told();
SELECT usage_record('sk-ann', 'n', 0.01) \g /dev/null
SELECT * FROM told();
SELECT usage_record('sk-ann', 'n', 1) \g /dev/null
SELECT * FROM told();
-- A refusal in a list emits its event; a single refused call is undone with its event.
SELECT trial($$usage_reserve('sk-ann', 'n', 2)$$);
SELECT * FROM told();
SELECT * FROM answers(usage_reserve_many('[{"key": "sk-ann", "model": "n", "max_cost": 2},
                                           {"key": "sk-ann", "model": "n", "max_cost": 3},
                                           {"key": "sk-ann", "model": "p/m", "max_cost": 1, "request_id": "a"},
                                           {"key": "sk-ann", "model": "m", "max_cost": 1},
                                           {"key": "sk-ann", "model": "m", "max_cost": 5}]'));
SELECT * FROM told();
SELECT usage_settle(20, 'a') \g /dev/null
SELECT * FROM told();
-- In the next period both events are emitted again, here at once.
SET pg_org.now = '2030-06-13Z';
SELECT usage_record('sk-ann', 'n', 10) \g /dev/null
SELECT * FROM told();
SELECT usage_record('sk-ann', 'n', 10) \g /dev/null
SELECT * FROM told();
-- An expired reservation is not held, even before a call closes it.
SELECT count(*) AS not_put_away FROM org.reservation;
-- Every owner of a budget emits events; those of users and of keys outside organizations have no organization.
CALL begin_again();
SELECT key_generate('ann', key => 'sk-lone') \g /dev/null
CALL settle_in();
UPDATE org.api_key SET max_budget = 5 WHERE key_id = 'lone';
CALL set_limit('member', 'soft_budget', '5');
CALL set_limit('team_member', 'soft_budget', '5');
CALL set_limit('team', 'max_budget', '5');
CALL set_limit('user', 'max_budget', '7');
SELECT usage_record('sk-ann', 'm', 5) \g /dev/null
SELECT * FROM told();
SELECT usage_record('sk-lone', 'm', 5) \g /dev/null
SELECT * FROM told();
-- A later owner of the same name emits its own events.
CALL set_limit('organization', 'soft_budget', '1');
SELECT usage_record('sk-ann', 'm', 1) \g /dev/null
SELECT count(*) AS told FROM told();
SELECT org_delete('{acme}') \g /dev/null
SELECT org_new('Acme again', 'acme', max_budget => 10, soft_budget => 5, budget_duration => '1d@UTC'),
       key_generate(organization_id => 'acme', key => 'sk-acme') \g /dev/null
CALL settle_in();
UPDATE org.organization SET created_at = '2030-06-13 00:00:01Z';
SET pg_org.now = '2030-06-13 12:00:00Z';
SELECT usage_record('sk-acme', 'n', 5) \g /dev/null
SELECT * FROM told();
SELECT usage_verify();

RESET pg_org.now;
-- A budget that was raised emits its events again.
CALL begin_again();
CALL set_limit('organization', 'soft_budget', '1');
CALL set_limit('organization', 'max_budget', '2');
SELECT usage_record('sk-ann', 'n', 1), usage_record('sk-ann', 'n', 1), usage_record('sk-ann', 'n', 1) \g /dev/null
SELECT kind, data ->> 'value' AS value, data ->> 'spent' AS spent FROM told();
CALL set_limit('organization', 'soft_budget', '4');
CALL set_limit('organization', 'max_budget', '5');
SELECT usage_record('sk-ann', 'n', 1), usage_record('sk-ann', 'n', 1), usage_record('sk-ann', 'n', 1) \g /dev/null
SELECT kind, data ->> 'value' AS value, data ->> 'spent' AS spent FROM told();

-- Budgets of many models -------------------------------------------------------
-- A key, a user, a member and an organization have model budgets with different periods: sums from the ledger equal the
-- counts that were made call by call.
CALL begin_again();
SET pg_org.now = '2030-06-12 23:58:30Z';
CREATE FUNCTION test.budgets(salt integer) RETURNS text LANGUAGE sql AS $$
    SELECT jsonb_object_agg(CASE i % 3 WHEN 0 THEN 'p/' ELSE '' END || 'm' || i % 12,
               jsonb_build_object('budget_limit', 1000 + i)
               || CASE WHEN periods[1 + (i + salt) % 6] = '' THEN '{}'
                       ELSE jsonb_build_object('time_period', periods[1 + (i + salt) % 6]) END)::text
      FROM generate_series(1, 24) AS i, CAST('{"", 30s, 1m, 1h, 1d@UTC, 1mo}' AS text[]) AS periods
$$;
CALL set_limit('key', 'model_max_budget', budgets(0));
CALL set_limit('user', 'model_max_budget', budgets(1));
CALL set_limit('member', 'model_max_budget', budgets(2));
CALL set_limit('organization', 'model_max_budget', budgets(3));
-- Makes calls of each model, with a provider and without, in three minutes; some of them stay open.
CREATE PROCEDURE test.call_all(minute text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('pg_org.now', minute, false);
    PERFORM usage_reserve('sk-ann', CASE i % 2 WHEN 0 THEN 'p/' ELSE '' END || 'm' || i % 14, i, i,
                          i || ' at ' || minute, 86400)
       FROM generate_series(1, 42) AS i;
    PERFORM usage_settle(i / 100.0, i || ' at ' || minute, prompt_tokens => i)
       FROM generate_series(1, 42) AS i WHERE i % 5 <> 0;
END $$;
CALL call_all('2030-06-12 23:58:30Z');
CALL call_all('2030-06-12 23:59:30Z');
CALL call_all('2030-06-13 00:00:10Z');
SET pg_org.now = '2030-06-13 00:00:15Z';
SELECT usage_limits('sk-ann')::text AS counted_by_call \gset
SELECT json_array_length(:'counted_by_call'::json -> 'limits') AS limits,
       (SELECT count(DISTINCT l ->> 'spent') > 10 FROM json_array_elements(:'counted_by_call'::json -> 'limits') AS l)
       AS various;
SELECT usage_verify();
DELETE FROM org.usage_counter;
SELECT usage_limits('sk-ann')::text = :'counted_by_call' AS summed_up_is_the_same;
-- The ledger is read once for each of the four owners, not once for each model.
BEGIN;
SELECT sum(seq_scan + idx_scan) AS scans FROM pg_stat_xact_user_tables WHERE relname ~ '^usage_until' \gset
SELECT usage_limits('sk-ann') \g /dev/null
SELECT (sum(seq_scan + idx_scan) - :scans) / count(*) AS scans_of_each_partition FROM pg_stat_xact_user_tables WHERE relname ~ '^usage_until';
COMMIT;
-- This also holds when an owner changes all periods at once.
SELECT usage_reserve('sk-ann', 'p/m1', 0, 0, 'last') \g /dev/null
CALL call_all('2030-06-13 00:00:20Z');
CALL set_limit('key', 'model_max_budget', budgets(4));
CALL set_limit('user', 'model_max_budget', budgets(5));
SELECT usage_limits('sk-ann')::text AS counted_again \gset
DELETE FROM org.usage_counter;
SELECT usage_limits('sk-ann')::text = :'counted_again' AS summed_up_is_the_same;
SELECT usage_verify();
RESET pg_org.now;
DROP FUNCTION test.told, test.period, test.budgets;
DROP PROCEDURE test.call_all;
CALL clear();
