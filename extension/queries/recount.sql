-- Sums an owner's calls, or those of one part: of organization $1 ($6: of any), team $2, user $3 ($7: only with the
-- user's own keys), key $4, end user $5, model $8 and tag $9; empty ones are not asked for. Calls reserved before $10 are
-- left out, as are those closed before the first of the starts of periods $11, which are sorted. Returns sums by how many
-- of the periods had begun when the calls were closed (held ones: -1), and when they were reserved; by model if $12, and
-- by tags if $13. With $14 also the sums of archived calls, which are in a period if all of their calls are. By each
-- end user, member, key or team if $15 says so, and then by organization, too, if the calls are of any. Without
-- reservations that have expired by $16, null for all. The plan is made for the values, so that conditions on empty ones
-- are gone from it, and an index finds the calls.
SELECT CASE WHEN $12 THEN model ELSE '' END AS model, CASE WHEN $13 THEN tags ELSE '{}' END AS tags,
       CASE WHEN $6 AND $15 <> '' THEN organization_id ELSE '' END AS organization_id,
       CASE $15 WHEN 'end_user' THEN end_user WHEN 'member' THEN user_id WHEN 'key' THEN key_id WHEN 'team' THEN team_id
                ELSE '' END AS part,
       -1::bigint AS closed_in, width_bucket(reserved_at, $11)::bigint AS reserved_in,
       sum(max_cost), count(*), sum(max_tokens)::bigint, max(reserved_at), min(reserved_at)
  FROM org.reservation
 WHERE ($6 OR organization_id = $1) AND ($2 = '' OR team_id = $2) AND ($3 = '' OR user_id = $3)
   AND ($4 = '' OR key_id = $4) AND ($5 = '' OR end_user = $5) AND NOT ($7 AND delegated)
   AND ($8 = '' OR model = $8) AND ($9 = '' OR $9 = ANY (tags)) AND reserved_at >= $10
   AND ($16 IS NULL OR expires_at > $16)
 GROUP BY 1, 2, 3, 4, 6
 UNION ALL
SELECT CASE WHEN $12 THEN model ELSE '' END AS model, CASE WHEN $13 THEN tags ELSE '{}' END AS tags,
       CASE WHEN $6 AND $15 <> '' THEN organization_id ELSE '' END AS organization_id,
       CASE $15 WHEN 'end_user' THEN end_user WHEN 'member' THEN user_id WHEN 'key' THEN key_id WHEN 'team' THEN team_id
                ELSE '' END AS part,
       width_bucket(closed_at, $11)::bigint AS closed_in, width_bucket(reserved_at, $11)::bigint AS reserved_in,
       sum(cost), count(*), sum(prompt_tokens + completion_tokens)::bigint, max(closed_at), min(reserved_at)
  FROM org.usage
 WHERE ($6 OR organization_id = $1) AND ($2 = '' OR team_id = $2) AND ($3 = '' OR user_id = $3)
   AND ($4 = '' OR key_id = $4) AND ($5 = '' OR end_user = $5) AND NOT ($7 AND delegated)
   AND ($8 = '' OR model = $8) AND ($9 = '' OR $9 = ANY (tags)) AND reserved_at >= $10
   AND state = 'settled' AND closed_at >= $11[1] AND closed_at >= $10
 GROUP BY 1, 2, 3, 4, 5, 6
 UNION ALL
SELECT CASE WHEN $12 THEN model ELSE '' END AS model, CASE WHEN $13 THEN tags ELSE '{}' END AS tags,
       CASE WHEN $6 AND $15 <> '' THEN organization_id ELSE '' END AS organization_id,
       CASE $15 WHEN 'end_user' THEN end_user WHEN 'member' THEN user_id WHEN 'key' THEN key_id WHEN 'team' THEN team_id
                ELSE '' END AS part,
       width_bucket(first_closed_at, $11)::bigint AS closed_in, width_bucket(first_reserved_at, $11)::bigint AS reserved_in,
       sum(cost), sum(requests)::bigint, sum(prompt_tokens + completion_tokens)::bigint, max(last_closed_at), min(first_reserved_at)
  FROM org.usage_carried
  JOIN org.usage_archive USING (ends_at)
 WHERE $14 AND archived_at IS NOT NULL
   AND ($6 OR organization_id = $1) AND ($2 = '' OR team_id = $2) AND ($3 = '' OR user_id = $3)
   AND ($4 = '' OR key_id = $4) AND ($5 = '' OR end_user = $5) AND NOT ($7 AND delegated)
   AND ($8 = '' OR model = $8) AND ($9 = '' OR $9 = ANY (tags)) AND first_reserved_at >= $10
   AND first_closed_at >= $11[1]
 GROUP BY 1, 2, 3, 4, 5, 6
