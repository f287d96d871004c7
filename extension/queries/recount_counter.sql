-- Recounts the counter $1 to $5 of an owner made at $6: the period began at $7, the minute at $8. The plan is made for
-- the values, so that CASE is gone from it and an index finds the owner's calls.
SELECT spent.cost, held.cost, held.requests, held.minute_requests + spent.minute_requests,
       held.minute_tokens + spent.minute_tokens, spent.charged_at
  FROM (SELECT coalesce(sum(max_cost), 0) AS cost, count(*) AS requests,
               count(*) FILTER (WHERE reserved_at >= $8) AS minute_requests,
               coalesce(sum(max_tokens) FILTER (WHERE reserved_at >= $8), 0)::bigint AS minute_tokens
          FROM org.reservation
         WHERE CASE WHEN $1 = '' AND $2 = '' AND $4 = '' THEN user_id = $3 AND NOT delegated
                    ELSE organization_id = $1 AND ($2 = '' OR team_id = $2) AND ($3 = '' OR user_id = $3)
                         AND ($4 = '' OR key_id = $4) END
           AND reserved_at >= $6 AND ($5 = '' OR model = $5 OR substr(model, strpos(model, '/') + 1) = $5)) AS held,
       (SELECT coalesce(sum(cost) FILTER (WHERE closed_at >= $7), 0) AS cost,
               count(*) FILTER (WHERE reserved_at >= $8) AS minute_requests,
               coalesce(sum(prompt_tokens + completion_tokens) FILTER (WHERE reserved_at >= $8), 0)::bigint
                   AS minute_tokens,
               coalesce(max(closed_at), '-infinity') AS charged_at
          FROM org.usage
         WHERE CASE WHEN $1 = '' AND $2 = '' AND $4 = '' THEN user_id = $3 AND NOT delegated
                    ELSE organization_id = $1 AND ($2 = '' OR team_id = $2) AND ($3 = '' OR user_id = $3)
                         AND ($4 = '' OR key_id = $4) END
           AND reserved_at >= $6 AND ($5 = '' OR model = $5 OR substr(model, strpos(model, '/') + 1) = $5)
           AND state = 'settled' AND closed_at >= least($7, $8)) AS spent
