-- Archiving: old partitions leave the ledger, and their sums go on to count; request_ids are remembered for a time.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set usage :checkout /test/usage.sql
\i :usage
\set ECHO none
-- All of it is rolled back: other scripts need a ledger that reaches back for ever.
BEGIN;
SET LOCAL pg_org.now = '2090-01-10 12:00:00Z';
-- Gives the names of archived partitions, without those of the time in which the test runs.
CREATE FUNCTION test.archived(before timestamptz, "drop" boolean DEFAULT false)
RETURNS TABLE (name text, ends_at text, "table" text) LANGUAGE sql AS $$
    SELECT a ->> 'name', a ->> 'ends_at', a ->> 'table' FROM json_array_elements(usage_archive(before, "drop") -> 'archived') AS a
     WHERE a ->> 'name' ~ 'until_209'
$$;
CREATE FUNCTION test.spent() RETURNS TABLE (owner text, spend numeric) LANGUAGE sql AS $$
    SELECT 'organization ' || organization_id, spend FROM org.organization WHERE spend > 0 UNION ALL
    SELECT 'team ' || team_id, spend FROM org.team WHERE spend > 0 UNION ALL
    SELECT 'member ' || organization_id || '/' || user_id, spend FROM org.membership WHERE spend > 0 UNION ALL
    SELECT 'team member ' || user_id, spend FROM org.team_member WHERE spend > 0 UNION ALL
    SELECT 'user ' || user_id, spend FROM org."user" WHERE spend > 0 UNION ALL
    SELECT 'key ' || key_id, spend FROM org.api_key WHERE spend > 0
     ORDER BY 1
$$;
-- Shows all that counts against the limits of a key.
CREATE FUNCTION test.counted(key text) RETURNS TABLE (owner text, "limit" text, per text, model text, tag text, part text, spent text)
LANGUAGE sql AS $$
    SELECT l ->> 'owner', l ->> 'limit', l ->> 'per', l ->> 'model', l ->> 'tag', l ->> 'part', l ->> 'spent'
      FROM json_array_elements(usage_limits(key, end_user => 'eve', tags => '{x}') -> 'limits') AS l
$$;
CREATE FUNCTION test.daily(reply json) RETURNS TABLE (day text, spend text, requests text) LANGUAGE sql AS $$
    SELECT r ->> 'date', r -> 'metrics' ->> 'spend', r -> 'metrics' ->> 'api_requests' FROM json_array_elements(reply -> 'results') AS r
     ORDER BY 1
$$;
SELECT org_update('acme', limits => '[{"limit": "cost", "value": 1000},
                                      {"limit": "cost", "value": 900, "tag": "x"},
                                      {"limit": "requests", "value": 800, "each": "end_user"},
                                      {"limit": "tokens", "value": 70000, "model": "m"},
                                      {"limit": "cost", "value": 60, "per": "1d@UTC"}]') \g /dev/null
SET LOCAL pg_org.now = '2090-01-10 12:30:00Z';
-- January, with a reset in between, and a call that was reserved before that and settled after it.
SELECT usage_record('sk-ann', 'm', 1, 'january 1', prompt_tokens => 10, end_user => 'eve', tags => '{x}'),
       usage_reserve('sk-ann', 'm', 5, 100, 'over the reset', end_user => 'eve', tags => '{x}') \g /dev/null
SET LOCAL pg_org.now = '2090-01-10 13:00:00Z';
SELECT usage_reset('acme', "limit" => '{"limit": "cost", "tag": "x"}') \g /dev/null
SELECT usage_settle(2, 'over the reset', prompt_tokens => 20) \g /dev/null
SELECT usage_record('sk-ann', 'm', 4, 'january 2', prompt_tokens => 30, end_user => 'eve', tags => '{x}', failed => true),
       usage_record('sk-ann', 'n', 8, 'january 3', prompt_tokens => 40),
       usage_reserve('sk-ann', 'm', 5, 100, 'expired', 60), usage_reserve('sk-ann', 'm', 5, 100, 'cancelled'),
       usage_cancel('cancelled') \g /dev/null
-- February closes what has expired.
SET LOCAL pg_org.now = '2090-02-05 12:00:00Z';
SELECT usage_record('sk-ann', 'm', 16, 'february', prompt_tokens => 50, end_user => 'eve', tags => '{x}'),
       usage_reserve('sk-ann', 'm', 0, 0, 'closes'), usage_cancel('closes') \g /dev/null
SET LOCAL pg_org.now = '2090-02-20 12:00:00Z';
SELECT usage_record('sk-ann', 'm', 32, 'later', prompt_tokens => 60, end_user => 'eve', tags => '{x}'),
       usage_record('sk-ann', 'm', 0, 'free') \g /dev/null
\set ECHO all

SELECT name, ends_at FROM org.partition WHERE of_table = 'org.usage' AND name ~ 'until_209';
SELECT tableoid::regclass, request_id, state, cost FROM org.usage ORDER BY closed_at, request_id;

