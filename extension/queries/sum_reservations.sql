-- Sums the reservations of $1 organizations, $2 keys and $4 teams of no organization, $3 users and $5 end users of the
-- platform that expire after $7, by owners, by whether they have expired by $6, by the intervals between the times $8, by
-- model if $9, by tags if $10, and by end user if $11. ORDER BY keeps the planner to the index on each owner's
-- reservations by expires_at.
SELECT organization_id, team_id, user_id, key_id, named_end_user, delegated, named_model, named_tags, has_expired,
       sum(max_cost), sum(max_tokens)::bigint, count(*), min(reserved_at)
  FROM (SELECT *, expires_at <= $6 AS has_expired, CASE WHEN $9 THEN model ELSE '' END AS named_model,
               CASE WHEN $10 THEN tags ELSE '{}' END AS named_tags,
               CASE WHEN $11 THEN end_user ELSE '' END AS named_end_user
          FROM (
        SELECT r.*
          FROM (SELECT DISTINCT unnest($1) AS id) AS named
         CROSS JOIN LATERAL (
               SELECT *
                 FROM org.reservation
                WHERE organization_id = named.id AND organization_id <> ''
                  AND expires_at > $7
                ORDER BY expires_at) AS r
         UNION ALL
        SELECT r.*
          FROM (SELECT DISTINCT unnest($2) AS id) AS named
         CROSS JOIN LATERAL (
               SELECT *
                 FROM org.reservation
                WHERE key_id = named.id AND organization_id = ''
                  AND expires_at > $7
                ORDER BY expires_at) AS r
         UNION ALL
        SELECT r.*
          FROM (SELECT DISTINCT unnest($3) AS id) AS named
         CROSS JOIN LATERAL (
               SELECT *
                 FROM org.reservation
                WHERE user_id = named.id AND user_id <> '' AND NOT delegated
                  AND NOT (organization_id <> '' AND organization_id = ANY ($1))
                  AND NOT (organization_id = '' AND (key_id = ANY ($2) OR (team_id <> '' AND team_id = ANY ($4))))
                  AND expires_at > $7
                ORDER BY expires_at) AS r
         UNION ALL
        SELECT r.*
          FROM (SELECT DISTINCT unnest($4) AS id) AS named
         CROSS JOIN LATERAL (
               SELECT *
                 FROM org.reservation
                WHERE team_id = named.id AND organization_id = '' AND team_id <> ''
                  AND NOT key_id = ANY ($2)
                  AND expires_at > $7
                ORDER BY expires_at) AS r
         UNION ALL
        SELECT r.*
          FROM (SELECT DISTINCT end_user_id AS id FROM org.end_user
                 WHERE organization_id = '' AND end_user_id = ANY ($5)) AS named
         CROSS JOIN LATERAL (
               SELECT *
                 FROM org.reservation
                WHERE end_user = named.id AND end_user <> ''
                  AND NOT (organization_id <> '' AND organization_id = ANY ($1))
                  AND NOT (organization_id = '' AND (key_id = ANY ($2) OR (team_id <> '' AND team_id = ANY ($4))))
                  AND NOT (user_id <> '' AND NOT delegated AND user_id = ANY ($3))
                  AND expires_at > $7
                ORDER BY expires_at) AS r) AS reservation) AS reservation
 GROUP BY organization_id, team_id, user_id, key_id, named_end_user, delegated, named_model, named_tags, has_expired,
       width_bucket(reserved_at, $8)
