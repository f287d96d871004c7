-- Users: user_new with teams and organizations, user_update, user_bulk_update, user_info_v2, user_filter,
-- user_available_roles.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

SELECT org_new('Acme', 'acme', quotas => '{"max_members": 4}'), org_new('Beta', 'beta') \g /dev/null
SELECT team_new('acme', 'Red', 'red'), team_new('beta', 'Blue', 'blue') \g /dev/null

-- user_new: teams and organizations -------------------------------------------
-- Whoever joins a team joins its organization; the key belongs to the team of team_id.
SELECT user_new('ann', 'ann@example.com', team_id => 'red',
                teams => '["red", {"team_id": "blue", "user_role": "admin", "max_budget_in_team": 5}]') \g /dev/null
SELECT user_info('ann') -> 'user_info' -> 'teams' AS teams, k -> 'team_id' AS team_of_key,
       k -> 'organization_id' AS organization_of_key
  FROM json_array_elements(user_info('ann') -> 'keys') AS k;
SELECT user_new('bob', organizations => '{acme, beta, acme}', auto_create_key => false) -> 'teams' AS teams;
SELECT m.organization_id, m.user_id, m.user_role FROM org.membership m ORDER BY 1, 2;
SELECT tm.team_id, tm.user_id, tm.role, b.max_budget
  FROM org.team_member tm LEFT JOIN org.budget b USING (budget_id) ORDER BY 1, 2;
-- The audit log has the user outside of organizations, and the memberships in theirs.
SELECT organization_id, kind, id FROM org.audit_log WHERE action = 'user_new' AND kind IN ('user', 'membership', 'team_member')
 ORDER BY kind, organization_id, id;

