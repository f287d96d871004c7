-- What is taken of the limits that apply to some organizations, as seen at one instant.  The clock is read after the
-- snapshot was taken: so no hold counts for longer than until its place was given to another.
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now), call AS MATERIALIZED (
    SELECT organization_id, team_id, user_id, key_id, end_user, tags, max_cost AS cost, max_tokens AS tokens,
           reserved_at, 1 AS held
      FROM org.reservation, clock WHERE expires_at > now AND organization_id = ANY (%(organizations)s)
     UNION ALL
    SELECT organization_id, team_id, user_id, key_id, end_user, tags, cost, prompt_tokens + completion_tokens,
           reserved_at, 0
      FROM org.usage WHERE state = 'settled' AND organization_id = ANY (%(organizations)s)
), owner (kind, o, t, u, k, max_budget, max_parallel_requests, rpm_limit, tpm_limit, limits) AS (
    SELECT 'organization', organization_id, NULL, NULL, NULL, max_budget, max_parallel_requests, rpm_limit, tpm_limit,
           limits
      FROM org.organization JOIN org.budget USING (budget_id)
     UNION ALL
    SELECT 'team', organization_id, team_id, NULL, NULL, max_budget, max_parallel_requests, rpm_limit, tpm_limit,
           limits
      FROM org.team
     UNION ALL
    SELECT 'member', organization_id, NULL, user_id, NULL, max_budget, max_parallel_requests, rpm_limit, tpm_limit,
           limits
      FROM org.membership JOIN org.budget USING (budget_id)
     UNION ALL
    SELECT 'team_member', organization_id, team_id, user_id, NULL, max_budget, max_parallel_requests, rpm_limit,
           tpm_limit, limits
      FROM org.team_member JOIN org.budget USING (budget_id)
     UNION ALL
    SELECT 'user', NULL, NULL, user_id, NULL, max_budget, NULL, rpm_limit, tpm_limit, limits FROM org."user"
     UNION ALL
    SELECT 'key', NULL, NULL, NULL, key_id, max_budget, max_parallel_requests, rpm_limit, tpm_limit, limits
      FROM org.api_key
), sentence AS (
    SELECT owner.*, field, of, most, window_of, tag, each
      FROM owner
     CROSS JOIN LATERAL (
           SELECT * FROM (VALUES
                  ('max_budget', 'cost', max_budget, NULL::interval, NULL, NULL),
                  ('max_parallel_requests', 'parallel_requests', max_parallel_requests, NULL, NULL, NULL),
                  ('rpm_limit', 'requests', rpm_limit, '1 minute', NULL, NULL),
                  ('tpm_limit', 'tokens', tpm_limit, '1 minute', NULL, NULL)) AS v
            UNION ALL
           SELECT 'limits ' || s.limit || coalesce(' each ' || s.each, ''), s.limit, s.value, s.per, s.tag, s.each
             FROM jsonb_to_recordset(limits)
               AS s ("limit" text, value numeric, per interval, tag text, each text)
           ) AS s (field, of, most, window_of, tag, each)
     WHERE most IS NOT NULL
), taken AS (
    SELECT kind, concat_ws('/', o, t, u, k, part) AS name, field, of, most, sum(cost) AS cost, sum(held) AS held,
           count(*) AS requests, sum(tokens) AS tokens
      FROM sentence
      JOIN call ON (o IS NULL OR organization_id = o) AND (t IS NULL OR team_id = t)
               AND (u IS NULL OR user_id = u) AND (k IS NULL OR key_id = k) AND (tag IS NULL OR tag = ANY (tags))
     CROSS JOIN LATERAL (SELECT CASE each WHEN 'end_user' THEN end_user WHEN 'member' THEN user_id END) AS p (part)
     WHERE each IS NULL OR part <> ''
     GROUP BY kind, o, t, u, k, part, field, of, most,
              CASE WHEN window_of IS NOT NULL THEN date_bin(window_of, reserved_at, '2000-01-01Z') END
)
SELECT kind, name, field, max(CASE of WHEN 'cost' THEN cost WHEN 'parallel_requests' THEN held
                                      WHEN 'requests' THEN requests ELSE tokens END), most
  FROM taken
 GROUP BY kind, name, field, most
