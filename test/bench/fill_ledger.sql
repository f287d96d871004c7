-- :calls calls that are over, of the hot organization and its keys, with identifiers in no order: a tenth of them in a
-- partition that may be archived, the others remembered, in two partitions, of which new calls get into the second. Each
-- partition is filled before it gets its indexes.
\set ON_ERROR_STOP on
\set QUIET on
SET maintenance_work_mem = '1GB';
SET client_min_messages = warning;
SET timezone = 'UTC';

SELECT current_date - 36 AS old_end, current_date - 5 AS remembered_end, ends_at AS new_end, name AS new_name
  FROM org.partition WHERE of_table = 'org.usage' AND starts_at IS NULL
\gset
SELECT array_agg(key_id ORDER BY key_id) AS keys FROM org.api_key WHERE organization_id = 'hot' \gset
TRUNCATE org.usage;
ALTER TABLE org.usage DETACH PARTITION org.:"new_name";
DROP TABLE org.:"new_name";

-- Makes a partition with calls from a time on, one every so many seconds.
CREATE PROCEDURE pg_temp.fill(name text, starts_at text, ends_at text, number bigint, calls_from timestamptz, calls_until timestamptz,
                              keys text[]) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE org.%I (LIKE org.usage INCLUDING ALL EXCLUDING INDEXES)', name);
    EXECUTE format($fill$
        INSERT INTO org.%I (organization_id, request_id, key_id, team_id, user_id, model, tags, state, max_cost, max_tokens, cost,
                            prompt_tokens, completion_tokens, reserved_at, expires_at, closed_at)
        SELECT 'hot', gen_random_uuid(), ($1)[n %% 8 + 1], '', '', 'gpt-4o', '{}', 'settled', 0.01, 100, 0.005, 50, 50, at, at, at
          FROM (SELECT n, $2 + n * $3 AS at FROM generate_series(0, $4 - 1) AS n) AS calls$fill$, name)
      USING keys, calls_from, (calls_until - calls_from) / greatest(number, 1), number;
    EXECUTE format('ALTER TABLE org.usage ATTACH PARTITION org.%I FOR VALUES FROM (%s) TO (%L)', name, starts_at, ends_at);
END $$;
CALL pg_temp.fill(org.name_of_partition('org.usage', :'old_end'), 'MINVALUE', :'old_end', :calls / 10,
                  :'old_end'::timestamptz - interval '30 days', :'old_end', :'keys');
CALL pg_temp.fill(org.name_of_partition('org.usage', :'remembered_end'), quote_literal(:'old_end'), :'remembered_end', :calls * 6 / 10,
                  :'old_end', :'remembered_end', :'keys');
CALL pg_temp.fill(:'new_name', quote_literal(:'remembered_end'), :'new_end', :calls - :calls / 10 - :calls * 6 / 10,
                  :'remembered_end', now() - interval '1 hour', :'keys');

-- The sums of days, which the reports read; as many of them for another organization that made few calls.
INSERT INTO org.usage_daily (organization_id, day, team_id, key_id, model, spend, prompt_tokens, completion_tokens,
                             cache_read_input_tokens, cache_creation_input_tokens, successful_requests, failed_requests,
                             first_reserved_at)
SELECT organization_id, day, '', key_id, 'gpt-4o', 0.005 * n, 50 * n, 50 * n, 0, 0, n, 0, day
  FROM (SELECT current_date - d AS day FROM generate_series(1, 65) AS d) AS days
 CROSS JOIN (SELECT 'hot' AS organization_id, :calls / 65 / 8 + 1 AS n UNION ALL SELECT 'even-0', 1) AS organizations
 CROSS JOIN unnest(:'keys'::text[]) AS keys (key_id)
    ON CONFLICT DO NOTHING;
VACUUM ANALYZE org.usage;
VACUUM ANALYZE org.usage_daily;

-- A server that has been running has the index in memory in which each call is looked up.
SELECT sum(pg_prewarm(indexrelid)) FROM pg_index
 WHERE indrelid IN (SELECT format('org.%I', name)::regclass FROM org.partition WHERE of_table = 'org.usage')
   AND pg_get_indexdef(indexrelid) ~ 'request_digest' \g /dev/null
