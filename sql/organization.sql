-- Organizations: org_new, org_update, org_delete, org_list, org_info, org_info_many.
-- budget.sql tests their budgets, and roles.sql tests permissions.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

-- org_new ---------------------------------------------------------------------
-- This is the whole reply with every field given.
SELECT reply(org_new('Acme', 'acme', models => '{gpt-4o, claude-3}', max_budget => 100, soft_budget => 80.50,
                     tpm_limit => 9223372036854775807, rpm_limit => 10, max_parallel_requests => 0,
                     model_max_budget => '{"gpt-4o": {"max_budget": 5}}', budget_duration => '30d',
                     metadata => '{"country": "NL"}', blocked => false, tags => '{x, "a b", x}',
                     model_aliases => '{"fast": "gpt-4o"}', default_reserve => 0.250))
       \g (format=unaligned tuples_only=on)

-- Only the alias is required, and it may be empty.
SELECT reply(org_new('')) \g (format=unaligned tuples_only=on)

-- A null counts as an absent field.
SELECT masked(org_new('', NULL, '{}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                      NULL, NULL)::text)
       = masked(org_new('')::text) AS same;

-- The stored row has the values of the reply.
SELECT organization_alias, spend, metadata, models, blocked, tags, model_aliases, default_reserve, created_by,
       updated_by,
       created_at = updated_at AS same_time, now() - created_at < '1 min' AS new
  FROM org.organization WHERE organization_id = 'acme';
SELECT o.budget_id = b.budget_id AS its_own, (SELECT org_info('acme')) ->> 'budget_id' = b.budget_id AS shown,
       max_budget, soft_budget, auto_created, b.created_by
  FROM org.organization o JOIN org.budget b USING (budget_id) WHERE organization_id = 'acme';

-- Generated identifiers are lower-case UUIDs of version 4.
SELECT reply ->> 'organization_id' ~ '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'
       AS organization_id,
       reply ->> 'budget_id' ~ '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' AS budget_id,
       reply ->> 'budget_id' = reply -> 'litellm_budget_table' ->> 'budget_id' AS same_budget
  FROM org_new('Acme') AS reply;

-- Times are ISO 8601 in UTC with six digits, whatever the session's time zone.
SET timezone = 'Asia/Kolkata';
SELECT (reply ->> 'created_at')::timestamptz - now() < '1 min' AS is_now,
       reply ->> 'created_at' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$' AS is_utc
  FROM org_new('Kolkata', 'kolkata') AS reply;
SET timezone = 'UTC';
UPDATE org.organization SET created_at = '2026-03-01T00:00:00Z', updated_at = '2026-12-31T23:59:59.999999Z'
 WHERE organization_id = 'kolkata';
SET timezone = 'America/New_York';
SET datestyle = 'German';
SELECT reply -> 'created_at' AS created_at, reply -> 'updated_at' AS updated_at FROM org_info('kolkata') AS reply;
RESET timezone;
RESET datestyle;

-- Identifiers are unique; aliases need not be.
SELECT count(*) AS of_one_alias FROM org.organization WHERE organization_alias = 'Acme';
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$org_new('Other', 'acme')$$),
    ($$org_new('Other', 'ACME')$$),
    ($$org_new(NULL)$$),
    ($$org_new('x', '')$$),
    ($$org_new('x', repeat('x', 256))$$),
    ($$org_new('x', repeat('x', 255))$$),
    ($$org_new('x', models => NULL)$$),
    ($$org_new('x', models => '{a, NULL}')$$),
    ($$org_new('x', tags => '{NULL}')$$),
    ($$org_new('x', metadata => '[]')$$),
    ($$org_new('x', metadata => '"text"')$$),
    ($$org_new('x', metadata => 'null')$$),
    ($$org_new('x', model_aliases => '1')$$)) AS t (call);
SELECT json_array_length(org_delete(ARRAY['ACME', repeat('x', 255)])) AS deleted;
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;

-- created_by is the user of the calling key.
SELECT user_new('boss', user_role => 'proxy_admin', auto_create_key => false) ->> 'user_id' AS user_id;
SELECT key_generate('boss', key => 'sk-boss') ->> 'key' AS key;
SELECT reply -> 'created_by' AS created_by, reply -> 'updated_by' AS updated_by,
       reply -> 'litellm_budget_table' -> 'created_by' AS budget_created_by
  FROM org_new('Boss', 'of-boss', api_key => 'sk-boss') AS reply;

