-- The spend of a period after the periods of a budget are changed.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set ECHO none
-- Shows the monetary limits of a key without their reset times.
CREATE FUNCTION test.spent(key text) RETURNS TABLE (owner text, model text, spent text, remaining text) LANGUAGE sql AS $$
    SELECT "limit" ->> 'owner', "limit" ->> 'model', "limit" ->> 'spent', "limit" ->> 'remaining'
      FROM json_array_elements(usage_limits(key) -> 'limits') AS "limit"
$$;
\set ECHO all

SELECT org_new('Acme', 'A'), key_generate(organization_id => 'A', key => 'sk-a', key_alias => 'a') \g /dev/null
UPDATE org.organization SET created_at = '2031-01-01';
UPDATE org.api_key SET created_at = '2031-01-01';
SET pg_org.now = '2031-01-02 12:00+00';
SELECT usage_record('sk-a', 'gpt-4o', 3) ->> 'settled_at' AS settled_at;

-- A budget that changes from days to months, or from hours to quarters, counts the earlier spend of the new period.
SET pg_org.now = '2031-01-20 12:00+00';
SELECT org_update('A', max_budget => 5, budget_duration => '1d@UTC') \g /dev/null
SELECT usage_reserve('sk-a', 'gpt-4o', 1, request_id => 'r') ->> 'model' AS granted;
SELECT * FROM test.spent('sk-a');
SELECT org_update('A', max_budget => 5, budget_duration => '1mo@UTC') \g /dev/null
SELECT * FROM test.spent('sk-a');
SELECT test.attempt('usage_reserve(''sk-a'', ''gpt-4o'', 2)');

SELECT usage_cancel('r') ->> 'state' AS state;
SELECT org_update('A', clear => '{max_budget,budget_duration}') \g /dev/null
SELECT key_update('sk-a', model_max_budget => '{"gpt-4o": {"max_budget": 5, "time_period": "1h"}}') \g /dev/null
SELECT usage_reserve('sk-a', 'gpt-4o', 1, request_id => 's') ->> 'model' AS granted;
SELECT key_update('sk-a', model_max_budget => '{"gpt-4o": {"max_budget": 5, "time_period": "3mo"}}') \g /dev/null
SELECT * FROM test.spent('sk-a');
SELECT usage_settle(1, 's') ->> 'cost' AS cost;
SELECT * FROM test.spent('sk-a');
SELECT usage_verify();

RESET pg_org.now;
CALL test.clear();
TRUNCATE org.reservation, org.usage, org.usage_counter, org.usage_daily;
DROP FUNCTION test.spent;
