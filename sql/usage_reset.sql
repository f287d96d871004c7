-- usage_reset: what counts against limits starts again now; the ledger keeps everything.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set usage :checkout /test/usage.sql
\i :usage

CREATE FUNCTION test.spent(key text, end_user text DEFAULT 'cust', tags text[] DEFAULT '{t}')
RETURNS TABLE (owner text, "limit" text, field text, per text, each text, part text, spent text, held text, resets_at text) LANGUAGE sql AS $$
    SELECT l ->> 'owner', l ->> 'limit', l ->> 'field', l ->> 'per', l ->> 'each', l ->> 'part', l ->> 'spent', l ->> 'held', l ->> 'resets_at'
      FROM json_array_elements(usage_limits(key, 'm', end_user, tags) -> 'limits') WITH ORDINALITY AS t (l, place) ORDER BY place
$$;
CREATE FUNCTION test.events() RETURNS TABLE (organization_id text, data jsonb) LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM org.event RETURNING *)
    SELECT organization_id, data FROM gone WHERE kind = 'usage.reset' ORDER BY occurred_at, event_id
$$;
-- Every owner has a limit of cost per day, one of cost for each end user and one of requests; a call has cost 3 with 2 held.
CREATE PROCEDURE test.begin_with_limits() LANGUAGE plpgsql AS $$
DECLARE
    of_end_user json = '[{"limit": "cost", "value": 100, "per": "1d", "model": "*"}, {"limit": "requests", "value": 90, "per": "1d", "model": "*"}]';
    list json = '[{"limit": "cost", "value": 100, "per": "1d"}, {"limit": "cost", "value": 50, "per": "30d", "each": "end_user"}, {"limit": "requests", "value": 90, "per": "1d", "model": "m"}]';
BEGIN
    CALL begin_again();
    PERFORM set_config('pg_org.now', '2030-06-12 10:00:00Z', false);
    PERFORM org_update('acme', limits => list, max_budget => 1000), team_update('red', limits => list), user_update('ann', limits => list), key_update('sk-ann', limits => list),
            org_member_update('acme', 'ann', limits => list), team_member_update('red', 'ann', limits => list),
            customer_new('cust', limits => of_end_user), customer_new('cust', organization_id => 'acme', limits => of_end_user);
    UPDATE org.end_user SET created_at = '2001-01-01Z';
    PERFORM usage_record('sk-ann', 'm', 3, tags => '{t}', end_user => 'cust'), usage_record('sk-ann', 'm', 4, end_user => 'other'),
            usage_reserve('sk-ann', 'm', 2, request_id => 'held', ttl_seconds => 86400, tags => '{t}', end_user => 'cust');
    DELETE FROM org.event;
    PERFORM org_audit_purge(clock_timestamp()), set_config('pg_org.now', '2030-06-12 11:00:00Z', false);
END $$;

-- Each owner ------------------------------------------------------------------------------
-- Its limits of cost start again, with what is held; those of others and of requests stay.
CREATE FUNCTION test.after_reset(call text) RETURNS TABLE (reply text, counted text) LANGUAGE plpgsql AS $$
BEGIN
    CALL begin_with_limits();
    EXECUTE 'SELECT ' || call INTO reply;
    SELECT string_agg(owner || ' ' || amounts, ', ' ORDER BY owner) INTO counted
      FROM (SELECT owner, string_agg(CASE WHEN "limit" = 'cost' THEN concat_ws('+', spent, held) ELSE spent END, ' ') AS amounts FROM spent('sk-ann') GROUP BY owner) AS s;
    IF usage_verify()::text <> '[]' THEN
        RAISE 'differs: %', usage_verify();
    END IF;
    RETURN NEXT;
END $$;
SELECT call, after.* FROM unnest(ARRAY['json_build_object()', $$usage_reset('acme')$$, $$usage_reset('acme', team_id => 'red')$$, $$usage_reset(team_id => 'red')$$, $$usage_reset('acme', user_id => 'ann')$$,
    $$usage_reset('acme', 'red', 'ann')$$, $$usage_reset(team_id => 'red', user_id => 'ann')$$, $$usage_reset(user_id => 'ann')$$, $$usage_reset(key => 'sk-ann')$$, $$usage_reset(key => 'ann')$$,
    $$usage_reset('acme', key => 'ann')$$, $$usage_reset(end_user => 'cust')$$, $$usage_reset('acme', end_user => 'cust')$$]) AS call, after_reset(call) AS after \gx

