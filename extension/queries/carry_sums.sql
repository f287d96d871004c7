-- Carries forward the sums of the settled calls of a partition of the ledger, %s, that ends at $1: those from the place $2
-- up to the place $3. Calls are summed together if they have the same owners, model, tags and day, and if none of
-- the owners was made, or began to count anew, between them; the last such time before a call was reserved and the one
-- before it was closed tell.
INSERT INTO org.usage_carried AS c
       (organization_id, ends_at, digest, day, team_id, user_id, key_id, end_user, delegated, model, tags, requests,
        failed_requests, cost, prompt_tokens, completion_tokens, cache_read_input_tokens, cache_creation_input_tokens,
        first_reserved_at, first_closed_at, last_closed_at)
WITH boundary AS MATERIALIZED (
    SELECT organization_id, team_id, user_id, key_id, end_user, times FROM org.usage_boundary WHERE ends_at = $1
), call AS (
    SELECT u.*, (u.closed_at AT TIME ZONE 'UTC')::date AS day, r.last AS last_before_reserved, s.last AS last_before_closed
      FROM %s u
      LEFT JOIN boundary o ON (o.organization_id, o.team_id, o.user_id, o.key_id, o.end_user)
                            = (u.organization_id, '', '', '', '')
      LEFT JOIN boundary t ON (t.organization_id, t.team_id, t.user_id, t.key_id, t.end_user)
                            = (u.organization_id, u.team_id, '', '', '') AND u.team_id <> ''
      LEFT JOIN boundary m ON (m.organization_id, m.team_id, m.user_id, m.key_id, m.end_user)
                            = (u.organization_id, '', u.user_id, '', '') AND u.organization_id <> '' AND u.user_id <> ''
      LEFT JOIN boundary tm ON (tm.organization_id, tm.team_id, tm.user_id, tm.key_id, tm.end_user)
                             = (u.organization_id, u.team_id, u.user_id, '', '') AND u.team_id <> '' AND u.user_id <> ''
      LEFT JOIN boundary w ON (w.organization_id, w.team_id, w.user_id, w.key_id, w.end_user)
                            = ('', '', u.user_id, '', '') AND u.user_id <> ''
      LEFT JOIN boundary p ON (p.organization_id, p.team_id, p.user_id, p.key_id, p.end_user)
                            = ('', '', '', '', u.end_user) AND u.end_user <> ''
      LEFT JOIN boundary e ON (e.organization_id, e.team_id, e.user_id, e.key_id, e.end_user)
                            = (u.organization_id, '', '', '', u.end_user) AND u.organization_id <> '' AND u.end_user <> ''
      LEFT JOIN boundary k ON (k.organization_id, k.team_id, k.user_id, k.key_id, k.end_user)
                            = (u.organization_id, '', '', u.key_id, '')
     CROSS JOIN LATERAL (
           SELECT greatest(o.times[width_bucket(u.reserved_at, o.times)], t.times[width_bucket(u.reserved_at, t.times)],
                           m.times[width_bucket(u.reserved_at, m.times)], tm.times[width_bucket(u.reserved_at, tm.times)],
                           w.times[width_bucket(u.reserved_at, w.times)], p.times[width_bucket(u.reserved_at, p.times)],
                           e.times[width_bucket(u.reserved_at, e.times)], k.times[width_bucket(u.reserved_at, k.times)])
           ) AS r (last)
     CROSS JOIN LATERAL (
           SELECT greatest(o.times[width_bucket(u.closed_at, o.times)], t.times[width_bucket(u.closed_at, t.times)],
                           m.times[width_bucket(u.closed_at, m.times)], tm.times[width_bucket(u.closed_at, tm.times)],
                           w.times[width_bucket(u.closed_at, w.times)], p.times[width_bucket(u.closed_at, p.times)],
                           e.times[width_bucket(u.closed_at, e.times)], k.times[width_bucket(u.closed_at, k.times)])
           ) AS s (last)
     WHERE u.state = 'settled'
       AND u.ctid >= $2::tid
       AND u.ctid < $3::tid
), sum AS (
    SELECT organization_id, day, team_id, user_id, key_id, end_user, delegated, model, tags, last_before_reserved,
           last_before_closed, count(*) AS requests, count(*) FILTER (WHERE failed) AS failed_requests, sum(cost) AS cost,
           sum(prompt_tokens)::bigint AS prompt_tokens, sum(completion_tokens)::bigint AS completion_tokens,
           sum(cache_read_input_tokens)::bigint AS cache_read_input_tokens,
           sum(cache_creation_input_tokens)::bigint AS cache_creation_input_tokens,
           min(reserved_at) AS first_reserved_at, min(closed_at) AS first_closed_at, max(closed_at) AS last_closed_at
      FROM call
     GROUP BY organization_id, day, team_id, user_id, key_id, end_user, delegated, model, tags, last_before_reserved,
              last_before_closed
)
SELECT organization_id, $1,
       md5(jsonb_build_array(day, team_id, user_id, key_id, end_user, delegated, model, tags,
                             extract(epoch FROM last_before_reserved), extract(epoch FROM last_before_closed))::text)::uuid,
       day, team_id, user_id, key_id, end_user, delegated, model, tags, requests, failed_requests, cost, prompt_tokens,
       completion_tokens, cache_read_input_tokens, cache_creation_input_tokens, first_reserved_at, first_closed_at,
       last_closed_at
  FROM sum
    ON CONFLICT (organization_id, ends_at, digest) DO UPDATE
   SET requests = c.requests + excluded.requests, failed_requests = c.failed_requests + excluded.failed_requests,
       cost = c.cost + excluded.cost, prompt_tokens = c.prompt_tokens + excluded.prompt_tokens,
       completion_tokens = c.completion_tokens + excluded.completion_tokens,
       cache_read_input_tokens = c.cache_read_input_tokens + excluded.cache_read_input_tokens,
       cache_creation_input_tokens = c.cache_creation_input_tokens + excluded.cache_creation_input_tokens,
       first_reserved_at = least(c.first_reserved_at, excluded.first_reserved_at),
       first_closed_at = least(c.first_closed_at, excluded.first_closed_at),
       last_closed_at = greatest(c.last_closed_at, excluded.last_closed_at)
