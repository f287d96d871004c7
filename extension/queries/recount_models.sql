-- Recounts an owner's counters of many models at once. The owner, $1 to $4, was made at $5; the periods began at $6, in
-- order, and the minute at $7. Returns sums by model: of held calls (-1), and of settled ones by how many of the periods
-- had begun. The plan is made for the values, as that of recount_counter.
SELECT model, -1::bigint AS periods, sum(max_cost), count(*), count(*) FILTER (WHERE reserved_at >= $7),
       coalesce(sum(max_tokens) FILTER (WHERE reserved_at >= $7), 0)::bigint, '-infinity'::timestamptz
  FROM org.reservation
 WHERE CASE WHEN $1 = '' AND $2 = '' AND $4 = '' THEN user_id = $3 AND NOT delegated
            ELSE organization_id = $1 AND ($2 = '' OR team_id = $2) AND ($3 = '' OR user_id = $3)
                 AND ($4 = '' OR key_id = $4) END
   AND reserved_at >= $5
 GROUP BY model
 UNION ALL
SELECT model, width_bucket(closed_at, $6)::bigint AS periods, sum(cost), count(*),
       count(*) FILTER (WHERE reserved_at >= $7),
       coalesce(sum(prompt_tokens + completion_tokens) FILTER (WHERE reserved_at >= $7), 0)::bigint, max(closed_at)
  FROM org.usage
 WHERE CASE WHEN $1 = '' AND $2 = '' AND $4 = '' THEN user_id = $3 AND NOT delegated
            ELSE organization_id = $1 AND ($2 = '' OR team_id = $2) AND ($3 = '' OR user_id = $3)
                 AND ($4 = '' OR key_id = $4) END
   AND reserved_at >= $5 AND state = 'settled' AND closed_at >= least($6[1], $7)
 GROUP BY model, periods