-- A request_id is remembered for 35 days and an hour after its call was closed: then it is a new one, and stays so.
SELECT trial($$usage_reserve('sk-ann', 'n', 1, 1, 'january 2')$$), trial($$usage_record('sk-ann', 'n', 1, 'january 2')$$);
SET LOCAL pg_org.now = '2090-02-14 13:59:59Z';
SELECT trial($$usage_reserve('sk-ann', 'n', 1, 1, 'january 2')$$);
SAVEPOINT remembered;
SELECT org_retention_update(request_memory_days => 36) ->> 'request_memory_days' AS remembered;
SET LOCAL pg_org.now = '2090-02-14 14:00:01Z';
SELECT trial($$usage_reserve('sk-ann', 'n', 1, 1, 'january 2')$$);
SET LOCAL pg_org.now = '2090-02-15 14:00:01Z';
SELECT trial($$usage_reserve('sk-ann', 'n', 1, 1, 'january 2')$$);
ROLLBACK TO remembered;
SET LOCAL pg_org.now = '2090-02-14 14:00:01Z';
SELECT trial($$usage_reserve('sk-ann', 'n', 1, 1, 'january 2')$$), trial($$usage_record('sk-ann', 'n', 1, 'january 2')$$);
SELECT org_retention_update(request_memory_days => 36) ->> 'request_memory_days' AS remembered;
SELECT trial($$usage_reserve('sk-ann', 'n', 1, 1, 'january 2')$$), trial($$usage_reserve('sk-ann', 'n', 1, 1, 'february')$$);
-- So a call that was recorded as new is the only one that its name stands for.
SELECT usage_settle(64, 'cancelled') ->> 'recorded_as_new' AS recorded_as_new;
SELECT org_retention_update(request_memory_days => 60) ->> 'request_memory_days' AS remembered;
SELECT usage_settle(64, 'cancelled') ->> 'cost' AS cost, (SELECT count(*) FROM org.usage WHERE request_id = 'cancelled' AND state = 'settled') AS settled,
       usage_verify();
ROLLBACK TO remembered;

