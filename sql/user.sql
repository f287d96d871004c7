-- Users: user_new, user_info.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

-- user_new --------------------------------------------------------------------
-- This is the whole reply with every field given; only this reply shows the secret of the user's key.
SELECT reply(user_new('ann', 'Ann@Example.com', 'Ann', 'proxy_admin_viewer', '{gpt-4o}', 100.50, '{"gpt-4o": 5}', 7, 8,
                      '30d', 'sso-1',
                      '{"a": 1}', true, 'Ann''s key', '1d')) \g (format=unaligned tuples_only=on)
SELECT key_alias, expires = created_at + interval '1 day' AS expires_after_duration, user_id, organization_id, models,
       created_by
  FROM org.api_key;
SELECT created_by, updated_by, created_at + interval '30 days' - budget_reset_at < '1 min' AS resets_after_duration
  FROM org."user" WHERE user_id = 'ann';
-- No field is required; a null counts as an absent field.
SELECT reply(user_new()) \g (format=unaligned tuples_only=on)
SELECT masked(user_new(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::text)
       = masked(user_new()::text) AS same;
-- The key works.
SELECT user_new('bob', user_role => 'proxy_admin') ->> 'key' AS key \gset
SELECT json_array_length(org_list(api_key => :'key')) AS listed;
-- Without auto_create_key there is no key.
SELECT reply -> 'key' AS key, reply -> 'key_name' AS key_name, reply -> 'token_id' AS token_id,
       reply -> 'expires' AS expires
  FROM user_new('cid', auto_create_key => false) AS reply;
SELECT count(*) AS keys FROM org.api_key WHERE user_id = 'cid';
-- White space around an address is removed.
SELECT user_new('dan', ' dan@example.com ') -> 'user_email' AS user_email;

SELECT fingerprint() AS contents \gset before_
SELECT call, masked(attempt(call)) AS attempt FROM (VALUES
    ($$user_new('ann')$$),
    ($$user_new('default_user_id')$$),
    ($$user_new('')$$),
    ($$user_new(repeat('x', 256))$$),
    ($$user_new(user_email => '')$$),
    ($$user_new(user_email => repeat('x', 256))$$),
    ($$user_new(user_role => 'org_admin')$$),
    ($$user_new(user_role => '')$$),
    ($$user_new(user_role => 'PROXY_ADMIN')$$),
    ($$user_new(models => '{NULL}')$$),
    ($$user_new(max_budget => -1)$$),
    ($$user_new(max_budget => 'NaN')$$),
    ($$user_new(max_budget => 'Infinity')$$),
    ($$user_new(model_max_budget => '[]')$$),
    ($$user_new(tpm_limit => -1)$$),
    ($$user_new(rpm_limit => -1)$$),
    ($$user_new(budget_duration => '30')$$),
    ($$user_new(sso_user_id => 'sso-1')$$),
    ($$user_new(sso_user_id => '')$$),
    ($$user_new(metadata => '1')$$),
    ($$user_new(duration => 'never')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;

-- user_info -------------------------------------------------------------------
CALL clear();
SELECT org_new('Acme', 'acme'), org_new('Beta', 'beta') \g /dev/null
SELECT user_new('ann', 'ann@example.com', auto_create_key => false), user_new('boss', auto_create_key => false),
       user_new('eve', auto_create_key => false) \g /dev/null
SELECT org_member_add('acme', '[{"role": "internal_user", "user_id": "ann"},
                                {"role": "org_admin", "user_id": "boss"}]'),
       org_member_add('beta', '[{"role": "internal_user", "user_id": "ann"},
                                {"role": "internal_user", "user_id": "boss"}]') \g /dev/null
SELECT team_new('acme', 'Acme', 'in-acme', members_with_roles => '[{"role": "admin", "user_id": "ann"}]') \g /dev/null
SELECT team_new('beta', 'Beta', 'in-beta', members_with_roles => '[{"role": "user", "user_id": "ann"}]') \g /dev/null
SELECT key_generate('ann', 'acme', 'in-acme', key_alias => 'acme', key => 'sk-ann-acme') \g /dev/null
-- This is the whole reply.
SELECT reply(user_info('ann')) \g (format=unaligned tuples_only=on)

SELECT key_generate('ann', 'beta', key_alias => 'beta', key => 'sk-ann-beta') \g /dev/null
SELECT key_generate('ann', key_alias => 'free', key => 'sk-ann') \g /dev/null
SELECT key_generate('boss', key => 'sk-boss'), key_generate('boss', 'beta', key => 'sk-boss-beta'),
       key_generate('eve', key => 'sk-eve'),
       key_generate(organization_id => 'acme', key => 'sk-acme') \g /dev/null
CREATE FUNCTION test.seen(user_id text, api_key text DEFAULT NULL) RETURNS TABLE (user_teams json, keys text,
       teams text) LANGUAGE sql AS $$
    SELECT info -> 'user_info' -> 'teams',
           (SELECT string_agg(k ->> 'key_alias', ' ') FROM json_array_elements(info -> 'keys') AS k),
           (SELECT string_agg(t ->> 'team_id', ' ') FROM json_array_elements(info -> 'teams') AS t)
      FROM user_info(user_id, api_key) AS info
$$;
-- The database role and ann see everything; with a key of beta, ann sees only beta's part.
SELECT * FROM seen('ann');
SELECT * FROM seen('ann', 'sk-ann');
SELECT * FROM seen('ann', 'sk-ann-beta');
-- An organization's admin sees the user's part of that organization.
SELECT * FROM seen('ann', 'sk-boss');
-- Without an identifier the reply is about the caller.
SELECT user_info() -> 'user_id' AS user_id, user_info(NULL, 'sk-ann') -> 'user_id' AS of_key;
-- A user that the caller can't see and a missing user give the same answer.
SELECT call, attempt(call) FROM (VALUES
    ($$user_info('nobody')$$),
    ($$user_info('')$$),
    ($$user_info('nobody', 'sk-boss')$$),
    ($$user_info('eve', 'sk-boss')$$),
    ($$user_info('ann', 'sk-boss-beta')$$),
    ($$user_info('ann', 'sk-eve')$$),
    ($$user_info('boss', 'sk-ann')$$),
    ($$user_info('ann', 'sk-acme')$$),
    ($$user_info(NULL, 'sk-acme')$$)) AS t (call);

-- user_update -----------------------------------------------------------------
-- The reply, whole; by proxy admins, and in small things by the user.
SELECT reply(user_update('eve', user_role => 'proxy_admin', max_budget => 7, models => '{m}', tpm_limit => 1,
                         metadata => '{"a": 1}')) \g (format=unaligned tuples_only=on)
SELECT attempt($$budget_list(api_key => 'sk-eve')$$) AS at_once;
SELECT user_update('eve', user_role => 'internal_user', clear => '{max_budget}') -> 'data' -> 'max_budget' AS cleared;
SELECT attempt($$budget_list(api_key => 'sk-eve')$$) AS at_once;
SELECT user_update('eve', user_alias => 'Eve', api_key => 'sk-eve') -> 'data' -> 'user_alias' AS by_herself;
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$user_update(NULL)$$),
    ($$user_update('nobody', user_alias => 'x', api_key => 'sk-eve')$$),
    ($$user_update('ann', user_alias => 'x', api_key => 'sk-eve')$$),
    ($$user_update('eve', user_role => 'proxy_admin', api_key => 'sk-eve')$$),
    ($$user_update('eve', max_budget => 1, api_key => 'sk-eve')$$),
    ($$user_update('eve', models => '{m}', api_key => 'sk-eve')$$),
    ($$user_update('eve', tpm_limit => 1, api_key => 'sk-eve')$$),
    ($$user_update('eve', metadata => '{}', api_key => 'sk-eve')$$),
    ($$user_update('eve', clear => '{max_budget}', api_key => 'sk-eve')$$),
    ($$user_update('eve', user_role => 'king')$$),
    ($$user_update('eve', clear => '{created_at}')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;

-- user_list -------------------------------------------------------------------
CREATE FUNCTION test.ids(users json) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(u ->> 'user_id', ' ' ORDER BY u ->> 'user_id') FROM json_array_elements(users) AS u
$$;
SELECT ids(user_list() -> 'users') AS everybody, ids(user_list(user_email => 'NN@exam') -> 'users') AS by_part_of_address,
       ids(user_list(user_id => 'ann') -> 'users') AS by_id, ids(user_list(organization_id => 'acme') -> 'users') AS of_organization,
       ids(user_list(team_id => 'in-acme') -> 'users') AS of_team, ids(user_list(role => 'proxy_admin') -> 'users') AS by_role,
       ids(user_list(role => 'proxy_admin', user_id => 'ann') -> 'users') AS both;
SELECT attempt($$user_list(role => 'king')$$), attempt($$user_list("limit" => 0)$$), attempt($$user_list(after => 'nobody')$$);
DROP FUNCTION test.ids;

-- user_delete -----------------------------------------------------------------
-- All or none; never the last proxy admin.
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$user_delete(NULL)$$),
    ($$user_delete('{ann, nobody}')$$),
    ($$user_delete('{default_user_id}')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;
-- With all that is theirs: keys, memberships, teams, and the budgets made for those.
SELECT org_member_update('acme', 'ann', max_budget_in_organization => 5) ->> 'budget_id' AS budget_id \gset
SELECT user_delete('{ann}') AS deleted;
SELECT attempt($$org_list(api_key => 'sk-ann')$$) AS own_key, attempt($$org_list(api_key => 'sk-ann-acme')$$) AS key_in_acme,
       json_array_length(budget_info(ARRAY[:'budget_id'])) AS budgets,
       (SELECT count(*) FROM org.membership WHERE user_id = 'ann') AS memberships, team_info('in-acme') -> 'team_info' -> 'members_with_roles' AS of_team;

DROP FUNCTION test.seen;
CALL clear();
