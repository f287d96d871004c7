-- Compares all counters with the ledger: each that differs, with its value and the expected one. $1: one organization,
-- null for all. An owner is identified by the five columns of usage_counter.
WITH settled AS NOT MATERIALIZED (
    SELECT * FROM org.usage_settled c WHERE $1 IS NULL OR c.organization_id = $1
), owner (kind, organization_id, team_id, user_id, key_id, end_user, since, spend) AS (
    SELECT 'organization', organization_id, '', '', '', '', created_at, spend FROM org.organization
     WHERE $1 IS NULL OR organization_id = $1
     UNION ALL
    SELECT 'team', organization_id, team_id, '', '', '', created_at, spend FROM org.team
     WHERE $1 IS NULL OR organization_id = $1
     UNION ALL
    SELECT 'membership', organization_id, '', user_id, '', '', created_at, spend FROM org.membership
     WHERE $1 IS NULL OR organization_id = $1
     UNION ALL
    SELECT 'team_member', organization_id, team_id, user_id, '', '', created_at, spend FROM org.team_member
     WHERE $1 IS NULL OR organization_id = $1
     UNION ALL
    SELECT 'user', '', '', user_id, '', '', created_at, spend FROM org."user"
     WHERE $1 IS NULL
     UNION ALL
    SELECT 'end_user', organization_id, '', '', '', end_user_id, created_at, spend FROM org.end_user
     WHERE $1 IS NULL OR organization_id = $1
     UNION ALL
    SELECT 'api_key', coalesce(organization_id, ''), '', '', key_id, '', created_at, spend FROM org.api_key
     WHERE $1 IS NULL OR organization_id = $1
), charge AS NOT MATERIALIZED (
    SELECT o, t, u, k, e, c.model, c.tags, c.team_id, c.user_id, c.key_id, c.end_user, c.reserved_at, c.closed_at, c.cost,
           0::numeric AS held_cost, 0 AS held_requests, c.requests, c.prompt_tokens + c.completion_tokens AS tokens
      FROM settled c
     CROSS JOIN LATERAL (VALUES
           (c.organization_id, '', '', '', '', c.organization_id <> ''),
           (c.organization_id, c.team_id, '', '', '', c.team_id <> ''),
           (c.organization_id, '', c.user_id, '', '', c.organization_id <> '' AND c.user_id <> ''),
           (c.organization_id, c.team_id, c.user_id, '', '', c.team_id <> '' AND c.user_id <> ''),
           ('', '', c.user_id, '', '', c.user_id <> '' AND NOT c.delegated),
           ('', '', '', '', c.end_user, c.end_user <> ''),
           (c.organization_id, '', '', '', c.end_user, c.organization_id <> '' AND c.end_user <> ''),
           (c.organization_id, '', '', c.key_id, '', c.key_id <> '')) AS charged (o, t, u, k, e, has_owner)
     WHERE has_owner
     UNION ALL
    SELECT o, t, u, k, e, c.model, c.tags, c.team_id, c.user_id, c.key_id, c.end_user, c.reserved_at, '-infinity', 0,
           c.max_cost, 1, 1, c.max_tokens
      FROM org.reservation c
     CROSS JOIN LATERAL (VALUES
           (c.organization_id, '', '', '', '', c.organization_id <> ''),
           (c.organization_id, c.team_id, '', '', '', c.team_id <> ''),
           (c.organization_id, '', c.user_id, '', '', c.organization_id <> '' AND c.user_id <> ''),
           (c.organization_id, c.team_id, c.user_id, '', '', c.team_id <> '' AND c.user_id <> ''),
           ('', '', c.user_id, '', '', c.user_id <> '' AND NOT c.delegated),
           ('', '', '', '', c.end_user, c.end_user <> ''),
           (c.organization_id, '', '', '', c.end_user, c.organization_id <> '' AND c.end_user <> ''),
           (c.organization_id, '', '', c.key_id, '', c.key_id <> '')) AS charged (o, t, u, k, e, has_owner)
     WHERE has_owner AND ($1 IS NULL OR c.organization_id = $1)
), spent AS (
    SELECT w.*, coalesce(sum(c.cost), 0) AS expected
      FROM owner w LEFT JOIN charge c
        ON c.o = w.organization_id AND c.t = w.team_id AND c.u = w.user_id AND c.k = w.key_id AND c.e = w.end_user
       AND c.reserved_at >= w.since
     GROUP BY w.kind, w.organization_id, w.team_id, w.user_id, w.key_id, w.end_user, w.since, w.spend
), model_owner (kind, organization_id, user_id, since, model_spend) AS (
    SELECT 'organization', organization_id, '', created_at, model_spend FROM org.organization
     WHERE $1 IS NULL OR organization_id = $1
     UNION ALL
    SELECT 'user', '', user_id, created_at, model_spend FROM org."user"
     WHERE $1 IS NULL
), model_spent AS (
    SELECT kind, organization_id, user_id, model, sum(found) AS found, sum(expected) AS expected
      FROM (SELECT w.kind, w.organization_id, w.user_id, m.model, m.amount::numeric AS found, 0 AS expected
              FROM model_owner w CROSS JOIN LATERAL jsonb_each_text(w.model_spend) AS m (model, amount)
             UNION ALL
            SELECT w.kind, w.organization_id, w.user_id, c.model, 0, c.cost
              FROM model_owner w
              JOIN settled c ON c.organization_id = w.organization_id AND c.reserved_at >= w.since
             WHERE w.kind = 'organization'
             UNION ALL
            SELECT w.kind, w.organization_id, w.user_id, c.model, 0, c.cost
              FROM model_owner w
              JOIN settled c ON c.user_id = w.user_id AND NOT c.delegated AND c.reserved_at >= w.since
             WHERE w.kind = 'user') AS sides
     GROUP BY kind, organization_id, user_id, model
), counter AS (
    -- Without backslashes, whose meaning in a string depends on a setting.
    SELECT a.*, replace(replace(replace(replace(a.model, '!', '!!'), '%', '!%'), '_', '!_'), '*', '%') AS pattern
      FROM org.usage_counter a
      JOIN owner w ON (w.organization_id, w.team_id, w.user_id, w.key_id, w.end_user)
                    = (a.organization_id, a.team_id, a.user_id, a.key_id, a.end_user)
     -- Parts are counted only while the counter of everything says so.
     WHERE CASE WHEN a.each = '' THEN a.since = w.since
                ELSE a.since >= w.since
                     AND EXISTS (SELECT
                                   FROM org.usage_counter e
                                  WHERE (e.organization_id, e.team_id, e.user_id, e.key_id, e.end_user)
                                      = (a.organization_id, a.team_id, a.user_id, a.key_id, a.end_user)
                                    AND (e.each, e.part, e.model, e.tag) = ('', '', '', '')
                                    AND e.since = w.since
                                    AND a.each = ANY (e.counted_each)) END
), kind AS (
    SELECT DISTINCT organization_id, team_id, user_id, key_id, end_user, each FROM counter WHERE each <> ''
), parted AS NOT MATERIALIZED (
    SELECT '' AS each, '' AS part, c.* FROM charge c
     UNION ALL
    SELECT k.each, p.part, c.*
      FROM kind k
      JOIN charge c
        ON c.o = k.organization_id AND c.t = k.team_id AND c.u = k.user_id AND c.k = k.key_id AND c.e = k.end_user
     CROSS JOIN LATERAL (SELECT DISTINCT unnest(CASE k.each WHEN 'model' THEN ARRAY[c.model] WHEN 'tag' THEN c.tags
                                                            WHEN 'end_user' THEN ARRAY[c.end_user::text]
                                                            WHEN 'member' THEN ARRAY[c.user_id::text]
                                                            WHEN 'key' THEN ARRAY[c.key_id::text]
                                                            ELSE ARRAY[c.team_id::text] END)) AS p (part)
), counted AS (
    SELECT a.organization_id, a.team_id, a.user_id, a.key_id, a.end_user, a.each, a.part, a.model, a.tag,
           c.reserved_at, c.closed_at, c.cost, c.held_cost, c.held_requests, c.requests, c.tokens
      FROM counter a JOIN parted c
        ON c.o = a.organization_id AND c.t = a.team_id AND c.u = a.user_id AND c.k = a.key_id AND c.e = a.end_user
       AND c.each = a.each AND c.part = a.part
       AND c.reserved_at >= a.since
       AND (a.model = '' OR c.model LIKE a.pattern ESCAPE '!'
            OR substr(c.model, strpos(c.model, '/') + 1) LIKE a.pattern ESCAPE '!')
       AND (a.tag = '' OR a.tag = ANY (c.tags))
), held AS (
    SELECT organization_id, team_id, user_id, key_id, end_user, each, part, model, tag,
           sum(held_cost) AS cost, sum(held_requests) AS requests
      FROM counted
     GROUP BY organization_id, team_id, user_id, key_id, end_user, each, part, model, tag
), amount AS (
    SELECT a.organization_id, a.team_id, a.user_id, a.key_id, a.end_user, a.each, a.part, a.model, a.tag, w.name,
           w.amount AS found,
           coalesce(CASE split_part(w.name, ' ', 1)
                    WHEN 'cost' THEN sum(c.cost) FILTER (WHERE c.closed_at >= w.start)
                    WHEN 'tokens' THEN sum(c.tokens) FILTER (WHERE c.reserved_at >= w.start)
                    WHEN 'requests' THEN sum(c.requests) FILTER (WHERE c.reserved_at >= w.start) END, 0) AS expected
      FROM counter a
     CROSS JOIN LATERAL unnest(a.names, a.starts, a.amounts) AS w (name, start, amount)
      LEFT JOIN counted c USING (organization_id, team_id, user_id, key_id, end_user, each, part, model, tag)
     GROUP BY a.organization_id, a.team_id, a.user_id, a.key_id, a.end_user, a.each, a.part, a.model, a.tag, w.name,
              w.start, w.amount
), daily AS (
    SELECT organization_id, (closed_at AT TIME ZONE 'UTC')::date AS day, team_id, key_id, model,
           sum(cost) AS spend, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens,
           sum(cache_read_input_tokens) AS cache_read_input_tokens,
           sum(cache_creation_input_tokens) AS cache_creation_input_tokens,
           sum(requests - failed_requests) AS successful_requests, sum(failed_requests) AS failed_requests
      FROM settled
     GROUP BY organization_id, day, team_id, key_id, model
)
SELECT kind || '.spend' AS counter, organization_id, team_id, user_id, key_id AS token_id, end_user, '' AS each, '' AS part,
       '' AS model, '' AS tag, '' AS day, spend AS found, expected
  FROM spent
 WHERE spend <> expected
 UNION ALL