-- Models of the caller's key --------------------------------------------------
SELECT key_generate('boss', models => '{gpt-4o, openai/*, bedrock/*-v1}', key => 'sk-some') ->> 'key' AS key;
SELECT key_generate('boss', models => '{gpt-4o, all-proxy-models}', key => 'sk-all') ->> 'key' AS key;
SELECT key_generate('boss', models => '{*}', key => 'sk-star') ->> 'key' AS key;
SELECT models, attempt(format('org_new(%L, models => %L, api_key => %L)', 'Models', models, 'sk-some')) FROM (VALUES
    ('{}'),
    ('{gpt-4o}'),
    ('{gpt-4o, gpt-4o, openai/gpt-4o}'),
    ('{openai/}'),
    ('{openai}'),
    ('{openai/*}'),
    ('{openai/gpt-*}'),
    ('{bedrock/claude-v1}'),
    ('{bedrock/claude-v2}'),
    ('{gpt-4o, claude-3}'),
    ('{gpt-4o-mini}'),
    ('{GPT-4o}'),
    ('{*}'),
    ('{all-proxy-models}'),
    ('{""}'),
    ('{"it''s"}')) AS t (models);
SELECT key, models, attempt(format('org_new(%L, models => %L, api_key => %L)', 'Models', models, key))
  FROM unnest('{sk-all, sk-star, sk-boss}'::text[]) AS key,
       unnest('{"{}", "{anything}", "{all-proxy-models}"}'::text[]) WITH ORDINALITY AS tried (models, place)
 ORDER BY key, place;
-- The same holds for a change of the models, and for no other change.
SELECT call, attempt(call) FROM (VALUES
    ($$org_update('acme', models => '{}', api_key => 'sk-some')$$),
    ($$org_update('acme', models => '{claude-3}', api_key => 'sk-some')$$),
    ($$org_update('acme', organization_alias => 'Acme', api_key => 'sk-some')$$),
    ($$org_patch('acme', '{"models": []}', api_key => 'sk-some')$$),
    ($$org_patch('acme', '{"models": ["claude-3"]}', api_key => 'sk-some')$$),
    ($$org_patch('acme', '{"blocked": false}', api_key => 'sk-some')$$),
    ($$org_update('acme', models => '{gpt-4o}', api_key => 'sk-some')$$)) AS t (call);
SELECT org_info('acme') -> 'models' AS models;

-- org_update ------------------------------------------------------------------
CALL clear();
SELECT org_new('Acme', 'acme', models => '{gpt-4o}', metadata => '{"a": {"b": 1}, "c": 2}', blocked => true,
               tags => '{x}',
               model_aliases => '{"fast": "gpt-4o"}', max_budget => 5) ->> 'organization_id' AS made;
UPDATE org.organization SET created_at = '2026-01-01Z', updated_at = '2026-01-01Z', created_by = 'somebody',
       updated_by = 'somebody';
SELECT reply(org_update('acme')) \g (format=unaligned tuples_only=on)
SELECT created_at < updated_at AS later, created_by, updated_by FROM org.organization;

-- Each field can be changed alone; the others stay.
CREATE FUNCTION test.shown(reply json) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', reply -> 'organization_alias', reply -> 'models', reply -> 'metadata', reply -> 'blocked',
                     reply -> 'tags', reply -> 'model_aliases', reply -> 'default_reserve',
                     reply -> 'litellm_budget_table' -> 'max_budget')
$$;
SELECT shown(org_update('acme', models => '{claude-3, gpt-4o}'));
SELECT shown(org_update('acme', models => '{}'));
SELECT shown(org_update('acme', metadata => '{"a": {"d": null}}'));
SELECT shown(org_update('acme', blocked => false));
SELECT shown(org_update('acme', tags => '{y, z}'));
SELECT shown(org_update('acme', tags => '{}'));
SELECT shown(org_update('acme', model_aliases => '{}'));
SELECT shown(org_update('acme', default_reserve => 0.1));
SELECT shown(org_update('acme', default_reserve => 0));
SELECT shown(org_update('acme', organization_alias => 'Acme', models => '{m}', metadata => '{"e": 1}', blocked => true,
                        tags => '{t}',
                        model_aliases => '{"a": "m"}', default_reserve => 12345678901.123456789, max_budget => 6));
-- Null arguments change nothing.
SELECT shown(org_update('acme', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                        NULL, NULL, NULL));
-- clear resets fields, even if the call gives a value as well.
SELECT shown(org_update('acme', clear => '{}'));
SELECT shown(org_update('acme', clear => '{metadata, blocked}'));
SELECT shown(org_update('acme', clear => '{tags, tags, model_aliases, max_budget}', organization_alias => 'Cleared'));
SELECT shown(org_update('acme', clear => '{default_reserve}', default_reserve => 1));
-- Clients send null for every field that is empty in a form: what cannot be null stays.
SELECT shown(org_update('acme', clear => '{organization_alias, models, budget_id, cascade, organization_id}'));

SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$org_update(NULL)$$),
    ($$org_update('nowhere')$$),
    ($$org_update('')$$),
    ($$org_update('ACME')$$),
    ($$org_update('acme', models => '{NULL}')$$),
    ($$org_update('acme', tags => '{a, NULL}')$$),
    ($$org_update('acme', metadata => '[]')$$),
    ($$org_update('acme', model_aliases => 'true')$$),
    ($$org_update('acme', litellm_budget_table => '[]')$$),
    ($$org_update('acme', clear => '{NULL}')$$),
    ($$org_update('acme', clear => '{spend}')$$),
    ($$org_update('acme', clear => '{""}')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;

-- org_delete ------------------------------------------------------------------
CALL clear();
SELECT org_new('Acme', 'acme'), org_new('Beta', 'beta'), org_new('Gamma', 'gamma') \g /dev/null
SELECT user_new('ann', 'ann@example.com', auto_create_key => false), user_new('bob', auto_create_key => false)
       \g /dev/null
SELECT org_member_add('acme', '[{"role": "org_admin", "user_id": "ann"}, {"role": "internal_user", "user_id": "bob"}]',
                      5) \g /dev/null
SELECT org_member_add('beta', '{"role": "internal_user", "user_id": "ann"}') \g /dev/null
SELECT team_new('acme', 'Team', 'team', members_with_roles => '[{"role": "admin", "user_id": "ann"}]'),
       team_new('beta', 'Team', 'beta team', members_with_roles => '[{"role": "user", "user_id": "ann"}]') \g /dev/null
SELECT key_generate('ann', 'acme', key => 'sk-acme-ann'), key_generate(organization_id => 'acme', key => 'sk-acme'),
       key_generate(team_id => 'team', organization_id => 'acme', key => 'sk-acme-team'),
       key_generate('ann', key => 'sk-ann'), key_generate(organization_id => 'beta', key => 'sk-beta') \g /dev/null
SELECT user_info('ann') -> 'user_info' -> 'teams' AS teams;

-- If one organization can't be deleted, none is deleted.
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$org_delete(NULL)$$),
    ($$org_delete('{NULL}')$$),
    ($$org_delete('{acme, nowhere}')$$),
    ($$org_delete('{nowhere, acme, elsewhere}')$$),
    ($$org_delete('{acme, NULL}')$$),
    ($$org_delete('{acme, ""}')$$),
    ($$org_delete('{Acme}')$$)) AS t (call);
SELECT org_delete('{}') AS nothing;
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;

-- The reply has each organization once, in the order asked, as it was before, with members and teams.
SELECT reply(org_delete('{gamma, acme, gamma}')) \g (format=unaligned tuples_only=on)
SELECT (SELECT array_agg(organization_id) FROM org.organization) AS organizations,
       (SELECT array_agg((organization_id, user_id)) FROM org.membership) AS memberships,
       (SELECT array_agg((organization_id, team_id)) FROM org.team) AS teams,
       (SELECT array_agg((organization_id, team_id, user_id)) FROM org.team_member) AS team_members,
       (SELECT count(*) FROM org.budget) AS budgets;
-- Users stay but lose the teams; beta loses nothing.
SELECT user_id, user_info(user_id) -> 'user_info' -> 'teams' AS teams FROM org."user" ORDER BY user_id;
-- Keys of a deleted organization are refused.
SELECT key, attempt(format('org_list(api_key => %L)', key))
  FROM unnest('{sk-acme-ann, sk-acme, sk-acme-team, sk-ann, sk-beta}'::text[]) AS key;
SELECT attempt($$org_delete('{acme}')$$), attempt($$org_info('acme')$$);
-- The identifier can be used again.
SELECT reply -> 'organization_alias' AS alias, reply -> 'members' AS members
  FROM org_new('Acme again', 'acme') AS reply;

-- Identifiers compare by byte, whatever their characters.
SELECT org_new('x', id) ->> 'organization_id' AS made
  FROM unnest('{Zebra, äpfel, apfel, 中, "a b", "a,b", "\"", "{", "%"}'::text[]) AS id;
SELECT o ->> 'organization_id' AS deleted
  FROM json_array_elements(org_delete('{中, "%", äpfel, Zebra, "{", "\"", apfel, "a,b", "a b"}')) AS o;

