-- Reads the entry $3 of the audit log in LiteLLM's shape. $1: only if it is in the log of one of these organizations,
-- null for all. Unless $2, the log of an organization begins when that was made.
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
  FROM org.audit_log a
  LEFT JOIN org.organization o USING (organization_id)
 WHERE a.audit_id = $3
   AND ($1 IS NULL OR a.organization_id = ANY ($1) AND ($2 OR a.occurred_at >= o.created_at))
 LIMIT 1
