-- The data for measurements: organizations "1" to :organizations, with 5 members and 2 teams each.
\set ON_ERROR_STOP on

INSERT INTO org.budget (budget_id, max_budget, tpm_limit, rpm_limit, budget_duration, budget_reset_at,
                        created_by, updated_by)
SELECT kind || n, n * 0.25, n * 100, n, '30d', now() + interval '30 days', 'default_user_id', 'default_user_id'
FROM generate_series(1, :organizations) AS n, (VALUES ('organization-'), ('member-')) AS kinds (kind);

INSERT INTO org.organization (organization_id, organization_alias, budget_id, metadata, models, spend,
                              created_by, updated_by)
SELECT n::text, 'Organization ' || n, 'organization-' || n, jsonb_build_object('tier', n % 3, 'region', 'eu'),
       '{gpt-4o,claude-3-5-sonnet}', n * 0.01, 'default_user_id', 'default_user_id'
FROM generate_series(1, :organizations) AS n;

INSERT INTO org."user" (user_id, user_email, created_by, updated_by)
SELECT format('%s-%s', n, m), format('member%s@organization%s.example', m, n), 'default_user_id', 'default_user_id'
FROM generate_series(1, :organizations) AS n, generate_series(1, 5) AS m;

-- The first administers it and has a budget.
INSERT INTO org.membership (organization_id, user_id, user_role, budget_id, created_by, updated_by)
SELECT n::text, format('%s-%s', n, m), CASE m WHEN 1 THEN 'org_admin' ELSE 'internal_user' END,
       CASE m WHEN 1 THEN 'member-' || n END, 'default_user_id', 'default_user_id'
FROM generate_series(1, :organizations) AS n, generate_series(1, 5) AS m;

INSERT INTO org.team (organization_id, team_id, team_alias, models, tpm_limit, created_by, updated_by)
SELECT n::text, format('%s-team-%s', n, t), 'Team ' || t, '{gpt-4o}', 1000, 'default_user_id', 'default_user_id'
FROM generate_series(1, :organizations) AS n, generate_series(1, 2) AS t;

-- The first three members are in one, the last three in the other.
INSERT INTO org.team_member (organization_id, team_id, user_id, role, created_by, updated_by)
SELECT n::text, format('%s-team-%s', n, t), format('%s-%s', n, m), CASE WHEN m = 3 THEN 'admin' ELSE 'user' END,
       'default_user_id', 'default_user_id'
FROM generate_series(1, :organizations) AS n, (VALUES (1, 1), (1, 2), (1, 3), (2, 3), (2, 4), (2, 5)) AS places (t, m);

SELECT key_generate(user_id => 'default_user_id', key => 'sk-bench', key_alias => 'bench') \g /dev/null

VACUUM ANALYZE org.budget, org.organization, org."user", org.membership, org.team, org.team_member, org.api_key;
