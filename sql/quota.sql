-- Quotas limit the teams, members and keys of an organization and the keys of a user; a further one is refused.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

-- Set by proxy admins, shown, merged and cleared -------------------------------
SELECT org_new('Acme', 'acme', quotas => '{"max_teams": 2, "max_keys": "4"}') -> 'quotas' AS quotas;
SELECT org_new('Beta', 'beta') -> 'quotas' AS by_default, org_info('acme') -> 'quotas' AS shown;
SELECT org_update('acme', quotas => '{"max_members": 3}') -> 'quotas' AS replaced;
SELECT org_update('acme', organization_alias => 'Acme Inc.') -> 'quotas' AS kept;
SELECT org_patch('acme', '{"quotas": {"max_teams": 2, "max_keys": 4}}') -> 'quotas' AS merged;
SELECT org_patch('acme', '{"quotas": {"max_keys": null}}') -> 'quotas' AS merged;
SELECT org_patch('acme', '{"quotas": null}') -> 'quotas' AS cleared;
SELECT org_update('acme', quotas => '{"max_teams": 1}', clear => '{quotas}') -> 'quotas' AS cleared;
SELECT value, attempt(format('org_new(%L, quotas => %L)', 'x', value)) AS made,
       attempt(format('org_patch(%L, jsonb_build_object(%L, %L::jsonb))', 'acme', 'quotas', value)) AS patched
  FROM unnest(ARRAY['[]', '{"max_teams": -1}', '{"max_teams": 1.5}', '{"max_teams": "many"}', '{"max_keys": 1e9}',
                    '{"max_keys": 1000000001}', '{"max_cats": 1}', '{"max_team_keys": {}}']) AS value;
SELECT user_new('ann', auto_create_key => false), key_generate('ann', key => 'sk-ann') \g /dev/null
SELECT org_member_add('acme', '{"role": "org_admin", "user_id": "ann"}') \g /dev/null
SELECT attempt($$org_update('acme', quotas => '{}', api_key => 'sk-ann')$$),
       attempt($$org_patch('acme', '{"quotas": {}}', api_key => 'sk-ann')$$);
-- The audit log records a change of quotas, but not of the counts.
SELECT before -> 'quotas' AS before, after -> 'quotas' AS after FROM org.audit_log
 WHERE organization_id = 'acme' AND kind = 'organization' AND before -> 'quotas' <> after -> 'quotas'
 ORDER BY occurred_at;
SELECT count(*) AS entries FROM org.audit_log WHERE organization_id = 'acme' \gset before_
SELECT team_new('acme', team_id => 'red') \g /dev/null
SELECT count(*) - :before_entries AS one_more FROM org.audit_log WHERE organization_id = 'acme';
SELECT team_delete('{red}') \g /dev/null

-- Refusals --------------------------------------------------------------------
SELECT org_update('acme', quotas => '{"max_teams": 2, "max_members": 3, "max_keys": 4, "max_team_keys": 2}')
       \g /dev/null
SELECT attempt(format('team_new(%L, team_id => %L, api_key => %L)', 'acme', team, 'sk-ann'))
  FROM unnest('{red, blue, green}'::text[]) AS team;
SELECT attempt(format('org_member_add(%L, %L)', 'acme', members)) AS added
  FROM unnest(ARRAY['[{"role": "internal_user", "user_id": "bob"}, {"role": "internal_user", "user_id": "bob"}]',
                    '[{"role": "internal_user", "user_id": "eve"}, {"role": "internal_user", "user_id": "zoe"}]',
                    '[{"role": "internal_user", "user_id": "bob"}, {"role": "internal_user", "user_id": "eve"}]',
                    '{"role": "internal_user", "user_id": "zoe"}', '{"role": "org_admin", "user_id": "bob"}'])
       AS members;
SELECT attempt(format('key_generate(organization_id => %L, team_id => %L, key => %L)', 'acme', team, 'sk-' || place))
  FROM unnest('{red, red, red, blue, NULL, NULL}'::text[]) WITH ORDINALITY AS t (team, place) ORDER BY place;
SELECT attempt($$key_generate(organization_id => 'acme', api_key => 'sk-ann')$$);
-- Other organizations are not affected; existing keys can still be changed and regenerated.
SELECT attempt($$team_new('beta')$$), attempt($$key_generate(organization_id => 'beta')$$),
       attempt($$key_update('sk-1', key_alias => 'one')$$), attempt($$key_regenerate('sk-1')$$);
-- A deleted object makes room for a new one.
SELECT team_delete('{blue}'), org_member_delete('acme', 'eve'), key_delete('{sk-2}') \g /dev/null
SELECT attempt($$team_new('acme', team_id => 'green')$$), attempt($$team_new('acme')$$),
       attempt($$org_member_add('acme', '{"role": "internal_user", "user_id": "zoe"}')$$),
       attempt($$org_member_add('acme', '{"role": "internal_user", "user_id": "eve"}')$$);
