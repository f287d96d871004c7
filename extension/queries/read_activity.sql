-- The spend and usage of days: by day, organization, team, key, model and entity, which is what the report is about.
-- $1: organization, team, key, user, tag or customer. $2 and $3: the first and the last day, in the time zone $4. $5: only
-- these entities, null for all; $6: not these. $7: only this model; $8: only this key; $9: only calls in these
-- organizations; null for all. Unless $10, the activity of an earlier owner of the same identifier is left out: its calls
-- were reserved before this one was made. Where that is unknown, an organization has the activity of later days and that
-- of existing keys. $11: days to skip, the newest first; $12: days to read. $13: a call of several tags counts once for
-- each of them, not once. Only calls of the team $14, the user $15 and the end user $16; null for all.
WITH activity AS (
    SELECT d.day, d.organization_id, d.team_id, d.key_id, d.model,
           CASE $1 WHEN 'team' THEN d.team_id WHEN 'key' THEN d.key_id ELSE d.organization_id END AS entity,
           d.spend, d.prompt_tokens, d.completion_tokens, d.cache_read_input_tokens, d.cache_creation_input_tokens,
           d.successful_requests, d.failed_requests
      FROM org.usage_daily d
      LEFT JOIN org.organization o USING (organization_id)
      LEFT JOIN org.team t USING (organization_id, team_id)
      LEFT JOIN org.api_key k USING (key_id)
     WHERE $1 IN ('organization', 'team', 'key')
       AND $4 = 'UTC'
       AND $15 IS NULL
       AND $16 IS NULL
       AND d.day BETWEEN $2::date AND $3::date
       AND CASE $1 WHEN 'team' THEN d.team_id WHEN 'key' THEN d.key_id ELSE d.organization_id END <> ''
       AND ($5 IS NULL OR CASE $1 WHEN 'team' THEN d.team_id WHEN 'key' THEN d.key_id ELSE d.organization_id END = ANY ($5))
       AND CASE $1 WHEN 'team' THEN d.team_id WHEN 'key' THEN d.key_id ELSE d.organization_id END <> ALL ($6)
       AND ($7 IS NULL OR d.model = $7)
       AND ($8 IS NULL OR d.key_id = $8)
       AND ($14 IS NULL OR d.team_id = $14)
       AND ($9 IS NULL OR d.organization_id = ANY ($9))
       AND ($10 OR CASE $1 WHEN 'team' THEN d.first_reserved_at >= t.created_at
                   ELSE d.first_reserved_at >= o.created_at
                        OR d.first_reserved_at IS NULL
                           AND (k.key_id IS NOT NULL OR d.day > (o.created_at AT TIME ZONE 'UTC')::date) END)
     UNION ALL
    SELECT (u.closed_at AT TIME ZONE $4)::date, u.organization_id, u.team_id, u.key_id, u.model, e.entity,
           sum(u.cost), sum(u.prompt_tokens)::bigint, sum(u.completion_tokens)::bigint,
           sum(u.cache_read_input_tokens)::bigint, sum(u.cache_creation_input_tokens)::bigint,
           sum(u.requests - u.failed_requests)::bigint, sum(u.failed_requests)::bigint
      FROM org.usage_settled u
      LEFT JOIN org.organization o USING (organization_id)
      LEFT JOIN org.team t USING (organization_id, team_id)
      LEFT JOIN org."user" w USING (user_id)
     CROSS JOIN LATERAL unnest(CASE WHEN $1 <> 'tag' THEN
                                         ARRAY[CASE $1 WHEN 'organization' THEN u.organization_id
                                                       WHEN 'team' THEN u.team_id
                                                       WHEN 'key' THEN u.key_id
                                                       WHEN 'user' THEN u.user_id
                                                       ELSE u.end_user END]
                                    WHEN $13 THEN ARRAY(SELECT DISTINCT unnest(u.tags) COLLATE "C")
                                    ELSE ARRAY['' COLLATE "C"] END) AS e (entity)
     WHERE ($1 NOT IN ('organization', 'team', 'key') OR $4 <> 'UTC' OR $15 IS NOT NULL OR $16 IS NOT NULL)
       AND u.closed_at >= $2::date::timestamp AT TIME ZONE $4
       AND u.closed_at < ($3::date + 1)::timestamp AT TIME ZONE $4
       AND CASE $1 WHEN 'organization' THEN u.organization_id <> ''
                   WHEN 'team' THEN u.team_id <> ''
                   WHEN 'key' THEN true
                   WHEN 'user' THEN u.user_id <> '' AND NOT u.delegated
                   WHEN 'customer' THEN u.end_user <> ''
                   ELSE u.tags <> '{}' END
       AND ($5 IS NULL OR CASE $1 WHEN 'organization' THEN u.organization_id = ANY ($5)
                                  WHEN 'team' THEN u.team_id = ANY ($5)
                                  WHEN 'key' THEN u.key_id = ANY ($5)
                                  WHEN 'user' THEN u.user_id = ANY ($5)
                                  WHEN 'customer' THEN u.end_user = ANY ($5)
                                  ELSE u.tags && $5 END)
       AND ($5 IS NULL OR $1 = 'tag' AND NOT $13 OR e.entity = ANY ($5))
       AND e.entity <> ALL ($6)
       AND ($7 IS NULL OR u.model = $7)
       AND ($8 IS NULL OR u.key_id = $8)
       AND ($14 IS NULL OR u.team_id = $14)
       AND ($15 IS NULL OR u.user_id = $15 AND NOT u.delegated)
       AND ($16 IS NULL OR u.end_user = $16)
       AND ($9 IS NULL OR u.organization_id = ANY ($9))
       AND ($10 OR ($9 IS NULL OR u.reserved_at >= o.created_at)
                   AND CASE $1 WHEN 'organization' THEN u.reserved_at >= o.created_at
                               WHEN 'team' THEN u.reserved_at >= t.created_at
                               WHEN 'user' THEN u.reserved_at >= w.created_at
                               ELSE true END)
     GROUP BY 1, 2, 3, 4, 5, 6
), day AS (
    SELECT day, row_number() OVER (ORDER BY day DESC) AS place FROM (SELECT DISTINCT day FROM activity) AS distinct_day
)
SELECT n.days, to_char(a.day, 'YYYY-MM-DD'), a.entity,
       CASE $1 WHEN 'organization' THEN coalesce(o.organization_alias, f.alias)
               WHEN 'team' THEN coalesce(t.team_alias, f.alias)
               WHEN 'user' THEN coalesce(w.user_alias, w.user_email, f.alias)
               WHEN 'customer' THEN c.alias END,
       a.model, a.key_id, coalesce(k.key_alias, fk.alias), nullif(a.team_id, ''), a.spend, a.prompt_tokens, a.completion_tokens,
       a.cache_read_input_tokens, a.cache_creation_input_tokens, a.successful_requests, a.failed_requests
  FROM (SELECT count(*) AS days FROM day) AS n
  LEFT JOIN (activity a JOIN day d ON d.day = a.day AND d.place > $11 AND d.place <= $11 + $12) ON true
  LEFT JOIN org.organization o ON $1 = 'organization' AND o.organization_id = a.entity
  LEFT JOIN org.team t ON $1 = 'team' AND t.organization_id = a.organization_id AND t.team_id = a.entity
  LEFT JOIN org."user" w ON $1 = 'user' AND w.user_id = a.entity
  LEFT JOIN org.end_user c ON $1 = 'customer' AND c.organization_id = a.organization_id AND c.end_user_id = a.entity
  LEFT JOIN org.former_owner f ON f.kind = $1 AND f.id = a.entity
                                   AND ($1 = 'user' OR f.organization_id = a.organization_id)
  LEFT JOIN org.api_key k ON k.key_id = a.key_id
  LEFT JOIN org.former_owner fk ON fk.kind = 'key' AND fk.id = a.key_id
