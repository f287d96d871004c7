-- Every counter is the sum of its ledger: usage_verify() finds the differences, and usage_repair() repairs them.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set usage :checkout /test/usage.sql
\i :usage
SET pg_org.now = '2030-06-12 23:59:30Z';

-- Makes open, settled, cancelled and expired calls, in and outside organizations, with several limits, models and days.
CREATE PROCEDURE test.make_calls() LANGUAGE plpgsql AS $$
BEGIN
    CALL begin_again();
    CALL set_all_limits('1000', '{"m": 1000, "p/n": 1000}');
    PERFORM org_new('Beta', 'beta', max_budget => 1000), org_member_add('beta', '{"role": "internal_user", "user_id": "ann"}');
    PERFORM key_generate('ann', 'beta', key => 'sk-beta'), key_generate('ann', key => 'sk-lone', max_budget => 1000),
            key_generate(organization_id => 'acme', key => 'sk-acme');
    CALL settle_in();
    PERFORM set_config('pg_org.now', '2030-06-12 23:59:30Z', false);
    PERFORM usage_record('sk-ann', 'm', 1, prompt_tokens => 1), usage_record('sk-ann', 'p/n', 2, completion_tokens => 2),
            usage_record('sk-beta', 'm', 4, failed => true), usage_record('sk-lone', 'p/n', 8),
            usage_record('sk-acme', 'n', 16);
    PERFORM usage_reserve('sk-ann', 'm', 10, 20, 'held'), usage_reserve('sk-ann', 'm', 10, 20, 'taken back'),
            usage_reserve('sk-ann', 'q/m', 10, 20, 'to expire', 1), usage_reserve('sk-beta', 'm', 10, 20, 'in beta');
    PERFORM usage_cancel('taken back');
    PERFORM set_config('pg_org.now', '2030-06-13 00:00:30Z', false);
    PERFORM usage_reserve('sk-ann', 'm', 10, 20, 'tomorrow'), usage_settle(32, 'tomorrow', prompt_tokens => 32),
            usage_reserve('sk-ann', 'p/n', 10, 20, 'still held'), usage_record('sk-lone', 'n', 64);
END $$;
CREATE FUNCTION test.differences(reply json)
RETURNS TABLE (counter text, org text, team text, "user" text, token text, model text, day text, found text,
               expected text)
LANGUAGE sql AS $$
    SELECT d ->> 'counter', d ->> 'organization_id', d ->> 'team_id', d ->> 'user_id', d ->> 'token_id', d ->> 'model',
           d ->> 'day', d ->> 'found', d ->> 'expected'
      FROM json_array_elements(reply) WITH ORDINALITY AS e (d, place) ORDER BY place
$$;
CALL make_calls();
SELECT (SELECT count(*) FROM org.reservation) AS held, state, count(*) FROM org.usage GROUP BY state ORDER BY state;
SELECT usage_verify();
-- Repairing correct counters changes nothing.
SELECT fingerprint() AS contents \gset before_
SELECT usage_repair() AS of_all, usage_repair('acme') AS of_one, usage_repair('nowhere') AS of_none;
SELECT fingerprint() = :'before_contents' AS nothing_changed;

-- Each counter ----------------------------------------------------------------------
-- This is the whole reply.
UPDATE org.organization SET spend = 0 WHERE organization_id = 'acme';
SELECT replace(usage_verify()::text, ',"', E',\n"') \g (format=unaligned tuples_only=on)
SELECT usage_verify() AS found \gset
SELECT usage_repair()::text = :'found' AS told_as_found;
SELECT usage_verify(), spend FROM org.organization WHERE organization_id = 'acme';
-- Each counter is set too high or too low; after the repair there is no difference, and the limits are as before.
CREATE FUNCTION test.all_limits() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(usage_limits(key)::text, '') FROM unnest('{sk-ann,sk-beta,sk-lone,sk-acme}'::text[]) AS key
$$;
CREATE FUNCTION test.tamper(command text)
RETURNS TABLE (counter text, org text, team text, "user" text, token text, model text, day text, found text,
               expected text)
LANGUAGE plpgsql AS $$
DECLARE
    limits text;
BEGIN
    CALL make_calls();
    limits = all_limits();
    EXECUTE command;
    RETURN QUERY SELECT * FROM differences(usage_verify());
    PERFORM usage_repair();
    RETURN QUERY SELECT * FROM differences(usage_verify());
    IF all_limits() <> limits THEN
        RAISE 'not mended: % %', limits, all_limits();
    END IF;
END $$;
SELECT * FROM tamper($$UPDATE org.team SET spend = spend + 1$$);
SELECT * FROM tamper($$UPDATE org.membership SET spend = spend - 0.000001$$);
SELECT * FROM tamper($$UPDATE org.team_member SET spend = 0$$);
SELECT * FROM tamper($$UPDATE org."user" SET spend = 1e12 WHERE user_id = 'ann'$$);
SELECT * FROM tamper($$UPDATE org.api_key SET spend = 7$$);
-- Spend by model is too high, missing, or of a model that was never called.
SELECT * FROM tamper($$UPDATE org.organization SET model_spend = model_spend || '{"m": 1, "never": 5}'
                         WHERE organization_id = 'acme'$$);
SELECT * FROM tamper($$UPDATE org.organization SET model_spend = '{}'$$);
SELECT * FROM tamper($$UPDATE org."user" SET model_spend = model_spend - 'm' || '{"never": 5, "p/n": 0.5}'
                         WHERE user_id = 'ann'$$);
-- These are accounts of every kind of owner, for all models and for one.
SELECT * FROM tamper($$UPDATE org.usage_counter
                          SET amounts = array(SELECT amount + 1 FROM unnest(amounts) AS amount) WHERE model = ''$$);
