-- The reservations that have expired by $6 of $1 organizations, $2 keys and $4 teams of no organization, $3 users and $5
-- end users of the platform. ORDER BY keeps the planner to the index on each owner's reservations by expires_at.
SELECT *
  FROM (
        SELECT r.*
          FROM (SELECT DISTINCT unnest($1) AS id) AS named
         CROSS JOIN LATERAL (
               SELECT organization_id, team_id, user_id, key_id, request_id, model, tags, max_cost, max_tokens,
                      reserved_at, expires_at, 'held'::text, ctid, delegated, end_user
                 FROM org.reservation
                WHERE organization_id = named.id AND organization_id <> ''
                  AND expires_at <= $6
                ORDER BY expires_at LIMIT 1000) AS r
         UNION ALL
        SELECT r.*
          FROM (SELECT DISTINCT unnest($2) AS id) AS named
         CROSS JOIN LATERAL (
               SELECT organization_id, team_id, user_id, key_id, request_id, model, tags, max_cost, max_tokens,
                      reserved_at, expires_at, 'held'::text, ctid, delegated, end_user
                 FROM org.reservation
                WHERE key_id = named.id AND organization_id = ''
                  AND expires_at <= $6
                ORDER BY expires_at LIMIT 1000) AS r
         UNION ALL
        SELECT r.*
          FROM (SELECT DISTINCT unnest($3) AS id) AS named
         CROSS JOIN LATERAL (
               SELECT organization_id, team_id, user_id, key_id, request_id, model, tags, max_cost, max_tokens,
                      reserved_at, expires_at, 'held'::text, ctid, delegated, end_user
                 FROM org.reservation
                WHERE user_id = named.id AND user_id <> '' AND NOT delegated
                  AND NOT (organization_id <> '' AND organization_id = ANY ($1))
                  AND NOT (organization_id = '' AND (key_id = ANY ($2) OR (team_id <> '' AND team_id = ANY ($4))))
                  AND expires_at <= $6
                ORDER BY expires_at LIMIT 1000) AS r
         UNION ALL
        SELECT r.*
          FROM (SELECT DISTINCT unnest($4) AS id) AS named
         CROSS JOIN LATERAL (
               SELECT organization_id, team_id, user_id, key_id, request_id, model, tags, max_cost, max_tokens,
                      reserved_at, expires_at, 'held'::text, ctid, delegated, end_user
                 FROM org.reservation
                WHERE team_id = named.id AND organization_id = '' AND team_id <> ''
                  AND NOT key_id = ANY ($2)
                  AND expires_at <= $6
                ORDER BY expires_at LIMIT 1000) AS r
         UNION ALL
        SELECT r.*
          FROM (SELECT DISTINCT end_user_id AS id FROM org.end_user
                 WHERE organization_id = '' AND end_user_id = ANY ($5)) AS named
         CROSS JOIN LATERAL (
               SELECT organization_id, team_id, user_id, key_id, request_id, model, tags, max_cost, max_tokens,
                      reserved_at, expires_at, 'held'::text, ctid, delegated, end_user
                 FROM org.reservation
                WHERE end_user = named.id AND end_user <> ''
                  AND NOT (organization_id <> '' AND organization_id = ANY ($1))
                  AND NOT (organization_id = '' AND (key_id = ANY ($2) OR (team_id <> '' AND team_id = ANY ($4))))
                  AND NOT (user_id <> '' AND NOT delegated AND user_id = ANY ($3))
                  AND expires_at <= $6
                ORDER BY expires_at LIMIT 1000) AS r) AS expired
 LIMIT 1000
