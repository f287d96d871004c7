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
-- Metadata is replaced as a whole, as ever; what stands beside it wins.
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
CALL test.clear();
