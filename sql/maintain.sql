-- Maintenance: partitions are made ahead, and what the retention settings say is due is archived and deleted.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set usage :checkout /test/usage.sql
\i :usage
\set ECHO none
BEGIN;
SELECT key_generate(key => 'sk-admin', user_id => 'default_user_id') \g /dev/null
-- Calls org_maintain() until it is complete, and gives what it did, without partitions of the time in which the test runs.
CREATE FUNCTION test.maintained() RETURNS TABLE (step text, "table" text, name text) LANGUAGE plpgsql AS $$
DECLARE
    reply  json;
BEGIN
    FOR i IN 1..100 LOOP
        reply := org_maintain();
        RETURN QUERY SELECT s ->> 'step', s ->> 'table', s ->> 'name' FROM json_array_elements(reply -> 'steps') AS s
                      WHERE s ->> 'name' ~ 'until_20(00|8)';
        EXIT WHEN (reply ->> 'is_complete')::boolean;
    END LOOP;
END $$;
-- Gives the partitions of the time in which this script is, without the start of the first one.
CREATE FUNCTION test.partitions() RETURNS TABLE (of_table text, name text, starts_at timestamptz, ends_at timestamptz) LANGUAGE sql AS $$
    SELECT of_table, name, CASE WHEN starts_at > '2080-01-01Z' THEN starts_at END, ends_at FROM org.partition WHERE name ~ 'until_20(00|8)' ORDER BY 1, 2
$$;
\set ECHO all
-- Settings.
SELECT org_retention();
SELECT attempt(format('org_retention_update(%s)', arguments)), arguments
  FROM (VALUES ('partition => ''year'''), ('request_memory_days => 1'), ('request_memory_days => 40000'), ('ledger_days => 34'),
               ('ledger_days => -1'), ('archive_days => 40000'), ('audit_log_days => -5'), ('event_days => 40000'),
               ('request_memory_days => 100, ledger_days => 99'), ('event_days => 1, api_key => ''sk-ann''')) AS wrong (arguments);
SELECT attempt($$org_retention(api_key => 'sk-ann')$$), attempt($$org_maintain(api_key => 'sk-ann')$$);
SELECT org_retention_update(partition => 'week', ledger_days => 60, archive_days => 90, event_days => 7, api_key => 'sk-admin');
SELECT org_retention_update(audit_log_days => 7, event_days => 0);
SELECT org_retention(api_key => 'sk-admin');
SELECT kind, action, before, after FROM org.audit_log WHERE kind = 'retention' ORDER BY occurred_at;
SELECT org_retention_update(partition => 'month', ledger_days => 0, archive_days => 0, audit_log_days => 0) \g /dev/null

-- A call makes the partition that it needs, which takes in the time without calls, and the next one.
SET LOCAL pg_org.now = '2080-06-12 12:00:00Z';
SELECT usage_record('sk-ann', 'm', 1, 'first') ->> 'cost' AS cost;
SELECT * FROM partitions();
SET LOCAL pg_org.now = '2080-06-30 23:59:59Z';
SELECT usage_record('sk-ann', 'm', 1, 'second') ->> 'cost' AS cost;
SELECT count(*) FROM partitions();
-- So does maintenance; a change of the length is for the partitions to come.
SELECT org_retention_update(partition => 'week') ->> 'partition' AS partition;
SET LOCAL pg_org.now = '2080-07-01 00:00:00Z';
SELECT * FROM maintained();
SET LOCAL pg_org.now = '2080-07-30 12:00:00Z';
SELECT * FROM maintained();
SELECT * FROM maintained();
SELECT org_retention_update(partition => 'day') ->> 'partition' AS partition;
SET LOCAL pg_org.now = '2080-08-10 12:00:00Z';
SELECT usage_record('sk-ann', 'm', 1, 'third') ->> 'cost' AS cost;
SELECT count(usage_record('sk-ann', 'm', 0.01)) FROM generate_series(1, 100);
SELECT * FROM partitions();
SELECT tableoid::regclass, request_id FROM org.usage WHERE cost = 1 ORDER BY closed_at;
-- Entries of the audit log and events have them by the clock: those that do not exist yet are made as well.
SELECT org.make_partitions('org.event', '2081-01-01Z'), org.make_partitions('org.audit_log', '2081-01-01Z');
SELECT * FROM partitions() WHERE of_table <> 'org.usage';
SELECT org.make_partitions('org.event', '2081-01-01Z');
-- Each of the audit log is guarded like the whole.
SELECT attempt('TRUNCATE org.audit_log_until_2081_01_02');