SELECT * FROM tamper($$UPDATE org.usage_counter SET held_cost = 0 WHERE model <> ''$$);
SELECT * FROM tamper($$UPDATE org.usage_counter SET held_requests = held_requests + 1 WHERE organization_id = ''$$);
SELECT * FROM tamper($$UPDATE org.usage_counter SET amounts = array_fill(0, ARRAY[cardinality(amounts)])
                        WHERE team_id <> ''$$);
SELECT * FROM tamper($$DELETE FROM org.usage_counter$$);
-- Sums of a day are wrong, and a day's row is superfluous or missing.
SELECT * FROM tamper($$UPDATE org.usage_daily
                          SET spend = spend + 1, prompt_tokens = prompt_tokens + 1, completion_tokens = 1,
                              cache_read_input_tokens = 1, cache_creation_input_tokens = 1, successful_requests = 3,
                              failed_requests = 3
                        WHERE organization_id = 'beta'$$);
SELECT * FROM tamper($$INSERT INTO org.usage_daily VALUES ('acme', '2030-01-01', 'red', 'ann', 'm', 1, 0, 0, 0, 0, 1, 0)$$);
SELECT * FROM tamper($$DELETE FROM org.usage_daily WHERE day = '2030-06-13'$$);

-- The ledger is the truth -------------------------------------------------------------
-- All counters follow a change of the ledger.
UPDATE org.usage SET cost = cost + 100, prompt_tokens = 50 WHERE key_id = 'beta' AND state = 'settled';
DELETE FROM org.reservation WHERE request_id = 'in beta';
SELECT * FROM differences(usage_verify());
SELECT json_array_length(usage_repair()) AS mended;
SELECT usage_verify() AS then_differ;
SELECT * FROM limits(usage_limits('sk-beta')) WHERE owner IN ('organization', 'user');
SELECT spend FROM org.organization WHERE organization_id = 'beta';
-- They follow even if the whole ledger is deleted.
TRUNCATE org.usage, org.reservation;
SELECT count(*) > 20 AS many FROM differences(usage_verify());
SELECT json_array_length(usage_repair()) > 20 AS mended;
SELECT usage_verify();
SELECT sum(spend), (SELECT count(*) FROM org.usage_daily) AS days FROM org.organization;
SELECT DISTINCT spent, held FROM limits(usage_limits('sk-ann'));

-- One organization --------------------------------------------------------------------
CALL make_calls();
UPDATE org.organization SET spend = 0;
UPDATE org.membership SET spend = 0;
UPDATE org."user" SET spend = 0;
UPDATE org.api_key SET spend = 0;
UPDATE org.usage_counter SET held_requests = held_requests + 1;
UPDATE org.usage_daily SET failed_requests = 9;
SELECT d.counter, d.org, d.token, d.model, d.day FROM differences(usage_verify('beta')) AS d;
SELECT json_array_length(usage_repair('beta')) AS mended;
SELECT usage_verify('beta') AS then_differ;
-- Spend of users and of keys outside organizations belongs to no organization.
SELECT DISTINCT d.counter, d.org FROM differences(usage_verify()) AS d ORDER BY 1, 2;
SELECT usage_verify('nowhere') AS of_none, usage_verify('')::text = usage_verify()::text AS of_all;
SELECT json_array_length(usage_repair('')) > 0 AS mended;
SELECT usage_verify() AS then_differ;

-- sql/matrix.sql tests who may call.  A request that is repeated with an idempotency key repairs nothing again.
UPDATE org.organization SET spend = 0 WHERE organization_id = 'acme';
SELECT usage_repair(idempotency_key => 'once') AS first \gset
UPDATE org.organization SET spend = 0 WHERE organization_id = 'acme';
SELECT usage_repair(idempotency_key => 'once')::text = :'first' AS same, spend FROM org.organization
 WHERE organization_id = 'acme';
SELECT usage_repair() IS NOT NULL AS mended;
SELECT usage_verify();
-- The session's settings don't change the result.
SET timezone = 'Asia/Kathmandu';
SET datestyle = 'German';
SELECT usage_verify();
UPDATE org.usage_daily SET failed_requests = 9 WHERE organization_id = 'beta';
SELECT d.counter, d.org, d.day FROM differences(usage_verify()) AS d;
SELECT json_array_length(usage_repair()) AS mended;
SELECT usage_verify() AS then_differ;
-- Rows of deleted or later owners don't change it either.
SELECT key_delete('{sk-acme}'), org_member_delete('acme', 'ann') \g /dev/null
SELECT usage_verify();
SELECT org_delete('{acme}') \g /dev/null
SELECT usage_verify();
SELECT usage_settle(3, 'held'), usage_settle(5, 'in beta') \g /dev/null
SELECT usage_verify();

-- One call repairs a limited number, so that few calls wait; it is repeated until nothing is left.
SELECT count(org_new('Many', 'many-' || n)) AS made FROM generate_series(1, 101) AS n;
UPDATE org.organization SET spend = 1 WHERE organization_id LIKE 'many-%';
SELECT json_array_length(usage_repair()) AS mended;
SELECT json_array_length(usage_repair()) AS mended;
SELECT usage_repair() AS mended;
SELECT count(*) AS wrong FROM org.organization WHERE organization_id LIKE 'many-%' AND spend <> 0;

-- Settings of the session that change how SQL is read change nothing, whenever it is read.
\connect
\i :helpers
SET standard_conforming_strings = off;
SELECT usage_verify() AS differences, usage_repair() AS mended;
RESET standard_conforming_strings;

RESET timezone;
RESET datestyle;
RESET pg_org.now;
DROP FUNCTION test.tamper, test.all_limits, test.differences;
DROP PROCEDURE test.make_calls;
CALL clear();
