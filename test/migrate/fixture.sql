-- Fills LiteLLM's tables (litellm.sql) with :organizations organizations, :users users and :keys keys, and their spend of
-- the last days. Nothing of it is odd: odd.sql adds that.
SET timezone = 'UTC';
-- A number from 0 to below 1 that a name always has.
CREATE FUNCTION pg_temp.chance(name text) RETURNS double precision LANGUAGE sql IMMUTABLE AS $$
    SELECT ('x' || substr(md5(name), 1, 8))::bit(32)::bigint / 4294967296.0
$$;
CREATE FUNCTION pg_temp.one_of(name text, choices text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT choices[1 + floor(pg_temp.chance(name) * cardinality(choices))::integer]
$$;

INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, soft_budget, tpm_limit, rpm_limit, budget_duration,
       budget_reset_at, model_max_budget, created_at)
SELECT 'budget-of-org-' || o, 1000 + o, 900, CASE WHEN o % 3 = 0 THEN 100000 + o END, CASE WHEN o % 4 = 0 THEN 600 END,
       CASE WHEN o % 2 = 0 THEN '30d' END, CASE WHEN o % 2 = 0 THEN date_trunc('day',
       now()) + '1 day'::interval * (1 + o % 29) END,
       CASE WHEN o % 5 = 0 THEN '{"gpt-4o": {"budget_limit": 20, "time_period": "1d"}}'::jsonb END,
       now() - '400 days'::interval
  FROM generate_series(1, :organizations) AS o;
INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, budget_duration, budget_reset_at)
VALUES ('shared-by-members', 25, '7d', date_trunc('day', now()) + '3 days'), ('shared-by-keys', 40, NULL, NULL),
       ('of-customers', 5, '1d', now() + '5 hours');
INSERT INTO "LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, metadata, models, created_at)
SELECT 'org-' || o, 'Organization ' || o, 'budget-of-org-' || o, jsonb_build_object('number', o),
       CASE WHEN o % 3 = 0 THEN '{gpt-4o,claude-*}'::text[] ELSE '{}' END, now() - '390 days'::interval
  FROM generate_series(1, :organizations) AS o;
INSERT INTO "LiteLLM_UserTable" (user_id, user_alias, user_email, user_role, max_budget, budget_duration,
       budget_reset_at, models, metadata, tpm_limit, created_at)
SELECT 'user-' || u, CASE WHEN u % 2 = 0 THEN 'User ' || u END, 'user-' || u || '@example.com',
       pg_temp.one_of('role' || u, '{internal_user,internal_user,internal_user_viewer,proxy_admin_viewer}'),
       CASE WHEN u % 4 = 0 THEN 500 END, CASE WHEN u % 8 = 0 THEN '1mo' END, CASE WHEN u % 8 = 0
       THEN date_trunc('month', now()) + '1 month' END,
       '{}', '{}', CASE WHEN u % 10 = 0 THEN 50000 END, now() - '380 days'::interval
  FROM generate_series(1, :users) AS u;
INSERT INTO "LiteLLM_ModelTable" (aliases) SELECT '{"fast": "gpt-4o-mini"}'::jsonb FROM generate_series(1,
       1 + :organizations / 10);
-- Two teams in each organization, with members on their lists, and a few teams of the platform.
INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, organization_id, members_with_roles, metadata, max_budget,
       budget_duration, budget_reset_at,
                                 models, tpm_limit, max_parallel_requests, created_at, model_id)
SELECT 'team-' || t, 'Team ' || t, CASE WHEN t <= 2 * :organizations THEN 'org-' || 1 + (t - 1) / 2 END,
       (SELECT jsonb_agg(DISTINCT jsonb_build_object('user_id', 'user-' || 1 + (t * 7 + m) % :users, 'role', CASE m
       WHEN 0 THEN 'admin' ELSE 'user' END))
          FROM generate_series(0, least(3, :users - 1)) AS m),
       CASE WHEN t % 6 = 0 THEN '{"tags": ["prod"], "model_rpm_limit": {"gpt-4o": 60}, "cost_center": 7}'::jsonb
       ELSE '{}' END,
       CASE WHEN t % 2 = 0 THEN 400 END, CASE WHEN t % 4 = 0 THEN '7d' END, CASE WHEN t % 4 = 0 THEN date_trunc('day',
       now()) + '2 days' END,
       CASE WHEN t % 3 = 0 THEN '{gpt-4o}'::text[] ELSE '{}' END, CASE WHEN t % 5 = 0 THEN 90000 END, CASE
       WHEN t % 7 = 0 THEN 12 END,
       now() - '370 days'::interval, CASE WHEN t % 20 = 0 THEN t / 20 END
  FROM generate_series(1, 2 * :organizations + 3) AS t;
