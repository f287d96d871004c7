-- Keys: key_generate, key_block, key_unblock and key_delete, and the answers to a key that is
-- blocked or expired, or whose team, organization or user is blocked or deleted.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

SELECT org_new('Acme', 'acme', models => '{gpt-4o, openai/*}'), org_new('Beta', 'beta') \g /dev/null
SELECT user_new(id, auto_create_key => false) FROM unnest('{ann, bob, eve}'::text[]) AS id \g /dev/null
SELECT user_new('boss', user_role => 'proxy_admin', auto_create_key => false) \g /dev/null
SELECT org_member_add('acme', '[{"role": "org_admin", "user_id": "ann"}, {"role": "internal_user", "user_id": "bob"}]')
       \g /dev/null
SELECT team_new('acme', 'Team', 'team', '{gpt-4o, openai/gpt-4o}',
                members_with_roles => '[{"role": "user", "user_id": "bob"}]'),
       team_new('beta', 'Team', 'beta team'), team_new('acme', 'Alone', 'alone') \g /dev/null

-- key_generate ----------------------------------------------------------------
-- These are whole replies, with every field given and with none; the second key has no owner.
SELECT reply(key_generate('bob', 'acme', 'team', '{gpt-4o}', '30d', 'Bob''s key', '{"a": {"b": 1}}',
                          '{"usage": false}', 'sk-0123456789abcdefwxyz'))
       \g (format=unaligned tuples_only=on)
