-- Memberships: org_member_add, org_member_update, org_member_delete.  budget.sql also
-- tests their budgets, and roles.sql tests permissions.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

CREATE FUNCTION test.members(organization_id text) RETURNS TABLE (
    user_id text, user_role text, user_email text, max_budget json) LANGUAGE sql AS $$
    SELECT masked(m ->> 'user_id'), m ->> 'user_role', m ->> 'user_email', m -> 'litellm_budget_table' -> 'max_budget'
      FROM json_array_elements(org_info(organization_id) -> 'members') AS m
$$;
SELECT org_new('Acme', 'acme'), org_new('Beta', 'beta') \g /dev/null
SELECT user_new('ann', 'Ann@Example.com', auto_create_key => false), user_new('bob', auto_create_key => false),
       user_new('twin-1', 'twin@example.com', auto_create_key => false),
       user_new('twin-2', auto_create_key => false) \g /dev/null

-- org_member_add --------------------------------------------------------------
-- This is the whole reply.
SELECT reply(org_member_add('acme', '{"role": "org_admin", "user_id": "ann"}', 12.50))
       \g (format=unaligned tuples_only=on)
-- The argument can be a list, also an empty one.
SELECT org_member_add('acme', '[]');
SELECT json_array_length(org_member_add('acme', '[{"role": "internal_user", "user_id": "bob"}]') -> 'updated_users')
       AS users;
SELECT * FROM members('acme');

-- A user is named by identifier or by e-mail address in any case; an unknown one becomes a new internal_user.
CREATE FUNCTION test.user_added(organization_id text, member json) RETURNS text LANGUAGE sql AS $$
    SELECT masked(concat_ws(' ', u ->> 'user_id', u ->> 'user_email', u ->> 'user_role'))
      FROM json_array_elements(org_member_add(organization_id, member) -> 'updated_users') AS u
$$;
SELECT user_added('acme', '{"role": "internal_user", "user_id": "cid"}');
SELECT user_added('beta', '{"role": "internal_user", "user_email": "ANN@example.COM"}');
SELECT user_added('beta', '{"role": "internal_user", "user_email": "New@Example.com"}');
SELECT user_added('acme', '{"role": "org_admin", "user_email": "new@example.com"}');
SELECT user_added('acme', '{"role": "internal_user", "user_id": "dan", "user_email": "Dan@example.com"}');
-- If both are given, both must fit; a proxy admin's call gives the address to a user who has none.
SELECT user_added('beta', '{"role": "org_admin", "user_id": "dan", "user_email": "dan@EXAMPLE.com"}');
SELECT user_added('beta', '{"role": "org_admin", "user_id": "bob", "user_email": "bob@example.com"}');
SELECT user_email FROM org."user" WHERE user_id = 'bob';
-- Empty and null fields count as absent; unknown fields are ignored.
SELECT user_added('beta', '{"role": "internal_user", "user_id": "", "user_email": "ann@example.com"}');
SELECT user_added('beta', '{"role": "internal_user", "user_id": "ann", "user_email": ""}');
SELECT user_added('beta', '{"role": "internal_user", "user_id": null, "user_email": "ann@example.com", "x": [1]}');
SELECT * FROM members('acme');
SELECT * FROM members('beta');
SELECT masked(user_id) AS user_id, user_email, user_role, created_by FROM org."user"
 ORDER BY user_email COLLATE "C", user_id;

-- Adding a member again sets the role, and the budget only if one is given; there is still one row.
UPDATE org.membership SET created_at = '2026-01-01Z', updated_at = '2026-01-01Z', created_by = 'somebody',
       updated_by = 'somebody'
 WHERE (organization_id, user_id) = ('acme', 'ann');
CREATE VIEW test.ann AS
    SELECT user_role, max_budget, m.created_by, m.updated_by, m.created_at, m.updated_at > m.created_at AS updated,
           budget_id
      FROM org.membership m LEFT JOIN org.budget b USING (budget_id) WHERE (organization_id, user_id) = ('acme', 'ann');
