-- Whose counters are whose: owners of the same name made anew, budgets that several share, and end users.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set usage :checkout /test/usage.sql
\i :usage

CREATE FUNCTION test.spent(key text, model text DEFAULT 'm', end_user text DEFAULT NULL, tags text[] DEFAULT '{}')
RETURNS TABLE (owner text, id text, "limit" text, per text, each text, part text, value text, spent text, held text) LANGUAGE sql AS $$
    SELECT l ->> 'owner', l ->> 'id', l ->> 'limit', l ->> 'per', l ->> 'each', l ->> 'part', l ->> 'value', l ->> 'spent', l ->> 'held'
      FROM json_array_elements(usage_limits(key, model, end_user, tags) -> 'limits') WITH ORDINALITY AS t (l, place) ORDER BY place
$$;

-- Made anew -----------------------------------------------------------------------------
-- Calls of a deleted owner count for no later one of the same name, nor for its part of an outer owner's limit for each.
CREATE PROCEDURE test.begin_with_each() LANGUAGE plpgsql AS $$
BEGIN
    CALL begin_again();
    PERFORM set_config('pg_org.now', '2030-06-12 10:20:30Z', false);
    PERFORM org_update('acme', limits => '[{"limit": "cost", "value": 100, "per": "1d", "each": "team"}, {"limit": "cost", "value": 100, "per": "1d", "each": "member"},
                                           {"limit": "cost", "value": 100, "per": "1d", "each": "key"}, {"limit": "cost", "value": 100, "per": "1d", "each": "end_user"}]'),
            team_update('red', limits => '[{"limit": "cost", "value": 100, "per": "1d", "each": "member"}, {"limit": "requests", "value": 100, "per": "1d"}]'),
            customer_new('cust', organization_id => 'acme', limits => '[{"limit": "requests", "value": 100, "per": "1d"}]');
    UPDATE org.end_user SET created_at = '2001-01-01Z';
    PERFORM usage_record('sk-ann', 'm', 3, end_user => 'cust'), usage_reserve('sk-ann', 'm', 2, request_id => 'held', end_user => 'cust');
END $$;
-- Makes what was deleted one minute later.
CREATE PROCEDURE test.made_later() LANGUAGE plpgsql AS $$
BEGIN
    UPDATE org.team SET created_at = '2030-06-12 10:21:30Z' WHERE created_at > '2001-01-01Z';
    UPDATE org.membership SET created_at = '2030-06-12 10:21:30Z' WHERE created_at > '2001-01-01Z';
    UPDATE org.team_member SET created_at = '2030-06-12 10:21:30Z' WHERE created_at > '2001-01-01Z';
    UPDATE org."user" SET created_at = '2030-06-12 10:21:30Z' WHERE created_at > '2001-01-01Z';
    UPDATE org.end_user SET created_at = '2030-06-12 10:21:30Z' WHERE created_at > '2001-01-01Z';
    UPDATE org.api_key SET created_at = '2030-06-12 10:21:30Z', key_id = 'ann' WHERE created_at > '2001-01-01Z';
    PERFORM set_config('pg_org.now', '2030-06-12 10:30:00Z', false);
END $$;
CALL begin_with_each();
SELECT * FROM spent('sk-ann', 'm', 'cust');
-- A team, with its members and keys.
SELECT team_delete('{red}'), team_new('acme', team_id => 'red', members_with_roles => '[{"role": "user", "user_id": "ann"}]',
       limits => '[{"limit": "cost", "value": 100, "per": "1d", "each": "member"}, {"limit": "requests", "value": 100, "per": "1d"}]') \g /dev/null