SELECT reply(key_generate()) \g (format=unaligned tuples_only=on)
SELECT masked(key_generate(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::text)
       = masked(key_generate()::text) AS same;

-- A secret is random, and only its digest is stored.
SELECT reply ->> 'key' AS secret, reply ->> 'token_id' AS token_id FROM key_generate('ann') AS reply \gset
SELECT :'secret' ~ '^sk-[0-9a-f]{48}$' AS long_enough,
       (key_generate() ->> 'key') <> (key_generate() ->> 'key') AS different;
SELECT key_hash = encode(sha256(:'secret'), 'hex') AS its_digest,
       key_name = 'sk-...' || right(:'secret', 4) AS its_name,
       position(:'secret' IN k::text) AS secret_at, user_id, created_by
  FROM org.api_key k WHERE key_id = :'token_id';
-- The name of a short key reveals nothing of its secret.
SELECT key_generate(key => key) ->> 'key_name' AS name
  FROM unnest('{sk-1, sk-0123456789abcdef, sk-0123456789abcdefg}'::text[]) AS key;
-- A key expires after its duration.
SELECT (key_generate(duration => '90m') ->> 'expires')::timestamptz - now() AS expires_after;

-- A key's models must be among those of its team and its organization; an empty list means all of those.
SELECT models, attempt(format('key_generate(organization_id => %L, models => %L)', 'acme', models)) AS in_acme,
       attempt(format('key_generate(organization_id => %L, team_id => %L, models => %L)', 'acme', 'team', models))
       AS in_team
  FROM unnest('{"{}", "{gpt-4o}", "{openai/gpt-4o}", "{openai/o1}", "{openai/*}", "{claude-3}",
                "{gpt-4o, claude-3}", "{*}", "{all-proxy-models}", "{all-team-models}"}'::text[]) AS models;
SELECT attempt($$key_generate('bob', models => '{anything}')$$),
       attempt($$key_generate(organization_id => 'beta', models => '{anything}')$$);

-- A key gets the organization of its team.
SELECT key_generate(team_id => 'alone') -> 'organization_id' AS organization_id;
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$key_generate('nobody')$$),
    ($$key_generate('')$$),
    ($$key_generate(organization_id => 'nowhere')$$),
    ($$key_generate(team_id => 'nowhere')$$),
    ($$key_generate(team_id => 'alone', organization_id => 'beta')$$),
    ($$key_generate(models => '{NULL}')$$),
    ($$key_generate(metadata => '[]')$$),
    ($$key_generate(permissions => '[]')$$),
    ($$key_generate(permissions => '{"usage": "yes"}')$$),
    ($$key_generate(permissions => '{"events": true, "usage": 1}')$$),
    ($$key_generate(permissions => '{"usage": null}')$$),
    ($$key_generate(duration => '')$$),
    ($$key_generate(duration => '0s')$$),
    ($$key_generate(duration => '-1s')$$),
    ($$key_generate(duration => 'soon')$$),
    ($$key_generate(key => '')$$),
    ($$key_generate(key => 'sk-')$$),
    ($$key_generate(key => 'pk-secret')$$),
    ($$key_generate(key => 'sk-0123456789abcdefwxyz')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;
-- Unknown permissions are kept.
SELECT key_generate(permissions => '{"usage": false, "get_spend_routes": true}') -> 'permissions' AS permissions;

-- key_block, key_unblock ------------------------------------------------------
-- The reply has what is known of the key, but never its secret.
SELECT reply(key_block('sk-0123456789abcdefwxyz')) \g (format=unaligned tuples_only=on)
SELECT attempt($$org_list(api_key => 'sk-0123456789abcdefwxyz')$$);
SELECT key_block('sk-0123456789abcdefwxyz') -> 'blocked' AS still_blocked;
SELECT reply(key_unblock('sk-0123456789abcdefwxyz')) \g (format=unaligned tuples_only=on)
SELECT attempt($$org_list(api_key => 'sk-0123456789abcdefwxyz')$$);
SELECT key_unblock('sk-0123456789abcdefwxyz') -> 'blocked' AS still_blocked;
-- A proxy admin's key can be blocked too; a key is named by its secret or token_id, never by its digest.
SELECT key_generate('boss', key => 'sk-boss') ->> 'token_id' AS token_id \gset
SELECT key_block(:'token_id') -> 'blocked' AS blocked;
SELECT attempt($$org_list(api_key => 'sk-boss')$$), attempt($$key_unblock('sk-boss', api_key => 'sk-boss')$$);
SELECT key_unblock(:'token_id') -> 'blocked' AS blocked;
SELECT call, attempt(call) FROM (VALUES
    ($$key_block(NULL)$$),
    ($$key_block('')$$),
    ($$key_block('sk-unknown')$$),
    ($$key_block(encode(sha256('sk-boss'), 'hex'))$$),
    ($$key_unblock(NULL)$$),
    ($$key_unblock('sk-unknown')$$)) AS t (call);

-- Permissions -----------------------------------------------------------------
-- A proxy admin gives permissions to a new or an existing key; other changes keep them.
SELECT key_generate('ann', key => 'sk-ann'), key_generate('bob', key => 'sk-bobs') \g /dev/null
SELECT key_generate('bob', 'acme', 'team', permissions => '{"usage": true}') ->> 'token_id' AS gateway \gset
SELECT key_info(:'gateway') -> 'info' -> 'permissions' AS given;
SELECT key_update(:'gateway', permissions => '{"events": true, "usage": true}') -> 'permissions' AS replaced;
SELECT key_update(:'gateway', key_alias => 'gateway') -> 'permissions' AS kept;
SELECT key_regenerate(:'gateway') -> 'permissions' AS kept;
-- Other callers can't give permissions, and can't regenerate another user's key that has them.
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(replace(call, 'GATEWAY', :'gateway')) FROM (VALUES
    ($$key_generate(organization_id => 'acme', permissions => '{"usage": true}', api_key => 'sk-ann')$$),
    ($$key_generate(organization_id => 'acme', permissions => '{"anything": true}', api_key => 'sk-ann')$$),
    ($$key_generate(team_id => 'team', permissions => '{"usage": true}', api_key => 'sk-bobs')$$),
    ($$key_update('GATEWAY', permissions => '{"events": true, "usage": true}', api_key => 'sk-ann')$$),
    ($$key_update('GATEWAY', permissions => '{"usage": true}', api_key => 'sk-bobs')$$),
    ($$key_update('GATEWAY', permissions => '{}', api_key => 'sk-bobs')$$),
    ($$key_update('GATEWAY', permissions => '"usage"')$$),
    ($$key_update('GATEWAY', permissions => '{"usage": "yes"}')$$),
    ($$key_regenerate('GATEWAY', api_key => 'sk-ann')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;
SELECT key_regenerate(:'gateway', api_key => 'sk-bobs') -> 'permissions' AS kept;
-- Everyone who may send the other fields may send empty permissions, which revoke all.
SELECT key_generate(organization_id => 'acme', permissions => '{}', api_key => 'sk-ann') -> 'permissions' AS none;
SELECT key_update(:'gateway', permissions => '{}', api_key => 'sk-ann') -> 'permissions' AS none;
SELECT key_regenerate(:'gateway', api_key => 'sk-ann') -> 'permissions' AS none;
SELECT user_new('zoe') ->> 'token_id' AS zoes \gset
SELECT key_info(:'zoes') -> 'info' -> 'permissions' AS none;
-- The audit log records who gave and revoked permissions.
SELECT actor, action, before -> 'permissions' AS before, after -> 'permissions' AS after FROM org.audit_log
 WHERE id = :'gateway' AND before -> 'permissions' IS DISTINCT FROM after -> 'permissions' ORDER BY occurred_at;

-- Blocked and expired keys ----------------------------------------------------
SELECT key_generate(key => 'sk-free'), key_generate('bob', key => 'sk-bob'),
       key_generate('bob', 'acme', key => 'sk-bob-acme'),
       key_generate('bob', 'acme', 'team', key => 'sk-bob-team'),
       key_generate(organization_id => 'acme', key => 'sk-acme'),
       key_generate('boss', 'acme', 'team', key => 'sk-boss-team'),
       key_generate('bob', 'acme', 'team', duration => '1h', key => 'sk-expires') \g /dev/null
CREATE FUNCTION test.use() RETURNS TABLE (key text, answer text) LANGUAGE sql AS $$
    SELECT key, attempt(format('org_list(api_key => %L)', key))
      FROM unnest('{sk-free, sk-bob, sk-bob-acme, sk-bob-team, sk-acme, sk-boss, sk-boss-team,
                    sk-expires}'::text[]) AS key
$$;
SELECT * FROM use();
-- A blocked team or organization disables its keys, except a proxy admin's key.
UPDATE org.team SET blocked = true WHERE (organization_id, team_id) = ('acme', 'team');
SELECT * FROM use();
UPDATE org.team SET blocked = false;
SELECT org_update('acme', blocked => true) -> 'blocked' AS blocked;
SELECT * FROM use();
SELECT org_update('acme', blocked => false, api_key => 'sk-boss-team') -> 'blocked' AS blocked;
-- The refusal of an expired key tells the time, and takes precedence over a block of its team or organization.
UPDATE org.api_key SET expires = '2026-01-02T03:04:05.000006Z' WHERE expires IS NOT NULL OR user_id = 'boss';
UPDATE org.organization SET blocked = true WHERE organization_id = 'acme';
SELECT * FROM use();
UPDATE org.organization SET blocked = false;
UPDATE org.api_key SET expires = now() + interval '1 hour' WHERE expires IS NOT NULL;
SELECT * FROM use();
-- The user's role is read in every call.
SELECT attempt($$org_new('x', 'by-bob', api_key => 'sk-bob')$$);
UPDATE org."user" SET user_role = 'proxy_admin' WHERE user_id = 'bob';
SELECT attempt($$org_new('x', 'by-bob', api_key => 'sk-bob')$$);
UPDATE org."user" SET user_role = 'internal_user' WHERE user_id = 'bob';
SELECT attempt($$org_new('x', 'by-bob-again', api_key => 'sk-bob')$$);
-- A key that is limited to some models can't give other models to a key.
SELECT key_generate(user_id => 'default_user_id', models => '{m1,n/*}', key => 'sk-few'), key_generate(key => 'sk-target') \g /dev/null
SELECT models, attempt(format('key_generate(models => %L, api_key => ''sk-few'')', models)) AS generate,
       attempt(format('key_update(''sk-target'', models => %L, api_key => ''sk-few'')', models)) AS update
  FROM unnest('{"{m1}","{n/x,n/*}","{m2}","{}"}'::text[]) AS models;

-- key_delete by alias ---------------------------------------------------------
-- Three keys have the alias ci: one of ann's organization, one of eve's, and one of bob's own.
SELECT org_member_add('beta', '{"role": "org_admin", "user_id": "eve"}'), key_generate('eve', key => 'sk-eve'),
       key_generate(organization_id => 'acme', key_alias => 'ci', key => 'sk-ci-acme'),
       key_generate(organization_id => 'beta', key_alias => 'ci', key => 'sk-ci-beta'),
       key_generate('bob', key_alias => 'ci', key => 'sk-ci-bob') \g /dev/null
SELECT fingerprint() AS contents \gset before_
-- For a proxy admin the alias is ambiguous. A caller who may delete none of the keys gets the same answer as for an
-- unknown alias.
SELECT attempt($$key_delete(key_aliases => '{ci}')$$), attempt($$key_delete(key_aliases => '{nobody-has-this}')$$);
SELECT attempt($$key_delete(key_aliases => '{ci}', api_key => 'sk-free')$$),
       attempt($$key_delete(key_aliases => '{nobody-has-this}', api_key => 'sk-free')$$),
       attempt($$key_delete('{sk-ann}', '{nobody-has-this}', api_key => 'sk-ann')$$);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;
-- For eve the alias becomes ambiguous when she has such a key of her own.
SELECT key_generate('eve', key_alias => 'ci', key => 'sk-ci-eve') \g /dev/null
SELECT attempt($$key_delete(key_aliases => '{ci}', api_key => 'sk-eve')$$);
-- Otherwise it names the one key that the caller may delete; a key named twice or in both ways is deleted once.
SELECT json_array_length(key_delete('{sk-ci-eve}', api_key => 'sk-eve')) AS deleted;
SELECT json_array_length(key_delete(key_aliases => '{ci, ci}', api_key => 'sk-eve')) AS deleted;
SELECT json_array_length(key_delete('{sk-ci-acme, sk-ci-acme}', '{ci}', api_key => 'sk-ann')) AS deleted;
SELECT json_array_length(key_delete(key_aliases => '{ci}', api_key => 'sk-bob')) AS deleted;
SELECT key_alias FROM org.api_key WHERE key_alias = 'ci';

-- key_update, key_info, key_list -----------------------------------------------
SELECT key_generate('ann', 'acme', 'alone', key_alias => 'alone''s', duration => '1h', models => '{gpt-4o}', key => 'sk-0123456789-of-alone')
       \g /dev/null
SELECT reply(key_update('sk-0123456789-of-alone', models => '{openai/o1}', max_budget => 5, tpm_limit => 6, clear => '{duration}'))
       \g (format=unaligned tuples_only=on)
SELECT call, attempt(call) FROM (VALUES
    ($$key_update('sk-0123456789-of-alone', models => '{claude}')$$),
    ($$key_update('sk-0123456789-of-alone', duration => '-1h')$$),
    ($$key_update('sk-unknown')$$),
    ($$key_info('sk-unknown')$$),
    ($$key_info('sk-0123456789-of-alone', 'sk-eve')$$)) AS t (call);
SELECT info ->> 'key' = info -> 'info' ->> 'token_id' AS by_its_identifier,
       key_info(info ->> 'key')::text = info::text AS same_by_identifier,
       key_info(api_key => 'sk-0123456789-of-alone')::text = info::text AS same_by_itself
  FROM key_info('sk-0123456789-of-alone') AS info;
SELECT filter, (SELECT string_agg(k ->> 'key_alias', ' ') FROM json_array_elements(keys -> 'keys') AS k WHERE k ->> 'team_id' = 'alone') AS listed
  FROM (VALUES ('user_id', key_list(user_id => 'ann', return_full_object => true)), ('team_id', key_list(team_id => 'alone', return_full_object => true)),
               ('organization_id', key_list(organization_id => 'acme', return_full_object => true)), ('key_alias', key_list(key_alias => 'alone''s', return_full_object => true)),
               ('another user', key_list(user_id => 'bob', return_full_object => true))) AS t (filter, keys);

-- key_regenerate --------------------------------------------------------------
-- The old secret is refused at once, or when its time of grace is over.
SELECT key_regenerate('sk-eve', api_key => 'sk-eve') ->> 'key' AS second \gset
SELECT attempt($$org_list(api_key => 'sk-eve')$$) AS old, attempt(format('org_list(api_key => %L)', :'second')) AS new;
SELECT key_regenerate(:'second', grace_period => '1h') ->> 'key' AS third \gset
SELECT key_info(api_key => :'second')::text = key_info(api_key => :'third')::text AS both_are_good;
UPDATE org.api_key SET previous_expires = '2026-01-02T03:04:05Z' WHERE previous_key_hash IS NOT NULL;
SELECT attempt(format('org_list(api_key => %L)', :'second')) AS old;
-- A proxy admin's key that an organization's admin takes over is a proxy admin's no more.
SELECT org_member_add('acme', '{"role": "internal_user", "user_id": "boss"}'), key_generate('boss', 'acme', key => 'sk-boss-acme') \g /dev/null
SELECT attempt($$budget_new('by-boss', api_key => 'sk-boss-acme')$$) AS own;
SELECT key_regenerate('sk-boss-acme', api_key => 'sk-ann') ->> 'key' AS taken \gset
SELECT attempt(format('budget_new(%L, api_key => %L)', 'by-ann', :'taken')) AS taken,
       attempt(format('user_update(%L, user_email => %L, api_key => %L)', 'boss', 'ann@example.com', :'taken')) AS address;
SELECT budget_delete('by-boss') ->> 'budget_id' AS deleted;

-- A user's keys are deleted with the user.
DELETE FROM org."user" WHERE user_id = 'bob';
SELECT * FROM use();

DROP FUNCTION test.use;
CALL clear();
