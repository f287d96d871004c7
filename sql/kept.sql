-- Fields that an LLM gateway reads are stored, given back, replaced and cleared, and limit nothing.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

CREATE FUNCTION test.kept(reply json) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', reply -> 'metadata', reply -> 'object_permission')
$$;

SELECT kept(org_new('Acme', 'acme', metadata => '{"a": 1}', guardrails => '["pii"]', prompts => '["p"]',
                    logging => '[{"callback_name": "langfuse"}]', policies => '["strict"]',
                    router_settings => '{"num_retries": 2}', access_group_ids => '["g"]',
                    object_permission => '{"vector_stores": ["vs-1"]}'));
SELECT kept(org_new('Beta', 'beta')), kept(org_new('Gamma', 'gamma', guardrails => 'null'));
-- Each can be changed alone, and replaces what was there.
SELECT kept(org_update('acme', object_permission => '{"mcp_servers": []}', guardrails => '["b", "a"]'));
SELECT kept(org_update('acme', router_settings => '{}', guardrails => '[]', organization_alias => 'Acme Inc.'));
-- Metadata is replaced without them, and a copy of one inside it is left out.
SELECT kept(org_update('acme', metadata => '{"b": 2, "guardrails": ["c"]}', guardrails => '["d"]'));
SELECT kept(org_update('acme', clear => '{guardrails, object_permission}'));
SELECT kept(org_patch('acme', '{"object_permission": {"agents": ["x"]}, "policies": ["p"], "metadata": {"c": 3}}'));
SELECT kept(org_patch('acme', '{"object_permission": null, "policies": null}'));
SELECT kept(org_update('acme', clear => '{metadata}', prompts => '["p"]'));
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$org_update('acme', guardrails => '{}')$$),
    ($$org_update('acme', guardrails => '"pii"')$$),
    ($$org_update('acme', object_permission => '[]')$$),
    ($$org_update('acme', router_settings => '1')$$),
    ($$org_patch('acme', '{"object_permission": "x"}')$$),
    ($$org_new('X', 'x', logging => '{}')$$)) AS t (call);
SELECT attempt(format('org_update(%L, guardrails => %L)', 'acme', to_json(array_fill('g'::text, '{1001}')))) AS too_many,
       attempt(format('org_update(%L, prompts => %L)', 'acme', to_json(ARRAY[repeat('p', 65536)]))) AS too_long,
       attempt(format('org_update(%L, object_permission => %L)', 'acme',
                      json_build_object('x', repeat('p', 65536)))) AS too_large;
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;
-- The audit log has them.
SELECT after -> 'kept' AS kept, after -> 'metadata' AS metadata FROM org.audit_log
 WHERE organization_id = 'acme' AND kind = 'organization' AND action = 'org_patch' ORDER BY occurred_at;

-- Teams and keys have them, too. Who may change only the metadata does not change them.
SELECT user_new(id, auto_create_key => false), key_generate(id, key => 'sk-' || id) FROM unnest('{ann, bob}'::text[]) AS id \g /dev/null
SELECT kept(team_new(team_id => 'red', members_with_roles => '[{"role": "admin", "user_id": "ann"}, {"role": "user", "user_id": "bob"}]',
                     metadata => '{"a": 1}', guardrails => '["pii"]', enforced_params => '["user"]', team_member_key_duration => '30d',
                     rpm_limit_type => 'best_effort_throughput', object_permission => '{"agents": ["x"]}'));
-- So are LiteLLM's lists of people, which give nobody a role.
SELECT reply -> 'admins' AS admins, reply -> 'members' AS members, json_array_length(reply -> 'members_with_roles') AS with_roles
  FROM team_new(team_id => 'blue', admins => '["bob"]', members => '["ann", "bob"]') AS reply;
SELECT data -> 'admins' AS admins, data -> 'members' AS members
  FROM json_extract_path(team_update('blue', admins => '[]', clear => '{members}'), 'data') AS data;
SELECT kept(team_update('red', metadata => '{"b": 2, "guardrails": []}', api_key => 'sk-ann') -> 'data');
SELECT kept(team_update('red', prompts => '["p"]', clear => '{guardrails, object_permission, rpm_limit_type}') -> 'data');
SELECT reply -> 'config' AS config, reply -> 'allowed_cache_controls' AS allowed_cache_controls, kept(reply)
  FROM key_generate('bob', team_id => 'red', key => 'sk-red', metadata => '{"a": 1}', config => '{"region": "eu"}',
                    allowed_cache_controls => '["no-cache"]', guardrails => '["pii"]', key_type => 'llm_api',
                    object_permission => '{"agents": ["x"]}') AS reply;
SELECT kept(key_update('sk-red', metadata => '{"b": 2, "guardrails": []}', api_key => 'sk-bob'));
SELECT reply -> 'config' AS config, kept(reply)
  FROM key_update('sk-red', guardrails => '["x"]', key_type => 'default', clear => '{config, object_permission}') AS reply;
SELECT kept(key_regenerate('sk-red', policies => '["p"]', new_key => 'sk-new'));
SELECT kept(key_service_account_generate('red', key => 'sk-service', guardrails => '["pii"]'));
SELECT call, attempt(call) FROM (VALUES
    ($$team_update('red', guardrails => '[]', api_key => 'sk-ann')$$),
    ($$team_update('red', clear => '{prompts}', api_key => 'sk-ann')$$),
    ($$team_update('red', enforced_params => '{}')$$),
    ($$team_update('red', members => '[1]')$$),
    ($$key_update('sk-new', guardrails => '[]', api_key => 'sk-bob')$$),
    ($$key_update('sk-new', clear => '{policies}', api_key => 'sk-bob')$$),
    ($$key_update('sk-new', config => '[]')$$),
    ($$key_update('sk-new', allowed_cache_controls => '"no-cache"')$$),
    ($$key_generate(key_type => repeat('x', 100000))$$)) AS t (call);
CALL test.clear();
