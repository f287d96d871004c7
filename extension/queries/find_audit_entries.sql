-- Reads a page of the audit log in LiteLLM's shape: $11 entries after $12 others, the newest first if $10, else the
-- oldest. Only changes by the actor $1, made with the key $2, of the kind $3, in the table $4, of the thing $5, that
-- occurred from $6 on and before $7; null for all. $8: only the logs of these organizations, null for all. Unless $9,
-- the log of an organization begins when that was made. The plan is made for the values: one of the directions is left
-- of ORDER BY, and the index on organization_id, occurred_at and audit_id has the entries in it.
WITH RECURSIVE with_entries AS ( -- The organizations that have entries, from one to the next as the index has them.
    (SELECT organization_id FROM org.audit_log WHERE $8 IS NULL ORDER BY organization_id LIMIT 1)
     UNION ALL
    SELECT next.organization_id
      FROM with_entries w
     CROSS JOIN LATERAL (
           SELECT organization_id
             FROM org.audit_log
            WHERE organization_id > w.organization_id
            ORDER BY organization_id
            LIMIT 1) AS next
), log AS (
    SELECT organization_id, timestamptz '-infinity' AS since FROM with_entries
     UNION ALL
    SELECT named.id, CASE WHEN $9 THEN timestamptz '-infinity' ELSE o.created_at END
      FROM unnest($8) AS named (id)
      LEFT JOIN org.organization o ON o.organization_id = named.id
), entry AS NOT MATERIALIZED ( -- LiteLLM has other names for what was done, and for the tables.
    SELECT organization_id, audit_id, occurred_at, actor, key_id, id, before, after,
           CASE WHEN before IS NULL THEN 'created'
                WHEN after IS NULL THEN 'deleted'
                WHEN kind = 'api_key' AND action = 'key_regenerate' THEN 'rotated'
                WHEN after -> 'blocked' = 'true' THEN 'blocked'
                WHEN after -> 'blocked' = 'false' THEN 'unblocked'
                ELSE 'updated' END AS action,
           CASE kind WHEN 'organization' THEN 'LiteLLM_OrganizationTable'
                     WHEN 'budget' THEN 'LiteLLM_BudgetTable'
                     WHEN 'user' THEN 'LiteLLM_UserTable'
                     WHEN 'membership' THEN 'LiteLLM_OrganizationMembership'
                     WHEN 'team' THEN 'LiteLLM_TeamTable'
                     WHEN 'team_member' THEN 'LiteLLM_TeamMembership'
                     WHEN 'api_key' THEN 'LiteLLM_VerificationToken'
                     WHEN 'end_user' THEN 'LiteLLM_EndUserTable'
                     ELSE kind END AS table_name
      FROM org.audit_log
), asked AS NOT MATERIALIZED (
    SELECT *
      FROM entry
     WHERE ($1 IS NULL OR actor = $1)
       AND ($2 IS NULL OR key_id = $2)
       AND ($3 IS NULL OR action = $3)
       AND ($4 IS NULL OR table_name = $4)
       AND ($5 IS NULL OR id = $5)
       AND ($6 IS NULL OR occurred_at >= $6)
       AND ($7 IS NULL OR occurred_at < $7)
), first AS ( -- The logs that the entries up to the end of the page are in, and the first entry of each.
    SELECT l.organization_id, l.since, f.occurred_at
      FROM log l
     CROSS JOIN LATERAL (
           SELECT a.occurred_at, a.audit_id
             FROM asked a
            WHERE a.organization_id = l.organization_id
              AND a.occurred_at >= l.since
            ORDER BY CASE WHEN $10 THEN a.occurred_at END DESC, CASE WHEN $10 THEN a.audit_id END DESC,
                     a.occurred_at, a.audit_id
            LIMIT 1) AS f
     ORDER BY CASE WHEN $10 THEN f.occurred_at END DESC, CASE WHEN $10 THEN f.audit_id END DESC,
              f.occurred_at, f.audit_id
     LIMIT $11 + $12
), range AS ( -- If these first entries alone fill the page, it has none beyond the last of them.
    SELECT CASE WHEN $10 AND count(*) = $11 + $12 THEN min(occurred_at) ELSE '-infinity' END AS oldest,
           CASE WHEN NOT $10 AND count(*) = $11 + $12 THEN max(occurred_at) ELSE 'infinity' END AS newest
      FROM first
)
SELECT e.audit_id AS id, e.occurred_at AS updated_at, e.actor AS changed_by, e.key_id AS changed_by_api_key, e.action,
       e.table_name, e.id AS object_id, e.before AS before_value, e.after AS updated_values,
       nullif(e.organization_id, '') AS organization_id
  FROM first f
 CROSS JOIN LATERAL (
       SELECT *
         FROM asked a
        WHERE a.organization_id = f.organization_id
          AND a.occurred_at >= f.since
          AND a.occurred_at >= (SELECT oldest FROM range)
          AND a.occurred_at <= (SELECT newest FROM range)
        ORDER BY CASE WHEN $10 THEN a.occurred_at END DESC, CASE WHEN $10 THEN a.audit_id END DESC,
                 a.occurred_at, a.audit_id
        LIMIT $11 + $12) AS e
 ORDER BY CASE WHEN $10 THEN e.occurred_at END DESC, CASE WHEN $10 THEN e.audit_id END DESC, e.occurred_at, e.audit_id
 LIMIT $11 OFFSET $12