UPDATE "LiteLLM_UserTable" u SET teams = t.teams
  FROM (SELECT m ->> 'user_id' AS user_id, array_agg(DISTINCT team_id) AS teams
          FROM "LiteLLM_TeamTable" CROSS JOIN LATERAL jsonb_array_elements(members_with_roles) AS m GROUP BY 1) AS t
 WHERE t.user_id = u.user_id;
INSERT INTO "LiteLLM_OrganizationMembership" (user_id, organization_id, user_role, created_at)
SELECT DISTINCT ON (m ->> 'user_id', organization_id) m ->> 'user_id', organization_id, CASE m ->> 'role'
       WHEN 'admin' THEN 'org_admin' ELSE 'internal_user' END,
       now() - '370 days'::interval
  FROM "LiteLLM_TeamTable" CROSS JOIN LATERAL jsonb_array_elements(members_with_roles) AS m
 WHERE organization_id IS NOT NULL
 ORDER BY m ->> 'user_id', organization_id, m ->> 'role';
INSERT INTO "LiteLLM_TeamMembership" (user_id, team_id, budget_id)
SELECT m ->> 'user_id', team_id, CASE WHEN pg_temp.chance(team_id) < 0.3 THEN 'shared-by-members' END
  FROM "LiteLLM_TeamTable" CROSS JOIN LATERAL jsonb_array_elements(members_with_roles) AS m;
-- Keys of teams, and every tenth of a user alone. The secret of key 7 is sk-7.
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, user_id, team_id, organization_id, models,
       metadata, max_budget, budget_duration, budget_reset_at,
                                         tpm_limit, rpm_limit, max_parallel_requests, expires, blocked, budget_id,
                                         aliases, allowed_routes, model_max_budget, created_at)
SELECT encode(sha256(convert_to('sk-' || k, 'UTF8')), 'hex'), 'sk-...' || right('000' || k, 4), CASE WHEN k % 3 > 0
       THEN 'Key ' || k END,
       CASE WHEN k % 10 = 0 THEN 'user-' || 1 + k % :users ELSE (SELECT members_with_roles -> 0 ->> 'user_id'
       FROM "LiteLLM_TeamTable" WHERE team_id = t.id) END,
       t.id, CASE WHEN k % 2 = 0 THEN (SELECT organization_id FROM "LiteLLM_TeamTable" WHERE team_id = t.id) END,
       CASE WHEN k % 6 = 0 THEN '{gpt-4o}'::text[] ELSE '{}' END,
       CASE WHEN k % 9 = 0 THEN '{"tags": ["batch"], "model_tpm_limit": {"gpt-4o": 5000}, "note": "x"}'::jsonb
       ELSE '{}' END,
       CASE WHEN k % 2 = 0 AND k % 25 > 0 THEN 50 + k % 7 END, CASE WHEN k % 4 = 0 THEN '30d' END, CASE
       WHEN k % 4 = 0 THEN date_trunc('day', now()) + '1 day'::interval * (1 + k % 25) END,
       CASE WHEN k % 5 = 0 THEN 1000 * (1 + k % 9) END, CASE WHEN k % 8 = 0 THEN 30 END, CASE WHEN k % 50 = 0 THEN 4 END,
       CASE WHEN k % 40 = 0 THEN now() + '90 days'::interval WHEN k % 41 = 0 THEN now() - '10 days'::interval END,
       CASE WHEN k % 33 = 0 THEN true END,
       CASE WHEN k % 25 = 0 THEN 'shared-by-keys' END, CASE WHEN k % 30 = 0 THEN '{"best": "gpt-4o"}'::jsonb
       ELSE '{}' END,
       CASE WHEN k % 35 = 0 THEN '{llm_api_routes}'::text[] ELSE '{}' END,
       CASE WHEN k % 45 = 0 THEN '{"gpt-4o": {"budget_limit": 3, "time_period": "1d"}}'::jsonb ELSE '{}' END,
       now() - '300 days'::interval
  FROM generate_series(1, :keys) AS k
 CROSS JOIN LATERAL (SELECT CASE WHEN k % 10 > 0 THEN 'team-' || 1 + k % (2 * :organizations + 3) END AS id) AS t;
INSERT INTO "LiteLLM_EndUserTable" (user_id, alias, budget_id, blocked, spend, default_model)
SELECT 'customer-' || c, 'Customer ' || c, CASE WHEN c % 2 = 0 THEN 'of-customers' END, c % 9 = 0, c % 5, CASE
       WHEN c % 7 = 0 THEN 'gpt-4o' END
  FROM generate_series(1, 1 + :users / 10) AS c;

