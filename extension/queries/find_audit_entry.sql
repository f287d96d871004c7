-- Reads the entry $3 of the audit log in LiteLLM's shape. $1: only if it is in the log of one of these organizations,
-- null for all. Unless $2, the log of an organization begins when that was made.
WITH RECURSIVE with_entries AS ( -- The organizations that have entries, from one to the next as the index has them.
    (SELECT organization_id FROM org.audit_log WHERE $1 IS NULL ORDER BY organization_id LIMIT 1)
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
    SELECT named.id, CASE WHEN $2 THEN timestamptz '-infinity' ELSE o.created_at END
      FROM unnest($1) AS named (id)
      LEFT JOIN org.organization o ON o.organization_id = named.id
)
SELECT a.audit_id AS id, a.occurred_at AS updated_at, a.actor AS changed_by, a.key_id AS changed_by_api_key,
       CASE WHEN a.before IS NULL THEN 'created'
            WHEN a.after IS NULL THEN 'deleted'
            WHEN a.kind = 'api_key' AND a.action = 'key_regenerate' THEN 'rotated'
            WHEN a.after -> 'blocked' = 'true' THEN 'blocked'
            WHEN a.after -> 'blocked' = 'false' THEN 'unblocked'
            ELSE 'updated' END AS action,
       CASE a.kind WHEN 'organization' THEN 'LiteLLM_OrganizationTable'
                   WHEN 'budget' THEN 'LiteLLM_BudgetTable'
                   WHEN 'user' THEN 'LiteLLM_UserTable'
                   WHEN 'membership' THEN 'LiteLLM_OrganizationMembership'
                   WHEN 'team' THEN 'LiteLLM_TeamTable'
                   WHEN 'team_member' THEN 'LiteLLM_TeamMembership'
                   WHEN 'api_key' THEN 'LiteLLM_VerificationToken'
                   WHEN 'end_user' THEN 'LiteLLM_EndUserTable'
                   ELSE a.kind END AS table_name,
       a.id AS object_id, a.before AS before_value, a.after AS updated_values,
       nullif(a.organization_id, '') AS organization_id
  FROM log l
  JOIN org.audit_log a ON a.organization_id = l.organization_id AND a.occurred_at >= l.since
 WHERE a.audit_id = $3
 LIMIT 1
