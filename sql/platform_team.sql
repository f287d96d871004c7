-- Teams of the platform, and the rights of teams' admins and members: team_permissions_list, team_permissions_update.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

SELECT user_new(id, auto_create_key => false), key_generate(id, key => 'sk-' || id)
  FROM unnest('{ann,bob,cid,eve}'::text[]) AS id \g /dev/null
SELECT org_new('Acme', 'acme', models => '{gpt-4o}') \g /dev/null

-- team_new without an organization --------------------------------------------
-- The caller becomes an admin of the team, and unknown people are made.
SELECT reply(team_new(team_id => 'red', models => '{gpt-4o,m}', max_budget => 10, members_with_roles =>
                      '[{"role": "admin", "user_id": "ann"}, {"role": "user", "user_id": "bob"},
                        {"role": "user", "user_id": "new", "user_email": "New@example.com"}]'))
       \g (format=unaligned tuples_only=on)
SELECT user_role FROM org."user" WHERE user_email = 'New@example.com';
SELECT team_new('', team_id => 'blue', members_with_roles => '[{"role": "user", "user_id": "default_user_id"},
                                                               {"role": "user", "user_id": "bob"}]')
       -> 'members_with_roles' AS members_if_creator_is_listed;
-- In an organization, only a creator who belongs to it.
SELECT team_new('acme', team_id => 'green') -> 'members_with_roles' AS members;
SELECT call, attempt(call) FROM (VALUES
    ($$team_new(team_id => 'red')$$),
    ($$team_new('acme', team_id => 'red')$$),
    ($$team_new(team_id => 'x', members_with_roles => '[{"role": "user", "user_email": "none"}]')$$),
    -- The right to call is checked before the fields.
    ($$team_new(team_id => 'x', max_budget => -1, api_key => 'sk-ann')$$),
    ($$team_new('acme', team_id => 'x', max_budget => -1, api_key => 'sk-ann')$$)) AS t (call);

-- Its members see it, and who reads everything.
SELECT key, attempt(format('team_info(''red'', api_key => %L)', key)), json_array_length(team_list(api_key => key)) AS listed
  FROM unnest('{sk-ann,sk-bob,sk-eve}'::text[]) AS key;

-- Rights ----------------------------------------------------------------------
SELECT team_permissions_list('red', api_key => 'sk-bob');
SELECT attempt($$team_permissions_list('red', api_key => 'sk-eve')$$);
SELECT call, attempt(replace(call, '{}', ', api_key => ''sk-bob''')) AS member,
       attempt(replace(call, '{}', ', api_key => ''sk-ann''')) AS admin,
       attempt(replace(call, '{}', ', api_key => ''sk-eve''')) AS stranger
  FROM (VALUES
    ($$team_update('red', team_alias => 'Red'{})$$),
    ($$team_update('red', max_budget => 1000{})$$),
    ($$team_update('red', organization_id => 'acme'{})$$),
    ($$team_block('red'{})$$),
    ($$team_permissions_update('red', '{/key/info}'{})$$),
    ($$team_member_add('red', '{"role": "user", "user_id": "cid"}'{})$$),
    ($$team_member_update('red', 'cid', role => 'admin'{})$$),
    ($$team_member_delete('red', 'cid'{})$$),
    ($$team_bulk_member_add('red', '[{"role": "user", "user_id": "cid"}]'{})$$),
    ($$team_bulk_member_add('red', all_users => true{})$$),
    ($$key_generate(team_id => 'red', key_alias => 'own'{})$$),
    ($$key_generate('cid', team_id => 'red', key_alias => 'of cid'{})$$),
    ($$key_generate('eve', team_id => 'red'{})$$)) AS t (call);
SELECT team_bulk_member_add('blue', all_users => true) ->> 'total_requested' AS added;
SELECT (SELECT count(*) FROM org.team_member WHERE team_id = 'blue') = (SELECT count(*) FROM org."user") AS all_users;
SELECT call, attempt(call) FROM (VALUES
    ($$team_bulk_member_add('blue')$$),
    ($$team_member_delete('blue', user_email => 'nobody@example.com')$$),
    ($$team_permissions_update('red', '{/key/none}')$$)) AS t (call);

-- A key of cid's.
SELECT key_generate('cid', team_id => 'red', key => 'sk-cid-red') \g /dev/null
CREATE TABLE test.route (place serial, call text, permission text);
INSERT INTO test.route (call, permission) VALUES
    ($$key_info('sk-cid-red'{})$$, '/key/info'),
    ($$key_update('sk-cid-red', max_budget => 1{})$$, '/key/update'),
    ($$key_block('sk-cid-red'{})$$, '/key/block'),
    ($$key_unblock('sk-cid-red'{})$$, '/key/unblock'),
    ($$key_regenerate('sk-cid-red', duration => '1d'{})$$, '/key/regenerate'),
    ($$key_generate(team_id => 'red'{})$$, '/key/generate'),
    ($$key_delete('{sk-cid-red}'{})$$, '/key/delete');
CREATE FUNCTION test.outcome(call text, key text, permissions text[]) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM team_permissions_update('red', permissions);
    EXECUTE 'SELECT ' || replace(call, '{}', format(', api_key => %L', key));
    RAISE SQLSTATE 'YESOK';
EXCEPTION
    WHEN SQLSTATE 'YESOK' THEN RETURN 'yes';
    WHEN OTHERS THEN RETURN sqlstate;
END $$;
SELECT replace(call, '{}', '') AS call, outcome(call, 'sk-ann', '{}') AS admin, outcome(call, 'sk-bob', '{}') AS member,
       outcome(call, 'sk-bob', ARRAY[permission]) AS allowed, outcome(call, 'sk-eve', ARRAY[permission]) AS stranger
  FROM test.route ORDER BY place;
SELECT attempt($$key_block('sk-cid-red', api_key => 'sk-bob')$$);
-- Its list of keys, for whom it permits that.
SELECT caller, key_list(team_id => 'red', api_key => caller) ->> 'total_count' AS keys,
       key_list(team_id => 'red', user_id => 'cid', api_key => caller) ->> 'total_count' AS of_cid,
       key_list(api_key => caller) ->> 'total_count' AS without_team
  FROM unnest('{sk-ann,sk-bob,sk-eve}'::text[]) AS caller;
SELECT team_permissions_update('red', '{/key/list}') -> 'team_id' AS team_id;
SELECT key_list(team_id => 'red', api_key => 'sk-bob') ->> 'total_count' AS permitted,
       key_list(team_id => 'red', user_id => 'bob', api_key => 'sk-bob') ->> 'total_count' AS own;
SELECT team_permissions_update('red', '{}') -> 'team_id' AS team_id;
DROP TABLE test.route;
DROP FUNCTION test.outcome;

-- A key of the team is refused when the team is blocked.
SELECT attempt($$team_info('red', api_key => 'sk-cid-red')$$);
SELECT team_block('red') -> 'blocked' AS blocked, attempt($$team_info('red', api_key => 'sk-cid-red')$$);
SELECT team_unblock('red') -> 'blocked' AS blocked;

-- Usage -----------------------------------------------------------------------
-- The limits of the team and of its member hold, and counters equal the ledger.
SELECT team_member_update('red', 'bob', max_budget_in_team => 3) -> 'max_budget_in_team' AS max_budget_in_team;
SELECT key_generate('bob', team_id => 'red', key => 'sk-bob-red'), key_generate(team_id => 'red', key => 'sk-red') \g /dev/null
SELECT attempt($$usage_record('sk-bob-red', 'm', 2)$$), attempt($$usage_record('sk-red', 'm', 4)$$);
SELECT call, regexp_replace(attempt(call), 'Resets at .*', '') FROM (VALUES
    ($$usage_reserve('sk-bob-red', 'm', max_cost => 2)$$),
    ($$usage_reserve('sk-bob-red', 'm', max_cost => 1, request_id => 'held', ttl_seconds => 1)$$),
    ($$usage_reserve('sk-red', 'm', max_cost => 4)$$),
    ($$usage_reserve('sk-red', 'other', max_cost => 1)$$),
    ($$usage_reserve('sk-cid-red', 'gpt-4o', max_cost => 3, request_id => 'cid')$$),
    ($$usage_reserve('sk-red', 'm', max_cost => 1)$$)) AS t (call);
SELECT usage_verify() AS differences;
SELECT team_id, spend FROM org.team WHERE team_id = 'red';
SELECT user_id, spend FROM org.team_member WHERE team_id = 'red' ORDER BY user_id;
-- What has expired is held no more, whichever key of the team held it.
SELECT pg_sleep(1.1) \g /dev/null
SELECT attempt($$usage_reserve('sk-red', 'm', max_cost => 1, request_id => 'last')$$);
SELECT usage_verify() AS differences;
SELECT attempt($$usage_settle(0.5, 'last')$$), attempt($$usage_settle(3, 'cid')$$);
SELECT usage_verify() AS differences;

-- A reset: the budget counts from now on, and what was spent remains.
SELECT limits ->> 'spent' AS spent FROM json_array_elements(usage_limits('sk-red') -> 'limits') AS limits WHERE limits ->> 'owner' = 'team';
SELECT team -> 'spend' AS spend, team -> 'period_spend' AS period_spend FROM team_reset_spend('red', 0) AS team;
SELECT attempt($$usage_record('sk-red', 'm', 1)$$);
SELECT team -> 'spend' AS spend, team -> 'period_spend' AS period_spend FROM json_extract_path(team_info('red'), 'team_info') AS team;
SELECT limits ->> 'spent' AS spent FROM json_array_elements(usage_limits('sk-red') -> 'limits') AS limits WHERE limits ->> 'owner' = 'team';
SELECT usage_verify() AS differences;
SELECT call, attempt(call) FROM (VALUES
    ($$team_reset_spend('red')$$), ($$team_reset_spend('red', 1)$$), ($$team_reset_spend('nowhere', 0)$$),
    ($$team_reset_spend('red', 0, api_key => 'sk-ann')$$)) AS t (call);

-- Moving ----------------------------------------------------------------------
SELECT call, attempt(call) FROM (VALUES
    ($$team_update('red', organization_id => 'nowhere')$$),
    ($$team_update('red', organization_id => 'acme', models => '{m}')$$),
    ($$team_update('green', organization_id => 'acme')$$)) AS t (call);
SELECT data -> 'organization_id' AS organization_id, data -> 'spend' AS spend, data -> 'members_with_roles' AS members
  FROM json_extract_path(team_update('red', organization_id => 'acme', models => '{gpt-4o}'), 'data') AS data;
SELECT DISTINCT organization_id, spend FROM org.api_key WHERE team_id = 'red';
SELECT user_id, user_role FROM org.membership WHERE organization_id = 'acme' ORDER BY user_id COLLATE "C";
SELECT attempt($$usage_record('sk-bob-red', 'gpt-4o', 1)$$);
SELECT spend, usage_verify() AS differences FROM org.team WHERE team_id = 'red';
-- And back: what was spent there counts again. A permission for the organization would become one for all.
SELECT key_generate(team_id => 'red', key => 'sk-red-usage', permissions => '{"usage": true}') \g /dev/null
SELECT regexp_replace(attempt($$team_update('red', organization_id => '')$$), '=[-0-9a-f]{36}', '=<uuid>');
SELECT key_delete('{sk-red-usage}') -> 'deleted_keys' AS deleted;
SELECT team_update('red', organization_id => '') -> 'data' -> 'spend' AS spend;
SELECT usage_verify() AS differences;
-- A team's admin in an organization takes only its members.
SELECT team_update('red', organization_id => 'acme') -> 'data' -> 'organization_id' AS organization_id;
SELECT attempt($$team_member_add('red', '{"role": "user", "user_id": "eve"}', api_key => 'sk-ann')$$) AS team_admin,
       attempt($$team_member_add('red', '{"role": "user", "user_id": "eve"}')$$) AS proxy_admin;
SELECT user_role FROM org.membership WHERE organization_id = 'acme' AND user_id = 'eve';

-- Deleting --------------------------------------------------------------------
SELECT attempt($$team_delete('{blue}', api_key => 'sk-ann')$$) AS member;
SELECT attempt($$user_delete('{cid}')$$) AS user_delete, attempt($$org_delete('{acme}')$$) AS org_delete;
SELECT team_id FROM org.team ORDER BY team_id;
SELECT team_member_update('blue', 'ann', role => 'admin') -> 'role' AS role;
SELECT team_delete('{blue}', api_key => 'sk-ann') -> 0 -> 'team_id' AS own_admin;
SELECT team_available();
SELECT usage_verify() AS differences;
SELECT unowned_budgets();

CALL clear();