-- org_list --------------------------------------------------------------------
CALL clear();
SELECT org_list() AS none;
SELECT org_new('Acme', 'acme'), org_new('Acme Labs', 'labs'), org_new('100% _Real\', 'real'), org_new('Été', 'ete'),
       org_new('Bare', 'empty') \g /dev/null
UPDATE org.organization SET created_at = date '2026-01-01' + array_position('{labs, real, ete, empty}', organization_id)
 WHERE organization_id <> 'acme';
UPDATE org.organization SET created_at = '2026-01-02' WHERE organization_id = 'acme';

CREATE FUNCTION test.ids(organizations json) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(o ->> 'organization_id', ' ' ORDER BY place)
      FROM json_array_elements(organizations) WITH ORDINALITY AS t (o, place)
$$;
-- Organizations are listed oldest first, and by identifier if they have the same age.
SELECT ids(org_list());
-- Each entry is the same as the reply of org_info.
SELECT bool_and(o::text = org_info(o ->> 'organization_id')::text) AS same FROM json_array_elements(org_list()) AS o;
-- The filters are one organization, a part of the alias in any case, or both.
SELECT call, ids(answer) FROM (VALUES
    ('org_id labs', org_list('labs')),
    ('org_id LABS', org_list('LABS')),
    ('org_id nowhere', org_list('nowhere')),
    ('org_id empty text', org_list('')),
    ('org_alias acme', org_list(org_alias => 'acme')),
    ('org_alias ME L', org_list(org_alias => 'ME L')),
    ('org_alias té', org_list(org_alias => 'té')),
    ('org_alias %', org_list(org_alias => '%')),
    ('org_alias _', org_list(org_alias => '_')),
    ('org_alias \', org_list(org_alias => '\')),
    ('org_alias empty text', org_list(org_alias => '')),
    ('both', org_list('labs', 'acme')),
    ('both, no match', org_list('labs', 'real')),
    ('nulls', org_list(NULL, NULL, NULL, NULL))) AS t (call, answer);
-- A page begins after the organization that is given as after.
SELECT ids(org_list("limit" => 2)) AS first_page, ids(org_list("limit" => 2, after => 'labs')) AS second,
       ids(org_list("limit" => 2, after => 'ete')) AS third, ids(org_list("limit" => 2, after => 'empty')) AS fourth;
SELECT ids(org_list("limit" => 1, after => 'acme')) AS amid_one_age, ids(org_list(after => 'real')) AS rest,
       ids(org_list(org_alias => 'acme', "limit" => 1, after => 'acme')) AS filtered,
       ids(org_list("limit" => 1000)) AS most;
SELECT call, attempt(call) FROM (VALUES
    ($$org_list("limit" => 0)$$),
    ($$org_list("limit" => -1)$$),
    ($$org_list("limit" => 1001)$$),
    ($$org_list("limit" => 9223372036854775807)$$),
    ($$org_list(after => 'nowhere')$$),
    ($$org_list(after => '')$$)) AS t (call);

-- org_info --------------------------------------------------------------------
CALL clear();
SELECT org_new('Acme', 'acme', max_budget => 3), org_new('Beta', 'beta') \g /dev/null
SELECT user_new('ann', 'Ann@example.com', auto_create_key => false), user_new('bob', auto_create_key => false)
       \g /dev/null
SELECT org_member_add('acme', '{"role": "org_admin", "user_id": "bob"}') \g /dev/null
SELECT org_member_add('acme', '{"role": "internal_user", "user_id": "ann"}', 2.50) \g /dev/null
SELECT team_new('acme', 'Team', 'team', members_with_roles => '[{"role": "user", "user_id": "ann"},
                                                                {"role": "admin", "user_id": "bob"}]'),
       team_new('acme', team_id => 'empty') \g /dev/null
SELECT reply(org_info('acme')) \g (format=unaligned tuples_only=on)
SELECT call, attempt(call) FROM (VALUES
    ($$org_info(NULL)$$),
    ($$org_info('nowhere')$$),
    ($$org_info('')$$),
    ($$org_info('ACME')$$)) AS t (call);

-- org_info_many ---------------------------------------------------------------
-- The reply keeps the order asked and omits unknown organizations.
SELECT reply(org_info_many('{beta}')) \g (format=unaligned tuples_only=on)
SELECT ids(org_info_many('{beta, nowhere, acme}')), org_info_many('{nowhere}') AS none,
       (org_info_many('{acme}') -> 0)::text = org_info('acme')::text AS same_as_info;
SELECT call, attempt(call) FROM (VALUES
    ($$org_info_many(NULL)$$),
    ($$org_info_many('{}')$$),
    ($$org_info_many('{acme, NULL}')$$)) AS t (call);

DROP FUNCTION test.shown, test.ids;
CALL clear();
