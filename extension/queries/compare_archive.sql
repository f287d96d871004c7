-- Compares an archived partition of the ledger, the table %s, with the sums of it that were carried forward, which have the
-- end $2: each that differs, by organization and day, in the columns of find_differences. $1: one organization, null for
-- all.
SELECT v.counter, organization_id, '' AS team_id, '' AS user_id, '' AS token_id, '' AS end_user, '' AS each, '' AS part,
       '' AS model, '' AS tag, to_char(day, 'YYYY-MM-DD') AS day, coalesce(v.found, 0) AS found,
       coalesce(v.expected, 0) AS expected
  FROM (SELECT organization_id, day, sum(requests) AS requests, sum(failed_requests) AS failed_requests, sum(cost) AS cost,
               sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens,
               sum(cache_read_input_tokens) AS cache_read_input_tokens,
               sum(cache_creation_input_tokens) AS cache_creation_input_tokens
          FROM org.usage_carried
         WHERE ends_at = $2 AND ($1 IS NULL OR organization_id = $1)
         GROUP BY organization_id, day) AS c
  FULL JOIN (
        SELECT organization_id, (closed_at AT TIME ZONE 'UTC')::date AS day, count(*)::numeric AS requests,
               (count(*) FILTER (WHERE failed))::numeric AS failed_requests, sum(cost) AS cost,
               sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens,
               sum(cache_read_input_tokens) AS cache_read_input_tokens,
               sum(cache_creation_input_tokens) AS cache_creation_input_tokens
          FROM %s
         WHERE state = 'settled' AND ($1 IS NULL OR organization_id = $1)
         GROUP BY organization_id, day) AS a USING (organization_id, day)
 CROSS JOIN LATERAL (VALUES
       ('usage_carried.requests', c.requests, a.requests),
       ('usage_carried.failed_requests', c.failed_requests, a.failed_requests),
       ('usage_carried.cost', c.cost, a.cost),
       ('usage_carried.prompt_tokens', c.prompt_tokens, a.prompt_tokens),
       ('usage_carried.completion_tokens', c.completion_tokens, a.completion_tokens),
       ('usage_carried.cache_read_input_tokens', c.cache_read_input_tokens, a.cache_read_input_tokens),
       ('usage_carried.cache_creation_input_tokens', c.cache_creation_input_tokens, a.cache_creation_input_tokens))
       AS v (counter, found, expected)
 WHERE coalesce(v.found, 0) <> coalesce(v.expected, 0)
 ORDER BY 2, 11, 1