-- A late settlement is recorded as a new call, and says so; one that was settled is answered as before.
SAVEPOINT late;
SET LOCAL pg_org.now = '2090-03-25 12:00:00Z';
SELECT usage_settle(64, 'cancelled', prompt_tokens => 5);
SELECT usage_settle(64, 'cancelled', prompt_tokens => 5);
SELECT usage_settle(99, 'january 2') ->> 'cost' AS cost;
SELECT r ->> 'cost' AS cost, r ->> 'recorded_as_new' AS recorded_as_new, r -> 'error' ->> 'message' AS error
  FROM json_array_elements(usage_settle_many('[{"request_id": "expired", "cost": 128}, {"request_id": "expired", "cost": 128},
                                               {"request_id": "nothing", "cost": 1}, {"request_id": "january 3", "cost": 1}]')) AS r;
SELECT tableoid::regclass, request_id, state, cost, max_cost, reserved_at FROM org.usage WHERE request_id IN ('cancelled', 'expired')
 ORDER BY 1, 2;
SELECT attempt($$usage_cancel('january 1')$$), attempt($$usage_extend('january 1')$$);
SELECT usage_verify();
ROLLBACK TO late;
-- It counts beside others of the batch, also against limits that were set meanwhile.
SET LOCAL pg_org.now = '2090-03-25 12:00:00Z';
SELECT usage_reserve('sk-ann', 'm', 5, 100, 'march', end_user => 'eve') \g /dev/null
SELECT org_update('acme', limits => '[{"limit": "cost", "value": 1000, "per": "1y@UTC"}, {"limit": "cost", "value": 1000, "each": "key"}]') \g /dev/null
SELECT sum((r ->> 'cost')::numeric) AS cost FROM json_array_elements(usage_settle_many('[{"request_id": "march", "cost": 2}, {"request_id": "expired", "cost": 1}]')) AS r;
SELECT usage_verify();
ROLLBACK TO late;
-- Nobody is charged who was made after the call, under an identifier that was another's.
SELECT team_delete('{red}'), team_new('acme', team_id => 'red', members_with_roles => '[{"role": "user", "user_id": "ann"}]') \g /dev/null
UPDATE org.team SET created_at = '2090-02-21Z';
UPDATE org.team_member SET created_at = '2090-02-21Z';
SET LOCAL pg_org.now = '2090-03-25 12:00:00Z';
SELECT usage_settle(64, 'cancelled') ->> 'recorded_as_new' AS recorded_as_new;
SELECT * FROM spent() WHERE owner ~ '^(organization|team) ';
SELECT usage_verify();
ROLLBACK TO late;

-- What is remembered, what counts for a running period, and what others than proxy admins ask for is not archived.
SET LOCAL pg_org.now = '2090-03-20 12:00:00Z';
SELECT attempt($$usage_archive('2090-02-14 00:00Z')$$), attempt($$usage_archive('2090-02-13 12:00:01Z')$$),
       attempt($$usage_archive(NULL)$$), attempt($$usage_archive('2090-02-01Z', api_key => 'sk-ann')$$),
       attempt($$usage_archive('2090-02-01Z', NULL, api_key => 'sk-unknown')$$) \gx
SAVEPOINT yearly;
SELECT org_update('acme', limits => '[{"limit": "cost", "value": 1000, "per": "1q@UTC"}]') \g /dev/null
SELECT usage_record('sk-ann', 'm', 1, 'counted for a quarter') ->> 'cost' AS cost;
SELECT attempt($$usage_archive('2090-02-01Z')$$);
SELECT count(*) FROM org.usage_carried;
SET LOCAL pg_org.now = '2090-04-06 12:00:00Z';
SELECT * FROM archived('2090-02-01Z');
ROLLBACK TO yearly;

-- Nothing that counts changes: spend, limits with and without a period, reports by days in UTC.
SELECT string_agg(c::text, ' ' ORDER BY c::text) AS counted FROM counted('sk-ann') AS c \gset before_
SELECT string_agg(s::text, ' ') AS spent FROM spent() AS s \gset before_
SELECT org_daily_activity('{acme}', start_date => '2090-01-01', end_date => '2090-03-01') AS of_organizations, user_daily_activity(start_date => '2090-01-01', end_date => '2090-03-01') AS of_users,
       tag_daily_activity('{x}', '2090-01-01', '2090-03-01') AS of_tags,
       customer_daily_activity('{eve}', start_date => '2090-01-01', end_date => '2090-03-01') AS of_customers
\gset before_
SELECT * FROM counted('sk-ann');
SELECT usage_verify();
SELECT * FROM archived('2090-02-01Z');
SELECT usage_verify();
SELECT day, model, tags, requests, failed_requests, cost, prompt_tokens, first_reserved_at, last_closed_at
  FROM org.usage_carried ORDER BY day, model, tags, first_closed_at, cost;
SELECT count(*) FROM org.usage_boundary;
SELECT state, count(*) FROM org_archive.usage_until_2090_02_01 GROUP BY state ORDER BY state;
SELECT string_agg(c::text, ' ' ORDER BY c::text) = :'before_counted' AS counted_is_the_same FROM counted('sk-ann') AS c;
SELECT string_agg(s::text, ' ') = :'before_spent' AS spent_is_the_same FROM spent() AS s;
SELECT org_daily_activity('{acme}', start_date => '2090-01-01', end_date => '2090-03-01')::text = :'before_of_organizations' AS of_organizations,
       user_daily_activity(start_date => '2090-01-01', end_date => '2090-03-01')::text = :'before_of_users' AS of_users,
       tag_daily_activity('{x}', '2090-01-01', '2090-03-01')::text = :'before_of_tags' AS of_tags,
       customer_daily_activity('{eve}', start_date => '2090-01-01', end_date => '2090-03-01')::text = :'before_of_customers' AS of_customers;
SELECT * FROM daily(tag_daily_activity('{x}', '2090-01-01', '2090-03-01'));
-- Also after the counters were summed again, of which one began with the reset in January.
DELETE FROM org.usage_counter;
SELECT string_agg(c::text, ' ' ORDER BY c::text) = :'before_counted' AS counted_is_the_same FROM counted('sk-ann') AS c;
SELECT usage_record('sk-ann', 'm', 0, 'sums again', end_user => 'eve', tags => '{x}') ->> 'cost' AS cost;
SELECT usage_verify();
UPDATE org.organization SET spend = 0;
DELETE FROM org.usage_daily;
SELECT json_array_length(usage_repair()) > 0 AS repaired;
SELECT usage_verify();
SELECT string_agg(s::text, ' ') = :'before_spent' AS spent_is_the_same FROM spent() AS s;
-- Again there is nothing to archive; a call that was archived is not found, and its request_id is free.
SELECT * FROM archived('2090-02-01Z');
SELECT attempt($$usage_settle(1, 'cancelled')$$), trial($$usage_record('sk-ann', 'm', 1, 'january 2')$$);

-- The archive must be what was carried forward.
SAVEPOINT changed;
UPDATE org_archive.usage_until_2090_02_01 SET cost = cost + 1 WHERE request_id = 'january 2';
UPDATE org.usage_carried SET prompt_tokens = prompt_tokens + 1 WHERE model = 'n';
SELECT d ->> 'counter' AS counter, d ->> 'organization_id' AS org, d ->> 'day' AS day, d ->> 'found' AS found, d ->> 'expected' AS expected
  FROM json_array_elements(usage_verify()) AS d;
SELECT json_array_length(usage_verify('acme')) AS of_acme, json_array_length(usage_verify('other')) AS of_other;
ROLLBACK TO changed;

-- Calls may be deleted instead, or a kept table dropped: the sums stay.
SET LOCAL pg_org.now = '2090-05-20 12:00:00Z';
SELECT * FROM archived('2090-03-01Z', true);
SELECT to_regclass('org_archive.usage_until_2090_03_01'), usage_verify();
DROP TABLE org_archive.usage_until_2090_02_01;
SELECT usage_verify();
SELECT string_agg(s::text, ' ') = :'before_spent' AS spent_is_the_same FROM spent() AS s;
ROLLBACK;
CALL clear();
