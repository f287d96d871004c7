-- :calls calls that are over, of the hot organization, with identifiers in no order.
\set ON_ERROR_STOP on
ALTER TABLE org.usage DROP CONSTRAINT usage_pkey;
DROP INDEX org.usage_closed_at_idx, org.usage_user_id_idx;
INSERT INTO org.usage (organization_id, request_id, key_id, team_id, user_id, model, tags, state, max_cost, max_tokens,
                       cost, reserved_at, expires_at, closed_at)
SELECT 'hot', md5(n::text), 'gone', '', '', 'gpt-4o', '{}', 'settled', 0.01, 100, 0.005, at, at, at
  FROM (SELECT n, now() - n * interval '0.01 seconds' AS at FROM generate_series(1, :calls) AS n) AS calls;
ALTER TABLE org.usage ADD PRIMARY KEY (request_id, organization_id);
CREATE INDEX usage_closed_at_idx ON org.usage (organization_id, closed_at);
CREATE INDEX usage_user_id_idx ON org.usage (user_id, closed_at) WHERE user_id <> '';
VACUUM ANALYZE org.usage;