-- What it changes -----------------------------------------------------------------------------
-- Neither the ledger nor spend; the window ends when it would have.
CALL begin_with_limits();
SELECT md5(string_agg(u::text, '' ORDER BY request_id)) AS ledger FROM org.usage u \gset
SELECT spend AS spend FROM org.organization \gset
SELECT usage_reset('acme') \g /dev/null
SELECT md5(string_agg(u::text, '' ORDER BY request_id)) = :'ledger' AS ledger_unchanged FROM org.usage u;
SELECT spend = :spend AS spend_unchanged, spend_reset_at, limit_resets, updated_by FROM org.organization;
SELECT org_info('acme') ->> 'spend' AS spend, org_info('acme') ->> 'period_spend' AS period_spend;
SELECT * FROM spent('sk-ann') WHERE owner = 'organization';
-- What is settled later counts, whenever it was reserved; calls go on as before.
SELECT usage_settle(5, 'held'), usage_record('sk-ann', 'm', 1, end_user => 'other') \g /dev/null
SELECT owner, "limit", each, part, spent, held FROM spent('sk-ann') WHERE owner = 'organization';
SET pg_org.now = '2030-06-13 00:00:00Z';
SELECT owner, "limit", each, part, spent, held, resets_at FROM spent('sk-ann') WHERE owner = 'organization';
SELECT usage_verify();
-- A call that was refused is granted.
CALL begin_with_limits();
SELECT trial($$usage_reserve('sk-ann', 'm', 95)$$) AS before;
SELECT usage_reset(owner.organization_id, owner.team_id, owner.user_id, owner.key) ->> 'owner' AS reset
  FROM (VALUES ('acme', NULL, NULL, NULL), ('acme', 'red', NULL, NULL), ('acme', NULL, 'ann', NULL), ('acme', 'red', 'ann', NULL), (NULL, NULL, 'ann', NULL), (NULL, NULL, NULL, 'ann'))
       AS owner (organization_id, team_id, user_id, key);
SELECT trial($$usage_reserve('sk-ann', 'm', 95)$$) AS after, left(trial($$usage_reserve('sk-ann', 'm', 99)$$), 5) AS with_what_is_held;
-- Once more, a minute later.
SELECT usage_record('sk-ann', 'm', 7) \g /dev/null
SET pg_org.now = '2030-06-12 11:01:00Z';
SELECT usage_reset('acme') ->> 'reset_at' AS reset_at;
SELECT "limit", field, spent FROM spent('sk-ann') WHERE owner = 'organization';
SELECT usage_verify();

-- One limit -------------------------------------------------------------------------------------
CALL begin_with_limits();
SELECT usage_reset('acme', "limit" => '{"limit": "cost", "per": "1d"}');
SELECT "limit", field, per, each, part, spent, held FROM spent('sk-ann') WHERE owner = 'organization';
-- Of requests.
SELECT usage_reset(key => 'sk-ann', "limit" => '{"limit": "requests", "per": "1d", "model": "m", "value": 7, "field": "limits", "owner": "key", "soft": false}');
SELECT "limit", field, per, each, part, spent, held FROM spent('sk-ann') WHERE owner = 'key';
-- A limit as usage_limits shows it names it.
SELECT l AS shown FROM json_array_elements(usage_limits('sk-ann', 'm', 'cust') -> 'limits') AS l WHERE l ->> 'owner' = 'team' AND l ->> 'each' = 'end_user' \gset
SELECT usage_reset('acme', 'red', "limit" => :'shown');
SELECT end_user, "limit", field, per, each, part, spent, held FROM unnest('{cust,other}'::text[]) AS end_user, spent('sk-ann', end_user) WHERE owner = 'team' AND each IS NOT NULL;
-- One part, and all of them.
SELECT usage_reset('acme', "limit" => '{"limit": "cost", "per": "30d", "each": "end_user"}', part => 'cust');
SELECT end_user, part, spent, held FROM unnest('{cust,other}'::text[]) AS end_user, spent('sk-ann', end_user) WHERE owner = 'organization' AND each IS NOT NULL;
SET pg_org.now = '2030-06-12 12:00:00Z';
SELECT usage_record('sk-ann', 'm', 0.5, end_user => 'cust') \g /dev/null
SELECT usage_reset('acme', "limit" => '{"limit": "cost", "per": "30d", "each": "end_user"}', part => 'never-seen') -> 'limit' ->> 'part' AS part;
SELECT end_user, part, spent, held FROM unnest('{cust,other}'::text[]) AS end_user, spent('sk-ann', end_user) WHERE owner = 'organization' AND each IS NOT NULL;
SELECT usage_reset('acme', "limit" => '{"limit": "cost", "per": "30d", "each": "end_user"}') -> 'limit' ->> 'part' AS part;
SELECT end_user, part, spent, held FROM unnest('{cust,other}'::text[]) AS end_user, spent('sk-ann', end_user) WHERE owner = 'organization' AND each IS NOT NULL;
SELECT usage_verify();
-- Short forms, by what they mean: here of a user, a team's member, and a soft one.
SELECT team_member_update('red', 'ann', limits => '[]'), user_update('ann', max_budget => 500, budget_duration => '7d', tpd_limit => 9000), team_update('red', team_member_budget => 60, soft_budget => 70),
       usage_record('sk-ann', 'm', 8, prompt_tokens => 80) \g /dev/null
