-- Keys: blocked, budget_id, allowed_routes, tags and aliases; personal keys; moving, resetting and replacing them.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

SELECT org_new('Acme', 'acme', models => '{gpt-4o, o1}', tags => '{of-acme}', model_aliases => '{"best": "o1"}'),
       org_new('Beta', 'beta', models => '{gpt-4o}') \g /dev/null
SELECT user_new(id, auto_create_key => false) FROM unnest('{ann, bob, eve}'::text[]) AS id \g /dev/null
SELECT user_new('rich', auto_create_key => false, models => '{gpt-4o}', max_budget => 10, tpm_limit => 100) \g /dev/null
SELECT org_member_add('acme', '[{"role": "org_admin", "user_id": "ann"}, {"role": "internal_user", "user_id": "bob"}]'),
       org_member_add('beta', '{"role": "org_admin", "user_id": "eve"}') \g /dev/null
SELECT team_new('acme', 'Red', 'red', members_with_roles => '[{"role": "user", "user_id": "bob"}]', tags => '{of-red}',
                model_aliases => '{"fast": "gpt-4o"}'),
       team_new('acme', 'Small', 'small', '{gpt-4o}'), team_new('beta', 'Blue', 'blue') \g /dev/null
SELECT budget_new('gold', max_budget => 5, budget_duration => '1d', rpm_limit => 3) \g /dev/null
SELECT key_generate('ann', key => 'sk-ann'), key_generate('bob', key => 'sk-bob'), key_generate('eve', key => 'sk-eve'),
       key_generate('rich', key => 'sk-rich') \g /dev/null
SELECT team -> 'tags' AS tags, team -> 'model_aliases' AS model_aliases
  FROM json_extract_path(team_update('red', tags => '{of-red, red}'), 'data') AS team;