SELECT kind || '.model_spend', organization_id, '', user_id, '', '', '', '', model, '', '', found, expected
  FROM model_spent
 WHERE found <> expected
 UNION ALL
SELECT v.counter, a.organization_id, a.team_id, a.user_id, a.key_id, a.end_user, a.each, a.part, a.model, a.tag, '', v.found,
       coalesce(v.expected, 0)
  FROM counter a
  LEFT JOIN held h USING (organization_id, team_id, user_id, key_id, end_user, each, part, model, tag)
 CROSS JOIN LATERAL (VALUES
       ('usage_counter.held_cost', a.held_cost, h.cost),
       ('usage_counter.held_requests', a.held_requests, h.requests)) AS v (counter, found, expected)
 WHERE v.found <> coalesce(v.expected, 0)
 UNION ALL
SELECT 'usage_counter.' || name, organization_id, team_id, user_id, key_id, end_user, each, part, model, tag, '', found,
       expected
  FROM amount
 WHERE found <> expected
 UNION ALL
SELECT v.counter, organization_id, team_id, '', key_id, '', '', '', model, '', to_char(day, 'YYYY-MM-DD'),
       coalesce(v.found, 0), coalesce(v.expected, 0)
  FROM (SELECT * FROM org.usage_daily WHERE $1 IS NULL OR organization_id = $1) AS d
  FULL JOIN daily s USING (organization_id, day, team_id, key_id, model)
 CROSS JOIN LATERAL (VALUES
       ('usage_daily.spend', d.spend, s.spend),
       ('usage_daily.prompt_tokens', d.prompt_tokens::numeric, s.prompt_tokens::numeric),
       ('usage_daily.completion_tokens', d.completion_tokens::numeric, s.completion_tokens::numeric),
       ('usage_daily.cache_read_input_tokens', d.cache_read_input_tokens::numeric,
        s.cache_read_input_tokens::numeric),
       ('usage_daily.cache_creation_input_tokens', d.cache_creation_input_tokens::numeric,
        s.cache_creation_input_tokens::numeric),
       ('usage_daily.successful_requests', d.successful_requests::numeric, s.successful_requests::numeric),
       ('usage_daily.failed_requests', d.failed_requests::numeric, s.failed_requests::numeric))
       AS v (counter, found, expected)
 WHERE coalesce(v.found, 0) <> coalesce(v.expected, 0)
 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