SELECT key_generate('ann', 'acme', 'red', key => 'sk-ann') \g /dev/null
CALL made_later();
SELECT * FROM spent('sk-ann', 'm', 'cust');
SELECT usage_record('sk-ann', 'm', 1, end_user => 'cust') \g /dev/null
SELECT owner, "limit", each, part, spent FROM spent('sk-ann', 'm', 'cust');
SELECT usage_verify();
-- A settled call that the former team had held is charged to the organization and the member only.
SELECT usage_settle(10, 'held') \g /dev/null
SELECT owner, "limit", each, part, spent FROM spent('sk-ann', 'm', 'cust');
SELECT usage_verify();
-- A member.
CALL begin_with_each();
SELECT org_member_delete('acme', 'ann'), org_member_add('acme', '{"role": "internal_user", "user_id": "ann"}'), team_member_add('red', '{"role": "user", "user_id": "ann"}') \g /dev/null
SELECT key_generate('ann', 'acme', 'red', key => 'sk-ann') \g /dev/null
CALL made_later();
SELECT usage_record('sk-ann', 'm', 1, end_user => 'cust') \g /dev/null
SELECT owner, "limit", each, part, spent FROM spent('sk-ann', 'm', 'cust');
SELECT usage_settle(10, 'held') \g /dev/null
SELECT owner, "limit", each, part, spent FROM spent('sk-ann', 'm', 'cust');
SELECT usage_verify();
-- A member of a team.
CALL begin_with_each();
SELECT team_member_delete('red', 'ann'), team_member_add('red', '{"role": "user", "user_id": "ann"}') \g /dev/null
SELECT key_generate('ann', 'acme', 'red', key => 'sk-ann') \g /dev/null
CALL made_later();
SELECT usage_record('sk-ann', 'm', 1, end_user => 'cust') \g /dev/null
SELECT owner, "limit", each, part, spent FROM spent('sk-ann', 'm', 'cust');
SELECT usage_verify();
-- A key, under the same token_id.
CALL begin_with_each();
SELECT key_delete('{sk-ann}'), key_generate('ann', 'acme', 'red', key => 'sk-ann') \g /dev/null
CALL made_later();
SELECT usage_record('sk-ann', 'm', 1, end_user => 'cust') \g /dev/null
SELECT owner, "limit", each, part, spent FROM spent('sk-ann', 'm', 'cust');
SELECT usage_verify();
-- An end user: its own limits start from nothing. It is the same part for others, as those who were never made are.
CALL begin_with_each();
SELECT customer_delete('{cust}', 'acme'), customer_new('cust', organization_id => 'acme', limits => '[{"limit": "requests", "value": 100, "per": "1d"}]') \g /dev/null
CALL made_later();
SELECT usage_record('sk-ann', 'm', 1, end_user => 'cust') \g /dev/null
SELECT owner, "limit", each, part, spent FROM spent('sk-ann', 'm', 'cust');
SELECT usage_verify();
-- An organization, with everything in it.
CALL begin_with_each();
SELECT org_delete('{acme}'), org_new('Acme', 'acme', limits => '[{"limit": "cost", "value": 100, "per": "1d", "each": "end_user"}]'), key_generate(organization_id => 'acme', key => 'sk-acme') \g /dev/null
UPDATE org.organization SET created_at = '2030-06-12 10:21:30Z';
CALL made_later();
SELECT usage_record('sk-acme', 'm', 1, end_user => 'cust') \g /dev/null
SELECT owner, "limit", each, part, spent FROM spent('sk-acme', 'm', 'cust');
SELECT usage_verify();

-- Shared budgets ------------------------------------------------------------------------
-- Sentences of a budget are shared by those who have it, what is spent is not.
CALL begin_again();
SET pg_org.now = '2030-06-12 10:20:30Z';
SELECT budget_new('gold', limits => '[{"limit": "cost", "value": 5, "per": "1d"}, {"limit": "requests", "value": 3, "per": "1h", "each": "model"}]') \g /dev/null
SELECT org_new('Beta', 'beta', budget_id => 'gold'), key_generate(organization_id => 'beta', key => 'sk-beta') \g /dev/null
SELECT org_update('acme', budget_id => 'gold'), customer_new('cust', budget_id => 'gold'), customer_new('cust', organization_id => 'acme', budget_id => 'gold'),
       key_generate('ann', key => 'sk-lone', budget_id => 'gold') \g /dev/null
CALL settle_in();
UPDATE org.end_user SET created_at = '2001-01-01Z';
SELECT usage_record('sk-ann', 'm', 1, end_user => 'cust'), usage_record('sk-beta', 'm', 2, end_user => 'cust'), usage_record('sk-lone', 'm', 0.5) \g /dev/null
SELECT key, s.* FROM unnest('{sk-ann,sk-beta,sk-lone}'::text[]) AS key, spent(key, 'm', 'cust') AS s;
SELECT key, end_user, trial(format('usage_reserve(%L, ''m'', %s, end_user => %L)', key, cost, end_user))
  FROM (VALUES ('sk-ann', 4, 'other'), ('sk-ann', 4, 'cust'), ('sk-ann', 2, 'cust'), ('sk-beta', 3, 'other'), ('sk-beta', 3, 'cust'), ('sk-lone', 4.5, 'other'), ('sk-lone', 2.5, 'cust')) AS t (key, cost, end_user);
