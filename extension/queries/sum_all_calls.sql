-- Sums up the costs of calls of all organizations, as sum_calls.sql does. $1 to $8 are as in find_calls.sql.
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
SELECT to_char(day, 'YYYY-MM-DD'),
       CASE GROUPING(user_id, model, key_id) WHEN 7 THEN 0 WHEN 3 THEN 1 WHEN 5 THEN 2 ELSE 3 END::bigint AS of,
       coalesce(user_id, model, key_id, '') AS id, sum(cost)
  FROM (SELECT (u.closed_at AT TIME ZONE 'UTC')::date AS day, u.user_id, u.model, u.key_id, u.cost
          FROM ledger l
          JOIN org.usage u ON u.organization_id = l.organization_id
         WHERE ($1 IS NULL OR u.request_id = $1)
           AND ($2 IS NULL OR u.end_user = $2)
           AND ($3 IS NULL OR u.model = $3)
           AND ($4 IS NULL OR CASE $4 WHEN 'success' THEN u.state = 'settled' AND NOT u.failed ELSE u.failed END)
           AND ($5 IS NULL OR u.cost >= $5)
           AND ($6 IS NULL OR u.cost <= $6)
           AND ($7 IS NULL OR u.closed_at >= $7)
           AND ($8 IS NULL OR u.closed_at < $8)) AS call
 GROUP BY GROUPING SETS ((day), (day, user_id), (day, model), (day, key_id))
 ORDER BY day, of, id