-- Archiving.
SELECT attempt($$org_retention_update(ledger_days => 35)$$);
SET LOCAL pg_org.now = '2080-09-10 12:00:00Z';
SELECT * FROM maintained();
SELECT name, archived_at FROM org.usage_archive WHERE name ~ 'until_208' ORDER BY ends_at;
SELECT usage_verify(), spend FROM org.organization WHERE organization_id = 'acme';
-- Not what a running period counts.
SELECT org_update('acme', limits => '[{"limit": "cost", "value": 1000, "per": "1y@UTC"}]') \g /dev/null
SELECT usage_record('sk-ann', 'm', 1, 'fourth') ->> 'cost' AS cost;
SET LOCAL pg_org.now = '2080-12-20 12:00:00Z';
SELECT step, count(*) FROM maintained() GROUP BY step;
SET LOCAL pg_org.now = '2081-01-06 12:00:00Z';
-- A partition that is rewritten while its sums are carried forward is summed anew.
DO $$ BEGIN
    WHILE NOT EXISTS (SELECT FROM org.usage_archive WHERE name = 'usage_until_2080_08_11') LOOP
        PERFORM org_maintain();
    END LOOP;
END $$;
UPDATE org.usage_archive SET summed_blocks = 1 WHERE name = 'usage_until_2080_08_11';
SELECT relname AS index FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
 WHERE indrelid = 'org.usage_until_2080_08_11'::regclass AND amname = 'btree' AND indpred IS NULL LIMIT 1 \gset
CLUSTER org.usage_until_2080_08_11 USING :"index";
SELECT step, count(*) FROM maintained() GROUP BY step ORDER BY step;
SELECT requests, cost FROM org.usage_carried WHERE day = '2080-08-10';
-- Archived partitions are dropped by their age.
SELECT org_retention_update(archive_days => 180) ->> 'archive_days' AS archive_days;
SELECT * FROM maintained();
SELECT usage_verify(), spend FROM org.organization WHERE organization_id = 'acme';

-- The audit log and events are deleted by the partition: here the first ones are split to have some that are old.
\set ECHO none
SELECT format('ALTER TABLE %1$s DETACH PARTITION org.%2$I; CREATE TABLE %1$s_until_2000_01_01 (LIKE %1$s INCLUDING ALL);'
              'ALTER TABLE %1$s_until_2000_01_01 OWNER TO org;'
              'ALTER TABLE %1$s ATTACH PARTITION %1$s_until_2000_01_01 FOR VALUES FROM (MINVALUE) TO (''2000-01-01Z'');'
              'ALTER TABLE %1$s ATTACH PARTITION org.%2$I FOR VALUES FROM (''2000-01-01Z'') TO (%3$L)', of_table, name, ends_at)
  FROM org.partition WHERE starts_at IS NULL AND of_table <> 'org.usage'
\gexec
\set ECHO all
INSERT INTO org.audit_log (organization_id, occurred_at, database_role, action, kind) VALUES ('acme', '1999-12-31Z', 'org', 'old', 'old');
INSERT INTO org.event (organization_id, occurred_at, kind, data) VALUES ('acme', '1999-12-31Z', 'old', '{}');
SELECT * FROM maintained();
SELECT org_retention_update(audit_log_days => 1, event_days => 1) \g /dev/null
SELECT * FROM maintained();
SELECT count(*) > 0 AS kept, count(*) FILTER (WHERE action = 'old') AS old FROM org.audit_log;
SELECT org_maintain(api_key => 'sk-admin');
ROLLBACK;
CALL clear();
