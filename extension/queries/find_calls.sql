-- Finds calls of the ledger, the newest first: $12 calls after $13 others, of those that follow the call $11 that was
-- closed at $10, null for all. Only the call $1, for the end user $2, to the model $3, with the status $4, that cost at
-- least $5 and at most $6, and that were closed from $7 on and before $8; null for all. $9: where to look, as
-- CallSource tells. Each way has its calls in the order of an index, so that the planner merges them and LIMIT ends the
-- search.
SELECT DISTINCT c.closed_at, c.request_id, c.organization_id -- since two sources can have the same call
  FROM unnest($9) AS s (way text, of_organization boolean, organization_id text, team_id text, key_id text,
                        user_id text, since timestamptz, own boolean)
 CROSS JOIN LATERAL (
       SELECT u.closed_at, u.request_id, u.organization_id
         FROM ((SELECT * FROM org.usage
                 WHERE s.way = 'request' AND org.request_digest(request_id) = org.request_digest($1)
                 ORDER BY closed_at DESC, request_id DESC)
                UNION ALL
               (SELECT * FROM org.usage
                 WHERE s.way = 'user' AND user_id = s.user_id AND user_id <> ''
                 ORDER BY closed_at DESC, request_id DESC)
                UNION ALL
               (SELECT * FROM org.usage
                 WHERE s.way = 'end_user' AND end_user = $2 AND end_user <> ''
                 ORDER BY closed_at DESC, request_id DESC)
                UNION ALL
               (SELECT * FROM org.usage
                 WHERE s.way = 'team' AND organization_id = '' AND team_id = s.team_id AND team_id <> ''
                 ORDER BY closed_at DESC, request_id DESC)
                UNION ALL
               (SELECT * FROM org.usage
                 WHERE s.way = 'organization' AND organization_id = s.organization_id AND closed_at >= s.since
                 ORDER BY closed_at DESC, request_id DESC)) AS u
        WHERE (NOT s.of_organization OR u.organization_id = s.organization_id)
          AND (s.team_id = '' OR u.team_id = s.team_id)
          AND (s.key_id = '' OR u.key_id = s.key_id)
          AND (s.user_id = '' OR u.user_id = s.user_id)
          AND u.reserved_at >= s.since
          AND ($1 IS NULL OR u.request_id = $1)
          AND ($2 IS NULL OR u.end_user = $2)
          AND ($3 IS NULL OR u.model = $3)
          AND ($4 IS NULL OR CASE $4 WHEN 'success' THEN u.state = 'settled' AND NOT u.failed ELSE u.failed END)
          AND ($5 IS NULL OR u.cost >= $5)
          AND ($6 IS NULL OR u.cost <= $6)
          AND ($7 IS NULL OR u.closed_at >= $7)
          AND ($8 IS NULL OR u.closed_at < $8)
          AND ($10 IS NULL OR u.closed_at <= $10 AND (u.closed_at, u.request_id) < ($10, $11))
        ORDER BY u.closed_at DESC, u.request_id DESC
        LIMIT $12 + $13) AS c
 ORDER BY c.closed_at DESC, c.request_id DESC
 LIMIT $12 OFFSET $13
