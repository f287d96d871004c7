-- The data for measurements of usage: one hot organization with 8 keys, 1,000 others with a key each, all with budgets,
-- rates and budgets of their keys that are asked at every call and never run out.
\set ON_ERROR_STOP on

SELECT org_new('Hot', organization_id => 'hot', max_budget => 1e9, rpm_limit => 1e12::bigint) \g /dev/null
SELECT key_generate(organization_id => 'hot', key => 'sk-hot-' || n, max_budget => 1e8)
  FROM generate_series(0, 7) AS n \g /dev/null
SELECT org_new('Even ' || n, organization_id => 'even-' || n, max_budget => 1e9, rpm_limit => 1e12::bigint)
  FROM generate_series(0, 999) AS n \g /dev/null
SELECT key_generate(organization_id => 'even-' || n, key => 'sk-even-' || n, max_budget => 1e8)
  FROM generate_series(0, 999) AS n \g /dev/null

-- Batches of 64 requests, as a gateway would send them.
CREATE TABLE batch (kind text, n integer, requests json NOT NULL, PRIMARY KEY (kind, n));
INSERT INTO batch
SELECT kind, n, json_agg(json_build_object('key', format('sk-%s-%s', kind, (n * 64 + m) % keys), 'model', 'gpt-4o',
                                           'max_cost', '0.01', 'max_tokens', '100'))
  FROM (VALUES ('hot', 8), ('even', 1000)) AS kinds (kind, keys), generate_series(0, 999) AS n,
       generate_series(0, 63) AS m
 GROUP BY kind, n;

VACUUM ANALYZE;
