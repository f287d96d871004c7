-- Notes when the owners of calls were made, and when what counts against their limits began anew, before $1, the end of the
-- partition. Such times are the creation, the resets, the times at which limits were set, and the starts of the periods
-- that are counted.
INSERT INTO org.usage_boundary (organization_id, ends_at, team_id, user_id, key_id, end_user, times)
WITH owner (organization_id, team_id, user_id, key_id, end_user, created_at, reset_at, resets, limits) AS (
    SELECT o.organization_id, '', '', '', '', o.created_at, o.spend_reset_at, o.limit_resets, b.limits
      FROM org.organization o
      LEFT JOIN org.budget b USING (budget_id)
     UNION ALL
    SELECT o.organization_id, o.team_id, '', '', '', o.created_at, o.spend_reset_at, o.limit_resets, o.limits
      FROM org.team o
     UNION ALL
    SELECT o.organization_id, '', o.user_id, '', '', o.created_at, o.spend_reset_at, o.limit_resets, b.limits
      FROM org.membership o
      LEFT JOIN org.budget b USING (budget_id)
     UNION ALL
    SELECT o.organization_id, o.team_id, o.user_id, '', '', o.created_at, o.spend_reset_at, o.limit_resets, b.limits
      FROM org.team_member o
      LEFT JOIN org.budget b USING (budget_id)
     UNION ALL
    SELECT '', '', o.user_id, '', '', o.created_at, o.spend_reset_at, o.limit_resets, o.limits
      FROM org."user" o
     UNION ALL
    SELECT o.organization_id, '', '', '', o.end_user_id, o.created_at, o.spend_reset_at, o.limit_resets, b.limits
      FROM org.end_user o
      LEFT JOIN org.budget b USING (budget_id)
     UNION ALL
    SELECT coalesce(o.organization_id, ''), '', '', o.key_id, '', o.created_at, o.spend_reset_at, o.limit_resets,
           o.limits || coalesce(b.limits, '[]')
      FROM org.api_key o
      LEFT JOIN org.budget b USING (budget_id)
), boundary AS (
    SELECT organization_id, team_id, user_id, key_id, end_user, t.at
      FROM owner
     CROSS JOIN LATERAL (
            SELECT created_at
             UNION ALL
            SELECT reset_at
             UNION ALL
            SELECT (reset ->> 'at')::timestamptz FROM jsonb_array_elements(resets) AS r (reset)
             UNION ALL
            SELECT (sentence ->> 'since')::timestamptz FROM jsonb_array_elements(limits) AS l (sentence)) AS t (at)
     UNION ALL
    SELECT organization_id, team_id, user_id, key_id, end_user, s.start
      FROM org.usage_counter
     CROSS JOIN LATERAL unnest(starts) AS s (start)
)
SELECT organization_id, $1, team_id, user_id, key_id, end_user, array_agg(DISTINCT at ORDER BY at)
  FROM boundary
 WHERE at < $1 AND at > '-infinity'
 GROUP BY organization_id, team_id, user_id, key_id, end_user
