-- End users: the customers of those who call models, of an organization or of the platform.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

CREATE FUNCTION test.ids(list json) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(coalesce(one ->> 'organization_id', '') || '/' || (one ->> 'user_id'), ' ') FROM json_array_elements(list) AS one
$$;

SELECT org_new('Acme', 'acme'), org_new('Beta', 'beta'), budget_new('free', max_budget => 1, rpm_limit => 5) \g /dev/null
SELECT user_new(id, auto_create_key => false) FROM unnest('{ada,ann,bea,vera}'::text[]) AS id \g /dev/null
SELECT user_update('vera', user_role => 'proxy_admin_viewer') \g /dev/null
SELECT org_member_add('acme', '[{"role": "org_admin", "user_id": "ada"}, {"role": "internal_user", "user_id": "ann"}]'),
       org_member_add('beta', '{"role": "org_admin", "user_id": "bea"}') \g /dev/null
SELECT key_generate(user_id, key => 'sk-' || user_id) FROM unnest('{ada,ann,bea,vera}'::text[]) AS user_id \g /dev/null
SELECT key_generate('ada', organization_id => 'acme', key => 'sk-ada-in-acme') \g /dev/null

-- Made ---------------------------------------------------------------------------
SELECT reply(customer_new('cust-1'));
SELECT reply(customer_new('cust-2', alias => 'Second', blocked => true, max_budget => 5, soft_budget => 4, tpm_limit => 1000,
                          rpm_limit => 10, max_parallel_requests => 2, model_max_budget => '{"gpt-4o": 3}',
                          budget_duration => '30d', metadata => '{"a": 1}', organization_id => 'acme',
                          allowed_model_region => 'eu', default_model => 'gpt-4o-mini',
                          object_permission => '{"agents": ["a"]}', api_key => 'sk-ada'));
-- The same name may be used in several organizations and on the platform; each starts from nothing.
SELECT customer_new('cust-1', organization_id => 'acme') ->> 'organization_id' AS acme,
       customer_new('cust-1', organization_id => 'beta') ->> 'organization_id' AS beta;
-- An organization's key makes those of its organization.
SELECT customer_new('cust-3', max_budget => 1, api_key => 'sk-ada-in-acme') ->> 'organization_id' AS organization_id;
SELECT customer_new('cust-4', budget_id => 'free', organization_id => '') ->> 'budget_id' AS budget_id;
SELECT unowned_budgets();

SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$customer_new(NULL)$$), ($$customer_new('')$$), ($$customer_new(repeat('x', 256))$$),
    ($$customer_new('cust-1')$$), ($$customer_new('cust-1', organization_id => 'acme', max_budget => 1)$$),
    ($$customer_new('x', max_budget => -1)$$), ($$customer_new('x', tpm_limit => -1)$$),
    ($$customer_new('x', budget_duration => '30days')$$), ($$customer_new('x', model_max_budget => '{"m": -1}')$$),
    ($$customer_new('x', object_permission => '[]')$$), ($$customer_new('x', metadata => '[]')$$),
    ($$customer_new('x', budget_id => 'none')$$), ($$customer_new('x', budget_id => 'free', max_budget => 1)$$),
    ($$customer_new('x', organization_id => 'none')$$),
    ($$customer_new('x', api_key => 'sk-ada')$$), ($$customer_new('x', api_key => 'sk-vera')$$),
    ($$customer_new('x', organization_id => 'acme', api_key => 'sk-vera')$$),
    ($$customer_new('x', organization_id => 'acme', api_key => 'sk-ann')$$),
    ($$customer_new('x', organization_id => 'beta', api_key => 'sk-ada')$$),
    ($$customer_new('x', organization_id => 'none', api_key => 'sk-ada')$$),
    ($$customer_new('x', organization_id => 'beta', api_key => 'sk-ada-in-acme')$$),
    ($$customer_new('x', organization_id => 'acme', budget_id => 'free', api_key => 'sk-ada')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;

-- Changed ------------------------------------------------------------------------
SELECT reply(customer_update('cust-2', organization_id => 'acme', alias => '2nd', blocked => false, max_budget => 6,
                             metadata => '{"b": 2}', default_model => 'gpt-5', api_key => 'sk-ada'));
SELECT reply(customer_update('cust-2', organization_id => 'acme', api_key => 'sk-ada',
                             clear => '{alias,max_budget,soft_budget,tpm_limit,rpm_limit,max_parallel_requests,model_max_budget,budget_duration,allowed_model_region,default_model,object_permission,blocked,metadata}'));
-- The first limit makes a budget; without one, nothing does.
SELECT customer_update('cust-1', clear => '{max_budget}') ->> 'budget_id' AS none,
       customer_update('cust-1', rpm_limit => 3) -> 'litellm_budget_table' ->> 'rpm_limit' AS rpm_limit;
-- A budget that was made for the end user goes with the last who uses it; others stay.
SELECT budget_id AS own FROM org.end_user WHERE organization_id = '' AND end_user_id = 'cust-1' \gset
SELECT customer_update('cust-1', budget_id => 'free') ->> 'budget_id' AS budget_id;
SELECT count(*) AS own_budgets FROM org.budget WHERE budget_id = :'own';
SELECT customer_update('cust-1', budget_id => 'free', max_budget => 7) -> 'litellm_budget_table' ->> 'max_budget' AS max_budget;
SELECT max_budget FROM org.budget WHERE budget_id = 'free';
SELECT customer_update('cust-1', clear => '{budget_id}') ->> 'budget_id' AS none;
SELECT customer_update('cust-1', budget_id => 'free') ->> 'budget_id' AS budget_id,
       customer_update('cust-1', clear => '{budget_id}', tpm_limit => 4) -> 'litellm_budget_table' ->> 'tpm_limit' AS tpm_limit;
SELECT unowned_budgets();
-- An organization's admin changes no budget that a proxy admin made, even if nobody else uses it.
SELECT budget_new('gold', max_budget => 100), customer_update('cust-3', organization_id => 'acme', budget_id => 'gold') \g /dev/null
SELECT customer_update('cust-3', max_budget => 200, organization_id => 'acme', api_key => 'sk-ada') -> 'litellm_budget_table' ->> 'max_budget' AS max_budget;
SELECT customer_update('cust-3', rpm_limit => 1, organization_id => 'acme', api_key => 'sk-ada') ->> 'budget_id' <> 'gold' AS own_budget;
SELECT budget_id, max_budget, rpm_limit FROM org.budget WHERE budget_id = 'gold';
SELECT unowned_budgets();
-- Sent along with a change, the present budget is no other.
SELECT customer_update('cust-1', budget_id => customer_info('cust-1') ->> 'budget_id', tpm_limit => 5) -> 'litellm_budget_table' ->> 'tpm_limit' AS tpm_limit;

SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$customer_update(NULL)$$), ($$customer_update('none')$$), ($$customer_update('none', organization_id => 'acme', api_key => 'sk-ada')$$),
    ($$customer_update('cust-1', organization_id => 'none')$$),
    ($$customer_update('cust-1', budget_id => 'none')$$), ($$customer_update('cust-2', organization_id => 'acme', budget_id => 'free', max_budget => 1)$$),
    ($$customer_update('cust-1', clear => '{spend}')$$), ($$customer_update('cust-1', max_budget => 'NaN')$$),
    ($$customer_update('cust-1', api_key => 'sk-ada')$$), ($$customer_update('none', api_key => 'sk-ada')$$),
    ($$customer_update('cust-1', api_key => 'sk-vera')$$),
    ($$customer_update('cust-1', organization_id => 'beta', api_key => 'sk-ada')$$),
    ($$customer_update('none', organization_id => 'beta', api_key => 'sk-ada')$$),
    ($$customer_update('cust-1', organization_id => 'acme', api_key => 'sk-ann')$$),
    ($$customer_update('cust-1', organization_id => 'acme', budget_id => 'free', api_key => 'sk-ada')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;

-- Blocked: also before they are made ------------------------------------------------
SELECT masked((one ->> 'user_id') || ' ' || (one ->> 'blocked')) AS blocked
  FROM json_array_elements(customer_block('{new,cust-2,new}', 'acme', api_key => 'sk-ada') -> 'blocked_users') AS one;
SELECT ids(customer_block('{x}') -> 'blocked_users') AS blocked, ids(customer_unblock('{x}') -> 'blocked_users') AS unblocked;
SELECT customer_info('x') ->> 'blocked' AS blocked;
SELECT ids(customer_block('{}') -> 'blocked_users') AS nobody;
SELECT call, attempt(call) FROM (VALUES
    ($$customer_block(NULL)$$), ($$customer_block('{""}')$$), ($$customer_block(ARRAY[NULL::text])$$),
    ($$customer_block('{x}', api_key => 'sk-ada')$$), ($$customer_block('{x}', 'beta', api_key => 'sk-ada')$$),
    ($$customer_block('{x}', 'none', api_key => 'sk-ada')$$), ($$customer_block('{x}', 'none')$$),
    ($$customer_unblock('{none,x,nobody}')$$), ($$customer_unblock('{x}', api_key => 'sk-ada')$$)) AS t (call);

-- Shown ----------------------------------------------------------------------------
SELECT customer_info('cust-1') ->> 'organization_id' AS of_platform, customer_info('cust-1', 'acme') ->> 'organization_id' AS of_acme,
       customer_info('cust-1', api_key => 'sk-ada-in-acme') ->> 'organization_id' AS of_the_key,
       customer_info('cust-1', 'beta', api_key => 'sk-vera') ->> 'organization_id' AS for_a_viewer;
SELECT call, attempt(call) FROM (VALUES
    ($$customer_info(NULL)$$), ($$customer_info('none')$$), ($$customer_info('none', 'acme', api_key => 'sk-ada')$$),
    ($$customer_info('cust-1', api_key => 'sk-ada')$$), ($$customer_info('none', api_key => 'sk-ada')$$),
    ($$customer_info('cust-1', 'beta', api_key => 'sk-ada')$$), ($$customer_info('cust-1', 'none', api_key => 'sk-ada')$$),
    ($$customer_info('cust-1', 'acme', api_key => 'sk-ann')$$)) AS t (call);
SELECT ids(customer_list()) AS all, ids(customer_list('')) AS of_platform, ids(customer_list('acme')) AS acme, ids(customer_list('none')) AS none;
SELECT ids(customer_list(api_key => 'sk-ada')) AS for_ada, ids(customer_list('acme', api_key => 'sk-ada')) AS in_acme,
       ids(customer_list(api_key => 'sk-vera')) = ids(customer_list()) AS for_a_viewer;
SELECT call, attempt(call) FROM (VALUES
    ($$customer_list(api_key => 'sk-ann')$$), ($$customer_list('acme', api_key => 'sk-ann')$$),
    ($$customer_list('beta', api_key => 'sk-ada')$$), ($$customer_list('none', api_key => 'sk-ada')$$),
    ($$customer_list('', api_key => 'sk-ada')$$), ($$customer_list("limit" => 0)$$), ($$customer_list("limit" => 1001)$$),
    ($$customer_list(after => 'none')$$), ($$customer_list(after => 'x', api_key => 'sk-ada')$$)) AS t (call);
-- In pages.
WITH RECURSIVE page (number, list) AS (
    SELECT 1, customer_list("limit" => 2)
     UNION ALL
    SELECT number + 1, customer_list("limit" => 2, after => (list -> 1 ->> 'created_at') || '/' || (list -> 1 ->> 'user_id'))
      FROM page WHERE json_array_length(list) = 2)
SELECT string_agg(ids(list), ' ' ORDER BY number) = ids(customer_list()) AS all_in_order, count(*) AS pages FROM page;
SELECT ids(customer_list('acme', "limit" => 2, after => 'cust-1')) AS by_name;

-- Deleted --------------------------------------------------------------------------
SELECT call, attempt(call) FROM (VALUES
    ($$customer_delete(NULL)$$), ($$customer_delete('{x,none}')$$), ($$customer_delete('{x}', api_key => 'sk-ada')$$),
    ($$customer_delete('{cust-1}', 'beta', api_key => 'sk-ada')$$), ($$customer_delete('{none}', 'none', api_key => 'sk-ada')$$)) AS t (call);
SELECT call, attempt(call) FROM (VALUES ($$budget_delete('free')$$)) AS t (call);
SELECT customer_delete('{x,cust-1,x}'), customer_delete('{new}', 'acme', api_key => 'sk-ada'), customer_delete('{}') AS nobody;
SELECT customer_delete('{cust-4}') \g /dev/null
SELECT ids(customer_list()) AS remaining, unowned_budgets();
SELECT attempt($$budget_delete('free')$$);
-- A name that is used again starts from nothing.
SELECT created_at AS first FROM org.end_user WHERE organization_id = 'beta' \gset
SELECT customer_update('cust-1', organization_id => 'beta', alias => 'old', blocked => true, max_budget => 1), customer_delete('{cust-1}', 'beta') \g /dev/null
SELECT customer_new('cust-1', organization_id => 'beta') ->> 'budget_id' AS budget_id;
SELECT alias, blocked, created_at > :'first' AS later FROM org.end_user WHERE organization_id = 'beta';

-- With their organization they go as well, and the budgets that were made with them.
SELECT customer_update('cust-1', organization_id => 'acme', budget_id => 'gold') \g /dev/null
SELECT customer_new('cust-9', organization_id => 'acme', max_budget => 1) \g /dev/null
SELECT org_delete('{acme}') \g /dev/null
SELECT ids(customer_list()) AS remaining, unowned_budgets();
SELECT budget_id FROM org.budget WHERE NOT auto_created;

-- A shared budget is changed for all who use it.
SELECT customer_update('cust-1', organization_id => 'beta', budget_id => 'gold'), customer_new('cust-5', budget_id => 'gold') \g /dev/null
SELECT budget_update('gold', max_budget => 101) -> 'max_budget' AS max_budget;
SELECT customer_info('cust-5') -> 'litellm_budget_table' -> 'max_budget' AS platform, customer_info('cust-1', 'beta') -> 'litellm_budget_table' -> 'max_budget' AS beta;
SELECT attempt($$budget_delete('gold')$$);

-- Quota ------------------------------------------------------------------------------
SELECT org_update('beta', quotas => '{"max_end_users": 3}') -> 'quotas' AS quotas;
SELECT attempt($$customer_new('q-1', organization_id => 'beta')$$), attempt($$customer_block('{q-2,q-3}', 'beta')$$),
       attempt($$customer_block('{q-1,q-2}', 'beta')$$), attempt($$customer_new('q-3', organization_id => 'beta')$$),
       attempt($$customer_new('q-3')$$);
SELECT customer_delete('{q-1}', 'beta') \g /dev/null
SELECT attempt($$customer_new('q-3', organization_id => 'beta')$$), attempt($$customer_new('q-4', organization_id => 'beta')$$);
SELECT end_users_at_most >= (SELECT count(*) FROM org.end_user e WHERE e.organization_id = 'beta') AS counted FROM org.organization;

-- Audited, and told as events -----------------------------------------------------------
SELECT organization_id, action, id, count(*) FROM org.audit_log WHERE kind = 'end_user' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT organization_id, kind, data, count(*) FROM org.event WHERE kind LIKE 'end\_user%' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3::text;
SELECT customer_update('q-3', alias => 'Q'), customer_update('q-3', alias => 'Q'), customer_update('q-3', object_permission => '{"agents": []}') \g /dev/null
SELECT after -> 'alias' AS alias, after -> 'kept' AS kept FROM org.audit_log WHERE id = 'q-3' AND organization_id = '' AND action = 'customer_update' ORDER BY occurred_at;

-- A key's allowed routes may name either path.
SELECT key_generate('default_user_id', key => 'sk-old-paths', allowed_routes => '{/end_user/info}'),
       key_generate('default_user_id', key => 'sk-new-paths', allowed_routes => '{/customer/*}'),
       key_generate('default_user_id', key => 'sk-other-paths', allowed_routes => '{/key/*}') \g /dev/null
SELECT attempt($$customer_info('q-3', api_key => 'sk-old-paths')$$), attempt($$customer_list(api_key => 'sk-old-paths')$$),
       attempt($$customer_list(api_key => 'sk-new-paths')$$), attempt($$customer_info('q-3', api_key => 'sk-other-paths')$$);

-- Sent again with the same idempotency key.
SELECT customer_new('once', idempotency_key => 'one')::text = customer_new('once', idempotency_key => 'one')::text AS same;

DROP FUNCTION test.ids;
CALL test.clear();
