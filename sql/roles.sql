-- Permissions: every function is called with a key of every role; each success and
-- each refusal is shown with its message.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

SELECT user_new('admin', user_role => 'proxy_admin', auto_create_key => false),
       user_new('viewer', user_role => 'proxy_admin_viewer', auto_create_key => false),
       user_new('boss', 'boss@example.com', auto_create_key => false),
       user_new('member', auto_create_key => false),
       user_new('reader', user_role => 'internal_user_viewer', auto_create_key => false),
       user_new('stranger', auto_create_key => false) \g /dev/null
SELECT org_new('Acme', 'acme', models => '{gpt-4o}'), org_new('Beta', 'beta'), org_new('Gamma', 'gamma') \g /dev/null
SELECT org_member_add('acme', '[{"role": "org_admin", "user_id": "boss"},
                                {"role": "internal_user", "user_id": "member"},
                                {"role": "internal_user_viewer", "user_id": "reader"},
                                {"role": "internal_user", "user_id": "viewer"}]'),
       org_member_add('beta', '[{"role": "org_admin", "user_id": "stranger"},
                                {"role": "internal_user", "user_id": "boss"}]') \g /dev/null
SELECT team_new('acme', team_id => 'team',
                members_with_roles => '[{"role": "user", "user_id": "member"},
                                         {"role": "admin", "user_id": "reader"}]'),
       team_new('acme', team_id => 'others'), team_new('beta', team_id => 'in-beta') \g /dev/null
SELECT team_permissions_update('team', '{/key/generate}') \g /dev/null
INSERT INTO org.budget (budget_id) VALUES ('gold');
SELECT key_generate(id, key => 'sk-' || id)
  FROM unnest('{admin, viewer, boss, member, reader, stranger}'::text[]) AS id \g /dev/null
-- Two keys have no user: one is of acme, one of no organization. The third confines an admin of acme to beta.
SELECT key_generate(organization_id => 'acme', key => 'sk-of-acme'), key_generate(key => 'sk-free'),
       key_generate('boss', 'beta', key => 'sk-boss-in-beta') \g /dev/null
SELECT fingerprint() AS contents \gset before_

