-- Resets of users and teams: budgets start again from zero, and what was spent stays on record. user_reset_spend, and
-- spend 0 in user_update, user_bulk_update and team_update.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set usage :checkout /test/usage.sql
\i :usage
SET pg_org.now = '2030-06-12 10:20:30Z';
CALL set_all_limits('10', '{"m": 10}');
CALL set_limit('user', 'budget_duration', '30d');
-- What the user's and the team's limits count, and what their objects show.
CREATE FUNCTION test.state()
RETURNS TABLE (owner text, "limit" text, spent text, held text, spend text, period_spend text) LANGUAGE sql AS $$
    SELECT l.owner, l."limit", l.spent, l.held, shown ->> 'spend', shown ->> 'period_spend'
      FROM limits(usage_limits('sk-ann')) AS l,
           LATERAL (SELECT CASE l.owner WHEN 'user' THEN user_info_v2('ann')
                                        ELSE team_info('red') -> 'team_info' END) AS t (shown)
     WHERE l.owner IN ('user', 'team') AND l."limit" LIKE '%budget'
$$;
SELECT usage_record('sk-ann', 'm', 6), usage_reserve('sk-ann', 'm', 1, 0, request_id => 'under way') \g /dev/null
SELECT * FROM state();

-- user_reset_spend --------------------------------------------------------------
SET pg_org.now = '2030-06-12 10:20:31Z';
SELECT u -> 'spend' AS spend, u -> 'period_spend' AS period_spend, u -> 'user_id' AS user_id
  FROM user_reset_spend('ann', 0) AS u;
-- Calls under way are held still, and are spent when they are over.
SELECT * FROM state();
SELECT usage_settle(2, 'under way') \g /dev/null
SELECT * FROM state();
SELECT usage_verify();
-- Also where no period is: from the reset on.
CALL set_limit('user', 'budget_duration', NULL);
SELECT * FROM state() WHERE owner = 'user';
SELECT usage_verify();
-- The user's other fields stay, and the log has the change.
SELECT after -> 'spend_reset_at' AS spend_reset_at, before -> 'spend_reset_at' AS before
  FROM org.audit_log WHERE action = 'user_reset_spend' AND kind = 'user';
-- Repeated with an idempotency key, it is done once.
SET pg_org.now = '2030-06-12 10:20:32Z';
SELECT user_reset_spend('ann', 0, idempotency_key => 'once') -> 'period_spend' AS period_spend;
SELECT usage_record('sk-ann', 'm', 3) \g /dev/null
SELECT user_reset_spend('ann', 0, idempotency_key => 'once') -> 'period_spend' AS the_same_reply;
SELECT * FROM state() WHERE owner = 'user';
-- Whoever sees only a part of the user sees nothing of their resets.
SELECT user_new('boss', auto_create_key => false), org_member_add('acme', '{"role": "org_admin", "user_id": "boss"}'),
       key_generate('boss', key => 'sk-boss'), key_generate('ann', key => 'sk-of-ann') \g /dev/null
SELECT usage_record('sk-of-ann', 'm', 100) \g /dev/null
SELECT u -> 'spend' AS spend, u -> 'period_spend' AS period_spend FROM user_info_v2('ann', 'sk-boss') AS u;

-- user_update and user_bulk_update ----------------------------------------------
SET pg_org.now = '2030-06-12 10:20:33Z';
SELECT reply -> 'data' -> 'spend' AS spend, reply -> 'data' -> 'period_spend' AS period_spend
  FROM user_update('ann', spend => 0) AS reply;
SELECT usage_record('sk-ann', 'm', 4) \g /dev/null
SELECT user_update('ann', user_alias => 'Ann') -> 'data' -> 'period_spend' AS unchanged;
SET pg_org.now = '2030-06-12 10:20:34Z';
SELECT r -> 'success' AS success, r -> 'updated_user' -> 'period_spend' AS period_spend
  FROM json_array_elements(user_bulk_update('[{"user_id": "ann", "spend": 0}, {"user_id": "boss", "spend": null}]')
                           -> 'results') AS r;
SELECT user_id, spend_reset_at FROM org."user" ORDER BY user_id;
SELECT usage_record('sk-ann', 'm', 5) \g /dev/null
SET pg_org.now = '2030-06-12 10:20:35Z';
SELECT user_bulk_update(all_users => true, user_updates => '{"spend": 0}') -> 'failed_updates' AS failed;
SELECT count(DISTINCT spend_reset_at) AS reset_times, count(*) = count(spend_reset_at) AS all_of_them FROM org."user";
SELECT usage_verify();

-- team_update -------------------------------------------------------------------
SELECT reply -> 'data' -> 'spend' AS spend, reply -> 'data' -> 'period_spend' AS period_spend
  FROM team_update('red', spend => 0) AS reply;
SELECT * FROM state() WHERE owner = 'team';
SELECT usage_record('sk-ann', 'm', 7) \g /dev/null
SELECT team_update('red', team_alias => 'Red') -> 'data' -> 'period_spend' AS unchanged;
SELECT * FROM state();
SELECT usage_verify();

-- Refused -----------------------------------------------------------------------
SELECT user_new('lead', auto_create_key => false),
       org_member_add('acme', '{"role": "internal_user", "user_id": "lead"}'),
       team_member_add('red', '{"role": "admin", "user_id": "lead"}'), key_generate('lead', key => 'sk-lead') \g /dev/null
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$user_reset_spend('ann', NULL)$$),
    ($$user_reset_spend(NULL, 0)$$),
    ($$user_reset_spend('ann', 1)$$),
    ($$user_reset_spend('ann', -1)$$),
    ($$user_reset_spend('nobody', 0)$$),
    ($$user_reset_spend('', 0)$$),
    ($$user_reset_spend('ann', 0, api_key => 'sk-of-ann')$$),
    ($$user_reset_spend('ann', 0, api_key => 'sk-boss')$$),
    ($$user_reset_spend('nobody', 0, api_key => 'sk-boss')$$),
    ($$user_update('ann', spend => 1)$$),
    ($$user_update('ann', spend => -1)$$),
    ($$user_update('ann', spend => 'NaN')$$),
    ($$user_update('ann', user_alias => 'x', spend => 0, api_key => 'sk-of-ann')$$),
    ($$user_bulk_update('[{"user_id": "ann", "spend": 1}]')$$),
    ($$user_bulk_update('[{"user_id": "ann", "spend": "much"}]')$$),
    ($$team_update('red', spend => 0.01)$$),
    ($$team_update('red', team_alias => 'x', spend => 0, api_key => 'sk-lead')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;
RESET pg_org.now;
DROP FUNCTION test.state;
CALL clear();