-- A change of the budget is one for all; a change of one of them makes a copy, which keeps its counts.
SELECT budget_update('gold', limits => '[{"limit": "cost", "value": 9, "per": "1d"}]') \g /dev/null
SELECT key, owner, value, spent FROM unnest('{sk-ann,sk-beta,sk-lone}'::text[]) AS key, spent(key, 'm', 'cust');
SELECT org_update('beta', limits => '[{"limit": "cost", "value": 7, "per": "1d"}]') -> 'budget_id' IS NOT NULL AS changed;
SELECT key, owner, value, spent FROM unnest('{sk-ann,sk-beta,sk-lone}'::text[]) AS key, spent(key, 'm', 'cust');
SELECT usage_verify();
-- A key with limits of its own and those of a budget is under both.
SELECT budget_update('gold', limits => '[{"limit": "cost", "value": 5, "per": "1d"}, {"limit": "requests", "value": 8, "per": "1h"}]', rpm_limit => 4, max_parallel_requests => 2, tpd_limit => 100) \g /dev/null
SELECT key_update('sk-lone', limits => '[{"limit": "cost", "value": 4, "per": "1d"}, {"limit": "requests", "value": 2, "per": "1d"}]', rpm_limit => 6, model_rpm_limit => '{"m": 5}') \g /dev/null
SELECT "limit", per, value, spent FROM spent('sk-lone');
SELECT trial($$usage_reserve('sk-lone', 'm', 3.6, 10)$$) AS own, trial($$usage_reserve('sk-lone', 'm', 3.5, 101)$$) AS of_budget, trial($$usage_reserve('sk-lone', 'm', 3.5, 100)$$) AS within \gx
SELECT key_update('sk-lone', limits => '[{"limit": "cost", "value": 6, "per": "1d"}]') \g /dev/null
SELECT trial($$usage_reserve('sk-lone', 'm', 4.6, 10)$$) AS of_budget, trial($$usage_reserve('sk-lone', 'm', 4.5, 10)$$) AS within;
SELECT key_update('sk-lone', clear => '{budget_id}') \g /dev/null
SELECT "limit", per, value, spent FROM spent('sk-lone');
SELECT usage_verify();

-- End users -------------------------------------------------------------------------------
-- One of the platform is charged for the calls of all keys, one of an organization for those of the organization's keys.
CALL begin_again();
SET pg_org.now = '2030-06-12 10:20:30Z';
SELECT org_new('Beta', 'beta'), key_generate(organization_id => 'beta', key => 'sk-beta'), key_generate('ann', key => 'sk-lone') \g /dev/null
SELECT customer_new('cust', max_budget => 20, rpm_limit => 9, limits => '[{"limit": "parallel_requests", "value": 3}]'),
       customer_new('cust', organization_id => 'acme', limits => '[{"limit": "cost", "value": 4, "per": "1d", "model": "m"}, {"limit": "tokens", "value": 50, "each": "tag"}]'),
       customer_new('cust', organization_id => 'beta', max_budget => 100) \g /dev/null
CALL settle_in();
UPDATE org.end_user SET created_at = '2001-01-01Z';
SELECT usage_record('sk-ann', 'm', 1, prompt_tokens => 9, tags => '{t}', end_user => 'cust'), usage_record('sk-beta', 'm', 2, end_user => 'cust'),
       usage_record('sk-lone', 'm', 4, end_user => 'cust'), usage_record('sk-ann', 'm', 8, end_user => 'other'), usage_record('sk-ann', 'm', 16) \g /dev/null
SELECT key, s.* FROM unnest('{sk-ann,sk-beta,sk-lone}'::text[]) AS key, spent(key, 'm', 'cust', '{t}') AS s;
SELECT key, count(*) AS of_others FROM unnest('{sk-ann,sk-beta,sk-lone}'::text[]) AS key, spent(key, 'm', 'other') GROUP BY key;
SELECT organization_id, end_user_id, spend FROM org.end_user ORDER BY 1;
CREATE FUNCTION test.asked(key text, cost numeric, end_user text, tokens integer DEFAULT 0) RETURNS text LANGUAGE sql AS $$
    SELECT trial(format('usage_reserve(%L, ''m'', %s, %s, tags => ''{t}'', end_user => %L)', key, cost, tokens, end_user))
$$;
SELECT asked('sk-ann', 3.1, 'cust') AS of_acme, asked('sk-ann', 2, 'cust', 42) AS tokens_of_acme, asked('sk-ann', 3, 'cust') AS within, asked('sk-beta', 13.1, 'cust') AS of_platform,
       asked('sk-lone', 13.1, 'cust') AS lone, asked('sk-beta', 13, 'cust') AS beta_within, asked('sk-ann', 100, 'other') AS other, asked('sk-ann', 100, NULL) AS nobody \gx
-- What is held counts for it in all organizations, and what has expired in none. A call closes what has expired of its own
-- organization and of keys outside of organizations.
SELECT usage_reserve('sk-beta', 'm', 1, request_id => 'b', end_user => 'cust', ttl_seconds => 60), usage_reserve('sk-lone', 'm', 1, request_id => 'l', end_user => 'cust', ttl_seconds => 60),
       usage_reserve('sk-ann', 'm', 1, 0, 'a', end_user => 'cust') \g /dev/null