-- Gives the answer to a call with a key of each role, and undoes the call.
CREATE FUNCTION test.rehearse(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    answer = attempt(call);
    RAISE EXCEPTION USING errcode = 'UNDO0';
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
    RETURN answer;
END $$;
CREATE FUNCTION test.by_role(call text) RETURNS TABLE (key text, answer text) LANGUAGE sql AS $$
    SELECT key, rehearse(format('%s%sapi_key => %L)', left(call, -1), CASE WHEN call NOT LIKE '%()' THEN ', ' END,
                                'sk-' || key))
      FROM unnest('{admin, viewer, boss, member, reader, stranger, of-acme, free, boss-in-beta}'::text[]) AS key
$$;

-- Organizations ---------------------------------------------------------------
SELECT * FROM by_role($$org_new('New')$$);
SELECT * FROM by_role($$org_delete('{acme}')$$);
SELECT * FROM by_role($$org_delete('{nowhere}')$$);
SELECT * FROM by_role($$org_update('acme', max_budget => 1)$$);
SELECT * FROM by_role($$org_update('nowhere', max_budget => 1)$$);
SELECT * FROM by_role($$org_patch('acme', '{"max_budget": 1}')$$);
SELECT * FROM by_role($$org_patch('nowhere', '{}')$$);
SELECT * FROM by_role($$org_info('acme')$$);
-- A foreign organization and a missing one give the same answer.
SELECT * FROM by_role($$org_info('gamma')$$);
SELECT * FROM by_role($$org_info('nowhere')$$);
-- All organizations in the list must be the caller's own; a missing one is not.
SELECT * FROM by_role($$org_info_many('{acme}')$$);
SELECT * FROM by_role($$org_info_many('{acme, beta}')$$);
SELECT * FROM by_role($$org_info_many('{nowhere, acme}')$$);
SELECT * FROM by_role($$org_info_many('{gamma, acme}')$$);
SELECT key, (SELECT string_agg(o ->> 'organization_id',
                               ' ') FROM json_array_elements(org_list(api_key => 'sk-' || key)) AS o) AS listed
  FROM unnest('{admin, viewer, boss, member, reader, stranger, of-acme, free, boss-in-beta}'::text[]) AS key;
SELECT org_list(api_key => 'sk-free') AS none, org_list('acme', api_key => 'sk-stranger') AS not_theirs;
-- A page can only begin after an organization that the caller sees.
SELECT * FROM by_role($$org_list(after => 'acme')$$);
SELECT json_array_length(org_list("limit" => 1, after => 'acme', api_key => 'sk-boss')) AS next;

-- Members ---------------------------------------------------------------------
SELECT * FROM by_role($$org_member_add('acme', '{"role": "internal_user", "user_id": "stranger"}')$$);
SELECT * FROM by_role($$org_member_add('nowhere', '{"role": "internal_user", "user_id": "stranger"}')$$);
SELECT * FROM by_role($$org_member_update('acme', 'member', role => 'org_admin')$$);
SELECT * FROM by_role($$org_member_update('nowhere', 'member', role => 'org_admin')$$);
SELECT * FROM by_role($$org_member_delete('acme', 'member')$$);
SELECT * FROM by_role($$org_member_delete('nowhere', 'member')$$);

-- Teams -----------------------------------------------------------------------
SELECT * FROM by_role($$team_new('acme')$$);
SELECT * FROM by_role($$team_new('nowhere')$$);
SELECT * FROM by_role($$team_info('team')$$);
SELECT * FROM by_role($$team_info('team', 'acme')$$);
SELECT * FROM by_role($$team_info('others')$$);

-- Keys ------------------------------------------------------------------------
-- Only a proxy admin can make a key without user, team and organization.
SELECT * FROM by_role($$key_generate()$$);
SELECT * FROM by_role($$key_generate(organization_id => 'acme')$$);
SELECT * FROM by_role($$key_generate(organization_id => 'nowhere')$$);
SELECT * FROM by_role($$key_generate('member', 'acme')$$);
SELECT * FROM by_role($$key_generate('viewer', 'acme')$$);
SELECT * FROM by_role($$key_generate('stranger', 'acme')$$);
-- These keys are in a team.
SELECT * FROM by_role($$key_generate(team_id => 'team')$$);
SELECT * FROM by_role($$key_generate('member', 'acme', 'team')$$);
SELECT * FROM by_role($$key_generate('reader', 'acme', 'team')$$);
SELECT * FROM by_role($$key_generate('member', team_id => 'others')$$);
SELECT * FROM by_role($$key_generate(team_id => 'nowhere')$$);
-- This call chooses the secret.
SELECT * FROM by_role($$key_generate('member', 'acme', 'team', key => 'sk-chosen')$$);
-- Without user_id, a key that a member makes in a team is their own; a key that an admin makes has no user.
BEGIN;
SELECT key_generate(team_id => 'team', api_key => 'sk-member') ->> 'user_id' AS of_member,
       key_generate(team_id => 'team', api_key => 'sk-boss') ->> 'user_id' AS of_boss,
       key_generate(team_id => 'team', api_key => 'sk-admin') ->> 'user_id' AS of_admin;
SELECT key_generate(organization_id => 'acme', api_key => 'sk-boss') ->> 'user_id' AS of_boss,
       key_generate(organization_id => 'acme', team_id => 'team', api_key => 'sk-member') ->> 'user_id' AS of_member;
ROLLBACK;
-- A key that an organization's admin makes for another user lacks that user's platform role, and so does a key made
-- with it; inside the organization it acts as the user.
BEGIN;
SELECT org_member_add('acme', '{"role": "org_admin", "user_id": "admin"}') ->> 'organization_id' AS added_to;
SELECT key_generate('viewer', 'acme', api_key => 'sk-boss') ->> 'key' AS for_viewer \gset
SELECT key_generate('admin', 'acme', api_key => 'sk-boss') ->> 'key' AS for_admin \gset
SELECT key_generate('admin', 'acme', api_key => :'for_admin') ->> 'key' AS of_admin \gset
SELECT key_generate('admin', 'acme', api_key => 'sk-admin') ->> 'key' AS by_admin \gset
SELECT which, (SELECT count(*) FROM json_array_elements(org_list(api_key => key))) AS listed,
       rehearse(format('org_new(%L, api_key => %L)', 'x', key)) AS org_new,
       rehearse(format('team_new(%L, api_key => %L)', 'acme', key)) AS team_new
  FROM (VALUES ('made by boss for viewer', :'for_viewer'), ('made by boss for admin', :'for_admin'),
               ('made with that', :'of_admin'), ('made by admin', :'by_admin')) AS t (which, key);
ROLLBACK;
SELECT * FROM by_role($$key_block('sk-of-acme')$$);
SELECT * FROM by_role($$key_unblock('sk-of-acme')$$);
SELECT * FROM by_role($$key_block('sk-member')$$);
SELECT * FROM by_role($$key_block('sk-unknown')$$);

-- Users and budgets -----------------------------------------------------------
SELECT * FROM by_role($$user_new()$$);
SELECT * FROM by_role($$user_info('member')$$);
SELECT * FROM by_role($$user_info('nobody')$$);
SELECT * FROM by_role($$user_info()$$);
SELECT * FROM by_role($$budget_info('{gold}')$$);

-- The calls changed nothing.
SELECT fingerprint() = :'before_contents' AS unchanged;

-- An organization's admin does not see what a member has in other organizations.
SELECT team_new('gamma', team_id => 'in-gamma'),
       org_member_add('gamma', '{"role": "internal_user", "user_id": "stranger"}') \g /dev/null
SELECT team_new('gamma', team_id => 'of-stranger', members_with_roles => '[{"role": "user", "user_id": "stranger"}]')
       \g /dev/null
SELECT org_member_add('acme', '{"role": "internal_user", "user_id": "stranger"}', api_key => 'sk-boss')
       -> 'updated_users' -> 0 -> 'teams' AS teams_to_boss;
SELECT user_info('stranger', 'sk-boss') -> 'user_info' -> 'teams' AS teams_to_boss;
SELECT org_member_add('acme', '{"role": "internal_user", "user_id": "stranger"}', api_key => 'sk-admin')
       -> 'updated_users' -> 0 -> 'teams' AS teams_to_admin;

-- A change of role takes effect in the next call.
SELECT rehearse($$team_new('acme', api_key => 'sk-member')$$);
SELECT org_member_update('acme', 'member', role => 'org_admin', api_key => 'sk-boss') -> 'user_role' AS role_of_member;
SELECT rehearse($$team_new('acme', api_key => 'sk-member')$$);
SELECT org_member_update('acme', 'boss', role => 'internal_user', api_key => 'sk-member')
       -> 'user_role' AS role_of_boss;
SELECT rehearse($$team_new('acme', api_key => 'sk-boss')$$);
SELECT org_member_delete('acme', 'boss', api_key => 'sk-member') -> 'user_id' AS removed;
SELECT rehearse($$team_new('acme', api_key => 'sk-boss')$$), rehearse($$org_info('acme', api_key => 'sk-boss')$$);

DROP FUNCTION test.by_role, test.rehearse;
CALL clear();