SELECT budget_id AS budget_of_ann FROM ann \gset
SELECT org_member_add('acme', '{"role": "internal_user_viewer", "user_id": "ann"}') \g /dev/null
SELECT user_role, max_budget, created_by, updated_by, created_at, updated, budget_id = :'budget_of_ann' AS same_budget
  FROM ann;
SELECT org_member_add('acme', '{"role": "org_admin", "user_id": "ann"}', 0) \g /dev/null
SELECT user_role, max_budget, created_by, updated_by, created_at, updated, budget_id = :'budget_of_ann' AS same_budget
  FROM ann;
DROP VIEW test.ann;

-- The reply keeps the order of the list, for known and new users; each member has a budget of their own.
SELECT string_agg(masked(u ->> 'user_id') || coalesce(' ' || (u ->> 'user_email'), ''), ', ' ORDER BY place) AS users
  FROM json_array_elements(org_member_add('acme', '[{"role": "internal_user", "user_id": "zoe"},
           {"role": "org_admin", "user_email": "m@example.com"}, {"role": "internal_user", "user_id": "yan"},
           {"role": "internal_user_viewer", "user_email": "ann@example.com"},
           {"role": "org_admin", "user_id": "bob"}]', 3)
       -> 'updated_users') WITH ORDINALITY AS t (u, place);
SELECT * FROM members('acme');
SELECT count(DISTINCT budget_id) AS budgets, count(budget_id) AS members_with_budget
  FROM org.membership WHERE organization_id = 'acme';
-- A user who is named twice gets one row with the last role, which every entry of the reply shows.
SELECT json_array_length(reply -> 'updated_users') AS users, reply -> 'updated_organization_memberships' -> 0
       -> 'user_role' AS first,
       reply -> 'updated_organization_memberships' -> 1 -> 'user_role' AS second,
       reply -> 'updated_users' -> 0 ->> 'user_id' = reply -> 'updated_users' -> 1 ->> 'user_id' AS same_user
  FROM org_member_add('acme', '[{"role": "org_admin", "user_email": "double@example.com"},
                                {"role": "internal_user", "user_email": "DOUBLE@example.com"}]', 4) AS reply;
SELECT count(*) FROM org."user" WHERE lower(user_email) = 'double@example.com';
SELECT unowned_budgets();

-- A list is added whole or not at all: a refusal changes nothing.
SELECT fingerprint() AS contents \gset before_
SELECT member, attempt(format('org_member_add(%L, %L)', 'acme', member)) FROM (VALUES
    (NULL),
    ('null'),
    ('"ann"'),
    ('1'),
    ('{}'),
    ('[null]'),
    ('["ann"]'),
    ('[[]]'),
    ('[{"role": "org_admin", "user_id": "eve"}, {}]'),
    ('{"user_id": "ann"}'),
    ('{"role": null, "user_id": "ann"}'),
    ('{"role": "", "user_id": "ann"}'),
    ('{"role": "admin", "user_id": "ann"}'),
    ('{"role": "proxy_admin", "user_id": "ann"}'),
    ('{"role": "ORG_ADMIN", "user_id": "ann"}'),
    ('{"role": ["org_admin"], "user_id": "ann"}'),
    ('{"role": "org_admin"}'),
    ('{"role": "org_admin", "user_id": null, "user_email": null}'),
    ('{"role": "org_admin", "user_id": "", "user_email": ""}'),
    ('{"role": "org_admin", "user_id": 1}'),
    ('{"role": "org_admin", "user_email": {"a": 1}}'),
    ('{"role": "org_admin", "user_id": "twin-2", "user_email": "twin@example.com"}'),
    ('{"role": "org_admin", "user_email": "no address"}'),
    ('{"role": "org_admin", "user_id": "ann", "user_email": "other@example.com"}'),
    ('{"role": "org_admin", "user_id": "eve", "user_email": "twin@example.com"}'),
    ('[{"role": "org_admin", "user_id": "eve"}, {"role": "org_admin", "user_id": "ann", "user_email": "twin@example.com"}]'),
    ('[{"role": "org_admin", "user_email": "eve@example.com"}, {"role": "boss", "user_id": "ann"}]'),
    ('[{"role": "org_admin", "user_id": "ann"}, {"role": "org_admin"}]')) AS t (member);
