-- Warming up needs no key, changes nothing and does not affect later calls.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

CREATE ROLE regress_pg_org_gateway;
SELECT org_grant_access('regress_pg_org_gateway');
SELECT org_new('Acme', 'acme', max_budget => 10) \g /dev/null
SELECT key_generate(organization_id => 'acme', key => 'sk-acme', max_budget => 5) \g /dev/null
SELECT fingerprint() AS contents \gset before_

-- The session has called nothing yet; the role has no key and can reach no table.
\c
SET search_path = public, test;
SET ROLE regress_pg_org_gateway;
BEGIN;
SELECT org_warm_up();
-- The call got no transaction id: it wrote nothing and locked no row.
SELECT pg_current_xact_id_if_assigned() IS NULL AS nothing_written;
SELECT current_user, current_setting('enable_seqscan') AS enable_seqscan,
       coalesce(current_setting('pg_org.call', true), '') AS call;
COMMIT;
SELECT attempt('org_info(''acme'')');
RESET ROLE;
SELECT fingerprint() = :'before_contents' AS unchanged;

-- The statements that it prepared work.
SELECT org_info('acme') ->> 'organization_alias' AS alias, json_array_length(org_list('acme')) AS listed,
       key_info('sk-acme') -> 'info' -> 'max_budget' AS max_budget;
SELECT usage_reserve('sk-acme', 'm', 1, request_id => 'warm') -> 'limits' -> 0 -> 'remaining' AS remaining;
SELECT usage_settle(2, 'warm') -> 'cost' AS cost;
SELECT usage_limits('sk-acme') -> 'limits' -> 0 -> 'spent' AS spent, usage_verify() AS differences;

-- The call can be repeated, and works in read-only transactions, as on a standby.
SELECT org_warm_up();
\c
SET default_transaction_read_only = on;
SELECT org_warm_up();
SELECT org_info('acme') ->> 'organization_alias' AS alias,
       json_array_length(usage_limits('sk-acme') -> 'limits') AS limits;
RESET default_transaction_read_only;
SELECT usage_reserve('sk-acme', 'm', 1, request_id => 'after') -> 'limits' -> 0 -> 'remaining' AS remaining;

SET search_path = public, test;
DROP OWNED BY regress_pg_org_gateway;
DROP ROLE regress_pg_org_gateway;
CALL clear();
