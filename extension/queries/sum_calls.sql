-- Sums up the costs of calls of the ledger by day in UTC: of all calls (0), and by user (1), model (2) and key (3). $1
-- to $9 are as in find_calls.sql. Because of OFFSET 0, the planner has conditions on the source checked where the calls
-- are read.
WITH source AS (
    SELECT *
      FROM unnest($9) AS s (way text, of_organization boolean, organization_id text, team_id text, key_id text,
                            user_id text, since timestamptz, own boolean)
)
SELECT to_char(day, 'YYYY-MM-DD'),
       CASE GROUPING(user_id, model, key_id) WHEN 7 THEN 0 WHEN 3 THEN 1 WHEN 5 THEN 2 ELSE 3 END::bigint AS of,
       coalesce(user_id, model, key_id, '') AS id, sum(cost)
  FROM (SELECT (c.closed_at AT TIME ZONE 'UTC')::date AS day, c.user_id, c.model, c.key_id, c.cost
          FROM source s
         CROSS JOIN LATERAL (
               SELECT u.closed_at, u.user_id, u.model, u.key_id, u.cost
                 FROM (SELECT * FROM org.usage
                        WHERE s.way = 'request' AND org.request_digest(request_id) = org.request_digest($1)
                        UNION ALL
                       SELECT * FROM org.usage
                        WHERE s.way = 'user' AND user_id = s.user_id AND user_id <> ''
                        UNION ALL
                       SELECT * FROM org.usage
                        WHERE s.way = 'end_user' AND end_user = $2 AND end_user <> ''
                        UNION ALL
                       SELECT * FROM org.usage
                        WHERE s.way = 'team' AND organization_id = '' AND team_id = s.team_id AND team_id <> ''
                        UNION ALL
                       SELECT * FROM org.usage
                        WHERE s.way = 'organization' AND organization_id = s.organization_id
                          AND closed_at >= s.since) AS u
                WHERE (NOT s.of_organization OR u.organization_id = s.organization_id)
                  AND (s.team_id = '' OR u.team_id = s.team_id)
                  AND (s.key_id = '' OR u.key_id = s.key_id)
                  AND (s.user_id = '' OR u.user_id = s.user_id)
                  AND u.reserved_at >= s.since
                  AND NOT (s.own AND EXISTS (
                      SELECT
                        FROM source o
                       WHERE NOT o.own
                         AND (NOT o.of_organization OR u.organization_id = o.organization_id)
                         AND (o.team_id = '' OR u.team_id = o.team_id)
                         AND (o.key_id = '' OR u.key_id = o.key_id)
                         AND (o.user_id = '' OR u.user_id = o.user_id)
                         AND u.reserved_at >= o.since))
                  AND ($1 IS NULL OR u.request_id = $1)
                  AND ($2 IS NULL OR u.end_user = $2)
                  AND ($3 IS NULL OR u.model = $3)
                  AND ($4 IS NULL OR CASE $4 WHEN 'success' THEN u.state = 'settled' AND NOT u.failed ELSE u.failed END)
                  AND ($5 IS NULL OR u.cost >= $5)
                  AND ($6 IS NULL OR u.cost <= $6)
                  AND ($7 IS NULL OR u.closed_at >= $7)
                  AND ($8 IS NULL OR u.closed_at < $8)
               OFFSET 0) AS c) AS call
 GROUP BY GROUPING SETS ((day), (day, user_id), (day, model), (day, key_id))
 ORDER BY day, of, id
