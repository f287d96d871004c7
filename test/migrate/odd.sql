-- What does not fit, in LiteLLM's tables that fixture.sql has filled.
SET timezone = 'UTC';
INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, budget_duration, rpm_limit, model_max_budget)
VALUES ('odd-amount', 'NaN', NULL, -1, NULL), ('odd-duration', 10, 'monthly', NULL,
       '{"gpt-4o": {"budget_limit": "much"}, "o3": {"budget_limit": 1, "time_period": "1d"}}'),
       ('small', 10, NULL, NULL, NULL), (repeat('b', 300), 1, NULL, NULL, NULL);
INSERT INTO "LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, spend)
VALUES ('odd', E'Odd \u202e<img onerror>', 'odd-amount', 'NaN'), ('small', 'Small', 'small', 0), ('of-odd-duration',
       'Odd duration', 'odd-duration', 0), ('', 'Nameless', 'small', 0);
INSERT INTO "LiteLLM_UserTable" (user_id, user_email, user_role, created_at, spend, metadata)
VALUES ('twin-1', 'Twin@example.com ', 'internal_user', now() - '10 days'::interval, 0, '{}'), ('twin-2',
       'twin@EXAMPLE.com', 'customer', now() - '9 days'::interval, -3, '"{\"a\": 1}"'),
       ('default_user_id', NULL, 'internal_user', now() - '100 days'::interval, 0, '{}');
INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, organization_id, members_with_roles, max_budget, admins, members,
       metadata, created_at)
VALUES ('above', 'Above', 'small',
       '[{"user_id": "twin-1", "role": "admin"}, {"user_id": "nobody", "role": "user"}, {"user_id": null, "user_email": "user-1@example.com", "role": "user"}]',
        100, NULL, NULL, '{"team_member_budget_id": "shared-by-members", "model_rpm_limit": {"gpt-4o": 5, "o3": "many"}}', now() - '8 days'::interval),
       ('dangling', 'Dangling', 'gone', '{}', NULL, '{twin-1}', '{twin-1,twin-2,nobody}', '{}',
       now() - '8 days'::interval);
INSERT INTO "LiteLLM_TeamMembership" (user_id, team_id, spend) VALUES ('user-2', 'above', 1);
INSERT INTO "LiteLLM_OrganizationMembership" (user_id, organization_id, user_role)
VALUES ('nobody', 'small', 'org_admin'), ('twin-2', 'gone', 'org_admin'), ('twin-2', 'small', 'proxy_admin');
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, user_id, team_id, organization_id, permissions,
       auto_rotate, spend, created_at)
VALUES ('sk-in-plain-text', 'sk-...text', 'plain', 'twin-1', NULL, NULL, '{}', false, 0, now()),
       (encode(sha256('sk-of-nobody'), 'hex'), 'sk-...body', 'of nobody', 'nobody', NULL, NULL,
       '{"usage": true, "get_spend_routes": true, "level": 3}', true, 'Infinity', now()),
       (encode(sha256('sk-without-team'), 'hex'), 'sk-...team', 'without team', 'twin-1', 'gone', NULL, '{}', false, 2,
       now()),
       (encode(sha256('sk-without-org'), 'hex'), 'sk-....org', 'without organization', 'twin-1', NULL, 'gone', '{}',
       false, 0, now()),
       (encode(sha256('sk-elsewhere'), 'hex'), 'sk-...here', 'elsewhere', 'twin-1', 'above', 'odd', '{}', false, 0,
       now()),
       (encode(sha256('sk-session'), 'hex'), 'sk-...sion', NULL, 'default_user_id', 'litellm-dashboard', NULL, '{}',
       false, 0, now()),
       (encode(sha256('sk-reset'), 'hex'), 'sk-...eset', 'reset', 'twin-1', NULL, NULL, '{}', false, 3,
       now() - '50 days'::interval);
INSERT INTO "LiteLLM_DeletedVerificationToken" (token, key_name, key_alias, user_id, team_id, created_at, deleted_at)
VALUES (encode(sha256('sk-deleted'), 'hex'), 'sk-...eted', 'a deleted key', 'user-1', 'team-1',
       now() - '50 days'::interval, now() - '2 days'::interval);
INSERT INTO "LiteLLM_DailyUserSpend" (user_id, date, api_key, model, spend, api_requests)
SELECT 'twin-1', to_char(now() - '1 day'::interval * d, 'YYYY-MM-DD'), encode(sha256('sk-reset'), 'hex'), 'o3', 1.25,
       1 FROM generate_series(1, 6) AS d
 UNION ALL
SELECT 'user-1', to_char(now() - '3 days'::interval, 'YYYY-MM-DD'), encode(sha256('sk-deleted'), 'hex'), 'o3', 0.5, 2
 UNION ALL
SELECT 'user-1', 'yesterday', encode(sha256('sk-deleted'), 'hex'), 'o3', 1, 1
 UNION ALL
SELECT 'user-1', to_char(now(), 'YYYY-MM-DD'), encode(sha256('sk-deleted'), 'hex'), 'o3', 'NaN', 1;
UPDATE "LiteLLM_TeamTable" SET spend = spend + 0.5 WHERE team_id = 'team-1';
UPDATE "LiteLLM_OrganizationTable" SET spend = spend + 0.5 WHERE organization_id = 'org-1';
UPDATE "LiteLLM_UserTable" SET spend = spend + 0.5 WHERE user_id = 'user-1';
UPDATE "LiteLLM_UserTable" SET spend = 3 + 2 WHERE user_id = 'twin-1';
INSERT INTO "LiteLLM_EndUserTable" (user_id, spend) VALUES ('odd-customer', 'NaN');
INSERT INTO "LiteLLM_TagTable" (tag_name, budget_id, spend) VALUES ('prod', 'small', 3), ('unlimited', NULL, 0);
