-- Merge patches of organizations: org_patch, RFC 7396.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

SELECT org_new('Acme', 'acme', models => '{gpt-4o}', metadata => '{"a": {"b": 1, "c": [1, 2]}, "d": 2}',
               blocked => true,
               tags => '{x}', model_aliases => '{"fast": "gpt-4o"}', max_budget => 5, soft_budget => 4, tpm_limit => 3,
               rpm_limit => 2, max_parallel_requests => 1,
               model_max_budget => '{"gpt-4o": {"max_budget": 5, "period": "1d"}}',
               budget_duration => '30d') ->> 'organization_id' AS made;
CREATE FUNCTION test.shown(reply json) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', reply -> 'organization_alias', reply -> 'models', reply -> 'metadata', reply -> 'blocked',
                     reply -> 'tags', reply -> 'model_aliases', reply -> 'default_reserve')
$$;
CREATE FUNCTION test.budget(reply json) RETURNS text LANGUAGE sql AS $$
    SELECT masked((budget::jsonb - '{budget_id, created_at, created_by, updated_at, updated_by}'::text[])::text)
      FROM CAST(reply -> 'litellm_budget_table' AS json) AS budget
$$;

-- The reply, whole.
SELECT reply(org_patch('acme', '{}')) \g (format=unaligned tuples_only=on)

-- A value replaces.
SELECT shown(org_patch('acme', '{"organization_alias": "Anvils"}'));
SELECT shown(org_patch('acme', '{"models": ["a", "b"]}'));
SELECT shown(org_patch('acme', '{"models": []}'));
SELECT shown(org_patch('acme', '{"tags": ["y", "z"]}'));
SELECT shown(org_patch('acme', '{"blocked": false}'));
SELECT shown(org_patch('acme', '{"default_reserve": 0.5}'));
SELECT shown(org_patch('acme', '{"default_reserve": "1e-3"}'));
SELECT shown(org_patch('acme', '{"organization_alias": "Acme", "models": ["m"], "blocked": true}'));
SELECT budget(org_patch('acme', '{"max_budget": 50.5, "soft_budget": "40.5", "tpm_limit": 30, "rpm_limit": "20",
                                  "max_parallel_requests": 1e1, "budget_duration": "1h"}'));

-- Objects merge, at every depth: what is null goes, what is new comes, what is no object is replaced.
SELECT patch, org_patch('acme', jsonb_build_object('metadata', patch::jsonb)) -> 'metadata' AS metadata FROM (VALUES
    ('{}'),
    ('{"e": 3}'),
    ('{"a": {"b": 2}}'),
    ('{"a": {"c": null, "f": {"g": 1}}}'),
    ('{"a": {"f": {"g": null}}}'),
    ('{"a": {"f": null, "nothing": null}}'),
    ('{"d": [1, null, {"x": null}]}'),
    ('{"d": {"x": null, "y": {"z": null, "1": true}}}'),
    ('{"a": 1}'),
    ('{"a": null, "d": null, "e": null}'),
    ('{"": {"": 1}}'),
    ('{"a\"b": "c\\d", "": null}')) AS t (patch);
SELECT org_patch('acme', '{"model_aliases": {"slow": "gpt-3", "fast": null}}') -> 'model_aliases' AS model_aliases;
SELECT budget(org_patch('acme', '{"model_max_budget": {"gpt-4o": {"period": null}, "gpt-3": {"max_budget": 1}}}'));
-- As the RFC has it, a null inside what is new leaves nothing.
SELECT org_patch('acme', '{"metadata": {"new": {"x": null}}}') -> 'metadata' AS metadata;

-- A null clears.
SELECT budget(org_patch('acme', '{"max_budget": null, "tpm_limit": null, "model_max_budget": null}'));
SELECT budget(org_patch('acme', '{"soft_budget": null, "rpm_limit": null, "max_parallel_requests": null,
                                  "budget_duration": null}'));
SELECT shown(org_patch('acme', '{"metadata": null, "tags": null, "model_aliases": null, "blocked": null,
                                 "default_reserve": null}'));
SELECT budget(org_patch('acme', '{"model_max_budget": {"gpt-4o": {"max_budget": 1, "period": null}},
                                  "max_budget": 0}'));

-- What cannot be done, and changes nothing.
SELECT fingerprint() AS contents \gset before_
SELECT patch, attempt(format('org_patch(%L, %L)', 'acme', patch)) FROM (VALUES
    (NULL),
    ('null'),
    ('[]'),
    ('"text"'),
    ('1'),
    ('{"organization_alias": null}'),
    ('{"models": null}'),
    ('{"organization_alias": 1}'),
    ('{"organization_alias": {}}'),
    ('{"models": "gpt-4o"}'),
    ('{"models": {"0": "gpt-4o"}}'),
    ('{"models": ["a", null]}'),
    ('{"models": ["a", 1]}'),
    ('{"tags": ["a", ["b"]]}'),
    ('{"metadata": []}'),
    ('{"metadata": "{}"}'),
    ('{"model_aliases": 1}'),
    ('{"model_max_budget": []}'),
    ('{"blocked": "true"}'),
    ('{"blocked": 1}'),
    ('{"default_reserve": -1}'),
    ('{"default_reserve": "much"}'),
    ('{"default_reserve": {}}'),
    ('{"default_reserve": 1e16}'),
    ('{"max_budget": -1}'),
    ('{"max_budget": "much"}'),
    ('{"max_budget": ""}'),
    ('{"max_budget": "NaN"}'),
    ('{"max_budget": "Infinity"}'),
    ('{"max_budget": true}'),
    ('{"max_budget": []}'),
    ('{"max_budget": 1e16}'),
    ('{"max_budget": "1e400000"}'),
    ('{"max_budget": "1e-20000"}'),
    ('{"soft_budget": -0.01}'),
    ('{"tpm_limit": 1.5}'),
    ('{"tpm_limit": "1.5"}'),
    ('{"tpm_limit": -1}'),
    ('{"rpm_limit": 9223372036854775808}'),
    ('{"rpm_limit": "0x10"}'),
    ('{"max_parallel_requests": " 1"}'),
    ('{"budget_duration": 30}'),
    ('{"budget_duration": "30"}'),
    ('{"spend": 1}'),
    ('{"budget_id": "b"}'),
    ('{"organization_id": "acme"}'),
    ('{"litellm_budget_table": {"max_budget": 1}}'),
    ('{"updated_by": "me"}'),
    ('{"unheard_of": null}'),
    ('{"organization_alias": ""}'),
    ('{"Metadata": {}}'),
    ('{"": 1}'),
    ('{"organization_alias": "Acme", "tags": 1}'),
    ('{"it''s \"quoted\"": 1}')) AS t (patch);
SELECT call, attempt(call) FROM (VALUES
    ($$org_patch(NULL, '{}')$$),
    ($$org_patch('nowhere', '{}')$$),
    ($$org_patch('', '{}')$$),
    ($$org_patch('nowhere', '{"organization_alias": "x"}')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;

DROP FUNCTION test.shown, test.budget;
CALL clear();
