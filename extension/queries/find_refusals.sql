-- Sums of refused calls by limit and, if $1, by hour: $2 of them after $3 others, and how many there are. Without sums
-- on the page there is one row, which has only that number. Of hours that begin after $4 and before $5.
-- Of limits of the organizations $6 (null: all), of the caller (the user $7 with the key $8, which is confined to the
-- organization $9), and of teams whose admin the caller is. Only those of the organization $10, the team $11, the user
-- $12, the key $13 and the end user $14; null for all.
WITH team AS (
    SELECT organization_id, team_id FROM org.team_member WHERE user_id = $7 AND role = 'admin'
), owner AS (
    SELECT '' AS organization_id, '' AS team_id, $7 AS user_id, '' AS key_id
     UNION
    SELECT organization_id, '', user_id, '' FROM org.membership WHERE user_id = $7
     UNION
    SELECT organization_id, team_id, user_id, '' FROM org.team_member WHERE user_id = $7
     UNION
    SELECT organization_id, team_id, '', '' FROM team
     UNION
    SELECT organization_id, team_id, m.user_id, '' FROM team JOIN org.team_member m USING (organization_id, team_id)
     UNION
    SELECT coalesce(organization_id, ''), '', '', key_id FROM org.api_key WHERE key_id = $8 OR user_id = $7
     UNION
    SELECT t.organization_id, '', '', k.key_id
      FROM team t JOIN org.api_key k ON k.team_id = t.team_id AND coalesce(k.organization_id, '') = t.organization_id
), seen AS (
    SELECT *
      FROM org.usage_refusal
     WHERE ($6 IS NULL OR organization_id = ANY ($6))
       AND hour > $4
       AND hour < $5
     UNION ALL
    SELECT r.*
      FROM owner o
     CROSS JOIN LATERAL ( -- OFFSET 0 makes the planner look up one after the other
           SELECT *
             FROM org.usage_refusal r
            WHERE (r.organization_id, r.team_id, r.user_id, r.key_id, r.end_user)
                = (o.organization_id, o.team_id, o.user_id, o.key_id, '')
              AND hour > $4
              AND hour < $5
           OFFSET 0) AS r
     WHERE o.organization_id <> ALL ($6)
       AND ($9 IS NULL OR o.organization_id = $9)
), sums AS MATERIALIZED (
    SELECT organization_id, team_id, user_id, key_id, end_user, what, field, per, model, tag, each,
           CASE WHEN $1 THEN hour END AS of_hour, (array_agg(value ORDER BY last_refused_at DESC))[1] AS value,
           sum(refused)::bigint AS refused, max(last_refused_at) AS last_refused_at
      FROM seen
     WHERE ($10 IS NULL OR organization_id = $10)
       AND ($11 IS NULL OR team_id = $11)
       AND ($12 IS NULL OR user_id = $12)
       AND ($13 IS NULL OR key_id = $13)
       AND ($14 IS NULL OR end_user = $14)
     GROUP BY organization_id, team_id, user_id, key_id, end_user, what, field, per, model, tag, each, of_hour
)
SELECT n.total, s.*
  FROM (SELECT count(*) AS total FROM sums) AS n
  LEFT JOIN (SELECT *
               FROM sums
              ORDER BY of_hour DESC, refused DESC, last_refused_at DESC, organization_id, team_id, user_id, key_id,
                       end_user, what, field, per, model, tag, each
              LIMIT $2 OFFSET $3) AS s ON true
 ORDER BY of_hour DESC, refused DESC, last_refused_at DESC, organization_id, team_id, user_id, key_id, end_user, what,
          field, per, model, tag, each
