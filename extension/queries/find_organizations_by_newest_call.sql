-- Finds the $11 organizations with the newest calls, or with the newest of those calls that $12 newer ones precede in
-- each organization, and when that call was closed. Only calls that follow the call $10 that was closed at $9, null for
-- all; $1 to $8 are as in find_calls.sql.
WITH RECURSIVE ledger AS ( -- The organizations that have calls, from one to the next as the index has them.
    (SELECT organization_id FROM org.usage ORDER BY organization_id LIMIT 1)
     UNION ALL
    SELECT next.organization_id
      FROM ledger l
     CROSS JOIN LATERAL (
           SELECT organization_id
             FROM org.usage
            WHERE organization_id > l.organization_id
            ORDER BY organization_id
            LIMIT 1) AS next
)
SELECT l.organization_id, c.closed_at
  FROM ledger l
 CROSS JOIN LATERAL (
       SELECT u.closed_at, u.request_id
         FROM org.usage u
        WHERE u.organization_id = l.organization_id
          AND ($1 IS NULL OR u.request_id = $1)
          AND ($2 IS NULL OR u.end_user = $2)
          AND ($3 IS NULL OR u.model = $3)
          AND ($4 IS NULL OR CASE $4 WHEN 'success' THEN u.state = 'settled' AND NOT u.failed ELSE u.failed END)
          AND ($5 IS NULL OR u.cost >= $5)
          AND ($6 IS NULL OR u.cost <= $6)
          AND ($7 IS NULL OR u.closed_at >= $7)
          AND ($8 IS NULL OR u.closed_at < $8)
          AND ($9 IS NULL OR u.closed_at <= $9 AND (u.closed_at, u.request_id) < ($9, $10))
        ORDER BY u.closed_at DESC, u.request_id DESC
        LIMIT 1 OFFSET $12) AS c
 ORDER BY c.closed_at DESC, c.request_id DESC
 LIMIT $11