SELECT asked('sk-ann', 0, 'cust') AS a_fourth;
SELECT owner, "limit", spent, held FROM spent('sk-ann', 'm', 'cust');
SET pg_org.now = '2030-06-12 10:21:30Z';
SELECT owner, "limit", spent, held FROM spent('sk-ann', 'm', 'cust');
SELECT asked('sk-ann', 1, 'cust') AS now, asked('sk-lone', 1, 'cust') AS anywhere;
SELECT usage_reserve('sk-ann', 'm', 1, 0, 'a2', end_user => 'cust') ->> 'request_id' AS granted;
SELECT request_id, state FROM org.usage WHERE state = 'expired';
SELECT usage_reserve('sk-beta', 'n', 0, 0, 'b2') ->> 'request_id' AS granted;
SELECT request_id, state FROM org.usage WHERE state = 'expired';
SELECT usage_verify();
-- An organization's end user is not charged for calls of another, nor for those of keys outside of organizations.
SELECT usage_settle(5, 'a') \g /dev/null
SELECT owner, id, "limit", spent, held FROM spent('sk-beta', 'm', 'cust');
SELECT usage_settle(1, 'l'), usage_cancel('a2') \g /dev/null
SELECT usage_verify();
-- Who may not see end users of the platform sees none of their limits, whether there is one or not.
SELECT user_new('ada', auto_create_key => false), user_new('vera', user_role => 'proxy_admin_viewer', auto_create_key => false), org_member_add('acme', '{"role": "org_admin", "user_id": "ada"}') \g /dev/null
SELECT key_generate('ada', key => 'sk-ada'), key_generate('vera', key => 'sk-vera'), key_generate(key => 'sk-gateway', permissions => '{"usage": true}'),
       customer_new('secret', max_budget => 1) \g /dev/null
SELECT caller, end_user, (SELECT string_agg((l ->> 'owner') || ' ' || (l ->> 'field') || ' ' || (l ->> 'spent'), ', ') FROM json_array_elements(usage_limits('sk-ann', 'm', end_user, api_key => caller) -> 'limits') AS l) AS limits
  FROM unnest('{sk-vera,sk-gateway,sk-ada,sk-ann}'::text[]) AS caller, unnest('{cust,secret,nobody}'::text[]) AS end_user;
-- Blocked of an organization, there alone; of the platform, everywhere.
SELECT customer_block('{cust}', 'acme') \g /dev/null
SELECT asked('sk-ann', 0, 'cust') AS acme, asked('sk-beta', 0, 'cust') AS beta, asked('sk-lone', 0, 'cust') AS lone, asked('sk-ann', 0, 'other') AS other, asked('sk-ann', 0, NULL) AS nobody;
SELECT customer_unblock('{cust}', 'acme'), customer_block('{cust,never-seen}') \g /dev/null
SELECT asked('sk-ann', 0, 'cust') AS acme, asked('sk-beta', 0, 'cust') AS beta, asked('sk-lone', 0, 'never-seen') AS never_seen, asked('sk-beta', 0, 'other') AS other;
-- What is held when it is blocked can be settled; recorded calls are never refused.
SELECT usage_record('sk-ann', 'm', 1, end_user => 'cust') ->> 'cost' AS recorded;
SELECT customer_unblock('{cust,never-seen}') \g /dev/null
SELECT asked('sk-ann', 0, 'cust') AS acme, usage_verify();
-- The same request for another end user is another request.
SELECT usage_reserve('sk-ann', 'm', 0, 0, 'same', end_user => 'one') ->> 'request_id' AS request_id;
SELECT attempt($$usage_reserve('sk-ann', 'm', 0, 0, 'same', end_user => 'one')$$) AS again, attempt($$usage_reserve('sk-ann', 'm', 0, 0, 'same', end_user => 'two')$$) AS other, attempt($$usage_reserve('sk-ann', 'm', 0, 0, 'same')$$) AS nobody;
-- Names are bounded; an empty one is none.
SELECT attempt(format('usage_reserve(''sk-ann'', ''m'', 0, 0, end_user => %L)', repeat('x', 256))) AS too_long, attempt($$usage_reserve('sk-ann', 'm', 0, 0, end_user => '')$$) AS empty;
SELECT attempt(format('usage_record(''sk-ann'', ''m'', 0, end_user => %L)', repeat('x', 256))) AS too_long, attempt(format('usage_limits(''sk-ann'', end_user => %L)', repeat('x', 256))) AS limits;
SELECT DISTINCT end_user FROM org.reservation ORDER BY 1;

RESET pg_org.now;
DROP FUNCTION test.spent, test.asked;
DROP PROCEDURE test.begin_with_each, test.made_later;
CALL clear();