SELECT call, attempt(call) FROM (VALUES
    ($$org_member_add(NULL, '{"role": "org_admin", "user_id": "ann"}')$$),
    ($$org_member_add('nowhere', '{"role": "org_admin", "user_id": "eve"}')$$),
    ($$org_member_add('', '[]')$$),
    ($$org_member_add('acme', '{"role": "org_admin", "user_id": "ann"}', -1)$$),
    ($$org_member_add('acme', '{"role": "org_admin", "user_id": "ann"}', 'NaN')$$),
    ($$org_member_add('acme', '{"role": "org_admin", "user_id": "ann"}', 'Infinity')$$),
    ($$org_member_add('acme', json_build_object('role', 'org_admin', 'user_id', repeat('x', 256)))$$),
    ($$org_member_add('acme', json_build_array(json_build_object('role', 'org_admin',
                                                                'user_email', repeat('x', 256))))$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;

-- org_member_update -----------------------------------------------------------
CALL clear();
SELECT org_new('Acme', 'acme'), org_new('Beta', 'beta') \g /dev/null
SELECT user_new('ann', 'Ann@example.com', auto_create_key => false), user_new('bob', auto_create_key => false),
       user_new('twin-1', auto_create_key => false),
       user_new('twin-2', 'twin@example.com', auto_create_key => false),
       user_new('eve', 'eve@example.com', auto_create_key => false) \g /dev/null
SELECT org_member_add('acme', '[{"role": "internal_user", "user_id": "ann"}, {"role": "org_admin", "user_id": "bob"},
           {"role": "internal_user", "user_id": "twin-1"}, {"role": "internal_user", "user_id": "twin-2"}]'),
       org_member_add('beta', '[{"role": "internal_user", "user_id": "ann"},
                                {"role": "internal_user", "user_id": "twin-2"}]') \g /dev/null
UPDATE org.membership SET created_at = '2026-01-01Z', updated_at = '2026-01-01Z', created_by = 'somebody',
       updated_by = 'somebody';
-- This is the whole reply.
SELECT reply(org_member_update('acme', 'ann', role => 'internal_user_viewer', max_budget_in_organization => 7))
       \g (format=unaligned tuples_only=on)
SELECT organization_id, user_id, user_role, created_by, updated_by, updated_at > created_at AS updated
  FROM org.membership ORDER BY 1, 2;
-- Without role and budget nothing changes.
SELECT fingerprint() AS contents \gset before_
SELECT org_member_update('acme', 'ann') -> 'user_role' AS user_role,
       org_member_update('acme', 'bob', NULL, NULL, NULL, NULL) -> 'budget_id' AS budget_id;
SELECT org_member_update('acme', 'bob', clear => '{}') -> 'user_role' AS user_role,
       org_member_update('acme', 'bob', clear => '{max_budget_in_organization}') -> 'budget_id' AS nothing_to_clear,
       org_member_update('acme', 'bob', clear => '{role}') -> 'user_role' AS never_null;
SELECT fingerprint() = :'before_contents' AS unchanged;
-- Each field can be changed alone.
SELECT * FROM members('acme');
SELECT org_member_update('acme', user_email => 'ANN@EXAMPLE.COM', role => 'org_admin') -> 'user_id' AS by_email;
SELECT budget_id AS budget_of_ann FROM org.membership WHERE (organization_id, user_id) = ('acme', 'ann') \gset
SELECT org_member_update('acme', 'ann', max_budget_in_organization => 0.1234567890123456789)
       ->> 'budget_id' = :'budget_of_ann' AS same_budget;
SELECT * FROM members('acme');
-- clear resets the budget, even if the call gives an amount as well.
SELECT org_member_update('acme', 'ann', clear => '{max_budget_in_organization}')
       ->> 'budget_id' = :'budget_of_ann' AS same_budget;
SELECT org_member_update('acme', 'bob', max_budget_in_organization => 5, clear => '{max_budget_in_organization}')
       -> 'budget_id' AS budget_id;
SELECT * FROM members('acme');
SELECT unowned_budgets();
-- The identifier takes precedence over the address.
SELECT org_member_update('acme', 'ann', 'twin@example.com', 'internal_user') -> 'user_id' AS user_id;
SELECT org_member_update('acme', '', 'ann@example.com') -> 'user_id' AS user_id;
SELECT org_member_update('beta', user_email => 'Twin@example.com', role => 'org_admin') -> 'user_id' AS user_id;
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$org_member_update(NULL, 'ann')$$),
    ($$org_member_update('acme')$$),
    ($$org_member_update('acme', '', '')$$),
    ($$org_member_update('nowhere', 'ann')$$),
    ($$org_member_update('acme', 'eve', role => 'org_admin')$$),
    ($$org_member_update('acme', 'nobody')$$),
    ($$org_member_update('acme', 'ann@example.com')$$),
    ($$org_member_update('acme', user_email => 'eve@example.com')$$),
    ($$org_member_update('acme', 'eve', 'ann@example.com')$$),
    ($$org_member_update('acme', 'ann', role => 'proxy_admin')$$),
    ($$org_member_update('acme', 'ann', role => '')$$),
    ($$org_member_update('acme', 'ann', role => 'org_admin', max_budget_in_organization => -1)$$),
    ($$org_member_update('acme', 'ann', max_budget_in_organization => 'NaN')$$),
    ($$org_member_update('acme', 'ann', clear => '{spend}')$$),
    ($$org_member_update('acme', 'ann', clear => '{max_budget_in_organization, NULL}')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;

-- org_member_delete -----------------------------------------------------------
SELECT team_new('acme', team_id => 'team',
                members_with_roles => '[{"role": "admin", "user_id": "ann"}, {"role": "user", "user_id": "bob"}]'),
       team_new('beta', team_id => 'beta team', members_with_roles => '[{"role": "user", "user_id": "ann"}]') \g /dev/null
SELECT key_generate('ann', 'acme', 'team', key => 'sk-ann-team'), key_generate('ann', 'acme', key => 'sk-ann-acme'),
       key_generate('ann', 'beta', key => 'sk-ann-beta'), key_generate('ann', key => 'sk-ann'),
       key_generate('bob', 'acme', 'team', key => 'sk-bob-team'), key_generate(NULL, 'acme', 'team', key => 'sk-team')
       \g /dev/null
SELECT org_member_update('acme', 'ann', max_budget_in_organization => 7) \g /dev/null
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$org_member_delete(NULL, 'ann')$$),
    ($$org_member_delete('acme')$$),
    ($$org_member_delete('acme', '', '')$$),
    ($$org_member_delete('nowhere', 'ann')$$),
    ($$org_member_delete('acme', 'eve')$$),
    ($$org_member_delete('acme', user_email => 'eve@example.com')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;
-- The whole reply is the membership that was deleted.
SELECT reply(org_member_delete('acme', 'ann')) \g (format=unaligned tuples_only=on)
SELECT attempt($$org_member_delete('acme', 'ann')$$);
-- The user stays, but loses the teams and keys of this organization; other users and organizations lose nothing.
SELECT user_info('ann') -> 'user_info' -> 'teams' AS teams, team_info('team', 'acme') -> 'team_info'
       -> 'members' AS members;
SELECT organization_id, user_id FROM org.membership ORDER BY 1, 2;
SELECT key, attempt(format('org_list(api_key => %L)', key))
  FROM unnest('{sk-ann-team, sk-ann-acme, sk-ann-beta, sk-ann, sk-bob-team, sk-team}'::text[]) AS key;
SELECT unowned_budgets();
-- A member can be named by address; a former member who is added again starts anew.
SELECT org_member_delete('beta', user_email => 'TWIN@example.com') -> 'user_id' AS user_id;
SELECT user_added('acme', '{"role": "internal_user", "user_id": "ann"}');
SELECT * FROM members('acme');
SELECT user_info('ann') -> 'user_info' -> 'teams' AS teams;

-- A new identifier with another user's address is refused.
SELECT attempt($$org_member_add('acme', '{"role": "internal_user", "user_id": "nobody-yet", "user_email": "ANN@example.com"}')$$);

DROP FUNCTION test.members, test.user_added;
CALL clear();