SELECT attempt($$key_generate(organization_id => 'acme', team_id => 'red')$$),
       attempt($$key_generate(organization_id => 'acme', team_id => 'red')$$),
       attempt($$key_generate(organization_id => 'acme')$$), attempt($$key_generate(organization_id => 'acme')$$);
-- A refused call does not count; a higher quota allows more, and a lower one keeps what exists.
SELECT org_patch('acme', '{"quotas": {"max_teams": 3, "max_keys": 5}}') \g /dev/null
SELECT attempt($$team_new('acme', team_id => 'red')$$), attempt($$team_new('acme', team_id => 'blue')$$),
       attempt($$team_new('acme')$$);
SELECT org_patch('acme', '{"quotas": {"max_teams": 0, "max_members": 0}}') \g /dev/null
SELECT attempt($$team_new('acme')$$), attempt($$org_member_add('acme', '{"role": "org_admin", "user_id": "ann"}')$$),
       (SELECT count(*) FROM org.team WHERE organization_id = 'acme') AS teams;
-- A user's quota limits their keys outside organizations.
SELECT user_new('cid', auto_create_key => false, quotas => '{"max_keys": 2}') -> 'quotas' AS quotas;
SELECT attempt(format('key_generate(%L, key => %L)', 'cid', 'sk-cid-' || n)) FROM generate_series(1, 3) AS n;
SELECT attempt($$key_generate('cid', 'beta')$$) AS inside, attempt($$key_generate()$$) AS of_nobody,
       attempt($$key_regenerate('sk-cid-1')$$) AS regenerated;
SELECT user_update('cid', quotas => '{"max_keys": 3}') -> 'data' -> 'quotas' AS quotas, attempt($$key_generate('cid')$$) AS third,
       attempt($$key_generate('cid')$$) AS fourth;
SELECT user_update('cid', user_alias => 'Cid') -> 'data' -> 'quotas' AS kept, user_update('cid', clear => '{quotas}') -> 'data' -> 'quotas' AS cleared,
       attempt($$key_generate('cid')$$) AS by_default;
SELECT value, attempt(format('user_update(%L, quotas => %L)', 'cid', value))
  FROM unnest(ARRAY['[]', '{"max_keys": -1}', '{"max_teams": 1}']) AS value;
SELECT attempt($$user_update('ann', quotas => '{"max_keys": 99}', api_key => 'sk-ann')$$) AS own;
SELECT org_new('Closed', 'closed', quotas => '{"max_teams": 0, "max_members": 0, "max_keys": 0}') \g /dev/null
SELECT attempt($$team_new('closed')$$), attempt($$key_generate(organization_id => 'closed')$$),
       attempt($$org_member_add('closed', '{"role": "org_admin", "user_id": "ann"}')$$);

-- The defaults ----------------------------------------------------------------
INSERT INTO org.team (organization_id, team_id) SELECT 'beta', 't' || i FROM generate_series(2, 10000) AS i;
UPDATE org.organization SET teams_at_most = 10000 WHERE organization_id = 'beta';
SELECT count(*) AS teams, attempt($$team_new('beta')$$) FROM org.team WHERE organization_id = 'beta';
SELECT attempt($$team_delete('{t2}')$$), attempt($$team_new('beta')$$), attempt($$team_new('beta')$$);
INSERT INTO org.api_key (key_hash, key_name, organization_id, team_id)
    SELECT encode(sha256(('k' || i)::bytea), 'hex'), 'k', 'beta', 't3' FROM generate_series(1, 10000) AS i;
UPDATE org.team SET keys_at_most = 10000 WHERE team_id = 't3';
SELECT attempt($$key_generate(team_id => 't3')$$), attempt($$key_generate(team_id => 't4')$$);
DELETE FROM org.api_key WHERE team_id = 't3';
INSERT INTO org.api_key (key_hash, key_name, user_id)
    SELECT encode(sha256(('k' || i)::bytea), 'hex'), 'k', 'ann' FROM generate_series(1, 10000) AS i;
SELECT attempt($$key_generate('ann')$$), attempt($$key_generate(team_id => 't3')$$);
DELETE FROM org.api_key
 WHERE key_id IN (SELECT key_id FROM org.api_key WHERE user_id = 'ann' AND key_name = 'k' LIMIT 2);
SELECT attempt($$key_generate('ann')$$), attempt($$key_generate('ann')$$);
-- The *_at_most columns are never below the true counts, as long as functions make the objects.
SELECT count(*) AS too_few
  FROM org.organization o
 WHERE members_at_most < (SELECT count(*) FROM org.membership m WHERE m.organization_id = o.organization_id)
    OR teams_at_most < (SELECT count(*) FROM org.team t WHERE t.organization_id = o.organization_id)
    OR keys_at_most < (SELECT count(*) FROM org.api_key k WHERE k.organization_id = o.organization_id);
CALL clear();