SELECT owner, "limit", field, per, each, part, spent FROM spent('sk-ann') WHERE owner IN ('user', 'team') AND field <> 'limits';
SET pg_org.now = '2030-06-12 12:01:00Z';
SELECT usage_reset(user_id => 'ann', "limit" => '{"limit": "cost", "per": "7d"}'), usage_reset(user_id => 'ann', "limit" => '{"limit": "tokens", "per": "1d"}'),
       usage_reset('acme', 'red', "limit" => '{"limit": "cost", "each": "member"}', part => 'ann'), usage_reset('acme', 'red', "limit" => '{"limit": "cost", "soft": true}') \g /dev/null
SELECT owner, "limit", field, per, each, part, spent FROM spent('sk-ann') WHERE owner IN ('user', 'team') AND field <> 'limits';
SELECT usage_verify();
-- A reset that no current window depends on is forgotten with the next one; a limit that is set anew is not reset.
SELECT limit_resets FROM org.organization;
SET pg_org.now = '2030-09-01 00:00:00Z';
SELECT usage_reset('acme', "limit" => '{"limit": "cost", "per": "1d"}') \g /dev/null
SELECT limit_resets FROM org.organization;
SELECT usage_verify();
-- At most 200 may matter at once.
CALL begin_with_limits();
SELECT count(usage_reset('acme', "limit" => '{"limit": "cost", "per": "30d", "each": "end_user"}', part => 'cust-' || i)) AS resets FROM generate_series(1, 200) AS i;
SELECT attempt($$usage_reset('acme', "limit" => '{"limit": "cost", "per": "30d", "each": "end_user"}', part => 'cust-201')$$) AS one_more,
       attempt($$usage_reset('acme', "limit" => '{"limit": "cost", "per": "30d", "each": "end_user"}', part => 'cust-200')$$) AS the_same,
       attempt($$usage_reset('acme')$$) AS all_of_cost;

-- Refused -----------------------------------------------------------------------------------------
CALL begin_with_limits();
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$usage_reset()$$), ($$usage_reset('')$$), ($$usage_reset('nowhere')$$), ($$usage_reset('acme', team_id => 'unknown')$$), ($$usage_reset('nowhere', team_id => 'red')$$),
    ($$usage_reset(team_id => 'unknown')$$), ($$usage_reset('acme', user_id => 'nobody')$$), ($$usage_reset('nowhere', user_id => 'ann')$$), ($$usage_reset(user_id => 'nobody')$$),
    ($$usage_reset('acme', 'red', 'nobody')$$), ($$usage_reset(key => 'sk-unknown')$$), ($$usage_reset(key => 'unknown')$$), ($$usage_reset('nowhere', key => 'ann')$$),
    ($$usage_reset(end_user => 'other')$$), ($$usage_reset('acme', end_user => 'other')$$), ($$usage_reset('nowhere', end_user => 'cust')$$),
    ($$usage_reset(team_id => 'red', key => 'ann')$$), ($$usage_reset(user_id => 'ann', key => 'ann')$$), ($$usage_reset(key => 'ann', end_user => 'cust')$$),
    ($$usage_reset(team_id => 'red', end_user => 'cust')$$), ($$usage_reset(user_id => 'ann', end_user => 'cust')$$),
    ($$usage_reset('acme', part => 'cust')$$), ($$usage_reset('acme', "limit" => 'null', part => 'cust')$$)) AS t (call);