-- Some keys have spent on each of the last days; every sum is that of its calls.
INSERT INTO "LiteLLM_DailyUserSpend" (user_id, date, api_key, model, prompt_tokens, completion_tokens, spend,
       api_requests, successful_requests, failed_requests)
SELECT user_id, to_char(now() - '1 day'::interval * d, 'YYYY-MM-DD'), token, m.model, 1000 * (d + 1), 100 * (d + 1),
       round((pg_temp.chance(token || d || m.model) * 2)::numeric, 6), 10, 9, 1
  FROM "LiteLLM_VerificationToken"
 CROSS JOIN generate_series(0, 4) AS d
 CROSS JOIN unnest('{gpt-4o,claude-opus}'::text[]) AS m (model)
 WHERE pg_temp.chance(token) < 0.2;
INSERT INTO "LiteLLM_DailyTeamSpend" (team_id, date, api_key, model, prompt_tokens, completion_tokens, spend,
       api_requests, successful_requests, failed_requests)
SELECT k.team_id, date, api_key, model, prompt_tokens, completion_tokens, d.spend, api_requests, successful_requests,
       failed_requests
  FROM "LiteLLM_DailyUserSpend" d JOIN "LiteLLM_VerificationToken" k ON token = api_key
 WHERE k.team_id IS NOT NULL;
-- What each owner has spent since its period began; some keys spent before there were days.
CREATE TEMP TABLE spent AS
SELECT k.token, k.user_id, k.team_id, t.organization_id, d.date::timestamp AS at, d.spend
  FROM "LiteLLM_DailyUserSpend" d JOIN "LiteLLM_VerificationToken" k ON token = api_key LEFT
         JOIN "LiteLLM_TeamTable" t ON t.team_id = k.team_id
 UNION ALL
SELECT token, user_id, k.team_id, organization_id, (now() - '100 days'::interval)::timestamp, 1.5
  FROM (SELECT token, user_id, team_id FROM "LiteLLM_VerificationToken") k LEFT JOIN "LiteLLM_TeamTable" t USING (team_id)
 WHERE pg_temp.chance('before' || token) < 0.1;
CREATE FUNCTION pg_temp.counts(at timestamp, duration text,
       reset_at timestamp) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT duration IS NULL OR at >= reset_at - CASE duration WHEN '1mo' THEN interval '1 month'
           ELSE duration::interval END
$$;
UPDATE "LiteLLM_VerificationToken" k SET spend = s.sum
  FROM (SELECT s.token, sum(s.spend) FROM spent s JOIN "LiteLLM_VerificationToken" k USING (token)
         WHERE pg_temp.counts(s.at, k.budget_duration, k.budget_reset_at) GROUP BY s.token) AS s
 WHERE k.token = s.token;
UPDATE "LiteLLM_TeamMembership" m SET spend = s.sum
  FROM (SELECT s.team_id, s.user_id, sum(s.spend) FROM spent s JOIN "LiteLLM_TeamMembership" m USING (team_id,
         user_id) LEFT JOIN "LiteLLM_BudgetTable" b USING (budget_id)
         WHERE pg_temp.counts(s.at, b.budget_duration, b.budget_reset_at) GROUP BY s.team_id, s.user_id) AS s
 WHERE m.team_id = s.team_id AND m.user_id = s.user_id;
-- Teams whose identifier ends in 4 had a key that is gone.
UPDATE "LiteLLM_TeamTable" t SET spend = s.sum + CASE WHEN right(t.team_id, 1) = '4' THEN 11.25 ELSE 0 END
  FROM (SELECT s.team_id, sum(s.spend) FROM spent s JOIN "LiteLLM_TeamTable" t USING (team_id)
         WHERE pg_temp.counts(s.at, t.budget_duration, t.budget_reset_at) GROUP BY s.team_id) AS s
 WHERE t.team_id = s.team_id;
UPDATE "LiteLLM_UserTable" u SET spend = s.sum
  FROM (SELECT s.user_id, sum(s.spend) FROM spent s JOIN "LiteLLM_UserTable" u USING (user_id)
         WHERE pg_temp.counts(s.at, u.budget_duration, u.budget_reset_at) GROUP BY s.user_id) AS s
 WHERE u.user_id = s.user_id;
UPDATE "LiteLLM_OrganizationTable" o SET spend = s.sum
  FROM (SELECT s.organization_id, sum(s.spend) + 11.25 * count(DISTINCT s.team_id) FILTER (WHERE right(s.team_id,
         1) = '4') AS sum
          FROM spent s JOIN "LiteLLM_OrganizationTable" o USING (organization_id)
          JOIN "LiteLLM_BudgetTable" b USING (budget_id)
         WHERE pg_temp.counts(s.at, b.budget_duration, b.budget_reset_at) GROUP BY s.organization_id) AS s
 WHERE o.organization_id = s.organization_id;
