-- What was spent in the current budget period, and when that ends, as computed when read.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
SET timezone = 'UTC';

CREATE FUNCTION test.spend(amount numeric) RETURNS void LANGUAGE sql AS $$
    SELECT usage_record('sk-ann', 'm', amount)
$$;
-- Every object that has spend: as shown, against the ledger.
CREATE FUNCTION test.periods() RETURNS TABLE (what text, spend text, period_spend text, resets text) LANGUAGE sql AS $$
    SELECT what, thing ->> 'spend', thing ->> 'period_spend',
           coalesce(thing ->> 'budget_reset_at', thing -> 'litellm_budget_table' ->> 'budget_reset_at')
      FROM (VALUES (1, 'organization', org_info('acme')), (2, 'member', org_info('acme') -> 'members' -> 0),
                   (3, 'team', org_info('acme') -> 'teams' -> 0), (4, 'team, alone', team_info('red') -> 'team_info'),
                   (5, 'team member', team_info('red') -> 'team_memberships' -> 0), (6, 'user', user_info_v2('ann')),
                   (7, 'user, in a list', (SELECT u FROM json_array_elements(user_list(user_id => 'ann') -> 'users') AS u)),
                   (8, 'key', key_info('sk-ann') -> 'info'),
                   (9, 'key, in a list', (SELECT k FROM json_array_elements(key_list(user_id => 'ann', return_full_object => true) -> 'keys') AS k)))
             AS t (place, what, thing)
     ORDER BY place
$$;
CREATE PROCEDURE test.set_period(duration text, reset_at timestamptz) LANGUAGE sql AS $$
    UPDATE org.budget SET budget_duration = duration, budget_reset_at = reset_at;
    UPDATE org.team SET budget_duration = duration, budget_reset_at = reset_at;
    UPDATE org."user" SET budget_duration = duration, budget_reset_at = reset_at WHERE user_id = 'ann';
    UPDATE org.api_key SET budget_duration = duration, budget_reset_at = reset_at WHERE user_id = 'ann';
$$;

SELECT org_new('Acme', 'acme') \g /dev/null
SELECT user_new('ann', auto_create_key => false),
       org_member_add('acme', '{"role": "internal_user", "user_id": "ann"}', max_budget_in_organization => 100),
       team_new('acme', team_id => 'red'),
       team_member_add('red', '{"role": "user", "user_id": "ann"}', max_budget_in_team => 100),
       key_generate('ann', 'acme', 'red', key => 'sk-ann') \g /dev/null
UPDATE org.organization SET created_at = '2030-01-01';
UPDATE org.membership SET created_at = '2030-01-01';
UPDATE org.team SET created_at = '2030-01-01';
UPDATE org.team_member SET created_at = '2030-01-01';
UPDATE org."user" SET created_at = '2030-01-01';
UPDATE org.api_key SET created_at = '2030-01-01';
-- Without a period it is all that was spent.
SET pg_org.now = '2030-06-14 12:00';
SELECT test.spend(1) \g /dev/null
SET pg_org.now = '2030-06-15 12:00';
SELECT test.spend(2) \g /dev/null
SELECT * FROM test.periods();
-- A period that began before it was set, and that no call has counted yet; then one that calls have counted.
CALL test.set_period('1mo', '2030-01-31 10:00');
SELECT * FROM test.periods();
SET pg_org.now = '2030-06-15 13:00';
CALL test.set_period('1d@Europe/Berlin', '2030-01-31 10:00');
SELECT * FROM test.periods();
SELECT test.spend(4) \g /dev/null
SELECT * FROM test.periods();
SELECT count(*) AS counters FROM org.usage_counter WHERE model = '';
-- When it is over, nothing is spent in the next one, without any call or job.
SET pg_org.now = '2030-06-15 21:59:59.999999';
SELECT DISTINCT period_spend, resets FROM test.periods();
SET pg_org.now = '2030-06-15 22:00';
SELECT DISTINCT period_spend, resets FROM test.periods();
SELECT test.spend(8) \g /dev/null
SELECT DISTINCT period_spend, resets FROM test.periods();
-- It is what limits are compared with.
SELECT key_update('sk-ann', max_budget => 50) \g /dev/null
SELECT l -> 'spent' AS spent, l -> 'resets_at' AS resets_at
  FROM json_array_elements(usage_limits('sk-ann') -> 'limits') AS l WHERE l ->> 'owner' = 'key';
-- A budget alone has its reset, too.
SELECT DISTINCT b ->> 'budget_reset_at' AS resets FROM json_array_elements(budget_list()) AS b;
-- Periods are not stored: the row keeps the first reset.
SELECT budget_reset_at FROM org.api_key WHERE user_id = 'ann';
-- Who does not see the user's budget sees no period.
SELECT user_new('boss', auto_create_key => false), org_member_add('acme', '{"role": "org_admin", "user_id": "boss"}'),
       key_generate('boss', key => 'sk-boss') \g /dev/null
SELECT u -> 'spend' AS spend, u -> 'period_spend' AS period_spend, u -> 'budget_reset_at' AS resets
  FROM user_info_v2('ann', 'sk-boss') AS u;
SELECT usage_verify();

RESET pg_org.now;
DROP FUNCTION test.spend, test.periods;
DROP PROCEDURE test.set_period;
CALL clear();
