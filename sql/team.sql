-- Teams inside organizations: team_new, team_info.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

SELECT org_new('Acme', 'acme', models => '{gpt-4o, openai/*}'), org_new('Beta', 'beta') \g /dev/null
SELECT user_new('ann', 'Ann@example.com', auto_create_key => false), user_new('bob', auto_create_key => false),
       user_new('eve', 'eve@example.com', auto_create_key => false) \g /dev/null
SELECT org_member_add('acme', '[{"role": "org_admin", "user_id": "ann"}, {"role": "internal_user", "user_id": "bob"}]')
       \g /dev/null

-- team_new --------------------------------------------------------------------
-- This is the whole reply with every field given.
SELECT reply(team_new('acme', 'Team', 'team', '{gpt-4o, openai/gpt-4o}', '[{"role": "user", "user_id": "bob"},
                      {"role": "admin", "user_email": "ANN@example.com"}]', '{"color": "red"}', 100, 5, 6, 7, '30d',
                      true))
       \g (format=unaligned tuples_only=on)
-- Only the organization is required; a null counts as an absent field.
SELECT reply(team_new('acme')) \g (format=unaligned tuples_only=on)
SELECT masked(team_new('acme', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::text)
       = masked(team_new('acme')::text) AS same;
SELECT created_by, updated_by, created_at + interval '30 days' - budget_reset_at < '1 min' AS resets_after_duration
  FROM org.team WHERE team_id = 'team';

-- A team's identifier is unique on the whole platform.
SELECT team_new('beta', 'Other', 'other') -> 'organization_id' AS organization_id;
-- People who are not members of the organization become members, unknown ones users.
SELECT team_new('acme', team_id => 'open', members_with_roles => '[{"role": "user", "user_email": "eve@EXAMPLE.com"},
                                                                   {"role": "user", "user_id": "fay"}]')
       -> 'members_with_roles' AS members;
SELECT user_id, user_role FROM org.membership WHERE organization_id = 'acme' AND user_id IN ('eve', 'fay') ORDER BY 1;
-- The list of members may be empty; a member who is named twice gets one row with the last role.
SELECT team_new('acme', team_id => 'nobody', members_with_roles => '[]') -> 'members_with_roles' AS members;
SELECT reply -> 'members_with_roles' AS members
  FROM team_new('acme', team_id => 'twice',
                members_with_roles => '[{"role": "user", "user_id": "bob"}, {"role": "admin", "user_id": "bob"}]')
                AS reply;
-- An empty user_id counts as absent.
SELECT team_new('acme', team_id => 'by email',
                members_with_roles => '[{"role": "user", "user_id": "", "user_email": "ann@example.com"}]')
                -> 'members_with_roles' AS members;

-- A team's models must be among the organization's, by name or wildcard; an empty list means all of those.
SELECT models, attempt(format('team_new(%L, models => %L)', 'acme', models)) AS in_acme,
       attempt(format('team_new(%L, models => %L)', 'beta', models)) AS in_beta
  FROM unnest('{"{}", "{gpt-4o}", "{openai/o1, openai/*}", "{claude-3}", "{gpt-4o, claude-3}",
                "{*}", "{all-proxy-models}", "{all-team-models}", "{\"\"}"}'::text[]) AS models;

SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$team_new('nowhere')$$),
    ($$team_new('acme', team_id => 'team')$$),
    ($$team_new('beta', team_id => 'team')$$),
    ($$team_new('acme', team_id => '')$$),
    ($$team_new('acme', team_id => repeat('x', 256))$$),
    ($$team_new('acme', models => '{NULL}')$$),
    ($$team_new('acme', metadata => '[]')$$),
    ($$team_new('acme', max_budget => -1)$$),
    ($$team_new('acme', max_budget => 'NaN')$$),
    ($$team_new('acme', max_budget => 'Infinity')$$),
    ($$team_new('acme', max_budget => 1e16)$$),
    ($$team_new('acme', tpm_limit => -1)$$),
    ($$team_new('acme', rpm_limit => -1)$$),
    ($$team_new('acme', max_parallel_requests => -1)$$),
    ($$team_new('acme', budget_duration => '30days')$$)) AS t (call);
SELECT members, attempt(format('team_new(%L, members_with_roles => %L)', 'acme', members)) FROM (VALUES
    ('null'),
    ('{}'),
    ('"ann"'),
    ('[null]'),
    ('["ann"]'),
    ('[{}]'),
    ('[{"user_id": "ann"}]'),
    ('[{"role": "org_admin", "user_id": "ann"}]'),
    ('[{"role": 1, "user_id": "ann"}]'),
    ('[{"role": "user"}]'),
    ('[{"role": "user", "user_id": "", "user_email": ""}]'),
    ('[{"role": "user", "user_id": 1}]')) AS t (members);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;

