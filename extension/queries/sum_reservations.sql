-- Sums the reservations of $1 organizations, $2 keys and $4 teams of no organization and $3 users that expire after $6,
-- by owners, by whether they have expired by $5, by the intervals between the times $7, and by model if it is one of
-- $8. ORDER BY keeps the planner to the index on each owner's reservations by expires_at.
SELECT organization_id, team_id, user_id, key_id, asked, has_expired, sum(max_cost), sum(max_tokens)::bigint,
       count(*), min(reserved_at), delegated
  FROM (SELECT *, expires_at <= $5 AS has_expired,
               CASE WHEN model IN (SELECT unnest($8))
                      OR substr(model, strpos(model, '/') + 1) IN (SELECT unnest($8)) THEN model ELSE '' END AS asked
          FROM (SELECT r.*
                  FROM (SELECT DISTINCT unnest($1) AS id) AS named
                 CROSS JOIN LATERAL (
                       SELECT * FROM org.reservation
                        WHERE organization_id = named.id AND organization_id <> '' AND expires_at > $6
                        ORDER BY expires_at) AS r
                 UNION ALL
                SELECT r.*
                  FROM (SELECT DISTINCT unnest($2) AS id) AS named
                 CROSS JOIN LATERAL (
                       SELECT * FROM org.reservation
                        WHERE key_id = named.id AND organization_id = '' AND expires_at > $6
                        ORDER BY expires_at) AS r
                 UNION ALL
                SELECT r.*
                  FROM (SELECT DISTINCT unnest($3) AS id) AS named
                 CROSS JOIN LATERAL (
                       SELECT * FROM org.reservation
                        WHERE user_id = named.id AND user_id <> '' AND NOT delegated
                          AND NOT (organization_id <> '' AND organization_id = ANY ($1))
                          AND NOT (organization_id = '' AND (key_id = ANY ($2)
                                                             OR (team_id <> '' AND team_id = ANY ($4))))
                          AND expires_at > $6
                        ORDER BY expires_at) AS r
                 UNION ALL
                SELECT r.*
                  FROM (SELECT DISTINCT unnest($4) AS id) AS named
                 CROSS JOIN LATERAL (
                       SELECT * FROM org.reservation
                        WHERE team_id = named.id AND organization_id = '' AND team_id <> ''
                          AND NOT key_id = ANY ($2) AND expires_at > $6
                        ORDER BY expires_at) AS r) AS reservation) AS reservation
 GROUP BY organization_id, team_id, user_id, key_id, delegated, asked, has_expired, width_bucket(reserved_at, $7)
