-- The data for measurements of limits as sentences: an organization with one team of 8 keys, six sentences of which apply
-- to every call, two of them to each of :end_users end users. None runs out.
\set ON_ERROR_STOP on

SELECT org_new('Sentences', organization_id => 'sentences', limits => '[
           {"limit": "cost", "value": 1e9, "per": "1mo@Europe/Berlin"},
           {"limit": "cost", "value": 1e9, "per": "30d", "each": "end_user"}]') \g /dev/null
SELECT team_new('sentences', team_id => 'sentences', limits => '[
           {"limit": "requests", "value": 1000000000, "per": "1h", "each": "end_user"},
           {"limit": "tokens", "value": 1000000000000, "per": "1d"}]') \g /dev/null
SELECT key_generate(organization_id => 'sentences', team_id => 'sentences', key => 'sk-sentences-' || n, limits => '[
           {"limit": "requests", "value": 1000000000, "per": "1m", "model": "gpt*"},
           {"limit": "cost", "value": 1e8, "per": "1d"}]')
  FROM generate_series(0, 7) AS n \g /dev/null

-- Batches of 64 requests. The first ones have every end user: 7,919 is a prime number.
INSERT INTO batch
SELECT 'sentences', n, json_agg(json_build_object('key', 'sk-sentences-' || m % 8, 'model', 'gpt-4o',
                                                  'max_cost', '0.01', 'max_tokens', '100', 'end_user',
                                                  'user-' || (n * 64 + m) * 7919 % :end_users))
  FROM generate_series(0, 999) AS n, generate_series(0, 63) AS m
 GROUP BY n;

-- The counters that all end users have, once they are there.
CREATE TABLE warm_counter (LIKE org.usage_counter);

VACUUM ANALYZE;
