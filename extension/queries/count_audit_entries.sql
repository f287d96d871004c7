-- Counts entries of the audit log, up to $10. $1 to $9 are as in find_audit_entries.sql.
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
)
SELECT count(*)
  FROM (SELECT
          FROM log l
         CROSS JOIN LATERAL (
               SELECT
                 FROM asked a
                WHERE a.organization_id = l.organization_id
                  AND a.occurred_at >= l.since
                LIMIT $10) AS a
         LIMIT $10) AS counted