-- team_info -------------------------------------------------------------------
-- The whole reply has the team, its keys, and its members with their budgets.
SELECT key_generate('bob', 'acme', 'team', '{gpt-4o}', '1d', 'Bob''s', '{"a": 1}', '{}',
                    'sk-abcdefghijklmnop0000')
       \g /dev/null
INSERT INTO org.budget (budget_id, max_budget, created_by, updated_by) VALUES ('gold', 3, 'ann', 'ann');
UPDATE org.team_member SET budget_id = 'gold', spend = 1.25
WHERE (organization_id, team_id, user_id) = ('acme', 'team', 'bob');
SELECT reply(team_info('team', 'acme')) \g (format=unaligned tuples_only=on)
SELECT team_info('nobody') -> 'keys' AS keys, team_info('nobody') -> 'team_memberships' AS team_memberships;
SELECT team_info('nobody', NULL) -> 'team_id' AS team_id;
-- With an organization, only a team of that organization is found.
SELECT call, attempt(call) FROM (VALUES
    ($$team_info(NULL)$$),
    ($$team_info('team', 'beta')$$),
    ($$team_info('team', 'nowhere')$$),
    ($$team_info('nobody', 'beta')$$),
    ($$team_info('nowhere')$$),
    ($$team_info('')$$)) AS t (call);
-- A team is found in its own organization.
SELECT team_info('other', 'beta') -> 'team_info' -> 'team_alias' AS alias;

-- team_update, team_block -----------------------------------------------------
SELECT reply(team_update('team', team_alias => 'Renamed', max_budget => 50, models => '{gpt-4o}', blocked => false))
       \g (format=unaligned tuples_only=on)
SELECT team_update('team', clear => '{max_budget}') -> 'data' -> 'max_budget' AS cleared;
SELECT team_block('team') -> 'blocked' AS blocked, attempt($$org_list(api_key => 'sk-abcdefghijklmnop0000')$$) AS its_key;
SELECT team_unblock('team') -> 'blocked' AS blocked, attempt($$org_list(api_key => 'sk-abcdefghijklmnop0000')$$) AS its_key;
SELECT call, attempt(call) FROM (VALUES
    ($$team_update(NULL)$$),
    ($$team_update('nowhere')$$),
    ($$team_update('team', max_budget => -1)$$),
    ($$team_block('nowhere')$$),
    ($$team_unblock(NULL)$$)) AS t (call);

-- team_member_add, team_member_update, team_member_delete ---------------------
SELECT reply -> 'members_with_roles' AS members, reply -> 'updated_users' -> 0 -> 'user_id' AS user_id,
       reply -> 'updated_team_memberships' -> 0 -> 'max_budget_in_team' AS max_budget_in_team
  FROM team_member_add('nobody', '{"role": "user", "user_id": "bob"}', max_budget_in_team => 5) AS reply;
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$team_member_add('nobody', '[{"role": "user", "user_id": "ann"}, {"role": "user", "user_email": "none"}]')$$),
    ($$team_member_add('nobody', '{"role": "king", "user_id": "ann"}')$$),
    ($$team_member_add('nowhere', '{"role": "user", "user_id": "ann"}')$$),
    ($$team_member_update('nobody', 'ann', role => 'admin')$$),
    ($$team_member_update('nobody', 'bob', role => 'king')$$),
    ($$team_member_delete('nobody', 'ann')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;
SELECT masked(team_member_update('nobody', 'bob', role => 'admin', max_budget_in_team => 6)::text) \g (format=unaligned tuples_only=on)
-- Their keys of the team go with them, and no others.
SELECT key_generate('bob', team_id => 'nobody', key => 'sk-bob-nobody'), key_generate('bob', key => 'sk-bob') \g /dev/null
SELECT team_member_delete('nobody', 'bob') -> 'members_with_roles' AS members;
SELECT attempt($$org_list(api_key => 'sk-bob-nobody')$$) AS key_of_team, attempt($$org_list(api_key => 'sk-bob')$$) AS own_key;

-- team_list -------------------------------------------------------------------
CREATE FUNCTION test.ids(teams json) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(t ->> 'team_id', ' ' ORDER BY t ->> 'team_id') FROM json_array_elements(teams) AS t
     WHERE t ->> 'team_id' !~ '^[0-9a-f]{8}-'
$$;
SELECT ids(team_list(organization_id => 'acme')) AS of_organization, ids(team_list(user_id => 'bob')) AS of_user,
       ids(team_list(team_alias => 'RENAM')) AS by_part_of_alias, ids(team_list(organization_id => 'beta', team_alias => 'renam')) AS none;
DROP FUNCTION test.ids;

-- team_delete -----------------------------------------------------------------
SELECT attempt($$team_delete('{team, nowhere}')$$) AS all_or_none;
SELECT team_id FROM json_to_recordset(team_delete('{team, team}')) AS receipt (team_id text);
SELECT attempt($$org_list(api_key => 'sk-abcdefghijklmnop0000')$$) AS its_key, attempt($$team_delete('{team}')$$) AS gone;

CALL clear();