SELECT "limit", attempt(format('usage_reset(''acme'', "limit" => %L)', "limit")) FROM (VALUES ('7'), ('[]'), ('"cost"'), ('{}'), ('{"limit": "money"}'), ('{"limit": null}'), ('{"limit": 7}'),
    ('{"limit": "cost", "per": "1w"}'), ('{"limit": "cost", "per": "1d", "soft": true}'), ('{"limit": "cost", "per": "1d", "model": "m"}'), ('{"limit": "cost", "per": "1d", "tag": "t"}'),
    ('{"limit": "cost", "per": "1d", "each": "end_user"}'), ('{"limit": "requests", "per": "1d"}'), ('{"limit": "tokens", "per": "1d"}'), ('{"limit": "parallel_requests"}'),
    ('{"limit": "cost", "per": "1d", "each": "nobody"}'), ('{"limit": "cost", "per": 7}'), ('{"limit": "cost", "model": []}'), ('{"limit": "cost", "tag": 7}'),
    ('{"limit": "cost", "per": "1d", "soft": "yes"}'), ('{"limit": "cost", "per": "30d", "each": "end_user", "part": 7}')) AS t ("limit");
SELECT attempt($$usage_reset('acme', "limit" => '{"limit": "cost", "per": "1d"}', part => 'cust')$$) AS part_of_all;
SELECT attempt(format('usage_reset(''acme'', "limit" => ''{"limit": "cost", "per": "30d", "each": "end_user"}'', part => %L)', repeat('x', 256))) AS long_part;
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;

-- Rights ------------------------------------------------------------------------------------------
-- sql/matrix.sql has all callers. An admin of the organization may for what is inside it; what they may not know looks like what there is not.
SELECT user_new('ada', auto_create_key => false), org_member_add('acme', '{"role": "org_admin", "user_id": "ada"}'), key_generate('ada', key => 'sk-ada') \g /dev/null
SELECT org_new('Beta', 'beta', max_budget => 5), team_new('beta', team_id => 'blue', max_budget => 1), key_generate(organization_id => 'beta', key => 'sk-beta'), customer_new('bcust', organization_id => 'beta', max_budget => 1) \g /dev/null
SELECT call, attempt(call || $$, api_key => 'sk-ada')$$) FROM (VALUES
    ($$usage_reset('acme', team_id => 'red'$$), ($$usage_reset('acme', user_id => 'ann'$$), ($$usage_reset(key => 'ann'$$), ($$usage_reset('acme', end_user => 'cust'$$),
    ($$usage_reset('acme'$$), ($$usage_reset(user_id => 'ann'$$), ($$usage_reset(end_user => 'cust'$$),
    ($$usage_reset('beta'$$), ($$usage_reset('nowhere'$$), ($$usage_reset('beta', team_id => 'blue'$$), ($$usage_reset(team_id => 'blue'$$), ($$usage_reset(team_id => 'unknown'$$), ($$usage_reset('acme', team_id => 'blue'$$),
    ($$usage_reset('acme', team_id => 'unknown'$$), ($$usage_reset(key => 'sk-beta'$$), ($$usage_reset(key => 'sk-unknown'$$), ($$usage_reset('acme', key => 'sk-beta'$$), ($$usage_reset('acme', key => 'sk-unknown'$$),
    ($$usage_reset('beta', end_user => 'bcust'$$), ($$usage_reset('beta', end_user => 'unknown'$$), ($$usage_reset('nowhere', end_user => 'unknown'$$), ($$usage_reset('acme', end_user => 'unknown'$$)) AS t (call);

-- Audited, told, and done once ----------------------------------------------------------------------
CALL begin_with_limits();
SELECT usage_reset('acme', idempotency_key => 'once')::text AS first \gset
SET pg_org.now = '2030-06-12 12:00:00Z';
SELECT usage_reset('acme', idempotency_key => 'once')::text = :'first' AS same, spend_reset_at FROM org.organization;
SELECT usage_reset('acme', 'red'), usage_reset('acme', user_id => 'ann'), usage_reset('acme', 'red', 'ann'), usage_reset(user_id => 'ann', "limit" => '{"limit": "cost", "per": "1d"}'),
       usage_reset(key => 'ann', "limit" => '{"limit": "cost", "per": "30d", "each": "end_user"}', part => 'cust'), usage_reset(end_user => 'cust'), usage_reset('acme', end_user => 'cust') \g /dev/null
SELECT * FROM events();
SELECT organization_id, kind, id, action, after - '{updated_at,updated_by}'::text[] AS after FROM org.audit_log WHERE action = 'usage_reset' ORDER BY occurred_at, kind, organization_id, id;

RESET pg_org.now;
DROP FUNCTION test.spent, test.events, test.after_reset;
DROP PROCEDURE test.begin_with_limits;
CALL clear();