-- key_generate ----------------------------------------------------------------
SELECT reply(key_generate('bob', 'acme', 'red', key => 'sk-0123456789-of-bob', blocked => true, budget_id => 'gold',
                          allowed_routes => '{llm_api_routes}', tags => '{mine}', aliases => '{"quick": "fast"}'))
       \g (format=unaligned tuples_only=on)
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$key_generate(budget_id => 'nowhere')$$),
    ($$key_generate(budget_id => 'gold', max_budget => 1)$$),
    ($$key_generate(budget_id => 'gold', organization_id => 'acme', api_key => 'sk-ann')$$),
    ($$key_generate(budget_id => 'nowhere', organization_id => 'acme', api_key => 'sk-ann')$$),
    ($$key_generate(allowed_routes => '{anything}')$$),
    ($$key_generate(allowed_routes => '{NULL}')$$),
    ($$key_generate(aliases => '[]')$$),
    ($$key_generate(tags => '{NULL}')$$),
    ($$key_generate('stranger', 'acme', api_key => 'sk-ann')$$),
    ($$key_generate('eve', 'acme', api_key => 'sk-ann')$$),
    ($$key_service_account_generate(NULL)$$),
    ($$key_service_account_generate('nowhere')$$),
    ($$key_service_account_generate('red', api_key => 'sk-bob')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;
-- A proxy admin's unknown user is made; a key may work without end.
SELECT key_generate('newcomer', duration => '-1') -> 'expires' AS expires;
SELECT user_info('newcomer') -> 'user_info' ->> 'user_role' AS role;
SELECT reply -> 'user_id' AS user_id, reply ->> 'team_id' AS team, reply ->> 'organization_id' AS organization
  FROM key_service_account_generate('red', key_alias => 'service', api_key => 'sk-ann') AS reply;

-- An alias belongs to one key of an organization, or of a user outside organizations.
SELECT call, attempt(call) FROM (VALUES
    ($$key_generate(organization_id => 'acme', key_alias => 'service')$$),
    ($$key_generate(organization_id => 'beta', key_alias => 'service')$$),
    ($$key_generate('bob', key_alias => 'service')$$),
    ($$key_generate('bob', key_alias => 'service')$$),
    ($$key_generate('eve', key_alias => 'service')$$),
    ($$key_generate(key_alias => 'service')$$),
    ($$key_generate(key_alias => 'service')$$),
    ($$key_update('sk-0123456789-of-bob', key_alias => 'service')$$),
    ($$key_update('sk-0123456789-of-bob', key_alias => 'of-bob')$$),
    ($$key_update('sk-0123456789-of-bob', key_alias => 'of-bob')$$)) AS t (call);

-- Internal users make keys for themselves, within their own models and limits.
SELECT reply ->> 'user_id' AS user_id, reply -> 'organization_id' AS organization_id
  FROM key_generate(key_alias => 'personal', models => '{gpt-4o}', max_budget => 9, api_key => 'sk-rich') AS reply;
SELECT call, attempt(call) FROM (VALUES
    ($$key_generate('rich', models => '{o1}', api_key => 'sk-rich')$$),
    ($$key_generate('rich', max_budget => 11, api_key => 'sk-rich')$$),
    ($$key_generate('rich', tpm_limit => 101, api_key => 'sk-rich')$$),
    ($$key_generate('bob', api_key => 'sk-rich')$$),
    ($$key_generate(organization_id => 'acme', api_key => 'sk-rich')$$),
    ($$key_generate(key => 'sk-chosen', api_key => 'sk-rich')$$)) AS t (call);

-- Routes ----------------------------------------------------------------------
SELECT key_generate('default_user_id', key => 'sk-all'),
       key_generate('default_user_id', allowed_routes => '{llm_api_routes}', key => 'sk-llm'),
       key_generate('default_user_id', allowed_routes => '{management_routes}', key => 'sk-management'),
       key_generate('default_user_id', allowed_routes => '{info_routes}', key => 'sk-info'),
       key_generate('default_user_id', allowed_routes => '{/key/*, /v2/organization/*}', key => 'sk-keys'),
       key_generate('default_user_id', allowed_routes => '{/chat/completions}', key => 'sk-chat') \g /dev/null
SELECT key, call, left(attempt(format(call, key)), 60) AS answer
  FROM unnest('{sk-all, sk-llm, sk-management, sk-info, sk-keys, sk-chat}'::text[]) AS key,
       unnest(ARRAY['key_info(api_key => %L)', 'key_info(''sk-bob'', %L)', 'key_health(%L)', 'org_info(''acme'', %L)',
                    'org_patch(''acme'', ''{"blocked": false}'', api_key => %L)',
                    'key_update(''sk-bob'', max_budget => 1, api_key => %L)',
                    'usage_reserve(''sk-bob'', ''m'', 0.1, api_key => %L)']) WITH ORDINALITY AS c (call, place)
 ORDER BY key, place;
-- Which keys may be used for calls of models.
SELECT key, attempt(format('usage_reserve(%L, ''m'')', key)) AS answer
  FROM unnest('{sk-all, sk-llm, sk-management, sk-info, sk-keys, sk-chat}'::text[]) AS key;
-- Such a key gives no other routes.
SELECT call, attempt(call) FROM (VALUES
    ($$key_generate(api_key => 'sk-keys')$$),
    ($$key_generate(allowed_routes => '{/key/*, info_routes}', api_key => 'sk-keys')$$),
    ($$key_generate(allowed_routes => '{/key/*}', api_key => 'sk-keys')$$),
    ($$key_update('sk-keys', allowed_routes => '{}', api_key => 'sk-keys')$$)) AS t (call);

-- Calls -----------------------------------------------------------------------
-- A call has the tags of its key, team and organization, and names stand for models in this order, too.
SELECT key_update('sk-0123456789-of-bob', blocked => false) -> 'blocked' AS blocked;
SELECT usage_reserve('sk-0123456789-of-bob', 'quick', 1, request_id => 'tagged', tags => '{asked, mine}') ->> 'model' AS model;
SELECT tags FROM org.reservation WHERE request_id = 'tagged';
SELECT usage_record('sk-0123456789-of-bob', 'best', 1, request_id => 'recorded') ->> 'model' AS model;
SELECT tags FROM org.usage WHERE request_id = 'recorded';
-- An alias of a key allows nothing that its team does not.
SELECT key_generate(team_id => 'small', key => 'sk-small', aliases => '{"gpt-4o": "o1"}') -> 'aliases' AS aliases;
SELECT attempt($$usage_reserve('sk-small', 'gpt-4o')$$);
-- A key's budget limits it like limits of its own.
SELECT limits ->> 'limit' AS "limit", limits ->> 'value' AS value, limits ->> 'spent' AS spent
  FROM json_array_elements(usage_limits('sk-0123456789-of-bob') -> 'limits') AS limits;
SELECT attempt($$usage_reserve('sk-0123456789-of-bob', 'gpt-4o', 4)$$);
SELECT attempt($$budget_delete('gold')$$) LIKE '23505 Budget=gold is in use by [''Key=%' AS in_use;
SELECT attempt($$key_update('sk-0123456789-of-bob', max_budget => 1)$$), attempt($$key_update('sk-bob', budget_id => 'gold')$$),
       attempt($$key_update('sk-0123456789-of-bob', clear => '{budget_id}', max_budget => 100, budget_duration => '1d')$$);
SELECT attempt($$key_update('sk-0123456789-of-bob', budget_id => 'gold')$$),
       attempt($$key_update('sk-0123456789-of-bob', budget_id => 'gold', clear => '{max_budget, budget_duration}')$$);
SELECT key -> 'budget_id' AS budget_id, key -> 'max_budget' AS max_budget, key -> 'litellm_budget_table' -> 'max_budget' AS of_budget
  FROM key_update('sk-0123456789-of-bob', clear => '{budget_id}') AS key;
SELECT budget_delete('gold') ->> 'budget_id' AS deleted;

-- A reset: its budgets count from now on; what was spent remains.
SELECT key_update('sk-0123456789-of-bob', max_budget => 10) -> 'spend' AS spend;
SELECT limits ->> 'spent' AS spent FROM json_array_elements(usage_limits('sk-0123456789-of-bob') -> 'limits') AS limits;
SELECT key -> 'spend' AS spend, key ->> 'key' AS key FROM key_reset_spend('sk-0123456789-of-bob', 0) AS key;
SELECT limits ->> 'spent' AS spent FROM json_array_elements(usage_limits('sk-0123456789-of-bob') -> 'limits') AS limits;
SELECT usage_record('sk-0123456789-of-bob', 'o1', 2, request_id => 'after') -> 'cost' AS cost;
SELECT limits ->> 'spent' AS spent FROM json_array_elements(usage_limits('sk-0123456789-of-bob') -> 'limits') AS limits;
SELECT key_update('sk-0123456789-of-bob', spend => 0) -> 'spend' AS spend;
SELECT limits ->> 'spent' AS spent FROM json_array_elements(usage_limits('sk-0123456789-of-bob') -> 'limits') AS limits;
SELECT usage_verify();
SELECT call, attempt(call) FROM (VALUES
    ($$key_reset_spend('sk-0123456789-of-bob', NULL)$$),
    ($$key_reset_spend('sk-0123456789-of-bob', 1)$$),
    ($$key_reset_spend('sk-0123456789-of-bob', 0, api_key => 'sk-bob')$$),
    ($$key_update('sk-0123456789-of-bob', spend => 1)$$)) AS t (call);

-- Moves -----------------------------------------------------------------------
CREATE FUNCTION test.moved(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    key  json;
BEGIN
    EXECUTE 'SELECT ' || call INTO key;
    RETURN concat_ws(' ', key ->> 'organization_id', key ->> 'team_id', key ->> 'user_id', key ->> 'spend');
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END $$;
SELECT call, moved(call) FROM (VALUES
    -- an organization's admin moves keys inside it
    ($$key_update('sk-0123456789-of-bob', team_id => 'small', api_key => 'sk-ann')$$),
    ($$key_update('sk-0123456789-of-bob', models => '{gpt-4o}', team_id => 'small', api_key => 'sk-ann')$$),
    ($$key_update('sk-0123456789-of-bob', models => '{o1}', api_key => 'sk-ann')$$),
    ($$key_update('sk-0123456789-of-bob', user_id => 'ann', api_key => 'sk-ann')$$),
    ($$key_update('sk-0123456789-of-bob', user_id => 'eve', api_key => 'sk-ann')$$),
    ($$key_update('sk-0123456789-of-bob', user_id => 'nobody', api_key => 'sk-ann')$$),
    ($$key_update('sk-0123456789-of-bob', organization_id => 'beta', api_key => 'sk-ann')$$),
    ($$key_update('sk-0123456789-of-bob', organization_id => 'beta', api_key => 'sk-eve')$$),
    ($$key_update('sk-0123456789-of-bob', team_id => 'blue', api_key => 'sk-ann')$$),
    ($$key_update('sk-0123456789-of-bob', team_id => 'red', api_key => 'sk-bob')$$),
    -- a proxy admin everywhere
    ($$key_update('sk-0123456789-of-bob', team_id => 'nowhere')$$),
    ($$key_update('sk-0123456789-of-bob', organization_id => 'nowhere')$$),
    ($$key_update('sk-0123456789-of-bob', team_id => 'blue', models => '{o1}')$$),
    ($$key_update('sk-0123456789-of-bob', team_id => 'blue')$$),
    ($$key_update('sk-0123456789-of-bob', organization_id => 'acme', user_id => 'bob')$$),
    ($$key_update('sk-eve', organization_id => 'acme')$$)) AS t (call);
-- Each organization has what was spent in it, and a call under way is charged where it began.
SELECT usage_settle(1, 'tagged') -> 'cost' AS cost;
SELECT key_info('sk-0123456789-of-bob') -> 'info' -> 'spend' AS spend;
SELECT key_update('sk-0123456789-of-bob', organization_id => 'beta') -> 'spend' AS spend;
SELECT usage_record('sk-0123456789-of-bob', 'gpt-4o', 7, request_id => 'in beta') -> 'cost' AS cost;
SELECT organization_id, spend FROM org.organization ORDER BY 1;
SELECT key_update('sk-0123456789-of-bob', organization_id => 'acme') -> 'spend' AS spend;
SELECT usage_verify(), usage_verify('acme'), usage_verify('beta');
-- A key that has permissions leaves an organization only by a proxy admin.
SELECT org_member_add('beta', '{"role": "org_admin", "user_id": "ann"}') \g /dev/null
SELECT key_generate(organization_id => 'acme', permissions => '{"usage": true}', key => 'sk-usage') \g /dev/null
SELECT call, moved(call) FROM (VALUES
    ($$key_update('sk-usage', organization_id => 'beta', api_key => 'sk-ann')$$),
    ($$key_update('sk-0123456789-of-bob', organization_id => 'beta', user_id => 'ann', models => '{gpt-4o}', api_key => 'sk-ann')$$),
    ($$key_update('sk-usage', organization_id => 'beta')$$)) AS t (call);
SELECT delegated FROM org.api_key WHERE key_alias = 'of-bob';

-- A key about itself, its team and its organization ---------------------------
SELECT key_generate(team_id => 'red', key => 'sk-red') \g /dev/null
SELECT call, attempt(format(call, 'sk-red')) FROM (VALUES
    ('key_info(''sk-red'', %L)'), ('key_info(''sk-bob'', %L)'), ('team_info(''red'', api_key => %L)'),
    ('team_info(''small'', api_key => %L)'), ('org_info(''acme'', %L)'), ('org_info(''beta'', %L)')) AS t (call);
SELECT reply -> 'key' AS key, json_array_length(reply -> 'info') AS seen
  FROM key_info_many('{sk-red, sk-unknown, sk-bob}', 'sk-red') AS reply;
SELECT attempt('key_info_many(NULL)');

-- key_regenerate with fields --------------------------------------------------
SELECT reply ->> 'key' AS key, reply ->> 'key_alias' AS alias, reply -> 'max_budget' AS max_budget, reply ->> 'team_id' AS team
  FROM key_regenerate('sk-red', new_key => 'sk-new-secret', key_alias => 'renamed', max_budget => 3, team_id => 'small') AS reply;
SELECT call, attempt(call) FROM (VALUES
    ($$key_health('sk-red')$$),
    ($$key_health('sk-new-secret')$$),
    ($$key_regenerate('sk-new-secret', new_key => 'sk-ann')$$),
    ($$key_regenerate('sk-new-secret', new_key => 'secret')$$),
    ($$key_regenerate('sk-new-secret', new_key => 'sk-other', api_key => 'sk-ann')$$),
    ($$key_regenerate('sk-new-secret', max_budget => 3, api_key => 'sk-bob')$$)) AS t (call);
-- A reply that is kept has no secret that the caller sent.
SELECT key_update('sk-new-secret', key_alias => 'again', idempotency_key => 'once') ->> 'key' LIKE 'sk-%' AS secret;

-- key_bulk_update -------------------------------------------------------------
SELECT key_generate(team_id => 'red', key => 'sk-bulk', key_alias => 'bulk'), budget_new('silver', max_budget => 1) \g /dev/null
SELECT masked(key_bulk_update('[{"key": "sk-bulk", "tags": ["t"], "max_budget": 2}, {"key": "sk-unknown", "max_budget": 1},
                                {"key": "sk-bulk", "max_budget": -1}, {"key": "sk-bulk", "key_alias": "x"},
                                {"key": "sk-bulk", "team_id": "nowhere"}, {"key": "sk-bulk", "budget_id": "silver"}]') ->> 'failed_updates') AS failed;
SELECT reply -> 'total_requested' AS total, updated ->> 'key' AS key, updated -> 'tags' AS tags, updated -> 'max_budget' AS max_budget,
       updated ->> 'budget_id' AS budget, updated ->> 'team_id' AS team
  FROM key_bulk_update('[{"key": "sk-bulk", "max_budget": null, "budget_id": "silver"}, {"key": "sk-new-secret", "team_id": "red"}]') AS reply,
       json_array_elements(reply -> 'successful_updates') AS updated;
SELECT key_bulk_update('[{"key": "sk-bulk", "max_budget": 1}]', api_key => 'sk-bob') -> 'failed_updates' AS failed;
SELECT call, attempt(call) FROM (VALUES
    ('key_bulk_update(NULL)'), ('key_bulk_update(''{}'')'), ('key_bulk_update(''[1]'')'), ('key_bulk_update(''[{}]'')')) AS t (call);

-- key_delete ------------------------------------------------------------------
-- A budget that was made along with another owner goes with the last key that has it.
SELECT org_new('Gone', 'gone') ->> 'budget_id' AS budget \gset
SELECT key_generate(budget_id => :'budget', key => 'sk-last') \g /dev/null
SELECT json_array_length(org_delete('{gone}')) AS deleted;
SELECT count(*) FROM org.budget WHERE budget_id = :'budget';
SELECT key_delete('{sk-last, sk-bulk}', '{again}') -> 'deleted_keys' AS deleted;
SELECT count(*) FROM org.budget WHERE budget_id IN (:'budget', 'silver');

DROP FUNCTION test.moved;
-- A budget that only a key still has goes with the key, whatever deletes that.
CREATE PROCEDURE test.leave_budget_to_key() LANGUAGE plpgsql AS $$
DECLARE
    gone  text := org_new('Gone', 'gone', max_budget => 1) ->> 'budget_id';
BEGIN
    PERFORM org_new('Kept', 'kept'), org_member_add('kept', '{"role": "internal_user", "user_id": "kim"}');
    PERFORM team_new('kept', team_id => 'kept-team', members_with_roles => '[{"role": "user", "user_id": "kim"}]');
    PERFORM key_generate('kim', team_id => 'kept-team', budget_id => gone), org_delete('{gone}');
    IF NOT EXISTS (SELECT FROM org.budget WHERE budget_id = gone) THEN
        RAISE 'the budget is gone too early';
    END IF;
END $$;
CALL leave_budget_to_key();
SELECT org_delete('{kept}') \g /dev/null
SELECT unowned_budgets() AS after_organization;
CALL leave_budget_to_key();
SELECT team_delete('{kept-team}') \g /dev/null
SELECT unowned_budgets() AS after_team;
SELECT org_delete('{kept}') \g /dev/null
CALL leave_budget_to_key();
SELECT team_member_delete('kept-team', 'kim') \g /dev/null
SELECT unowned_budgets() AS after_team_member;
SELECT org_delete('{kept}') \g /dev/null
CALL leave_budget_to_key();
SELECT org_member_delete('kept', 'kim') \g /dev/null
SELECT unowned_budgets() AS after_member;
SELECT org_delete('{kept}') \g /dev/null
CALL leave_budget_to_key();
SELECT user_delete('{kim}') \g /dev/null
SELECT unowned_budgets() AS after_user;
SELECT org_delete('{kept}') \g /dev/null
DROP PROCEDURE test.leave_budget_to_key;

CALL clear();