SELECT user_new('boss', auto_create_key => false), org_member_add('acme', '{"role": "org_admin", "user_id": "boss"}'),
       key_generate('boss', key => 'sk-boss'), key_generate('ann', key => 'sk-ann') \g /dev/null
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$user_new('x', teams => '["nowhere"]')$$),
    ($$user_new('x', team_id => 'nowhere')$$),
    ($$user_new('x', organizations => '{acme, nowhere}')$$),
    ($$user_new('x', organizations => '{NULL}')$$),
    ($$user_new('x', teams => '"red"')$$),
    ($$user_new('x', teams => '[1]')$$),
    ($$user_new('x', teams => '[{"user_role": "user"}]')$$),
    ($$user_new('x', teams => '[{"team_id": "red", "user_role": "king"}]')$$),
    ($$user_new('x', teams => '[{"team_id": "red", "max_budget_in_team": -1}]')$$),
    ($$user_new('x', 'ANN@example.com')$$),
    ($$user_new('x', organizations => '{acme}', api_key => 'sk-boss')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;
SELECT user_new('cid', organizations => '{acme}', auto_create_key => false) \g /dev/null
SELECT attempt($$user_new('dan', teams => '["red"]')$$) AS over_quota;

-- user_update -----------------------------------------------------------------
SELECT user_update(user_email => ' ANN@example.com', tpm_limit => 5) ->> 'user_id' AS by_email;
SELECT made -> 'user_id' AS user_id, made -> 'data' -> 'user_email' AS user_email, made -> 'data' -> 'max_budget' AS max_budget
  FROM user_update('unknown', 'new@example.com', max_budget => 3, budget_duration => '1d') AS made;
SELECT user_update(user_email => 'ann@example.com', user_alias => 'Ann', api_key => 'sk-ann') -> 'data' -> 'user_alias' AS of_herself;
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$user_update()$$),
    ($$user_update('')$$),
    ($$user_update(user_email => 'nobody@example.com')$$),
    ($$user_update('bob', 'ann@EXAMPLE.com')$$),
    ($$user_update('unknown-too', 'ann@example.com')$$),
    ($$user_update(repeat('x', 256))$$),
    ($$user_update('nobody', user_alias => 'x', api_key => 'sk-ann')$$),
    ($$user_update(user_email => 'new@example.com', user_alias => 'x', api_key => 'sk-ann')$$),
    ($$user_update(user_email => 'nobody@example.com', user_alias => 'x', api_key => 'sk-ann')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;

-- user_bulk_update ------------------------------------------------------------
CREATE FUNCTION test.results(reply json) RETURNS TABLE (user_id text, user_email text, success boolean, error text,
       user_alias text, max_budget text, user_role text) LANGUAGE sql AS $$
    SELECT r ->> 'user_id', r ->> 'user_email', (r ->> 'success')::boolean, r ->> 'error',
           r -> 'updated_user' ->> 'user_alias', r -> 'updated_user' ->> 'max_budget', r -> 'updated_user' ->> 'user_role'
      FROM json_array_elements(reply -> 'results') AS r
$$;
-- Each by itself; null resets.
SELECT user_bulk_update('[{"user_id": "bob", "user_alias": "Bob", "max_budget": "7"},
                          {"user_email": "new@example.com", "max_budget": null},
                          {"user_email": "nobody@example.com", "user_alias": "x"},
                          {"user_id": "cid", "user_email": "ann@example.com"},
                          {"user_id": "made", "user_email": "made@example.com"},
                          {"user_id": "default_user_id", "user_role": "internal_user"},
                          {"user_id": "bob", "user_role": "proxy_admin"},
                          {"user_id": "bob", "user_role": "internal_user"}]') AS reply \gset
SELECT * FROM test.results(:'reply');
SELECT :'reply'::json -> 'total_requested' AS total, :'reply'::json -> 'successful_updates' AS successful,
       :'reply'::json -> 'failed_updates' AS failed;
-- The role may pass on within one call.
SELECT success, user_role FROM test.results(user_bulk_update('[{"user_id": "bob", "user_role": "proxy_admin"},
                          {"user_id": "default_user_id", "user_role": "internal_user"},
                          {"user_id": "default_user_id", "user_role": "proxy_admin"},
                          {"user_id": "bob", "user_role": "internal_user"}]'));
SELECT reply -> 'total_requested' AS total, reply -> 'failed_updates' AS failed
  FROM user_bulk_update(all_users => true, user_updates => '{"tpm_limit": 9}') AS reply;
SELECT count(*) FILTER (WHERE tpm_limit = 9) = count(*) AS changed_all FROM org."user";
SELECT user_bulk_update('[]') AS nobody;
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$user_bulk_update()$$),
    ($$user_bulk_update('{}')$$),
    ($$user_bulk_update('[1]')$$),
    ($$user_bulk_update('[{"user_alias": "x"}]')$$),
    ($$user_bulk_update('[{"user_id": "bob", "max_budget": -1}]')$$),
    ($$user_bulk_update('[{"user_id": "bob", "max_bugdet": 1}]')$$),
    ($$user_bulk_update('[{"user_id": "bob", "user_role": "king"}]')$$),
    ($$user_bulk_update('[{"user_id": "bob", "budget_duration": "30"}]')$$),
    ($$user_bulk_update('[{"user_id": "bob"}]', true)$$),
    ($$user_bulk_update(all_users => true)$$),
    ($$user_bulk_update(all_users => true, user_updates => '{"user_id": "bob"}')$$),
    ($$user_bulk_update('[{"user_id": "ann", "user_alias": "x"}]', api_key => 'sk-ann')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;

-- user_info_v2, user_filter, user_available_roles -----------------------------
SELECT user_info_v2('ann')::text = (user_info('ann') -> 'user_info')::text AS alone,
       user_info_v2(api_key => 'sk-ann') -> 'user_id' AS of_caller,
       user_info_v2('ann', 'sk-boss') -> 'max_budget' AS hidden;
SELECT attempt($$user_info_v2('nobody')$$) AS nobody, attempt($$user_info_v2('boss', 'sk-ann')$$) AS of_others;
SELECT user_filter('NN@exam') AS by_address, user_filter(user_id => 'BO') AS by_id,
       user_filter('nobody@') AS none, user_filter(api_key => 'sk-ann') AS herself;
SELECT string_agg(u ->> 'user_id', ' ') AS members FROM json_array_elements(user_filter(api_key => 'sk-boss')) AS u;
SELECT user_filter(user_id => 'bo', page => 2, page_size => 1) -> 0 -> 'user_id' AS second_page;
SELECT attempt($$user_filter(page => 0)$$) AS page, attempt($$user_filter(page_size => 1001)$$) AS page_size;
SELECT key AS role, value -> 'ui_label' AS ui_label FROM json_each(user_available_roles(api_key => 'sk-ann'));
SELECT attempt($$user_available_roles('sk-unknown')$$) AS unknown_key;

-- Teams: users join those that they are not in, and leave none. A new user's key gets aliases of models.
SELECT team_new(team_id => id) FROM unnest('{one, two}'::text[]) AS id \g /dev/null
SELECT org_new('Wide', 'wide', models => '{m}'), team_new('wide', team_id => 'wide-team') \g /dev/null
SELECT reply -> 'teams' AS teams FROM user_new('joiner', team_id => 'one', aliases => '{"fast": "m"}') AS reply;
SELECT team_id, organization_id, aliases FROM org.api_key WHERE user_id = 'joiner';
SELECT data -> 'teams' AS teams FROM json_extract_path(user_update('joiner', teams =>
    '["one", "wide-team", {"team_id": "two", "user_role": "admin", "max_budget_in_team": 5}]'), 'data') AS data;
SELECT team_id, role, budget_id IS NOT NULL AS has_budget FROM org.team_member WHERE user_id = 'joiner' ORDER BY team_id;
SELECT user_role FROM org.membership WHERE user_id = 'joiner';
-- Who is in a team already keeps their role there.
SELECT data -> 'teams' AS teams FROM json_extract_path(user_update('joiner', teams => '["one", "two", "wide-team"]'), 'data') AS data;
SELECT role FROM org.team_member WHERE user_id = 'joiner' AND team_id = 'two';
SELECT data -> 'teams' AS teams FROM json_extract_path(user_update('joiner', user_alias => 'J', teams => '[]'), 'data') AS data;
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$user_update('joiner', teams => '["one"]')$$),
    ($$user_update('joiner', teams => '["one", "two", "wide-team", "nowhere"]')$$),
    ($$user_update('joiner', teams => '{}')$$),
    ($$user_update('joiner', teams => '[{"team_id": "one", "user_role": "king"}]')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;

DROP FUNCTION test.results;
CALL clear();
